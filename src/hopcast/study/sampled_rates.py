"""Rates of a Hamiltonian that is known on pairs of frames: their average, dynamics along each forecast, and both together."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

from hopcast.core.estimates import combined
from hopcast.core.hamiltonian import VibronicHamiltonian
from hopcast.core.resampling import mean_interval
from hopcast.core.units import FS_PER_NS
from hopcast.dynamics import DynamicsResult, Estimate, dephasing_time, local_rate, second_order_rate
from hopcast.dynamics.rates import bootstrap_rate
from hopcast.evaluation import PoweredMean, prediction_powered_mean
from hopcast.forecast.pair import PairPhysics
from hopcast.results.dynamics import DephasingRecord, HamiltonianRecord, SampledRate, SeamRecord
from hopcast.results.record import estimate
from hopcast.study.config import StudyConfig
from hopcast.study.inputs import StudyData
from hopcast.study.rates import (
    NO_SAMPLING,
    Bootstrap,
    DynamicsNumbers,
    forecast_hamiltonian,
    hamiltonian_record,
    itself,
    run_exact,
    seam_record,
    signed,
)
from hopcast.study.samples import STATIC, static_dephasing_times
from hopcast.study.stage import Arrays, Context, StageResult

if TYPE_CHECKING:
    from hopcast.study.stages.models import ModelNumbers

Array = NDArray[np.float64]

COMPUTED: Final = "computed pairs"
"""Name of the first row: no model, the average over what was computed."""

SHORT: Final = 0.1
"""Share of the trajectory that is looped beside the whole one."""

LEVEL: Final = 0.95

SHARED: Final = 1.645
"""Standard deviations of an autocorrelation that chance exceeds in 5 %."""

PASSED: Final = 16.0
"""fs on either side; a model passes a crossing of bands, where rates peak, some frames earlier or later than the data do."""

RATIO: Final = "the ratio is that of second-order rates to the average over the computed pairs"


@dataclass(frozen=True, eq=False)
class _Rates:
    """Second-order rates, 1/fs, of a sparse study."""

    truth: Array
    steps: NDArray[np.intp]
    stretches: NDArray[np.intp]
    all_stretches: NDArray[np.intp]
    bootstrap: Bootstrap

    @classmethod
    def of(cls, context: Context, forecasts: ModelNumbers, tau: float) -> _Rates:
        """Return the rates of the computed pairs, and the stretches of time that the models were held out of."""
        pair, samples = context.data.hamiltonian, context.data.samples
        assert samples is not None
        assert forecasts.block is not None
        middle = (np.arange(pair.n_steps) + 0.5) * pair.timestep
        return cls(
            second_order_rate(samples.gap, samples.coupling, tau),
            samples.steps,
            np.floor(samples.times / forecasts.block).astype(np.intp),
            np.floor(middle / forecasts.block).astype(np.intp),
            Bootstrap(context.config.dynamics.n_bootstrap, context.config.seed),
        )

    @cached_property
    def apart(self) -> bool:
        """Whether neighbouring pairs share nothing, by their autocorrelation at 5 %: rates forget sooner than gaps, whose memory sets the stretches."""
        away = self.truth - self.truth.mean()
        return float(away[1:] @ away[:-1]) < SHARED / np.sqrt(len(away)) * float(away @ away)

    @property
    def plain(self) -> PoweredMean:
        """The average over the computed pairs: a forecast that never varies has the weight 0."""
        return self.powered(np.zeros(len(self.all_stretches)))

    def powered(self, forecast: Array) -> PoweredMean:
        """Return the average with a forecast as control variate, each stretch forecast by a model that never saw it."""
        scale = self.truth.mean()
        found = prediction_powered_mean(
            self.truth / scale,
            forecast[self.steps] / scale,
            forecast / scale,
            blocks=None if self.apart else self.stretches,
            level=LEVEL,
            frames=self.steps if self.apart else None,
            n_bootstrap=self.bootstrap.n_draws,
            random_state=self.bootstrap.random_state,
        )
        return PoweredMean(
            value=found.value * scale,
            low=found.low * scale,
            high=found.high * scale,
            weight=found.weight,
            plain=found.plain * scale,
            level=found.level,
            n_samples=found.n_samples,
            n_blocks=found.n_blocks,
        )

    def ratio(self, forecast: Array) -> Estimate:
        """Return the mean of a forecast over that of the computed pairs, both drawn from the same stretches of time."""
        labels, of_samples = np.unique(self.stretches, return_inverse=True)
        place = np.searchsorted(labels, self.all_stretches)
        known = (place < len(labels)) & (labels[np.minimum(place, len(labels) - 1)] == self.all_stretches)
        value = float(forecast.mean() / self.truth.mean())
        above = _share_of_mean(forecast[known], place[known], len(labels))
        below = _share_of_mean(self.truth, of_samples, len(labels))
        part = mean_interval(
            value * (1.0 + above - below),
            positive=True,
            n_draws=self.bootstrap.n_draws,
            random_state=self.bootstrap.random_state,
        )
        return combined(value, "", {"finite_trajectory": part}, RATIO, "log")


def _share_of_mean(values: Array, stretches: NDArray[np.intp], n_stretches: int) -> Array:
    """Return by how much each stretch of time moves the mean of the values, over that mean; the mean over stretches is 0."""
    mean = values.mean()
    return np.asarray(np.bincount(stretches, values - mean, n_stretches) * n_stretches / len(values) / mean)


def run_sampled_rates(
    context: Context, forecasts: ModelNumbers, arrays: Mapping[str, Array]
) -> StageResult[DynamicsNumbers]:
    """Return the mean rate from the computed pairs, as they are and with forecasts, and dynamics along every forecast."""
    section, pair, samples = context.config.dynamics, context.data.hamiltonian, context.data.samples
    assert samples is not None
    conventions = static_dephasing_times(samples)
    tau = section.dephasing_time or conventions[section.tau_convention]
    static = f"{section.tau_convention}, static limit of the computed gaps"
    convention = "given" if section.dephasing_time is not None else static
    rates = _Rates.of(context, forecasts, tau)
    plain = rates.plain
    records = [_computed_row(context, plain, tau, convention)]
    shown = [_rate_record(COMPUTED, "plain average", plain, plain)]
    kept: Arrays = {}
    seam = SeamRecord()
    for name in forecasts.names:
        context.progress.advance(name)
        series = forecast_series(context.config, context.data, arrays, name)
        hamiltonian = forecast_hamiltonian(context.data, series.gap, signed(arrays, name, series.coupling), name)
        found = run_exact(context, hamiltonian, tau)
        ratio = rates.ratio(second_order_rate(series.middle, series.coupling, tau))
        own = dephasing_time(hamiltonian, convention=section.tau_convention)
        records.append(
            hamiltonian_record(
                name,
                pair.timestep,
                found,
                ratio,
                series.model_part(tau),
                tau=tau,
                own_tau=own,
                tau_convention=convention,
                n_blocks=plain.n_blocks,
            )
        )
        shown += _readings(series, tau, rates, plain)
        if not kept:
            seam = seam_record(found)
            shown += _short_and_whole(context, name, hamiltonian, found, tau, rates, plain)
            kept["times"] = found.times
        kept |= {
            f"population/{name}": found.ground_population,
            f"gap/{name}": series.gap,
            f"nac/{name}": series.coupling,
        }
    numbers = DynamicsNumbers(
        hamiltonians=records,
        rates=shown,
        seam=seam,
        dephasing=DephasingRecord(tau=tau, convention=convention, by_convention=conventions),
        static=bool(STATIC * tau <= min(forecasts.memory.values())),
    )
    return StageResult(numbers, kept)


@dataclass(frozen=True, eq=False)
class ForecastSeries:
    """A model's forecast along the trajectory.

    Attributes
    ----------
    physics
        What is learnt of the pair.
    timestep
        fs.
    arrays
        Forecasts of all models.
    name
        Of the model.
    kind
        "": by the model of all pairs; "-blocked": every stretch by a model that saw nothing of it.
    """

    physics: PairPhysics
    timestep: float
    arrays: Mapping[str, Array]
    name: str
    kind: str = ""

    @property
    def gap(self) -> Array:
        """On the grid of the energies."""
        return self.arrays[f"gap{self.kind}/{self.name}"]

    @property
    def middle(self) -> Array:
        """The gap at mid-points."""
        return self.physics.middle(self.gap)

    @property
    def learnt_coupling(self) -> Array:
        """What was learnt of the modulus, at mid-points; may be negative."""
        return self.physics.coupling(self.arrays[f"nac{self.kind}/{self.name}"], self.middle)

    @property
    def coupling(self) -> Array:
        """Modulus, at mid-points."""
        return np.maximum(self.learnt_coupling, 0.0)

    @property
    def spread(self) -> Array | None:
        """Posterior deviation of the modulus."""
        std = self.arrays.get(f"nac-std/{self.name}")
        return None if std is None else self.physics.coupling(std, self.middle)

    def model_part(self, tau: float) -> float | None:
        """Return the relative half-width that the posterior leaves in the mean rate, from joint draws at spread times."""
        gap, nac = (self.arrays.get(f"{target}-samples/{self.name}") for target in ("gap", "nac"))
        if gap is None or nac is None or (gap <= 0).any():
            return None
        rates = second_order_rate(gap, self.physics.coupling(nac, gap), tau).mean(axis=1)
        return float(1.96 * np.log(rates).std(ddof=1))


def forecast_series(
    config: StudyConfig, data: StudyData, arrays: Mapping[str, Array], name: str, kind: str = ""
) -> ForecastSeries:
    """Return a model's forecast along the trajectory."""
    assert data.samples is not None
    pair = data.hamiltonian
    physics = PairPhysics(float(data.samples.gap.mean()), pair.energy_grid, config.models.mode == "paper")
    return ForecastSeries(physics, pair.timestep, arrays, name, kind)


def _readings(series: ForecastSeries, tau: float, rates: _Rates, plain: PoweredMean) -> list[SampledRate]:
    """Return a forecast's mean rate as it is, with its variance, and as control variate of the computed pairs."""
    name, timestep = series.name, series.timestep

    def forecast(kind: str, coupling: Array) -> SampledRate:
        local = second_order_rate(series.middle, coupling, tau)
        return _rate_record(name, kind, bootstrap_rate(local, timestep, **vars(rates.bootstrap)), plain)

    shown = [forecast("forecast", series.coupling)]
    if series.spread is not None:
        shown.append(forecast("forecast with its variance", np.sqrt(series.coupling**2 + series.spread**2)))
    unseen = dataclasses.replace(series, kind="-blocked")
    powered = rates.powered(smoothed(second_order_rate(unseen.middle, unseen.learnt_coupling, tau), timestep))
    shown.append(_rate_record(name, "prediction-powered", powered, plain))
    return shown


def smoothed(rate: Array, timestep: float) -> Array:
    """Return a forecast rate averaged over `PASSED` around each time, a control variate that a late crossing does not miss."""
    width = 2 * int(PASSED / timestep) + 1
    return np.asarray(uniform_filter1d(rate, min(width, len(rate)), mode="nearest"))


def _rate_record(name: str, kind: str, found: PoweredMean | Estimate, plain: PoweredMean) -> SampledRate:
    """Return a mean rate (1/fs, or an estimate in 1/ns), its lifetime, and its width beside the plain average's."""
    note, weight = "", None
    if isinstance(found, PoweredMean):
        value, low, high = (FS_PER_NS * x for x in (found.value, found.low, found.high))
        weight = found.weight if kind == "prediction-powered" else None
    else:
        value, low, high, note = found.value, found.low, found.high, found.note
    unknown = {"value": "the rate is not positive", "interval": "the interval of the rate reaches zero"}
    return SampledRate(
        name=name,
        kind=kind,
        weight=weight,
        rate=estimate(value, low, high, unit="1/ns", parts={"finite_trajectory": 0.5 * (high - low)}, note=note),
        lifetime=estimate(_inverse(value), _inverse(high), _inverse(low), unit="ns", note=note, reasons=unknown),
        relative_width=(high - low) / (FS_PER_NS * (plain.high - plain.low)),
        ratio=value / (FS_PER_NS * plain.value),
        reasons={"relative_width": "the plain average has no width", "ratio": "the plain average is zero"},
    )


def _inverse(rate: float) -> float | None:
    return 1.0 / rate if rate > 0 else None


def _computed_row(context: Context, plain: PoweredMean, tau: float, convention: str) -> HamiltonianRecord:
    """Return the first row of the table of rates: the lifetime that the computed pairs have without any model."""
    section = context.config.dynamics
    apart = "separate pairs cannot be propagated"
    reasons = {"value": apart, "interval": apart, "model": "no model", "monte_carlo": NO_SAMPLING}
    rate = _rate_record(COMPUTED, "plain average", plain, plain)
    return HamiltonianRecord(
        name=COMPUTED,
        gradient=estimate(None, unit="1/ns", reasons=reasons),
        intercept=estimate(None, unit="1", reasons=reasons),
        lifetime=rate.lifetime,
        rate=rate.rate,
        ratio=itself(reasons),
        method="second order, averaged over the computed pairs; forecasts: dish",
        solver="none",
        rule=section.rule,
        waiting=section.waiting,
        tau=tau,
        tau_convention=convention,
        temperature=section.temperature,
        n_blocks=plain.n_blocks,
        note=f"{plain.n_samples} pairs{'' if plain.n_blocks == plain.n_samples else f' in {plain.n_blocks} stretches of time'}",
        reasons={"temperature": "no detailed balance"},
    )


def _short_and_whole(
    context: Context,
    name: str,
    hamiltonian: VibronicHamiltonian,
    found: DynamicsResult,
    tau: float,
    rates: _Rates,
    plain: PoweredMean,
) -> list[SampledRate]:
    """Return the rate of the exact solver along the whole forecast, and along its first tenth looped."""
    length = max(100, round(SHORT * hamiltonian.n_steps))
    if length >= hamiltonian.n_steps:
        return []
    timestep, section = hamiltonian.timestep, context.config.dynamics
    short = local_rate(
        hamiltonian[: length + 1], tau, coupling_interpolation=section.coupling_interpolation, workers=context.workers
    )
    whole = f"whole trajectory, {found.local_rate.size * timestep / 1000:.3g} ps"
    tenth = f"its first {length * timestep / 1000:.3g} ps looped"
    return [
        _rate_record(name, f"exact, {what}", bootstrap_rate(series, timestep, **vars(rates.bootstrap)), plain)
        for what, series in ((whole, found.local_rate), (tenth, short))
    ]

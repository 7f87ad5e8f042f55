"""Stage `dynamics` of a sparse study: the mean rate from the computed pairs, and dynamics along each forecast."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hopcast.core.estimates import combined
from hopcast.core.hamiltonian import VibronicHamiltonian
from hopcast.core.resampling import block_counts, draws_interval
from hopcast.core.units import FS_PER_NS
from hopcast.dynamics import (
    DynamicsResult,
    Estimate,
    dephasing_time,
    local_rate,
    run_dynamics,
    second_order_rate,
)
from hopcast.dynamics.rates import bootstrap_rate
from hopcast.evaluation import PoweredMean, prediction_powered_mean
from hopcast.report import estimate, number
from hopcast.study.config import DynamicsSection, StudyConfig
from hopcast.study.inputs import StudyData
from hopcast.study.lifetimes import (
    NO_SAMPLING,
    forecast_hamiltonian,
    hamiltonian_record,
    seam_record,
)
from hopcast.study.progress import Stage
from hopcast.study.samples import STATIC, static_dephasing_times
from hopcast.study.sparse import coupling_at, samples_in
from hopcast.study.stages import StageResult

Array = NDArray[np.float64]

COMPUTED = "computed pairs"
"""Name of the first row: no model, the average over what was computed."""

SHORT = 0.1
"""Share of the trajectory that is looped beside the whole one."""

LEVEL = 0.95

RATIO = "the ratio is that of second-order rates to the average over the computed pairs"


@dataclass(frozen=True, eq=False)
class _Rates:
    """Second-order rates, 1/fs, of a sparse study."""

    truth: Array
    stretches: NDArray[np.intp]
    all_stretches: NDArray[np.intp]
    bootstrap: dict[str, Any]

    @property
    def plain(self) -> PoweredMean:
        """The average over the computed pairs: a forecast that never varies has the weight 0."""
        nothing = np.zeros_like(self.truth)
        return self._powered(nothing, nothing)

    def powered(self, forecast: Array, steps: NDArray[np.intp]) -> PoweredMean:
        """Return the average with a forecast as control variate, each stretch forecast by a model that never saw it."""
        return self._powered(forecast[steps], forecast)

    def _powered(self, sampled: Array, everywhere: Array) -> PoweredMean:
        scale = self.truth.mean()
        found = prediction_powered_mean(
            self.truth / scale, sampled / scale, everywhere / scale, self.stretches, LEVEL,
            n_bootstrap=self.bootstrap["n_draws"], random_state=self.bootstrap["random_state"],
        )  # fmt: skip
        return PoweredMean(
            value=found.value * scale, low=found.low * scale, high=found.high * scale, weight=found.weight,
            plain=found.plain * scale, level=found.level, n_samples=found.n_samples, n_blocks=found.n_blocks,
        )  # fmt: skip

    def ratio(self, forecast: Array) -> Estimate:
        """Return the mean of a forecast over that of the computed pairs, both drawn from the same stretches of time."""
        labels, of_samples = np.unique(self.stretches, return_inverse=True)
        place = np.searchsorted(labels, self.all_stretches)
        known = (place < len(labels)) & (labels[np.minimum(place, len(labels) - 1)] == self.all_stretches)
        sums = np.stack([
            np.bincount(place[known], weights, minlength=len(labels))
            for weights in (forecast[known], np.ones(int(known.sum())))
        ] + [
            np.bincount(of_samples, weights, minlength=len(labels))
            for weights in (self.truth, np.ones(len(self.truth)))
        ])  # fmt: skip
        n = len(labels)
        drawn = sums @ block_counts(n, **self.bootstrap).T
        value = float(forecast.mean() / self.truth.mean())
        part = draws_interval(value, (drawn[0] / drawn[1]) / (drawn[2] / drawn[3]), n)
        return combined(value, "", {"finite_trajectory": part}, RATIO, "log")


def run_sample_lifetimes(
    config: StudyConfig,
    seed: int,
    data: StudyData,
    forecasts: StageResult,
    stage: Stage,
    workers: int | None,
) -> StageResult:
    """Return the mean rate from the computed pairs, as they are and with forecasts, and dynamics along every forecast.

    Returns
    -------
    StageResult
        ``hamiltonians``, ``rates``, ``dephasing``, ``seam``: records of `results.json`. Arrays ``population/{name}``,
        ``times`` fs, ``gap/{name}``, ``nac/{name}``.
    """
    section, samples, pair = config.dynamics, samples_in(data), data.hamiltonian
    conventions = static_dephasing_times(samples)
    tau = section.dephasing_time or conventions[section.tau_convention]
    convention = (
        "given"
        if section.dephasing_time is not None
        else f"{section.tau_convention}, static limit of the computed gaps"
    )
    block = float(forecasts.numbers["block"])
    middle = (np.arange(pair.n_steps) + 0.5) * pair.timestep
    rates = _Rates(
        second_order_rate(samples.gap, samples.coupling, tau),
        np.floor(samples.times / block).astype(np.intp),
        np.floor(middle / block).astype(np.intp),
        {"n_draws": section.n_bootstrap, "random_state": seed},
    )
    plain = rates.plain
    records = [_computed_row(plain, tau, convention, section)]
    shown = [_rate_record(COMPUTED, "plain average", plain, plain)]
    arrays: dict[str, NDArray[Any]] = {}
    seam: dict[str, Any] = {}
    for name in forecasts.numbers["names"]:
        stage.advance(name)
        gap = forecasts.arrays[f"gap/{name}"]
        at_middle = _at_midpoints(data, gap)
        mode = config.models.mode
        nac = np.maximum(coupling_at(mode, samples, forecasts.arrays[f"nac/{name}"], at_middle), 0.0)
        hamiltonian = forecast_hamiltonian(data, gap, nac, name)
        found = run_dynamics(
            hamiltonian, method="exact", dephasing_time=tau, duration=section.duration, temperature=section.temperature,
            n_times=section.n_times, coupling_interpolation=section.coupling_interpolation, rule=section.rule,
            waiting=section.waiting, random_state=seed, workers=workers,
        )  # fmt: skip
        own = dephasing_time(hamiltonian, convention=section.tau_convention)
        forecast = second_order_rate(at_middle, nac, tau)
        record = hamiltonian_record(
            name, pair.timestep, found, rates.ratio(forecast), None, tau, own, convention, None
        )
        records.append(record | {"n_blocks": plain.n_blocks})
        shown.append(
            _rate_record(name, "forecast", bootstrap_rate(forecast, pair.timestep, **rates.bootstrap), plain)
        )
        std = forecasts.arrays.get(f"nac-std/{name}")
        if std is not None:
            spread = coupling_at(mode, samples, std, at_middle)
            corrected = second_order_rate(at_middle, np.sqrt(nac**2 + spread**2), tau)
            shown.append(
                _rate_record(
                    name, "forecast with its variance", bootstrap_rate(corrected, pair.timestep, **rates.bootstrap), plain
                )
            )  # fmt: skip
        unseen_gap = _at_midpoints(data, forecasts.arrays[f"gap-blocked/{name}"])
        unseen = coupling_at(mode, samples, forecasts.arrays[f"nac-blocked/{name}"], unseen_gap)
        powered = rates.powered(second_order_rate(unseen_gap, unseen, tau), samples.steps)
        shown.append(_rate_record(name, "prediction-powered", powered, plain))
        if not seam:
            seam = seam_record(found)
            shown += _short_and_whole(name, hamiltonian, found, tau, rates, section, plain, workers)
            arrays["times"] = found.times
        arrays |= {f"population/{name}": found.ground_population, f"gap/{name}": gap, f"nac/{name}": nac}
    numbers = {
        "hamiltonians": records,
        "rates": shown,
        "dephasing": {"tau": tau, "convention": convention, "by_convention": conventions},
        "seam": seam,
        "static": bool(STATIC * tau <= min(forecasts.numbers["memory"].values())),
    }
    return StageResult(numbers, arrays)


def _at_midpoints(data: StudyData, gap: Array) -> Array:
    return gap if data.hamiltonian.energy_grid == "midpoint" else 0.5 * (gap[1:] + gap[:-1])


def _rate_record(
    name: str, kind: str, found: PoweredMean | Estimate, plain: PoweredMean, note: str = ""
) -> dict[str, Any]:
    """Return a mean rate (1/fs, or an estimate in 1/ns), its lifetime, and its width beside the plain average's."""
    if isinstance(found, PoweredMean):
        value, low, high = (FS_PER_NS * x for x in (found.value, found.low, found.high))
    else:
        value, low, high = found.value, found.low, found.high
        note = note or found.note
    width = (high - low) / (FS_PER_NS * (plain.high - plain.low))
    return {
        "name": name,
        "kind": kind,
        "rate": estimate(value, low, high, unit="1/ns", parts={"finite_trajectory": 0.5 * (high - low)}, note=note),
        "lifetime": estimate(
            _inverse(value), _inverse(high), _inverse(low), unit="ns", note=note,
            reasons={"value": "the rate is not positive", "interval": "the interval of the rate reaches zero"},
        ),
        **number("relative_width", width, "the plain average has no width"),
        **number("ratio", value / (FS_PER_NS * plain.value), "the plain average is zero"),
        **(
            {"weight": found.weight}
            if isinstance(found, PoweredMean) and kind == "prediction-powered"
            else {}
        ),
    }  # fmt: skip


def _inverse(rate: float) -> float | None:
    return 1.0 / rate if rate > 0 else None


def _computed_row(
    plain: PoweredMean, tau: float, convention: str, section: DynamicsSection
) -> dict[str, Any]:
    """Return the first row of Table 4: the lifetime that the computed pairs have without any model."""
    reasons = {
        "value": "separate pairs cannot be propagated", "interval": "separate pairs cannot be propagated",
        "model": "no model", "monte_carlo": NO_SAMPLING,
    }  # fmt: skip
    rate = _rate_record(COMPUTED, "plain average", plain, plain)
    return {
        "name": COMPUTED,
        "gradient": estimate(None, unit="1/ns", reasons=reasons),
        "intercept": estimate(None, unit="1", reasons=reasons),
        "lifetime": rate["lifetime"],
        "rate": rate["rate"],
        "ratio": estimate(
            1.0, 1.0, 1.0, unit="1", reasons=reasons | {"finite_trajectory": "a ratio to itself"}
        ),
        "method": "second order, averaged over the computed pairs; forecasts: dish",
        "solver": "none",
        "rule": section.rule,
        "waiting": section.waiting,
        "tau": tau,
        "tau_convention": convention,
        **number("temperature", section.temperature, "no detailed balance"),
        "n_blocks": plain.n_blocks,
        "note": f"{plain.n_samples} pairs in {plain.n_blocks} stretches of time",
    }  # fmt: skip


def _short_and_whole(
    name: str,
    hamiltonian: VibronicHamiltonian,
    found: DynamicsResult,
    tau: float,
    rates: _Rates,
    section: DynamicsSection,
    plain: PoweredMean,
    workers: int | None,
) -> list[dict[str, Any]]:
    """Return the rate of the exact solver along the whole forecast, and along its first tenth looped."""
    length = max(100, round(SHORT * hamiltonian.n_steps))
    if length >= hamiltonian.n_steps:
        return []
    timestep = hamiltonian.timestep
    short = local_rate(
        hamiltonian[: length + 1], tau, coupling_interpolation=section.coupling_interpolation, workers=workers
    )
    return [
        _rate_record(
            name, f"exact, {what}", bootstrap_rate(series, timestep, **rates.bootstrap), plain
        )
        for what, series in (
            (f"whole trajectory, {found.local_rate.size * timestep / 1000:.3g} ps", found.local_rate),
            (f"its first {length * timestep / 1000:.3g} ps looped", short),
        )
    ]  # fmt: skip

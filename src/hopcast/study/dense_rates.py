"""Rates on forecasts of a Hamiltonian that is known at every frame, beside the ab initio one and what knows no geometry."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from hopcast.core.hamiltonian import VibronicHamiltonian
from hopcast.dynamics import (
    DynamicsResult,
    Estimate,
    dephasing_function,
    dephasing_time,
    local_rate,
    ratio_of_rates,
    second_order_rate,
)
from hopcast.evaluation import interpolate_in_time, prediction_powered_mean
from hopcast.forecast.pair import PairPhysics
from hopcast.results.dynamics import CalibratedRates, DephasingRecord, RateControl, ShiftedRates, WeightedEstimate
from hopcast.results.record import EstimateRecord, estimate
from hopcast.study.rates import (
    NO_SAMPLING,
    Bootstrap,
    DynamicsNumbers,
    estimate_record,
    forecast_hamiltonian,
    hamiltonian_record,
    pairs_of_shifts,
    run_exact,
    say_turning_spins,
    seam_record,
    signed,
)
from hopcast.study.scores import quantiles
from hopcast.study.stage import Context, StageResult

if TYPE_CHECKING:
    from hopcast.study.stages.models import ModelNumbers

Array = NDArray[Any]

AB_INITIO: Final = "ab initio"
CONVENTIONS: Final = ("gaussian", "pyxaid", "libra")
NO_VARIANCE: Final = "no posterior: too many frames"


def run_dense_rates(
    context: Context, forecasts: ModelNumbers, arrays: Mapping[str, Array]
) -> StageResult[DynamicsNumbers]:
    """Run the exact solver on the ab initio Hamiltonian and on every forecast; all have its dephasing time."""
    section, reference = context.config.dynamics, context.data.hamiltonian
    conventions = {name: dephasing_time(reference, convention=name) for name in CONVENTIONS}
    tau = section.dephasing_time or conventions[section.tau_convention]
    convention = "given" if section.dephasing_time is not None else section.tau_convention
    context.progress.advance(AB_INITIO)
    # the same dephasing time as `tau`; where it comes from this trajectory, its uncertainty counts
    exact = run_exact(context, reference, section.dephasing_time)
    say_turning_spins(context, exact)
    rates = _Rates(context, arrays, tau, exact, Bootstrap(section.n_bootstrap, context.config.seed))
    own = conventions[section.tau_convention]
    records = [
        hamiltonian_record(
            AB_INITIO, reference.timestep, exact, None, None, tau=tau, own_tau=own, tau_convention=convention
        )
    ]
    kept = {"times": exact.times, f"population/{AB_INITIO}": exact.ground_population}
    for name in forecasts.names:
        context.progress.advance(name)
        gap, nac = rates.forecast(name)
        forecast = forecast_hamiltonian(context.data, gap, signed(arrays, name, nac), name)
        found = run_exact(context, forecast, tau)
        own = dephasing_time(forecast, convention=section.tau_convention)
        ratio, own_ratio = rates.ratio(found.local_rate), rates.ratio(rates.exact_rate(forecast, own))
        records.append(
            hamiltonian_record(
                name,
                reference.timestep,
                found,
                ratio,
                rates.model_part(name),
                tau=tau,
                own_tau=own,
                tau_convention=convention,
                ratio_own_tau=estimate_record(own_ratio, "1", {"monte_carlo": NO_SAMPLING}),
                calibrated=rates.calibrated(name, ratio),
                prediction_powered_ratio=rates.powered(name),
                shifted=rates.shifted(name),
            )
        )
        kept |= {f"population/{name}": found.ground_population, f"gap/{name}": gap, f"nac/{name}": nac}
    dephasing = dephasing_function(reference)
    kept |= {f"dephasing/{key}": getattr(dephasing, key) for key in ("times", "function", "correlation")}
    controls = [
        _control("plain average of the computed frames", rates.plain_average()),
        *(_control(name, ratio) for name, ratio in rates.without_model(forecasts.names)),
    ]
    numbers = DynamicsNumbers(
        hamiltonians=records,
        rate_controls=controls,
        seam=seam_record(exact),
        dephasing=DephasingRecord(
            tau=tau,
            convention=convention,
            by_convention=conventions,
            excess=None if convention == "given" else dephasing.excess,
        ),
    )
    return StageResult(numbers, kept)


@dataclass(frozen=True, eq=False)
class _Rates:
    """Readings of the rates of forecasts beside the ab initio one.

    Attributes
    ----------
    context
        Of the stage.
    arrays
        Forecasts of the models.
    tau
        Dephasing time, fs.
    exact
        Dynamics on the ab initio Hamiltonian.
    bootstrap
        Draws and seed of intervals.
    """

    context: Context
    arrays: Mapping[str, Array]
    tau: float
    exact: DynamicsResult
    bootstrap: Bootstrap

    @cached_property
    def physics(self) -> PairPhysics:
        """What is learnt of the pair."""
        pair = self.context.data.hamiltonian
        published = self.context.config.models.mode == "paper"
        return PairPhysics.of(pair, np.arange(pair.n_steps), published=published)

    @cached_property
    def truth(self) -> Array:
        """Second-order rate of the ab initio Hamiltonian at mid-points."""
        pair = self.context.data.hamiltonian
        return second_order_rate(self.physics.middle(pair.gap()), pair.coupling(), self.tau)

    def coupling(self, learnt: Array, gap: Array) -> Array:
        """Return |NAC| from what the models learn of it and gaps on the grid of the energies."""
        return self.physics.coupling(learnt, self.physics.middle(gap))

    def forecast(self, name: str) -> tuple[Array, Array]:
        """Return gap and |NAC| of a model."""
        gap = self.arrays[f"gap/{name}"]
        return gap, self.coupling(self.arrays[f"nac/{name}"], gap)

    def both(self, kind: str, name: str) -> tuple[Array, Array] | None:
        """Return arrays of both targets, where there are."""
        gap, nac = (self.arrays.get(f"{target}-{kind}/{name}") for target in ("gap", "nac"))
        return None if gap is None or nac is None else (gap, nac)

    def second_order(self, gap: Array, learnt: Array) -> Array:
        """Return the second-order rate of a forecast gap and of what the models learn of the coupling."""
        return second_order_rate(self.physics.middle(gap), self.coupling(learnt, gap), self.tau)

    def exact_rate(self, hamiltonian: VibronicHamiltonian, tau: float) -> Array:
        """Return the exact local rate of a Hamiltonian."""
        return local_rate(
            hamiltonian,
            tau,
            coupling_interpolation=self.context.config.dynamics.coupling_interpolation,
            workers=self.context.workers,
        )

    def rate_of(self, gap: Array, nac: Array, name: str) -> Array:
        """Return the exact local rate of a forecast."""
        return self.exact_rate(forecast_hamiltonian(self.context.data, gap, nac, name), self.tau)

    def ratio(self, rate: Array) -> Estimate:
        """Return the ratio of a local rate to the ab initio one."""
        timestep = self.context.data.hamiltonian.timestep
        return ratio_of_rates(rate, self.exact.local_rate, timestep, **vars(self.bootstrap))

    def lifetime(self, ratio: Estimate, reasons: dict[str, str]) -> EstimateRecord:
        """Return the lifetime whose rate is `ratio` times the ab initio one; its interval has the ab initio part too."""
        rate = ratio.times(self.exact.rate.value, "1/ns")
        shared = self.exact.rate.times(ratio.value, "1/ns").parts.get("finite_trajectory")
        if shared is not None:
            rate = rate.with_part("finite_trajectory", shared)
        return estimate_record(rate.inverse("ns"), "ns", reasons)

    def with_variance(self, name: str) -> dict[str, EstimateRecord]:
        """Return ratio and lifetime with |NAC| replaced by sqrt(mu^2 + var): <|NAC|^2> without its shrinkage."""
        std = self.arrays.get(f"nac-std/{name}")
        if std is None:
            return {
                "ratio_variance": estimate(None, unit="1", reasons={"value": NO_VARIANCE}),
                "lifetime_variance": estimate(None, unit="ns", reasons={"value": NO_VARIANCE}),
            }
        gap, nac = self.forecast(name)
        # in default mode the models learn |NAC| E / <E>: its deviation is scaled like its mean
        ratio = self.ratio(self.rate_of(gap, np.sqrt(nac**2 + self.coupling(std, gap) ** 2), name))
        reasons = {"monte_carlo": NO_SAMPLING, "model": "in the value: the posterior variance is added"}
        return {
            "ratio_variance": estimate_record(ratio, "1", reasons),
            "lifetime_variance": self.lifetime(ratio, reasons),
        }

    def calibrated(self, name: str, plain: Estimate) -> CalibratedRates:
        """Return rates with the posterior: its variance added, and of whole series drawn jointly from it, run through the exact solver."""
        by_variance = self.with_variance(name)
        n_samples, draws = self.context.config.evaluation.n_rate_samples, self.both("samples", name)
        reason = NO_VARIANCE
        if draws is not None:
            gaps, values = (one[:n_samples] for one in draws)
            if (gaps > 0).all():
                found = (
                    np.array(
                        [
                            self.rate_of(gap, np.abs(self.coupling(one, gap)), name).mean()
                            for gap, one in zip(gaps, values, strict=True)
                        ]
                    )
                    / self.exact.local_rate.mean()
                )
                spread = 1.96 * float(np.log(found).std(ddof=1))
                ratio = plain.times(float(found.mean()) / plain.value, "").with_relative_part("model", spread)
                reasons = {"monte_carlo": NO_SAMPLING}
                return CalibratedRates(
                    **by_variance,
                    ratio_samples=estimate_record(ratio, "1", reasons),
                    lifetime_samples=self.lifetime(ratio, reasons),
                    n_samples=len(found),
                )
            reason = "a posterior series closes the gap"
        return CalibratedRates(
            **by_variance,
            ratio_samples=estimate(None, unit="1", reasons={"value": reason}),
            lifetime_samples=estimate(None, unit="ns", reasons={"value": reason}),
            n_samples=0,
        )

    def powered(self, name: str) -> WeightedEstimate:
        """Return the prediction-powered rate over the ab initio one: forecasts of held-out blocks as control variate.

        The interval is about the mean along this trajectory, as the ratio is.
        """
        series = self.both("blocked", name)
        if series is None:
            return _no_powered("no forecasts of held-out blocks")
        forecast, truth = self.second_order(*series), self.truth
        sampled = np.flatnonzero(self.arrays["train/nac"])
        if len(sampled) < 2:
            return _no_powered("fewer than two computed couplings")
        scale = truth.mean()
        found = prediction_powered_mean(
            truth[sampled] / scale,
            forecast[sampled] / scale,
            forecast / scale,
            level=0.95,
            frames=sampled,
            n_bootstrap=self.bootstrap.n_draws,
            random_state=self.bootstrap.random_state,
        )
        made = estimate(
            found.value,
            found.low,
            found.high,
            unit="1",
            parts={"finite_trajectory": 0.5 * (found.high - found.low)},
            note=f"weight of the forecast {found.weight:.2f}, {found.n_blocks} independent samples",
        )
        return WeightedEstimate(**dict(made), weight=found.weight)

    def shifted(self, name: str) -> ShiftedRates:
        """Return how the rate of the model on features of other times is spread, second order, over the ab initio one.

        `rank`: how many of these twins come at least as near to 1; `z`: of the distance from 1, among theirs.
        """
        truth = self.truth.mean()
        gap, nac = self.forecast(name)
        own = float(second_order_rate(self.physics.middle(gap), nac, self.tau).mean() / truth)
        twins, shifts = self.both("twins", name), self.both("twin-shifts", name)
        found = np.zeros(0)
        if twins is not None and shifts is not None:
            found = np.array(
                [self.second_order(twins[0][i], twins[1][j]).mean() / truth for i, j in pairs_of_shifts(*shifts)]
            )
        n = len(found)
        miss, own_miss = np.abs(np.log(np.maximum(found, 1e-300))), abs(float(np.log(own)))
        low, high = quantiles(found)
        z = float((own_miss - miss.mean()) / miss.std(ddof=1)) if n > 1 and np.ptp(miss) > 0 else np.nan
        short = f"only {n} shifts fit into the trajectory"
        return ShiftedRates(
            second_order_ratio=own,
            n=n,
            median=float(np.median(found)) if n else None,
            low=low,
            high=high,
            z=z,
            rank=int((miss <= own_miss).sum()) if n else None,
            reasons=dict.fromkeys(("median", "low", "high", "z", "rank"), short),
        )

    def plain_average(self) -> Estimate:
        """Return the average of the second-order rate over the computed frames as a ratio to that over all.

        Each computed frame stands for those nearest to it, so that both averages are drawn from the same blocks.
        """
        reference = self.context.data.hamiltonian
        everything = second_order_rate(reference.gap()[: reference.n_steps], reference.coupling(), self.tau)
        computed = np.flatnonzero(self.arrays["train/nac"])
        borders = 0.5 * (computed[1:] + computed[:-1])
        nearest = computed[np.searchsorted(borders, np.arange(len(everything)))]
        return ratio_of_rates(everything[nearest], everything, reference.timestep, **vars(self.bootstrap))

    def without_model(self, names: Sequence[str]) -> Iterator[tuple[str, Estimate]]:
        """Yield rates of Hamiltonians that know no geometry: interpolated in time, or from features of another time."""
        pair, arrays = self.context.data.hamiltonian, self.arrays
        truth = {"gap": pair.gap(), "nac": np.abs(pair.coupling())}
        series: dict[str, list[Array]] = {}
        for kind, name in (("linear", "linear interpolation in time"), ("cubic", "cubic spline in time")):
            series[name] = []
            for target, values in truth.items():
                frames = np.flatnonzero(arrays[f"train/{target}"])
                everywhere = np.arange(len(values))
                series[name].append(interpolate_in_time(frames, values[frames], everywhere, kind))
        if all(f"{target}-shifted" in arrays for target in truth):
            gap = arrays["gap-shifted"]
            of_another = [gap, self.coupling(arrays["nac-shifted"], gap)]
            series[f"{names[0]} on features of another time"] = of_another
        for name, (gap, nac) in series.items():
            yield name, self.ratio(self.rate_of(gap, nac, name))

    def model_part(self, name: str) -> float | None:
        """Return the relative half-width that the posterior of gap and coupling leaves in the second-order rate."""
        draws = self.both("samples", name)
        if draws is None:
            return None
        return float(1.96 * np.log(self.second_order(*draws).mean(axis=1)).std(ddof=1))


def _no_powered(reason: str) -> WeightedEstimate:
    return WeightedEstimate(**dict(estimate(None, unit="1", reasons={"value": reason})))


def _control(name: str, ratio: Estimate) -> RateControl:
    reasons = {"monte_carlo": NO_SAMPLING, "model": "no model"}
    return RateControl(name=name, ratio=estimate_record(ratio, "1", reasons))

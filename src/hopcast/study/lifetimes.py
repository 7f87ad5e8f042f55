"""Stage `dynamics`: surface hopping on the ab initio Hamiltonian and on every forecast of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hopcast.core.errors import InputError
from hopcast.core.hamiltonian import VibronicHamiltonian
from hopcast.core.units import FS_PER_NS
from hopcast.dynamics import (
    DynamicsResult,
    Estimate,
    dephasing_function,
    dephasing_time,
    local_rate,
    ratio_of_rates,
    run_dynamics,
    second_order_rate,
)
from hopcast.dynamics.rates import block_length
from hopcast.evaluation import interpolate_in_time, prediction_powered_mean
from hopcast.report import estimate, number
from hopcast.study.config import DynamicsSection, ModelsSection
from hopcast.study.inputs import StudyData
from hopcast.study.progress import Stage
from hopcast.study.stages import StageResult

AB_INITIO = "ab initio"
PARTS = ("finite_trajectory", "model", "initial_time", "monte_carlo")
NO_SAMPLING = "the exact solver draws no random numbers"
NO_VARIANCE = "no posterior: too many frames"


def forecast_hamiltonian(
    data: StudyData, gap: NDArray[np.float64], nac: NDArray[np.float64], label: str
) -> VibronicHamiltonian:
    """Return the two-state Hamiltonian of a forecast: energies 0 and the gap, |NAC| as coupling.

    Raises
    ------
    InputError
        If the forecast closes the gap (names the time).
    """
    worst = int(gap.argmin())
    if gap[worst] <= 0:
        raise InputError(
            f"The forecast `{label}` closes the gap: {gap[worst]:.4g} eV at frame {worst}. Compute more frames ab initio."
        )
    pair = data.hamiltonian
    matrix = np.zeros((pair.n_steps, 2, 2))
    matrix[:, 0, 1], matrix[:, 1, 0] = nac, -nac
    return VibronicHamiltonian(
        energies=np.stack([np.zeros_like(gap), gap], axis=1),
        nac=matrix,
        timestep=pair.timestep,
        n_occupied=1,
        state_labels=pair.state_labels,
        energy_grid=pair.energy_grid,
        provenance={
            "source": f"forecast by {label}",
            "couplings": "|NAC|; ab initio values at the training frames",
        },
    )


def coupling_of(
    section: ModelsSection, data: StudyData, values: NDArray[Any], gap: NDArray[Any]
) -> NDArray[Any]:
    """Return |NAC| from what the models learnt: itself, or |NAC| times the gap over the mean gap."""
    if section.mode == "paper":
        return values
    pair = data.hamiltonian
    mean = float((pair.midpoint_energies[:, 1] - pair.midpoint_energies[:, 0]).mean())
    middle = gap if pair.energy_grid == "midpoint" else 0.5 * (gap[..., 1:] + gap[..., :-1])
    return values * mean / middle


def run_lifetimes(
    section: DynamicsSection,
    models: ModelsSection,
    seed: int,
    data: StudyData,
    forecasts: StageResult,
    stage: Stage,
    workers: int | None,
    n_samples: int = 20,
) -> StageResult:
    """Run the exact solver on every Hamiltonian; the dephasing time is that of the ab initio gap for all.

    Returns
    -------
    StageResult
        ``hamiltonians``, ``dephasing``, ``seam``, ``rate_controls``: records of `results.json`. Arrays
        ``population/{name}`` [n_times], ``times`` fs, ``gap/{name}``, ``nac/{name}``, and the dephasing function.
    """
    reference = data.hamiltonian
    settings: dict[str, Any] = {
        "duration": section.duration, "temperature": section.temperature, "n_times": section.n_times,
        "coupling_interpolation": section.coupling_interpolation, "rule": section.rule, "waiting": section.waiting,
        "random_state": seed, "workers": workers,
    }  # fmt: skip
    conventions = {
        name: dephasing_time(reference, convention=name) for name in ("gaussian", "pyxaid", "libra")
    }
    tau = section.dephasing_time or conventions[section.tau_convention]
    convention = "given" if section.dephasing_time is not None else section.tau_convention
    bootstrap: dict[str, Any] = {"n_draws": section.n_bootstrap, "random_state": seed}

    stage.advance(AB_INITIO)
    exact = run_dynamics(reference, method="exact", dephasing_time=tau, **settings)
    records = [
        hamiltonian_record(
            AB_INITIO,
            reference.timestep,
            exact,
            None,
            None,
            tau,
            conventions[section.tau_convention],
            convention,
            None,
        )
    ]
    arrays = {"times": exact.times, f"population/{AB_INITIO}": exact.ground_population}
    plain = _plain_average(reference, forecasts.arrays["train/nac"], tau, bootstrap)
    for name in forecasts.numbers["names"]:
        stage.advance(name)
        gap = forecasts.arrays[f"gap/{name}"]
        nac = coupling_of(models, data, forecasts.arrays[f"nac/{name}"], gap)
        forecast = forecast_hamiltonian(data, gap, nac, name)
        found = run_dynamics(forecast, method="exact", dephasing_time=tau, **settings)
        ratio = ratio_of_rates(found.local_rate, exact.local_rate, reference.timestep, **bootstrap)
        spread = _model_part(models, data, forecasts, name, tau)
        own = dephasing_time(forecast, convention=section.tau_convention)
        own_rate = local_rate(
            forecast, own, coupling_interpolation=section.coupling_interpolation, workers=workers
        )
        own_ratio = ratio_of_rates(own_rate, exact.local_rate, reference.timestep, **bootstrap)
        record = hamiltonian_record(
            name, reference.timestep, found, ratio, spread, tau, own, convention, own_ratio
        )
        context = _Context(data, models, forecasts, tau, exact, settings, bootstrap)
        record |= {
            "calibrated": _with_variance(context, name, gap, nac)
            | _from_samples(context, name, n_samples, ratio),
            "prediction_powered_ratio": _powered(context, name),
            "shifted": _shifted_rates(context, name, gap, nac),
        }
        records.append(record)
        arrays |= {f"population/{name}": found.ground_population, f"gap/{name}": gap, f"nac/{name}": nac}

    dephasing = dephasing_function(reference)
    arrays |= {
        "dephasing/times": dephasing.times, "dephasing/function": dephasing.function,
        "dephasing/correlation": dephasing.correlation,
    }  # fmt: skip
    controls = [
        _control("plain average of the computed frames", plain),
        *_without_model(data, models, forecasts, tau, exact, settings, bootstrap),
    ]
    numbers = {
        "hamiltonians": records,
        "dephasing": {"tau": tau, "convention": convention, "by_convention": conventions},
        "seam": seam_record(exact),
        "rate_controls": controls,
    }
    return StageResult(numbers, arrays)


@dataclass(frozen=True, eq=False)
class _Context:
    """What every reading of a forecast's rate needs."""

    data: StudyData
    models: ModelsSection
    forecasts: StageResult
    tau: float
    exact: DynamicsResult
    settings: dict[str, Any]
    bootstrap: dict[str, Any]

    @property
    def truth(self) -> NDArray[np.float64]:
        """Second-order rate of the ab initio Hamiltonian at mid-points."""
        pair = self.data.hamiltonian
        return second_order_rate(self.middle(pair.gap()), pair.coupling(), self.tau)

    def middle(self, gap: NDArray[Any]) -> NDArray[Any]:
        """Return the gap at mid-points."""
        at_midpoints = self.data.hamiltonian.energy_grid == "midpoint"
        return gap if at_midpoints else 0.5 * (gap[..., 1:] + gap[..., :-1])

    def second_order(self, gap: NDArray[Any], values: NDArray[Any]) -> NDArray[np.float64]:
        """Return the second-order rate of a forecast gap and of what the models learn of the coupling."""
        return second_order_rate(self.middle(gap), coupling_of(self.models, self.data, values, gap), self.tau)

    def local_rate(self, gap: NDArray[Any], nac: NDArray[Any], name: str) -> NDArray[np.float64]:
        """Return the exact local rate of a forecast."""
        return local_rate(
            forecast_hamiltonian(self.data, gap, nac, name), self.tau,
            coupling_interpolation=self.settings["coupling_interpolation"], workers=self.settings["workers"],
        )  # fmt: skip


def _lifetime_of(ratio: Estimate, exact: DynamicsResult, reasons: dict[str, str]) -> dict[str, Any]:
    """Return the lifetime whose rate is `ratio` times the ab initio one; its interval has the ab initio part too."""
    rate = ratio.times(exact.rate.value, "1/ns")
    shared = exact.rate.times(ratio.value, "1/ns").parts.get("finite_trajectory")
    if shared is not None:
        rate = rate.with_part("finite_trajectory", shared)
    return estimate_record(rate.inverse("ns"), "ns", reasons)


def _with_variance(context: _Context, name: str, gap: NDArray[Any], nac: NDArray[Any]) -> dict[str, Any]:
    """Return ratio and lifetime with |NAC| replaced by sqrt(mu^2 + var): <|NAC|^2> without its shrinkage."""
    std = context.forecasts.arrays.get(f"nac-std/{name}")
    if std is None:
        empty = estimate(None, unit="1", reasons={"value": NO_VARIANCE})
        return {"ratio_variance": empty, "lifetime_variance": {**empty, "unit": "ns"}}
    # in default mode the models learn |NAC| E / <E>: its deviation is scaled like its mean
    spread = coupling_of(context.models, context.data, std, gap)
    rates = context.local_rate(gap, np.sqrt(nac**2 + spread**2), name)
    ratio = ratio_of_rates(
        rates, context.exact.local_rate, context.data.hamiltonian.timestep, **context.bootstrap
    )
    reasons = {"monte_carlo": NO_SAMPLING, "model": "in the value: the posterior variance is added"}
    return {
        "ratio_variance": estimate_record(ratio, "1", reasons),
        "lifetime_variance": _lifetime_of(ratio, context.exact, reasons),
    }


def _from_samples(context: _Context, name: str, n_samples: int, plain: Estimate) -> dict[str, Any]:
    """Return ratio and lifetime of whole series drawn jointly from the posterior, run through the exact solver."""
    draws = [context.forecasts.arrays.get(f"{target}-samples/{name}") for target in ("gap", "nac")]
    reason = NO_VARIANCE
    if draws[0] is not None and draws[1] is not None:
        gaps, values = draws[0][:n_samples], draws[1][:n_samples]
        if (gaps > 0).all():
            exact = context.exact.local_rate
            found = np.array([
                context.local_rate(gap, np.abs(coupling_of(context.models, context.data, one, gap)), name).mean()
                for gap, one in zip(gaps, values, strict=True)
            ]) / exact.mean()  # fmt: skip
            value = float(found.mean())
            spread = 1.96 * float(np.log(found).std(ddof=1))
            ratio = plain.times(value / plain.value, "").with_relative_part("model", spread)
            reasons = {"monte_carlo": NO_SAMPLING}
            return {
                "ratio_samples": estimate_record(ratio, "1", reasons),
                "lifetime_samples": _lifetime_of(ratio, context.exact, reasons),
                "n_samples": len(found),
            }
        reason = "a posterior series closes the gap"
    empty = estimate(None, unit="1", reasons={"value": reason})
    return {"ratio_samples": empty, "lifetime_samples": {**empty, "unit": "ns"}, "n_samples": 0}


def _powered(context: _Context, name: str) -> dict[str, Any]:
    """Return the prediction-powered rate over the ab initio one: forecasts of held-out blocks as control variate.

    Blocks of the interval are as long as those of the other intervals.
    """
    series = [context.forecasts.arrays.get(f"{target}-blocked/{name}") for target in ("gap", "nac")]
    if series[0] is None or series[1] is None:
        return estimate(None, unit="1", reasons={"value": "no forecasts of held-out blocks"})
    forecast, truth = context.second_order(series[0], series[1]), context.truth
    sampled = np.flatnonzero(context.forecasts.arrays["train/nac"])
    length = block_length([truth], context.data.hamiltonian.timestep, None)
    blocks = sampled // length
    if len(np.unique(blocks)) < 2:
        return estimate(None, unit="1", reasons={"value": "the trajectory holds fewer than two blocks"})
    scale = truth.mean()
    found = prediction_powered_mean(
        truth[sampled] / scale, forecast[sampled] / scale, forecast / scale, blocks, 0.95,
        n_bootstrap=context.bootstrap["n_draws"], random_state=context.bootstrap["random_state"],
    )  # fmt: skip
    return {
        **estimate(
            found.value, found.low, found.high, unit="1", parts={"finite_trajectory": 0.5 * (found.high - found.low)},
            note=f"weight of the forecast {found.weight:.2f}, {found.n_blocks} blocks",
        ),
        "weight": found.weight,
    }  # fmt: skip


def _shifted_rates(context: _Context, name: str, gap: NDArray[Any], nac: NDArray[Any]) -> dict[str, Any]:
    """Return how the rate of the model on features of other times is spread, second order, over the ab initio one.

    `rank`: how many of these twins come at least as near to 1; `z`: of the distance from 1, among theirs.
    """
    truth = context.truth.mean()
    arrays = context.forecasts.arrays
    own = float(second_order_rate(context.middle(gap), nac, context.tau).mean() / truth)
    twins = [arrays.get(f"{target}-twins/{name}") for target in ("gap", "nac")]
    shifts = [arrays.get(f"{target}-twin-shifts/{name}") for target in ("gap", "nac")]
    found = np.zeros(0)
    if twins[0] is not None and twins[1] is not None and shifts[0] is not None and shifts[1] is not None:
        found = np.array([
            context.second_order(twins[0][i], twins[1][j]).mean() / truth
            for i, j in pairs_of_shifts(shifts[0], shifts[1])
        ])  # fmt: skip
    short = f"only {len(found)} shifts fit into the trajectory"
    miss, own_miss = np.abs(np.log(np.maximum(found, 1e-300))), abs(float(np.log(own)))
    low, high = np.quantile(found, [0.025, 0.975]) if len(found) else (np.nan, np.nan)
    z = (own_miss - miss.mean()) / miss.std(ddof=1) if len(found) > 1 and np.ptp(miss) > 0 else np.nan
    return {
        "second_order_ratio": own,
        "n": len(found),
        **number("median", float(np.median(found)) if len(found) else None, short),
        **number("low", float(low), short),
        **number("high", float(high), short),
        **number("z", float(z), short),
        **number("rank", int((miss <= own_miss).sum()) if len(found) else None, short),
    }


def pairs_of_shifts(first: NDArray[Any], second: NDArray[Any]) -> list[tuple[int, int]]:
    """Return pairs of indices of nearly equal shifts: each of the shorter list with the nearest of the other."""
    if len(first) == 0 or len(second) == 0:
        return []
    if len(first) <= len(second):
        return [(i, int(np.abs(second - shift).argmin())) for i, shift in enumerate(first)]
    return [(int(np.abs(first - shift).argmin()), j) for j, shift in enumerate(second)]


def _plain_average(
    reference: VibronicHamiltonian, train: NDArray[np.bool_], tau: float, bootstrap: dict[str, Any]
) -> Estimate:
    """Return the average of the second-order rate over the computed frames as a ratio to that over all.

    Each computed frame stands for those nearest to it, so that both averages are drawn from the same blocks.
    """
    gap = reference.gap()[: reference.n_steps]
    everything = second_order_rate(gap, reference.coupling(), tau)
    computed = np.flatnonzero(train)
    borders = 0.5 * (computed[1:] + computed[:-1])
    nearest = computed[np.searchsorted(borders, np.arange(len(everything)))]
    return ratio_of_rates(everything[nearest], everything, reference.timestep, **bootstrap)


def _without_model(
    data: StudyData,
    models: ModelsSection,
    forecasts: StageResult,
    tau: float,
    exact: DynamicsResult,
    settings: dict[str, Any],
    bootstrap: dict[str, Any],
) -> list[dict[str, Any]]:
    """Return the rates of Hamiltonians that know no geometry: interpolated in time, or from features of another time."""
    pair = data.hamiltonian
    series: dict[str, list[NDArray[np.float64]]] = {}
    truth = {"gap": pair.gap(), "nac": np.abs(pair.coupling())}
    for kind, name in (("linear", "linear interpolation in time"), ("cubic", "cubic spline in time")):
        series[name] = []
        for target, values in truth.items():
            frames = np.flatnonzero(forecasts.arrays[f"train/{target}"])
            series[name].append(interpolate_in_time(frames, values[frames], np.arange(len(values)), kind))
    if all(f"{target}-shifted" in forecasts.arrays for target in truth):
        gap = forecasts.arrays["gap-shifted"]
        nac = coupling_of(models, data, forecasts.arrays["nac-shifted"], gap)
        series[f"{forecasts.numbers['names'][0]} on features of another time"] = [gap, nac]
    controls = []
    for name, (gap, nac) in series.items():
        rates = local_rate(
            forecast_hamiltonian(data, gap, nac, name), tau,
            coupling_interpolation=settings["coupling_interpolation"], workers=settings["workers"],
        )  # fmt: skip
        controls.append(_control(name, ratio_of_rates(rates, exact.local_rate, pair.timestep, **bootstrap)))
    return controls


def _model_part(
    models: ModelsSection, data: StudyData, forecasts: StageResult, name: str, tau: float
) -> float | None:
    """Return the relative half-width that the posterior of gap and coupling leaves in the second-order rate."""
    draws = [forecasts.arrays.get(f"{target}-samples/{name}") for target in ("gap", "nac")]
    if draws[0] is None or draws[1] is None:
        return None
    gap = draws[0]
    nac = coupling_of(models, data, draws[1], gap)
    middle = gap if data.hamiltonian.energy_grid == "midpoint" else 0.5 * (gap[:, 1:] + gap[:, :-1])
    rates = second_order_rate(middle, nac, tau).mean(axis=1)
    return float(1.96 * np.log(rates).std(ddof=1))


def hamiltonian_record(
    name: str,
    timestep: float,
    found: DynamicsResult,
    ratio: Estimate | None,
    spread: float | None,
    tau: float,
    own_tau: float,
    convention: str,
    own_ratio: Estimate | None,
) -> dict[str, Any]:
    """Return the record of `results.json` of dynamics on a Hamiltonian."""
    n_blocks = int(found.local_rate.size // block_length([found.local_rate], timestep, None))

    def with_model(number: Estimate) -> Estimate:
        return number if spread is None else number.with_relative_part("model", spread)

    reasons = {"monte_carlo": NO_SAMPLING}
    if ratio is None:
        reasons["model"] = "no model: ab initio"
        shown_ratio = estimate(
            1.0, 1.0, 1.0, unit="1", reasons=reasons | {"finite_trajectory": "a ratio to itself"}
        )
    else:
        if spread is None:
            reasons["model"] = "no joint posterior draws: too many frames"
        shown_ratio = estimate_record(with_model(ratio), "1", reasons)
    record = {
        "name": name,
        "gradient": estimate_record(with_model(found.gradient), "1/ns", reasons),
        "intercept": estimate_record(found.intercept, "1", reasons),
        "lifetime": estimate_record(with_model(found.lifetime), "ns", reasons),
        "rate": estimate_record(with_model(found.rate), "1/ns", reasons),
        "ratio": shown_ratio,
        "method": "dish",
        "solver": "exact",
        "rule": found.rule,
        "waiting": found.waiting,
        "tau": tau,
        "tau_convention": convention,
        **number("temperature", found.temperature, "no detailed balance"),
        **number("own_tau", own_tau),
        "window": found.fit_window[1] / FS_PER_NS,
        "final_population": float(found.ground_population[-1]),
        "coupling_interpolation": found.coupling_interpolation,
        "substep": found.substep,
        "substeps": found.substeps,
        "n_blocks": n_blocks,
        "dominant_part": with_model(found.lifetime).dominant_part or "finite_trajectory",
        "note": found.lifetime.note,
    }
    if own_ratio is not None:
        record["ratio_own_tau"] = estimate_record(own_ratio, "1", {"monte_carlo": NO_SAMPLING})
    return record


def estimate_record(found: Estimate, unit: str, reasons: dict[str, str]) -> dict[str, Any]:
    """Return the record of `results.json` of an estimate; parts become half-widths."""
    parts = {
        name: None if part is None else 0.5 * (part.high - part.low)
        for name in PARTS
        for part in [found.parts.get(name)]
    }
    return estimate(
        found.value, found.low, found.high, unit=unit, parts=parts, reasons=reasons, note=found.note
    )


def _control(name: str, ratio: Estimate) -> dict[str, Any]:
    return {
        "name": name,
        "ratio": estimate_record(ratio, "1", {"monte_carlo": NO_SAMPLING, "model": "no model"}),
    }


def seam_record(found: DynamicsResult) -> dict[str, Any]:
    """Return the record of `results.json` of the jump where the loop closes; empty without a loop."""
    if found.seam is None:
        return {}
    return {
        "gap_jump": abs(found.seam.energy_jump),
        "usual_step": found.seam.usual_step,
        "rate_coherent": found.seam.rate_kept,
        "rate_reset": found.seam.rate_zeroed,
    }

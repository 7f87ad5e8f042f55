"""Stage `curves`: scores against the training stride and the number of frames, beside what a calendar scores."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hopcast.core.errors import ConfigError, InputError
from hopcast.dynamics import dephasing_time, second_order_rate
from hopcast.evaluation import BlockedSplit, Evaluation, InterleavedSplit, evaluate_model, interpolate_in_time
from hopcast.report import number
from hopcast.study.config import StudyConfig
from hopcast.study.forecasts import ModelSpec, Target, blocked_split, learner, model_specs, targets
from hopcast.study.inputs import StudyData
from hopcast.study.lifetimes import coupling_of, pairs_of_shifts
from hopcast.study.progress import Stage
from hopcast.study.stages import StageResult

Array = NDArray[Any]

LONGEST_STRIDE = 1000.0
"""fs; METHODS asks for one frame to 1 ps."""
FEWEST_FRAMES = 20
"""Points with fewer training frames are left out."""
FEWEST_BLOCKS = 3
"""Points of the blocked split with fewer blocks a correlation time long are left out."""
MOST_WORK = 4e8
"""Forecast frames times training frames times features beyond which a point is left out."""
MOST_FRAMES = 5000
"""The curves of longer trajectories are those of their first frames."""
N_STRIDES = {"full": 12, "quick": 6}
FRACTIONS = {"full": (0.125, 0.25, 0.375, 0.5, 0.75, 1.0), "quick": (0.25, 0.5, 1.0)}
RATE_SHIFTS = 20


def strides_in_frames(config: StudyConfig, timestep: float) -> list[int]:
    """Return the strides of the learning curve: given, or from one frame to 1 ps in even ratios; the study's included."""
    if config.evaluation.strides is not None:
        chosen = [max(1, round(stride / timestep)) for stride in config.evaluation.strides]
    else:
        most = max(1.0, LONGEST_STRIDE / timestep)
        ladder = np.geomspace(1.0, most, N_STRIDES[config.evaluation.profile])
        chosen = [int(stride) for stride in np.round(ladder)]
    return sorted({*chosen, max(1, round(config.models.stride / timestep))})


def n_points(config: StudyConfig, timestep: float) -> int:
    """Return how many combinations of stride and length the curves have."""
    return len(strides_in_frames(config, timestep)) + len(FRACTIONS[config.evaluation.profile])


def run_curves(
    config: StudyConfig,
    data: StudyData,
    G: Array,
    best: dict[tuple[str, str], int],
    stage: Stage,
    workers: int | None,
) -> StageResult:
    """Score the models of all functions (profile ``quick``: the first only) along both axes and both splits.

    Returns
    -------
    StageResult
        ``learning_curves``: points, and those left out, as in `results.json`.
    """
    specs = [
        spec
        for spec in model_specs(config.models, data.trajectory.elements, G.shape[2], best)
        if not spec.functions
    ]
    specs = specs[:1] if config.evaluation.profile == "quick" else specs
    timestep = data.trajectory.timestep
    convention = config.dynamics.tau_convention
    tau = config.dynamics.dephasing_time or dephasing_time(data.hamiltonian, convention=convention)
    wanted = targets(config.models, data, G)
    points: list[dict[str, Any]] = []
    left_out: list[dict[str, Any]] = []
    whole = min(MOST_FRAMES, *(len(target.times) for target in wanted))
    usual = max(1, round(config.models.stride / timestep))
    plan = [("stride", stride, whole) for stride in strides_in_frames(config, timestep)]
    plan += [("frames", usual, int(whole * part)) for part in FRACTIONS[config.evaluation.profile]]
    for axis, stride, n_frames in plan:
        stage.advance(f"stride {stride * timestep:g} fs, {n_frames} frames")
        for split in ("interleaved", "blocked"):
            for spec in specs:
                _point(
                    config, data, wanted, spec, axis, stride, n_frames, split, tau, points, left_out, workers
                )
    return StageResult({"learning_curves": {"points": points, "left_out": left_out}})


def _point(
    config: StudyConfig,
    data: StudyData,
    wanted: list[Target],
    spec: ModelSpec,
    axis: str,
    stride: int,
    n_frames: int,
    split: str,
    tau: float,
    points: list[dict[str, Any]],
    left_out: list[dict[str, Any]],
    workers: int | None,
) -> None:
    """Add the points of one model, stride, length and split: gap, coupling, and the rate of both."""
    timestep = data.trajectory.timestep
    common = {
        "axis": axis, "split": split, "model": spec.name,
        "stride": {"fs": stride * timestep, "frames": stride}, "n_frames": n_frames,
    }  # fmt: skip
    found: dict[str, Evaluation] = {}
    note = ""
    for target in wanted:
        n = n_frames + (len(target.times) - min(len(other.times) for other in wanted))
        reason = ""
        chosen: InterleavedSplit | BlockedSplit | None = None
        if split == "interleaved":
            n_train = math.ceil(n / stride)
            if stride < 2:
                reason = "every frame trains: none is left to test"
            else:
                chosen = InterleavedSplit(stride * timestep, timestep)
        else:
            n_blocks = min(config.models.n_blocks, math.floor(n * timestep / target.memory))
            n_train = 0
            if n_blocks < FEWEST_BLOCKS:
                reason = (
                    f"{n * timestep:.4g} fs hold {n_blocks} blocks of a correlation time ({target.memory:.4g} fs); "
                    f"{FEWEST_BLOCKS} are needed"
                )
            else:
                try:
                    chosen, note = blocked_split(
                        config.models, timestep, n, target.memory, stride * timestep, n_blocks
                    )
                except (InputError, ConfigError) as error:  # a purge of the user's own leaves too little here
                    note = str(error)
                if chosen is None:
                    reason = note
                else:
                    n_train = min(len(train) for train, _ in chosen.split(np.empty((n, 1))))
        if not reason and n_train < FEWEST_FRAMES:
            reason = f"{n_train} training frames; {FEWEST_FRAMES} are needed"
        n_features = len(
            spec.columns(
                data.trajectory.symbols, target.n_columns // len(data.trajectory.symbols), target.name
            )
        )
        if not reason and n_train * n * n_features > MOST_WORK:
            reason = f"{n_train} training frames for {n} are more than this profile forecasts"
        if reason:
            left_out.append({**common, "target": target.name, "reason": reason})
            continue
        X = spec.select(data.trajectory.symbols, target)[:n]
        model = learner(config.models, target.memory, stride * timestep, n_train, workers)
        try:
            evaluation = evaluate_model(
                model, X, target.values[:n], chosen, timestep, min_shift=target.memory,  # type: ignore[arg-type]
                n_shifts=min(config.models.n_shifts, RATE_SHIFTS), random_state=config.seed, workers=workers,
            )  # fmt: skip
        except (InputError, ConfigError) as error:
            left_out.append({**common, "target": target.name, "reason": str(error)})
            continue
        found[target.name] = evaluation
        points.append({**common, "target": target.name, **_scores(evaluation), "note": note})
    if len(found) == len(wanted):
        points.append({**common, "target": "rate", **_rates(config, data, wanted, found, tau), "note": note})


def _scores(found: Evaluation) -> dict[str, Any]:
    short = f"{len(found.shifts)} shifts fit into the trajectory"
    low, high = np.quantile(found.shifted, [0.025, 0.975]) if len(found.shifts) else (math.nan, math.nan)
    return {
        "n_train": round(float(np.mean([len(train) for train in found.training_frames]))),
        **number("value", found.model.r2),
        **number("mean", found.mean.r2),
        **number("linear", found.linear.r2),
        **number("cubic", found.cubic.r2),
        **number("shifted", found.shifted_median, short),
        **number("shifted_low", float(low), short),
        **number("shifted_high", float(high), short),
        "n_shifts": len(found.shifts),
    }


def _rates(
    config: StudyConfig, data: StudyData, wanted: list[Target], found: dict[str, Evaluation], tau: float
) -> dict[str, Any]:
    """Return second-order rates over the ab initio one of the same stretch; what was computed stays as it is."""
    gap, nac = (target for target in wanted)
    n = {target.name: len(found[target.name].predictions) for target in wanted}
    truth = mean_rate(config, data, gap.values[: n["gap"]], nac.values[: n["nac"]], tau)
    blocked = len(found["gap"].training_frames) > 1

    def kept(target: Target, series: Array) -> Array:
        evaluation = found[target.name]
        out = np.where(np.isfinite(series), series, target.values[: len(series)])
        if not blocked:
            train = evaluation.training_frames[0]
            out[train] = target.values[train]
        return out

    def ratio(first: Array, second: Array) -> float:
        return mean_rate(config, data, kept(gap, first), kept(nac, second), tau) / truth

    shifted = [
        ratio(found["gap"].shifted_predictions[i], found["nac"].shifted_predictions[j])
        for i, j in pairs_of_shifts(found["gap"].shifts, found["nac"].shifts)
    ]
    interpolated = {}
    for kind in ("linear", "cubic"):
        if blocked:
            interpolated[kind] = math.nan
            continue
        series = [
            interpolate_in_time(train, target.values[train], np.arange(n[target.name]), kind)
            for target in wanted
            for train in [found[target.name].training_frames[0]]
        ]
        interpolated[kind] = ratio(*series)
    train = found["nac"].training_frames[0]
    plain = math.nan
    if not blocked:
        plain = float(
            _local(config, data, gap.values[: n["gap"]], nac.values[: n["nac"]], tau)[train].mean() / truth
        )
    short = "no shift fits into the trajectory"
    why = "an interpolation across held-out blocks is no forecast of a rate"
    low, high = np.quantile(shifted, [0.025, 0.975]) if shifted else (math.nan, math.nan)
    return {
        "n_train": round(float(np.mean([len(one) for one in found["nac"].training_frames]))),
        **number("value", ratio(found["gap"].predictions, found["nac"].predictions)),
        **number("linear", interpolated["linear"], why),
        **number("cubic", interpolated["cubic"], why),
        **number("plain", plain, "the blocks have training frames of their own"),
        **number("shifted", float(np.median(shifted)) if shifted else math.nan, short),
        **number("shifted_low", float(low), short),
        **number("shifted_high", float(high), short),
        "n_shifts": len(shifted),
    }  # fmt: skip


def _local(config: StudyConfig, data: StudyData, gap: Array, values: Array, tau: float) -> Array:
    middle = gap if data.hamiltonian.energy_grid == "midpoint" else 0.5 * (gap[..., 1:] + gap[..., :-1])
    nac = coupling_of(config.models, data, values, gap)
    n = min(middle.shape[-1], nac.shape[-1])
    return second_order_rate(middle[..., :n], nac[..., :n], tau)


def mean_rate(config: StudyConfig, data: StudyData, gap: Array, values: Array, tau: float) -> float:
    """Return the mean second-order rate of a series of gaps and of what the models learn of the coupling, 1/fs."""
    return float(_local(config, data, gap, values, tau).mean())

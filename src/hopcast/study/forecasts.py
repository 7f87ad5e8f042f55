"""Stage `models`: each element set forecasts the gap and the coupling; every score stands beside its controls."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from hopcast.core.errors import ConfigError, InputError
from hopcast.descriptors import element_columns, flatten
from hopcast.evaluation import (
    BlockedSplit,
    Calibration,
    Evaluation,
    InterleavedSplit,
    Score,
    TrajectorySplit,
    calibrate,
    evaluate_model,
)
from hopcast.evaluation.calibration import leave_one_out_scale
from hopcast.evaluation.evaluate import Splitter
from hopcast.information import correlation_time
from hopcast.regression import LaplacianRidge
from hopcast.report import number
from hopcast.study.config import ModelsSection
from hopcast.study.inputs import StudyData
from hopcast.study.progress import Stage
from hopcast.study.stages import StageResult

Array = NDArray[Any]

MAX_JOINT_FRAMES = 4000
"""Joint posterior draws need the square of the frames in memory: beyond this the model's part is left out."""

MOST_VARIANCE_WORK = 2e11
"""Frames times training frames squared beyond which posterior variances are left out (about a minute a model)."""

MOST_SHIFTED_VALUES = 400_000
"""Values of forecasts on shifted features that a model keeps for the rates' control."""

TOO_MANY = "too many training frames for posterior variances"


@dataclass(frozen=True)
class ModelSpec:
    """Which features a model sees.

    Attributes
    ----------
    name
        "Pb-18": the environment of one element, 18 functions an atom.
    elements
        Elements whose atoms' features enter.
    features
        Functions an atom.
    functions
        The one function of each element, by target; empty where all functions enter.
    """

    name: str
    elements: tuple[str, ...]
    features: int
    functions: dict[str, tuple[int, ...]]

    def columns(self, symbols: tuple[str, ...], n_functions: int, target: str) -> NDArray[np.int64]:
        """Return the columns of the flattened features that the model sees for a target."""
        parts = []
        for index, element in enumerate(self.elements):
            function = self.functions[target][index] if self.functions else None
            parts.append(element_columns(symbols, element, n_functions, function=function))
        return np.sort(np.concatenate(parts))

    def select(self, symbols: tuple[str, ...], target: Target) -> Array:
        """Return the features of a target that the model sees, [n, n_features]."""
        return self.columns_of(symbols, target.name, target.features, target.n_columns)

    def columns_of(self, symbols: tuple[str, ...], target: str, features: Array, n_columns: int) -> Array:
        """Return what the model sees of features whose first `n_columns` columns are positions, [n, n_features]."""
        chosen = self.columns(symbols, n_columns // len(symbols), target)
        if features.shape[1] > n_columns:  # velocities follow positions
            chosen = np.concatenate([chosen, chosen + n_columns])
        return np.ascontiguousarray(features[:, chosen])


@dataclass(frozen=True, eq=False)
class Target:
    """What is forecast.

    Attributes
    ----------
    name
        "gap" or "nac".
    times
        Where it lives, fs.
    values
        What the models learn, eV.
    truth
        The ab initio series itself, eV.
    features
        Flattened features at those times [n, n_columns].
    memory
        Correlation time of the values, fs.
    n_columns
        Columns of positions among the features; time derivatives follow them in `default` mode.
    """

    name: str
    times: Array
    values: Array
    truth: Array
    features: Array
    memory: float
    n_columns: int


def model_specs(
    section: ModelsSection, elements: tuple[str, ...], n_functions: int, best: dict[tuple[str, str], int]
) -> list[ModelSpec]:
    """Return the models of the study: {all, each element} x {all functions, the best one}.

    Parameters
    ----------
    section
        Settings.
    elements
        Of the material.
    n_functions
        Functions an atom.
    best
        Function of each (element, target) with the largest mutual information.

    Raises
    ------
    InputError
        If an element asked for is not in the material.
    """
    single = elements if section.elements is None else tuple(section.elements)
    for element in single:
        if element not in elements:
            raise InputError(
                f"Key `models.elements` names {element}, but the elements of the trajectory are {', '.join(elements)}."
            )
    sets: list[tuple[str, tuple[str, ...]]] = [(element, (element,)) for element in single]
    if len(elements) > 1:
        sets.insert(0, ("all", elements))
    specs = [ModelSpec(f"{label}-{n_functions}", members, n_functions, {}) for label, members in sets]
    if n_functions > 1:
        for label, members in sets:
            functions = {
                target: tuple(best[element, target] for element in members) for target in ("gap", "nac")
            }
            specs.append(ModelSpec(f"{label}-1", members, 1, functions))
    return specs


def targets(section: ModelsSection, data: StudyData, G: Array) -> list[Target]:
    """Return the gap and the coupling with the features they are learnt from.

    In `paper` mode the coupling is |NAC|, from the features of the frame before the mid-point. In `default` mode it
    is |NAC| times the gap over the mean gap (no 1/gap to learn), from the mid-point average and the difference
    quotient of the features: a coupling is linear in the velocities.
    """
    pair, timestep = data.hamiltonian, data.trajectory.timestep
    flat = flatten(G)
    midpoint = (np.arange(pair.n_steps) + 0.5) * timestep
    gap = pair.gap()
    if pair.energy_grid == "frame":
        gap_times, gap_features = np.arange(pair.n_frames) * timestep, flat
    else:
        gap_times, gap_features = midpoint, 0.5 * (flat[1:] + flat[:-1])
    truth = np.abs(pair.coupling())
    if section.mode == "paper":
        values, nac_features = truth, flat[:-1]
    else:
        middle = pair.midpoint_energies[:, 1] - pair.midpoint_energies[:, 0]
        values = truth * middle / middle.mean()
        nac_features = np.concatenate(
            [0.5 * (flat[1:] + flat[:-1]), np.diff(flat, axis=0) / timestep], axis=1
        )
    return [
        Target("gap", gap_times, gap, gap, gap_features, _memory(gap, timestep), flat.shape[1]),
        Target("nac", midpoint, values, truth, nac_features, _memory(values, timestep), flat.shape[1]),
    ]


def _memory(values: Array, timestep: float) -> float:
    if np.ptp(values) == 0:
        raise InputError(
            f"The target must vary along the trajectory, but is {values[0]:.4g} eV at all {len(values)} times."
        )
    return max(float(correlation_time(values, timestep)), timestep)


def learner(
    section: ModelsSection, memory: float, stride: float, n_train: int, workers: int | None
) -> LaplacianRidge:
    """Return the unfitted model of a mode.

    Blocks of the hyperparameter search are longer than the correlation time, but at least four fit into the smallest
    training set (`n_train` frames): a short trajectory chooses from blocks that know each other.
    """
    if section.mode == "paper":
        return LaplacianRidge.paper(workers=workers)
    return LaplacianRidge(block_length=max(1, min(math.ceil(memory / stride), n_train // 4)), workers=workers)


def smallest_training_set(splits: Iterable[Splitter | None], n: int) -> int:
    """Return the least number of training frames among the folds of some splits of `n` frames."""
    frames = np.empty((n, 1))
    return min(len(train) for split in splits if split is not None for train, _ in split.split(frames))


def run_models(
    section: ModelsSection,
    seed: int,
    data: StudyData,
    G: Array,
    best: dict[tuple[str, str], int],
    stage: Stage,
    workers: int | None,
    G_others: Sequence[Array] = (),
) -> StageResult:
    """Fit, forecast and score every model; with several trajectories, on each of them held out as well.

    Returns
    -------
    StageResult
        ``models``: records of `results.json`; ``names``: of the models. Arrays: ``{target}/{name}`` the
        forecast at every time with the ab initio values at the training times, ``{target}-samples/{name}`` joint
        posterior draws, ``{target}-std/{name}`` scaled posterior deviations, ``{target}-blocked/{name}`` the forecast of
        each block by the fold that held it out, ``{target}-twins/{name}`` and ``{target}-twin-shifts/{name}`` the
        model on features of other times, ``{target}-shifted`` the first model on features of another time,
        ``train/{target}`` which times trained.
    """
    symbols, n_functions = data.trajectory.symbols, G.shape[2]
    specs = model_specs(section, data.trajectory.elements, n_functions, best)
    interleaved = InterleavedSplit(section.stride, data.trajectory.timestep)
    records: list[dict[str, Any]] = []
    arrays: dict[str, NDArray[Any]] = {}
    elsewhere = [targets(section, other, g) for other, g in zip(data.others, G_others, strict=True)]
    for which, target in enumerate(targets(section, data, G)):
        blocked, note = blocked_split(
            section,
            data.trajectory.timestep,
            len(target.times),
            target.memory,
            section.stride,
            section.n_blocks,
        )
        n_train = smallest_training_set((interleaved, blocked), len(target.times))
        for spec in specs:
            stage.advance(f"{spec.name}, {target.name}")
            X = spec.select(symbols, target)
            model = learner(section, target.memory, interleaved.stride, n_train, workers)
            common = {
                "name": spec.name,
                "elements": list(spec.elements),
                "features": spec.features,
                "target": target.name,
                "n_features": int(X.shape[1]),
                "stride": {
                    "fs": interleaved.stride,
                    "frames": interleaved.stride_frames,
                    "requested_fs": section.stride,
                },
            }
            settings: dict[str, Any] = {
                "min_shift": target.memory, "n_shifts": section.n_shifts, "random_state": seed, "workers": workers,
            }  # fmt: skip
            found = evaluate_model(model, X, target.values, interleaved, data.trajectory.timestep, **settings)
            records.append(model_record(common, "interleaved", found, model, ""))
            forecast, scale = _forecast(target, spec.name, found, model, X, section.n_samples, seed)
            arrays |= forecast
            records[-1] |= number("variance_scale", scale, TOO_MANY)
            arrays |= _shifted(target, spec.name, found)
            if spec is specs[0] and len(found.shifts):
                arrays |= _of_another_time(target, found)
            if blocked is None:
                records.append(_missing(common, "blocked", note))
            else:
                found = evaluate_model(model, X, target.values, blocked, data.trajectory.timestep, **settings)
                records.append(model_record(common, "blocked", found, model, note))
                arrays[f"{target.name}-blocked/{spec.name}"] = found.predictions
                if affordable(len(X), max(len(train) for train in found.training_frames)):
                    calibration = calibrate(
                        model,
                        X,
                        target.values,
                        blocked,
                        data.trajectory.timestep,
                        correlation_time=target.memory,
                    )
                    records[-1]["calibration"] = calibration_record(calibration)
            if elsewhere and section.trajectory_split is not False:
                family = [target, *(one[which] for one in elsewhere)]
                found = evaluate_model(
                    model, np.concatenate([spec.select(symbols, one) for one in family]),
                    np.concatenate([one.values for one in family]), TrajectorySplit(interleaved.stride_frames),
                    data.trajectory.timestep, groups=np.repeat(np.arange(len(family)), [len(one.values) for one in family]),
                    **settings | {"min_shift": max(one.memory for one in family)},
                )  # fmt: skip
                records.append(
                    model_record(common, "trajectory", found, model, f"{len(family)} trajectories")
                )
    return StageResult({"models": records, "names": [spec.name for spec in specs]}, arrays)


def affordable(n_frames: int, n_train: int) -> bool:
    """Whether posterior variances at all frames are worth their cost, n_frames times n_train squared."""
    return float(n_frames) * float(n_train) ** 2 <= MOST_VARIANCE_WORK


def _forecast(
    target: Target, name: str, found: Evaluation, model: LaplacianRidge, X: Array, n_samples: int, seed: int
) -> tuple[dict[str, NDArray[Any]], float | None]:
    """Return the forecast with what was computed ab initio left as it is, its error bars, and draws from the posterior.

    The posterior variance is multiplied by its leave-one-out scale (`leave_one_out_scale`), which is returned too.
    """
    train = np.zeros(len(target.times), dtype=bool)
    train[found.training_frames[0]] = True
    forecast = np.where(train, target.values, found.predictions)
    arrays: dict[str, NDArray[Any]] = {f"{target.name}/{name}": forecast, f"train/{target.name}": train}
    if not affordable(len(X), int(train.sum())):
        return arrays, None
    fitted = model.fit(X[train], target.values[train])
    scale = leave_one_out_scale(fitted)
    mean, std = fitted.predict(X, return_std=True)
    arrays[f"{target.name}-std/{name}"] = np.where(train, 0.0, math.sqrt(scale) * std)
    if len(X) <= MAX_JOINT_FRAMES:
        samples = fitted.sample(X, n_samples, random_state=seed)
        samples = mean + math.sqrt(scale) * (samples - mean)
        samples[:, train] = target.values[train]
        arrays[f"{target.name}-samples/{name}"] = samples
    return arrays, scale


def _shifted(target: Target, name: str, found: Evaluation) -> dict[str, NDArray[Any]]:
    """Return forecasts from features of other times (as many as memory allows) and their shifts, for rates."""
    n_kept = min(len(found.shifts), max(3, MOST_SHIFTED_VALUES // len(target.times)))
    if n_kept == 0:
        return {}
    kept = np.linspace(0, len(found.shifts) - 1, n_kept).round().astype(int)
    forecasts = found.shifted_predictions[kept].copy()
    train = found.training_frames[0]
    forecasts[:, train] = target.values[train]
    return {f"{target.name}-twins/{name}": forecasts, f"{target.name}-twin-shifts/{name}": found.shifts[kept]}


def _of_another_time(target: Target, found: Evaluation) -> dict[str, NDArray[Any]]:
    """Return the forecast of the model fed features of about half the trajectory later: the control for rates."""
    distance = np.abs(found.shifts - len(target.times) / 2)
    forecast = found.shifted_predictions[int(distance.argmin())].copy()
    train = found.training_frames[0]
    forecast[train] = target.values[train]
    return {f"{target.name}-shifted": forecast}


def blocked_split(
    section: ModelsSection, timestep: float, n: int, memory: float, stride: float, n_blocks: int
) -> tuple[BlockedSplit | None, str]:
    """Return the blocked split of a series of `n` values and what a reader must know of it.

    The purge is twice the correlation time. Where that leaves a fold without training frames, the longest purge
    that keeps a quarter of the series for training is used and said so: the score then leans towards the model.
    """
    wanted = 2.0 * memory if section.purge is None else section.purge
    block = math.ceil(n / n_blocks)
    longest = max(0, math.floor((n - block - n / 4) / 2)) * timestep
    if section.purge is not None or wanted <= longest:
        split, note = BlockedSplit(n_blocks, timestep, wanted, train_stride_fs=stride), ""
    else:
        needed = (2 * wanted / timestep + block) * 4 / 3 * timestep / 1000
        split = BlockedSplit(n_blocks, timestep, longest, train_stride_fs=stride)
        note = (
            f"inconclusive: the purge should be {wanted:.0f} fs on both sides (2 correlation times) but is {longest:.0f} fs, "
            f"the longest that leaves a quarter of the series for training; {needed:.1f} ps would be enough"
        )
    try:
        for train, _ in split.split(np.empty((n, 1))):
            if len(train) < 2:
                raise InputError("fewer than 2 training frames")
    except (InputError, ConfigError) as error:
        if section.purge is not None:
            raise
        return None, str(error)
    return split, note


def _without_workers(model: Any) -> Any:
    """Return the learner as it would be anywhere: threads change no result."""
    plain = clone(model)
    return plain.set_params(workers=None) if "workers" in plain.get_params(deep=False) else plain


def model_record(
    common: dict[str, Any], split: str, found: Evaluation, model: LaplacianRidge, note: str
) -> dict[str, Any]:
    """Return the record of `results.json` of a model on a split."""
    shifted = found.shifted
    short = (
        f"only {len(shifted)} shifts fit into the trajectory"
        if found.n_shifts_wanted
        else "not shifted: the control stands beside the interleaved score"
    )
    low, high = np.quantile(shifted, [0.025, 0.975]) if len(shifted) else (math.nan, math.nan)
    mae, rmse = (_median([getattr(one, key) for one in found.shifted_scores]) for key in ("mae", "rmse"))
    return {
        **common,
        "split": split,
        **_score(found.model),
        "baselines": {
            "mean": _score(found.mean),
            "linear": _score(found.linear),
            "cubic": _score(found.cubic),
            "shifted": {
                **number("r2", found.shifted_median, short),
                **number("mae", mae, short),
                **number("rmse", rmse, short),
                "n": len(shifted),
                **number("median", found.shifted_median, short),
                **number("low", float(low), short),
                **number("high", float(high), short),
                **number("z", found.z, short),
                **number("rank", found.rank - 1 if len(shifted) else None, short),
            },
        },
        "n_train": round(float(np.mean([len(train) for train in found.training_frames]))),
        "n_test": len(found.test_frames),
        "estimator": repr(_without_workers(model)),
        "note": "; ".join(part for part in (note, *found.notes) if part),
    }


def calibration_record(found: Calibration) -> dict[str, Any]:
    """Return the record of `results.json` of a calibration; its verdict is made there."""
    return {
        "levels": found.levels.tolist(),
        "coverage": found.coverage.tolist(),
        "recalibrated": found.recalibrated.tolist(),
        "factors": found.factors.tolist(),
        "variance_scale": found.variance_scale,
        "n_test": found.n_test,
        "n_effective": found.n_effective,
        "low": found.low,
        "high": found.high,
        "raw_low": found.raw_low,
        "raw_high": found.raw_high,
    }


def _median(values: list[float]) -> float:
    return float(np.median(values)) if values else math.nan


def _missing(common: dict[str, Any], split: str, reason: str) -> dict[str, Any]:
    def empty(*keys: str) -> dict[str, Any]:
        return {key: value for name in keys for key, value in number(name, None, reason).items()}

    none = empty("r2", "mae", "rmse")
    shifted = {**none, "n": 0, **empty("median", "low", "high", "z", "rank")}
    baselines = {"mean": none, "linear": none, "cubic": none, "shifted": shifted}
    return {**common, "split": split, **none, "baselines": baselines, "note": reason}


def _score(score: Score) -> dict[str, Any]:
    return {**number("r2", score.r2), **number("mae", score.mae), **number("rmse", score.rmse)}

"""Stage `models` of a sparse study: forecasts learnt from computed pairs, scored on pairs they never saw."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from hopcast.descriptors import SymmetryFunctions
from hopcast.evaluation import CalendarSplit, NeighbourSplit, calibrate, evaluate_model
from hopcast.evaluation.calibration import leave_one_out_scale
from hopcast.regression import LaplacianRidge
from hopcast.report import CHOSEN, number
from hopcast.study.choice import Choices
from hopcast.study.config import StudyConfig
from hopcast.study.forecasts import (
    TOO_MANY,
    ModelSpec,
    Target,
    affordable,
    calibration_record,
    learner,
    model_record,
    model_specs,
    smallest_training_set,
)
from hopcast.study.inputs import StudyData
from hopcast.study.progress import Stage
from hopcast.study.sparse import (
    FeatureChunk,
    calendar_of,
    feature_chunks,
    sample_targets,
    samples_in,
    stretches_of,
)
from hopcast.study.stages import StageResult

Array = NDArray[np.float64]

Columns = Callable[[FeatureChunk], Array]
"""What a model sees of a chunk of the trajectory."""


@dataclass(frozen=True, eq=False)
class _Fitted:
    """A model of all pairs, and one for each stretch of time that knows nothing of it.

    `columns` gives what the models see of a chunk; those of a stretch may be of another kind than the whole's.
    """

    name: str
    target: Target
    whole: Any
    columns: Columns
    stretches: Mapping[int, tuple[Any, Columns]]
    scale: float | None


def run_sample_models(
    config: StudyConfig,
    seed: int,
    data: StudyData,
    features: StageResult,
    best: dict[tuple[str, str], int],
    stage: Stage,
    workers: int | None,
) -> StageResult:
    """Score every model on pairs it never saw, and forecast the whole trajectory with it.

    Interleaved: every n-th pair is held out while its neighbours train; blocked: whole stretches of time are.

    Returns
    -------
    StageResult
        ``models``, ``candidates``: records of `results.json`; ``names``; ``block``, ``purge``: fs. Arrays ``gap/{name}`` on the grid of the
        energies and ``nac/{name}`` on mid-points: the forecast, with ab initio values where they are known;
        ``{target}-std/{name}`` scaled posterior deviations; ``{target}-blocked/{name}``: every stretch by the model that
        saw nothing of it, at the computed pairs too.
    """
    samples, symbols = samples_in(data), data.trajectory.symbols
    wanted = sample_targets(config.models.mode, data, features)
    specs = model_specs(config.models, data.trajectory.elements, features.arrays["G"].shape[2], best)
    neighbours = NeighbourSplit(min(config.samples.n_folds, len(samples) // 2))
    calendar = calendar_of(config, data, max(target.memory for target in wanted))
    n_train = smallest_training_set((neighbours, calendar), len(samples))
    records: list[dict[str, Any]] = []
    fitted: list[_Fitted] = []
    stride = {"fs": samples.spacing, "frames": round(samples.spacing / data.trajectory.timestep)}
    for target in wanted:
        for spec in specs:
            stage.advance(f"{spec.name}, {target.name}")
            X = spec.select(symbols, target)
            model = learner(config.models, target.memory, samples.spacing, n_train, workers)
            common = {
                "name": spec.name, "elements": list(spec.elements), "features": spec.features,
                "target": target.name, "n_features": int(X.shape[1]), "stride": stride,
            }  # fmt: skip
            for name, split in (("interleaved", neighbours), ("blocked", calendar)):
                found = evaluate_model(
                    model, X, target.values, split, samples.spacing, times=target.times, min_shift=target.memory,
                    n_shifts=config.models.n_shifts, random_state=seed, workers=workers,
                )  # fmt: skip
                records.append(model_record(common, name, found, model, ""))
            enough = affordable(data.trajectory.n_frames, len(samples))
            if enough:
                records[-1]["calibration"] = calibration_record(
                    calibrate(
                        model, X, target.values, calendar, samples.spacing, correlation_time=target.memory
                    )
                )
            fitted.append(_fit(spec, target, X, model, calendar, data, enough=enough))
            records[-2] |= number("variance_scale", fitted[-1].scale, TOO_MANY)
    functions = SymmetryFunctions.from_dict(features.numbers["functions"])
    candidates: list[dict[str, Any]] = []
    if config.samples.candidates:
        choices = Choices(data, functions, calendar, neighbours, workers)
        for target in wanted:
            stage.advance(f"{CHOSEN}, {target.name}")
            chosen = choices.choose(target, stride, config.models.n_shifts, seed)
            candidates += chosen.table
            records += chosen.records
            fitted.append(
                _Fitted(CHOSEN, target, chosen.whole, chosen.columns, chosen.stretches, chosen.scale)
            )
    stage.advance("the whole trajectory")
    arrays = _along(config, data, functions, fitted, calendar, workers)
    numbers = {
        "models": records,
        "names": list(dict.fromkeys(one.name for one in fitted)),
        "candidates": candidates,
        "block": calendar.block_fs,
        "purge": calendar.purge_fs,
        "memory": {target.name: target.memory for target in wanted},
    }
    return StageResult(numbers, arrays)


def _fit(
    spec: ModelSpec,
    target: Target,
    X: Array,
    model: LaplacianRidge,
    calendar: CalendarSplit,
    data: StudyData,
    *,
    enough: bool,
) -> _Fitted:
    whole = clone(model).fit(X, target.values)

    def columns(chunk: FeatureChunk) -> Array:
        inputs = chunk.gap if target.name == "gap" else chunk.nac
        return spec.columns_of(data.trajectory.symbols, target.name, inputs, target.n_columns)

    stretches = {}
    for stretch in stretches_of(data, calendar):
        train = calendar.training(stretch)
        stretches[stretch] = (clone(model).fit(X[train], target.values[train]), columns)
    scale = leave_one_out_scale(whole) if enough else None
    return _Fitted(spec.name, target, whole, columns, stretches, scale)


def _along(
    config: StudyConfig,
    data: StudyData,
    functions: SymmetryFunctions,
    fitted: list[_Fitted],
    calendar: CalendarSplit,
    workers: int | None,
) -> dict[str, NDArray[Any]]:
    """Forecast the trajectory chunk by chunk: by the model of all pairs, and each stretch by its own."""
    pair = data.hamiltonian
    lengths = {"gap": len(pair.energies), "nac": pair.n_steps}
    offset = {"gap": 0.5 if pair.energy_grid == "midpoint" else 0.0, "nac": 0.5}
    arrays: dict[str, NDArray[Any]] = {}
    for one in fitted:
        kinds = ("", "-blocked") if one.scale is None else ("", "-blocked", "-std")
        for kind in kinds:
            arrays[f"{one.target.name}{kind}/{one.name}"] = np.empty(lengths[one.target.name])
    for chunk in feature_chunks(config.models.mode, data, functions, workers):
        seen: dict[Columns, Array] = {}  # models share what they see
        for one in fitted:
            name = one.target.name
            X = _once(seen, one.columns, chunk)
            if len(X) == 0:  # the last frame alone begins no mid-point
                continue
            part = slice(chunk.frames.start, chunk.frames.start + len(X))
            if one.scale is None:
                arrays[f"{name}/{one.name}"][part] = one.whole.predict(X)
            else:
                mean, std = one.whole.predict(X, return_std=True)
                arrays[f"{name}/{one.name}"][part] = mean
                arrays[f"{name}-std/{one.name}"][part] = math.sqrt(one.scale) * std
            times = (np.arange(part.start, part.stop) + offset[name]) * data.trajectory.timestep
            labels = np.floor(times / calendar.block_fs).astype(np.intp)
            for stretch in np.unique(labels):
                inside = labels == stretch
                model, columns = one.stretches[int(stretch)]
                unseen = model.predict(_once(seen, columns, chunk)[inside])
                arrays[f"{name}-blocked/{one.name}"][part][inside] = unseen
    return _with_known(data, fitted, arrays)


def _once(seen: dict[Columns, Array], columns: Columns, chunk: FeatureChunk) -> Array:
    if columns not in seen:
        seen[columns] = columns(chunk)
    return seen[columns]


def _with_known(
    data: StudyData, fitted: list[_Fitted], arrays: dict[str, NDArray[Any]]
) -> dict[str, NDArray[Any]]:
    """Put what was computed ab initio into the forecasts; those of held-out stretches stay what they are."""
    pair, samples = data.hamiltonian, samples_in(data)
    gap_known = np.flatnonzero(pair.energy_known)
    for one in fitted:
        name = one.name
        if one.target.name == "gap":
            arrays[f"gap/{name}"][gap_known] = pair.gap()[gap_known]
            known = gap_known
        else:
            arrays[f"nac/{name}"][samples.steps] = one.target.values
            known = samples.steps
        if one.scale is not None:
            arrays[f"{one.target.name}-std/{name}"][known] = 0.0
    arrays["train/gap"] = pair.energy_known.copy()
    arrays["train/nac"] = np.zeros(pair.n_steps, dtype=bool)
    arrays["train/nac"][samples.steps] = True
    return arrays

"""Stage `models` of a sparse study: forecasts learnt from computed pairs, scored on pairs they never saw."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from hopcast.core.errors import InputError
from hopcast.descriptors import SymmetryFunctions
from hopcast.evaluation import CalendarSplit, NeighbourSplit, calibrate, evaluate_model
from hopcast.evaluation.calibration import leave_one_out_scale
from hopcast.regression import LaplacianRidge
from hopcast.report import number
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
from hopcast.study.sparse import feature_chunks, sample_targets, samples_in
from hopcast.study.stages import StageResult

Array = NDArray[np.float64]

STRETCHES = 20
"""Stretches of time held out in turn, where the study does not say how long they are."""


def calendar_of(config: StudyConfig, data: StudyData, memory: float) -> CalendarSplit:
    """Return the stretches of time that are held out, with a purge of twice the correlation time."""
    block = config.samples.block or max(data.trajectory.duration / STRETCHES, 2.0 * memory)
    purge = 2.0 * memory if config.models.purge is None else config.models.purge
    return CalendarSplit(samples_in(data).times, block, purge)


@dataclass(frozen=True, eq=False)
class _Fitted:
    """A model of all pairs, and one for each stretch of time that knows nothing of it."""

    spec: ModelSpec
    target: Target
    whole: LaplacianRidge
    stretches: dict[int, LaplacianRidge]
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
        ``models``: records of `results.json`; ``names``; ``block``, ``purge``: fs. Arrays ``gap/{name}`` on the grid of the
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
    stage.advance("the whole trajectory")
    arrays = _along(config, data, functions, fitted, calendar, workers)
    numbers = {
        "models": records,
        "names": [spec.name for spec in specs],
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
    stretches = {}
    for stretch in range(math.floor(data.trajectory.duration / calendar.block_fs) + 1):
        train = calendar.training(stretch)
        if len(train) < 2:
            raise InputError(
                f"Holding out {calendar.block_fs:g} fs with a purge of {calendar.purge_fs:g} fs must leave computed pairs to "
                f"train, but leaves {len(train)} beside stretch {stretch}: set a shorter `samples.block` or `models.purge`."
            )
        stretches[stretch] = clone(model).fit(X[train], target.values[train])
    return _Fitted(spec, target, whole, stretches, leave_one_out_scale(whole) if enough else None)


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
            arrays[f"{one.target.name}{kind}/{one.spec.name}"] = np.empty(lengths[one.target.name])
    for chunk in feature_chunks(config.models.mode, data, functions, workers):
        for one in fitted:
            name, model = one.target.name, one.spec.name
            inputs = chunk.gap if name == "gap" else chunk.nac
            start = chunk.frames.start
            part = slice(start, start + len(inputs))
            X = one.spec.columns_of(data.trajectory.symbols, name, inputs, one.target.n_columns)
            if one.scale is None:
                arrays[f"{name}/{model}"][part] = one.whole.predict(X)
            else:
                mean, std = one.whole.predict(X, return_std=True)
                arrays[f"{name}/{model}"][part] = mean
                arrays[f"{name}-std/{model}"][part] = math.sqrt(one.scale) * std
            times = (np.arange(part.start, part.stop) + offset[name]) * data.trajectory.timestep
            labels = np.floor(times / calendar.block_fs).astype(np.intp)
            for stretch in np.unique(labels):
                inside = labels == stretch
                arrays[f"{name}-blocked/{model}"][part][inside] = one.stretches[int(stretch)].predict(
                    X[inside]
                )
    return _with_known(data, fitted, arrays)


def _with_known(
    data: StudyData, fitted: list[_Fitted], arrays: dict[str, NDArray[Any]]
) -> dict[str, NDArray[Any]]:
    """Put what was computed ab initio into the forecasts; those of held-out stretches stay what they are."""
    pair, samples = data.hamiltonian, samples_in(data)
    gap_known = np.flatnonzero(pair.energy_known)
    for one in fitted:
        name = one.spec.name
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

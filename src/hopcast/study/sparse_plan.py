"""Models of a Hamiltonian that is known on pairs of frames: scored on pairs they never saw, forecast along the whole trajectory."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from hopcast.core.spreading import spread
from hopcast.evaluation import Evaluation, NeighbourSplit
from hopcast.evaluation.calibration import leave_one_out_scale
from hopcast.regression import LaplacianRidge
from hopcast.report import CHOSEN
from hopcast.results.forecasts import CandidateRecord, ModelRecord
from hopcast.results.record import Split, Stride
from hopcast.study.choice import Choices
from hopcast.study.plan import Plan
from hopcast.study.samples import Samples
from hopcast.study.sparse import FeatureChunk, calendar_of, feature_chunks, stretches_of
from hopcast.study.stage import Arrays, Context, StageResult
from hopcast.study.targets import ModelSpec, Target, affordable, targets_of
from hopcast.study.whole import FittedWhole, Held, Whole

Array = NDArray[Any]

Columns = Callable[[FeatureChunk], Array]
"""What a model sees of a chunk of the trajectory."""

MOST_JOINT: Final = 600
"""Mid-points, spread over the trajectory, at which joint posterior draws are kept: their mean stands for that of all."""


@dataclass(frozen=True, eq=False)
class Fitted:
    """A model of all pairs, and one for each stretch of time that knows nothing of it.

    `columns` gives what the models see of a chunk; those of a stretch may be of another kind than the whole's.
    """

    name: str
    target: Target
    whole: Any
    columns: Columns
    stretches: Mapping[int, tuple[Any, Columns]]
    scale: float | None


class SparsePlan(Plan):
    """Separate pairs are known: every n-th is held out while its neighbours train, or whole stretches of time are."""

    def __init__(self, context: Context, features: StageResult[Any]) -> None:
        config, data = context.config, context.data
        assert data.samples is not None
        self._context, self._samples = context, data.samples
        self._functions = features.numbers.functions
        self.targets = targets_of(config.models, data, features.arrays, features.numbers.memory)
        self._neighbours = NeighbourSplit(min(config.samples.n_folds, len(self._samples) // 2))
        self._calendar = calendar_of(config, data, self.targets.memory)
        self.block, self.purge = self._calendar.block_fs, self._calendar.purge_fs
        spacing, timestep = self._samples.spacing, data.trajectory.timestep
        self.stride = Stride(fs=spacing, frames=round(spacing / timestep))
        self._fitted: list[Fitted] = []
        self._wholes: list[tuple[Whole, FittedWhole, dict[int, FittedWhole]]] = []

    @property
    def samples(self) -> Samples:
        """The known pairs."""
        return self._samples

    def held(self, target: Target) -> tuple[Held, ...]:
        """Every n-th pair, and stretches of time."""
        return Held("interleaved", self._neighbours), Held("blocked", self._calendar)

    def times(self, target: Target) -> Array | None:
        """Pairs need not be evenly spaced."""
        return target.times

    def affords(self, X: Array, found: Evaluation) -> bool:
        """Whether posterior variances along the trajectory are worth their cost."""
        return affordable(self._context.data.trajectory.n_frames, len(self._samples))

    def forecast(
        self, target: Target, spec: ModelSpec, X: Array, model: LaplacianRidge, found: Mapping[Split, Evaluation]
    ) -> float | None:
        """Fit a model to all pairs, and one for each stretch of time to those outside of it."""
        data = self._context.data
        whole = clone(model).fit(X, target.values)

        def columns(chunk: FeatureChunk) -> Array:
            inputs = chunk.gap if target.name == "gap" else chunk.nac
            return spec.columns_of(data.sites.symbols, target.name, inputs, target.n_columns)

        stretches = {}
        for stretch in stretches_of(data, self._calendar):
            train = self._calendar.training(stretch)
            stretches[stretch] = (clone(model).fit(X[train], target.values[train]), columns)
        scale = leave_one_out_scale(whole) if self.affords(X, found["blocked"]) else None
        self._fitted.append(Fitted(spec.name, target, whole, columns, stretches, scale))
        return scale

    def choose(self) -> tuple[list[ModelRecord], list[CandidateRecord] | None]:
        """Choose among representations and learners by nested stretches."""
        context, config = self._context, self._context.config
        records: list[ModelRecord] = []
        candidates: list[CandidateRecord] = []
        if config.samples.candidates:
            choices = Choices(context.data, self._functions, self._calendar, self._neighbours, context.workers)
            for target in self.targets:
                context.progress.advance(f"{CHOSEN}, {target.name}")
                chosen = choices.choose(target, self.stride, config.models.n_shifts, config.seed)
                candidates += chosen.table
                records += chosen.records
                self._fitted.append(
                    Fitted(CHOSEN, target, chosen.whole, chosen.columns, chosen.stretches, chosen.scale)
                )
        return records, candidates

    def add_whole(self, whole: Whole) -> list[ModelRecord]:
        """Score it on both splits; each stretch of time has a fit of its own."""
        interleaved, blocked = self.held(self.targets.nac)
        steps = self._samples.steps
        fitted = whole.fit(steps)
        records = whole.scored(interleaved, whole.said(whole.fit_split(fitted, self._neighbours)))
        numbers = stretches_of(self._context.data, self._calendar)
        found = whole.fit_folds(fitted, [steps[self._calendar.training(stretch)] for stretch in numbers])
        stretches = dict(zip(numbers, found, strict=True))
        labels = self._calendar.labels
        unseen = whole.said((stretches[one], np.flatnonzero(labels == one)) for one in np.unique(labels).tolist())
        records += whole.scored(blocked, unseen)
        self._wholes.append((whole, fitted, stretches))
        return whole.explained(records, fitted)

    def forecasts(self) -> tuple[list[str], Arrays]:
        """Forecast the trajectory chunk by chunk: by the model of all pairs, and each stretch by its own."""
        context = self._context
        context.progress.advance("the whole trajectory")
        names = list(dict.fromkeys([one.name for one in self._fitted] + [one.name for one, *_ in self._wholes]))
        arrays: Arrays = {}
        for one in self._fitted:
            kinds = ("", "-blocked") if one.scale is None else ("", "-blocked", "-std")
            arrays |= self._empty(one.target.name, one.name, kinds)
        for whole, fitted, _ in self._wholes:
            for target in self.targets:
                arrays |= self._empty(target.name, whole.name, ("", "-blocked"))
            arrays[f"nac-sign/{whole.name}"] = np.ones(context.data.hamiltonian.n_steps)
            arrays |= fitted.window(context.data.trajectory)
        times = spread(context.data.hamiltonian.n_steps, MOST_JOINT)
        joint: dict[int, list[Array]] = {}
        mode = context.config.models.mode
        for chunk in feature_chunks(mode, context.data, self._functions, context.workers):
            seen: dict[Columns, Array] = {}  # models share what they see
            for number, one in enumerate(self._fitted):
                X = _once(seen, one.columns, chunk)
                if len(X) == 0:  # the last frame alone begins no mid-point
                    continue
                start = chunk.frames.start
                inside = times[(times >= start) & (times < start + len(X))] - start
                joint.setdefault(number, []).append(X[inside])
                self._predict(one, chunk, X, seen, arrays)
            for whole, fitted, stretches in self._wholes:
                self._predict_whole(whole.name, fitted, stretches, chunk, arrays)
        for number, one in enumerate(self._fitted):
            if one.scale is not None:
                arrays[f"{one.target.name}-samples/{one.name}"] = self._draws(one, np.concatenate(joint[number]))
        return names, self._with_known(arrays)

    def _empty(self, target: str, name: str, kinds: tuple[str, ...]) -> Arrays:
        pair = self._context.data.hamiltonian
        length = len(pair.energies) if target == "gap" else pair.n_steps
        return {f"{target}{kind}/{name}": np.empty(length) for kind in kinds}

    def _labels(self, target: str, part: slice) -> NDArray[np.intp]:
        """Return the stretch of each time of a chunk."""
        data = self._context.data
        on_midpoints = target == "nac" or data.hamiltonian.energy_grid == "midpoint"
        times = (np.arange(part.start, part.stop) + 0.5 * on_midpoints) * data.trajectory.timestep
        return np.floor(times / self._calendar.block_fs).astype(np.intp)

    def _predict(self, one: Fitted, chunk: FeatureChunk, X: Array, seen: dict[Columns, Array], arrays: Arrays) -> None:
        name = one.target.name
        part = slice(chunk.frames.start, chunk.frames.start + len(X))
        if one.scale is None:
            arrays[f"{name}/{one.name}"][part] = one.whole.predict(X)
        else:
            mean, std = one.whole.predict(X, return_std=True)
            arrays[f"{name}/{one.name}"][part] = mean
            arrays[f"{name}-std/{one.name}"][part] = math.sqrt(one.scale) * std
        labels = self._labels(name, part)
        for stretch in np.unique(labels):
            inside = labels == stretch
            model, columns = one.stretches[int(stretch)]
            unseen = model.predict(_once(seen, columns, chunk)[inside])
            arrays[f"{name}-blocked/{one.name}"][part][inside] = unseen

    def _predict_whole(
        self, name: str, fitted: FittedWhole, stretches: Mapping[int, FittedWhole], chunk: FeatureChunk, arrays: Arrays
    ) -> None:
        """Fill the frames and mid-points of a chunk: by the fit of all pairs, and those of each stretch by its own."""
        data = self._context.data
        steps = np.arange(chunk.steps.start, chunk.steps.stop)
        on_midpoints = data.hamiltonian.energy_grid == "midpoint"
        frames = steps if on_midpoints else np.arange(chunk.frames.start, chunk.frames.stop)
        if len(frames) == 0:  # the last frame alone begins no mid-point
            return

        def fill(kind: str, by: FittedWhole, gap_at: NDArray[np.intp], nac_at: NDArray[np.intp]) -> None:
            both = np.concatenate([gap_at, nac_at])
            first = min(int(both.min()), data.trajectory.n_frames - 2)
            found = by.series(data.trajectory[first : int(both.max()) + 2])
            learnt = self.targets.physics.learnt(found.coupling, found.middle)
            arrays[f"gap{kind}/{name}"][gap_at] = found.gap[gap_at - first]
            arrays[f"nac{kind}/{name}"][nac_at] = learnt[nac_at - first]
            if by is fitted:
                arrays[f"nac-sign/{name}"][nac_at] = found.sign[nac_at - first]

        fill("", fitted, frames, steps)
        of_frames, of_steps = (
            self._labels(target, slice(at[0], at[-1] + 1)) if len(at) else at
            for target, at in (("gap", frames), ("nac", steps))
        )
        for stretch in np.unique(np.concatenate([of_frames, of_steps])).tolist():
            fill("-blocked", stretches[stretch], frames[of_frames == stretch], steps[of_steps == stretch])

    def _draws(self, one: Fitted, X: Array) -> Array:
        """Return joint draws from the scaled posterior at spread times [n_samples, n]."""
        config = self._context.config
        mean = one.whole.predict(X)
        draws = one.whole.sample(X, config.models.n_samples, random_state=config.seed)
        return np.asarray(mean + math.sqrt(one.scale or 0.0) * (draws - mean))

    def _with_known(self, arrays: Arrays) -> Arrays:
        """Put what was computed ab initio into the forecasts; those of held-out stretches stay what they are."""
        pair, steps = self._context.data.hamiltonian, self._samples.steps
        gap_known = np.flatnonzero(pair.energy_known)
        known = {"gap": (gap_known, pair.gap()[gap_known]), "nac": (steps, self.targets.nac.values)}
        for key, values in arrays.items():
            target, _, _ = key.partition("/")
            if target in known:
                values[known[target][0]] = known[target][1]
            elif target in ("gap-std", "nac-std"):
                values[known[target[:3]][0]] = 0.0
        arrays["train/gap"] = pair.energy_known.copy()
        arrays["train/nac"] = np.zeros(pair.n_steps, dtype=bool)
        arrays["train/nac"][steps] = True
        return arrays


def _once(seen: dict[Columns, Array], columns: Columns, chunk: FeatureChunk) -> Array:
    if columns not in seen:
        seen[columns] = columns(chunk)
    return seen[columns]

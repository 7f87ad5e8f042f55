"""Models of a Hamiltonian that is known at every frame: training frames a stride apart, blocks, other trajectories."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hopcast.core.errors import ConfigError, InputError
from hopcast.evaluation import BlockedSplit, Evaluation, InterleavedSplit, TrajectorySplit, evaluate_model
from hopcast.evaluation.calibration import leave_one_out_scale
from hopcast.regression import LaplacianRidge
from hopcast.results.forecasts import ModelRecord
from hopcast.results.record import Split, Stride
from hopcast.study.config import ModelsSection
from hopcast.study.plan import Plan
from hopcast.study.scores import Subject, model_record
from hopcast.study.stage import Arrays, Context, StageResult
from hopcast.study.targets import ModelSpec, Target, affordable, targets_of
from hopcast.study.whole import FittedWhole, Held, Whole

Array = NDArray[Any]

MAX_JOINT_FRAMES: Final = 4000
"""Joint posterior draws need the square of the frames in memory: beyond this the model's part is left out."""

MOST_SHIFTED_VALUES: Final = 400_000
"""Values of forecasts on shifted features that a model keeps for the rates' control."""


class DensePlan(Plan):
    """Every frame is known: a frame every stride trains, or whole blocks are held out."""

    def __init__(self, context: Context, features: StageResult[Any]) -> None:
        section, data = context.config.models, context.data
        self._context, self._section = context, section
        self.targets = targets_of(section, data, features.arrays)
        self._others = [
            targets_of(section, other, {"G": features.arrays[f"G{number}"]})
            for number, other in enumerate(data.others, start=2)
        ]
        split = self._interleaved = InterleavedSplit(section.stride, data.trajectory.timestep)
        self.stride = Stride(fs=split.stride, frames=split.stride_frames, requested_fs=section.stride)
        self._held = {target.name: self._splits(target) for target in self.targets}
        self._names: list[str] = []
        self._arrays: Arrays = {}

    def _splits(self, target: Target) -> tuple[Held, ...]:
        section, timestep = self._section, self._context.data.trajectory.timestep
        blocked, note = blocked_split(
            section, timestep, len(target.times), target.memory, section.stride, section.n_blocks
        )
        return Held("interleaved", self._interleaved), Held("blocked", blocked, note)

    def held(self, target: Target) -> tuple[Held, ...]:
        """Frames between the training frames, and blocks of time."""
        return self._held[target.name]

    def times(self, target: Target) -> Array | None:
        """Frames are evenly spaced."""
        return None

    def affords(self, X: Array, found: Evaluation) -> bool:
        """Whether posterior variances at all frames are worth their cost."""
        return affordable(len(X), max(len(train) for train in found.training_frames))

    def forecast(
        self, target: Target, spec: ModelSpec, X: Array, model: LaplacianRidge, found: Mapping[Split, Evaluation]
    ) -> float | None:
        """Keep the forecast, what the model says of shifted features, and of blocks it did not see."""
        interleaved = found["interleaved"]
        scale = self._posterior(target, spec.name, interleaved, model, X)
        self._keep_shifted(target, spec.name, interleaved)
        if not self._names and len(interleaved.shifts):
            distance = np.abs(interleaved.shifts - len(target.times) / 2)
            self._arrays.setdefault(
                f"{target.name}-shifted",
                _with_known(target, interleaved, interleaved.shifted_predictions[int(distance.argmin())]),
            )
        if "blocked" in found:
            self._arrays[f"{target.name}-blocked/{spec.name}"] = found["blocked"].predictions
        if target is self.targets.nac:
            self._names.append(spec.name)
        return scale

    def _posterior(self, target: Target, name: str, found: Evaluation, model: LaplacianRidge, X: Array) -> float | None:
        """Keep the forecast with what was computed ab initio left as it is, its error bars, and posterior draws.

        The posterior variance is multiplied by its leave-one-out scale, which is returned.
        """
        train = np.zeros(len(target.times), dtype=bool)
        train[found.training_frames[0]] = True
        arrays = self._arrays
        arrays[f"{target.name}/{name}"] = np.where(train, target.values, found.predictions)
        arrays[f"train/{target.name}"] = train
        if not affordable(len(X), int(train.sum())):
            return None
        fitted = model.fit(X[train], target.values[train])
        scale = leave_one_out_scale(fitted)
        mean, std = fitted.predict(X, return_std=True)
        arrays[f"{target.name}-std/{name}"] = np.where(train, 0.0, math.sqrt(scale) * std)
        if len(X) <= MAX_JOINT_FRAMES:
            samples = fitted.sample(X, self._section.n_samples, random_state=self._context.config.seed)
            samples = mean + math.sqrt(scale) * (samples - mean)
            samples[:, train] = target.values[train]
            arrays[f"{target.name}-samples/{name}"] = samples
        return scale

    def _keep_shifted(self, target: Target, name: str, found: Evaluation) -> None:
        """Keep forecasts from features of other times (as many as memory allows) and their shifts, for rates."""
        n_kept = min(len(found.shifts), max(3, MOST_SHIFTED_VALUES // len(target.times)))
        if n_kept == 0:
            return
        kept = np.linspace(0, len(found.shifts) - 1, n_kept).round().astype(int)
        self._arrays[f"{target.name}-twins/{name}"] = _with_known(target, found, found.shifted_predictions[kept])
        self._arrays[f"{target.name}-twin-shifts/{name}"] = found.shifts[kept]

    def elsewhere(self, target: Target, spec: ModelSpec, model: LaplacianRidge, subject: Subject) -> list[ModelRecord]:
        """Hold whole trajectories out, where there are several."""
        if not self._others or self._section.trajectory_split is False:
            return []
        symbols, config = self._context.data.sites.symbols, self._context.config
        family = [target, *(getattr(one, target.name) for one in self._others)]
        found = evaluate_model(
            model,
            np.concatenate([spec.select(symbols, one) for one in family]),
            np.concatenate([one.values for one in family]),
            TrajectorySplit(self.stride.frames),
            self.targets.spacing,
            groups=np.repeat(np.arange(len(family)), [len(one.values) for one in family]),
            min_shift=max(one.memory for one in family),
            n_shifts=self._section.n_shifts,
            random_state=config.seed,
            workers=self._context.workers,
        )
        return [model_record(subject, "trajectory", found, model, f"{len(family)} trajectories")]

    def add_whole(self, whole: Whole) -> list[ModelRecord]:
        """Score it on both splits and keep its forecasts: of all frames, and of blocks that it did not see."""
        for target in self.targets:  # where no model of features did before
            train, _ = next(self._interleaved.split(np.empty((len(target.times), 1))))
            known = np.zeros(len(target.times), dtype=bool)
            known[train] = True
            self._arrays.setdefault(f"train/{target.name}", known)
        fitted = whole.fit(np.flatnonzero(self._arrays["train/nac"]))
        records: list[ModelRecord] = []
        for held in self._held["nac"]:
            if held.split is not None:
                folds = whole.fit_split(fitted, held.split)
                records += whole.scored(held, whole.said(folds))
                if held.name == "blocked":
                    self._keep_blocked(whole, folds)
        found = fitted.series(self._context.data.trajectory)
        self._keep_whole(whole, found.gap, self.targets.physics.learnt(found.coupling, found.middle))
        self._arrays[f"nac-sign/{whole.name}"] = found.sign
        self._arrays |= fitted.window(self._context.data.trajectory)
        self._names.append(whole.name)
        return whole.explained(records, fitted)

    def _keep_blocked(self, whole: Whole, folds: Sequence[tuple[FittedWhole, NDArray[np.intp]]]) -> None:
        """Keep what each fit says of the block that it did not see."""
        gap, nac = (np.full(len(target.times), np.nan) for target in self.targets)
        for fitted, test in folds:
            found = fitted.series(self._context.data.trajectory[test[0] : test[-1] + 2])
            gap[test[0] : test[0] + len(found.gap)] = found.gap  # the frame between two blocks is the later one's
            nac[test] = self.targets.physics.learnt(found.coupling, found.middle)
        self._arrays |= {f"gap-blocked/{whole.name}": gap, f"nac-blocked/{whole.name}": nac}

    def _keep_whole(self, whole: Whole, gap: Array, learnt: Array) -> None:
        for target, values in zip(self.targets, (gap, learnt), strict=True):
            known = self._arrays[f"train/{target.name}"]
            self._arrays[f"{target.name}/{whole.name}"] = np.where(known, target.values, values)

    def forecasts(self) -> tuple[list[str], Arrays]:
        """Return what was kept."""
        return self._names, self._arrays


def _with_known(target: Target, found: Evaluation, forecasts: Array) -> Array:
    """Return forecasts [..., n] with the ab initio values at the training frames."""
    kept, train = forecasts.copy(), found.training_frames[0]
    kept[..., train] = target.values[train]
    return kept


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

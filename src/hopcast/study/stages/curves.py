"""Stage `curves`: scores against the training stride and the number of frames, beside what a calendar scores."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from hopcast.core.errors import ConfigError, InputError
from hopcast.core.spreading import spread
from hopcast.dynamics import dephasing_time, second_order_rate
from hopcast.evaluation import Evaluation, InterleavedSplit, NeighbourSplit, evaluate_model, interpolate_in_time
from hopcast.evaluation.evaluate import Splitter
from hopcast.results.forecasts import CurvePoint, LearningCurves, LeftOutPoint
from hopcast.results.record import Record, Split, Stride
from hopcast.results.record import Target as TargetName
from hopcast.study.config import StudyConfig
from hopcast.study.dense_plan import blocked_split
from hopcast.study.inputs import StudyData
from hopcast.study.rates import pairs_of_shifts
from hopcast.study.samples import static_dephasing_times
from hopcast.study.scores import mean_training_frames, quantiles, stride_record
from hopcast.study.sparse import calendar_of
from hopcast.study.stage import Context, Stage, StageResult
from hopcast.study.stages import features, information
from hopcast.study.targets import ModelSpec, Target, Targets, learner, model_specs, targets_of

Array = NDArray[Any]
Axis = Literal["stride", "frames"]

LONGEST_STRIDE: Final = 1000.0
"""fs; METHODS asks for one frame to 1 ps."""
FEWEST_FRAMES: Final = 20
"""Points with fewer training frames are left out."""
FEWEST_BLOCKS: Final = 3
"""Points of the blocked split with fewer blocks a correlation time long are left out."""
MOST_WORK: Final = 4e8
"""Forecast frames times training frames times features beyond which a point is left out."""
MOST_FRAMES: Final = 5000
"""The curves of longer trajectories are those of their first frames."""
N_STRIDES: Final = {"full": 12, "quick": 6}
FRACTIONS: Final = {"full": (0.125, 0.25, 0.375, 0.5, 0.75, 1.0), "quick": (0.25, 0.5, 1.0)}
RATE_SHIFTS: Final = 20
SPLITS: Final[tuple[Split, ...]] = ("interleaved", "blocked")


class CurveNumbers(Record):
    """What the stage found."""

    learning_curves: LearningCurves


@dataclass(frozen=True)
class Point:
    """What is varied, and where: training stride and number of frames (of separate pairs, of pairs)."""

    axis: Axis
    stride: int
    n_frames: int


def strides_in_frames(config: StudyConfig, timestep: float) -> list[int]:
    """Return the strides of the learning curve: given, or from one frame to 1 ps in even ratios; the study's included."""
    if config.evaluation.strides is not None:
        chosen = [max(1, round(stride / timestep)) for stride in config.evaluation.strides]
    else:
        most = max(1.0, LONGEST_STRIDE / timestep)
        ladder = np.geomspace(1.0, most, N_STRIDES[config.evaluation.profile])
        chosen = [int(stride) for stride in np.round(ladder)]
    return sorted({*chosen, max(1, round(config.models.stride / timestep))})


def n_points(config: StudyConfig, data: StudyData) -> int:
    """Return how many combinations of stride and length the curves have."""
    fractions = len(FRACTIONS[config.evaluation.profile])
    return fractions + (len(strides_in_frames(config, data.trajectory.timestep)) if data.samples is None else 0)


def run_curves(context: Context) -> StageResult[CurveNumbers]:
    """Score the models of all functions (profile ``quick``: the first only) along both axes and both splits.

    Of separate pairs along the number of pairs, spread evenly over the trajectory.
    """
    config, data = context.config, context.data
    found, best = context.of(features.STAGE), context.of(information.STAGE).numbers.best
    n_functions = found.arrays["G"].shape[2]
    specs = [spec for spec in model_specs(config.models, data.sites.elements, n_functions, best) if not spec.functions]
    specs = specs[:1] if config.evaluation.profile == "quick" else specs
    targets = targets_of(config.models, data, found.arrays, found.numbers.memory)
    whole = min(MOST_FRAMES, *(len(target.times) for target in targets))
    fractions = FRACTIONS[config.evaluation.profile]
    timestep = data.trajectory.timestep
    if data.samples is None:
        usual = max(1, round(config.models.stride / timestep))
        plan = [Point("stride", stride, whole) for stride in strides_in_frames(config, timestep)]
        plan += [Point("frames", usual, int(whole * part)) for part in fractions]
    else:
        plan = [Point("frames", 1, int(whole * part)) for part in fractions]
    points: list[CurvePoint] = []
    left_out: list[LeftOutPoint] = []
    for point in plan:
        context.progress.advance(f"stride {point.stride * timestep:g} fs, {point.n_frames} frames")
        curve = _Curve(context, targets, point)
        for split in SPLITS:
            for spec in specs:
                scored, missed = curve.score(spec, split)
                points += scored
                left_out += missed
    return StageResult(CurveNumbers(learning_curves=LearningCurves(points=points, left_out=left_out)))


@dataclass(frozen=True)
class _Place:
    """Where a score stands: on which axis, of which split and model, at which length and stride."""

    axis: Axis
    split: Split
    model: str
    n_frames: int
    stride: Stride


@dataclass(frozen=True, eq=False)
class _Curve:
    """A point of the curves: the values it uses, its splits, its scores."""

    context: Context
    targets: Targets
    point: Point

    @cached_property
    def tau(self) -> float:
        """Dephasing time of the rates, fs."""
        section, data = self.context.config.dynamics, self.context.data
        if section.dephasing_time is not None:
            return section.dephasing_time
        if data.samples is not None:
            return static_dephasing_times(data.samples)[section.tau_convention]
        return dephasing_time(data.hamiltonian, convention=section.tau_convention)

    def rows(self, target: Target) -> NDArray[np.intp]:
        """Return which values are used: the first frames, or of separate pairs as many, spread evenly."""
        shortest = min(len(one.times) for one in self.targets)
        n = self.point.n_frames + len(target.times) - shortest
        if self.context.data.samples is None:
            return np.arange(n)
        return spread(len(target.times), n)

    @cached_property
    def spacing(self) -> float:
        """Time between training values, fs."""
        if self.context.data.samples is None:
            return self.point.stride * self.targets.spacing
        return float(np.median(np.diff(self.targets.nac.times[self.rows(self.targets.nac)])))

    def split_of(self, target: Target, split: Split) -> tuple[Splitter | None, str, str]:
        """Return the split of a target's values, why there is none, and what a reader must know of it."""
        rows, stride = self.rows(target), self.point.stride
        n, config, spacing = len(rows), self.context.config, self.targets.spacing
        if self.context.data.samples is not None:
            if split == "interleaved":
                return NeighbourSplit(min(config.samples.n_folds, n // 2)), "", ""
            calendar = calendar_of(config, self.context.data, self.targets.memory, target.times[rows])
            return calendar, "", ""
        if split == "interleaved":
            if stride < 2:
                return None, "every frame trains: none is left to test", ""
            return InterleavedSplit(stride * spacing, spacing), "", ""
        n_blocks = min(config.models.n_blocks, math.floor(n * spacing / target.memory))
        if n_blocks < FEWEST_BLOCKS:
            reason = (
                f"{n * spacing:.4g} fs hold {n_blocks} blocks of a correlation time ({target.memory:.4g} fs); "
                f"{FEWEST_BLOCKS} are needed"
            )
            return None, reason, ""
        try:
            found, note = blocked_split(config.models, spacing, n, target.memory, stride * spacing, n_blocks)
        except (InputError, ConfigError) as error:  # a purge of the user's own leaves too little here
            return None, str(error), ""
        return (None, note, "") if found is None else (found, "", note)

    def n_train(self, target: Target, chosen: Splitter, split: Split) -> int:
        """Return the training frames of a split."""
        n = len(self.rows(target))
        if split == "interleaved" and self.context.data.samples is None:
            return math.ceil(n / self.point.stride)
        return min(len(train) for train, _ in chosen.split(np.empty((n, 1))))

    def score(self, spec: ModelSpec, split: Split) -> tuple[list[CurvePoint], list[LeftOutPoint]]:
        """Score a model on a split: gap, coupling, and the rate of both."""
        point, data = self.point, self.context.data
        frames = point.stride if data.samples is None else round(self.spacing / data.trajectory.timestep)
        stride = stride_record(data.trajectory.timestep, frames)
        place = _Place(point.axis, split, spec.name, point.n_frames, stride)
        points: list[CurvePoint] = []
        left_out: list[LeftOutPoint] = []
        found: dict[str, Evaluation] = {}
        note = ""
        for target in self.targets:
            chosen, reason, note = self.split_of(target, split)
            evaluation = None
            if chosen is not None:
                evaluation, reason = self._evaluated(spec, target, chosen, split)
            if evaluation is None:
                left_out.append(LeftOutPoint(**vars(place), target=target.name, reason=reason))
                continue
            found[target.name] = evaluation
            points.append(_scored(evaluation, place, target.name, note))
        if len(found) == 2:
            points.append(self._rate(found, place, note))
        return points, left_out

    def _evaluated(
        self, spec: ModelSpec, target: Target, chosen: Splitter, split: Split
    ) -> tuple[Evaluation | None, str]:
        config, symbols = self.context.config, self.context.data.sites.symbols
        n_train, rows = self.n_train(target, chosen, split), self.rows(target)
        if n_train < FEWEST_FRAMES:
            return None, f"{n_train} training frames; {FEWEST_FRAMES} are needed"
        n_features = len(spec.columns(symbols, target.n_columns // len(symbols), target.name))
        if n_train * len(rows) * n_features > MOST_WORK:
            return None, f"{n_train} training frames for {len(rows)} are more than this profile forecasts"
        sparse = self.context.data.samples is not None
        try:
            return evaluate_model(
                learner(config.models, target.memory, self.spacing, n_train, self.context.workers),
                spec.select(symbols, target)[rows],
                target.values[rows],
                chosen,
                self.spacing if sparse else self.targets.spacing,
                min_shift=target.memory,
                n_shifts=min(config.models.n_shifts, RATE_SHIFTS),
                random_state=config.seed,
                times=target.times[rows] if sparse else None,
                workers=self.context.workers,
            ), ""
        except (InputError, ConfigError) as error:
            return None, str(error)

    def _local(self, gap: Array, learnt: Array) -> Array:
        """Return the second-order rate of gaps and of what the models learn of the coupling."""
        middle = self.targets.physics.middle(gap)
        n = min(middle.shape[-1], learnt.shape[-1])
        nac = self.targets.physics.coupling(learnt[..., :n], middle[..., :n])
        return second_order_rate(middle[..., :n], nac, self.tau)

    def _rate(self, found: dict[str, Evaluation], place: _Place, note: str) -> CurvePoint:
        """Return second-order rates over the ab initio one of the same stretch; what was computed stays as it is."""
        gap, nac = ((target, target.values[self.rows(target)]) for target in self.targets)
        truth = float(self._local(gap[1], nac[1]).mean())
        blocked = len(found["gap"].training_frames) > 1

        def kept(target: Target, values: Array, series: Array) -> Array:
            out = np.where(np.isfinite(series), series, values)
            if not blocked:
                train = found[target.name].training_frames[0]
                out[train] = values[train]
            return out

        def ratio(first: Array, second: Array) -> float:
            return float(self._local(kept(*gap, first), kept(*nac, second)).mean()) / truth

        shifted = [
            ratio(found["gap"].shifted_predictions[i], found["nac"].shifted_predictions[j])
            for i, j in pairs_of_shifts(found["gap"].shifts, found["nac"].shifts)
        ]
        interpolated = {"linear": math.nan, "cubic": math.nan}
        plain = math.nan
        if not blocked:
            for kind in interpolated:
                interpolated[kind] = ratio(
                    *(
                        interpolate_in_time(train, values[train], np.arange(len(values)), kind)
                        for target, values in (gap, nac)
                        for train in [found[target.name].training_frames[0]]
                    )
                )
            train = found["nac"].training_frames[0]
            plain = float(self._local(gap[1], nac[1])[train].mean() / truth)
        low, high = quantiles(shifted)
        return CurvePoint(
            **vars(place),
            target="rate",
            note=note,
            n_train=mean_training_frames(found["nac"]),
            value=ratio(found["gap"].predictions, found["nac"].predictions),
            **interpolated,
            plain=plain,
            shifted=float(np.median(shifted)) if shifted else math.nan,
            shifted_low=low,
            shifted_high=high,
            n_shifts=len(shifted),
            reasons=dict.fromkeys(
                ("linear", "cubic"), "an interpolation across held-out blocks is no forecast of a rate"
            )
            | dict.fromkeys(("shifted", "shifted_low", "shifted_high"), "no shift fits into the trajectory")
            | {"plain": "the blocks have training frames of their own"},
        )


def _scored(found: Evaluation, place: _Place, target: TargetName, note: str) -> CurvePoint:
    low, high = quantiles(found.shifted)
    short = f"{len(found.shifts)} shifts fit into the trajectory"
    return CurvePoint(
        **vars(place),
        target=target,
        note=note,
        n_train=mean_training_frames(found),
        value=found.model.r2,
        mean=found.mean.r2,
        linear=found.linear.r2,
        cubic=found.cubic.r2,
        shifted=found.shifted_median,
        shifted_low=low,
        shifted_high=high,
        n_shifts=len(found.shifts),
        reasons=dict.fromkeys(("shifted", "shifted_low", "shifted_high"), short),
    )


def _applies(config: StudyConfig, data: StudyData) -> bool:
    return config.evaluation.enabled


STAGE = Stage(
    "curves",
    60,
    CurveNumbers,
    ("evaluation", "models", "samples", "dynamics"),
    run_curves,
    needs=lambda data: (features.STAGE, information.STAGE),
    applies=_applies,
    total=n_points,
)

"""The model of a sparse study that is chosen among representations and learners, without looking at what it is scored on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from hopcast.core.trajectory import Trajectory
from hopcast.descriptors import SymmetryFunctions
from hopcast.evaluation import CalendarSplit, Candidate, Evaluation, NeighbourSplit, evaluate_model, nested_selection
from hopcast.evaluation.calibration import leave_one_out_scale
from hopcast.forecast.options import Option, options, trees
from hopcast.forecast.pair import target_columns
from hopcast.forecast.representation import Representation, columns_of_pairs
from hopcast.report import CHOSEN
from hopcast.results.forecasts import CandidateRecord, ModelRecord
from hopcast.results.record import Stride
from hopcast.study.inputs import StudyData
from hopcast.study.scores import NO_POSTERIOR, candidate_records, model_record
from hopcast.study.sparse import FeatureChunk, stretches_of
from hopcast.study.targets import Target

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Chosen:
    """The model of least error inside the training stretches.

    Attributes
    ----------
    records
        Of `models` in `results.json`, interleaved and blocked.
    table
        Of `candidates`: every option on the same held-out stretches, the choice, and what needs no model.
    whole, columns
        The option to use, fitted to all pairs, and what it sees of a chunk.
    stretches
        The same for each stretch of time, chosen and fitted without it.
    scale
        Leave-one-out scale of the posterior variance; None where the learner has none.
    """

    records: list[ModelRecord]
    table: list[CandidateRecord]
    whole: Any
    columns: Callable[[FeatureChunk], Array]
    stretches: dict[int, tuple[Any, Callable[[FeatureChunk], Array]]]
    scale: float | None


@dataclass(frozen=True, eq=False)
class Choices:
    """The options of a study, their columns at the computed pairs, and the stretches they are scored on."""

    data: StudyData
    functions: SymmetryFunctions
    calendar: CalendarSplit
    neighbours: NeighbourSplit
    workers: int | None

    @cached_property
    def options(self) -> tuple[Option, ...]:
        """What is chosen among."""
        trajectory = self.data.trajectory
        return (*options(trajectory, self.functions, self.workers), trees(trajectory))

    @cached_property
    def _pairs(self) -> dict[Representation, tuple[Array, Array]]:
        """Columns of both frames of every pair, of each representation."""
        samples = self.data.samples
        assert samples is not None
        return columns_of_pairs(
            (option.representation for option in self.options), self.data.trajectory, samples.steps, self.workers
        )

    def choose(self, target: Target, stride: Stride, n_shifts: int, seed: int) -> Chosen:
        """Choose for a target; nothing of a held-out stretch is used for what forecasts it."""
        timestep = self.data.trajectory.timestep
        candidates = [
            Candidate(
                option.name, target_columns(target.name, *self._pairs[option.representation], timestep), option.learner
            )
            for option in self.options
        ]
        by_name = {option.name: option for option in self.options}
        X_of = {candidate.name: candidate.features for candidate in candidates}
        found = nested_selection(
            candidates,
            target.values,
            target.times,
            self.calendar.labels,
            n_shifts=0,
            purge=self.calendar.purge_fs,
            workers=self.workers,
        )
        final = by_name[found.final]
        X = X_of[final.name]
        common: dict[str, Any] = {
            "name": CHOSEN,
            "elements": list(self.data.trajectory.elements),
            "features": self.functions.n_functions,
            "target": target.name,
            "n_features": int(X.shape[1]),
            "stride": stride,
        }

        def scored(split: Any, controls: int) -> Evaluation:
            return evaluate_model(
                final.learner,
                X,
                target.values,
                split,
                stride.fs,
                times=target.times,
                min_shift=target.memory,
                n_shifts=controls,
                random_state=seed,
                workers=self.workers,
            )

        whole = clone(final.learner).fit(X, target.values)
        scale = leave_one_out_scale(whole) if hasattr(whole, "block_out_forecast") else None
        # the control costs a fit for each shift and fold: one split of it is enough
        records = [
            model_record(
                "interleaved",
                scored(self.neighbours, n_shifts),
                final.learner,
                final.name,
                **common,
                variance_scale=scale,
                reasons={"variance_scale": NO_POSTERIOR},
            ),
            # the choice itself is scored by nested stretches: the best of many is too good by chance
            model_record("blocked", scored(self.calendar, 0), final.learner, score=found.selected, **common).model_copy(
                update={"note": f"chosen anew without each stretch, of all pairs: {final.name}"}
            ),
        ]
        picks = dict(zip((int(label) for label in np.unique(self.calendar.labels)), found.chosen, strict=True))
        stretches = {}
        for stretch in stretches_of(self.data, self.calendar):
            option = by_name[picks.get(stretch, final.name)]
            train = self.calendar.training(stretch)
            model = clone(option.learner).fit(X_of[option.name][train], target.values[train])
            stretches[stretch] = (model, self._columns(option, target.name))
        return Chosen(
            records, candidate_records(target.name, found), whole, self._columns(final, target.name), stretches, scale
        )

    def _columns(self, option: Option, target: str) -> Callable[[FeatureChunk], Array]:
        """Return the function that turns a chunk into what an option sees; one function for each option and target."""
        key = (option.name, target)
        if key not in self._made:
            at_midpoints = target == "nac" or self.data.hamiltonian.energy_grid == "midpoint"
            representation = option.representation

            def columns(chunk: FeatureChunk) -> Array:
                geometries: Trajectory = chunk.geometries
                frames = representation.of_frames(geometries, self.workers)
                if at_midpoints:
                    return target_columns(target, frames[:-1], frames[1:], geometries.timestep)
                n_frames = chunk.frames.stop - chunk.frames.start
                return frames[:n_frames].reshape(n_frames, -1)

            self._made[key] = columns
        return self._made[key]

    @cached_property
    def _made(self) -> dict[tuple[str, str], Callable[[FeatureChunk], Array]]:
        return {}

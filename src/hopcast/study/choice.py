"""The model of a sparse study that is chosen among representations and learners, without looking at what it is scored on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from hopcast.core.trajectory import Trajectory
from hopcast.descriptors import SymmetryFunctions
from hopcast.evaluation import (
    CalendarSplit,
    Candidate,
    NeighbourSplit,
    NestedSelection,
    evaluate_model,
    nested_selection,
)
from hopcast.evaluation.calibration import leave_one_out_scale
from hopcast.forecast.options import Option, options, trees
from hopcast.forecast.pair import target_columns
from hopcast.forecast.representation import Representation, columns_of_pairs
from hopcast.regression.learner import abilities_of
from hopcast.report import CHOSEN
from hopcast.results.forecasts import CandidateRecord, ModelRecord
from hopcast.results.record import Stride
from hopcast.results.record import Target as TargetName
from hopcast.study.inputs import StudyData
from hopcast.study.scores import NO_POSTERIOR, Subject, candidate_records, model_record
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
        trajectory = self.data.sites
        return (*options(trajectory, self.functions, self.workers), trees(trajectory))

    @cached_property
    def _pairs(self) -> dict[Representation, tuple[Array, Array]]:
        """Columns of both frames of every pair, of each representation."""
        samples = self.data.samples
        assert samples is not None
        return columns_of_pairs(
            (option.representation for option in self.options), self.data.sites, samples.steps, self.workers
        )

    def choose(self, target: Target, stride: Stride, n_shifts: int, seed: int) -> Chosen:
        """Choose for a target; nothing of a held-out stretch is used for what forecasts it."""
        candidates = self._candidates(target.name)
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
        final, X = self._by_name[found.final], X_of[found.final]
        scored = partial(
            evaluate_model,
            final.learner,
            X,
            target.values,
            timestep=stride.fs,
            times=target.times,
            min_shift=target.memory,
            random_state=seed,
            workers=self.workers,
        )
        elements = self.data.sites.elements
        subject = Subject(CHOSEN, elements, self.functions.n_functions, target.name, stride, int(X.shape[1]))
        whole = clone(final.learner).fit(X, target.values)
        scale = leave_one_out_scale(whole) if abilities_of(whole).leaves_blocks_out else None
        # the control costs a fit for each shift and fold: one split of it is enough
        records = [
            model_record(
                subject,
                "interleaved",
                scored(self.neighbours, n_shifts=n_shifts),
                final.learner,
                final.name,
                variance_scale=scale,
                reasons={"variance_scale": NO_POSTERIOR},
            ),
            # the choice itself is scored by nested stretches: the best of many is too good by chance
            model_record(
                subject, "blocked", scored(self.calendar, n_shifts=0), final.learner, score=found.selected
            ).model_copy(update={"note": f"chosen anew without each stretch, of all pairs: {final.name}"}),
        ]
        return Chosen(
            records,
            candidate_records(target.name, found),
            whole,
            self._columns(final, target.name),
            self._without_each(target, found, X_of),
            scale,
        )

    @cached_property
    def _by_name(self) -> dict[str, Option]:
        return {option.name: option for option in self.options}

    def _candidates(self, target: TargetName) -> list[Candidate]:
        """Return what each option sees of the computed pairs."""
        timestep = self.data.trajectory.timestep
        return [
            Candidate(
                option.name, target_columns(target, *self._pairs[option.representation], timestep), option.learner
            )
            for option in self.options
        ]

    def _without_each(
        self, target: Target, found: NestedSelection, X_of: Mapping[str, Array]
    ) -> dict[int, tuple[Any, Callable[[FeatureChunk], Array]]]:
        """Return for each stretch of time the option chosen without it, fitted without it, and what it sees."""
        picks = dict(zip((int(label) for label in np.unique(self.calendar.labels)), found.chosen, strict=True))
        stretches = {}
        for stretch in stretches_of(self.data, self.calendar):
            option = self._by_name[picks.get(stretch, found.final)]
            train = self.calendar.training(stretch)
            model = clone(option.learner).fit(X_of[option.name][train], target.values[train])
            stretches[stretch] = (model, self._columns(option, target.name))
        return stretches

    def _columns(self, option: Option, target: TargetName) -> Callable[[FeatureChunk], Array]:
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

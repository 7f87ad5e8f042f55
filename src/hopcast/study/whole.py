"""Forecasters of whole Hamiltonians as models of a study: the kinds of `hopcast.forecast` that know a window of bands.

They stand beside the regressions with the same scores and the same controls; features of another time become frames of
another time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from hopcast.core.spreading import spread
from hopcast.core.trajectory import Trajectory
from hopcast.evaluation import evaluate_series
from hopcast.evaluation.evaluate import Splitter
from hopcast.forecast.held_out import PairSeries, fit_folds, forecast_steps, pair_of
from hopcast.forecast.protocol import MOST_ATOMS, FittedForecaster, ForecasterKind, list_kinds
from hopcast.results.forecasts import ElementMotion, ModelRecord
from hopcast.results.record import Split, Stride
from hopcast.study.config import StudyConfig
from hopcast.study.inputs import StudyData
from hopcast.study.scores import Subject, model_record
from hopcast.study.stage import Arrays, Context
from hopcast.study.targets import Targets
from hopcast.tightbinding import AtomSlopes

Array = NDArray[Any]

MOST_FRAMES: Final = 2000
"""Frames of a forecast window that are kept, for carriers relaxing through its bands."""


FRAMES_OF_SLOPES: Final = 40
"""Frames in which derivatives by atoms are taken: a tenth of a second each for 20 atoms."""


@dataclass(frozen=True)
class Held:
    """A split of a target, or why there is none."""

    name: Split
    split: Splitter | None
    note: str = ""


@dataclass(frozen=True, eq=False)
class WholeSeries:
    """Gap on the grid of the energies, at mid-points, modulus of the coupling there, eV, and its sign along the trajectory."""

    gap: Array
    middle: Array
    coupling: Array
    sign: Array


@runtime_checkable
class KnowsAtoms(Protocol):
    """A fitted forecaster that says which atoms move gap and coupling."""

    def atom_slopes(
        self, trajectory: Trajectory, frames: NDArray[np.intp], *, workers: int | None = None
    ) -> AtomSlopes:
        """Return derivatives of gap and coupling by the places of the atoms."""


@dataclass(frozen=True, eq=False)
class FittedWhole:
    """A fitted forecaster of a study's window, the steps it learnt from, and the names of its pair of states."""

    forecaster: FittedForecaster
    steps: NDArray[np.intp]
    states: tuple[str, ...]
    on_midpoints: bool
    workers: int | None

    def series(self, geometries: Trajectory) -> WholeSeries:
        """Return gap and coupling along consecutive frames."""
        pair = pair_of(self.forecaster.forecast(geometries, workers=self.workers).hamiltonian, self.states)
        gap = pair.gap()
        middle = 0.5 * (gap[1:] + gap[:-1])
        coupling = pair.coupling()
        sign = np.where(coupling < 0, -1.0, 1.0)
        return WholeSeries(middle if self.on_midpoints else gap, middle, np.abs(coupling), sign)

    def moved_by(self, trajectory: Trajectory) -> dict[str, list[ElementMotion]]:
        """Return whose atoms move gap and coupling, by target; nothing where the forecaster does not know or its gap is of other states."""
        fitted, names = self.forecaster, self.forecaster.state_labels
        edges = names[self.forecaster.n_occupied - 1 : self.forecaster.n_occupied + 1]
        if not isinstance(fitted, KnowsAtoms) or tuple(edges) != tuple(self.states):
            return {}
        frames = self.steps[spread(len(self.steps), FRAMES_OF_SLOPES)]
        slopes = fitted.atom_slopes(trajectory, frames, workers=self.workers)
        symbols = np.array(trajectory.symbols)
        return {
            target: [
                ElementMotion(element=element, share=float(shares[symbols == element].sum()))
                for element in trajectory.elements
            ]
            for target, shares in (("gap", slopes.gap_shares()), ("nac", slopes.coupling_shares()))
        }

    def window(self, trajectory: Trajectory) -> Arrays:
        """Return the window along the first frames, as arrays of a stage."""
        found = self.forecaster.forecast(trajectory[:MOST_FRAMES], workers=self.workers).hamiltonian
        return {"window/energies": found.energies, "window/nac": found.nac}


@dataclass(frozen=True, eq=False)
class Whole:
    """A kind of forecaster in a study: `fit` makes one of some steps, `scored` judges what it said of others."""

    kind: ForecasterKind
    context: Context
    targets: Targets
    stride: Stride

    @property
    def name(self) -> str:
        """Of the kind."""
        return self.kind.name

    @property
    def steps(self) -> NDArray[np.intp]:
        """The known steps."""
        data = self.context.data
        return np.arange(data.hamiltonian.n_steps) if data.samples is None else data.samples.steps

    def fit(self, steps: NDArray[np.intp]) -> FittedWhole:
        """Learn from some of the known steps."""
        data, workers = self.context.data, self.context.workers
        return self._named(self.kind.make(workers).fit(data.trajectory, data.window, steps), steps)

    def fit_folds(self, whole: FittedWhole, folds: Sequence[NDArray[np.intp]]) -> list[FittedWhole]:
        """Learn from the steps of each fold; `whole` learnt from all that train."""
        if len(folds) == 1 and np.array_equal(folds[0], whole.steps):
            return [whole]
        data, workers = self.context.data, self.context.workers
        found = fit_folds(self.kind, whole.forecaster, data.trajectory, data.window, folds, workers)
        return [self._named(one, steps) for one, steps in zip(found, folds, strict=True)]

    def _named(self, fitted: FittedForecaster, steps: NDArray[np.intp]) -> FittedWhole:
        pair = self.context.data.hamiltonian
        return FittedWhole(fitted, steps, pair.state_labels, pair.energy_grid == "midpoint", self.context.workers)

    def fit_split(self, whole: FittedWhole, split: Splitter) -> list[tuple[FittedWhole, NDArray[np.intp]]]:
        """Return a fit to the training steps of each fold, and which of the known steps the fold tests."""
        folds = list(split.split(np.empty((len(self.steps), 1))))
        fitted = self.fit_folds(whole, [self.steps[train] for train, _ in folds])
        return [(one, test) for one, (_, test) in zip(fitted, folds, strict=True)]

    def said(self, folds: Iterable[tuple[FittedWhole, NDArray[np.intp]]]) -> PairSeries:
        """Return what each fit says of its part of the known steps; NaN elsewhere."""
        said = PairSeries(np.full(len(self.steps), np.nan), np.full(len(self.steps), np.nan))
        for one, test in folds:
            found = forecast_steps(
                one.forecaster, self.context.data.trajectory, self.steps[test], one.states, self.context.workers
            )
            for series, values in zip(said, found, strict=True):
                series[test] = values
        return said

    def explained(self, records: list[ModelRecord], whole: FittedWhole) -> list[ModelRecord]:
        """Return records that also say whose atoms move their target."""
        found = whole.moved_by(self.context.data.trajectory)
        return [one.model_copy(update={"moved_by": found.get(one.target, [])}) for one in records]

    def scored(self, held: Held, said: PairSeries) -> list[ModelRecord]:
        """Return the scores of gap and coupling at mid-points beside their controls."""
        assert held.split is not None
        config, data, targets = self.context.config, self.context.data, self.targets
        middle = targets.physics.middle(targets.gap.truth)
        times = (self.steps + 0.5) * data.trajectory.timestep
        folds = list(held.split.split(np.empty((len(times), 1))))
        records = []
        for target, truth, values in ((targets.gap, middle, said.gap), (targets.nac, targets.nac.truth, said.coupling)):
            found = evaluate_series(
                truth,
                values,
                folds,
                targets.spacing,
                min_shift=target.memory,
                n_shifts=config.models.n_shifts,
                times=times,
                random_state=config.seed,
            )
            records.append(
                model_record(
                    Subject(self.name, data.trajectory.elements, None, target.name, self.stride),
                    held.name,
                    found,
                    self.name,
                    "shifted: frames of another time, without a new fit",
                    reasons={"features": "the whole Hamiltonian is learnt, not numbers from features"},
                )
            )
        return records


def able_kinds(config: StudyConfig, data: StudyData) -> list[ForecasterKind]:
    """Return the kinds that are asked for and can learn the window of a study."""
    asked = config.models.hamiltonians
    if asked is None:  # where it is affordable
        asked = data.samples is not None and data.trajectory.n_atoms <= MOST_ATOMS
    if not asked or not set(data.hamiltonian.state_labels) <= set(data.window.state_labels):
        return []
    lower = data.window.state_labels.index(data.hamiltonian.state_labels[0])
    return [
        kind for kind in list_kinds() if kind.takes == "window" and not kind.unable(data.trajectory, data.window, lower)
    ]


def wholes(context: Context, targets: Targets, stride: Stride) -> Iterator[Whole]:
    """Yield every kind that can learn the window."""
    for kind in able_kinds(context.config, context.data):
        context.progress.advance(kind.name)
        yield Whole(kind, context, targets, stride)

"""Forecasters of whole Hamiltonians as models of a study: the kinds of `hopcast.forecast` that know a window of bands.

They stand beside the regressions with the same scores and the same controls; features of another time become frames of
another time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hopcast.core.trajectory import Trajectory
from hopcast.evaluation import evaluate_series
from hopcast.forecast.held_out import PairSeries, held_out_series, pair_of
from hopcast.forecast.protocol import FittedForecaster, ForecasterKind, list_kinds
from hopcast.results.forecasts import ModelRecord
from hopcast.results.record import Stride
from hopcast.study.inputs import StudyData
from hopcast.study.plan import Held
from hopcast.study.scores import model_record
from hopcast.study.stage import Arrays, Context
from hopcast.study.targets import Targets

Array = NDArray[Any]

MOST_FRAMES: Final = 2000
"""Frames of a forecast window that are kept, for carriers relaxing through its bands."""


@dataclass(frozen=True, eq=False)
class WholeSeries:
    """Gap on the grid of the energies, at mid-points, and modulus of the coupling there, eV."""

    gap: Array
    middle: Array
    coupling: Array


@dataclass(frozen=True, eq=False)
class FittedWhole:
    """A fitted forecaster of a study's window, and the names of its pair of states."""

    forecaster: FittedForecaster
    states: tuple[str, ...]
    on_midpoints: bool
    workers: int | None

    def series(self, geometries: Trajectory) -> WholeSeries:
        """Return gap and coupling along consecutive frames."""
        pair = pair_of(self.forecaster.forecast(geometries, workers=self.workers).hamiltonian, self.states)
        gap = pair.gap()
        middle = 0.5 * (gap[1:] + gap[:-1])
        return WholeSeries(middle if self.on_midpoints else gap, middle, np.abs(pair.coupling()))

    def window(self, trajectory: Trajectory) -> Arrays:
        """Return the window along the first frames, as arrays of a stage."""
        found = self.forecaster.forecast(trajectory[:MOST_FRAMES], workers=self.workers).hamiltonian
        return {"window/energies": found.energies, "window/nac": found.nac}


@dataclass(frozen=True, eq=False)
class Whole:
    """A kind of forecaster, scored; `fit` makes one of some steps."""

    kind: ForecasterKind
    data: StudyData
    workers: int | None
    records: tuple[ModelRecord, ...]

    @property
    def name(self) -> str:
        """Of the kind."""
        return self.kind.name

    def fit(self, steps: NDArray[np.intp]) -> FittedWhole:
        """Learn from some of the known steps."""
        data = self.data
        fitted = self.kind.make(self.workers).fit(data.trajectory, data.window, steps)
        on_midpoints = data.hamiltonian.energy_grid == "midpoint"
        return FittedWhole(fitted, data.hamiltonian.state_labels, on_midpoints, self.workers)


def able_kinds(data: StudyData) -> list[ForecasterKind]:
    """Return the kinds that can learn the window of a study."""
    if not set(data.hamiltonian.state_labels) <= set(data.window.state_labels):
        return []
    lower = data.window.state_labels.index(data.hamiltonian.state_labels[0])
    return [
        kind
        for kind in list_kinds()
        if kind.takes == "window" and not kind.unable(data.trajectory, data.window, lower)
    ]


def whole_forecasts(
    context: Context, targets: Targets, splits: tuple[Held, ...], stride: Stride
) -> Iterator[Whole]:
    """Yield every kind that can learn the window, with its scores on splits of the known steps."""
    data, workers = context.data, context.workers
    for kind in able_kinds(data):
        context.progress.advance(kind.name)
        records: list[ModelRecord] = []
        for held in splits:
            if held.split is None:
                continue
            steps = np.arange(data.hamiltonian.n_steps) if data.samples is None else data.samples.steps
            said = held_out_series(
                kind.make(workers), data.trajectory, data.window, data.hamiltonian.state_labels, steps,
                held.split, workers,
            )  # fmt: skip
            records += _records(context, kind, targets, held, steps, said, stride)
        yield Whole(kind, data, workers, tuple(records))


def _records(
    context: Context,
    kind: ForecasterKind,
    targets: Targets,
    held: Held,
    steps: NDArray[np.intp],
    said: PairSeries,
    stride: Stride,
) -> Iterator[ModelRecord]:
    """Yield the scores of gap and coupling at mid-points beside their controls."""
    assert held.split is not None
    config, data = context.config, context.data
    middle = targets.physics.middle(targets.gap.truth)
    times = (steps + 0.5) * data.trajectory.timestep
    for target, truth, values in (("gap", middle, said.gap), ("nac", targets.nac.truth, said.coupling)):
        folds = list(held.split.split(np.empty((len(steps), 1))))
        found = evaluate_series(
            truth, values, folds, targets.spacing, min_shift=getattr(targets, target).memory,
            n_shifts=config.models.n_shifts, times=times, random_state=config.seed,
        )  # fmt: skip
        yield model_record(
            held.name, found, kind.name, "shifted: frames of another time, without a new fit",
            name=kind.name, elements=list(data.trajectory.elements), features=1, target=target, stride=stride,
        )  # fmt: skip

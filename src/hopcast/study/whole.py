"""Forecasters of whole Hamiltonians as models of a study: the kinds of `hopcast.forecast` that know a window of bands.

They stand beside the regressions with the same scores and the same controls; features of another time become frames of
another time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hopcast.core.trajectory import Trajectory
from hopcast.evaluation import evaluate_series
from hopcast.evaluation.evaluate import Splitter
from hopcast.forecast.held_out import PairSeries, forecast_steps, held_out_series, pair_of
from hopcast.forecast.protocol import FittedForecaster, ForecasterKind, list_kinds
from hopcast.results.forecasts import ModelRecord
from hopcast.results.record import Stride
from hopcast.study.config import StudyConfig
from hopcast.study.inputs import StudyData
from hopcast.study.plan import Held
from hopcast.study.scores import Subject, model_record
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
        fitted = self.kind.make(workers).fit(data.trajectory, data.window, steps)
        on_midpoints = data.hamiltonian.energy_grid == "midpoint"
        return FittedWhole(fitted, data.hamiltonian.state_labels, on_midpoints, workers)

    def held_out(self, split: Splitter) -> PairSeries:
        """Forecast every known step by a fit to the others of its fold."""
        data, workers = self.context.data, self.context.workers
        return held_out_series(
            self.kind.make(workers),
            data.trajectory,
            data.window,
            data.hamiltonian.state_labels,
            self.steps,
            split,
            workers,
        )

    def in_stretches(self, stretches: Mapping[int, FittedWhole], labels: NDArray[np.intp]) -> PairSeries:
        """Forecast every known step by the fit that saw nothing of its stretch of time."""
        said = PairSeries(np.full(len(self.steps), np.nan), np.full(len(self.steps), np.nan))
        for stretch in np.unique(labels).tolist():
            inside = labels == stretch
            one = stretches[stretch]
            found = forecast_steps(
                one.forecaster, self.context.data.trajectory, self.steps[inside], one.states, self.context.workers
            )
            for series, values in zip(said, found, strict=True):
                series[inside] = values
        return said

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
                    Subject(self.name, data.trajectory.elements, 1, target.name, self.stride),
                    held.name,
                    found,
                    self.name,
                    "shifted: frames of another time, without a new fit",
                )
            )
        return records


def able_kinds(config: StudyConfig, data: StudyData) -> list[ForecasterKind]:
    """Return the kinds that are asked for and can learn the window of a study."""
    if not config.models.hamiltonians or not set(data.hamiltonian.state_labels) <= set(data.window.state_labels):
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

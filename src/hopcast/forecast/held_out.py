"""What a forecaster of a whole Hamiltonian says of steps it did not learn from, as gap and coupling of two states."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hopcast.core.hamiltonian import VibronicHamiltonian
from hopcast.core.trajectory import Trajectory
from hopcast.descriptors import take_frames
from hopcast.evaluation import score
from hopcast.evaluation.evaluate import Splitter
from hopcast.forecast.pair import midpoint_gap
from hopcast.forecast.protocol import FittedForecaster, ForecasterKind

Array = NDArray[np.float64]


class PairSeries(NamedTuple):
    """Gap and modulus of the coupling of two states at mid-points [n], eV."""

    gap: Array
    coupling: Array


def pair_of(hamiltonian: VibronicHamiltonian, states: tuple[str, ...]) -> VibronicHamiltonian:
    """Return two states of a Hamiltonian by their names."""
    return hamiltonian.select([hamiltonian.state_labels.index(one) for one in states])


def forecast_steps(
    forecaster: FittedForecaster,
    trajectory: Trajectory,
    steps: NDArray[np.intp],
    states: tuple[str, ...],
    workers: int | None = None,
) -> PairSeries:
    """Forecast separate steps of a trajectory: only their own two frames are looked at."""
    ends = np.union1d(steps, steps + 1)
    at = np.searchsorted(ends, steps)
    geometries = dataclasses.replace(take_frames(trajectory, ends), timestep=trajectory.timestep)
    pair = pair_of(forecaster.forecast(geometries, workers=workers).hamiltonian, states)
    return PairSeries(midpoint_gap(pair)[at], np.abs(pair.coupling()[at]))


def fit_folds(
    kind: ForecasterKind,
    whole: FittedForecaster,
    trajectory: Trajectory,
    known: VibronicHamiltonian,
    folds: Sequence[NDArray[np.intp]],
    workers: int | None = None,
) -> list[FittedForecaster]:
    """Return a forecaster for the steps of each fold; `whole` is one of all steps, for kinds that fit many folds at once."""
    if kind.fit_folds is not None:
        return kind.fit_folds(whole, trajectory, known, folds, workers)
    return [kind.make(workers).fit(trajectory, known, steps) for steps in folds]


def held_out_series(
    kind: ForecasterKind,
    whole: FittedForecaster,
    trajectory: Trajectory,
    known: VibronicHamiltonian,
    states: tuple[str, ...],
    steps: NDArray[np.intp],
    split: Splitter,
    workers: int | None = None,
) -> PairSeries:
    """Forecast every step by a fit to the training steps of the fold that holds it out; NaN where none does."""
    found = PairSeries(np.full(len(steps), np.nan), np.full(len(steps), np.nan))
    folds = list(split.split(np.empty((len(steps), 1))))
    fitted = fit_folds(kind, whole, trajectory, known, [steps[train] for train, _ in folds], workers)
    for (_, test), one in zip(folds, fitted, strict=True):
        for series, values in zip(found, forecast_steps(one, trajectory, steps[test], states, workers), strict=True):
            series[test] = values
    return found


def held_out_scores(
    kind: ForecasterKind,
    whole: FittedForecaster,
    trajectory: Trajectory,
    known: VibronicHamiltonian,
    states: tuple[str, ...],
    steps: NDArray[np.intp],
    split: Splitter,
    workers: int | None = None,
) -> dict[str, float]:
    """Return R2 of gap and coupling over the held-out steps."""
    pair = pair_of(known, states)
    found = held_out_series(kind, whole, trajectory, known, states, steps, split, workers)
    tested = np.isfinite(found.gap)
    truth = PairSeries(midpoint_gap(pair)[steps], np.abs(pair.coupling()[steps]))
    return {
        name: score(real[tested], said[tested]).r2
        for name, real, said in zip(("gap", "coupling"), truth, found, strict=True)
    }

"""Units of work of a sampled run, and what their counts make together."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hopcast.dynamics.problem import N_GROUPS, Populations, Problem

Unit = tuple[int, int, int]
"""Start, first and last trajectory of it."""


class Counted(NamedTuple):
    """What the trajectories of a unit did."""

    counts: NDArray[Any]
    """Trajectories in each state [n_groups, n_times, n_states]."""
    hops: NDArray[np.int64]
    """Hops between states [from, to], or of two states their number."""
    arrivals: NDArray[np.int64] | None = None
    """First arrivals in state 0 until each output, by the state they came from [n_times, n_states]; of two states None."""


def units_of(problem: Problem, size: int | None = None) -> list[Unit]:
    """Return the units of a run: at most `size` trajectories of one start each (None: all of a start)."""
    return [
        (i, first, min(first + (size or number), number))
        for i, number in enumerate(problem.starts.n_trajectories.tolist())
        for first in range(0, number, size or max(number, 1))
    ]


def start_of(problem: Problem, i: int) -> tuple[int, int, int]:
    """Return frame, state and key of the random numbers of a start."""
    starts = problem.starts
    return int(starts.frame[i]), int(starts.state[i]), int(starts.key[i])


class Reporter:
    """Counts finished units of work across threads."""

    def __init__(self, problem: Problem, total: int) -> None:
        self.progress, self.total, self.done, self.lock = problem.progress, total, 0, threading.Lock()

    def __call__(self) -> None:
        """Count one more and tell the caller."""
        if self.progress is not None:
            with self.lock:
                self.done += 1
                self.progress(self.done, self.total)


def gather(problem: Problem, units: Sequence[Unit], found: Sequence[Counted]) -> Populations:
    """Return populations from the counts [n_groups, n_times, n_states] of units.

    Groups go round from start to start, so that few trajectories of many starts fill all of them.
    """
    n_times, n_states = problem.output_steps.size, problem.n_states
    before = np.cumsum([0, *problem.starts.n_trajectories])
    counts = np.zeros((N_GROUPS, n_times, n_states), dtype=np.int64)
    excited = np.zeros((problem.initial_steps.size, n_times), dtype=np.int64)
    totals = np.zeros(N_GROUPS, dtype=np.int64)
    at_time = np.zeros(problem.initial_steps.size, dtype=np.int64)
    for (i, first, last), (inside, *_) in zip(units, found, strict=True):
        time = problem.starts.time[i]
        counts += np.roll(inside, before[i] % N_GROUPS, axis=0)
        excited[time] += inside[:, :, 1:].sum(axis=(0, 2))
        at_time[time] += last - first
        totals += np.bincount((np.arange(first, last) + before[i]) % N_GROUPS, minlength=N_GROUPS)
    mean = counts.sum(axis=0) / totals.sum()
    moments = (excited / np.maximum(at_time, 1)[:, None]) @ problem.weights
    flows = np.sum([one.hops for one in found], axis=0)
    arrived = [one.arrivals for one in found if one.arrivals is not None]
    return Populations(
        mean,
        moments,
        counts,
        totals,
        int(flows.sum()),
        flows if flows.ndim else None,
        np.sum(arrived, axis=0) / totals.sum() if arrived else None,
    )


def two_state_counts(problem: Problem, unit: Unit, excited: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the counts of both states from those of the upper one [n_groups, n_times]."""
    members = np.bincount(np.arange(unit[1], unit[2]) % N_GROUPS, minlength=N_GROUPS)
    return np.stack([members[:, None] - excited, excited], axis=2)

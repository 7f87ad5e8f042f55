"""What an event of DISH does: rules that decide from populations alone, for any picture of the amplitudes.

An engine marks the states whose coherence ends and lets `act` decide. It answers with the state to which the amplitudes
collapse (or none), the states to project out, the clocks that begin anew, and the active state.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hopcast.dynamics.arrays import Floats, Ints, leaf
from hopcast.dynamics.loop import boltzmann
from hopcast.dynamics.problem import N_GROUPS, Problem
from hopcast.dynamics.randomness import uniform
from hopcast.dynamics.units import Counted, Unit, start_of

NOTHING_LEFT = 1e-28
"""Weight below which what a projection would leave is rounding: it is not made."""


DUE, REMOVED, RESET, REFUSED = 0, 1, 2, 3
"""Rows of marks [4, n_states]: states whose coherence ends, states to project out, states whose clock begins anew, and the active state
where it stays because a hop was refused."""

Marks = NDArray[np.bool_]
Streams = NDArray[np.uint64]
"""Random numbers of all trajectories [2, n_trajectories]: states above increments."""


class Law(NamedTuple):
    """What decides a run: the Boltzmann factor (1 / eV), the place in `RULES`, whether state 0 keeps what reaches it."""

    beta: float
    rule: int
    absorbing: bool


class Tally(NamedTuple):
    """Where hops are counted."""

    steps: Ints
    """Changes of the number of trajectories [n_groups, n_times + 1, n_states]."""
    flows: Ints
    """Hops ``[from, to]`` [n_states, n_states]."""
    arrivals: Ints
    """First arrivals in state 0 by the state they came from [n_times + 1, n_states]."""
    arrived: NDArray[np.bool_]
    """Whether each trajectory has been in state 0."""
    outputs: Ints
    """Decisions after the start at which populations are wanted [n_times]."""


def open_tally(problem: Problem, unit: Unit, outputs: NDArray[np.int64]) -> Tally:
    """Return a tally for the trajectories of a unit, which holds them in the state where they start."""
    k, n_times, initial = problem.n_states, outputs.size, start_of(problem, unit[0])[1]
    steps = np.zeros((N_GROUPS, n_times + 1, k), dtype=np.int64)
    steps[:, 0, initial] = np.bincount(np.arange(unit[1], unit[2]) % N_GROUPS, minlength=N_GROUPS)
    return Tally(
        steps,
        np.zeros((k, k), dtype=np.int64),
        np.zeros((n_times + 1, k), dtype=np.int64),
        np.full(unit[2], initial == 0),
        outputs,
    )


def read_tally(tally: Tally) -> Counted:
    """Return what was counted: trajectories in each state at each output, hops, and all that has arrived in state 0 so far."""
    return Counted(
        np.cumsum(tally.steps, axis=1)[:, :-1], tally.flows, np.cumsum(tally.arrivals, axis=0, dtype=np.int64)[:-1]
    )


@leaf
def draw(streams: Streams, q: int) -> float:
    """Return the next random number of trajectory `q`."""
    streams[0, q], u = uniform(streams[0, q], streams[1, q])
    return u


@leaf
def act(
    law: Law, p: Floats, norm: float, me: int, energies: Floats, marks: Marks, streams: Streams, q: int
) -> tuple[int, int]:
    """Let the due states act; return (active state, state to which the amplitudes collapse or -1).

    Parameters
    ----------
    law
        Rule and Boltzmann factor.
    p, norm
        Populations [n_states] and their sum; those of states projected out are set to zero.
    me
        Active state.
    energies
        eV [n_states].
    marks
        `DUE` is read, `REMOVED` and `RESET` are written.
    streams, q
        Random numbers and the trajectory that draws.
    """
    for i in range(p.size):
        marks[REMOVED, i], marks[RESET, i], marks[REFUSED, i] = False, False, False
    if law.rule == 0:
        return _measure(p, norm, me, energies, law.beta, marks, streams, q)
    if law.rule == 1:
        _choose(marks, streams, q)
    return _scan(law, p, norm, me, energies, marks, streams, q)


@leaf
def _choose(marks: Marks, streams: Streams, q: int) -> None:
    """Keep one of the due states, each with the same probability."""
    n_due = 0
    for i in range(marks.shape[1]):
        if marks[DUE, i]:
            n_due += 1
    if n_due > 1:
        chosen = int(draw(streams, q) * n_due)
        for i in range(marks.shape[1]):
            if marks[DUE, i]:
                marks[DUE, i] = chosen == 0
                chosen -= 1


@leaf
def _accepted(new: int, me: int, energies: Floats, beta: float, streams: Streams, q: int) -> bool:
    """Whether a hop is accepted: always downwards, with the Boltzmann factor upwards."""
    if energies[new] <= energies[me]:
        return True
    return draw(streams, q) < boltzmann(energies[new], energies[me], beta)


@leaf
def _measure(
    p: Floats, norm: float, me: int, energies: Floats, beta: float, marks: Marks, streams: Streams, q: int
) -> tuple[int, int]:
    """Rule `consistent`: one projective measurement, each of the due states or none of them."""
    u = draw(streams, q) * norm
    found, so_far = -1, 0.0
    for i in range(p.size):
        if marks[DUE, i]:
            marks[RESET, i] = True
            so_far += p[i]
            if u < so_far and found < 0:
                found = i
    rest = norm - so_far
    if found < 0 and not rest > NOTHING_LEFT:
        found = me
    if found >= 0:
        if found != me and not _accepted(found, me, energies, beta, streams, q):
            marks[REFUSED, me], found = True, me
        return found, found
    new = me
    if marks[DUE, me]:  # the active state is projected out: another takes over
        new = _other(p, rest, me, marks, streams, q)
        if not _accepted(new, me, energies, beta, streams, q):
            marks[REFUSED, me] = True
            return me, me
    for i in range(p.size):
        marks[REMOVED, i] = marks[DUE, i]
    return new, -1


@leaf
def _other(p: Floats, rest: float, me: int, marks: Marks, streams: Streams, q: int) -> int:
    """Return a state that is not due, with its share of the populations."""
    u = draw(streams, q) * rest
    new, so_far = me, 0.0
    for i in range(p.size):
        if not marks[DUE, i] and p[i] > 0.0:
            new = i
            so_far += p[i]
            if u < so_far:
                break
    return new


@leaf
def _scan(
    law: Law, p: Floats, norm: float, me: int, energies: Floats, marks: Marks, streams: Streams, q: int
) -> tuple[int, int]:
    """Rules `hefei` and `pyxaid`: due states act in order until one collapses the amplitudes.

    PYXAID leaves the clock of that state running.
    """
    for i in range(p.size):
        if not marks[DUE, i]:
            continue
        if draw(streams, q) * norm < p[i] * boltzmann(energies[i], energies[me], law.beta):
            marks[RESET, i] = law.rule == 1
            return i, i
        marks[RESET, i] = True
        rest = 0.0
        for j in range(p.size):
            rest += p[j] if j != i else 0.0
        if rest > NOTHING_LEFT:
            norm = rest
            p[i] = 0.0
            marks[REMOVED, i] = True
    return me, -1


@leaf
def count_hop(tally: Tally, number: int, elapsed: int, old: int, new: int) -> None:
    """Move trajectory `number` from `old` to `new` in every output at or after `elapsed` decisions."""
    low, high = 0, tally.outputs.size
    while low < high:
        middle = (low + high) // 2
        if tally.outputs[middle] < elapsed:
            low = middle + 1
        else:
            high = middle
    group = number % tally.steps.shape[0]
    tally.steps[group, low, old] -= 1
    tally.steps[group, low, new] += 1
    tally.flows[old, new] += 1
    if new == 0 and not tally.arrived[number]:
        tally.arrived[number] = True
        tally.arrivals[low, old] += 1

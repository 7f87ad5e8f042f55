r"""Deterministic clocks of DISH: every decision is looked at, for many trajectories at once.

Propagators are the same for all trajectories, so these lie in the vector lanes: a decision moves up to 64 of them by one product
of a small matrix with many columns, and another product gives all coherence times. Only a trajectory with a state that
is due is looked at alone. Arithmetic of a decision on sub-steps with real couplings, for each trajectory: rotation
:math:`4k^2`, phases :math:`6k`, populations :math:`3k`, coherence times and norm :math:`2k(k+1)`, clocks :math:`3k`; 612 operations for 9 states,
2680 for 20.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from hopcast.dynamics import loop
from hopcast.dynamics.arrays import Floats, Ints, leaf
from hopcast.dynamics.loop import Kept
from hopcast.dynamics.methods.events import DUE, REMOVED, RESET, Law, Marks, Streams, Tally, act, count_hop
from hopcast.dynamics.propagation import SubstepGrid, split_propagators
from hopcast.dynamics.randomness import open_stream
from hopcast.dynamics.tiles import LANES, multiply

GROUP: Final = 64
"""Trajectories that move together: their amplitudes stay in the first cache."""
BLOCK: Final = 1024
"""Sub-steps between which lanes of trajectories that have ended are given up."""
NEVER: Final = 1e300
"""Clock of a lane without a trajectory."""
FULL: Final = 1.0 - 1e-12
"""Share of a coherence time that counts as all of it."""


class Ticks(NamedTuple):
    """Some steps of the loop: what moves amplitudes from one decision to the next.

    Amplitudes are kept but for a phase of each state: entering, they turn by `enter`; then each decision rotates them
    and, once populations are read, turns them by `turn` (the second half of its own phase and the first of the next).
    """

    enter: NDArray[np.complex128]
    """[n_states]"""
    turn: NDArray[np.complex128]
    """[n, n_states]"""
    rotation: NDArray[np.float64]
    """[n, m, m]: `m` is `n_states` where it is real, else it acts on real parts above imaginary parts."""
    energies: NDArray[np.float64]
    """Before each decision [n, n_states], eV."""


class Clockwork:
    """The loop in blocks of `Ticks`, with a decision each sub-step, or each nuclear step (`stride` = `n_substeps`)."""

    def __init__(self, grid: SubstepGrid, stride: int = 1, workers: int | None = None) -> None:
        self.grid, self.stride = grid, stride
        self.steps = max(1, min(BLOCK, loop.BLOCK) // grid.n_substeps)
        self.firsts = range(0, grid.n_steps, self.steps)
        k = grid.left.shape[1]
        width = 2 * k if stride > 1 or np.iscomplexobj(grid.nac) else k
        n_bytes = 8.0 * grid.n_steps * (grid.n_substeps // stride) * (width * width + 3 * k)
        self.pieces = Kept(self._compute, len(self.firsts), n_bytes, workers)
        self.decisions = self.steps * (grid.n_substeps // stride)
        """Decisions of a block."""

    def _compute(self, number: int) -> Ticks:
        first = self.firsts[number]
        last = min(first + self.steps, self.grid.n_steps)
        k = self.grid.left.shape[1]
        phases, rotations, energies = split_propagators(self.grid, first, last)
        if self.stride > 1:
            whole = _step_propagators(phases, rotations)
            ones = np.ones((last - first, k), dtype=np.complex128)
            return Ticks(ones[0], ones, stacked(whole), energies.mean(axis=1))
        phases = phases.reshape(-1, k)
        turn = phases.copy()
        turn[:-1] *= phases[1:]
        rotation = rotations.reshape(-1, k, k)
        return Ticks(
            phases[0].copy(),
            turn,
            stacked(rotation) if np.iscomplexobj(rotation) else rotation,
            energies.reshape(-1, k),
        )


def stacked(matrices: NDArray[np.complex128]) -> NDArray[np.float64]:
    """Return complex matrices [n, k, k] as real ones [n, 2 k, 2 k] that act on real parts above imaginary parts."""
    upper = np.concatenate([matrices.real, -matrices.imag], axis=2)
    lower = np.concatenate([matrices.imag, matrices.real], axis=2)
    return np.ascontiguousarray(np.concatenate([upper, lower], axis=1))


def _step_propagators(phases: NDArray[np.complex128], rotations: NDArray[np.complex128]) -> NDArray[np.complex128]:
    """Return the product of the sub-steps of each step [n_steps, n_states, n_states]."""
    moves = phases[..., :, None] * rotations * phases[..., None, :]
    whole: NDArray[np.complex128] = moves[:, 0]
    for s in range(1, moves.shape[1]):
        whole = moves[:, s] @ whole
    return whole


class Lanes(NamedTuple):
    """Trajectories side by side [.., n_lanes]; a lane without one has the number -1 and a clock that is never due."""

    x: NDArray[np.float64]
    """Amplitudes, real parts above imaginary parts [2 n_states, n_lanes]."""
    clocks: NDArray[np.float64]
    """Decision at which each state last acted [n_states, n_lanes]."""
    active: NDArray[np.int64]
    number: NDArray[np.int64]
    streams: Streams


def open_lanes(seed: int, key: int, first: int, last: int, n_states: int, initial: int, start: int) -> Lanes:
    """Return lanes that hold trajectories `first` to `last`, all in one state."""
    m = last - first
    n = -(-m // LANES) * LANES
    number = np.where(np.arange(n) < m, first + np.arange(n), -1)
    x, clocks = np.zeros((2 * n_states, n)), np.full((n_states, n), NEVER)
    x[initial, :m], clocks[:, :m] = 1.0, start
    streams = np.zeros((2, n), dtype=np.uint64)
    open_streams(seed, key, number, streams)
    return Lanes(x, clocks, np.full(n, initial, dtype=np.int64), number, streams)


@leaf
def open_streams(seed: int, key: int, number: Ints, streams: Streams) -> None:
    """Open the random numbers of all lanes that hold a trajectory."""
    for q in range(number.size):
        if number[q] >= 0:
            streams[0, q], streams[1, q] = open_stream(seed, key, number[q])


def close_ranks(lanes: Lanes) -> Lanes:
    """Return the lanes without those whose trajectories have ended, where that saves any."""
    alive = np.flatnonzero(lanes.number >= 0)
    n = -(-alive.size // LANES) * LANES
    if n == lanes.number.size:
        return lanes
    ended = np.flatnonzero(lanes.number < 0)[: n - alive.size]
    keep = np.concatenate([alive, ended])
    return Lanes(
        lanes.x[..., keep], lanes.clocks[:, keep], lanes.active[keep], lanes.number[keep], lanes.streams[:, keep]
    )


@njit(cache=True, nogil=True)
def advance(
    ticks: Ticks, first: int, last: int, at: int, start: int, lanes: Lanes, rates: Floats, law: Law, tally: Tally
) -> None:
    """Take all lanes through decisions `first` to `last` of a block; the first of them is number `at` of the run.

    `rates` is the decoherence of pairs from one decision to the next, with a row of ones below [n_states + 1, n_states].
    """
    k = lanes.clocks.shape[0]
    x, moved, clocks = np.empty((2 * k, GROUP)), np.empty((2 * k, GROUP)), np.empty((k, GROUP))
    p, ends, most, due = (np.empty((k, GROUP)), np.empty((k + 1, GROUP)), np.empty(GROUP), np.empty(GROUP, np.int64))
    marks, alone = np.zeros((4, k), np.bool_), np.empty(k)
    active, number, streams = lanes.active, lanes.number, lanes.streams
    for left in range(0, number.size, GROUP):
        w = min(GROUP, number.size - left)
        x[:, :w], clocks[:, :w] = lanes.x[:, left : left + w], lanes.clocks[:, left : left + w]
        turn(x, w, ticks.enter, x)
        for s in range(first, last):
            rotate(ticks.rotation[s], x[:, :w], moved[:, :w])
            _read(moved, w, p)
            turn(moved, w, ticks.turn[s], x)
            multiply(rates, p[:, :w], ends[:, :w])
            now, energies = at + s - first + 1, ticks.energies[s]
            for d in range(find_due(ends, clocks, w, float(now), most, due)):
                q = due[d]
                for i in range(k):
                    alone[i] = p[i, q]
                    marks[DUE, i] = (now - clocks[i, q]) * ends[i, q] >= ends[k, q] * FULL
                me = active[left + q]
                new, collapsed = act(law, alone, ends[k, q], me, energies, marks, streams, left + q)
                _settle(x, clocks, q, now, marks, collapsed)
                if new != me:
                    active[left + q] = new
                    count_hop(tally, number[left + q], now - start, me, new)
                    if law.absorbing and new == 0:
                        number[left + q] = -1
                        x[:, q], clocks[:, q] = 0.0, NEVER
        lanes.x[:, left : left + w], lanes.clocks[:, left : left + w] = x[:, :w], clocks[:, :w]


@leaf
def rotate(rotation: Floats, x: Floats, y: Floats) -> None:
    """Fill `y` with rotated amplitudes: real and imaginary parts alike where the rotation is real."""
    k = x.shape[0] // 2
    if rotation.shape[0] == k:
        multiply(rotation, x[:k], y[:k])
        multiply(rotation, x[k:], y[k:])
    else:
        multiply(rotation, x, y)


@leaf
def _read(y: Floats, w: int, p: Floats) -> None:
    """Fill `p` with the populations of `w` amplitudes `y`."""
    k = p.shape[0]
    for i in range(k):
        real, imag, weight = y[i], y[k + i], p[i]
        for n in range(w):
            weight[n] = real[n] * real[n] + imag[n] * imag[n]


@leaf
def turn(y: Floats, w: int, phases: NDArray[np.complex128], x: Floats) -> None:
    """Fill `x` with `w` amplitudes `y` turned by the phase of each state."""
    k = phases.size
    for i in range(k):
        c, s = phases[i].real, phases[i].imag
        real, imag, out_real, out_imag = y[i], y[k + i], x[i], x[k + i]
        for n in range(w):
            a, b = real[n], imag[n]
            out_real[n] = c * a - s * b
            out_imag[n] = s * a + c * b


@leaf
def find_due(ends: Floats, clocks: Floats, w: int, now: float, most: Floats, due: Ints) -> int:
    """Write the lanes in which a state's clock shows its coherence time to `due`; return their number."""
    k = clocks.shape[0]
    most[:] = 0.0
    for i in range(k):
        rate, clock = ends[i], clocks[i]
        for n in range(w):
            most[n] = max(most[n], (now - clock[n]) * rate[n])
    norm, hits = ends[k], 0
    for n in range(w):
        hits += most[n] >= norm[n] * FULL
    if hits == 0:
        return 0
    hits = 0
    for n in range(w):
        if most[n] >= norm[n] * FULL and most[n] > 0.0:
            due[hits] = n
            hits += 1
    return hits


@leaf
def _settle(x: Floats, clocks: Floats, q: int, now: int, marks: Marks, collapsed: int) -> None:
    """Collapse the amplitudes of column `q`, or take the marked states out of them, and set clocks."""
    k = clocks.shape[0]
    norm = 0.0
    for i in range(k):
        if marks[RESET, i]:
            clocks[i, q] = now
        if collapsed >= 0 or marks[REMOVED, i]:
            x[i, q], x[k + i, q] = 0.0, 0.0
        norm += x[i, q] * x[i, q] + x[k + i, q] * x[k + i, q]
    if collapsed >= 0:
        x[collapsed, q] = 1.0
        return
    scale = 1.0 / np.sqrt(norm)
    for i in range(2 * k):
        x[i, q] *= scale

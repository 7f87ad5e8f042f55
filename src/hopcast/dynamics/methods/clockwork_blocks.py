"""Deterministic clocks of DISH between degenerate blocks: trajectories lie in the vector lanes as in `clockwork`, their copies side by side.

A carrier in a block is carried as one copy of the amplitudes for each partner of its start (`partners`); all copies of a group of trajectories
are columns of one product, and populations are summed over partners and copies before clocks are read.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from hopcast.dynamics.arrays import Floats, Ints, leaf
from hopcast.dynamics.methods.clockwork import FULL, GROUP, NEVER, Lanes, Ticks, find_due, open_streams, rotate, turn
from hopcast.dynamics.methods.events import DUE, RESET, Law, Tally, act, count_hop
from hopcast.dynamics.methods.partners import settle, unpolarise
from hopcast.dynamics.problem import Problem
from hopcast.dynamics.tiles import LANES, multiply
from hopcast.dynamics.units import Unit, start_of


def open_block_lanes(problem: Problem, unit: Unit, start: int) -> Lanes:
    """Return lanes that hold the trajectories of a unit in their first block, all partners alike; `x` is [2 n_partners, n_copies, n_lanes]."""
    _, initial, key = start_of(problem, unit[0])
    first, last, edges = unit[1], unit[2], problem.edges
    m, n_partners = last - first, int(edges[-1])
    n = -(-m // LANES) * LANES
    number = np.where(np.arange(n) < m, first + np.arange(n), -1)
    cr, ci = np.zeros((problem.n_copies, n_partners)), np.zeros((problem.n_copies, n_partners))
    unpolarise(cr, ci, edges[initial], edges[initial + 1])
    x, clocks = np.zeros((2 * n_partners, problem.n_copies, n)), np.full((problem.n_states, n), NEVER)
    x[:n_partners, :, :m], clocks[:, :m] = cr.T[:, :, None], start
    streams = np.zeros((2, n), dtype=np.uint64)
    open_streams(problem.random_state, key, number, streams)
    return Lanes(x, clocks, np.full(n, initial, dtype=np.int64), number, streams)


@njit(cache=True, nogil=True)
def advance_blocks(
    ticks: Ticks,
    first: int,
    last: int,
    at: int,
    start: int,
    lanes: Lanes,
    edges: Ints,
    rates: Floats,
    law: Law,
    tally: Tally,
) -> None:
    """Take all lanes through decisions `first` to `last` of a block of the loop; the first of them is number `at` of the run.

    `rates` is the decoherence of pairs of blocks from one decision to the next, with a row of ones below [n_states + 1, n_states], and the
    energies of `ticks` are those of blocks.
    """
    k, copies, width = lanes.clocks.shape[0], lanes.x.shape[1], lanes.x.shape[0]
    most_lanes = max(GROUP // copies // LANES, 1) * LANES
    x, moved = np.empty((width, copies * most_lanes)), np.empty((width, copies * most_lanes))
    p, ends, clocks = np.empty((k, most_lanes)), np.empty((k + 1, most_lanes)), np.empty((k, most_lanes))
    most, due = np.empty(most_lanes), np.empty(most_lanes, np.int64)
    marks, alone = np.zeros((4, k), np.bool_), np.empty(k)
    cr, ci = np.empty((copies, width // 2)), np.empty((copies, width // 2))
    active, number, streams = lanes.active, lanes.number, lanes.streams
    for left in range(0, number.size, most_lanes):
        w = min(most_lanes, number.size - left)
        n = copies * w
        for c in range(copies):
            x[:, c * w : (c + 1) * w] = lanes.x[:, c, left : left + w]
        clocks[:, :w] = lanes.clocks[:, left : left + w]
        turn(x, n, ticks.enter, x)
        for s in range(first, last):
            rotate(ticks.rotation[s], x[:, :n], moved[:, :n])
            _read_blocks(moved, w, copies, edges, p)
            turn(moved, n, ticks.turn[s], x)
            multiply(rates, p[:, :w], ends[:, :w])
            now = at + s - first + 1
            for d in range(find_due(ends, clocks, w, float(now), most, due)):
                q = due[d]
                for i in range(k):
                    alone[i] = p[i, q]
                    marks[DUE, i] = (now - clocks[i, q]) * ends[i, q] >= ends[k, q] * FULL
                me = active[left + q]
                new, collapsed = act(law, alone, ends[k, q], me, ticks.energies[s], marks, streams, left + q)
                _take(x, q, w, cr, ci)
                settle(cr, ci, edges, marks, collapsed)
                _put(cr, ci, q, w, x)
                for i in range(k):
                    if marks[RESET, i]:
                        clocks[i, q] = now
                if new != me:
                    active[left + q] = new
                    count_hop(tally, number[left + q], now - start, me, new)
                    if law.absorbing and new == 0:
                        number[left + q] = -1
                        clocks[:, q] = NEVER
                        for c in range(copies):
                            x[:, c * w + q] = 0.0
        for c in range(copies):
            lanes.x[:, c, left : left + w] = x[:, c * w : (c + 1) * w]
        lanes.clocks[:, left : left + w] = clocks[:, :w]


@leaf
def _read_blocks(y: Floats, w: int, copies: int, edges: Ints, p: Floats) -> None:
    """Fill `p` with the populations of blocks of `w` trajectories."""
    half = y.shape[0] // 2
    for b in range(p.shape[0]):
        weight = p[b]
        weight[:w] = 0.0
        for i in range(edges[b], edges[b + 1]):
            for c in range(copies):
                real, imag = y[i, c * w : (c + 1) * w], y[half + i, c * w : (c + 1) * w]
                for n in range(w):
                    weight[n] += real[n] * real[n] + imag[n] * imag[n]


@leaf
def _take(x: Floats, q: int, w: int, cr: Floats, ci: Floats) -> None:
    """Copy the amplitudes of trajectory `q` of `w` out of the lanes."""
    for c in range(cr.shape[0]):
        for i in range(cr.shape[1]):
            cr[c, i], ci[c, i] = x[i, c * w + q], x[cr.shape[1] + i, c * w + q]


@leaf
def _put(cr: Floats, ci: Floats, q: int, w: int, x: Floats) -> None:
    """Copy the amplitudes of trajectory `q` of `w` into the lanes."""
    for c in range(cr.shape[0]):
        for i in range(cr.shape[1]):
            x[i, c * w + q], x[cr.shape[1] + i, c * w + q] = cr[c, i], ci[c, i]

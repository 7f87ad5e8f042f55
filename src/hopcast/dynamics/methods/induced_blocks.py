"""Method `dish` for degenerate blocks: events of blocks, amplitudes of all partners."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from hopcast.core.units import KB
from hopcast.dynamics.arrays import Floats, Ints
from hopcast.dynamics.checkpoint import map_units
from hopcast.dynamics.loop import Blocks, apply
from hopcast.dynamics.methods.events import (
    DUE,
    REFUSED,
    REMOVED,
    RESET,
    Law,
    Marks,
    Streams,
    Tally,
    act,
    count_hop,
    draw,
    open_tally,
    read_tally,
)
from hopcast.dynamics.methods.induced import Hazards, mark_one, next_possible
from hopcast.dynamics.methods.partners import population, project, unpolarise
from hopcast.dynamics.problem import RULES, Populations, Problem
from hopcast.dynamics.randomness import open_stream
from hopcast.dynamics.units import Counted, Reporter, Unit, gather, start_of, units_of

_FULL = 1.0 - 1e-12


class Spinors(NamedTuple):
    """Trajectories whose states have partners."""

    xr: NDArray[np.float64]
    """Amplitudes in the picture of the running products [n_trajectories, n_copies, n_partners], real parts."""
    xi: NDArray[np.float64]
    active: NDArray[np.int64]
    following: NDArray[np.int64]
    """Decision at which something may happen next."""
    clocks: NDArray[np.int64]
    """Decision at which each block last acted [n_trajectories, n_states]."""
    number: NDArray[np.int64]
    streams: Streams


class Run(NamedTuple):
    """One initial time: its first and last decision, the first partner of each block (and the end), and how events are waited for."""

    start: int
    end: int
    edges: NDArray[np.int64]
    exponential: bool


def solve(problem: Problem) -> Populations:
    r"""Return sampled populations of DISH between degenerate blocks.

    The rules and the law of `induced`, with populations of blocks, :math:`P_a = \sum_{i\in a}|c_i|^2`: coherence ends at
    :math:`1/\tau_a = \sum_{b\ne a}P_b/\tau_{ab}`; a collapse projects onto the block, a block is projected out as a whole, and after a refused
    hop the active block returns with all partners alike. With blocks of one state this is `induced`.
    """
    n_states, edges = problem.n_states, problem.edges
    rates = np.where(np.isfinite(problem.tau), 1.0 / problem.tau, 0.0) * problem.grid.substep * problem.stride
    np.fill_diagonal(rates, 0.0)
    leave = rates.sum(axis=0)
    hazards = Hazards(rates, leave, float(leave.max()), float(-np.expm1(-leave.max())))
    exponential = problem.waiting == "exponential"
    beta = 0.0 if problem.temperature is None else 1.0 / (KB * problem.temperature)
    law = Law(beta, RULES.index(problem.rule), problem.absorbing)
    per_step = problem.decisions_a_step
    blocks = Blocks(problem.grid, problem.workers, stride=problem.stride)
    n = problem.grid.n_steps * per_step
    units = units_of(problem, problem.chunk_trajectories)
    report = Reporter(problem, len(units))

    def work(unit: Unit) -> Counted:
        (frame, initial, key), m = start_of(problem, unit[0]), unit[2] - unit[1]
        tally = open_tally(problem, unit, problem.output_steps * per_step)
        start = now = frame * per_step
        run = Run(start, start + int(tally.outputs[-1]), edges, exponential)
        x = np.zeros((2, m, problem.n_copies, int(edges[-1])))
        walkers = Spinors(
            x[0],
            x[1],
            np.full(m, initial, dtype=np.int64),
            np.empty(m, np.int64),
            np.full((m, n_states), start, dtype=np.int64),
            np.arange(unit[1], unit[2]),
            np.empty((2, m), dtype=np.uint64),
        )
        block = blocks.at(start)
        inside = start - block.first
        _open(block.products[inside], problem.random_state, key, unit[1], run, hazards, walkers)
        while now < run.end:
            block = blocks.at(now % n)
            base = now - now % n + block.first
            stop = min(base + len(block.energies), run.end)
            energies = problem.state_energies(block.energies)
            _walk(block.products, energies, base, stop, run, hazards, law, walkers, tally)
            now = stop
        report()
        return read_tally(tally)

    return gather(problem, units, map_units(problem, work, units, report))


@njit(cache=True, nogil=True)
def _open(
    product: Floats,
    seed: int,
    key: int,
    first: int,
    run: Run,
    hazards: Hazards,
    walkers: Spinors,
) -> None:
    """Put all trajectories into their first block, all partners alike, and draw their first possible events."""
    width = product.shape[1]
    cr, ci = np.zeros((walkers.xr.shape[1], width)), np.zeros((walkers.xr.shape[1], width))
    for q in range(walkers.active.size):
        walkers.streams[0, q], walkers.streams[1, q] = open_stream(seed, key, first + q)
        me = walkers.active[q]
        unpolarise(cr, ci, run.edges[me], run.edges[me + 1])
        _enter(product, cr, ci, walkers.xr[q], walkers.xi[q])
        walkers.following[q] = _next(run.start, run, hazards, walkers, q)


@njit(cache=True, nogil=True)
def _next(now: int, run: Run, hazards: Hazards, walkers: Spinors, q: int) -> int:
    """Return the decision at which something may happen next, or one beyond the end."""
    if run.exponential:
        return next_possible(now, run.end, hazards.bound, walkers.streams, q)
    found = run.end + 1
    for i in range(hazards.leave.size):
        fastest = hazards.rates[i].max()
        if fastest > 1e-15:
            first = walkers.clocks[q, i] + int(np.ceil(_FULL / fastest))
            found = min(found, max(first, now + 1))
    return found


@njit(cache=True, nogil=True)
def _walk(
    products: Floats,
    energies: Floats,
    base: int,
    stop: int,
    run: Run,
    hazards: Hazards,
    law: Law,
    walkers: Spinors,
    tally: Tally,
) -> None:
    """Take all trajectories to decision `stop`, within the block of the loop that begins at `base`."""
    edges = run.edges
    k, copies, width = edges.size - 1, walkers.xr.shape[1], products.shape[2]
    cr, ci, p = np.zeros((copies, width)), np.zeros((copies, width)), np.zeros(k)
    marks = np.zeros((4, k), np.bool_)
    for q in range(walkers.active.size):
        xr, xi = walkers.xr[q], walkers.xi[q]
        while walkers.following[q] <= stop:
            at = walkers.following[q]
            s = at - base
            norm = _read(products[s], edges, xr, xi, cr, ci, p)
            me = walkers.active[q]
            if run.exponential:
                happens = _happens(p, norm, hazards, marks, walkers.streams, q)
            else:
                happens = _mark_due(p, norm, at, hazards, marks, walkers.clocks[q])
            if happens:
                new, collapsed = act(law, p, norm, me, energies[s - 1], marks, walkers.streams, q)
                for i in range(k):
                    if marks[RESET, i]:
                        walkers.clocks[q, i] = at
                _settle(cr, ci, edges, marks, collapsed)
                _enter(products[s], cr, ci, xr, xi)
                if new != me:
                    walkers.active[q] = new
                    count_hop(tally, walkers.number[q], at - run.start, me, new)
            ended = law.absorbing and walkers.active[q] == 0
            walkers.following[q] = run.end + 1 if ended else _next(at, run, hazards, walkers, q)
        if stop - base == energies.shape[0]:  # the next block begins with products of its own
            _read(products[energies.shape[0]], edges, xr, xi, cr, ci, p)
            scale = 1.0 / np.sqrt(p.sum())
            for r in range(copies):
                for i in range(xr.shape[1]):
                    xr[r, i], xi[r, i] = cr[r, i] * scale, ci[r, i] * scale


@njit(cache=True, nogil=True)
def _read(product: Floats, edges: Ints, xr: Floats, xi: Floats, cr: Floats, ci: Floats, p: Floats) -> float:
    """Fill amplitudes `c` and populations `p` of blocks; return their sum."""
    norm, k = 0.0, xr.shape[1]
    for r in range(xr.shape[0]):
        apply(product[:k], product[k:], xr[r], xi[r], cr[r], ci[r])
    for i in range(p.size):
        p[i] = population(cr, ci, edges[i], edges[i + 1])
        norm += p[i]
    return norm


@njit(cache=True, nogil=True)
def _happens(p: Floats, norm: float, hazards: Hazards, marks: Marks, streams: Streams, q: int) -> bool:
    """Decide whether a possible event happens, and mark the block whose coherence ends."""
    hazard = 0.0
    for i in range(p.size):
        hazard += p[i] * hazards.leave[i]
    hazard /= norm
    if draw(streams, q) * hazards.possible >= -np.expm1(-hazard):
        return False
    mark_one(p, hazard * norm, hazards, marks, streams, q)
    return True


@njit(cache=True, nogil=True)
def _mark_due(p: Floats, norm: float, at: int, hazards: Hazards, marks: Marks, acted: Ints) -> bool:
    """Mark the blocks whose clock shows their coherence time; return whether there are any."""
    found = False
    for i in range(p.size):
        ends = 0.0
        for j in range(p.size):
            ends += hazards.rates[i, j] * p[j]
        marks[DUE, i] = (at - acted[i]) * ends >= norm * _FULL
        found = found or marks[DUE, i]
    return found


@njit(cache=True, nogil=True)
def _settle(cr: Floats, ci: Floats, edges: Ints, marks: Marks, collapsed: int) -> None:
    """Collapse amplitudes to a block, or take the marked blocks out of them."""
    if collapsed >= 0 and marks[REFUSED, collapsed]:
        unpolarise(cr, ci, edges[collapsed], edges[collapsed + 1])
        return
    if collapsed >= 0:
        project(cr, ci, edges[collapsed], edges[collapsed + 1])
        return
    left = 0.0
    for i in range(edges.size - 1):
        for r in range(cr.shape[0]):
            for j in range(edges[i], edges[i + 1]):
                if marks[REMOVED, i]:
                    cr[r, j], ci[r, j] = 0.0, 0.0
                left += cr[r, j] ** 2 + ci[r, j] ** 2
    scale = 1.0 / np.sqrt(left)
    for r in range(cr.shape[0]):
        for j in range(cr.shape[1]):
            cr[r, j] *= scale
            ci[r, j] *= scale


@njit(cache=True, nogil=True)
def _enter(product: Floats, cr: Floats, ci: Floats, xr: Floats, xi: Floats) -> None:
    """Fill `x` with amplitudes `c` in the picture of the running products: the adjoint product."""
    k = xr.shape[1]
    for r in range(xr.shape[0]):
        for j in range(k):
            a, b = 0.0, 0.0
            for i in range(k):
                real, imag = product[j, i], product[k + j, i]
                a += real * cr[r, i] + imag * ci[r, i]
                b += real * ci[r, i] - imag * cr[r, i]
            xr[r, j], xi[r, j] = a, b

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
from hopcast.dynamics.methods.clockwork import Clockwork, close_ranks
from hopcast.dynamics.methods.clockwork_blocks import advance_blocks, open_block_lanes
from hopcast.dynamics.methods.events import (
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
from hopcast.dynamics.methods.induced import Hazards, Run, mark_one, next_possible
from hopcast.dynamics.methods.partners import population, settle, unpolarise
from hopcast.dynamics.problem import RULES, Populations, Problem
from hopcast.dynamics.randomness import open_stream
from hopcast.dynamics.units import Counted, Reporter, Unit, gather, start_of, units_of


class Spinors(NamedTuple):
    """Trajectories whose states have partners."""

    xr: NDArray[np.float64]
    """Amplitudes in the picture of the running products [n_trajectories, n_copies, n_partners], real parts."""
    xi: NDArray[np.float64]
    active: NDArray[np.int64]
    following: NDArray[np.int64]
    """Decision at which something may happen next."""
    number: NDArray[np.int64]
    streams: Streams


class Course(NamedTuple):
    """One initial time: its first and last decision, and the first partner of each block (and the end)."""

    start: int
    end: int
    edges: NDArray[np.int64]


def solve(problem: Problem) -> Populations:
    r"""Return sampled populations of DISH between degenerate blocks.

    The rules and the law of `induced`, with populations of blocks, :math:`P_a = \sum_{i\in a}|c_i|^2`: coherence ends at
    :math:`1/\tau_a = \sum_{b\ne a}P_b/\tau_{ab}`; a collapse projects onto the block, a block is projected out as a whole, and after a refused
    hop the active block returns with all partners alike. With blocks of one state this is `induced`.
    """
    rates = np.where(np.isfinite(problem.tau), 1.0 / problem.tau, 0.0) * problem.grid.substep * problem.stride
    np.fill_diagonal(rates, 0.0)
    beta = 0.0 if problem.temperature is None else 1.0 / (KB * problem.temperature)
    law = Law(beta, RULES.index(problem.rule), problem.absorbing)
    units = units_of(problem, problem.chunk_trajectories)
    report = Reporter(problem, len(units))
    run = (_jumping if problem.waiting == "exponential" else _ticking)(problem, rates, law)

    def work(unit: Unit) -> Counted:
        tally = open_tally(problem, unit, problem.output_steps * problem.decisions_a_step)
        run(unit, tally)
        report()
        return read_tally(tally)

    return gather(problem, units, map_units(problem, work, units, report))


def _ticking(problem: Problem, rates: NDArray[np.float64], law: Law) -> Run:
    """Return what runs units with deterministic clocks."""
    per_step = problem.decisions_a_step
    n = problem.grid.n_steps * per_step
    blocks = Clockwork(problem.grid, problem.stride, problem.workers)
    rates = np.concatenate([rates, np.ones((1, problem.n_states))])

    def run(unit: Unit, tally: Tally) -> None:
        frame, initial, _ = start_of(problem, unit[0])
        start = now = frame * per_step
        end = start + int(tally.outputs[-1])
        lanes = open_block_lanes(problem, unit, start)
        if problem.absorbing and initial == 0:
            return
        while now < end and lanes.number.size > 0:
            number, inside = divmod(now % n, blocks.decisions)
            ticks = blocks.pieces[number]
            ticks = ticks._replace(energies=problem.state_energies(ticks.energies))
            last = min(len(ticks.energies), inside + end - now)
            advance_blocks(ticks, inside, last, now, start, lanes, problem.edges, rates, law, tally)
            lanes = close_ranks(lanes)
            now += last - inside

    return run


def _jumping(problem: Problem, rates: NDArray[np.float64], law: Law) -> Run:
    """Return what runs units with exponential waiting."""
    per_step, edges = problem.decisions_a_step, problem.edges
    n = problem.grid.n_steps * per_step
    leave = rates.sum(axis=0)
    hazards = Hazards(rates, leave, float(leave.max()), float(-np.expm1(-leave.max())))
    blocks = Blocks(problem.grid, problem.workers, stride=problem.stride)

    def run(unit: Unit, tally: Tally) -> None:
        (frame, initial, key), m = start_of(problem, unit[0]), unit[2] - unit[1]
        start = now = frame * per_step
        course = Course(start, start + int(tally.outputs[-1]), edges)
        x = np.zeros((2, m, problem.n_copies, int(edges[-1])))
        walkers = Spinors(
            x[0],
            x[1],
            np.full(m, initial, dtype=np.int64),
            np.empty(m, np.int64),
            np.arange(unit[1], unit[2]),
            np.empty((2, m), dtype=np.uint64),
        )
        block = blocks.at(start)
        inside = start - block.first
        _open(block.products[inside], problem.random_state, key, unit[1], course, hazards, walkers)
        while now < course.end:
            block = blocks.at(now % n)
            base = now - now % n + block.first
            stop = min(base + len(block.energies), course.end)
            energies = problem.state_energies(block.energies)
            _walk(block.products, energies, base, stop, course, hazards, law, walkers, tally)
            now = stop

    return run


@njit(cache=True, nogil=True)
def _open(
    product: Floats,
    seed: int,
    key: int,
    first: int,
    course: Course,
    hazards: Hazards,
    walkers: Spinors,
) -> None:
    """Put all trajectories into their first block, all partners alike, and draw their first possible events."""
    width = product.shape[1]
    cr, ci = np.zeros((walkers.xr.shape[1], width)), np.zeros((walkers.xr.shape[1], width))
    for q in range(walkers.active.size):
        walkers.streams[0, q], walkers.streams[1, q] = open_stream(seed, key, first + q)
        me = walkers.active[q]
        unpolarise(cr, ci, course.edges[me], course.edges[me + 1])
        _enter(product, cr, ci, walkers.xr[q], walkers.xi[q])
        walkers.following[q] = next_possible(course.start, course.end, hazards.bound, walkers.streams, q)


@njit(cache=True, nogil=True)
def _walk(
    products: Floats,
    energies: Floats,
    base: int,
    stop: int,
    course: Course,
    hazards: Hazards,
    law: Law,
    walkers: Spinors,
    tally: Tally,
) -> None:
    """Take all trajectories to decision `stop`, within the block of the loop that begins at `base`."""
    edges = course.edges
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
            if _happens(p, norm, hazards, marks, walkers.streams, q):
                new, collapsed = act(law, p, norm, me, energies[s - 1], marks, walkers.streams, q)
                settle(cr, ci, edges, marks, collapsed)
                _enter(products[s], cr, ci, xr, xi)
                if new != me:
                    walkers.active[q] = new
                    count_hop(tally, walkers.number[q], at - course.start, me, new)
            ended = law.absorbing and walkers.active[q] == 0
            walkers.following[q] = (
                course.end + 1 if ended else next_possible(at, course.end, hazards.bound, walkers.streams, q)
            )
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

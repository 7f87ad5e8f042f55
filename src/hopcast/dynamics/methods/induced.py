"""Method `dish` for any number of states."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from hopcast.core.units import KB
from hopcast.dynamics.arrays import Floats, Ints, leaf
from hopcast.dynamics.checkpoint import map_units
from hopcast.dynamics.loop import Blocks
from hopcast.dynamics.methods import clockwork
from hopcast.dynamics.methods.events import (
    DUE,
    REMOVED,
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
from hopcast.dynamics.problem import RULES, Populations, Problem
from hopcast.dynamics.randomness import open_stream
from hopcast.dynamics.tiles import multiply
from hopcast.dynamics.units import Counted, Reporter, Unit, gather, start_of, units_of

_WINDOW_BYTES = 2**17  # running products of a window stay in the cache while all trajectories pass


def solve(problem: Problem) -> Populations:
    r"""Return sampled populations of DISH.

    With exponential waiting a trajectory is kept as :math:`x = P_s^\dagger c(s)` with the running product `P` of the loop's
    propagators: between events `x` is constant, and nothing is computed. The total hazard
    :math:`R = \sum_j|c_j|^2\sum_ir_{ij}` is at most :math:`R_m = \max_j\sum_ir_{ij}`; possible events come after a geometric number
    of decisions with probability :math:`1-e^{-R_m\delta t}` and happen with the ratio of the two probabilities (thinning;
    P. A. W. Lewis, G. S. Shedler, Nav. Res. Logist. Q. 1979, 26, 403, 10.1002/nav.3800260304). The law is that of visiting
    every decision. With deterministic clocks every decision is visited (`clockwork`).
    """
    rates = np.where(np.isfinite(problem.tau), 1.0 / problem.tau, 0.0) * problem.grid.substep * problem.stride
    np.fill_diagonal(rates, 0.0)
    beta = 0.0 if problem.temperature is None else 1.0 / (KB * problem.temperature)
    units = units_of(problem, problem.chunk_trajectories)
    report = Reporter(problem, len(units))
    law = Law(beta, RULES.index(problem.rule), problem.absorbing)
    run = (_jumping if problem.waiting == "exponential" else _ticking)(problem, rates, law)

    def work(unit: Unit) -> Counted:
        tally = open_tally(problem, unit, problem.output_steps * problem.decisions_a_step)
        run(unit, tally)
        report()
        return read_tally(tally)

    return gather(problem, units, map_units(problem, work, units, report))


Run = Callable[[Unit, Tally], None]
"""Takes the trajectories of a unit through the whole run."""


def _ticking(problem: Problem, rates: NDArray[np.float64], law: Law) -> Run:
    """Return what runs units with deterministic clocks."""
    k, per_step = problem.n_states, problem.decisions_a_step
    n = problem.grid.n_steps * per_step
    blocks = clockwork.Clockwork(problem.grid, problem.stride, problem.workers)
    rates = np.concatenate([rates, np.ones((1, k))])

    def run(unit: Unit, tally: Tally) -> None:
        frame, initial, key = start_of(problem, unit[0])
        start = now = frame * per_step
        end = start + int(tally.outputs[-1])
        lanes = clockwork.open_lanes(problem.random_state, key, unit[1], unit[2], k, initial, start)
        if problem.absorbing and initial == 0:
            return
        while now < end and lanes.number.size > 0:
            number, inside = divmod(now % n, blocks.decisions)
            ticks = blocks.pieces[number]
            last = min(len(ticks.energies), inside + end - now)
            clockwork.advance(ticks, inside, last, now, start, lanes, rates, law, tally)
            lanes = clockwork.close_ranks(lanes)
            now += last - inside

    return run


class Walkers(NamedTuple):
    """Trajectories that jump from event to event."""

    x: NDArray[np.float64]
    """Amplitudes in the picture of the running products, as rows (re, -im) and (im, re) [n_trajectories, 2, 2 n_states]."""
    active: NDArray[np.int64]
    following: NDArray[np.int64]
    """Decision of the next possible event."""
    number: NDArray[np.int64]
    streams: Streams


class Hazards(NamedTuple):
    """Rates at which coherence ends, from one decision to the next."""

    rates: NDArray[np.float64]
    """Of pairs [n_states, n_states]."""
    leave: NDArray[np.float64]
    """All events while a state is alone [n_states]."""
    bound: float
    """The largest of them."""
    possible: float
    """Probability of a possible event."""


class Stretch(NamedTuple):
    """Decisions `now` to `last` of the block of the loop that begins at `base`, in a run from `start` to `end`."""

    base: int
    now: int
    last: int
    start: int
    end: int


class Scratch(NamedTuple):
    """Amplitudes [2, width], populations [n_states] and marks [4, n_states] of the trajectory that is looked at."""

    c: Floats
    p: Floats
    marks: Marks


def _jumping(problem: Problem, rates: NDArray[np.float64], law: Law) -> Run:
    """Return what runs units with exponential waiting."""
    k, per_step = problem.n_states, problem.decisions_a_step
    n = problem.grid.n_steps * per_step
    blocks = Blocks(problem.grid, problem.workers, stride=problem.stride)
    leave = rates.sum(axis=0)
    bound = float(leave.max())
    hazards = Hazards(rates, leave, bound, float(-np.expm1(-bound)))
    law = Law(law.beta, 2 if law.rule > 0 else 0, law.absorbing)  # one state is due: nothing to choose

    def run(unit: Unit, tally: Tally) -> None:
        (frame, initial, key), m = start_of(problem, unit[0]), unit[2] - unit[1]
        start = now = frame * per_step
        end = start + int(tally.outputs[-1])
        walkers = Walkers(
            np.zeros((m, 2, 2 * k)),
            np.full(m, initial, dtype=np.int64),
            np.empty(m, np.int64),
            np.arange(unit[1], unit[2]),
            np.empty((2, m), dtype=np.uint64),
        )
        block = blocks.at(start)
        inside = start - block.first
        _open(block.products[inside], problem.random_state, key, unit[1], start, end, hazards.bound, walkers)
        alive, n_alive = np.arange(m), m
        while now < end and n_alive > 0:
            block = blocks.at(now % n)
            base = now - now % n + block.first
            stop = min(base + len(block.energies), end)
            stretch = Stretch(base, now, stop, start, end)
            n_alive = _jump(block.products, block.energies, stretch, hazards, law, walkers, alive, n_alive, tally)
            now = stop

    return run


@leaf
def next_possible(now: int, end: int, bound: float, streams: Streams, q: int) -> int:
    """Return the decision of the next possible event, or one beyond the end."""
    wait = -np.log(draw(streams, q)) / bound if bound > 0.0 else np.inf
    return now + 1 + int(wait) if wait < end - now else end + 1


@leaf
def _open(
    product: Floats, seed: int, key: int, first: int, start: int, end: int, bound: float, walkers: Walkers
) -> None:
    """Put all trajectories into their first state and draw their first possible events."""
    for q in range(walkers.active.size):
        walkers.streams[0, q], walkers.streams[1, q] = open_stream(seed, key, first + q)
        _collapse(product, walkers.active[q], walkers.x[q])
        walkers.following[q] = next_possible(start, end, bound, walkers.streams, q)


@njit(cache=True, nogil=True)
def _jump(
    products: Floats,
    energies: Floats,
    stretch: Stretch,
    hazards: Hazards,
    law: Law,
    walkers: Walkers,
    alive: Ints,
    n_alive: int,
    tally: Tally,
) -> int:
    """Advance all trajectories along a stretch; return how many live on."""
    base, now, last, start, end = stretch
    k, width = energies.shape[1], products.shape[2]
    window = max(8, _WINDOW_BYTES // (16 * k * width))
    scratch = Scratch(np.zeros((2, width)), np.zeros(k), np.zeros((4, k), np.bool_))
    following = walkers.following
    while now < last and n_alive > 0:
        now = min(now + window, last)
        a = 0
        while a < n_alive:
            q = alive[a]
            gone = False
            while following[q] <= now and not gone:
                at = following[q]
                gone = _visit(products, energies, at - base, at - start, hazards, law, walkers, q, scratch, tally)
                following[q] = next_possible(at, end, hazards.bound, walkers.streams, q)
            if gone:
                n_alive -= 1
                alive[a] = alive[n_alive]
            else:
                a += 1
    if last - base == energies.shape[0]:
        _close(products[energies.shape[0]], walkers.x, alive, n_alive, scratch.c)
    return n_alive


@leaf
def _close(product: Floats, x: Floats, alive: Ints, n_alive: int, c: Floats) -> None:
    """Carry amplitudes over to the next block, which begins with products of its own."""
    for a in range(n_alive):
        q = alive[a]
        multiply(x[q], product, c)
        for i in range(product.shape[0] // 2):
            _set(x[q], i, c[0, i], c[1, i])
        _normalise(x[q])


@leaf
def _visit(
    products: Floats,
    energies: Floats,
    s: int,
    elapsed: int,
    hazards: Hazards,
    law: Law,
    walkers: Walkers,
    q: int,
    scratch: Scratch,
    tally: Tally,
) -> bool:
    """Let a possible event of trajectory `q` happen or not, `s` decisions into a block; return whether it was absorbed."""
    c, p, marks = scratch
    streams, x = walkers.streams, walkers.x[q]
    multiply(x, products[s], c)
    norm, hazard = _read(c, hazards.leave, p)
    if draw(streams, q) * hazards.possible >= -np.expm1(-hazard):
        return False
    mark_one(p, hazard * norm, hazards, marks, streams, q)
    me = walkers.active[q]
    new, collapsed = act(law, p, norm, me, energies[s - 1], marks, streams, q)
    _settle(products[s], c, marks, collapsed, x)
    if new == me:
        return False
    walkers.active[q] = new
    count_hop(tally, walkers.number[q], elapsed, me, new)
    return law.absorbing and new == 0


@leaf
def _read(c: Floats, leave: Floats, p: Floats) -> tuple[float, float]:
    """Fill `p` with populations; return their sum and the hazard of all events."""
    norm, hazard = 0.0, 0.0
    for i in range(p.size):
        p[i] = c[0, i] * c[0, i] + c[1, i] * c[1, i]
        norm += p[i]
        hazard += p[i] * leave[i]
    return norm, hazard / norm


@leaf
def mark_one(p: Floats, total: float, hazards: Hazards, marks: Marks, streams: Streams, q: int) -> None:
    r"""Mark the state whose coherence ends, drawn with the coherence rates of all (their sum is `total`).

    Its partner `j` comes first, with :math:`|c_j|^2\sum_ir_{ij}`, then the state itself with :math:`r_{ij}`.
    """
    u = draw(streams, q) * total
    partner, before, so_far, most = 0, 0.0, 0.0, 0  # counted, not searched: no branch to predict
    for j in range(p.size):
        so_far += p[j] * hazards.leave[j]
        partner += u >= so_far
        before = so_far if u >= so_far else before
        most = j if p[j] > p[most] else most
    if partner == p.size:  # rounding
        partner, before = most, 0.0
    u = (u - before) / p[partner]
    ends, so_far = 0, 0.0
    for i in range(p.size):
        marks[DUE, i] = False
        so_far += hazards.rates[i, partner]
        ends += u >= so_far
    if ends == p.size:
        ends = 0 if partner > 0 else 1
    marks[DUE, ends] = True


@leaf
def _settle(product: Floats, c: Floats, marks: Marks, collapsed: int, x: Floats) -> None:
    """Collapse amplitudes, or take the marked states out of them, in the picture of the running products."""
    if collapsed >= 0:
        _collapse(product, collapsed, x)
        return
    for i in range(marks.shape[1]):
        if marks[REMOVED, i]:
            _remove(product, i, c[0, i], c[1, i], x)
    _normalise(x)


@leaf
def _set(x: Floats, j: int, real: float, imag: float) -> None:
    k = x.shape[1] // 2
    x[0, j], x[0, k + j], x[1, j], x[1, k + j] = real, -imag, imag, real


@leaf
def _collapse(product: Floats, state: int, x: Floats) -> None:
    """Set the amplitudes to one state, in the picture of the running products."""
    k = x.shape[1] // 2
    for j in range(k):
        _set(x, j, product[j, state], -product[k + j, state])


@leaf
def _remove(product: Floats, state: int, a: float, b: float, x: Floats) -> None:
    """Take the component `a` + i `b` of a state out, in the picture of the running products."""
    k = x.shape[1] // 2
    for j in range(k):
        real, imag = product[j, state], product[k + j, state]
        _set(x, j, x[0, j] - a * real - b * imag, x[1, j] - b * real + a * imag)


@leaf
def _normalise(x: Floats) -> None:
    norm = 0.0
    for j in range(x.shape[1]):
        norm += x[0, j] * x[0, j]
    norm = 1.0 / np.sqrt(norm)
    for j in range(x.shape[1]):
        x[0, j] *= norm
        x[1, j] *= norm

"""Methods whose trajectories share their amplitudes: hop probabilities once, hops drawn from event to event."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from hopcast.core.units import KB
from hopcast.dynamics.arrays import Complexes, Floats, leaf
from hopcast.dynamics.checkpoint import map_units
from hopcast.dynamics.loop import Halves, Window, boltzmann, follow
from hopcast.dynamics.methods.events import Tally, count_hop, open_tally, read_tally
from hopcast.dynamics.problem import Populations, Problem
from hopcast.dynamics.randomness import open_stream, spent_at, uniform
from hopcast.dynamics.units import Counted, Reporter, Unit, gather, start_of, units_of

WINDOW: Final = 1024
"""Sub-steps whose hop probabilities are held at a time."""

HopProbabilities = Callable[[Window], NDArray[np.float64]]


@njit(cache=True, nogil=True)
def weight(c: complex) -> float:
    """Return the square of an amplitude's modulus."""
    return float(c.real * c.real + c.imag * c.imag)


def windows(problem: Problem, frame: int) -> Iterator[tuple[int, int, int]]:
    """Yield (steps elapsed, first step, last step) of the windows of a run that starts at a frame."""
    n, end = problem.grid.n_steps, int(problem.output_steps[-1])
    size = max(1, WINDOW // problem.grid.n_substeps)
    elapsed = 0
    while elapsed < end:
        first = (frame + elapsed) % n
        last = min(first + size, n, first + end - elapsed)
        yield elapsed, first, last
        elapsed += last - first


@njit(cache=True, nogil=True)
def block_weight(c: Complexes, first: int, end: int) -> float:
    """Return the sum of the squares of some amplitudes' moduli."""
    total = 0.0
    for i in range(first, end):
        total += weight(c[i])
    return total


def pure_amplitudes(problem: Problem, state: int) -> NDArray[np.complex128]:
    """Return the amplitudes of a start in a state: one row for each partner of a degenerate block [n_copies, n_partners]."""
    first, end = problem.edges[state], problem.edges[state + 1]
    return np.eye(int(problem.edges[-1]), dtype=np.complex128)[first:end]


def amplitudes(
    halves: NDArray[np.complex128], start: NDArray[np.complex128]
) -> tuple[NDArray[np.complex128], NDArray[np.complex128]]:
    r"""Return amplitudes at beginnings, middles and ends of sub-steps, and those to go on with.

    Parameters
    ----------
    halves
        Propagators of half sub-steps [n_substeps, n_partners, n_partners].
    start
        Of each copy [n_copies, n_partners].

    Returns
    -------
    path, last
        [2 * n_substeps + 1, n_partners * n_copies], copies fastest and with the weight :math:`1/\sqrt{n_{copies}}`; and
        [n_copies, n_partners].
    """
    n_copies, n_partners = start.shape
    path = np.empty((n_copies, 2 * len(halves) + 1, n_partners), dtype=np.complex128)
    for copy, one in zip(start, path, strict=True):
        follow(halves, copy, one)
    if n_copies == 1:
        return path[0], path[:, -1]
    together = path.transpose(1, 2, 0).reshape(path.shape[1], -1) / np.sqrt(n_copies)
    return together, path[:, -1]


def run_shared(problem: Problem, hop_probabilities: HopProbabilities) -> Populations:
    r"""Return populations of a method given by its hop probabilities.

    Upward hops are times :math:`e^{-\Delta E/kT}`. A trajectory hops where the accumulated :math:`-\ln(1-\sum_jg_{i\to j})` of its
    active state passes an exponential random number: no sub-step without a hop is visited.
    """
    grid, n_states = problem.grid, problem.n_states
    halves = Halves(grid, problem.workers)
    outputs = problem.output_steps * grid.n_substeps
    n_sub = grid.n_substeps
    beta = 0.0 if problem.temperature is None else 1.0 / (KB * problem.temperature)
    units = units_of(problem)
    report = Reporter(problem, len(units))

    def work(unit: Unit) -> Counted:
        frame, initial, key = start_of(problem, unit[0])
        n = unit[2]
        tally = open_tally(problem, unit, outputs)
        hoppers = Hoppers(
            np.full(n, initial, dtype=np.int64), np.empty(n), np.empty(n, np.uint64), np.empty(n, np.uint64)
        )
        open_hoppers(problem.random_state, key, 0, hoppers)
        c = pure_amplitudes(problem, initial)
        copies, edges = len(c), problem.edges if problem.is_degenerate else None
        for elapsed, first, last in windows(problem, frame):
            size = (last - first) * n_sub
            path, c = amplitudes(halves.of(first, last), c)
            energies, nac = grid.interpolate(first, last)
            window = Window(
                path,
                problem.state_energies(energies.reshape(size, -1)),
                nac.reshape(size, *nac.shape[2:]),
                grid.substep,
                first,
                last,
                n_sub,
                edges,
                copies,
            )
            g = hop_probabilities(window)
            hazard = np.zeros((n_states, size + 1))
            _accept(g, window.energies, beta, hazard)
            _sample(g, hazard, elapsed * n_sub, hoppers, problem.absorbing, tally)
        report()
        return read_tally(tally)

    return gather(problem, units, map_units(problem, work, units, report))


class Hoppers(NamedTuple):
    """Trajectories that hop where an accumulated hazard passes a random number."""

    active: NDArray[np.int64]
    left: NDArray[np.float64]
    """What the hazard of the active state has to reach yet."""
    state: NDArray[np.uint64]
    increment: NDArray[np.uint64]
    """Of the streams of random numbers."""


@njit(cache=True, nogil=True)
def open_hoppers(seed: int, unit: int, first: int, hoppers: Hoppers) -> None:
    """Open the streams of trajectories from number `first` on, and draw their first hazards."""
    _, left, state, increment = hoppers
    for i in range(left.size):
        state[i], increment[i] = open_stream(seed, unit, first + i)
        state[i], u = uniform(state[i], increment[i])
        left[i] = -np.log(u)


@njit(cache=True, nogil=True)
def _accept(g: Floats, energies: Floats, beta: float, hazard: Floats) -> None:
    """Make probabilities of proposed hops those of accepted ones, and accumulate -log(1 - their sum) by state."""
    n, k = energies.shape
    likely = np.empty(k)
    for s in range(n):
        lowest = energies[s].min()
        for i in range(k):
            likely[i] = np.exp(-beta * (energies[s, i] - lowest))
        for i in range(k):
            g[s, i, i] = 0.0
            total = 0.0
            for j in range(k):
                total += g[s, i, j]
            scale = 1.0 / max(total, 1.0)
            inverse = scale / likely[i] if likely[i] > 1e-280 else 0.0  # too high above the lowest for the ratio
            leave = 0.0
            for j in range(k):
                if inverse > 0.0:
                    factor = likely[j] * inverse
                    g[s, i, j] *= factor if factor < scale else scale
                else:
                    g[s, i, j] *= scale * boltzmann(energies[s, j], energies[s, i], beta)
                leave += g[s, i, j]
            hazard[i, s + 1] = hazard[i, s] + hazard_of(leave)


@leaf
def hazard_of(g: float) -> float:
    """Return -log(1 - g)."""
    if g < 1e-3:
        return g * (1.0 + g * (1 / 2 + g * (1 / 3 + g * (1 / 4 + g * (1 / 5)))))
    return -np.log1p(-min(g, 1.0 - 1e-16))


@njit(cache=True, nogil=True)
def _sample(g: Floats, hazard: Floats, elapsed: int, hoppers: Hoppers, absorbing: bool, tally: Tally) -> None:
    size, n_states = g.shape[0], g.shape[1]
    active, left, state, increment = hoppers
    for i in range(left.size):
        position = 0
        while not (absorbing and active[i] == 0):
            h = hazard[active[i]]
            if h[size] - h[position] < left[i]:
                left[i] -= h[size] - h[position]
                break
            target = h[position] + left[i]
            position = spent_at(h, target, position + 1, size)
            row = g[position - 1, active[i]]
            state[i], u = uniform(state[i], increment[i])
            u *= row.sum()
            new, sum_so_far = -1, 0.0
            for j in range(n_states):
                if row[j] > 0.0:
                    new = j
                    sum_so_far += row[j]
                    if u < sum_so_far:
                        break
            state[i], u = uniform(state[i], increment[i])
            left[i] = -np.log(u)
            if new >= 0:
                count_hop(tally, i, elapsed + position, active[i], new)
                active[i] = new

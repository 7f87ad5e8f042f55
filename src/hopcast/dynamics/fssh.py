"""Method `fssh` for two states: fewest switches with the Boltzmann factor, no decoherence."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from hopcast.dynamics.arrays import Complexes, Floats, Ints, leaf
from hopcast.dynamics.checkpoint import map_units
from hopcast.dynamics.maps import boltzmann_factors
from hopcast.dynamics.pair import Batch, Loop, Tally, count_hop, count_start, new_tally
from hopcast.dynamics.problem import N_GROUPS, Populations, Problem
from hopcast.dynamics.propagation import two_state_substeps
from hopcast.dynamics.randomness import open_stream, spent_at, uniform
from hopcast.dynamics.units import Counted, Reporter, Unit, gather, start_of, two_state_counts, units_of

_BLOCK = 2048


def solve(problem: Problem) -> Populations:
    r"""Return sampled populations of fewest-switches surface hopping.

    Under the classical path approximation and without decoherence hops do not act back on the amplitudes, so all
    trajectories of an initial time share them. The flux :math:`2\,\mathrm{Re}(c_i^*c_jd_{ij})`, integrated over a sub-step,
    is the loss of :math:`|c_i|^2` (two states have one channel):
    :math:`g_{i\to j} = \max(0, |c_i|^2_s - |c_i|^2_{s+1})/|c_i|^2_s`, upward times :math:`e^{-\Delta E/kT}`. A trajectory
    hops where the accumulated :math:`-\ln(1-g)` of its active state passes an exponential random number. Without the
    Boltzmann factor populations equal :math:`|c|^2` at any sub-step.
    """
    grid = problem.grid
    a, b, gap = two_state_substeps(grid)
    boltzmann = boltzmann_factors(gap, problem.temperature)
    outputs = problem.output_steps * grid.n_substeps
    units = units_of(problem)
    report = Reporter(problem, len(units))

    loop = Loop(a, b, boltzmann)

    def work(unit: Unit) -> Counted:
        frame, initial, key = start_of(problem, unit[0])
        start = frame * grid.n_substeps
        batch = Batch(start, problem.random_state, key, 0, unit[2], initial, problem.absorbing)
        tally = new_tally(outputs, N_GROUPS)
        hops = _fewest_switches(loop, batch, tally)
        report()
        return Counted(
            two_state_counts(problem, unit, np.cumsum(tally.steps, axis=1)[:, :-1]), np.array(hops, dtype=np.int64)
        )

    return gather(problem, units, map_units(problem, work, units, report))


class _Drawn(NamedTuple):
    """Streams of random numbers, what the active state's accumulated hazard has to reach, and the active states."""

    state: NDArray[np.uint64]
    increment: NDArray[np.uint64]
    left: Floats
    active: Ints


@njit(cache=True, nogil=True)
def _fewest_switches(loop: Loop, batch: Batch, tally: Tally) -> int:
    end = tally.outputs[tally.outputs.size - 1]
    n = batch.last - batch.first
    drawn = _Drawn(np.empty(n, np.uint64), np.empty(n, np.uint64), np.empty(n), np.full(n, batch.state))
    alive = np.arange(n)
    for i in range(n):
        state, increment = open_stream(batch.seed, batch.unit, batch.first + i)
        drawn.state[i], u = uniform(state, increment)
        drawn.increment[i] = increment
        drawn.left[i] = -np.log(u)
        count_start(tally, batch.first + i, batch.state)
    hazard = np.zeros((2, _BLOCK + 1))
    c = np.zeros(2, np.complex128)
    c[batch.state] = 1.0
    hops = 0
    at = batch.start % loop.a.size
    for first in range(0, end, _BLOCK):
        size = min(_BLOCK, end - first)
        at = _accumulate(loop, at, size, c, hazard)
        k = 0
        while k < n:
            gone, more = _draw_hops(alive[k], hazard, size, first, batch, tally, drawn)
            hops += more
            if gone:
                n -= 1
                alive[k] = alive[n]
            else:
                k += 1
        if n == 0:
            break
    return hops


@njit(cache=True, nogil=True)
def _accumulate(loop: Loop, at: int, size: int, c: Complexes, hazard: Floats) -> int:
    """Follow the amplitudes and add up the hazards of both states over `size` sub-steps; return the place after them."""
    n = loop.a.size
    c0, c1 = c[0], c[1]
    n0, n1 = c0.real * c0.real + c0.imag * c0.imag, c1.real * c1.real + c1.imag * c1.imag
    for s in range(size):
        u0 = loop.a[at] * c0 + loop.b[at] * c1
        c1 = loop.a[at].conjugate() * c1 - loop.b[at].conjugate() * c0
        c0 = u0
        m0 = c0.real * c0.real + c0.imag * c0.imag
        m1 = c1.real * c1.real + c1.imag * c1.imag
        # the smaller population has the smaller rounding error
        down = m0 - n0 if n0 < n1 else n1 - m1
        to_lower, to_upper = 0.0, 0.0
        if down > 0.0:
            to_lower = _hazard(down / n1) if n1 > 0.0 else 0.0
        elif down < 0.0:
            to_upper = _hazard(-down / n0 * loop.boltzmann[at]) if n0 > 0.0 else 0.0
        hazard[1, s + 1] = hazard[1, s] + to_lower
        hazard[0, s + 1] = hazard[0, s] + to_upper
        n0, n1 = m0, m1
        at += 1
        if at == n:
            at = 0
    c[0], c[1] = c0, c1
    return at


@leaf
def _draw_hops(
    i: int, hazard: Floats, size: int, elapsed: int, batch: Batch, tally: Tally, drawn: _Drawn
) -> tuple[bool, int]:
    """Let one trajectory hop within a block; return whether it was absorbed, and its number of hops."""
    position, hops = 0, 0
    while True:
        h = hazard[drawn.active[i]]
        if h[size] - h[position] < drawn.left[i]:
            drawn.left[i] -= h[size] - h[position]
            return False, hops
        target = h[position] + drawn.left[i]
        position = spent_at(h, target, position + 1, size)
        drawn.active[i] = 1 - drawn.active[i]
        hops += 1
        count_hop(tally, batch.first + i, elapsed + position, drawn.active[i])
        drawn.state[i], u = uniform(drawn.state[i], drawn.increment[i])
        drawn.left[i] = -np.log(u)
        if batch.absorbing and drawn.active[i] == 0:
            return True, hops


@njit(cache=True, nogil=True)
def _hazard(g: float) -> float:
    if g < 1e-5:
        return g * (1.0 + g * (0.5 + g / 3.0))
    return -np.log(max(1.0 - g, 1e-300))

"""Method `fssh` for two states: fewest switches with the Boltzmann factor, no decoherence."""

from __future__ import annotations

import numpy as np
from numba import njit

from hopcast.dynamics.arrays import Complexes, Floats, Ints
from hopcast.dynamics.checkpoint import map_units
from hopcast.dynamics.jumps import record
from hopcast.dynamics.maps import boltzmann_factors
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

    def work(unit: Unit) -> Counted:
        frame, initial, key = start_of(problem, unit[0])
        steps = np.zeros((N_GROUPS, outputs.size + 1), dtype=np.int64)
        hops = _fewest_switches(
            a,
            b,
            boltzmann,
            frame * grid.n_substeps,
            outputs,
            problem.random_state,
            key,
            unit[2],
            initial,
            problem.absorbing,
            steps,
        )
        report()
        return two_state_counts(problem, unit, np.cumsum(steps, axis=1)[:, :-1]), np.array(hops, dtype=np.int64)

    return gather(problem, units, map_units(problem, work, units, report))


@njit(cache=True, nogil=True)
def _fewest_switches(
    a: Complexes,
    b: Complexes,
    boltzmann: Floats,
    start: int,
    outputs: Ints,
    seed: int,
    unit: int,
    n_trajectories: int,
    initial_state: int,
    absorbing: bool,
    steps: Ints,
) -> int:
    n = a.size
    end = outputs[outputs.size - 1]
    n_groups = steps.shape[0]
    hops = 0
    state = np.empty(n_trajectories, np.uint64)
    increment = np.empty(n_trajectories, np.uint64)
    left = np.empty(n_trajectories)  # what the active state's accumulated hazard has to reach
    active = np.full(n_trajectories, initial_state)
    alive = np.arange(n_trajectories)
    n_alive = n_trajectories
    for i in range(n_trajectories):
        state[i], increment[i] = open_stream(seed, unit, i)
        state[i], u = uniform(state[i], increment[i])
        left[i] = -np.log(u)
        if initial_state == 1:
            steps[i % n_groups, 0] += 1
    hazard = np.zeros((2, _BLOCK + 1))
    c0, c1 = complex(1.0 - initial_state, 0.0), complex(1.0 * initial_state, 0.0)
    n0, n1 = 1.0 - initial_state, 1.0 * initial_state
    at = start % n
    for first in range(0, end, _BLOCK):
        size = min(_BLOCK, end - first)
        for s in range(size):
            u0 = a[at] * c0 + b[at] * c1
            c1 = a[at].conjugate() * c1 - b[at].conjugate() * c0
            c0 = u0
            m0 = c0.real * c0.real + c0.imag * c0.imag
            m1 = c1.real * c1.real + c1.imag * c1.imag
            # the smaller population has the smaller rounding error
            down = m0 - n0 if n0 < n1 else n1 - m1
            to_lower, to_upper = 0.0, 0.0
            if down > 0.0:
                to_lower = _hazard(down / n1) if n1 > 0.0 else 0.0
            elif down < 0.0:
                to_upper = _hazard(-down / n0 * boltzmann[at]) if n0 > 0.0 else 0.0
            hazard[1, s + 1] = hazard[1, s] + to_lower
            hazard[0, s + 1] = hazard[0, s] + to_upper
            n0, n1 = m0, m1
            at += 1
            if at == n:
                at = 0
        k = 0
        while k < n_alive:
            i = alive[k]
            position = 0
            gone = False
            while True:
                h = hazard[active[i]]
                if h[size] - h[position] < left[i]:
                    left[i] -= h[size] - h[position]
                    break
                target = h[position] + left[i]
                position = spent_at(h, target, position + 1, size)
                active[i] = 1 - active[i]
                hops += 1
                record(steps, i % n_groups, outputs, first + position, 1 if active[i] == 1 else -1)
                state[i], u = uniform(state[i], increment[i])
                left[i] = -np.log(u)
                if absorbing and active[i] == 0:
                    gone = True
                    break
            if gone:
                n_alive -= 1
                alive[k] = alive[n_alive]
            else:
                k += 1
        if n_alive == 0:
            break
    return hops


@njit(cache=True, nogil=True)
def _hazard(g: float) -> float:
    if g < 1e-5:
        return g * (1.0 + g * (0.5 + g / 3.0))
    return -np.log(max(1.0 - g, 1e-300))

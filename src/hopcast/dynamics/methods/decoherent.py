"""Methods `msdm` and `ida`: fewest switches with decoherence in every trajectory's own amplitudes."""

from __future__ import annotations

import numpy as np
from numba import njit

from hopcast.core.units import HBAR, KB
from hopcast.dynamics.arrays import Complexes, Floats, Ints
from hopcast.dynamics.checkpoint import map_units
from hopcast.dynamics.loop import boltzmann, half_propagators
from hopcast.dynamics.methods.shared import Counted, Reporter, Unit, gather, record_hop, windows
from hopcast.dynamics.problem import N_GROUPS, Populations, Problem
from hopcast.dynamics.randomness import open_stream, uniform


def solve_msdm(problem: Problem) -> Populations:
    r"""Return sampled populations of fewest switches with decay of mixing.

    After each sub-step the amplitudes of inactive states `i` decay by :math:`e^{-\delta t/\tau_{ia}}` and the active one is
    rescaled to keep the norm.

    References
    ----------
    G. Granucci, M. Persico, J. Chem. Phys. 2007, 126, 134114, 10.1063/1.2715585 (simplified decay of mixing; here with
    pure-dephasing times, as in the modified form used for solids).
    """
    return _run(problem, collapse=False)


def solve_ida(problem: Problem) -> Populations:
    r"""Return sampled populations of fewest switches with instantaneous decoherence at attempted hops.

    A proposed hop is accepted with :math:`\min(1, e^{-\Delta E/kT})`; accepted or not, the amplitudes collapse to the state
    that is active then.

    References
    ----------
    B. R. Nelson, S. Fernandez-Alberti, A. E. Roitberg, S. Tretiak, J. Chem. Phys. 2013, 138, 224111, 10.1063/1.4809568.
    """
    return _run(problem, collapse=True)


def _run(problem: Problem, *, collapse: bool) -> Populations:
    grid, n_states = problem.grid, problem.n_states
    halves = half_propagators(grid, problem.workers)
    decay = np.exp(-grid.substep / problem.tau)
    beta = 0.0 if problem.temperature is None else 1.0 / (KB * problem.temperature)
    outputs = problem.output_steps * grid.n_substeps
    size = min(problem.chunk_trajectories, 250)  # amplitudes of a unit stay in the cache
    units = [
        (i, first, min(first + size, problem.n_trajectories))
        for i in range(problem.initial_steps.size)
        for first in range(0, problem.n_trajectories, size)
    ]
    report = Reporter(problem, len(units))

    def work(unit: Unit) -> Counted:
        i, first, last = unit
        frame = int(problem.initial_steps[i])
        m = last - first
        steps = np.zeros((N_GROUPS, outputs.size + 1, n_states), dtype=np.int64)
        flows = np.zeros((n_states, n_states), dtype=np.int64)
        c = np.zeros((m, n_states), dtype=np.complex128)
        c[:, problem.initial_state] = 1.0
        active = np.full(m, problem.initial_state, dtype=np.int64)
        state, increment, left = np.empty(m, np.uint64), np.empty(m, np.uint64), np.empty(m)
        _open(problem.random_state, frame, first, state, increment, left, active, steps)
        for elapsed, begin, stop in windows(problem, frame):
            energies, nac = grid.interpolate(begin, stop)
            n = (stop - begin) * grid.n_substeps
            _advance(
                halves, begin * grid.n_substeps, energies.reshape(n, n_states),
                nac.reshape(n, n_states, n_states).astype(np.complex128), grid.substep / HBAR, decay, beta,
                collapse, elapsed * grid.n_substeps, outputs, first, c, active, state, increment, left,
                problem.absorbing, steps, flows,
            )  # fmt: skip
        report()
        return np.cumsum(steps, axis=1)[:, :-1], flows

    return gather(problem, units, map_units(problem, work, units, report))


@njit(cache=True, nogil=True)
def _open(
    seed: int, unit: int, first: int, state: Ints, increment: Ints, left: Floats, active: Ints, steps: Ints
) -> None:
    for i in range(left.size):
        state[i], increment[i] = open_stream(seed, unit, first + i)
        state[i], u = uniform(state[i], increment[i])
        left[i] = -np.log(u)
        steps[(first + i) % steps.shape[0], 0, active[i]] += 1


@njit(cache=True, nogil=True)
def _advance(
    halves: Complexes,
    begin: int,
    energies: Floats,
    nac: Complexes,
    h: float,
    decay: Floats,
    beta: float,
    collapse: bool,
    elapsed: int,
    outputs: Ints,
    first: int,
    c: Complexes,
    active: Ints,
    state: Ints,
    increment: Ints,
    left: Floats,
    absorbing: bool,
    steps: Ints,
    flows: Ints,
) -> None:
    n, k = energies.shape
    c0, ch, c1, g = (
        np.empty(k, np.complex128),
        np.empty(k, np.complex128),
        np.empty(k, np.complex128),
        np.empty(k),
    )
    for s in range(n):
        u = halves[begin + s]
        for q in range(c.shape[0]):
            me = active[q]
            if absorbing and me == 0:
                continue
            for i in range(k):
                c0[i] = c[q, i]
            for i in range(k):
                total = complex(0.0, 0.0)
                for j in range(k):
                    total += u[i, j] * c0[j]
                ch[i] = total
            for i in range(k):
                total = complex(0.0, 0.0)
                for j in range(k):
                    total += u[i, j] * ch[j]
                c1[i] = total
            weight = c0[me].real ** 2 + c0[me].imag ** 2
            all_g, allowed = 0.0, 0.0
            for j in range(k):
                flow = 0.0
                if j != me:
                    d = nac[s, me, j]
                    flow = (
                        (c0[me].conjugate() * c0[j] * d).real
                        + 4.0 * (ch[me].conjugate() * ch[j] * d).real
                        + (c1[me].conjugate() * c1[j] * d).real
                    ) / 6.0
                g[j] = max(0.0, 2.0 * h * flow / weight) if weight > 1e-300 else 0.0
                all_g += g[j]
            if all_g > 1.0:
                for j in range(k):
                    g[j] /= all_g
                all_g = 1.0
            if not collapse:  # the factor belongs to the probability; frustrated hops leave no trace
                for j in range(k):
                    g[j] *= boltzmann(energies[s, j], energies[s, me], beta)
                    allowed += g[j]
                all_g = allowed
            new, attempted = me, False
            left[q] += np.log1p(-min(all_g, 1.0 - 1e-16))
            if left[q] <= 0.0:
                attempted = True
                state[q], v = uniform(state[q], increment[q])
                v *= all_g
                so_far = 0.0
                for j in range(k):
                    if g[j] > 0.0:
                        new = j
                        so_far += g[j]
                        if v < so_far:
                            break
                if collapse and energies[s, new] > energies[s, me]:
                    state[q], v = uniform(state[q], increment[q])
                    if v >= boltzmann(energies[s, new], energies[s, me], beta):
                        new = me
                state[q], v = uniform(state[q], increment[q])
                left[q] = -np.log(v)
            if new != me:
                active[q] = new
                record_hop(steps, flows, (first + q) % steps.shape[0], outputs, elapsed + s + 1, me, new)
                me = new
            if collapse:
                for i in range(k):
                    c[q, i] = c1[i]
                if attempted:
                    for i in range(k):
                        c[q, i] = 0.0
                    c[q, me] = 1.0
            else:
                rest = 0.0
                for i in range(k):
                    if i != me:
                        c1[i] *= decay[i, me]
                        rest += c1[i].real ** 2 + c1[i].imag ** 2
                    c[q, i] = c1[i]
                mine = np.sqrt(c1[me].real ** 2 + c1[me].imag ** 2)
                kept = np.sqrt(max(1.0 - rest, 0.0))
                c[q, me] = c1[me] * (kept / mine) if mine > 1e-150 else complex(kept, 0.0)

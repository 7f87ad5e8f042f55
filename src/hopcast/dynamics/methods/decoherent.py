"""Methods `msdm` and `ida`: fewest switches with decoherence in every trajectory's own amplitudes."""

from __future__ import annotations

import numpy as np
from numba import njit

from hopcast.core.units import HBAR, KB
from hopcast.dynamics.arrays import Floats, Ints
from hopcast.dynamics.checkpoint import map_units
from hopcast.dynamics.loop import Halves, apply, boltzmann, pack
from hopcast.dynamics.methods.shared import record_hop, windows
from hopcast.dynamics.problem import N_GROUPS, Populations, Problem
from hopcast.dynamics.randomness import open_stream, uniform
from hopcast.dynamics.units import Counted, Reporter, Unit, gather, start_of, units_of


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
    halves = Halves(grid, problem.workers)
    decay = np.exp(-grid.substep / problem.tau)
    beta = 0.0 if problem.temperature is None else 1.0 / (KB * problem.temperature)
    outputs = problem.output_steps * grid.n_substeps
    units = units_of(problem, min(problem.chunk_trajectories, 250))  # amplitudes of a unit stay in the cache
    report = Reporter(problem, len(units))

    def work(unit: Unit) -> Counted:
        i, first, last = unit
        frame, initial, key = start_of(problem, i)
        m = last - first
        steps = np.zeros((N_GROUPS, outputs.size + 1, n_states), dtype=np.int64)
        flows = np.zeros((n_states, n_states), dtype=np.int64)
        width = -(-n_states // 4) * 4  # whole vector registers
        cr, ci = np.zeros((m, width)), np.zeros((m, width))
        cr[:, initial] = 1.0
        active = np.full(m, initial, dtype=np.int64)
        state, increment, left = np.empty(m, np.uint64), np.empty(m, np.uint64), np.empty(m)
        _open(problem.random_state, key, first, state, increment, left, active, steps)
        for elapsed, begin, stop in windows(problem, frame):
            energies, nac = grid.interpolate(begin, stop)
            n = (stop - begin) * grid.n_substeps
            _advance(
                *pack(halves.of(begin, stop), width),
                energies.reshape(n, n_states), *pack(nac.reshape(n, n_states, n_states).astype(np.complex128), width),
                grid.substep / HBAR, decay, beta, collapse, elapsed * grid.n_substeps, outputs, first, cr, ci, active,
                state, increment, left, problem.absorbing, steps, flows,
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
def _flow(real: Floats, imag: Floats, me: int, dr: Floats, di: Floats, share: float, flow: Floats) -> None:
    """Add `share` times the flow from state `me`, Re(c_me* c_j d_mej), to `flow`; `d` as column `me` of the matrix."""
    a, b = real[me], imag[me]
    for j in range(flow.size):
        xr, xi = a * real[j] + b * imag[j], a * imag[j] - b * real[j]
        # the transpose holds d_jme = -d_mej*
        flow[j] -= share * (xr * dr[j] + xi * di[j])


@njit(cache=True, nogil=True)
def _advance(
    ur: Floats,
    ui: Floats,
    energies: Floats,
    dr: Floats,
    di: Floats,
    h: float,
    decay: Floats,
    beta: float,
    collapse: bool,
    elapsed: int,
    outputs: Ints,
    first: int,
    cr: Floats,
    ci: Floats,
    active: Ints,
    state: Ints,
    increment: Ints,
    left: Floats,
    absorbing: bool,
    steps: Ints,
    flows: Ints,
) -> None:
    n, k = energies.shape
    width = cr.shape[1]
    hr, hi, nr, ni, g = np.empty(width), np.empty(width), np.empty(width), np.empty(width), np.empty(width)
    for s in range(n):
        for q in range(cr.shape[0]):
            me = active[q]
            if absorbing and me == 0:
                continue
            apply(ur[s], ui[s], cr[q], ci[q], hr, hi)
            apply(ur[s], ui[s], hr, hi, nr, ni)
            weight = cr[q, me] ** 2 + ci[q, me] ** 2
            for j in range(width):
                g[j] = 0.0
            if weight > 1e-300:
                share = 2.0 * h / weight / 6.0
                _flow(cr[q], ci[q], me, dr[s, me], di[s, me], share, g)
                _flow(hr, hi, me, dr[s, me], di[s, me], 4.0 * share, g)
                _flow(nr, ni, me, dr[s, me], di[s, me], share, g)
            g[me] = 0.0
            all_g, allowed = 0.0, 0.0
            for j in range(k):
                g[j] = max(0.0, g[j])
                all_g += g[j]
            if all_g > 1.0:
                for j in range(k):
                    g[j] /= all_g
                all_g = 1.0
            if not collapse:  # the factor belongs to the probability; frustrated hops leave no trace
                for j in range(k):
                    if g[j] > 0.0:
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
                    cr[q, i], ci[q, i] = nr[i], ni[i]
                if attempted:
                    for i in range(k):
                        cr[q, i], ci[q, i] = 0.0, 0.0
                    cr[q, me] = 1.0
            else:
                rest = 0.0
                for i in range(k):
                    if i != me:
                        nr[i] *= decay[i, me]
                        ni[i] *= decay[i, me]
                        rest += nr[i] ** 2 + ni[i] ** 2
                    cr[q, i], ci[q, i] = nr[i], ni[i]
                mine = np.sqrt(nr[me] ** 2 + ni[me] ** 2)
                kept = np.sqrt(max(1.0 - rest, 0.0))
                if mine > 1e-150:
                    cr[q, me], ci[q, me] = nr[me] * (kept / mine), ni[me] * (kept / mine)
                else:
                    cr[q, me], ci[q, me] = kept, 0.0

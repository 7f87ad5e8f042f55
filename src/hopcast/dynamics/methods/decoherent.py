"""Methods `msdm` and `ida`: fewest switches with decoherence in every trajectory's own amplitudes."""

from __future__ import annotations

import numpy as np
from numba import njit

from hopcast.core.units import HBAR, KB
from hopcast.dynamics.arrays import Floats, Ints
from hopcast.dynamics.checkpoint import map_units
from hopcast.dynamics.loop import Halves, apply, boltzmann, pack
from hopcast.dynamics.methods.partners import population, project, unpolarise
from hopcast.dynamics.methods.shared import record_hop, windows
from hopcast.dynamics.problem import N_GROUPS, Populations, Problem
from hopcast.dynamics.randomness import open_stream, uniform
from hopcast.dynamics.units import Counted, Reporter, Unit, gather, start_of, units_of


def solve_msdm(problem: Problem) -> Populations:
    r"""Return sampled populations of fewest switches with decay of mixing.

    After each sub-step the amplitudes of inactive states `i` decay by :math:`e^{-\delta t/\tau_{ia}}` and the active one is
    rescaled to keep the norm. Of degenerate blocks all partners decay, or are rescaled, alike.

    References
    ----------
    G. Granucci, M. Persico, J. Chem. Phys. 2007, 126, 134114, 10.1063/1.2715585 (simplified decay of mixing; here with
    pure-dephasing times, as in the modified form used for solids).
    """
    return _run(problem, collapse=False)


def solve_ida(problem: Problem) -> Populations:
    r"""Return sampled populations of fewest switches with instantaneous decoherence at attempted hops.

    A proposed hop is accepted with :math:`\min(1, e^{-\Delta E/kT})`; accepted or not, the amplitudes collapse to the state
    that is active then: within a degenerate block those of the partners keep their ratio after a hop, and are unpolarised after
    a refused one.

    References
    ----------
    B. R. Nelson, S. Fernandez-Alberti, A. E. Roitberg, S. Tretiak, J. Chem. Phys. 2013, 138, 224111, 10.1063/1.4809568.
    """
    return _run(problem, collapse=True)


def _run(problem: Problem, *, collapse: bool) -> Populations:
    grid, n_states, edges = problem.grid, problem.n_states, problem.edges
    n_partners, copies = int(edges[-1]), problem.n_copies
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
        width = -(-n_partners // 4) * 4  # whole vector registers
        cr, ci = np.zeros((m, copies, width)), np.zeros((m, copies, width))
        for q in range(m):
            unpolarise(cr[q], ci[q], edges[initial], edges[initial + 1])
        active = np.full(m, initial, dtype=np.int64)
        state, increment, left = np.empty(m, np.uint64), np.empty(m, np.uint64), np.empty(m)
        _open(problem.random_state, key, first, state, increment, left, active, steps)
        for elapsed, begin, stop in windows(problem, frame):
            energies, nac = grid.interpolate(begin, stop)
            n = (stop - begin) * grid.n_substeps
            _advance(
                *pack(halves.of(begin, stop), width),
                problem.state_energies(energies.reshape(n, n_partners)),
                *pack(nac.reshape(n, n_partners, n_partners).astype(np.complex128), width),
                edges, grid.substep / HBAR, decay, beta, collapse, elapsed * grid.n_substeps, outputs, first, cr, ci, active,
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
    edges: Ints,
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
    copies, width = cr.shape[1], cr.shape[2]
    hr, hi, nr, ni = (
        np.empty((copies, width)),
        np.empty((copies, width)),
        np.empty((copies, width)),
        np.empty((copies, width)),
    )
    flow, g = np.empty(width), np.empty(k)
    for s in range(n):
        for q in range(cr.shape[0]):
            me = active[q]
            if absorbing and me == 0:
                continue
            for r in range(copies):
                apply(ur[s], ui[s], cr[q, r], ci[q, r], hr[r], hi[r])
                apply(ur[s], ui[s], hr[r], hi[r], nr[r], ni[r])
            weight = population(cr[q], ci[q], edges[me], edges[me + 1])
            for j in range(width):
                flow[j] = 0.0
            if weight > 1e-300:
                share = 2.0 * h / weight / 6.0
                for r in range(copies):
                    for p in range(edges[me], edges[me + 1]):
                        _flow(cr[q, r], ci[q, r], p, dr[s, p], di[s, p], share, flow)
                        _flow(hr[r], hi[r], p, dr[s, p], di[s, p], 4.0 * share, flow)
                        _flow(nr[r], ni[r], p, dr[s, p], di[s, p], share, flow)
            for j in range(k):
                g[j] = 0.0
                for i in range(edges[j], edges[j + 1]):
                    g[j] += flow[i]
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
            refused = attempted and new == me
            if new != me:
                active[q] = new
                record_hop(steps, flows, (first + q) % steps.shape[0], outputs, elapsed + s + 1, me, new)
                me = new
            begin, end = edges[me], edges[me + 1]
            if collapse:
                for r in range(copies):
                    for i in range(width):
                        cr[q, r, i], ci[q, r, i] = nr[r, i], ni[r, i]
                if refused:
                    unpolarise(cr[q], ci[q], begin, end)
                elif attempted:
                    project(cr[q], ci[q], begin, end)
            else:
                rest = 0.0
                for j in range(k):
                    for r in range(copies):
                        for i in range(edges[j], edges[j + 1]):
                            if j != me:
                                nr[r, i] *= decay[j, me]
                                ni[r, i] *= decay[j, me]
                                rest += nr[r, i] ** 2 + ni[r, i] ** 2
                            cr[q, r, i], ci[q, r, i] = nr[r, i], ni[r, i]
                mine = np.sqrt(population(nr, ni, begin, end))
                kept = np.sqrt(max(1.0 - rest, 0.0))
                if mine > 1e-150:
                    for r in range(copies):
                        for i in range(begin, end):
                            cr[q, r, i], ci[q, r, i] = nr[r, i] * (kept / mine), ni[r, i] * (kept / mine)
                else:
                    share = kept / np.sqrt(end - begin)
                    for r in range(copies):
                        for i in range(begin, end):
                            cr[q, r, i], ci[q, r, i] = (share if i - begin == r else 0.0), 0.0

"""Methods `msdm` and `ida`: fewest switches with decoherence in every trajectory's own amplitudes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from hopcast.core.units import HBAR, KB
from hopcast.dynamics.arrays import Floats, Ints, leaf
from hopcast.dynamics.checkpoint import map_units
from hopcast.dynamics.loop import Halves, boltzmann, pack
from hopcast.dynamics.methods.events import Tally, count_hop, open_tally, read_tally
from hopcast.dynamics.methods.method import Method
from hopcast.dynamics.methods.partners import population, project, propagate, unpolarise
from hopcast.dynamics.methods.shared import Hoppers, open_hoppers, windows
from hopcast.dynamics.problem import Populations, Problem
from hopcast.dynamics.randomness import uniform
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
    home = np.repeat(np.arange(n_states), np.diff(edges))
    fades = np.where(
        home == np.arange(n_states)[:, None], 1.0, decay[home].T
    )  # decay of each partner by the active state
    outputs = problem.output_steps * grid.n_substeps
    units = units_of(problem, min(problem.chunk_trajectories, 250))  # amplitudes of a unit stay in the cache
    report = Reporter(problem, len(units))

    law = _Law(edges, fades, grid.substep / HBAR, beta, collapse, problem.absorbing)

    def work(unit: Unit) -> Counted:
        i, first, last = unit
        frame, initial, key = start_of(problem, i)
        m = last - first
        tally = open_tally(problem, unit, outputs)
        width = -(-n_partners // 4) * 4  # whole vector registers
        mixed = _Amplitudes(np.zeros((m, copies, width)), np.zeros((m, copies, width)))
        for q in range(m):
            unpolarise(mixed.real[q], mixed.imag[q], edges[initial], edges[initial + 1])
        active = np.full(m, initial, dtype=np.int64)
        hoppers = Hoppers(active, np.empty(m), np.empty(m, np.uint64), np.empty(m, np.uint64))
        open_hoppers(problem.random_state, key, first, hoppers)
        scratch = _Scratch(np.empty((4, copies, width)), np.empty(width), np.empty(n_states))
        for elapsed, begin, stop in windows(problem, frame):
            energies, nac = grid.interpolate(begin, stop)
            n = (stop - begin) * grid.n_substeps
            steps = _Steps(
                *pack(halves.of(begin, stop), width),
                problem.state_energies(energies.reshape(n, n_partners)),
                *pack(nac.reshape(n, n_partners, n_partners).astype(np.complex128), width),
            )
            _advance(steps, law, mixed, hoppers, tally, scratch, elapsed * grid.n_substeps, first)
        report()
        return read_tally(tally)

    return gather(problem, units, map_units(problem, work, units, report))


class _Steps(NamedTuple):
    """Sub-steps: propagators of their halves and couplings, transposed and padded, and energies of the states."""

    ur: Floats
    ui: Floats
    energies: Floats
    dr: Floats
    di: Floats


class _Law(NamedTuple):
    """Edges of the blocks, decay of each partner by the active state, sub-step over hbar, 1/kT, and what attempted hops do."""

    edges: Ints
    fades: Floats
    h: float
    beta: float
    collapse: bool
    absorbing: bool


class _Amplitudes(NamedTuple):
    """Of each trajectory [n_trajectories, n_copies, width]."""

    real: Floats
    imag: Floats


class _Scratch(NamedTuple):
    """Amplitudes at the middle and the end of a sub-step [4, n_copies, width], flows to partners and to states."""

    amplitudes: Floats
    flow: Floats
    g: Floats


@leaf
def _flow(real: Floats, imag: Floats, first: int, end: int, dr: Floats, di: Floats, share: float, flow: Floats) -> None:
    """Add `share` times the flow from the states `first` to `end`, Re(c_me* c_j d_mej) of each, to `flow`; `d` transposed."""
    for r in range(real.shape[0]):
        x, y = real[r], imag[r]
        for me in range(first, end):
            a, b, u, v = x[me], y[me], dr[me], di[me]
            for j in range(flow.size):
                # the transpose holds d_jme = -d_mej*
                flow[j] -= share * ((a * x[j] + b * y[j]) * u[j] + (a * y[j] - b * x[j]) * v[j])


@leaf
def _mix_less(nr: Floats, ni: Floats, first: int, end: int, fade: Floats, cr: Floats, ci: Floats) -> None:
    """Fill `c` with amplitudes `n` of which the inactive ones have decayed by `fade`, the active ones are rescaled."""
    rest = 0.0
    for r in range(nr.shape[0]):
        x, y, u, v = nr[r], ni[r], cr[r], ci[r]
        for i in range(fade.size):
            u[i] = x[i] * fade[i]
            v[i] = y[i] * fade[i]
        for i in range(fade.size):
            if i < first or i >= end:
                rest += u[i] ** 2 + v[i] ** 2
    mine = np.sqrt(population(nr, ni, first, end))
    kept = np.sqrt(max(1.0 - rest, 0.0))
    if mine > 1e-150:
        scale = kept / mine
        for r in range(nr.shape[0]):
            for i in range(first, end):
                cr[r, i], ci[r, i] = nr[r, i] * scale, ni[r, i] * scale
        return
    for r in range(nr.shape[0]):
        for i in range(first, end):
            cr[r, i], ci[r, i] = (kept / np.sqrt(end - first) if i - first == r else 0.0), 0.0


@leaf
def _propose(
    steps: _Steps, s: int, law: _Law, me: int, energies: Floats, mr: Floats, mi: Floats, scratch: _Scratch
) -> float:
    """Fill `g` with the probabilities of hops from the active state, accepted ones where attempts leave no trace; return their sum."""
    g, flow, edges = scratch.g, scratch.flow, law.edges
    hr, hi, nr, ni = scratch.amplitudes[0], scratch.amplitudes[1], scratch.amplitudes[2], scratch.amplitudes[3]
    down, across = steps.dr[s], steps.di[s]
    begin, end = edges[me], edges[me + 1]
    weight = population(mr, mi, begin, end)
    for j in range(flow.size):
        flow[j] = 0.0
    if weight > 1e-300:
        share = 2.0 * law.h / weight / 6.0
        _flow(mr, mi, begin, end, down, across, share, flow)
        _flow(hr, hi, begin, end, down, across, 4.0 * share, flow)
        _flow(nr, ni, begin, end, down, across, share, flow)
    all_g, allowed = 0.0, 0.0
    for j in range(g.size):
        g[j] = 0.0
        for i in range(edges[j], edges[j + 1]):
            g[j] += flow[i]
        g[j] = max(0.0, g[j]) if j != me else 0.0
        all_g += g[j]
    if all_g > 1.0:
        for j in range(g.size):
            g[j] /= all_g
        all_g = 1.0
    if law.collapse:
        return all_g
    for j in range(g.size):  # the factor belongs to the probability; frustrated hops leave no trace
        if g[j] > 0.0:
            g[j] *= boltzmann(energies[j], energies[me], law.beta)
            allowed += g[j]
    return allowed


@leaf
def _attempt(g: Floats, all_g: float, me: int, energies: Floats, law: _Law, hoppers: Hoppers, q: int) -> int:
    """Return the state that is active after an attempted hop, and draw when the next one comes."""
    hoppers.state[q], v = uniform(hoppers.state[q], hoppers.increment[q])
    v *= all_g
    new, so_far = me, 0.0
    for j in range(g.size):
        if g[j] > 0.0:
            new = j
            so_far += g[j]
            if v < so_far:
                break
    if law.collapse and energies[new] > energies[me]:
        hoppers.state[q], v = uniform(hoppers.state[q], hoppers.increment[q])
        if v >= boltzmann(energies[new], energies[me], law.beta):
            new = me
    hoppers.state[q], v = uniform(hoppers.state[q], hoppers.increment[q])
    hoppers.left[q] = -np.log(v)
    return new


@njit(cache=True, nogil=True, _nrt=False)
def _advance(
    steps: _Steps,
    law: _Law,
    mixed: _Amplitudes,
    hoppers: Hoppers,
    tally: Tally,
    scratch: _Scratch,
    elapsed: int,
    first: int,
) -> None:
    edges, active, left = law.edges, hoppers.active, hoppers.left
    hr, hi, nr, ni = scratch.amplitudes[0], scratch.amplitudes[1], scratch.amplitudes[2], scratch.amplitudes[3]
    for s in range(steps.energies.shape[0]):
        real, imag, energies = steps.ur[s], steps.ui[s], steps.energies[s]
        for q in range(active.size):
            me = active[q]
            if law.absorbing and me == 0:
                continue
            mr, mi = mixed.real[q], mixed.imag[q]
            propagate(real, imag, mr, mi, hr, hi)
            propagate(real, imag, hr, hi, nr, ni)
            all_g = _propose(steps, s, law, me, energies, mr, mi, scratch)
            left[q] += np.log1p(-min(all_g, 1.0 - 1e-16))
            attempted, new = left[q] <= 0.0, me
            if attempted:
                new = _attempt(scratch.g, all_g, me, energies, law, hoppers, q)
            refused = attempted and new == me
            if new != me:
                active[q] = new
                count_hop(tally, first + q, elapsed + s + 1, me, new)
                me = new
            if law.collapse:
                for r in range(mr.shape[0]):
                    for i in range(mr.shape[1]):
                        mr[r, i], mi[r, i] = nr[r, i], ni[r, i]
                if refused:
                    unpolarise(mr, mi, edges[me], edges[me + 1])
                elif attempted:
                    project(mr, mi, edges[me], edges[me + 1])
            else:
                _mix_less(nr, ni, edges[me], edges[me + 1], law.fades[me], mr, mi)


METHODS = (
    Method("msdm", "fewest switches with decay of mixing", solve_msdm),
    Method("ida", "fewest switches, collapse at attempted hops", solve_ida),
)

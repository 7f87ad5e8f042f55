"""Method `dish` for any number of states: from one possible event to the next."""

from __future__ import annotations

import numpy as np
from numba import njit

from hopcast.core.units import KB
from hopcast.dynamics.arrays import Floats, Ints
from hopcast.dynamics.checkpoint import map_units
from hopcast.dynamics.loop import Blocks, apply, boltzmann
from hopcast.dynamics.methods.shared import record_hop
from hopcast.dynamics.problem import N_GROUPS, RULES, Populations, Problem
from hopcast.dynamics.randomness import open_stream, uniform
from hopcast.dynamics.units import Counted, Reporter, Unit, gather, start_of, units_of

_WINDOW_BYTES = 2**17  # running products of a window stay in the cache while all trajectories pass


def solve(problem: Problem) -> Populations:
    r"""Return sampled populations of DISH.

    A trajectory is kept as :math:`x = P_s^\dagger c(s)` with the running product `P` of the loop's propagators: between
    events `x` is constant, and nothing is computed. With exponential waiting the total hazard
    :math:`R = \sum_j|c_j|^2\sum_ir_{ij}` is at most :math:`R_m = \max_j\sum_ir_{ij}`; possible events come after a geometric number
    of sub-steps with probability :math:`1-e^{-R_m\delta t}` and happen with the ratio of the two probabilities (thinning;
    P. A. W. Lewis, G. S. Shedler, Nav. Res. Logist. Q. 1979, 26, 403, 10.1002/nav.3800260304). With deterministic clocks
    nothing is due before the first clock shows :math:`1/\max_jr_{ij}`. Either way the law is that of visiting every sub-step.
    """
    grid, n_states = problem.grid, problem.n_states
    blocks = Blocks(grid, problem.workers)
    rates = np.where(np.isfinite(problem.tau), 1.0 / problem.tau, 0.0) * grid.substep
    np.fill_diagonal(rates, 0.0)
    leave = rates.sum(axis=0)  # hazard of all events while a state is alone
    with np.errstate(divide="ignore"):
        soonest = 1.0 / rates.max(axis=1)  # shortest coherence of each state, sub-steps
    beta = 0.0 if problem.temperature is None else 1.0 / (KB * problem.temperature)
    outputs = problem.output_steps * grid.n_substeps
    n = grid.n_steps * grid.n_substeps
    exponential = problem.waiting == "exponential"
    units = units_of(problem, problem.chunk_trajectories)
    report = Reporter(problem, len(units))

    def work(unit: Unit) -> Counted:
        i, first, last = unit
        (frame, initial, key), m = start_of(problem, i), last - first
        start = frame * grid.n_substeps
        end = start + int(outputs[-1])
        steps = np.zeros((N_GROUPS, outputs.size + 1, n_states), dtype=np.int64)
        flows = np.zeros((n_states, n_states), dtype=np.int64)
        state, increment = np.empty(m, np.uint64), np.empty(m, np.uint64)
        active, following = np.full(m, initial, dtype=np.int64), np.empty(m, np.int64)
        xr, xi = np.zeros((m, n_states)), np.zeros((m, n_states))
        clocks, alive = np.full((m, n_states), start, dtype=np.int64), np.arange(m)
        block = blocks.at(start)
        _open(
            block.real[start - block.first], block.imag[start - block.first], leave, soonest, start, end,
            problem.random_state, key, first, initial, exponential, state, increment, xr, xi, following, steps,
        )  # fmt: skip
        now, n_alive = start, m
        while now < end and n_alive > 0:
            block = blocks.at(now % n)
            base = now - now % n + block.first
            stop = min(base + len(block.energies), end)
            n_alive = _walk(
                block.real, block.imag, block.energies, base, now, stop, rates, leave, soonest, beta, start, end,
                outputs, first, problem.absorbing, RULES.index(problem.rule), exponential, state, increment, active, xr, xi,
                following, clocks, alive, n_alive, steps, flows,
            )  # fmt: skip
            now = stop
        report()
        return np.cumsum(steps, axis=1)[:, :-1], flows

    return gather(problem, units, map_units(problem, work, units, report))


@njit(cache=True, nogil=True)
def _open(
    real: Floats,
    imag: Floats,
    leave: Floats,
    soonest: Floats,
    start: int,
    end: int,
    seed: int,
    unit: int,
    first: int,
    initial_state: int,
    exponential: bool,
    state: Ints,
    increment: Ints,
    xr: Floats,
    xi: Floats,
    following: Ints,
    steps: Ints,
) -> None:
    """Put all trajectories into their first state and draw their first possible events."""
    bound, earliest = leave.max(), soonest.min() * (1 - 1e-12)
    per_wait = -1.0 / bound if bound > 0.0 else -np.inf
    far = end + 1
    for q in range(state.size):
        state[q], increment[q] = open_stream(seed, unit, first + q)
        steps[(first + q) % steps.shape[0], 0, initial_state] += 1
        for j in range(xr.shape[1]):
            xr[q, j], xi[q, j] = real[j, initial_state], -imag[j, initial_state]
        if exponential:
            state[q], u = uniform(state[q], increment[q])
            wait = np.log(u) * per_wait
            following[q] = start + 1 + int(wait) if wait < end - start else far
        else:
            following[q] = min(start + max(1, int(np.ceil(min(earliest, 1e15)))), far)


@njit(cache=True, nogil=True)
def _walk(
    real: Floats,
    imag: Floats,
    energies: Floats,
    base: int,
    now: int,
    last: int,
    rates: Floats,
    leave: Floats,
    soonest: Floats,
    beta: float,
    start: int,
    end: int,
    outputs: Ints,
    first: int,
    absorbing: bool,
    rule: int,
    exponential: bool,
    state: Ints,
    increment: Ints,
    active: Ints,
    xr: Floats,
    xi: Floats,
    following: Ints,
    clocks: Ints,
    alive: Ints,
    n_alive: int,
    steps: Ints,
    flows: Ints,
) -> int:
    """Advance all trajectories from sub-step `now` to `last`, within the block that begins at `base`; return how many live on."""
    k, width = real.shape[1], real.shape[2]
    n_groups = steps.shape[0]
    bound = leave.max()
    possible = -np.expm1(-bound)
    per_wait = -1.0 / bound if bound > 0.0 else -np.inf
    window = max(8, _WINDOW_BYTES // (16 * k * width))
    cr, ci, p = np.zeros(width), np.zeros(width), np.zeros(width)
    due = np.zeros(k, np.bool_)
    far = end + 1
    while now < last and n_alive > 0:
        stop = min(now + window, last)
        a = 0
        while a < n_alive:
            q = alive[a]
            gone = False
            while following[q] <= stop:
                at = following[q]
                s = at - base
                apply(real[s], imag[s], xr[q], xi[q], cr, ci)
                norm = 0.0
                for i in range(k):
                    p[i] = cr[i] * cr[i] + ci[i] * ci[i]
                    norm += p[i]
                me = active[q]
                changed, collapsed = False, -1
                if exponential:
                    hazard = 0.0
                    for i in range(k):
                        hazard += p[i] * leave[i]
                    hazard /= norm
                    state[q], u = uniform(state[q], increment[q])
                    if u * possible < -np.expm1(-hazard):
                        # the state whose coherence ends
                        state[q], u = uniform(state[q], increment[q])
                        u *= hazard * norm
                        i, so_far = 0, 0.0
                        for j in range(k):
                            for o in range(k):
                                so_far += rates[j, o] * p[o]
                            i = j
                            if u < so_far:
                                break
                        for j in range(k):
                            due[j] = False
                        due[i] = True
                        changed = True
                else:
                    n_due = 0
                    for i in range(k):
                        ends = 0.0
                        for o in range(k):
                            ends += rates[i, o] * p[o]
                        due[i] = (at - clocks[q, i]) * ends >= norm * (1 - 1e-12)
                        n_due += due[i]
                    if n_due > 0:
                        changed = True
                        if rule == 1 and n_due > 1:  # one acts, in random order
                            state[q], u = uniform(state[q], increment[q])
                            chosen = int(u * n_due)
                            for i in range(k):
                                if due[i]:
                                    due[i] = chosen == 0
                                    chosen -= 1
                new = me
                if changed and rule == 0:
                    # one projective measurement: each of the due states, or none of them
                    state[q], u = uniform(state[q], increment[q])
                    u *= norm
                    so_far = 0.0
                    for i in range(k):
                        if due[i]:
                            if not exponential:
                                clocks[q, i] = at
                            so_far += p[i]
                            if u < so_far and collapsed < 0:
                                collapsed = i
                    rest = norm - so_far
                    if collapsed < 0 and not rest > 1e-28:
                        collapsed = me
                    if collapsed >= 0:
                        if collapsed != me:
                            new = collapsed
                            if energies[s - 1, new] > energies[s - 1, me]:
                                state[q], u = uniform(state[q], increment[q])
                                if u >= boltzmann(energies[s - 1, new], energies[s - 1, me], beta):
                                    new = me
                            collapsed = new
                    elif due[me]:
                        # the active state is projected out: another takes over
                        state[q], u = uniform(state[q], increment[q])
                        u *= rest
                        so_far = 0.0
                        for i in range(k):
                            if not due[i] and p[i] > 0.0:
                                new = i
                                so_far += p[i]
                                if u < so_far:
                                    break
                        if energies[s - 1, new] > energies[s - 1, me]:
                            state[q], u = uniform(state[q], increment[q])
                            if u >= boltzmann(energies[s - 1, new], energies[s - 1, me], beta):
                                new = me
                                collapsed = me
                    if collapsed < 0:
                        for i in range(k):
                            if due[i]:
                                _remove(real, imag, s, i, cr, ci, xr, xi, q)
                        _normalise(xr, xi, q)
                elif changed:
                    for i in range(k):
                        if not due[i]:
                            continue
                        if collapsed >= 0:  # amplitudes have changed within this scan: is it still due?
                            ends = rates[i, collapsed]
                        else:
                            ends = 0.0
                            for o in range(k):
                                ends += rates[i, o] * p[o]
                            ends /= norm
                        if not exponential:
                            if (at - clocks[q, i]) * ends < 1 - 1e-12:
                                continue
                            clocks[q, i] = at
                        share = p[i] / norm
                        if collapsed >= 0:
                            share = 1.0 if collapsed == i else 0.0
                        state[q], u = uniform(state[q], increment[q])
                        if u < share * boltzmann(energies[s - 1, i], energies[s - 1, new], beta):
                            collapsed, new = i, i
                        elif collapsed < 0 and norm - p[i] > 1e-28:
                            _remove(real, imag, s, i, cr, ci, xr, xi, q)
                            norm -= p[i]
                            p[i], cr[i], ci[i] = 0.0, 0.0, 0.0
                    if collapsed < 0:
                        _normalise(xr, xi, q)
                if collapsed >= 0:
                    for j in range(k):
                        xr[q, j], xi[q, j] = real[s, j, collapsed], -imag[s, j, collapsed]
                if new != me:
                    active[q] = new
                    record_hop(steps, flows, (first + q) % n_groups, outputs, at - start, me, new)
                    if absorbing and new == 0:
                        gone = True
                        break
                if exponential:
                    state[q], u = uniform(state[q], increment[q])
                    wait = np.log(u) * per_wait
                    following[q] = at + 1 + int(wait) if wait < end - at else far
                else:
                    following[q] = far
                    for i in range(k):
                        if soonest[i] < 1e15:
                            first_due = clocks[q, i] + int(np.ceil(soonest[i] * (1 - 1e-12)))
                            following[q] = min(following[q], max(first_due, at + 1))
            if gone:
                n_alive -= 1
                alive[a] = alive[n_alive]
            else:
                a += 1
        now = stop
    if last - base == energies.shape[0]:  # the next block begins with products of its own
        for a in range(n_alive):
            q = alive[a]
            apply(real[energies.shape[0]], imag[energies.shape[0]], xr[q], xi[q], cr, ci)
            for i in range(k):
                xr[q, i], xi[q, i] = cr[i], ci[i]
            _normalise(xr, xi, q)
    return n_alive


@njit(cache=True, nogil=True)
def _remove(
    real: Floats, imag: Floats, s: int, i: int, cr: Floats, ci: Floats, xr: Floats, xi: Floats, q: int
) -> None:
    """Take the component of state `i` out of vector `q` in the picture of the running products."""
    a, b = cr[i], ci[i]
    for j in range(xr.shape[1]):
        # c_i times the conjugate of row i
        xr[q, j] -= a * real[s, j, i] + b * imag[s, j, i]
        xi[q, j] -= b * real[s, j, i] - a * imag[s, j, i]


@njit(cache=True, nogil=True)
def _normalise(xr: Floats, xi: Floats, q: int) -> None:
    norm = 0.0
    for j in range(xr.shape[1]):
        norm += xr[q, j] * xr[q, j] + xi[q, j] * xi[q, j]
    norm = 1.0 / np.sqrt(norm)
    for j in range(xr.shape[1]):
        xr[q, j] *= norm
        xi[q, j] *= norm

"""Method `dish` for two states: decoherence-induced surface hopping, from event to event."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from hopcast.dynamics.checkpoint import map_units
from hopcast.dynamics.clocks import Clocks, clocks
from hopcast.dynamics.jumps import flip, hop_bound, local_bounds
from hopcast.dynamics.maps import boltzmann_factors
from hopcast.dynamics.pair import Batch, Loop, Tally, count_hop, count_start, new_tally
from hopcast.dynamics.problem import N_GROUPS, RULES, Populations, Problem
from hopcast.dynamics.propagation import prefix_products, two_state_substeps
from hopcast.dynamics.randomness import open_stream, uniform
from hopcast.dynamics.units import Counted, Reporter, Unit, gather, start_of, two_state_counts, units_of

_LONGEST_WAIT = 37.0  # -log of the smallest random number
_CLOCK_WINDOW = 2.0
_MOST_POSITIONS = 5_000_000


def solve(problem: Problem) -> Populations:
    r"""Return sampled populations of DISH.

    With two states an event leaves a pure state, whatever the rule, and between events the probability to be found
    in the other one is read from two prefix products of the loop,
    :math:`p = |(P_{s'}P_s^\dagger)_{01}|^2`: no sub-step in between is visited.

    With exponential waiting the total hazard is the constant :math:`1/\tau`, so events fall on sub-steps with
    probability :math:`q = 1 - e^{-\delta t/\tau}`. Most of them change nothing. Where :math:`p \le p_m` for every
    possible wait, an event can only matter if its random number is below :math:`p_m` ("marked"): the next marked
    event comes after a geometric number of sub-steps with probability :math:`q\,p_m`, the last unmarked one before it
    after a geometric number with :math:`q(1-p_m)/(1-q\,p_m)`. The law is that of visiting every event. (Thinning:
    P. A. W. Lewis, G. S. Shedler, Nav. Res. Logist. Q. 1979, 26, 403, 10.1002/nav.3800260304.)
    """
    grid = problem.grid
    a, b, gap = two_state_substeps(grid)
    pa, pb = prefix_products(a, b)
    stride = problem.stride
    if stride > 1:  # between decisions nothing is looked at
        pa, pb, gap = pa[::stride].copy(), pb[::stride].copy(), gap.reshape(-1, stride).mean(axis=1)
    boltzmann = boltzmann_factors(gap, problem.temperature)
    x = max(stride * grid.substep / float(problem.tau[0, 1]), 1e-300)  # infinite tau: no event, no division by zero
    rule = RULES.index(problem.rule)
    exponential = problem.waiting == "exponential"
    event = -np.expm1(-x)
    bound, clock_window, clock_bounds = 1.0, 0, np.empty(0)
    if exponential:
        bound = marked_bound(pa, pb, x, 1.0 if rule == 0 else 2.0, problem.loop)
    else:
        clock_window = int(min(np.ceil(_CLOCK_WINDOW / x) + 1, _MOST_POSITIONS))
        clock_bounds = local_bounds(pa, pb, clock_window)
    outputs = problem.output_steps * problem.decisions_a_step
    units = units_of(problem, problem.chunk_trajectories)
    report = Reporter(problem, len(units))

    loop = Loop(pa, pb, boltzmann)

    def work(unit: Unit) -> Counted:
        i, first, last = unit
        frame, initial, key = start_of(problem, i)
        start = frame * problem.decisions_a_step
        batch = Batch(start, problem.random_state, key, first, last, initial, problem.absorbing)
        tally = new_tally(outputs, N_GROUPS)
        if exponential:
            hops = _memoryless(loop, batch, tally, rule, event, bound)
        else:
            hops = clocks(loop, batch, tally, Clocks(rule, x, clock_bounds, clock_window))
        report()
        return Counted(
            two_state_counts(problem, unit, np.cumsum(tally.steps, axis=1)[:, :-1]), np.array(hops, dtype=np.int64)
        )

    return gather(problem, units, map_units(problem, work, units, report))


def marked_bound(pa: NDArray[np.complex128], pb: NDArray[np.complex128], x: float, factor: float, loop: bool) -> float:
    r"""Return the probability with which events are marked: `factor` times a bound of the hop probability.

    The bound holds for all waits between unmarked events that the random numbers can draw; 1 where that is too long
    to look at. As unmarked events are rarer than events, the wait is found with the bound itself.
    """
    bound, event, n = 0.5, -np.expm1(-x), pa.size - 1
    for _ in range(2):
        unmarked = event * (1.0 - bound) / (1.0 - event * bound)
        longest = _LONGEST_WAIT / -np.log1p(-unmarked) if 0 < unmarked < 1 else (np.inf if unmarked <= 0 else 2.0)
        if longest > _MOST_POSITIONS:
            return 1.0
        block = int(np.ceil(longest)) + 1
        found = factor * (hop_bound(pa, pb, block, n + block if loop else n) * (1 + 1e-9) + 1e-15)
        if found >= 0.5:
            return 1.0
        bound = float(found)  # below the bound that `longest` was made with, so `longest` shrinks: still valid
    return bound


@njit(cache=True, nogil=True)
def _memoryless(loop: Loop, batch: Batch, tally: Tally, rule: int, event: float, bound: float) -> int:
    """Run a batch from marked event to marked event; return the number of hops."""
    pa, pb, n = loop.a, loop.b, loop.a.size - 1
    end = batch.start + tally.outputs[tally.outputs.size - 1]
    hops = 0
    per_marked = 1.0 / np.log1p(-event * bound) if event * bound > 0.0 else -np.inf
    unmarked = event * (1.0 - bound) / (1.0 - event * bound) if bound < 1.0 else 0.0
    per_unmarked = 1.0 / np.log1p(-unmarked) if unmarked > 0.0 else -np.inf
    for trajectory in range(batch.first, batch.last):
        state, increment = open_stream(batch.seed, batch.unit, trajectory)
        active, pure, now = batch.state, batch.state, batch.start
        count_start(tally, trajectory, active)
        while True:
            state, u = uniform(state, increment)
            wait = np.floor(np.log(u) * per_marked)
            if not wait < end - now:
                break
            late = now + 1 + int(wait)
            if late > end:
                break
            early = now
            if unmarked > 0.0:
                state, u = uniform(state, increment)
                back = np.floor(np.log(u) * per_unmarked)
                if back < late - 1 - now:
                    early = late - 1 - int(back)
            p = flip(pa, pb, early, late)
            up = loop.boltzmann[(late - 1) % n]
            now = late
            state, u = uniform(state, increment)
            u *= bound
            new = active
            if rule == 0:
                if u < p:
                    new = 1 - active
                    if new == 1:
                        state, u = uniform(state, increment)
                        if u >= up:
                            new = 0
                    pure = new
            elif u < p:  # event on the state that was pure
                state, u = uniform(state, increment)
                if u < (1.0 - p) * (up if pure > active else 1.0):
                    new = pure
                else:
                    pure = 1 - pure
            elif u < p + (1.0 - p) * p:  # event on the other state, which collapses it
                state, u = uniform(state, increment)
                if u < (up if 1 - pure > active else 1.0):
                    pure = 1 - pure
                    new = pure
            if new != active:
                active = new
                hops += 1
                count_hop(tally, trajectory, now - batch.start, active)
                if batch.absorbing and active == 0:
                    break
    return hops

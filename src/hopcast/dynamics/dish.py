"""Method `dish` for two states: decoherence-induced surface hopping, from event to event."""

from __future__ import annotations

import threading

import numpy as np
from numba import njit
from numpy.typing import NDArray

from hopcast.core.chunks import map_chunks
from hopcast.dynamics.maps import boltzmann_factors
from hopcast.dynamics.problem import N_GROUPS, RULES, Populations, Problem
from hopcast.dynamics.propagation import prefix_products, two_state_substeps
from hopcast.dynamics.randomness import open_stream, uniform

_LONGEST_WAIT = 37.0  # -log of the smallest random number
_CLOCK_WINDOW = 4.0
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
    boltzmann = boltzmann_factors(gap, problem.temperature)
    x = grid.substep / float(problem.tau[0, 1])
    rule = RULES.index(problem.rule)
    exponential = problem.waiting == "exponential"
    event = -np.expm1(-x)
    longest = _LONGEST_WAIT / x if exponential else _CLOCK_WINDOW / x
    bound = hop_bound(pa, pb, longest, problem.loop)
    if exponential and bound < 1.0 and rule > 0:
        bound = min(1.0, 2.0 * bound)  # other rules act on events of either state
    if exponential and bound < 1.0:
        # unmarked events are a little rarer than events, so waits between them a little longer
        rarer = -np.log1p(-event * (1 - bound) / (1 - event * bound))
        bound = hop_bound(pa, pb, _LONGEST_WAIT / rarer, problem.loop) * (1.0 if rule == 0 else 2.0)
        bound = min(1.0, bound)
    outputs = problem.output_steps * grid.n_substeps
    units = [
        (i, first, min(first + problem.chunk_trajectories, problem.n_trajectories))
        for i in range(problem.initial_steps.size)
        for first in range(0, problem.n_trajectories, problem.chunk_trajectories)
    ]
    report = _Reporter(problem, len(units))

    def work(unit: tuple[int, int, int]) -> tuple[NDArray[np.int64], int]:
        i, first, last = unit
        frame = int(problem.initial_steps[i])
        steps = np.zeros((N_GROUPS, outputs.size + 1), dtype=np.int64)
        arguments = (
            pa, pb, boltzmann, frame * grid.n_substeps, outputs, problem.random_state, frame, first, last,
            problem.initial_state, problem.absorbing, rule,
        )  # fmt: skip
        if exponential:
            hops = _exponential(*arguments, event, bound, steps)
        else:
            hops = _deterministic(*arguments, x, bound, longest, steps)
        report()
        return np.cumsum(steps, axis=1)[:, :-1], int(hops)

    return gather(problem, units, map_chunks(work, units, workers=problem.workers))


def gather(
    problem: Problem, units: list[tuple[int, int, int]], found: list[tuple[NDArray[np.int64], int]]
) -> Populations:
    """Return populations from the excited counts of units (initial time, first and last trajectory)."""
    n_times = problem.output_steps.size
    excited = np.zeros((N_GROUPS, n_times), dtype=np.int64)
    starts = np.zeros((problem.initial_steps.size, n_times), dtype=np.int64)
    totals = np.zeros(N_GROUPS, dtype=np.int64)
    for (i, first, last), (counts, _) in zip(units, found, strict=True):
        excited += counts
        starts[i] += counts.sum(axis=0)
        totals += np.bincount(np.arange(first, last) % N_GROUPS, minlength=N_GROUPS)
    counts = np.stack([totals[:, None] - excited, excited], axis=2)
    mean = counts.sum(axis=0) / totals.sum()
    moments = (starts / problem.n_trajectories) @ problem.weights
    return Populations(mean, moments, counts, totals, sum(hops for _, hops in found))


def hop_bound(
    pa: NDArray[np.complex128], pb: NDArray[np.complex128], longest: float, loop: bool
) -> float:
    r"""Return a bound of :math:`|(P_{s'}P_s^\dagger)_{01}|^2` over all waits up to `longest` sub-steps.

    That probability is a quarter of the squared distance between the unit vectors of :math:`P_s^\dagger\sigma_zP_s`, so
    boxes around blocks of them bound it.
    """
    n = pa.size - 1
    block = int(min(np.ceil(longest), _MOST_POSITIONS)) + 1
    if longest > _MOST_POSITIONS or (loop and n + block > _MOST_POSITIONS + n):
        return 1.0
    return float(min(1.0, _box_bound(pa, pb, block, n + block if loop else n) * (1 + 1e-9) + 1e-15))


class _Reporter:
    """Counts finished units across threads."""

    def __init__(self, problem: Problem, total: int) -> None:
        self.progress, self.total, self.done, self.lock = problem.progress, total, 0, threading.Lock()

    def __call__(self) -> None:
        if self.progress is not None:
            with self.lock:
                self.done += 1
                self.progress(self.done, self.total)


@njit(cache=True, nogil=True)
def _turns(pa, pb, count):  # type: ignore[no-untyped-def]
    """Return the whole loop's propagator to a power, in closed form."""
    a, b = pa[pa.size - 1], pb[pb.size - 1]
    sine = np.sqrt(a.imag * a.imag + b.real * b.real + b.imag * b.imag)
    theta = np.arctan2(sine, a.real)
    if sine < 1e-150:
        sign = 1.0 if a.real > 0 or count % 2 == 0 else -1.0
        return complex(sign, 0.0), complex(0.0, 0.0)
    ratio = np.sin(count * theta) / sine
    return complex(np.cos(count * theta), a.imag * ratio), b * ratio


@njit(cache=True, nogil=True)
def _flip(pa, pb, early, late):  # type: ignore[no-untyped-def]
    """Return the probability that a pure state at sub-step `early` is found in the other one at `late`."""
    n = pa.size - 1
    turns = late // n - early // n
    i, j = early % n, late % n
    x, y = pa[j], pb[j]
    if turns == 1:
        u, v = pa[n], pb[n]
        x, y = x * u - y * v.conjugate(), x * v + y * u.conjugate()
    elif turns > 1:
        u, v = _turns(pa, pb, turns)
        x, y = x * u - y * v.conjugate(), x * v + y * u.conjugate()
    z = y * pa[i] - x * pb[i]
    return z.real * z.real + z.imag * z.imag


@njit(cache=True, nogil=True)
def _box_bound(pa, pb, block, positions):  # type: ignore[no-untyped-def]
    """A wait of at most `block` sub-steps lies in two neighbouring blocks: the largest box diagonal of such a pair."""
    n = pa.size - 1
    low, high = np.empty(3), np.empty(3)
    old_low, old_high = np.empty(3), np.empty(3)
    worst = 0.0
    turn, ta, tb = 0, complex(1.0, 0.0), complex(0.0, 0.0)
    for start in range(0, positions + 1, block):
        low[:] = 2.0
        high[:] = -2.0
        for s in range(start, min(start + block, positions + 1)):
            if s // n != turn:
                turn = s // n
                ta, tb = _turns(pa, pb, turn)
            p, q = pa[s % n], pb[s % n]
            a, b = p * ta - q * tb.conjugate(), p * tb + q * ta.conjugate()
            flip = 2.0 * a * b.conjugate()
            z = a.real * a.real + a.imag * a.imag - b.real * b.real - b.imag * b.imag
            low[0], high[0] = min(low[0], flip.real), max(high[0], flip.real)
            low[1], high[1] = min(low[1], flip.imag), max(high[1], flip.imag)
            low[2], high[2] = min(low[2], z), max(high[2], z)
        size = 0.0
        for i in range(3):
            lowest = low[i] if start == 0 else min(low[i], old_low[i])
            highest = high[i] if start == 0 else max(high[i], old_high[i])
            size += (highest - lowest) ** 2
            old_low[i], old_high[i] = low[i], high[i]
        worst = max(worst, 0.25 * size)
    return worst


@njit(cache=True, nogil=True)
def _record(steps, group, outputs, elapsed, change):  # type: ignore[no-untyped-def]
    """Add `change` to the excited count of every output at or after `elapsed` sub-steps."""
    low, high = 0, outputs.size
    while low < high:
        middle = (low + high) // 2
        if outputs[middle] < elapsed:
            low = middle + 1
        else:
            high = middle
    steps[group, low] += change


@njit(cache=True, nogil=True)
def _exponential(
    pa, pb, boltzmann, start, outputs, seed, unit, first, last, initial_state, absorbing, rule, event, bound, steps
):  # type: ignore[no-untyped-def]
    n = pa.size - 1
    n_groups = steps.shape[0]
    end = start + outputs[outputs.size - 1]
    hops = 0
    per_marked = 1.0 / np.log1p(-event * bound) if event * bound > 0.0 else -np.inf
    unmarked = event * (1.0 - bound) / (1.0 - event * bound) if bound < 1.0 else 0.0
    per_unmarked = 1.0 / np.log1p(-unmarked) if unmarked > 0.0 else -np.inf
    for trajectory in range(first, last):
        state, increment = open_stream(seed, unit, trajectory)
        group = trajectory % n_groups
        active, pure, now = initial_state, initial_state, start
        if active == 1:
            steps[group, 0] += 1
        while True:
            state, u = uniform(state, increment)
            wait = np.floor(np.log(u) * per_marked)
            if not wait < end - now:
                break
            late = now + 1 + np.int64(wait)
            if late > end:
                break
            early = now
            if unmarked > 0.0:
                state, u = uniform(state, increment)
                back = np.floor(np.log(u) * per_unmarked)
                if back < late - 1 - now:
                    early = late - 1 - np.int64(back)
            p = _flip(pa, pb, early, late)
            up = boltzmann[(late - 1) % n]
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
                _record(steps, group, outputs, now - start, 1 if active == 1 else -1)
                if absorbing and active == 0:
                    break
    return hops


@njit(cache=True, nogil=True)
def _deterministic(
    pa, pb, boltzmann, start, outputs, seed, unit, first, last, initial_state, absorbing, rule, x, bound, window, steps
):  # type: ignore[no-untyped-def]
    n = pa.size - 1
    n_groups = steps.shape[0]
    end = start + outputs[outputs.size - 1]
    hops = 0
    clock = np.empty(2, np.int64)  # sub-step at which each state's clock was last set to zero
    weight = np.empty(2)
    order = np.empty(2, np.int64)
    for trajectory in range(first, last):
        state, increment = open_stream(seed, unit, trajectory)
        group = trajectory % n_groups
        active, pure, collapsed = initial_state, initial_state, start
        now = start
        clock[0] = start
        clock[1] = start
        if active == 1:
            steps[group, 0] += 1
        while True:
            # no clock is due before these, as |c|^2 of the other state is at most 1, or `bound`
            soonest = clock[1 - pure] + 1.0 / x
            if bound > 0.0:
                soonest = min(soonest, clock[pure] + 1.0 / (x * bound))
            now += 1
            if soonest > now + 1 and soonest - collapsed < window:
                now = np.int64(np.floor(soonest)) if soonest < end + 2.0 else end + 1
            elif soonest - collapsed >= window and now - collapsed < window and soonest > now:
                now = min(np.int64(collapsed + window), end + 1)
            if now > end:
                break
            p = _flip(pa, pb, collapsed, now)
            up = boltzmann[(now - 1) % n]
            weight[pure], weight[1 - pure] = 1.0 - p, p
            order[0], order[1] = 0, 1
            due0 = (now - clock[0]) * x * weight[1] >= 1.0
            due1 = (now - clock[1]) * x * weight[0] >= 1.0
            if not (due0 or due1):
                continue
            if rule == 0 or rule == 1:  # one event a step, the first due in random order
                if due0 and due1:
                    state, u = uniform(state, increment)
                    if u < 0.5:
                        order[0], order[1] = 1, 0
            new = active
            for k in range(2):
                i = order[k]
                if (now - clock[i]) * x * weight[1 - i] < 1.0:
                    continue
                clock[i] = now
                state, u = uniform(state, increment)
                if rule == 0:
                    found = i if u < weight[i] else 1 - i
                    if found > active:
                        state, u = uniform(state, increment)
                        if u >= up:
                            found = active
                    new = found
                    pure = found
                elif u < weight[i] * (up if i > new else 1.0):
                    new = i
                    pure = i
                else:
                    pure = 1 - i
                weight[pure], weight[1 - pure] = 1.0, 0.0
                collapsed = now
                if rule != 2:
                    break
            if new != active:
                active = new
                hops += 1
                _record(steps, group, outputs, now - start, 1 if active == 1 else -1)
                if absorbing and active == 0:
                    break
    return hops

"""Deterministic clocks of DISH for two states."""

from __future__ import annotations

import numpy as np
from numba import njit

from hopcast.dynamics.arrays import Complexes, Floats, Ints
from hopcast.dynamics.jumps import flip, record
from hopcast.dynamics.randomness import open_stream, uniform


@njit(cache=True, nogil=True)
def clocks(
    pa: Complexes,
    pb: Complexes,
    boltzmann: Floats,
    start: int,
    outputs: Ints,
    seed: int,
    unit: int,
    first: int,
    last: int,
    initial_state: int,
    absorbing: bool,
    rule: int,
    x: float,
    bounds: Floats,
    window: int,
    steps: Ints,
) -> int:
    """Run trajectories `first` to `last` of one initial time; return the number of hops.

    State i is due when its clock, the time since it last acted, reaches 1 / (r |c_j|^2). With rule `pyxaid` who is due is
    seen before any acts, the first collapse ends the scan, and the clock of the state it collapses to runs on. Until something happens to
    a trajectory (a hop, a change of the amplitudes) it follows the path of all others, because clocks are
    deterministic. That path is walked once: each trajectory leaves it where the accumulated -log of the probability
    that nothing happened passes its exponential random number, and is then followed alone. Where both states are due and a
    coin decides which acts (`hefei`), the path forks. The law is that of walking each trajectory from the start. Clocks are looked at only where one can be due (`_next_look`).
    """
    n = pa.size - 1
    n_groups = steps.shape[0]
    end = start + outputs[outputs.size - 1]
    size = last - first
    state, increment, target = np.empty(size, np.uint64), np.empty(size, np.uint64), np.empty(size)
    for k in range(size):
        state[k], increment[k] = open_stream(seed, unit, first + k)
        state[k], u = uniform(state[k], increment[k])
        target[k] = -np.log(u)
        if initial_state == 1:
            steps[(first + k) % n_groups, 0] += 1
    order = np.argsort(target)
    scratch = np.empty(size, np.int64)
    waiting = np.empty((size + 1, 5), np.int64)  # paths to walk: sub-step, both clocks, range of `order`
    waiting[0] = start, start, start, 0, size
    n_waiting, hops = 1, 0
    me = initial_state
    other = 1 - me
    clock = np.empty(2, np.int64)
    while n_waiting > 0:
        n_waiting -= 1
        now, clock[0], clock[1], left, stop = waiting[n_waiting]
        collapsed = now
        total = 0.0
        while left < stop:
            now = _next_look(now, end, clock[other], clock[me], collapsed, x, bounds, window, n)
            if now > end:
                break
            p = flip(pa, pb, collapsed, now)
            due_other = (now - clock[other]) * x * (1.0 - p) >= 1.0
            due_me = (now - clock[me]) * x * p >= 1.0
            if not (due_other or due_me):
                continue
            up = boltzmann[(now - 1) % n]
            if rule == 1 and due_other and due_me:
                # a coin for each trajectory; where this state acts and nothing changes, a path of its own begins
                n_kept, n_apart = 0, 0
                for i in range(left, stop):
                    k = order[i]
                    state[k], coin = uniform(state[k], increment[k])
                    if coin < 0.5:
                        order[left + n_kept] = k
                        n_kept += 1
                        continue
                    state[k], u = uniform(state[k], increment[k])
                    if u < 1.0 - p:
                        target[k] -= total
                        scratch[n_apart] = k
                        n_apart += 1
                        continue
                    c0, c1 = (now, clock[1]) if me == 0 else (clock[0], now)
                    group = (first + k) % n_groups
                    hops += _follow(
                        pa,
                        pb,
                        boltzmann,
                        start,
                        end,
                        outputs,
                        group,
                        state[k],
                        increment[k],
                        now,
                        me,
                        other,
                        c0,
                        c1,
                        absorbing,
                        rule,
                        x,
                        bounds,
                        window,
                        steps,
                    )
                stop = left + n_kept
                if n_apart > 0:
                    order[stop : stop + n_apart] = scratch[:n_apart]
                    c0, c1 = (now, clock[1]) if me == 0 else (clock[0], now)
                    waiting[n_waiting] = now, c0, c1, stop, stop + n_apart
                    n_waiting += 1
                due_me = False  # for those who stay, the other state acts
            by_other = due_other and not (rule == 2 and due_me and me < other)
            # probability that the acting state changes something
            change = p * (up if other > me and (rule == 0 or by_other) else 1.0)
            total += -np.log1p(-change) if change < 1.0 else np.inf
            while left < stop and target[order[left]] <= total:
                k = order[left]
                left += 1
                group = (first + k) % n_groups
                active, pure = me, other
                if rule == 0 or by_other:
                    active = other
                reset_me = due_me and (rule == 0 or not by_other)
                reset_other = due_other and (rule == 0 or (rule == 1 and by_other))
                if rule == 2 and due_other and not by_other:  # the other state, now pure, acts as well
                    state[k], u = uniform(state[k], increment[k])
                    if u < (up if other > me else 1.0):
                        active = other
                    else:
                        reset_other = True
                c0, c1 = clock[0], clock[1]
                if (reset_me and me == 0) or (reset_other and other == 0):
                    c0 = now
                if (reset_me and me == 1) or (reset_other and other == 1):
                    c1 = now
                if active != me:
                    hops += 1
                    record(steps, group, outputs, now - start, 1 if active == 1 else -1)
                    if absorbing and active == 0:
                        continue
                hops += _follow(
                    pa,
                    pb,
                    boltzmann,
                    start,
                    end,
                    outputs,
                    group,
                    state[k],
                    increment[k],
                    now,
                    active,
                    pure,
                    c0,
                    c1,
                    absorbing,
                    rule,
                    x,
                    bounds,
                    window,
                    steps,
                )
            collapsed = now
            if due_other and (rule == 0 or by_other):
                clock[other] = now
            if due_me and (rule == 0 or (rule == 1 and not by_other)):
                clock[me] = now
    return hops


@njit(cache=True, nogil=True)
def _follow(
    pa: Complexes,
    pb: Complexes,
    boltzmann: Floats,
    start: int,
    end: int,
    outputs: Ints,
    group: int,
    state: np.uint64,
    increment: np.uint64,
    now: int,
    active: int,
    pure: int,
    clock0: int,
    clock1: int,
    absorbing: bool,
    rule: int,
    x: float,
    bounds: Floats,
    window: int,
    steps: Ints,
) -> int:
    """Follow one trajectory whose amplitudes are pure at `now`; return the number of its hops."""
    n = pa.size - 1
    clock, weight = np.empty(2, np.int64), np.empty(2)
    clock[0], clock[1] = clock0, clock1
    collapsed = now
    hops = 0
    while True:
        now = _next_look(now, end, clock[1 - pure], clock[pure], collapsed, x, bounds, window, n)
        if now > end:
            return hops
        p = flip(pa, pb, collapsed, now)
        weight[pure], weight[1 - pure] = 1.0 - p, p
        due0 = (now - clock[0]) * x * weight[1] >= 1.0
        due1 = (now - clock[1]) * x * weight[0] >= 1.0
        if not (due0 or due1):
            continue
        up = boltzmann[(now - 1) % n]
        new = active
        collapsed = now
        if rule == 0:  # one measurement, for all that are due
            if due0:
                clock[0] = now
            if due1:
                clock[1] = now
            state, u = uniform(state, increment)
            if u < p:
                new = 1 - active
                if new == 1:
                    state, u = uniform(state, increment)
                    if u >= up:
                        new = 0
            pure = new
        else:
            leading = 0
            if rule == 1 and due0 and due1:
                state, u = uniform(state, increment)
                leading = 1 if u < 0.5 else 0
            for k in range(2):
                i = leading if k == 0 else 1 - leading
                if not (due0 if i == 0 else due1):
                    continue
                state, u = uniform(state, increment)
                if u < weight[i] * (up if i > active else 1.0):
                    new = i
                    pure = i
                    if rule == 1:
                        clock[i] = now
                    break
                clock[i] = now
                pure = 1 - i if weight[1 - i] > 0.0 else i
                weight[pure], weight[1 - pure] = 1.0, 0.0
                if rule == 1:
                    break
        if new != active:
            active = new
            hops += 1
            record(steps, group, outputs, now - start, 1 if active == 1 else -1)
            if absorbing and active == 0:
                return hops


@njit(cache=True, nogil=True)
def _next_look(
    now: int, end: int, clock_other: int, clock_pure: int, collapsed: int, x: float, bounds: Floats, window: int, n: int
) -> int:
    """Return the next sub-step at which a clock can be due, or one beyond `end`.

    With amplitudes pure at `collapsed`, the other state is due no earlier than 1/x sub-steps after its clock was set,
    the pure one no earlier than 1/(x p), with p bounded within each block.
    """
    at = now + 1
    due_other = clock_other + 1.0 / x - 1e-6
    while at <= end and at < due_other:
        position = at % n
        block = position // window
        inside = at - collapsed <= window
        bound = bounds[block] if inside else 1.0
        due_pure = clock_pure + 1.0 / (x * bound) - 1e-6
        if at >= due_pure:
            return at
        limit = at - position + min((block + 1) * window, n)
        if inside:
            limit = min(limit, collapsed + window + 1)
        at = max(at + 1, int(np.ceil(min(float(limit), due_pure, due_other))))
    return at

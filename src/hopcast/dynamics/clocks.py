"""Deterministic clocks of DISH for two states."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from hopcast.dynamics.arrays import Floats, Ints, leaf
from hopcast.dynamics.jumps import flip
from hopcast.dynamics.pair import Batch, Loop, Tally, count_hop, count_start
from hopcast.dynamics.randomness import open_stream, uniform


class Clocks(NamedTuple):
    """The rule (0 consistent, 1 hefei, 2 pyxaid), the sub-step over the dephasing time, and `local_bounds` with their window."""

    rule: int
    x: float
    bounds: Floats
    window: int


class _Drawn(NamedTuple):
    """Streams of random numbers, what -log of "nothing happened" has to reach, and trajectories in the order of that."""

    state: NDArray[np.uint64]
    increment: NDArray[np.uint64]
    target: Floats
    order: Ints
    scratch: Ints


class _Walker(NamedTuple):
    """A trajectory whose amplitudes are pure at a sub-step: its active and its pure state, and when either clock was set."""

    number: int
    now: int
    active: int
    pure: int
    clock0: int
    clock1: int


class _Event(NamedTuple):
    """What is due on the common path: which states, the probability of the other one, and that of a hop upwards."""

    now: int
    other: bool
    me: bool
    p: float
    up: float


@njit(cache=True, nogil=True)
def clocks(loop: Loop, batch: Batch, tally: Tally, law: Clocks) -> int:
    """Run a batch of one initial time; return the number of hops.

    State i is due when its clock, the time since it last acted, reaches 1 / (r |c_j|^2). With rule `pyxaid` who is due is
    seen before any acts, the first collapse ends the scan, and the clock of the state it collapses to runs on. Until something happens to
    a trajectory (a hop, a change of the amplitudes) it follows the path of all others, because clocks are
    deterministic. That path is walked once: each trajectory leaves it where the accumulated -log of the probability
    that nothing happened passes its exponential random number, and is then followed alone. Where both states are due and a
    coin decides which acts (`hefei`), the path forks. The law is that of walking each trajectory from the start. Clocks are looked at
    only where one can be due (`_next_look`).
    """
    end = batch.start + tally.outputs[tally.outputs.size - 1]
    size = batch.last - batch.first
    drawn = _draw(batch, tally)
    waiting = np.empty((size + 1, 5), np.int64)  # paths to walk: sub-step, both clocks, range of `order`
    waiting[0] = batch.start, batch.start, batch.start, 0, size
    n_waiting, hops = 1, 0
    me = batch.state
    other = 1 - me
    clock = np.empty(2, np.int64)
    while n_waiting > 0:
        n_waiting -= 1
        now, clock[0], clock[1], left, stop = waiting[n_waiting]
        collapsed = now
        total = 0.0
        while left < stop:
            now = _next_look(now, end, clock[other], clock[me], collapsed, loop.a.size - 1, law)
            if now > end:
                break
            p = flip(loop.a, loop.b, collapsed, now)
            due_other = (now - clock[other]) * law.x * (1.0 - p) >= 1.0
            due_me = (now - clock[me]) * law.x * p >= 1.0
            if not (due_other or due_me):
                continue
            up = loop.boltzmann[(now - 1) % (loop.a.size - 1)]
            if law.rule == 1 and due_other and due_me:
                c0, c1 = (now, clock[1]) if me == 0 else (clock[0], now)
                kept, apart, more = _fork(loop, batch, tally, law, drawn, (left, stop), (p, total), (now, c0, c1))
                hops += more
                if apart > kept:
                    waiting[n_waiting] = now, c0, c1, kept, apart
                    n_waiting += 1
                stop = kept
                due_me = False  # for those who stay, the other state acts
            event = _Event(now, due_other, due_me, p, up)
            total += _hazard(event, me, law.rule)
            while left < stop and drawn.target[drawn.order[left]] <= total:
                hops += _leave(loop, batch, tally, law, drawn, drawn.order[left], event, clock)
                left += 1
            collapsed = now
            by_other = _acts_first(event, me, law.rule)
            if due_other and (law.rule == 0 or by_other):
                clock[other] = now
            if due_me and (law.rule == 0 or (law.rule == 1 and not by_other)):
                clock[me] = now
    return hops


@njit(cache=True, nogil=True)
def _draw(batch: Batch, tally: Tally) -> _Drawn:
    """Open the streams of a batch, and draw when each trajectory leaves the common path."""
    size = batch.last - batch.first
    state, increment, target = np.empty(size, np.uint64), np.empty(size, np.uint64), np.empty(size)
    for k in range(size):
        state[k], increment[k] = open_stream(batch.seed, batch.unit, batch.first + k)
        state[k], u = uniform(state[k], increment[k])
        target[k] = -np.log(u)
        count_start(tally, batch.first + k, batch.state)
    return _Drawn(state, increment, target, np.argsort(target), np.empty(size, np.int64))


@leaf
def _acts_first(event: _Event, me: int, rule: int) -> bool:
    """Whether the state that is not `me` acts before it where both may."""
    return event.other and not (rule == 2 and event.me and me == 0)


@leaf
def _hazard(event: _Event, me: int, rule: int) -> float:
    """Return -log of the probability that the acting state changes nothing."""
    lifted = me == 0 and (rule == 0 or _acts_first(event, me, rule))
    change = event.p * (event.up if lifted else 1.0)
    return -np.log1p(-change) if change < 1.0 else np.inf


@njit(cache=True, nogil=True)
def _fork(
    loop: Loop,
    batch: Batch,
    tally: Tally,
    law: Clocks,
    drawn: _Drawn,
    part: tuple[int, int],
    chance: tuple[float, float],
    clocks_at: tuple[int, int, int],
) -> tuple[int, int, int]:
    """Toss a coin for each trajectory; where this state acts and nothing changes, a path of its own begins.

    Returns
    -------
    kept, apart, hops
        Ends of the places in `order` of those that stay and of those of the new path, and the hops of those that were followed alone.
    """
    (left, stop), (p, total), (now, c0, c1) = part, chance, clocks_at
    me = batch.state
    n_kept, n_apart, hops = 0, 0, 0
    for i in range(left, stop):
        k = drawn.order[i]
        drawn.state[k], coin = uniform(drawn.state[k], drawn.increment[k])
        if coin < 0.5:
            drawn.order[left + n_kept] = k
            n_kept += 1
            continue
        drawn.state[k], u = uniform(drawn.state[k], drawn.increment[k])
        if u < 1.0 - p:
            drawn.target[k] -= total
            drawn.scratch[n_apart] = k
            n_apart += 1
            continue
        hops += _follow(loop, batch, tally, law, drawn, _Walker(k, now, me, 1 - me, c0, c1))
    kept = left + n_kept
    drawn.order[kept : kept + n_apart] = drawn.scratch[:n_apart]
    return kept, kept + n_apart, hops


@njit(cache=True, nogil=True)
def _leave(
    loop: Loop, batch: Batch, tally: Tally, law: Clocks, drawn: _Drawn, k: int, event: _Event, clock: Ints
) -> int:
    """Let one trajectory leave the common path, and follow it; return the number of its hops."""
    me, now, rule = batch.state, event.now, law.rule
    other = 1 - me
    by_other = _acts_first(event, me, rule)
    active, pure = me, other
    if rule == 0 or by_other:
        active = other
    reset_me = event.me and (rule == 0 or not by_other)
    reset_other = event.other and (rule == 0 or (rule == 1 and by_other))
    if rule == 2 and event.other and not by_other:  # the other state, now pure, acts as well
        drawn.state[k], u = uniform(drawn.state[k], drawn.increment[k])
        if u < (event.up if other > me else 1.0):
            active = other
        else:
            reset_other = True
    c0, c1 = clock[0], clock[1]
    if (reset_me and me == 0) or (reset_other and other == 0):
        c0 = now
    if (reset_me and me == 1) or (reset_other and other == 1):
        c1 = now
    hops = 0
    if active != me:
        hops = 1
        count_hop(tally, batch.first + k, now - batch.start, active)
        if batch.absorbing and active == 0:
            return hops
    return hops + _follow(loop, batch, tally, law, drawn, _Walker(k, now, active, pure, c0, c1))


@njit(cache=True, nogil=True)
def _follow(loop: Loop, batch: Batch, tally: Tally, law: Clocks, drawn: _Drawn, walker: _Walker) -> int:
    """Follow one trajectory whose amplitudes are pure; return the number of its hops."""
    n, end = loop.a.size - 1, batch.start + tally.outputs[tally.outputs.size - 1]
    clock, weight = np.empty(2, np.int64), np.empty(2)
    clock[0], clock[1] = walker.clock0, walker.clock1
    k, now, active, pure = walker.number, walker.now, walker.active, walker.pure
    state, increment = drawn.state[k], drawn.increment[k]
    collapsed = now
    hops = 0
    while True:
        now = _next_look(now, end, clock[1 - pure], clock[pure], collapsed, n, law)
        if now > end:
            return hops
        p = flip(loop.a, loop.b, collapsed, now)
        weight[pure], weight[1 - pure] = 1.0 - p, p
        due0 = (now - clock[0]) * law.x * weight[1] >= 1.0
        due1 = (now - clock[1]) * law.x * weight[0] >= 1.0
        if not (due0 or due1):
            continue
        up = loop.boltzmann[(now - 1) % n]
        new = active
        collapsed = now
        if law.rule == 0:  # one measurement, for all that are due
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
            if law.rule == 1 and due0 and due1:
                state, u = uniform(state, increment)
                leading = 1 if u < 0.5 else 0
            for turn in range(2):
                i = leading if turn == 0 else 1 - leading
                if not (due0 if i == 0 else due1):
                    continue
                state, u = uniform(state, increment)
                if u < weight[i] * (up if i > active else 1.0):
                    new = i
                    pure = i
                    if law.rule == 1:
                        clock[i] = now
                    break
                clock[i] = now
                pure = 1 - i if weight[1 - i] > 0.0 else i
                weight[pure], weight[1 - pure] = 1.0, 0.0
                if law.rule == 1:
                    break
        if new != active:
            active = new
            hops += 1
            count_hop(tally, batch.first + k, now - batch.start, active)
            if batch.absorbing and active == 0:
                return hops


@njit(cache=True, nogil=True)
def _next_look(now: int, end: int, clock_other: int, clock_pure: int, collapsed: int, n: int, law: Clocks) -> int:
    """Return the next sub-step at which a clock can be due, or one beyond `end`.

    With amplitudes pure at `collapsed`, the other state is due no earlier than 1/x sub-steps after its clock was set,
    the pure one no earlier than 1/(x p), with p bounded within each block.
    """
    x, bounds, window = law.x, law.bounds, law.window
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

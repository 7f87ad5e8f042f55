"""Numba kernels of the KSG estimator: joint k-th neighbour distances and exact counts in the marginals.

Everything is kept in sorted order. The points are dealt into strips of equal population along y; inside a
strip they lie in the order of x. Sweeping the points in the order of x, the place of the current x in *every*
strip is a running counter, so no search structure is built or descended: from there one walks left and right
in the point's own strip, then in the strips above and below, until their distance exceeds the k-th neighbour
found so far. A shift of y against x only changes which strip a point is dealt to.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_JIT = {"cache": True, "nogil": True}
_PAD = 8  # borders are settled this many differences at a time, without a branch


@njit(**_JIT)
def _insert(nearest: Floats, distance: float) -> float:
    """Keep the smallest distances in `nearest`, ascending; return the largest of them."""
    k = nearest.size
    for m in range(k):
        old = nearest[m]
        nearest[m] = min(old, distance)
        distance = max(old, distance)
    return nearest[k - 1]


class Features(NamedTuple):
    """Features in time, sorted, and their sorting permutations, each [n_features, n_samples]."""

    time: Floats
    sorted: Floats
    order: Ints


class Target(NamedTuple):
    """What all features share of a target: in time, sorted, the rank of each sample [n_samples], and the table of `bucket_table`."""

    time: Floats
    sorted: Floats
    rank: Ints
    first: Ints
    scale: float


class _Sweep(NamedTuple):
    """Working memory of one pass over the points of a feature and the shifted target, by rank of the feature."""

    strips: Floats
    """The points strip by strip [n, 2]."""
    frame: Ints
    """Their times, in the order of `strips`."""
    slot_of: Ints
    """Place in `strips`."""
    rank_of: Ints
    """Rank in the target."""
    front: Ints
    """Place of the sweep in each strip."""
    nearest: Floats
    """The smallest distances so far [k]."""
    radius_x: Floats
    """k-th neighbour distances, by rank of the feature."""
    radius_y: Floats
    """The same by rank of the target."""


@njit(**_JIT)
def _open_sweep(n: int, k: int, strip_bits: int) -> _Sweep:
    return _Sweep(
        np.empty((n, 2)),
        np.empty(n, np.int64),
        np.empty(n, np.int64),
        np.empty(n, np.int64),
        np.empty(((n - 1) >> strip_bits) + 1, np.int64),
        np.empty(k),
        np.empty(n),
        np.empty(n),
    )


@njit(**_JIT)
def _deal(xs: Floats, x_order: Ints, target: Target, shift: int, strip_bits: int, sweep: _Sweep) -> None:
    """Deal the pairs (x_t, y_{t+shift}) into strips along y, in the order of x."""
    n = xs.size
    for s in range(sweep.front.size):
        sweep.front[s] = s << strip_bits
    for p in range(n):
        t = x_order[p] + shift
        if t >= n:
            t -= n
        q = target.rank[t]
        s = q >> strip_bits
        slot = sweep.front[s]
        sweep.front[s] = slot + 1
        sweep.strips[slot, 0] = xs[p]
        sweep.strips[slot, 1] = target.sorted[q]
        sweep.frame[slot] = x_order[p]
        sweep.slot_of[p] = slot
        sweep.rank_of[p] = q
    for s in range(sweep.front.size):
        sweep.front[s] = s << strip_bits


@njit(**_JIT)
def _radii(xs: Floats, ys: Floats, window: int, strip_bits: int, sweep: _Sweep) -> None:
    """Write the k-th neighbour distances of the points that were dealt, sweeping them in the order of x."""
    n, n_strips = xs.size, sweep.front.size
    strips, frame, slot_of, rank_of = sweep.strips, sweep.frame, sweep.slot_of, sweep.rank_of
    front, nearest = sweep.front, sweep.nearest
    windowed = window > 1
    for p in range(n):
        slot = slot_of[p]
        q = rank_of[p]
        x = xs[p]
        y = ys[q]
        t = frame[slot]
        nearest[:] = np.inf
        worst = np.inf
        own = q >> strip_bits
        here = own
        above = own + 1
        below = own - 1
        left = slot - 1
        right = slot + 1
        while True:
            end = min((here + 1) << strip_bits, n)
            while right < end:
                dx = strips[right, 0] - x
                if dx >= worst:
                    break
                distance = max(dx, abs(strips[right, 1] - y))
                if distance < worst and (not windowed or abs(frame[right] - t) >= window):
                    worst = _insert(nearest, distance)
                right += 1
            end = here << strip_bits
            while left >= end:
                dx = x - strips[left, 0]
                if dx >= worst:
                    break
                distance = max(dx, abs(strips[left, 1] - y))
                if distance < worst and (not windowed or abs(frame[left] - t) >= window):
                    worst = _insert(nearest, distance)
                left -= 1
            gap_above = ys[above << strip_bits] - y if above < n_strips else np.inf
            gap_below = y - ys[((below + 1) << strip_bits) - 1] if below >= 0 else np.inf
            if min(gap_above, gap_below) >= worst:
                break
            if gap_above <= gap_below:
                here = above
                above += 1
            else:
                here = below
                below -= 1
            right = front[here]
            left = right - 1
        front[own] = slot + 1
        sweep.radius_x[p] = worst
        sweep.radius_y[q] = worst


@njit(**_JIT)
def bucket_table(values: Floats, first: Ints) -> float:
    """Fill `first` [n + 1] with the first rank in each of n equal intervals of `values`; return 1/width."""
    n = values.size
    span = values[n - 1] - values[0]
    scale = n / span if span > 0.0 else 0.0
    if not np.isfinite(scale):
        scale = 0.0
    rank = 0
    for b in range(n + 1):
        while rank < n and min(int((values[rank] - values[0]) * scale), n - 1) < b:
            rank += 1
        first[b] = rank
    return scale


@njit(**_JIT)
def _counts(values: Floats, radius: Floats, first: Ints, scale: float, counts: Ints) -> None:
    """Write how many others have |v_j - v_i| < radius_i (radius 0: coincide with v_i), for sorted `values`.

    `values` [n + _PAD] ends in infinities. The intervals only say where to look; the borders are settled by the
    differences themselves, because the k-th neighbour lies exactly on the radius in one of the two marginals.
    """
    n = radius.size
    origin = values[0]
    for i in range(n):
        v = values[i]
        r = radius[i]
        if r == 0.0:
            r = 5e-324
        b = int(min((v + r - origin) * scale, n - 1.0))
        low = max(first[b], i + 1)
        high = first[b + 1]
        while high - low > _PAD:
            middle = (low + high) >> 1
            if values[middle] - v < r:
                low = middle + 1
            else:
                high = middle
        near = values[low : low + _PAD]
        inside = 0
        for m in range(_PAD):
            inside += near[m] - v < r
        low += inside
        while values[low] - v < r:
            low += 1
        while low > i + 1 and values[low - 1] - v >= r:
            low -= 1
        above = low - i - 1
        b = int(max((v - r - origin) * scale, 0.0))
        low = min(first[b], i)
        high = min(first[b + 1], i)
        while high - low > _PAD:
            middle = (low + high) >> 1
            if v - values[middle] < r:
                high = middle
            else:
                low = middle + 1
        near = values[low : low + _PAD]
        outside = 0
        for m in range(_PAD):
            outside += v - near[m] >= r
        low += outside
        while v - values[low] >= r:
            low += 1
        while low > 0 and v - values[low - 1] < r:
            low -= 1
        counts[i] = above + i - low


@njit(**_JIT)
def _count_window(values: Floats, i: int, r: float, window: int) -> int:
    """Return how many others within the Theiler window of frame i have |v_j - v_i| < r (r = 0: <= 0)."""
    v = values[i]
    if r == 0.0:
        r = 5e-324
    near = values[max(0, i - window + 1) : min(values.size, i + window)]
    count = np.int32(0)
    for j in range(near.size):
        count += np.int32(abs(near[j] - v) < r)
    return int(count) - 1


@njit(**_JIT)
def ksg_block(
    features: Features, target: Target, shifts: Ints, k: int, window: int, strip_bits: int, psi: Floats, out: Floats
) -> None:
    """Write <psi(n_x+1) + psi(n_y+1)> for each feature and shift of y into `out` [n_features, n_shifts].

    Parameters
    ----------
    features, target
        Scaled, without ties.
    shifts
        Feature at t meets the target at (t + shift) modulo n_samples.
    k, window
        Neighbours, Theiler window.
    strip_bits
        Points a strip, as a power of two.
    psi
        digamma(m + 1) for m = 0 ... n_samples.
    """
    n_features, n = features.sorted.shape
    sweep = _open_sweep(n, k, strip_bits)
    counts_x = np.empty(n, np.int64)
    counts_y = np.empty(n, np.int64)
    x_first = np.empty(n + 1, np.int64)
    padded_x = np.full(n + _PAD, np.inf)
    padded_y = np.full(n + _PAD, np.inf)
    padded_y[:n] = target.sorted
    y_shifted = np.empty(n if window > 1 else 0)
    for f in range(n_features):
        xs, x_order = features.sorted[f], features.order[f]
        x_scale = bucket_table(xs, x_first)
        padded_x[:n] = xs
        for m in range(shifts.size):
            _deal(xs, x_order, target, shifts[m], strip_bits, sweep)
            _radii(xs, target.sorted, window, strip_bits, sweep)
            _counts(padded_x, sweep.radius_x, x_first, x_scale, counts_x)
            _counts(padded_y, sweep.radius_y, target.first, target.scale, counts_y)
            total = 0.0
            if window > 1:
                for t in range(n):
                    y_shifted[t] = target.time[(t + shifts[m]) % n]
                for p in range(n):
                    t = x_order[p]
                    r = sweep.radius_x[p]
                    inside_x = _count_window(features.time[f], t, r, window)
                    inside_y = _count_window(y_shifted, t, r, window)
                    total += psi[counts_x[p] - inside_x] + psi[counts_y[sweep.rank_of[p]] - inside_y]
            else:
                for p in range(n):
                    total += psi[counts_x[p]] + psi[counts_y[p]]
            out[f, m] = total / n

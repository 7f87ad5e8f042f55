"""Numba kernels of the KSG estimator: joint k-th neighbour distances and exact counts in the marginals.

Everything is kept in sorted order. The points are dealt into strips of equal population along y; inside a
strip they lie in the order of x. Sweeping the points in the order of x, the place of the current x in *every*
strip is a running counter, so no search structure is built or descended: from there one walks left and right
in the point's own strip, then in the strips above and below, until their distance exceeds the k-th neighbour
found so far. A shift of y against x only changes which strip a point is dealt to.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_JIT = {"cache": True, "nogil": True}


@njit(**_JIT)
def _walk(
    gx: Floats, gy: Floats, gt: Ints, start: int, stop: int, step: int,
    xi: float, yi: float, ti: int, window: int, nearest: Floats,
) -> None:  # fmt: skip
    """Insert the max-norm distances of the strip's points from `start` towards `stop` into `nearest`."""
    k = nearest.size
    j = start
    while j != stop:
        dx = abs(gx[j] - xi)
        if dx >= nearest[k - 1]:
            return
        distance = max(dx, abs(gy[j] - yi))
        if distance < nearest[k - 1] and (window <= 1 or abs(gt[j] - ti) >= window):
            slot = k - 1
            while slot > 0 and nearest[slot - 1] > distance:
                nearest[slot] = nearest[slot - 1]
                slot -= 1
            nearest[slot] = distance
        j += step


@njit(**_JIT)
def _radii(
    xs: Floats, x_order: Ints, ys: Floats, y_rank: Ints, shift: int, window: int, k: int, bits: int,
    gx: Floats, gy: Floats, gt: Ints, place: Ints, place_y: Ints, front: Ints, nearest: Floats,
    radius_x: Floats, radius_y: Floats,
) -> None:  # fmt: skip
    """Write the k-th neighbour distances of the pairs (x_t, y_{t+shift}), by rank of x and by rank of y."""
    n = xs.size
    n_strips = ((n - 1) >> bits) + 1
    for s in range(n_strips):
        front[s] = s << bits
    for p in range(n):
        t = x_order[p]
        u = t + shift
        if u >= n:
            u -= n
        q = y_rank[u]
        s = q >> bits
        slot = front[s]
        front[s] = slot + 1
        gx[slot] = xs[p]
        gy[slot] = ys[q]
        gt[slot] = t
        place[p] = slot
        place_y[p] = q
    for s in range(n_strips):
        front[s] = s << bits
    for p in range(n):
        slot = place[p]
        q = place_y[p]
        s = q >> bits
        xi = xs[p]
        yi = ys[q]
        ti = gt[slot]
        nearest[:] = np.inf
        end = min((s + 1) << bits, n)
        _walk(gx, gy, gt, slot + 1, end, 1, xi, yi, ti, window, nearest)
        _walk(gx, gy, gt, slot - 1, (s << bits) - 1, -1, xi, yi, ti, window, nearest)
        up = s + 1
        down = s - 1
        while True:
            gap_up = ys[up << bits] - yi if up < n_strips else np.inf
            gap_down = yi - ys[((down + 1) << bits) - 1] if down >= 0 else np.inf
            if gap_up <= gap_down:
                if gap_up >= nearest[k - 1]:
                    break
                here = up
                up += 1
            else:
                if gap_down >= nearest[k - 1]:
                    break
                here = down
                down -= 1
            end = min((here + 1) << bits, n)
            _walk(gx, gy, gt, front[here], end, 1, xi, yi, ti, window, nearest)
            _walk(gx, gy, gt, front[here] - 1, (here << bits) - 1, -1, xi, yi, ti, window, nearest)
        front[s] = slot + 1
        radius_x[p] = nearest[k - 1]
        radius_y[q] = nearest[k - 1]


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

    The intervals only say where to look; the borders are settled by the differences themselves, because the
    k-th neighbour lies exactly on the radius in one of the two marginals.
    """
    n = values.size
    origin = values[0]
    for i in range(n):
        v = values[i]
        r = radius[i]
        if r == 0.0:
            r = 5e-324
        b = min(int((v + r - origin) * scale), n - 1)
        low = max(first[b], i + 1)
        high = max(first[b + 1], low)
        while high - low > 8:
            middle = (low + high) >> 1
            if values[middle] - v < r:
                low = middle + 1
            else:
                high = middle
        while low < n and values[low] - v < r:
            low += 1
        while low > i + 1 and values[low - 1] - v >= r:
            low -= 1
        above = low - i - 1
        b = max(int((v - r - origin) * scale), 0)
        low = min(first[b], i)
        high = min(first[b + 1], i)
        while high - low > 8:
            middle = (low + high) >> 1
            if v - values[middle] < r:
                high = middle
            else:
                low = middle + 1
        while low < i and v - values[low] >= r:
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
    return count - 1


@njit(**_JIT)
def ksg_block(
    x_time: Floats, xs: Floats, x_order: Ints, y_time: Floats, ys: Floats, y_rank: Ints,
    y_first: Ints, y_scale: float, shifts: Ints, k: int, window: int, bits: int, psi: Floats, out: Floats,
) -> None:  # fmt: skip
    """Write <psi(n_x+1) + psi(n_y+1)> for each feature and shift of y into `out` [n_features, n_shifts].

    Parameters
    ----------
    x_time, xs, x_order
        Features in time, sorted, and their sorting permutation, each [n_features, n_samples].
    y_time, ys, y_rank
        Target in time, sorted, and the rank of each sample [n_samples].
    y_first, y_scale
        From `bucket_table` of `ys`.
    shifts
        Feature at t meets the target at (t + shift) modulo n_samples.
    psi
        digamma(m + 1) for m = 0 ... n_samples.
    """
    n_features, n = xs.shape
    gx = np.empty(n)
    gy = np.empty(n)
    gt = np.empty(n, np.int64)
    place = np.empty(n, np.int64)
    place_y = np.empty(n, np.int64)
    front = np.empty(((n - 1) >> bits) + 1, np.int64)
    nearest = np.empty(k)
    radius_x = np.empty(n)
    radius_y = np.empty(n)
    counts_x = np.empty(n, np.int64)
    counts_y = np.empty(n, np.int64)
    x_first = np.empty(n + 1, np.int64)
    y_shifted = np.empty(n if window > 1 else 0)
    for f in range(n_features):
        x_scale = bucket_table(xs[f], x_first)
        for m in range(shifts.size):
            _radii(
                xs[f], x_order[f], ys, y_rank, shifts[m], window, k, bits, gx, gy, gt, place, place_y, front,
                nearest, radius_x, radius_y,
            )  # fmt: skip
            _counts(xs[f], radius_x, x_first, x_scale, counts_x)
            _counts(ys, radius_y, y_first, y_scale, counts_y)
            total = 0.0
            if window > 1:
                for t in range(n):
                    y_shifted[t] = y_time[(t + shifts[m]) % n]
                for p in range(n):
                    t = x_order[f, p]
                    r = radius_x[p]
                    inside_x = _count_window(x_time[f], t, r, window)
                    inside_y = _count_window(y_shifted, t, r, window)
                    total += psi[counts_x[p] - inside_x] + psi[counts_y[place_y[p]] - inside_y]
            else:
                for p in range(n):
                    total += psi[counts_x[p]] + psi[counts_y[p]]
            out[f, m] = total / n

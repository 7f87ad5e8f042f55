"""Kernels of the ensemble's linear maps (`hopcast.dynamics.maps`)."""

from __future__ import annotations

import numpy as np
from numba import njit

from hopcast.dynamics.arrays import Complexes, Floats, Ints


@njit(cache=True, nogil=True)
def multiply_substeps(
    a: Complexes, b: Complexes, boltzmann: Floats, keep: float, n_sub: int, maps: Floats
) -> None:
    """Fill `maps` with the product of each step's sub-steps: propagate, measure, route."""
    d = maps.shape[1]
    lost = 1.0 - keep
    now, new = np.empty((d, d)), np.empty((d, d))
    r = np.empty((4, 4))
    for k in range(maps.shape[0]):
        for i in range(d):
            for j in range(d):
                now[i, j] = 1.0 if i == j else 0.0
        for s in range(k * n_sub, (k + 1) * n_sub):
            u, v = a[s], b[s]
            uu = u.real * u.real + u.imag * u.imag
            vv = v.real * v.real + v.imag * v.imag
            uvc, uv, u2, v2 = u * v.conjugate(), u * v, u * u, v * v
            r[0, 0], r[0, 1], r[0, 2], r[0, 3] = uu, vv, 2.0 * uvc.real, -2.0 * uvc.imag
            r[1, 0], r[1, 1], r[1, 2], r[1, 3] = vv, uu, -2.0 * uvc.real, 2.0 * uvc.imag
            # coherences lose exp(-r dt) in the same stroke
            r[2, 0], r[2, 1] = -keep * uv.real, keep * uv.real
            r[2, 2], r[2, 3] = keep * (u2.real - v2.real), -keep * (u2.imag + v2.imag)
            r[3, 0], r[3, 1] = -keep * uv.imag, keep * uv.imag
            r[3, 2], r[3, 3] = keep * (u2.imag - v2.imag), keep * (u2.real + v2.real)
            for block in range(0, d, 4):
                for i in range(4):
                    for j in range(d):
                        new[block + i, j] = (
                            r[i, 0] * now[block, j]
                            + r[i, 1] * now[block + 1, j]
                            + r[i, 2] * now[block + 2, j]
                            + r[i, 3] * now[block + 3, j]
                        )
            if d == 4:
                for j in range(d):
                    new[0, j] *= keep  # measured in g: absorbed
            else:
                up = boltzmann[s]
                for j in range(d):
                    to_g, to_e = lost * new[0, j], lost * new[5, j]
                    new[0, j] *= keep
                    new[5, j] *= keep
                    new[4, j] += to_g + (1.0 - up) * to_e
                    new[1, j] += up * to_e
            now, new = new, now
        for i in range(d):
            for j in range(d):
                maps[k, i, j] = now[i, j]


@njit(cache=True, nogil=True)
def matmul(x: Floats, y: Floats, out: Floats) -> None:
    """Fill `out` with x y."""
    d = x.shape[0]
    for i in range(d):
        for j in range(d):
            out[i, j] = 0.0
        for m in range(d):
            for j in range(d):
                out[i, j] += x[i, m] * y[m, j]


@njit(cache=True, nogil=True)
def product(maps: Floats) -> Floats:
    """Return the product of all maps, the last one leftmost."""
    d = maps.shape[1]
    now, new = np.eye(d), np.empty((d, d))
    for k in range(maps.shape[0]):
        matmul(maps[k], now, new)
        now, new = new, now
    return now


@njit(cache=True, nogil=True)
def losses(maps: Floats, vector: Floats) -> Floats:
    """Return -log of what each map leaves of the excited population, carrying the ensemble along."""
    d = maps.shape[1]
    found = np.empty(maps.shape[0])
    now, new = vector.copy(), np.empty(d)
    for k in range(maps.shape[0]):
        for i in range(d):
            new[i] = 0.0
            for j in range(d):
                new[i] += maps[k, i, j] * now[j]
        left = new[0] + new[1]
        found[k] = -np.log(left / (now[0] + now[1]))
        for i in range(d):
            now[i] = new[i] / left
    return found


@njit(cache=True, nogil=True)
def matrix_power(matrix: Floats, exponent: int) -> Floats:
    """Return a power of a matrix, by squaring."""
    d = matrix.shape[0]
    result, base, scratch = np.eye(d), matrix.copy(), np.empty((d, d))
    while exponent > 0:
        if exponent & 1:
            matmul(base, result, scratch)
            result, scratch = scratch, result
        matmul(base, base, scratch)
        base, scratch = scratch, base
        exponent >>= 1
    return result


@njit(cache=True, nogil=True)
def block_products(
    maps: Floats, length: int, row: Floats, column: Floats, prefix: Floats, suffix: Floats
) -> None:
    """Blocks of `length` steps. prefix[e]: row . M_{e-1} ... M_B; suffix[f]: M_{B'-1} ... M_f . column.

    B is the start of the block that holds step e-1, B' the end of the block that holds step f (suffix[B'] = column).
    """
    n, d = maps.shape[0], maps.shape[1]
    now, new = np.eye(d), np.empty((d, d))
    prefix[0] = row
    for e in range(1, n + 1):
        if (e - 1) % length == 0:
            for i in range(d):
                for j in range(d):
                    new[i, j] = maps[e - 1, i, j]
        else:
            matmul(maps[e - 1], now, new)
        now, new = new, now
        for j in range(d):
            value = 0.0
            for i in range(d):
                value += row[i] * now[i, j]
            prefix[e, j] = value
    suffix[n] = column
    for f in range(n - 1, -1, -1):
        if (f + 1) % length == 0 or f == n - 1:
            for i in range(d):
                for j in range(d):
                    new[i, j] = maps[f, i, j]
        else:
            matmul(now, maps[f], new)
        now, new = new, now
        for i in range(d):
            value = 0.0
            for j in range(d):
                value += now[i, j] * column[j]
            suffix[f, i] = value


@njit(cache=True, nogil=True)
def form(left: Floats, matrix: Floats, right: Floats) -> float:
    """Return left . matrix . right."""
    d = left.size
    total = 0.0
    for i in range(d):
        inner = 0.0
        for j in range(d):
            inner += matrix[i, j] * right[j]
        total += left[i] * inner
    return total


@njit(cache=True, nogil=True)
def windows(
    maps: Floats,
    whole: Floats,
    row: Floats,
    column: Floats,
    prefix: Floats,
    suffix: Floats,
    initial: Ints,
    outputs: Ints,
    moments: Floats,
    found: Floats,
    sums: Floats,
) -> None:
    """Fill `found` with the mean population over initial steps, add each one's moments to `sums`."""
    n, d = maps.shape[0], maps.shape[1]
    identity = np.eye(d)
    here, there = np.empty((n + 1, d)), np.empty((n + 1, d))
    current, next_power = identity, whole
    reached = 0  # `current` is whole^reached, `next_power` one more
    for t in range(outputs.size):
        m = outputs[t]
        turns = m // n
        if m > 0 and m < n:
            block_products(maps, m, row, column, here, there)
        if turns - 1 > reached:
            step = matrix_power(whole, turns - 1 - reached)
            fresh = np.empty((d, d))
            matmul(step, current, fresh)
            current = fresh
            after = np.empty((d, d))
            matmul(whole, current, after)
            next_power = after
            reached = turns - 1
        total = 0.0
        for i in range(initial.size):
            f = initial[i]
            end = f + m
            if m == 0:
                value = form(row, identity, column)
            elif end <= n and m < n:
                start = ((f + m - 1) // m) * m
                left = column if start == f else there[f]
                value = form(here[end], identity, left)
            elif m < n:
                value = form(prefix[end - n], identity, suffix[f])
            else:
                # the first turn ends with the suffix of f; what is left are whole turns and a prefix
                rest = end - (end // n) * n
                power = current if end // n == turns else next_power
                value = form(prefix[rest], power, suffix[f])
            total += value
            for q in range(moments.shape[1]):
                sums[i, q] += moments[t, q] * value
        found[t] = total / initial.size

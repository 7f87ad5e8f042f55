"""Kernels of the ensemble's linear maps (`hopcast.dynamics.maps`)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from hopcast.dynamics.arrays import Complexes, Floats, Ints


@njit(cache=True, nogil=True)
def multiply_substeps(a: Complexes, b: Complexes, boltzmann: Floats, keep: float, n_sub: int, maps: Floats) -> None:
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
                for part in range(0, d, 4):
                    for i in range(4):  # four columns at a time: constant bounds, so the compiler unrolls
                        for j in range(4):
                            new[block + i, part + j] = (
                                r[i, 0] * now[block, part + j]
                                + r[i, 1] * now[block + 1, part + j]
                                + r[i, 2] * now[block + 2, part + j]
                                + r[i, 3] * now[block + 3, part + j]
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
def block_products(maps: Floats, length: int, row: Floats, column: Floats, prefix: Floats, suffix: Floats) -> None:
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


class Ends(NamedTuple):
    """The forms that open and close a product of maps [d], and their products with the beginning and the rest of the loop [n + 1, d]."""

    row: Floats
    column: Floats
    prefix: Floats
    suffix: Floats


class Wanted(NamedTuple):
    """Initial steps with their shares [n_initial], output steps [n_times], weights of the moments [n_times, n_moments]."""

    initial: Ints
    shares: Floats
    outputs: Ints
    moments: Floats


@njit(cache=True, nogil=True)
def windows(
    maps: Floats,
    whole: Floats,
    ends: Ends,
    wanted: Wanted,
    found: Floats,
    sums: Floats,
) -> None:
    """Fill `found` with the mean population over initial steps, add each one's moments to `sums`."""
    row, column, prefix, suffix = ends
    initial, shares, outputs, moments = wanted
    n, d = maps.shape[0], maps.shape[1]
    identity = np.eye(d)
    here, there = np.empty((n + 1, d)), np.empty((n + 1, d))
    left, right = np.empty(n), np.empty(n)  # of a power that has become an outer product
    current, next_power = identity, whole
    reached = 0  # `current` is whole^reached, `next_power` one more
    single, top, side, growth = False, 0, 0, 1.0
    for t in range(outputs.size):
        m = outputs[t]
        turns = m // n
        base = m - turns * n
        if turns == 0 and m > 0:
            block_products(maps, m, row, column, here, there)
        if turns - 1 > reached:
            step = matrix_power(whole, turns - 1 - reached)
            fresh, after = np.empty((d, d)), np.empty((d, d))
            matmul(step, current, fresh)
            matmul(whole, fresh, after)
            current, next_power = fresh, after
            reached = turns - 1
            if not single:
                single, top, side = outer_product(current)
                if single:
                    growth = next_power[top, side] / current[top, side]
                    for j in range(n):
                        left[j] = project(prefix[j], current[:, side]) / current[top, side]
                        right[j] = project(suffix[j], current[top]) / current[top, side]
        total = 0.0
        for i in range(initial.size):
            f = initial[i]
            rest = f + base  # where in the loop the window ends
            wrapped = rest >= n
            if wrapped:
                rest -= n
            if m == 0:
                value = project(row, column)
            elif turns == 0 and f + m <= n:
                begin = ((f + m - 1) // m) * m
                value = project(here[f + m], column if begin == f else there[f])
            elif turns == 0:
                value = project(prefix[rest], suffix[f])
            elif single:
                value = current[top, side] * left[rest] * right[f] * (growth if wrapped else 1.0)
            else:  # the rest of the first turn, whole turns, and a beginning
                value = form(prefix[rest], next_power if wrapped else current, suffix[f])
            total += shares[i] * value
            for q in range(moments.shape[1]):
                sums[i, q] += moments[t, q] * value
        found[t] = total


@njit(cache=True, nogil=True)
def project(left: Floats, right: Floats) -> float:
    """Return left . right."""
    total = 0.0
    for i in range(left.size):
        total += left[i] * right[i]
    return total


@njit(cache=True, nogil=True)
def outer_product(matrix: Floats) -> tuple[bool, int, int]:
    """Return whether a matrix is one column times one row to rounding, and the place of its largest entry.

    The powers of an absorbing loop become that as soon as all but the slowest mode have died out.
    """
    d = matrix.shape[0]
    top, side = 0, 0
    for i in range(d):
        for j in range(d):
            if abs(matrix[i, j]) > abs(matrix[top, side]):
                top, side = i, j
    pivot = matrix[top, side]
    if pivot == 0.0:
        return False, top, side
    for i in range(d):
        for j in range(d):
            if abs(matrix[i, j] - matrix[i, side] * matrix[top, j] / pivot) > 1e-15 * abs(pivot):
                return False, top, side
    return True, top, side

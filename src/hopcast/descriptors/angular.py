"""Sums over pairs of neighbours of one atom: the symmetry functions themselves.

`factored_sums` (zeta = 1) rests on two exact facts. The angular part is linear,

    1 + cos(theta - theta_s) = 1 + cos(theta) cos(theta_s) + sin(theta) sin(theta_s),

so three sums for each R_s give every theta_s; and with u = (R - R_c / 2) / 2 and s = R_s - R_c / 2

    exp(-eta (u_j + u_k - s)^2) = g_s(u_j) g_s(u_k) exp(-2 eta u_j u_k),   g_s(u) = exp(-eta (u^2 - 2 s u + s^2 / 2)),

so one exponential for each pair serves every R_s. `direct_sums` evaluates the definition for any zeta and eta.
Sines come from the cross product of the unit vectors: 1 - cos^2 would lose half of the digits of the (many) triplets
of a crystal that are straight.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

from hopcast.descriptors.elementary import exp_small, quarter_sine
from hopcast.descriptors.neighbours import R, X, Y, Z

# pairs are visited in groups of this many, so that no scalar rest of the vector loop remains
LANES = 4
# R_s values that share one visit of a pair
GROUP = 3

# rows of the work buffer of `factored_sums`; weights of R_s follow
UX, UY, UZ, U = range(4)
SUM_ROWS = 4


@njit(cache=True, nogil=True, error_model="numpy")
def cutoff(r: float, r_cut: float) -> float:  # pragma: no cover - compiled
    """Return fc = 0.5 cos(pi r / r_cut) + 0.5, written as a square so that it keeps its digits near r_cut."""
    if r > r_cut:
        return 0.0
    root = quarter_sine(0.5 * math.pi * (1.0 - r / r_cut))
    return root * root


# The loops below read and write few rows each: with more, LLVM cannot tell them apart and stays scalar.


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def write_units(blocks: int, near: Any, work: Any) -> None:  # pragma: no cover - compiled
    """Write unit vectors to the first three rows of `work`."""
    for row in range(3):
        out, vector, r = work[UX + row], near[X + row], near[R]
        for k in range(blocks * LANES):
            out[k] = vector[k] / r[k]


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def write_cutoffs(blocks: int, r: Any, r_cut: float, out: Any) -> None:  # pragma: no cover - compiled
    """Write `cutoff` of distances that do not exceed r_cut."""
    for k in range(blocks * LANES):
        root = quarter_sine(0.5 * math.pi * (1.0 - r[k] / r_cut))
        out[k] = root * root


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def write_weights(
    blocks: int, r: Any, envelope: Any, r_s: float, r_cut: float, eta: float, out: Any
) -> None:  # pragma: no cover - compiled
    """Write g_s(u) times an envelope."""
    s = r_s - 0.5 * r_cut
    for k in range(blocks * LANES):
        u = 0.5 * (r[k] - 0.5 * r_cut)
        out[k] = envelope[k] * exp_small(-eta * (u * u - 2.0 * s * u + 0.5 * s * s))


@njit(cache=True, nogil=True, error_model="numpy")
def write_again(n: int, row: Any) -> None:  # pragma: no cover - compiled
    """Write the first n values a second time behind themselves, and a few more.

    So that all pairs (k, k + offset) of a ring of n lie in one straight loop.
    """
    head, tail = row[:n], row[n : 2 * n]
    for k in range(n):
        tail[k] = head[k]
    for k in range(LANES):
        row[2 * n + k] = row[k]


@njit(cache=True, nogil=True, error_model="numpy")
def start_sums(
    n: int, n_r: int, near: Any, r_cut: float, weights: Any, sums: Any
) -> int:  # pragma: no cover - compiled
    """Set sums and unused weights to zero, fill up the last group of neighbours; return the number of groups."""
    blocks = (n + LANES - 1) // LANES
    for k in range(n, blocks * LANES):
        near[R, k] = r_cut  # where the cutoff is zero
    for s in range(sums.shape[0]):
        sums[s, 0] = 0.0
        sums[s, 1] = 0.0
        sums[s, 2] = 0.0
    for s in range(n_r, sums.shape[0]):
        for k in range(blocks * LANES):
            weights[s, k] = 0.0
            weights[sums.shape[0] + s, k] = 0.0
    return blocks


@njit(cache=True, nogil=True, error_model="numpy")
def factored_sums(
    n: int, near: Any, r_s: Any, r_cut: float, eta: float, work: Any, weights: Any, sums: Any
) -> None:  # pragma: no cover - compiled
    """Write the sums of w, w cos(theta), w sin(theta) over pairs for each R_s, w = exp(...) fc fc, to `sums` [n_r, 3].

    n_r is the number of R_s rounded up to full groups. Buffers: `work` [4 + n_r, > 2 n + LANES]; `weights`
    [2 n_r + 2, > n + LANES], of which the last row takes fc.
    """
    n_r = sums.shape[0]
    blocks = start_sums(n, r_s.shape[0], near, r_cut, weights, sums)
    if n < 2:
        return
    write_units(blocks, near, work)
    fc = weights[2 * n_r]
    write_cutoffs(blocks, near[R], r_cut, fc)
    for k in range(n):
        work[U, k] = 0.5 * (near[R, k] - 0.5 * r_cut)
    for s in range(r_s.shape[0]):
        write_weights(blocks, near[R], fc, r_s[s], r_cut, eta, weights[s])
    for s in range(n_r):
        for k in range(n):
            work[SUM_ROWS + s, k] = weights[s, k]
    for row in range(SUM_ROWS + n_r):
        write_again(n, work[row])
    for s in range(0, n_r, GROUP):
        for offset in range(1, n // 2 + 1):
            # the offset of half a turn meets each of its pairs twice
            share = 0.5 if 2 * offset == n else 1.0
            _offset_sums(blocks, offset, share, -2.0 * eta, s, work, weights, sums)


# `reassoc` lets the sums run in vector lanes; their order depends on n alone, never on chunks
@njit(cache=True, nogil=True, fastmath={"contract", "nsz", "reassoc"})
def _offset_sums(
    blocks: int, offset: int, share: float, factor: float, s: int, work: Any, weights: Any, sums: Any
) -> None:  # pragma: no cover - compiled
    x, y, z, u = work[UX], work[UY], work[UZ], work[U]
    x_k, y_k, z_k, u_k = x[offset:], y[offset:], z[offset:], u[offset:]
    w0, w1, w2 = weights[s], weights[s + 1], weights[s + 2]
    v0, v1, v2 = work[SUM_ROWS + s, offset:], work[SUM_ROWS + s + 1, offset:], work[SUM_ROWS + s + 2, offset:]
    a0 = a1 = a2 = b0 = b1 = b2 = c0 = c1 = c2 = 0.0
    for j in range(blocks * LANES):
        cos = x[j] * x_k[j] + y[j] * y_k[j] + z[j] * z_k[j]
        cx = y[j] * z_k[j] - z[j] * y_k[j]
        cy = z[j] * x_k[j] - x[j] * z_k[j]
        cz = x[j] * y_k[j] - y[j] * x_k[j]
        sin = math.sqrt(cx * cx + cy * cy + cz * cz)
        shared = exp_small(factor * u[j] * u_k[j])
        p = shared * (w0[j] * v0[j])
        a0 += p
        a1 += p * cos
        a2 += p * sin
        p = shared * (w1[j] * v1[j])
        b0 += p
        b1 += p * cos
        b2 += p * sin
        p = shared * (w2[j] * v2[j])
        c0 += p
        c1 += p * cos
        c2 += p * sin
    sums[s, 0] += share * a0
    sums[s, 1] += share * a1
    sums[s, 2] += share * a2
    sums[s + 1, 0] += share * b0
    sums[s + 1, 1] += share * b1
    sums[s + 1, 2] += share * b2
    sums[s + 2, 0] += share * c0
    sums[s + 2, 1] += share * c1
    sums[s + 2, 2] += share * c2


@njit(cache=True, nogil=True, error_model="numpy")
def spread_sums(sums: Any, n_r: int, cos_s: Any, sin_s: Any, out: Any) -> None:  # pragma: no cover - compiled
    """Write the functions of every theta_s from the three sums of each R_s."""
    n_theta = cos_s.shape[0]
    for s in range(n_r):
        for t in range(n_theta):
            out[s * n_theta + t] = sums[s, 0] + cos_s[t] * sums[s, 1] + sin_s[t] * sums[s, 2]


@njit(cache=True, nogil=True, error_model="numpy")
def direct_sums(
    n: int, near: Any, r_s: Any, half_cos: Any, half_sin: Any, r_cut: float, eta: float, zeta: float, out: Any
) -> None:  # pragma: no cover - compiled
    """Write the functions of one atom from their definition, for any eta and zeta.

    The angular part is taken as 2 cos^(2 zeta)((theta - theta_s) / 2), from half-angles that are sums of positive
    terms: no digits are lost where 1 + cos(theta - theta_s) comes near zero. `half_cos` and `half_sin` are of theta_s / 2.
    """
    n_theta = half_cos.shape[0]
    out[:] = 0.0
    angular = np.empty(n_theta)
    fc = np.empty(n)
    for k in range(n):
        fc[k] = cutoff(near[R, k], r_cut)
    for j in range(n):
        rj = near[R, j]
        xj, yj, zj = near[X, j] / rj, near[Y, j] / rj, near[Z, j] / rj
        for k in range(j):
            rk = near[R, k]
            weight = fc[j] * fc[k]
            xk, yk, zk = near[X, k] / rk, near[Y, k] / rk, near[Z, k] / rk
            cos_half = 0.5 * math.sqrt((xj + xk) ** 2 + (yj + yk) ** 2 + (zj + zk) ** 2)
            sin_half = 0.5 * math.sqrt((xj - xk) ** 2 + (yj - yk) ** 2 + (zj - zk) ** 2)
            for t in range(n_theta):
                h = cos_half * half_cos[t] + sin_half * half_sin[t]
                angular[t] = 2.0 * h ** (2.0 * zeta)
            for s in range(r_s.shape[0]):
                distance = 0.5 * (rj + rk) - r_s[s]
                radial = weight * math.exp(-eta * distance * distance)
                for t in range(n_theta):
                    out[s * n_theta + t] += radial * angular[t]

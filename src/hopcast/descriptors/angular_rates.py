"""Time derivatives of the sums of `hopcast.descriptors.angular`, from the velocities of the neighbours.

A straight triplet is a kink: sin(theta) = abs(pi - theta) there, whose derivatives from the left and from the right
differ in sign. Their mean, zero, is taken, and reached continuously within 1e-7 rad: nothing is singular.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

from hopcast.descriptors.angular import (
    GROUP,
    LANES,
    UX,
    UY,
    UZ,
    U,
    cutoff,
    start_sums,
    write_again,
    write_cutoffs,
    write_units,
    write_weights,
)
from hopcast.descriptors.elementary import exp_small, quarter_sine
from hopcast.descriptors.neighbours import SHIFT_A, SHIFT_B, SHIFT_C, R, X, Y, Z

# rows of the work buffer after those of `factored_sums`; weights and their rates follow
VX, VY, VZ, DU = range(4, 8)
RATE_ROWS = 8

# sines below this count as straight
STRAIGHT = 1e-7


@njit(cache=True, nogil=True, error_model="numpy")
def image_velocities(
    i: int, n: int, index: Any, near: Any, velocities: Any, cell_velocity: Any, rates: Any
) -> None:  # pragma: no cover - compiled
    """Write d(unit vector)/dt (rows 0-2) and dR/dt (row 3) of the n neighbours of atom `i`.

    An image moves with its atom and with the lattice translation that leads to it.
    """
    for k in range(n):
        j = index[k]
        r = near[R, k]
        v = np.empty(3)
        for c in range(3):
            v[c] = (
                velocities[j, c]
                - velocities[i, c]
                + near[SHIFT_A, k] * cell_velocity[0, c]
                + near[SHIFT_B, k] * cell_velocity[1, c]
                + near[SHIFT_C, k] * cell_velocity[2, c]
            )
        rate = (near[X, k] * v[0] + near[Y, k] * v[1] + near[Z, k] * v[2]) / r
        rates[0, k] = (v[0] - near[X, k] / r * rate) / r
        rates[1, k] = (v[1] - near[Y, k] / r * rate) / r
        rates[2, k] = (v[2] - near[Z, k] / r * rate) / r
        rates[3, k] = rate


@njit(cache=True, nogil=True, error_model="numpy")
def cutoff_slope(r: float, r_cut: float) -> float:  # pragma: no cover - compiled
    """Return d fc / dr."""
    if r > r_cut:
        return 0.0
    x = 0.5 * math.pi * r / r_cut
    return -math.pi / r_cut * quarter_sine(0.5 * math.pi - x) * quarter_sine(x)


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _write_envelope_rates(
    blocks: int, near: Any, rates: Any, fc: Any, r_s: float, r_cut: float, eta: float, out: Any
) -> None:  # pragma: no cover - compiled
    """Write e with d (fc g_s) / dt = e g_s."""
    r, rate = near[R], rates[3]
    s = r_s - 0.5 * r_cut
    for k in range(blocks * LANES):
        x = 0.5 * math.pi / r_cut * r[k]
        slope = -math.pi / r_cut * quarter_sine(0.5 * math.pi - x) * quarter_sine(x)
        u = 0.5 * (r[k] - 0.5 * r_cut)
        out[k] = (slope - eta * (u - s) * fc[k]) * rate[k]


@njit(cache=True, nogil=True, error_model="numpy")
def factored_rates(
    n: int, near: Any, rates: Any, r_s: Any, r_cut: float, eta: float, work: Any, weights: Any, sums: Any
) -> None:  # pragma: no cover - compiled
    """Write the time derivatives of what `factored_sums` writes.

    Buffers: `work` [8 + 2 n_r, > 2 n + LANES]; `weights` [2 n_r + 2, > n + LANES]: weights, their rates, fc, envelope.
    """
    n_r = sums.shape[0]
    blocks = start_sums(n, r_s.shape[0], near, r_cut, weights, sums)
    if n < 2:
        return
    for k in range(n, blocks * LANES):
        rates[3, k] = 0.0
    write_units(blocks, near, work)
    fc, envelope = weights[2 * n_r], weights[2 * n_r + 1]
    write_cutoffs(blocks, near[R], r_cut, fc)
    for k in range(n):
        work[U, k] = 0.5 * (near[R, k] - 0.5 * r_cut)
        work[VX, k] = rates[0, k]
        work[VY, k] = rates[1, k]
        work[VZ, k] = rates[2, k]
        work[DU, k] = 0.5 * rates[3, k]
    for s in range(r_s.shape[0]):
        write_weights(blocks, near[R], fc, r_s[s], r_cut, eta, weights[s])
        _write_envelope_rates(blocks, near, rates, fc, r_s[s], r_cut, eta, envelope)
        write_weights(blocks, near[R], envelope, r_s[s], r_cut, eta, weights[n_r + s])
    for s in range(2 * n_r):
        for k in range(n):
            work[RATE_ROWS + s, k] = weights[s, k]
    for row in range(RATE_ROWS + 2 * n_r):
        write_again(n, work[row])
    for s in range(0, n_r, GROUP):
        for offset in range(1, n // 2 + 1):
            share = 0.5 if 2 * offset == n else 1.0
            _offset_rates(blocks, offset, share, -2.0 * eta, s, n_r, work, weights, sums)


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "nsz", "reassoc"})
def _offset_rates(
    blocks: int, offset: int, share: float, factor: float, s: int, n_r: int, work: Any, weights: Any, sums: Any
) -> None:  # pragma: no cover - compiled
    x, y, z, u = work[UX], work[UY], work[UZ], work[U]
    dx, dy, dz, du = work[VX], work[VY], work[VZ], work[DU]
    x_k, y_k, z_k, u_k = x[offset:], y[offset:], z[offset:], u[offset:]
    dx_k, dy_k, dz_k, du_k = dx[offset:], dy[offset:], dz[offset:], du[offset:]
    w0, w1, w2 = weights[s], weights[s + 1], weights[s + 2]
    d0, d1, d2 = weights[n_r + s], weights[n_r + s + 1], weights[n_r + s + 2]
    row = RATE_ROWS + s
    v0, v1, v2 = work[row, offset:], work[row + 1, offset:], work[row + 2, offset:]
    row += n_r
    e0, e1, e2 = work[row, offset:], work[row + 1, offset:], work[row + 2, offset:]
    a0 = a1 = a2 = b0 = b1 = b2 = c0 = c1 = c2 = 0.0
    for j in range(blocks * LANES):
        cos = x[j] * x_k[j] + y[j] * y_k[j] + z[j] * z_k[j]
        cx = y[j] * z_k[j] - z[j] * y_k[j]
        cy = z[j] * x_k[j] - x[j] * z_k[j]
        cz = x[j] * y_k[j] - y[j] * x_k[j]
        sin = math.sqrt(cx * cx + cy * cy + cz * cz)
        turn = dx[j] * x_k[j] + dy[j] * y_k[j] + dz[j] * z_k[j]
        dcos = turn + x[j] * dx_k[j] + y[j] * dy_k[j] + z[j] * dz_k[j]
        dsin = -cos * dcos / max(sin, STRAIGHT)
        shared = exp_small(factor * u[j] * u_k[j])
        growth = factor * (du[j] * u_k[j] + u[j] * du_k[j])
        p = w0[j] * v0[j]
        q = shared * (p * growth + d0[j] * v0[j] + w0[j] * e0[j])
        p = shared * p
        a0 += q
        a1 += q * cos + p * dcos
        a2 += q * sin + p * dsin
        p = w1[j] * v1[j]
        q = shared * (p * growth + d1[j] * v1[j] + w1[j] * e1[j])
        p = shared * p
        b0 += q
        b1 += q * cos + p * dcos
        b2 += q * sin + p * dsin
        p = w2[j] * v2[j]
        q = shared * (p * growth + d2[j] * v2[j] + w2[j] * e2[j])
        p = shared * p
        c0 += q
        c1 += q * cos + p * dcos
        c2 += q * sin + p * dsin
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
def direct_rates(
    n: int,
    near: Any,
    rates: Any,
    r_s: Any,
    half_cos: Any,
    half_sin: Any,
    r_cut: float,
    eta: float,
    zeta: float,
    out: Any,
) -> None:  # pragma: no cover - compiled
    """Write the time derivatives of what `direct_sums` writes."""
    n_theta = half_cos.shape[0]
    out[:] = 0.0
    angular = np.empty(n_theta)
    angular_rate = np.empty(n_theta)
    fc = np.empty(n)
    fc_rate = np.empty(n)
    for k in range(n):
        fc[k] = cutoff(near[R, k], r_cut)
        fc_rate[k] = cutoff_slope(near[R, k], r_cut) * rates[3, k]
    for j in range(n):
        rj = near[R, j]
        xj, yj, zj = near[X, j] / rj, near[Y, j] / rj, near[Z, j] / rj
        for k in range(j):
            rk = near[R, k]
            weight = fc[j] * fc[k]
            weight_rate = fc_rate[j] * fc[k] + fc[j] * fc_rate[k]
            xk, yk, zk = near[X, k] / rk, near[Y, k] / rk, near[Z, k] / rk
            cos_half = 0.5 * math.sqrt((xj + xk) ** 2 + (yj + yk) ** 2 + (zj + zk) ** 2)
            sin_half = 0.5 * math.sqrt((xj - xk) ** 2 + (yj - yk) ** 2 + (zj - zk) ** 2)
            dcos = (
                rates[0, j] * xk
                + rates[1, j] * yk
                + rates[2, j] * zk
                + xj * rates[0, k]
                + yj * rates[1, k]
                + zj * rates[2, k]
            )
            theta_rate = -dcos / max(2.0 * cos_half * sin_half, STRAIGHT)
            for t in range(n_theta):
                h = cos_half * half_cos[t] + sin_half * half_sin[t]
                slope = 0.5 * (cos_half * half_sin[t] - sin_half * half_cos[t]) * theta_rate
                angular[t] = 2.0 * h ** (2.0 * zeta)
                angular_rate[t] = 4.0 * zeta * h ** (2.0 * zeta - 1.0) * slope if h > 0.0 else 0.0
            middle_rate = 0.5 * (rates[3, j] + rates[3, k])
            for s in range(r_s.shape[0]):
                distance = 0.5 * (rj + rk) - r_s[s]
                gauss = math.exp(-eta * distance * distance)
                radial = weight * gauss
                radial_rate = (weight_rate - 2.0 * eta * distance * middle_rate * weight) * gauss
                for t in range(n_theta):
                    out[s * n_theta + t] += radial_rate * angular[t] + radial * angular_rate[t]

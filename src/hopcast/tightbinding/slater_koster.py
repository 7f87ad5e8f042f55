r"""Slater-Koster blocks: orbitals turned into the frame of a bond, where matrix elements are diagonal.

In a frame whose z axis is the bond, two shells couple only through equal |m|: sigma, pi, delta. With R^l(u) the matrix that takes real
orbitals along the Cartesian axes to those of the bond's frame, the block of two shells is

.. math:: H_{l\alpha,l'\beta} = \sum_m V_{ll'm}\, \sum_{\mu\in m} R^l_{\mu\alpha}(u)\, R^{l'}_{\mu\beta}(u)

which is the table of Slater and Koster, Phys. Rev. 1954, 94, 1498 (doi 10.1103/PhysRev.94.1498), for any l. The choice of the axes
across the bond does not matter, because both partners of a pair (pi, delta) have the same V.

Orbitals: s; p in the order x, y, z; d in the order xy, yz, zx, x2-y2, 3z2-r2. Rows of R: sigma, two pi, two delta.
"""

from __future__ import annotations

import math
from typing import Any

from numba import njit

N_ROTATION = 35
"""Numbers that `bond_frame` writes with d orbitals: 1 of s, 9 of p, 25 of d (row by row)."""

N_ROTATION_P = 10
"""Without d orbitals."""

CHANNEL_NAMES = ("σ", "π", "δ")
"""Of |m| = 0, 1, 2."""


@njit(cache=True, nogil=True, error_model="numpy")
def bond_frame(x: float, y: float, z: float, out: Any) -> None:  # pragma: no cover - compiled
    """Write R of p (9 numbers) and, where there is room, of d (25) for the unit vector (x, y, z)."""
    # two axes across the bond, without a division by zero anywhere
    sign = 1.0 if z >= 0.0 else -1.0
    a = -1.0 / (sign + z)
    b = x * y * a
    out[0] = 1.0
    out[1], out[2], out[3] = x, y, z
    out[4], out[5], out[6] = 1.0 + sign * x * x * a, sign * b, -sign * x
    out[7], out[8], out[9] = b, sign + y * y * a, -y
    if out.shape[0] < N_ROTATION:
        return
    half = 0.5 * math.sqrt(3.0)
    for row in range(5):
        # the five functions of the bond's frame as symmetric matrices of quadratic forms
        i, j = (1, 1) if row == 0 else (4, 1) if row == 1 else (7, 1) if row == 2 else (4, 7)
        if row == 0:
            xx, yy, zz = 1.5 * x * x - 0.5, 1.5 * y * y - 0.5, 1.5 * z * z - 0.5
            xy, yz, zx = 1.5 * x * y, 1.5 * y * z, 1.5 * z * x
        elif row == 3:
            xx = half * (out[4] * out[4] - out[7] * out[7])
            yy = half * (out[5] * out[5] - out[8] * out[8])
            zz = half * (out[6] * out[6] - out[9] * out[9])
            xy = half * (out[4] * out[5] - out[7] * out[8])
            yz = half * (out[5] * out[6] - out[8] * out[9])
            zx = half * (out[6] * out[4] - out[9] * out[7])
        else:
            xx = half * 2.0 * out[i] * out[j]
            yy = half * 2.0 * out[i + 1] * out[j + 1]
            zz = half * 2.0 * out[i + 2] * out[j + 2]
            xy = half * (out[i] * out[j + 1] + out[i + 1] * out[j])
            yz = half * (out[i + 1] * out[j + 2] + out[i + 2] * out[j + 1])
            zx = half * (out[i + 2] * out[j] + out[i] * out[j + 2])
        start = N_ROTATION_P + 5 * row
        scale = 2.0 / math.sqrt(3.0)
        out[start] = scale * xy
        out[start + 1] = scale * yz
        out[start + 2] = scale * zx
        out[start + 3] = (xx - yy) / math.sqrt(3.0)
        out[start + 4] = zz


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def row_of(l: int, row: int) -> int:  # noqa: E741 # pragma: no cover - compiled
    """Return where row `row` of R^l begins in what `bond_frame` wrote."""
    return l + 8 * (l // 2) + (2 * l + 1) * row

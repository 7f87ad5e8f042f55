r"""Overlaps of bands from their coefficients: one matrix product, added up in double precision.

:math:`S_{ij} = \sum_G c_i^*(G)\, c'_j(G)`, of half spheres (coefficients of :math:`G \neq 0` carry :math:`\sqrt 2`) its real part, which
is the product of real vectors.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hopcast.core.chunks import chunk_slices
from hopcast.core.errors import InputError
from hopcast.io.wavefunctions.planewaves import match_indices
from hopcast.io.wavefunctions.protocol import Basis, Wavefunctions, same_cell

BLOCK = 1 << 10
"""Plane waves multiplied at a time, few enough to stay in the processor's cache: products in the precision of the file, their sums in
double precision."""


def overlap(left: NDArray[Any], right: NDArray[Any], *, real: bool) -> NDArray[Any]:
    """Return the overlaps of two sets of bands [n_left, n_right].

    Parameters
    ----------
    left, right
        Coefficients [n_bands, n_components], complex, of the same plane waves.
    real
        Of half spheres, whose overlap is real.
    """
    if real:
        single = left.real.dtype
        left, right = left.view(single), right.view(single)
    total = np.zeros((len(left), len(right)), np.float64 if real else np.complex128)
    buffer = np.empty((len(left), BLOCK), left.dtype)
    with np.errstate(all="ignore"):  # of damaged files; who calls looks at the result
        for block in chunk_slices(left.shape[1], BLOCK):
            part = left[:, block]
            part = part if real else np.conjugate(part, out=buffer[:, : part.shape[1]])
            total += part @ right[:, block].T
    return total


def metric(coefficients: NDArray[Any], *, real: bool) -> NDArray[Any]:
    """Return the overlaps of bands with each other [n_bands, n_bands]: half of the products, the other half by symmetry.

    Parameters
    ----------
    coefficients
        [n_bands, n_components], complex.
    real
        Of half spheres.
    """
    from scipy.linalg.blas import get_blas_funcs

    rows = coefficients.view(coefficients.real.dtype) if real else coefficients
    kernel = get_blas_funcs("syrk" if real else "herk", (rows,))
    total = np.zeros((len(rows), len(rows)), np.float64 if real else np.complex128)
    buffer = np.empty((BLOCK, len(rows)), rows.dtype, order="F")
    for block in chunk_slices(rows.shape[1], BLOCK):
        part = buffer[: block.stop - block.start]
        part[...] = rows[:, block].T
        # columns of the transpose: its conjugate times itself
        total += kernel(1.0, part, trans=1 if real else 2)
    upper = np.triu(total)
    return upper + np.triu(total, 1).conj().T


def common_planewaves(
    left: Wavefunctions, right: Wavefunctions, spin: int, kpoint: int, bases: tuple[Basis, Basis]
) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
    """Return which coefficients of two frames are of the same plane waves; None where all are, in one order.

    In cells that differ, plane waves of the same three indices are matched: the wavefunctions are carried along with the
    lattice vectors. Those of one sphere only are left out.

    Raises
    ------
    InputError
        If the order of the plane waves is not known.
    """
    first, second = bases
    if {first.order, second.order} == {"x", "z"}:
        raise InputError(
            f"Files `{left.path}` and `{right.path}` must halve the sphere of plane waves alike, but one keeps positive {first.order}, the other "
            f"positive {second.order}. Calculate both with the same program (serial or parallel `vasp_gam`)."
        )
    listed = first.order not in ("", "x", "z")
    in_one_order = first.order == second.order if listed else same_cell(first.cell, second.cell)
    if in_one_order and first.n_components == second.n_components:
        return None
    at = match_indices(left.indices(spin, kpoint), right.indices(spin, kpoint))
    counts = [basis.n_components // (2 if basis.flavour == "spinor" else 1) for basis in bases]
    if same_cell(first.cell, second.cell) and not len(at[0]) == counts[0] == counts[1]:
        raise InputError(
            f"Files `{left.path}` and `{right.path}` must have the same plane waves in their one cell, but share {len(at[0])} of {counts[0]} and "
            f"{counts[1]}. One of them is damaged: calculate it again."
        )
    if first.flavour == "spinor":
        halves = first.n_components // 2, second.n_components // 2
        return tuple(np.concatenate([where, where + half]) for where, half in zip(at, halves, strict=True))  # type: ignore[return-value]
    return at

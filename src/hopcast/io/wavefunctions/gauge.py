r"""Wavefunctions at Gamma that are real up to a phase, as of programs that know nothing of it (`vasp_std`, `pw.x` without its gamma tricks).

Without spin-orbit coupling and magnetic fields a state that is not degenerate can be chosen real, :math:`c(-G) = c^*(G)`. A program with
complex arithmetic gives it any phase, :math:`e^{i\varphi}`, so that :math:`\sum_G c(G)\,c(-G) = e^{2i\varphi}\sum_G |c|^2`. With that phase taken
away overlaps and couplings are real, as those of a gamma-only program.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hopcast.core.errors import InputError
from hopcast.io.wavefunctions.protocol import Basis, Wavefunctions

ENOUGH = 4_000
"""Plane waves, those of small indices, that are looked at: any set that holds -G with each G tells the phase."""
REAL = 1e-4
"""States whose sum is short of its largest value by more are no real ones (degenerate, or spin-orbit coupling)."""


def take_phases(coefficients: NDArray[Any], indices: NDArray[np.int64]) -> NDArray[np.complex128] | None:
    """Return the phases that make states at Gamma real [n_bands], of either sign; None where one of them is not real up to a phase.

    Parameters
    ----------
    coefficients
        Of whole spheres [n_bands, n_planewaves].
    indices
        Of the plane waves [n_planewaves, 3].
    """
    pairs = _opposites(indices)
    if pairs is None:
        return None
    near, opposite = pairs
    with np.errstate(all="ignore"):  # of damaged files
        rows = coefficients[:, near].astype(np.complex128)
        total = np.einsum("bg,bg->b", rows, coefficients[:, opposite])
        size = np.einsum("bg,bg->b", rows, rows.conj()).real
    if not np.all(np.abs(total) > (1 - REAL) * size):
        return None
    phases: NDArray[np.complex128] = np.exp(-0.5j * np.angle(total))
    return phases


_last: tuple[NDArray[np.int64], tuple[NDArray[np.int64], NDArray[np.int64]] | None] | None = None
"""The last list of plane waves and what `_opposites` said of it: frame after frame has the same."""


def _opposites(indices: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
    """Return the places of some plane waves of small indices and of their opposites; None where one has none."""
    global _last
    known = _last
    if known is not None and known[0] is indices:
        return known[1]
    largest = np.abs(indices).max(axis=1)
    reach = int(np.searchsorted(np.cumsum(np.bincount(largest)), ENOUGH))
    near = np.flatnonzero(largest <= reach)
    weights = np.array([1, 2 * reach + 1, (2 * reach + 1) ** 2])
    keys = indices[near] @ weights
    order = np.argsort(keys)
    ranks = np.searchsorted(keys[order], -keys)
    whole = ranks.max() < len(keys) and np.array_equal(keys[order][np.minimum(ranks, len(keys) - 1)], -keys)
    pairs = (near, near[order][ranks]) if whole else None
    _last = (indices, pairs)
    return pairs


def phases_of(
    file: Wavefunctions, coefficients: NDArray[Any], basis: Basis, channel: tuple[int, int]
) -> NDArray[np.complex128] | None:
    """Return `take_phases` of states in whole spheres at Gamma; None for all others, and where the order of plane waves is not known."""
    if basis.flavour != "full" or not is_gamma(basis.kpoint):
        return None
    try:
        indices = file.indices(*channel)
    except InputError:
        return None
    return take_phases(coefficients, indices)


def is_gamma(kpoint: NDArray[np.float64]) -> bool:
    """Whether a k-point is Gamma."""
    return not np.any(kpoint)

r"""The sphere of plane waves of VASP, its order and its halves.

A plane wave is kept where :math:`\hbar^2|k+G|^2/2m` is below ENCUT. The constant is VASP's own, made of its values of Rydberg
and Bohr, not CODATA's: the two differ by 1e-5, which is a plane wave or two in 100,000.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from hopcast.core.errors import InputError

HBAR2_OVER_2M = 13.605826 * 0.529177249**2
"""eV Å^2, as VASP has it (RYTOEV AUTOA^2)."""


def expected_planewaves(cell: NDArray[np.float64], cutoff: float) -> float:
    """Return the volume of the sphere over that of a plane wave, near to which their number is."""
    volume = abs(float(np.linalg.det(cell))) if np.isfinite(cell).all() else 0.0
    return float(volume * (cutoff / HBAR2_OVER_2M) ** 1.5 / (6 * np.pi**2))


def sphere(
    cell: NDArray[np.float64],
    cutoff: float,
    kpoint: NDArray[np.float64],
    half: str = "",
    constant: float = HBAR2_OVER_2M,
) -> NDArray[np.int64]:
    """Return the plane waves below a cutoff in VASP's order: the first index fastest, each 0, 1, ..., n, -n, ..., -1.

    Parameters
    ----------
    cell
        Lattice vectors as rows [3, 3], Å.
    cutoff
        eV.
    kpoint
        [3], in reciprocal lattice vectors.
    half
        "x" or "z": of G and -G only the one whose index along this axis is positive (then along y, then along the third).
    constant
        hbar^2 / 2m, eV Å^2.

    Returns
    -------
    ndarray
        [n_planewaves, 3].

    Raises
    ------
    InputError
        If the cell has no volume, or one so skewed that the search for plane waves has no bound.
    """
    key = np.ascontiguousarray(cell, float).tobytes(), np.ascontiguousarray(kpoint, float).tobytes()
    return _sphere(*key, float(cutoff), half, float(constant))


@lru_cache(maxsize=4)
def _sphere(cell: bytes, kpoint: bytes, cutoff: float, half: str, constant: float) -> NDArray[np.int64]:
    vectors, k = np.frombuffer(cell).reshape(3, 3), np.frombuffer(kpoint)
    volume = abs(float(np.linalg.det(vectors))) if np.isfinite(vectors).all() else 0.0
    if not (volume > 0 and 0 < cutoff < 1e6 and np.isfinite(k).all() and np.abs(k).max() < 100):
        raise InputError("The cell must have a volume, and the cutoff be a positive number of eV, but they are not.")
    radius = np.sqrt(cutoff / constant)
    expected = volume * radius**3 / (6 * np.pi**2)
    reach = radius * np.linalg.norm(vectors, axis=1) / (2 * np.pi) + np.abs(k) + 1
    if np.prod(2 * reach + 1) > 200 * expected + 1e5:
        raise InputError(
            f"The cell must not be so skewed that its {expected:.0f} plane waves hide among {np.prod(2 * reach + 1):.2g} indices, but is."
        )
    reciprocal = 2 * np.pi * np.linalg.inv(vectors).T
    x, y, z = (np.r_[0 : int(n) + 1, -int(n) : 0] for n in reach)
    found = []
    for third in z[z >= 0] if half == "z" else z:
        plane = (
            (k[2] + third) * reciprocal[2]
            + (k[1] + y)[:, None, None] * reciprocal[1]
            + (k[0] + x)[None, :, None] * reciprocal[0]
        )
        inside = constant * np.einsum("yxi,yxi->yx", plane, plane) < cutoff
        if half == "x":
            inside &= _positive(x[None, :], y[:, None], third)
        elif half == "z":
            inside &= _positive(third, y[:, None], x[None, :])
        rows, columns = np.nonzero(inside)
        found.append(np.stack([x[columns], y[rows], np.full(len(rows), third)], axis=1))
    indices = np.concatenate(found)
    indices.setflags(write=False)
    return indices


def _positive(first: NDArray[np.int64], second: NDArray[np.int64], third: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Of G and -G, whether it is the one with a positive first index; the origin is."""
    positive: NDArray[np.bool_] = (first > 0) | ((first == 0) & ((second > 0) | ((second == 0) & (third >= 0))))
    return positive


def kinetic_energies(
    indices: NDArray[np.int64], cell: NDArray[np.float64], kpoint: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return hbar^2 |k+G|^2 / 2m of plane waves [n_planewaves], eV."""
    vectors = (indices + kpoint) @ (2 * np.pi * np.linalg.inv(cell).T)
    return HBAR2_OVER_2M * np.einsum("ni,ni->n", vectors, vectors)


def match_indices(left: NDArray[np.int64], right: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return where the plane waves that two spheres share stand in each, in one order."""
    reach = int(max(np.abs(left).max(initial=0), np.abs(right).max(initial=0))) + 1
    weights = np.array([1, 2 * reach + 1, (2 * reach + 1) ** 2])
    _, at_left, at_right = np.intersect1d(left @ weights, right @ weights, return_indices=True)
    return at_left, at_right

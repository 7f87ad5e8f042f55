"""H(k): Bloch sums of the blocks of a frame, and what few of their states are wanted for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import eigh

from hopcast.core.errors import InputError
from hopcast.tightbinding.geometry import FrameGeometry
from hopcast.tightbinding.model import BandModel

Floats = NDArray[np.float64]
Complex = NDArray[np.complex128]


def bloch_matrix(model: BandModel, theta: Floats, geometry: FrameGeometry, k: ArrayLike) -> Complex:
    r"""Return :math:`H(k)_{ij} = \sum_n H_{i,j+n}\, e^{2\pi i\, k\cdot n}` [n_orbitals, n_orbitals], eV.

    Parameters
    ----------
    model, theta
        The Hamiltonian and its parameters.
    geometry
        Of the frame.
    k
        In units of the reciprocal lattice vectors [3]; n counts lattice translations.
    """
    on_site, hops = model.blocks(theta, geometry)
    first = model.first_of(geometry)
    phases = np.exp(2j * np.pi * (geometry.shift @ np.asarray(k, dtype=np.float64)))
    H = np.zeros((first[-1], first[-1]), dtype=np.complex128)
    for atom, block in enumerate(on_site):
        at, n = first[atom], first[atom + 1] - first[atom]
        H[at : at + n, at : at + n] += block[:n, :n]
    for pair, block in enumerate(hops):
        i, j = geometry.first[pair], geometry.second[pair]
        rows, columns = slice(first[i], first[i + 1]), slice(first[j], first[j + 1])
        part = phases[pair] * block[: first[i + 1] - first[i], : first[j + 1] - first[j]]
        H[rows, columns] += part
        H[columns, rows] += part.conj().T
    return H


def band_structure(model: BandModel, theta: Floats, geometry: FrameGeometry, k_points: Sequence[ArrayLike]) -> Floats:
    """Return all levels at some k-points [n_k, n_orbitals], eV.

    Raises
    ------
    InputError
        If a k-point has not three components.
    """
    points = np.asarray(k_points, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != 3:
        raise InputError(
            f"Argument `k_points` must have the shape [n_k, 3], in units of the reciprocal lattice vectors, but has {points.shape}."
        )
    levels = []
    for k in points:
        H = bloch_matrix(model, theta, geometry, k)
        if model.overlap is None:
            levels.append(np.linalg.eigvalsh(H))
            continue
        S = bloch_matrix(model.overlap, theta[model.n_own :], geometry, k)
        levels.append(eigh(H, S + np.eye(len(S)), eigvals_only=True))
    return np.array(levels)

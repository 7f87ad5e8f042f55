"""Couplings from finite differences of the Hamiltonian and overlap matrices: the second, independent route."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh

from hopcast.core.errors import InputError
from hopcast.core.units import HBAR

Matrices = tuple[NDArray[np.float64], NDArray[np.float64]]


def loewdin_root(overlap: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the symmetric square root of an overlap matrix [n_basis, n_basis].

    Raises
    ------
    InputError
        If the matrix is not positive definite.
    """
    values, vectors = np.linalg.eigh(overlap)
    if values[0] <= 0:
        raise InputError(
            f"An overlap matrix of basis functions must be positive definite, but its least eigenvalue is {values[0]:.3g}. "
            "Check for atoms on top of each other, or a cell too small for Gamma alone."
        )
    return (vectors * np.sqrt(values)) @ vectors.T


def matrix_couplings(
    before: Matrices, at: Matrices, after: Matrices, timestep: float, states: Sequence[int] | slice
) -> NDArray[np.float64]:
    r"""Return :math:`\hbar d_{ij}` from H and S at a geometry, and half a step before and after it.

    .. math:: d_{ij} = \frac{C_i^T(\dot H - \varepsilon_j\dot S)C_j}{\varepsilon_j-\varepsilon_i} + C_i^T D\,C_j,
              \qquad D = S^{1/2}\,\frac{d}{dt}S^{1/2}

    Parameters
    ----------
    before, at, after
        (H, S) at t - timestep/2, t and t + timestep/2: [n_basis, n_basis] each, H in eV.
    timestep
        Between `before` and `after`, fs.
    states
        Orbitals by number from 0.

    Returns
    -------
    NDArray
        Antisymmetric [n_states, n_states], eV, up to the sign of each state.

    Notes
    -----
    The error is of second order in `timestep`. Nearly degenerate states (closer than their interaction within a
    step) need a smaller step.
    """
    hamiltonian, overlap = at
    h_rate = (after[0] - before[0]) / timestep
    s_rate = (after[1] - before[1]) / timestep
    energies, vectors = eigh(hamiltonian, overlap)
    values, axes = np.linalg.eigh(overlap)
    roots = np.sqrt(values)
    # d(S^1/2)/dt solves X S^1/2 + S^1/2 X = dS/dt: diagonal in the eigenvectors of S
    root_rate = axes @ ((axes.T @ s_rate @ axes) / (roots[:, None] + roots)) @ axes.T
    connection = (axes * roots) @ axes.T @ root_rate
    kept, level = vectors[:, states], energies[states]
    response = kept.T @ h_rate @ kept - (kept.T @ s_rate @ kept) * level
    spread = level - level[:, None]
    np.fill_diagonal(spread, np.inf)
    d = response / spread + kept.T @ connection @ kept
    np.fill_diagonal(d, 0.0)
    return HBAR * 0.5 * (d - d.T)

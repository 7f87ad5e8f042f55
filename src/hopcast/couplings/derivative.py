"""From overlaps of neighbouring frames to the time derivative of the states."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def orthonormalised(overlaps: NDArray[Any]) -> NDArray[Any]:
    """Return the unitary matrix nearest to each overlap matrix (Löwdin: its polar factor).

    Parameters
    ----------
    overlaps
        [n_steps, n_states, n_states].
    """
    left, _, right = np.linalg.svd(overlaps)
    return left @ right


def unitary_logarithm(unitary: NDArray[Any]) -> NDArray[Any]:
    r"""Return the anti-Hermitian principal logarithm of unitary matrices.

    The principal square root of a unitary :math:`U` is the polar factor of :math:`1 + U`. Four roots bring
    every rotation below :math:`\pi/16`; then :math:`\log X = 2\,\mathrm{artanh}\,A` with the Cayley
    transform :math:`A = (X-1)(X+1)^{-1}`. Unlike an eigendecomposition this has no trouble with
    degenerate rotations.

    Parameters
    ----------
    unitary
        [..., n, n], no eigenvalue at -1 (there the logarithm is not unique: the roots of such a matrix are
        decided by rounding; see `rotation_angles`).
    """
    identity = np.eye(unitary.shape[-1])
    root = unitary
    n_roots = 4
    for _ in range(n_roots):
        root = orthonormalised(identity + root)
    cayley = np.linalg.solve(root + identity, root - identity)
    square = cayley @ cayley
    series = np.zeros_like(cayley)
    for order in range(15, 0, -2):
        series = identity / order + square @ series
    logarithm = 2.0 * (cayley @ series) * 2.0**n_roots
    return 0.5 * (logarithm - logarithm.conj().swapaxes(-1, -2))


def rotation_angles(unitary: NDArray[Any]) -> NDArray[np.float64]:
    """Return the rotation angles (phases of the eigenvalues) of unitary matrices [..., n], radians in (-pi, pi]."""
    return np.angle(np.linalg.eigvals(unitary))


def has_logarithm(unitary: NDArray[Any]) -> NDArray[np.bool_]:
    """Return the steps whose logarithm is unique: no eigenvalue within 1e-3 of -1 [n_steps]."""
    result: NDArray[np.bool_] = np.abs(rotation_angles(unitary)).max(axis=1, initial=0.0) < np.pi - 1e-3
    return result


def difference(overlaps: NDArray[Any]) -> NDArray[Any]:
    r"""Return :math:`(S - S^\dagger)/2`, the derivative times the time step to first order in the rotation.

    Hammes-Schiffer and Tully, J. Chem. Phys. 1994, 101, 4657 (doi 10.1063/1.467455).
    """
    return 0.5 * (overlaps - overlaps.conj().swapaxes(-1, -2))

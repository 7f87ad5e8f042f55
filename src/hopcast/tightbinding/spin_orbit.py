r"""Spin-orbit coupling on the atoms: :math:`H \otimes 1_2 + \sum_A \lambda_{A,l}\, L\cdot S`.

A shell of angular momentum l splits into j = l + 1/2 at :math:`\lambda l/2` and j = l - 1/2 at :math:`-\lambda (l + 1)/2`. For a p shell the
splitting is :math:`3\lambda/2`. Spinor components: all orbitals with spin up, then all with spin down.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from hopcast.core.errors import ConfigError
from hopcast.tightbinding.elements import LETTERS
from hopcast.tightbinding.geometry import FrameGeometry
from hopcast.tightbinding.model import BandModel

Floats = NDArray[np.float64]
Complex = NDArray[np.complex128]

PAULI = np.array([[[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]]])


def angular_momentum(l: int) -> Complex:  # noqa: E741
    """Return Lx, Ly, Lz in our real orbitals, in units of hbar [3, 2 l + 1, 2 l + 1]."""
    # rotations of the axes by a small angle, and what they do to the orbitals
    generators = np.zeros((3, 3, 3))
    for k in range(3):
        generators[k, (k + 2) % 3, (k + 1) % 3], generators[k, (k + 1) % 3, (k + 2) % 3] = 1.0, -1.0
    if l == 0:
        return np.zeros((3, 1, 1), dtype=np.complex128)
    if l == 1:
        return np.asarray(1j * generators, dtype=np.complex128)
    half = np.sqrt(3.0) / 2.0
    forms = np.zeros((5, 3, 3))
    for row, (i, j) in enumerate(((0, 1), (1, 2), (2, 0))):
        forms[row, i, j] = forms[row, j, i] = half
    forms[3] = np.diag([half, -half, 0.0])
    forms[4] = np.diag([-0.5, -0.5, 1.0])
    turned = np.einsum("kij,bjl->kbil", generators, forms) - np.einsum("bij,kjl->kbil", forms, generators)
    return np.asarray(1j * (2.0 / 3.0) * np.einsum("aij,kbij->kab", forms, turned), dtype=np.complex128)


def spinor_matrix(
    model: BandModel,
    H: NDArray[np.complexfloating] | Floats,
    geometry: FrameGeometry,
    strengths: Mapping[str, Mapping[str, float]],
) -> Complex:
    """Return H with spin and spin-orbit coupling [2 n_orbitals, 2 n_orbitals], eV.

    Parameters
    ----------
    model
        Whose orbitals H has.
    H
        Without spin [n_orbitals, n_orbitals], eV; real or H(k).
    geometry
        Of the frame.
    strengths
        lambda by element and shell, eV, e.g. ``{"Pb": {"p": 0.9}, "I": {"p": 0.63}}``.

    Raises
    ------
    ConfigError
        If an element has no such shell in the basis.
    """
    basis, first = model.basis, model.first_of(geometry)
    spinor = np.kron(np.eye(2), H).astype(np.complex128)
    n = len(H)
    for element, by_shell in strengths.items():
        for letter, strength in by_shell.items():
            shells = dict(zip(basis.elements, basis.shells, strict=True)).get(element, "")
            if letter not in shells:
                raise ConfigError(
                    f"Argument `strengths` must name shells of the basis, but {element} has no {letter} shell there."
                )
            momentum = LETTERS.index(letter)
            start = sum(2 * LETTERS.index(one) + 1 for one in shells[: shells.index(letter)])
            coupling = 0.5 * strength * np.einsum("kst,kab->satb", PAULI, angular_momentum(momentum))
            for atom in np.flatnonzero(geometry.species == basis.elements.index(element)):
                at = first[atom] + start + np.arange(2 * momentum + 1)
                for s in range(2):
                    for t in range(2):
                        spinor[np.ix_(s * n + at, t * n + at)] += coupling[s, :, t]
    return spinor

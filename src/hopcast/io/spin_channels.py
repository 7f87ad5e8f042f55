"""Channels of spin in other codes' files: blocks of one matrix, and what is said where one of two is taken."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hopcast.core.errors import InputError, QualityWarning
from hopcast.core.units import HARTREE
from hopcast.io.arrays import load_sparse
from hopcast.io.numbered import read_matrix

COUPLED = 1e-6
"""Elements between alpha and beta above this part of the largest make a matrix one of spinors, without blocks of spin."""


def load_square(path: Path) -> NDArray[Any]:
    """Return the matrix of an archive, or of text (which is square)."""
    return load_sparse(path) if path.suffix == ".npz" else read_matrix(path, None)


def ending(files: dict[int, Path], stem: str) -> str:
    """Return what files of steps are called, for messages."""
    return f"{stem}_<step>{'.npz' if next(iter(files.values())).suffix == '.npz' else '_re'}"


class SpinChannel:
    """One spin of the (2n, 2n) matrices (alpha first, then beta), or the whole of those of spinors."""

    def __init__(self, path: Path, spin: int | None) -> None:
        matrix = load_square(path)
        if matrix.shape[0] != matrix.shape[1]:
            raise InputError(
                f"File `{path}` must hold a square matrix of alpha and beta states, but its shape is {matrix.shape}. Calculate this step "
                "with the same orbitals."
            )
        self.shape = matrix.shape
        n_states = matrix.shape[0] // 2
        self.is_spinor = matrix.shape[0] % 2 == 1 or self._couples(matrix)
        if self.is_spinor and spin is not None:
            raise InputError(f"File `{path}` holds spinors, which have no channels of spin. Leave `spin` out.")
        self._part = slice(None) if self.is_spinor else slice((spin or 0) * n_states, ((spin or 0) + 1) * n_states)
        self.name = "spinors" if self.is_spinor else f"spin {'beta' if spin else 'alpha'}"

    def _couples(self, matrix: NDArray[Any]) -> bool:
        n_states = matrix.shape[0] // 2
        across = max(
            np.abs(matrix[:n_states, n_states:]).max(initial=0.0), np.abs(matrix[n_states:, :n_states]).max(initial=0.0)
        )
        return bool(across > COUPLED * np.abs(matrix).max(initial=0.0))

    def matrices(self, files: dict[int, Path], numbers: list[int]) -> Iterator[NDArray[Any]]:
        """Yield the matrices of files, all of this shape and with blocks of spin where the first has them."""
        for number in numbers:
            matrix = load_square(files[number])
            if matrix.shape != self.shape:
                raise InputError(
                    f"File `{files[number]}` must hold a square matrix of alpha and beta states, {self.shape}, but "
                    f"its shape is {matrix.shape}. Calculate this step with the same orbitals."
                )
            if not self.is_spinor and self._couples(matrix):
                raise InputError(
                    f"File `{files[number]}` must have blocks of spin (alpha, then beta) as the first, but couples one to the other. Calculate "
                    "all steps alike."
                )
            yield matrix

    def stack(self, files: dict[int, Path], numbers: list[int]) -> NDArray[Any]:
        """Return the states of the channel [n_files, n_states, n_states]."""
        return np.array([matrix[self._part, self._part] for matrix in self.matrices(files, numbers)])

    def energies(self, path: Path, files: dict[int, Path], numbers: list[int], spin: int | None) -> NDArray[np.float64]:
        """Return the energies of the channel [n_files, n_states], eV; another one that differs is announced."""
        both = np.array([np.diagonal(matrix).real for matrix in self.matrices(files, numbers)]) * HARTREE
        n_states = both.shape[1] // 2
        if not self.is_spinor:
            alpha, beta = both[:, :n_states], both[:, n_states:]
            if spin == 1 and not np.any(beta):
                raise InputError(
                    f"Folder `{path}` has no beta states (all energies are zero). Give `spin` 0.", topic="option"
                )
            apart = float(np.abs(alpha - beta).max(initial=0.0))
            if spin is None and np.any(beta) and apart > 1e-6:
                warn_of_spins(path, f"energies of alpha and beta differ by up to {apart:.3g} eV")
        return both[:, self._part]


def warn_of_spins(path: object, why: str) -> None:
    """Say that the second channel of spin is not read."""
    warnings.warn(
        f"`{path}` holds two channels of spin ({why}), of which alpha is read. Give `spin` (0 alpha, 1 beta) to say which.",
        QualityWarning,
        stacklevel=5,
    )

"""The text of VASP's structures: the header that `POSCAR` and `XDATCAR` share, and coordinates to the last digit."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hopcast.core.errors import ArgumentError
from hopcast.core.trajectory import Trajectory


def header(title: str, cell: Iterable[ArrayLike], numbers: ArrayLike, form: str = "%.16g") -> str:
    """Return title, scale, vectors, elements and counts; atoms keep their order, so that an element may stand there twice.

    Parameters
    ----------
    title
        First line.
    cell
        Lattice vectors [3, 3], Å.
    numbers
        Atomic numbers [n_atoms].
    form
        How a number is printed.
    """
    from ase.data import chemical_symbols

    runs = [(chemical_symbols[number], len(list(atoms))) for number, atoms in groupby(np.asarray(numbers).tolist())]
    vectors = [" ".join(form % x for x in np.asarray(vector).tolist()) for vector in cell]
    counts = [" ".join(str(run[part]) for run in runs) for part in (0, 1)]
    return "\n".join([title, "1.0", *vectors, *counts]) + "\n"


def rows(values: NDArray[np.float64]) -> str:
    """Return three numbers a line, as many digits as tell them from their neighbours."""
    return ("%.17g %.17g %.17g\n" * len(values)) % tuple(values.ravel().tolist())


def fractional(trajectory: Trajectory) -> NDArray[np.float64]:
    """Return positions in lattice vectors [n_frames, n_atoms, 3].

    Raises
    ------
    InputError
        If the trajectory is not periodic along all of them: VASP's files know no other.
    """
    if not all(trajectory.pbc):
        raise ArgumentError(
            f"A trajectory must be periodic to be written for VASP, but has pbc {trajectory.pbc}. Give it a cell, or write extxyz."
        )
    cells = trajectory.cells().swapaxes(1, 2)
    return np.asarray(np.linalg.solve(cells, trajectory.positions.swapaxes(1, 2)).swapaxes(1, 2))

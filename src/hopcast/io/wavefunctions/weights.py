"""What each k-point of a frame stands for in the mesh: its weight, where a file says it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hopcast.io.text import read_bytes
from hopcast.io.wavefunctions.protocol import BandFile
from hopcast.io.wavefunctions.wswq import Eigenval

_SAME = 1e-5
"""Of a reciprocal lattice vector: text has seven or eight digits."""


def kpoint_weight(file: BandFile, kpoint: int) -> float | None:
    """Return the weight of a k-point, in whatever unit all of the file have; None where nothing says it.

    `EIGENVAL` and `data-file-schema.xml` hold weights. A `WAVECAR` does not: those of the `EIGENVAL` beside it count, or of the
    `IBZKPT`, in its folder or above it, by their k-points.
    """
    own: NDArray[np.float64] | None = getattr(file, "weights", None)
    if own is not None:
        return float(own[kpoint])
    if file.path.name != "WAVECAR":
        return None
    beside = file.path.with_name("EIGENVAL")
    if beside.is_file():
        other = Eigenval.open(beside)
        return _of(file.kpoints[kpoint], np.column_stack([other.kpoints, other.weights]))
    for folder in (file.path.parent, file.path.parent.parent):
        if (folder / "IBZKPT").is_file():
            return _of(file.kpoints[kpoint], read_ibzkpt(folder / "IBZKPT"))
    return None


def read_ibzkpt(path: Path) -> NDArray[Any]:
    """Return the k-points (in reciprocal lattice vectors) and weights of an `IBZKPT` [n_kpoints, 4]; none where it is another's file.

    A title, the number of k-points, ``Reciprocal lattice``, then three components and a whole number a line; tetrahedra may follow.
    """
    lines = read_bytes(path).decode(errors="replace").splitlines()
    try:
        if not lines[2].strip().lower().startswith("r"):  # Cartesian lists are the user's own
            return np.empty((0, 4))
        count = int(lines[1].split()[0])
        return np.array([[float(word) for word in line.split()[:4]] for line in lines[3 : 3 + count]]).reshape(count, 4)
    except (IndexError, ValueError):
        return np.empty((0, 4))


def _of(kpoint: NDArray[np.float64], table: NDArray[Any]) -> float | None:
    here = np.flatnonzero(np.abs(table[:, :3] - kpoint).max(axis=1, initial=0.0) < _SAME)
    return float(table[here[0], 3]) if here.size else None

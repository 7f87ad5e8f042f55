"""Unwrapping: undoing jumps across periodic boundaries, a block of frames at a time and in place."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

BLOCK = 16384
"""Coordinates of about this many atoms are treated at a time: no copy of a whole trajectory."""


def _frames_a_block(n_atoms: int) -> int:
    return max(2, BLOCK // max(n_atoms, 1))


def unwrap_fractional(fractional: NDArray[Any], pbc: tuple[bool, ...]) -> None:
    """Undo jumps in place: between frames each atom moves to its nearest image.

    Parameters
    ----------
    fractional
        [n_frames, n_atoms, 3], in lattice vectors.
    pbc
        Periodicity along the lattice vectors.
    """
    periodic = np.array(pbc, dtype=float)
    size = _frames_a_block(fractional.shape[1])
    shift = np.zeros(fractional.shape[1:])
    last = fractional[0].copy()
    for start in range(1, len(fractional), size):
        block = fractional[start : start + size]
        jumps = -np.rint(np.diff(block, axis=0, prepend=last[None])) * periodic
        last = block[-1].copy()
        if np.any(jumps) or np.any(shift):
            jumps[0] += shift
            total = np.cumsum(jumps, axis=0)
            block += total
            shift = total[-1]


def unwrap_positions(positions: NDArray[Any], cell: NDArray[Any], pbc: tuple[bool, ...]) -> None:
    """Undo jumps across periodic boundaries in place: between frames each atom moves to its nearest image.

    Parameters
    ----------
    positions
        [n_frames, n_atoms, 3], Å.
    cell
        [3, 3] or [n_frames, 3, 3], Å.
    pbc
        Periodicity along the lattice vectors.
    """
    cells = np.broadcast_to(cell, (len(positions), 3, 3))
    size = _frames_a_block(positions.shape[1])
    shift = np.zeros(positions.shape[1:])
    last: NDArray[Any] | None = None
    for start in range(0, len(positions), size):
        block = positions[start : start + size]
        part = cells[start : start + size]
        fractional = np.linalg.solve(part.swapaxes(1, 2), block.swapaxes(1, 2)).swapaxes(1, 2)
        before = fractional[0] if last is None else last
        jumps = -np.rint(np.diff(fractional, axis=0, prepend=before[None])) * np.array(pbc)
        last = fractional[-1]
        if np.any(jumps) or np.any(shift):
            jumps[0] += shift
            total = np.cumsum(jumps, axis=0)
            block += total @ part
            shift = total[-1]


def to_cartesian(fractional: NDArray[Any], cells: NDArray[Any]) -> None:
    """Turn fractional coordinates into Cartesian ones in place; `cells` is [3, 3] or [n_frames, 3, 3]."""
    size = _frames_a_block(fractional.shape[1])
    for start in range(0, len(fractional), size):
        block = fractional[start : start + size]
        block[...] = block @ (cells if cells.ndim == 2 else cells[start : start + size])

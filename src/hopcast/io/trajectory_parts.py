"""What readers of trajectories share: cells given by hand, periodicity, elements, numbers of frames."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hopcast.core.errors import InputError, QualityWarning


def given_cell(cell: ArrayLike, name: object) -> NDArray[np.float64]:
    """Return lattice vectors from vectors [3, 3], three lengths, or three lengths and angles (Å, degrees).

    Raises
    ------
    InputError
        If it is none of these.
    """
    given = np.asarray(cell, dtype=float)
    if given.shape == (3,):
        return np.diag(given)
    if given.shape == (6,):
        from ase.geometry import cellpar_to_cell

        return np.asarray(cellpar_to_cell(given), dtype=float)
    if given.shape[-2:] != (3, 3) or given.ndim not in (2, 3):
        raise InputError(
            f"The cell of `{name}` must be three lengths or lattice vectors [3, 3] in Å, but has the shape {given.shape}."
        )
    return given


def flags(pbc: Any) -> tuple[bool, bool, bool]:
    """Return periodicity along three vectors."""
    first, second, third = (bool(p) for p in np.broadcast_to(pbc, (3,)))
    return first, second, third


def atomic_number(symbol: str, name: object) -> int:
    """Return the atomic number of a symbol; what follows the element (``Pb_pv``, ``O1``) is left out.

    Raises
    ------
    InputError
        If it is no element.
    """
    from ase.data import atomic_numbers

    text = symbol.split("_")[0].split("/")[0].rstrip("0123456789")
    if text not in atomic_numbers or text == "X":
        raise InputError(
            f"File `{name}` must name chemical elements, but names `{symbol[:20]}`. Correct the names of its atoms."
        )
    return int(atomic_numbers[text])


def warn_of_numbering(name: object, numbers: NDArray[np.int64]) -> None:
    """Warn where numbers of frames jump or repeat (they may begin anew, as after a restart)."""
    finding = numbering_fault(numbers)
    if finding:
        warnings.warn(
            f"File `{name}`: {finding} Check it with `hopcast check`.", QualityWarning, stacklevel=4
        )


def numbering_fault(numbers: NDArray[np.int64]) -> str:
    """Return what is wrong with the numbers that frames carry, or an empty string."""
    if len(numbers) < 3:
        return ""
    steps = np.diff(numbers)
    stride = int(np.median(steps))
    odd = np.flatnonzero((steps != stride) & ~((numbers[1:] <= numbers[:1]) & (steps < 0)))
    if not odd.size:
        return ""
    where = int(odd[0])
    kind = "is repeated" if steps[where] == 0 else "is followed by"
    after = "" if steps[where] == 0 else f" {numbers[where + 1]}"
    return f"frames are numbered in steps of {stride}, but number {numbers[where]} (frame {where}) {kind}{after}."


def no_cell(path: Path) -> InputError:
    """Return the error of a file without a cell."""
    return InputError(
        f"File `{path}` has no cell. Give `cell` (three lengths or lattice vectors in Å), or `pbc=False` for a molecule."
    )

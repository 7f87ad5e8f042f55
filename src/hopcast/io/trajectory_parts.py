"""What readers of trajectories share: cells given by hand, periodicity, elements, numbers of frames."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hopcast.core.errors import InputError, QualityWarning
from hopcast.core.trajectory import Trajectory
from hopcast.io.registry import ReadOptions
from hopcast.io.unwrap import to_cartesian, unwrap_fractional, unwrap_positions


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
            f"The cell of `{name}` must be three lengths or lattice vectors [3, 3] in Å, but has the shape {given.shape}. "
            "Give `cell` in one of these forms.",
            topic="option",
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
    text = text if text in atomic_numbers else text.capitalize()
    if text not in atomic_numbers or text == "X":
        raise InputError(
            f"File `{name}` must name chemical elements, but names `{symbol[:20]}`. Correct the names of its atoms."
        )
    return int(atomic_numbers[text])


def warn_of_numbering(name: object, numbers: NDArray[np.int64]) -> None:
    """Warn where numbers of frames jump or repeat (they may begin anew, as after a restart)."""
    finding = numbering_fault(numbers)
    if finding:
        warnings.warn(f"File `{name}`: {finding} Check it with `hopcast check`.", QualityWarning, stacklevel=4)


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
        f"File `{path}` has no cell. Give `cell` (three lengths or lattice vectors in Å), or `pbc=False` for a molecule.",
        topic="option",
    )


def check_same_atoms(name: Path, frame: int, first: NDArray[Any], numbers: NDArray[Any]) -> None:
    """Refuse a frame with other atoms than the first.

    Raises
    ------
    InputError
        Naming frame and atom.
    """
    if len(numbers) != len(first):
        raise InputError(
            f"File `{name}` must hold the same atoms in every frame, but frame {frame} has {len(numbers)} "
            f"instead of {len(first)}. Read runs of different atoms one by one.",
            topic="order of atoms",
        )
    changed = np.flatnonzero(numbers != first)
    if changed.size:
        from ase.data import chemical_symbols

        atom = changed[0]
        raise InputError(
            f"File `{name}` must keep the order of the atoms, but in frame {frame} atom {atom} is "
            f"{chemical_symbols[numbers[atom]]} instead of {chemical_symbols[first[atom]]}. Sort the frames alike.",
            topic="order of atoms",
        )


def joined_cells(cells: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return one cell [3, 3] where all frames [n_frames, 3, 3] have the same."""
    return cells[0].copy() if len(cells) and np.all(cells == cells[0]) else cells


def from_cartesian(
    path: Path,
    positions: NDArray[np.float64],
    cells: NDArray[np.float64],
    numbers: NDArray[np.int64],
    *,
    timestep: float,
    velocities: NDArray[np.float64] | None,
    periodic: tuple[bool, bool, bool] | None,
    options: ReadOptions,
    frame_numbers: NDArray[np.int64] | None = None,
) -> Trajectory:
    """Return the trajectory of Cartesian positions, unwrapped in place where it is periodic.

    Parameters
    ----------
    path
        The file, for messages.
    positions
        [n_frames, n_atoms, 3], Å.
    cells
        [n_frames, 3, 3], or [0, 3, 3] where the file has none.
    numbers
        [n_atoms].
    timestep
        fs.
    velocities
        [n_frames, n_atoms, 3], Å/fs, or None.
    periodic
        What the file says of its periodicity, or None.
    options
        The user's cell and periodicity come before those of the file.
    frame_numbers
        Those that the file gives its frames [n_frames], or None.

    Raises
    ------
    InputError
        If a cell is needed and there is none.
    """
    pbc = periodic or flags(True)
    if options.cell is not None:
        cell, pbc = given_cell(options.cell, path), flags(True)
    else:
        cell = joined_cells(cells) if len(cells) else np.zeros((3, 3))
    if options.pbc is not None:
        pbc = flags(options.pbc)
    spans = bool(np.all(np.abs(np.linalg.det(cell)) > 1e-8))
    if not spans and (any(pbc) or (options.pbc is None and not np.any(cell))):
        raise no_cell(path)
    if options.unwrap and any(pbc):
        unwrap_positions(positions, cell, pbc)
    return Trajectory(
        positions=positions,
        cell=cell,
        numbers=numbers,
        timestep=timestep,
        velocities=velocities,
        pbc=pbc,
        frame_numbers=frame_numbers,
    )


def from_fractional(
    path: Path,
    fractional: NDArray[np.float64],
    cell: NDArray[np.float64],
    numbers: NDArray[np.int64],
    *,
    timestep: float,
    options: ReadOptions,
    frame_numbers: NDArray[np.int64] | None = None,
) -> Trajectory:
    """Return the trajectory of fractional coordinates [n_frames, n_atoms, 3], made Cartesian in place.

    Raises
    ------
    InputError
        If a coordinate is not finite.
    """
    if not np.isfinite(fractional).all():
        frame, atom, axis = (int(k) for k in np.argwhere(~np.isfinite(fractional))[0])
        raise InputError(
            f"File `{path}`, frame {frame}, atom {atom} must have finite coordinates, but has {fractional[frame, atom, axis]}. It is "
            "damaged: remove this frame and what follows."
        )
    cells = cell if options.cell is None else given_cell(options.cell, path)
    pbc = flags(True if options.pbc is None else options.pbc)
    if options.unwrap and any(pbc):
        unwrap_fractional(fractional, pbc)
    to_cartesian(fractional, cells)
    return Trajectory(
        positions=fractional, cell=cells, numbers=numbers, timestep=timestep, pbc=pbc, frame_numbers=frame_numbers
    )

"""Trajectories from any file that ASE reads, or from our own HDF5 form."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hopcast.core.errors import ConfigError, InputError
from hopcast.core.trajectory import Trajectory
from hopcast.io.native import SUFFIXES, read_native, write_native


def read_trajectory(
    path: str | Path,
    *,
    timestep: float | None = None,
    cell: ArrayLike | None = None,
    format: str | None = None,
    unwrap: bool = True,
    pbc: bool | tuple[bool, bool, bool] | None = None,
) -> Trajectory:
    """Read a trajectory.

    Parameters
    ----------
    path
        Our HDF5 (``.h5``, ``.hdf5``), or anything ASE reads (XDATCAR, vasprun.xml, extxyz, xyz, ``.traj``, ...).
    timestep
        Time between the frames of the file, fs. Needed for all but our own form.
    cell
        Lattice vectors [3, 3], or three lengths, Å, for files without a cell (plain xyz).
    format
        ASE's name of the format; None recognises it.
    unwrap
        Undo jumps across the periodic boundary between frames (each atom moves to the nearest image).
    pbc
        Periodicity; None takes the file's, or True where the cell is given by hand.

    Returns
    -------
    Trajectory
        Å, fs; velocities in Å/fs where the file has them.

    Raises
    ------
    InputError
        If the file is missing or unreadable, atoms change between frames, a cell or the time step is missing.
    """
    name = Path(path)
    if not name.exists():
        raise InputError(f"File `{name}` does not exist. Check the path.")
    if format in (None, "hopcast") and name.suffix in SUFFIXES:
        trajectory: Trajectory = read_native(name, "trajectory")
        if timestep is not None and not np.isclose(timestep, trajectory.timestep, rtol=1e-6):
            raise InputError(
                f"File `{name}` has frames {trajectory.timestep:g} fs apart, but `timestep` is {timestep:g} fs. "
                "Leave `timestep` out to use the file's."
            )
        return trajectory
    if timestep is None:
        raise InputError(f"File `{name}` does not say how far apart its frames are. Give `timestep` in fs.")
    return _collect(name, timestep, cell, format, unwrap, pbc)


def _collect(
    name: Path,
    timestep: float,
    cell: ArrayLike | None,
    format: str | None,
    unwrap: bool,
    pbc: bool | tuple[bool, bool, bool] | None,
) -> Trajectory:
    import ase.io
    from ase import units
    from ase.geometry import cellpar_to_cell

    positions: list[NDArray[Any]] = []
    cells: list[NDArray[Any]] = []
    velocities: list[NDArray[Any]] = []
    numbers: NDArray[Any] | None = None
    periodic: Any = pbc
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # ASE warns about headers that do not concern positions
            for frame, atoms in enumerate(ase.io.iread(str(name), index=":", format=format)):
                if numbers is None:
                    numbers = atoms.numbers.copy()
                    if periodic is None:
                        periodic = atoms.pbc.copy() if cell is None else True
                _check_same_atoms(name, frame, numbers, atoms.numbers)
                positions.append(atoms.positions.copy())
                cells.append(atoms.cell.array.copy())
                if atoms.has("momenta"):
                    velocities.append(atoms.get_velocities() * units.fs)
    except InputError:
        raise
    except Exception as error:  # ASE's readers raise whatever their parsers raise
        raise InputError(
            f"File `{name}` cannot be read after frame {len(positions) - 1} ({type(error).__name__}: {error}). "
            "Check that it is complete, or name its `format`."
            if positions
            else f"File `{name}` cannot be read as a trajectory ({type(error).__name__}: {error}). Name its `format`."
        ) from error
    if numbers is None:
        raise InputError(f"File `{name}` holds no frames.")
    if cell is not None:
        given = np.asarray(cell, dtype=float)
        frames = (
            np.diag(given)
            if given.shape == (3,)
            else cellpar_to_cell(given)
            if given.shape == (6,)
            else given
        )
    elif not np.any(cells[0]) and (pbc is None or np.any(pbc)):
        raise InputError(
            f"File `{name}` has no cell. Give `cell` (three lengths or lattice vectors in Å), or `pbc=False` for a molecule."
        )
    else:
        frames = np.stack(cells)
        if np.all(frames == frames[0]):
            frames = frames[0]
    if velocities and len(velocities) != len(positions):
        raise InputError(
            f"File `{name}` has velocities in {len(velocities)} of its {len(positions)} frames only."
        )
    stacked = np.stack(positions)
    flags = tuple(bool(p) for p in np.broadcast_to(periodic, (3,)))
    if unwrap and any(flags):
        unwrap_positions(stacked, frames, flags)
    return Trajectory(
        positions=stacked,
        cell=frames,
        numbers=numbers,
        timestep=timestep,
        velocities=np.stack(velocities) if velocities and np.any(velocities) else None,
        pbc=flags,  # type: ignore[arg-type]
    )


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
    fractional = np.linalg.solve(cells.swapaxes(1, 2), positions.swapaxes(1, 2)).swapaxes(1, 2)
    jumps = -np.rint(np.diff(fractional, axis=0)) * np.array(pbc)
    if np.any(jumps):
        positions[1:] += np.cumsum(jumps, axis=0) @ cells[1:]


def _check_same_atoms(name: Path, frame: int, first: NDArray[Any], numbers: NDArray[Any]) -> None:
    if len(numbers) != len(first):
        raise InputError(
            f"File `{name}` must hold the same atoms in every frame, but frame {frame} has {len(numbers)} "
            f"instead of {len(first)}."
        )
    changed = np.flatnonzero(numbers != first)
    if changed.size:
        from ase.data import chemical_symbols

        atom = changed[0]
        raise InputError(
            f"File `{name}` must keep the order of the atoms, but in frame {frame} atom {atom} is "
            f"{chemical_symbols[numbers[atom]]} instead of {chemical_symbols[first[atom]]}. Sort the frames alike."
        )


def write_trajectory(trajectory: Trajectory, path: str | Path) -> None:
    """Write a trajectory in our own HDF5 form.

    Raises
    ------
    ConfigError
        If the name does not end in ``.h5`` or ``.hdf5``.
    OutputError
        If the file cannot be written.
    """
    if Path(path).suffix not in SUFFIXES:
        raise ConfigError(f"Argument `path` must end in .h5 or .hdf5, but is `{path}`.")
    write_native(path, trajectory=trajectory)

"""Trajectories in and out, by the name of their format."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path

from numpy.typing import ArrayLike

from hopcast.core.errors import ConfigError, InputError
from hopcast.core.inputs import refuse_pipe
from hopcast.core.outputs import check_file, check_folder
from hopcast.core.trajectory import Trajectory
from hopcast.io.compressed import is_compressed, unpacked
from hopcast.io.registry import (
    Format,
    ReadOptions,
    WriteOptions,
    check_heeded,
    find_format,
    list_formats,
    reading,
    recognise,
    writable,
)

HEAD = 1 << 18
"""Bytes of a compressed file that are unpacked to recognise it."""


def read_trajectory(
    path: str | Path,
    *,
    timestep: float | None = None,
    cell: ArrayLike | None = None,
    format: str | None = None,
    unwrap: bool = True,
    pbc: bool | tuple[bool, bool, bool] | None = None,
    velocities: str | Path | None = None,
    elements: Sequence[str] | None = None,
    workers: int | None = None,
) -> Trajectory:
    """Read a trajectory.

    Parameters
    ----------
    path
        File or folder: our HDF5, XDATCAR, vasprun.xml, xyz as of CP2K, extended xyz, output of pw.x, LAMMPS dumps, numbered folders of
        POSCAR, or what ASE reads (``.traj``, PDB, XSF); files may be compressed with gzip.
    timestep
        Time between the frames of the file, fs. Needed where the file does not say it.
    cell
        Lattice vectors [3, 3], or three lengths, Å, for files without a cell (plain xyz).
    format
        A name of ``hopcast formats``, or ASE's name of a format; None recognises it.
    unwrap
        Undo jumps across the periodic boundary between frames (each atom moves to the nearest image).
    pbc
        Periodicity; None takes the file's, or True where the cell is given by hand.
    velocities
        CP2K's file of velocities (atomic units); None takes ``*-vel-*`` beside ``*-pos-*`` where there is one.
    elements
        Element of each type, from type 1 on, for LAMMPS dumps that do not name them.
    workers
        Threads; None takes the cores.

    Returns
    -------
    Trajectory
        Å, fs; velocities in Å/fs where the file has them.

    Raises
    ------
    InputError
        If the file is missing or unreadable, atoms change between frames, a cell or the time step is missing.
    ConfigError
        If `format` is unknown, or `elements` are given for a format that names its own.
    """
    name = refuse_pipe(path)
    if not name.exists():
        raise InputError(f"File `{name}` does not exist. Check the path.")
    if is_compressed(name):
        with unpacked(name) as copy:
            return read_trajectory(
                copy,
                timestep=timestep,
                cell=cell,
                format=format,
                unwrap=unwrap,
                pbc=pbc,
                velocities=velocities,
                elements=elements,
                workers=workers,
            )
    ase_format = None
    if format is None:
        found = recognise_trajectory(name)
    elif format in {name for each in list_formats("trajectory") for name in (each.name, each.code)}:
        found = find_format(format, "trajectory")
    else:
        found, ase_format = find_format("ase", "trajectory"), format
    options = ReadOptions(
        timestep=timestep,
        cell=cell,
        unwrap=unwrap,
        pbc=pbc,
        ase_format=ase_format,
        workers=workers,
        velocities=None if velocities is None else Path(velocities),
        elements=None if elements is None else tuple(elements),
    )
    check_heeded(found, options)
    with reading(name, found):
        trajectory: Trajectory = found.read(name, options)
    return trajectory


def recognise_trajectory(path: Path) -> Format:
    """Return the format of a trajectory; a file that nobody recognises is given to ASE, which says what is wrong."""
    if is_compressed(path):
        with unpacked(path, size=HEAD) as copy:
            return recognise_trajectory(copy)
    found = [each for each in list_formats("trajectory") if each.sniff(path)]
    if not found and path.is_file():
        return find_format("ase", "trajectory")
    return found[0] if len(found) == 1 else recognise(path, "trajectory")


def write_trajectory(
    trajectory: Trajectory, path: str | Path, *, format: str | None = None, overwrite: bool = False
) -> None:
    """Write a trajectory (see `trajectory_losses` for what a format cannot hold).

    Parameters
    ----------
    trajectory
        What to write.
    path
        The file.
    format
        A name of ``hopcast formats`` that can be written; None goes by the name of the file: ``.h5``, ``.hdf5`` (ours), ``.extxyz``,
        ``.xyz`` (extended), ``XDATCAR``, ``POSCAR`` (one frame).
    overwrite
        Whether an existing file may be replaced.

    Raises
    ------
    ConfigError
        If the name tells no format, or `format` is unknown or only read.
    InputError
        If the format cannot hold the trajectory: molecules for VASP, several frames in a POSCAR.
    OutputError
        If the file exists, or cannot be written.
    """
    target = trajectory_format(path) if format is None else writable(format, "trajectory")
    assert target.write is not None
    (check_folder if Path(path).is_dir() else check_file)(path, overwrite=overwrite, leave="give `overwrite=True`")
    target.write(trajectory, Path(path), WriteOptions())


def trajectory_format(path: str | Path) -> Format:
    """Return the format that the name of a trajectory to be written stands for.

    Raises
    ------
    ConfigError
        If it stands for none.
    """
    name = Path(path).name.lower()
    able = [each for each in list_formats("trajectory") if each.write is not None]
    for each in able:
        if any(fnmatch(name, pattern.lower()) for pattern in each.files.split(", ")):
            return each
    raise ConfigError(
        f"Argument `path` must be called like one of {'; '.join(each.files for each in able)}, but is `{path}`. Name it so, or give `format`."
    )


def trajectory_losses(trajectory: Trajectory, target: Format) -> list[str]:
    """Return what of a trajectory a format cannot hold, one sentence each."""
    lost = {
        "timestep": f"The time step is not stored: give timestep {trajectory.timestep:g} fs when reading.",
        "velocities": "Velocities are left out.",
        "frame_numbers": "The numbers that the source gave its frames are not stored.",
        "potential_energies": "Potential energies are left out.",
    }
    return [text for name, text in lost.items() if name not in target.keeps and getattr(trajectory, name) is not None]

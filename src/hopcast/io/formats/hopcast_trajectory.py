"""Trajectories in our own HDF5."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hopcast.core.errors import ConfigError, InputError
from hopcast.core.trajectory import Trajectory
from hopcast.io.native import SUFFIXES, read_native, write_native
from hopcast.io.registry import Format, ReadOptions, WriteOptions


def sniff(path: Path) -> bool:
    """Whether it ends like our HDF5."""
    return path.suffix.lower() in SUFFIXES and path.is_file()


def read(path: Path, options: ReadOptions) -> Trajectory:
    """Read the trajectory of our file."""
    trajectory: Trajectory = read_native(path, "trajectory")
    check_timestep(path, trajectory.timestep, options.timestep)
    return trajectory


def check_timestep(path: object, found: float, wanted: float | None) -> None:
    """Refuse another time step than the file's.

    Raises
    ------
    InputError
        If they differ.
    """
    if wanted is not None and not np.isclose(wanted, found, rtol=1e-6):
        raise InputError(
            f"File `{path}` has frames {found:g} fs apart, but `timestep` is {wanted:g} fs. "
            "Leave `timestep` out to use the file's.",
            topic="time step",
        )


def write(trajectory: Trajectory, path: Path, options: WriteOptions) -> None:
    """Write our file."""
    if path.suffix.lower() not in SUFFIXES:
        raise ConfigError(f"Argument `path` must end in .h5 or .hdf5, but is `{path}`.")
    write_native(path, trajectory=trajectory)


FORMAT = Format(
    "hopcast",
    "our own HDF5, with units and velocities",
    "trajectory",
    "*.h5, *.hdf5",
    sniff,
    read,
    write,
    keeps=("timestep", "velocities", "frame_numbers", "potential_energies"),
)

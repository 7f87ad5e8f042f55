"""Trajectories read a stretch at a time."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from hopcast.core import hdf5
from hopcast.core.errors import InputError, QualityWarning
from hopcast.core.trajectory import Trajectory
from hopcast.io import read_trajectory
from hopcast.io.formats.hopcast_trajectory import check_timestep
from hopcast.io.native import SUFFIXES

LARGE = 200_000_000
"""Bytes of a file that is read whole, above which a user is told so."""


class Source(Protocol):
    """A trajectory that gives its frames on request."""

    n_frames: int

    def frames(self, start: int, stop: int) -> Trajectory:
        """Return consecutive frames."""


class InMemory:
    """A trajectory that is in memory already."""

    def __init__(self, trajectory: Trajectory) -> None:
        self._trajectory = trajectory
        self.n_frames = trajectory.n_frames

    def frames(self, start: int, stop: int) -> Trajectory:
        """Return consecutive frames."""
        return self._trajectory[start:stop]


class OnDisk:
    """A trajectory in our own HDF5 form, of which only the frames asked for are read."""

    def __init__(self, group: Any, timestep: float | None = None) -> None:
        self._group = group
        with self._told():
            self._numbers = hdf5.get_array(group, "numbers")
            self._timestep = float(group.attrs["timestep"])
            self.n_frames = int(group["positions"].shape[0])
        check_timestep(group.file.filename, self._timestep, timestep)

    def frames(self, start: int, stop: int) -> Trajectory:
        """Return consecutive frames.

        Raises
        ------
        InputError
            If the file is damaged there, or holds numbers that are not finite.
        """
        group = self._group
        with self._told():
            positions = np.asarray(group["positions"][start:stop])
            cell = np.asarray(group["cell"][()] if group["cell"].ndim == 2 else group["cell"][start:stop])
            pbc = tuple(bool(p) for p in group.attrs["pbc"])
        try:
            return Trajectory(positions, cell, self._numbers, self._timestep, pbc=pbc)  # type: ignore[arg-type]
        except InputError as error:
            raise InputError(f"File `{group.file.filename}`, frames counted from {start}: {error}") from error

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Say which file is damaged: h5py raises whatever the HDF5 library says of it."""
        try:
            yield
        except InputError:
            raise
        except Exception as error:
            raise InputError(
                f"File `{self._group.file.filename}` is damaged ({type(error).__name__}: {str(error)[:200]}). Write it again."
            ) from error


@contextmanager
def open_source(trajectory: Trajectory | str | Path, *, timestep: float | None = None) -> Iterator[Source]:
    """Open a trajectory for reading stretch by stretch; files of other formats than ours are read whole.

    Raises
    ------
    InputError
        If it cannot be read.
    """
    if isinstance(trajectory, Trajectory):
        yield InMemory(trajectory)
        return
    path = Path(trajectory)
    if path.suffix not in SUFFIXES:
        if path.is_file() and path.stat().st_size > LARGE:
            warnings.warn(
                f"File `{path}` is read whole ({path.stat().st_size / 1e9:.2g} GB). `hopcast convert` it once, on a machine with "
                "the memory, to our HDF5: that is read a chunk at a time.",
                QualityWarning,
                stacklevel=3,
            )
        yield InMemory(read_trajectory(path, timestep=timestep))
        return
    with hdf5.open_file(path) as file:
        if "trajectory" not in file:
            yield InMemory(read_trajectory(path, timestep=timestep))  # says what is missing
            return
        yield OnDisk(file["trajectory"], timestep)

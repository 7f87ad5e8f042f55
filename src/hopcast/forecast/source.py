"""Trajectories read a stretch at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from hopcast.core import hdf5
from hopcast.core.trajectory import Trajectory
from hopcast.io import read_trajectory
from hopcast.io.native import SUFFIXES


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

    def __init__(self, group: Any) -> None:
        self._group = group
        self._numbers = hdf5.get_array(group, "numbers")
        self.n_frames = int(group["positions"].shape[0])

    def frames(self, start: int, stop: int) -> Trajectory:
        """Return consecutive frames."""
        group = self._group
        cell = group["cell"]
        return Trajectory(
            positions=np.asarray(group["positions"][start:stop]),
            cell=np.asarray(cell[()] if cell.ndim == 2 else cell[start:stop]),
            numbers=self._numbers,
            timestep=float(group.attrs["timestep"]),
            pbc=tuple(bool(p) for p in group.attrs["pbc"]),  # type: ignore[arg-type]
        )


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
        yield InMemory(read_trajectory(path, timestep=timestep))
        return
    with hdf5.open_file(path) as file:
        if "trajectory" not in file:
            yield InMemory(read_trajectory(path, timestep=timestep))  # says what is missing
            return
        yield OnDisk(file["trajectory"])

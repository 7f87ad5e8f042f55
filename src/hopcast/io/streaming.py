"""Trajectories read a stretch at a time."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike

from hopcast.core import hdf5
from hopcast.core.errors import InputError, OutputError, QualityWarning
from hopcast.core.inputs import refuse_pipe
from hopcast.core.trajectory import Trajectory
from hopcast.io.compressed import is_compressed, unpacked
from hopcast.io.copies import standing_for
from hopcast.io.formats.hopcast_trajectory import check_timestep
from hopcast.io.native import SUFFIXES
from hopcast.io.registry import Format, ReadOptions, list_formats, reading
from hopcast.io.trajectories import read_trajectory, recognise_trajectory

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
            carried = {
                name: np.asarray(group[name][start:stop])
                for name in ("frame_numbers", "potential_energies")
                if name in group
            }
        try:
            return Trajectory(positions, cell, self._numbers, self._timestep, pbc=pbc, **carried)  # type: ignore[arg-type]
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


class OnText:
    """A trajectory in text, of which only the frames asked for are read; positions stay as they are written, not unwrapped.

    Each stretch is made a small file of its own, which the reader of the format reads: one reader, one set of rules.
    """

    def __init__(self, path: Path, form: Format, options: ReadOptions, folder: Path) -> None:
        assert form.index is not None
        self._path, self._form = path, form
        self._file = folder / path.name
        with reading(path, form):
            self._index = form.index(path, options)
        self.n_frames = self._index.n_frames
        self._options = replace(options, unwrap=False)
        self._symbols: tuple[str, ...] | None = None
        first = self.frames(0, min(2, self.n_frames))
        self._symbols = first.symbols
        self._options = replace(self._options, timestep=first.timestep)

    def frames(self, start: int, stop: int) -> Trajectory:
        """Return consecutive frames.

        Raises
        ------
        InputError
            If the file is damaged there.
        OutputError
            If the folder of temporary files is full.
        """
        with reading(self._path, self._form):
            text = self._index.text(start, stop)
        try:
            self._file.write_bytes(text)
        except OSError as error:
            raise OutputError(
                f"Cannot write `{self._file}`: {error.strerror or error}. Free space, or set TMPDIR to another place."
            ) from error
        try:
            with warnings.catch_warnings(), standing_for(self._file, self._path) as file:
                warnings.filterwarnings("ignore", "File .* frames are numbered", QualityWarning)
                with reading(file, self._form):
                    found: Trajectory = self._form.read(file, self._index.options(self._options, start, stop))
        except InputError as error:
            if not start:
                raise
            raise InputError(f"Frames counted from {start}: {error}", topic=error.topic) from error
        if found.symbols != (self._symbols or found.symbols):
            raise InputError(
                f"File `{self._path}` must hold the same atoms in every frame, but frame {start} holds {found.formula} ({found.n_atoms} "
                f"atoms), or its atoms in another order than the {len(self._symbols or ())} of frame 0. Read runs of different atoms "
                "one by one.",
                topic="order of atoms",
            )
        if found.n_frames != stop - start:
            raise InputError(
                f"File `{self._path}` must hold {stop - start} frames from frame {start} on, but holds {found.n_frames}. It changed "
                "while it was read: wait until it is complete."
            )
        return found


@contextmanager
def open_trajectory(
    trajectory: Trajectory | str | Path,
    *,
    timestep: float | None = None,
    cell: ArrayLike | None = None,
    format: str | None = None,
) -> Iterator[Source]:
    """Open a trajectory for reading stretch by stretch.

    Our HDF5, XDATCAR and xyz are; files of other formats are read whole, with a warning where they are large.

    Parameters
    ----------
    trajectory
        In memory, or a file.
    timestep, cell, format
        As of `read_trajectory`.

    Raises
    ------
    InputError
        If it cannot be read.
    """
    if isinstance(trajectory, Trajectory):
        yield InMemory(trajectory)
        return
    path = refuse_pipe(trajectory)
    if is_compressed(path):
        with unpacked(path) as copy, open_trajectory(copy, timestep=timestep, cell=cell, format=format) as source:
            yield source
        return
    if path.suffix.lower() in SUFFIXES:
        with hdf5.open_file(path) as file:
            if "trajectory" not in file:
                yield InMemory(read_trajectory(path, timestep=timestep))  # says what is missing
                return
            yield OnDisk(file["trajectory"], timestep)
        return
    if not path.exists():
        raise InputError(f"File `{path}` does not exist. Check the path.")
    named = {name: each for each in list_formats("trajectory") for name in (each.name, each.code)}
    form = recognise_trajectory(path) if format is None else named.get(format)
    if form is not None and form.index is not None:
        with tempfile.TemporaryDirectory(prefix="hopcast-") as folder:
            yield OnText(path, form, ReadOptions(timestep=timestep, cell=cell), Path(folder))
        return
    if path.is_file() and path.stat().st_size > LARGE:
        warnings.warn(
            f"File `{path}` is read whole ({path.stat().st_size / 1e9:.2g} GB). `hopcast convert` it once, on a machine with "
            "the memory, to our HDF5: that is read a chunk at a time.",
            QualityWarning,
            stacklevel=3,
        )
    yield InMemory(read_trajectory(path, timestep=timestep, cell=cell, format=format))

"""LAMMPS: text of its `dump atom` and `dump custom`, in the units that the dump says."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hopcast.core.errors import InputError, QualityWarning
from hopcast.core.trajectory import Trajectory
from hopcast.core.units import BOHR
from hopcast.io.assemble import need_timestep
from hopcast.io.lammps_dump import MARK, Dump, DumpFrame
from hopcast.io.registry import Format, ReadOptions
from hopcast.io.text import head, read_range
from hopcast.io.text_frames import find_marks
from hopcast.io.trajectory_parts import atomic_number, check_same_atoms, flags, from_cartesian, warn_of_numbering

ELECTRON_TIME = 1.03275
"""fs: the time in which the style `electron` counts velocities."""
UNITS = {
    "real": (1.0, 1.0, 1.0),
    "metal": (1.0, 1e3, 1e-3),
    "si": (1e10, 1e15, 1e-5),
    "cgs": (1e8, 1e15, 1e-7),
    "electron": (BOHR, 1.0, BOHR / ELECTRON_TIME),
    "micro": (1e4, 1e9, 1e-5),
    "nano": (10.0, 1e6, 1e-5),
}
"""Å, fs and Å/fs in a unit of length, time and velocity of each style (docs.lammps.org/units.html)."""
PLACES = (("xu", "yu", "zu"), ("xsu", "ysu", "zsu"), ("x", "y", "z"), ("xs", "ys", "zs"))
"""Columns of coordinates, those that are not wrapped first; with an `s` they are in lattice vectors."""


def sniff(path: Path) -> bool:
    """Whether it begins with an item of a dump."""
    return path.is_file() and head(path, 16).lstrip().startswith((MARK[:14], b"ITEM: UNITS", b"ITEM: TIME"))


def _elements(path: Path, reader: Dump, frame: DumpFrame, options: ReadOptions) -> NDArray[np.int64]:
    """Return atomic numbers of the column `element`, or of types by the user's list."""
    named = frame.columns.get("element")
    if named is not None:
        known = {word: atomic_number(word.decode("utf-8", "replace"), path) for word in set(named.tolist())}
        found = np.array([known[word] for word in named.tolist()])
        if options.elements is None:
            return found
    if options.elements is None or "type" not in frame.columns:
        raise InputError(
            f"File `{path}` does not say which elements its atoms are (columns {', '.join(frame.columns)}). Give `elements`, one for each type "
            "(Pb,I), or dump the column `element` (dump_modify element Pb I).",
            topic="option",
        )
    types = reader.column(frame.columns, "type").astype(np.int64)
    if types.min() < 1 or types.max() > len(options.elements):
        raise InputError(
            f"Argument `elements` must name an element for each type of `{path}`, but names {len(options.elements)} for types from {types.min()} "
            f"to {types.max()}."
        )
    numbers = np.array([atomic_number(symbol, "elements") for symbol in options.elements])[types - 1]
    if named is not None and not np.array_equal(numbers, found):
        raise InputError(f"File `{path}` names its elements itself, and others than `elements`. Leave it out.")
    return numbers


def read(path: Path, options: ReadOptions) -> Trajectory:
    """Read positions in Å, unwrapped where the dump says how, and velocities where it says its units."""
    reader = Dump(path)
    positions, cells, velocities = [], [], []
    steps: list[int] = []
    times: list[float] = []
    numbers: NDArray[np.int64] | None = None
    pbc, is_unwrapped, missing_id = flags(True), False, False
    for frame in reader.frames():
        columns = frame.columns
        places = next((each for each in PLACES if set(each) <= set(columns)), None)
        if places is None:
            raise InputError(
                f"File `{path}` must hold coordinates (x y z, xu yu zu, xs ys zs or xsu ysu zsu), but holds {', '.join(columns)}. Dump them."
            )
        found = _elements(path, reader, frame, options)
        if numbers is None:
            numbers, pbc, missing_id = found, frame.pbc, "id" not in columns
        check_same_atoms(path, reader.frame, numbers, found)
        place = np.stack([reader.column(columns, name) for name in places], axis=1)
        if "s" in places[0]:
            place = frame.origin + place @ frame.cell
        is_unwrapped = "u" in places[0]
        if not is_unwrapped and {"ix", "iy", "iz"} <= set(columns):
            place += np.stack([reader.column(columns, name) for name in ("ix", "iy", "iz")], axis=1) @ frame.cell
            is_unwrapped = True
        positions.append(place)
        cells.append(frame.cell)
        steps.append(frame.number)
        if {"vx", "vy", "vz"} <= set(columns):
            velocities.append(np.stack([reader.column(columns, name) for name in ("vx", "vy", "vz")], axis=1))
        if frame.time is not None:
            times.append(frame.time)
    if numbers is None:
        raise InputError(f"File `{path}` must hold frames, but holds none. Check that it was written completely.")
    length, time, speed = _units(path, reader.units)
    velocities = _usable_velocities(path, velocities, len(positions), reader.units)
    if missing_id:
        warnings.warn(
            f"File `{path}` has no column `id`: atoms of one element may change places from frame to frame. Dump it.",
            QualityWarning,
            stacklevel=4,
        )
    frame_numbers = np.array(steps, dtype=np.int64)
    warn_of_numbering(path, frame_numbers)
    told = np.diff(times) * time if reader.units and len(times) == len(positions) > 1 else np.zeros(0)
    return from_cartesian(
        path,
        np.array(positions) * length,
        np.array(cells) * length,
        numbers,
        timestep=_timestep(path, options.timestep, told),
        velocities=np.array(velocities) * speed if velocities else None,
        periodic=pbc,
        options=replace(options, unwrap=options.unwrap and not is_unwrapped),
        frame_numbers=frame_numbers,
    )


def _usable_velocities(
    path: Path, found: list[NDArray[np.float64]], n_frames: int, units: str | None
) -> list[NDArray[np.float64]]:
    """Return the velocities; none where the dump does not say its units."""
    if found and len(found) != n_frames:
        raise InputError(
            f"File `{path}` must have velocities in all of its frames or in none, but has them in {len(found)} of {n_frames}. "
            "Write them in all."
        )
    if found and units is None:
        warnings.warn(
            f"File `{path}` does not say its units (dump_modify units yes): positions are taken in Å, and its velocities left out.",
            QualityWarning,
            stacklevel=5,
        )
        return []
    return found


def _units(path: Path, style: str | None) -> tuple[float, float, float]:
    if style is not None and style not in UNITS:
        raise InputError(
            f"File `{path}` is in units `{style[:20]}`, which say nothing of Å and fs (known are {', '.join(UNITS)}). Dump it in one of these."
        )
    return UNITS["metal" if style is None else style]


def _timestep(path: Path, timestep: float | None, steps: NDArray[np.float64]) -> float:
    found = float(np.median(steps)) if len(steps) else None
    if timestep is None or found is None:
        return need_timestep(path, found if timestep is None else timestep)
    if not np.isclose(found, timestep, rtol=1e-4):
        raise InputError(
            f"File `{path}` has frames {found:g} fs apart by its times, but `timestep` is {timestep:g} fs. Leave `timestep` out.",
            topic="time step",
        )
    return timestep


class Index:
    """The frames of a dump; its units stand before the first."""

    def __init__(self, path: Path) -> None:
        size = path.stat().st_size
        marks = find_marks(path, size, MARK)
        if not len(marks):
            raise InputError(
                f"File `{path}` must hold frames of a dump (ITEM: TIMESTEP), but holds none. Name its `format`.",
                topic="option",
            )
        # a frame with its time begins there: "ITEM: TIME" begins "ITEM: TIMESTEP" too
        starts = find_marks(path, size, MARK[:10])
        marks = starts[::2] if len(starts) == 2 * len(marks) else marks
        self._path = path
        self._edges = np.append(marks, size)
        self._before = read_range(path, 0, int(marks[0]))
        self.n_frames = len(marks)

    def text(self, start: int, stop: int) -> bytes:
        """Return a file of some frames."""
        return self._before + read_range(self._path, int(self._edges[start]), int(self._edges[stop]))

    def options(self, options: ReadOptions, start: int, stop: int) -> ReadOptions:
        """Return the same options: such a file says all that the whole one says."""
        return options


def index(path: Path, options: ReadOptions) -> Index:
    """Find the frames."""
    return Index(path)


FORMAT = Format(
    "lammps",
    "LAMMPS dumps, in the units that they say",
    "trajectory",
    "*.lammpstrj, dump.*",
    sniff,
    read,
    index=index,
    code="lammps-dump-text",
    heeds=("elements",),
)

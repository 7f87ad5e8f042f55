"""Trajectories that ASE reads without running or unpickling anything."""

from __future__ import annotations

import json
import math
import os
import struct
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hopcast.core.errors import ConfigError, InputError
from hopcast.core.trajectory import Trajectory
from hopcast.io.assemble import need_timestep
from hopcast.io.formats import espresso, extxyz, lammps, vasprun, xdatcar, xyz
from hopcast.io.registry import Format, ReadOptions
from hopcast.io.text import head
from hopcast.io.trajectory_parts import check_same_atoms, flags, from_cartesian

SAFE = ("traj", "proteindatabank", "xsf")
"""ASE's names of formats that hold data only and survive `make fuzz` (others may unpickle, import, connect or fill the memory)."""


def sniff(path: Path) -> bool:
    """Whether ASE recognises it as one of the formats that hold data only, and no reader of ours does."""
    if not path.is_file() or path.suffix.lower() in (".h5", ".hdf5", ".npz", ".npy"):
        return False
    if any(each.sniff(path) for each in (xdatcar, xyz, extxyz, vasprun, espresso, lammps)):
        return False
    # guesses by content need content: text of numbers must not become a molecule
    return _guess(path) in SAFE


def _guess(path: Path) -> str | None:
    from ase.io.formats import UnknownFileTypeError, filetype

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return str(filetype(os.fspath(path), guess=bool(head(path, 1))))
    except (UnknownFileTypeError, OSError, ValueError, KeyError, IndexError, ImportError):
        return None


def read(path: Path, options: ReadOptions) -> Trajectory:
    """Read frame by frame through ASE."""
    name = options.ase_format or _guess(path)
    if options.ase_format and name not in SAFE:
        raise ConfigError(
            f"Argument `format` must be a name of `hopcast formats`, or one of {', '.join(SAFE)} (formats of ASE that hold data only), "
            f"but is `{name}`. Convert the file with ASE to extxyz first."
        )
    if name in ("xyz", "extxyz"):
        raise InputError(
            f"File `{path}` cannot be read as a trajectory: an xyz must begin with a number of atoms and hold a symbol and three coordinates of "
            "each, and what else its columns hold must be named in the comment of its frame (`Properties=species:S:1:pos:R:3:...`). Write it so."
        )
    if name not in SAFE:
        raise InputError(
            f"File `{path}` cannot be read as a trajectory: it is in no format that hopcast recognises"
            f"{'' if name is None else f' (`{name}` for ASE)'}. Name its `format` (see `hopcast formats`), or convert it with ASE to extxyz.",
            topic="option",
        )
    if name == "traj":
        check_ulm(path)
    import ase.io

    return collect(path, ase.io.iread(os.fspath(path), index=":", format=name), options)


def check_ulm(path: Path) -> None:
    """Hold the sizes that an ASE ``.traj`` claims against the size of the file, so that nothing larger is allocated.

    Raises
    ------
    InputError
        If it is damaged.
    """
    size = path.stat().st_size
    try:
        with path.open("rb") as file:
            _, n_items, offset = struct.unpack("<qqq", file.read(48)[24:])
            if not (0 < n_items <= size // 8 and 0 < offset <= size - 8 * n_items):
                raise ValueError(f"it claims {n_items} frames")
            file.seek(offset)
            for start in struct.unpack(f"<{n_items}q", file.read(8 * n_items)):
                file.seek(start)
                (length,) = struct.unpack("<q", file.read(8))
                if not 0 < length <= size - start - 8:
                    raise ValueError(f"a frame claims {length} bytes")
                for shape, kind, place in _arrays(json.loads(file.read(length))):
                    claimed = math.prod(shape) * np.dtype(kind).itemsize
                    if (
                        min(shape, default=0) < 0
                        or place < 0
                        or place + claimed > size
                        or np.dtype(kind).kind not in "fiub"
                    ):
                        raise ValueError(f"an array claims {claimed} bytes")
    except (ValueError, TypeError, KeyError, OSError, RecursionError, struct.error) as error:
        raise InputError(f"File `{path}` is damaged ({str(error)[:200]}): write it again.") from error


def _arrays(content: Any) -> Iterator[tuple[list[int], str, int]]:
    """Yield shape, type and place of every array that JSON of ASE's names."""
    if isinstance(content, dict):
        for key, value in content.items():
            if key == "ndarray":
                shape, kind, place = value
                yield [int(n) for n in shape], str(kind), int(place)
            else:
                yield from _arrays(value)
    elif isinstance(content, list):
        for value in content:
            yield from _arrays(value)


def collect(path: Path, images: Iterator[Any], options: ReadOptions) -> Trajectory:
    """Return the trajectory of ASE's images, atoms checked to be the same.

    Raises
    ------
    InputError
        If a frame cannot be read, atoms change, or cell or time step are missing.
    """
    timestep = need_timestep(path, options.timestep)
    from ase import units

    positions: list[NDArray[Any]] = []
    cells: list[NDArray[Any]] = []
    velocities: list[NDArray[Any]] = []
    numbers: NDArray[Any] | None = None
    periodic: tuple[bool, bool, bool] | None = None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # ASE warns about headers that do not concern positions
            empty: int | None = None
            for frame, atoms in enumerate(images):
                if empty is not None:
                    raise InputError(
                        f"File `{path}` must hold atoms in every frame, but frame {empty} holds none. It is damaged: write it again."
                    )
                if not len(atoms):
                    # a PDB ends with END, after which ASE finds a frame without atoms
                    empty = frame
                    continue
                if numbers is None:
                    numbers, periodic = atoms.numbers.copy(), flags(atoms.pbc)
                check_same_atoms(path, frame, numbers, atoms.numbers)
                positions.append(atoms.positions.copy())
                cells.append(atoms.cell.array.copy())
                if atoms.has("momenta"):
                    velocities.append(atoms.get_velocities() * units.fs)
    except InputError:
        raise
    except Exception as error:  # ASE's readers raise whatever their parsers raise
        raise InputError(
            f"File `{path}` cannot be read after frame {len(positions) - 1} ({type(error).__name__}: {error}). "
            "Check that it is complete, or name its `format`."
            if positions
            else f"File `{path}` cannot be read as a trajectory ({type(error).__name__}: {error}). Check that it is complete, or name its "
            "`format`."
        ) from error
    if numbers is None:
        raise InputError(f"File `{path}` must hold frames, but holds none. Check that it was written completely.")
    if velocities and len(velocities) != len(positions):
        raise InputError(
            f"File `{path}` must have velocities in all of its frames or in none, but has them in {len(velocities)} of {len(positions)}. "
            "Write them in all."
        )
    return from_cartesian(
        path,
        np.array(positions, dtype=float),
        np.array(cells, dtype=float),
        numbers,
        timestep=timestep,
        velocities=np.array(velocities) if velocities and np.any(velocities) else None,
        periodic=periodic,
        options=options,
    )


FORMAT = Format("ase", "what ASE reads: .traj, PDB, XSF", "trajectory", "*.traj, *.pdb, *.xsf", sniff, read)

"""Numbered folders of `POSCAR`, as many groups prepare single points."""

from __future__ import annotations

import re
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hopcast.core.errors import ArgumentError, InputError
from hopcast.core.hdf5 import write_text
from hopcast.core.trajectory import Trajectory
from hopcast.io.assemble import need_timestep
from hopcast.io.formats.xdatcar import read_header
from hopcast.io.numbered import consecutive, names_in
from hopcast.io.registry import Format, ReadOptions, WriteOptions
from hopcast.io.text import as_number, read_bytes
from hopcast.io.trajectory_parts import atomic_number, check_same_atoms, from_cartesian
from hopcast.io.vasp_structures import fractional, header, rows


def poscar_folders(path: Path) -> dict[int, Path]:
    """Return the POSCAR (or CONTCAR) of each numbered folder.

    Raises
    ------
    InputError
        If two folders have the same number (``1`` and ``0001``).
    """
    found: dict[int, Path] = {}
    for name in names_in(path):
        hit = re.fullmatch(r"\D*(\d{1,9})", name)
        file = next((path / name / f for f in ("POSCAR", "CONTCAR") if (path / name / f).is_file()), None)
        if hit is None or file is None:
            continue
        number = int(hit.group(1))
        if number in found:
            raise InputError(
                f"Folder `{path}` has step {number} twice: `{found[number]}` and `{file}`. Move one elsewhere."
            )
        found[number] = file
    return found


def sniff(path: Path) -> bool:
    """Whether a folder has numbered folders with a POSCAR."""
    if not path.is_dir() or (path / "XDATCAR").is_file():
        return False
    try:
        return bool(poscar_folders(path))
    except InputError:
        return True


def read_poscar(path: Path, frame: int) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]]:
    """Return cell [3, 3] (Å), atomic numbers and Cartesian positions (Å) of a POSCAR (VASP 5: with its line of elements).

    Raises
    ------
    InputError
        If it is cut short, or something in it is no number.
    """
    data = read_bytes(path)
    lines = data.split(b"\n")
    cell, symbols, counts = read_header(path, b"\n".join(lines[:7]) + b"\n", frame)
    n_atoms = sum(counts)
    row = 8 if lines[7:8] and lines[7].strip()[:1].upper() == b"S" else 7
    kind = lines[row].strip()[:1].upper() if row < len(lines) else b""
    if kind not in (b"D", b"C", b"K"):
        found = lines[row].decode("utf-8", "replace").strip()[:40] if row < len(lines) else "nothing"
        raise InputError(
            f"File `{path}`, line {row + 1} must say Direct or Cartesian, but says `{found}`. Write it as VASP 5 does."
        )
    if n_atoms > len(data) // 6:  # a coordinate and its blank take at least two bytes
        raise InputError(
            f"File `{path}` must hold {n_atoms} atoms, but has {len(data)} bytes. It is cut short: write it again."
        )
    places = []
    for atom, line in enumerate(lines[row + 1 : row + 1 + n_atoms]):
        place = [as_number(word) for word in line.split()[:3]]
        if len(place) != 3 or not np.isfinite(place).all():
            found = line[:60].decode("utf-8", "replace").strip() or "nothing"
            raise InputError(
                f"File `{path}`, line {row + 2 + atom} must hold three coordinates of atom {atom}, but holds "
                f"`{found}`. Write it again."
            )
        places.append(place)
    if len(places) != n_atoms:
        raise InputError(
            f"File `{path}` must hold {n_atoms} atoms, but holds {len(places)}. It is cut short: write it again."
        )
    # positions in Cartesian form are multiplied by the scale too, which read_header has done with the cell
    positions = np.array(places) @ cell if kind == b"D" else np.array(places) * _scale(cell, lines[2:5])
    numbers = np.repeat([atomic_number(symbol, path) for symbol in symbols], counts)
    return cell, numbers, positions


def _scale(cell: NDArray[np.float64], vectors: list[bytes]) -> NDArray[np.float64]:
    """Return what the components along x, y and z of the written vectors were multiplied by (1 where all of them are zero)."""
    written = np.array([[as_number(word) for word in line.split()[:3]] for line in vectors])
    largest = np.abs(written).argmax(axis=0)
    length = written[largest, range(3)]
    return np.where(length == 0, 1.0, cell[largest, range(3)] / np.where(length == 0, 1.0, length))


def read(path: Path, options: ReadOptions) -> Trajectory:
    """Read a folder of numbered folders, in the order of their numbers."""
    timestep = need_timestep(path, options.timestep)
    found = poscar_folders(path)
    numbered = consecutive(path, found, "numbered folders with a POSCAR")
    positions, cells = [], []
    first: NDArray[np.int64] | None = None
    for frame, number in enumerate(numbered):
        cell, numbers, places = read_poscar(found[number], frame)
        if first is None:
            first = numbers
        check_same_atoms(found[number], frame, first, numbers)
        positions.append(places)
        cells.append(cell)
    assert first is not None
    return from_cartesian(
        path,
        np.array(positions),
        np.array(cells),
        first,
        timestep=timestep,
        velocities=None,
        periodic=None,
        options=options,
        frame_numbers=np.array(numbered),
    )


STRUCTURE_NAMES = ("POSCAR*", "CONTCAR*", "*.vasp", "*.poscar")
"""How a file of one structure is called; what is called otherwise is a folder of numbered folders."""


def write(trajectory: Trajectory, path: Path, options: WriteOptions) -> None:
    """Write a folder of numbered folders, or the one frame that a name of a structure stands for.

    Raises
    ------
    InputError
        If such a name is given for more than one frame.
    """
    places = fractional(trajectory)
    texts = [
        f"{header(trajectory.formula, cell, trajectory.numbers)}Direct\n{rows(place)}"
        for cell, place in zip(trajectory.cells(), places, strict=True)
    ]
    if any(fnmatch(path.name.lower(), name.lower()) for name in STRUCTURE_NAMES):
        if len(texts) > 1:
            raise ArgumentError(
                f"File `{path}` must hold one frame, but the trajectory has {len(texts)}. Write an XDATCAR, or one frame (`trajectory[-1:]` in Python)."
            )
        write_text(path, texts[0])
        return
    carried = trajectory.frame_numbers
    numbers = range(len(texts)) if carried is None or carried.min() < 0 else carried.tolist()
    for number, text in zip(numbers, texts, strict=True):
        write_text(path / f"{number:04d}" / "POSCAR", text)


FORMAT = Format(
    "poscars",
    "numbered folders of POSCAR, or one structure",
    "trajectory",
    f"<step>/POSCAR, {', '.join(STRUCTURE_NAMES)}",
    sniff,
    read,
    write,
    keeps=("frame_numbers",),
)

"""Extended xyz: lattice, periodicity and the meaning of the columns stand in the comment of each frame."""

from __future__ import annotations

import math
import re
from array import array
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hopcast.core.errors import InputError
from hopcast.core.hdf5 import atomic_path
from hopcast.core.trajectory import Trajectory
from hopcast.io.assemble import need_timestep
from hopcast.io.registry import Format, ReadOptions, WriteOptions
from hopcast.io.text import BOM, as_number, head, split_glued
from hopcast.io.trajectory_parts import atomic_number, check_same_atoms, flags, from_cartesian
from hopcast.io.xyz_frames import Index

_KEY = re.compile(r"""([A-Za-z_]\w*)=(?:"([^"]*)"|'([^']*)'|\{([^}]*)\}|(\S+))""")
_MAX_LINE = 1 << 16
ASE_MOMENTUM = 0.09822694788464065
"""1 (u eV)^1/2 over u, in Å/fs: the unit of momenta that ASE writes."""


def sniff(path: Path) -> bool:
    """Whether its first comment has a Lattice or names the columns."""
    lines = head(path).lstrip().split(b"\n") if path.is_file() else []
    return len(lines) > 2 and lines[0].strip().isdigit() and (b"Lattice=" in lines[1] or b"Properties=" in lines[1])


def _columns(properties: str, path: Path, frame: int) -> dict[str, tuple[int, int]]:
    """Return where each property begins and how many columns it takes."""
    parts = properties.split(":")
    found, start = {}, 0
    for name, _, count in zip(parts[::3], parts[1::3], parts[2::3], strict=False):
        width = int(count) if re.fullmatch(r"[1-9]\d{0,3}", count) else 0
        if not width:
            break
        found[name] = (start, width)
        start += width
    if len(parts) % 3 or len(found) != len(parts) // 3 or found.get("pos", (0, 0))[1] != 3 or "species" not in found:
        raise InputError(
            f"File `{path}`, frame {frame} must name its columns as `Properties=species:S:1:pos:R:3:...`, but has "
            f"`{properties[:60]}`. Write the file with ASE."
        )
    return found


def read(path: Path, options: ReadOptions) -> Trajectory:
    """Read positions (Å), cells, and velocities from ASE's momenta, frame by frame."""
    timestep = need_timestep(path, options.timestep)
    positions, momenta, cells = array("d"), array("d"), array("d")
    first: NDArray[np.int64] | None = None
    periodic: tuple[bool, bool, bool] | None = None
    frame = 0
    with path.open("rb") as file:
        while line := file.readline(_MAX_LINE):
            line = line if frame else line.removeprefix(BOM)
            if not line.strip():
                continue
            count = line.strip().decode("ascii", "replace")
            n_atoms = int(count) if re.fullmatch(r"\d{1,9}", count) else 0
            if not n_atoms:
                raise InputError(
                    f"File `{path}`, frame {frame} must begin with a number of atoms, but begins with `{count[:40]}`. "
                    "The frame before may have lost or gained lines: check it, or remove what follows."
                )
            entries = {
                hit[0]: next((text for text in hit[1:] if text), "")
                for hit in _KEY.findall(file.readline(_MAX_LINE).decode("utf-8", "replace"))
            }
            columns = _columns(entries.get("Properties", "species:S:1:pos:R:3"), path, frame)
            symbols = []
            for atom in range(n_atoms):
                symbol, place, momentum = _atom(file.readline(_MAX_LINE), columns, (path, frame, atom))
                symbols.append(symbol)
                positions.extend(place)
                momenta.extend(momentum)
            known = {symbol: atomic_number(symbol, path) for symbol in set(symbols)}
            numbers = np.array([known[symbol] for symbol in symbols])
            if first is None:
                first = numbers
                letters = entries.get("pbc", "T T T" if "Lattice" in entries else "F F F").split()
                if len(letters) == 3:
                    periodic = flags([letter[0] in "Tt1" for letter in letters])
            check_same_atoms(path, frame, first, numbers)
            if "Lattice" in entries:
                cells.extend(as_number(word) for word in entries["Lattice"].split())
                if len(cells) != 9 * (frame + 1) or not np.isfinite(cells[-9:]).all():
                    raise InputError(
                        f"File `{path}`, frame {frame} must have nine numbers as its Lattice, but has "
                        f"`{entries['Lattice'][:60]}`, or frames before it have none. Write it in all frames."
                    )
            frame += 1
    if first is None:
        raise InputError(f"File `{path}` must hold frames, but holds none. Check that it was written completely.")
    _check_alike(path, frame, len(cells), len(momenta), len(positions))
    return from_cartesian(
        path,
        np.frombuffer(positions).reshape(frame, len(first), 3),
        np.frombuffer(cells).reshape(-1, 3, 3),
        first,
        timestep=timestep,
        velocities=_velocities(momenta, first, frame),
        periodic=periodic,
        options=options,
    )


def _atom(
    line: bytes, columns: Mapping[str, tuple[int, int]], at_line: tuple[Path, int, int]
) -> tuple[str, list[float], list[float]]:
    """Return element, position, and momentum (empty where there is none) of a line."""
    n_columns = sum(width for _, width in columns.values())
    if len(line.split()) != n_columns:
        line = split_glued(line)
    words = line.decode("utf-8", "replace").split()
    at, species, moving = columns["pos"][0], columns["species"][0], columns.get("momenta", (0, 0))
    if len(words) == n_columns:
        place = [as_number(word) for word in words[at : at + 3]]
        momentum = [as_number(word) for word in words[moving[0] : moving[0] + 3]] if moving[1] == 3 else []
        if all(math.isfinite(number) for number in (*place, *momentum)):
            return words[species], place, momentum
    found = " ".join(words)[:60] or "nothing"
    path, frame, atom = at_line
    raise InputError(
        f"File `{path}`, frame {frame}, atom {atom} must hold the columns that its frame names ({', '.join(columns)}), but holds `{found}`. "
        "The file is cut short or damaged: remove this frame."
    )


def _velocities(momenta: array[float], numbers: NDArray[np.int64], n_frames: int) -> NDArray[np.float64] | None:
    """Return velocities in Å/fs from momenta in ASE's unit; None where all are zero or there are none."""
    from ase.data import atomic_masses

    if not any(momenta):
        return None
    found = np.frombuffer(momenta).reshape(n_frames, len(numbers), 3) / atomic_masses[numbers][:, None]
    found *= ASE_MOMENTUM
    return np.asarray(found)


def _check_alike(path: Path, n_frames: int, n_lattice: int, n_momenta: int, n_positions: int) -> None:
    if n_lattice not in (0, 9 * n_frames):
        raise InputError(
            f"File `{path}` must have a Lattice in all of its frames or in none, but has it in {n_lattice // 9} of {n_frames}. Write it in all."
        )
    if n_momenta not in (0, n_positions):
        raise InputError(
            f"File `{path}` must have momenta in all of its frames or in none, but has them in some of its {n_frames}. Write them in all."
        )


def index(path: Path, options: ReadOptions) -> Index:
    """Find the frames: all have the same number of lines."""
    return Index(path)


def write(trajectory: Trajectory, path: Path, options: WriteOptions) -> None:
    """Write positions, the cell of each frame, periodicity, and velocities as ASE's momenta."""
    columns, values = "species:S:1:pos:R:3", trajectory.positions
    if trajectory.velocities is not None:
        from ase.data import atomic_masses

        columns += ":momenta:R:3"
        momenta = trajectory.velocities * atomic_masses[trajectory.numbers][:, None] / ASE_MOMENTUM
        values = np.concatenate([values, momenta], axis=2)
    line = "%s" + " %.17g" * values.shape[2] + "\n"
    pbc = " ".join("FT"[periodic] for periodic in trajectory.pbc)
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        for cell, frame in zip(trajectory.cells(), values, strict=True):
            lattice = f'Lattice="{" ".join(f"{x:.17g}" for x in cell.ravel())}" ' if np.any(cell) else ""
            file.write(f'{trajectory.n_atoms}\n{lattice}Properties={columns} pbc="{pbc}"\n')
            file.writelines(
                line % (symbol, *row) for symbol, row in zip(trajectory.symbols, frame.tolist(), strict=True)
            )


FORMAT = Format(
    "extxyz",
    "extended xyz, with ASE's momenta",
    "trajectory",
    "*.extxyz, *.xyz",
    sniff,
    read,
    write,
    keeps=("velocities",),
    index=index,
)

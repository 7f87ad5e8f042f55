"""Quantum ESPRESSO: the output of a molecular dynamics with `pw.x`, a line at a time."""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hopcast.core.errors import InputError
from hopcast.core.trajectory import Trajectory
from hopcast.core.units import BOHR
from hopcast.io.assemble import need_timestep
from hopcast.io.registry import Format, ReadOptions
from hopcast.io.text import as_number, head, split_glued
from hopcast.io.trajectory_parts import atomic_number, check_same_atoms, from_cartesian

_MAX_LINE = 1 << 16
_FLOAT = r"[-+]?\d*\.?\d+(?:[eE][-+]?\d+)?"
_AXIS = re.compile(rf"a\(\d\) = \(\s*({_FLOAT})\s+({_FLOAT})\s+({_FLOAT})\s*\)")
_SITE = re.compile(r"\s*\d+\s+([A-Za-z]\S*)\s+tau\(\s*[\d*]+\)\s*=\s*\(([^()]*)\)")
_CARD = re.compile(r"(?:ATOMIC_POSITIONS|CELL_PARAMETERS)\s*[({]?\s*(\w+)\s*(?:=\s*([\d.]+))?")


def sniff(path: Path) -> bool:
    """Whether it is output of pw.x."""
    return path.is_file() and b"Program PWSCF" in head(path)


class _Reader:
    """What has been read of an output so far."""

    def __init__(self, path: Path, lines: Iterator[str]) -> None:
        self.path = path
        self.lines = lines
        self.positions, self.cells = array("d"), array("d")
        self.numbers: NDArray[np.int64] | None = None
        self.n_atoms = 0
        self.alat = np.nan
        self.cell = np.full((3, 3), np.nan)
        self.timestep: float | None = None
        self.frame = 0
        self.iterations: list[int] = []

    def vectors(self, count: int, first: int, what: str) -> tuple[list[str], NDArray[np.float64]]:
        """Return the words before and the three numbers in each of the next lines."""
        words: list[str] = []
        rows: list[list[float]] = []
        for _ in range(count):
            line = split_glued(next(self.lines, "").encode()).decode().split()
            row = [as_number(word) for word in line[first : first + 3]]
            if len(row) != 3 or not np.isfinite(row).all():
                found = " ".join(line)[:60] or "nothing"
                raise InputError(
                    f"File `{self.path}`, frame {self.frame} must hold {count} lines of {what}, but line {len(rows) + 1} of them holds "
                    f"`{found}`. The file is cut short or damaged: remove this frame and what follows."
                )
            words.append(line[0])
            rows.append(row)
        return words, np.array(rows).reshape(count, 3)

    def sites(self) -> tuple[list[str], NDArray[np.float64]]:
        """Return symbols and positions (Å) of the sites that the first frame lists."""
        symbols, places = [], []
        for atom in range(self.n_atoms):
            line = next(self.lines, "")
            hit = _SITE.match(line)
            place = [as_number(word) for word in split_glued(hit.group(2).encode()).split()] if hit else []
            if hit is None or len(place) != 3 or not np.isfinite(place).all():
                raise InputError(
                    f"File `{self.path}`, frame 0 must hold a site for each of its {self.n_atoms} atoms, but that of atom {atom} is "
                    f"`{line.strip()[:70] or 'nothing'}`. A field of `*` is a number too wide for its format: shift the atoms into the cell, or remove "
                    "the list, which leaves the first frame out."
                )
            symbols.append(hit.group(1))
            places.append(place)
        return symbols, np.array(places) * self.alat

    def scale(self, line: str) -> float | None:
        """Return the unit of a card in Å, None for crystal coordinates."""
        hit = _CARD.match(line)
        unit = hit.group(1).lower() if hit else "alat"
        alat = float(hit.group(2)) * BOHR if hit and hit.group(2) else self.alat
        known = {"angstrom": 1.0, "bohr": BOHR, "alat": alat, "crystal": None}
        if unit not in known:
            raise InputError(
                f"File `{self.path}`, frame {self.frame} must give coordinates in angstrom, bohr, alat or crystal, but "
                f"gives `{unit[:20]}`. Print them in one of these."
            )
        return known[unit]

    def add(self, symbols: list[str], positions: NDArray[np.float64]) -> None:
        """Take a frame."""
        if not (np.isfinite(self.cell).all() and np.isfinite(positions).all()):
            raise InputError(
                f"File `{self.path}`, frame {self.frame} comes before the cell (`crystal axes`, `lattice parameter`). The file lacks "
                "its beginning: read it whole."
            )
        known = {symbol: atomic_number(symbol, self.path) for symbol in set(symbols)}
        numbers = np.array([known[symbol] for symbol in symbols])
        if self.numbers is None:
            self.numbers = numbers
        check_same_atoms(self.path, self.frame, self.numbers, numbers)
        self.positions.extend(positions.ravel())
        self.cells.extend(self.cell.ravel())
        self.frame += 1

    def frame_numbers(self) -> NDArray[np.int64] | None:
        """Return the iterations that frames are the result of (the first is what the first iteration starts from)."""
        found = self.iterations
        if found and len(found) == self.frame - 1:
            found = [found[0] - 1, *found]
        return np.array(found) if found and len(found) == self.frame else None

    def take(self, line: str) -> None:
        """Read what begins with a line."""
        if line.startswith("     number of atoms/cell"):
            count = line.split("=")[-1].strip()
            self.n_atoms = int(count) if re.fullmatch(r"\d{1,7}", count) else 0
        elif "lattice parameter (alat)" in line:
            hit = re.search(rf"=\s*({_FLOAT})", line)
            self.alat = float(hit.group(1)) * BOHR if hit else np.nan
        elif "crystal axes:" in line:
            axes = [_AXIS.search(next(self.lines, "")) for _ in range(3)]
            self.cell = np.array([[float(x) for x in axis.groups()] if axis else [np.nan] * 3 for axis in axes])
            self.cell *= self.alat
        elif "Entering Dynamics" in line:
            hit = re.search(r"iteration\s*=\s*(\d{1,9})\b", line)
            self.iterations += [int(hit.group(1))] if hit else []
        elif "Time step" in line and "femto-seconds" in line:
            hit = re.search(rf"({_FLOAT})\s*femto-seconds", line)
            self.timestep = float(hit.group(1)) if hit else None
        elif "positions (alat units)" in line and not self.frame:
            if self.n_atoms:
                self.add(*self.sites())
        elif line.startswith("CELL_PARAMETERS"):
            scale = self.scale(line)
            self.cell = self.vectors(3, 0, "CELL_PARAMETERS")[1] * (self.alat if scale is None else scale)
        elif line.startswith("ATOMIC_POSITIONS"):
            scale = self.scale(line)
            symbols, places = self.vectors(self.n_atoms, 1, "ATOMIC_POSITIONS")
            self.add(symbols, places @ self.cell if scale is None else places * scale)


def _lines(path: Path) -> Iterator[str]:
    with path.open("rb") as file:
        while line := file.readline(_MAX_LINE):
            yield line.decode("utf-8", "replace")


def read(path: Path, options: ReadOptions) -> Trajectory:
    """Read the first positions and those after each step of dynamics; the time step is the output's."""
    lines = _lines(path)
    reader = _Reader(path, lines)
    for line in lines:
        reader.take(line)
    if reader.numbers is None or not reader.frame:
        raise InputError(
            f"File `{path}` must hold atoms and their positions, but holds none. Name the output of `pw.x` (calculation `md`)."
        )
    found, timestep = reader.timestep, options.timestep
    # femtoseconds are printed with four decimals
    if timestep is not None and found and abs(found - timestep) > 2e-4:
        raise InputError(
            f"File `{path}` has a time step of {found:g} fs, but `timestep` is {timestep:g} fs. Leave `timestep` out.",
            topic="time step",
        )
    return from_cartesian(
        path,
        np.frombuffer(reader.positions).reshape(reader.frame, -1, 3),
        np.frombuffer(reader.cells).reshape(-1, 3, 3),
        reader.numbers,
        timestep=need_timestep(path, timestep if timestep is not None else found),
        velocities=None,
        periodic=None,
        options=options,
        frame_numbers=reader.frame_numbers(),
    )


FORMAT = Format(
    "espresso", "Quantum ESPRESSO: output of a molecular dynamics with pw.x", "trajectory", "pw.x output", sniff, read
)

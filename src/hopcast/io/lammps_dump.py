"""Dumps of LAMMPS item by item, in their own units."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hopcast.core.errors import InputError
from hopcast.io.text import as_number
from hopcast.io.trajectory_parts import flags

MARK = b"ITEM: TIMESTEP"
_MAX_LINE = 1 << 16


@dataclass(frozen=True)
class DumpFrame:
    """One frame as it is written, in the order of the atoms' numbers.

    Attributes
    ----------
    number, time
        Step, and time in the units of the dump (None where it is not written).
    cell, origin, pbc
        Lattice vectors [3, 3], where they begin [3], and periodicity.
    columns
        Text of each column by its name [n_atoms].
    """

    number: int
    time: float | None
    cell: NDArray[np.float64]
    origin: NDArray[np.float64]
    pbc: tuple[bool, bool, bool]
    columns: dict[str, NDArray[Any]]


class Dump:
    """A dump read item by item."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = path.stat().st_size
        self.line = 0
        self.frame = 0
        self.units: str | None = None

    def frames(self) -> Iterator[DumpFrame]:
        """Yield the frames."""
        number = time = box = None
        n_atoms = 0
        with self.path.open("rb") as file:
            while words := self._words(file):
                item = b" ".join(words[1:]) if words[0] == b"ITEM:" else b""
                if item == b"UNITS":
                    self.units = b" ".join(self._words(file)).decode("ascii", "replace")
                elif item == b"TIME":
                    time = self._number(file)
                elif item == b"TIMESTEP":
                    number, box, n_atoms = self._step(file), None, 0
                elif item == b"NUMBER OF ATOMS":
                    n_atoms = self._count(file)
                elif item.startswith(b"BOX BOUNDS"):
                    box = self._box(file, item.split()[2:])
                elif item.startswith(b"ATOMS") and number is not None and box is not None and n_atoms:
                    yield DumpFrame(number, time, *box, self._atoms(file, item.split()[1:], n_atoms))
                    self.frame += 1
                    number, time = None, None
                else:
                    raise self._broken(
                        "an item of a dump (TIMESTEP, NUMBER OF ATOMS, BOX BOUNDS, then ATOMS)", b" ".join(words)
                    )
        if number is not None:
            raise self._broken("the atoms of its last frame", b"nothing")

    def _words(self, file: Any) -> list[bytes]:
        """Return the words of the next line that is not blank; none at the end."""
        while line := file.readline(_MAX_LINE):
            self.line += 1
            words: list[bytes] = line.split()
            if words:
                return words
        return []

    def _broken(self, wanted: str, found: bytes) -> InputError:
        text = found[:60].decode("utf-8", "replace").strip() or "nothing"
        return InputError(
            f"File `{self.path}`, line {self.line} (frame {self.frame}) must hold {wanted}, but holds `{text}`. It is cut short or damaged: "
            "remove this frame and what follows, or write it again."
        )

    def _numbers(self, words: list[bytes], count: int, what: str) -> list[float]:
        found = [as_number(word) for word in words]
        if len(found) != count or not np.isfinite(found).all():
            raise self._broken(what, b" ".join(words))
        return found

    def _number(self, file: Any) -> float:
        return self._numbers(self._words(file), 1, "a number")[0]

    def _step(self, file: Any) -> int:
        words = self._words(file)
        if len(words) != 1 or not re.fullmatch(rb"[-+]?\d{1,18}", words[0]):
            raise self._broken("the number of a step", b" ".join(words))
        return int(words[0])

    def _count(self, file: Any) -> int:
        words = self._words(file)
        # an atom and the end of its line take two bytes
        if len(words) != 1 or not words[0].isdigit() or not 0 < int(words[0][:20]) <= self.size // 2:
            raise self._broken(f"a number of atoms that fits into the file ({self.size} bytes)", b" ".join(words))
        return int(words[0])

    def _box(
        self, file: Any, words: list[bytes]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], tuple[bool, bool, bool]]:
        """Return lattice vectors, origin and periodicity of bounds: orthogonal, tilted (xy xz yz), or vectors (abc origin)."""
        pbc = flags([word == b"pp" for word in words[-3:]]) if len(words) >= 3 else flags(True)
        if words[:2] == [b"abc", b"origin"]:
            rows = np.array([self._numbers(self._words(file), 4, "a lattice vector and an origin") for _ in range(3)])
            return rows[:, :3].copy(), rows[:, 3].copy(), pbc
        tilted = words[:3] == [b"xy", b"xz", b"yz"]
        rows = np.array([self._numbers(self._words(file), 3 if tilted else 2, "bounds of the box") for _ in range(3)])
        low, high = rows[:, 0].copy(), rows[:, 1].copy()
        xy, xz, yz = rows[:, 2] if tilted else np.zeros(3)
        # what is written of a tilted box are the bounds of all of it
        low[:2] -= [min(0.0, xy, xz, xy + xz), min(0.0, yz)]
        high[:2] -= [max(0.0, xy, xz, xy + xz), max(0.0, yz)]
        width = high - low
        return np.array([[width[0], 0.0, 0.0], [xy, width[1], 0.0], [xz, yz, width[2]]]), low, pbc

    def _atoms(self, file: Any, names: list[bytes], n_atoms: int) -> dict[str, NDArray[Any]]:
        lines = [line.split() for line in itertools.islice(file, n_atoms)]
        wrong = next((row for row, line in enumerate(lines) if len(line) != len(names)), len(lines))
        if wrong < n_atoms:
            self.line += wrong + 1
            found = b" ".join(lines[wrong]) if wrong < len(lines) else b""
            raise self._broken(
                f"the {len(names)} columns of atom {wrong} ({b' '.join(names).decode('ascii', 'replace')})", found
            )
        self.line += n_atoms
        table = np.array(lines)
        columns = {name.decode("ascii", "replace"): table[:, column] for column, name in enumerate(names)}
        if "id" not in columns:
            return columns
        identities = self.column(columns, "id")
        order = np.argsort(identities, kind="stable")
        if np.any(np.diff(identities[order]) == 0):
            raise self._broken("each atom once", b"two atoms of one id")
        return {name: values[order] for name, values in columns.items()}

    def column(self, columns: dict[str, NDArray[Any]], name: str) -> NDArray[np.float64]:
        """Return a column as numbers [n_atoms]."""
        words = columns[name]
        try:
            values = words.astype(np.float64)
        except ValueError:
            values = np.array([as_number(word) for word in words.tolist()])
        bad = np.flatnonzero(~np.isfinite(values))
        if bad.size:
            raise self._broken(f"finite numbers in the column `{name}` of this frame", words[bad[0]])
        return values

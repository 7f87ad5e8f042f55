"""Where the frames of xyz files begin: a number of atoms, a comment, the atoms; blank lines may stand between frames."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from hopcast.core.errors import InputError
from hopcast.io.registry import ReadOptions
from hopcast.io.text import BOM, MAX_LINE, head, line_chunks, read_range


def first_count(path: Path) -> int:
    """Return the number of atoms that a file begins with, 0 where it begins with something else."""
    words = head(path).lstrip().split(b"\n", 1)[0].split()
    return int(words[0]) if len(words) == 1 and words[0].isdigit() and len(words[0]) < 10 else 0


def find_frames(path: Path) -> NDArray[np.int64]:
    """Return where each frame begins, and where the last one ends [n_frames + 1].

    Raises
    ------
    InputError
        If the file begins with no number of atoms, holds more atoms than fit, ends within a frame, or a frame begins with
        another number.
    """
    n_atoms = first_count(path)
    if not n_atoms:
        raise InputError(
            f"File `{path}` cannot be read as a trajectory: it must begin with the number of atoms. Name its `format`.",
            topic="option",
        )
    size = path.stat().st_size
    if 8 * n_atoms > size:
        raise InputError(
            f"File `{path}` must hold the {n_atoms} atoms that it names, but has {size} bytes. It is damaged: write it again."
        )
    edges = _regular(path, size, n_atoms)
    return _walked(path, size, n_atoms) if edges is None else edges


def _regular(path: Path, size: int, n_atoms: int) -> NDArray[np.int64] | None:
    """Return the edges of frames that follow each other without blank lines, quickly; None where they do not."""
    period = n_atoms + 2
    count = str(n_atoms).encode()
    found: list[NDArray[np.int64]] = []
    n_lines = 0
    for start, stop in line_chunks(path, size):
        data = read_range(path, start, stop)
        begins = np.concatenate([[0], np.flatnonzero(np.frombuffer(data, dtype=np.uint8) == 10) + 1])
        begins = begins[: len(begins) - (begins[-1] == len(data))]
        first = begins[-n_lines % period :: period]
        for begin in first.tolist():
            line = data[begin : begin + len(count) + 64].split(b"\n", 1)[0].strip()
            if line != count and (line or data[begin:].strip()):
                return None
        found.append(start + first)
        n_lines += len(begins)
    tail = read_range(path, max(0, size - 4096), size)
    blank = tail[len(tail.rstrip(b"\n\r \t")) :].count(b"\n") - 1
    n_frames, left = divmod(n_lines - max(0, blank), period)
    if left or not n_frames:
        return None
    return np.append(np.concatenate(found)[:n_frames], size)


def _walked(path: Path, size: int, n_atoms: int) -> NDArray[np.int64]:
    """Return the edges of frames line by line; blank lines between them belong to none."""
    edges: list[int] = []
    with path.open("rb") as file:
        at = len(BOM) if file.read(len(BOM)) == BOM else 0
        file.seek(at)
        while line := file.readline(MAX_LINE):
            if not line.strip():
                at += len(line)
                continue
            words = line.split()
            if words != [str(n_atoms).encode()]:
                raise _another(path, len(edges), line, n_atoms)
            edges.append(at)
            at += len(line)
            for number in range(1, n_atoms + 2):
                line = file.readline(MAX_LINE)
                if not line or (number > 1 and not line.strip() and not _follows(file)):
                    raise InputError(
                        f"File `{path}` must hold {n_atoms + 2} lines a frame, but ends after line {number} of frame {len(edges) - 1}. It is cut short "
                        "(or atoms differ between frames): remove the last frame."
                    )
                at += len(line)
    return np.append(np.array(edges, dtype=np.int64), size)


def _another(path: Path, frame: int, line: bytes, n_atoms: int) -> InputError:
    found = line.strip()[:40].decode("utf-8", "replace")
    if found.isdigit():
        return InputError(
            f"File `{path}` must hold the same atoms in every frame, but frame {frame} begins with `{found}` instead of {n_atoms}. "
            "Read runs of different atoms one by one.",
            topic="order of atoms",
        )
    return InputError(
        f"File `{path}`, frame {frame} must begin with a number of atoms, but begins with `{found}`. The frame before may have lost or gained "
        "lines: check it, or remove what follows."
    )


def _follows(file: BinaryIO) -> bool:
    """Whether anything but blanks follows in an open file (whose place is kept)."""
    place = file.tell()
    while line := file.readline(MAX_LINE):
        if line.strip():
            file.seek(place)
            return True
    file.seek(place)
    return False


class Index:
    """The frames of a file, so that a stretch of them can be read by itself."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._edges = find_frames(path)
        self.n_frames = len(self._edges) - 1

    def text(self, start: int, stop: int) -> bytes:
        """Return a file of some frames."""
        return read_range(self._path, int(self._edges[start]), int(self._edges[stop]))

    def options(self, options: ReadOptions, start: int, stop: int) -> ReadOptions:
        """Return the same options: such a file says all that the whole one says."""
        return options

    def comments(self) -> list[bytes]:
        """Return the comment of each frame."""
        found = []
        with self._path.open("rb") as file:
            for edge in self._edges[:-1].tolist():
                file.seek(edge)
                file.readline(MAX_LINE)
                found.append(file.readline(MAX_LINE))
        return found

"""VASP's `XDATCAR`: one header or many, direct coordinates."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hopcast.core.chunks import map_chunks
from hopcast.core.errors import InputError
from hopcast.core.hdf5 import atomic_path
from hopcast.core.trajectory import Trajectory
from hopcast.io.assemble import need_timestep
from hopcast.io.registry import Format, ReadOptions, WriteOptions
from hopcast.io.text import as_number, head, read_range, split_glued
from hopcast.io.text_frames import find_marks, frame_groups, parse_frames
from hopcast.io.trajectory_parts import atomic_number, from_fractional, warn_of_numbering
from hopcast.io.vasp_structures import fractional, header, rows

_MARK = b"irect configuration="
_LINE = 256


def file_of(path: Path) -> Path:
    """Return the XDATCAR, given it or its folder."""
    return path / "XDATCAR" if path.is_dir() else path


def sniff(path: Path) -> bool:
    """Whether it says "Direct configuration=" in its first lines, or is what VASP 4 wrote."""
    return _MARK in head(file_of(path)) or _is_vasp_4(file_of(path))


def _is_vasp_4(file: Path) -> bool:
    return file.name.upper().startswith("XDATCAR") and [line.strip() for line in head(file).split(b"\n")[3:4]] == [
        b"CAR"
    ]


def _frames_at(file: Path, size: int) -> NDArray[np.int64]:
    """Return where the headlines of frames begin ("Direct configuration= ..."); there must be some."""
    marks = find_marks(file, size, _MARK) - 1
    if not len(marks) and _is_vasp_4(file):
        raise InputError(
            f"File `{file}` is of VASP 4, whose frames have no headlines, elements or lattice vectors, and is not read. Write it with VASP 5, or "
            "write numbered folders of POSCAR."
        )
    if not len(marks):
        raise InputError(
            f"File `{file}` cannot be read as a trajectory: it has no line `Direct configuration=`. Name its `format`.",
            topic="option",
        )
    return marks


def read_header(path: Path, text: bytes, frame: int) -> tuple[NDArray[np.float64], list[str], list[int]]:
    """Return cell, symbols and counts of a header."""
    lines = text.decode("utf-8", "replace").rstrip("\n").split("\n")[-7:]
    if len(lines) > 5 and lines[5].split() and all(word.isdigit() for word in lines[5].split()):
        raise InputError(
            f"File `{path}`, header before frame {frame}, is of VASP 4, which names no elements. Add a line of elements before that of the counts "
            f"`{lines[5].strip()[:40]}`."
        )
    try:
        scales = np.array([as_number(word) for word in lines[1].split()[:3]])
        cell = np.array([[as_number(x) for x in line.split()[:3]] for line in lines[2:5]])
        symbols, counts = lines[5].split(), [int(count) for count in lines[6].split()]
    except (ValueError, IndexError):
        raise InputError(
            f"File `{path}` must have a header before frame {frame} (name, scale, three vectors, elements, counts), but has none "
            "that can be read. The frame before may have gained lines: remove what stands there, or write the file again."
        ) from None
    # one factor, or three for the components along x, y and z; a comment may follow
    scales = scales if len(scales) == 3 and np.isfinite(scales).all() else scales[:1]
    is_fine = (
        len(scales) > 0
        and bool(np.isfinite(scales).all())
        and (scales[0] != 0 if len(scales) == 1 else bool((scales > 0).all()))
    )
    if cell.shape != (3, 3) or not np.isfinite(cell).all() or not is_fine:
        found = "; ".join(line.strip() for line in lines[1:5])[:80]
        raise InputError(
            f"File `{path}` must have a scale (or three positive ones) and three vectors of three numbers in the header before frame {frame}, but has `{found}`. "
            "Write it again."
        )
    if len(symbols) != len(counts) or not counts or min(counts) < 1 or sum(counts) > 10_000_000:
        raise InputError(
            f"File `{path}` must name one element for each count in the header before frame {frame}, but has "
            f"{len(symbols)} elements and the counts {counts[:8]}. Correct these lines.",
            topic="order of atoms",
        )
    if scales[0] < 0:  # VASP's way to give the volume
        scales = (-scales / abs(np.linalg.det(cell) or 1.0)) ** (1 / 3)
    return cell * scales, symbols, counts


def read(path: Path, options: ReadOptions) -> Trajectory:
    """Read all frames; direct coordinates are unwrapped by minimum image unless `options.unwrap` is off."""
    file = file_of(path)
    timestep = need_timestep(file, options.timestep)
    if not file.is_file():
        raise InputError(f"File `{file}` does not exist or is not a file. Check the path.")
    size = file.stat().st_size
    marks = _frames_at(file, size)
    if marks[0] > 1 << 20:
        raise InputError(
            f"File `{file}` must begin with a header, but its first frame comes after {marks[0]} bytes. Remove what stands before it."
        )
    cell, symbols, counts = read_header(file, read_range(file, 0, int(marks[0])), 0)
    n_atoms = sum(counts)
    if 6 * n_atoms * len(marks) > size:  # a coordinate and its blank take at least two bytes
        raise InputError(
            f"File `{file}` must hold {n_atoms} atoms in each of its {len(marks)} frames, but is too short for that "
            f"({size} bytes). It is damaged or cut short: write it again."
        )
    elements = [atomic_number(symbol, file) for symbol in symbols]
    positions = np.empty((len(marks), n_atoms, 3))
    cells: dict[int, NDArray[np.float64]] = {0: cell}
    edges = np.append(marks, size)
    groups = frame_groups(edges)
    numbers = np.full(len(marks), -1, dtype=np.int64)

    def parse(group: slice) -> list[tuple[int, bytes]]:
        base = int(edges[group.start])
        data = read_range(file, base, int(edges[group.stop]))
        starts = np.empty(group.stop - group.start, dtype=np.int64)
        headers = []
        for row, mark in enumerate(edges[group] - base):
            end = data.find(b"\n", int(mark), int(mark) + _LINE)
            starts[row] = len(data) if end < 0 else end + 1
            hit = re.match(rb"\s*(\d{1,12})", data[int(mark) + len(_MARK) + 1 : end if end >= 0 else None])
            numbers[group.start + row] = int(hit.group(1)) if hit else -1
        bad = parse_frames(data, starts, positions[group])
        if bad >= 0:
            raise _broken(file, data, int(starts[bad]), group.start + bad, n_atoms)
        # what follows the coordinates of a frame is the header of the next one, or nothing
        stops = np.append(edges[group.start + 1 : group.stop] - base, len(data))
        for row, (start, stop) in enumerate(zip(starts, stops, strict=True)):
            if stop - start > n_atoms * 12:
                rest = _after(data[start:stop], n_atoms)
                if rest.strip():
                    headers.append((group.start + row + 1, rest))
        return headers

    for headers in map_chunks(parse, groups, workers=options.workers):
        for frame, text in headers:
            cells[frame] = _next_cell(file, text, frame, len(marks), (symbols, counts))
    carried = numbers if (numbers >= 0).all() else None
    if carried is not None:
        warn_of_numbering(file, carried)
    return from_fractional(
        file,
        positions,
        _cells_of_frames(cells, len(marks)),
        np.repeat(elements, counts),
        timestep=timestep,
        options=options,
        frame_numbers=carried,
    )


def _next_cell(
    file: Path, text: bytes, frame: int, n_frames: int, atoms: tuple[list[str], list[int]]
) -> NDArray[np.float64]:
    """Return the cell of a header within the file; its atoms must be those of the first one."""
    if frame == n_frames:
        raise InputError(
            f"File `{file}` must end with frame {n_frames - 1}, but has text after it: it is cut short within a header, or has more atoms "
            "than its header. Remove it."
        )
    cell, symbols, counts = read_header(file, text, frame)
    if (symbols, counts) != atoms:
        raise InputError(
            f"File `{file}` must hold the same atoms in every frame, but the header before frame {frame} names "
            f"{' '.join(symbols)} {counts} instead of {' '.join(atoms[0])} {atoms[1]}. "
            "Read runs of different atoms one by one.",
            topic="order of atoms",
        )
    return cell


def _cells_of_frames(cells: Mapping[int, NDArray[np.float64]], n_frames: int) -> NDArray[np.float64]:
    """Return the cell [3, 3] if all headers name the same, else that of every frame [n_frames, 3, 3]."""
    if all(np.array_equal(other, cells[0]) for other in cells.values()):
        return cells[0]
    found = np.empty((n_frames, 3, 3))
    order = sorted(cells)
    for start, stop in zip(order, [*order[1:], n_frames], strict=True):
        found[start:stop] = cells[start]
    return found


class Index:
    """The frames of an XDATCAR, and the frames before which a header stands."""

    def __init__(self, path: Path) -> None:
        self._file = file_of(path)
        size = self._file.stat().st_size
        marks = _frames_at(self._file, size)
        self._edges = np.append(marks, size)
        self.n_frames = len(marks)
        self._first = read_range(self._file, 0, int(marks[0]))
        self._n_atoms = sum(read_header(self._file, self._first, 0)[2])
        self._with_header = self._find_headers()

    def text(self, start: int, stop: int) -> bytes:
        """Return a file of some frames, with the last header that stands before them."""
        data = read_range(self._file, int(self._edges[start]), int(self._edges[stop]))
        if stop in self._with_header:  # it follows the coordinates of the frame before
            begin = int(self._edges[stop - 1] - self._edges[start])
            kept = data[begin:].split(b"\n")[: self._n_atoms + 1]
            data = data[:begin] + b"\n".join(kept) + b"\n"
        place = int(np.searchsorted(self._with_header, start, side="right"))
        if not place:
            return self._first + data
        frame = int(self._with_header[place - 1])
        before = read_range(self._file, int(self._edges[frame - 1]), int(self._edges[frame]))
        return _after(before, self._n_atoms + 1) + data

    def options(self, options: ReadOptions, start: int, stop: int) -> ReadOptions:
        """Return the same options: such a file says all that the whole one says."""
        return options

    def _find_headers(self) -> NDArray[np.int64]:
        """Return the frames after the first before which more lines stand than the coordinates of the frame before."""
        found = []
        for group in frame_groups(self._edges):
            base = int(self._edges[group.start])
            data = read_range(self._file, base, int(self._edges[group.stop]))
            ends = np.flatnonzero(np.frombuffer(data, dtype=np.uint8) == 10)
            lines = np.diff(np.searchsorted(ends, self._edges[group.start : group.stop + 1] - base))
            found.append(group.start + 1 + np.flatnonzero(lines > self._n_atoms + 1))
        frames = np.concatenate(found)
        return frames[frames < self.n_frames]


def index(path: Path, options: ReadOptions) -> Index:
    """Find the frames."""
    return Index(path)


def _after(block: bytes, n_lines: int) -> bytes:
    """Return what follows the first lines of a block."""
    if block.count(b"\n") <= n_lines:
        return b""
    return b"\n".join(block.split(b"\n")[n_lines:])


def _broken(path: Path, data: bytes, start: int, frame: int, n_atoms: int) -> InputError:
    lines = data[start : start + 200 * n_atoms].split(b"\n")[:n_atoms]
    for atom in range(n_atoms):
        line: Any = lines[atom] if atom < len(lines) else b""
        place = [as_number(word) for word in split_glued(line).split()]
        fine = len(place) == 3 and bool(np.isfinite(place).all())
        if not fine:
            found = line[:60].decode("utf-8", "replace").strip() or "nothing"
            return InputError(
                f"File `{path}`, frame {frame}, atom {atom} must have three finite coordinates, but holds `{found}`. The file is cut short "
                "or damaged: remove this frame and what follows."
            )
    return InputError(
        f"File `{path}`, frame {frame} cannot be read. The file is damaged: remove this frame and what follows."
    )


def write(trajectory: Trajectory, path: Path, options: WriteOptions) -> None:
    """Write direct coordinates, unwrapped as they are; a header stands before each frame where the cell changes."""
    places = fractional(trajectory)
    carried = trajectory.frame_numbers
    numbers = np.arange(1, len(places) + 1) if carried is None or carried.min() < 0 else carried
    changes = trajectory.cell.ndim == 3
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        for frame, cell in enumerate(trajectory.cells()):
            if changes or not frame:
                file.write(header(trajectory.formula, cell, trajectory.numbers))
            file.write(f"Direct configuration={numbers[frame]:6d}\n{rows(places[frame])}")


FORMAT = Format(
    "xdatcar",
    "VASP's XDATCAR, one header or many",
    "trajectory",
    "XDATCAR*",
    sniff,
    read,
    write,
    keeps=("frame_numbers",),
    index=index,
)

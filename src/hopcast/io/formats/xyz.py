"""Plain xyz as CP2K writes it: `*-pos-1.xyz` with step, time and energy in the comment, `*-vel-1.xyz` beside it."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hopcast.core.chunks import map_chunks
from hopcast.core.errors import InputError
from hopcast.core.trajectory import Trajectory
from hopcast.core.units import ATOMIC_TIME, BOHR, HARTREE
from hopcast.io.registry import Format, ReadOptions
from hopcast.io.text import head, line_chunks, parse_frames, parse_table, read_range
from hopcast.io.trajectory_parts import atomic_number, flags, given_cell, no_cell, warn_of_numbering
from hopcast.io.unwrap import unwrap_positions

_COMMENT = re.compile(rb"i\s*=\s*(\d{1,12})(?:.*?time\s*=\s*([-+.\dEe]{1,30}))?")

_NO_POSITIONS = re.compile(r"-(vel|frc)-[^-]*\.xyz$", re.IGNORECASE)
_ENERGY = re.compile(rb"\bE\s*=\s*([-+.\dEe]{1,30})")


def sniff(path: Path) -> bool:
    """Whether it begins with a number of atoms, a comment without extended keys, and an atom in four columns."""
    if path.suffix != ".xyz" or not path.is_file():
        return False
    lines = head(path).split(b"\n")
    if len(lines) < 3 or b"Lattice=" in lines[1] or b"Properties=" in lines[1]:
        return False
    return lines[0].strip().isdigit() and len(lines[2].split()) == 4


def read(path: Path, options: ReadOptions) -> Trajectory:
    """Read positions (Å) and, of CP2K, velocities (atomic units), with the cell given or from CP2K's `*.cell`."""
    kind = _NO_POSITIONS.search(path.name)
    if kind:
        what = {"vel": "velocities", "frc": "forces"}[kind.group(1).lower()]
        raise InputError(
            f"File `{path}` is named as CP2K's file of {what}, which are no positions. Name the `*-pos-*.xyz` beside it (rename this one if it "
            "does hold positions)."
        )
    positions, numbers, comments = _read_file(path, options)
    velocities = None
    beside = options.velocities
    if beside is None and "-pos-" in path.name:
        candidate = path.with_name(path.name.replace("-pos-", "-vel-"))
        beside = candidate if candidate.is_file() else None
    if beside is not None:
        velocities, others, _ = _read_file(Path(beside), options)
        if velocities.shape != positions.shape or not np.array_equal(others, numbers):
            raise InputError(
                f"Files `{path}` and `{beside}` must hold the same frames of the same atoms, but hold {positions.shape[:2]} and "
                f"{velocities.shape[:2]} (frames, atoms). Print both at the same steps."
            )
        velocities *= BOHR / ATOMIC_TIME
    timestep = _timestep(path, options.timestep, comments)
    cell = _cell(path, options, len(positions))
    pbc = flags(True if options.pbc is None else options.pbc)
    if options.unwrap and any(pbc):
        if abs(float(np.linalg.det(cell).min())) < 1e-8:
            raise no_cell(path)
        unwrap_positions(positions, cell, pbc)
    found, energies = _carried(comments)
    return Trajectory(
        positions=positions, cell=cell, numbers=numbers, timestep=timestep, velocities=velocities, pbc=pbc, frame_numbers=found,
        potential_energies=energies,
    )  # fmt: skip


def _carried(comments: list[bytes]) -> tuple[NDArray[np.int64] | None, NDArray[np.float64] | None]:
    """Return the numbers (``i = 7``) and the energies (``E = -17.1``, Ha), eV, in the comments of frames; None where they lack them."""
    numbers = [_COMMENT.search(comment) for comment in comments]
    energies = [_ENERGY.search(comment) for comment in comments]
    found = np.array([int(hit.group(1)) for hit in numbers if hit], dtype=np.int64)
    try:
        values = np.array([float(hit.group(1)) for hit in energies if hit]) * HARTREE
    except ValueError:
        values = np.zeros(0)
    whole = len(values) == len(comments) and bool(np.isfinite(values).all())
    return found if len(found) == len(comments) else None, values if whole else None


def _read_file(
    path: Path, options: ReadOptions
) -> tuple[NDArray[np.float64], NDArray[np.int64], list[bytes]]:
    try:
        size = path.stat().st_size
        first = head(path, 1 << 16)
        n_atoms = int(first.split(b"\n", 1)[0])
    except (OSError, ValueError):
        raise InputError(
            f"File `{path}` cannot be read as a trajectory: it must begin with the number of atoms. Name its `format`."
        ) from None
    if n_atoms < 1 or 8 * n_atoms > size:
        raise InputError(
            f"File `{path}` must hold the {n_atoms} atoms that it names, but has {size} bytes. It is damaged: write it again."
        )
    lines = read_range(path, 0, min(size, 4096 + 400 * n_atoms)).split(b"\n")[2 : 2 + n_atoms]
    symbols = [line.split()[0] for line in lines if line.split()]
    if len(symbols) < n_atoms:
        raise InputError(
            f"File `{path}` must hold {n_atoms} atoms in frame 0, but holds {len(symbols)}. It is cut short: write it again."
        )
    numbers = np.array(
        [atomic_number(symbol.decode("utf-8", "replace"), path) for symbol in symbols], dtype=np.int64
    )
    labels = np.zeros((n_atoms, 8), dtype=np.uint8)
    for atom, symbol in enumerate(symbols):
        labels[atom, : len(symbol[:8])] = np.frombuffer(symbol[:8], dtype=np.uint8)

    period = n_atoms + 2
    ranges = line_chunks(path, size)
    counts = map_chunks(lambda r: read_range(path, *r).count(b"\n"), ranges, workers=options.workers)
    before = np.concatenate([[0], np.cumsum(counts)])
    n_frames = _whole_frames(path, size, int(before[-1]) + 1, period)
    positions = np.empty((n_frames, n_atoms, 3))

    def parse(item: int) -> list[bytes]:
        start, stop = ranges[item]
        skipped = -int(before[item]) % period  # lines of a frame that began in the chunk before
        base_frame = -(-int(before[item]) // period)
        data = read_range(path, start, min(size, stop + 200 * (n_atoms + 4)))
        ends = np.flatnonzero(np.frombuffer(data, dtype=np.uint8) == 10)
        firsts = np.concatenate([[0], ends + 1])
        begins = firsts[skipped::period]
        begins = begins[(begins < stop - start) & (base_frame + np.arange(len(begins)) < n_frames)]
        starts, comments = np.empty(len(begins), dtype=np.int64), []
        for row, begin in enumerate(begins):
            at = skipped + row * period
            if at + 1 >= len(ends):
                raise _broken(path, base_frame + row)
            count = data[begin : ends[at]].strip()
            if count != str(n_atoms).encode():
                raise InputError(
                    f"File `{path}` must hold the same atoms in every frame, but frame {base_frame + row} begins with "
                    f"`{count[:30].decode('utf-8', 'replace')}` instead of {n_atoms}. "
                    "Read runs of different atoms one by one, and check that no line is lost before this frame."
                )
            comments.append(data[ends[at] + 1 : ends[at + 1]])
            starts[row] = ends[at + 1] + 1
        bad = parse_frames(data, starts, positions[base_frame : base_frame + len(begins)], labels=labels)
        if bad >= 0:
            raise _changed(path, data[starts[bad] :], base_frame + bad, symbols)
        return comments

    comments = [
        comment
        for part in map_chunks(parse, list(range(len(ranges))), workers=options.workers)
        for comment in part
    ]
    if len(comments) != n_frames or not np.isfinite(positions).all():
        raise _broken(path, len(comments))
    return positions, numbers, comments


def _whole_frames(path: Path, size: int, n_lines: int, period: int) -> int:
    """Return the number of frames in a file of so many lines, blank ones at its end left out."""
    tail = read_range(path, max(0, size - 4096), size)
    trailing = len(tail) - len(tail.rstrip(b"\n\r \t"))
    n_frames, left = divmod(n_lines - tail[len(tail) - trailing :].count(b"\n"), period)
    if left or n_frames == 0:
        raise InputError(
            f"File `{path}` must hold {period} lines a frame, but ends after line {left} of frame {n_frames}. It is cut short "
            "(or atoms differ between frames): remove the last frame."
        )
    return n_frames


def _broken(path: Path, frame: int) -> InputError:
    return InputError(
        f"File `{path}`, frame {frame} cannot be read. The file is cut short or damaged: remove this frame."
    )


def _changed(path: Path, text: bytes, frame: int, symbols: list[bytes]) -> InputError:
    for atom, (symbol, line) in enumerate(zip(symbols, text.split(b"\n"), strict=False)):
        tokens = line.split()
        if not tokens or tokens[0] != symbol:
            found = tokens[0][:20].decode("utf-8", "replace") if tokens else "nothing"
            return InputError(
                f"File `{path}` must keep the order of the atoms, but in frame {frame} atom {atom} is {found} instead of "
                f"{symbol.decode('utf-8', 'replace')}. Sort the frames alike."
            )
        try:
            place = [float(token) for token in tokens[1:]]
        except ValueError:
            place = []
        if len(place) != 3 or not np.isfinite(place).all():
            found = line.strip()[:60].decode("utf-8", "replace")
            return InputError(
                f"File `{path}`, frame {frame}, atom {atom} must have three finite coordinates, but holds `{found}`. "
                "Remove this frame, or write it again."
            )
    return _broken(path, frame)


def _timestep(path: Path, timestep: float | None, comments: list[bytes]) -> float:
    hits: list[Any] = [_COMMENT.search(comment) for comment in comments]
    if all(hits):
        warn_of_numbering(path, np.array([int(hit.group(1)) for hit in hits], dtype=np.int64))
    found = None
    if len(hits) > 1 and all(hit and hit.group(2) for hit in hits):
        try:
            times = np.array([float(hit.group(2)) for hit in hits])
            found = float(np.median(np.diff(times)))
        except ValueError:
            found = None
    if timestep is None:
        if found is None or not np.isfinite(found) or found <= 0:
            raise InputError(
                f"File `{path}` does not say how far apart its frames are. Give `timestep` in fs."
            )
        return found
    # times are printed with three decimals
    if found is not None and abs(found - timestep) > 1e-3 * timestep + 1.1e-3:
        raise InputError(
            f"File `{path}` has frames {found:g} fs apart by its comments, but `timestep` is {timestep:g} fs. Leave `timestep` out."
        )
    return timestep


def _cell(path: Path, options: ReadOptions, n_frames: int) -> NDArray[np.float64]:
    if options.cell is not None:
        return given_cell(options.cell, path)
    beside = path.with_name(re.sub(r"-pos-(\d+)\.xyz$", r"-\1.cell", path.name))
    if beside != path and beside.is_file():
        # a comment leaves an empty line, so that messages count lines as the file does
        text = read_range(beside, 0, beside.stat().st_size)
        lines = [b"" if line.startswith(b"#") else line for line in text.split(b"\n")]
        table = parse_table(b"\n".join(lines), str(beside))
        if table.shape[1] < 11 or len(table) != n_frames:
            raise InputError(
                f"File `{beside}` must hold the cell of {n_frames} frames (11 columns or more), but holds {len(table)} lines of "
                f"{table.shape[1]}. Give `cell`."
            )
        cells = table[:, 2:11].reshape(-1, 3, 3)
        return cells[0] if np.all(cells == cells[0]) else cells
    if options.pbc is not None and not np.any(options.pbc):
        return np.zeros((3, 3))
    raise no_cell(path)


class Index:
    """The frames of a file that has the same number of lines for each: a number of atoms, a comment, the atoms."""

    def __init__(self, path: Path) -> None:
        size = path.stat().st_size
        try:
            self._period = int(head(path).split(b"\n", 1)[0]) + 2
        except ValueError:
            self._period = 0
        if self._period < 3:
            raise InputError(
                f"File `{path}` cannot be read as a trajectory: it must begin with the number of atoms. Name its `format`."
            )
        found, n_lines = [], 0
        for start, stop in line_chunks(path, size):
            data = np.frombuffer(read_range(path, start, stop), dtype=np.uint8)
            begins = np.concatenate([[0], np.flatnonzero(data == 10) + 1])
            begins = begins[: len(begins) - (begins[-1] == len(data))]
            found.append(start + begins[-n_lines % self._period :: self._period])
            n_lines += len(begins)
        self._path = path
        # the last line break begins no line
        n_lines += read_range(path, size - 1, size) == b"\n"
        self.n_frames = _whole_frames(path, size, n_lines, self._period)
        self._edges = np.append(np.concatenate(found)[: self.n_frames], size)

    def text(self, start: int, stop: int) -> bytes:
        """Return a file of some frames."""
        return read_range(self._path, int(self._edges[start]), int(self._edges[stop]))

    def options(self, options: ReadOptions, start: int, stop: int) -> ReadOptions:
        """Return the same options: such a file says all that the whole one says."""
        return options


class _WithCell(Index):
    """Frames of plain xyz, whose cell comes from the user or from CP2K's file of cells."""

    def __init__(self, path: Path, options: ReadOptions) -> None:
        super().__init__(path)
        self._cell = _cell(path, options, self.n_frames)

    def options(self, options: ReadOptions, start: int, stop: int) -> ReadOptions:
        """Return the options with the cell of some frames."""
        cell = self._cell if self._cell.ndim == 2 else self._cell[start:stop]
        return replace(options, cell=cell)


def index(path: Path, options: ReadOptions) -> Index:
    """Find the frames."""
    return _WithCell(path, options)


FORMAT = Format(
    "xyz", "plain xyz, as CP2K writes it, with *-vel-1.xyz and *.cell beside it", "trajectory", "*.xyz", sniff, read,
    index=index,
)  # fmt: skip

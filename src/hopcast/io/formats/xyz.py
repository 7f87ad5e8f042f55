"""Plain xyz as CP2K writes it: `*-pos-1.xyz` with step, time and energy in the comment, `*-vel-1.xyz` beside it."""

from __future__ import annotations

import re
from collections.abc import Callable
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
from hopcast.io.text import as_number, head, parse_table, read_bytes, read_range, split_glued
from hopcast.io.text_frames import frame_groups, parse_frames
from hopcast.io.trajectory_parts import atomic_number, flags, given_cell, joined_cells, no_cell, warn_of_numbering
from hopcast.io.unwrap import unwrap_positions
from hopcast.io.xyz_frames import Index, find_frames, first_count

_COMMENT = re.compile(rb"i\s*=\s*(\d{1,12})(?:.*?time\s*=\s*([-+.\dEe]{1,30}))?")

_NO_POSITIONS = re.compile(r"-(vel|frc)-[^-]*\.xyz$", re.IGNORECASE)
_ENERGY = re.compile(rb"\bE\s*=\s*([-+.\dEe]{1,30})")


def sniff(path: Path) -> bool:
    """Whether it begins with a number of atoms, a comment without extended keys, and an atom in four columns."""
    if path.suffix.lower() != ".xyz" or not path.is_file():
        return False
    lines = head(path).lstrip().split(b"\n")
    if len(lines) < 3 or b"Lattice=" in lines[1] or b"Properties=" in lines[1]:
        return False
    return lines[0].strip().isdigit() and len(split_glued(lines[2]).split()) == 4


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
    cell = _cell(path, options, lambda: comments)
    pbc = flags(True if options.pbc is None else options.pbc)
    if options.unwrap and any(pbc):
        if abs(float(np.linalg.det(cell).min())) < 1e-8:
            raise no_cell(path)
        unwrap_positions(positions, cell, pbc)
    found, energies = _carried(comments)
    return Trajectory(
        positions=positions,
        cell=cell,
        numbers=numbers,
        timestep=timestep,
        velocities=velocities,
        pbc=pbc,
        frame_numbers=found,
        potential_energies=energies,
    )


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


def _read_file(path: Path, options: ReadOptions) -> tuple[NDArray[np.float64], NDArray[np.int64], list[bytes]]:
    edges = find_frames(path)
    n_atoms = first_count(path)
    lines = read_range(path, int(edges[0]), int(edges[1])).split(b"\n")[2 : 2 + n_atoms]
    symbols = [line.split()[0] for line in lines if line.split()]
    if len(symbols) < n_atoms:
        raise InputError(
            f"File `{path}` must hold {n_atoms} atoms in frame 0, but holds {len(symbols)}. It is cut short: write it again."
        )
    numbers = np.array([atomic_number(symbol.decode("utf-8", "replace"), path) for symbol in symbols], dtype=np.int64)
    labels = np.zeros((n_atoms, 8), dtype=np.uint8)
    for atom, symbol in enumerate(symbols):
        labels[atom, : len(symbol[:8])] = np.frombuffer(symbol[:8], dtype=np.uint8)

    positions = np.empty((len(edges) - 1, n_atoms, 3))

    def parse(group: slice) -> list[bytes]:
        base = int(edges[group.start])
        data = read_range(path, base, int(edges[group.stop]))
        ends = np.flatnonzero(np.frombuffer(data, dtype=np.uint8) == 10)
        at = np.searchsorted(ends, edges[group] - base)
        if at[-1] + 1 >= len(ends):
            raise _broken(path, group.stop - 1)
        starts = ends[at + 1] + 1
        bad = parse_frames(data, starts, positions[group], labels=labels)
        if bad >= 0:
            raise _changed(path, data[starts[bad] :], group.start + bad, symbols)
        return [data[ends[row] + 1 : ends[row + 1]] for row in at]

    comments = [comment for part in map_chunks(parse, frame_groups(edges), workers=options.workers) for comment in part]
    return positions, numbers, comments


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
                f"{symbol.decode('utf-8', 'replace')}. Sort the frames alike.",
                topic="order of atoms",
            )
        place = [as_number(token) for token in split_glued(line).split()[1:]]
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
                f"File `{path}` does not say how far apart its frames are. Give `timestep` in fs.", topic="option"
            )
        return found
    # times are printed with three decimals
    if found is not None and abs(found - timestep) > 1e-3 * timestep + 1.1e-3:
        raise InputError(
            f"File `{path}` has frames {found:g} fs apart by its comments, but `timestep` is {timestep:g} fs. Leave `timestep` out.",
            topic="time step",
        )
    return timestep


def _cell(path: Path, options: ReadOptions, comments: Callable[[], list[bytes]]) -> NDArray[np.float64]:
    """Return the cell that the user gives, or those of CP2K's file beside, by the numbers of steps where both have them."""
    if options.cell is not None:
        return given_cell(options.cell, path)
    beside = path.with_name(re.sub(r"-pos-(\d+)\.xyz$", r"-\1.cell", path.name, flags=re.IGNORECASE))
    if beside != path and beside.is_file():
        # a comment leaves an empty line, so that messages count lines as the file does
        lines = [b"" if line.startswith(b"#") else line for line in read_bytes(beside).split(b"\n")]
        table = parse_table(b"\n".join(lines), str(beside))
        if table.shape[1] < 11:
            raise InputError(
                f"File `{beside}` must hold steps, times and cells (11 columns or more), but holds {table.shape[1]} columns. Give `cell`.",
                topic="option",
            )
        return joined_cells(_cells_of(beside, table, comments()))
    if options.pbc is not None and not np.any(options.pbc):
        return np.zeros((3, 3))
    raise no_cell(path)


def _cells_of(beside: Path, table: NDArray[np.float64], comments: list[bytes]) -> NDArray[np.float64]:
    """Return the cell of each frame [n_frames, 3, 3] of the rows of a ``.cell``, which may be printed at another stride."""
    cells = table[:, 2:11].reshape(-1, 3, 3)
    if len(cells) > 1 and np.all(cells == cells[0]):
        return np.broadcast_to(cells[0], (len(comments), 3, 3))
    numbers, _ = _carried(comments)
    if numbers is None:
        if len(cells) != len(comments):
            raise InputError(
                f"File `{beside}` must hold the cell of {len(comments)} frames, or their numbers must say which of its {len(cells)} lines is whose. "
                "Give `cell`.",
                topic="option",
            )
        return cells
    rows = {int(step): row for row, step in enumerate(table[:, 0].tolist()) if step == np.rint(step)}
    missing = [int(number) for number in numbers if int(number) not in rows]
    if missing:
        raise InputError(
            f"File `{beside}` must hold the cell of every step of the positions, but that of step {missing[0]} ({len(missing)} in all) is missing. "
            "Print both at the same steps, or give `cell`.",
            topic="numbering",
        )
    return cells[[rows[int(number)] for number in numbers]]


class _WithCell(Index):
    """Frames of plain xyz, whose cell comes from the user or from CP2K's file of cells."""

    def __init__(self, path: Path, options: ReadOptions) -> None:
        super().__init__(path)
        self._cell = _cell(path, options, self.comments)

    def options(self, options: ReadOptions, start: int, stop: int) -> ReadOptions:
        """Return the options with the cell of some frames."""
        cell = self._cell if self._cell.ndim == 2 else self._cell[start:stop]
        return replace(options, cell=cell)


def index(path: Path, options: ReadOptions) -> Index:
    """Find the frames."""
    return _WithCell(path, options)


FORMAT = Format(
    "xyz",
    "plain xyz, as CP2K writes it, with *-vel-1.xyz and *.cell beside it",
    "trajectory",
    "*.xyz",
    sniff,
    read,
    index=index,
)

"""What Hefei-NAMD writes: `SHPROP`, `PSICT`, `RECOMB`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hopcast.core.errors import InputError
from hopcast.io.text import head, join_rows, parse_table, read_bytes


@dataclass(frozen=True, eq=False)
class HefeiOutput:
    """Populations along time, as Hefei-NAMD wrote them.

    Attributes
    ----------
    times
        [n_times], fs.
    energy
        Mean energy [n_times], eV.
    populations
        [n_times, n_states]; of a ``PSICT`` the squares of the amplitudes' moduli.
    coefficients
        Complex amplitudes [n_times, n_states] of a ``PSICT``; None for a ``SHPROP``.
    """

    times: NDArray[np.float64]
    energy: NDArray[np.float64]
    populations: NDArray[np.float64]
    coefficients: NDArray[np.complex128] | None = None


def _rows(path: Path) -> NDArray[np.float64]:
    """Return the numbers of a file, a row a time; rows that list-directed output broke over lines are joined.

    The original code says its bands in comments (BMIN, BMAX), and writes a row over as many lines of 80 columns as it takes.

    Raises
    ------
    InputError
        If it is missing, ragged, holds anything but finite numbers, or its times do not increase.
    """
    data, first_line, n_states = _without_comments(path)
    if b"(" in data:
        table = _list_directed(data, str(path), first_line)
    else:
        plain = re.sub(rb"([+-])[ \t]*([0-9.]+(?:[eE][+-]?\d+)?)i", rb" \g<1>\g<2> ", data)
        # a SHPROP has a number a state, the strings of a PSICT two
        width = None if n_states is None else 2 + n_states * (2 if plain != data else 1)
        table = parse_table(join_rows(plain, width), str(path), first_line=first_line)
    if table.shape[1] < 3:
        raise InputError(
            f"File `{path}` must hold time (fs), energy (eV) and a number or more for each state, but has {table.shape[1]} columns. Name another file."
        )
    wrong = np.flatnonzero(np.diff(table[:, 0]) <= 0)
    if wrong.size:
        raise InputError(
            f"File `{path}`, row {wrong[0] + 1} must hold a time that is later than the one before, but holds {table[wrong[0] + 1, 0]:g} after "
            f"{table[wrong[0], 0]:g}. Its lines may be parts of rows: give it its comments (BMIN, BMAX) back, or write it again."
        )
    return table


def _without_comments(path: Path) -> tuple[bytes, int, int | None]:
    """Return the text after '#' lines, the line it begins on, and the number of bands that they say."""
    lines = read_bytes(path).split(b"\n")
    n_comments = 0
    while n_comments < len(lines) and lines[n_comments].lstrip().startswith(b"#"):
        n_comments += 1
    said = dict(re.findall(rb"#\s*(BMIN|BMAX)\s*=\s*(\d{1,6})", b"\n".join(lines[:n_comments])))
    n_states = int(said[b"BMAX"]) - int(said[b"BMIN"]) + 1 if len(said) == 2 else 0
    return b"\n".join(lines[n_comments:]), n_comments + 1, n_states if n_states > 0 else None


def _list_directed(data: bytes, name: str, first_line: int) -> NDArray[np.float64]:
    """Return rows of two real and some complex numbers ``(re,im)``, wherever lines end: a real one after a complex one begins a row."""
    rows: list[bytes] = []
    begin = 0
    for line in data.split(b"\n"):
        if not rows or (b"(" in rows[begin] and line.strip() and not line.lstrip().startswith(b"(")):
            begin = len(rows)
            rows.append(line)
        else:
            # joined to the line that its row begins on, so that messages count lines as the file does
            rows[begin] += b" " + line
            rows.append(b"")
    return parse_table(re.sub(rb"[(),]", b" ", b"\n".join(rows)), name, first_line=first_line)


def read_shprop(path: str | Path) -> HefeiOutput:
    """Read a ``SHPROP`` of either code: time (fs), mean energy (eV), a population a state; '#' lines first or none.

    Raises
    ------
    InputError
        If it is missing, ragged, holds anything but finite numbers, or its times do not increase.
    """
    table = _rows(Path(path))
    return HefeiOutput(table[:, 0], table[:, 1], table[:, 2:])


def read_psict(path: str | Path) -> HefeiOutput:
    """Read a ``PSICT``: time (fs), mean energy (eV), a complex amplitude a state (``(re,im)``, or ``re+imi`` of the DEV code).

    Its populations are the squares of the amplitudes' moduli; the file holds none.

    Raises
    ------
    InputError
        As `read_shprop`, or if it holds no complex numbers.
    """
    table = _rows(Path(path))
    n_states, left = divmod(table.shape[1] - 2, 2)
    if left or not re.search(rb"\(|\di\b", head(Path(path), 1 << 16)):
        raise InputError(
            f"File `{path}` must hold time, energy and a complex number a state, but has {table.shape[1]} numbers a row"
            f"{'' if left else ', none of them complex'}. A SHPROP is read by `read_shprop`."
        )
    parts = table[:, 2:].reshape(len(table), n_states, 2)
    amplitudes = parts[..., 0] + 1j * parts[..., 1]
    return HefeiOutput(table[:, 0], table[:, 1], np.abs(amplitudes) ** 2, amplitudes)


def read_recomb(path: str | Path) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Read a ``RECOMB``: times [n_times] (fs) and cumulative recombination a state [n_times, n_states].

    The mean energy (eV) that the file holds between them is that of the ``SHPROP`` beside it.

    Raises
    ------
    InputError
        As `read_shprop`.
    """
    table = _rows(Path(path))
    return table[:, 0], table[:, 2:]

"""Tables of numbers in text: a byte parser over chunks of lines, and its plain twin for small files.

Every number gets the double nearest to its decimal digits, as `float` gives: up to 2^53 and 10^22 one exact
multiplication does it (Clinger 1990, doi 10.1145/93542.93557), beyond that a product of doubled precision, and where
that lies too near to the middle between two doubles to tell, `float` itself.
"""

from __future__ import annotations

import itertools
import re
import sys
import threading
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hopcast.core.chunks import map_chunks
from hopcast.core.errors import InputError
from hopcast.core.inputs import refuse_pipe

SMALL = 1 << 20
"""Files below this size (bytes) are parsed without compiled code."""
CHUNK = 1 << 20
"""Bytes a thread parses at a time."""
BOM = b"\xef\xbb\xbf"
"""What some editors put before the first line of a text."""
WRAP = 132
"""Columns after which compilers break list-directed lines at the latest (80 of GNU and Intel, 132 with some options)."""
SHORTEST = 53
"""Columns that a line has at least where a number of double precision (of up to 27 columns) did not fit behind."""
MAX_LINE = 1 << 26
"""A longer line is not a line of numbers."""

_ALLOWED = b"0123456789+-.eEdD \t\r\n"


def join_rows(data: bytes, columns: int | None = None) -> bytes:
    """Return a table whose rows list-directed output of Fortran may have broken over lines of 80 columns, joined.

    Where `columns` is not known it is told by the lines: all but the last of a row hold as many numbers, and the last fewer.
    What is no such table is returned as it is.
    """
    lines = data.split(b"\n")
    filled = [k for k, line in enumerate(lines) if line.strip()]
    counts = [len(lines[k].split()) for k in filled]
    if not counts or max(len(lines[k].rstrip()) for k in filled) > WRAP:
        return data
    if columns is None:
        short = next((k for k, count in enumerate(counts) if count < counts[0]), None)
        n_lines = 1 if short is None else short + 1
        columns = sum(counts[:n_lines])
        # a line ends early only where the next number would not fit; one row alone tells nothing
        if len(counts) < 2 * n_lines or min(len(lines[k]) for k in filled[: n_lines - 1] or filled[:1]) < 80 - 27:
            return data
    else:
        n_lines = int(np.searchsorted(np.cumsum(counts), columns)) + 1
    shape = counts[:n_lines]
    if n_lines == 1 or sum(shape) != columns or counts != shape * (len(counts) // n_lines):
        return data
    # a row stands on its first line, so that messages count lines as the file does
    joined = [b""] * len(lines)
    for start in range(0, len(filled), n_lines):
        joined[filled[start]] = b" ".join(lines[k] for k in filled[start : start + n_lines])
    return b"\n".join(joined)


def line_of_row(path: Path, row: int) -> int:
    """Return the line, from 1, on which a row of a table stands: blank lines are no rows."""
    lines = (number for number, line in enumerate(read_bytes(path).split(b"\n"), 1) if line.strip())
    return next(itertools.islice(lines, row, None), row + 1)


def read_bytes(path: Path, limit: int | None = None) -> bytes:
    """Return the content of a file, or its first `limit` bytes.

    Raises
    ------
    InputError
        If it is missing or unreadable.
    """
    refuse_pipe(path)
    try:
        with path.open("rb") as file:
            return (file.read() if limit is None else file.read(limit)).removeprefix(BOM)
    except OSError as error:
        raise InputError(f"File `{path}` cannot be read ({error.strerror or error}). Check the path.") from error


def head(path: Path, size: int = 1 << 16) -> bytes:
    """Return the first bytes of a file, or nothing where it cannot be read (for recognition)."""
    try:
        if not path.is_file():  # a pipe would be waited for
            return b""
        with path.open("rb") as file:
            return file.read(size).removeprefix(BOM)
    except OSError:
        return b""


def read_table(path: Path, *, columns: int | None = None, workers: int | None = None) -> NDArray[np.float64]:
    """Return the numbers of a text file with the same number of columns in each line; blank lines are skipped.

    Parameters
    ----------
    path
        The file.
    columns
        How many columns there must be; None takes those of the first line.
    workers
        Threads.

    Raises
    ------
    InputError
        If the file is missing, empty or ragged, or holds anything but finite numbers (names line and column).
    """
    try:
        size = path.stat().st_size
    except OSError as error:
        raise InputError(f"File `{path}` cannot be read ({error.strerror or error}). Check the path.") from error
    if size < SMALL:
        return parse_table(read_bytes(path), str(path), columns=columns)
    return _read_large(path, size, columns, workers)


def parse_table(data: bytes, name: str, *, columns: int | None = None, first_line: int = 1) -> NDArray[np.float64]:
    """Return the numbers of a piece of text (the plain twin of the compiled parser).

    Raises
    ------
    InputError
        As `read_table`.
    """
    numbers = _numbers_of(data, columns)
    if numbers is None and not data.translate(None, _ALLOWED):
        numbers = _numbers_of(split_glued(data), columns)
    if numbers is None:
        raise _explain(data, name, columns, first_line)
    return numbers


def _numbers_of(data: bytes, columns: int | None) -> NDArray[np.float64] | None:
    """Return the numbers of lines that have as many each, finite ones; None where they are no such table."""
    counts = {len(line.split()) for line in data.split(b"\n")} - {0}
    if data.translate(None, _ALLOWED) or len(counts) != 1 or (columns is not None and counts != {columns}):
        return None
    try:
        numbers = np.array([float(token) for token in data.translate(_D_TO_E).split()])
    except ValueError:
        numbers = np.array([as_number(token) for token in data.split()])
    return numbers.reshape(-1, counts.pop()) if np.isfinite(numbers).all() else None


_D_TO_E = bytes.maketrans(b"dD", b"ee")
_GLUED = re.compile(rb"(\.\d*(?:[eEdD][-+]?\d+)?)(?=[-+]\d*\.\d)")


def python_number(token: bytes) -> float:
    """Return a number as Fortran or C writes it (``1.0D-03``, ``1.0-103``)."""
    if token.translate(None, _ALLOWED):
        raise ValueError
    text = token.translate(_D_TO_E)
    if b"e" not in text and b"E" not in text and len(text) > 5 and text[-4:-3] in (b"+", b"-") and text[-3:].isdigit():
        text = text[:-4] + b"e" + text[-4:]
    return float(text)


def split_glued(data: bytes) -> bytes:
    """Return text in which numbers that fill their fields are parted at the sign of the second (``-0.632-0.112``).

    An exponent without its letter (``1.0-103``) has no decimal point and stays.
    """
    return _GLUED.sub(rb"\1 ", data)


def as_number(token: bytes | str) -> float:
    """Return a number as Fortran or C writes it (``1.0D-03``, ``1.0-103``); NaN where it is none."""
    try:
        return python_number(token.encode("utf-8", "replace") if isinstance(token, str) else token)
    except ValueError:
        return float("nan")


def _explain(data: bytes, name: str, columns: int | None, first_line: int = 1) -> InputError:
    """Return the error of the first line that is wrong."""
    if not data.strip():
        return InputError(f"File `{name}` holds no numbers. Check that it was written completely.")
    expected = columns
    for number, line in enumerate(data.split(b"\n"), first_line):
        tokens = line.split()
        if not tokens:
            continue
        for column, token in enumerate(tokens, 1):
            try:
                fine = np.isfinite(python_number(token))
            except ValueError:
                fine = False
            if not fine:
                found = token[:40].decode("ascii", "backslashreplace")
                return InputError(
                    f"File `{name}`, line {number}, column {column} must hold a finite number, but holds `{found}`. "
                    "Write the file again from its source (a field of `*` is a number too wide for its format)."
                )
        if expected is None:
            expected = len(tokens)
        elif len(tokens) != expected:
            return InputError(
                f"File `{name}`, line {number} must hold {expected} numbers, but holds {len(tokens)}. "
                "Check that the file is complete and of the right number of states."
            )
    return InputError(f"File `{name}` cannot be read as a table of numbers. Check that it is complete.")


def line_chunks(path: Path, size: int) -> list[tuple[int, int]]:
    """Return byte ranges of about `CHUNK` that begin at beginnings of lines and cover the file."""
    edges = [0]
    with path.open("rb") as file:
        while edges[-1] + CHUNK < size:
            file.seek(edges[-1] + CHUNK)
            rest = file.readline(MAX_LINE)
            if len(rest) == MAX_LINE:
                raise InputError(
                    f"File `{path}` must hold lines of numbers, but has a line of more than {MAX_LINE} bytes. Check that it is the right file."
                )
            edges.append(min(edges[-1] + CHUNK + len(rest), size))
    if edges[-1] < size:
        edges.append(size)
    return list(itertools.pairwise(edges))


def read_range(path: Path, start: int, stop: int) -> bytes:
    """Return some bytes of a file (each call opens it anew: threads share nothing)."""
    with path.open("rb") as file:
        file.seek(start)
        return file.read(stop - start)


_own = threading.local()


def _fill(path: Path, start: int, stop: int) -> bytearray:
    """Return the thread's own buffer with some bytes of a file at its beginning (a new one each time costs page faults)."""
    buffer = getattr(_own, "buffer", None)
    if buffer is None or len(buffer) < stop - start:
        buffer = _own.buffer = bytearray(stop - start)
    with path.open("rb", buffering=0) as file:
        file.seek(start)
        filled = 0
        while filled < stop - start:
            got = file.readinto(memoryview(buffer)[filled : stop - start])
            if not got:
                raise InputError(f"File `{path}` became shorter while it was read. Read it again when it is complete.")
            filled += got
    return buffer


def _read_even(path: Path, size: int, columns: int | None, workers: int | None) -> NDArray[np.float64] | None:
    """Return the table of a file whose lines have all the same length, as codes write them; None where they do not.

    Where every row lies is known then without a first pass that counts lines.
    """
    with path.open("rb") as file:
        first = file.readline(CHUNK)
    width, n_columns = len(first), len(first.split())
    if (
        not first.endswith(b"\n")
        or n_columns != (columns or n_columns)
        or n_columns == 0
        or size % width not in (0, width - 1)
    ):
        return None
    from hopcast.io.kernels import parse_fixed_kernel

    layout = _fixed_layout(first)
    n_rows = -(-size // width)
    group = max(1, CHUNK // width)
    out = np.empty((n_rows, n_columns))

    def parse(start: int) -> bool:
        stop = min(start + group, n_rows)
        begin, end = start * width, min(stop * width, size)
        data = memoryview(_fill(path, begin, end))[: end - begin]
        if end < size and data[-1] != 10:
            return False
        room = out[start:stop]
        if layout is not None and parse_fixed_kernel(np.frombuffer(data, dtype=np.uint8), *layout, room):
            return True
        try:
            return parse_rows(data, room, str(path)) == stop - start
        except InputError:  # the careful way finds the line
            return False

    done = map_chunks(parse, list(range(0, n_rows, group)), workers=workers)
    return out if all(done) else None


def _fixed_layout(line: bytes) -> tuple[int, int, int] | None:
    """Return where the first number of a line ends, how far apart numbers end, and their decimals; None for other lines."""
    ends = [hit.end() for hit in re.finditer(rb"\S+", line)]
    form = re.match(rb" *[-+]?\d\.(\d{1,16})[eE][-+]\d\d\s", line)
    if form is None or len(ends) < 2 or sys.byteorder != "little":
        return None
    first, width, decimals = ends[0], ends[1] - ends[0], len(form.group(1))
    even = ends == list(range(first, first + len(ends) * width, width)) and len(line) == ends[-1] + 1
    # a sign and a digit must fit before, and the words of eight bytes that are loaded must lie in the line
    return (
        (first, width, decimals)
        if even and min(first, width) >= decimals + 7 and first >= (12 if decimals <= 8 else 20)
        else None
    )


def _read_large(path: Path, size: int, columns: int | None, workers: int | None) -> NDArray[np.float64]:
    even = _read_even(path, size, columns, workers)
    if even is not None:
        return even
    ranges = line_chunks(path, size)
    counts = map_chunks(lambda r: _fill(path, *r).count(b"\n", 0, r[1] - r[0]), ranges, workers=workers)
    first = next((line for line in read_range(path, *ranges[0]).split(b"\n") if line.strip()), b"")
    n_columns = len(first.split()) if columns is None else columns
    lines = int(np.sum(counts)) + 1
    if n_columns == 0 or lines * n_columns > size:
        # a number and its blank take two bytes: more of them than bytes is a ragged file (or one of blank lines)
        lines = min(lines, size // (2 * max(n_columns, 1)) + 1)
    out = np.empty((lines, max(n_columns, 1)))
    starts = np.concatenate([[0], np.cumsum(counts)])

    def parse(item: int) -> int:
        begin = int(starts[item])
        data = memoryview(_fill(path, *ranges[item]))[: ranges[item][1] - ranges[item][0]]
        room = out[begin : begin + counts[item] + 1] if begin < len(out) else out[:0]
        if item + 1 < len(ranges):
            room = room[: counts[item]]
        return parse_rows(data, room, str(path), first_line=begin + 1)

    found = map_chunks(parse, list(range(len(ranges))), workers=workers)
    end = 0
    for item, rows in enumerate(found):  # blank lines leave gaps between the chunks' rows
        begin = int(starts[item])
        if begin != end:
            out[end : end + rows] = out[begin : begin + rows].copy()
        end += rows
    return out[:end]


def parse_rows(data: bytes | memoryview, out: NDArray[np.float64], name: str, *, first_line: int = 1) -> int:
    """Parse lines of numbers into rows of `out` with the compiled parser; return the number of rows.

    Raises
    ------
    InputError
        As `read_table`.
    """
    from hopcast.io.kernels import parse_rows_kernel

    pending = np.empty((64, 4), dtype=np.int64)
    # bytes are read-only, which would be another type for the compiler
    buffer = data if isinstance(data, memoryview) else bytearray(data)
    rows, n_pending, status = parse_rows_kernel(np.frombuffer(buffer, dtype=np.uint8), out, pending)
    if status == 0:
        for row, column, start, stop in pending[:n_pending]:
            out[row, column] = python_number(bytes(data[start:stop]))
        if not n_pending or np.isfinite(out[pending[:n_pending, 0], pending[:n_pending, 1]]).all():
            return int(rows)
    table = parse_table(bytes(data), name, columns=out.shape[1], first_line=first_line)
    if len(table) > len(out):
        raise InputError(
            f"File `{name}` must hold {len(out)} lines of numbers, but holds {len(table)}. Read it again when it is complete."
        )
    out[: len(table)] = table
    return len(table)

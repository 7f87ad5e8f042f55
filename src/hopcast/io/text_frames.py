"""Frames in text: where they begin, and three coordinates a line, for each of many at once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hopcast.io import text


def find_marks(path: Path, size: int, mark: bytes) -> NDArray[np.int64]:
    """Return where a piece of text stands in a file [n_marks]."""
    found: list[int] = []
    overlap = len(mark) - 1
    for start in range(0, size, text.CHUNK):
        data = text.read_range(path, start, min(start + text.CHUNK + overlap, size))
        at = data.find(mark)
        while at >= 0:
            found.append(start + at)
            at = data.find(mark, at + 1)
    return np.array(found, dtype=np.int64)


def parse_frames(
    data: bytes,
    starts: Sequence[int] | NDArray[np.int64],
    out: NDArray[np.float64],
    *,
    labels: NDArray[np.uint8] | None = None,
) -> int:
    """Parse one block of lines (three numbers each, after a label where `labels` are given) for each frame.

    Parameters
    ----------
    data
        The text.
    starts
        Where each frame's first line begins.
    out
        [n_frames, n_atoms, 3].
    labels
        [n_atoms, 8] label of each line, ended by zeros; None where lines begin with a number.

    Returns
    -------
    int
        -1, or the first frame that cannot be read (short, not a number, or another label).
    """
    names = np.zeros((0, 8), dtype=np.uint8) if labels is None else labels
    first = 0
    while first < len(starts):
        bad = _parse_frames(data, np.asarray(starts[first:], dtype=np.int64), out[first:], names)
        if bad < 0:
            return -1
        first += bad + 1
        if not _parse_parted(data[int(starts[first - 1]) :][: 200 * (out.shape[1] + 4)], out[first - 1], names):
            return first - 1
    return -1


def _parse_frames(data: bytes, starts: NDArray[np.int64], out: NDArray[np.float64], names: NDArray[np.uint8]) -> int:
    from hopcast.io.kernels import parse_frames_kernel

    pending = np.empty((64, 4), dtype=np.int64)
    bad, n_pending = parse_frames_kernel(np.frombuffer(data, dtype=np.uint8), starts, out, names, pending)
    flat: Any = out.reshape(-1, 3)
    for row, column, start, stop in pending[:n_pending]:
        flat[row, column] = text.python_number(data[start:stop])
        if not np.isfinite(flat[row, column]):
            return int(row // out.shape[1])
    return int(bad)


def _parse_parted(block: bytes, out: NDArray[np.float64], names: NDArray[np.uint8]) -> bool:
    """Parse the lines of one frame whose numbers may be glued at their signs; False where they are none."""
    lines = block.split(b"\n", len(out))[: len(out)]
    for atom, line in enumerate(lines):
        words = text.split_glued(line).split()
        if len(names):
            label = bytes(names[atom]).rstrip(b"\0")
            if not words or words.pop(0)[:8] != label:
                return False
        place = [text.as_number(word) for word in words]
        if len(place) != 3 or not np.isfinite(place).all():
            return False
        out[atom] = place
    return len(lines) == len(out)


def frame_groups(edges: NDArray[np.int64]) -> list[slice]:
    """Return runs of frames of about one chunk of text each, of where they begin (and the last one ends)."""
    groups, start = [], 0
    while start < len(edges) - 1:
        stop = int(np.searchsorted(edges, edges[start] + text.CHUNK))
        stop = min(max(stop, start + 1), len(edges) - 1)
        groups.append(slice(start, stop))
        start = stop
    return groups

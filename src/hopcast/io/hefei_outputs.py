"""What Hefei-NAMD writes: `SHPROP`, `PSICT`, `RECOMB`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hopcast.core.errors import InputError
from hopcast.io.text import parse_table, read_bytes


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
        [n_times, n_states].
    coefficients
        Complex amplitudes [n_times, n_states] of a ``PSICT``; None for a ``SHPROP``.
    """

    times: NDArray[np.float64]
    energy: NDArray[np.float64]
    populations: NDArray[np.float64]
    coefficients: NDArray[np.complex128] | None = None


def _without_comments(path: Path) -> tuple[bytes, int]:
    data = read_bytes(path)
    lines = data.split(b"\n")
    n_comments = 0
    while n_comments < len(lines) and lines[n_comments].lstrip().startswith(b"#"):
        n_comments += 1
    return b"\n".join(lines[n_comments:]), n_comments


def read_shprop(path: str | Path) -> HefeiOutput:
    """Read a ``SHPROP`` of either code: time (fs), mean energy (eV), a population a state; '#' lines first or none.

    Raises
    ------
    InputError
        If it is missing, ragged, or holds anything but finite numbers.
    """
    data, skipped = _without_comments(Path(path))
    table = parse_table(data, str(path), first_line=skipped + 1)
    if table.shape[1] < 3:
        raise InputError(
            f"File `{path}` must hold time, energy and populations, but has {table.shape[1]} columns. Name a SHPROP."
        )
    return HefeiOutput(table[:, 0], table[:, 1], table[:, 2:])


def read_psict(path: str | Path) -> HefeiOutput:
    """Read a ``PSICT``: as `read_shprop`, then the complex amplitudes (``(re,im)``, or ``re +imi`` of the DEV code).

    Raises
    ------
    InputError
        As `read_shprop`, or if amplitudes and populations do not match in number.
    """
    data, skipped = _without_comments(Path(path))
    if b"(" in data:
        data = re.sub(rb"[(),]", b" ", data)
    else:
        data = re.sub(rb"([+-])\s*([0-9.]+(?:[eE][+-]?\d+)?)i", rb" \g<1>\g<2> ", data)
    table = parse_table(data, str(path), first_line=skipped + 1)
    n_states, left = divmod(table.shape[1] - 2, 3)
    if left or n_states < 1:
        raise InputError(
            f"File `{path}` must hold time, energy, and a population and a complex number a state, but has "
            f"{table.shape[1]} numbers a line. A SHPROP is read by `read_shprop`."
        )
    amplitudes = table[:, 2 + n_states :].reshape(len(table), n_states, 2)
    return HefeiOutput(
        table[:, 0], table[:, 1], table[:, 2 : 2 + n_states], amplitudes[..., 0] + 1j * amplitudes[..., 1]
    )


def read_recomb(path: str | Path) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Read a ``RECOMB``: times [n_times] (fs) and cumulative recombination a state [n_times, n_states].

    Raises
    ------
    InputError
        As `read_shprop`.
    """
    data, skipped = _without_comments(Path(path))
    table = parse_table(data, str(path), first_line=skipped + 1)
    if table.shape[1] < 2:
        raise InputError(
            f"File `{path}` must hold time and recombination, but has one column. Name a RECOMB."
        )
    return table[:, 0], table[:, 1:]

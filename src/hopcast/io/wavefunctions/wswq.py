"""VASP's own overlaps of two frames, `WSWQ`, and the bands of a frame in `EIGENVAL`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hopcast.core.errors import InputError
from hopcast.io.text import parse_table, read_bytes
from hopcast.io.wavefunctions.protocol import Levels

_BLOCK = re.compile(rb"spin\s*=\s*(\d{1,3})\s*,\s*kpoint\s*=\s*(\d{1,7})[^\n]*(?:\n|\Z)")
_LABELS = bytes.maketrans(b"ij=,:", b"     ")
_AGAIN = "It is cut short: run the second step (LWSWQ = .TRUE.) of this frame again."


@dataclass(frozen=True)
class WswqSize:
    """What a `WSWQ` holds: numbers of spins, k-points and bands."""

    n_spins: int
    n_kpoints: int
    n_bands: int


def read_wswq(path: Path, spin: int = 0, kpoint: int = 0) -> tuple[NDArray[np.complex128], WswqSize]:
    r"""Return :math:`\langle W_i|S|W^Q_j\rangle` [n_bands, n_bands] of one spin and k-point, and what the file holds.

    :math:`W` is the present run (``WAVECAR``), :math:`W^Q` the one in ``WAVECAR.qqq``. Elements are placed by the two numbers
    printed before each, not by their order in the file.

    Parameters
    ----------
    path
        The file.
    spin, kpoint
        From 0.

    Raises
    ------
    InputError
        If it is cut short or damaged (names the line), or does not hold the channel.
    """
    data = read_bytes(path)
    heads = list(_BLOCK.finditer(data))
    if not heads:
        raise InputError(
            f"File `{path}` must hold lines `spin= , kpoint= ` and overlaps below them, but holds none. {_AGAIN}"
        )
    wanted = spin + 1, kpoint + 1
    channels = [(int(hit.group(1)), int(hit.group(2))) for hit in heads]
    n_spins, n_kpoints = max(channels)[0], max(channel[1] for channel in channels)
    if wanted not in channels:
        raise InputError(
            f"File `{path}` must hold spin {spin}, k-point {kpoint} (from 0), but holds {n_spins} spins and {n_kpoints} k-points. Choose another "
            "`spin` or `kpoint`, or run this frame again if it is cut short."
        )
    at = channels.index(wanted)
    begin = heads[at].end()
    body = data[begin : heads[at + 1].start() if at + 1 < len(heads) else len(data)]
    table = parse_table(body.translate(_LABELS), str(path), columns=4, first_line=data.count(b"\n", 0, begin) + 1)
    labels, n_bands = table[:, :2], round(len(table) ** 0.5)
    places = labels.astype(np.int64)
    distinct = (
        len(table) == n_bands**2 and np.array_equal(places, labels) and places.min() == 1 and places.max() == n_bands
    )
    flat = (places[:, 0] - 1) * n_bands + places[:, 1] - 1
    if not distinct or len(np.unique(flat)) != len(flat):
        line = data.count(b"\n", 0, begin) + 1
        raise InputError(
            f"File `{path}`, from line {line} must hold the overlaps of each pair of bands once, but holds {len(table)} lines with bands up to "
            f"{labels.max():g}. {_AGAIN}"
        )
    if np.abs(table[:, 2:]).max() > 10:
        raise InputError(
            f"File `{path}` must hold overlaps of about 1 at most, but holds one of {np.abs(table[:, 2:]).max():.3g}. {_AGAIN}"
        )
    found = np.empty(n_bands**2, np.complex128)
    found[flat] = table[:, 2] + 1j * table[:, 3]
    return found.reshape(n_bands, n_bands), WswqSize(n_spins, n_kpoints, n_bands)


@dataclass(frozen=True, eq=False)
class Eigenval:
    """The bands of a frame.

    Attributes
    ----------
    path
        The file.
    n_spins, n_bands
        Numbers of them.
    kpoints
        [n_kpoints, 3], in reciprocal lattice vectors.
    weights
        Of the k-points [n_kpoints].
    energies, occupations
        [n_spins, n_kpoints, n_bands], eV (six decimals) and 0 to 1.
    """

    path: Path
    n_spins: int
    n_bands: int
    kpoints: NDArray[np.float64]
    weights: NDArray[np.float64]
    energies: NDArray[np.float64]
    occupations: NDArray[np.float64]

    @classmethod
    def open(cls, path: str | Path) -> Eigenval:
        """Read an `EIGENVAL` (of VASP 5.2.12 or later: with occupations).

        Raises
        ------
        InputError
            If it is cut short or damaged (names the line).
        """
        name = Path(path)
        lines = read_bytes(name).split(b"\n")
        try:
            n_spins = int(lines[0].split()[3])
            _, n_kpoints, n_bands = (int(word) for word in lines[5].split())
        except (IndexError, ValueError):
            n_spins = n_kpoints = n_bands = 0
        if not (n_spins in (1, 2) and n_kpoints >= 1 and n_bands >= 1 and n_kpoints * (n_bands + 2) <= len(lines)):
            raise InputError(
                f"File `{name}` must name one or two spins in its first line, and k-points and bands that follow in its sixth, but names {n_spins}, "
                f"{n_kpoints} and {n_bands}. It is cut short: calculate this frame again."
            )
        kpoints, rows = [], []
        for k in range(n_kpoints):
            top = 7 + k * (n_bands + 2)
            head, body = b"\n".join(lines[top : top + 1]), b"\n".join(lines[top + 1 : top + 1 + n_bands])
            kpoints.append(parse_table(head, str(name), columns=4, first_line=top + 1)[0])
            rows.append(parse_table(body, str(name), columns=1 + 2 * n_spins, first_line=top + 2))
            if len(rows[-1]) != n_bands or not np.array_equal(rows[-1][:, 0], np.arange(1, n_bands + 1)):
                raise InputError(
                    f"File `{name}`, from line {top + 2} must hold the bands 1 to {n_bands}, but does not. It is cut short: calculate this frame again."
                )
        table = np.array(rows)
        energies = np.moveaxis(table[..., 1 : 1 + n_spins], 2, 0)
        occupations = np.moveaxis(table[..., 1 + n_spins :], 2, 0)
        points = np.array(kpoints)
        return cls(name, n_spins, n_bands, points[:, :3], points[:, 3], energies, occupations)

    def levels(self, spin: int, kpoint: int) -> Levels:
        """Return energies (eV) and occupations of all bands."""
        return Levels(self.energies[spin, kpoint], self.occupations[spin, kpoint])


def overlap_of_pair(wswq: NDArray[Any], bands: range) -> NDArray[Any]:
    r"""Return :math:`S_{ij}(t) = \langle i(t)|j(t+\Delta t)\rangle` of a window: the conjugate transpose of what the later run wrote."""
    window = slice(bands.start, bands.stop)
    found: NDArray[Any] = wswq[window, window].conj().T.copy()
    return found

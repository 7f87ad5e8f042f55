"""CP2K's restart file, ``.wfn``: orbitals in Gaussian functions, which overlap only by integrals (`hopcast.abinitio`)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from hopcast.core.errors import InputError
from hopcast.core.units import HARTREE
from hopcast.io.wavefunctions.protocol import Basis, Levels, check_bands, check_channel, fitting


@dataclass(frozen=True, eq=False)
class Wfn:
    """An open ``.wfn``: where its records are.

    Attributes
    ----------
    path
        The file.
    n_basis
        Gaussian functions.
    momenta
        Angular momentum of each shell, a tuple an atom.
    channels
        Levels of each spin, and where the record of its first orbital begins.
    """

    path: Path
    n_basis: int
    momenta: tuple[tuple[int, ...], ...]
    channels: tuple[tuple[Levels, int], ...]

    code: ClassVar[str] = "cp2k"
    orthonormal: ClassVar[bool] = False

    @classmethod
    def open(cls, path: str | Path) -> Wfn:
        """Read the header of a restart file of Quickstep (Fortran records, 4-byte marks, little-endian).

        Parameters
        ----------
        path
            ``<project>-RESTART.wfn``.

        Raises
        ------
        InputError
            If it is missing, cut short, or no such file.
        """
        name = Path(path)
        if not name.is_file():
            raise InputError(f"File `{name}` does not exist. The calculation may not have finished.")
        places = _records(name)
        try:
            with name.open("rb") as file:

                def take(number: int, kind: str) -> NDArray[Any]:
                    start, size = places[number]
                    file.seek(start)
                    return np.frombuffer(file.read(size), kind)

                n_atoms, n_spins, n_basis, n_sets, n_shells = (int(x) for x in take(0, "<i4")[:5])
                sizes = take(3, "<i4").reshape(n_atoms, n_sets * n_shells)
                channels, at = [], 4
                for _ in range(n_spins):
                    n_orbitals = int(take(at, "<i4")[0])
                    numbers = take(at + 1, "<f8")
                    columns = places[at + 2 : at + 2 + n_orbitals]
                    if n_orbitals < 1 or len(columns) != n_orbitals or any(size != 8 * n_basis for _, size in columns):
                        raise IndexError
                    if len(numbers) != 2 * n_orbitals or not np.isfinite(numbers).all():
                        raise ValueError
                    # closed shells hold two electrons
                    occupations = numbers[n_orbitals:] / (2 if n_spins == 1 else 1)
                    channels.append((Levels(numbers[:n_orbitals] * HARTREE, occupations), columns[0][0]))
                    at += 2 + n_orbitals
            if not channels or len({len(levels.energies) for levels, _ in channels}) > 1:
                raise ValueError
        except (IndexError, ValueError) as error:
            raise _cut(name) from error
        momenta = tuple(tuple((int(size) - 1) // 2 for size in row if size > 0) for row in sizes)
        return cls(name, n_basis, momenta, tuple(channels))

    @property
    def n_spins(self) -> int:
        """Number of spin channels."""
        return len(self.channels)

    @property
    def n_bands(self) -> int:
        """Number of orbitals of each."""
        return len(self.channels[0][0].energies)

    @property
    def kpoints(self) -> NDArray[np.float64]:
        """Gamma."""
        return np.zeros((1, 3))

    def levels(self, spin: int, kpoint: int) -> Levels:
        """Return energies (eV) and occupations of all orbitals."""
        check_channel(self, spin, kpoint)
        return self.channels[spin][0]

    def basis(self, spin: int, kpoint: int) -> Basis:
        """Return what the coefficients refer to."""
        check_channel(self, spin, kpoint)
        return Basis("gaussian", self.n_basis, np.nan, np.full((3, 3), np.nan), np.zeros(3))

    def coefficients(
        self, bands: range, spin: int, kpoint: int, out: NDArray[Any] | None = None
    ) -> NDArray[np.float64]:
        """Return the coefficients of some orbitals [len(bands), n_basis], functions in CP2K's order.

        Raises
        ------
        InputError
            If they are not there.
        """
        check_channel(self, spin, kpoint)
        check_bands(self, bands)
        found = fitting(out, (len(bands), self.n_basis), np.dtype("<f8"))
        with self.path.open("rb") as file:
            for row, band in zip(found, bands, strict=True):
                file.seek(self.channels[spin][1] + band * (8 * self.n_basis + 8))
                row[:] = np.frombuffer(file.read(8 * self.n_basis), "<f8")
        return found

    def announce(self, bands: range, spin: int, kpoint: int) -> None:
        """Do nothing: these files are small."""

    def indices(self, spin: int, kpoint: int) -> NDArray[np.int64]:
        """Refuse: there are no plane waves.

        Raises
        ------
        InputError
            Always.
        """
        raise InputError(
            f"File `{self.path}` holds orbitals in Gaussian functions, not plane waves. Use the engine cp2k for their overlaps."
        )


def _records(path: Path) -> list[tuple[int, int]]:
    """Return where each Fortran record begins and how long it is."""
    places, at = [], 0
    size = path.stat().st_size
    with path.open("rb") as file:
        while at + 8 <= size:
            file.seek(at)
            length = int.from_bytes(file.read(4), "little")
            file.seek(at + 4 + length)
            if at + 8 + length > size or int.from_bytes(file.read(4), "little") != length:
                raise _cut(path)
            places.append((at + 4, length))
            at += 8 + length
    return places


def _cut(path: Path) -> InputError:
    return InputError(f"File `{path}` is cut short or no restart file of CP2K. Compute this frame again.")

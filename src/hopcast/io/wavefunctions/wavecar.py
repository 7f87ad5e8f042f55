"""VASP's `WAVECAR`: a file of records of one length, read by position, a band at a time."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from hopcast.core.errors import InputError
from hopcast.io.wavefunctions.planewaves import expected_planewaves, kinetic_energies, sphere
from hopcast.io.wavefunctions.protocol import Basis, Flavour, Levels, announce, check_bands, check_channel, fitting

PRECISIONS = {45200: "<c8", 53300: "<c8", 45210: "<c16", 53310: "<c16"}
"""What the third number of the first record says about the coefficients."""
CLEAR = 0.9
"""Kinetic energies of the two orders of a half sphere whose ratio is below this tell which order it is."""
CLOSE = 1e-3
"""Relative deviation of the number of plane waves from that of a sphere which rounding at its edge explains."""


@dataclass(frozen=True, eq=False)
class Wavecar:
    """An open `WAVECAR`: its header.

    Attributes
    ----------
    path
        The file.
    record
        Length of a record, bytes.
    dtype
        Of the coefficients, complex64 or complex128.
    n_spins, n_bands
        Numbers of them.
    cutoff
        ENCUT, eV.
    cell
        Lattice vectors as rows [3, 3], Å.
    fermi
        Fermi energy, eV.
    kpoints
        [n_kpoints, 3], in reciprocal lattice vectors.
    n_planewaves
        Coefficients of a band [n_spins, n_kpoints].
    """

    path: Path
    record: int
    dtype: np.dtype[Any]
    n_spins: int
    n_bands: int
    cutoff: float
    cell: NDArray[np.float64]
    fermi: float
    kpoints: NDArray[np.float64]
    n_planewaves: NDArray[np.int64]

    code: ClassVar[str] = "vasp"
    orthonormal: ClassVar[bool] = False

    @classmethod
    def open(cls, path: str | Path) -> Wavecar:
        """Read the header and check that the file is whole.

        Raises
        ------
        InputError
            If it is empty, cut short (names the record), of another precision, or no `WAVECAR`.
        """
        name = Path(path)
        try:
            with name.open("rb") as file:
                return cls._read(name, file.fileno())
        except OSError as error:
            raise InputError(f"File `{name}` cannot be read ({error.strerror or error}). Check the path.") from error

    @classmethod
    def _read(cls, path: Path, file: int) -> Wavecar:
        size = os.fstat(file).st_size
        if size == 0:
            raise InputError(
                f"File `{path}` must hold wavefunctions, but is empty. Calculate this frame with LWAVE = .TRUE. in the INCAR."
            )
        record, n_spins, tag = _whole(_doubles(file, 0, 3))
        if tag not in PRECISIONS:
            raise InputError(
                f"File `{path}` must say 45200 or 45210 (single or double precision) in its first record, but says {tag}. It is no WAVECAR "
                "of VASP 4 to 6, or of a machine with another order of bytes: calculate this frame again."
            )
        if not (n_spins in (1, 2) and record % 8 == 0 and 96 <= record <= size):
            raise InputError(
                f"File `{path}` must begin with a length of records and one or two spins, but begins with {record} and {n_spins}. It is "
                "cut short or no WAVECAR: calculate this frame again."
            )
        second = _doubles(file, record, 13)
        n_kpoints, n_bands = _whole(second[:2])
        cell = second[3:12].reshape(3, 3)
        heads = -(-8 * (4 + 3 * n_bands) // record)
        dtype = np.dtype(PRECISIONS[tag])
        expected = 2 + n_spins * n_kpoints * (heads + n_bands)
        if not (n_kpoints >= 1 and n_bands >= 1 and np.isfinite(second).all() and 0 < second[2] < 1e6):
            raise InputError(
                f"File `{path}` must say how many k-points and bands there are below which cutoff in its second record, but says "
                f"{second[0]:g}, {second[1]:g} and {second[2]:g} eV. It is damaged: calculate this frame again."
            )
        # the last record ends with its last coefficient where a compiler does not fill it
        if size <= (expected - 1) * record:
            raise InputError(
                f"File `{path}` must hold {expected} records of {record} bytes ({n_spins} spins, {n_kpoints} k-points, {n_bands} bands), but "
                f"ends in record {size // record + 1}. The run was killed while it wrote: calculate this frame again."
            )
        starts = [[2 + (spin * n_kpoints + k) * (heads + n_bands) for k in range(n_kpoints)] for spin in range(n_spins)]
        heads_of = np.array([[_doubles(file, record * start, 4) for start in row] for row in starts])
        counts = heads_of[..., 0]
        _check_counts(path, heads_of, record // dtype.itemsize)
        if size < (expected - 1) * record + int(counts[-1, -1]) * dtype.itemsize:
            raise InputError(
                f"File `{path}` ends within its last record ({expected}). The run was killed while it wrote: calculate this frame again."
            )
        return cls(
            path,
            record,
            dtype,
            n_spins,
            n_bands,
            float(second[2]),
            cell,
            float(second[12]),
            heads_of[0, :, 1:],
            counts.astype(np.int64),
        )

    def levels(self, spin: int, kpoint: int) -> Levels:
        """Return energies (eV) and occupations of all bands.

        Raises
        ------
        InputError
            If the channel is not there, or a number is none.
        """
        check_channel(self, spin, kpoint)
        with self.path.open("rb") as file:
            numbers = _doubles(file.fileno(), self._place(spin, kpoint) + 32, 3 * self.n_bands)
        table = numbers.reshape(-1, 3) if len(numbers) == 3 * self.n_bands else np.full((1, 3), np.nan)
        if not (np.isfinite(table).all() and np.abs(table).max() < 1e6):
            raise InputError(
                f"File `{self.path}` must hold energies and occupations of {self.n_bands} bands at spin {spin}, k-point {kpoint}, but one is "
                "no such number. It is damaged: calculate this frame again."
            )
        return Levels(table[:, 0].copy(), table[:, 2].copy())

    def basis(self, spin: int, kpoint: int) -> Basis:
        """Return what the coefficients refer to: the flavour of VASP is told by the number of plane waves.

        Raises
        ------
        InputError
            If that is the number of no sphere of this cutoff and cell.
        """
        check_channel(self, spin, kpoint)
        count, k = int(self.n_planewaves[spin, kpoint]), self.kpoints[kpoint]
        rough = expected_planewaves(self.cell, self.cutoff)
        # a damaged header may ask for more plane waves than there is memory to count
        if not 0.25 * rough - 100 < count < 4 * rough + 100:
            raise InputError(
                f"File `{self.path}` must hold about {rough:.3g} plane waves of {self.cutoff:g} eV in its cell, half or twice as many, but holds "
                f"{count}. It is damaged: calculate this frame again."
            )
        try:
            full = len(sphere(self.cell, self.cutoff, k))
        except InputError as error:
            raise InputError(f"File `{self.path}` is damaged: {error} Calculate this frame again.") from error
        sizes: dict[Flavour, float] = {"full": full, "spinor": 2 * full}
        if not np.any(k):
            sizes["half"] = (full + 1) / 2
        flavour = min(sizes, key=lambda each: abs(count - sizes[each]))
        if abs(count - sizes[flavour]) > CLOSE * sizes[flavour]:
            known = ", ".join(f"{size:g} ({each})" for each, size in sizes.items())
            raise InputError(
                f"File `{self.path}` must hold the plane waves of a sphere of {self.cutoff:g} eV in its cell, {known}, but holds {count}. "
                "Its ENCUT or cell is not that of its coefficients (a run restarted with ISTART = 1 keeps the old basis): calculate this "
                "frame again."
            )
        order = self._half(spin, kpoint) if flavour == "half" else ""
        return Basis(flavour, count, self.cutoff, self.cell, k, order)

    def _half(self, spin: int, kpoint: int) -> str:
        """Return the axis that is halved: in the right order the coefficients fall off with |G|, and the kinetic energy is least."""
        count, k = int(self.n_planewaves[spin, kpoint]), self.kpoints[kpoint]
        band = self.coefficients(range(1), spin, kpoint)[0]
        weights = band.real.astype(float) ** 2 + band.imag.astype(float) ** 2
        kinetic = {}
        for axis in ("x", "z"):
            indices = sphere(self.cell, self.cutoff, k, axis)
            if len(indices) != count:
                return ""
            kinetic[axis] = float(weights @ kinetic_energies(indices, self.cell, k))
        axis = min(kinetic, key=lambda each: kinetic[each])
        other = "z" if axis == "x" else "x"
        return axis if kinetic[axis] < CLEAR * kinetic[other] else ""

    def coefficients(self, bands: range, spin: int, kpoint: int, out: NDArray[Any] | None = None) -> NDArray[Any]:
        """Return the coefficients of some bands [len(bands), n_planewaves], in `out` where it is of their shape and type.

        Raises
        ------
        InputError
            If they are not there.
        """
        check_channel(self, spin, kpoint)
        check_bands(self, bands)
        count = int(self.n_planewaves[spin, kpoint])
        found = fitting(out, (len(bands), count), self.dtype)
        start = self._place(spin, kpoint) + self.record * self._heads
        # read by position, not mapped: a file that another process cuts short is an error then, and no bus error
        with self.path.open("rb", buffering=0) as file:
            for row, band in zip(found, bands, strict=True):
                file.seek(start + self.record * band)
                if file.readinto(memoryview(row).cast("B")) != row.nbytes:
                    raise InputError(
                        f"File `{self.path}` ends within band {band}. It changed while it was read: wait until the run is finished."
                    )
        return found

    def announce(self, bands: range, spin: int, kpoint: int) -> None:
        """Tell the system that the coefficients of some bands will be read soon."""
        start = self._place(spin, kpoint) + self.record * (self._heads + bands.start)
        announce(self.path, start, self.record * len(bands))

    def indices(self, spin: int, kpoint: int) -> NDArray[np.int64]:
        """Return the indices of the plane waves [n_planewaves, 3].

        Raises
        ------
        InputError
            If their order is not known.
        """
        basis = self.basis(spin, kpoint)
        indices = sphere(self.cell, self.cutoff, basis.kpoint, basis.order)
        count = basis.n_components // (2 if basis.flavour == "spinor" else 1)
        if (basis.flavour == "half" and not basis.order) or len(indices) != count:
            raise InputError(
                f"File `{self.path}` holds {count} plane waves whose order is not known ({len(indices)} expected"
                f"{'; which axis is halved does not show' if basis.flavour == 'half' and not basis.order else ''}). Calculate the frames in one "
                "fixed cell: overlaps need no order then."
            )
        return indices

    @property
    def _heads(self) -> int:
        return -(-8 * (4 + 3 * self.n_bands) // self.record)

    def _place(self, spin: int, kpoint: int) -> int:
        return self.record * (2 + (spin * len(self.kpoints) + kpoint) * (self._heads + self.n_bands))


def _doubles(file: int, place: int, count: int) -> NDArray[np.float64]:
    data = os.pread(file, 8 * count, place)
    found = np.full(count, np.nan)
    whole = np.frombuffer(data[: len(data) // 8 * 8], "<f8")
    found[: len(whole)] = whole
    return found


def _whole(numbers: NDArray[np.float64]) -> tuple[int, ...]:
    """Return numbers as integers, -1 where they are none."""
    return tuple(int(x) if np.isfinite(x) and x % 1 == 0 and abs(x) < 2**52 else -1 for x in numbers)


def _check_counts(path: Path, heads: NDArray[np.float64], largest: int) -> None:
    """Refuse numbers of plane waves (first of each head) that do not fit a record."""
    counts = heads[..., 0].ravel()
    fine = (counts >= 1) & (counts <= largest) & (counts % 1 == 0)
    if not (np.isfinite(heads).all() and fine.all()):
        raise InputError(
            f"File `{path}` must hold 1 to {largest} plane waves at each k-point, as fit its records, but says "
            f"{counts[np.argmin(fine)]:g}. It is damaged, or of a VASP that writes it otherwise: calculate this frame again."
        )

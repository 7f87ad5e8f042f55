"""What every file of wavefunctions is to the rest: levels, a basis, and the coefficients of the bands asked for."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from hopcast.core.errors import InputError

Flavour = Literal["full", "half", "spinor", "gaussian"]


SAME_CELL = 1e-6
"""Å."""


def same_cell(left: NDArray[np.float64], right: NDArray[np.float64]) -> bool:
    """Whether two cells are the same, but for rounding."""
    return bool(np.abs(left - right).max() <= SAME_CELL)


@dataclass(frozen=True, eq=False)
class Levels:
    """The bands of one spin and k-point.

    Attributes
    ----------
    energies
        [n_bands], eV.
    occupations
        [n_bands], between 0 and 1.
    """

    energies: NDArray[np.float64]
    occupations: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Basis:
    r"""What the coefficients of one spin and k-point refer to; those of equal bases are overlapped by one product.

    Attributes
    ----------
    flavour
        "full": a sphere of plane waves, :math:`S = C^\dagger C'`. "half": one of each :math:`\pm G` (gamma-only programs), with
        coefficients of :math:`G \neq 0` times :math:`\sqrt 2`, so that :math:`S = \mathrm{Re}\, C^\dagger C'`. "spinor": two spheres
        after each other, up and down. "gaussian": not orthonormal, no overlap without integrals.
    n_components
        Coefficients of a band.
    cutoff
        eV; nan for Gaussian functions.
    cell
        Lattice vectors as rows [3, 3], Å.
    kpoint
        [3], in reciprocal lattice vectors.
    order
        A name of the order of the plane waves where there are several ("x" or "z", the axis that gamma-only VASP halves, or the
        hash of a list); empty where it is unknown or there is only one.
    """

    flavour: Flavour
    n_components: int
    cutoff: float
    cell: NDArray[np.float64]
    kpoint: NDArray[np.float64]
    order: str = ""


class BandFile(Protocol):
    """One frame's bands on disk."""

    @property
    def path(self) -> Path:
        """The file."""

    @property
    def n_spins(self) -> int:
        """Number of spin channels."""

    @property
    def n_bands(self) -> int:
        """Number of bands of each."""

    @property
    def kpoints(self) -> NDArray[np.float64]:
        """K-points [n_kpoints, 3], in reciprocal lattice vectors."""

    def levels(self, spin: int, kpoint: int) -> Levels:
        """Return energies and occupations of all bands."""


class Wavefunctions(BandFile, Protocol):
    """One frame's wavefunctions on disk: nothing but the header is read until bands are asked for."""

    code: ClassVar[str]

    @property
    def orthonormal(self) -> bool:
        """Whether the coefficients are the whole wavefunction."""

    def basis(self, spin: int, kpoint: int) -> Basis:
        """Return what the coefficients refer to."""

    def coefficients(self, bands: range, spin: int, kpoint: int, out: NDArray[Any] | None = None) -> NDArray[Any]:
        """Return the coefficients of some bands [len(bands), n_components], normalised as `Basis` says; in `out` where that fits."""

    def announce(self, bands: range, spin: int, kpoint: int) -> None:
        """Tell the system that coefficients will be read soon."""

    def indices(self, spin: int, kpoint: int) -> NDArray[np.int64]:
        """Return the three indices of each plane wave [n_planewaves, 3], in the order of the coefficients."""


def fitting(out: NDArray[Any] | None, shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
    """Return `out` where it has a shape and a type, else new memory."""
    return out if out is not None and out.shape == shape and out.dtype == dtype else np.empty(shape, dtype)


def announce(path: Path, start: int, length: int) -> None:
    """Tell the system that a part of a file will be read soon, where it wants to know."""
    if hasattr(os, "posix_fadvise"):
        with suppress(OSError), path.open("rb", buffering=0) as file:
            os.posix_fadvise(file.fileno(), start, length, os.POSIX_FADV_WILLNEED)


def check_channel(file: BandFile, spin: int, kpoint: int) -> None:
    """Refuse a spin or k-point that a file does not hold.

    Raises
    ------
    InputError
        With the number that is there.
    """
    if not 0 <= spin < file.n_spins:
        raise InputError(
            f"File `{file.path}` must hold spin {spin} (from 0), but holds {file.n_spins} spin channel{'s' * (file.n_spins > 1)}. "
            "Choose another `spin`."
        )
    if not 0 <= kpoint < len(file.kpoints):
        raise InputError(
            f"File `{file.path}` must hold k-point {kpoint} (from 0), but holds {len(file.kpoints)}. Choose another `kpoint`."
        )


def check_bands(file: BandFile, bands: range) -> None:
    """Refuse bands that a file does not hold.

    Raises
    ------
    InputError
        With the number that is there.
    """
    if len(bands) == 0 or bands.step != 1 or bands.start < 0 or bands.stop > file.n_bands:
        raise InputError(
            f"File `{file.path}` holds {file.n_bands} bands, 0:{file.n_bands} counted from 0, but {bands.start}:{bands.stop} are asked for. "
            "Choose other `bands`, or calculate more (NBANDS, nbnd)."
        )

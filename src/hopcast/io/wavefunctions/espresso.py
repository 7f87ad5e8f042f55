"""Quantum ESPRESSO's `prefix.save`: bands of `data-file-schema.xml`, coefficients of `wfc*.dat` or `wfc*.hdf5`."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from hopcast.core.errors import InputError
from hopcast.io.arrays import foreign_hdf5
from hopcast.io.wavefunctions.espresso_schema import SCHEMA, Schema, read_schema
from hopcast.io.wavefunctions.espresso_wfc import WfcHeader, read_dat_header, read_hdf5_header
from hopcast.io.wavefunctions.protocol import Basis, Flavour, Levels, announce, check_bands, check_channel, fitting


@dataclass(frozen=True, eq=False)
class Save:
    """An open `prefix.save`.

    Attributes
    ----------
    path
        The folder.
    schema
        What its XML says.
    """

    path: Path
    schema: Schema

    code: ClassVar[str] = "qe"

    @classmethod
    def open(cls, path: str | Path) -> Save:
        """Read the XML of a folder.

        Raises
        ------
        InputError
            If it is missing or damaged.
        """
        return cls(Path(path), read_schema(Path(path) / SCHEMA))

    @property
    def n_spins(self) -> int:
        """Number of spin channels."""
        return self.schema.n_spins

    @property
    def n_bands(self) -> int:
        """Number of bands of a spin channel."""
        return int(self.schema.energies.shape[2])

    @property
    def kpoints(self) -> NDArray[np.float64]:
        """K-points [n_kpoints, 3], in reciprocal lattice vectors."""
        return self.schema.kpoints

    @property
    def weights(self) -> NDArray[np.float64] | None:
        """Weights of the k-points [n_kpoints], where they are told."""
        return self.schema.weights

    @property
    def cell(self) -> NDArray[np.float64]:
        """Lattice vectors as rows [3, 3], Å."""
        return self.schema.geometry.cell

    @property
    def orthonormal(self) -> bool:
        """Whether pseudopotentials are norm-conserving, so that the coefficients are the whole wavefunction."""
        return not self.schema.augmented

    def levels(self, spin: int, kpoint: int) -> Levels:
        """Return energies (eV) and occupations of all bands."""
        check_channel(self, spin, kpoint)
        return Levels(self.schema.energies[spin, kpoint], self.schema.occupations[spin, kpoint])

    def basis(self, spin: int, kpoint: int) -> Basis:
        """Return what the coefficients refer to.

        Raises
        ------
        InputError
            If the file is missing, damaged, or of another run than the XML.
        """
        check_channel(self, spin, kpoint)
        header = self._headers[spin, kpoint]
        order = hashlib.sha256(np.ascontiguousarray(header.miller).tobytes()).hexdigest()[:16]
        flavour: Flavour = "spinor" if header.n_components == 2 else ("half" if header.gamma_only else "full")
        return Basis(
            flavour,
            header.n_planewaves * header.n_components,
            self.schema.cutoff,
            self.cell,
            self.kpoints[kpoint],
            order,
        )

    def coefficients(self, bands: range, spin: int, kpoint: int, out: NDArray[Any] | None = None) -> NDArray[Any]:
        """Return the coefficients of some bands [len(bands), n_components]; of half spheres, those of G != 0 times sqrt 2.

        Raises
        ------
        InputError
            If they are not there.
        """
        check_channel(self, spin, kpoint)
        check_bands(self, bands)
        header, file = self._headers[spin, kpoint], self.file(spin, kpoint)
        size = header.n_planewaves * header.n_components
        if file.suffix == ".hdf5":
            with foreign_hdf5(file) as opened:
                found = np.ascontiguousarray(opened["evc"][bands.start : bands.stop], "<f8").view("<c16")
        else:
            found = fitting(out, (len(bands), size), np.dtype("<c16"))
            with file.open("rb", buffering=0) as opened:
                for row, band in zip(found, bands, strict=True):
                    opened.seek(header.start + (16 * size + 8) * band + 4)
                    if opened.readinto(memoryview(row).cast("B")) != row.nbytes:
                        raise InputError(
                            f"File `{file}` ends within band {band}. It changed while it was read: wait until the run is finished."
                        )
        if header.gamma_only:
            found *= header.scale * np.sqrt(2)
            found[:, ~header.miller.any(axis=1)] /= np.sqrt(2)
        elif header.scale != 1.0:
            found *= header.scale
        return found

    def announce(self, bands: range, spin: int, kpoint: int) -> None:
        """Tell the system that the coefficients of some bands will be read soon."""
        file = self.path / f"{self._stem(spin, kpoint)}.dat"
        if file.is_file():
            length = file.stat().st_size // self.n_bands
            announce(file, length * bands.start, length * (len(bands) + 1))

    def indices(self, spin: int, kpoint: int) -> NDArray[np.int64]:
        """Return the indices of the plane waves [n_planewaves, 3]."""
        check_channel(self, spin, kpoint)
        return self._headers[spin, kpoint].miller

    def file(self, spin: int, kpoint: int) -> Path:
        """Return the file of a spin and k-point.

        Raises
        ------
        InputError
            If there is none, or wavefunctions were written per process.
        """
        stem = self._stem(spin, kpoint)
        for suffix in (".dat", ".hdf5"):
            if (self.path / (stem + suffix)).is_file():
                return self.path / (stem + suffix)
        prefix = self.path.name.removesuffix(".save")
        try:
            apart = sorted(
                each.name for each in self.path.parent.glob(f"{prefix}.wfc*") if each.name[len(prefix) + 4 :].isdigit()
            )
        except (OSError, ValueError):
            apart = []
        if apart:
            raise InputError(
                f"Folder `{self.path}` must hold `{stem}.dat` or `{stem}.hdf5`, but the wavefunctions lie beside it, one file a process "
                f"(`{apart[0]}`), in the order of the parallel run. Calculate this frame again with wf_collect = .true. and a `disk_io` "
                "other than 'high' or 'none'."
            )
        raise InputError(
            f"Folder `{self.path}` must hold `{stem}.dat` or `{stem}.hdf5`, but holds neither. Calculate this frame again with "
            "wf_collect = .true. and disk_io = 'low'."
        )

    def _stem(self, spin: int, kpoint: int) -> str:
        return f"wfc{('up', 'dw')[spin] if self.n_spins == 2 else ''}{kpoint + 1}"

    @cached_property
    def _headers(self) -> _Headers:
        return _Headers(self)


class _Headers(dict[tuple[int, int], WfcHeader]):
    """The headers of the files that were asked for, each read once."""

    def __init__(self, save: Save) -> None:
        super().__init__()
        self._save = save

    def __missing__(self, key: tuple[int, int]) -> WfcHeader:
        file = self._save.file(*key)
        header = read_hdf5_header(file) if file.suffix == ".hdf5" else read_dat_header(file)
        schema = self._save.schema
        if header.n_bands != self._save.n_bands or (header.n_components == 2) != schema.spinors:
            raise InputError(
                f"File `{file}` must hold the {self._save.n_bands} bands of `{SCHEMA}`{' with two components' * schema.spinors}, but holds "
                f"{header.n_bands}{' with two components' * (header.n_components == 2)}. It is of another run: calculate this frame again."
            )
        self[key] = header
        return header

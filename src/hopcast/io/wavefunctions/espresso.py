"""Quantum ESPRESSO's `prefix.save`: bands of `data-file-schema.xml`, coefficients of `wfc*.dat` or `wfc*.hdf5`."""

from __future__ import annotations

import hashlib
import os
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from hopcast.core.errors import InputError
from hopcast.core.units import BOHR, HARTREE
from hopcast.io.arrays import foreign_hdf5
from hopcast.io.text import head, read_bytes
from hopcast.io.wavefunctions.protocol import Basis, Levels, announce, check_bands, check_channel

SCHEMA = "data-file-schema.xml"


@dataclass(frozen=True, eq=False)
class Geometry:
    """The nuclei of a calculation.

    Attributes
    ----------
    species
        Name of each atom, as the input has it (``Si1``).
    positions
        [n_atoms, 3], Å.
    cell
        Lattice vectors as rows [3, 3], Å.
    """

    species: tuple[str, ...]
    positions: NDArray[np.float64]
    cell: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Schema:
    """What `data-file-schema.xml` says.

    Attributes
    ----------
    prefix
        Of the run.
    geometry
        The nuclei.
    n_spins
        2 for spin-polarised runs (`nspin = 2`).
    spinors
        Whether wavefunctions have two components.
    kpoints
        [n_kpoints, 3], in reciprocal lattice vectors.
    energies, occupations
        [n_spins, n_kpoints, n_bands], eV and 0 to 1.
    cutoff
        eV.
    augmented
        Whether a pseudopotential is ultrasoft or PAW.
    """

    prefix: str
    geometry: Geometry
    n_spins: int
    spinors: bool
    kpoints: NDArray[np.float64]
    energies: NDArray[np.float64]
    occupations: NDArray[np.float64]
    cutoff: float
    augmented: bool


def read_schema(path: Path) -> Schema:
    """Read `data-file-schema.xml`.

    Raises
    ------
    InputError
        If it is cut short, not converged, or lacks something.
    """
    start = head(path, 1 << 16)
    if b"<!DOCTYPE" in start or b"<!ENTITY" in start:
        raise InputError(
            f"File `{path}` defines entities, which pw.x never does, and is not read. Copy it again."
        )
    try:
        root = ET.fromstring(read_bytes(path))
        return _schema(path, root)
    except InputError:
        raise
    except (ET.ParseError, LookupError, ValueError, TypeError, AttributeError) as error:
        raise InputError(
            f"File `{path}` is cut short or no output of pw.x ({str(error)[:80]}). The run was killed while it wrote: calculate this frame "
            "again."
        ) from error


def _schema(path: Path, root: ET.Element) -> Schema:
    output = root.find("output")
    if output is None:
        raise InputError(
            f"File `{path}` has no output: the run was killed before its end. Calculate this frame again."
        )
    # runs on a fixed density have no self-consistency, and pw.x says false of it
    fixed = root.findtext("input/control_variables/calculation", "").strip() in ("nscf", "bands")
    converged = output.findtext("convergence_info/scf_conv/convergence_achieved", "true").strip()
    if converged != "true" and not fixed:
        raise InputError(
            f"File `{path}` says that the self-consistency did not converge. Calculate this frame again (electron_maxstep, mixing_beta)."
        )
    bands = _child(output, "band_structure")
    lsda = _text(bands, "lsda") == "true"
    cell = np.array([_numbers(_text(output, f"atomic_structure/cell/a{i}"), 3) for i in (1, 2, 3)])
    atoms = output.findall("atomic_structure/atomic_positions/atom")
    positions = np.array([_numbers(atom.text or "", 3) for atom in atoms]).reshape(-1, 3)
    alat = float(_child(output, "atomic_structure").attrib["alat"])
    entries = bands.findall("ks_energies")
    if not entries or abs(np.linalg.det(cell)) < 1e-12 or not 0 < alat < 1e9:
        raise InputError(
            f"File `{path}` holds no bands, or a cell without volume. It is damaged: calculate this frame again."
        )
    # k-points are Cartesian, in units of 2 pi / alat
    kpoints = np.array([_numbers(_text(each, "k_point"), 3) for each in entries]) / alat @ cell.T
    levels = [
        [_numbers(_text(each, kind), int(_child(each, kind).attrib["size"])) for each in entries]
        for kind in ("eigenvalues", "occupations")
    ]
    if len({len(row) for kind in levels for row in kind}) != 1 or (lsda and len(levels[0][0]) % 2):
        raise InputError(
            f"File `{path}` has k-points of different numbers of bands. It is damaged: calculate this frame again."
        )
    n_spins = 2 if lsda else 1
    energies, occupations = (
        np.array(kind).reshape(len(entries), n_spins, -1).swapaxes(0, 1) for kind in levels
    )
    augmented = any(
        output.findtext(f"algorithmic_info/{kind}", "false").strip() == "true" for kind in ("uspp", "paw")
    )
    return Schema(
        root.findtext("input/control_variables/prefix", "").strip(),
        Geometry(tuple(atom.attrib["name"] for atom in atoms), positions * BOHR, cell * BOHR),
        n_spins, _text(bands, "noncolin") == "true", kpoints, energies * HARTREE, occupations,
        float(_text(output, "basis_set/ecutwfc")) * HARTREE, augmented,
    )  # fmt: skip


def _child(element: ET.Element, path: str) -> ET.Element:
    found = element.find(path)
    if found is None:
        raise ValueError(f"no {path}")
    return found


def _text(element: ET.Element, path: str) -> str:
    return (_child(element, path).text or "").strip()


def _numbers(text: str, count: int) -> NDArray[np.float64]:
    numbers = np.array([float(word) for word in text.split()])
    if len(numbers) != count or not np.isfinite(numbers).all():
        raise ValueError(f"{len(numbers)} numbers in place of {count}")
    return numbers


@dataclass(frozen=True, eq=False)
class WfcHeader:
    """The beginning of a file of wavefunctions.

    Attributes
    ----------
    gamma_only
        Whether only one of each G and -G is kept.
    scale
        What coefficients are multiplied by.
    n_planewaves, n_components, n_bands
        `igwx`, 1 or 2 (spinors), `nbnd`.
    miller
        Indices of the plane waves [n_planewaves, 3].
    start
        Where the record of the first band begins (``.dat``).
    """

    gamma_only: bool
    scale: float
    n_planewaves: int
    n_components: int
    n_bands: int
    miller: NDArray[np.int64]
    start: int


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
        flavour = "spinor" if header.n_components == 2 else ("half" if header.gamma_only else "full")
        return Basis(
            flavour, header.n_planewaves * header.n_components, self.schema.cutoff, self.cell, self.kpoints[kpoint], order  # type: ignore[arg-type]
        )  # fmt: skip

    def coefficients(self, bands: range, spin: int, kpoint: int) -> NDArray[Any]:
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
            found = np.empty((len(bands), size), "<c16")
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
                each.name
                for each in self.path.parent.glob(f"{prefix}.wfc*")
                if each.name[len(prefix) + 4 :].isdigit()
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
        header = _hdf5_header(file) if file.suffix == ".hdf5" else _dat_header(file)
        schema = self._save.schema
        if header.n_bands != self._save.n_bands or (header.n_components == 2) != schema.spinors:
            raise InputError(
                f"File `{file}` must hold the {self._save.n_bands} bands of `{SCHEMA}`{' with two components' * schema.spinors}, but holds "
                f"{header.n_bands}{' with two components' * (header.n_components == 2)}. It is of another run: calculate this frame again."
            )
        self[key] = header
        return header


def _damaged(path: Path, what: str) -> InputError:
    return InputError(
        f"File `{path}` is cut short or no file of wavefunctions of pw.x ({what}). The run was killed while it wrote, or is older than "
        "version 6.2: calculate this frame again."
    )


def _dat_header(path: Path) -> WfcHeader:
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        place = 0

        def record(length: int | None = None) -> bytes:
            nonlocal place
            file.seek(place)
            mark = int.from_bytes(file.read(4), "little")
            if (length is not None and mark != length) or place + 8 + mark > size:
                raise _damaged(path, f"a record of {mark} bytes at byte {place}")
            body = file.read(mark)
            if int.from_bytes(file.read(4), "little") != mark:
                raise _damaged(path, f"a record without an end at byte {place}")
            place += 8 + mark
            return body

        first = record(44)
        gamma_only, scale = (
            int.from_bytes(first[32:36], "little") != 0,
            float(np.frombuffer(first[36:], "<f8")[0]),
        )
        _, n_planewaves, n_components, n_bands = (int(x) for x in np.frombuffer(record(16), "<i4"))
        if not (
            n_planewaves >= 1
            and n_components in (1, 2)
            and n_bands >= 1
            and np.isfinite(scale)
            and scale != 0
        ):
            raise _damaged(path, f"{n_bands} bands of {n_planewaves} plane waves")
        record(72)
        miller = np.frombuffer(record(12 * n_planewaves), "<i4").reshape(-1, 3).astype(np.int64)
        length = 16 * n_planewaves * n_components
        if size < place + n_bands * (length + 8):
            raise _damaged(
                path, f"{size} bytes for {n_bands} bands, which need {place + n_bands * (length + 8)}"
            )
        for band in range(n_bands):
            file.seek(place + band * (length + 8))
            if int.from_bytes(file.read(4), "little") != length:
                raise _damaged(path, f"band {band} is no record of {length} bytes")
    return WfcHeader(gamma_only, scale, n_planewaves, n_components, n_bands, _distinct(path, miller), place)


def _hdf5_header(path: Path) -> WfcHeader:
    import h5py

    with foreign_hdf5(path) as file:
        try:
            numbers = [int(file.attrs[name]) for name in ("igwx", "npol", "nbnd")]
            scale = float(file.attrs["scale_factor"])
            said = file.attrs["gamma_only"]
            gamma_only = (said.decode() if isinstance(said, bytes) else str(said)).strip().upper() in (
                ".TRUE.",
                "1",
                "TRUE",
            )
            evc, miller = (file.get(name, getlink=True) for name in ("evc", "MillerIndices"))
            if not (isinstance(evc, h5py.HardLink) and isinstance(miller, h5py.HardLink)):
                raise ValueError("`evc` or `MillerIndices` is missing")
            sets = file["evc"], file["MillerIndices"]
            n_planewaves, n_components, n_bands = numbers
            shapes = (n_bands, 2 * n_planewaves * n_components), (n_planewaves, 3)
            for each, shape in zip(sets, shapes, strict=True):
                if (
                    not isinstance(each, h5py.Dataset)
                    or each.external
                    or each.is_virtual
                    or each.shape != shape
                ):
                    raise ValueError(f"`{each.name}` is no array of {shape}")
                if (
                    each.dtype.kind not in "fi"
                    or each.size * each.dtype.itemsize > 1100 * path.stat().st_size
                ):
                    raise ValueError(f"`{each.name}` claims more than the file holds")
            table = np.asarray(sets[1][()]).astype(np.int64)
        except (KeyError, ValueError, TypeError, OverflowError, UnicodeDecodeError) as error:
            raise _damaged(path, str(error)[:80]) from error
        if not (
            n_planewaves >= 1
            and n_components in (1, 2)
            and n_bands >= 1
            and np.isfinite(scale)
            and scale != 0
        ):
            raise _damaged(path, f"{n_bands} bands of {n_planewaves} plane waves")
    return WfcHeader(gamma_only, scale, n_planewaves, n_components, n_bands, _distinct(path, table), 0)


def _distinct(path: Path, miller: NDArray[np.int64]) -> NDArray[np.int64]:
    if np.abs(miller).max() > 100_000:
        raise _damaged(path, f"a plane wave with the index {miller.flat[np.abs(miller).argmax()]}")
    return miller

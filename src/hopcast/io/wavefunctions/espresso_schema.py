"""What `data-file-schema.xml` of Quantum ESPRESSO says: bands, occupations, nuclei."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hopcast.core.errors import InputError
from hopcast.core.units import BOHR, HARTREE
from hopcast.io.text import head, read_bytes

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
    weights
        Of the k-points [n_kpoints]; None where the file has none.
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
    weights: NDArray[np.float64] | None
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
        raise InputError(f"File `{path}` defines entities, which pw.x never does, and is not read. Copy it again.")
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
        raise InputError(f"File `{path}` has no output: the run was killed before its end. Calculate this frame again.")
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
    told = [_child(each, "k_point").attrib.get("weight") for each in entries]
    weights = None if None in told else np.array(told, dtype=np.float64)
    levels = [
        [_numbers(_text(each, kind), int(_child(each, kind).attrib["size"])) for each in entries]
        for kind in ("eigenvalues", "occupations")
    ]
    if len({len(row) for kind in levels for row in kind}) != 1 or (lsda and len(levels[0][0]) % 2):
        raise InputError(
            f"File `{path}` has k-points of different numbers of bands. It is damaged: calculate this frame again."
        )
    n_spins = 2 if lsda else 1
    energies, occupations = (np.array(kind).reshape(len(entries), n_spins, -1).swapaxes(0, 1) for kind in levels)
    augmented = any(output.findtext(f"algorithmic_info/{kind}", "false").strip() == "true" for kind in ("uspp", "paw"))
    return Schema(
        root.findtext("input/control_variables/prefix", "").strip(),
        Geometry(tuple(atom.attrib["name"] for atom in atoms), positions * BOHR, cell * BOHR),
        n_spins,
        _text(bands, "noncolin") == "true",
        kpoints,
        weights,
        energies * HARTREE,
        occupations,
        float(_text(output, "basis_set/ecutwfc")) * HARTREE,
        augmented,
    )


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

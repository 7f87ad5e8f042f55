"""Numbered folders of VASP calculations with their `WAVECAR`: overlaps of pseudo-wavefunctions."""

from __future__ import annotations

from pathlib import Path

from hopcast.core.hamiltonian import VibronicHamiltonian
from hopcast.io.formats.poscars import poscar_folders
from hopcast.io.registry import Format, ReadOptions
from hopcast.io.wavefunctions.folders import check_pairs, read_folders
from hopcast.io.wavefunctions.places import has_numbered, numbered_folders, wavecar_in, wswq_in
from hopcast.io.wavefunctions.wavecar import Wavecar


def sniff(path: Path) -> bool:
    """Whether numbered folders hold a `WAVECAR`, and none a `WSWQ`, which is the better source."""
    return path.is_dir() and has_numbered(path, wavecar_in) and not has_numbered(path, wswq_in)


def read(path: Path, options: ReadOptions) -> VibronicHamiltonian:
    """Read energies and raw overlaps of consecutive numbers."""
    found = numbered_folders(path, wavecar_in)
    check_pairs(path, found, "a WAVECAR")
    return read_folders(path, found, Wavecar.open, options, FORMAT.name)


FORMAT = Format(
    "vasp-wavecar",
    "VASP: overlaps of pseudo-wavefunctions in numbered folders",
    "hamiltonian",
    "<frame>/WAVECAR",
    sniff,
    read,
    heeds=("spin", "bands", "kpoint", "loewdin", "variable_cell"),
    geometries=poscar_folders,
)

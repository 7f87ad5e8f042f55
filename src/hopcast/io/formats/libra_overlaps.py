"""Libra's raw overlaps as text: ``E_ks_<step>_re``, ``S_ks_<step>_re`` and ``St_ks_<step>_re``, blocks of alpha and beta, Ha."""

from __future__ import annotations

from pathlib import Path

from hopcast.core.errors import InputError
from hopcast.core.hamiltonian import VibronicHamiltonian
from hopcast.io.assemble import need_timestep
from hopcast.io.formats.libra_npz import read_one_particle
from hopcast.io.numbered import numbered_files
from hopcast.io.registry import Format, ReadOptions


def _files(folder: Path) -> dict[str, dict[int, Path]]:
    return {key: numbered_files(folder, rf"{key}_ks_(\d+)_re") for key in ("E", "S", "St")}


def sniff(path: Path) -> bool:
    """Whether a folder has the text of energies and overlaps of frames."""
    if not path.is_dir():
        return False
    try:
        found = _files(path)
    except InputError:
        return True
    return bool(found["E"] and found["St"])


def read(path: Path, options: ReadOptions) -> VibronicHamiltonian:
    """Read energies and raw overlaps, as those of the archives."""
    found = {key: files for key, files in _files(path).items() if files}
    if not {"E", "St"} <= set(found):
        raise InputError(
            f"Folder `{path}` must hold `E_ks_<step>_re` and `St_ks_<step>_re`, but holds {', '.join(sorted(found)) or 'neither'} only. Copy them here."
        )
    return read_one_particle(path, found, need_timestep(path, options.timestep), options, "libra-overlaps")


FORMAT = Format(
    "libra-overlaps",
    "Libra's raw overlaps as text (E_ks, S_ks, St_ks)",
    "hamiltonian",
    "E_ks_<step>_re, St_ks_<step>_re",
    sniff,
    read,
    heeds=("spin",),
)

"""Numbered folders of `POSCAR`, as many groups prepare single points."""

from __future__ import annotations

from pathlib import Path

from hopcast.io.formats.ase_files import poscar_folders, read_poscars
from hopcast.io.registry import Format


def sniff(path: Path) -> bool:
    """Whether a folder has numbered folders with a POSCAR."""
    return path.is_dir() and not (path / "XDATCAR").is_file() and bool(poscar_folders(path))


FORMAT = Format("poscars", "numbered folders of POSCAR", "trajectory", "<step>/POSCAR", sniff, read_poscars)

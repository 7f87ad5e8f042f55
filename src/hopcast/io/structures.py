"""One structure from a file: CIF and POSCAR through ASE, else the last frame of whatever hopcast reads as a trajectory."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from hopcast.core.errors import InputError
from hopcast.core.trajectory import Trajectory
from hopcast.io.trajectories import read_trajectory

POSCAR_NAMES = ("POSCAR", "CONTCAR")
"""How VASP's structures begin; they have no ending."""


def read_structure(path: str | Path, *, format: str | None = None, cell: Any = None, pbc: Any = None) -> Trajectory:
    """Read one structure, as a trajectory of one frame.

    Parameters
    ----------
    path
        CIF (`.cif`), POSCAR (`POSCAR*`, `CONTCAR*`, `.vasp`, `.poscar`), or any trajectory, of which the last frame is taken.
    format, cell, pbc
        As `read_trajectory`; `format` may be "cif" or "vasp" too.

    Raises
    ------
    InputError
        If it cannot be read, or sites are partly occupied or mixed.
    """
    file = Path(path)
    kind = format if format in ("cif", "vasp") else None if format else _kind(file)
    if kind is None:
        nuclei = read_trajectory(file, timestep=1.0, cell=cell, format=format, pbc=pbc)
        return nuclei[nuclei.n_frames - 1 :]
    if not file.is_file():
        raise InputError(f"File `{file}` must exist, but does not. Check the path.")
    import ase.io

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about tags that do not concern positions
            atoms = ase.io.read(os.fspath(file), index=0, format=kind)
    except Exception as error:  # ASE's readers raise whatever their parsers raise
        raise InputError(
            f"File `{file}` cannot be read as {'CIF' if kind == 'cif' else 'POSCAR'} ({type(error).__name__}: {error}). "
            "Check that it is complete."
        ) from error
    for site in (atoms.info.get("occupancy") or {}).values():
        if len(site) > 1 or any(share < 0.999 for share in site.values()):
            mixed = ", ".join(f"{symbol} {share:g}" for symbol, share in site.items())
            raise InputError(
                f"File `{file}` must hold atoms on full sites, but one is occupied by {mixed}. Choose an ordered structure."
            )
    positions = np.asarray(atoms.positions, dtype=float)
    if not len(positions) or not np.isfinite(positions).all():
        raise InputError(f"File `{file}` must hold atoms at finite positions, but does not. Check it.")
    return Trajectory(
        positions[None],
        np.asarray(atoms.cell.array if cell is None else cell, dtype=float),
        atoms.numbers,
        1.0,
        pbc=(True, True, True) if pbc is None else pbc,
    )


def _kind(file: Path) -> str | None:
    if file.suffix.lower() == ".cif":
        return "cif"
    named = file.name.upper().startswith(POSCAR_NAMES)
    return "vasp" if named or file.suffix.lower() in (".vasp", ".poscar") else None

"""Everything else that ASE reads without running or unpickling anything; numbered folders of POSCAR."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hopcast.core.errors import ConfigError, InputError
from hopcast.core.trajectory import Trajectory
from hopcast.io.formats import xdatcar, xyz
from hopcast.io.numbered import consecutive, names_in
from hopcast.io.registry import Format, ReadOptions
from hopcast.io.text import head
from hopcast.io.trajectory_parts import flags, given_cell, no_cell
from hopcast.io.unwrap import unwrap_positions

SAFE = (
    "extxyz", "xyz", "traj", "vasp", "vasp-xdatcar", "vasp-xml", "vasp-out", "espresso-out", "espresso-in", "aims-output",
    "lammps-dump-text", "lammps-dump-binary", "proteindatabank", "cif", "gromacs", "gromos", "xsf", "netcdftrajectory",
    "castep-md", "castep-castep", "siesta-xv", "cp2k-dcd", "cp2k-restart", "json",
)  # fmt: skip
"""ASE's names of formats that hold data only (others may unpickle, import or connect)."""


def sniff(path: Path) -> bool:
    """Whether ASE recognises it as one of the formats that hold data only, and no fast reader of ours does."""
    if (
        not path.is_file()
        or path.suffix in (".h5", ".hdf5", ".npz", ".npy")
        or xdatcar.sniff(path)
        or xyz.sniff(path)
    ):
        return False
    # guesses by content need content: text of numbers must not become a molecule
    return _guess(path) in SAFE


def _guess(path: Path) -> str | None:
    from ase.io.formats import UnknownFileTypeError, filetype

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return str(filetype(str(path), guess=bool(head(path, 1))))
    except (UnknownFileTypeError, OSError, ValueError, KeyError, IndexError, ImportError):
        return None


def poscar_folders(path: Path) -> dict[int, Path]:
    """Return the POSCAR (or CONTCAR) of each numbered folder."""
    found = {}
    for name in names_in(path):
        hit = re.fullmatch(r"\D*(\d{1,9})", name)
        if hit:
            for file in ("POSCAR", "CONTCAR"):
                if (path / name / file).is_file():
                    found[int(hit.group(1))] = path / name / file
                    break
    return found


def read(path: Path, options: ReadOptions) -> Trajectory:
    """Read frame by frame through ASE."""
    name = options.ase_format or _guess(path)
    if name is not None and name not in SAFE:
        raise ConfigError(
            f"Argument `format` must be a format that holds data only ({', '.join(SAFE)}), but is `{name}`. Convert the file "
            "with ASE to extxyz first."
        )
    import ase.io

    return collect(path, ase.io.iread(str(path), index=":", format=name), options)


def images_of(files: list[Path]) -> Iterator[Any]:
    """Yield the structure of each POSCAR."""
    import ase.io

    for file in files:
        try:
            yield ase.io.read(str(file), format="vasp")
        except Exception as error:  # ASE's readers raise whatever their parsers raise
            raise InputError(
                f"File `{file}` cannot be read as a POSCAR ({type(error).__name__}: {error})."
            ) from error


def read_poscars(path: Path, options: ReadOptions) -> Trajectory:
    """Read a folder of numbered folders."""
    found = poscar_folders(path)
    numbers = consecutive(path, found, "numbered folders with a POSCAR")
    return collect(path, images_of([found[number] for number in numbers]), options)


def collect(path: Path, images: Iterator[Any], options: ReadOptions) -> Trajectory:
    """Return the trajectory of ASE's images, atoms checked to be the same.

    Raises
    ------
    InputError
        If a frame cannot be read, atoms change, or cell or time step are missing.
    """
    if options.timestep is None:
        raise InputError(f"File `{path}` does not say how far apart its frames are. Give `timestep` in fs.")
    from ase import units

    positions: list[NDArray[Any]] = []
    cells: list[NDArray[Any]] = []
    velocities: list[NDArray[Any]] = []
    numbers: NDArray[Any] | None = None
    periodic: Any = options.pbc
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # ASE warns about headers that do not concern positions
            for frame, atoms in enumerate(images):
                if numbers is None:
                    numbers = atoms.numbers.copy()
                    if periodic is None:
                        periodic = atoms.pbc.copy() if options.cell is None else True
                check_same_atoms(path, frame, numbers, atoms.numbers)
                positions.append(atoms.positions.copy())
                cells.append(atoms.cell.array.copy())
                if atoms.has("momenta"):
                    velocities.append(atoms.get_velocities() * units.fs)
    except InputError:
        raise
    except Exception as error:  # ASE's readers raise whatever their parsers raise
        raise InputError(
            f"File `{path}` cannot be read after frame {len(positions) - 1} ({type(error).__name__}: {error}). "
            "Check that it is complete, or name its `format`."
            if positions
            else f"File `{path}` cannot be read as a trajectory ({type(error).__name__}: {error}). Name its `format`."
        ) from error
    if numbers is None:
        raise InputError(f"File `{path}` holds no frames.")
    if options.cell is not None:
        frames = given_cell(options.cell, path)
    elif not np.any(cells[0]) and (options.pbc is None or np.any(options.pbc)):
        raise no_cell(path)
    else:
        frames = np.stack(cells)
        if np.all(frames == frames[0]):
            frames = frames[0]
    if velocities and len(velocities) != len(positions):
        raise InputError(
            f"File `{path}` has velocities in {len(velocities)} of its {len(positions)} frames only."
        )
    stacked = np.stack(positions).astype(float)
    pbc = flags(periodic)
    if options.unwrap and any(pbc):
        determinants = np.linalg.det(frames)
        if not np.all(np.abs(determinants) > 1e-8):
            raise no_cell(path)
        unwrap_positions(stacked, frames, pbc)
    return Trajectory(
        positions=stacked,
        cell=frames,
        numbers=numbers,
        timestep=options.timestep,
        velocities=np.stack(velocities) if velocities and np.any(velocities) else None,
        pbc=pbc,
    )


def check_same_atoms(name: Path, frame: int, first: NDArray[Any], numbers: NDArray[Any]) -> None:
    """Refuse a frame with other atoms than the first.

    Raises
    ------
    InputError
        Naming frame and atom.
    """
    if len(numbers) != len(first):
        raise InputError(
            f"File `{name}` must hold the same atoms in every frame, but frame {frame} has {len(numbers)} "
            f"instead of {len(first)}."
        )
    changed = np.flatnonzero(numbers != first)
    if changed.size:
        from ase.data import chemical_symbols

        atom = changed[0]
        raise InputError(
            f"File `{name}` must keep the order of the atoms, but in frame {frame} atom {atom} is "
            f"{chemical_symbols[numbers[atom]]} instead of {chemical_symbols[first[atom]]}. Sort the frames alike."
        )


FORMAT = Format(
    "ase", "what else ASE reads: vasprun.xml, extxyz, .traj, QE output, ...", "trajectory",
    "vasprun.xml, *.extxyz, *.traj, ...", sniff, read,
)  # fmt: skip

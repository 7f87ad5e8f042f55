"""Our own HDF5: everything, in double precision."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from hopcast.core.errors import ConfigError, InputError
from hopcast.core.hamiltonian import VibronicHamiltonian
from hopcast.io.native import SUFFIXES, read_native, write_native
from hopcast.io.registry import Format, Holds, ReadOptions, WriteOptions


def sniff(path: Path) -> bool:
    """Whether it is HDF5 that says it is ours (or so damaged that it says nothing)."""
    if path.suffix.lower() not in SUFFIXES or not path.is_file():
        return False
    import h5py

    try:
        with h5py.File(path, "r") as file:
            from hopcast.io.formats.namd_lmi import looks_like as lmi
            from hopcast.io.formats.nanoqmflows_hdf5 import looks_like as nano

            return "format" in file.attrs or not (lmi(file) or nano(file))
    except Exception:  # damaged: our reader says how
        return True


def read(path: Path, options: ReadOptions) -> VibronicHamiltonian:
    """Read the Hamiltonian of our file."""
    hamiltonian: VibronicHamiltonian = read_native(path, "hamiltonian")
    if options.couplings == "source" and hamiltonian.overlaps is not None and not hamiltonian.nac_known.any():
        raise InputError(
            f"File `{path}` must hold couplings to be trusted, but holds raw overlaps only. Derive them (`couplings` = overlaps)."
        )
    if options.n_occupied is not None:
        if hamiltonian.n_occupied not in (None, options.n_occupied):
            raise InputError(
                f"File `{path}` has {hamiltonian.n_occupied} occupied states, but `n_occupied` is {options.n_occupied}. Leave it out."
            )
        hamiltonian = dataclasses.replace(hamiltonian, n_occupied=options.n_occupied)
    timestep = options.timestep
    if timestep is not None and not np.isclose(timestep, hamiltonian.timestep, rtol=1e-6):
        raise InputError(
            f"File `{path}` has frames {hamiltonian.timestep:g} fs apart, but `timestep` is {timestep:g} fs. "
            "Leave `timestep` out to use the file's.",
            topic="time step",
        )
    return hamiltonian


def write(hamiltonian: VibronicHamiltonian, path: Path, options: WriteOptions) -> None:
    """Write our file."""
    if path.suffix.lower() not in SUFFIXES:
        raise ConfigError(f"Argument `path` must end in .h5 or .hdf5, but is `{path}`.")
    write_native(path, hamiltonian=hamiltonian)


FORMAT = Format(
    "hopcast",
    "our own HDF5, with units, masks, overlaps and provenance",
    "hamiltonian",
    "*.h5, *.hdf5",
    sniff,
    read,
    write,
    Holds(
        "any",
        complex=True,
        overlaps=True,
        unknown=True,
        timestep=True,
        labels=True,
        provenance=True,
        numbers="any",
        digits=17,
    ),
)

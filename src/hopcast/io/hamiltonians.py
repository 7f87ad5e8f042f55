"""Hamiltonians in and out, by the name of their format."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hopcast.core.errors import ConfigError, InputError, check_choice
from hopcast.core.hamiltonian import VibronicHamiltonian
from hopcast.io.native import SUFFIXES, read_native, write_native

FORMATS = ("hopcast",)


def read_hamiltonian(
    path: str | Path, *, format: str | None = None, timestep: float | None = None
) -> VibronicHamiltonian:
    """Read a vibronic Hamiltonian.

    Parameters
    ----------
    path
        File to read.
    format
        "hopcast" (our HDF5); None recognises it.
    timestep
        Time between frames, fs, for formats that do not hold it; ours does, and a different value is an error.

    Raises
    ------
    InputError
        If the file is missing, broken or of an unknown format.
    ConfigError
        If `format` is unknown.
    """
    if format is not None:
        check_choice("format", format, FORMATS)
    name = Path(path)
    if not name.exists():
        raise InputError(f"File `{name}` does not exist. Check the path.")
    if format is None and name.suffix not in SUFFIXES:
        raise InputError(f"File `{name}` is in no format that hopcast recognises ({', '.join(FORMATS)}).")
    hamiltonian: VibronicHamiltonian = read_native(name, "hamiltonian")
    if timestep is not None and not np.isclose(timestep, hamiltonian.timestep, rtol=1e-6):
        raise InputError(
            f"File `{name}` has frames {hamiltonian.timestep:g} fs apart, but `timestep` is {timestep:g} fs. "
            "Leave `timestep` out to use the file's."
        )
    return hamiltonian


def write_hamiltonian(hamiltonian: VibronicHamiltonian, path: str | Path, *, format: str = "hopcast") -> None:
    """Write a vibronic Hamiltonian.

    Raises
    ------
    ConfigError
        If `format` is unknown, or `path` does not end in ``.h5`` or ``.hdf5``.
    OutputError
        If the file cannot be written.
    """
    check_choice("format", format, FORMATS)
    if Path(path).suffix not in SUFFIXES:
        raise ConfigError(f"Argument `path` must end in .h5 or .hdf5, but is `{path}`.")
    write_native(path, hamiltonian=hamiltonian)

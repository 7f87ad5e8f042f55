"""NAMD-LMI's `NAC.h5`: eigenvalues (eV) and S - S^dagger at mid-points, by step and spin."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from hopcast.core.errors import InputError
from hopcast.core.hamiltonian import VibronicHamiltonian
from hopcast.io.arrays import dataset, foreign_hdf5
from hopcast.io.assemble import assemble, differences_to_nac, need_timestep
from hopcast.io.registry import Format, ReadOptions
from hopcast.io.spin_channels import warn_of_spins


def looks_like(file: Any) -> bool:
    """Whether an open HDF5 file is NAMD-LMI's."""
    return {"olaps_r", "olaps_i", "eigs"} <= set(file.keys())


def sniff(path: Path) -> bool:
    """Whether it is HDF5 with olaps_r, olaps_i and eigs."""
    if path.suffix.lower() not in (".h5", ".hdf5") or not path.is_file():
        return False
    import h5py

    try:
        with h5py.File(path, "r") as file:
            return "format" not in file.attrs and looks_like(file)
    except Exception:  # damaged files are for the one who is asked to read them
        return False


def read(path: Path, options: ReadOptions) -> VibronicHamiltonian:
    """Read one spin (`options.spin`)."""
    with foreign_hdf5(path) as file:
        arrays = {name: dataset(file, name) for name in ("eigs", "olaps_r", "olaps_i", "potim")}
        bands = dataset(file, "brange").ravel() if "brange" in file.keys() else None  # noqa: SIM118
    energies, real, imaginary = arrays["eigs"], arrays["olaps_r"], arrays["olaps_i"]
    if (
        energies.ndim != 3
        or real.ndim != 4
        or real.shape != imaginary.shape
        or real.shape[1:3] != energies.shape[1:]
        or real.shape[2] != real.shape[3]
    ):
        raise InputError(
            f"File `{path}` must hold `eigs` [step, spin, i] and `olaps` [step, spin, i, j], but their shapes are "
            f"{energies.shape}, {real.shape} and {imaginary.shape}. Write it again."
        )
    if arrays["potim"].size != 1 or arrays["potim"].dtype.kind not in "fiu":
        raise InputError(
            f"File `{path}` must hold one time step `potim`, but holds {arrays['potim'].ravel()[:3]}. Write it again."
        )
    potim = need_timestep(path, float(arrays["potim"].item()))
    if options.timestep is not None and not np.isclose(potim, options.timestep, rtol=1e-6):
        raise InputError(
            f"File `{path}` has potim = {potim:g} fs, but `timestep` is {options.timestep:g} fs. Correct the wrong one."
        )
    spin = options.spin or 0
    if not 0 <= spin < energies.shape[1]:
        raise InputError(
            f"Argument `spin` must lie between 0 and {energies.shape[1] - 1}, the spins of `{path}`, but is {spin}."
        )
    apart = float(np.abs(energies - energies[:, :1]).max(initial=0.0))
    if options.spin is None and apart > 1e-6:
        warn_of_spins(path, f"energies differ by up to {apart:.3g} eV")
    difference = real[:, spin] + 1j * imaginary[:, spin]
    if len(energies) != len(difference):
        raise InputError(
            f"File `{path}` must hold as many `eigs` as `olaps`, but holds {len(energies)} and {len(difference)}. Check that the run "
            "was complete."
        )
    extent = "" if bands is None else f", bands {', '.join(f'{band:g}' for band in bands[:2])}"
    return assemble(
        path,
        energies[:, spin].astype(float),
        differences_to_nac(difference, potim),
        timestep=potim,
        grid="midpoint",
        options=options,
        provenance={
            "format": f"namd-lmi, spin {spin}{extent}",
            "sign": "S - S^dagger, times hbar / (2 dt)",
            "units": "eV, dimensionless couplings",
        },
    )


FORMAT = Format("namd-lmi", "NAMD-LMI's couplings", "hamiltonian", "NAC.h5", sniff, read, heeds=("spin",))

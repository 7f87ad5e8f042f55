"""`load`: a shipped data set by its name."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from hopcast.core import hdf5
from hopcast.core.errors import check_choice
from hopcast.core.hamiltonian import VibronicHamiltonian
from hopcast.core.trajectory import Trajectory
from hopcast.couplings import derive_couplings
from hopcast.io.native import get_hamiltonian, get_trajectory

DATASETS = ("cspbi3", "cspbi3-long")


@dataclass(frozen=True, eq=False)
class Dataset:
    """A trajectory and the vibronic Hamiltonian along it.

    Attributes
    ----------
    name
        What `load` was asked for.
    description
        System, method, provenance.
    trajectory
        Positions and velocities of the nuclei.
    hamiltonian
        All Kohn-Sham states of the window, raw overlaps, and couplings derived from them in energy order; known
        where `energy_known` and `nac_known` say so.
    """

    name: str
    description: str
    trajectory: Trajectory
    hamiltonian: VibronicHamiltonian


def load(name: str) -> Dataset:
    """Return a shipped data set.

    Parameters
    ----------
    name
        "cspbi3": 20 atoms of orthorhombic CsPbI3 at room temperature, PBE energies and overlaps of 16 bands
        at every frame, 4 fs apart. "cspbi3-long": 100 ps of the same cell, PBE on pairs of frames spread over it
        (sparse: most frames are unknown).

    Raises
    ------
    ConfigError
        If there is no data set of this name.
    """
    check_choice("name", name, DATASETS)
    with resources.as_file(resources.files("hopcast.datasets") / f"{name}.h5") as path, hdf5.open_file(path) as file:
        trajectory = get_trajectory(file["trajectory"])
        raw = get_hamiltonian(file["hamiltonian"])
        description = str(file.attrs["description"])
    return Dataset(name, description, trajectory, derive_couplings(raw))


def find_shipped(name: str | Path) -> Dataset | None:
    """Return the shipped data set of a name; None where there is none, or where a file is called so."""
    return load(str(name)) if str(name) in DATASETS and not Path(name).exists() else None

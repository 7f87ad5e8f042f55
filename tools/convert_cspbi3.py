"""Convert the raw CsPbI3 arrays to the data sets that ship: ``python tools/convert_cspbi3.py DENSE.npz SPARSE.npz``.

Energies and raw overlaps go in as they are; couplings are derived when a data set is loaded.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hopcast.core import Trajectory, VibronicHamiltonian
from hopcast.io import write_native

FOLDER = Path(__file__).parents[1] / "src" / "hopcast" / "datasets"

DESCRIPTION = """\
Orthorhombic CsPbI3, 20 atoms (4 Cs, 4 Pb, 12 I), at room temperature.
Nuclei: cell and atoms relaxed with CHGNet 0.3.0; 4 ps of Langevin dynamics at 300 K; then NVE at 1 fs, every fourth \
frame kept. Velocities are the integrator's.
Electrons: CP2K 2023.1 Quickstep, PBE, DZVP-MOLOPT-SR-GTH, GTH-PBE pseudopotentials (q9, q4, q7), 160 Ry / relative \
40 Ry, Gamma point, EPS_DEFAULT 1e-9, EPS_SCF 1.6e-5, 8 added orbitals, no spin-orbit coupling. Kohn-Sham bands \
61-76; 68 is the valence band maximum, doubly occupied.
Overlaps: <i(t)|j(t+4 fs)> from Gaussian integrals over all periodic images; raw, i.e. arbitrary signs, energy order."""


LONG_DESCRIPTION = """\
Orthorhombic CsPbI3, 20 atoms (4 Cs, 4 Pb, 12 I), 100 ps at 300 K; continues the trajectory of the set cspbi3.
Nuclei: CHGNet 0.3.0, Bussi-Donadio-Parrinello thermostat (300 K, 1 ps), 2 fs steps, every second stored. The potential \
is known to be soft.
Electrons as in cspbi3 (CP2K, PBE), on pairs of frames (t, t + 4 fs) that lie on a grid of 400 fs and cover the whole \
trajectory. Nothing ties the signs of one pair to another's."""

PROVENANCE = {"source": "CP2K 2023.1, PBE, Gamma", "energies": "Kohn-Sham, eV, on frames", "overlaps": "raw"}


def labels(raw: Mapping[str, np.ndarray]) -> dict[str, Any]:
    bands = raw["band_indices"]
    return {
        "n_occupied": int(np.flatnonzero(bands == int(raw["n_occupied"]))[0]) + 1,
        "state_labels": tuple(f"band {band}" for band in bands),
        "provenance": PROVENANCE,
    }


def dense(raw: Mapping[str, np.ndarray]) -> None:
    timestep, overlaps = float(raw["timestep"]), raw["overlaps"]
    trajectory = Trajectory(raw["positions"], raw["cell"], raw["numbers"], timestep, raw["velocities"])
    hamiltonian = VibronicHamiltonian(
        raw["band_energies"], np.full(overlaps.shape, np.nan), timestep, overlaps=overlaps, **labels(raw)
    )
    write("cspbi3", trajectory, hamiltonian, DESCRIPTION)


def sparse(raw: Mapping[str, np.ndarray]) -> None:
    timestep, first = float(raw["timestep"]), raw["pair_frames"]
    trajectory = Trajectory(
        raw["positions"].astype(np.float32), raw["cell"], raw["numbers"], timestep, raw["velocities"].astype(np.float32)
    )
    n_states = raw["pair_band_energies"].shape[2]
    energies = np.full((trajectory.n_frames, n_states), np.nan)
    energies[first], energies[first + 1] = raw["pair_band_energies"][:, 0], raw["pair_band_energies"][:, 1]
    overlaps = np.full((trajectory.n_frames - 1, n_states, n_states), np.nan)
    overlaps[first] = raw["pair_overlaps"]
    hamiltonian = VibronicHamiltonian(
        energies, np.full(overlaps.shape, np.nan), timestep, overlaps=overlaps, **labels(raw)
    )
    write("cspbi3-long", trajectory, hamiltonian, LONG_DESCRIPTION)


def write(name: str, trajectory: Trajectory, hamiltonian: VibronicHamiltonian, description: str) -> None:
    path = FOLDER / f"{name}.h5"
    write_native(path, trajectory=trajectory, hamiltonian=hamiltonian, description=description)
    print(f"{path.name}: {trajectory}, {hamiltonian}, {path.stat().st_size / 1e6:.2f} MB")


def main(*sources: str) -> None:
    for convert, source in zip((dense, sparse), sources, strict=True):
        with np.load(source, allow_pickle=False) as raw:
            convert(raw)


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Convert the raw CsPbI3 arrays (npz) to the data set that ships: ``python tools/convert_cspbi3.py RAW.npz``.

Energies and raw overlaps go in as they are; couplings are derived when the data set is loaded.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from hopcast.core import Trajectory, VibronicHamiltonian
from hopcast.io import write_native

TARGET = Path(__file__).parents[1] / "src" / "hopcast" / "datasets" / "cspbi3.h5"

DESCRIPTION = """\
Orthorhombic CsPbI3, 20 atoms (4 Cs, 4 Pb, 12 I), at room temperature.
Nuclei: cell and atoms relaxed with CHGNet 0.3.0; 4 ps of Langevin dynamics at 300 K; then NVE at 1 fs, every fourth \
frame kept. Velocities are the integrator's.
Electrons: CP2K 2023.1 Quickstep, PBE, DZVP-MOLOPT-SR-GTH, GTH-PBE pseudopotentials (q9, q4, q7), 160 Ry / relative \
40 Ry, Gamma point, EPS_DEFAULT 1e-9, EPS_SCF 1.6e-5, 8 added orbitals, no spin-orbit coupling. Kohn-Sham bands \
61-76; 68 is the valence band maximum, doubly occupied.
Overlaps: <i(t)|j(t+4 fs)> from Gaussian integrals over all periodic images; raw, i.e. arbitrary signs, energy order."""


def main(source: str) -> None:
    with np.load(source, allow_pickle=False) as raw:
        timestep = float(raw["timestep"])
        trajectory = Trajectory(
            positions=raw["positions"],
            velocities=raw["velocities"],
            cell=raw["cell"],
            numbers=raw["numbers"],
            timestep=timestep,
        )
        bands = raw["band_indices"]
        overlaps = raw["overlaps"]
        hamiltonian = VibronicHamiltonian(
            energies=raw["band_energies"],
            nac=np.full(overlaps.shape, np.nan),
            overlaps=overlaps,
            timestep=timestep,
            n_occupied=int(np.flatnonzero(bands == int(raw["n_occupied"]))[0]) + 1,
            state_labels=tuple(f"band {band}" for band in bands),
            provenance={
                "source": "CP2K 2023.1, PBE, Gamma",
                "energies": "Kohn-Sham, eV, on frames",
                "overlaps": "raw",
            },
        )
    write_native(TARGET, trajectory=trajectory, hamiltonian=hamiltonian, description=DESCRIPTION)
    print(f"{TARGET.name}: {trajectory}, {hamiltonian}, {TARGET.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main(sys.argv[1])

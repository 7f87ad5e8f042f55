"""A small study on a made-up material of another composition: rock-salt MgO that moves on a few phonons.

The gap follows the mean Mg-O distance to the nearest neighbours of one atom, the coupling its velocity: an answer
that a model of the geometry can find, on a trajectory that is quick to compute.
"""

import numpy as np
import pytest
from ase.build import bulk

import hopcast as hc
from hopcast.io import write_native


def make_material(symbols="MgO", n_frames=240, timestep=2.0, seed=0, n_modes=12, **lattice):
    rng = np.random.default_rng(seed)
    atoms = bulk(symbols, **(lattice or {"crystalstructure": "rocksalt", "a": 4.21}), cubic=True)
    times = np.arange(n_frames) * timestep
    frequencies = rng.uniform(0.004, 0.012, n_modes)  # 1/fs: 4 to 12 THz
    vectors = rng.normal(size=(n_modes, len(atoms), 3))
    phases = rng.uniform(0, 2 * np.pi, n_modes)
    waves = np.cos(2 * np.pi * frequencies * times[:, None] + phases)
    slopes = -2 * np.pi * frequencies * np.sin(2 * np.pi * frequencies * times[:, None] + phases)
    amplitude = 0.05 / np.sqrt(n_modes)
    trajectory = hc.Trajectory(
        positions=atoms.positions + amplitude * np.einsum("tm,mai->tai", waves, vectors),
        velocities=amplitude * np.einsum("tm,mai->tai", slopes, vectors),
        cell=atoms.cell.array,
        numbers=atoms.numbers,
        timestep=timestep,
    )
    bond = trajectory.positions[:, 0] - trajectory.positions[:, 1] - (atoms.positions[0] - atoms.positions[1])
    gap = 0.9 + 1.5 * bond[:, 0] + 0.5 * bond[:, 1]
    velocity = np.diff(bond[:, 2]) / timestep
    nac = np.zeros((n_frames - 1, 2, 2))
    nac[:, 0, 1] = 0.004 + 1.0 * velocity
    nac[:, 1, 0] = -nac[:, 0, 1]
    energies = np.stack([np.zeros(n_frames), gap], axis=1)
    hamiltonian = hc.VibronicHamiltonian(energies, nac, timestep, n_occupied=1, state_labels=("VBM", "CBM"))
    return trajectory, hamiltonian


def write_study(folder, *, material=None, text=""):
    trajectory, hamiltonian = material or make_material()
    folder.mkdir(parents=True, exist_ok=True)
    write_native(folder / "md.h5", trajectory=trajectory)
    write_native(folder / "ham.h5", hamiltonian=hamiltonian)
    (folder / "study.toml").write_text(
        'title = "made-up MgO"\n[data]\ntrajectory = "md.h5"\nhamiltonian = "ham.h5"\n'
        "[models]\nstride = 12.0\nn_shifts = 4\n[dynamics]\nduration = 1e6\nn_times = 50\n"
        '[evaluation]\nprofile = "quick"\nn_rate_samples = 3\n[checks]\nn_seeds = 2\nn_trajectories = 50\n' + text
    )
    return folder / "study.toml"


@pytest.fixture
def study(tmp_path):
    return write_study(tmp_path / "input")

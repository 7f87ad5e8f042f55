"""A material whose gap a forecaster finds, and files compared bit by bit."""

import h5py
import numpy as np
from ase.build import bulk

import hopcast as hc
from hopcast.descriptors import flatten


def make_material(n_frames=400, n_known=60, timestep=2.0):
    """Rock-salt MgO on two phonons; gap and coupling are functions of what the forecaster sees."""
    rng = np.random.default_rng(3)
    atoms = bulk("MgO", crystalstructure="rocksalt", a=4.21, cubic=True)
    times = np.arange(n_frames) * timestep
    frequencies = rng.uniform(0.004, 0.012, 2)
    vectors, phases = rng.normal(size=(2, len(atoms), 3)), rng.uniform(0, 6, 2)
    waves = np.cos(2 * np.pi * frequencies * times[:, None] + phases)
    trajectory = hc.Trajectory(
        atoms.positions + 0.04 * np.einsum("tm,mai->tai", waves, vectors), atoms.cell.array, atoms.numbers, timestep
    )
    G = flatten(hc.SymmetryFunctions.from_trajectory(trajectory).transform(trajectory))
    slow = (G[:, 0] - G[:, 0].mean()) / G[:, 0].std()
    gap = 1.0 + 0.1 * slow
    nac = np.full((n_frames - 1, 2, 2), np.nan)
    energies = np.full((n_frames, 2), np.nan)
    steps = np.sort(rng.choice(n_frames - 1, n_known, replace=False))
    coupling = 2e-3 * (1 + 0.3 * slow[:-1])
    nac[steps] = 0.0
    nac[steps, 0, 1], nac[steps, 1, 0] = coupling[steps], -coupling[steps]
    for frames in (steps, steps + 1):
        energies[frames, 0], energies[frames, 1] = 0.0, gap[frames]
    return trajectory, hc.VibronicHamiltonian(energies, nac, timestep, n_occupied=1), gap


def contents(path):
    with h5py.File(path) as file:
        found = {}
        file.visititems(lambda name, item: found.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None)
    return found


def same(one, other):
    assert one.keys() == other.keys()
    for key in one:
        np.testing.assert_array_equal(one[key], other[key])

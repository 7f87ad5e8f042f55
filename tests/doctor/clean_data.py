"""A clean data set: atoms on harmonic modes, a gap that depends on their places, couplings linear in their velocities."""

import numpy as np

import hopcast as hc
from hopcast.core.units import AMU

N_ATOMS = 6
NUMBERS = [55, 55, 82, 82, 53, 53]


def clean(n_frames=700, timestep=0.5):
    rng = np.random.default_rng(4)
    from ase.data import atomic_masses

    masses = atomic_masses[NUMBERS] * AMU
    times = timestep * np.arange(n_frames)
    home = np.array([[1, 1, 1], [5, 5, 5], [5, 1, 1], [1, 5, 5], [1, 5, 1], [5, 1, 5.0]])
    frequency = rng.uniform(0.12, 0.34, (N_ATOMS, 3, 2))
    phase = rng.uniform(0, 2 * np.pi, (N_ATOMS, 3, 2))
    size = np.sqrt(8.617e-5 * 300 / masses)[:, None, None] / frequency
    angle = frequency * times[:, None, None, None] + phase
    positions = home + (size * np.cos(angle)).sum(axis=3)
    velocities = -(size * frequency * np.sin(angle)).sum(axis=3)
    weight = rng.normal(size=(N_ATOMS, 3, 2))
    move, speed = positions - home, velocities
    levels = [
        -1.0 + 2.4 * np.einsum("tax,ax->t", move, weight[..., 0]),
        0.2 + 3.0 * np.einsum("tax,ax->t", move, weight[..., 1]) + 1.0 * (move[:, 0, 0] ** 2 - move[:, 1, 2] ** 2),
        2.2 + 2.4 * np.einsum("tax,ax->t", move, weight[..., 0] - weight[..., 1]),
    ]
    middle = 0.5 * (speed[1:] + speed[:-1])
    nac = np.zeros((n_frames - 1, 3, 3))
    for (i, j), scale in {(0, 1): 1.0, (0, 2): 0.5, (1, 2): 0.8}.items():
        nac[:, i, j] = scale * np.einsum("tax,ax->t", middle, weight[..., (i + j) % 2])
        nac[:, j, i] = -nac[:, i, j]
    hamiltonian = hc.VibronicHamiltonian(np.stack(levels, axis=1), nac, timestep, n_occupied=1)
    trajectory = hc.Trajectory(positions, 8 * np.eye(3), NUMBERS, timestep, velocities=velocities)
    return hamiltonian, trajectory


def with_overlaps(hamiltonian):
    """Raw overlaps that give these couplings."""
    from scipy.linalg import expm

    from hopcast.core.units import HBAR

    overlaps = np.array([expm(step * hamiltonian.timestep / HBAR) for step in hamiltonian.nac])
    return overlaps

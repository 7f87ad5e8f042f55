"""A made-up MAPbI3: 48 atoms of five elements, four molecules, harmonic motion; built by hand."""

from __future__ import annotations

import numpy as np

from hopcast import Trajectory, VibronicHamiltonian

# methylammonium, Å: C, N, then three H of each, staggered about the C-N axis
_ALONG = np.array([[-0.75, 0, 0], [0.75, 0, 0]])


def _molecule():
    turns = 2 * np.pi * np.arange(3) / 3
    of_c = np.column_stack([np.full(3, -1.12), 1.02 * np.cos(turns), 1.02 * np.sin(turns)])
    of_n = np.column_stack([np.full(3, 1.09), 0.95 * np.cos(turns + np.pi / 3), 0.95 * np.sin(turns + np.pi / 3)])
    return np.vstack([_ALONG, of_c, of_n])


def make_trajectory(n_frames=300, timestep=2.0, seed=0):
    """A root-2 x root-2 x 2 cell: 4 Pb, 12 I, 4 C, 4 N, 24 H, wrapped into the cell."""
    rng = np.random.default_rng(seed)
    a = 6.3
    cell = np.array([[a, a, 0], [-a, a, 0], [0, 0, 2 * a]])
    corners = [np.array(corner) * a for corner in ((0, 0, 0), (1, 0, 0), (0, 0, 1), (1, 0, 1))]
    lead = corners
    iodine = [corner + np.array(half) * a / 2 for corner in corners for half in ((1, 0, 0), (0, 1, 0), (0, 0, 1))]
    sites, numbers = [*lead, *iodine], [82] * 4 + [53] * 12
    molecules = []
    for corner in corners:
        axis, angle = rng.normal(size=3), rng.uniform(0, 2 * np.pi)
        axis /= np.linalg.norm(axis)
        cross = np.cross(np.eye(3), axis)
        turned = _molecule() @ (np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross)
        molecules.append(turned + corner + a / 2)
        numbers += [6, 7] + [1] * 6
    positions = np.vstack([*np.array(sites)[None], *molecules])
    times = timestep * np.arange(n_frames)
    # each site moves as a whole, so that no bond of a molecule breaks
    rigid = np.concatenate([np.arange(16), np.repeat(np.arange(16, 20), 8)])
    frequency = rng.uniform(0.4, 3.0, (20, 3, 3)) * 2e-3 * np.pi
    phase = rng.uniform(0, 2 * np.pi, (20, 3, 3))
    moved = 0.09 * np.cos(frequency * times[:, None, None, None] + phase).sum(axis=-1)
    positions = (
        positions + moved[:, rigid] + 0.01 * rng.normal(size=(n_frames, 48, 3)).cumsum(axis=0) / np.sqrt(n_frames)
    )
    wrapped = (positions @ np.linalg.inv(cell)) % 1.0 @ cell
    return Trajectory(wrapped, cell, np.array(numbers), timestep)


def make_hamiltonian(trajectory):
    """A gap that follows one Pb-I distance, and a coupling that follows its change."""
    difference = trajectory.positions[:, 4] - trajectory.positions[:, 0]
    inverse = np.linalg.inv(trajectory.cell)
    fractional = difference @ inverse
    bond = np.linalg.norm((fractional - np.round(fractional)) @ trajectory.cell, axis=1)
    energies = np.column_stack([np.zeros(len(bond)), 1.6 + 0.5 * (bond - bond.mean())])
    nac = np.zeros((len(bond) - 1, 2, 2))
    nac[:, 0, 1] = 0.02 * np.diff(bond) / trajectory.timestep
    nac[:, 1, 0] = -nac[:, 0, 1]
    return VibronicHamiltonian(energies, nac, trajectory.timestep, n_occupied=1)

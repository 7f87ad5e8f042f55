"""A rotating basis with known couplings, doubled by time reversal, in any basis of each pair at every frame."""

from __future__ import annotations

import dataclasses

import numpy as np
from scipy.linalg import expm
from scipy.stats import unitary_group

from hopcast.core import VibronicHamiltonian


def single_model(n_states=2, n_frames=60, seed=0, gap=1.0, turn=0.03, dt=1.0):
    """Real states that rotate smoothly, their overlaps, and smooth energies; couplings change their sign."""
    rng = np.random.default_rng(seed)
    t = np.arange(n_frames) * dt
    phases = rng.uniform(0, 2 * np.pi, n_states)
    periods = rng.uniform(15, 40, n_states)
    energies = gap * np.arange(n_states) + 0.08 * np.cos(2 * np.pi * t[:, None] / periods + phases)
    frames = [np.eye(n_states)]
    for step in range(n_frames - 1):
        generator = np.zeros((n_states, n_states))
        for i in range(n_states):
            for j in range(i + 1, n_states):
                generator[i, j] = turn * np.sin(2 * np.pi * (step + 0.5) * dt / (23 + 5 * i + 3 * j) + i + j)
        frames.append(frames[-1] @ expm(generator - generator.T))
    frames = np.array(frames)
    return hamiltonian(energies, frames[:-1].swapaxes(1, 2) @ frames[1:], dt)


def hamiltonian(energies, overlaps, dt=1.0, n_occupied=1, **kwargs):
    return VibronicHamiltonian(
        energies, np.full(overlaps.shape, np.nan), dt, overlaps=overlaps, n_occupied=n_occupied, **kwargs
    )


def rotations(n_frames, n_pairs, seed):
    """Random U(2) rotations of each pair at every frame [n_frames, 2 n_pairs, 2 n_pairs]."""
    drawn = unitary_group.rvs(2, size=n_frames * n_pairs, random_state=np.random.default_rng(seed))
    result = np.zeros((n_frames, 2 * n_pairs, 2 * n_pairs), dtype=complex)
    for pair in range(n_pairs):
        part = slice(2 * pair, 2 * pair + 2)
        result[:, part, part] = drawn.reshape(n_frames, n_pairs, 2, 2)[:, pair]
    return result


def doubled(single, seed=None):
    """Every state with its Kramers partner: both couple to the pairs of others as the single state does."""
    overlaps = np.kron(single.overlaps, np.eye(2))
    double = hamiltonian(np.repeat(single.energies, 2, axis=1), overlaps, single.timestep, 2 * single.n_occupied)
    return double if seed is None else rotated(double, seed)


def rotated(double, seed):
    """The same Hamiltonian with random U(2) rotations inside each pair at every frame."""
    turns = rotations(double.n_frames, double.n_states // 2, seed)
    overlaps = turns[:-1].conj().swapaxes(1, 2) @ double.overlaps @ turns[1:]
    return dataclasses.replace(double, overlaps=overlaps, nac=np.full(overlaps.shape, np.nan))


def general_pairs(n_pairs=2, n_frames=60, seed=0, gap=1.0, turn=0.03, dt=1.0):
    """Kramers pairs whose couplings turn their spin too: quaternions of slowly changing direction."""
    rng = np.random.default_rng(seed)
    t = np.arange(n_frames) * dt
    energies = np.repeat(
        gap * np.arange(n_pairs)
        + 0.08 * np.cos(2 * np.pi * t[:, None] / rng.uniform(15, 40, n_pairs) + rng.uniform(0, 6, n_pairs)),
        2,
        axis=1,
    )
    pauli = np.array([[[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]]])
    frames = [np.eye(2 * n_pairs, dtype=complex)]
    for step in range(n_frames - 1):
        generator = np.zeros((2 * n_pairs, 2 * n_pairs), dtype=complex)
        for i in range(n_pairs):
            for j in range(i, n_pairs):
                angles = 2 * np.pi * (step + 0.5) * dt / (np.array([31.0, 23.0, 19.0, 27.0]) + 4 * i + j)
                q = turn * np.sin(angles + np.arange(4) * (i + 1))
                block = (q[0] * np.eye(2) if i != j else 0) + 1j * np.einsum("k,kij->ij", q[1:], pauli)
                generator[2 * i : 2 * i + 2, 2 * j : 2 * j + 2] = block
                if i != j:
                    generator[2 * j : 2 * j + 2, 2 * i : 2 * i + 2] = -block.conj().T
        frames.append(frames[-1] @ expm(generator))
    frames = np.array(frames)
    return hamiltonian(energies, frames[:-1].conj().swapaxes(1, 2) @ frames[1:], dt, 2)

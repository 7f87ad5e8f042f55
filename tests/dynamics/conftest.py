from collections.abc import Callable

import numpy as np
import pytest

from hopcast.core import VibronicHamiltonian

Builder = Callable[..., VibronicHamiltonian]


def two_states(gap: np.ndarray, coupling: np.ndarray, timestep: float) -> VibronicHamiltonian:
    energies = np.stack([np.zeros_like(gap), gap], axis=1)
    nac = np.zeros((coupling.size, 2, 2), dtype=coupling.dtype)
    nac[:, 0, 1], nac[:, 1, 0] = coupling, -coupling.conj()
    return VibronicHamiltonian(energies=energies, nac=nac, timestep=timestep)


@pytest.fixture
def series() -> Builder:
    """Build a Hamiltonian from a gap on frames and a coupling on mid-points."""
    return two_states


@pytest.fixture
def constant() -> Builder:
    """Build a Hamiltonian of constant gap and coupling."""

    def build(gap: float, coupling: float, timestep: float, n_frames: int = 3) -> VibronicHamiltonian:
        return two_states(np.full(n_frames, gap), np.full(n_frames - 1, coupling), timestep)

    return build


@pytest.fixture
def wavy() -> Builder:
    """Build a Hamiltonian whose gap and coupling oscillate, not closed as a loop."""

    def build(n_frames: int = 61, timestep: float = 1.0, scale: float = 1.0, gap: float = 0.6) -> VibronicHamiltonian:
        t = timestep * np.arange(n_frames)
        half = t[:-1] + 0.5 * timestep
        gaps = gap + 0.12 * np.sin(0.11 * t) + 0.05 * np.cos(0.37 * t + 1.0)
        couplings = scale * 0.02 * (np.sin(0.07 * half) + 0.5 * np.cos(0.23 * half))
        return two_states(gaps, couplings, timestep)

    return build


def many_states(
    n_states: int = 4,
    n_frames: int = 61,
    timestep: float = 1.0,
    scale: float = 0.02,
    spacing: float = 0.15,
    periodic: bool = False,
    imaginary: float = 0.0,
) -> VibronicHamiltonian:
    """Ladder of moving states, each coupled to all others."""
    t = timestep * np.arange(n_frames)
    half = t[:-1] + 0.5 * timestep
    turn = 2 * np.pi / t[-1] if periodic else 0.05
    state = np.arange(n_states)
    energies = spacing * state + 0.02 * np.sin(turn * (1 + state) * t[:, None] + state)
    nac = np.zeros((n_frames - 1, n_states, n_states), dtype=complex if imaginary else float)
    for i in range(n_states):
        for j in range(i + 1, n_states):
            v = scale * np.cos(turn * (1 + i + j) * half + i) * np.exp(1j * imaginary * (i + 2 * j))
            nac[:, i, j] = v if imaginary else v.real
            nac[:, j, i] = -nac[:, i, j].conj()
    if periodic:
        energies[-1] = energies[0]
    return VibronicHamiltonian(energies=energies, nac=nac, timestep=timestep)


@pytest.fixture
def ladder() -> Builder:
    """Build a Hamiltonian of several coupled states."""
    return many_states

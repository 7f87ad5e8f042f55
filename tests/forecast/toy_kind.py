"""A kind of forecaster in one file, as a user would add it: a chain of four orbitals whose hoppings follow the bonds.

Two numbers are learnt (hopping at the mean bond, and its slope); all else follows: energies, states, raw overlaps.
"""

import dataclasses

import numpy as np
from scipy.optimize import least_squares

from hopcast.core.errors import InputError
from hopcast.core.forecast import HamiltonianForecast
from hopcast.core.hamiltonian import VibronicHamiltonian
from hopcast.couplings import derive_couplings
from hopcast.evaluation import Extrapolation
from hopcast.forecast.protocol import ForecasterKind

N = 4
LABELS = tuple(f"band {i}" for i in range(N))


def states_of(positions, hopping, slope):
    """Eigenvalues and eigenvectors of the chain, each vector with its first component positive."""
    bonds = np.linalg.norm(np.diff(positions, axis=1), axis=2)
    matrix = np.zeros((len(positions), N, N))
    for i in range(N - 1):
        matrix[:, i, i + 1] = matrix[:, i + 1, i] = hopping + slope * (bonds[:, i] - 1.5)
    matrix[:, np.arange(N), np.arange(N)] = 0.3 * np.arange(N)
    energies, vectors = np.linalg.eigh(matrix)
    return energies, vectors * np.sign(vectors[:, :1, :])


def chain_hamiltonian(trajectory, hopping, slope):
    """The Hamiltonian of the chain along a trajectory, with raw overlaps and no couplings yet."""
    energies, vectors = states_of(trajectory.positions, hopping, slope)
    overlaps = np.einsum("tai,taj->tij", vectors[:-1], vectors[1:])
    nac = np.zeros_like(overlaps)
    return VibronicHamiltonian(energies, nac, trajectory.timestep, overlaps, n_occupied=2, state_labels=LABELS)


@dataclasses.dataclass(frozen=True)
class Chain:
    """Both what learns and what has learnt."""

    hopping: float = 0.0
    slope: float = 0.0
    timestep: float = 0.0
    n_samples: int = 0
    dephasing_time: float = 0.0
    scores: dict = dataclasses.field(default_factory=dict)
    n_occupied: int = 2
    state_labels: tuple = LABELS

    @property
    def models(self):
        return {"gap": "chain", "coupling": "chain"}

    @property
    def provenance(self):
        return {"training samples": f"{self.n_samples} steps"}

    def fit(self, trajectory, known, steps=None):
        energies = known.energies[steps]

        def miss(found):
            said = states_of(trajectory.positions[steps], *found)[0]
            return (np.diff(said, axis=1) - np.diff(energies, axis=1)).ravel()

        hopping, slope = least_squares(miss, [1.0, 0.0]).x
        return dataclasses.replace(
            self,
            hopping=float(hopping),
            slope=float(slope),
            timestep=trajectory.timestep,
            n_samples=len(steps),
            dephasing_time=5.0,
        )

    def forecast(self, geometries, *, workers=None):
        found = derive_couplings(chain_hamiltonian(geometries, self.hopping, self.slope))
        nothing = np.zeros(geometries.n_frames)
        return HamiltonianForecast(found, None, nothing > 0, nothing)

    def check(self, trajectory):
        if trajectory.n_atoms != N:
            raise InputError(f"A chain must have {N} atoms, but the trajectory has {trajectory.n_atoms}.")

    def size_doubt(self, trajectory):
        return ""

    def judged(self, distance, relative_std, outside):
        return Extrapolation(distance, relative_std, outside, 1.0, None, 0.99)

    def scored(self, scores):
        return dataclasses.replace(self, scores=dict(scores))


def unable(trajectory, known, lower):
    return "" if known.n_states == N else f"a chain has {N} bands, but the window has {known.n_states}"


def put(group, chain):
    for key in ("hopping", "slope", "timestep", "n_samples", "dephasing_time"):
        group.attrs[key] = getattr(chain, key)


def get(group):
    keys = ("hopping", "slope", "timestep", "dephasing_time")
    return Chain(**{key: float(group.attrs[key]) for key in keys}, n_samples=int(group.attrs["n_samples"]))


KIND = ForecasterKind("chain", "window", lambda workers: Chain(), unable, Chain, put, get)

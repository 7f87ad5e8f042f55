"""What the states look like: which elements they live on, how localised they are, how many there are at an energy."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hopcast.tightbinding.geometry import FrameGeometry
from hopcast.tightbinding.model import BandModel

Floats = NDArray[np.float64]


def atom_weights(model: BandModel, states: Floats, geometry: FrameGeometry, metric: Floats | None = None) -> Floats:
    """Return how much of each state lives on each atom [n_atoms, n_states] (Mulliken where the basis is not orthogonal); columns sum to 1."""
    first = model.first_of(geometry)
    density = states * (states if metric is None else metric @ states)
    return np.array([density[first[atom] : first[atom + 1]].sum(axis=0) for atom in range(len(first) - 1)])


def element_weights(model: BandModel, states: Floats, geometry: FrameGeometry, metric: Floats | None = None) -> Floats:
    """Return how much of each state lives on each element [n_species, n_states]."""
    weights = atom_weights(model, states, geometry, metric)
    return np.array([weights[geometry.species == k].sum(axis=0) for k in range(model.n_species)])


def inverse_participation(weights: Floats) -> Floats:
    r"""Return :math:`\sum_a w_a^2` of each state: 1 on one atom, 1/n spread over n, from `atom_weights`."""
    return np.asarray(np.sum(weights**2, axis=0))


def density_of_states(levels: Floats, energies: ArrayLike, width: float, weights: Floats | None = None) -> Floats:
    """Return the density of states on a grid, states/eV, of Gaussians of a width in eV; a row each where weights of states are given."""
    grid = np.asarray(energies, dtype=np.float64)
    peaks = np.exp(-0.5 * ((grid[:, None] - levels) / width) ** 2) / (width * np.sqrt(2.0 * np.pi))
    return np.asarray(peaks.sum(axis=1) if weights is None else weights @ peaks.T)

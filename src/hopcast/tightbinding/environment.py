r"""What an atom sees beyond one neighbour: how dense its surroundings are, and the potential of the ions.

*Density.* :math:`\rho_i = \sum_j e^{-(r_{ij} - r_0)/a} f_c(r_{ij})`; radial functions times :math:`\delta\rho_i + \delta\rho_j`, with
:math:`\delta\rho` from the mean over atoms of an element in the training frames, are three-centre terms.

*Ions.* :math:`v_i^B = \sum_{j\in B} \mathrm{erfc}(\eta r_{ij})/r_{ij}` of unit charges on the atoms of element B, from the mean in the training
frames, and (``long range``) the part that Ewald's sum adds in reciprocal space; the charges are parameters. The short-ranged part alone is
that of charges, each screened by a Gaussian cloud of opposite sign: the same in a cell and in its replica, with no term of long waves
that a solid would screen.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from hopcast.descriptors.neighbours import all_pairs, boxes_of

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

COULOMB = 14.399645
"""e^2 / (4 pi epsilon_0), eV Å."""

DENSITY_DECAY = 0.8
"""Å; how fast the density of an atom falls."""


@njit(cache=True, nogil=True, error_model="numpy")
def densities(
    first: Any, second: Any, distance: Any, species: Any, reach: float, cutoff: float, by_element: Any, out: Any
) -> None:  # pragma: no cover - compiled
    """Add the density of neighbours at each atom to `out` [n_atoms, n_columns]; ``by_element[B]`` is the column of element B."""
    for p in range(first.shape[0]):
        r = distance[p]
        value = math.exp(-(r - reach) / DENSITY_DECAY) * (0.5 * math.cos(math.pi * r / cutoff) + 0.5)
        i, j = first[p], second[p]
        out[i, by_element[species[j]]] += value
        out[j, by_element[species[i]]] += value


@njit(cache=True, nogil=True, error_model="numpy")
def _real_space(
    centre: Any, neighbour: Any, distance: Any, species: Any, eta: float, out: Any
) -> None:  # pragma: no cover - compiled
    for k in range(centre.shape[0]):
        out[centre[k], species[neighbour[k]]] += math.erfc(eta * distance[k]) / distance[k]


@njit(cache=True, nogil=True, error_model="numpy")
def _reciprocal(
    positions: Any, species: Any, vectors: Any, volume: float, eta: float, out: Any
) -> None:  # pragma: no cover - compiled
    """Add the waves of a half space of reciprocal vectors, each for itself and its opposite."""
    n_atoms, n_species = positions.shape[0], out.shape[1]
    cosine = np.empty(n_atoms)
    sine = np.empty(n_atoms)
    for k in range(vectors.shape[0]):
        x, y, z = vectors[k]
        square = x * x + y * y + z * z
        weight = 8.0 * math.pi / volume * math.exp(-square / (4.0 * eta * eta)) / square
        sums = np.zeros((n_species, 2))
        for i in range(n_atoms):
            phase = positions[i, 0] * x + positions[i, 1] * y + positions[i, 2] * z
            cosine[i], sine[i] = math.cos(phase), math.sin(phase)
            sums[species[i], 0] += cosine[i]
            sums[species[i], 1] += sine[i]
        for i in range(n_atoms):
            for b in range(n_species):
                out[i, b] += weight * (cosine[i] * sums[b, 0] + sine[i] * sums[b, 1])


def ion_potentials(
    positions: Floats,
    cell: Floats,
    periodic: NDArray[np.bool_],
    species: Integers,
    n_species: int,
    *,
    eta: float,
    long_range: bool,
    precision: float = 6.0,
) -> Floats:
    """Return the potential of unit charges on the atoms of each element at every atom [n_atoms, n_species], eV.

    Parameters
    ----------
    positions, cell, periodic
        Of the frame; a complete cell.
    species, n_species
        Element of each atom.
    eta
        Where the sum is split, 1/Å.
    long_range
        Add the waves (Ewald, a uniform background neutralises each element); otherwise the screened part alone.
    precision
        Terms below ``exp(-precision^2 / 2)`` or so are left out.
    """
    out = np.zeros((len(positions), n_species))
    reach = precision / eta / (1.0 if long_range else 1.5)
    centre, neighbour, near = all_pairs(positions, boxes_of(cell[None], periodic, reach))
    _real_space(centre, neighbour, near[3], species, eta, out)
    if long_range:
        volume = abs(float(np.linalg.det(cell)))
        reciprocal = 2.0 * np.pi * np.linalg.inv(cell).T
        radius = 2.0 * eta * precision
        most = np.ceil(radius / (2.0 * np.pi / np.linalg.norm(cell, axis=1)) + 1e-9).astype(int)
        grid = np.stack(np.meshgrid(*[np.arange(-n, n + 1) for n in most], indexing="ij"), axis=-1).reshape(-1, 3)
        half = grid[(grid @ np.array([1, 1e4, 1e8])) > 0]
        vectors = half @ reciprocal
        vectors = vectors[np.einsum("ij,ij->i", vectors, vectors) < radius**2]
        _reciprocal(positions, species, np.ascontiguousarray(vectors), volume, eta, out)
        out[np.arange(len(positions)), species] -= 2.0 * eta / math.sqrt(math.pi)
        out -= math.pi / (volume * eta**2) * np.bincount(species, minlength=n_species)
    return COULOMB * out

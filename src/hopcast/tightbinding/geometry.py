"""`FrameGeometry`: what the parameters of a model multiply in one frame, made once and used by every step of a fit."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from hopcast.tightbinding.slater_koster import bond_frame

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


class FrameGeometry(NamedTuple):
    """Pairs of atoms of one frame, each once, the first of the element that comes first; pairs of the same elements side by side, those that hop first.

    Attributes
    ----------
    first, second
        Atoms [n_pairs].
    kind
        Pair of elements, ``species_first * n_species + species_second`` [n_pairs].
    distance
        Between them, Å [n_pairs].
    rotation
        From the axes to the bond's frame (`bond_frame`) [n_pairs, 10 or 35].
    features
        Radial functions, all sets one after the other [n_pairs, n_functions].
    shift
        Lattice translation of the second [n_pairs, 3].
    species
        Of each atom [n_atoms].
    change
        Densities at each atom, from their reference [n_atoms, n_densities].
    sites
        Potentials of each element's ions, from their reference [n_atoms, n_species]; [n_atoms, 0] without.
    """

    first: Integers
    second: Integers
    kind: Integers
    distance: Floats
    rotation: Floats
    features: Floats
    shift: Integers
    species: Integers
    change: Floats
    sites: Floats


@njit(cache=True, nogil=True, error_model="numpy")
def half_pairs(centre: Any, neighbour: Any, near: Any, species: Any, wanted: Any) -> Any:  # pragma: no cover - compiled
    """Return which directed pairs to keep, so that each remains once: the lower element, atom or translation first.

    `wanted` [n_species, n_species] says which pairs of elements have a term at all.
    """
    keep = np.empty(centre.shape[0], np.int64)
    count = 0
    for k in range(centre.shape[0]):
        i, j = centre[k], neighbour[k]
        a, b = species[i], species[j]
        if not wanted[a, b] or a > b:
            continue
        if a == b:
            if i > j:
                continue
            if i == j:
                s0, s1, s2 = near[4, k], near[5, k], near[6, k]
                # of an atom's own images one of each opposite pair
                if s0 < -0.5 or (abs(s0) < 0.5 and (s1 < -0.5 or (abs(s1) < 0.5 and s2 < 0.0))):
                    continue
        keep[count] = k
        count += 1
    return keep[:count]


@njit(cache=True, nogil=True, error_model="numpy")
def fill_pairs(
    keep: Any,
    centre: Any,
    neighbour: Any,
    near: Any,
    species: Any,
    n_species: int,
    first: Any,
    second: Any,
    kind: Any,
    distance: Any,
    rotation: Any,
    shift: Any,
) -> None:  # pragma: no cover - compiled
    """Write indices, kinds, distances, bond frames and translations of the kept pairs."""
    for row in range(keep.shape[0]):
        k = keep[row]
        i, j = centre[k], neighbour[k]
        r = near[3, k]
        first[row], second[row], distance[row] = i, j, r
        kind[row] = species[i] * n_species + species[j]
        for axis in range(3):
            shift[row, axis] = round(near[4 + axis, k])
        bond_frame(near[0, k] / r, near[1, k] / r, near[2, k] / r, rotation[row])

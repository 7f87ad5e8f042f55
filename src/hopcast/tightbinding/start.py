r"""Where a fit starts and what pulls it back: atomic levels and universal hoppings.

Hoppings start at :math:`V(r) = \eta_{ll'm}\,\frac{\hbar^2}{m_e d^2}\, e^{-\kappa (r - d)}` with d the sum of the covalent radii and the
coefficients eta of Harrison, *Elementary Electronic Structure*, World Scientific 1999 (s and p: -1.40, 1.84, 3.24, -0.81). Those of d
orbitals go as :math:`r_d^{3/2} d^{-7/2}` and :math:`r_d^3 d^{-5}`; r_d = 1 Å serves as a start for all elements. No hopping starts at zero:
there a shell that is far from the others in energy sits on a saddle. Crystal fields and potentials start at zero. Overlaps start where hoppings do,
divided by one energy, or smaller where S would come near to being none.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hopcast.tightbinding.geometry import FrameGeometry
from hopcast.tightbinding.model import BandModel
from hopcast.tightbinding.terms import CrystalField, Hopping, Level

Floats = NDArray[np.float64]

HBAR2_OVER_MASS = 7.6199682
"""hbar^2 / m_e, eV Å^2."""

UNIVERSAL = {
    ("s", "s", 0): -1.40,
    ("s", "p", 0): 1.84,
    ("p", "p", 0): 3.24,
    ("p", "p", 1): -0.81,
    ("s", "d", 0): -3.16,
    ("p", "d", 0): -2.95,
    ("p", "d", 1): 1.36,
    ("d", "d", 0): -16.2,
    ("d", "d", 1): 8.75,
    ("d", "d", 2): 0.0,
}
"""Harrison's coefficients; the first shell is at the origin of the vector that points to the second."""

HOPPING_OVER_OVERLAP = -15.0
"""eV; a hopping goes with the overlap of its orbitals (Wolfsberg and Helmholz, J. Chem. Phys. 1952, 20, 837, doi 10.1063/1.1700580)."""

LEAST_START = 0.65
"""Smallest eigenvalue of S that a fit starts from; 0.7 in CsPbI3 as the universal hoppings have it. Wider overlaps led a fit of rutile to where S has none left."""

DECAY = {0: 1.2, 1: 1.5, 2: 1.8}
"""1/Å, by |m|."""


def starting_values(model: BandModel, *, shift: float = 0.0, scale: float = 1.0) -> Floats:
    """Return theta of atomic levels and universal hoppings, eV.

    Parameters
    ----------
    model
        Its columns.
    shift
        Added to the levels of all elements but the one with the lowest level of its highest shell: electrons that left a cation
        for an anion raise what stays behind, against the atoms.
    scale
        Factor on the hoppings.
    """
    theta = np.zeros(model.n_own)
    frontier = {k: model.basis.level(k, letters[-1]) for k, letters in enumerate(model.basis.shells) if letters}
    anion = min(frontier, key=lambda k: frontier[k])
    index = {element: k for k, element in enumerate(model.basis.elements)}
    for term, at in zip(model.terms, model.columns, strict=True):
        if isinstance(term, Level):
            species = index[term.element]
            theta[at] = model.basis.level(species, term.shell) + (shift if species != anion else 0.0)
        elif isinstance(term, Hopping):
            functions = _expand(model, _kind(model, term), term)
            theta[at.start : at.start + len(functions)] = scale * functions
    if model.overlap is None:
        return theta
    metric = np.zeros(model.overlap.n_own)
    columns = dict(zip(model.terms, model.columns, strict=True))
    for term, at in zip(model.overlap.terms, model.overlap.columns, strict=True):
        hopping = columns[term]
        metric[at] = theta[hopping.start : hopping.start + at.stop - at.start] / HOPPING_OVER_OVERLAP
    return np.concatenate([theta, metric])


def overlap_share(model: BandModel, theta: Floats, geometries: Sequence[FrameGeometry]) -> float:
    """Return the share of theta's overlaps with which S of all frames has eigenvalues of `LEAST_START` or more, at most 1.

    Universal hoppings of d orbitals in a dense crystal, turned into overlaps, would be more than a basis can have.
    """
    metrics = [S for one in geometries if (S := model.metric(theta, one)) is not None]
    lowest = min((float(np.linalg.eigvalsh(S)[0]) for S in metrics), default=1.0)
    return 1.0 if lowest >= LEAST_START else (1.0 - LEAST_START) / (1.0 - lowest)


def soften_overlap(model: BandModel, theta: Floats, geometries: Sequence[FrameGeometry]) -> Floats:
    """Return theta with that share of its overlaps."""
    softened = theta.copy()
    softened[model.n_own :] *= overlap_share(model, theta, geometries)
    return softened


def bond_length(one: str, other: str) -> float:
    """Return the sum of the covalent radii of two elements, Å (Cordero et al., Dalton Trans. 2008, 2832, doi 10.1039/b801115j)."""
    from ase.data import atomic_numbers, covalent_radii

    return float(covalent_radii[atomic_numbers[one]] + covalent_radii[atomic_numbers[other]])


def universal_hopping(term: Hopping, distance: Floats) -> Floats:
    """Return the hopping a fit starts from, eV, at distances in Å."""
    one, two, sign = term.shell, term.neighbour_shell, 1.0
    if "spd".index(one) > "spd".index(two):
        sign = -1.0 if ("spd".index(one) + "spd".index(two)) % 2 else 1.0
        one, two = two, one
    bond = bond_length(term.element, term.neighbour)
    n_d = (one == "d") + (two == "d")
    size = sign * UNIVERSAL[one, two, term.m] * HBAR2_OVER_MASS / bond ** (2.0 + 1.5 * n_d)
    return np.asarray(size * np.exp(-DECAY[term.m] * (distance - bond)))


def _expand(model: BandModel, kind: int, term: Hopping) -> Floats:
    """Return the universal hopping in the radial functions, by least squares with their unit prior."""
    radial = model.surroundings.radial
    functions = model.functions_of(term)
    distance = np.linspace(radial.start, radial.cutoff, 200)
    values = radial(kind, distance)[:, functions]
    reached = np.sum(values**2, axis=1) > 1e-6 * np.sum(values**2, axis=1).max()
    distance, values = distance[reached], values[reached]
    wanted = universal_hopping(term, distance)
    A = values.T @ values + 1e-4 * np.trace(values.T @ values) / len(values.T) * np.eye(values.shape[1])
    return np.asarray(np.linalg.solve(A, values.T @ wanted))


def _kind(model: BandModel, term: Hopping | CrystalField) -> int:
    """Return the pair of elements of a term as geometries number it: lower element first."""
    index = {element: k for k, element in enumerate(model.basis.elements)}
    a, b = sorted((index[term.element], index[term.neighbour]))
    return a * model.n_species + b

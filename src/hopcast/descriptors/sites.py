"""Sites: what of a material the features see. Elements may be left out, and a molecule may be one site.

Of five elements the default functions are 200 an atom, and most of them say how hydrogen stands to hydrogen. A site is an atom, or
a molecule at its centre of mass, with the symbol of its heaviest atom: methylammonium becomes one N.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hopcast.core import ConfigError, InputError, Trajectory
from hopcast.core.errors import nearest

BOND: Final = 1.2
"""Atoms closer than this times the sum of their covalent radii are bonded."""


@dataclass(frozen=True, eq=False)
class Sites:
    """Sites along a trajectory.

    Attributes
    ----------
    trajectory
        The sites as if they were atoms; the trajectory itself where nothing was asked for.
    atoms
        For each site the atom that gives it its symbol [n_sites].
    """

    trajectory: Trajectory
    atoms: NDArray[np.int64]

    def to_atoms(self, values: NDArray[Any], n_atoms: int) -> NDArray[np.float64]:
        """Return values of sites [n_sites] at the atoms that name them [n_atoms], NaN elsewhere."""
        out = np.full(n_atoms, np.nan)
        out[self.atoms] = values
        return out


def find_sites(
    trajectory: Trajectory, elements: Collection[str] | None = None, molecules: Collection[str] = ()
) -> Sites:
    """Return the sites of a trajectory.

    Parameters
    ----------
    trajectory
        Any trajectory.
    elements
        Elements of the sites that are kept (a molecule has that of its heaviest atom); None: all.
    molecules
        Elements that make up molecules: atoms of these that are bonded in the first frame (`BOND`) are one site at their
        centre of mass, which moves with them.

    Raises
    ------
    ConfigError
        If an element is not one of the trajectory's (or, of `elements`, not one of its sites), or nothing is kept.
    InputError
        If a molecule has no end: a chain that runs through the whole cell.
    """
    _check("molecules", molecules, trajectory.elements)
    whole, atoms = trajectory, np.arange(trajectory.n_atoms)
    if molecules:
        groups = _components(trajectory, molecules)
        whole, atoms = _join(trajectory, groups), _heaviest(trajectory, groups)
    if elements is None:
        return Sites(whole, atoms)
    _check("elements", elements, whole.elements)
    if not elements:
        raise ConfigError("Argument `elements` must name at least one element.")
    kept = np.flatnonzero(np.isin(whole.symbols, list(elements)))
    return Sites(_of_sites(whole, kept), atoms[kept])


def _check(name: str, given: Collection[str], known: Sequence[str]) -> None:
    for element in given:
        if element not in known:
            raise ConfigError(
                f"Argument `{name}` must hold elements of the trajectory ({', '.join(known)}), but holds `{element}`."
                f"{nearest(element, known)}"
            )


def _of_sites(trajectory: Trajectory, kept: NDArray[np.int64]) -> Trajectory:
    velocities = trajectory.velocities
    return Trajectory(
        np.asarray(trajectory.positions[:, kept]),
        trajectory.cell,
        trajectory.numbers[kept],
        trajectory.timestep,
        pbc=trajectory.pbc,
        velocities=None if velocities is None else np.asarray(velocities[:, kept]),
        frame_numbers=trajectory.frame_numbers,
    )


def _components(trajectory: Trajectory, molecules: Collection[str]) -> list[NDArray[np.int64]]:
    """Return the atoms of every site in the order of their first atom, each molecule from its first atom along its bonds."""
    from ase.data import covalent_radii
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    inside = np.flatnonzero(np.isin(trajectory.symbols, list(molecules)))
    separations = _nearest_images(trajectory, 0, inside[:, None], inside[None, :])
    reach = covalent_radii[trajectory.numbers[inside]]
    bonded = np.linalg.norm(separations, axis=-1) < BOND * (reach[:, None] + reach[None, :])
    _, labels = connected_components(coo_matrix(bonded), directed=False)
    groups = [inside[labels == label] for label in range(labels.max(initial=-1) + 1)]
    others = [np.array([atom]) for atom in range(trajectory.n_atoms) if atom not in set(inside.tolist())]
    return sorted([*groups, *others], key=lambda group: int(group[0]))


def _nearest_images(trajectory: Trajectory, frame: int | slice, first: Any, second: Any) -> NDArray[np.float64]:
    """Return positions of `second` less those of `first`, of the nearest image, in one frame or several."""
    positions = np.asarray(trajectory.positions[frame], dtype=np.float64)
    difference: NDArray[np.float64] = positions[..., second, :] - positions[..., first, :]
    cells = trajectory.cells()[frame] if trajectory.cell.ndim == 3 else trajectory.cell
    if not any(trajectory.pbc):
        return difference
    inverse = np.linalg.inv(cells)
    fractional = np.einsum("...ij,...jk->...ik", difference.reshape(*positions.shape[:-2], -1, 3), inverse)
    fractional -= np.where(trajectory.pbc, np.round(fractional), 0.0)
    return np.einsum("...ij,...jk->...ik", fractional, cells).reshape(difference.shape)


def _heaviest(trajectory: Trajectory, groups: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    return np.array([group[np.argmax(trajectory.numbers[group])] for group in groups])


def _join(trajectory: Trajectory, groups: Sequence[NDArray[np.int64]]) -> Trajectory:
    from ase.data import atomic_masses

    heaviest = _heaviest(trajectory, groups)
    positions = np.empty((trajectory.n_frames, len(groups), 3))
    velocities = None if trajectory.velocities is None else np.empty_like(positions)
    for site, (group, anchor) in enumerate(zip(groups, heaviest, strict=True)):
        mass = atomic_masses[trajectory.numbers[group]]
        weight = mass / mass.sum()
        away = _nearest_images(trajectory, slice(None), np.full(len(group), anchor), group)
        if len(group) > 1 and np.linalg.norm(away[0], axis=-1).max() > 0.45 * _narrowest(trajectory):
            raise InputError(
                f"A molecule must be smaller than half the cell, but that of atom {anchor} ({trajectory.symbols[anchor]}) is not: "
                "name elements of molecules alone, not of the framework."
            )
        positions[:, site] = trajectory.positions[:, anchor] + np.einsum("a,tai->ti", weight, away)
        if velocities is not None and trajectory.velocities is not None:
            velocities[:, site] = np.einsum("a,tai->ti", weight, trajectory.velocities[:, group])
    return Trajectory(
        positions,
        trajectory.cell,
        trajectory.numbers[heaviest],
        trajectory.timestep,
        pbc=trajectory.pbc,
        velocities=velocities,
        frame_numbers=trajectory.frame_numbers,
    )


def _narrowest(trajectory: Trajectory) -> float:
    """Return the smallest length of a periodic lattice vector in the first frame, Å."""
    lengths = np.linalg.norm(trajectory.cells()[0], axis=1)[np.array(trajectory.pbc)]
    return float(lengths.min()) if lengths.size else float("inf")

"""`StructuralNumbers`: a frame in a few numbers a chemist would quote, bonds and bridges, for any material."""

from __future__ import annotations

import itertools
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from hopcast.core import ConfigError, InputError, Trajectory
from hopcast.core.plain import PlainMap, from_plain, parts
from hopcast.descriptors.neighbours import (
    R,
    X,
    fill_bins,
    frame_box,
    frame_neighbours,
    gather_all,
    make_bins,
    make_room,
)
from hopcast.descriptors.shells import SHELL, find_shells, over_frames

# frames that are looked at to find which atoms are bonded
FRAMES_LOOKED_AT = 100


@dataclass(frozen=True)
class Bond:
    """A bond between two elements: `centre` has `n_bonds` neighbours `bridge`, which has `n_bridged` of `centre`."""

    centre: str
    bridge: str
    n_bonds: int
    n_bridged: int


@dataclass(frozen=True)
class StructuralNumbers:
    """Mean, spread and extremes of bonds and of bridge angles, and the asymmetry of bridges, in every frame.

    Each atom has a fixed number of bonds (its nearest neighbours of the other element), so numbers are continuous in
    time. For each bond A-B, A the atom with more bonds: mean, standard deviation, least and greatest bond length (Å) over
    the bonds of A; where a B has two or more A: mean, standard deviation and least of the (largest) angle A-B-A (rad), and the
    mean difference between the longest and the shortest bond of B (Å).

    Parameters
    ----------
    bonds
        What counts as a bond.

    Examples
    --------
    >>> from hopcast.descriptors import Bond, StructuralNumbers
    >>> StructuralNumbers((Bond("Pb", "I", 6, 2),)).labels[:2]
    ('Pb-I mean', 'Pb-I spread')
    """

    bonds: tuple[Bond, ...]

    @classmethod
    def from_trajectory(cls, trajectory: Trajectory, *, tightest: bool = False) -> StructuralNumbers:
        """Find the bonds: every element with its nearest other element, as many as the first shell holds on average.

        Parameters
        ----------
        trajectory
            Any material; one of one element has bonds between like atoms.
        tightest
            Keep only the shortest bond (Pb-I of a lead halide).

        Raises
        ------
        InputError
            If atoms coincide or there is no neighbour.
        """
        looked_at = trajectory[:: max(1, trajectory.n_frames // FRAMES_LOOKED_AT)]
        shells = find_shells(looked_at)
        distance = {frozenset(label.split("-")): r for label, r in zip(shells.r_s_labels, shells.r_s, strict=True)}
        near = {
            element: min((pair for pair in distance if element in pair), key=lambda pair: distance[pair])
            for element in trajectory.elements
        }
        pairs = sorted(set(near.values()), key=lambda pair: distance[pair])
        bonds = []
        for pair in pairs[:1] if tightest else pairs:
            one, *rest = sorted(pair, key=trajectory.symbols.index)
            other = rest[0] if rest else one
            counts = _coordination(looked_at, one, other, SHELL * distance[pair])
            if counts[1] > counts[0]:
                one, other, counts = other, one, counts[::-1]
            bonds.append(Bond(one, other, *counts))
        return cls(tuple(bonds))

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the numbers, in their order."""
        names = []
        for bond in self.bonds:
            a, b = bond.centre, bond.bridge
            names += [f"{a}-{b} {what}" for what in ("mean", "spread", "shortest", "longest")]
            if bond.n_bridged >= 2:
                names += [f"{a}-{b}-{a} {what}" for what in ("mean", "spread", "smallest")]
                names += [f"{a}-{b} asymmetry"]
        return tuple(names)

    def to_dict(self) -> PlainMap:
        """Return plain data for a file."""
        return {"bonds": [asdict(bond) for bond in self.bonds]}

    @classmethod
    def from_dict(cls, data: PlainMap) -> StructuralNumbers:
        """Return the numbers that `to_dict` wrote.

        Raises
        ------
        ConfigError
            If anything is missing or unknown.
        """
        try:
            return cls(tuple(from_plain(Bond, bond, "Bonds") for bond in parts(data, "bonds")))
        except (TypeError, KeyError) as error:
            raise ConfigError(
                f"Structural numbers need `bonds`, each with centre, bridge, n_bonds and n_bridged, but: {error}."
            ) from error

    def transform(self, trajectory: Trajectory, *, workers: int | None = None) -> NDArray[np.float64]:
        """Return the numbers of every frame, [n_frames, n_numbers].

        Raises
        ------
        InputError
            If an element of a bond is missing, or atoms coincide.
        """
        columns: list[NDArray[np.float64]] = []
        for bond in self.bonds:
            lengths = np.linalg.norm(
                nearest_vectors(trajectory, bond.centre, bond.bridge, bond.n_bonds, workers=workers), axis=3
            )
            flat = lengths.reshape(len(lengths), -1)
            columns += [flat.mean(axis=1), flat.std(axis=1), flat.min(axis=1), flat.max(axis=1)]
            if bond.n_bridged >= 2:
                vectors = nearest_vectors(trajectory, bond.bridge, bond.centre, bond.n_bridged, workers=workers)
                reach = np.linalg.norm(vectors, axis=3)
                units = vectors / reach[..., None]
                cosines = [
                    np.sum(units[:, :, j] * units[:, :, k], axis=2)
                    for j, k in itertools.combinations(range(bond.n_bridged), 2)
                ]
                angles = np.arccos(np.clip(np.min(cosines, axis=0), -1.0, 1.0))
                columns += [angles.mean(axis=1), angles.std(axis=1), angles.min(axis=1)]
                columns += [(reach[:, :, -1] - reach[:, :, 0]).mean(axis=1)]
        return np.stack(columns, axis=1)


def nearest_vectors(
    trajectory: Trajectory, centre: str, neighbour: str, k: int, *, workers: int | None = None
) -> NDArray[np.float64]:
    """Return the vectors from each atom of one element to its `k` nearest of another (images count), nearest first.

    Parameters
    ----------
    trajectory
        The atoms.
    centre, neighbour
        Elements; may be the same.
    k
        Neighbours of each atom.
    workers
        Threads.

    Returns
    -------
    numpy.ndarray
        [n_frames, n_atoms of `centre`, k, 3], Å.

    Raises
    ------
    ConfigError
        If `k` is below one.
    InputError
        If an element is missing, atoms coincide, or an atom has fewer neighbours.
    """
    if k < 1:
        raise ConfigError(f"Argument `k` must be at least 1, but is {k}.")
    centres = trajectory.atoms_of(centre)
    wanted = np.zeros(trajectory.n_atoms, dtype=np.bool_)
    wanted[trajectory.atoms_of(neighbour)] = True
    found = over_frames(trajectory, _nearest_vectors_chunk, (centres, wanted, k), workers)
    if not np.isfinite(found).all():
        raise InputError(
            f"Every {centre} must have {k} neighbours {neighbour}, but some have fewer: the structure has other bonds than "
            "the one these numbers were made for."
        )
    return found


def _coordination(trajectory: Trajectory, one: str, other: str, reach: float) -> tuple[int, int]:
    """Return how many `other` an atom `one` has within reach, and the reverse, rounded means."""
    symbols = np.array(trajectory.symbols)
    bonds = 0
    for frame in range(trajectory.n_frames):
        centre, neighbour, _, _ = frame_neighbours(trajectory, frame, reach)
        bonds += int(np.sum((symbols[centre] == one) & (symbols[neighbour] == other)))
    members = [trajectory.n_frames * int(np.sum(symbols == element)) for element in (one, other)]
    return max(1, round(bonds / members[0])), max(1, round(bonds / members[1]))


@njit(cache=True, nogil=True, error_model="numpy")
def _nearest_vectors_chunk(
    positions: Any,
    boxes: Any,
    final: bool,
    centres: Any,
    wanted: Any,
    k: int,
) -> Any:  # pragma: no cover - compiled
    """Vectors to the k nearest wanted neighbours of each centre, [n_frames, n_centres, k, 3], infinite where missing."""
    n_frames, n_atoms, _ = positions.shape
    result = np.full((n_frames, centres.shape[0], k, 3), np.inf)
    bins = make_bins(n_atoms)
    index, near = make_room(256)
    best = np.empty(k)
    slot = np.empty(k, np.int64)
    for f in range(n_frames):
        box = frame_box(boxes, f)
        fill_bins(positions[f], box, bins)
        for a in range(centres.shape[0]):
            i = centres[a]
            n, index, near = gather_all(i, box, bins, index, near)
            if n < 0:
                return result, False, (f, i, -1 - n)
            best[:] = np.inf
            members = 0
            for m in range(n):
                if not wanted[index[m]]:
                    continue
                members += 1
                r = near[R, m]
                if r >= best[k - 1]:
                    continue
                place_of = k - 1
                while place_of > 0 and best[place_of - 1] > r:
                    best[place_of] = best[place_of - 1]
                    slot[place_of] = slot[place_of - 1]
                    place_of -= 1
                best[place_of] = r
                slot[place_of] = m
            if members < k and not final:
                return result, False, (-1, 0, 0)
            for m in range(min(members, k)):
                for axis in range(3):
                    result[f, a, m, axis] = near[X + axis, slot[m]]
    return result, True, (-1, 0, 0)

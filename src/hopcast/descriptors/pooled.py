"""Features of an element instead of its atoms, and features of pairs of frames at their mid-points."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hopcast.core import InputError, Trajectory

Floats = NDArray[np.float64]


class AtomFunctions(Protocol):
    """What `SymmetryFunctions` and `RadialFunctions` share."""

    def transform(self, trajectory: Trajectory, *, workers: int | None = None) -> Floats:
        """Return [n_frames, n_atoms, n_functions]."""

    def transform_derivative(self, trajectory: Trajectory, *, workers: int | None = None) -> Floats:
        """Return the same per fs."""


def pool_elements(G: Floats, atoms: Trajectory | Sequence[str], *, spread: bool = False) -> Floats:
    """Return the mean (and the standard deviation) of every function over the atoms of each element.

    They do not depend on the order of like atoms nor on how often a cell is repeated.

    Parameters
    ----------
    G
        [n_frames, n_atoms, n_functions].
    atoms
        A trajectory, or the chemical symbol of each atom.
    spread
        Append the standard deviations.

    Returns
    -------
    numpy.ndarray
        [n_frames, n_elements * n_functions], twice as many columns with `spread`; elements slow, in the order of first
        appearance.

    Raises
    ------
    InputError
        If the atoms do not fit.
    """
    symbols = np.array(atoms.symbols if isinstance(atoms, Trajectory) else tuple(atoms))
    if G.ndim != 3 or G.shape[1] != len(symbols):
        raise InputError(
            f"Argument `G` must have the shape [n_frames, {len(symbols)}, n_functions], but has {G.shape}."
        )
    groups = [G[:, symbols == element] for element in dict.fromkeys(symbols.tolist())]
    parts = [group.mean(axis=1) for group in groups]
    if spread:
        parts += [group.std(axis=1) for group in groups]
    return np.concatenate(parts, axis=1)


def take_frames(trajectory: Trajectory, frames: ArrayLike) -> Trajectory:
    """Return the given frames, in any order, as a trajectory for features (its time step has no meaning).

    Raises
    ------
    InputError
        If a frame does not exist.
    """
    return trajectory.take(frames)


def midpoint_functions(
    functions: AtomFunctions,
    trajectory: Trajectory,
    pairs: ArrayLike,
    *,
    rates: bool = True,
    workers: int | None = None,
) -> Floats:
    """Return functions and, with `rates`, their time derivatives half-way between the frames of each pair.

    Where couplings live. Both are means over the two frames; derivatives are analytic, from the velocities.

    Parameters
    ----------
    functions
        `SymmetryFunctions`, `RadialFunctions`.
    trajectory
        With velocities where `rates` are asked for.
    pairs
        First frame of each pair [n_pairs], or both [n_pairs, 2].
    rates
        Append dG/dt (per fs) to the functions of each atom.
    workers
        Threads.

    Returns
    -------
    numpy.ndarray
        [n_pairs, n_atoms, n_functions], or twice as many functions.

    Raises
    ------
    InputError
        If the second frame of a pair does not follow the first, a frame does not exist, or velocities are missing.
    """
    both = np.asarray(pairs, dtype=np.intp)
    if both.ndim == 2 and both.shape[1] == 2:
        wrong = np.flatnonzero(both[:, 1] != both[:, 0] + 1)
        if len(wrong):
            raise InputError(
                f"Argument `pairs` must hold frames t and t + dt, but pair {wrong[0]} holds frames {both[wrong[0], 0]} and "
                f"{both[wrong[0], 1]}: a coupling needs neighbouring frames."
            )
        both = both[:, 0]
    if rates and trajectory.velocities is None:
        raise InputError(
            "Argument `trajectory` must have velocities for time derivatives at single pairs of frames, but has none. Take "
            "them from the whole trajectory first: `trajectory.with_velocities()`."
        )
    ends = take_frames(trajectory, np.stack([both, both + 1], axis=1).ravel())
    found = functions.transform(ends, workers=workers)
    if rates:
        found = np.concatenate([found, functions.transform_derivative(ends, workers=workers)], axis=2)
    return 0.5 * (found[0::2] + found[1::2])

"""Columns of the flattened functions: all of an element's, or one function of each of its atoms."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hopcast.core import ConfigError, InputError, Trajectory


def flatten(G: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return [n_frames, n_atoms, n_functions] as features [n_frames, n_atoms * n_functions] (a view where possible).

    Raises
    ------
    InputError
        If `G` has not three axes.
    """
    if G.ndim != 3:
        raise InputError(f"Argument `G` must have the shape [n_frames, n_atoms, n_functions], but has {G.shape}.")
    return G.reshape(len(G), -1)


def element_columns(
    atoms: Trajectory | Sequence[str], element: str | None, n_functions: int, *, function: int | None = None
) -> NDArray[np.int64]:
    """Return the columns of `flatten` that belong to the atoms of one element.

    Parameters
    ----------
    atoms
        A trajectory, or the chemical symbol of each atom.
    element
        Chemical symbol; None takes every atom.
    n_functions
        Number of functions an atom.
    function
        Only this function of each atom; None takes all of them.

    Returns
    -------
    array [n_atoms of the element, times n_functions where `function` is None]

    Raises
    ------
    InputError
        If no atom is of `element`.
    ConfigError
        If `function` is not one of the functions.
    """
    symbols = atoms.symbols if isinstance(atoms, Trajectory) else tuple(atoms)
    chosen = np.array([i for i, symbol in enumerate(symbols) if element is None or symbol == element], dtype=np.int64)
    if chosen.size == 0:
        known = ", ".join(dict.fromkeys(symbols))
        raise InputError(f"Argument `element` must be in the trajectory, but `{element}` is not; it has {known}.")
    if function is not None and not 0 <= function < n_functions:
        raise ConfigError(
            f"Argument `function` must lie between 0 and {n_functions - 1}, the functions of an atom, but is {function}."
        )
    functions = np.arange(n_functions) if function is None else np.array([function])
    return (chosen[:, None] * n_functions + functions).ravel()

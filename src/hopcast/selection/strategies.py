"""The strategies that need nothing but the trajectory, and the one door to all of them."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hopcast.core.errors import ConfigError, InputError, check_choice
from hopcast.core.hamiltonian import VibronicHamiltonian
from hopcast.core.trajectory import Trajectory
from hopcast.descriptors import SymmetryFunctions
from hopcast.forecast.protocol import MOST_ATOMS, list_kinds
from hopcast.selection.sequential import choose_by_bands, choose_sequential

FEWEST_PAIRS: Final = 20
"""Pairs below which no score and no interval means anything: a study refuses fewer."""

STRATEGIES = ("stride", "farthest", "blocks", "sequential")


def choose_stride(n_steps: int, budget: int) -> NDArray[np.int64]:
    """Return `budget` equally spaced steps out of `n_steps`, each in the middle of its share.

    Parameters
    ----------
    n_steps
        Steps of the trajectory (frames less one).
    budget
        Number of pairs.
    """
    _check_budget(n_steps, budget)
    return ((np.arange(budget) + 0.5) * n_steps / budget).astype(np.int64)


def choose_farthest(features: ArrayLike, budget: int, chosen: ArrayLike = ()) -> NDArray[np.int64]:
    """Return steps by farthest-point sampling, the first one nearest to the mean.

    Parameters
    ----------
    features
        [n_steps, n_features]; brought to unit variance here.
    budget
        Number of pairs.
    chosen
        Steps that are taken already.
    """
    X = np.asarray(features, dtype=np.float64)
    _check_budget(len(X), budget)
    X = X - X.mean(axis=0)
    X = X / np.where(X.std(axis=0) > 0, X.std(axis=0), 1.0)
    taken = [int(step) for step in np.asarray(chosen, dtype=np.int64)]
    new: list[int] = []
    nearest = np.full(len(X), np.inf)
    for step in taken:
        nearest = np.minimum(nearest, ((X - X[step]) ** 2).sum(axis=1))
    while len(new) < budget:
        step = int(np.argmax(nearest)) if taken or new else int(np.argmin((X**2).sum(axis=1)))
        new.append(step)
        nearest = np.minimum(nearest, ((X - X[step]) ** 2).sum(axis=1))
    return np.array(sorted(new))


def choose_blocks(n_steps: int, budget: int, n_blocks: int = 4) -> NDArray[np.int64]:
    """Return a quarter of the budget in `n_blocks` dense runs, and the rest equally spaced between them.

    Parameters
    ----------
    n_steps
        Steps of the trajectory.
    budget
        Number of pairs.
    n_blocks
        Runs of consecutive steps, in the middles of equal shares.
    """
    _check_budget(n_steps, budget)
    length = budget // 4 // n_blocks
    if length < 2:
        raise ConfigError(
            f"Strategy `blocks` needs a budget of at least {8 * n_blocks} pairs for {n_blocks} runs, but has {budget}. Use `stride`."
        )
    starts = ((np.arange(n_blocks) + 0.5) * n_steps / n_blocks).astype(np.int64) - length // 2
    dense = (starts[:, None] + np.arange(length)).ravel()
    free = np.setdiff1d(np.arange(n_steps), dense)
    spread = free[choose_stride(len(free), budget - dense.size)]
    return np.union1d(dense, spread)


def select_pairs(
    trajectory: Trajectory,
    budget: int,
    strategy: str = "stride",
    *,
    known: VibronicHamiltonian | None = None,
    features: ArrayLike | None = None,
    **options: Any,
) -> NDArray[np.int64]:
    """Return the first frame of each pair to be computed, ascending.

    Parameters
    ----------
    trajectory
        The nuclei.
    budget
        Number of pairs (two single points each; neighbours share one).
    strategy
        "stride", "farthest", "blocks" or "sequential".
    known
        What is computed already (a sparse Hamiltonian): needed by "sequential", which returns only new pairs.
    features
        [n_frames, n_features]; None: symmetry functions. "sequential" without them learns a tight binding where it can (`learns_bands`).
    options
        Of the strategy.

    Raises
    ------
    InputError
        If the trajectory is too short, or "sequential" has nothing to start from.
    """
    check_choice("strategy", strategy, STRATEGIES)
    n_steps = trajectory.n_frames - 1
    _check_budget(n_steps, budget)
    if strategy == "stride":
        return choose_stride(n_steps, budget)
    if strategy == "blocks":
        return choose_blocks(n_steps, budget, **options)
    if strategy == "sequential" and known is None:
        raise InputError(
            "Strategy `sequential` starts from what is computed, but there is nothing. Give a sparse Hamiltonian, or begin "
            "with `stride`."
        )
    if strategy == "sequential" and features is None and known is not None and learns_bands(trajectory, known):
        return choose_by_bands(trajectory, known, budget, **options)
    if features is None:
        functions = SymmetryFunctions.from_trajectory(trajectory)
        features = functions.transform(trajectory).reshape(trajectory.n_frames, -1)
    X = np.asarray(features, dtype=np.float64)
    if len(X) != trajectory.n_frames:
        raise InputError(
            f"Argument `features` must have a row for each of the {trajectory.n_frames} frames, but has {len(X)}."
        )
    between = 0.5 * (X[1:] + X[:-1])
    if strategy == "farthest":
        return choose_farthest(between, budget, **options)
    assert known is not None
    return choose_sequential(between, known, budget, **options)


def learns_bands(trajectory: Trajectory, known: VibronicHamiltonian) -> bool:
    """Whether "sequential" can learn a tight binding from what is computed, at a cost that needs no asking."""
    if trajectory.n_atoms > MOST_ATOMS or known.n_occupied is None:
        return False
    kind = next((one for one in list_kinds() if one.name == "tight binding"), None)
    return kind is not None and not kind.unable(trajectory, known, known.n_occupied - 1)


def _check_budget(n_steps: int, budget: int) -> None:
    if budget < 1:
        raise ConfigError(f"Argument `budget` must be at least 1 pair, but is {budget}.")
    if budget > n_steps:
        raise InputError(f"Argument `budget` must not exceed the {n_steps} steps of the trajectory, but is {budget}.")

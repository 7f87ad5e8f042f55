"""State tracking: following a state's character through crossings that the time step does not resolve."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hopcast.core.blocks import block_slices
from hopcast.core.errors import InputError
from hopcast.couplings.phases import WEAK_DIAGONAL, block_weights


def match_weights(weights: NDArray[np.float64]) -> dict[int, NDArray[np.int64]]:
    """Return, for the steps where states (or blocks) swap, the one at t + dt that continues each at t.

    A swap is accepted only where ``|S_ii|^2 < 0.5`` and the partner found by maximal total weight
    (`scipy.optimize.linear_sum_assignment`) has more than half of the state, for all states of a cycle.

    Parameters
    ----------
    weights
        ``|S_ij|^2`` of states, or what blocks give to each other (`block_weights`) [n_steps, n_blocks, n_blocks].
    """
    from scipy.optimize import linear_sum_assignment

    swaps = {}
    for step in np.flatnonzero((np.einsum("tii->ti", weights) < WEAK_DIAGONAL).any(axis=1)):
        weight = weights[step]
        _, match = linear_sum_assignment(-weight)
        states = np.arange(len(match))
        clear = (np.diag(weight) < WEAK_DIAGONAL) & (weight[states, match] > 1 - WEAK_DIAGONAL)
        partner = states.copy()
        for start in states[clear & (match != states)]:
            cycle = [start]
            while match[cycle[-1]] != start:
                cycle.append(match[cycle[-1]])
            if clear[cycle].all():
                partner[cycle] = match[cycle]
        if (partner != states).any():
            swaps[int(step)] = partner
    return swaps


def track_states(overlaps: NDArray[Any], multiplicities: Sequence[int] = ()) -> NDArray[np.int64]:
    """Return where in energy order each label sits at each frame [n_frames, n_states].

    Labels start in energy order and follow the character of their state through the swaps of `match_weights`; degenerate states
    (`multiplicities`) follow that of their block.
    """
    n_steps, n_states, _ = overlaps.shape
    slices = block_slices(multiplicities or (1,) * n_states)
    blocks = [np.arange(n_states)[block] for block in slices]
    order = np.empty((n_steps + 1, n_states), dtype=np.int64)
    current = np.arange(len(blocks))
    start = 0
    for step, partner in sorted(match_weights(block_weights(overlaps, slices)).items()):
        order[start : step + 1] = np.concatenate([blocks[place] for place in current])
        current = partner[current]
        start = step + 1
    order[start:] = np.concatenate([blocks[place] for place in current])
    return order


def tracked_order(overlaps: NDArray[Any], multiplicities: Sequence[int] = ()) -> NDArray[np.int64]:
    """Return `track_states` of overlaps that are known at every step.

    Raises
    ------
    InputError
        If one is unknown (NaN).
    """
    unknown = int((~np.isfinite(overlaps).all(axis=(1, 2))).sum())
    if unknown:
        raise InputError(
            "Tracking `trivial` follows states from step to step and needs the overlaps of every step, but "
            f"{unknown} are unknown. Use tracking `energy`."
        )
    return track_states(overlaps, multiplicities)


def reordered(overlaps: NDArray[Any], order: NDArray[np.int64]) -> NDArray[Any]:
    """Return the overlaps between states in the order [n_frames, n_states] of each frame."""
    steps = np.arange(len(overlaps))[:, None, None]
    result: NDArray[Any] = overlaps[steps, order[:-1, :, None], order[1:, None, :]]
    return result

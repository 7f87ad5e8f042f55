"""Phase consistency: states along a trajectory carry arbitrary signs (phases, rotations among degenerate states)."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hopcast.core.errors import InputError
from hopcast.couplings.derivative import orthonormalised, rotation_angles

WEAK_DIAGONAL = 0.5
"""Below this |S_ii|^2 a state has changed its character within the step, and S_ii does not tell its sign."""

MAX_PATTERN_STATES = 8
"""Sign patterns are tried exhaustively for at most this many states of one step."""


def weak_steps(overlaps: NDArray[Any]) -> NDArray[np.int64]:
    """Return the steps at which some state keeps less than half of itself, ``|S_ii|^2 < 0.5``."""
    diagonal = np.abs(np.einsum("tii->ti", overlaps)) ** 2
    return np.flatnonzero((diagonal < WEAK_DIAGONAL).any(axis=1))


def step_phases(overlaps: NDArray[Any]) -> NDArray[Any]:
    r"""Return the phase that each state takes on within each step [n_steps, n_states].

    Where the diagonal is strong this is :math:`S_{ii}^*/|S_{ii}|`. Where states exchange their characters
    (a crossing between frames) the diagonal is small and its sign an accident: there the pattern of signs
    with the least :math:`\lVert\log S\rVert` is taken, i.e. the smallest rotation that explains the step.
    """
    diagonal = np.einsum("tii->ti", overlaps)
    size = np.abs(diagonal)
    phases = np.where(size > 0, diagonal.conj() / np.where(size > 0, size, 1.0), 1.0)
    for step in weak_steps(overlaps):
        weak = np.flatnonzero(size[step] ** 2 < WEAK_DIAGONAL)
        if weak.size > MAX_PATTERN_STATES:
            continue
        patterns = np.array(list(itertools.product((1.0, -1.0), repeat=weak.size)))
        trial = np.broadcast_to(phases[step], (len(patterns), phases.shape[1])).copy()
        trial[:, weak] *= patterns
        unitary = orthonormalised(overlaps[step])
        norms = np.linalg.norm(rotation_angles(unitary[None] * trial[:, None, :]), axis=1)
        # the first of equals: the pattern that keeps the signs of the diagonal comes first
        phases[step] = trial[np.flatnonzero(norms <= norms.min() + 1e-6)[0]]
    return phases


def accumulate_phases(phases: NDArray[Any]) -> NDArray[Any]:
    """Return the phase of each state at each frame [n_frames, n_states] from those of the steps; 1 at frame 0."""
    first = np.ones_like(phases[:1])
    return np.concatenate([first, np.cumprod(phases, axis=0)])


def apply_phases(overlaps: NDArray[Any], phases: NDArray[Any]) -> NDArray[Any]:
    """Return the overlaps of the states multiplied by `phases` [n_frames, n_states]."""
    return phases[:-1, :, None].conj() * overlaps * phases[1:, None, :]


def align_degenerate(overlaps: NDArray[Any], groups: Sequence[Sequence[int]]) -> NDArray[Any]:
    r"""Return overlaps in a gauge that is parallel within groups of degenerate (Kramers) states.

    The states of a group are determined up to a unitary rotation :math:`W(t)`; each step's rotation is the
    polar factor of :math:`S^\dagger(t) W(t)` within the group, which for a group of one is the phase
    :math:`S_{ii}^*/|S_{ii}|`.

    Parameters
    ----------
    overlaps
        [n_steps, n_states, n_states].
    groups
        States that are degenerate along the whole trajectory, e.g. ``[(0, 1), (2, 3)]``; states in no
        group keep their phase.

    Raises
    ------
    InputError
        If a state is in two groups or out of range.
    """
    n_states = overlaps.shape[1]
    members = [state for group in groups for state in group]
    if len(set(members)) != len(members) or any(not 0 <= state < n_states for state in members):
        raise InputError(
            f"Argument `degenerate` must name each state once and below {n_states}, but is {[tuple(g) for g in groups]}."
        )
    result = np.array(overlaps)
    for group in groups:
        index = np.asarray(group)
        block = overlaps[:, index[:, None], index]
        rotations = np.empty((len(overlaps) + 1, index.size, index.size), dtype=overlaps.dtype)
        rotations[0] = np.eye(index.size)
        for step, matrix in enumerate(block):  # each rotation needs the one before
            rotations[step + 1] = orthonormalised(matrix.conj().T @ rotations[step])
        result[:, index, :] = rotations[:-1].conj().swapaxes(1, 2) @ result[:, index, :]
        result[:, :, index] = result[:, :, index] @ rotations[1:]
    return result

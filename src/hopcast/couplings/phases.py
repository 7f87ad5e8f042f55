"""Phase consistency: states along a trajectory carry arbitrary signs (phases, rotations among degenerate states)."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
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
    polar factor of :math:`S^\dagger(t)` within the group times the rotation before, which for a group of one is the phase
    :math:`S_{ii}^*/|S_{ii}|`. What remains is one rotation of each group, the same at all times: that of frame 0.

    Where a group keeps less than half of itself (it exchanges its character with another within the step) its
    own overlap is small and its polar factor an accident of what leaks out of the window. There the factors of the orthonormalised matrix are
    taken: by its cosine-sine decomposition those of two exchanging groups fit together into the least rotation.

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
    return rotate_groups(overlaps, groups, parallel_rotations(overlaps, groups))


def parallel_rotations(overlaps: NDArray[Any], groups: Sequence[Sequence[int]]) -> list[NDArray[Any]]:
    """Return the rotation of each group at each frame that `align_degenerate` applies [n_frames, m, m]."""
    index = [np.asarray(group) for group in groups]
    kept = np.stack(
        [(np.abs(overlaps[:, each[:, None], each]) ** 2).sum(axis=(1, 2)) / each.size for each in index], axis=1
    )
    weak = (kept < WEAK_DIAGONAL).any(axis=1)
    steady = np.array(overlaps)
    steady[weak] = orthonormalised(overlaps[weak])
    found = []
    for each in index:
        turns = orthonormalised(steady[:, each[:, None], each].conj().swapaxes(1, 2))
        rotations = np.empty((len(overlaps) + 1, each.size, each.size), dtype=turns.dtype)
        rotations[0] = np.eye(each.size)
        for step, turn in enumerate(turns):  # each rotation needs the one before
            rotations[step + 1] = turn @ rotations[step]
        found.append(rotations)
    return found


def rotate_groups(
    overlaps: NDArray[Any], groups: Sequence[Sequence[int]], rotations: Sequence[NDArray[Any]]
) -> NDArray[Any]:
    """Return the overlaps of states of which each group is rotated by its matrices [n_frames, m, m]."""
    result = np.array(overlaps)
    for group, turns in zip(groups, rotations, strict=True):
        index = np.asarray(group)
        result[:, index, :] = turns[:-1].conj().swapaxes(1, 2) @ result[:, index, :]
        result[:, :, index] = result[:, :, index] @ turns[1:]
    return result


def block_weights(overlaps: NDArray[Any], blocks: Sequence[slice]) -> NDArray[np.float64]:
    r"""Return what each block gives to each other within a step, :math:`\lVert S_{ab}\rVert_F^2/m_a` [n_steps, n_blocks, n_blocks].

    Invariant under rotations within the blocks; :math:`|S_{ij}|^2` of single states.
    """
    squares = np.abs(overlaps) ** 2
    if len(blocks) == overlaps.shape[1]:
        return np.asarray(squares, dtype=np.float64)
    rows = np.stack([squares[:, block].mean(axis=1) for block in blocks], axis=1)
    return np.stack([rows[:, :, block].sum(axis=2) for block in blocks], axis=2)


@dataclass(frozen=True, eq=False)
class Gauge:
    """Overlaps in phases (bases of degenerate blocks) that are consistent along the trajectory.

    Attributes
    ----------
    overlaps
        [n_steps, n_states, n_states].
    turned
        Whether each block changed its sign, phase or basis within each step [n_steps, n_blocks].
    moved
        Whether that of the frame after the step differs from the one given [n_steps, n_blocks].
    """

    overlaps: NDArray[Any]
    turned: NDArray[np.bool_]
    moved: NDArray[np.bool_]


def consistent_gauge(overlaps: NDArray[Any], blocks: Sequence[slice]) -> Gauge:
    """Return overlaps made consistent from the first frame on: signs and phases of states, bases of degenerate blocks."""
    if len(blocks) == overlaps.shape[1]:
        phases = step_phases(overlaps)
        followed = accumulate_phases(phases)
        return Gauge(apply_phases(overlaps, followed), np.abs(phases - 1.0) > 1e-8, np.abs(followed[1:] - 1.0) > 1e-8)
    # the polar factor of a block of one is its phase: nothing is left to make consistent
    groups = [list(range(block.start, block.stop)) for block in blocks]
    rotations = parallel_rotations(overlaps, groups)
    away = np.stack([np.abs(turn - np.eye(turn.shape[1])).max(axis=(1, 2)) > 1e-8 for turn in rotations], axis=1)
    steps = [turn[1:] @ turn[:-1].conj().swapaxes(1, 2) for turn in rotations]
    turned = np.stack([np.abs(step - np.eye(step.shape[1])).max(axis=(1, 2)) > 1e-8 for step in steps], axis=1)
    return Gauge(rotate_groups(overlaps, groups, rotations), turned, away[1:])

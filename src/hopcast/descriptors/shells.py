"""R_s, theta_s and R_c found from a trajectory: nearest distances, and angles within first shells."""

from __future__ import annotations

import itertools
import logging
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from hopcast.core import ConfigError, InputError, Trajectory
from hopcast.core.chunks import chunk_slices, map_chunks
from hopcast.descriptors.neighbours import (
    R,
    X,
    Y,
    Z,
    boxes_of,
    coincident_message,
    complete_cells,
    fill_bins,
    frame_box,
    gather_all,
    make_bins,
    make_room,
    part_of,
)

logger = logging.getLogger(__name__)

# the first shell ends at this multiple of the nearest distance
SHELL = 1.3
# the radius of the published work, Å
LARGEST_R_CUT = 9.1


@dataclass(frozen=True)
class Shells:
    """Distances and angles that a trajectory suggests, with their labels.

    Parameters
    ----------
    r_s
        Mean nearest-neighbour distance of each pair of elements, Å.
    theta_s
        Mean largest angle A-B-A within the first shell, rad.
    r_s_labels, theta_s_labels
        "A-B" and "A-B-A".
    """

    r_s: tuple[float, ...]
    theta_s: tuple[float, ...]
    r_s_labels: tuple[str, ...]
    theta_s_labels: tuple[str, ...]


def half_body_diagonal(trajectory: Trajectory) -> float:
    """Return half the longest body diagonal of the frame-averaged cell, Å.

    Raises
    ------
    ConfigError
        If the trajectory is not periodic along all three directions.
    """
    if not all(trajectory.pbc):
        raise ConfigError(
            "Half the body diagonal of the cell needs a trajectory that is periodic along all directions, but its "
            f"`pbc` is {trajectory.pbc}. Give `r_cut`."
        )
    a, b, c = trajectory.cell.reshape(-1, 3, 3).mean(axis=0)
    return 0.5 * max(float(np.linalg.norm(a + s * b + t * c)) for s in (1, -1) for t in (1, -1))


def default_r_cut(trajectory: Trajectory, mode: str) -> float:
    """Return R_c: half the body diagonal in `paper` mode, at most 9.1 Å otherwise."""
    if mode == "paper":
        return half_body_diagonal(trajectory)
    return min(half_body_diagonal(trajectory), LARGEST_R_CUT) if all(trajectory.pbc) else LARGEST_R_CUT


def find_shells(trajectory: Trajectory, *, workers: int | None = None) -> Shells:
    r"""Find one R_s for each unlike pair of elements and one theta_s for each ordered pair.

    R_s of A-B is the distance from each A to its nearest B, averaged over atoms and frames, and the same from B to A;
    the mean of both directions. theta_s of A-B-A is the largest angle centred on B among the A atoms within 1.3 R_s
    (fewer than two: the next shell, which ends 1.3 times further than the nearest A beyond), averaged over centres and
    frames. Every periodic image is an atom here. A material of one element uses its like pair; one of two elements
    has one R_s and two theta_s.

    Parameters
    ----------
    trajectory
        Any trajectory with at least two atoms or one periodic direction.
    workers
        Number of threads.

    Raises
    ------
    InputError
        If atoms coincide, or no neighbour or no angle exists.
    """
    elements = trajectory.elements
    like = len(elements) == 1
    kind = np.array([elements.index(symbol) for symbol in trajectory.symbols])
    nearest = over_frames(trajectory, _nearest_chunk, (kind, len(elements)), workers).mean(axis=0)
    indices = range(len(elements))
    pairs = [(0, 0)] if like else list(itertools.combinations(indices, 2))
    distance = 0.5 * (nearest + nearest.T)
    if not all(math.isfinite(distance[pair]) for pair in pairs):
        raise InputError("R_s needs neighbours, but the trajectory is one isolated atom. Give `r_s` and `theta_s`.")
    largest = over_frames(trajectory, _angle_chunk, (kind, distance), workers).sum(axis=0)
    angles, labels = [], []
    for a, b in [(0, 0)] if like else list(itertools.permutations(indices, 2)):
        label = f"{elements[a]}-{elements[b]}-{elements[a]}"
        total, centres, extended, missing = largest[a, b]
        shell = f"two {elements[a]} within {SHELL * distance[a, b]:.3g} Å"
        if extended:
            logger.info(
                "%s: %d of %d centres had fewer than %s; they took the next shell.", label, extended, centres, shell
            )
        if missing:
            logger.info("%s: %d centres have fewer than two %s at all; left out.", label, missing, elements[a])
        if centres:
            angles.append(float(total / centres))
            labels.append(label)
    if not angles:
        raise InputError("theta_s needs three atoms that form an angle, but there are none. Give `theta_s`.")
    return Shells(
        r_s=tuple(float(distance[pair]) for pair in pairs),
        theta_s=tuple(angles),
        r_s_labels=tuple(f"{elements[a]}-{elements[b]}" for a, b in pairs),
        theta_s_labels=tuple(labels),
    )


def over_frames(
    trajectory: Trajectory, kernel: Any, extra: tuple[Any, ...], workers: int | None
) -> NDArray[np.float64]:
    """Run `kernel` over chunks of frames, with a radius that grows until every centre has seen enough."""
    cells = complete_cells(trajectory.cell, trajectory.pbc)
    boxes = boxes_of(cells, np.array(trajectory.pbc), 0.0)
    # nothing is further than this: the atoms' own extent and one step along each lattice vector
    extent = float(np.linalg.norm(np.ptp(trajectory.positions.reshape(-1, 3), axis=0)))
    largest = extent + 2.0 * float(np.linalg.norm(cells, axis=2).sum(axis=1).max())

    def run(frames: slice) -> NDArray[np.float64]:
        positions = np.array(trajectory.positions[frames], dtype=np.float64, order="C")
        part = slice(None) if len(cells) == 1 else frames
        radius = min(6.0, largest)
        while True:
            final = radius >= largest
            result, enough, at = kernel(positions, part_of(boxes, part)._replace(radius=radius), final, *extra)
            if at[0] >= 0:
                raise InputError(coincident_message(trajectory, frames.start + int(at[0]), int(at[1]), int(at[2])))
            if enough or final:
                return np.asarray(result)
            radius = min(1.5 * radius, largest)

    slices = chunk_slices(trajectory.n_frames, max(1, 5120 // trajectory.n_atoms))
    return np.concatenate(map_chunks(run, slices, workers=workers))


@njit(cache=True, nogil=True, error_model="numpy")
def _nearest_chunk(
    positions: Any,
    boxes: Any,
    final: bool,
    kind: Any,
    n_kinds: int,
) -> Any:  # pragma: no cover - compiled
    """Mean distance from atoms of kind b to their nearest of kind a, [n_frames, b, a] (infinite where there is none)."""
    n_frames, n_atoms, _ = positions.shape
    result = np.zeros((n_frames, n_kinds, n_kinds))
    members = np.zeros(n_kinds)
    for i in range(n_atoms):
        members[kind[i]] += 1.0
    bins = make_bins(n_atoms)
    index, near = make_room(256)
    closest = np.empty(n_kinds)
    for f in range(n_frames):
        box = frame_box(boxes, f)
        fill_bins(positions[f], box, bins)
        for i in range(n_atoms):
            n, index, near = gather_all(i, box, bins, index, near)
            if n < 0:
                return result, False, (f, i, -1 - n)
            closest[:] = np.inf
            for k in range(n):
                a = kind[index[k]]
                closest[a] = min(closest[a], near[R, k])
            for a in range(n_kinds):
                # the like pair matters only where there is no other
                if closest[a] == np.inf and not final and (a != kind[i] or n_kinds == 1):
                    return result, False, (-1, 0, 0)
                result[f, kind[i], a] += closest[a] / members[kind[i]]
    return result, True, (-1, 0, 0)


@njit(cache=True, nogil=True, error_model="numpy")
def _angle_chunk(
    positions: Any,
    boxes: Any,
    final: bool,
    kind: Any,
    distance: Any,
) -> Any:  # pragma: no cover - compiled
    """Sum over centres b of the largest angle a-b-a, centres, those extended, those without: [n_frames, a, b, 4]."""
    n_frames, n_atoms, _ = positions.shape
    n_kinds = distance.shape[0]
    result = np.zeros((n_frames, n_kinds, n_kinds, 4))
    bins = make_bins(n_atoms)
    index, near = make_room(256)
    for f in range(n_frames):
        box = frame_box(boxes, f)
        fill_bins(positions[f], box, bins)
        for i in range(n_atoms):
            b = kind[i]
            n, index, near = gather_all(i, box, bins, index, near)
            if n < 0:
                return result, False, (f, i, -1 - n)
            for a in range(n_kinds):
                if a == b and n_kinds > 1:
                    continue
                limit = SHELL * distance[a, b]
                members = 0
                extended = False
                while True:
                    members = 0
                    beyond = np.inf
                    for k in range(n):
                        if kind[index[k]] == a:
                            if near[R, k] <= limit:
                                members += 1
                            else:
                                beyond = min(beyond, near[R, k])
                    if members >= 2 or beyond == np.inf:
                        break
                    limit = SHELL * beyond
                    extended = True
                if not final and (members < 2 or limit > boxes.radius):
                    return result, False, (-1, 0, 0)
                if members < 2:
                    result[f, a, b, 3] += 1.0
                    continue
                result[f, a, b, 0] += _largest_angle(n, index, near, kind, a, limit)
                result[f, a, b, 1] += 1.0
                result[f, a, b, 2] += 1.0 if extended else 0.0
    return result, True, (-1, 0, 0)


@njit(cache=True, nogil=True, error_model="numpy")
def _largest_angle(
    n: int, index: Any, near: Any, kind: Any, a: int, limit: float
) -> float:  # pragma: no cover - compiled
    """Largest angle between neighbours of kind `a` no further than `limit`."""
    largest = 0.0
    for j in range(n):
        if kind[index[j]] != a or near[R, j] > limit:
            continue
        for k in range(j):
            if kind[index[k]] != a or near[R, k] > limit:
                continue
            dot = near[X, j] * near[X, k] + near[Y, j] * near[Y, k] + near[Z, j] * near[Z, k]
            cx = near[Y, j] * near[Z, k] - near[Z, j] * near[Y, k]
            cy = near[Z, j] * near[X, k] - near[X, j] * near[Z, k]
            cz = near[X, j] * near[Y, k] - near[Y, j] * near[X, k]
            largest = max(largest, math.atan2(math.sqrt(cx * cx + cy * cy + cz * cz), dot))
    return largest

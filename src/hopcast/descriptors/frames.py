"""The loop over the frames of a chunk and over the atoms of a frame, around neighbours and angular sums."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from hopcast.descriptors.angular import GROUP, LANES, direct_sums, factored_sums, spread_sums
from hopcast.descriptors.angular_rates import RATE_ROWS, direct_rates, factored_rates, image_velocities
from hopcast.descriptors.neighbours import N_ROWS, fill_bins, frame_box, gather, make_bins

# neighbours for which the buffers are made at first; they grow where an atom has more
CAPACITY = 128


class Motion(NamedTuple):
    """Positions, velocities (empty where no rate is wanted) and rates of change of the cells (one, or one a frame) of some frames."""

    positions: NDArray[np.float64]
    velocities: NDArray[np.float64]
    cell_velocities: NDArray[np.float64]


class Sums(NamedTuple):
    """Parameters of the functions of an atom."""

    r_s: NDArray[np.float64]
    theta_s: NDArray[np.float64]
    r_cut: float
    eta: float
    zeta: float


@njit(cache=True, nogil=True, error_model="numpy")
def _atom_buffers(capacity: int, n_r: int) -> Any:  # pragma: no cover - compiled
    rows = ((n_r + GROUP - 1) // GROUP) * GROUP
    return (
        np.empty(capacity, np.int64),
        np.empty((N_ROWS, capacity + LANES)),
        np.empty((4, capacity + LANES)),
        np.empty((RATE_ROWS + 2 * rows, 2 * (capacity + LANES))),
        np.empty((2 * rows + 2, capacity + LANES)),
        np.empty((rows, 3)),
    )


@njit(cache=True, nogil=True, error_model="numpy")
def chunk_functions(
    motion: Any, boxes: Any, parameters: Any, factored: bool, rate: bool, out: Any
) -> Any:  # pragma: no cover - compiled
    """Write the functions, or with `rate` their time derivatives, of a chunk of frames to `out`.

    Returns (-1, 0, 0), or frame and two atoms that coincide.
    """
    positions, velocities, cell_velocities = motion
    r_s, theta_s, r_cut, eta, zeta = parameters
    n_frames, n_atoms, _ = positions.shape
    n_r = r_s.shape[0]
    cos_s, sin_s = np.cos(theta_s), np.sin(theta_s)
    half_cos, half_sin = np.cos(0.5 * theta_s), np.sin(0.5 * theta_s)
    bins = make_bins(n_atoms)
    capacity = CAPACITY
    index, near, rates, work, weights, sums = _atom_buffers(capacity, n_r)
    for f in range(n_frames):
        box = frame_box(boxes, f)
        fill_bins(positions[f], box, bins)
        for i in range(n_atoms):
            while True:
                n = gather(i, box, bins, index, near)
                if n <= capacity:
                    break
                capacity = 2 * n
                index, near, rates, work, weights, sums = _atom_buffers(capacity, n_r)
            if n < 0:
                return f, i, -1 - n
            if rate:
                image_velocities(
                    i, n, index, near, velocities[f], cell_velocities[f if cell_velocities.shape[0] > 1 else 0], rates
                )
                if factored:
                    factored_rates(n, near, rates, r_s, r_cut, eta, work, weights, sums)
                    spread_sums(sums, n_r, cos_s, sin_s, out[f, i])
                else:
                    direct_rates(n, near, rates, r_s, half_cos, half_sin, r_cut, eta, zeta, out[f, i])
            elif factored:
                factored_sums(n, near, r_s, r_cut, eta, work, weights, sums)
                spread_sums(sums, n_r, cos_s, sin_s, out[f, i])
            else:
                direct_sums(n, near, r_s, half_cos, half_sin, r_cut, eta, zeta, out[f, i])
    return -1, 0, 0


@njit(cache=True, nogil=True, error_model="numpy")
def chunk_counts(positions: Any, boxes: Any, out: Any) -> Any:  # pragma: no cover - compiled
    """Write the number of neighbours of each atom of a chunk of frames to `out`; returns as `chunk_functions`."""
    n_frames, n_atoms, _ = positions.shape
    bins = make_bins(n_atoms)
    index = np.empty(0, np.int64)
    near = np.empty((N_ROWS, 0))
    for f in range(n_frames):
        box = frame_box(boxes, f)
        fill_bins(positions[f], box, bins)
        for i in range(n_atoms):
            n = gather(i, box, bins, index, near)
            if n < 0:
                return f, i, -1 - n
            out[f, i] = n
    return -1, 0, 0

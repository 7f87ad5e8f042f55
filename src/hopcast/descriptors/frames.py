"""The loop over the frames of a chunk and over the atoms of a frame, around neighbours and angular sums."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from hopcast.descriptors.angular import GROUP, LANES, direct_sums, factored_sums, spread_sums
from hopcast.descriptors.angular_rates import RATE_ROWS, direct_rates, factored_rates, image_velocities
from hopcast.descriptors.neighbours import N_ROWS, bin_frame, frame_buffers, gather, wrap_frame

# neighbours for which the buffers are made at first; they grow where an atom has more
CAPACITY = 128


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
    positions: Any,
    velocities: Any,
    cells: Any,
    inverses: Any,
    widths: Any,
    cell_velocities: Any,
    periodic: Any,
    shortest: bool,
    r_s: Any,
    theta_s: Any,
    r_cut: float,
    eta: float,
    zeta: float,
    factored: bool,
    rate: bool,
    out: Any,
) -> Any:  # pragma: no cover - compiled
    """Write the functions, or with `rate` their time derivatives, of a chunk of frames to `out`.

    Arrays of cells hold one cell, or one a frame. Returns (-1, 0, 0), or frame and two atoms that coincide.
    """
    n_frames, n_atoms, _ = positions.shape
    n_r = r_s.shape[0]
    cos_s, sin_s = np.cos(theta_s), np.sin(theta_s)
    half_cos, half_sin = np.cos(0.5 * theta_s), np.sin(0.5 * theta_s)
    wrapped, wraps, n_bins, place, start, order, candidates = frame_buffers(n_atoms)
    capacity = CAPACITY
    index, near, rates, work, weights, sums = _atom_buffers(capacity, n_r)
    for f in range(n_frames):
        c = f if cells.shape[0] > 1 else 0
        wrap_frame(positions[f], inverses[c], periodic, wrapped, wraps)
        bin_frame(wrapped, widths[c], periodic, r_cut, n_bins, place, start, order)
        for i in range(n_atoms):
            while True:
                n = gather(
                    i,
                    wrapped,
                    wraps,
                    cells[c],
                    widths[c],
                    periodic,
                    r_cut,
                    shortest,
                    n_bins,
                    place,
                    start,
                    order,
                    candidates,
                    index,
                    near,
                )
                if n <= capacity:
                    break
                capacity = 2 * n
                index, near, rates, work, weights, sums = _atom_buffers(capacity, n_r)
            if n < 0:
                return f, i, -1 - n
            if rate:
                image_velocities(i, n, index, near, velocities[f], cell_velocities[c], rates)
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
def chunk_counts(
    positions: Any, cells: Any, inverses: Any, widths: Any, periodic: Any, shortest: bool, r_cut: float, out: Any
) -> Any:  # pragma: no cover - compiled
    """Write the number of neighbours of each atom of a chunk of frames to `out`; returns as `chunk_functions`."""
    n_frames, n_atoms, _ = positions.shape
    wrapped, wraps, n_bins, place, start, order, candidates = frame_buffers(n_atoms)
    index = np.empty(0, np.int64)
    near = np.empty((N_ROWS, 0))
    for f in range(n_frames):
        c = f if cells.shape[0] > 1 else 0
        wrap_frame(positions[f], inverses[c], periodic, wrapped, wraps)
        bin_frame(wrapped, widths[c], periodic, r_cut, n_bins, place, start, order)
        for i in range(n_atoms):
            n = gather(
                i,
                wrapped,
                wraps,
                cells[c],
                widths[c],
                periodic,
                r_cut,
                shortest,
                n_bins,
                place,
                start,
                order,
                candidates,
                index,
                near,
            )
            if n < 0:
                return f, i, -1 - n
            out[f, i] = n
    return -1, 0, 0

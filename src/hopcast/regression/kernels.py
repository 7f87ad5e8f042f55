"""Distances and kernel sums over pairs of frames: Numba tiles, chunks of frames, the same bits however cut.

Every pair sums its features one after the other, and every kernel sum its training frames one after the
other; what is vectorised is the training frames of a tile (distances) or the targets (sums). So no sum is
reassociated and no bit depends on chunks or workers.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from hopcast.core.chunks import chunk_slices, map_chunks
from hopcast.core.errors import check_choice

FloatArray = NDArray[np.float64]

KERNELS = ("laplacian", "matern32", "gaussian")

# Training frames of a tile (360 features: 92 kB, near the core), frames and features of one pass over it.
_TILE = 32
_ROWS = 4
_PASS = 4


@njit(cache=True, nogil=True, error_model="numpy")
def _l1_tiles(A: FloatArray, tiles: FloatArray, out: FloatArray) -> None:
    """``out[i, 32 t + j] = sum_k |A[i, k] - tiles[t, k, j]|``; `A` padded, a row of `out` for each of its frames."""
    n_rows, n_features = A.shape
    n_frames, n_columns = out.shape
    sums = np.empty((_ROWS, _TILE))
    for t in range(tiles.shape[0]):
        tile = tiles[t]
        width = min(_TILE, n_columns - t * _TILE)
        for i in range(0, n_rows - _ROWS + 1, _ROWS):
            sums[:] = 0.0
            for k in range(0, n_features - _PASS + 1, _PASS):
                p0, p1, p2, p3 = A[i, k], A[i, k + 1], A[i, k + 2], A[i, k + 3]
                q0, q1, q2, q3 = A[i + 1, k], A[i + 1, k + 1], A[i + 1, k + 2], A[i + 1, k + 3]
                r0, r1, r2, r3 = A[i + 2, k], A[i + 2, k + 1], A[i + 2, k + 2], A[i + 2, k + 3]
                s0, s1, s2, s3 = A[i + 3, k], A[i + 3, k + 1], A[i + 3, k + 2], A[i + 3, k + 3]
                for j in range(_TILE):
                    b0, b1, b2, b3 = tile[k, j], tile[k + 1, j], tile[k + 2, j], tile[k + 3, j]
                    sums[0, j] = sums[0, j] + abs(p0 - b0) + abs(p1 - b1) + abs(p2 - b2) + abs(p3 - b3)
                    sums[1, j] = sums[1, j] + abs(q0 - b0) + abs(q1 - b1) + abs(q2 - b2) + abs(q3 - b3)
                    sums[2, j] = sums[2, j] + abs(r0 - b0) + abs(r1 - b1) + abs(r2 - b2) + abs(r3 - b3)
                    sums[3, j] = sums[3, j] + abs(s0 - b0) + abs(s1 - b1) + abs(s2 - b2) + abs(s3 - b3)
            for row in range(min(_ROWS, n_frames - i)):
                for j in range(width):
                    out[i + row, t * _TILE + j] = sums[row, j]


@njit(cache=True, nogil=True, error_model="numpy")
def _squared_l2_tiles(A: FloatArray, tiles: FloatArray, out: FloatArray) -> None:
    """``out[i, 32 t + j] = sum_k (A[i, k] - tiles[t, k, j])^2`` for all rows of `A`."""
    n_features = A.shape[1]
    n_frames, n_columns = out.shape
    sums = np.empty(_TILE)
    for t in range(tiles.shape[0]):
        tile = tiles[t]
        first = t * _TILE
        width = min(_TILE, n_columns - first)
        for p in range(n_frames):
            sums[:] = 0.0
            for k in range(0, n_features, 2):
                p0, p1 = A[p, k], A[p, k + 1]
                for j in range(_TILE):
                    d0, d1 = p0 - tile[k, j], p1 - tile[k + 1, j]
                    sums[j] = sums[j] + d0 * d0 + d1 * d1
            for j in range(width):
                out[p, first + j] = sums[j]


@njit(cache=True, nogil=True, error_model="numpy")
def _weighted_sums(K: FloatArray, weights: FloatArray, out: FloatArray) -> None:
    """``out[i, c] = sum_j K[i, j] weights[j, c]``, training frame after training frame."""
    n_targets = weights.shape[1]
    for i in range(K.shape[0]):
        row = out[i]
        row[:] = 0.0
        for j in range(K.shape[1]):
            value = K[i, j]
            for c in range(n_targets):
                row[c] += value * weights[j, c]


@njit(cache=True, nogil=True, error_model="numpy")
def _explained_variance(K: FloatArray, lower: FloatArray, out: FloatArray) -> None:
    """``out[i] = |L^-1 K[i]|^2`` by forward substitution, 32 frames side by side."""
    n_frames, n = K.shape
    solved = np.zeros((n, _TILE))
    sums = np.zeros(_TILE)
    total = np.empty(_TILE)
    for start in range(0, n_frames, _TILE):
        width = min(_TILE, n_frames - start)
        total[:] = 0.0
        for m in range(n):
            for i in range(width):
                sums[i] = K[start + i, m]
            whole = m - m % 4
            for j in range(0, whole, 4):
                l0, l1, l2, l3 = lower[m, j], lower[m, j + 1], lower[m, j + 2], lower[m, j + 3]
                for i in range(_TILE):
                    s = sums[i] - l0 * solved[j, i] - l1 * solved[j + 1, i]
                    sums[i] = s - l2 * solved[j + 2, i] - l3 * solved[j + 3, i]
            for j in range(whole, m):
                for i in range(_TILE):
                    sums[i] -= lower[m, j] * solved[j, i]
            for i in range(_TILE):
                solved[m, i] = sums[i] / lower[m, m]
                total[i] += solved[m, i] * solved[m, i]
        for i in range(width):
            out[start + i] = total[i]


def kernel_of_distance(distance: FloatArray, gamma: float, kernel: str) -> FloatArray:
    """Turn what `distances` returned into kernel values, in place.

    ``laplacian``: exp(-gamma r1), r1 the L1 distance. ``matern32``: (1 + s) exp(-s), s = sqrt(3) gamma r2, r2
    the L2 distance (of which `distances` returns the square). ``gaussian``: exp(-(gamma r2)^2 / 2).
    """
    if kernel != "matern32":
        distance *= -gamma if kernel == "laplacian" else -0.5 * gamma**2
        return np.exp(distance, out=distance)
    np.sqrt(distance, out=distance)
    distance *= math.sqrt(3.0) * gamma
    decay = np.exp(-distance)
    distance += 1.0
    distance *= decay
    return distance


def padded(X: FloatArray) -> FloatArray:
    """Return `X` as contiguous float64, frames and features filled up with zeros to multiples of four."""
    n_frames, n_features = X.shape
    out = np.zeros((-(-n_frames // _ROWS) * _ROWS, -(-n_features // _PASS) * _PASS))
    out[:n_frames, :n_features] = X
    return out


def tiles_of(X: FloatArray) -> FloatArray:
    """Return training frames [n_frames, n_features] as tiles [n_tiles, n_features (padded), 32]."""
    n_frames = X.shape[0]
    n_tiles = -(-n_frames // _TILE)
    rows = np.zeros((n_tiles * _TILE, -(-X.shape[1] // _PASS) * _PASS))
    rows[:n_frames, : X.shape[1]] = X
    return np.ascontiguousarray(rows.reshape(n_tiles, _TILE, -1).transpose(0, 2, 1))


def distance_block(X: FloatArray, tiles: FloatArray, n_columns: int, kernel: str) -> FloatArray:
    """Return distances of frames to tiled training frames: L1 for ``laplacian``, otherwise squared L2."""
    out = np.empty((X.shape[0], n_columns))
    (_l1_tiles if kernel == "laplacian" else _squared_l2_tiles)(padded(X), tiles, out)
    return out


def frames_per_chunk(n_columns: int) -> int:
    """Return how many frames are taken at a time, so that a chunk's distances stay near 4 MB."""
    return max(16, min(512, 2**19 // max(n_columns, 1)))


def distances(
    X: FloatArray, Y: FloatArray | None = None, *, kernel: str = "laplacian", workers: int | None = None
) -> FloatArray:
    """Return the distances that a kernel takes between all pairs of frames.

    Parameters
    ----------
    X
        [n_frames, n_features].
    Y
        [n_others, n_features]; None takes `X` itself and computes each pair once.
    kernel
        ``"laplacian"``: L1 distance; ``"matern32"``, ``"gaussian"``: squared L2 distance.
    workers
        Threads; the result does not depend on them.

    Returns
    -------
    numpy.ndarray
        [n_frames, n_others].

    Raises
    ------
    ConfigError
        If `kernel` is unknown.
    """
    check_choice("kernel", kernel, KERNELS)
    columns = X if Y is None else Y
    tiles = tiles_of(columns)
    out = np.empty((X.shape[0], columns.shape[0]))

    def fill(part: slice) -> None:
        # Of a symmetric matrix only the tiles from the diagonal on are computed, then mirrored.
        skip = part.start // _TILE if Y is None else 0
        block = distance_block(X[part], tiles[skip:], columns.shape[0] - skip * _TILE, kernel)
        out[part, skip * _TILE :] = block

    parts = chunk_slices(X.shape[0], frames_per_chunk(columns.shape[0]))
    map_chunks(fill, parts, workers=workers)
    if Y is None:
        for part in parts:
            out[part.start :, part] = out[part, part.start :].T
    return out


def kernel_matrix(
    X: FloatArray, Y: FloatArray | None = None, *, gamma: float, kernel: str = "laplacian", workers: int | None = None
) -> FloatArray:
    """Return the kernel matrix [n_frames, n_others]; `scikit-learn`'s ``laplacian_kernel``, faster.

    Parameters
    ----------
    X, Y
        Features [n_frames, n_features], [n_others, n_features]; `Y` None takes `X`.
    gamma
        Inverse length, per unit of distance.
    kernel
        ``"laplacian"`` exp(-gamma |x-y|_1), ``"matern32"`` (1+s) exp(-s), s = sqrt(3) gamma |x-y|_2, or
        ``"gaussian"`` exp(-(gamma |x-y|_2)^2 / 2).
    workers
        Threads.

    Raises
    ------
    ConfigError
        If `kernel` is unknown.
    """
    return kernel_of_distance(distances(X, Y, kernel=kernel, workers=workers), gamma, kernel)


def weighted_sums(K: FloatArray, weights: FloatArray) -> FloatArray:
    """Return ``K @ weights`` summed in a fixed order, so that no bit depends on the number of rows."""
    out = np.empty((K.shape[0], weights.shape[1]))
    _weighted_sums(K, weights, out)
    return out


def explained_variance(K: FloatArray, lower: FloatArray) -> FloatArray:
    """Return ``k^T (L L^T)^-1 k`` for every row k of `K`, given L with contiguous rows."""
    out = np.empty(K.shape[0])
    _explained_variance(K, lower, out)
    return out

"""Mutual information of each feature with a target, by the KSG estimator."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import digamma, ndtri

from hopcast.core.chunks import chunk_slices, map_chunks
from hopcast.core.errors import MAX_SEED, check_number
from hopcast.information.checks import admissible_others, check_series
from hopcast.information.kernels import Features, Floats, Ints, Target, bucket_table, ksg_block

_FEATURES_A_CHUNK = 8
_ROWS_A_DRAW = 4096


def scale_series(
    features: Floats, target: Floats, random_state: int, workers: int | None = None
) -> tuple[Floats, Floats]:
    """Scale to unit variance and add noise of 1e-10, bit by bit as scikit-learn does.

    The noise is drawn from ``numpy.random.RandomState(random_state)``: first a block [n_samples, n_features]
    for the features, then the target.

    Returns
    -------
    array [n_features, n_samples]
        Features, each contiguous in time.
    array [n_samples]
        Target.
    """
    n_samples, n_features = features.shape
    X = np.array(features.T, order="C")
    jitter = np.empty(n_features)

    def scale(part: slice) -> None:
        jitter[part] = _scale_rows(X[part])

    map_chunks(scale, chunk_slices(n_features, _FEATURES_A_CHUNK), workers=workers)
    check_number("random_state", random_state, whole=True, least=0, most=MAX_SEED)
    rng = np.random.RandomState(random_state)
    for rows in chunk_slices(n_samples, _ROWS_A_DRAW):
        noise = rng.standard_normal(size=(rows.stop - rows.start, n_features))
        noise *= jitter
        X[:, rows] += noise.T
    y = np.array(target[None, :])
    y_jitter = _scale_rows(y)
    return X, y[0] + y_jitter[0] * rng.standard_normal(size=n_samples)


def normal_scores(series: Floats) -> Floats:
    """Return each column's ranks as quantiles of a normal distribution; ties share theirs.

    Mutual information does not change under it, but the estimate does: scaled to unit variance, a series of heavy tails keeps
    most of its samples within a fraction of its neighbours' distances.
    """
    return np.asarray(ndtri((np.apply_along_axis(_ranks, 0, series) - 0.5) / len(series)))


def _ranks(values: Floats) -> Floats:
    """Return ranks from 1, ties sharing their mean (as `scipy.stats.rankdata`, whose import takes half a second)."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks: Floats = (np.cumsum(counts) - 0.5 * (counts - 1))[place]
    return ranks


def _scale_rows(rows: Floats) -> Floats:
    """Divide each row by its standard deviation in place; return the size of its jitter."""
    deviation = np.std(rows, axis=1)
    deviation[deviation < 10 * np.finfo(np.float64).eps] = 1.0
    rows /= deviation[:, None]
    jitter: Floats = 1e-10 * np.maximum(1, np.mean(np.abs(rows), axis=1))
    return jitter


def _sorted_target(y: Floats) -> Target:
    order = np.argsort(y)
    rank = np.empty(len(y), np.int64)
    rank[order] = np.arange(len(y))
    ordered = y[order]
    first = np.empty(len(y) + 1, np.int64)
    return Target(y, ordered, rank, first, bucket_table(ordered, first))


def ksg(
    X: Floats,
    y: Floats,
    *,
    n_neighbors: int,
    theiler_window: int = 0,
    step: int = 1,
    n_offsets: int | None = None,
    shifts: Sequence[int] | Ints = (0,),
    workers: int | None = None,
) -> Floats:
    """Return KSG estimates [n_features, n_shifts] of scaled features against a target shifted circularly.

    Parameters
    ----------
    X : array [n_features, n_samples]
        Features, scaled and without ties (`scale_series`).
    y : array [n_samples]
        Target, likewise.
    n_neighbors, theiler_window
        See `mutual_information`. Nothing is clipped at 0.
    step
        Decimation: the mean over the `step` series X[o::step], y[o::step], o = 0 ... step - 1, all of length
        m = n_samples // step.
    n_offsets
        How many of these series, spread evenly, to average; None: all.
    shifts
        Numbers of (decimated) samples in [0, m): the feature at t meets the target at (t + shift) modulo m.
    workers
        Number of threads.
    """
    n_features, n_samples = X.shape
    length = n_samples // step
    offsets = np.asarray(shifts, dtype=np.int64)
    span = length * step
    count = step if n_offsets is None else min(step, n_offsets)
    starts = [int(start) for start in np.linspace(0, step - 1, count).round()]
    targets = [_sorted_target(np.ascontiguousarray(y[start:span:step])) for start in starts]
    psi = digamma(np.arange(1, length + 2, dtype=np.float64))
    strip_bits = max(0, round(math.log2(n_neighbors * length) / 2))

    def estimate(part: slice) -> Floats:
        total = np.zeros((part.stop - part.start, len(offsets)))
        marginals = np.empty_like(total)
        for start, target in zip(starts, targets, strict=True):
            series = np.ascontiguousarray(X[part, start:span:step])
            order = np.argsort(series, axis=1)
            features = Features(series, np.take_along_axis(series, order, axis=1), order)
            ksg_block(features, target, offsets, n_neighbors, theiler_window, strip_bits, psi, marginals)
            total += marginals
        return total / count

    parts = map_chunks(estimate, chunk_slices(n_features, _FEATURES_A_CHUNK), workers=workers, portable=True)
    joint = float(np.mean(psi[admissible_others(length, theiler_window)])) + float(digamma(n_neighbors))
    return joint - np.concatenate(parts)


def mutual_information(
    X: ArrayLike,
    y: ArrayLike,
    *,
    n_neighbors: int = 3,
    theiler_window: int = 0,
    random_state: int = 0,
    workers: int | None = None,
) -> NDArray[np.float64]:
    """Estimate the mutual information of each feature with the target (KSG estimator 1, max norm).

    I = psi(k) + <psi(M_i + 1)> - <psi(n_x + 1) + psi(n_y + 1)>, with n_x, n_y the numbers of other samples
    strictly inside the distance of the joint k-th neighbour, and M_i the samples admitted as neighbours of
    sample i (without a window n_samples - 1, so that psi(M_i + 1) = psi(n_samples)).

    Parameters
    ----------
    X : array_like [n_samples, n_features] or [n_samples]
        Features, any unit: each is scaled to unit variance.
    y : array_like [n_samples]
        Target, any unit.
    n_neighbors
        k.
    theiler_window
        0: every other sample may be a neighbour, and negative estimates become 0; these are the values of
        `sklearn.feature_selection.mutual_info_regression` on float64 input with the same `random_state`.
        w > 0 (samples): samples with ``|i - j| < w`` are excluded from the search and from both counts, and
        nothing is clipped. Along a trajectory the first measures mostly how smooth the series are, the second
        is biased low: see `information`.
    random_state
        Seed of the jitter of 1e-10 that breaks ties.
    workers
        Number of threads; None takes the cores of the process. Does not change a bit of the result.

    Returns
    -------
    array [n_features]
        Estimates in nat.

    Raises
    ------
    InputError
        Shapes or lengths that do not fit, NaN or Inf (sample and feature named), a constant target, fewer
        samples than k + 1, or a window that leaves a sample fewer than k + 1 others.

    References
    ----------
    Kraskov, Stögbauer, Grassberger, Phys. Rev. E 69, 066138 (2004), 10.1103/PhysRevE.69.066138.
    Theiler, Phys. Rev. A 34, 2427 (1986), 10.1103/PhysRevA.34.2427.
    """
    features, target = check_series(X, y, n_neighbors, theiler_window)
    scaled, scaled_y = scale_series(features, target, random_state, workers)
    estimate = ksg(scaled, scaled_y, n_neighbors=n_neighbors, theiler_window=theiler_window, workers=workers)[:, 0]
    return np.maximum(estimate, 0.0) if theiler_window == 0 else estimate

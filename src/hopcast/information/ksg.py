"""Mutual information of each feature with a target, by the KSG estimator."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import digamma

from hopcast.core.chunks import chunk_slices, map_chunks
from hopcast.core.errors import InputError
from hopcast.information.kernels import Floats, Ints, bucket_table, ksg_block

_FEATURES_A_CHUNK = 8
_ROWS_A_DRAW = 4096


def check_series(
    X: ArrayLike, y: ArrayLike, n_neighbors: int, theiler_window: int = 0
) -> tuple[Floats, Floats]:
    """Return features [n_samples, n_features] and target [n_samples] as floats.

    Raises
    ------
    InputError
        Wrong shapes, lengths that differ, NaN or Inf (sample and feature named), a constant target, fewer samples
        than `n_neighbors` + 1, or a Theiler window that leaves fewer than that.
    """
    features = np.asarray(X, dtype=np.float64)
    target = np.asarray(y, dtype=np.float64)
    if features.ndim == 1:
        features = features[:, None]
    if features.ndim != 2 or features.shape[1] == 0:
        raise InputError(f"Argument `X` must be [n_samples, n_features], but has shape {np.shape(X)}.")
    if target.ndim != 1:
        raise InputError(f"Argument `y` must be [n_samples], but has shape {np.shape(y)}.")
    n_samples = len(target)
    if len(features) != n_samples:
        raise InputError(
            f"Arguments `X` and `y` must have the same number of samples, but have {len(features)} and {n_samples}."
        )
    if n_neighbors < 1:
        raise InputError(f"Argument `n_neighbors` must be at least 1, but is {n_neighbors}.")
    if theiler_window < 0:
        raise InputError(f"Argument `theiler_window` must be 0 or more samples, but is {theiler_window}.")
    if n_samples < n_neighbors + 1:
        raise InputError(
            f"Arguments `X` and `y` must hold at least n_neighbors + 1 = {n_neighbors + 1} samples, but hold {n_samples}."
        )
    if not np.isfinite(target).all():
        sample = int(np.flatnonzero(~np.isfinite(target))[0])
        raise InputError(f"Argument `y` must be finite, but sample {sample} is {target[sample]}.")
    if not np.isfinite(features).all():
        sample, feature = (int(index) for index in np.argwhere(~np.isfinite(features))[0])
        raise InputError(
            f"Argument `X` must be finite, but sample {sample} of feature {feature} is {features[sample, feature]}."
        )
    if np.all(target == target[0]):
        raise InputError(
            f"Argument `y` must vary, but all {n_samples} samples are {target[0]}: nothing can be known about a constant."
        )
    if theiler_window > 0:
        fewest = int(admissible_others(n_samples, theiler_window).min())
        if fewest < n_neighbors + 1:
            raise InputError(
                f"Argument `theiler_window` must leave every sample at least n_neighbors + 1 = {n_neighbors + 1} "
                f"others, but {theiler_window} of {n_samples} samples leave {max(fewest, 0)}: shorten it or give a longer series."
            )
    return features, target


def admissible_others(n_samples: int, theiler_window: int) -> Ints:
    """Return M_i [n_samples]: the samples with |i - j| >= max(theiler_window, 1)."""
    window = max(theiler_window, 1)
    i = np.arange(n_samples)
    return np.maximum(i - window + 1, 0) + np.maximum(n_samples - i - window, 0)


@dataclass(frozen=True, eq=False)
class ScaledSeries:
    """Features and target in units of their standard deviation, with the jitter that breaks ties.

    Attributes
    ----------
    X : array [n_features, n_samples]
        Features, each contiguous in time.
    y : array [n_samples]
        Target.
    """

    X: Floats
    y: Floats


def scale_series(
    features: Floats, target: Floats, random_state: int, workers: int | None = None
) -> ScaledSeries:
    """Scale to unit variance and add noise of 1e-10, bit by bit as scikit-learn does.

    Noise is drawn from ``numpy.random.RandomState(random_state)``: all features in one [n_samples, n_features] block, then the target.
    """
    n_samples, n_features = features.shape
    X = np.ascontiguousarray(features.T)
    if np.shares_memory(X, features):
        X = X.copy()
    size = np.empty(n_features)

    def scale(part: slice) -> None:
        size[part] = _scale_rows(X[part])

    map_chunks(scale, chunk_slices(n_features, _FEATURES_A_CHUNK), workers=workers)
    rng = np.random.RandomState(random_state)  # noqa: NPY002 (scikit-learn's stream, to the bit)
    for rows in chunk_slices(n_samples, _ROWS_A_DRAW):
        noise = rng.standard_normal(size=(rows.stop - rows.start, n_features))
        noise *= size
        X[:, rows] += noise.T
    y = target[None, :].copy()
    y_size = _scale_rows(y)
    y = y[0]
    y += y_size[0] * rng.standard_normal(size=n_samples)
    return ScaledSeries(X, y)


def _scale_rows(rows: Floats) -> Floats:
    """Divide each row by its standard deviation in place; return the size of its jitter."""
    deviation = np.std(rows, axis=1)
    deviation[deviation < 10 * np.finfo(np.float64).eps] = 1.0
    rows /= deviation[:, None]
    jitter: Floats = 1e-10 * np.maximum(1, np.mean(np.abs(rows), axis=1))
    return jitter


def ksg(
    X: Floats,
    y: Floats,
    *,
    n_neighbors: int,
    theiler_window: int = 0,
    shifts: ArrayLike = (0,),
    workers: int | None = None,
) -> Floats:
    """Return the KSG estimate [n_features, n_shifts] of scaled features against the target shifted circularly.

    Parameters
    ----------
    X : array [n_features, n_samples]
        Scaled features.
    y : array [n_samples]
        Scaled target; the feature at t meets y at (t + shift) modulo n_samples.
    n_neighbors, theiler_window
        See `mutual_information`. Not clipped at 0.
    shifts
        Numbers of samples in [0, n_samples).
    workers
        Number of threads.
    """
    n_features, n_samples = X.shape
    offsets = np.asarray(shifts, dtype=np.int64)
    y_order = np.argsort(y)
    ys = y[y_order]
    y_rank = np.empty(n_samples, np.int64)
    y_rank[y_order] = np.arange(n_samples)
    y_first = np.empty(n_samples + 1, np.int64)
    y_scale = bucket_table(ys, y_first)
    psi = digamma(np.arange(1, n_samples + 2, dtype=np.float64))
    bits = max(0, round(math.log2(math.sqrt(n_neighbors * n_samples)) - 1))
    marginals = np.empty((n_features, len(offsets)))

    def estimate(part: slice) -> None:
        order = np.argsort(X[part], axis=1)
        ordered = np.take_along_axis(X[part], order, axis=1)
        ksg_block(
            X[part], ordered, order, y, ys, y_rank, y_first, y_scale, offsets, n_neighbors, theiler_window, bits, psi,
            marginals[part],
        )  # fmt: skip

    map_chunks(estimate, chunk_slices(n_features, _FEATURES_A_CHUNK), workers=workers)
    joint = float(np.mean(psi[admissible_others(n_samples, theiler_window)])) + float(digamma(n_neighbors))
    return joint - marginals


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

    I = psi(k) + <psi(M_i + 1)> - <psi(n_x + 1) + psi(n_y + 1)>, with n_x, n_y the numbers of other samples strictly
    inside the distance of the joint k-th neighbour, and M_i the samples admitted as neighbours of sample i
    (without a window n_samples - 1, so that psi(M_i + 1) = psi(n_samples)).

    Parameters
    ----------
    X : array_like [n_samples, n_features] or [n_samples]
        Features, any unit: each is scaled to unit variance.
    y : array_like [n_samples]
        Target, any unit.
    n_neighbors
        k.
    theiler_window
        0: every other sample may be a neighbour, and negative estimates become 0; the values of
        `sklearn.feature_selection.mutual_info_regression` on float64 input. w > 0 (samples): samples with
        ``|i - j| < w`` are excluded from the search and from both counts, and nothing is clipped. Along a trajectory
        the first alone measures mostly how smooth the series are: see `information`.
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
        See `check_series`.

    References
    ----------
    Kraskov, Stögbauer, Grassberger, Phys. Rev. E 69, 066138 (2004), 10.1103/PhysRevE.69.066138.
    Theiler, Phys. Rev. A 34, 2427 (1986), 10.1103/PhysRevA.34.2427.
    """
    features, target = check_series(X, y, n_neighbors, theiler_window)
    scaled = scale_series(features, target, random_state, workers)
    estimate = ksg(
        scaled.X, scaled.y, n_neighbors=n_neighbors, theiler_window=theiler_window, workers=workers
    )[:, 0]
    return np.maximum(estimate, 0.0) if theiler_window == 0 else estimate

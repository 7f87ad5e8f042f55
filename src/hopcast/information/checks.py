"""What every estimator of this package asks of its input."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from hopcast.core.errors import InputError
from hopcast.information.kernels import Floats, Ints


def admissible_others(n_samples: int, theiler_window: int) -> Ints:
    """Return M_i [n_samples]: how many samples have |i - j| >= max(theiler_window, 1)."""
    window = max(theiler_window, 1)
    i = np.arange(n_samples)
    return np.maximum(i - window + 1, 0) + np.maximum(n_samples - i - window, 0)


def check_series(X: ArrayLike, y: ArrayLike, n_neighbors: int, theiler_window: int = 0) -> tuple[Floats, Floats]:
    """Return features [n_samples, n_features] and target [n_samples] as float64.

    Raises
    ------
    InputError
        Shapes or lengths that do not fit, NaN or Inf (sample and feature named), a constant target, fewer
        samples than k + 1, or a window that leaves a sample fewer than k + 1 others.
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
    needed = n_neighbors + 1
    if n_samples < needed:
        raise InputError(f"Argument `y` must hold at least n_neighbors + 1 = {needed} samples, but holds {n_samples}.")
    _check_finite(features, target)
    if np.all(target == target[0]):
        raise InputError(
            f"Argument `y` must vary, but all {n_samples} samples are {target[0]}: "
            "nothing can be known about a constant."
        )
    if theiler_window > 0:
        fewest = int(admissible_others(n_samples, theiler_window).min())
        if fewest < needed:
            raise InputError(
                f"Argument `theiler_window` must leave every sample at least n_neighbors + 1 = {needed} others, "
                f"but {theiler_window} of {n_samples} samples leave {fewest}: shorten the window or give a "
                "longer series."
            )
    return features, target


def _check_finite(features: Floats, target: Floats) -> None:
    if not np.isfinite(target).all():
        sample = int(np.flatnonzero(~np.isfinite(target))[0])
        raise InputError(f"Argument `y` must be finite, but sample {sample} is {target[sample]}.")
    if not np.isfinite(features).all():
        sample, feature = (int(index) for index in np.argwhere(~np.isfinite(features))[0])
        raise InputError(
            f"Argument `X` must be finite, but sample {sample} of feature {feature} is {features[sample, feature]}."
        )

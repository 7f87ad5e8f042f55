"""Forecasts that know the calendar and nothing else: the mean, and interpolation in time."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import CubicSpline

from hopcast.core.errors import InputError, check_choice


def mean_prediction(y_train: ArrayLike, n_frames: int) -> NDArray[np.float64]:
    """Return the mean training target on every frame, [n_frames]."""
    return np.full(n_frames, float(np.mean(np.asarray(y_train, dtype=np.float64))))


def interpolate_in_time(
    train_frames: ArrayLike,
    y_train: ArrayLike,
    frames: ArrayLike,
    kind: str = "linear",
    *,
    max_gap: float | None = None,
) -> NDArray[np.float64]:
    """Interpolate a target in time from its training frames.

    Parameters
    ----------
    train_frames
        Frame numbers (or times) of the training frames, any order, no repeats, [n_train].
    y_train
        Their targets, [n_train].
    frames
        Where to interpolate, [n_frames].
    kind
        ``"linear"``, or ``"cubic"``: not-a-knot spline.
    max_gap
        A spline runs only through training frames at most this far apart (None: four times their median
        distance). Across longer gaps, as blocked splits leave them, both kinds are linear: the cubic through a gap
        follows the slopes at its two ends and overshoots without bound.

    Returns
    -------
    numpy.ndarray
        [n_frames]. Before the first and after the last training frame: its value (constant extrapolation), both
        kinds.

    Raises
    ------
    InputError
        Without training frames, with repeated ones, or with shapes that do not fit.
    ConfigError
        If `kind` is unknown.
    """
    check_choice("kind", kind, ("linear", "cubic"))
    known, values = np.asarray(train_frames, dtype=np.float64), np.asarray(y_train, dtype=np.float64)
    wanted = np.asarray(frames, dtype=np.float64)
    if known.ndim != 1 or known.shape != values.shape or len(known) == 0:
        raise InputError(
            "Argument `y_train` must have one value for each of at least one training frame, but the shapes are "
            f"{values.shape} and {known.shape}."
        )
    order = np.argsort(known)
    known, values = known[order], values[order]
    spacing = np.diff(known)
    if (spacing == 0.0).any():
        raise InputError("Argument `train_frames` must not repeat a frame, but does.")
    out = np.interp(wanted, known, values)
    if kind == "linear" or len(known) < 3:
        return out
    longest = 4.0 * float(np.median(spacing)) if max_gap is None else max_gap
    for run in np.split(np.arange(len(known)), np.flatnonzero(spacing > longest) + 1):
        inside = (wanted >= known[run[0]]) & (wanted <= known[run[-1]])
        if len(run) >= 3:
            out[inside] = CubicSpline(known[run], values[run])(wanted[inside])
    return out

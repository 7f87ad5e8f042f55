"""Circular shifts in time: what a model scores when its features know nothing of the target's frame."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from hopcast.core.chunks import map_chunks
from hopcast.core.errors import ConfigError
from hopcast.regression import LaplacianRidge


def circular_shifts(
    n_frames: int, min_shift_frames: int, n_shifts: int = 20, random_state: int | None = None
) -> NDArray[np.intp]:
    """Return shifts in frames, at least `min_shift_frames` from each other and from no shift at all.

    Parameters
    ----------
    n_frames
        Length of the series (of the shortest trajectory).
    min_shift_frames
        Least distance; the correlation time.
    n_shifts
        How many to return; where fewer fit, as many as fit (none if ``n_frames < 2 min_shift_frames``).
    random_state
        None spreads them evenly; a seed draws them.

    Raises
    ------
    ConfigError
        If `min_shift_frames` or `n_shifts` is below one.
    """
    if min_shift_frames < 1 or n_shifts < 1:
        raise ConfigError(
            "Arguments `min_shift_frames` and `n_shifts` must be at least 1, but are "
            f"{min_shift_frames} and {n_shifts}."
        )
    count = min(n_shifts, n_frames // min_shift_frames - 1)
    if count < 1:
        return np.zeros(0, dtype=np.intp)
    slack = n_frames - (count + 1) * min_shift_frames
    if random_state is None:
        extra = (np.arange(1, count + 1) * slack) // (count + 1)
    else:
        extra = np.sort(np.random.default_rng(random_state).integers(0, slack + 1, size=count))
    return np.asarray(min_shift_frames * np.arange(1, count + 1) + extra, dtype=np.intp)


def shifted_targets(
    y: NDArray[np.float64], shifts: Sequence[int] | NDArray[np.intp], trajectories: Sequence[NDArray[np.intp]]
) -> NDArray[np.float64]:
    """Return the target delayed by each shift, circularly within each trajectory, [n_frames, n_shifts].

    Frame t of a column holds y[t - s]: seen from the target, its features are those of s frames later.
    """
    out = np.empty((len(y), len(shifts)))
    for column, shift in enumerate(shifts):
        for frames in trajectories:
            out[frames, column] = np.roll(y[frames], shift)
    return out


def fit_and_predict_all(
    model: object,
    X: NDArray[np.floating],
    targets: NDArray[np.float64],
    train: NDArray[np.intp],
    frames: NDArray[np.intp],
    workers: int | None,
) -> NDArray[np.float64]:
    """Return, for every column of `targets`, the forecast on `frames` of a fresh model fitted on `train`.

    A `LaplacianRidge` takes all columns at once: one factorisation for each pair (gamma, alpha) and one pass over
    the distances, for the same result as refitting it to one column after the other. Other models are refitted.
    """
    if isinstance(model, LaplacianRidge):
        ridge = clone(model)
        if workers is not None:
            ridge.set_params(workers=workers)
        mean = ridge.fit(X[train], targets[train]).predict(X if len(frames) == len(X) else X[frames])
        return np.asarray(mean, dtype=np.float64)
    training, wanted = X[train], X[frames]

    def refit(column: int) -> NDArray[np.float64]:
        fitted = clone(model).fit(training, targets[train, column])
        return np.asarray(fitted.predict(wanted), dtype=np.float64)

    return np.stack(map_chunks(refit, range(targets.shape[1]), workers=workers), axis=1)


def near_seam(
    test: NDArray[np.intp],
    train: NDArray[np.intp],
    shift: int,
    trajectories: Sequence[NDArray[np.intp]],
) -> NDArray[np.bool_]:
    """Return which test frames lie within a training spacing of where the shifted target jumps from end to start.

    The jump sits before position `shift` of every trajectory. A model that interpolates in time misses it through
    no fault of its own, so these frames are left out of the shifted score.
    """
    spacing = float(np.median(np.diff(np.sort(train)))) if len(train) > 1 else 1.0
    near = np.zeros(len(test), dtype=np.bool_)
    for frames in trajectories:
        seam = shift % len(frames)
        position = np.searchsorted(frames, test)
        position[position == len(frames)] = 0
        own = frames[position] == test
        near |= own & (position >= seam - spacing) & (position < seam + spacing)
    return near

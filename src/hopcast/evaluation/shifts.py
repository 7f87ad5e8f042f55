"""Circular shifts in time: what a model scores when its features know nothing of the target's frame."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.utils.validation import has_fit_parameter

from hopcast.core.chunks import map_chunks
from hopcast.regression.learner import abilities_of


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
    groups: NDArray[np.generic] | None = None,
) -> NDArray[np.float64]:
    """Return, for every column of `targets`, the forecast on `frames` of a fresh model fitted on `train`.

    A kernel ridge takes all columns at once: one factorisation for each pair (gamma, alpha) and one pass over
    the distances, for the same result as refitting it to one column after the other. Other models are refitted.
    `groups` [n_frames] are handed to learners that take them.
    """
    if abilities_of(model).many_targets:
        ridge = clone(model)
        if workers is not None:
            ridge.set_params(workers=workers)
        labels = None if groups is None else groups[train]
        mean = ridge.fit(X[train], targets[train], labels).predict(X if len(frames) == len(X) else X[frames])
        return np.asarray(mean, dtype=np.float64)
    training, wanted = X[train], X[frames]

    def refit(column: int) -> NDArray[np.float64]:
        fitted = fit_learner(model, training, targets[train, column], None if groups is None else groups[train])
        return np.asarray(fitted.predict(wanted), dtype=np.float64)

    return np.stack(map_chunks(refit, range(targets.shape[1]), workers=workers, portable=True), axis=1)


def fit_learner(
    model: object, X: NDArray[np.floating], y: NDArray[np.float64], groups: NDArray[np.generic] | None
) -> Any:
    """Return a fitted clone; `groups` only reach a learner whose `fit` takes them."""
    extra = {"groups": groups} if groups is not None and has_fit_parameter(model, "groups") else {}
    return clone(model).fit(X, y, **extra)


def near_seam(
    test: NDArray[np.intp], train: NDArray[np.intp], shift: int, trajectories: Sequence[NDArray[np.intp]]
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

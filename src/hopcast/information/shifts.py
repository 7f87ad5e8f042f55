"""Circular shifts in time that keep a distance from zero and from each other."""

from __future__ import annotations

import numpy as np

from hopcast.core.errors import InputError
from hopcast.information.kernels import Ints


def circular_shifts(
    n_samples: int, n_shifts: int, min_shift: int, random_state: int | None = 0, *, guard: int | None = None
) -> Ints:
    """Return circular shifts that keep a distance from zero and from each other.

    A shift keeps each series as it is, memory included, and destroys what one knows of the other. Shifts near to each other
    repeat much of the same surrogate, which costs time and no error; a shift near zero leaves what is looked for.

    Parameters
    ----------
    n_samples
        Length of the series.
    n_shifts
        How many are wanted; if fewer fit, as many as fit.
    min_shift
        Least distance, around the circle, between any two shifts, samples.
    random_state
        Seed of a draw, uniform among all choices that keep the distance; None spreads the shifts evenly.
    guard
        Least distance from zero, samples; None takes `min_shift`.

    Returns
    -------
    array [at most n_shifts]
        Shifts in samples, ascending.

    Raises
    ------
    InputError
        A `min_shift` or `guard` below 1 or a negative number of shifts.
    """
    if min_shift < 1:
        raise InputError(f"Argument `min_shift` must be at least 1 sample, but is {min_shift}.")
    if n_shifts < 0:
        raise InputError(f"Argument `n_shifts` must not be negative, but is {n_shifts}.")
    least = min_shift if guard is None else guard
    if least < 1:
        raise InputError(f"Argument `guard` must be at least 1 sample, but is {least}.")
    if n_samples < 2 * least:
        return np.empty(0, np.int64)
    count = min(n_shifts, (n_samples - 2 * least) // min_shift + 1)
    spare = n_samples - 2 * least - (count - 1) * min_shift
    if random_state is None:
        extra = (np.arange(1, count + 1) * spare) // (count + 1)
    else:
        rng = np.random.default_rng(random_state)
        extra = np.sort(rng.choice(spare + count, size=count, replace=False)) - np.arange(count)
    return (least + min_shift * np.arange(count) + extra).astype(np.int64)

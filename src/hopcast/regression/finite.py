"""Find the first value of a table of frames that is not a number."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hopcast.core.errors import InputError


def require_finite(name: str, array: NDArray[np.floating]) -> None:
    """Raise unless every value of `array` [n_frames, n_columns] is finite.

    Raises
    ------
    InputError
        Naming argument, frame, column and what is there.
    """
    # A sum is finite unless an element is not, or it overflows: the costly look happens only then.
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(array.sum()):
            return
    bad = np.argwhere(~np.isfinite(array))
    if len(bad):
        frame, column = bad[0]
        found = "NaN" if np.isnan(array[frame, column]) else "inf"
        raise InputError(f"Argument `{name}` must be finite, but frame {frame}, column {column} holds {found}.")

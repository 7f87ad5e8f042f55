"""`spread`: some of many, evenly."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def spread(n: int, most: int) -> NDArray[np.intp]:
    """Return at most `most` of the indices 0 ... n - 1, ascending and evenly spread; both ends among them where two or more are."""
    return np.unique(np.linspace(0, n - 1, min(n, most)).round().astype(np.intp))

"""Names of the array types that kernels take."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Complexes: TypeAlias = NDArray[np.complex128]
Ints: TypeAlias = NDArray[np.int64]

leaf = njit(cache=True, nogil=True, _nrt=False, forceinline=True)
"""Decorator of kernels that allocate nothing: arrays pass their doors without being counted.

Numba counts references to every array argument of every call, about 10 ns each: more than many small kernels take.
"""

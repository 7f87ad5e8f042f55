"""Random numbers keyed by seed, unit of work and trajectory: the same bits whatever runs beside them.

A stream is a SplitMix64 sequence with its own start and its own odd increment, both hashed from the key.
G. L. Steele, D. Lea, C. H. Flood, OOPSLA 2014, 10.1145/2660193.2660195.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from hopcast.dynamics.arrays import Floats

_STEP = np.uint64(0x9E3779B97F4A7C15)
_M1, _M2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_S30, _S27, _S31, _S12, _ONE = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(12), np.uint64(1)
_SCALE = 2.0**-52


@njit(cache=True, nogil=True)
def _mix(z: np.uint64) -> np.uint64:
    z = (z ^ (z >> _S30)) * _M1
    z = (z ^ (z >> _S27)) * _M2
    return z ^ (z >> _S31)


@njit(cache=True, nogil=True)
def open_stream(seed: int, unit: int, trajectory: int) -> tuple[np.uint64, np.uint64]:
    """Return (state, increment) of the stream of one trajectory."""
    state = _mix(np.uint64(seed) + _STEP)
    state = _mix(state + _mix(np.uint64(unit) + _STEP))
    state = _mix(state + _mix(np.uint64(trajectory) + _STEP))
    return state, _mix(state + _STEP) | _ONE


@njit(cache=True, nogil=True)
def uniform(state: np.uint64, increment: np.uint64) -> tuple[np.uint64, float]:
    """Return the next state and a number strictly between 0 and 1."""
    state = state + increment
    return state, (np.float64(_mix(state) >> _S12) + 0.5) * _SCALE


@njit(cache=True, nogil=True)
def spent_at(cumulated: Floats, target: float, low: int, high: int) -> int:
    """Return the first sub-step from `low` on whose cumulated hazard reaches `target`; `high` where none before it does."""
    while low < high:
        middle = (low + high) // 2
        if cumulated[middle] < target:
            low = middle + 1
        else:
            high = middle
    return low

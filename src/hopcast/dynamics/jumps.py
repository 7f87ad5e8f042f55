"""Jumps of a pure two-state amplitude over any number of sub-steps, and bounds of what they can do."""

from __future__ import annotations

import numpy as np
from numba import njit

from hopcast.dynamics.arrays import Complexes, Floats, Ints, leaf


@leaf
def turns(pa: Complexes, pb: Complexes, count: int) -> tuple[complex, complex]:
    """Return the whole loop's propagator to a power, in closed form."""
    a, b = pa[pa.size - 1], pb[pb.size - 1]
    sine = np.sqrt(a.imag * a.imag + b.real * b.real + b.imag * b.imag)
    theta = np.arctan2(sine, a.real)
    if sine < 1e-150:
        sign = 1.0 if a.real > 0 or count % 2 == 0 else -1.0
        return complex(sign, 0.0), complex(0.0, 0.0)
    ratio = np.sin(count * theta) / sine
    return complex(np.cos(count * theta), a.imag * ratio), b * ratio


@leaf
def flip(pa: Complexes, pb: Complexes, early: int, late: int) -> float:
    """Return the probability that a pure state at sub-step `early` is found in the other one at `late`."""
    n = pa.size - 1
    count = late // n - early // n
    i, j = early % n, late % n
    x, y = pa[j], pb[j]
    if count == 1:
        u, v = pa[n], pb[n]
        x, y = x * u - y * v.conjugate(), x * v + y * u.conjugate()
    elif count > 1:
        u, v = turns(pa, pb, count)
        x, y = x * u - y * v.conjugate(), x * v + y * u.conjugate()
    z = y * pa[i] - x * pb[i]
    return z.real * z.real + z.imag * z.imag


@njit(cache=True, nogil=True)
def hop_bound(pa: Complexes, pb: Complexes, block: int, positions: int) -> float:
    r"""Return a bound of :math:`|(P_{s'}P_s^\dagger)_{01}|^2` over all waits up to `block` sub-steps.

    That probability is a quarter of the squared distance between the unit vectors of :math:`P_s^\dagger\sigma_zP_s`. A
    wait lies in two neighbouring blocks, so the largest diagonal of the box around such a pair bounds it.
    """
    n = pa.size - 1
    low, high = np.empty(3), np.empty(3)
    old_low, old_high = np.empty(3), np.empty(3)
    worst = 0.0
    turn, ta, tb = 0, complex(1.0, 0.0), complex(0.0, 0.0)
    for start in range(0, positions + 1, block):
        low[:] = 2.0
        high[:] = -2.0
        for s in range(start, min(start + block, positions + 1)):
            if s // n != turn:
                turn = s // n
                ta, tb = turns(pa, pb, turn)
            _widen(pa[s % n], pb[s % n], ta, tb, low, high)
        size = 0.0
        for i in range(3):
            lowest = low[i] if start == 0 else min(low[i], old_low[i])
            highest = high[i] if start == 0 else max(high[i], old_high[i])
            size += (highest - lowest) ** 2
            old_low[i], old_high[i] = low[i], high[i]
        worst = max(worst, 0.25 * size)
    return worst


@njit(cache=True, nogil=True)
def local_bounds(pa: Complexes, pb: Complexes, window: int) -> Floats:
    """Return, for each block of `window` sub-steps of the loop, a bound of `flip` over waits up to `window` that end in it."""
    n = pa.size - 1
    bounds = np.empty((n + window - 1) // window)
    low, high = np.empty(3), np.empty(3)
    turn, ta, tb = 0, complex(1.0, 0.0), complex(0.0, 0.0)
    for k in range(bounds.size):
        low[:] = 2.0
        high[:] = -2.0
        for s in range((k - 1) * window, min((k + 1) * window, n) + 1):
            if s // n != turn:
                turn = s // n
                ta, tb = turns(pa, pb, turn)
            _widen(pa[s % n], pb[s % n], ta, tb, low, high)
        size = 0.0
        for i in range(3):
            size += (high[i] - low[i]) ** 2
        bounds[k] = min(1.0, 0.25 * size * (1.0 + 1e-9) + 1e-15)
    return bounds


@leaf
def _widen(p: complex, q: complex, ta: complex, tb: complex, low: Floats, high: Floats) -> None:
    """Widen a box so that it holds the unit vector of one position."""
    a, b = p * ta - q * tb.conjugate(), p * tb + q * ta.conjugate()
    across = 2.0 * a * b.conjugate()
    z = a.real * a.real + a.imag * a.imag - b.real * b.real - b.imag * b.imag
    low[0], high[0] = min(low[0], across.real), max(high[0], across.real)
    low[1], high[1] = min(low[1], across.imag), max(high[1], across.imag)
    low[2], high[2] = min(low[2], z), max(high[2], z)


@leaf
def record(steps: Ints, group: int, outputs: Ints, elapsed: int, change: int) -> None:
    """Add `change` to the excited count of every output at or after `elapsed` sub-steps."""
    low, high = 0, outputs.size
    while low < high:
        middle = (low + high) // 2
        if outputs[middle] < elapsed:
            low = middle + 1
        else:
            high = middle
    steps[group, low] += change

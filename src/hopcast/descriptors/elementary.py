"""Elementary functions without branches or calls, so that loops around them become vector instructions."""

from __future__ import annotations

import numpy as np
from numba import njit

_LOG2_E = 1.4426950408889634
# ln 2 in two parts: the first has trailing zero bits, so its small integer multiples are exact
_LN2_HIGH = 6.93147180369123816490e-01
_LN2_LOW = 1.90821492927058770002e-10
# adding 1.5 * 2**52 rounds to an integer that stays in the low bits
_ROUND = 6755399441055744.0
# interpolates exp at the Chebyshev points of [-ln 2 / 2, ln 2 / 2], relative error below 1e-16 before rounding
_C2, _C3, _C4, _C5, _C6 = (
    0.5000000000000019,
    0.1666666666666668,
    0.0416666666664881,
    0.008333333333319601,
    0.0013888888952314775,
)
_C7, _C8, _C9, _C10, _C11 = (
    0.00019841269890047113,
    2.4801485482328494e-05,
    2.755724091857897e-06,
    2.763263963904103e-07,
    2.5110037605963777e-08,
)


# `reassoc` would cancel the rounding constant, so only contraction to fused multiply-add is allowed here
@njit(cache=True, nogil=True, fastmath={"contract"})
def exp_small(x: float) -> float:  # pragma: no cover - compiled
    """Return exp(x) for abs(x) < 700, to one or two units in the last place."""
    shifted = x * _LOG2_E + _ROUND
    n = shifted - _ROUND
    r = (x - n * _LN2_HIGH) - n * _LN2_LOW
    p = _C11
    p = p * r + _C10
    p = p * r + _C9
    p = p * r + _C8
    p = p * r + _C7
    p = p * r + _C6
    p = p * r + _C5
    p = p * r + _C4
    p = p * r + _C3
    p = p * r + _C2
    p = p * r + 1.0
    p = p * r + 1.0
    # times 2**n: n is added to the bits of the exponent
    bits = np.float64(p).view(np.int64) + (np.float64(shifted).view(np.int64) << 52)
    return np.int64(bits).view(np.float64)


# sin(x) / x in powers of x^2, interpolated at the Chebyshev points of [0, (pi / 2)^2], relative error below 1e-18
_S3, _S5, _S7, _S9 = (-0.16666666666666666, 0.008333333333333186, -0.00019841269841208676, 2.7557319211229606e-06)
_S11, _S13, _S15, _S17 = (-2.505210689056952e-08, 1.605894087848656e-10, -7.643026557971632e-13, 2.7215749422983443e-15)


@njit(cache=True, nogil=True, fastmath={"contract"})
def quarter_sine(x: float) -> float:  # pragma: no cover - compiled
    """Return sin(x) for x from 0 to pi / 2, to one or two units in the last place."""
    t = x * x
    p = _S17
    p = p * t + _S15
    p = p * t + _S13
    p = p * t + _S11
    p = p * t + _S9
    p = p * t + _S7
    p = p * t + _S5
    p = p * t + _S3
    return p * t * x + x

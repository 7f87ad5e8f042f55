"""PYXAID's own procedure for a dephasing time, as its `decoherence_rates` does it."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, next_fast_len, rfft

from hopcast.core.units import HBAR

LARGEST_EXPONENT: Final = 2.3
"""Points of the regression have a dephasing function above a tenth."""


def pyxaid_rate(gap: NDArray[np.float64], timestep: float, *, intercept: bool = False) -> float:
    r"""Return PYXAID's decoherence rate of a gap, 1/fs.

    The autocorrelation :math:`C_k` is averaged over the first half of the series as origins, for lags up to half of it.
    Both integrals of :math:`g(t) = \hbar^{-2}\iint C` are sums over the points before `t` (:math:`g_0 = g_1 = 0`), so `g` lags
    behind the integral by a step. Then :math:`g = r^2t^2` (or :math:`a + r^2t^2`) is fitted to all points with
    :math:`g < 2.3`, wherever they lie: with the default, mode 0, :math:`r^2 = \sum g/\sum t^2`.

    Parameters
    ----------
    gap
        [n] eV, n at least 4.
    timestep
        fs.
    intercept
        PYXAID's ``regress_mode`` 1.

    Returns
    -------
    float
        Zero where the fit has no or a negative slope: PYXAID writes 0 for the rate then.

    References
    ----------
    A. V. Akimov, O. V. Prezhdo, J. Chem. Theory Comput. 2014, 10, 789, 10.1021/ct400934c.
    """
    x = gap - gap.mean()
    half = x.size // 2
    size = next_fast_len(2 * half, real=True)  # no lag below half wraps around
    correlation = irfft(rfft(x[: 2 * half - 1], size) * rfft(x[:half], size).conj(), size)[:half] / half
    once = np.cumsum(correlation) - correlation
    exponent = (np.cumsum(once) - once) * (timestep / HBAR) ** 2
    used = exponent < LARGEST_EXPONENT
    squares, g = (np.flatnonzero(used) * timestep) ** 2, exponent[used]
    if intercept:
        squares, g = squares - squares.mean(), g - g.mean()
        slope = (squares @ g) / (squares @ squares)
    else:
        slope = g.sum() / squares.sum()
    return float(np.sqrt(max(slope, 0.0)))

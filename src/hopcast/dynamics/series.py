"""Series in time: autocovariance, correlation time, and the moving-block bootstrap of a mean."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import fft, signal


def autocovariance(values: ArrayLike, n_lags: int | None = None) -> NDArray[np.float64]:
    r"""Return :math:`C_k = \frac{1}{N-k}\sum_t \delta x_t\,\delta x_{t+k}` for lags below `n_lags`.

    The sample mean is removed, which lowers every lag by about the variance of that mean,
    :math:`C_0\,2t_c/T` for a series of length :math:`T` and correlation time :math:`t_c`; the sum over the pairs of
    a lag is divided by their number, so no further bias comes in, but lags near `N` rest on few pairs.

    Parameters
    ----------
    values
        [n], finite.
    n_lags
        Number of lags, at most `n`; None takes half of them, so that each is an average over at least ``n / 2`` pairs.

    Returns
    -------
    ndarray
        [n_lags], unit of `values` squared.
    """
    x = np.asarray(values, dtype=np.float64)
    n = x.size
    n_lags = max(1, (n + 1) // 2) if n_lags is None else min(n_lags, n)
    x = x - x.mean()
    size = fft.next_fast_len(2 * n, real=True)
    spectrum = fft.rfft(x, size)
    total: NDArray[np.float64] = fft.irfft(np.abs(spectrum) ** 2, size)[:n_lags]
    return total / (n - np.arange(n_lags))


def correlation_time(values: ArrayLike, timestep: float) -> float:
    """Return the first lag after which the envelope of the autocorrelation stays below 1/e, fs.

    The envelope is the modulus of the analytic signal (Hilbert transform) of the two-sided autocorrelation, with
    lags up to a quarter of the series.

    Parameters
    ----------
    values
        [n], finite.
    timestep
        Time between values, fs.

    Returns
    -------
    float
        fs; 0 for a constant series; the largest lag looked at if the envelope never falls.
    """
    x = np.asarray(values, dtype=np.float64)
    covariance = autocovariance(x, max(2, x.size // 4))
    if x.size < 4 or covariance[0] <= 1e-24 * max(1.0, float(np.mean(x**2))) or np.ptp(x) == 0:
        return 0.0
    both = np.concatenate([covariance[:0:-1], covariance]) / covariance[0]
    envelope = np.abs(signal.hilbert(both))[covariance.size - 1 :]
    above = np.flatnonzero(envelope >= np.exp(-1.0))
    lag = min(int(above[-1]) + 1, covariance.size - 1) if above.size else 1
    return lag * timestep


def block_bootstrap_means(
    rows: NDArray[np.float64], block: int, n_draws: int = 2000, random_state: int = 0
) -> NDArray[np.float64]:
    """Return bootstrap draws of the mean of each row, all rows cut into the same blocks.

    Blocks start anywhere and wrap around the end (the trajectory is looped), so every value weighs the same and the
    draws centre on the sample mean.

    Parameters
    ----------
    rows
        [n_rows, n].
    block
        Length of a block in values.
    n_draws
        Number of draws.
    random_state
        Seed.

    Returns
    -------
    ndarray
        [n_draws, n_rows].

    References
    ----------
    H. R. Künsch, Ann. Stat. 1989, 17, 1217, 10.1214/aos/1176347265 (moving blocks); D. N. Politis, J. P. Romano in
    Exploring the Limits of Bootstrap, Wiley 1992 (wrapped).
    """
    n = rows.shape[1]
    block = max(1, min(block, n))
    sums = np.cumsum(np.concatenate([np.zeros((len(rows), 1)), rows, rows[:, :block]], axis=1), axis=1)
    block_means = (sums[:, block : block + n] - sums[:, :n]) / block
    rng = np.random.default_rng(random_state)
    n_blocks = -(-n // block)
    draws = np.empty((n_draws, len(rows)))
    for start in range(0, n_draws, 100):  # bounds the memory for long series
        starts = rng.integers(0, n, size=(min(100, n_draws - start), n_blocks))
        draws[start : start + 100] = block_means[:, starts].mean(axis=2).T
    return draws

"""How long a series remembers: autocorrelation, its first zero, and the correlation time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.fft import fft, ifft, next_fast_len

from hopcast.core.chunks import chunk_slices, map_chunks
from hopcast.core.errors import InputError
from hopcast.information.kernels import Floats, Ints
from hopcast.information.ksg import normal_scores

_COLUMNS_A_CHUNK = 8


def autocorrelation(series: ArrayLike, max_lag: int | None = None) -> Floats:
    """Return the normalised autocorrelation of each column.

    C(m) = sum_t x_t x_{t+m} / sum_t x_t^2, with x the series less its mean: the estimate whose spectrum is
    never negative. Lag m has n_samples - m pairs, so it is low by the factor 1 - m / n_samples, and its noise
    at large lags is less than that of the average over pairs.

    Parameters
    ----------
    series : array_like [n_samples] or [n_samples, n_columns]
        Series in time, any unit.
    max_lag
        Largest lag in samples; None takes n_samples - 1.

    Returns
    -------
    array [max_lag + 1] or [max_lag + 1, n_columns]
        1 at lag 0; a constant column has 1 at every lag.

    Raises
    ------
    InputError
        Fewer than two samples, or values that are not finite.
    """
    columns = _columns(series)
    n_samples = len(columns)
    lags = n_samples - 1 if max_lag is None else min(max_lag, n_samples - 1)
    result = np.empty((lags + 1, columns.shape[1]))
    for part in chunk_slices(columns.shape[1], _COLUMNS_A_CHUNK):
        result[:, part] = _analytic(columns[:, part], lags).real
    return result[:, 0] if np.ndim(series) == 1 else result


def first_zero_crossing(series: ArrayLike, timestep: float = 1.0) -> Floats:
    """Return the first lag at which the autocorrelation of each column is zero or below.

    Parameters
    ----------
    series : array_like [n_samples] or [n_samples, n_columns]
        Series in time, any unit.
    timestep
        Between samples, fs.

    Returns
    -------
    array [n_columns] (one column for a series [n_samples])
        fs; Inf for a column that is constant.

    Raises
    ------
    InputError
        Fewer than two samples, or values that are not finite.
    """
    columns = _columns(series)
    lags: Ints = np.zeros(columns.shape[1], np.int64)
    for part in chunk_slices(columns.shape[1], _COLUMNS_A_CHUNK):
        lags[part] = np.argmax(autocorrelation(columns[:, part]) <= 0.0, axis=0)
    return np.where(lags > 0, lags * timestep, np.inf)


@dataclass(frozen=True)
class CorrelationTime:
    """The correlation time of one series, or of the slowest of several.

    Attributes
    ----------
    value
        fs. If not `resolved`: a quarter of the series, and the true one is longer.
    resolved
        Whether the envelope of the autocorrelation stays below 1/e within a quarter of the series.
    column
        The column that has it.
    duration
        Length of the series, fs.
    """

    value: float
    resolved: bool
    column: int
    duration: float

    def __float__(self) -> float:
        return self.value

    def __str__(self) -> str:
        sign = "" if self.resolved else "longer than "
        return f"{sign}{self.value:.4g} fs ({self.duration / self.value:.1f} times in {self.duration:.4g} fs)"


def correlation_time(series: ArrayLike, timestep: float = 1.0, *, workers: int | None = None) -> CorrelationTime:
    """Return the first lag after which the envelope of the autocorrelation stays below 1/e.

    The envelope is the magnitude of the autocorrelation's analytic signal (Hilbert transform), so that a
    vibration is not taken for forgotten whenever its autocorrelation passes through zero. Lags run up to a
    quarter of the series: beyond, too few independent pairs are left. Constant columns remember nothing.

    The noise of an autocorrelation is about sqrt(tau / T): with fewer than some 30 correlation times it exceeds
    1/e somewhere by chance, and of many columns one will. Then the answer is "not resolved". A plain exponential
    exp(-t / tau), which is no vibration, has the broader envelope: its correlation time here is 1.92 tau.

    Parameters
    ----------
    series : array_like [n_samples] or [n_samples, n_columns]
        Series in time, any unit; of several columns the slowest counts.
    timestep
        Between samples, fs.
    workers
        Number of threads.

    Raises
    ------
    InputError
        Fewer than two samples, or values that are not finite.
    """
    columns = _columns(series)
    n_samples, n_columns = columns.shape
    limit = n_samples // 4
    lags: Ints = np.zeros(n_columns, np.int64)

    def slowest(part: slice) -> None:
        envelope = np.abs(_analytic(columns[:, part], limit))
        above = envelope >= np.exp(-1.0)
        last_above = limit - np.argmax(above[::-1], axis=0)
        constant = np.ptp(columns[:, part], axis=0) == 0.0
        lags[part] = np.where(constant, 1, last_above + 1)

    map_chunks(slowest, chunk_slices(n_columns, _COLUMNS_A_CHUNK), workers=workers)
    column = int(np.argmax(lags))
    resolved = bool(lags[column] <= limit)
    return CorrelationTime(
        float(max(min(lags[column], limit), 1) * timestep), resolved, column, float(n_samples * timestep)
    )


def memory_time(series: ArrayLike, timestep: float = 1.0) -> float:
    r"""Return the time in which a series forgets all but 1/e, corrected for the length of the series, fs.

    The mean of a short series follows its slow motion, so that its autocorrelation comes out low by
    :math:`d = \mathrm{var}(\bar x)/\sigma^2 \approx 2t_m/T`: :math:`\hat\rho = (\rho - d)/(1 - d)`. The time at which
    :math:`\hat\rho(1 - d) + d` first falls below 1/e is found together with `d` itself. The same is done for the normal scores
    of the values, which do not depend on whether a rare high value happens to be in the series; the longest counts.

    Parameters
    ----------
    series : array_like [n_samples] or [n_samples, n_columns]
        Series in time, any unit; of several columns the slowest counts.
    timestep
        Between samples, fs.

    Returns
    -------
    float
        At most half of the series, where it does not forget within; a constant remembers nothing (one step).

    Raises
    ------
    InputError
        Fewer than two samples, or values that are not finite.

    References
    ----------
    F. H. C. Marriott, J. A. Pope, Biometrika 1954, 41, 390, 10.1093/biomet/41.3-4.390 (the bias of an autocorrelation).
    """
    columns = _columns(series)
    both = np.concatenate([columns, normal_scores(columns)], axis=1)
    lags = [_forgetting_lag(column) for column in both.T if np.ptp(column) > 0]
    return max(lags, default=1.0) * timestep


def _forgetting_lag(column: Floats) -> float:
    n = len(column)
    most = max(n // 2, 1)
    lags = np.arange(most + 1)
    rho = autocorrelation(column, most) * n / (n - lags)
    bias, lag = 0.0, 1
    for _ in range(100):
        below = np.flatnonzero(rho * (1.0 - bias) + bias < np.exp(-1.0))
        lag = int(below[0]) if below.size else most
        new = min(2.0 * lag / n, 0.9)
        if abs(new - bias) < 1e-3:
            break
        bias = 0.5 * (bias + new)
    return float(max(lag, 1))


def _columns(series: ArrayLike) -> Floats:
    columns = np.asarray(series, dtype=np.float64)
    if columns.ndim == 1:
        columns = columns[:, None]
    if columns.ndim != 2 or len(columns) < 2:
        raise InputError(
            "Argument `series` must be [n_samples] or [n_samples, n_columns] with at least 2 samples, "
            f"but has shape {np.shape(series)}."
        )
    if not np.isfinite(columns).all():
        sample, column = (int(index) for index in np.argwhere(~np.isfinite(columns))[0])
        raise InputError(
            f"Argument `series` must be finite, but sample {sample} of column {column} is {columns[sample, column]}."
        )
    return columns


def _analytic(columns: Floats, max_lag: int) -> np.ndarray[tuple[int, ...], np.dtype[np.complex128]]:
    """Return the analytic signal of the autocorrelation at lags 0 ... `max_lag`.

    The power spectrum of the zero-padded series, negative frequencies dropped, transforms to it directly.
    """
    n_samples = len(columns)
    size = next_fast_len(2 * n_samples)
    centred = columns - columns.mean(axis=0)
    centred[:, np.ptp(columns, axis=0) == 0.0] = 0.0
    power = np.abs(fft(centred, size, axis=0)) ** 2
    power[1 : (size + 1) // 2] *= 2.0
    power[size // 2 + 1 :] = 0.0
    signal = ifft(power, axis=0)[: max_lag + 1]
    variance = signal[0].real.copy()
    signal[:, variance == 0.0] = 1.0
    variance[variance == 0.0] = 1.0
    signal /= variance
    return signal

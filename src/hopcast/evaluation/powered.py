"""Prediction-powered means: a forecast as the control variate of a few true samples."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import t

from hopcast.core.errors import ConfigError, InputError
from hopcast.core.resampling import block_counts

# A resample of few blocks too often is one block many times.
_FEWEST_FOR_BOOTSTRAP = 5


@dataclass(frozen=True)
class PoweredMean:
    """A prediction-powered mean and its interval.

    Attributes
    ----------
    value
        The estimate, unit of y.
    low, high
        Its interval at `level`.
    weight
        lambda: 0 the plain average of the samples, near 1 a forecast that is trusted.
    plain
        The plain average of the samples.
    level, n_samples, n_blocks
        As used.
    """

    value: float
    low: float
    high: float
    weight: float
    plain: float
    level: float
    n_samples: int
    n_blocks: int

    def __str__(self) -> str:
        return (
            f"{self.value:.5g} [{self.low:.5g}, {self.high:.5g}] at {100 * self.level:g} %, weight {self.weight:.3f}, "
            f"plain average {self.plain:.5g} ({self.n_samples} samples, {self.n_blocks} blocks)"
        )


def prediction_powered_mean(
    y: ArrayLike,
    m_sampled: ArrayLike,
    m_all: ArrayLike,
    blocks: ArrayLike | None = None,
    level: float = 0.9,
    *,
    n_bootstrap: int = 2000,
    random_state: int = 0,
) -> PoweredMean:
    r"""Estimate the mean of y over all frames from samples of y and a forecast of every frame.

    .. math::

        \hat k = \langle y\rangle_S + \lambda (\langle m\rangle_{all} - \langle m\rangle_S), \qquad
        \lambda = \frac{b}{1 + n/N} \Big(1 - \frac{\mathrm{var}(b)}{b^2}\Big)_+, \qquad
        b = \frac{\mathrm{cov}_S(y, m)}{\mathrm{var}_S(m)}

    with var(b) the sampling variance of the slope b between blocks.

    Parameters
    ----------
    y
        True values of the sampled frames, [n].
    m_sampled
        Forecasts of the sampled frames, each by a model that saw neither it nor its neighbours (cross-fitted), [n].
    m_all
        Forecasts of all frames, [N].
    blocks
        Label of each sample's block, [n]; blocks are resampled whole. None: samples are independent.
    level
        Of the interval.
    n_bootstrap, random_state
        Resamples of the blocks (lambda is estimated anew in each), and their seed.

    Returns
    -------
    PoweredMean
        ``.value``, ``.low``, ``.high``, ``.weight``.

    Raises
    ------
    InputError
        If shapes do not fit, a value is not finite, or there are fewer than two samples or blocks.
    ConfigError
        If `level` is not between 0 and 1, or `n_bootstrap` below 100.

    Notes
    -----
    A forecast that does not vary over the samples gets weight 0. <m>_all is taken as known: the mean asked for is that
    over the N frames given.

    Without the last factor (PPI++) a useless forecast of 25 samples of a squared normal raises the variance by 9 %:
    its slope is noise of order n^-1/2. The factor leaves a third of that and costs a good forecast next to nothing.

    At each end the interval is the wider of the studentised block bootstrap's, which follows the skewness of rates
    but is short of tails for few blocks, and Student's t; with fewer than five blocks only the latter, which covers less
    than it promises for skewed rates.

    The factor 1 + n/N is that of N frames apart from the n samples (PPI++); where the samples are among the N, the
    least variance is without it. The loss is (n/N)^2/(1 + n/N)^2 of what the forecast gains, so 1 % at n/N = 1/9.

    References
    ----------
    Angelopoulos et al., Science 2023, 382, 669, doi:10.1126/science.adi6000.
    Angelopoulos, Duchi, Zrnic, *PPI++*, arXiv:2311.01453.
    James, Stein, Proc. 4th Berkeley Symp. 1961, 1, 361 (why a noisy slope is shrunk).
    Hesterberg, Am. Stat. 2015, 69, 371, doi:10.1080/00031305.2015.1089789 (why the bootstrap is studentised).
    """
    if not 0.0 < level < 1.0:
        raise ConfigError(f"Argument `level` must lie between 0 and 1, but is {level}.")
    if n_bootstrap < 100:
        raise ConfigError(f"Argument `n_bootstrap` must be at least 100, but is {n_bootstrap}.")
    truth, sampled, everywhere = (
        _series(name, v) for name, v in (("y", y), ("m_sampled", m_sampled), ("m_all", m_all))
    )
    n = len(truth)
    if len(sampled) != n:
        raise InputError(
            f"Argument `m_sampled` must have one forecast for each of {n} samples, but has {len(sampled)}."
        )
    labels = np.arange(n) if blocks is None else np.asarray(blocks)
    if labels.shape != (n,):
        raise InputError(
            f"Argument `blocks` must have one label for each of {n} samples, but has shape {labels.shape}."
        )
    codes = np.unique(labels, return_inverse=True)[1]
    n_blocks = int(codes.max()) + 1 if n else 0
    if n_blocks < 2:
        raise InputError(
            f"Arguments `y` and `blocks` must hold at least two samples and blocks, but hold {n} and {n_blocks}."
        )

    # Centred sums keep the variance of a large mean exact; a resample is a weighted sum over blocks.
    centre_y, centre_m = truth.mean(), sampled.mean()
    dy, dm = truth - centre_y, sampled - centre_m
    sums = np.stack(
        [np.bincount(codes, weights=w, minlength=n_blocks) for w in (np.ones(n), dy, dm, dy * dm, dm * dm)],
        axis=1,
    )
    sums = np.concatenate([sums, (sums[:, :, None] * sums[:, None, :]).reshape(n_blocks, -1)], axis=1)
    problem = _Problem(
        everywhere.mean() - centre_m,
        1.0 + n / len(everywhere),
        (1e-14 * np.abs(sampled).max()) ** 2,
        n_blocks,
    )
    shift, error, weight = (float(part[0]) for part in problem.estimate(sums.sum(axis=0)[None]))
    tail = 0.5 * (1.0 - level)
    upper, lower = t.ppf([1.0 - tail, tail], n_blocks - 1)
    if n_blocks >= _FEWEST_FOR_BOOTSTRAP:
        shifts, errors, _ = problem.estimate(block_counts(n_blocks, n_bootstrap, random_state) @ sums)
        # A resample of one block alone has no error of its own.
        kept = errors > 1e-6 * error
        if kept.any():
            high, low = np.quantile((shifts[kept] - shift) / errors[kept], [1.0 - tail, tail])
            upper, lower = max(upper, high), min(lower, low)
    value = centre_y + shift
    return PoweredMean(
        value=float(value), low=float(value - error * upper), high=float(value - error * lower), weight=weight,
        plain=float(centre_y), level=level, n_samples=n, n_blocks=n_blocks,
    )  # fmt: skip


_N, _Y, _M, _YM, _MM = range(5)


@dataclass(frozen=True)
class _Problem:
    """Estimate, standard error and weight from sums over blocks, one row a resample.

    Columns of `total`: n, y, m, ym, mm summed over samples; then the 25 products of the blocks' own sums, which give
    variances between blocks of whatever is linear in them.
    """

    offset: float
    ratio: float
    least_variance: float
    n_blocks: int

    def estimate(
        self, total: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        n = total[:, _N]
        mean_y, mean_m = total[:, _Y] / n, total[:, _M] / n
        covariance, variance = total[:, _YM] / n - mean_y * mean_m, total[:, _MM] / n - mean_m**2
        varies = variance > self.least_variance
        slope = np.where(varies, covariance / np.where(varies, variance, 1.0), 0.0)
        # Of the slope: the sum over a block of (m - <m>)(residual of y on m).
        scores = np.stack(
            [
                mean_m * (mean_y - slope * mean_m), -mean_m, 2.0 * slope * mean_m - mean_y, np.ones_like(n), -slope
            ], axis=1,
        )  # fmt: skip
        noise = self._between(total, scores) / np.where(varies, n * variance, 1.0) ** 2
        sure = np.maximum(slope**2 - noise, 0.0)
        weight = np.where(sure > 0.0, sure / np.where(sure > 0.0, slope, 1.0), 0.0) / self.ratio
        centre = mean_y - weight * mean_m
        zero = np.zeros_like(n)
        deviations = np.stack([-centre, np.ones_like(n), -weight, zero, zero], axis=1)
        error = np.sqrt(self._between(total, deviations)) / n
        return centre + weight * self.offset, error, weight

    def _between(self, total: NDArray[np.float64], coefficients: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the variance of a sum over blocks of sum_k c_k s_bk, whose total is zero."""
        products = total[:, 5:].reshape(-1, 5, 5)
        squares = np.einsum("ri,rij,rj->r", coefficients, products, coefficients)
        return np.maximum(squares, 0.0) * (self.n_blocks / (self.n_blocks - 1))


def _series(name: str, values: ArrayLike) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or len(array) == 0:
        raise InputError(
            f"Argument `{name}` must be a series of at least one value, but has shape {array.shape}."
        )
    if not np.isfinite(array).all():
        raise InputError(
            f"Argument `{name}` must be finite, but value {np.flatnonzero(~np.isfinite(array))[0]} is not."
        )
    return array

"""Error bars put to the test: coverage on held-out blocks, and recalibration on blocks disjoint from the test."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm
from sklearn.base import clone

from hopcast.core.errors import ConfigError, InputError
from hopcast.core.estimates import wilson
from hopcast.evaluation.evaluate import Splitter, _checked
from hopcast.evaluation.verdicts import coverage
from hopcast.regression import LaplacianRidge

Floats = NDArray[np.float64]
CalibrationVerdict = Literal["calibrated", "not calibrated", "inconclusive"]

LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
"""Nominal levels at which coverage is counted."""

JUDGED_LEVEL = 0.9
"""The level the verdict is about."""

INNER_BLOCKS = 10
"""Blocks of the training frames whose residuals recalibrate, where the correlation time allows as many."""


@dataclass(frozen=True, eq=False)
class Calibration:
    """Coverage of the posterior's intervals on held-out blocks, as they are and recalibrated.

    Attributes
    ----------
    levels
        Nominal [n_levels].
    coverage
        Share of test frames inside mean +- z sigma [n_levels].
    recalibrated
        The same with sigma times `factors` [n_levels].
    factors
        Median over the folds of the conformal factor on z sigma, [n_levels].
    variance_scale
        Mean over the folds of <r^2 / sigma^2> over the inner blocks: 1 for honest variances.
    n_test
        Test frames.
    n_effective
        Test frames that count: tested time over the correlation time, at most `n_test`.
    low, high
        Interval (95 %, Wilson's at `n_effective`) of the recalibrated coverage at 90 %.
    raw_low, raw_high
        Of the coverage as it is.
    """

    levels: Floats
    coverage: Floats
    recalibrated: Floats
    factors: Floats
    variance_scale: float
    n_test: int
    n_effective: float
    low: float
    high: float
    raw_low: float
    raw_high: float

    @property
    def verdict(self) -> CalibrationVerdict:
        """Of the recalibrated intervals at 90 %, see `hopcast.evaluation.verdicts.coverage`."""
        return coverage(self.low, self.high, JUDGED_LEVEL)

    @property
    def verdict_raw(self) -> CalibrationVerdict:
        """Of the intervals as they are."""
        return coverage(self.raw_low, self.raw_high, JUDGED_LEVEL)

    def __str__(self) -> str:
        at = int(np.argmin(np.abs(self.levels - JUDGED_LEVEL)))
        return (
            f"nominal 90 % intervals cover {100 * self.coverage[at]:.0f} % as they are, "
            f"{100 * self.recalibrated[at]:.0f} % [{100 * self.low:.0f}, {100 * self.high:.0f}] recalibrated "
            f"({self.n_test} frames, {self.n_effective:.0f} independent): {self.verdict}"
        )


def coverage_interval(coverage: float, n_effective: float) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a share seen in `n_effective` (not necessarily whole) independent trials."""
    low, high = wilson(coverage * n_effective, n_effective)
    return float(low), float(high)


def conformal_factors(scores: Floats, levels: Floats, n_effective: float | None = None) -> Floats:
    """Return the factor on z sigma that makes intervals of each level cover as the calibration blocks ask.

    Parameters
    ----------
    scores
        ``|residual| / sigma`` on the calibration blocks, [n].
    levels
        Nominal, [n_levels].
    n_effective
        How many of the scores are independent; the split-conformal rank ceil((n + 1) level) is taken with it. None: all.
    """
    n = float(len(scores)) if n_effective is None else max(1.0, min(n_effective, float(len(scores))))
    shares = np.minimum(levels * (n + 1) / n, 1.0)
    return np.quantile(scores, shares) / norm.ppf(0.5 + 0.5 * levels)


def calibrate(
    model: LaplacianRidge,
    X: ArrayLike,
    y: ArrayLike,
    split: Splitter,
    timestep: float,
    *,
    correlation_time: float,
    groups: ArrayLike | None = None,
    levels: ArrayLike = LEVELS,
) -> Calibration:
    r"""Count how often the posterior's intervals hold the truth on held-out blocks, before and after recalibration.

    For each fold the model is fitted to its training frames. Blocks of these, at least a correlation time long and
    left out with a correlation time on both sides, give scores ``|r|/sigma`` in closed form from the fold's one
    factorisation (`LaplacianRidge.block_out_forecast`); their conformal quantiles stretch the intervals on the test
    block, which took no part.

    Parameters
    ----------
    model
        Cloned for every fold.
    X, y
        Features [n_frames, n_features] and target [n_frames].
    split
        A `BlockedSplit` (or `TrajectorySplit` with `groups`).
    timestep
        fs between frames.
    correlation_time
        Of the target (or its features, the slower), fs.
    groups
        Trajectory of every frame.
    levels
        Nominal levels.

    Raises
    ------
    InputError
        If shapes do not fit or the split leaves no frames.
    ConfigError
        If a level is not between 0 and 1, or a time is not positive.

    Notes
    -----
    Intervals are those of a measured target: posterior variance plus alpha s2. Frames closer than a correlation time
    are not independent trials, so the interval of the coverage is binomial at tested time / correlation time.

    References
    ----------
    Vovk, Gammerman, Shafer, *Algorithmic Learning in a Random World*, Springer 2005.
    Lei et al., J. Am. Stat. Assoc. 2018, 113, 1094, doi:10.1080/01621459.2017.1307116 (split conformal, scaled).
    """
    nominal = np.asarray(levels, dtype=np.float64)
    if not ((nominal > 0) & (nominal < 1)).all():
        raise ConfigError(f"Argument `levels` must lie between 0 and 1, but is {nominal.tolist()}.")
    if not 0 < timestep < math.inf or not 0 < correlation_time < math.inf:
        raise ConfigError(
            f"Arguments `timestep` and `correlation_time` must be positive times, but are {timestep} and {correlation_time}."
        )
    features, target = _checked(X, y)
    outside = norm.ppf(0.5 + 0.5 * nominal)
    inside, inside_recalibrated, factors, scales = [], [], [], []
    for train, test in split.split(features, target, groups):
        fitted = clone(model).fit(features[train], target[train])
        mean, latent = fitted.predict(features[test], return_std=True)
        sigma = np.sqrt(latent**2 + float(fitted.alpha_) * float(fitted.signal_variance_))
        sigma = np.maximum(sigma, 1e-12 * np.ptp(target))
        scores = inner_scores(fitted, train, timestep, correlation_time)
        spacing = float(np.median(np.diff(train))) * timestep
        factor = conformal_factors(scores, nominal, len(train) * spacing / correlation_time)
        miss = np.abs(target[test] - mean) / sigma
        inside.append(miss[:, None] <= outside)
        inside_recalibrated.append(miss[:, None] <= outside * factor)
        factors.append(factor)
        scales.append(float(np.mean(scores**2)))
    if not inside:
        raise InputError("Argument `split` must give at least one fold, but gives none.")
    raw, better = np.concatenate(inside), np.concatenate(inside_recalibrated)
    n_effective = max(1.0, min(len(raw) * timestep / correlation_time, float(len(raw))))
    judged = int(np.argmin(np.abs(nominal - JUDGED_LEVEL)))
    low, high = coverage_interval(float(better[:, judged].mean()), n_effective)
    raw_low, raw_high = coverage_interval(float(raw[:, judged].mean()), n_effective)
    return Calibration(
        levels=nominal,
        coverage=raw.mean(axis=0),
        recalibrated=better.mean(axis=0),
        factors=np.median(factors, axis=0),
        variance_scale=float(np.mean(scales)),
        n_test=len(raw),
        n_effective=n_effective,
        low=low,
        high=high,
        raw_low=raw_low,
        raw_high=raw_high,
    )


def inner_scores(fitted: LaplacianRidge, train: NDArray[np.intp], timestep: float, correlation_time: float) -> Floats:
    """Return |residual| / sigma of a fitted model on blocks of its own training frames, each left out with a margin.

    Blocks are at least a correlation time long and at most `INNER_BLOCKS` in number; the margin is a correlation
    time, or less where that would leave under a third of the frames.
    """
    n = len(train)
    spacing = float(np.median(np.diff(train))) * timestep if n > 1 else timestep
    memory = max(1, math.ceil(correlation_time / spacing))
    length = min(max(memory, math.ceil(n / INNER_BLOCKS)), math.ceil(n / 2))
    purge = max(0, min(memory, (n - length - n // 3) // 2))
    residuals, sigma = fitted.block_out_forecast(block_length=length, purge=purge)
    return np.asarray(np.abs(residuals) / np.maximum(sigma, 1e-300), dtype=np.float64)


def leave_one_out_scale(fitted: Any) -> float:
    """Return <r^2 / sigma^2> of the training frames, each left out alone: what the variance between them misses.

    The factor on the posterior variance of a series whose frames lie between training frames. 1 for an honest one;
    the Laplacian kernel, whose sample paths are rough, gives much less on a smooth series.
    """
    residuals, sigma = fitted.block_out_forecast(block_length=1)
    return float(np.mean((residuals / np.maximum(sigma, 1e-300)) ** 2))

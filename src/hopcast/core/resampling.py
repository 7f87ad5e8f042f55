"""Resampling of series and of stretches of time: one block bootstrap, and the intervals of its draws."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from hopcast.core.estimates import Interval


@dataclass(frozen=True, eq=False)
class BlockDraws:
    r"""Bootstrap draws of means, each with what its own blocks say of its error.

    Attributes
    ----------
    means
        Of each row [n_draws, n_rows].
    errors
        Standard error of the logarithm of the first mean (of two rows: of their ratio) in each draw [n_draws]: the spread
        of :math:`b_1/\bar b_1 - b_2/\bar b_2` over the blocks of the draw.
    error
        The same of the series itself, from all of its blocks.
    """

    means: NDArray[np.float64]
    errors: NDArray[np.float64]
    error: float


def block_bootstrap(
    rows: NDArray[np.float64], block: int, n_draws: int = 2000, random_state: int = 0
) -> BlockDraws:
    """Return bootstrap draws of the mean of each row, all rows cut into the same blocks.

    Blocks start anywhere and wrap around the end (the trajectory is looped), so every value weighs the same and the
    draws centre on the sample mean.

    Parameters
    ----------
    rows
        [n_rows, n]; errors are those of the first, or of the ratio of two.
    block
        Length of a block in values.
    n_draws
        Number of draws.
    random_state
        Seed.

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
    means, errors = np.empty((n_draws, len(rows))), np.empty(n_draws)
    for start in range(0, n_draws, 100):  # bounds the memory for long series
        starts = rng.integers(0, n, size=(min(100, n_draws - start), n_blocks))
        drawn = block_means[:, starts]
        means[start : start + 100] = drawn.mean(axis=2).T
        errors[start : start + 100] = _log_spread(drawn) / np.sqrt(n_blocks)
    return BlockDraws(means, errors, float(_log_spread(block_means) / np.sqrt(n / block)))


def block_counts(n_blocks: int, n_draws: int, random_state: int = 0) -> NDArray[np.float64]:
    """Return how often each of some labelled blocks is in each draw of as many of them, [n_draws, n_blocks].

    Sums over blocks times these counts are the sums of the resampled data.
    """
    rng = np.random.default_rng(random_state)
    picks = rng.integers(n_blocks, size=(n_draws, n_blocks)) + n_blocks * np.arange(n_draws)[:, None]
    counts = np.bincount(picks.ravel(), minlength=n_draws * n_blocks).reshape(n_draws, n_blocks)
    return counts.astype(np.float64)


def _log_spread(blocks: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the spread of the logarithm of the first row's mean over that of the second's, block by block (last axis)."""
    means = blocks.mean(axis=-1, keepdims=True)
    relative = np.divide(blocks, means, out=np.ones_like(blocks), where=means != 0)
    change = relative[0] - relative[1] if len(blocks) == 2 else relative[0]
    return np.asarray(change.std(axis=-1))


def memory_widening(series: NDArray[np.float64], block: int) -> float:
    r"""Return by how much wider an interval has to be because blocks cut the memory of a series short.

    The variance that blocks of length `L` show, :math:`V_L = L\,\mathrm{Var}(\text{block mean})`, misses what reaches over their ends:
    :math:`V_L \approx V_\infty(1 - c/L)`. Two lengths give :math:`V_\infty = 2V_{2L} - V_L`; the width goes with its root. Never
    below one, at most two: the larger blocks are few.

    Parameters
    ----------
    series
        [n].
    block
        Length of a block in values; 1 is returned where two larger ones do not fit.

    References
    ----------
    D. N. Politis, J. P. Romano, J. Time Ser. Anal. 1995, 16, 67, 10.1111/j.1467-9892.1995.tb00223.x (such differences of two
    lengths are their flat-top windows).
    """
    n = series.size
    if block < 1 or 4 * block > n:
        return 1.0
    sums = np.cumsum(np.concatenate([[0.0], series, series[: 2 * block]]))
    short, long = (
        float(np.var(sums[length : length + n] - sums[:n])) / length for length in (block, 2 * block)
    )
    return float(np.sqrt(np.clip(2.0 * long / short - 1.0, 1.0, 4.0))) if short > 0 else 1.0


def draws_interval(
    value: float, draws: NDArray[np.float64], n_blocks: float, level: float = 0.95, widening: float = 1.0
) -> Interval:
    r"""Return the interval of a positive number from bootstrap draws of `n_blocks` blocks.

    Quantiles on the logarithmic scale, widened by :math:`t_{n-1}/z\cdot\sqrt{n/(n-1)}` because the spread itself is
    known from few blocks.

    Parameters
    ----------
    value
        The estimate.
    draws
        Bootstrap draws of it [n_draws].
    n_blocks
        Number of blocks in the series.
    level
        Coverage asked for.
    widening
        Further factor of the width, e.g. `memory_widening`.
    """
    n = max(float(n_blocks), 2.0)
    tail = 0.5 * (1.0 - level)
    widen = widening * float(stats.t.ppf(1 - tail, n - 1) / stats.norm.ppf(1 - tail) * np.sqrt(n / (n - 1)))
    if value <= 0 or not (draws > 0).all():
        low, high = value + widen * (np.quantile(draws, [tail, 1 - tail]) - value)
        return Interval(float(low), float(high))
    low, high = np.log(value) + widen * (np.quantile(np.log(draws), [tail, 1 - tail]) - np.log(value))
    return Interval(float(np.exp(low)), float(np.exp(high)))


def studentised_interval(
    value: float,
    draws: NDArray[np.float64],
    errors: NDArray[np.float64],
    error: float,
    n_blocks: float,
    level: float = 0.95,
    widening: float = 1.0,
) -> Interval:
    r"""Return the interval of a positive number from bootstrap draws that know their own errors.

    On the logarithmic scale, with :math:`s` the standard error there (times `widening` and :math:`\sqrt{n/(n-1)}`), each end is the wider of
    Student's :math:`\pm t_{n-1}s` and the studentised bootstrap's :math:`-q\,s`, `q` a quantile of
    :math:`(\ln\hat k^*-\ln\hat k)/s^*`: a draw that missed the rare high values has both a low mean and a small error, and the
    quantiles of such draws know it.

    Parameters
    ----------
    value
        The estimate.
    draws, errors
        Bootstrap draws of it and the standard errors of their logarithms [n_draws].
    error
        Standard error of the logarithm of the estimate.
    n_blocks, level, widening
        As in `draws_interval`.

    References
    ----------
    P. Hall, The Bootstrap and Edgeworth Expansion, Springer 1992, 10.1007/978-1-4612-4384-7, chapter 3.
    """
    n = max(float(n_blocks), 2.0)
    tail = 0.5 * (1.0 - level)
    s = error * widening * float(np.sqrt(n / (n - 1)))
    change = np.log(draws) - np.log(value)
    scores = np.divide(change, errors, out=np.zeros_like(change), where=errors > 0)
    low_score, high_score = np.quantile(scores, [tail, 1 - tail])
    t = float(stats.t.ppf(1 - tail, n - 1))
    return Interval(
        float(value * np.exp(-s * max(t, high_score))), float(value * np.exp(s * max(t, -low_score)))
    )

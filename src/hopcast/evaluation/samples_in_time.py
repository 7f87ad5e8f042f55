"""Samples along one trajectory: how much neighbours share, and what that does to means along it and in the long run."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hopcast.core.resampling import MIN_BLOCKS, cut_into_blocks, memory_widening
from hopcast.information.ksg import normal_scores

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Memory:
    """How much samples next to each other in time share: correlation (1 - nugget) rho^k of samples k apart."""

    rho: float
    nugget: float

    @classmethod
    def of(cls, values: Floats, *, significant: bool = True, cautious: bool = False, noisy: bool = True) -> Memory:
        """Estimate it, corrected for the bias of short series.

        Parameters
        ----------
        values
            In the order of time [n].
        significant
            None where it is not significant at 5 %.
        cautious
            Low rather than high, for what memory makes better.
        noisy
            Whether part of each value may be its own (a nugget).
        """
        n = len(values)
        away = values - values.mean()
        squares = float(away @ away)
        if n < 4 or squares == 0:
            return cls(0.0, 0.0)
        first = float(away[1:] @ away[:-1]) / squares
        corrected = min(first + (1.0 + 3.0 * first) / n, 0.98)
        if corrected <= 0 or (significant and first < 1.645 / np.sqrt(n)):
            return cls(0.0, 0.0)
        if not noisy:
            return cls(corrected, 0.0)
        second = float(away[2:] @ away[:-2]) / squares
        kept = (
            corrected if second <= 0 else min(1.0, max(corrected, corrected**2 / max(second + 5.0 / n, corrected**2)))
        )
        rho = min(corrected / kept, 0.98)
        return cls(rho if not cautious else max(min(rho, first / kept), 1e-6), 1.0 - kept)

    @classmethod
    def in_the_long_run(cls, values: Floats) -> Memory:
        """Estimate what counts for a mean in the long run: the longer of the memories of the values and of their normal scores."""
        scores = normal_scores(values[:, None])[:, 0]
        return max(cls.of(values, significant=False), cls.of(scores, noisy=False), key=lambda one: one.inefficiency)

    @property
    def inefficiency(self) -> float:
        """By how much the variance of a long-run mean exceeds that of independent samples."""
        return 1.0 + 2.0 * (1.0 - self.nugget) * self.rho / (1.0 - self.rho)

    def shrinkage(self, n: int) -> float:
        """By how much the variance within a sample falls short of the process's, inverted."""
        return 1.0 / max(1.0 - self.inefficiency / n, 0.25)


def long_run_variance(series: Floats) -> float:
    """Return the variance of the mean of a dense series about that of ever longer ones, by ten blocks."""
    block = max(1, len(series) // MIN_BLOCKS)
    means = cut_into_blocks(series, min(MIN_BLOCKS, len(series)))[0]
    return float(means.var(ddof=1)) / len(means) * memory_widening(series, block) ** 2 if len(means) > 1 else 0.0


def sampled_share(memory: Memory, at: NDArray[np.intp], n_all: int) -> float:
    """Return var(mean of samples - mean of all frames) over var(mean of independent samples), for samples at frames."""
    n = len(at)
    if memory.rho <= 0:
        return 1.0 - n / n_all
    spacing = max((at[-1] - at[0]) / (n - 1), 1.0)
    a = memory.rho ** (1.0 / spacing)
    kept = 1.0 - memory.nugget
    among = 0.0  # sum over pairs of samples
    reach = 0.0
    for step in np.diff(at):
        reach = a**step * (reach + 1.0)
        among += reach
    to_all = a * (2.0 - a**at - a ** (n_all - 1 - at)) / (1.0 - a)  # of each sample with all other frames
    within = (n_all - 1) * a / (1.0 - a) - (a / (1.0 - a)) ** 2 * (1.0 - a ** (n_all - 1))
    own = (n + 2.0 * kept * among) / n**2
    cross = (n + kept * float(to_all.sum())) / (n * n_all)
    whole = (n_all + 2.0 * kept * within) / n_all**2
    return float(max(n * (own - 2.0 * cross + whole), 1e-6)) * memory.shrinkage(n)

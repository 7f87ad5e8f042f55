"""A number with its 95 % interval, and the parts the interval is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import stats

PARTS: Final = ("finite_trajectory", "model", "initial_time", "monte_carlo")
"""What makes a lifetime uncertain: few correlation times, the forecast, the start, the sampling."""

TOO_SHORT: Final = "lower bound: trajectory too short"
"""Note of an interval whose bootstrap has fewer than ten blocks."""


@dataclass(frozen=True)
class Interval:
    """A 95 % interval."""

    low: float
    high: float


@dataclass(frozen=True)
class Estimate:
    """A value, its 95 % interval, and what the interval is made of.

    Attributes
    ----------
    value, low, high
        In `unit`.
    unit
        E.g. "ns".
    parts
        Interval of each part alone (see `PARTS`); None where a part was not estimated.
    note
        What limits it, or an empty string.
    """

    value: float
    low: float
    high: float
    unit: str
    parts: Mapping[str, Interval | None] = field(default_factory=dict)
    note: str = ""

    def __str__(self) -> str:
        unit = f" {self.unit}" if self.unit else ""
        note = f" ({self.note})" if self.note else ""
        return f"{self.value:.4g}{unit} [{self.low:.4g}, {self.high:.4g}]{note}"

    @property
    def dominant_part(self) -> str | None:
        """Name of the widest part."""
        widths = {name: part.high - part.low for name, part in self.parts.items() if part is not None}
        return max(widths, key=widths.__getitem__) if widths else None

    def with_part(self, name: str, part: Interval | None) -> Estimate:
        """Return the estimate with a part added or replaced (e.g. "model" by a study), the interval combined anew."""
        return combined(self.value, self.unit, {**self.parts, name: part}, self.note)

    def as_dict(self) -> dict[str, Any]:
        """Return value, interval, unit, parts and note as plain objects; numbers that are not finite become None."""

        def finite(number: float) -> float | None:
            return float(number) if np.isfinite(number) else None

        return {
            "value": finite(self.value),
            "low": finite(self.low),
            "high": finite(self.high),
            "unit": self.unit,
            "parts": {
                name: None if part is None else {"low": finite(part.low), "high": finite(part.high)}
                for name, part in self.parts.items()
            },
            "note": self.note,
        }


def combine_parts(value: float, parts: Mapping[str, Interval | None]) -> Interval:
    r"""Return the interval of all parts together: half-widths added in quadrature, each side for itself.

    :math:`\text{low} = x - \sqrt{\sum_i (x - \text{low}_i)^2}`, and likewise above. The parts are taken as independent
    and small; a part that does not hold the value counts with zero on that side. Parts that are None are left out.

    Parameters
    ----------
    value
        The estimate.
    parts
        Interval of each part, in the same unit.
    """
    known = [part for part in parts.values() if part is not None]
    if not np.isfinite(value):
        return Interval(min((part.low for part in known), default=value), value)
    below = np.sqrt(sum(max(value - part.low, 0.0) ** 2 for part in known))
    above = np.sqrt(sum(max(part.high - value, 0.0) ** 2 for part in known))
    return Interval(float(value - below), float(value + above))


def combined(value: float, unit: str, parts: Mapping[str, Interval | None], note: str = "") -> Estimate:
    """Return an estimate whose interval is made of its parts (`combine_parts`)."""
    whole = combine_parts(value, parts)
    return Estimate(float(value), whole.low, whole.high, unit, dict(parts), note)


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
        Further factor of the width, e.g. `hopcast.dynamics.bootstrap.memory_widening`.
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


def wilson(counts: NDArray[np.int64], total: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the 95 % Wilson interval of fractions `counts` / `total`.

    References
    ----------
    E. B. Wilson, J. Am. Stat. Assoc. 1927, 22, 209, 10.2307/2276774.
    """
    z2 = float(stats.norm.ppf(0.975)) ** 2
    p = counts / total
    centre = (p + z2 / (2 * total)) / (1 + z2 / total)
    half = np.sqrt(z2 * (p * (1 - p) + z2 / (4 * total)) / total) / (1 + z2 / total)
    return np.clip(np.minimum(centre - half, p), 0, 1), np.clip(np.maximum(centre + half, p), 0, 1)

r"""A number with its 95 % interval, and the parts the interval is made of.

A rate, a lifetime, a ratio of rates are positive: the interval of their parts together is combined on the logarithmic
scale, so that it never reaches zero, and a lifetime's is the inverse of its rate's by construction. A slope or an intercept may
have either sign: theirs is combined as it stands.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

from hopcast.core.plain import PlainMap
from hopcast.core.units import time_unit

PARTS: Final = ("finite_trajectory", "model", "initial_time", "monte_carlo")
"""What makes a lifetime uncertain: few correlation times, the forecast, the start, the sampling."""

TOO_SHORT: Final = "interval at least this wide: trajectory too short"
"""Note of an interval from too few correlation times."""

Scale = Literal["linear", "log"]
"""Where the parts of an interval add: as they are, or as logarithms (numbers that are positive)."""


@dataclass(frozen=True)
class Interval:
    """A 95 % interval."""

    low: float
    high: float

    @classmethod
    def around(cls, value: float, relative: float, scale: Scale = "linear") -> Interval:
        """Return the interval of a relative half-width: ``value (1 -+ r)``, or ``value exp(-+r)`` on the log scale."""
        if scale == "log":
            with np.errstate(over="ignore"):  # hardly any event: no upper end
                return cls(float(value * np.exp(-relative)), float(value * np.exp(relative)))
        reach = relative * abs(value)
        return cls(float(value - reach), float(value + reach))


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
    scale
        "log" for a number that is positive (`combine_parts`).
    """

    value: float
    low: float
    high: float
    unit: str
    parts: Mapping[str, Interval | None] = field(default_factory=dict)
    note: str = ""
    scale: Scale = "linear"

    def __str__(self) -> str:
        unit, factor = time_unit(self.value) if self.unit == "ns" and np.isfinite(self.value) else (self.unit, 1.0)
        value, low, high = (factor * number for number in (self.value, self.low, self.high))
        note = f" ({self.note})" if self.note else ""
        return f"{value:.4g}{f' {unit}' if unit else ''} [{low:.4g}, {high:.4g}]{note}"

    @property
    def dominant_part(self) -> str | None:
        """Name of the widest part."""
        widths = {name: part.high - part.low for name, part in self.parts.items() if part is not None}
        return max(widths, key=widths.__getitem__) if widths else None

    def with_part(self, name: str, part: Interval | None) -> Estimate:
        """Return the estimate with a part added or replaced (e.g. "model" by a study), the interval combined anew."""
        return combined(self.value, self.unit, {**self.parts, name: part}, self.note, self.scale)

    def with_relative_part(self, name: str, relative: float) -> Estimate:
        """Return the estimate with a part of a relative half-width (`Interval.around`)."""
        return self.with_part(name, Interval.around(self.value, relative, self.scale))

    def times(self, factor: float, unit: str) -> Estimate:
        """Return the estimate times a positive factor that is known exactly, in another unit."""
        return self._changed(lambda at: Interval(factor * at.low, factor * at.high), factor * self.value, unit)

    def inverse(self, unit: str) -> Estimate:
        """Return one over a positive estimate, with every interval inverted: of a rate the lifetime."""
        return self._changed(lambda at: Interval(_inverse(at.high), _inverse(at.low)), _inverse(self.value), unit)

    def _changed(self, change: Callable[[Interval], Interval], value: float, unit: str) -> Estimate:
        whole = change(Interval(self.low, self.high))
        parts = {name: None if part is None else change(part) for name, part in self.parts.items()}
        return replace(self, value=value, low=whole.low, high=whole.high, unit=unit, parts=parts)

    def as_dict(self) -> PlainMap:
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


def combine_parts(value: float, parts: Mapping[str, Interval | None], scale: Scale = "linear") -> Interval:
    r"""Return the interval of all parts together: half-widths added in quadrature, each side for itself.

    :math:`\text{low} = x - \sqrt{\sum_i (x - \text{low}_i)^2}`, and likewise above; on the log scale the same of :math:`\ln x`. The
    parts are taken as independent; a part that does not hold the value counts with zero on that side. Parts that are None are
    left out.

    On the log scale a part that reaches down to zero takes the whole interval there. A value of zero (nothing was seen to happen)
    has the upper ends alone, added in quadrature, and an infinite one their inverses.

    Parameters
    ----------
    value
        The estimate.
    parts
        Interval of each part, in the same unit.
    scale
        "log" for a number that cannot be negative.
    """
    known = [part for part in parts.values() if part is not None]
    if scale == "log" and value > 0:
        if np.isinf(value):
            inverse = float(np.sqrt(sum(_inverse(part.low) ** 2 for part in known)))
            return Interval(_inverse(inverse) if known else value, value)
        with np.errstate(divide="ignore", over="ignore"):
            ends = [(np.log(max(part.low, 0.0) / value), np.log(max(part.high, 0.0) / value)) for part in known]
            below = np.sqrt(sum(min(low, 0.0) ** 2 for low, _ in ends))
            above = np.sqrt(sum(max(high, 0.0) ** 2 for _, high in ends))
            return Interval(float(value * np.exp(-below)), float(value * np.exp(above)))
    if not np.isfinite(value):
        return Interval(min((part.low for part in known), default=value), value)
    below = np.sqrt(sum(max(value - part.low, 0.0) ** 2 for part in known))
    above = np.sqrt(sum(max(part.high - value, 0.0) ** 2 for part in known))
    low = float(value - below)
    return Interval(max(low, 0.0) if scale == "log" else low, float(value + above))


def combined(
    value: float, unit: str, parts: Mapping[str, Interval | None], note: str = "", scale: Scale = "linear"
) -> Estimate:
    """Return an estimate whose interval is made of its parts (`combine_parts`)."""
    whole = combine_parts(value, parts, scale)
    return Estimate(float(value), whole.low, whole.high, unit, dict(parts), note, scale)


def wilson(counts: ArrayLike, total: float, level: float = 0.95) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the Wilson interval of fractions `counts` / `total`; neither need be whole (effective numbers).

    References
    ----------
    E. B. Wilson, J. Am. Stat. Assoc. 1927, 22, 209, 10.2307/2276774.
    """
    z2 = float(ndtri(0.5 + 0.5 * level)) ** 2
    p = np.asarray(counts, dtype=np.float64) / total
    centre = (p + z2 / (2 * total)) / (1 + z2 / total)
    half = np.sqrt(z2 * (p * (1 - p) + z2 / (4 * total)) / total) / (1 + z2 / total)
    return np.clip(np.minimum(centre - half, p), 0, 1), np.clip(np.maximum(centre + half, p), 0, 1)


def _inverse(number: float) -> float:
    return float(1.0 / number) if number > 0 else float("inf")

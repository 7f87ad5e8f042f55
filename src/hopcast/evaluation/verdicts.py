"""What numbers allow to be said: one definition of *useful*, *calibrated* and *agrees*, with every threshold and its reason.

- `CALENDAR_MARGIN`: a model is *useful* only if the part of the variance it leaves unexplained is at least 10 %
  smaller than that of every interpolation in time from the same training frames, and smaller than the same
  model's on 97.5 % of the circular shifts of its features. (R² differences shrink as everything nears 1; the
  unexplained part does not.)
- `FEWEST_SHIFTS`: 97.5 % of fewer than 19 shifts is the best of them, which a model that knows nothing passes too often.
- `MIN_CORRELATION_TIMES`: a score on held-out blocks, or the absence of information, is a statement about the
  material only if the trajectory holds at least 30 correlation times; below, it is *inconclusive*, and the
  verdict says how long the trajectory should be.
- `MIN_BLOCKS` (of `hopcast.core.resampling`): an interval over a finite trajectory from fewer than 10 blocks is a lower bound, so neither
  agreement nor difference of rates is claimed from it.
- `WIDEST_AGREEMENT`: rates *agree* only within an interval whose ends are less than a factor of 4 apart (2 either
  way, the size of the disagreements that the method is tested for); a wider one that holds 1 is *inconclusive*.
- `WIDEST_COVERAGE`: error bars are *calibrated* only where the interval of their coverage is narrower than 25 points.
- `SIGNIFICANCE`: 5 % for information above its shifted null (adjusted for several tests where that is given).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import ArrayLike

from hopcast.core.resampling import MIN_BLOCKS

CALENDAR_MARGIN: Final = 0.10
FEWEST_SHIFTS: Final = 19
MIN_CORRELATION_TIMES: Final = 30
WIDEST_AGREEMENT: Final = 4.0
WIDEST_COVERAGE: Final = 0.25
SIGNIFICANCE: Final = 0.05

Usefulness = Literal["useful", "not useful", "inconclusive"]
Label = Literal[
    "useful",
    "not useful",
    "inconclusive",
    "significant",
    "not significant",
    "agrees",
    "differs",
    "passed",
    "failed",
    "survives",
    "does not survive",
    "not reproduced",
    "calibrated",
    "not calibrated",
]


@dataclass(frozen=True)
class Verdict:
    """A label for machines and a sentence for people."""

    label: Label
    sentence: str


def beats(r2: float, rival: float) -> bool:
    """Whether a score leaves at least `CALENDAR_MARGIN` less of the variance than a rival's."""
    return r2 > rival and (1 - r2) <= (1 - CALENDAR_MARGIN) * (1 - rival)


def usefulness(r2: float, rivals: Iterable[float], shifted: ArrayLike) -> Usefulness:
    """Judge a score beside those of the mean and of interpolations in time, and of the same model on shifted features.

    Parameters
    ----------
    r2
        Of the model.
    rivals
        R2 of what knows no geometry.
    shifted
        R2 on features of other times [n_shifts].
    """
    control = np.asarray(shifted, dtype=np.float64)
    if not all(beats(r2, rival) for rival in rivals):
        return "not useful"
    if control.size and r2 <= np.quantile(control, 0.975):
        return "not useful"
    return "useful" if control.size >= FEWEST_SHIFTS else "inconclusive"


def agreement(low: float, high: float, n_blocks: int | None) -> Literal["agrees", "differs", "inconclusive"]:
    """Judge a ratio of rates by its 95 % interval and the blocks of trajectory behind it."""
    if n_blocks is None or n_blocks < MIN_BLOCKS:
        return "inconclusive"
    if not low <= 1 <= high:
        return "differs"
    return "inconclusive" if high > WIDEST_AGREEMENT * max(low, 0.0) else "agrees"


def surely_above(value: float, low: float, other: float, other_high: float) -> bool:
    """Whether a value exceeds another by more than their 95 % intervals leave open, taken as independent."""
    return value - other > math.hypot(max(value - low, 0.0), max(other_high - other, 0.0))


def surely_off(low: float, high: float) -> bool:
    """Whether the 95 % interval of a ratio of rates excludes 1."""
    return not low <= 1 <= high


def coverage(low: float, high: float, level: float = 0.9) -> Literal["calibrated", "not calibrated", "inconclusive"]:
    """Judge intervals of a nominal level by the interval of the share they hold."""
    if not low <= level <= high:
        return "not calibrated"
    return "calibrated" if high - low < WIDEST_COVERAGE else "inconclusive"


def shown_r2(value: float) -> str:
    """Return R² with two digits of what is missing to 1 (``0.820``, ``0.9952``, ``0.99962``, ``−3.14``)."""
    if value <= -1:
        return (f"{value:.2f}" if value > -10 else f"{value:.3g}").replace("-", "−")
    decimals = 6 if value > 1 - 1e-6 else math.ceil(-math.log10(1 - value)) + 1
    text = f"{value:.{min(max(decimals, 3), 6)}f}"
    return (text.removeprefix("-") if float(text) == 0 else text).replace("-", "−")


def shown_length(femtoseconds: float) -> str:
    """Return a duration in words a reader of trajectories uses (``"640 fs"``, ``"23 ps"``, ``"1.2 ns"``)."""
    for factor, unit in ((1e6, "ns"), (1e3, "ps")):
        if femtoseconds >= 0.9995 * factor:
            return f"{femtoseconds / factor:.3g} {unit}"
    return f"{femtoseconds:.3g} fs"

"""`Verdict` and `Diagnosis`: what a check found, with evidence and the fix."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hopcast.core.plain import PlainMap
from hopcast.core.showing import Shown

Level = Literal["good", "warn", "bad", "skipped"]


@dataclass(frozen=True)
class Verdict:
    """The outcome of one check.

    Attributes
    ----------
    name
        Of the check.
    level
        "good", "warn" (look at it), "bad" (a result built on this is wrong), or "skipped" (the data do not allow it).
    finding
        One sentence: what was found.
    fix
        What to do; empty where all is well.
    evidence
        Numbers by name, with the unit in the name.
    frames
        Frames (or steps) concerned, the first twenty.
    """

    name: str
    level: Level
    finding: str
    fix: str = ""
    evidence: dict[str, float] = field(default_factory=dict)
    frames: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False, repr=False)
class Diagnosis(Shown):
    """All verdicts on one data set.

    Attributes
    ----------
    title
        What was looked at.
    verdicts
        One for each check, in the order of the checks.
    series
        Arrays for the figures, by name.
    """

    title: str
    verdicts: tuple[Verdict, ...]
    series: dict[str, NDArray[Any]] = field(default_factory=dict)

    @property
    def is_bad(self) -> bool:
        """Whether some verdict is bad."""
        return any(verdict.level == "bad" for verdict in self.verdicts)

    def named(self) -> tuple[str, ...]:
        """Return the names of the checks that found something."""
        return tuple(verdict.name for verdict in self.verdicts if verdict.level in ("warn", "bad"))

    def to_dict(self) -> PlainMap:
        """Return all verdicts as plain numbers and text."""
        return {"title": self.title, "bad": self.is_bad, "verdicts": [asdict(verdict) for verdict in self.verdicts]}

    def headline(self) -> str:
        """Return how many checks ended how."""
        levels: tuple[Level, ...] = ("bad", "warn", "good", "skipped")
        return ", ".join(f"{sum(v.level == level for v in self.verdicts)} {level}" for level in levels)

    def __str__(self) -> str:
        return self.to_text().rstrip()

    def to_text(self) -> str:
        """Return one page: what was found first, then what is in order."""
        order = {"bad": 0, "warn": 1, "good": 2, "skipped": 3}
        lines = [self.title, ""]
        for verdict in sorted(self.verdicts, key=lambda each: order[each.level]):
            lines.append(f"{verdict.level.upper():<8}{verdict.name}: {verdict.finding}")
            if verdict.level in ("warn", "bad"):
                if verdict.frames:
                    more = " ..." if len(verdict.frames) == MAX_FRAMES else ""
                    lines.append(f"        at {', '.join(str(frame) for frame in verdict.frames)}{more}")
                lines.append(f"        {verdict.fix}")
        return "\n".join([*lines, "", self.headline()]) + "\n"


MAX_FRAMES = 20


def at(frames: NDArray[Any]) -> tuple[int, ...]:
    """Return the first twenty frames of an array of indices."""
    return tuple(int(frame) for frame in np.asarray(frames).ravel()[:MAX_FRAMES])


def robust_scale(values: NDArray[Any]) -> float:
    """Return the standard deviation that a normal distribution of the same median absolute deviation has."""
    finite = values[np.isfinite(values)]
    return float(1.4826 * np.median(np.abs(finite - np.median(finite)))) if finite.size else 0.0


def memory_of(series: NDArray[np.float64]) -> tuple[float, float]:
    """Return the integrated autocorrelation time (in frames, at least a half) and the deviation of what a straight line leaves."""
    times = np.arange(len(series))
    rest = series - np.polyval(np.polyfit(times, series, 1), times)
    power = float((rest * rest).sum())
    memory = 0.5
    for lag in range(1, len(series) // 2):
        value = float((rest[lag:] * rest[:-lag]).sum())
        if value <= 0:
            break
        memory += value / power
    return memory, float(np.sqrt(power / len(series)))

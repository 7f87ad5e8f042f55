"""Small builders for the records of `results.json`: numbers that are finite or null with a reason."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

PARTS = ("finite_trajectory", "model", "initial_time", "monte_carlo")
"""The four parts of an interval, in the order of METHODS: half-widths in the unit of the estimate."""


def number(key: str, value: float | None, reason: str = "") -> dict[str, Any]:
    """Return ``{key: value}``, or ``{key: None, key_reason: reason}`` where the value is missing or not finite.

    Examples
    --------
    >>> number("r2", 0.5)
    {'r2': 0.5}
    >>> number("r2", float("nan"), "no test frames")
    {'r2': None, 'r2_reason': 'no test frames'}
    """
    if value is not None and math.isfinite(value):
        return {key: int(value) if isinstance(value, int) else float(value)}
    return {
        key: None,
        f"{key}_reason": reason or ("not computed" if value is None else f"the result was {value}"),
    }


def estimate(
    value: float | None,
    low: float | None = None,
    high: float | None = None,
    *,
    unit: str,
    parts: Mapping[str, float | None] | None = None,
    reasons: Mapping[str, str] | None = None,
    note: str = "",
    level: float = 0.95,
) -> dict[str, Any]:
    """Return the record of a number with its interval and the four parts of it.

    Parameters
    ----------
    value, low, high
        Best value and ends of the interval, in `unit`; None or not finite becomes null with a reason.
    unit
        ``"1/ns"``, ``"ns"``, ``"1"`` for a pure number.
    parts
        Half-widths by the names in `PARTS`; a name left out becomes null.
    reasons
        Why a number is null, by ``"value"``, ``"low"``, ``"high"`` (``"interval"`` for both) or a part's name.
    note
        What a reader has to know, e.g. ``"lower bound: trajectory too short"``.
    level
        Level of the interval.

    Examples
    --------
    >>> estimate(2.0, 1.5, 2.5, unit="ns", parts={"finite_trajectory": 0.5})["parts"]["finite_trajectory"]
    0.5
    """
    why = dict(reasons or {})
    interval = why.get("interval", "no interval was computed")
    given = dict(parts or {})
    return {
        **number("value", value, why.get("value", "")),
        **number("low", low, why.get("low", interval)),
        **number("high", high, why.get("high", interval)),
        "unit": unit,
        "level": level,
        "parts": {
            key: item
            for part in PARTS
            for key, item in number(part, given.get(part), why.get(part, "not part of this estimate")).items()
        },
        "note": note,
    }

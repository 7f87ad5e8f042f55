"""From a record to a cell of a table: its number or text, or why there is none."""

from __future__ import annotations

from collections.abc import Iterable

from hopcast.core.units import time_unit
from hopcast.report.table import Cell, Column
from hopcast.results.record import EstimateRecord, Judged, Record


def cell(record: Record | None, key: str, scale: float = 1.0) -> Cell:
    """Return a field of a record."""
    if record is None:
        return Cell(None, reason="not scored")
    value = getattr(record, key)
    if value is None:
        return Cell(None, reason=record.reasons.get(key, ""))
    return Cell(value if isinstance(value, str) else value * scale)


def cell_with_interval(record: Record, key: str) -> Cell:
    """Return a field with the ends of its interval, ``<key>_low`` and ``<key>_high``."""
    found = cell(record, key)
    return Cell(found.value, getattr(record, f"{key}_low"), getattr(record, f"{key}_high"), found.reason)


def estimate_cell(record: EstimateRecord | None, scale: float = 1.0) -> Cell:
    """Return an estimate with its interval."""
    if record is None:
        return Cell(None, reason="not computed")
    if record.value is None:
        return Cell(None, reason=record.reasons["value"])
    low, high = (None if end is None else scale * end for end in (record.low, record.high))
    return Cell(scale * record.value, low, high)


def lifetime_column(
    estimates: Iterable[EstimateRecord | None], label: str = "Lifetime", key: str = "lifetime"
) -> Column:
    """Return a column of lifetimes, ns in a file, shown in the unit that suits their typical size: none is 0.000026 ns."""
    return Column(key, label, "ns", "interval", display=typical_unit(estimates))


def typical_unit(estimates: Iterable[EstimateRecord | None]) -> tuple[str, float]:
    """Return the unit that suits the typical one of times in ns, and its factor."""
    values = sorted(one.value for one in estimates if one is not None and one.value is not None and one.value > 0)
    return time_unit(values[len(values) // 2]) if values else ("ns", 1.0)


def verdict_cell(record: Judged) -> Cell:
    """Return the label of a verdict."""
    return Cell(None, reason="") if record.label is None else Cell(record.label, tone=record.label)

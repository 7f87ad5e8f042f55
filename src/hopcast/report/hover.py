"""The values behind the lines of a figure, for the script of the page: where each point stands in the SVG, and what it says.

A line takes part if it has a label. Numbers are formatted by the axes (`fmt_xdata`, `fmt_ydata`, where a figure sets them), so an
axis of log(1 - R2) says R2. A line of a single point is a mark of its own: its label is all it says.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from hopcast.core.spreading import spread

_MOST_POINTS = 160


@dataclass(frozen=True)
class Curve:
    """A line: name, colour, places of its points in the SVG and their values as text."""

    name: str
    colour: str
    x: list[float]
    y: list[float]
    at: list[str]
    values: list[str]


@dataclass(frozen=True)
class Panel:
    """Axes: their box in the SVG (left, top, right, bottom), their labels, their lines."""

    box: tuple[float, float, float, float]
    x_label: str
    y_label: str
    curves: list[Curve]


def curve_values(figure: Figure) -> list[Panel]:
    """Return the labelled lines of a figure, panel by panel; coordinates in points from the upper left, as in its SVG."""
    height = 72 * float(figure.get_size_inches()[1])
    to_points = 72 / figure.dpi
    panels = []
    for ax in figure.axes:
        curves = [found for line in ax.lines if (found := _curve(ax, line, height, to_points)) is not None]
        if curves:
            box = ax.bbox
            corners = (box.x0 * to_points, height - box.y1 * to_points, box.x1 * to_points, height - box.y0 * to_points)
            left, top, right, bottom = (round(corner, 1) for corner in corners)
            panels.append(Panel((left, top, right, bottom), ax.get_xlabel(), ax.get_ylabel(), curves))
    return panels


def _curve(ax: Axes, line: Line2D, height: float, to_points: float) -> Curve | None:
    name = str(line.get_label())
    if name.startswith("_") or not name:
        return None
    points = np.asarray(line.get_xydata(), dtype=np.float64)
    places = ax.transData.transform(points)
    kept = np.flatnonzero(np.isfinite(points).all(axis=1) & np.isfinite(places).all(axis=1))
    if not kept.size:
        return None
    kept = kept[spread(len(kept), _MOST_POINTS)]
    mark = line.get_markerfacecolor() if line.get_linestyle() == "None" else line.get_color()
    return Curve(
        name,
        to_hex(line.get_markeredgecolor() if str(mark) in ("none", "white") else mark),
        [round(float(x) * to_points, 1) for x in places[kept, 0]],
        [round(height - float(y) * to_points, 1) for y in places[kept, 1]],
        [_said(ax.fmt_xdata, x) for x in points[kept, 0]],
        [_said(ax.fmt_ydata, y) for y in points[kept, 1]],
    )


def _said(formatter: object, value: float) -> str:
    if callable(formatter):
        return str(formatter(value))
    digits = 0 if value == 0 else max(3 - math.floor(math.log10(abs(value))), 0)
    text = f"{value:.4g}" if digits > 6 or abs(value) >= 1e6 else f"{value:.{digits}f}"
    if "." in text and "e" not in text:
        text = text.rstrip("0").rstrip(".")
    return text.replace("-", "\N{MINUS SIGN}")


def to_attribute(panels: list[Panel]) -> str:
    """Return panels as JSON (empty where there are none)."""
    return json.dumps([asdict(panel) for panel in panels], ensure_ascii=False, separators=(",", ":")) if panels else ""

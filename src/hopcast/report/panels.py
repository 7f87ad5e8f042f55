"""Where a figure of several panels may be cut, so that a phone stacks what a desktop shows side by side."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

from matplotlib.artist import Artist
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

_TOUCHING = 4.0  # points by which neighbouring columns may overlap


class Cut(NamedTuple):
    """A part of a figure in points from the upper left: `viewBox` of an SVG."""

    left: float
    top: float
    width: float
    height: float


def cuts_of(figure: Figure) -> list[Cut]:
    """Return the parts of a figure in the order a narrow page stacks them: what spans the top, the columns, what spans the bottom.

    Empty where the panels stand in one column, or overlap.
    """
    renderer = FigureCanvasAgg(figure).get_renderer()  # type: ignore[no-untyped-call]
    scale = 72 / figure.dpi
    width, height = (72 * float(side) for side in figure.get_size_inches())

    def extent(artist: Artist) -> tuple[float, float, float, float] | None:
        box = artist.get_tightbbox(renderer)
        if box is None or box.width == 0:
            return None
        return box.x0 * scale, height - box.y1 * scale, box.x1 * scale, height - box.y0 * scale

    boxes = sorted(found for ax in figure.axes if (found := extent(ax)) is not None)
    columns: list[list[float]] = []
    for left, _, right, _ in boxes:
        if columns and left < columns[-1][1] - _TOUCHING:
            columns[-1][1] = max(columns[-1][1], right)
        else:
            columns.append([left, right])
    if len(columns) < 2:
        return []
    spanning = [
        found
        for artist in (*figure.legends, *figure.texts, figure._supxlabel, figure._suptitle)  # type: ignore[attr-defined]
        if artist is not None
        and (found := extent(artist)) is not None
        and sum(left < found[2] - _TOUCHING and found[0] + _TOUCHING < right for left, right in columns) > 1
    ]
    top = max((box[3] for box in spanning if box[3] < height / 2), default=0.0)
    bottom = min((box[1] for box in spanning if box[1] > height / 2), default=height)
    edges = [0.0, *((left[1] + right[0]) / 2 for left, right in pairwise(columns)), width]
    parts = [Cut(0.0, 0.0, width, top)] if top else []
    parts += [Cut(left, top, right - left, bottom - top) for left, right in pairwise(edges)]
    if bottom < height:
        parts.append(Cut(0.0, bottom, width, height - bottom))
    return [Cut(*(round(value, 1) for value in part)) for part in parts]

"""Where a figure of several panels may be cut, so that a phone stacks what a desktop shows side by side."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import NamedTuple

from matplotlib.artist import Artist
from matplotlib.backends.backend_svg import RendererSVG
from matplotlib.figure import Figure
from matplotlib.legend import Legend

_TOUCHING = 4.0  # points by which neighbouring columns may overlap
_NARROW = 230.0  # points that a phone shows at the size of its own text
_AIR = 3.0

Box = tuple[float, float, float, float]
Extent = Callable[[Artist], Box | None]


class Cut(NamedTuple):
    """A part of a figure in points from the upper left: `viewBox` of an SVG."""

    left: float
    top: float
    width: float
    height: float


def cuts_of(figure: Figure) -> list[Cut]:
    """Return the parts of a figure in the order a narrow page stacks them: what spans the top, the columns, what spans the bottom.

    What spans several columns is cut between the entries of its legend, so that each piece can be read. Empty where the panels stand in one column, or overlap.
    """
    with _laid_out(figure) as extent:
        return _cuts(figure, extent)


@contextmanager
def _laid_out(figure: Figure) -> Iterator[Extent]:
    """Give the function that says where an artist lies (points, left, top, right, bottom) in the SVG of a figure, whose texts are wider than on screen."""
    width, height = (72 * float(side) for side in figure.get_size_inches())
    dpi = figure.dpi
    figure.dpi = 72
    renderer = RendererSVG(width, height, io.StringIO())  # type: ignore[no-untyped-call]

    def extent(artist: Artist) -> Box | None:
        box = artist.get_tightbbox(renderer)
        if box is None or box.width == 0:
            return None
        return float(box.x0), height - float(box.y1), float(box.x1), height - float(box.y0)

    try:
        figure.draw(renderer)  # entries of legends find their places when they are drawn
        yield extent
    finally:
        figure.dpi = dpi


def _cuts(figure: Figure, extent: Extent) -> list[Cut]:
    width, height = (72 * float(side) for side in figure.get_size_inches())
    boxes = sorted(found for ax in figure.axes if (found := extent(ax)) is not None)
    columns: list[list[float]] = []
    for left, _, right, _ in boxes:
        if columns and left < columns[-1][1] - _TOUCHING:
            columns[-1][1] = max(columns[-1][1], right)
        else:
            columns.append([left, right])
    if len(columns) < 2:
        return []
    spanning: list[tuple[Artist, Box]] = [
        (artist, found)
        for artist in (*figure.legends, *figure.texts, figure._supxlabel, figure._suptitle)  # type: ignore[attr-defined]
        if artist is not None
        and (found := extent(artist)) is not None
        and sum(left < found[2] - _TOUCHING and found[0] + _TOUCHING < right for left, right in columns) > 1
    ]
    over = [(artist, box) for artist, box in spanning if box[3] < height / 2]
    under = [(artist, box) for artist, box in spanning if box[1] > height / 2]
    top = max((box[3] for _, box in over), default=0.0)
    bottom = min((box[1] for _, box in under), default=height)
    edges = [0.0, *((left[1] + right[0]) / 2 for left, right in pairwise(columns)), width]

    def pieces(strip: list[tuple[Artist, Box]], above: float, below: float) -> list[Cut]:
        spans = [span for artist, box in strip for span in _entries(artist, box, extent)]
        return [
            Cut(left - _AIR, above, right - left + 2 * _AIR, below - above) for left, right in _joined(sorted(spans))
        ]

    parts = pieces(over, 0.0, top)
    parts += [Cut(left, top, right - left, bottom - top) for left, right in pairwise(edges)]
    parts += pieces(under, bottom, height)
    return [Cut(*(round(value, 1) for value in part)) for part in parts]


def _entries(artist: Artist, box: Box, extent: Extent) -> list[tuple[float, float]]:
    """Return from where to where each entry of a legend reaches; the whole of any other artist."""
    if not isinstance(artist, Legend):
        return [(box[0], box[2])]
    size = float(artist.get_texts()[0].get_fontsize())
    mark = (artist.handlelength + artist.handletextpad) * size
    found = [extent(text) for text in artist.get_texts()]
    return [(max(one[0] - mark, box[0]), one[2]) for one in found if one is not None]


def _joined(spans: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return pieces that hold whole entries: those that overlap together, more of them while the piece stays narrow."""
    apart: list[tuple[float, float]] = []
    for left, right in spans:
        if apart and left < apart[-1][1]:
            apart[-1] = apart[-1][0], max(apart[-1][1], right)
        else:
            apart.append((left, right))
    pieces: list[tuple[float, float]] = []
    for left, right in apart:
        if pieces and right - pieces[-1][0] <= _NARROW:
            pieces[-1] = pieces[-1][0], right
        else:
            pieces.append((left, right))
    return pieces

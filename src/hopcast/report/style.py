"""How figures look: sizes, one palette for elements and models, deterministic SVG."""

from __future__ import annotations

import io
import itertools
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from hopcast.core.hdf5 import atomic_path, write_text

if TYPE_CHECKING:
    from hopcast.report.study_report import StudyReport

SINGLE: Final = 3.4
"""Width of a figure with one panel, inches (a journal's column)."""
WIDE: Final = 5.2
"""Width of a figure with several panels, inches."""

INK: Final = "#1b1b1b"
MUTED: Final = "#6b6b6b"
FAINT: Final = "#d9d9d9"
AB_INITIO: Final = "#1b1b1b"
ALL: Final = "#0072B2"
CHOICE: Final = "#5D3A9B"
HAMILTONIAN: Final = "#A50F15"
ELEMENT_COLOURS: Final = (
    *("#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"),
    *("#8C6D31", "#7F7F7F", "#882255", "#999933", "#44AA99"),
)
"""Okabe and Ito's palette without blue (all elements), black (ab initio) and yellow (too pale for a line); then two greys and brown,
and three of Tol's muted scheme."""

STYLE: Final[dict[str, Any]] = {
    "font.family": "DejaVu Sans",
    "font.size": 8.0,
    "axes.titlesize": 8.0,
    "axes.labelsize": 8.0,
    "legend.fontsize": 7.0,
    "xtick.labelsize": 7.0,
    "ytick.labelsize": 7.0,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 5.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.7,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "xtick.major.size": 3.0,
    "ytick.major.size": 3.0,
    "lines.linewidth": 1.2,
    "lines.solid_capstyle": "round",
    "legend.frameon": False,
    "legend.handlelength": 1.6,
    "hatch.linewidth": 0.6,
    "mathtext.default": "regular",
    "axes.axisbelow": True,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "axes.unicode_minus": True,
    "svg.fonttype": "path",
    "svg.hashsalt": "hopcast",
    "path.simplify": True,
    "axes.formatter.useoffset": False,
    "axes.formatter.limits": (-5, 6),
    "text.parse_math": False,
}


@contextmanager
def style() -> Iterator[None]:
    """Draw in the style of the report, whatever the user's own matplotlib settings are."""
    with mpl.rc_context():
        mpl.rcdefaults()
        cast(Any, mpl.rcParams).update(STYLE)  # its keys are literals, which differ between versions
        yield


def element_colour(element: str, elements: Sequence[str]) -> str:
    """Return the colour of an element, the same in every figure."""
    order = list(elements)
    index = order.index(element) if element in order else len(order)
    return ELEMENT_COLOURS[index % len(ELEMENT_COLOURS)]


def model_colour(name: str, report: StudyReport) -> str:
    """Return the colour of a model: ab initio, all elements, or its first element's."""
    if report.results.hamiltonians and name == report.results.hamiltonians[0].name:
        return AB_INITIO
    from hopcast.report.study_report import CHOSEN

    if name == CHOSEN:
        return CHOICE
    if report.is_hamiltonian(name):
        return HAMILTONIAN
    used = report.elements_of(name)
    if name.startswith("all") or (len(used) > 1 and set(used) >= set(report.elements)):
        return ALL
    return element_colour(used[0], report.elements)


def is_small(name: str, report: StudyReport) -> bool:
    """Whether a model uses fewer features than the largest of its elements does (drawn dashed)."""
    used = set(report.elements_of(name))
    most = max(
        (report.features_of(other) for other in report.model_names if set(report.elements_of(other)) == used), default=0
    )
    return 0 < report.features_of(name) < most


def model_dash(name: str, report: StudyReport) -> Any:
    """Return the line style of a model: solid, or dashed for the one with the single best feature."""
    return (0, (3.2, 1.6)) if is_small(name, report) else "-"


def spread(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Return positions at least `gap` apart and between `low` and `high`, as near the wanted ones as that allows.

    (Least squares by pooling neighbours; labels placed so do not overlap, and lines to them do not cross.)
    """
    if not wanted:
        return []
    order = np.argsort(wanted, kind="stable")
    gap = min(gap, (high - low) / max(len(wanted) - 1, 1))
    pools: list[tuple[float, int]] = []  # mean of (wanted - rank * gap), and how many share it
    for rank, index in enumerate(order):
        pools.append((wanted[index] - rank * gap, 1))
        while len(pools) > 1 and pools[-2][0] >= pools[-1][0]:
            (first, n_first), (second, n_second) = pools[-2:]
            pools[-2:] = [((first * n_first + second * n_second) / (n_first + n_second), n_first + n_second)]
    level = np.concatenate([np.full(count, mean) for mean, count in pools])
    placed = np.clip(level, low, high - (len(wanted) - 1) * gap) + gap * np.arange(len(wanted))
    result = np.empty(len(wanted))
    result[order] = placed
    return [float(position) for position in result]


def label_ends(ax: Axes, ends: Sequence[tuple[str, float, str]], *, gap_points: float = 8.5, size: float = 7.0) -> None:
    """Write the name of each line beside its right end, (name, y, colour), moved apart where they would overlap."""
    if not ends:
        return
    low, high = ax.get_ylim()
    figure = ax.figure
    assert isinstance(figure, Figure)
    height = ax.get_position().height * figure.get_size_inches()[1] * 72
    places = spread([y for _, y, _ in ends], gap_points * (high - low) / height, low, high)
    for (name, y, colour), place in zip(ends, places, strict=True):
        ax.annotate(
            name,
            xy=(1, y),
            xycoords=("axes fraction", "data"),
            xytext=(1.09, place),
            textcoords=("axes fraction", "data"),
            color=colour,
            fontsize=size,
            va="center",
            annotation_clip=False,
            arrowprops={
                "arrowstyle": "-",
                "color": colour,
                "lw": 0.5,
                "shrinkA": 0.5,
                "shrinkB": 0.5,
                "relpos": (0.0, 0.5),
            },
        )


def thin(times: NDArray[Any], values: NDArray[Any], n_points: int = 1500) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return a long series with the smallest and largest value of each of its stretches: the picture stays, the file shrinks."""
    if len(times) <= n_points:
        return times, values
    edges = np.linspace(0, len(times), n_points // 2 + 1).astype(int)
    keep: list[int] = []
    for start, stop in itertools.pairwise(edges):
        stretch = values[start:stop]
        if np.all(np.isnan(stretch)):
            keep.append(start)
        else:
            keep += sorted({start + int(np.nanargmin(stretch)), start + int(np.nanargmax(stretch))})
    return times[keep], values[keep]


def panel_label(ax: Axes, text: str) -> None:
    """Write a panel's title in the style of the report."""
    ax.set_title(text, loc="left")


def note(ax: Axes, text: str) -> None:
    """Write into an empty panel why it is empty."""
    ax.text(0.5, 0.5, text, transform=ax.transAxes, ha="center", va="center", color=MUTED, fontsize=7, wrap=True)


def svg_text(fig: Figure) -> str:
    """Return a figure as an SVG document: the same bytes for the same figure, no date, no metadata."""
    buffer = io.StringIO()
    with style():
        fig.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = re.sub(r"\s*<metadata>.*?</metadata>", "", buffer.getvalue(), flags=re.DOTALL)
    return re.sub(r"[ \t]+\n", "\n", text)


def inline_svg(svg: str, prefix: str, label: str) -> str:
    """Return an SVG document as an element for a page: ids prefixed, scaled by the page, named for screen readers."""
    from markupsafe import escape

    body = svg[svg.index("<svg") :]
    body = re.sub(r'\bid="([^"]+)"', rf'id="{prefix}-\1"', body)
    body = re.sub(r'(xlink:href|href)="#([^"]+)"', rf'\1="#{prefix}-\2"', body)
    body = re.sub(r"url\(#([^)]+)\)", rf"url(#{prefix}-\1)", body)
    head, rest = body.split(">", 1)
    head = re.sub(r'\s(width|height)="[^"]*"', "", head)
    return f'{head} role="img" aria-label="{escape(label)}">{rest}'.strip()


def save_figure(fig: Figure, stem: str | Path, *, dpi: int = 220, svg: str | None = None) -> tuple[Path, Path]:
    """Write a figure as ``stem.svg`` and ``stem.png`` atomically and return both paths.

    Parameters
    ----------
    fig
        The figure.
    stem
        Path without ending.
    dpi
        Resolution of the PNG.
    svg
        The figure's SVG text, where it is at hand already.

    Raises
    ------
    OutputError
        If a file cannot be written.
    """
    base = Path(stem)
    vector, pixels = base.with_name(base.name + ".svg"), base.with_name(base.name + ".png")
    write_text(vector, svg_text(fig) if svg is None else svg)
    with atomic_path(pixels) as temporary, style():
        fig.savefig(temporary, format="png", dpi=dpi, metadata={"Software": None})
    return vector, pixels


def r2_of_unexplained(exponent: int) -> str:
    """Return R2 as a tick of an axis of 1 - R2 says it, at 1 - R2 = 10^exponent."""
    if exponent < 0:
        return f"{1 - 10.0**exponent:.{-exponent}f}"
    return "0" if exponent == 0 else f"−{10**exponent - 1}"

"""`report.html`: one self-contained page, and the folder around it."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup, escape
from matplotlib.figure import Figure

from hopcast.core.hdf5 import write_text
from hopcast.report.facts import facts
from hopcast.report.glossary import Terms
from hopcast.report.hover import curve_values, to_attribute
from hopcast.report.panels import Cut, cuts_of
from hopcast.report.scene import turnable_structure
from hopcast.report.section import Content, FigureSpec, TableSpec, list_figures, list_sections, study_tables
from hopcast.report.study_report import StudyReport
from hopcast.report.style import SINGLE, inline_svg, save_figure, svg_text
from hopcast.report.table import Table
from hopcast.results.schema import to_json

_PIXELS_PER_INCH = 96
_ENLARGED = 1.45  # figures are drawn at the width of a printed column; on a desktop they may be larger
_TURNS: Final = "structure"
"""Stem of the figure that the page can turn."""
_IN_THE_PAGE: Final = {
    "#1b1b1b": "ink",
    "#000000": "ink",
    "#ffffff": "paper",
    "#d9d9d9": "line",
    "#6b6b6b": "muted",
    "#0072b2": "blue",
    "#5d3a9b": "violet",
    "#a50f15": "red",
}
"""Colours of figures that follow the page, light or dark: its variables."""


@dataclass(frozen=True)
class Drawing:
    """A figure, drawn once: itself, its SVG document, its values and its cuts."""

    figure: Figure
    svg: str
    curves: str
    cuts: tuple[Cut, ...]


@dataclass(frozen=True)
class Placed:
    """A figure in the page."""

    stem: str
    label: str
    title: str
    caption: str
    svg: Markup
    width: int
    curves: str
    cuts: tuple[Cut, ...]
    scene: str


@dataclass(frozen=True)
class Part:
    """A section as it stands in front, or in the appendix: its place, its link, its title, its style, what it shows."""

    key: str
    link: str
    title: str
    style: str
    content: tuple[tuple[str, Any, str], ...]


def render_html(report: StudyReport) -> str:
    """Return the report as one HTML page that loads nothing: styles, figures and the one script are inside.

    Without scripts the page is complete; the script adds values under the pointer, tables that sort and a structure that turns.

    Parameters
    ----------
    report
        The study; every judgement in the page comes from its `results`.
    """
    return _render(report, _draw(report))


def write_report(report: StudyReport, folder: str | Path) -> dict[str, Path]:
    """Write ``report.html``, ``results.json``, ``tables/*.csv`` and ``figures/*.svg|png`` into a folder.

    Each file is written atomically; ``report.html`` comes last, so that it stands for a complete folder.

    Returns
    -------
    dict
        Path of every file by its name relative to the folder.

    Raises
    ------
    OutputError
        If a file cannot be written.
    """
    base = Path(folder)
    written: dict[str, Path] = {}

    def note(path: Path) -> None:
        written[path.relative_to(base).as_posix()] = path

    to_json(report.results, base / "results.json")  # the numbers first: they are what took the time
    note(base / "results.json")
    for name, table in study_tables(report).items():
        if table.rows:
            path = base / "tables" / f"{name}.csv"
            write_text(path, table.to_csv())
            note(path)
    drawn = _draw(report)
    for stem, one in drawn.items():
        for path in save_figure(one.figure, base / "figures" / stem, svg=one.svg):
            note(path)
    write_text(base / "report.html", _render(report, drawn))
    note(base / "report.html")
    return written


def _draw(report: StudyReport) -> dict[str, Drawing]:
    """Draw every figure the study has data for, once."""
    drawn = {}
    for spec in list_figures():
        figure = spec.draw(report)
        if figure is not None:
            svg = svg_text(figure)
            drawn[spec.stem] = Drawing(figure, svg, to_attribute(curve_values(figure)), tuple(cuts_of(figure)))
    return drawn


def _render(report: StudyReport, drawn: Mapping[str, Drawing]) -> str:
    numbers = _Numbers()
    sections = list_sections()
    front, appendix = (
        [
            Part(
                f"{prefix}{section.key}",
                section.link,
                section.heading(report),
                section.style if not prefix else "",
                shown,
            )
            for section in sections
            if (shown := tuple(_shown(section.appendix if prefix else section.content, report, drawn, numbers, prefix)))
        ]
        for prefix in ("", "more-")
    )
    script = _read("report.js")
    terms = Terms(report.model_names)
    return _template().render(
        data=report.data,
        provenance=report.results.provenance,
        facts=facts(report),
        front=front,
        appendix=appendix,
        absent=[spec.title.rstrip("?") for spec in list_figures() if spec.stem not in drawn and not spec.quiet],
        terms=terms,
        typeset=lambda text: terms.mark(str(_typeset(text))),
        css=Markup(_read("report.css")),
        script=Markup(script),
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        zip=zip,
    )


class _Numbers:
    """Counts figures and tables as they appear; those of the appendix have an A."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}

    def next(self, kind: str, prefix: str) -> str:
        name = f"{kind} {'A' if prefix else ''}"
        self._counts[name] = self._counts.get(name, 0) + 1
        return f"{name}{self._counts[name]}"


def _shown(
    content: tuple[Content, ...], report: StudyReport, drawn: Mapping[str, Drawing], numbers: _Numbers, prefix: str
) -> Iterator[tuple[str, Any, str]]:
    """Yield what there is to show: its kind, itself, and its number."""
    for one in content:
        if isinstance(one, FigureSpec):
            if one.stem in drawn:
                yield "figure", _placed(one, drawn[one.stem], report, label := numbers.next("Figure", prefix)), label
        elif isinstance(one, TableSpec):
            table: Table = one.make(report).without_empty_columns()
            if table.rows:
                yield "table", table, numbers.next("Table", prefix)
        else:
            words = one(report)
            if words is not None and not words.is_empty:
                yield "words", words, ""


def _placed(spec: FigureSpec, drawing: Drawing, report: StudyReport, label: str) -> Placed:
    inches = float(drawing.figure.get_size_inches()[0])
    larger = 1.35 if inches <= SINGLE + 0.3 else _ENLARGED
    markup = Markup(_in_page_colours(inline_svg(_small(drawing.svg), spec.stem, f"{spec.title}. {spec.caption}")))
    width = round(inches * _PIXELS_PER_INCH * larger)
    scene = turnable_structure(report) if spec.stem == _TURNS else ""
    return Placed(spec.stem, label, spec.title, spec.caption, markup, width, drawing.curves, drawing.cuts, scene)


@lru_cache(maxsize=2)
def _read(name: str) -> str:
    return (Path(__file__).parent / "templates" / name).read_text(encoding="utf-8")


@lru_cache(maxsize=1)
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("hopcast.report"), autoescape=True, undefined=StrictUndefined, trim_blocks=False
    )
    return environment.get_template("report.html.j2")


def _typeset(text: str) -> Markup:
    """Escape a text, set the s of R_s and theta_s as an index, and keep numbers and units on one line."""
    escaped = re.sub(r"(R|θ|theta)_s\b", r"\1<sub>s</sub>", str(escape(text))).replace("theta<sub>", "θ<sub>")
    coded = re.sub(r"`([^`]+)`", r"<code>\1</code>", escaped)
    return Markup(re.sub(r"(\d) (fs|ps|ns|nat|eV|meV|K|%|Å)(?!\w)", "\\1\u00a0\\2", coded))


def _small(svg: str) -> str:
    """Shorten numbers in paths to two decimals (a hundredth of a point) and drop comments: half the size of a page."""
    svg = re.sub(r"<!--.*?-->\s*", "", svg, flags=re.DOTALL)
    # coordinates only: the scale of a glyph is a small number that must keep its digits
    return re.sub(r'\s(?:d|x|y)="[^"]*"', lambda match: re.sub(r"(\d+\.\d{2})\d+", r"\1", match.group()), svg)


def _in_page_colours(svg: str) -> str:
    """Let ink, paper and the darkest lines of a figure follow the page, so that it can be read on a dark one."""

    def follow(hit: re.Match[str]) -> str:
        name = _IN_THE_PAGE.get(hit.group(2).lower())
        return hit.group() if name is None else f"{hit.group(1)}: var(--{name})"

    return re.sub(r"\b(fill|stroke): (#[0-9a-fA-F]{6})\b", follow, svg)

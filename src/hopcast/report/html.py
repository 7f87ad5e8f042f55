"""`report.html`: one self-contained page, and the folder around it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup, escape
from matplotlib.figure import Figure

from hopcast.core.hdf5 import write_text
from hopcast.report.facts import facts
from hopcast.report.section import FigureSpec, Section, TableSpec, list_figures, list_sections, study_tables
from hopcast.report.study_report import StudyReport
from hopcast.report.style import SINGLE, inline_svg, save_figure, svg_text
from hopcast.results.schema import to_json

_PIXELS_PER_INCH = 96
_ENLARGED = 1.45  # figures are drawn at the width of a printed column; on a desktop they may be larger


@dataclass(frozen=True)
class _Drawn:
    stem: str
    title: str
    caption: str
    quiet: bool
    svg: Markup | None
    width: int


def render_html(report: StudyReport) -> str:
    """Return the report as one HTML page that loads nothing: styles and figures are inside, there is no script.

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
    for stem, (figure, svg) in drawn.items():
        for path in save_figure(figure, base / "figures" / stem, svg=svg):
            note(path)
    write_text(base / "report.html", _render(report, drawn))
    note(base / "report.html")
    return written


def _draw(report: StudyReport) -> dict[str, tuple[Figure, str]]:
    """Draw every figure the study has data for, once."""
    drawn = {}
    for spec in list_figures():
        figure = spec.draw(report)
        if figure is not None:
            drawn[spec.stem] = (figure, svg_text(figure))
    return drawn


def _render(report: StudyReport, drawn: Mapping[str, tuple[Figure, str]]) -> str:
    return _template().render(
        data=report.data,
        provenance=report.results.provenance,
        facts=facts(report),
        sections=[(section, list(_shown(section, report, drawn))) for section in list_sections()],
        css=Markup((Path(__file__).parent / "templates" / "report.css").read_text(encoding="utf-8")),
        zip=zip,
    )


def _shown(
    section: Section, report: StudyReport, drawn: Mapping[str, tuple[Figure, str]]
) -> Iterator[tuple[str, Any, str]]:
    """Yield what a section shows: its kind, itself, and the line it is folded under."""
    for one in section.content:
        if isinstance(one, FigureSpec):
            yield "figure", _placed(one, drawn.get(one.stem)), ""
        elif isinstance(one, TableSpec):
            yield "table", one.make(report), one.folded
        else:
            words = one(report)
            if words is not None:
                yield "words", words, ""


def _placed(spec: FigureSpec, drawn: tuple[Figure, str] | None) -> _Drawn:
    if drawn is None:
        return _Drawn(spec.stem, spec.title, spec.caption, spec.quiet, None, 0)
    figure, svg = drawn
    inches = float(figure.get_size_inches()[0])
    larger = 1.35 if inches <= SINGLE + 0.3 else _ENLARGED
    markup = Markup(inline_svg(_small(svg), spec.stem, f"{spec.title}. {spec.caption}"))
    width = round(inches * _PIXELS_PER_INCH * larger)
    return _Drawn(spec.stem, spec.title, spec.caption, spec.quiet, markup, width)


@lru_cache(maxsize=1)
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("hopcast.report"), autoescape=True, undefined=StrictUndefined, trim_blocks=False
    )
    environment.filters["typeset"] = _typeset
    return environment.get_template("report.html.j2")


def _typeset(text: str) -> Markup:
    """Escape a text, set the s of R_s and theta_s as an index, and keep numbers and units on one line."""
    escaped = re.sub(r"(R|θ|theta)_s\b", r"\1<sub>s</sub>", str(escape(text))).replace("theta<sub>", "θ<sub>")
    return Markup(re.sub(r"(\d) (fs|ps|ns|nat|eV|meV|K|%|Å)(?!\w)", "\\1\u00a0\\2", escaped))


def _small(svg: str) -> str:
    """Shorten numbers in paths to two decimals (a hundredth of a point) and drop comments: half the size of a page."""
    svg = re.sub(r"<!--.*?-->\s*", "", svg, flags=re.DOTALL)
    # coordinates only: the scale of a glyph is a small number that must keep its digits
    return re.sub(r'\s(?:d|x|y)="[^"]*"', lambda match: re.sub(r"(\d+\.\d{2})\d+", r"\1", match.group()), svg)

"""`report.html`: one self-contained page, and the folder around it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup, escape
from matplotlib.figure import Figure

from hopcast.core.hdf5 import write_text
from hopcast.report.evaluation_tables import left_out_sentences
from hopcast.report.figures import FIGURES
from hopcast.report.study_report import StudyReport
from hopcast.report.style import SINGLE, inline_svg, save_figure, svg_text
from hopcast.report.table import Table, shown_number
from hopcast.report.tables import study_tables
from hopcast.report.words import correction_sentences, facts, seam_sentence
from hopcast.results.dynamics import DephasingRecord
from hopcast.results.paper import CITATIONS
from hopcast.results.schema import to_json
from hopcast.results.study import Provenance

_PIXELS_PER_INCH = 96
_ENLARGED = 1.45  # figures are drawn at the width of a printed column; on a desktop they may be larger


@dataclass(frozen=True)
class _Drawn:
    title: str
    caption: str
    svg: Markup | None
    width: int


def render_html(report: StudyReport) -> str:
    """Return the report as one HTML page that loads nothing: styles and figures are inside, there is no script.

    Parameters
    ----------
    report
        The study; every judgement in the page comes from its `results`.
    """
    return _render(report, _draw(report), study_tables(report))


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
    tables = study_tables(report)
    for name, table in tables.items():
        if table.rows:
            path = base / "tables" / f"{name}.csv"
            write_text(path, table.to_csv())
            note(path)
    drawn = _draw(report)
    for stem, (figure, svg) in drawn.items():
        for path in save_figure(figure, base / "figures" / stem, svg=svg):
            note(path)
    write_text(base / "report.html", _render(report, drawn, tables))
    note(base / "report.html")
    return written


def _draw(report: StudyReport) -> dict[str, tuple[Figure, str]]:
    """Draw every figure the study has data for, once."""
    drawn = {}
    for spec in FIGURES:
        figure = spec.draw(report)
        if figure is not None:
            drawn[spec.stem] = (figure, svg_text(figure))
    return drawn


def _render(report: StudyReport, drawn: Mapping[str, tuple[Figure, str]], tables: Mapping[str, Table]) -> str:
    results = report.results
    provenance = results.provenance
    figures = {}
    for spec in FIGURES:
        if spec.stem in drawn:
            figure, svg = drawn[spec.stem]
            inches = float(figure.get_size_inches()[0])
            larger = 1.35 if inches <= SINGLE + 0.3 else _ENLARGED
            markup = Markup(inline_svg(_small(svg), spec.stem, f"{spec.title}. {spec.caption}"))
            figures[spec.stem] = _Drawn(
                spec.title, spec.caption, markup, round(inches * _PIXELS_PER_INCH * larger)
            )
        else:
            figures[spec.stem] = _Drawn(spec.title, spec.caption, None, 0)
    return _template().render(
        results=results,
        data=results.data,
        provenance=provenance,
        facts=facts(report),
        figures=figures,
        tables=tables,
        css=Markup((Path(__file__).parent / "templates" / "report.css").read_text(encoding="utf-8")),
        rate_sentences=[(r.name, r.verdict.sentence) for r in results.hamiltonians if r.verdict is not None],
        model_sentences=[
            (f"{m.name}, {m.target}", m.verdict.sentence) for m in results.models if m.verdict is not None
        ],
        left_out=left_out_sentences(report),
        dephasing=_dephasing(results.dephasing),
        corrections=correction_sentences(results.corrections),
        seam=seam_sentence(results.seam),
        record=_record(provenance),
        timings=[(t.stage, f"{t.seconds:.1f} s") for t in results.timings],
        config=_dump(provenance.config),
        packages=_dump(provenance.packages),
        citations=CITATIONS,
        extra_citations=provenance.citations or (),
        zip=zip,
    )


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


def _dump(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) if value else ""


def _dephasing(record: DephasingRecord | None) -> list[tuple[str, str]]:
    if record is None:
        return []
    lines = [("Convention", record.convention)]
    lines += [(f"tau, {name}", f"{shown_number(tau)} fs") for name, tau in record.by_convention.items()]
    return lines


def _record(provenance: Provenance) -> list[tuple[str, str]]:
    lines = [("hopcast", provenance.version), ("Written", provenance.created)]
    for value, label in ((provenance.command, "Command"), (provenance.seed, "Seed")):
        if value is not None:
            lines.append((label, str(value)))
    for entry in provenance.inputs:
        digest = f", sha256 {entry.sha256}" if entry.sha256 is not None else ""
        source = f", {entry.source}" if entry.source is not None else ""
        lines.append(("Input", f"{entry.name}{source}{digest}"))
    if provenance.machine:
        lines.append(("Machine", ", ".join(f"{key} {value}" for key, value in provenance.machine.items())))
    return lines

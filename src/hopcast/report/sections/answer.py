"""The first screen: lifetime, population, three verdicts, and what to do next."""

from __future__ import annotations

from hopcast.report.figures.population import draw_populations
from hopcast.report.figures.structure import draw_structure
from hopcast.report.section import FigureSpec, Lines, Section, Verdicts
from hopcast.report.study_report import StudyReport
from hopcast.results.answer import answer


def headline(report: StudyReport) -> Lines:
    """Return the lifetime in one line."""
    return Lines([answer(report.results).headline], style="headline")


def verdicts(report: StudyReport) -> Verdicts:
    """Return the verdicts on data, forecast and rate."""
    return Verdicts(answer(report.results).verdicts)


def steps(report: StudyReport) -> Lines:
    """Return what to do next."""
    return Lines(answer(report.results).steps, heading="What to do next")


SECTION = Section(
    "answer",
    "Answer",
    "The answer",
    -10,
    (
        headline,
        FigureSpec(
            "population",
            "Ground-state population",
            "Heavy line, with its 95 % interval: what was computed (of pairs: the lifetime above). Thin lines: forecasts, averaged over initial times; dashed: of one feature.",
            draw_populations,
            quiet=True,
        ),
        FigureSpec(
            "structure",
            "The cell",
            "First frame of the trajectory, atoms near a face repeated on the opposite one.",
            draw_structure,
            quiet=True,
        ),
        verdicts,
        steps,
    ),
    style="box answer",
)

"""The published claims on their own material; on any other the same questions in its elements."""

from __future__ import annotations

from typing import Final

from hopcast.report.section import Absent, Asked, Claims, Section, TableSpec
from hopcast.report.study_report import StudyReport
from hopcast.report.table import Cell, Column, Table
from hopcast.results.paper import PAPER_ELEMENTS

_ANSWERS: Final = {"survives": "yes", "does not survive": "no more than a control", "not reproduced": "no"}


def is_published(report: StudyReport) -> bool:
    """Whether the material is that of the published study, as far as its elements say."""
    return frozenset(report.elements) == PAPER_ELEMENTS


def title(report: StudyReport) -> str:
    """Return the title of the section."""
    return "The published claims on this data" if is_published(report) else "What is physics, and what is the calendar"


def tested(report: StudyReport) -> Claims | Absent:
    """Return the claims, or questions, that the study can test."""
    if report.results.claims:
        return Claims(_asked(report))
    return Absent("The study holds no forecasts and no information to test anything with.")


def _asked(report: StudyReport) -> list[Asked]:
    published = is_published(report)
    return [
        Asked(
            one.claim if published else one.question or one.claim,
            one.verdict.label if published else _ANSWERS.get(one.verdict.label, one.verdict.label),
            one.verdict.label,
            one.verdict.sentence,
        )
        for one in report.results.claims
    ]


def claim_table(report: StudyReport) -> Table:
    """Return each claim, or question: what interleaved scores show, what the control shows, the verdict."""
    published = is_published(report)
    columns = (
        Column("claim", "Claim" if published else "Question", style="text"),
        Column("protocol", "By the paper's protocol" if published else "Between training frames", style="text"),
        Column("control", "The control", style="text"),
        Column("verdict", "Verdict", style="text"),
        Column("why", "Why", style="text"),
    )
    rows = tuple(
        (
            Cell(asked.claim),
            Cell(one.protocol),
            Cell(one.control),
            Cell(asked.answer, tone=asked.label),
            Cell(asked.sentence),
        )
        for one, asked in zip(report.results.claims, _asked(report), strict=True)
    )
    return Table("claims", "Claims and controls" if published else "Questions and controls", columns, rows)


SECTION = Section("claims", "Claims", title, 60, (tested,), appendix=(TableSpec(claim_table),))

"""The published claims on this data."""

from __future__ import annotations

from hopcast.report.section import Absent, Claims, Section, TableSpec
from hopcast.report.study_report import StudyReport
from hopcast.report.table import Cell, Column, Table


def tested(report: StudyReport) -> Claims | Absent:
    """Return the claims that the study can test."""
    if report.results.claims:
        return Claims(report.results.claims)
    return Absent("The study holds no forecasts and no information to test the claims with.")


def claim_table(report: StudyReport) -> Table:
    """Return the published claims: what the paper's protocol shows here, what the control shows, the verdict."""
    columns = (
        Column("claim", "Claim", style="text"),
        Column("protocol", "By the paper's protocol", style="text"),
        Column("control", "The control", style="text"),
        Column("verdict", "Verdict", style="text"),
        Column("why", "Why", style="text"),
    )
    rows = tuple(
        (
            Cell(one.claim),
            Cell(one.protocol),
            Cell(one.control),
            Cell(one.verdict.label, tone=one.verdict.label),
            Cell(one.verdict.sentence),
        )
        for one in report.results.claims
    )
    return Table("claims", "Published claims on this data", columns, rows)


SECTION = Section(
    "claims",
    "Claims",
    "The published claims on this data",
    10,
    (tested, TableSpec(claim_table, folded="The claims as a table")),
)

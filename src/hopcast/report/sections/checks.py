"""The exact solver against Monte Carlo, and the seam of the loop."""

from __future__ import annotations

from hopcast.report.cells import cell, verdict_cell
from hopcast.report.section import Absent, Lines, Section, TableSpec
from hopcast.report.study_report import StudyReport
from hopcast.report.table import Cell, Column, Table, shown_number
from hopcast.results.dynamics import SeamRecord


def without_checks(report: StudyReport) -> Absent | None:
    """Say so where nothing was compared."""
    if report.results.checks:
        return None
    return Absent("The exact solver was not compared with the Monte Carlo engine in this study.")


def seam(report: StudyReport) -> Lines:
    """Return what happens where the loop returns to its first frame."""
    said = seam_sentence(report.results.seam)
    return Lines([said] if said else [], "The seam of the loop")


def check_table(report: StudyReport) -> Table:
    """Return exact solver against Monte Carlo, one row a setting."""
    columns = (
        Column("setting", "Setting", style="text"),
        Column("temperature", "T", "K"),
        Column("substep", "Sub-step", "fs"),
        Column("coupling_scale", "Couplings ×"),
        Column("unit", "Unit", style="text"),
        Column("exact", "Exact", digits=4),
        Column("monte_carlo", "Monte Carlo", digits=4),
        Column("standard_error", "Standard error", digits=2),
        Column("within_two", "Within 2 s.e.", style="text"),
        Column("pooled_z", "Pooled z", "", "fixed", 2),
        Column("verdict", "Verdict", style="text"),
    )
    rows = tuple(
        (
            Cell(check.name),
            cell(check, "temperature"),
            cell(check, "substep"),
            cell(check, "coupling_scale"),
            Cell(check.unit),
            cell(check, "exact"),
            cell(check, "monte_carlo"),
            cell(check, "standard_error"),
            Cell(f"{check.within_two} of {check.n_seeds}"),
            cell(check, "pooled_z"),
            verdict_cell(check),
        )
        for check in report.results.checks
    )
    events = [check.n_events for check in report.results.checks if check.n_events is not None]
    notes = (f"At least {min(events)} recombination events in every run.",) if events else ()
    return Table("exact-and-monte-carlo", "Exact solver and Monte Carlo engine", columns, rows, notes)


def seam_sentence(record: SeamRecord | None) -> str:
    """Return what happens where the loop returns to its first frame, or an empty string."""
    if record is None or record.gap_jump is None:
        return ""
    text = f"Where the loop returns to its first frame the gap jumps by {shown_number(record.gap_jump)} eV"
    if record.usual_step is not None:
        text += f"; the usual change in one step is {shown_number(record.usual_step)} eV"
    if record.rate_coherent is not None and record.rate_reset is not None:
        text += (
            f". The rate is {shown_number(record.rate_coherent)} /ns with coherences kept across the seam and "
            f"{shown_number(record.rate_reset)} /ns with coherences set to zero there"
        )
    return f"{text}."


SECTION = Section("checks", "Checks", "Checks", 90, appendix=(TableSpec(check_table), without_checks, seam))

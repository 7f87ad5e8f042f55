"""What was corrected in the couplings."""

from __future__ import annotations

from collections.abc import Sequence

from hopcast.report.section import Absent, Lines, Section
from hopcast.report.study_report import StudyReport
from hopcast.report.table import shown_number
from hopcast.results.study import CorrectionsRecord, Crossing


def corrections(report: StudyReport) -> Lines | Absent:
    """Return what was corrected, one sentence each."""
    lines = correction_sentences(report.results.corrections)
    return Lines(lines) if lines else Absent("The study gives no record of corrections.")


def correction_sentences(record: CorrectionsRecord | None) -> list[str]:
    """Return what was corrected in the couplings, one sentence each."""
    if record is None:
        return []
    lines = []
    if record.phase_flips is not None:
        of = f" of {record.n_overlaps} diagonal overlaps" if record.n_overlaps is not None else ""
        lines.append(f"Signs: {record.phase_flips}{of} were negative and made consistent along the trajectory.")
    if record.swaps is not None:
        swaps = record.swaps
        lines.append(
            f"Trivial crossings: labels exchanged at {_steps(swaps)}."
            if swaps
            else "Trivial crossings: no labels were exchanged."
        )
    for crossing in record.crossings:
        states = " and ".join(crossing.states)
        size = "" if crossing.overlap is None else f" (|S| down to {shown_number(crossing.overlap, 2)})"
        lines.append(f"States {states} exchange their character at step {crossing.step}{size}; energy order was kept.")
    for band in record.leaking_bands:
        norm = "" if band.row_norm is None else f" (row norm of S {shown_number(band.row_norm, 2)})"
        name = band.band.removeprefix("band ")  # labels of some sources are numbers alone
        lines.append(f"Band {name} leaves the window of bands{norm}.")
    if record.doubtful_steps is not None:
        count = record.doubtful_steps
        lines.append(
            f"{count or 'No'} step{'' if count == 1 else 's'} {'was' if count == 1 else 'were'} masked as doubtful."
        )
    before, after = record.nac_autocorrelation_raw, record.nac_autocorrelation
    if before is not None and after is not None:
        lines.append(
            f"Autocorrelation of the coupling from one step to the next: {before:.3f} before, {after:.3f} after."
        )
    lines += record.notes
    return lines


def _steps(swaps: Sequence[Crossing]) -> str:
    shown = [f"step {swap.step} ({' and '.join(swap.states)})" for swap in swaps[:12]]
    more = len(swaps) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


SECTION = Section("couplings", "Couplings", "What was corrected in the couplings", 80, appendix=(corrections,))

"""Sentences that state what was done (no judgement: those are in `verdicts`)."""

from __future__ import annotations

from collections.abc import Sequence

from hopcast.evaluation.verdicts import shown_length
from hopcast.report.study_report import StudyReport
from hopcast.report.table import shown_number
from hopcast.results.dynamics import SeamRecord
from hopcast.results.study import CorrectionsRecord, Crossing

_SUBSCRIPT = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


def facts(report: StudyReport) -> list[tuple[str, str]]:
    """Return the line under the report's title: label and value."""
    data = report.data
    lines = [
        (
            "cell",
            f"{data.formula.translate(_SUBSCRIPT)}, {data.n_atoms} atom{'s' if data.n_atoms > 1 else ''}",
        ),
        (
            "trajectory",
            f"{shown_length(data.duration)}, {data.n_frames} frames every {data.timestep:g} fs",
        ),
    ]
    if data.states:
        lines.append(("states", " and ".join(data.states)))
    if data.gap_mean is not None:
        spread = f" ± {data.gap_std:.2f}" if data.gap_std is not None else ""
        lines.append(("gap", f"{data.gap_mean:.2f}{spread} eV"))
    if data.nac_rms is not None:
        lines.append(("coupling", f"{shown_number(1e3 * data.nac_rms)} meV rms"))
    if data.correlation_time is not None:
        lines.append(("correlation time", shown_length(data.correlation_time)))
    if data.temperature is not None:
        lines.append(("temperature", f"{data.temperature:.0f} K"))
    samples, stride = report.results.samples, data.train_stride
    if samples is not None:
        share = f"{100 * samples.share:.2g} % of all"
        lines.append(
            (
                "computed pairs",
                f"{samples.n_pairs}, typically {shown_length(samples.spacing)} apart ({share})",
            )
        )
    elif stride is not None:
        lines.append(("training frames", f"every {stride.fs:g} fs ({stride.frames} frames)"))
    return lines


def correction_sentences(record: CorrectionsRecord | None) -> list[str]:
    """Return what was corrected in the couplings, one sentence each."""
    if record is None:
        return []
    lines = []
    if record.phase_flips is not None:
        of = f" of {record.n_overlaps} diagonal overlaps" if record.n_overlaps is not None else ""
        lines.append(
            f"Signs: {record.phase_flips}{of} were negative and made consistent along the trajectory."
        )
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
        lines.append(
            f"States {states} exchange their character at step {crossing.step}{size}; energy order was kept."
        )
    for band in record.leaking_bands:
        norm = "" if band.row_norm is None else f" (row norm of S {shown_number(band.row_norm, 2)})"
        lines.append(f"Band {band.band} leaves the window of bands{norm}.")
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


def _steps(swaps: Sequence[Crossing]) -> str:
    shown = [f"step {swap.step} ({' and '.join(swap.states)})" for swap in swaps[:12]]
    more = len(swaps) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")

"""Carriers relaxing through the bands: each alone, and electron and hole together."""

from __future__ import annotations

from typing import Final

from hopcast.report.cells import estimate_cell, typical_unit
from hopcast.report.figures.electron_hole import draw_pair
from hopcast.report.figures.relaxation import draw_relaxation
from hopcast.report.section import Absent, FigureSpec, Lines, Section, TableSpec
from hopcast.report.study_report import StudyReport
from hopcast.report.table import Cell, Column, Table, shown_number
from hopcast.results.dynamics import CarrierCooling, RelaxationRecord, RelaxationRun
from hopcast.results.record import known

_LITTLE: Final = 0.1
_PS_PER_NS: Final = 1e3
_FS_PER_PS: Final = 1e3


def without(report: StudyReport) -> Absent | None:
    """Return why no carrier was followed."""
    record = report.results.relaxation
    if record is not None and record.runs:
        return None
    return Absent(
        "Carriers were not followed through other bands: the study holds the two band edges alone, or left it out."
    )


def whose(report: StudyReport) -> Lines | None:
    """Say where the bands are a forecast."""
    record = report.results.relaxation
    if record is None or record.source is None:
        return None
    return Lines([f"The bands are those that {record.source} forecasts: few of their frames were computed."])


def relaxation_table(report: StudyReport) -> Table:
    """Return lifetime, kind of decay and main transition of each carrier and method, where the study ran them."""
    record = report.results.relaxation
    runs = [] if record is None else record.runs
    unit, factor = typical_unit(run.lifetime for run in runs)
    shown = (unit, factor / _PS_PER_NS)
    columns = (
        Column("carrier", "Carrier", style="text"),
        Column("way", "From, to", style="text"),
        Column("method", "Method", style="text"),
        Column("lifetime", "Lifetime", "ps", "interval", display=shown),
        Column("rate", "Rate", "1/ns", "interval"),
        Column("decayed", "Arrived", "%", "fixed", 1),
        Column("decay_model", "Decay", style="text"),
        Column("decay_lifetime", "Its lifetime", "ps", display=shown),
        Column("transition", "Largest net flow (hops a trajectory)", style="text"),
        Column("longest_stay", "Waits in", style="text"),
    )
    names = list(dict.fromkeys(run.name for run in runs))
    return Table(
        "relaxation",
        "Relaxation through the bands",
        columns,
        tuple(_row(run) for run in runs),
        tuple(_notes(record)),
        tuple(names.index(run.name) for run in runs),
    )


def _row(run: RelaxationRun) -> tuple[Cell, ...]:
    lifetime = run.lifetime
    if lifetime.value is None or run.decayed < _LITTLE:
        shown = Cell(None, reason=f"less than {100 * _LITTLE:.0f} % arrives in the window: read the rate")
    else:
        shown = estimate_cell(lifetime, _PS_PER_NS)
    decay = run.decay_lifetime
    flow = run.transitions[0] if run.transitions else None
    return (
        Cell(run.name),
        Cell(f"{run.initial_state} → {run.states[0]}"),
        Cell(run.method),
        shown,
        estimate_cell(run.rate),
        Cell(100 * run.decayed),
        Cell(run.decay_model),
        Cell(None, reason=run.reasons["decay_lifetime"]) if decay is None else Cell(_PS_PER_NS * decay),
        Cell(None, reason="no hops")
        if flow is None
        else Cell(f"{flow.from_} → {flow.to} ({shown_number(flow.net_hops, 2)})"),
        Cell(run.longest_stay),
    )


def _notes(record: RelaxationRecord | None) -> list[str]:
    if record is None:
        return []
    notes = []
    if record.runs:
        first = record.runs[0]
        low = min(run.tau_low for run in record.runs)
        high = max(run.tau_high for run in record.runs)
        notes.append(
            f"{first.n_trajectories} trajectories from {first.n_starts} initial times, {first.duration / 1e3:g} ps, "
            f"the band at the edge absorbs; dephasing times {shown_number(low, 2)} to {shown_number(high, 2)} fs "
            f"({first.tau_convention}). Methods disagree because they treat decoherence differently. Brackets: 95 %; "
            "lifetime and rate: one exponential."
        )
        notes += dict.fromkeys(
            f"{run.name.capitalize()}, {run.method}: {run.decay_note}."
            for run in record.runs
            if run.decay_note and run.decay_lifetime is not None
        )
    if record.left_out:
        bands = ", ".join(f"{one.band} ({known(one.row_norm):.2f})" for one in record.left_out)
        notes.append(f"Left out, because they mix with bands outside the window (row norm of their overlaps): {bands}.")
    notes += [f"{one.name.capitalize()}, {one.method}: refused. {one.reason}" for one in record.refused]
    return notes


def pair_table(report: StudyReport) -> Table:
    """Return how fast electron and hole cool together and alone, where the study ran them."""
    columns = (
        Column("carrier", "Carrier", style="text"),
        Column("way", "Run", style="text"),
        Column("bands", "From, to", style="text"),
        Column("cooling_time", "Energy at 1/e after", "ps", "interval"),
        Column("initial_energy", "Energy at the start", "eV"),
        Column("final_energy", "At the end", "eV"),
        Column("at_the_edge", "At the edge", "%", "fixed", 1),
    )
    relaxation = report.results.relaxation
    record = None if relaxation is None else relaxation.pair
    if record is None:
        return Table("pair", "Electron and hole together", columns, ())
    rows = tuple(
        (
            Cell(one.carrier),
            Cell(one.way),
            Cell(f"{one.initial_state} → {one.bands[0]}"),
            _cooling(one),
            Cell(one.initial_energy),
            Cell(one.final_energy),
            Cell(100 * one.at_the_edge),
        )
        for one in record.carriers
    )
    notes = (
        f"Together: {record.n_determinants} Slater determinants (the ground state and one electron raised from any of the hole's "
        "bands to any of the electron's; one spin, no interaction). "
        f"{record.method}, {record.n_trajectories} trajectories from {record.n_starts} initial times, "
        f"{record.duration / 1e3:g} ps of {record.n_frames} frames, {record.substeps} sub-steps a step; dephasing times "
        f"{shown_number(record.tau_low, 2)} to {shown_number(record.tau_high, 2)} fs ({record.tau_convention}). Brackets: 95 %, "
        "sampling only.",
        f"Recombined in the window: {100 * record.ground_population:.3g} %, at most "
        f"{100 * record.ground_population_high:.2g} % (95 %, sampling). Energies count them as zero; edges do not absorb, "
        "together or alone.",
    )
    return Table("pair", "Electron and hole together", columns, rows, notes, tuple(i // 2 for i in range(len(rows))))


def _cooling(one: CarrierCooling) -> Cell:
    if one.cooling_time is None:
        return Cell(None, reason=one.reasons["cooling_time"])
    low, high = (None if end is None else end / _FS_PER_PS for end in (one.cooling_time_low, one.cooling_time_high))
    return Cell(one.cooling_time / _FS_PER_PS, low, high)


SECTION = Section(
    "relaxation",
    "Relaxation",
    "Relaxation within the bands",
    30,
    (
        whose,
        FigureSpec(
            "carriers",
            "Carriers relaxing through the bands",
            "Left: populations of the bands by the method named. Right: energy above the edge, averaged over trajectories, with the "
            "95 % interval of the sampling.",
            draw_relaxation,
            quiet=True,
        ),
        TableSpec(relaxation_table),
        FigureSpec(
            "pair",
            "Electron and hole together",
            "Left: populations by who is cool (in the band at the edge) or hot (in any other). Right: mean energy of each carrier above its edge, "
            "with the 95 % interval of the sampling; dashed: the carrier alone.",
            draw_pair,
            quiet=True,
        ),
    ),
    appendix=(without, TableSpec(pair_table)),
)

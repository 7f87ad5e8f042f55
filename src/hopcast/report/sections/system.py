"""The system: its cell, its gap and coupling in time, its electrons."""

from __future__ import annotations

from hopcast.report.cells import cell
from hopcast.report.figures.electrons import draw_gaps, draw_states
from hopcast.report.figures.series import draw_series
from hopcast.report.section import Absent, FigureSpec, Section, TableSpec
from hopcast.report.study_report import StudyReport
from hopcast.report.table import Cell, Column, Table


def without_orbitals(report: StudyReport) -> Absent | None:
    """Return why there are no electrons to look at."""
    if report.results.electrons is not None:
        return None
    return Absent(
        "Density of states and band edges: not drawn, the study names no computed orbitals (table [electrons] of the study file)."
    )


def electron_table(report: StudyReport) -> Table:
    """Return the band-edge states of the computed frames: localisation, and the share of each element."""
    record = report.results.electrons
    columns = (
        Column("state", "State", style="text"),
        Column("participation", "Inverse participation ratio", "", "number"),
        Column("participation_std", "its spread", "", "number", 2),
        Column("n_atoms", "Atoms it covers", "", "fixed", 1),
        *(Column(f"share_{element}", element, "%", "fixed", 1) for element in report.elements),
    )
    rows = []
    notes: tuple[str, ...] = ()
    for state in () if record is None else record.states:
        shares = {entry.element: entry.share for entry in state.elements}
        rows.append(
            (
                Cell(state.state),
                cell(state, "participation"),
                cell(state, "participation_std"),
                Cell(1 / state.participation),
                *(Cell(100 * shares[element]) for element in report.elements),
            )
        )
    if record is not None:
        notes = (
            f"{record.engine}, {record.n_frames} frames with a gap of {record.gap_mean:.3f} ± {record.gap_std:.3f} eV. "
            "Atoms it covers: one over the mean inverse participation ratio.",
        )
    return Table("electrons", "Band-edge states", columns, tuple(rows), notes)


SECTION = Section(
    "system",
    "System",
    "The system",
    10,
    (
        FigureSpec(
            "gap-and-coupling",
            "Gap and coupling over time",
            "Ab initio values along the trajectory and, where every frame is known, their power spectral density (Hann window, mean removed).",
            draw_series,
        ),
        FigureSpec(
            "electrons",
            "Density of states and band edges",
            "Averaged over the computed frames; energies from the valence band maximum of each frame, weights of atoms from Löwdin "
            "orbitals. Localisation: sum of the squared shares of the atoms, 1 on one atom; dashed: spread evenly over all.",
            draw_states,
            quiet=True,
        ),
    ),
    appendix=(
        TableSpec(electron_table),
        FigureSpec(
            "gap-distribution",
            "How the gap is distributed",
            "Ab initio gap of all known frames, beside the normal distribution of the same mean and width.",
            draw_gaps,
        ),
        without_orbitals,
    ),
)

"""What controls gap and coupling: information of each element, and its symmetry functions."""

from __future__ import annotations

import math
from functools import partial

from hopcast.report.cells import cell, cell_with_interval, verdict_cell
from hopcast.report.figures.atoms import draw_information_atoms
from hopcast.report.figures.information import draw_information_bars, draw_information_maps
from hopcast.report.section import FigureSpec, Section, TableSpec
from hopcast.report.study_report import StudyReport
from hopcast.report.table import Cell, Column, Table
from hopcast.results.paper import PAPER_ELEMENTS, PAPER_INFORMATION
from hopcast.results.verdicts import TARGET_NAMES


def information_table(report: StudyReport) -> Table:
    """Return mean mutual information of each element with gap and coupling, raw, shifted and corrected."""
    columns = (
        Column("element", "Element", style="text"),
        Column("target", "Target", style="text"),
        Column("raw", "Raw", "nat", "fixed", 2),
        Column("null_mean", "Shifted (null)", "nat", "fixed", 2),
        Column("corrected", "Corrected", "nat", "interval", 2),
        Column("windowed", "Theiler window", "nat", "fixed", 2),
        Column("p", "p", style="number", digits=2),
        Column("verdict", "Verdict", style="text"),
    )
    entries = sorted(report.results.information, key=lambda e: list(TARGET_NAMES).index(e.target))
    rows = tuple(
        (
            Cell(entry.element),
            Cell(TARGET_NAMES[entry.target]),
            cell(entry, "raw"),
            cell(entry, "null_mean"),
            cell_with_interval(entry, "corrected"),
            cell(entry, "windowed"),
            cell(entry, "p"),
            verdict_cell(entry),
        )
        for entry in entries
    )
    notes = [
        "Sum of the mutual information over an element's features and atoms, divided by the number of its atoms. "
        "Raw values carry the artefact of dense sampling and are never read without the null beside them."
    ]
    if frozenset(report.elements) == PAPER_ELEMENTS:
        features = next((e.n_features for e in entries if e.n_features is not None), None)
        per_atom = f", {PAPER_INFORMATION * features:.0f} nat for {features} features" if features else ""
        notes.append(
            f"The published study has about {PAPER_INFORMATION} nat a feature for every element{per_atom} (raw)."
        )
    return Table(
        "information",
        "Mean mutual information",
        columns,
        rows,
        tuple(notes),
        tuple(list(TARGET_NAMES).index(e.target) for e in entries),
    )


def best_feature_table(report: StudyReport) -> Table:
    """Return the symmetry function with the largest mutual information, by element and target."""
    columns = (
        Column("element", "Element", style="text"),
        Column("target", "Target", style="text"),
        Column("r_s", "R_s", "Å", "fixed", 2),
        Column("r_pair", "of", style="text"),
        Column("theta_s", "θ_s", "degrees", "fixed", 1),
        Column("theta_pair", "of", style="text"),
        Column("mi", "Raw MI", "nat", "fixed", 2),
        Column("null_mean", "Shifted (null)", "nat", "fixed", 2),
        Column("corrected", "Corrected MI", "nat", "fixed", 2),
    )
    entries = sorted(report.results.best_features, key=lambda e: list(TARGET_NAMES).index(e.target))
    rows = tuple(
        (
            Cell(entry.element),
            Cell(TARGET_NAMES[entry.target]),
            cell(entry, "r_s"),
            Cell(entry.r_pair),
            cell(entry, "theta_s", 180 / math.pi),
            Cell(entry.theta_pair),
            cell(entry, "mi"),
            cell(entry, "null_mean"),
            cell(entry, "corrected"),
        )
        for entry in entries
    )
    notes = ("Averaged over the element's atoms; “of” names the pair of elements whose distance or angle it is.",)
    return Table(
        "best-features",
        "The best symmetry function",
        columns,
        rows,
        notes,
        tuple(list(TARGET_NAMES).index(e.target) for e in entries),
    )


def selection_table(report: StudyReport) -> Table:
    """Return the features chosen one after the other, so that the second is no copy of the first."""
    columns = (
        Column("target", "Target", style="text"),
        Column("order", "Choice", style="fixed", digits=0),
        Column("element", "Element", style="text"),
        Column("atom", "Atom", style="fixed", digits=0),
        Column("r_s", "R_s", "Å", "fixed", 2),
        Column("theta_s", "θ_s", "degrees", "fixed", 1),
        Column("relevance", "Corrected MI", "nat", "fixed", 2),
        Column("redundancy", "With those before", "nat", "fixed", 2),
        Column("conditional", "Given those before", "nat", "fixed", 2),
        Column("p_first", "p of the largest", "", "number", 2),
    )
    rows, groups = [], []
    for one in report.results.selection:
        rows.append(
            (
                Cell(TARGET_NAMES[one.target]),
                Cell(one.order),
                Cell(one.element),
                Cell(one.atom),
                Cell(one.r_s),
                Cell(one.theta_s * 180 / math.pi),
                Cell(one.relevance),
                Cell(one.redundancy),
                Cell(one.conditional),
                cell(one, "p_first"),
            )
        )
        groups.append(list(TARGET_NAMES).index(one.target))
    methods = {"mrmr": "largest relevance less mean redundancy (mRMR)", "cmi": "largest information given those chosen"}
    chosen_by = next((methods[one.method] for one in report.results.selection), "")
    notes = (
        f"Chosen greedily by {chosen_by}, on the decimated series. p of the largest: how often the best of all features "
        "is as good on shifted targets; the largest of many is no discovery by itself.",
    )
    return Table("selection", "Features that are no copies of each other", columns, tuple(rows), notes, tuple(groups))


SECTION = Section(
    "information",
    "What controls it",
    "What controls gap and coupling",
    40,
    (
        FigureSpec(
            "information-bars",
            "Information by element",
            "Sum over an element's features and atoms, divided by the number of its atoms. The null is the raw estimate on features "
            "shifted in time; corrected: estimated on decimated series.",
            draw_information_bars,
        ),
        TableSpec(information_table),
    ),
    appendix=(
        TableSpec(best_feature_table),
        TableSpec(selection_table),
        FigureSpec(
            "information-atoms",
            "Information by atom",
            "Corrected information of each atom's symmetry functions, summed; first frame, along the shortest lattice vector. Where "
            "like atoms differ as much as elements do, the picture shows the noise of the estimate.",
            draw_information_atoms,
        ),
        FigureSpec(
            "information-maps-gap",
            "Information on the gap by symmetry function",
            "Mutual information of one symmetry function with the gap, averaged over the element's atoms. Framed: the largest.",
            partial(draw_information_maps, target="gap"),
        ),
        FigureSpec(
            "information-maps-nac",
            "Information on the coupling by symmetry function",
            "As above, for the coupling.",
            partial(draw_information_maps, target="nac"),
        ),
    ),
)

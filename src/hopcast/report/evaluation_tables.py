"""Tables of the evaluation: claims, calibrated error bars, lifetimes with them, learning curves."""

from __future__ import annotations

import math

from hopcast.report.cells import cell, estimate_cell, verdict_cell
from hopcast.report.study_report import StudyReport
from hopcast.report.table import Cell, Column, Table
from hopcast.results.forecasts import LearningCurves
from hopcast.results.verdicts import TARGET_NAMES

_QUANTITIES = {**TARGET_NAMES, "rate": "rate ratio"}


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
            Cell(one.claim), Cell(one.protocol), Cell(one.control),
            Cell(one.verdict.label, tone=one.verdict.label), Cell(one.verdict.sentence),
        )
        for one in report.results.claims
    )  # fmt: skip
    return Table("claims", "Published claims on this data", columns, rows)


def calibration_table(report: StudyReport) -> Table:
    """Return the coverage of nominal 90 % intervals on held-out blocks, by model and target."""
    columns = (
        Column("target", "Target", style="text"),
        Column("model", "Model", style="text"),
        Column("raw", "As they are", "%", "fixed", 0),
        Column("recalibrated", "Recalibrated", "%", "interval", 2),
        Column("n_effective", "Independent values", "", "fixed", 0),
        Column("variance_scale", "Error² / variance", "", "number", 2),
        Column("verdict", "Verdict", style="text"),
    )
    rows, groups = [], []
    for group, (target, words) in enumerate(TARGET_NAMES.items()):
        for model in report.results.models:
            if model.target != target or model.calibration is None:
                continue
            record = model.calibration
            at = min(range(len(record.levels)), key=lambda i: abs(record.levels[i] - 0.9))
            rows.append((
                Cell(words), Cell(model.name), Cell(100 * record.coverage[at]),
                Cell(100 * record.recalibrated[at], 100 * record.low, 100 * record.high),
                Cell(record.n_effective), cell(record, "variance_scale"), verdict_cell(record),
            ))  # fmt: skip
            groups.append(group)
    notes = (
        "Share of held-out values inside nominal 90 % intervals. Recalibrated: stretched by conformal factors from blocks of the "
        "training frames, which the test never meets. Brackets: 95 % interval of the share at the number of independent values.",
    )
    return Table("calibration", "Error bars on held-out blocks", columns, tuple(rows), notes, tuple(groups))


def calibrated_rate_table(report: StudyReport) -> Table:
    """Return each forecast's rate: plain, with posterior variance, from posterior series, prediction-powered, shifted."""
    columns = (
        Column("hamiltonian", "Hamiltonian", style="text"),
        Column("ratio", "Plain", "", "interval"),
        Column("variance", "√(μ² + var)", "", "interval"),
        Column("samples", "Joint samples", "", "interval"),
        Column("powered", "Prediction-powered", "", "interval"),
        Column("shifted", "Shifted features", "", "interval"),
        Column("lifetime", "Lifetime", "ns", "interval"),
        Column("lifetime_variance", "√(μ² + var)", "ns", "interval"),
        Column("lifetime_samples", "Joint samples", "ns", "interval"),
        Column("dominant", "Widest part", style="text"),
    )
    rows = []
    for row in report.results.hamiltonians:
        found = row.calibrated
        if found is None:
            continue
        twins = row.shifted
        known = twins is not None and twins.median is not None
        shifted = Cell(twins.median, twins.low, twins.high) if twins and known else cell(twins, "median")
        rows.append((
            Cell(row.name), estimate_cell(row.ratio), estimate_cell(found.ratio_variance), estimate_cell(found.ratio_samples),
            estimate_cell(row.prediction_powered_ratio), shifted, estimate_cell(row.lifetime),
            estimate_cell(found.lifetime_variance), estimate_cell(found.lifetime_samples),
            Cell((row.dominant_part or "").replace("_", " ") or None),
        ))  # fmt: skip
    notes = (
        "Ratios to ab initio. Regression shrinks the coupling's variance, and a rate goes with its square: √(μ² + var) puts "
        "the posterior variance back; joint samples are whole series of gap and coupling drawn from the posterior and run "
        "through the exact solver. Prediction-powered: the average over the computed frames with the forecast of held-out "
        "blocks as control variate. Shifted: the same model fed features of another time (median, 2.5 to 97.5 %).",
        "Widest part: what makes the lifetime's 95 % interval wide.",
    )
    return Table("calibrated-rates", "Rates with calibrated error bars", columns, tuple(rows), notes)


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
        rows.append((
            Cell(TARGET_NAMES[one.target]), Cell(one.order), Cell(one.element), Cell(one.atom), Cell(one.r_s),
            Cell(one.theta_s * 180 / math.pi), Cell(one.relevance), Cell(one.redundancy), Cell(one.conditional),
            cell(one, "p_first"),
        ))  # fmt: skip
        groups.append(list(TARGET_NAMES).index(one.target))
    methods = {
        "mrmr": "largest relevance less mean redundancy (mRMR)",
        "cmi": "largest information given those chosen",
    }
    chosen_by = next((methods[one.method] for one in report.results.selection), "")
    notes = (
        f"Chosen greedily by {chosen_by}, on the decimated series. p of the largest: how often the best of all features "
        "is as good on shifted targets; the largest of many is no discovery by itself.",
    )
    return Table(
        "selection", "Features that are no copies of each other", columns, tuple(rows), notes, tuple(groups)
    )


def learning_table(report: StudyReport) -> Table:
    """Return every point of the learning curves beside its controls."""
    columns = (
        Column("axis", "Varied", style="text"),
        Column("split", "Split", style="text"),
        Column("quantity", "Quantity", style="text"),
        Column("model", "Model", style="text"),
        Column("stride", "Stride", "fs"),
        Column("n_frames", "Frames", style="fixed", digits=0),
        Column("n_train", "Trained on", style="fixed", digits=0),
        Column("value", "Model", style="r2"),
        Column("linear", "Linear", style="r2"),
        Column("cubic", "Cubic", style="r2"),
        Column("shifted", "Shifted", style="r2"),
        Column("plain", "Plain average", style="r2"),
    )
    curves = report.results.learning_curves or LearningCurves()
    order = sorted(
        curves.points,
        key=lambda p: (
            p.axis != "stride",
            p.split != "interleaved",
            list(_QUANTITIES).index(p.target),
        ),
    )
    rows = tuple(
        (
            Cell(p.axis), Cell(p.split), Cell(_QUANTITIES[p.target]), Cell(p.model), Cell(p.stride.fs),
            Cell(p.n_frames), cell(p, "n_train"),
            *(cell(p, key) for key in ("value", "linear", "cubic", "shifted", "plain")),
        )
        for p in order
    )  # fmt: skip
    left_out = curves.left_out
    notes = ["R² of gap and coupling; ratio to ab initio of the second-order rate."]
    if left_out:
        notes.append(f"{len(left_out)} points were left out, listed in `results.json` with their reasons.")
    return Table("learning-curves", "Learning curves", columns, rows, tuple(notes))


def left_out_sentences(report: StudyReport) -> list[tuple[str, str]]:
    """Return which points of the learning curves have no score, gathered by reason: where, and why."""
    gathered: dict[tuple[str, str], list[str]] = {}
    for one in (report.results.learning_curves or LearningCurves()).left_out:
        varied = (
            f"{one.stride.fs:g} fs"
            if one.axis == "stride" and one.stride is not None
            else f"{one.n_frames} frames"
        )
        where = f"{one.split}, {TARGET_NAMES.get(one.target, one.target)}"
        listed = gathered.setdefault((where, one.reason), [])
        if varied not in listed:
            listed.append(varied)
    return [(f"{where}, {', '.join(listed)}", reason) for (where, reason), listed in gathered.items()]

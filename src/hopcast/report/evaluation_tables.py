"""Tables of the evaluation: claims, calibrated error bars, lifetimes with them, learning curves."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from hopcast.report.study_report import StudyReport
from hopcast.report.table import Cell, Column, Table
from hopcast.report.verdicts import TARGET_NAMES

_QUANTITIES = {**TARGET_NAMES, "rate": "rate ratio"}


def _value(record: Mapping[str, Any], key: str) -> Cell:
    value = record.get(key)
    return Cell(None, reason=str(record.get(f"{key}_reason", ""))) if value is None else Cell(value)


def _estimate(record: Mapping[str, Any] | None) -> Cell:
    if record is None or record["value"] is None:
        return Cell(None, reason="not computed" if record is None else str(record["value_reason"]))
    return Cell(record["value"], record["low"], record["high"])


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
            Cell(one["claim"]), Cell(one["protocol"]), Cell(one["control"]),
            Cell(one["verdict"]["label"], tone=one["verdict"]["label"]), Cell(one["verdict"]["sentence"]),
        )
        for one in report.results.get("claims", ())
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
        for model in report.results["models"]:
            if model["target"] != target or "calibration" not in model:
                continue
            record = model["calibration"]
            at = min(range(len(record["levels"])), key=lambda i: abs(record["levels"][i] - 0.9))
            label = record["verdict"]["label"]
            rows.append((
                Cell(words), Cell(model["name"]), Cell(100 * record["coverage"][at]),
                Cell(100 * record["recalibrated"][at], 100 * record["low"], 100 * record["high"]),
                Cell(record["n_effective"]), _value(record, "variance_scale"), Cell(label, tone=label),
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
    for row in report.results["hamiltonians"]:
        found = row.get("calibrated")
        if found is None:
            continue
        twins = row.get("shifted", {"median": None, "median_reason": "not computed"})
        shifted = (
            _value(twins, "median")
            if twins["median"] is None
            else Cell(twins["median"], twins["low"], twins["high"])
        )
        rows.append((
            Cell(row["name"]), _estimate(row["ratio"]), _estimate(found["ratio_variance"]), _estimate(found["ratio_samples"]),
            _estimate(row.get("prediction_powered_ratio")), shifted, _estimate(row["lifetime"]),
            _estimate(found.get("lifetime_variance")), _estimate(found.get("lifetime_samples")),
            Cell(row.get("dominant_part", "").replace("_", " ") or None),
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
    for one in report.results.get("selection", ()):
        rows.append((
            Cell(TARGET_NAMES[one["target"]]), Cell(one["order"]), Cell(one["element"]), Cell(one["atom"]), Cell(one["r_s"]),
            Cell(one["theta_s"] * 180 / math.pi), Cell(one["relevance"]), Cell(one["redundancy"]), Cell(one["conditional"]),
            _value(one, "p_first"),
        ))  # fmt: skip
        groups.append(list(TARGET_NAMES).index(one["target"]))
    methods = {
        "mrmr": "largest relevance less mean redundancy (mRMR)",
        "cmi": "largest information given those chosen",
    }
    chosen_by = next((methods[one["method"]] for one in report.results.get("selection", ())), "")
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
    points = report.results.get("learning_curves", {}).get("points", ())
    order = sorted(
        points,
        key=lambda p: (
            p["axis"] != "stride",
            p["split"] != "interleaved",
            list(_QUANTITIES).index(p["target"]),
        ),
    )
    rows = tuple(
        (
            Cell(p["axis"]), Cell(p["split"]), Cell(_QUANTITIES[p["target"]]), Cell(p["model"]), Cell(p["stride"]["fs"]),
            Cell(p["n_frames"]), _value(p, "n_train"),
            *(_value(p, key) for key in ("value", "linear", "cubic", "shifted", "plain")),
        )
        for p in order
    )  # fmt: skip
    left_out = report.results.get("learning_curves", {}).get("left_out", ())
    notes = ["R² of gap and coupling; ratio to ab initio of the second-order rate."]
    if left_out:
        notes.append(f"{len(left_out)} points were left out, listed in `results.json` with their reasons.")
    return Table("learning-curves", "Learning curves", columns, rows, tuple(notes))


def left_out_sentences(report: StudyReport) -> list[tuple[str, str]]:
    """Return which points of the learning curves have no score, gathered by reason: where, and why."""
    gathered: dict[tuple[str, str], list[str]] = {}
    for one in report.results.get("learning_curves", {}).get("left_out", ()):
        varied = f"{one['stride']['fs']:g} fs" if one["axis"] == "stride" else f"{one['n_frames']} frames"
        where = f"{one['split']}, {TARGET_NAMES.get(one['target'], one['target'])}"
        listed = gathered.setdefault((where, one["reason"]), [])
        if varied not in listed:
            listed.append(varied)
    return [(f"{where}, {', '.join(listed)}", reason) for (where, reason), listed in gathered.items()]

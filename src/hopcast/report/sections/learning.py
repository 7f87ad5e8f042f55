"""Learning curves, and error bars on held-out blocks."""

from __future__ import annotations

from functools import partial

from hopcast.core.naming import counted
from hopcast.report.cells import cell, verdict_cell
from hopcast.report.figures.calibration import draw_calibration
from hopcast.report.figures.curves import draw_learning_curves
from hopcast.report.section import Details, FigureSpec, Section, TableSpec
from hopcast.report.study_report import StudyReport
from hopcast.report.table import Cell, Column, Table
from hopcast.results.forecasts import LearningCurves
from hopcast.results.verdicts import TARGET_NAMES

_QUANTITIES = {**TARGET_NAMES, "rate": "rate ratio"}


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
        curves.points, key=lambda p: (p.axis != "stride", p.split != "interleaved", list(_QUANTITIES).index(p.target))
    )
    rows = tuple(
        (
            Cell(p.axis),
            Cell(p.split),
            Cell(_QUANTITIES[p.target]),
            Cell(p.model),
            Cell(p.stride.fs),
            Cell(p.n_frames),
            cell(p, "n_train"),
            *(cell(p, key) for key in ("value", "linear", "cubic", "shifted", "plain")),
        )
        for p in order
    )
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
            else counted(one.n_frames or 0, "frame")
        )
        where = f"{one.split}, {TARGET_NAMES.get(one.target, one.target)}"
        listed = gathered.setdefault((where, one.reason), [])
        if varied not in listed:
            listed.append(varied)
    return [(f"{where}, {', '.join(listed)}", reason) for (where, reason), listed in gathered.items()]


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
            rows.append(
                (
                    Cell(words),
                    Cell(model.name),
                    Cell(100 * record.coverage[at]),
                    Cell(100 * record.recalibrated[at], 100 * record.low, 100 * record.high),
                    Cell(record.n_effective),
                    cell(record, "variance_scale"),
                    verdict_cell(record),
                )
            )
            groups.append(group)
    notes = (
        "Share of held-out values inside nominal 90 % intervals. Recalibrated: stretched by conformal factors from blocks of the "
        "training frames, which the test never meets. Brackets: 95 % interval of the share at the number of independent values.",
    )
    return Table("calibration", "Error bars on held-out blocks", columns, tuple(rows), notes, tuple(groups))


def left_out(report: StudyReport) -> Details:
    """Return the points without a score."""
    return Details("Points that were left out", left_out_sentences(report))


SECTION = Section(
    "learning",
    "Learning",
    "Learning curves and error bars",
    70,
    appendix=(
        FigureSpec(
            "learning-curves-frames",
            "Scores against the number of frames",
            "R² (axis: logarithm of 1 − R²) and the second-order rate over the ab initio one, on the first part of the trajectory, at the "
            "study's training stride; grey lines and band: what knows no geometry.",
            partial(draw_learning_curves, axis="frames"),
        ),
        TableSpec(learning_table),
        left_out,
        FigureSpec(
            "calibration",
            "Error bars on held-out blocks",
            "Share of held-out values inside intervals of each nominal level: lines as the posterior gives them, points recalibrated "
            "on blocks that the test never meets (circles: models of the one best feature). On the dashed line an interval holds "
            "what it promises. Grey bar: 95 % interval of the share at 90 %, first model.",
            draw_calibration,
        ),
        TableSpec(calibration_table),
    ),
)

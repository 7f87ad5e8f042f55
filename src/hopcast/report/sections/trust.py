"""How far to trust this: every verdict, and the scores beside what needs no model."""

from __future__ import annotations

from hopcast.evaluation.verdicts import Verdict
from hopcast.report.cells import cell, verdict_cell
from hopcast.report.figures.curves import draw_learning_curves
from hopcast.report.figures.trust import draw_trust
from hopcast.report.section import FigureSpec, Section, TableSpec, Verdicts
from hopcast.report.study_report import StudyReport
from hopcast.report.table import Cell, Column, Table
from hopcast.results.verdicts import TARGET_NAMES


def summary(report: StudyReport) -> Verdicts:
    """Return the verdict on every part."""
    return Verdicts(
        [(one.subject, Verdict(one.label, one.sentence)) for one in report.results.verdicts], folded="All verdicts"
    )


def trust_table(report: StudyReport) -> Table:
    """Return each model's R2 beside its baselines, shifted features and blocked score."""
    columns = (
        Column("target", "Target", style="text"),
        Column("model", "Model", style="text"),
        Column("r2", "R² of the model", style="r2"),
        Column("linear", "Linear in time", style="r2"),
        Column("cubic", "Cubic spline", style="r2"),
        Column("shifted", "Shifted features", style="r2"),
        Column("blocked", "Held-out blocks", style="r2"),
        Column("verdict", "Verdict", style="text"),
    )
    rows, groups = [], []
    for group, (target, words) in enumerate(TARGET_NAMES.items()):
        for name in report.model_names:
            model = report.model(name, target, "interleaved")
            if model is None:
                continue
            blocked = report.model(name, target, "blocked") or report.model(name, target, "trajectory")
            baselines = model.baselines
            rows.append(
                (
                    Cell(words),
                    Cell(name),
                    cell(model, "r2"),
                    cell(baselines.linear, "r2"),
                    cell(baselines.cubic, "r2"),
                    cell(baselines.shifted, "median"),
                    cell(blocked, "r2"),
                    verdict_cell(model),
                )
            )
            groups.append(group)
    notes = (
        "Linear, cubic: interpolation in time from the same training frames. Shifted: median R² of the same model fed features "
        "of another time. Held-out blocks: whole stretches of the trajectory left out, with a margin.",
    )
    return Table("trust", "Scores beside what needs no model", columns, tuple(rows), notes, tuple(groups))


SECTION = Section(
    "how-far",
    "Trust",
    "How far to trust the forecast",
    50,
    (
        summary,
        FigureSpec(
            "trust",
            "Scores beside what needs no model",
            "R² on frames between the training frames (discs), beside interpolation in time from the same frames and the same model "
            "fed features of another time (grey bar: 2.5 to 97.5 %, tick: median). Squares: R² on held-out stretches of time. "
            "A disc that is not to the right of all grey marks shows that the score comes from the calendar.",
            draw_trust,
        ),
        FigureSpec(
            "learning-curves",
            "From which training stride on does the model know more than the calendar?",
            "Against the time between training frames: R² (axis: logarithm of 1 − R², better upwards; dashed: the mean) and the "
            "second-order rate over the ab initio one. Top: frames between the training frames; bottom: held-out stretches of time. "
            "A model knows more than the calendar where it runs above every grey line and the band.",
            draw_learning_curves,
        ),
    ),
    appendix=(TableSpec(trust_table),),
)

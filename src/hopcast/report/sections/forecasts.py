"""Forecasts of gap and coupling, and their errors."""

from __future__ import annotations

from collections.abc import Sequence

from hopcast.core.naming import counted
from hopcast.report.cells import cell
from hopcast.report.figures.forecast import draw_forecast
from hopcast.report.section import Details, FigureSpec, Section, TableSpec
from hopcast.report.study_report import StudyReport
from hopcast.report.table import Cell, Column, Table
from hopcast.results.forecasts import ScoreRecord
from hopcast.results.verdicts import TARGET_NAMES

_MEV = 1e3
_BASELINE_ROWS = (("mean", "mean"), ("linear", "linear in time"), ("cubic", "cubic spline in time"))
_SPLIT_NAMES = {"interleaved": "interleaved", "blocked": "blocked", "trajectory": "trajectory"}


def models_in_words(report: StudyReport) -> Details:
    """Return the verdict on each model."""
    judged = [(f"{m.name}, {m.target}", m.sentence) for m in report.results.models if m.verdict is not None]
    return Details("Each model in words", judged)


def model_table(report: StudyReport) -> Table:
    """Return errors of gap and coupling by model and split, interpolation in time below each split."""
    score = (("r2", "R²", "", "r2", 4), ("mae", "MAE", "meV", "number", 3), ("rmse", "RMSE", "meV", "number", 3))
    columns = [Column("split", "Split", style="text"), Column("model", "Model", style="text")]
    for target, name in TARGET_NAMES.items():
        for key, label, unit, look, digits in score:
            columns.append(Column(f"{target}_{key}", f"{name.capitalize()} {label}", unit, look, digits))  # type: ignore[arg-type]
    rows: list[tuple[Cell, ...]] = []
    groups: list[int] = []
    splits = [s for s in _SPLIT_NAMES if any(m.split == s for m in report.results.models)]
    for group, split in enumerate(splits):
        for name in report.model_names:
            pair = [report.model(name, target, split) for target in TARGET_NAMES]
            if any(pair):
                rows.append(_score_row(_SPLIT_NAMES[split], name, pair))
                groups.append(group)
        for key, words in _BASELINE_ROWS:
            shared = [_shared_baseline(report, target, split, key) for target in TARGET_NAMES]
            if any(shared):
                rows.append(_score_row(_SPLIT_NAMES[split], words, shared))
                groups.append(group)
    notes = ["Interpolations use the same training frames as the models; the mean predicts their average."]
    stride = next((m.stride for m in report.results.models if m.stride is not None and m.split == "interleaved"), None)
    if stride is not None:
        notes.append(f"Interleaved: one training frame every {stride.fs:g} fs ({counted(stride.frames, 'frame')}).")
    return Table("models", "Errors of the forecasts", tuple(columns), tuple(rows), tuple(notes), tuple(groups))


def _score_row(split: str, name: str, pair: Sequence[ScoreRecord | None]) -> tuple[Cell, ...]:
    cells = [Cell(split), Cell(name)]
    for record in pair:
        cells += [cell(record, "r2"), cell(record, "mae", _MEV), cell(record, "rmse", _MEV)]
    return tuple(cells)


def _shared_baseline(report: StudyReport, target: str, split: str, key: str) -> ScoreRecord | None:
    """Return a baseline where all models of a target and split have the same (they share their training frames)."""
    records: list[ScoreRecord] = [
        getattr(m.baselines, key) for m in report.results.models if m.target == target and m.split == split
    ]
    values = {record.r2 for record in records}
    return records[0] if len(values) == 1 else None


def candidate_table(report: StudyReport) -> Table:
    """Return what a sparse study chose among: representations and learners on the same held-out stretches of time."""
    columns = (
        Column("target", "Target", style="text"),
        Column("name", "Representation and learner", style="text"),
        Column("r2", "R²", "", "r2"),
        Column("mae", "MAE", "meV", "number", 3),
        Column("rmse", "RMSE", "meV", "number", 3),
        Column("n_chosen", "Chosen for", "stretches"),
    )
    entries = report.results.candidates or []
    rows = tuple(
        (
            Cell(TARGET_NAMES[entry.target]),
            Cell(entry.name),
            cell(entry, "r2"),
            cell(entry, "mae", _MEV),
            cell(entry, "rmse", _MEV),
            Cell(entry.n_chosen or None, reason="never chosen, or nothing to choose"),
        )
        for entry in entries
    )
    notes = (
        "Each stretch of time is forecast by models that saw nothing of it. The best row of many is too good by chance: the score "
        "of choosing, made without the stretch that is forecast, is the one to believe.",
    )
    return Table(
        "candidates",
        "Representations and learners",
        columns,
        rows,
        notes,
        tuple(list(TARGET_NAMES).index(entry.target) for entry in entries),
    )


SECTION = Section(
    "forecasts",
    "Forecasts",
    "Forecasts of gap and coupling",
    65,
    appendix=(
        FigureSpec(
            "forecast",
            "Forecast against ab initio",
            "Top: a stretch of the trajectory and the error of each forecast there (dashed: the one best feature). Bottom: test frames, discs for all features "
            "and circles for the best one, with the number of features an atom and R². Of a sparse Hamiltonian errors and discs are those of computed "
            "pairs in stretches of time that were held out.",
            draw_forecast,
        ),
        TableSpec(model_table),
        TableSpec(candidate_table),
        models_in_words,
    ),
)

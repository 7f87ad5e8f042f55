"""Tables 1 to 4 of the published study for our data, and the table of the first box."""

from __future__ import annotations

import math
from collections.abc import Sequence

from hopcast.report.cells import cell, cell_with_interval, estimate_cell, verdict_cell
from hopcast.report.evaluation_tables import (
    calibrated_rate_table,
    calibration_table,
    claim_table,
    learning_table,
    selection_table,
)
from hopcast.report.relaxation_tables import pair_table, relaxation_table
from hopcast.report.study_report import StudyReport
from hopcast.report.table import Cell, Column, Table
from hopcast.results.forecasts import ScoreRecord
from hopcast.results.paper import PAPER_ELEMENTS, PAPER_INFORMATION, paper_ratio
from hopcast.results.verdicts import TARGET_NAMES

_MEV = 1e3
_BASELINE_ROWS = (("mean", "mean"), ("linear", "linear in time"), ("cubic", "cubic spline in time"))
_SPLIT_NAMES = {"interleaved": "interleaved", "blocked": "blocked", "trajectory": "trajectory"}


def information_table(report: StudyReport) -> Table:
    """Return Table 1: mean mutual information of each element with gap and coupling, raw, shifted and corrected."""
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
            Cell(entry.element), Cell(TARGET_NAMES[entry.target]), cell(entry, "raw"), cell(entry, "null_mean"),
            cell_with_interval(entry, "corrected"), cell(entry, "windowed"), cell(entry, "p"), verdict_cell(entry),
        )
        for entry in entries
    )  # fmt: skip
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
        "table-1-information", "Table 1. Mean mutual information", columns, rows, tuple(notes),
        tuple(list(TARGET_NAMES).index(e.target) for e in entries),
    )  # fmt: skip


def model_table(report: StudyReport) -> Table:
    """Return Table 2: errors of gap and coupling by model and split, interpolation in time below each split."""
    score = (
        ("r2", "R²", "", "r2", 4),
        ("mae", "MAE", "meV", "number", 3),
        ("rmse", "RMSE", "meV", "number", 3),
    )
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
    stride = next(
        (m.stride for m in report.results.models if m.stride is not None and m.split == "interleaved"), None
    )
    if stride is not None:
        notes.append(f"Interleaved: one training frame every {stride.fs:g} fs ({stride.frames} frames).")
    return Table(
        "table-2-models",
        "Table 2. Errors of the forecasts",
        tuple(columns),
        tuple(rows),
        tuple(notes),
        tuple(groups),
    )


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
            Cell(TARGET_NAMES[entry.target]), Cell(entry.name), cell(entry, "r2"), cell(entry, "mae", _MEV),
            cell(entry, "rmse", _MEV), Cell(entry.n_chosen or None, reason="never chosen, or nothing to choose"),
        )
        for entry in entries
    )  # fmt: skip
    notes = (
        "Each stretch of time is forecast by models that saw nothing of it. The best row of many is too good by chance: the score "
        "of choosing, made without the stretch that is forecast, is the one to believe.",
    )
    return Table(
        "candidates", "Representations and learners", columns, rows, notes,
        tuple(list(TARGET_NAMES).index(entry.target) for entry in entries),
    )  # fmt: skip


def best_feature_table(report: StudyReport) -> Table:
    """Return Table 3: the symmetry function with the largest mutual information, by element and target."""
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
            Cell(entry.element), Cell(TARGET_NAMES[entry.target]), cell(entry, "r_s"), Cell(entry.r_pair),
            cell(entry, "theta_s", 180 / math.pi), Cell(entry.theta_pair), cell(entry, "mi"),
            cell(entry, "null_mean"), cell(entry, "corrected"),
        )
        for entry in entries
    )  # fmt: skip
    notes = (
        "Averaged over the element's atoms; “of” names the pair of elements whose distance or angle it is.",
    )
    return Table(
        "table-3-best-features", "Table 3. The best symmetry function", columns, rows, notes,
        tuple(list(TARGET_NAMES).index(e.target) for e in entries),
    )  # fmt: skip


def hamiltonian_table(report: StudyReport) -> Table:
    """Return Table 4: gradient, intercept, lifetime and ratio to ab initio, beside the published ratio."""
    columns = [
        Column("hamiltonian", "Hamiltonian", style="text"),
        Column("gradient", "Gradient", "1/ns", "interval"),
        Column("intercept", "Intercept", "", "interval", 2),
        Column("lifetime", "Lifetime", "ns", "interval"),
        Column("ratio", "Ratio to ab initio", "", "interval"),
    ]
    rows_of = report.results.hamiltonians
    # the published ratios are to a dense ab initio Hamiltonian
    published = [
        None if report.results.samples is not None else paper_ratio(row.name, report.elements)
        for row in rows_of
    ]
    with_paper = any(value is not None for value in published)
    if with_paper:
        columns.append(Column("paper_ratio", "Published ratio", "", "fixed", 3))
    columns.append(Column("verdict", "Verdict", style="text"))
    rows = []
    for row, paper in zip(rows_of, published, strict=True):
        cells = [
            Cell(row.name),
            *(estimate_cell(getattr(row, key)) for key in ("gradient", "intercept", "lifetime", "ratio")),
        ]
        if with_paper:
            cells.append(Cell(paper))
        rows.append((*cells, verdict_cell(row)))
    return Table(
        "table-4-hamiltonians", "Table 4. Recombination on each Hamiltonian", tuple(columns), tuple(rows),
        tuple(_hamiltonian_notes(report, with_paper=with_paper)), tuple(int(index > 0) for index in range(len(rows))),
    )  # fmt: skip


def _hamiltonian_notes(report: StudyReport, *, with_paper: bool) -> list[str]:
    rows = report.results.hamiltonians
    if not rows:
        return []
    first = rows[0]
    tau = "unknown" if first.tau is None else f"{first.tau:.3g} fs"
    notes = [
        f"{first.method}, rule {first.rule}, waiting {first.waiting}, tau {tau} ({first.tau_convention}). "
        "Brackets: 95 % intervals."
    ]
    kinds = ("gradient", "intercept", "lifetime", "ratio")
    said = dict.fromkeys(getattr(row, kind).note for row in rows for kind in kinds if getattr(row, kind).note)
    notes += [f"Intervals: {text.rstrip('.')}." for text in said]
    if with_paper:
        notes.append(
            "Published ratios: How et al., J. Phys. Chem. Lett. 2021, 12, 12026 (its absolute unit is ambiguous)."
        )
    return notes


def interval_table(report: StudyReport) -> Table:
    """Return the parts of each ratio's 95 % interval (half-widths) and which of them dominates."""
    parts = (
        ("finite_trajectory", "Finite trajectory"),
        ("model", "Model"),
        ("initial_time", "Initial times"),
        ("monte_carlo", "Monte Carlo"),
    )
    columns = (
        Column("hamiltonian", "Hamiltonian", style="text"),
        Column("ratio", "Ratio to ab initio", "", "interval"),
        *(Column(key, label, "±", digits=2) for key, label in parts),
    )
    rows = tuple(
        (Cell(row.name), estimate_cell(row.ratio), *(cell(row.ratio.parts, key) for key, _ in parts))
        for row in report.results.hamiltonians
    )
    return Table(
        "intervals", "Parts of the intervals", columns, rows, ("Half-widths at 95 %, in units of the ratio.",)
    )


def own_tau_table(report: StudyReport) -> Table:
    """Return each ratio beside the one with the forecast's own dephasing time and the prediction-powered one."""
    kinds = (
        ("ratio", "Ratio to ab initio"),
        ("ratio_own_tau", "With its own tau"),
        ("prediction_powered_ratio", "Prediction-powered"),
    )
    rows_of = [row for row in report.results.hamiltonians if row.ratio_own_tau is not None]
    shown = [(key, label) for key, label in kinds if any(getattr(row, key) is not None for row in rows_of)]
    columns = (
        Column("hamiltonian", "Hamiltonian", style="text"),
        Column("own_tau", "Own tau", "fs"),
        *(Column(key, label, "", "interval") for key, label in shown),
    )
    rows = tuple(
        (
            Cell(row.name),
            cell(row, "own_tau"),
            *(estimate_cell(getattr(row, key)) for key, _ in shown),
        )
        for row in rows_of
    )
    note = "The dephasing time of record is that of the ab initio gap; the second ratio takes each forecast's own."
    return Table("own-dephasing", "Each forecast with its own dephasing time", columns, rows, (note,))


def rate_control_table(report: StudyReport) -> Table:
    """Return the rates of Hamiltonians that know no geometry, beside the forecasts' range."""
    columns = (
        Column("name", "Made from the same computed frames", style="text"),
        Column("ratio", "Ratio to ab initio", "", "interval"),
    )
    rows = tuple((Cell(row.name), estimate_cell(row.ratio)) for row in report.results.rate_controls or ())
    note = "A forecast whose rate is no nearer to the ab initio one than these adds nothing to a rate. Plain average: V²/E⁴ over the computed frames."
    return Table("rate-controls", "Rates without a model of the geometry", columns, rows, (note,))


def sampled_rate_table(report: StudyReport) -> Table:
    """Return the mean rate of a sparse Hamiltonian: plain average of the computed pairs, forecasts, prediction-powered."""
    columns = (
        Column("name", "Model", style="text"),
        Column("kind", "How", style="text"),
        Column("rate", "Rate", "1/ns", "interval"),
        Column("lifetime", "Lifetime", "ns", "interval"),
        Column("ratio", "Over the plain average", "", "fixed", 3),
        Column("relative_width", "Width over its width", "", "fixed", 2),
        Column("weight", "Weight of the forecast", "", "fixed", 2),
    )
    records = report.results.rates or []
    rows = tuple(
        (
            Cell(row.name), Cell(row.kind), estimate_cell(row.rate), estimate_cell(row.lifetime), cell(row, "ratio"),
            cell(row, "relative_width"), Cell(row.weight, reason="not a weighted estimate"),
        )
        for row in records
    )  # fmt: skip
    names = list(dict.fromkeys(row.name for row in records))
    notes = (
        "Second-order rates, unless exact. The plain average needs no model: a forecast helps where the prediction-powered "
        "interval is narrower. A plain forecast's interval holds the finite trajectory only, not what the model gets wrong.",
    )
    return Table(
        "rates", "The mean rate from the computed pairs", columns, rows, notes,
        tuple(names.index(row.name) for row in records),
    )  # fmt: skip


def method_table(report: StudyReport) -> Table:
    """Return other methods, rules and waitings on the ab initio Hamiltonian, where the study ran them."""
    columns = (
        Column("name", "Run", style="text"),
        Column("method", "Method", style="text"),
        Column("rule", "Rule", style="text"),
        Column("waiting", "Waiting", style="text"),
        Column("tau", "tau", "fs"),
        Column("gradient", "Gradient", "1/ns", "interval"),
        Column("lifetime", "Lifetime", "ns", "interval"),
        Column("ratio", "Ratio to the first row of Table 4", "", "interval"),
    )
    rows = tuple(
        (
            Cell(row.name), Cell(row.method), Cell(row.rule), Cell(row.waiting), cell(row, "tau"),
            estimate_cell(row.gradient), estimate_cell(row.lifetime), estimate_cell(row.ratio),
        )
        for row in report.results.methods or ()
    )  # fmt: skip
    return Table("methods", "Other methods on the ab initio Hamiltonian", columns, rows)


def trust_table(report: StudyReport) -> Table:
    """Return the table of the first box: each model's R2 beside its baselines, shifted features and blocked score."""
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
            rows.append((
                Cell(words), Cell(name), cell(model, "r2"), cell(baselines.linear, "r2"), cell(baselines.cubic, "r2"),
                cell(baselines.shifted, "median"), cell(blocked, "r2"), verdict_cell(model),
            ))  # fmt: skip
            groups.append(group)
    notes = (
        "Linear, cubic: interpolation in time from the same training frames. Shifted: median R² of the same model fed features "
        "of another time. Held-out blocks: whole stretches of the trajectory left out, with a margin.",
    )
    return Table("trust", "Scores beside what needs no model", columns, tuple(rows), notes, tuple(groups))


def check_table(report: StudyReport) -> Table:
    """Return exact solver against Monte Carlo, one row a setting."""
    columns = (
        Column("setting", "Setting", style="text"),
        Column("temperature", "T", "K"),
        Column("substep", "Sub-step", "fs"),
        Column("coupling_scale", "Couplings ×"),
        Column("unit", "Unit", style="text"),
        Column("exact", "Exact", digits=4),
        Column("monte_carlo", "Monte Carlo", digits=4),
        Column("standard_error", "Standard error", digits=2),
        Column("within_two", "Within 2 s.e.", style="text"),
        Column("pooled_z", "Pooled z", "", "fixed", 2),
        Column("verdict", "Verdict", style="text"),
    )
    rows = tuple(
        (
            Cell(check.name), cell(check, "temperature"), cell(check, "substep"), cell(check, "coupling_scale"),
            Cell(check.unit), cell(check, "exact"), cell(check, "monte_carlo"), cell(check, "standard_error"),
            Cell(f"{check.within_two} of {check.n_seeds}"), cell(check, "pooled_z"), verdict_cell(check),
        )
        for check in report.results.checks
    )  # fmt: skip
    events = [check.n_events for check in report.results.checks if check.n_events is not None]
    notes = (f"At least {min(events)} recombination events in every run.",) if events else ()
    return Table("exact-and-monte-carlo", "Exact solver and Monte Carlo engine", columns, rows, notes)


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
        rows.append((
            Cell(state.state), cell(state, "participation"), cell(state, "participation_std"),
            Cell(1 / state.participation), *(Cell(100 * shares[element]) for element in report.elements),
        ))  # fmt: skip
    if record is not None:
        notes = (
            f"{record.engine}, {record.n_frames} frames with a gap of {record.gap_mean:.3f} ± {record.gap_std:.3f} eV. "
            "Atoms it covers: one over the mean inverse participation ratio.",
        )
    return Table("electrons", "Band-edge states", columns, tuple(rows), notes)


def study_tables(report: StudyReport) -> dict[str, Table]:
    """Return all tables of the report by name, in its order."""
    tables = (
        trust_table(report), information_table(report), model_table(report), candidate_table(report), best_feature_table(report),
        hamiltonian_table(report), interval_table(report), rate_control_table(report), sampled_rate_table(report), own_tau_table(report),
        method_table(report), check_table(report), claim_table(report), calibration_table(report),
        calibrated_rate_table(report), learning_table(report), selection_table(report), electron_table(report),
        relaxation_table(report), pair_table(report),
    )  # fmt: skip
    return {table.name: table for table in tables}

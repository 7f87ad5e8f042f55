"""Recombination on each Hamiltonian."""

from __future__ import annotations

from hopcast.dynamics.dephasing import SAID_EXCESS
from hopcast.report.cells import cell, estimate_cell, lifetime_column, typical_unit, verdict_cell
from hopcast.report.figures.dephasing import draw_dephasing
from hopcast.report.figures.population import draw_fits
from hopcast.report.figures.rates import draw_rates
from hopcast.report.section import Details, FigureSpec, Section, TableSpec, Terms
from hopcast.report.study_report import StudyReport
from hopcast.report.table import Cell, Column, Table, shown_number
from hopcast.results.paper import paper_ratio


def rates_in_words(report: StudyReport) -> Details:
    """Return the verdict on each rate."""
    judged = [(row.name, row.sentence) for row in report.results.hamiltonians if row.verdict is not None]
    return Details("Each rate in words", judged)


def dephasing(report: StudyReport) -> Terms:
    """Return the dephasing times of all conventions."""
    record = report.results.dephasing
    if record is None:
        return Terms([])
    taus = [(f"tau, {name}", f"{shown_number(tau)} fs") for name, tau in record.by_convention.items()]
    excess = record.excess or 0.0
    short = [("Likely too long by", f"{100 * excess:.0f} %: the trajectory is short")] if excess > SAID_EXCESS else []
    return Terms([("Dephasing time", record.convention), *taus, *short])


def hamiltonian_table(report: StudyReport) -> Table:
    """Return gradient, intercept, lifetime and ratio to ab initio, beside the published ratio."""
    rows_of = report.results.hamiltonians
    columns = [
        Column("hamiltonian", "Hamiltonian", style="text"),
        Column("gradient", "Gradient", "1/ns", "interval"),
        Column("intercept", "Intercept", "", "interval", 2),
        lifetime_column(row.lifetime for row in rows_of),
        Column("ratio", "Ratio to ab initio", "", "interval"),
    ]
    # the published ratios are to a dense ab initio Hamiltonian
    published = [
        None if report.results.samples is not None else paper_ratio(row.name, report.elements) for row in rows_of
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
        "hamiltonians",
        "Recombination on each Hamiltonian",
        tuple(columns),
        tuple(rows),
        tuple(_hamiltonian_notes(report, with_paper=with_paper)),
        tuple(int(index > 0) for index in range(len(rows))),
    )


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
    notes += [f"{text[0].upper()}{text[1:].rstrip('.')}." for text in said]
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
    return Table("intervals", "Parts of the intervals", columns, rows, ("Half-widths at 95 %, in units of the ratio.",))


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
        (Cell(row.name), cell(row, "own_tau"), *(estimate_cell(getattr(row, key)) for key, _ in shown))
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
    records = report.results.rates or []
    columns = (
        Column("name", "Model", style="text"),
        Column("kind", "How", style="text"),
        Column("rate", "Rate", "1/ns", "interval"),
        lifetime_column(row.lifetime for row in records),
        Column("ratio", "Over the plain average", "", "fixed", 3),
        Column("relative_width", "Width over its width", "", "fixed", 2),
        Column("weight", "Weight of the forecast", "", "fixed", 2),
    )
    rows = tuple(
        (
            Cell(row.name),
            Cell(row.kind),
            estimate_cell(row.rate),
            estimate_cell(row.lifetime),
            cell(row, "ratio"),
            cell(row, "relative_width"),
            Cell(row.weight, reason="not a weighted estimate"),
        )
        for row in records
    )
    names = list(dict.fromkeys(row.name for row in records))
    notes = (
        "Second-order rates, unless exact. The plain average needs no model: a forecast helps where the prediction-powered "
        "interval is narrower. A plain forecast's interval holds the finite trajectory only, not what the model gets wrong.",
    )
    return Table(
        "rates",
        "The mean rate from the computed pairs",
        columns,
        rows,
        notes,
        tuple(names.index(row.name) for row in records),
    )


def calibrated_rate_table(report: StudyReport) -> Table:
    """Return each forecast's rate: plain, with posterior variance, from posterior series, prediction-powered, shifted."""
    unit = typical_unit(row.lifetime for row in report.results.hamiltonians)
    columns = (
        Column("hamiltonian", "Hamiltonian", style="text"),
        Column("ratio", "Plain", "", "interval"),
        Column("variance", "√(μ² + var)", "", "interval"),
        Column("samples", "Joint samples", "", "interval"),
        Column("powered", "Prediction-powered", "", "interval"),
        Column("shifted", "Shifted features", "", "interval"),
        *(
            Column(key, label, "ns", "interval", display=unit)
            for key, label in (
                ("lifetime", "Lifetime"),
                ("lifetime_variance", "√(μ² + var)"),
                ("lifetime_samples", "Joint samples"),
            )
        ),
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
        rows.append(
            (
                Cell(row.name),
                estimate_cell(row.ratio),
                estimate_cell(found.ratio_variance),
                estimate_cell(found.ratio_samples),
                estimate_cell(row.prediction_powered_ratio),
                shifted,
                estimate_cell(row.lifetime),
                estimate_cell(found.lifetime_variance),
                estimate_cell(found.lifetime_samples),
                Cell((row.dominant_part or "").replace("_", " ") or None),
            )
        )
    notes = (
        "Ratios to ab initio. Regression shrinks the coupling's variance, and a rate goes with its square: √(μ² + var) puts "
        "the posterior variance back; joint samples are whole series of gap and coupling drawn from the posterior and run "
        "through the exact solver. Prediction-powered: the average over the computed frames with the forecast of held-out "
        "blocks as control variate. Shifted: the same model fed features of another time (median, 2.5 to 97.5 %).",
        "Widest part: what makes the lifetime's 95 % interval wide.",
    )
    return Table("calibrated-rates", "Rates with calibrated error bars", columns, tuple(rows), notes)


def method_table(report: StudyReport) -> Table:
    """Return other methods, rules and waitings on the ab initio Hamiltonian, where the study ran them."""
    columns = (
        Column("name", "Run", style="text"),
        Column("method", "Method", style="text"),
        Column("rule", "Rule", style="text"),
        Column("waiting", "Waiting", style="text"),
        Column("tau", "tau", "fs"),
        Column("gradient", "Gradient", "1/ns", "interval"),
        Column("intercept", "Intercept", "", "interval", 2),
        lifetime_column(row.lifetime for row in report.results.methods or ()),
        Column("ratio", "Ratio to the study's method", "", "interval"),
    )
    rows = tuple(
        (
            Cell(row.name),
            Cell(row.method),
            Cell(row.rule),
            Cell(row.waiting),
            cell(row, "tau"),
            estimate_cell(row.gradient),
            estimate_cell(row.intercept),
            estimate_cell(row.lifetime),
            estimate_cell(row.ratio),
        )
        for row in report.results.methods or ()
    )
    return Table("methods", "Other methods on the ab initio Hamiltonian", columns, rows)


SECTION = Section(
    "dynamics",
    "Recombination",
    "Recombination",
    20,
    (
        TableSpec(hamiltonian_table),
        FigureSpec(
            "rates",
            "The mean rate from the computed pairs",
            "Second-order rates with 95 % intervals. Grey band: the plain average over the computed pairs, which needs no model. Discs: the "
            "forecast along the whole trajectory (interval of the finite trajectory only), circles: its posterior variance added. Diamonds: "
            "the average with the forecast of held-out stretches as control variate; a forecast helps where these are narrower than the band.",
            draw_rates,
            quiet=True,
        ),
        dephasing,
    ),
    appendix=(
        rates_in_words,
        FigureSpec(
            "fits",
            "Straight lines through the populations",
            "Gradient and intercept of the least-squares line over the stated window.",
            draw_fits,
        ),
        TableSpec(rate_control_table),
        TableSpec(sampled_rate_table),
        TableSpec(calibrated_rate_table),
        TableSpec(interval_table),
        TableSpec(own_tau_table),
        TableSpec(method_table),
        FigureSpec(
            "dephasing",
            "Pure dephasing",
            "Dephasing function of the ab initio gap, with the Gaussian of its dephasing time.",
            draw_dephasing,
        ),
    ),
)

"""What is judged of a study as a whole: a verdict on every part, their summary, the claims, and the gate of a strict run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from hopcast.core.resampling import MIN_BLOCKS
from hopcast.evaluation.verdicts import Label, Verdict, shown_r2
from hopcast.results.claims import claims
from hopcast.results.dynamics import CheckRecord, HamiltonianRecord
from hopcast.results.forecasts import InformationRecord, LearningCurves, ModelRecord
from hopcast.results.record import known
from hopcast.results.study import DataRecord, StudyResults, SummaryLine
from hopcast.results.verdicts import (
    TARGET_NAMES,
    beaten_by,
    calibration_verdict,
    check_verdict,
    curve_verdict,
    hamiltonian_verdict,
    information_verdict,
    model_verdict,
    rivals_of,
    sampled_rate_verdict,
    too_short,
)

_CALIBRATION: Final[tuple[Label, ...]] = ("not calibrated", "inconclusive", "calibrated")
_INFORMATION: Final[tuple[Label, ...]] = ("significant", "inconclusive", "not significant")


def with_verdicts(results: StudyResults) -> StudyResults:
    """Return results with a `verdict` on every model, information, Hamiltonian and check, and their summary.

    A pure function of the numbers: verdicts that are already there are computed anew.
    """
    data = results.data
    held_out = {
        (model.name, model.target): model
        for model in reversed(results.models)  # `blocked` is listed before `trajectory` and wins
        if model.split != "interleaved"
    }
    judged = results.model_copy(
        update={
            "models": [_judged(one, held_out.get((one.name, one.target)), data) for one in results.models],
            "information": [
                one.model_copy(update={"verdict": information_verdict(one, data)}) for one in results.information
            ],
            "hamiltonians": [
                row.model_copy(
                    update={"verdict": hamiltonian_verdict(row, data, results.rate_controls or ()) if index else None}
                )
                for index, row in enumerate(results.hamiltonians)
            ],
            "checks": [one.model_copy(update={"verdict": check_verdict(one)}) for one in results.checks],
        }
    )
    summed = judged.model_copy(update={"verdicts": _summary(judged)})
    return summed.model_copy(update={"claims": claims(summed)})


def _judged(model: ModelRecord, held_out: ModelRecord | None, data: DataRecord) -> ModelRecord:
    if model.split == "interleaved":
        return model.model_copy(update={"verdict": model_verdict(model, held_out, data)})
    found = model.calibration
    if found is not None:
        name = f"{model.name}, {TARGET_NAMES[model.target]}"
        found = found.model_copy(update={"verdict": calibration_verdict(found, name)})
    return model.model_copy(update={"verdict": None, "calibration": found})


def gate(results: StudyResults) -> list[str]:
    """Return why a strict run must fail: models that do not beat the calendar, and verdicts that could not be reached."""
    reasons = []
    for label, words in (("not useful", "do not beat the calendar"), ("inconclusive", "are inconclusive")):
        names = [f"{m.name} ({TARGET_NAMES[m.target]})" for m in results.models if m.label == label]
        if names:
            reasons.append(f"{len(names)} forecasts {words}: {', '.join(names)}")
    open_ = [v.subject for v in results.verdicts if v.label in ("inconclusive", "failed")]
    if open_:
        reasons.append(f"inconclusive or failed: {', '.join(open_)}")
    return reasons


def _summary(results: StudyResults) -> list[SummaryLine]:
    lines: list[tuple[str, Verdict]] = []
    data = results.data
    short = too_short(data)
    if short:
        lines.append(("Trajectory", Verdict("inconclusive", f"{short[0].upper()}{short[1:]}.")))
    for target, name in TARGET_NAMES.items():
        judged = [m for m in results.models if m.target == target and m.split == "interleaved"]
        if judged:
            lines.append((f"Forecast of the {name}", _models_line(judged)))
    rows = [row for row in results.hamiltonians if row.verdict is not None]
    if rows:
        lines.append(("Recombination rate", _rates_line(rows, data)))
    if results.rates:
        lines.append(("Rate from the computed pairs", sampled_rate_verdict(results)))
    for target, name in TARGET_NAMES.items():
        entries = [entry for entry in results.information if entry.target == target]
        if entries:
            lines.append((f"Information on the {name}", _information_line(entries)))
    lines += _curve_lines(results) + _calibration_lines(results)
    if results.checks:
        lines.append(("Exact solver and Monte Carlo", _checks_line(results.checks)))
    return [SummaryLine(subject=subject, label=one.label, sentence=one.sentence) for subject, one in lines]


def _curve_lines(results: StudyResults) -> list[tuple[str, Verdict]]:
    """Return the answer of the learning curves of the first model."""
    curves = results.learning_curves or LearningCurves()
    points = [p for p in curves.points if p.axis == "stride" and p.split == "interleaved"]
    lines = []
    for target, name in TARGET_NAMES.items():
        first = next((p.model for p in points), None)
        verdict = curve_verdict([p for p in points if p.target == target and p.model == first], target)
        if verdict is not None:
            lines.append((f"Training stride, {name}", verdict))
    return lines


def _calibration_lines(results: StudyResults) -> list[tuple[str, Verdict]]:
    lines = []
    for target, name in TARGET_NAMES.items():
        judged = [m.calibration for m in results.models if m.target == target and m.calibration is not None]
        if not judged:
            continue
        labels = [record.label for record in judged]
        label = next(one for one in _CALIBRATION if one in labels)
        counts = ", ".join(f"{labels.count(one)} {one}" for one in _CALIBRATION if one in labels)
        first = judged[0].sentence
        lines.append((f"Error bars of the {name}", Verdict(label, f"{counts}. {first}")))
    return lines


_NO_BETTER: Final = {
    "mean": "no better than the mean",
    "linear": "no better than a calendar would",
    "cubic": "no better than a calendar would",
    "shifted": "no better than on features of another time",
    "": "worse than the mean on unseen stretches",
}
"""By the rival that a model does not beat between training frames; none: it fails on held-out stretches of time."""


def _models_line(models: Sequence[ModelRecord]) -> Verdict:
    useful = [m.name for m in models if m.label == "useful"]
    open_ = [m.name for m in models if m.label == "inconclusive"]
    pieces = []
    if useful:
        pieces.append(
            f"{_of(useful, models)} {_verb(useful, 'beat')} time interpolation, shifted features and the mean"
        )
    useless: dict[str, list[str]] = {}
    for model in models:
        if model.label == "not useful":
            rival = beaten_by(model)
            useless.setdefault(_NO_BETTER["" if rival is None else rival.key], []).append(model.name)
    pieces += [f"{_of(names, models)} {_verb(names, 'do')} {words}" for words, names in useless.items()]
    if open_:
        pieces.append(f"{_of(open_, models)} cannot be judged")
    label: Label = "useful" if useful else ("inconclusive" if open_ else "not useful")
    sentence = f"{'; '.join(pieces)}.{_best_score(models)}"
    return Verdict(label, sentence[0].upper() + sentence[1:])


def _best_score(models: Sequence[ModelRecord]) -> str:
    """Return the best score beside the best of what it is held against."""
    best = max((m for m in models if m.r2 is not None), key=lambda m: known(m.r2), default=None)
    if best is None:
        return ""
    said = f" The best R² on interleaved frames is {shown_r2(known(best.r2))}"
    rival = max((r for r in rivals_of(best) if r.r2 is not None), key=lambda r: known(r.r2), default=None)
    return f"{said}." if rival is None else f"{said}; {rival.words} reaches {shown_r2(known(rival.r2))}."


def _information_line(entries: Sequence[InformationRecord]) -> Verdict:
    words: dict[Label, str] = {
        "significant": "carries information above its shifted null",
        "not significant": "carries none that its shifted null does not have",
        "inconclusive": "cannot be judged",
    }
    groups = {label: [e.element for e in entries if e.label == label] for label in words}
    pieces = [f"{', '.join(names)}: {words[label]}" for label, names in groups.items() if names]
    label = next(one for one in _INFORMATION if groups[one])
    raw = [e.raw for e in entries if e.raw is not None and e.null_mean is not None]
    null = [e.null_mean for e in entries if e.null_mean is not None and e.raw is not None]
    tail = (
        f". Raw values average {sum(raw) / len(raw):.3g} nat, those of shifted features {sum(null) / len(null):.3g}"
        if raw
        else ""
    )
    return Verdict(label, f"{'; '.join(pieces)}{tail}.")


def _rates_line(rows: Sequence[HamiltonianRecord], data: DataRecord) -> Verdict:
    labels = [row.label for row in rows]
    ratios = [row.ratio.value for row in rows if row.ratio.value is not None]
    spread = (
        f"Forecast rates are {min(ratios):.3g} to {max(ratios):.3g} times the ab initio one" if ratios else "No rates"
    )
    if labels.count("inconclusive") == len(labels):
        short = bool(too_short(data)) or all((row.n_blocks or 0) < MIN_BLOCKS for row in rows)
        why = "the trajectory is too short" if short else "the intervals are too wide"
        return Verdict("inconclusive", f"{spread}; {why} to call that agreement or difference.")
    agree, differ, open_ = (labels.count(label) for label in ("agrees", "differs", "inconclusive"))
    parts = [f"{agree} of {len(rows)} agree within their 95 % interval", f"{differ} differ"]
    if open_:
        parts.append(f"{open_} cannot be judged")
    return Verdict("differs" if differ else "agrees", f"{spread}; {', '.join(parts)}.")


def _checks_line(checks: Sequence[CheckRecord]) -> Verdict:
    labels = [check.label for check in checks]
    label: Label = "failed" if "failed" in labels else ("inconclusive" if "inconclusive" in labels else "passed")
    return Verdict(label, f"{labels.count('passed')} of {len(labels)} comparisons passed.")


def _of(names: Sequence[str], models: Sequence[ModelRecord]) -> str:
    if len(names) == len(models):
        return f"all {len(models)} models" if len(models) > 1 else f"the model {names[0]}"
    return ", ".join(names)


def _verb(names: Sequence[str], plural: str) -> str:
    return plural if len(names) > 1 else {"beat": "beats", "do": "does"}[plural]

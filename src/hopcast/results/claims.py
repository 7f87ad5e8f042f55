"""The published claims, one by one: the paper's protocol, the control, the verdict. Pure functions of the results.

Each claim is first read as the paper reads it (interleaved scores, raw mutual information, ratios of rates). Where
that does not show it on the study's data, the verdict is *not reproduced*. Otherwise the control decides:

- *survives*: the reading beats its control, and the trajectory is long enough to say so;
- *does not survive*: the control, which knows nothing of the geometry, shows the same;
- *inconclusive*: neither, because a score is missing or the trajectory is too short.

Thresholds, with their reasons:

- `SUFFICES`: an environment, or a feature, *suffices* where R² of its model lacks at most twice the unexplained share of
  the model of everything plus one point: the paper's own tables differ by less.
- `WITHIN`: a rate is *within about 10 %* at 0.88 to 1.12 of the ab initio one.
- `CALENDAR_MARGIN`, `MIN_CORRELATION_TIMES`, `SIGNIFICANCE` of `verdicts` for what a control must be beaten by.
- An order of two informations is one only beyond their intervals (`surely_above`), a control is off only where its interval
  says so (`surely_off`), and of many forecasts the median is judged: point values are in order, or near, by chance.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from statistics import median
from typing import Final, NamedTuple

from hopcast.evaluation.verdicts import (
    CALENDAR_MARGIN,
    SIGNIFICANCE,
    Label,
    Verdict,
    beats,
    shown_r2,
    surely_above,
    surely_off,
)
from hopcast.results.dynamics import RateControl
from hopcast.results.forecasts import InformationRecord, ModelRecord
from hopcast.results.paper import PAPER_STATES
from hopcast.results.record import known
from hopcast.results.study import Claim, DataRecord, StudyResults
from hopcast.results.verdicts import TARGET_NAMES, too_short

SUFFICES: Final = 2.0
SUFFICES_POINT: Final = 0.01
WITHIN: Final = 0.12

Models = dict[str, ModelRecord]
"""By target."""


def claims(results: StudyResults) -> list[Claim]:
    """Return the claims of the published study as records: claim, protocol, control, verdict.

    Parameters
    ----------
    results
        With verdicts on models and information (`with_verdicts`). Claims without any data are left out.
    """
    found = [
        _environment(results, least=False),
        _environment(results, least=True),
        _fewer_features(results, one_element=False),
        _fewer_features(results, one_element=True),
        _coupling_below_gap(results),
        _ranking(results),
        _rates(results),
        _structure(results),
    ]
    return [one for one in found if one is not None]


class _Asked(NamedTuple):
    """A claim of the published study, and the question it is on another material."""

    key: str
    claim: str
    question: str


def _record(asked: _Asked, protocol: str, control: str, label: Label, sentence: str) -> Claim:
    return Claim(**asked._asdict(), protocol=protocol, control=control, verdict=Verdict(label, sentence))


def _models(results: StudyResults, target: str) -> list[ModelRecord]:
    """Return the models that learn from features, which is what the paper speaks of."""
    return [
        m
        for m in results.models
        if m.split == "interleaved" and m.target == target and m.r2 is not None and not m.is_hamiltonian
    ]


def _r2(model: ModelRecord) -> float:
    return known(model.r2)


def _n_elements(results: StudyResults) -> int:
    """Return how many elements the largest model knows: a study may leave some out."""
    return max((len(model.elements) for model in results.models), default=0)


def _whole(models: Sequence[ModelRecord], n_elements: int) -> ModelRecord | None:
    """Return the model of all elements and all functions."""
    most = max((m.features or 0 for m in models), default=0)
    return next((m for m in models if len(m.elements) == n_elements and m.features == most), None)


def _suffices(model: ModelRecord, whole: ModelRecord) -> bool:
    return 1 - known(model.r2) <= SUFFICES * (1 - known(whole.r2)) + SUFFICES_POINT


def _best_rival(model: ModelRecord) -> tuple[str, float] | None:
    baselines = model.baselines
    rivals = (
        ("a straight line in time", baselines.linear.r2),
        ("a cubic spline in time", baselines.cubic.r2),
        ("features of another time", baselines.shifted.median),
    )
    found = [(name, r2) for name, r2 in rivals if r2 is not None]
    return max(found, key=lambda item: item[1]) if found else None


def _judge_models(asked: _Asked, chosen: Models, wholes: Models, data: DataRecord) -> Claim | None:
    """Judge that the chosen model of each target does as well as the whole one, by scores and by its controls."""
    if not chosen:
        return None
    protocol, control, shown, judged = [], [], [], []
    for target, model in chosen.items():
        whole = wholes[target]
        scores = [shown_r2(known(one.r2)) for one in (model, whole)]
        protocol.append(f"{TARGET_NAMES[target]}: {model.name} R² {scores[0]}, {whole.name} {scores[1]}")
        shown.append(_suffices(model, whole))
        rival = _best_rival(model)
        if rival is not None:
            control.append(f"{TARGET_NAMES[target]}: {rival[0]} {shown_r2(rival[1])}")
        judged.append(model.label)
    said, beside = "; ".join(protocol), "; ".join(control) or "no control could be computed"
    if not all(shown):
        return _record(
            asked,
            said,
            beside,
            "not reproduced",
            "Here the smaller model does not reach the larger one even on frames between the training frames.",
        )
    if all(known(whole.r2) <= 0 for whole in wholes.values()):
        return _record(
            asked,
            said,
            beside,
            "not reproduced",
            "Neither the smaller nor the larger model does better than the mean.",
        )
    if "not useful" in judged:
        return _record(
            asked,
            said,
            beside,
            "does not survive",
            "The smaller model scores like the larger one, and what knows only the time scores like both: the agreement "
            "is that of two clocks.",
        )
    if all(label == "useful" for label in judged):
        return _record(
            asked,
            said,
            beside,
            "survives",
            "The smaller model scores like the larger one and beats every control.",
        )
    short = too_short(data)
    return _record(
        asked,
        said,
        beside,
        "inconclusive",
        f"The smaller model scores like the larger one; whether that is physics cannot be said{': ' + short if short else ''}.",
    )


def _environment(results: StudyResults, *, least: bool) -> Claim | None:
    n_elements = _n_elements(results)
    if n_elements < 2:
        return None
    chosen: Models = {}
    wholes: Models = {}
    name = ""
    for target in TARGET_NAMES:
        models = _models(results, target)
        whole = _whole(models, n_elements)
        if whole is None:
            continue
        single = [m for m in models if len(m.elements) == 1 and m.features == whole.features]
        if not single:
            continue
        if least and not name:
            name = min(single, key=_r2).name
        pick = [m for m in single if m.name == name] if least else [max(single, key=_r2)]
        if pick:
            chosen[target], wholes[target] = pick[0], whole
    if least:
        element = next(iter(chosen.values())).elements[0] if chosen else ""
        asked = _Asked(
            "least_environment",
            f"Even the least informative element's environment ({element}) suffices",
            f"Does even the environment of the least informative element ({element}) suffice?",
        )
        return _judge_models(asked, chosen, wholes, results.data)
    asked = _Asked(
        "one_environment", "The environment of one element suffices", "Does the environment of one element suffice?"
    )
    return _judge_models(asked, chosen, wholes, results.data)


def _fewer_features(results: StudyResults, *, one_element: bool) -> Claim | None:
    n_elements = _n_elements(results)
    chosen: Models = {}
    wholes: Models = {}
    for target in TARGET_NAMES:
        models = _models(results, target)
        whole = _whole(models, n_elements)
        if whole is None or whole.features == 1:
            continue
        wanted = 1 if one_element else n_elements
        small = [m for m in models if m.features == 1 and len(m.elements) == wanted]
        if small and not (one_element and n_elements == 1):
            chosen[target], wholes[target] = max(small, key=_r2), whole
    if not chosen:
        return None
    target, model = next(iter(chosen.items()))
    whole = wholes[target]
    if one_element:
        few, many = model.n_features or "few", whole.n_features or "all"
        asked = _Asked(
            "few_parameters",
            f"{few} numbers a frame instead of {many} suffice",
            f"Do {few} numbers a frame instead of {many} suffice?",
        )
    else:
        asked = _Asked(
            "one_feature",
            f"One symmetry function an atom instead of {whole.features} suffices",
            f"Does one symmetry function an atom instead of {whole.features} suffice?",
        )
    return _judge_models(asked, chosen, wholes, results.data)


class _Pair(NamedTuple):
    """Information of an element on both targets."""

    gap: InformationRecord
    nac: InformationRecord


def _pairs(results: StudyResults) -> dict[str, _Pair]:
    by_target = {
        target: {one.element: one for one in results.information if one.target == target} for target in TARGET_NAMES
    }
    gap, nac = (by_target[target] for target in TARGET_NAMES)
    return {element: _Pair(gap[element], nac[element]) for element in gap if element in nac}


def _less(one: float | None, other: float | None) -> bool:
    return one is not None and other is not None and one < other


def _nat(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}".replace("-", "−")


def _coupling_below_gap(results: StudyResults) -> Claim | None:
    pairs = {e: p for e, p in _pairs(results).items() if None not in (p.gap.raw, p.nac.raw)}
    if not pairs:
        return None
    asked = _Asked(
        "coupling_below_gap",
        "Structure knows less of the coupling than of the gap",
        "Does structure know less of the coupling than of the gap?",
    )
    protocol = "raw, nat: " + ", ".join(f"{e} {_nat(p.nac.raw)} < {_nat(p.gap.raw)}" for e, p in pairs.items())
    control = "corrected, nat: " + ", ".join(
        f"{e} {_nat(p.nac.corrected)} and {_nat(p.gap.corrected)}" for e, p in pairs.items()
    )
    if not all(_less(p.nac.raw, p.gap.raw) for p in pairs.values()):
        protocol = protocol.replace(" < ", " and ")
        return _record(
            asked,
            protocol,
            control,
            "not reproduced",
            "Here raw information on the coupling is not below that on the gap for every element.",
        )
    in_null = all(_less(p.nac.null_mean, p.gap.null_mean) for p in pairs.values())
    if all(p.gap.label == "significant" and _surely_above(p.gap, p.nac) for p in pairs.values()):
        return _record(
            asked,
            protocol,
            control,
            "survives",
            "Corrected values show the same order, beyond their intervals.",
        )
    if in_null:
        return _record(
            asked,
            protocol,
            control,
            "does not survive",
            "Features of another time, which know nothing, show the same order: the coupling only moves faster, and the "
            "artefact of dense sampling is smaller for it.",
        )
    short = too_short(results.data)
    return _record(
        asked,
        protocol,
        control,
        "inconclusive",
        f"The order of corrected values cannot be told{': ' + short if short else ''}.",
    )


def _ranking(results: StudyResults) -> Claim | None:
    entries = [e for e in results.information if e.target == "gap" and e.raw is not None]
    if len(entries) < 2:
        return None
    asked = _Asked(
        "ranking",
        "Mutual information ranks the elements as the states do",
        "Does mutual information rank the elements as the states do?",
    )
    order = sorted(entries, key=lambda e: -known(e.raw))
    protocol = "raw, nat on the gap: " + " > ".join(f"{e.element} {_nat(e.raw)}" for e in order)
    corrected = sorted((e for e in entries if e.corrected is not None), key=lambda e: -known(e.corrected))
    control = "corrected, nat: " + (", ".join(f"{e.element} {_nat(e.corrected)}" for e in corrected) or "none")
    control += "; raw of shifted features: " + ", ".join(f"{e.element} {_nat(e.null_mean)}" for e in order)
    record = partial(_record, asked, protocol, control)
    states = PAPER_STATES.get(frozenset(e.element for e in entries))
    if states is None:
        return record(
            "inconclusive",
            "Which elements carry the two states is not part of the study: the order is shown, not judged.",
        )

    def as_states(listed: Sequence[InformationRecord]) -> bool:
        return {e.element for e in listed[: len(states)]} == set(states)

    carriers = " and ".join(states)
    if not as_states(order):
        return record(
            "not reproduced",
            f"The states live on {carriers}, which do not come first.",
        )
    spread = known(order[0].raw) - known(order[-1].raw)
    excess = [known(e.raw) - e.null_mean for e in order if e.null_mean is not None]
    significant = [e for e in entries if e.label == "significant"]
    carrying = [e for e in corrected if e.element in states]
    others = [e for e in corrected if e.element not in states]
    if len(corrected) == len(entries) and all(
        one.label == "significant" and _surely_above(one, other) for one in carrying for other in others
    ):
        return record(
            "survives",
            f"Corrected information puts {carriers} first as well, beyond the intervals.",
        )
    if excess and min(excess) < spread / 2 and not significant:
        return record(
            "does not survive",
            f"Elements differ by {_nat(spread)} nat, and features of another time reach the same size: no element's "
            "information stands above its null.",
        )
    short = too_short(results.data)
    return record(
        "inconclusive",
        f"Not every element that carries a state stands above its null at {100 * SIGNIFICANCE:g} % and above the others beyond the "
        f"intervals{': ' + short if short else ''}.",
    )


def _rates(results: StudyResults) -> Claim | None:
    ratios = [r.ratio.value for r in results.hamiltonians[1:] if r.ratio.value is not None]
    if not ratios:
        return None
    asked = _Asked(
        "rates",
        "Rates on forecast Hamiltonians are within about 10 % of ab initio",
        "Are rates on forecast Hamiltonians within about 10 % of ab initio?",
    )
    protocol = f"{min(ratios):.3f} to {max(ratios):.3f} times ab initio"
    kept = [c for c in results.rate_controls or () if c.ratio.value is not None]
    controls = [(c.name, known(c.ratio.value)) for c in kept]
    control = "; ".join(f"{name} {value:.3f}" for name, value in controls) or "no control could be computed"
    if max(abs(r - 1) for r in ratios) > WITHIN:
        return _record(
            asked,
            protocol,
            control,
            "not reproduced",
            f"A forecast's rate is off by more than {100 * WITHIN:.0f} %.",
        )
    nearest = min(controls, key=lambda item: abs(item[1] - 1)) if controls else None
    typical = median(abs(r - 1) for r in ratios)  # the best of many is near by chance
    if nearest is not None and abs(nearest[1] - 1) <= typical / (1 - CALENDAR_MARGIN):
        return _record(
            asked,
            protocol,
            control,
            "does not survive",
            f"True, but no result of the learning: {nearest[0]} is as near ({nearest[1]:.3f}) and knows no geometry.",
        )
    near = [c.name for c in kept if not _surely_off(c)]
    if nearest is None or near or too_short(results.data):
        why = too_short(results.data) or (
            f"the interval of {near[0]} holds 1 as well" if near else "there is no control"
        )
        return _record(asked, protocol, control, "inconclusive", f"Nearer than every control, but {why}.")
    return _record(
        asked,
        protocol,
        control,
        "survives",
        "Nearer to ab initio than every control, and the interval of each control excludes ab initio.",
    )


def _structure(results: StudyResults) -> Claim | None:
    """Judge what the paper asks for by a model that can answer: a Hamiltonian learnt from the same samples."""
    unseen = {
        target: [m for m in results.models if m.split == "blocked" and m.target == target and m.r2 is not None]
        for target in TARGET_NAMES
    }
    best: dict[str, Models] = {}
    for kind, learns_hamiltonian in (("features", False), ("hamiltonian", True)):
        found = {
            target: [m for m in models if m.is_hamiltonian == learns_hamiltonian] for target, models in unseen.items()
        }
        best[kind] = {target: max(models, key=_r2) for target, models in found.items() if models}
    whole = best["hamiltonian"]
    if not whole:
        return None
    asked = _Asked("structure", "The structure tells gap and coupling", "Does the structure tell gap and coupling?")

    def shown(models: Models) -> str:
        return "; ".join(f"{TARGET_NAMES[t]}: {m.name} R² {shown_r2(known(m.r2))}" for t, m in models.items())

    protocol = f"best of features, stretches held out, {shown(best['features']) or 'none scored'}"
    control = f"a Hamiltonian learnt from the same samples, stretches held out, {shown(whole)}"
    judged = [results.model(m.name, target, "interleaved") for target, m in whole.items()]
    labels = {None if one is None else one.label for one in judged}
    if labels == {"useful"}:
        better = all(beats(_r2(m), _r2(best["features"][t])) for t, m in whole.items() if t in best["features"])
        why = (
            "A Hamiltonian with the right symmetry, locality and number of electrons tells both on unseen stretches"
            + ("; features of the environments do not from as many samples." if better else ", as features do.")
            + "".join(_moved_by(m, target) for target, m in whole.items())
        )
        return _record(asked, protocol, control, "survives", why)
    if "not useful" in labels:
        why = "Not even a Hamiltonian learnt from these samples tells both better than the mean, the calendar or itself at other times."
        return _record(asked, protocol, control, "does not survive", why)
    short = too_short(results.data)
    why = f"Whether the Hamiltonian's scores are physics cannot be said{': ' + short if short else ''}."
    return _record(asked, protocol, control, "inconclusive", why)


def _moved_by(model: ModelRecord, target: str) -> str:
    """Return whose atoms move a target, as a sentence with a blank before it; nothing where it is not known."""
    if not model.moved_by:
        return ""
    most_first = sorted(model.moved_by, key=lambda one: -one.share)
    shares = ", ".join(f"{one.element} {100 * one.share:.0f} %" for one in most_first)
    return f" Of the thermal motion of the {TARGET_NAMES[target]}: {shares}."


def _surely_above(one: InformationRecord, other: InformationRecord) -> bool:
    """Whether the corrected information of one exceeds that of another beyond their intervals."""
    numbers = (one.corrected, one.corrected_low, other.corrected, other.corrected_high)
    if None in numbers:
        return False
    return surely_above(*(known(number) for number in numbers))


def _surely_off(control: RateControl) -> bool:
    low, high = control.ratio.low, control.ratio.high
    return low is not None and high is not None and surely_off(low, high)

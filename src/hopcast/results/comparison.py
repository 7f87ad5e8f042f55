"""Two studies side by side: what each says of the data, the lifetime and the forecasts, with intervals."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hopcast.core.errors import InputError
from hopcast.results.answer import headline_lifetime
from hopcast.results.dynamics import HamiltonianRecord
from hopcast.results.record import EstimateRecord
from hopcast.results.schema import validate_results
from hopcast.results.study import StudyResults


@dataclass(frozen=True)
class ComparedLine:
    """One quantity of two studies.

    Attributes
    ----------
    quantity
        What it is, with its unit.
    first, second
        The values, as text; "-" where a study does not have it.
    same
        Whether they agree: intervals that overlap, or equal text; None where one is missing or has no interval.
    """

    quantity: str
    first: str
    second: str
    same: bool | None


def read_results(path: str | Path) -> StudyResults:
    """Read the results of a study from its folder or its `results.json`.

    Raises
    ------
    InputError
        If there is no such file, or it is not what a study writes.
    """
    place = Path(path)
    file = place / "results.json" if place.is_dir() else place
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(
            f"File `{file}` cannot be read ({error.strerror}). Give the folder of a finished `hopcast run`, or its results.json."
        ) from None
    except UnicodeDecodeError:
        raise InputError(
            f"File `{file}` is not a results.json of a study: it is not text. Give the folder of a run."
        ) from None
    try:
        return validate_results(json.loads(text))
    except (json.JSONDecodeError, RecursionError) as error:
        raise InputError(
            f"File `{file}` is not a results.json of a study: it is no JSON ({error}). Run the study again."
        ) from None


def compare_results(first: StudyResults, second: StudyResults) -> list[ComparedLine]:
    """Return the quantities of two studies beside each other; what neither has is left out."""
    lines = [
        _words("data", first.data.name, second.data.name),
        _words("formula", first.data.formula, second.data.formula),
        _numbers("frames", first.data.n_frames, second.data.n_frames),
        _numbers("length, ps", first.data.duration / 1e3, second.data.duration / 1e3),
        _numbers("mean gap, eV", first.data.gap_mean, second.data.gap_mean),
        _numbers("coupling (rms), meV", _milli(first.data.nac_rms), _milli(second.data.nac_rms)),
        _numbers("correlation time, fs", first.data.correlation_time, second.data.correlation_time),
    ]
    lines.append(_estimates("lifetime of the headline", headline_lifetime(first), headline_lifetime(second)))
    lines += _hamiltonians(first.hamiltonians, {one.name: one for one in second.hamiltonians})
    rates = {(one.name, one.kind): one for one in second.rates or ()}
    for rate in first.rates or ():
        other_rate = rates.get((rate.name, rate.kind))
        lines.append(
            _estimates(f"mean rate, {rate.kind}, {rate.name}", rate.rate, other_rate.rate if other_rate else None)
        )
    for model in first.models:
        other_model = second.model(model.name, model.target, model.split)
        lines.append(
            _numbers(
                f"R2 of {model.target}, {model.split}, {model.name}", model.r2, other_model.r2 if other_model else None
            )
        )
    verdicts = {line.subject: line for line in second.verdicts}
    for verdict in first.verdicts:
        same = verdicts.get(verdict.subject)
        lines.append(_words(f"verdict: {verdict.subject}", verdict.label, same.label if same else "-"))
    return [line for line in lines if (line.first, line.second) != ("-", "-")]


def _hamiltonians(first: Sequence[HamiltonianRecord], second: Mapping[str, HamiltonianRecord]) -> list[ComparedLine]:
    """Return lifetime and ratio of each, method and dephasing time where they are not those of the first."""
    lines = []
    said: tuple[str, str] | None = None
    for row, ours in enumerate(first):
        other = second.get(ours.name)
        lines.append(_estimates(f"lifetime, {ours.name}", ours.lifetime, other.lifetime if other else None))
        if row:
            lines.append(_estimates(f"ratio to the first, {ours.name}", ours.ratio, other.ratio if other else None))
        times = _numbers(f"dephasing time, fs, {ours.name}", ours.tau, other.tau if other else None)
        method = _words(f"method, {ours.name}", _method(ours), _method(other) if other else "-")
        told = (f"{times.first} {times.second}", f"{method.first} {method.second}")
        if told != said:
            lines += [times, method]
            said = told
    return lines


def _method(row: HamiltonianRecord) -> str:
    return f"{row.method}, {row.rule}, {row.waiting}"


def _milli(value: float | None) -> float | None:
    return None if value is None else 1e3 * value


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def _numbers(quantity: str, first: float | None, second: float | None) -> ComparedLine:
    return ComparedLine(quantity, _number(first), _number(second), None)


def _words(quantity: str, first: str, second: str) -> ComparedLine:
    return ComparedLine(quantity, first, second, None if "-" in (first, second) else first == second)


def _estimate(one: EstimateRecord | None) -> str:
    if one is None or one.value is None:
        return "-"
    interval = "" if one.low is None or one.high is None else f" [{one.low:.3g}, {one.high:.3g}]"
    return f"{one.value:.4g}{interval} {one.unit if one.unit != '1' else ''}".strip()


def _estimates(quantity: str, first: EstimateRecord | None, second: EstimateRecord | None) -> ComparedLine:
    same = None
    if first is not None and second is not None:
        ends = (first.low, first.high, second.low, second.high)
        if None not in ends:
            same = bool(first.low <= second.high and second.low <= first.high)  # type: ignore[operator] # none is None
    return ComparedLine(quantity, _estimate(first), _estimate(second), same)

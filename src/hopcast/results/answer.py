"""What a reader takes home: the lifetime in one line, a verdict each on data, forecast and rate, and what to do next."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from hopcast.core.units import time_unit
from hopcast.evaluation.verdicts import MIN_CORRELATION_TIMES, Verdict, shown_length
from hopcast.results.dynamics import SampledRate
from hopcast.results.record import EstimateRecord, known
from hopcast.results.study import StudyResults
from hopcast.results.verdicts import TARGET_NAMES, needed_length, powered_rate, too_short

TELLING: Final = 2.0
"""Ends of an interval this factor apart, or less, make a lifetime that needs no further pairs."""


@dataclass(frozen=True)
class Answer:
    """The first screen of a report.

    Attributes
    ----------
    headline
        Lifetime with its 95 % interval, and what it rests on.
    verdicts
        On data, forecast and rate, each with what it is about.
    steps
        What to do next, most useful first.
    """

    headline: str
    verdicts: tuple[tuple[str, Verdict], ...]
    steps: tuple[str, ...]


def answer(results: StudyResults) -> Answer:
    """Return what a reader takes home from the results of a study; a pure function of its numbers and verdicts."""
    return Answer(_headline(results), tuple(_verdicts(results)), tuple(_steps(results)))


def headline_lifetime(results: StudyResults) -> EstimateRecord | None:
    """Return the lifetime of what was computed: on every frame, or of the pairs, with a forecast as control variate where it helps."""
    powered = _helping(results)
    found = [row.lifetime for row in results.hamiltonians[:1]] if powered is None else [powered.lifetime]
    found += [row.lifetime for row in results.rates or () if row.kind == "plain average"]
    return next((one for one in found if one.value is not None), None)


def _helping(results: StudyResults) -> SampledRate | None:
    """Return the rate of the pairs with a forecast as control variate, where that was found useful."""
    labels = {line.subject: line.label for line in results.verdicts}
    helps = results.samples is not None and labels.get("Rate from the computed pairs") == "useful"
    return powered_rate(results) if helps else None


def _headline(results: StudyResults) -> str:
    lifetime = headline_lifetime(results)
    if lifetime is None:
        reason = results.hamiltonians[0].lifetime.reasons.get("value", "") if results.hamiltonians else ""
        return f"No lifetime{f': {reason}' if reason else ''}."
    unit, factor = time_unit(known(lifetime.value))
    said = f"Lifetime {factor * known(lifetime.value):.3g} {unit}"
    if lifetime.low is not None and lifetime.high is not None:
        said += f", {_rounded(factor * lifetime.low)} to {_rounded(factor * lifetime.high)}"
    if results.samples is not None:
        said += f", from {results.samples.n_pairs} computed pairs"
        powered = _helping(results)
        if powered is not None:
            said += f", with the forecast by {powered.name} between them"
    needed, length = needed_length(results.data), results.data.duration
    if needed is None:
        return f"{said}; how long a trajectory a conclusion needs could not be found."
    if length < needed:
        return (
            f"{said}; the trajectory is {shown_length(length)} of the {shown_length(needed)} that a conclusion needs."
        )
    return f"{said}."


def _rounded(number: float) -> str:
    return f"{number:.2g}" if number < 100 else f"{number:.0f}"


def _verdicts(results: StudyResults) -> list[tuple[str, Verdict]]:
    short, data = too_short(results.data), results.data
    if short:
        lines = [("Data", Verdict("inconclusive", f"{short[0].upper()}{short[1:]}."))]
    else:
        times = math.inf if not data.correlation_time else data.duration / data.correlation_time
        lines = [
            (
                "Data",
                Verdict(
                    "passed",
                    f"The trajectory holds {times:.0f} correlation times; a conclusion needs {MIN_CORRELATION_TIMES}.",
                ),
            )
        ]
    subjects = {line.subject: line for line in results.verdicts}
    forecasts = [
        subjects[f"Forecast of the {name}"] for name in TARGET_NAMES.values() if f"Forecast of the {name}" in subjects
    ]
    if forecasts:
        worst = next((one for one in forecasts if one.label != "useful"), forecasts[0])
        lines.append((worst.subject, Verdict(worst.label, worst.sentence)))
    for subject in ("Rate from the computed pairs", "Recombination rate"):
        if subject in subjects:
            line = subjects[subject]
            lines.append((subject, Verdict(line.label, line.sentence)))
            break
    return lines


def _steps(results: StudyResults) -> list[str]:
    steps = []
    data, needed = results.data, needed_length(results.data)
    if needed is None:
        steps.append("Run a longer trajectory: this one does not show how long the gap remembers.")
    elif data.duration < needed:
        steps.append(
            f"Run {shown_length(needed - data.duration)} more: independent stretches are what the interval lacks."
        )
    lifetime = headline_lifetime(results)
    if results.samples is not None and lifetime is not None and lifetime.low and lifetime.high:
        spread = lifetime.high / lifetime.low
        if spread > TELLING:
            # the interval's logarithm narrows as one over the square root of the pairs
            more = math.ceil(results.samples.n_pairs * ((math.log(spread) / math.log(TELLING)) ** 2 - 1.0))
            steps.append(
                f"Compute about {more} more pairs (`hopcast select --strategy sequential`): that would bring the ends of the interval "
                f"within a factor of {TELLING:g}."
            )
    labels = {line.subject: line.label for line in results.verdicts}
    names = [f"Forecast of the {name}" for name in TARGET_NAMES.values()]
    found = {labels[name] for name in names if name in labels}
    if found:
        if found == {"useful"}:
            steps.append("Use the forecast along longer trajectories: `hopcast fit`, then `hopcast predict`.")
        elif labels.get("Rate from the computed pairs") == "useful":
            steps.append(
                "Use the average over the computed pairs with the forecast as control variate: it narrows the interval."
            )
        elif "not useful" not in found:
            steps.append("Use the computed frames themselves until the forecast can be judged.")
        else:
            plain = (
                "the plain average over the computed pairs"
                if results.samples
                else "the computed frames themselves, or a spline between them"
            )
            steps.append(f"Use {plain}: the forecast adds nothing that could be relied on.")
    return steps

"""What is said of every record: the sentences of judgement in the report are made here, none in its template.

The rules and thresholds behind them are those of `hopcast.evaluation.verdicts`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from hopcast.core.resampling import MIN_BLOCKS
from hopcast.evaluation.verdicts import (
    CALENDAR_MARGIN,
    FEWEST_SHIFTS,
    MIN_CORRELATION_TIMES,
    SIGNIFICANCE,
    WIDEST_AGREEMENT,
    Verdict,
    agreement,
    beats,
    coverage,
    shown_length,
    shown_r2,
)
from hopcast.results.dynamics import CheckRecord, HamiltonianRecord, RateControl, SampledRate
from hopcast.results.forecasts import CalibrationRecord, CurvePoint, InformationRecord, ModelRecord
from hopcast.results.record import known
from hopcast.results.study import DataRecord, StudyResults

TARGET_NAMES: Final = {"gap": "gap", "nac": "coupling"}
_BASELINE_NAMES: Final = {"mean": "the mean", "linear": "a straight line in time", "cubic": "a cubic spline in time"}


def needed_length(data: DataRecord) -> float | None:
    """Return how long the trajectory should be for a conclusion, fs; None where its correlation time is unknown."""
    correlation_time = data.correlation_time
    return None if correlation_time is None else MIN_CORRELATION_TIMES * float(correlation_time)


def too_short(data: DataRecord) -> str:
    """Return why the trajectory is too short and how long it should be, or an empty string."""
    needed, memory = needed_length(data), data.correlation_time
    if needed is None or memory is None:
        return (
            "the correlation time could not be found, so the number of independent stretches is unknown; "
            "a longer trajectory is needed"
        )
    if data.duration >= needed:
        return ""
    return (
        f"the trajectory holds {data.duration / memory:.1f} correlation times of {shown_length(memory)}; "
        f"a conclusion needs {MIN_CORRELATION_TIMES}, that is {shown_length(needed)}"
    )


def model_verdict(model: ModelRecord, blocked: ModelRecord | None, data: DataRecord) -> Verdict:
    """Judge one model on one target against the calendar and on unseen stretches of time.

    *not useful*: an interpolation in time from the same frames, or the same model on features of another time, is
    as good (see `CALENDAR_MARGIN`), or, with a long enough trajectory, its score on held-out blocks is not above
    that of the mean. *inconclusive*: it beats them, but the held-out blocks are too few, or a score is missing.
    *useful*: it beats them all.

    Parameters
    ----------
    model
        Record of the interleaved split.
    blocked
        Record of the same model and target on the blocked (or trajectory) split, where there is one.
    data
        The `data` record (durations and correlation times, fs).
    """
    name = TARGET_NAMES[model.target]
    short = too_short(data)
    unseen = _unseen(blocked, short)
    if model.r2 is None:
        return Verdict("inconclusive", f"No score for the {name}: {model.reasons['r2'].rstrip('.')}.")
    missing = [rival.words for rival in rivals_of(model) if rival.r2 is None]
    rival = beaten_by(model)
    if rival is not None:
        stride = f" every {shown_length(model.stride.fs)}" if model.stride is not None else ""
        return Verdict(
            "not useful",
            f"With training frames{stride}, {rival.words} forecasts the {name} as well or better "
            f"(R² {shown_r2(known(rival.r2))} against {shown_r2(model.r2)}): the score measures the calendar. {unseen}",
        )
    if missing:
        return Verdict("inconclusive", f"The {name}'s score stands alone: there is no score of {', '.join(missing)}.")
    if blocked is None or blocked.r2 is None or (short and not _wins_blocked(blocked)):
        return Verdict("inconclusive", f"Beats every interpolation in time for the {name}. {unseen}")
    if not _wins_blocked(blocked):
        return Verdict(
            "not useful", f"Beats interpolation in time for the {name}, but not on unseen stretches. {unseen}"
        )
    if short:
        return Verdict("inconclusive", f"Beats every baseline for the {name}. {unseen}")
    n_shifts = model.baselines.shifted.n
    if n_shifts < FEWEST_SHIFTS:
        few = f"but only {n_shifts} shifts of its features fit into the trajectory"
        return Verdict("inconclusive", f"Beats every baseline for the {name}, {few}. {unseen}")
    return Verdict("useful", f"Beats every baseline for the {name}. {unseen}")


class Rival(NamedTuple):
    """What a forecast is held against: its key among the baselines, its name, its R2 (None where it could not be computed)."""

    key: str
    words: str
    r2: float | None


def rivals_of(model: ModelRecord) -> list[Rival]:
    """Return what a model is held against: the mean, interpolations in time, itself on features of another time."""
    baselines = model.baselines
    rivals = [Rival(key, words, getattr(baselines, key).r2) for key, words in _BASELINE_NAMES.items()]
    shifted = baselines.shifted  # its own distribution is the margin
    level = shifted.high if shifted.high is not None else shifted.median
    return [*rivals, Rival("shifted", "the same model fed features of another time", level)]


def beaten_by(model: ModelRecord) -> Rival | None:
    """Return the best of the rivals that a model does not beat, or None."""
    r2 = known(model.r2)
    better = [
        rival
        for rival in rivals_of(model)
        if rival.r2 is not None and not (r2 > rival.r2 if rival.key == "shifted" else beats(r2, rival.r2))
    ]
    return max(better, key=lambda rival: known(rival.r2), default=None)


def _wins_blocked(blocked: ModelRecord) -> bool:
    r2, high = known(blocked.r2), blocked.baselines.shifted.high
    return r2 > 0 and (high is None or r2 > high)


def _unseen(blocked: ModelRecord | None, short: str) -> str:
    if blocked is None:
        return "It was not scored on held-out stretches of time."
    if blocked.r2 is None:
        return f"No score on held-out stretches of time: {blocked.reasons['r2'].rstrip('.')}."
    score = f"On held-out stretches of time R² is {shown_r2(blocked.r2)}"
    return f"{score}, which is inconclusive: {short}." if short else f"{score}."


def information_verdict(entry: InformationRecord, data: DataRecord) -> Verdict:
    """Judge the information of one element's features on a target by its shifted null (`SIGNIFICANCE`)."""
    name = f"{entry.element} and the {TARGET_NAMES[entry.target]}"
    p = entry.p if entry.p_adjusted is None else entry.p_adjusted
    short = too_short(data)
    tail = f": {short}." if short else "."
    if p is None or entry.corrected is None:
        reason = entry.reasons.get("p") or entry.reasons["corrected"]
        return Verdict("inconclusive", f"{name}: no test, {reason.rstrip('.')}{tail}")
    smallest = entry.smallest_p
    if smallest is not None and smallest > SIGNIFICANCE:
        return Verdict("inconclusive", f"{name}: so few shifts fit that p cannot fall below {smallest:.2g}{tail}")
    if p < SIGNIFICANCE:
        if short:
            return Verdict("inconclusive", f"{name}: above its shifted null (p = {p:.2g}), but {short}.")
        return Verdict("significant", f"{name}: information above its shifted null (p = {p:.2g}).")
    if short:
        return Verdict("inconclusive", f"{name}: not above its shifted null (p = {p:.2g}); {short}.")
    return Verdict("not significant", f"{name}: no information above its shifted null (p = {p:.2g}).")


def hamiltonian_verdict(row: HamiltonianRecord, data: DataRecord, controls: Sequence[RateControl] = ()) -> Verdict:
    """Judge whether a forecast's rate agrees with the ab initio one within its 95 % interval (`agreement`).

    Where it does, the controls that agree as well are named: the plain average of the computed frames and interpolations in
    time know no geometry. From a trajectory that is too short for conclusions nothing agrees or differs, however quickly its local
    rate seems to forget.
    """
    ratio, blocks = row.ratio, row.n_blocks
    if ratio.value is None:
        return Verdict("inconclusive", f"No rate: {ratio.reasons['value'].rstrip('.')}.")
    value = f"Rate {ratio.value:.3g} times the ab initio one"
    if ratio.low is None or ratio.high is None:
        reason = ratio.reasons.get("low") or ratio.reasons["high"]
        return Verdict("inconclusive", f"{value}, without an interval: {reason.rstrip('.')}.")
    interval = f"{ratio.low:.3g} to {ratio.high:.3g}"
    label = agreement(ratio.low, ratio.high, blocks)
    if blocks is None or blocks < MIN_BLOCKS:
        count = "an unknown number of" if blocks is None else str(blocks)
        return Verdict(
            label,
            f"{value}; its interval ({interval}) is at least this wide, from {count} block{'' if blocks == 1 else 's'} of trajectory "
            f"({MIN_BLOCKS} are needed{_length_for_blocks(data)}).",
        )
    short = too_short(data)
    if short and label != "inconclusive":
        return Verdict(
            "inconclusive",
            f"{value}; its interval ({interval}) is at least this wide, from {blocks} blocks of trajectory: {short}.",
        )
    said = {
        "agrees": f"1 lies in its interval ({interval})",
        "differs": f"1 lies outside its interval ({interval})",
        "inconclusive": f"its interval ({interval}) holds 1, and so much else that it says nothing (a factor of "
        f"{WIDEST_AGREEMENT:g} from end to end is allowed)",
    }
    alike = [
        f"{one.name} ({one.ratio.value:.3g})"
        for one in controls
        if one.ratio.value is not None
        and one.ratio.low is not None
        and one.ratio.high is not None
        and agreement(one.ratio.low, one.ratio.high, blocks) == "agrees"
    ]
    as_well = ""
    if label == "agrees" and alike:
        as_well = f" What knows no geometry agrees as well: {', '.join(alike)}."
    elif label == "agrees" and controls:
        as_well = " No rate without a model of the geometry does."
    return Verdict(label, f"{value}; {said[label]}.{as_well}")


def _length_for_blocks(data: DataRecord) -> str:
    tau = data.correlation_time
    # a block of one correlation time still depends on its neighbour: two of them
    return "" if tau is None else f", about {shown_length(2 * MIN_BLOCKS * float(tau))}"


def check_verdict(check: CheckRecord) -> Verdict:
    """Judge exact solver against Monte Carlo: 80 % of the runs within two standard errors, pooled |z| < 3.

    (Of 20 normal deviates, fewer than 16 lie within two standard errors once in about 400 times.)
    """
    if check.pooled_z is None:
        return Verdict("inconclusive", f"Not compared: {check.reasons['pooled_z'].rstrip('.')}.")
    share = check.within_two / check.n_seeds
    words = (
        f"{check.within_two} of {check.n_seeds} runs lie within two standard errors of the exact value, "
        f"pooled z = {check.pooled_z:.2f}."
    )
    return Verdict("passed" if share >= 0.8 and abs(check.pooled_z) < 3 else "failed", words)


def calibration_verdict(record: CalibrationRecord, name: str) -> Verdict:
    """Judge the 90 % intervals of a model on held-out blocks, after recalibration (`hopcast.evaluation.calibrate`).

    *calibrated*: 90 % lies in the interval of the coverage, and that is narrower than 25 points; *not calibrated*: 90 %
    lies outside of it; otherwise *inconclusive*.
    """
    low, high = record.low, record.high
    at = min(range(len(record.levels)), key=lambda i: abs(record.levels[i] - 0.9))
    said = (
        f"{name}: nominal 90 % intervals hold {100 * record.recalibrated[at]:.0f} % of held-out values "
        f"({100 * record.coverage[at]:.0f} % before recalibration); from {record.n_effective:.0f} independent values "
        f"the true share lies in {100 * low:.0f} to {100 * high:.0f} %"
    )
    return Verdict(coverage(low, high), f"{said}.")


def curve_verdict(points: Sequence[CurvePoint], target: str) -> Verdict | None:
    """Say from which stride on a model knows more than the calendar: the shortest that it, and all longer, win.

    Parameters
    ----------
    points
        Of one model and target, interleaved split, axis `stride`.
    target
        "gap" or "nac".
    """
    scored = sorted((p for p in points if p.value is not None), key=lambda p: p.stride.fs)
    if not scored:
        return None
    name, first = TARGET_NAMES[target], scored[0]
    span = f"{shown_length(first.stride.fs)} to {shown_length(scored[-1].stride.fs)}"
    winning = None
    for point in reversed(scored):
        r2, rivals = known(point.value), (point.mean, point.linear, point.cubic)
        level = point.shifted_high if point.shifted_high is not None else point.shifted
        if not all(beats(r2, rival) for rival in rivals if rival is not None):
            break
        if level is not None and r2 <= level:
            break
        winning = point
    if winning is None:
        return Verdict(
            "not useful",
            f"{first.model}: at no training stride ({span}) does the forecast of the {name} beat interpolation in time "
            "and features of another time at it and all longer ones.",
        )
    if (winning.n_shifts or 0) < FEWEST_SHIFTS:
        return Verdict(
            "inconclusive",
            f"{first.model}: from {shown_length(winning.stride.fs)} on it beats interpolation in time for the {name}, "
            f"but only {winning.n_shifts} shifts of its features fit into the trajectory.",
        )
    return Verdict(
        "useful",
        f"{first.model}: from a training stride of {shown_length(winning.stride.fs)} on the forecast of the {name} "
        "knows more than the calendar.",
    )


def powered_rate(results: StudyResults) -> SampledRate | None:
    """Return the mean rate with the forecast of best R² for the gap on held-out stretches as control variate."""
    scores = {m.name: m.r2 for m in results.models if m.target == "gap" and m.split == "blocked" and m.r2 is not None}
    powered = {
        row.name: row
        for row in results.rates or ()
        if row.kind == "prediction-powered" and row.relative_width is not None and row.name in scores
    }
    return powered[max(powered, key=lambda name: scores[name])] if powered else None


def sampled_rate_verdict(results: StudyResults) -> Verdict:
    """Judge whether any forecast sharpens the mean rate that the computed pairs give by themselves.

    The forecast that is judged is the one of best R² for the gap on held-out stretches, chosen before its rate is looked
    at: of many intervals one is narrow by chance. *useful*: its prediction-powered interval is at least
    `CALENDAR_MARGIN` narrower than the plain average's (which is unbiased whatever the forecast is worth, so width is
    the whole question) with a positive weight. (A mean over the other stretches lies low where this one lies high, so
    forecasts that know nothing get negative weights.) *not useful* otherwise.
    """
    rate = next(row.rate for row in results.rates or () if row.kind == "plain average")
    said = f"The computed pairs alone give {rate.value:.3g} /ns ({rate.low:.3g} to {rate.high:.3g})"
    best = powered_rate(results)
    if best is None:
        return Verdict("inconclusive", f"{said}; no forecast was held against it.")
    width, weight = known(best.relative_width), known(best.weight)
    beside = (
        f"the forecast of best score ({best.name}, weight {weight:.2f}) as control variate "
        f"{'narrows' if width < 1 else 'widens'} that interval by {abs(100 * (width - 1)):.0f} %"
    )
    if width <= 1 - CALENDAR_MARGIN and weight > 0:
        return Verdict("useful", f"{said}; {beside}.")
    return Verdict("not useful", f"{said}; {beside}: it adds next to nothing to the average.")

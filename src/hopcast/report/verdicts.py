"""What the numbers allow to be said: every sentence of judgement in the report is made here, none in its template.

Thresholds, with their reasons:

- `CALENDAR_MARGIN`: a model is *useful* only if the part of the variance it leaves unexplained is at least 10 %
  smaller than that of every interpolation in time from the same training frames, and smaller than the same
  model's on 97.5 % of the circular shifts of its features. (R² differences shrink as everything nears 1; the
  unexplained part does not.)
- `MIN_CORRELATION_TIMES`: a score on held-out blocks, or the absence of information, is a statement about the
  material only if the trajectory holds at least 30 correlation times; below, it is *inconclusive*, and the
  verdict says how long the trajectory should be.
- `MIN_BLOCKS`: an interval over a finite trajectory from fewer than 10 blocks is a lower bound, so neither
  agreement nor difference of rates is claimed from it.
- `WIDEST_AGREEMENT`: rates *agree* only within an interval whose ends are less than a factor of 4 apart (2 either
  way, the size of the disagreements that the method is tested for); a wider one that holds 1 is *inconclusive*.
- `SIGNIFICANCE`: 5 % for information above its shifted null (adjusted for several tests where that is given).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

CALENDAR_MARGIN: Final = 0.10
MIN_CORRELATION_TIMES: Final = 30
MIN_BLOCKS: Final = 10
WIDEST_AGREEMENT: Final = 4.0
SIGNIFICANCE: Final = 0.05

TARGET_NAMES: Final = {"gap": "gap", "nac": "coupling"}
_BASELINE_NAMES: Final = {
    "mean": "the mean", "linear": "a straight line in time", "cubic": "a cubic spline in time",
}  # fmt: skip


class Verdict(NamedTuple):
    """A label for machines and a sentence for people."""

    label: str
    sentence: str

    def record(self) -> dict[str, str]:
        """Return the verdict as it stands in `results.json`."""
        return {"label": self.label, "sentence": self.sentence}


def shown_length(femtoseconds: float) -> str:
    """Return a duration in words a reader of trajectories uses (``"640 fs"``, ``"23 ps"``, ``"1.2 ns"``)."""
    for factor, unit in ((1e6, "ns"), (1e3, "ps")):
        if femtoseconds >= 0.9995 * factor:
            return f"{femtoseconds / factor:.3g} {unit}"
    return f"{femtoseconds:.3g} fs"


def needed_length(data: Mapping[str, Any]) -> float | None:
    """Return how long the trajectory should be for a conclusion, fs; None where its correlation time is unknown."""
    correlation_time = data.get("correlation_time")
    return None if correlation_time is None else MIN_CORRELATION_TIMES * float(correlation_time)


def too_short(data: Mapping[str, Any]) -> str:
    """Return why the trajectory is too short and how long it should be, or an empty string."""
    needed = needed_length(data)
    if needed is None:
        return (
            "the correlation time could not be found, so the number of independent stretches is unknown; "
            "a longer trajectory is needed"
        )
    if data["duration"] >= needed:
        return ""
    count = data["duration"] / data["correlation_time"]
    return (
        f"the trajectory holds {count:.1f} correlation times of {shown_length(data['correlation_time'])}; "
        f"a conclusion needs {MIN_CORRELATION_TIMES}, that is {shown_length(needed)}"
    )


def model_verdict(
    model: Mapping[str, Any], blocked: Mapping[str, Any] | None, data: Mapping[str, Any]
) -> Verdict:
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
    name = TARGET_NAMES[model["target"]]
    short = too_short(data)
    unseen = _unseen(blocked, short)
    if model["r2"] is None:
        return Verdict("inconclusive", f"No score for the {name}: {model['r2_reason'].rstrip('.')}.")
    rivals = _rivals(model)
    missing = [words for words, r2 in rivals if r2 is None]
    beaten_by = [
        (words, r2)
        for words, r2 in rivals
        if r2 is not None and not _beats(model["r2"], r2, shifted="another" in words)
    ]
    if beaten_by:
        words, r2 = max(beaten_by, key=lambda item: item[1])
        stride = f" every {shown_length(model['stride']['fs'])}" if "stride" in model else ""
        return Verdict(
            "not useful",
            f"With training frames{stride}, {words} forecasts the {name} as well or better "
            f"(R² {shown_r2(r2)} against {shown_r2(model['r2'])}): the score measures the calendar. {unseen}",
        )
    if missing:
        return Verdict(
            "inconclusive", f"The {name}'s score stands alone: there is no score of {', '.join(missing)}."
        )
    if blocked is None or blocked["r2"] is None or (short and not _wins_blocked(blocked)):
        return Verdict("inconclusive", f"Beats every interpolation in time for the {name}. {unseen}")
    if not _wins_blocked(blocked):
        return Verdict(
            "not useful", f"Beats interpolation in time for the {name}, but not on unseen stretches. {unseen}"
        )
    if short:
        return Verdict("inconclusive", f"Beats every baseline for the {name}. {unseen}")
    return Verdict("useful", f"Beats every baseline for the {name}. {unseen}")


def _rivals(model: Mapping[str, Any]) -> list[tuple[str, float | None]]:
    baselines = model["baselines"]
    rivals = [(words, baselines[key]["r2"]) for key, words in _BASELINE_NAMES.items()]
    shifted = baselines["shifted"]
    level = shifted["high"] if shifted["high"] is not None else shifted["median"]
    return [*rivals, ("the same model fed features of another time", level)]


def _beats(r2: float, rival: float, *, shifted: bool) -> bool:
    if shifted:  # its own distribution is the margin
        return r2 > rival
    return (1 - r2) <= (1 - CALENDAR_MARGIN) * (1 - rival) and r2 > rival


def _wins_blocked(blocked: Mapping[str, Any]) -> bool:
    high = blocked["baselines"]["shifted"]["high"]
    return bool(blocked["r2"] > 0 and (high is None or blocked["r2"] > high))


def _unseen(blocked: Mapping[str, Any] | None, short: str) -> str:
    if blocked is None:
        return "It was not scored on held-out stretches of time."
    if blocked["r2"] is None:
        return f"No score on held-out stretches of time: {blocked['r2_reason'].rstrip('.')}."
    score = f"On held-out stretches of time R² is {shown_r2(blocked['r2'])}"
    return f"{score}, which is inconclusive: {short}." if short else f"{score}."


def information_verdict(entry: Mapping[str, Any], data: Mapping[str, Any]) -> Verdict:
    """Judge the information of one element's features on a target by its shifted null (`SIGNIFICANCE`)."""
    name = f"{entry['element']} and the {TARGET_NAMES[entry['target']]}"
    key = "p_adjusted" if entry.get("p_adjusted") is not None else "p"
    p = entry[key]
    short = too_short(data)
    tail = f": {short}." if short else "."
    if p is None or entry["corrected"] is None:
        reason = entry.get("p_reason") or entry.get("corrected_reason") or "it was not computed"
        return Verdict("inconclusive", f"{name}: no test, {reason.rstrip('.')}{tail}")
    smallest = entry.get("smallest_p")
    if smallest is not None and smallest > SIGNIFICANCE:
        return Verdict(
            "inconclusive", f"{name}: so few shifts fit that p cannot fall below {smallest:.2g}{tail}"
        )
    if p < SIGNIFICANCE:
        if short:
            return Verdict("inconclusive", f"{name}: above its shifted null (p = {p:.2g}), but {short}.")
        return Verdict("significant", f"{name}: information above its shifted null (p = {p:.2g}).")
    if short:
        return Verdict("inconclusive", f"{name}: not above its shifted null (p = {p:.2g}); {short}.")
    return Verdict("not significant", f"{name}: no information above its shifted null (p = {p:.2g}).")


def hamiltonian_verdict(row: Mapping[str, Any], data: Mapping[str, Any]) -> Verdict:
    """Judge whether a forecast's rate agrees with the ab initio one within its 95 % interval.

    From fewer than `MIN_BLOCKS` blocks of trajectory, or without an interval, nothing is claimed.
    """
    ratio = row["ratio"]
    if ratio["value"] is None:
        return Verdict("inconclusive", f"No rate: {ratio['value_reason'].rstrip('.')}.")
    value = f"Rate {ratio['value']:.3g} times the ab initio one"
    if ratio["low"] is None or ratio["high"] is None:
        reason = ratio.get("low_reason") or ratio.get("high_reason")
        return Verdict("inconclusive", f"{value}, without an interval: {str(reason).rstrip('.')}.")
    interval = f"{ratio['low']:.3g} to {ratio['high']:.3g}"
    blocks = row.get("n_blocks")
    if blocks is None or blocks < MIN_BLOCKS:
        count = "an unknown number of" if blocks is None else str(blocks)
        return Verdict(
            "inconclusive",
            f"{value}; its interval ({interval}) is a lower bound, from {count} blocks of trajectory "
            f"({MIN_BLOCKS} are needed{_length_for_blocks(data)}).",
        )
    if ratio["low"] <= 1 <= ratio["high"]:
        if ratio["high"] > WIDEST_AGREEMENT * max(ratio["low"], 0.0):
            return Verdict(
                "inconclusive",
                f"{value}; its interval ({interval}) holds 1, and so much else that it says nothing (a factor of "
                f"{WIDEST_AGREEMENT:g} from end to end is allowed).",
            )
        return Verdict("agrees", f"{value}; 1 lies in its interval ({interval}).")
    return Verdict("differs", f"{value}; 1 lies outside its interval ({interval}).")


def _length_for_blocks(data: Mapping[str, Any]) -> str:
    tau = data.get("correlation_time")
    # a block of one correlation time still depends on its neighbour: two of them
    return "" if tau is None else f", about {shown_length(2 * MIN_BLOCKS * float(tau))}"


def check_verdict(check: Mapping[str, Any]) -> Verdict:
    """Judge exact solver against Monte Carlo: 80 % of the runs within two standard errors, pooled |z| < 3.

    (Of 20 normal deviates, fewer than 16 lie within two standard errors once in about 400 times.)
    """
    if check["pooled_z"] is None:
        return Verdict("inconclusive", f"Not compared: {check['pooled_z_reason'].rstrip('.')}.")
    share = check["within_two"] / check["n_seeds"]
    words = (
        f"{check['within_two']} of {check['n_seeds']} runs lie within two standard errors of the exact value, "
        f"pooled z = {check['pooled_z']:.2f}."
    )
    return Verdict("passed" if share >= 0.8 and abs(check["pooled_z"]) < 3 else "failed", words)


def calibration_verdict(record: Mapping[str, Any], name: str) -> Verdict:
    """Judge the 90 % intervals of a model on held-out blocks, after recalibration (`hopcast.evaluation.calibrate`).

    *calibrated*: 90 % lies in the interval of the coverage, and that is narrower than 25 points; *not calibrated*: 90 %
    lies outside of it; otherwise *inconclusive*.
    """
    low, high = record["low"], record["high"]
    at = min(range(len(record["levels"])), key=lambda i: abs(record["levels"][i] - 0.9))
    said = (
        f"{name}: nominal 90 % intervals hold {100 * record['recalibrated'][at]:.0f} % of held-out values "
        f"({100 * record['coverage'][at]:.0f} % before recalibration); from {record['n_effective']:.0f} independent values "
        f"the true share lies in {100 * low:.0f} to {100 * high:.0f} %"
    )
    if not low <= 0.9 <= high:
        return Verdict("not calibrated", f"{said}.")
    return Verdict("calibrated" if high - low < 0.25 else "inconclusive", f"{said}.")


def curve_verdict(points: Sequence[Mapping[str, Any]], target: str) -> Verdict | None:
    """Say from which stride on a model knows more than the calendar: the shortest that it, and all longer, win.

    Parameters
    ----------
    points
        Of one model and target, interleaved split, axis `stride`.
    target
        "gap" or "nac".
    """
    scored = sorted((p for p in points if p["value"] is not None), key=lambda p: p["stride"]["fs"])
    if not scored:
        return None
    name, first = TARGET_NAMES[target], scored[0]
    span = f"{shown_length(first['stride']['fs'])} to {shown_length(scored[-1]['stride']['fs'])}"
    winning = None
    for point in reversed(scored):
        rivals = [point[key] for key in ("mean", "linear", "cubic") if point.get(key) is not None]
        level = point["shifted_high"] if point.get("shifted_high") is not None else point.get("shifted")
        if not all(_beats(point["value"], r2, shifted=False) for r2 in rivals):
            break
        if level is not None and point["value"] <= level:
            break
        winning = point
    if winning is None:
        return Verdict(
            "not useful",
            f"{first['model']}: at no training stride ({span}) does the forecast of the {name} beat interpolation in time "
            "and features of another time at it and all longer ones.",
        )
    if winning["n_shifts"] < 19:
        return Verdict(
            "inconclusive",
            f"{first['model']}: from {shown_length(winning['stride']['fs'])} on it beats interpolation in time for the {name}, "
            f"but only {winning['n_shifts']} shifts of its features fit into the trajectory.",
        )
    return Verdict(
        "useful",
        f"{first['model']}: from a training stride of {shown_length(winning['stride']['fs'])} on the forecast of the {name} "
        "knows more than the calendar.",
    )


def sampled_rate_verdict(results: Mapping[str, Any]) -> Verdict:
    """Judge whether any forecast sharpens the mean rate that the computed pairs give by themselves.

    The forecast that is judged is the one of best R² for the gap on held-out stretches, chosen before its rate is looked
    at: of many intervals one is narrow by chance. *useful*: its prediction-powered interval is at least
    `CALENDAR_MARGIN` narrower than the plain average's (which is unbiased whatever the forecast is worth, so width is
    the whole question) with a positive weight. (A mean over the other stretches lies low where this one lies high, so
    forecasts that know nothing get negative weights.) *not useful* otherwise.
    """
    rates = results["rates"]
    rate = next(row["rate"] for row in rates if row["kind"] == "plain average")
    said = f"The computed pairs alone give {rate['value']:.3g} /ns ({rate['low']:.3g} to {rate['high']:.3g})"
    scores = {
        m["name"]: m["r2"]
        for m in results["models"]
        if m["target"] == "gap" and m["split"] == "blocked" and m["r2"] is not None
    }
    powered = {
        row["name"]: row
        for row in rates
        if row["kind"] == "prediction-powered" and row["relative_width"] is not None and row["name"] in scores
    }
    if not powered:
        return Verdict("inconclusive", f"{said}; no forecast was held against it.")
    best = powered[max(powered, key=lambda name: scores[name])]
    width = 100 * (best["relative_width"] - 1)
    beside = (
        f"the forecast of best score ({best['name']}, weight {best['weight']:.2f}) as control variate "
        f"{'narrows' if width < 0 else 'widens'} that interval by {abs(width):.0f} %"
    )
    if best["relative_width"] <= 1 - CALENDAR_MARGIN and best["weight"] > 0:
        return Verdict("useful", f"{said}; {beside}.")
    return Verdict("not useful", f"{said}; {beside}: it adds next to nothing to the average.")


def shown_r2(value: float) -> str:
    """Return R² with two digits of what is missing to 1 (``0.820``, ``0.9952``, ``0.99962``, ``−3.14``)."""
    if value <= -1:
        return (f"{value:.2f}" if value > -10 else f"{value:.3g}").replace("-", "−")
    decimals = 6 if value > 1 - 1e-6 else math.ceil(-math.log10(1 - value)) + 1
    text = f"{value:.{min(max(decimals, 3), 6)}f}"
    return (text.removeprefix("-") if float(text) == 0 else text).replace("-", "−")

"""Judgements follow from numbers, and never claim more than the length of the trajectory allows."""

import copy

import pytest

from hopcast.report import with_verdicts
from hopcast.report.verdicts import (
    MIN_BLOCKS,
    MIN_CORRELATION_TIMES,
    check_verdict,
    hamiltonian_verdict,
    information_verdict,
    model_verdict,
    needed_length,
    shown_length,
    shown_r2,
    too_short,
)

LONG = {"duration": 1e6, "correlation_time": 750.0}
SHORT = {"duration": 3020.0, "correlation_time": 750.0}


def score(r2, *, linear=0.9, cubic=0.95, mean=0.0, high=0.93, **more):
    rival = {"mae": 0.0, "rmse": 0.0}
    shifted = {**rival, "r2": high - 0.1, "median": high - 0.1, "high": high}
    baselines = {"mean": {"r2": mean}, "linear": {"r2": linear}, "cubic": {"r2": cubic}, "shifted": shifted}
    return {"target": "gap", "r2": r2, "baselines": baselines, "stride": {"fs": 100.0, "frames": 25}, **more}


@pytest.mark.parametrize(
    ("r2", "blocked", "data", "label"),
    [
        (0.99, score(0.5, high=0.1), LONG, "useful"),
        (
            0.99,
            score(0.5, high=0.6),
            LONG,
            "not useful",
        ),  # features of another time do as well on held-out blocks
        (0.99, score(-0.5, high=-1.0), LONG, "not useful"),  # worse than the mean there
        (0.99, score(0.5, high=0.1), SHORT, "inconclusive"),
        (0.99, score(-0.5, high=-1.0), SHORT, "inconclusive"),
        (0.99, None, LONG, "inconclusive"),
        (0.94, score(0.5, high=0.1), LONG, "not useful"),  # beaten by the spline
        (
            0.953,
            score(0.5, high=0.1),
            LONG,
            "not useful",
        ),  # above the spline, but leaves 94 % of what it leaves
        (0.94, score(-0.5), SHORT, "not useful"),  # the calendar wins whatever the length
    ],
)
def test_a_model_is_useful_only_where_it_beats_everything(r2, blocked, data, label):
    assert model_verdict(score(r2), blocked, data).label == label


@pytest.mark.parametrize("rival", ["linear", "cubic", "high", "mean"])
def test_each_baseline_alone_can_sink_a_model(rival):
    good = score(0.5, high=0.1)
    assert model_verdict(score(0.99, **{rival: 0.995}), good, LONG).label == "not useful"
    assert "0.9950" in model_verdict(score(0.99, **{rival: 0.995}), good, LONG).sentence


def test_a_missing_score_is_inconclusive():
    assert model_verdict(score(None, r2_reason="no test frames"), None, LONG).label == "inconclusive"
    lonely = score(0.99)
    lonely["baselines"]["cubic"] = {"r2": None, "r2_reason": "too few frames"}
    verdict = model_verdict(lonely, score(0.5, high=0.1), LONG)
    assert verdict.label == "inconclusive"
    assert "cubic spline" in verdict.sentence
    gone = score(None, r2_reason="no training frames after purging")
    assert "no training frames" in model_verdict(score(0.99), gone, LONG).sentence


def test_the_verdict_says_how_long_the_trajectory_should_be():
    assert needed_length(SHORT) == MIN_CORRELATION_TIMES * 750.0
    assert "4.0 correlation times of 750 fs" in too_short(SHORT)
    assert "22.5 ps" in too_short(SHORT)
    assert too_short(LONG) == ""
    assert "longer trajectory" in too_short({"duration": 10.0, "correlation_time": None})
    assert "22.5 ps" in model_verdict(score(0.99), score(-1.0), SHORT).sentence


@pytest.mark.parametrize(
    ("entry", "data", "label"),
    [
        ({"p": 0.01}, LONG, "significant"),
        ({"p": 0.2}, LONG, "not significant"),
        ({"p": 0.01, "p_adjusted": 0.08}, LONG, "not significant"),
        ({"p": 0.01}, SHORT, "inconclusive"),
        ({"p": 0.2}, SHORT, "inconclusive"),
        ({"p": 0.2, "smallest_p": 0.2}, LONG, "inconclusive"),
        ({"p": None, "p_reason": "too short"}, LONG, "inconclusive"),
    ],
)
def test_information(entry, data, label):
    assert (
        information_verdict({"element": "Pb", "target": "gap", "corrected": 0.1, **entry}, data).label
        == label
    )


@pytest.mark.parametrize(
    ("ratio", "blocks", "label"),
    [
        ({"value": 0.9, "low": 0.8, "high": 1.1}, MIN_BLOCKS, "agrees"),
        ({"value": 0.9, "low": 0.3, "high": 1.1}, MIN_BLOCKS, "agrees"),
        ({"value": 0.6, "low": 0.19, "high": 3.75}, MIN_BLOCKS, "inconclusive"),
        ({"value": 0.6, "low": -0.1, "high": 1.2}, MIN_BLOCKS, "inconclusive"),
        ({"value": 0.9, "low": 0.8, "high": 0.95}, MIN_BLOCKS, "differs"),
        ({"value": 0.9, "low": 0.8, "high": 1.1}, MIN_BLOCKS - 1, "inconclusive"),
        ({"value": 0.9, "low": 0.8, "high": 1.1}, None, "inconclusive"),
        ({"value": 0.9, "low": None, "low_reason": "one block", "high": 1.1}, 50, "inconclusive"),
        ({"value": None, "value_reason": "no decay"}, 50, "inconclusive"),
    ],
)
def test_rates(ratio, blocks, label):
    assert hamiltonian_verdict({"ratio": ratio, "n_blocks": blocks}, LONG).label == label


@pytest.mark.parametrize(
    ("within", "z", "label"),
    [(16, 2.9, "passed"), (15, 0.0, "failed"), (20, -3.1, "failed"), (20, None, "inconclusive")],
)
def test_exact_against_monte_carlo(within, z, label):
    check = {"n_seeds": 20, "within_two": within, "pooled_z": z, "pooled_z_reason": "no events"}
    assert check_verdict(check).label == label


def test_verdicts_are_computed_anew_and_summed_up(study):
    results = copy.deepcopy(study.results)
    assert with_verdicts(results) == results
    subjects = [line["subject"] for line in results["verdicts"]]
    assert subjects[0] == "Trajectory"
    assert "Forecast of the gap" in subjects
    assert "Recombination rate" in subjects
    for model in results["models"]:
        model["verdict"] = {"label": "useful", "sentence": "by hand"}
        if model["split"] == "interleaved":
            for baseline in model["baselines"].values():
                baseline["r2"] = 1.0
            model["baselines"]["shifted"]["high"] = 1.0
    judged = with_verdicts(results)
    assert {m["verdict"]["label"] for m in judged["models"] if "verdict" in m} == {"not useful"}


def test_a_long_trajectory_makes_conclusions(make_study):
    results = make_study(correlation_time=50.0).results
    assert "Trajectory" not in [line["subject"] for line in results["verdicts"]]
    labels = {(e["target"], e["verdict"]["label"]) for e in results["information"]}
    assert labels == {("gap", "not significant"), ("nac", "significant")}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.82, "0.820"),
        (0.9952, "0.9952"),
        (0.99962, "0.99962"),
        (-3.14159, "−3.14"),
        (-1.1, "−1.10"),
        (-250.7, "−251"),
        (1.0, "1.000000"),
        (-1e-9, "0.000"),
    ],
)
def test_r2_shows_what_is_missing_to_one(value, text):
    assert shown_r2(value) == text


def test_lengths_in_the_reader_s_units():
    assert [shown_length(x) for x in (640, 22500, 1.2e6, 999.9)] == ["640 fs", "22.5 ps", "1.2 ns", "1 ps"]

"""Judgements follow from numbers, and never claim more than the length of the trajectory allows."""

import copy

import pytest

from hopcast.core.resampling import MIN_BLOCKS
from hopcast.evaluation.verdicts import MIN_CORRELATION_TIMES, shown_length, shown_r2
from hopcast.results import estimate, validate_results, with_verdicts
from hopcast.results.dynamics import CheckRecord, HamiltonianRecord, RateControl
from hopcast.results.forecasts import InformationRecord, ModelRecord
from hopcast.results.record import EstimateRecord
from hopcast.results.study import DataRecord
from hopcast.results.verdicts import (
    check_verdict,
    hamiltonian_verdict,
    information_verdict,
    model_verdict,
    needed_length,
    too_short,
)


def data(duration, correlation_time=750.0):
    return DataRecord(
        name="x",
        formula="Si",
        elements=["Si"],
        n_atoms=1,
        n_frames=10,
        timestep=1.0,
        duration=duration,
        correlation_time=correlation_time,
        reasons={"correlation_time": "too short"},
    )


LONG, SHORT = data(1e6), data(3020.0)


def score(r2, *, linear=0.9, cubic=0.95, mean=0.0, high=0.93, **more):
    def rival(value, **also):
        found = {"r2": value, "mae": 0.0, "rmse": 0.0, **also}
        return found if value is not None else found | {"r2_reason": "too few frames"}

    shifted = rival(high - 0.1, n=40, median=high - 0.1, low=high - 0.2, high=high, z=1.0, rank=1)
    baselines = {"mean": rival(mean), "linear": rival(linear), "cubic": rival(cubic), "shifted": shifted}
    return ModelRecord.model_validate(
        {
            "name": "all-18",
            "elements": ["Pb"],
            "features": 18,
            "target": "gap",
            "split": "interleaved",
            "r2": r2,
            "mae": 0.0,
            "rmse": 0.0,
            "baselines": baselines,
            "stride": {"fs": 100.0, "frames": 25},
            **more,
        }
    )


@pytest.mark.parametrize(
    ("r2", "blocked", "data", "label"),
    [
        (0.99, score(0.5, high=0.1), LONG, "useful"),
        (0.99, score(0.5, high=0.6), LONG, "not useful"),  # features of another time do as well on held-out blocks
        (0.99, score(-0.5, high=-1.0), LONG, "not useful"),  # worse than the mean there
        (0.99, score(0.5, high=0.1), SHORT, "inconclusive"),
        (0.99, score(-0.5, high=-1.0), SHORT, "inconclusive"),
        (0.99, None, LONG, "inconclusive"),
        (0.94, score(0.5, high=0.1), LONG, "not useful"),  # beaten by the spline
        (0.953, score(0.5, high=0.1), LONG, "not useful"),  # above the spline, but leaves 94 % of what it leaves
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
    lonely = score(0.99, cubic=None)
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
    assert "longer trajectory" in too_short(data(10.0, None))
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
        information_verdict(
            InformationRecord.model_validate(
                {
                    "element": "Pb",
                    "target": "gap",
                    "corrected": 0.1,
                    "raw": 1.0,
                    "null_mean": 0.9,
                    "windowed": 0.1,
                    **entry,
                }
            ),
            data,
        ).label
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
    plain = estimate(1.0, 0.9, 1.1, unit="1/ns")
    made = EstimateRecord.model_validate({**plain.model_dump(), **ratio})
    row = HamiltonianRecord(
        name="all-18",
        gradient=plain,
        intercept=plain,
        lifetime=plain,
        ratio=made,
        method="dish",
        rule="consistent",
        waiting="exponential",
        tau=5.0,
        tau_convention="gaussian",
        n_blocks=blocks,
    )
    assert hamiltonian_verdict(row, LONG).label == label
    if label == "agrees":
        same = RateControl(name="plain average", ratio=estimate(1.02, 0.9, 1.15, unit="1"))
        off = RateControl(name="spline", ratio=estimate(0.5, 0.4, 0.6, unit="1"))
        both = hamiltonian_verdict(row, LONG, [same, off])
        assert both.label == "agrees"
        assert both.sentence.endswith("What knows no geometry agrees as well: plain average (1.02).")
        assert hamiltonian_verdict(row, LONG, [off]).sentence.endswith("No rate without a model of the geometry does.")


@pytest.mark.parametrize(
    ("within", "z", "label"),
    [(16, 2.9, "passed"), (15, 0.0, "failed"), (20, -3.1, "failed"), (20, None, "inconclusive")],
)
def test_exact_against_monte_carlo(within, z, label):
    check = CheckRecord(
        name="300 K",
        exact=0.1,
        monte_carlo=0.1,
        standard_error=0.01,
        unit="1",
        n_seeds=20,
        within_two=within,
        pooled_z=z,
        reasons={"pooled_z": "no events"},
    )
    assert check_verdict(check).label == label


def test_verdicts_are_computed_anew_and_summed_up(study):
    results = copy.deepcopy(study.results.to_dict())
    assert with_verdicts(validate_results(results)).to_dict() == results
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
    judged = with_verdicts(validate_results(results)).to_dict()
    assert {m["verdict"]["label"] for m in judged["models"] if "verdict" in m} == {"not useful"}


def test_a_long_trajectory_makes_conclusions(make_study):
    results = make_study(correlation_time=50.0).results.to_dict()
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

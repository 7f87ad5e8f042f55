"""Synthetic worlds whose answer is known: what every control says (docs/validation.md), on smaller numbers."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

_path = Path(__file__).parents[2] / "benchmarks" / "known_worlds.py"
_spec = importlib.util.spec_from_file_location("known_worlds", _path)
validation = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(validation)


@pytest.fixture(scope="module")
def worlds():
    return {kind: validation.controls(kind, n_frames=4500) for kind in ("independent", "half", "determining")}


def test_independent_features_know_nothing_though_they_score(worlds):
    found = worlds["independent"]
    assert found["interleaved R2, 40 fs"] > 0.95
    assert found["verdict, 40 fs"] == found["verdict, 300 fs"] == found["blocked verdict"] == "not useful"
    assert found["verdict, information"] == "no information"
    assert found["raw MI"] > 0.1
    assert abs(found["corrected MI"]) < 0.03
    assert found["blocked R2"] < 0.1


def test_determining_features_get_the_opposite(worlds):
    found = worlds["determining"]
    assert found["verdict, 300 fs"] == found["blocked verdict"] == "useful"
    assert found["verdict, information"] == "information"
    assert found["blocked R2"] > 0.9
    assert found["verdict, 40 fs"] == "not useful"  # between frames so close a spline is better still


def test_a_half_and_half_mix_lies_between(worlds):
    for key in ("blocked R2", "corrected MI", "interleaved R2, 300 fs"):
        low, middle, high = (worlds[kind][key] for kind in ("independent", "half", "determining"))
        assert low + 0.05 < middle < high - 0.05
    assert 0.3 < worlds["half"]["blocked R2"] < 0.6  # half of the variance can be known
    assert worlds["half"]["blocked verdict"] == "useful"


def test_false_positives_and_power():
    # 50 draws of a 5 % event exceed 8 once in a thousand times
    assert validation.false_positives(50, n=150) <= 0.16
    assert validation.false_positives(15, rho=0.8, n=150) >= 0.9


def test_recalibrated_intervals_hold_what_they_promise():
    raw, better = validation.coverage(3)
    assert 0.85 < better.mean() < 0.95
    assert raw.mean() < 0.85  # in need of it


@pytest.mark.parametrize("motion", ["band-limited", "OU", "log-normal"])
def test_lifetime_intervals(motion):
    silent, holds, looks = validation.lifetimes(60, 30, motion=motion)
    assert holds.mean() >= 0.9
    assert (silent & ~holds).mean() <= 0.05
    assert np.array_equal(silent, looks >= 40)
    silent, _, _ = validation.lifetimes(40, 3, motion=motion)
    assert silent.mean() <= 0.1


def test_long_run_intervals_of_dense_samples_know_that_they_are_few():
    # ten correlation times of a log-normal rate: 150 samples are no more than those; 76 % held when their own number gave the shape
    (held, _) = validation.regular(150, 400, "log-normal 1.5", 60)["long-run"]
    assert held >= 0.82


def test_no_claim_survives_where_nothing_is_known():
    _, after, survived = validation.studies("independent", 8)
    assert after <= 0.4
    assert survived == {"coupling_below_gap": 0, "ranking": 0}
    _, told, _ = validation.studies("informed", 4)
    assert told >= 0.5


def test_shared_factors_give_the_refitted_answer():
    shared, refitted = validation.reuse(200, n_shifts=4)  # compares all scores to 1e-8
    assert np.isfinite([shared, refitted]).all()

"""Claims: the paper's protocol, the control, the verdict from thresholds; on any material's elements."""

import copy

import pytest

from hopcast.report import StudyReport
from hopcast.results import validate_results, with_verdicts
from hopcast.results.claims import claims
from hopcast.results.forecasts import CalibrationRecord, CurvePoint
from hopcast.results.summary import gate
from hopcast.results.verdicts import calibration_verdict, curve_verdict


def by_key(results):
    judged = with_verdicts(validate_results(results)).to_dict()
    return {one["key"]: one for one in judged["claims"]}


def set_scores(results, r2, rival, shifted, blocked=0.9):
    """Give every interleaved model the score `r2(name)`, and its controls."""
    for model in results["models"]:
        if model["split"] == "interleaved":
            model["r2"] = r2(model)
            for key in ("mean", "linear", "cubic"):
                model["baselines"][key]["r2"] = rival
            model["baselines"]["shifted"] |= {
                "r2": shifted,
                "median": shifted,
                "low": shifted,
                "high": shifted,
                "n": 40,
            }
        else:
            model["r2"] = blocked
            model["baselines"]["shifted"] |= {"r2": -0.2, "median": -0.2, "low": -0.3, "high": -0.1}


@pytest.fixture
def results(study):
    made = copy.deepcopy(study.results.to_dict())
    made["data"]["duration"] = 1e6  # long enough to conclude
    return made


def test_a_clock_makes_every_model_claim_fall(results):
    set_scores(results, lambda m: 0.998, rival=0.999, shifted=0.998)
    found = by_key(results)
    for key in ("one_environment", "least_environment", "one_feature", "few_parameters"):
        assert found[key]["verdict"]["label"] == "does not survive"
        assert "0.9990" in found[key]["control"]


def test_models_that_beat_their_controls_let_claims_survive(results):
    set_scores(results, lambda m: 0.99, rival=0.5, shifted=0.4)
    found = by_key(results)
    for key in ("one_environment", "least_environment", "one_feature", "few_parameters"):
        assert found[key]["verdict"]["label"] == "survives"
    assert found["few_parameters"]["claim"].startswith("20 numbers a frame instead of 360")


def test_a_short_trajectory_decides_nothing(results):
    set_scores(results, lambda m: 0.99, rival=0.5, shifted=0.4, blocked=-0.5)
    results["data"]["duration"] = 3000.0
    assert by_key(results)["one_environment"]["verdict"]["label"] == "inconclusive"


def test_a_claim_that_the_protocol_does_not_show_is_not_reproduced(results):
    set_scores(results, lambda m: 0.99 if m["features"] > 1 else 0.5, rival=0.3, shifted=0.2)
    found = by_key(results)
    assert found["one_feature"]["verdict"]["label"] == "not reproduced"
    assert found["one_environment"]["verdict"]["label"] == "survives"


def test_rates_need_to_beat_rates_without_a_model(results):
    for row in results["hamiltonians"][1:]:
        row["ratio"]["value"] = 0.95
    assert by_key(results)["rates"]["verdict"]["label"] == "does not survive"  # plain average: 1.0
    for control in results["rate_controls"]:
        control["ratio"] |= {"value": 0.7, "low": 0.45, "high": 1.1}
    assert by_key(results)["rates"]["verdict"]["label"] == "inconclusive"  # a control may be right as well
    for control in results["rate_controls"]:
        control["ratio"] |= {"value": 0.7, "low": 0.6, "high": 0.8}
    assert by_key(results)["rates"]["verdict"]["label"] == "survives"
    for row in results["hamiltonians"][2:]:
        row["ratio"]["value"] = 0.89
    results["rate_controls"][0]["ratio"] |= {"value": 1.1, "low": 1.05, "high": 1.15}
    assert by_key(results)["rates"]["verdict"]["label"] == "does not survive"  # the best of many is near by chance
    results["hamiltonians"][1]["ratio"]["value"] = 1.5
    assert by_key(results)["rates"]["verdict"]["label"] == "not reproduced"


def test_information_claims_follow_null_and_corrected(results):
    for entry in results["information"]:
        gap = entry["target"] == "gap"
        entry |= {"raw": 20.0 if gap else 12.0, "null_mean": 19.9 if gap else 11.9, "corrected": 0.1, "p": 0.6}
        entry |= {"raw": entry["raw"] + {"Cs": 0.0, "Pb": 0.5, "I": 0.4}[entry["element"]]}
        entry["null_mean"] = entry["raw"] - 0.1
    found = by_key(results)
    assert found["coupling_below_gap"]["verdict"]["label"] == "does not survive"
    assert found["ranking"]["verdict"]["label"] == "does not survive"
    for entry in results["information"]:
        gap = entry["target"] == "gap"
        entry |= {"null_mean": 1.0, "p": 0.001, "p_adjusted": 0.001, "corrected": entry["raw"] - 1.0 if gap else 0.5}
        entry |= {"corrected_low": entry["corrected"] - 0.1, "corrected_high": entry["corrected"] + 0.1}
    found = by_key(results)
    assert found["coupling_below_gap"]["verdict"]["label"] == "survives"
    assert found["ranking"]["verdict"]["label"] == "survives"
    wide = copy.deepcopy(results)
    for entry in wide["information"]:  # the same order of values, within their intervals
        entry |= {"corrected_low": entry["corrected"] - 30, "corrected_high": entry["corrected"] + 30}
    found = by_key(wide)
    assert found["coupling_below_gap"]["verdict"]["label"] != "survives"
    assert found["ranking"]["verdict"]["label"] != "survives"
    for entry in results["information"]:
        if entry["target"] == "nac":
            entry["raw"] = 30.0
    assert by_key(results)["coupling_below_gap"]["verdict"]["label"] == "not reproduced"


def test_other_materials_have_the_same_section(make_study):
    study = make_study({"Ga": 4, "N": 4})
    keys = {one["key"] for one in study.results.to_dict()["claims"]}
    assert keys == {
        "one_environment",
        "least_environment",
        "one_feature",
        "few_parameters",
        "coupling_below_gap",
        "ranking",
        "rates",
    }
    ranking = next(one for one in study.results.to_dict()["claims"] if one["key"] == "ranking")
    assert ranking["verdict"]["label"] == "inconclusive"
    assert "Cs" not in ranking["protocol"]
    one_element = make_study({"Si": 2}, n_frames=60, bare=True)
    assert {one["key"] for one in one_element.results.to_dict()["claims"]} <= {
        "one_feature",
        "coupling_below_gap",
        "rates",
    }


def test_no_data_no_claims(study):
    kept = {key: study.results.to_dict()[key] for key in ("schema_version", "provenance", "data")}
    empty = StudyReport(kept | {"information": [], "best_features": [], "models": [], "hamiltonians": []})
    assert claims(empty.results) == []


def point(stride, value, rival, **more):
    values = {
        "axis": "stride",
        "split": "interleaved",
        "target": "gap",
        "n_frames": 100,
        "model": "all-18",
        "stride": {"fs": stride, "frames": stride},
        "value": value,
        "mean": 0.0,
        "linear": rival,
        "cubic": rival,
        "shifted": -0.1,
        "shifted_high": 0.0,
        "n_shifts": 20,
    }
    return CurvePoint(**values | more)


def test_the_curve_says_from_which_stride_on_the_model_wins():
    points = [point(10, 0.99, 0.999), point(20, 0.98, 0.97), point(40, 0.97, 0.8), point(80, 0.9, 0.3)]
    found = curve_verdict(points, "gap")
    assert found.label == "useful"
    assert "from a training stride of 20 fs on" in found.sentence
    assert curve_verdict([*points, point(160, 0.1, 0.4)], "gap").label == "not useful"
    assert curve_verdict([point(20, 0.98, 0.5, n_shifts=3)], "gap").label == "inconclusive"
    assert curve_verdict([point(20, 0.98, 0.5, shifted_high=0.99)], "gap").label == "not useful"
    assert curve_verdict([], "gap") is None


@pytest.mark.parametrize(
    ("low", "high", "label"),
    [
        (0.8, 0.95, "calibrated"),
        (0.6, 0.95, "inconclusive"),
        (0.3, 0.6, "not calibrated"),
        (0.92, 0.99, "not calibrated"),
    ],
)
def test_calibration(low, high, label):
    record = CalibrationRecord.model_validate(
        {
            "levels": [0.5, 0.9],
            "coverage": [0.4, 0.7],
            "recalibrated": [0.5, 0.88],
            "n_effective": 60.0,
            "low": low,
            "high": high,
        }
    )
    found = calibration_verdict(record, "all-18, gap")
    assert found.label == label
    assert "hold 88 %" in found.sentence


def test_the_gate_names_what_stands_in_its_way(results):
    set_scores(results, lambda m: 0.998, rival=0.999, shifted=0.998)
    reasons = gate(with_verdicts(validate_results(results)))
    assert any("do not beat the calendar" in reason and "all-18 (gap)" in reason for reason in reasons)
    set_scores(results, lambda m: 0.99, rival=0.5, shifted=0.4)
    judged = with_verdicts(validate_results(results))
    lines = [one for one in judged.verdicts if one.label != "inconclusive"]
    judged = judged.model_copy(update={"verdicts": lines})
    assert gate(judged) == []


def with_hamiltonian(results, r2, blocked, shifted=0.1):
    """Add a forecaster of the whole Hamiltonian beside the models of features."""
    for model in [m for m in results["models"] if m["name"] == "all-18"]:
        scored = copy.deepcopy(model) | {"name": "tight binding", "features": None, "features_reason": "none"}
        scored["r2"] = r2 if model["split"] == "interleaved" else blocked
        for key in ("mean", "linear", "cubic"):
            scored["baselines"][key]["r2"] = -0.1
        quantiles = dict.fromkeys(("r2", "median", "low", "high"), shifted)
        scored["baselines"]["shifted"] |= quantiles | {"n": 40}
        results["models"].append(scored)


def test_a_hamiltonian_answers_what_features_cannot(results):
    set_scores(results, lambda m: 0.02, rival=0.05, shifted=0.0, blocked=0.01)
    assert "structure" not in by_key(results)
    with_hamiltonian(results, r2=0.9, blocked=0.88)
    found = by_key(results)
    assert found["structure"]["verdict"]["label"] == "survives"
    assert "features of the environments do not" in found["structure"]["verdict"]["sentence"]
    assert "gap: tight binding R² 0.880" in found["structure"]["control"]
    # what is published is about features: the Hamiltonian is no model of one feature, nor of all elements
    assert all("tight binding" not in one["protocol"] for key, one in found.items())


def test_a_hamiltonian_says_whose_atoms_matter(results):
    set_scores(results, lambda m: 0.02, rival=0.05, shifted=0.0, blocked=0.01)
    with_hamiltonian(results, r2=0.9, blocked=0.88)
    for model in results["models"]:
        if model["name"] == "tight binding" and model["target"] == "gap":
            model["moved_by"] = [
                {"element": "Cs", "share": 0.012},
                {"element": "I", "share": 0.588},
                {"element": "Pb", "share": 0.4},
            ]
    sentence = by_key(results)["structure"]["verdict"]["sentence"]
    assert sentence.endswith("Of the thermal motion of the gap: I 59 %, Pb 40 %, Cs 1 %.")


def test_a_hamiltonian_that_its_twin_equals_does_not_answer(results):
    set_scores(results, lambda m: 0.02, rival=0.05, shifted=0.0, blocked=0.01)
    with_hamiltonian(results, r2=0.9, blocked=0.88, shifted=0.95)
    assert by_key(results)["structure"]["verdict"]["label"] == "does not survive"

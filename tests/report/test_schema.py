"""`results.json`: what the schema made from the records accepts, and that the records refuse what it refuses."""

import copy
import json

import jsonschema
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hopcast.core import InputError
from hopcast.results import estimate, results_schema, to_json, validate_results
from hopcast.results.forecasts import ScoreRecord

DESIGN = {
    "InformationRecord": {"element", "target", "raw", "corrected", "windowed", "null_mean", "p"},
    "BestFeatureRecord": {"element", "target", "r_s", "theta_s", "mi"},
    "ModelRecord": {"name", "elements", "features", "target", "split", "r2", "mae", "rmse", "baselines"},
    "HamiltonianRecord": {
        "name",
        "gradient",
        "intercept",
        "lifetime",
        "ratio",
        "method",
        "rule",
        "waiting",
        "tau",
        "tau_convention",
    },
    "EstimateRecord": {"value", "low", "high", "unit"},
}


@pytest.fixture(scope="module")
def checker():
    schema = results_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def test_the_schema_asks_for_the_keys_of_the_design():
    schema = results_schema()
    assert set(schema["required"]) == {
        "schema_version",
        "provenance",
        "data",
        "information",
        "best_features",
        "models",
        "hamiltonians",
    }
    for name, keys in DESIGN.items():
        assert keys <= set(schema["$defs"][name]["required"])
    baselines = schema["$defs"]["Baselines"]
    assert set(baselines["required"]) == {"mean", "linear", "cubic", "shifted"}


def test_a_study_follows_the_schema(study, checker):
    written = json.loads(to_json(study.results.to_dict()))
    checker.validate(written)
    assert written == study.results.to_dict()


def test_a_short_study_with_nulls_follows_the_schema(make_study, checker):
    results = json.loads(to_json(make_study({"Si": 8}, n_frames=60, bare=True).results))
    checker.validate(results)
    assert results["information"][0]["p"] is None
    assert results["information"][0]["p_reason"] == "fewer frames than decimation needs"


def places(value, path=()):
    """Every place in a JSON document."""
    yield path
    if isinstance(value, dict):
        for key, item in value.items():
            yield from places(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value[:2]):
            yield from places(item, (*path, index))


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True)
@given(data=st.data())
def test_our_validator_refuses_what_a_full_one_refuses(study, checker, data):
    results = copy.deepcopy(study.results.to_dict())
    spot = data.draw(st.sampled_from([p for p in places(results) if p]))
    parent = results
    for step in spot[:-1]:
        parent = parent[step]
    change = data.draw(st.sampled_from(["delete", None, "", "x", -1, 1.5, 2.0, True, [], {}, 1e9]))
    if change == "delete":
        del parent[spot[-1]]
    else:
        parent[spot[-1]] = change
    full = next(iter(checker.iter_errors(results)), None)
    try:
        validate_results(results)
    except InputError:
        # stricter in one rule only: a null without a reason, at any depth
        assert full is not None or change is None
    else:
        assert full is None


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite_are_refused(study, bad, tmp_path):
    results = copy.deepcopy(study.results.to_dict())
    results["models"][3]["r2"] = bad
    with pytest.raises(InputError, match=r"`models\[3\].r2` must be finite"):
        to_json(results, tmp_path / "results.json")
    results = copy.deepcopy(study.results.to_dict())
    results["extra"] = {"free": [1.0, bad]}
    with pytest.raises(InputError, match=r"`extra.free\[1\]` must be finite"):
        to_json(results, tmp_path / "results.json")
    assert list(tmp_path.iterdir()) == []


def test_a_null_needs_its_reason(study):
    results = copy.deepcopy(study.results.to_dict())
    results["hamiltonians"][1]["ratio"]["low"] = None
    with pytest.raises(InputError, match="low_reason"):
        validate_results(results)
    results["hamiltonians"][1]["ratio"]["low_reason"] = "too few blocks"
    validate_results(results)
    results["extra"] = {"free": None}
    with pytest.raises(InputError, match=r"`extra\.free` is null and must have the sibling `free_reason`"):
        validate_results(results)
    results["extra"] = [None]
    with pytest.raises(InputError, match="a list holds no null"):
        validate_results(results)
    results["extra"] = object()
    with pytest.raises(InputError, match="`extra` must be a JSON value"):
        validate_results(results)


def test_results_are_written_as_they_are(study, tmp_path):
    path = tmp_path / "deep" / "results.json"
    text = to_json({**study.results.to_dict(), "extra": np.arange(3), "more": np.float32(0.5)}, path)
    assert path.read_text(encoding="utf-8") == text
    assert json.loads(text)["extra"] == [0, 1, 2]
    assert [p.name for p in path.parent.iterdir()] == ["results.json"]


def test_records_say_why_a_number_is_null():
    assert ScoreRecord(r2=np.float64(0.25), mae=0.1, rmse=0.1).model_dump() == {"r2": 0.25, "mae": 0.1, "rmse": 0.1}
    lost = ScoreRecord(r2=np.inf, mae=0.1, rmse=None, reasons={"rmse": "no test frames", "mae": "not needed"})
    assert lost.model_dump() == {
        "r2": None,
        "r2_reason": "the result was inf",
        "mae": 0.1,
        "rmse": None,
        "rmse_reason": "no test frames",
    }
    assert ScoreRecord.model_validate(lost.model_dump()) == lost
    record = estimate(
        1.0, unit="1/ns", parts={"finite_trajectory": 0.3, "model": np.nan}, reasons={"interval": "one block only"}
    ).model_dump()
    assert record["low"] is None
    assert record["high_reason"] == "one block only"
    assert record["parts"]["finite_trajectory"] == 0.3
    assert record["parts"]["model_reason"] == "not part of this estimate"
    schema = results_schema()
    found = {**schema["$defs"]["EstimateRecord"], "$defs": schema["$defs"]}
    jsonschema.Draft202012Validator(found).validate(record)

"""Learning curves, calibrated rates and claims of a study, and the strict gate, on a made-up material."""

import json
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

from hopcast.cli import main
from hopcast.study.config import parse_config, read_config
from hopcast.study.inputs import read_data
from hopcast.study.progress import Reporter
from hopcast.study.rates import pairs_of_shifts
from hopcast.study.stage import StageRunner
from hopcast.study.stages import curves as stage_curves
from hopcast.study.stages import features, information
from hopcast.study.stages.curves import strides_in_frames

sys.path.insert(0, str(Path(__file__).parent))
from conftest import write_study


def call(*words):
    """Run the command line in this process and return its exit code."""
    before, show = sys.argv, warnings.showwarning
    sys.argv = ["hopcast", *(str(word) for word in words)]
    try:
        main()
    except SystemExit as error:
        return error.code or 0
    finally:
        sys.argv, warnings.showwarning = before, show
    return 0


@pytest.fixture(scope="module")
def strict(tmp_path_factory):
    """A study run with --strict, figures left out: exit code and folder."""
    folder = tmp_path_factory.mktemp("strict")
    study = write_study(folder / "input", text="enabled = false\n")
    with pytest.MonkeyPatch.context() as patch:
        import hopcast.study.run as module

        def only_numbers(report, out):
            (out / "results.json").write_text(json.dumps(report.results.to_dict()))
            return {}

        patch.setattr(module, "write_report", only_numbers)
        first = call("run", study, "-o", folder / "out", "--strict")
        second = call("evaluate", study, "-o", folder / "out", "--resume")
    return first, second, json.loads((folder / "out" / "results.json").read_text())


def test_a_short_trajectory_does_not_pass_the_gate(strict):
    first, second, _ = strict
    assert first == 4
    assert second == 0  # the gate is asked for, never imposed


def test_curves_hold_every_point_or_its_reason(strict):
    curves = strict[2]["learning_curves"]
    found = {
        (p["axis"], p["split"], p["model"], p["stride"]["frames"], p["n_frames"], p["target"]) for p in curves["points"]
    }
    missing = {
        (p["axis"], p["split"], p["model"], p["stride"]["frames"], p["n_frames"], p["target"])
        for p in curves["left_out"]
    }
    assert not found & missing
    for key in {one[:5] for one in found | missing}:
        for target in ("gap", "nac"):
            assert (*key, target) in found | missing
    assert all(p["n_train"] >= 20 for p in curves["points"])
    assert any("20 are needed" in p["reason"] for p in curves["left_out"])
    assert any(p["target"] == "rate" and p["split"] == "interleaved" and p["plain"] > 0 for p in curves["points"])
    study = [
        p
        for p in curves["points"]
        if p["axis"] == "stride" and p["stride"]["frames"] == 6 and p["split"] == "interleaved"
    ]
    model = next(m for m in strict[2]["models"] if m["split"] == "interleaved" and m["target"] == "gap")
    same = next(p for p in study if p["target"] == "gap" and p["model"] == model["name"])
    assert same["value"] == pytest.approx(model["r2"], abs=2e-3)  # the curve ends one frame earlier
    row = next(r for r in strict[2]["hamiltonians"] if r["name"] == model["name"])
    rate = next(p for p in study if p["target"] == "rate" and p["model"] == model["name"])
    assert rate["value"] == pytest.approx(row["shifted"]["second_order_ratio"], abs=1e-2)


def test_calibrated_rates_stand_beside_the_plain_ones(strict):
    for row in strict[2]["hamiltonians"][1:]:
        found = row["calibrated"]
        plain = row["ratio"]["value"]
        assert found["ratio_variance"]["value"] >= plain * (1 - 1e-9)  # a variance only adds to <V^2>
        assert found["n_samples"] == 3
        assert found["ratio_samples"]["value"] == pytest.approx(plain, rel=0.5)
        lifetime = found["lifetime_samples"]
        assert lifetime["low"] < lifetime["value"] < lifetime["high"]
        exact = strict[2]["hamiltonians"][0]["lifetime"]["value"]
        assert lifetime["value"] == pytest.approx(exact / found["ratio_samples"]["value"], rel=2e-2)
        assert row["prediction_powered_ratio"]["value"] is not None
        assert row["dominant_part"] in ("finite_trajectory", "model", "initial_time", "monte_carlo")


def test_claims_and_calibration_are_in_the_results(strict):
    assert {"one_environment", "rates"} <= {one["key"] for one in strict[2]["claims"]}
    judged = [m["calibration"] for m in strict[2]["models"] if "calibration" in m]
    assert judged
    for record in judged:
        assert 0 <= record["low"] <= record["high"] <= 1
        assert record["n_effective"] <= record["n_test"]


def test_strides():
    config = parse_config({"data": {"dataset": "cspbi3"}})
    frames = strides_in_frames(config, 4.0)
    assert frames[0] == 1
    assert frames[-1] == 250  # 1 ps
    assert 6 in frames  # the study's own
    given = parse_config({"data": {"dataset": "cspbi3"}, "evaluation": {"strides": [10.0, 50.0]}})
    assert strides_in_frames(given, 4.0) == [2, 6, 12]


def test_pairs_of_shifts_are_nearest():
    assert pairs_of_shifts(np.array([100, 200]), np.array([90, 140, 210])) == [(0, 0), (1, 2)]
    assert pairs_of_shifts(np.array([90, 140, 210]), np.array([100])) == [(0, 0)]
    assert pairs_of_shifts(np.array([], dtype=int), np.array([100])) == []


@pytest.mark.filterwarnings("ignore::hopcast.QualityWarning")
def test_a_fold_with_nothing_to_train_on_leaves_a_point_out_with_its_reason(tmp_path):
    config = read_config(write_study(tmp_path))
    sections = {
        "evaluation": config.evaluation.model_copy(update={"strides": [160.0]}),
        "models": config.models.model_copy(update={"purge": 80.0}),
    }
    config = config.model_copy(update=sections)
    data = read_data(config)
    runner = StageRunner(config, data, None, Reporter(None), 1)
    for stage in (features.STAGE, information.STAGE):
        runner.run(stage)
    curves = runner.run(stage_curves.STAGE).numbers.learning_curves
    reasons = {p.reason for p in curves.left_out if p.split == "blocked" and p.stride.fs == 160}
    assert any("at least two training frames" in reason for reason in reasons), reasons

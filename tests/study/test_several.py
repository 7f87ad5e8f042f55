"""Several trajectories in one study: each is held out in turn."""

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from conftest import make_material, write_study

from hopcast import ConfigError, InputError
from hopcast.io import write_native
from hopcast.results import validate_results
from hopcast.study import read_config, run_study
from hopcast.study.inputs import read_data


def write_two(folder, second, text=""):
    study = write_study(folder, text="enabled = false\n")
    write_native(folder / "md2.h5", trajectory=second[0])
    write_native(folder / "ham2.h5", hamiltonian=second[1])
    words = study.read_text().replace("[data]", "[[data]]")
    words = words.replace("[models]", '[[data]]\ntrajectory = "md2.h5"\nhamiltonian = "ham2.h5"\n[models]\n' + text, 1)
    study.write_text(words.replace("[evaluation]", "[evaluation]\nenabled = false", 1))
    return study


def test_each_trajectory_is_held_out(tmp_path, monkeypatch):
    import hopcast.study.run as module

    monkeypatch.setattr(module, "write_report", lambda report, folder: {})
    study = write_two(tmp_path / "in", make_material(n_frames=200, seed=1))
    results = run_study(study, tmp_path / "out").results
    validate_results(results)
    held_out = [m for m in results["models"] if m["split"] == "trajectory"]
    names = {m["name"] for m in results["models"]}
    assert {(m["name"], m["target"]) for m in held_out} == {(n, t) for n in names for t in ("gap", "nac")}
    for model in held_out:
        assert model["n_test"] == 440 - 2 * (model["target"] == "nac")
        assert model["n_train"] == pytest.approx((40 + 34) / 2, abs=1)
        assert model["baselines"]["linear"]["r2"] == pytest.approx(model["baselines"]["mean"]["r2"])
        assert model["note"].startswith("2 trajectories")
    assert len(json.loads((tmp_path / "out" / "run.json").read_text())["inputs"]) == 2


def test_trajectories_must_be_of_the_same_material(tmp_path):
    other = make_material("Si", n_frames=100, crystalstructure="diamond", a=5.43)
    with pytest.raises(InputError, match="Trajectory 2 of the study must have the same atoms"):
        read_data(read_config(write_two(tmp_path / "a", other)))
    with pytest.raises(InputError, match="Trajectory 2 of the study must have the time step of the first, 2 fs"):
        read_data(read_config(write_two(tmp_path / "b", make_material(n_frames=100, timestep=1.0))))


def test_one_trajectory_cannot_be_held_out(tmp_path):
    study = write_study(tmp_path / "in")
    study.write_text(study.read_text().replace("[models]", "[models]\ntrajectory_split = true"))
    with pytest.raises(ConfigError, match="needs at least two trajectories"):
        read_config(study)

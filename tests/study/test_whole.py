"""A forecaster of whole Hamiltonians in a study of pairs of frames: a row with its controls, and bands to relax through."""

import shutil
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

import hopcast as hc
from hopcast.couplings import derive_couplings
from hopcast.forecast import kinds, list_kinds
from hopcast.io import read_hamiltonian, write_native
from hopcast.study import run_study

sys.path.insert(0, str(Path(__file__).parent))

TEXT = """
[data]
trajectory = "md.h5"
hamiltonian = "ham.h5"
[features]
mode = "default"
[information]
n_select = 0
[models]
mode = "default"
elements = []
hamiltonians = true
purge = 8.0
n_shifts = 20
[samples]
n_folds = 3
block = 120.0
candidates = false
[dynamics]
duration = 1e5
n_times = 20
[relaxation]
methods = ["fssh"]
duration = 200.0
n_starts = 3
n_trajectories = 4
n_times = 20
pair_states = 0
[evaluation]
enabled = false
[checks]
enabled = false
"""


@pytest.fixture
def chain(tmp_path, monkeypatch):
    place = tmp_path / "kinds"
    place.mkdir()
    shutil.copy(Path(__file__).parents[1] / "forecast" / "toy_kind.py", place / "chain.py")
    monkeypatch.setattr(kinds, "__path__", [str(place)])
    list_kinds.cache_clear()
    yield import_module(next(kind for kind in list_kinds() if kind.name == "chain").fitted.__module__)
    monkeypatch.undo()
    list_kinds.cache_clear()


@pytest.fixture
def material(chain, tmp_path, monkeypatch):
    """A trajectory with its Hamiltonian at every frame, a study file; no report is written."""
    import hopcast.study.run as module

    monkeypatch.setattr(module, "write_report", lambda report, folder: {})
    times = 2.0 * np.arange(300)
    positions = np.zeros((300, 4, 3))
    positions[:, :, 0] = 1.5 * np.arange(4)
    for atom, (a, b) in enumerate(((0.011, 0.3), (0.017, 1.1), (0.013, 2.0), (0.019, 0.7))):
        positions[:, atom] += 0.08 * np.sin(2 * np.pi * a * times + b)[:, None] * [1.0, 0.4, 0.2]
    trajectory = hc.Trajectory(positions, 20.0 * np.eye(3), np.full(4, 1), 2.0)
    write_native(tmp_path / "md.h5", trajectory=trajectory)
    (tmp_path / "study.toml").write_text(TEXT)
    return derive_couplings(chain.chain_hamiltonian(trajectory, 1.1, -0.9))


@pytest.mark.filterwarnings("ignore::hopcast.QualityWarning")
def test_a_study_of_every_frame_has_a_row_and_relaxation_beside_the_computed_bands(material, tmp_path):
    write_native(tmp_path / "ham.h5", hamiltonian=material)
    found = run_study(tmp_path / "study.toml", tmp_path / "out", workers=1)
    scores = {(m["name"], m["target"], m["split"]): m for m in found.results["models"]}
    for target in ("gap", "nac"):
        for split in ("interleaved", "blocked"):
            assert scores["chain", target, split]["r2"] > 0.999
            assert scores["chain", target, split]["features"] is None
    row = next(row for row in found.results["hamiltonians"] if row["name"] == "chain")
    assert row["ratio"]["value"] == pytest.approx(1.0, rel=1e-6)
    assert row["prediction_powered_ratio"]["value"] > 0  # held-out blocks were forecast
    runs = {run["name"]: run for run in found.results["relaxation"]["runs"]}
    assert set(runs) >= {"hole", "electron", "hole, chain", "electron, chain"}
    assert runs["hole, chain"]["final_populations"] == pytest.approx(runs["hole"]["final_populations"], abs=1e-6)
    assert "source" not in found.results["relaxation"]


@pytest.mark.filterwarnings("ignore::hopcast.QualityWarning")
def test_a_forecaster_that_cannot_learn_is_left_out_and_says_why(chain, material, tmp_path, monkeypatch):
    def refuse(*given):
        raise hc.InputError("Nothing to learn here.")

    write_native(tmp_path / "ham.h5", hamiltonian=material)
    monkeypatch.setattr(chain.Chain, "fit", refuse)
    found = run_study(tmp_path / "study.toml", tmp_path / "out", workers=1)
    assert all(m["name"] != "chain" for m in found.results["models"])
    assert any("The chain is left out: Nothing to learn here." in note for note in found.results["notes"])


@pytest.mark.filterwarnings("ignore::hopcast.QualityWarning")
def test_a_study_of_pairs_has_a_row_and_relaxation_from_a_forecast_window(material, tmp_path):
    whole = material
    steps = np.arange(1, 298, 6)
    energies, nac = np.full_like(whole.energies, np.nan), np.full_like(whole.nac, np.nan)
    for frames in (steps, steps + 1):
        energies[frames] = whole.energies[frames]
    nac[steps] = whole.nac[steps]
    sparse = hc.VibronicHamiltonian(energies, nac, 2.0, n_occupied=2, state_labels=whole.state_labels)
    write_native(tmp_path / "ham.h5", hamiltonian=sparse)
    found = run_study(tmp_path / "study.toml", tmp_path / "out", workers=1)
    scores = {(m["name"], m["target"], m["split"]): m for m in found.results["models"]}
    for target in ("gap", "nac"):
        for split in ("interleaved", "blocked"):
            record = scores["chain", target, split]
            assert record["r2"] > 0.999
            assert record["baselines"]["shifted"]["high"] < 0.9
    assert scores["chain", "gap", "interleaved"]["verdict"]["label"] != "not useful"
    forecast = read_hamiltonian(tmp_path / "out" / "hamiltonians" / "chain.h5")
    np.testing.assert_allclose(forecast.gap(), whole.frontier().gap(), atol=1e-6)
    np.testing.assert_allclose(forecast.coupling(), np.abs(whole.frontier().coupling()), atol=1e-6)
    rates = {(row["name"], row["kind"]): row for row in found.results["rates"]}
    assert rates["chain", "prediction-powered"]["relative_width"] <= 1 + 1e-9
    assert found.results["relaxation"]["source"] == "chain"
    assert {run["name"] for run in found.results["relaxation"]["runs"]} >= {"hole", "electron"}

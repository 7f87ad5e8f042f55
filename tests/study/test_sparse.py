"""A study of a sparse Hamiltonian: only pairs of frames are known, and every score is that of pairs never seen."""

import dataclasses
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from conftest import make_material, write_study

from hopcast import InputError, SymmetryFunctions
from hopcast.core.units import FS_PER_NS, HBAR
from hopcast.descriptors import flatten
from hopcast.dynamics import second_order_rate
from hopcast.evaluation import prediction_powered_mean
from hopcast.io import read_hamiltonian, write_native
from hopcast.results import validate_results
from hopcast.study import read_config, run_study
from hopcast.study.inputs import read_data
from hopcast.study.progress import Reporter
from hopcast.study.sparse import feature_chunks
from hopcast.study.stage import StageRunner
from hopcast.study.stages import features as feature_stage
from hopcast.study.targets import targets_of


def sparse_material(every=6, n_frames=480, **options):
    """Know energies at both frames of every `every`-th pair, and the coupling between them."""
    trajectory, hamiltonian = make_material(n_frames=n_frames, n_modes=2, **options)
    # gap and coupling are functions of the features, so that a model of the geometry can find them
    functions = SymmetryFunctions.from_trajectory(trajectory, mode="default")
    G = flatten(functions.transform(trajectory))
    slow = [(column - column.mean()) / column.std() for column in (G[:, 0], G[:, 5])]
    gap = 0.9 + 0.1 * slow[0]
    coupling = 4e-3 + 1e-3 * 0.5 * (slow[1][1:] + slow[1][:-1])
    nac = hamiltonian.nac * 0.0
    nac[:, 0, 1], nac[:, 1, 0] = coupling, -coupling
    energies = np.stack([np.zeros(n_frames), gap], axis=1)
    dense = dataclasses.replace(hamiltonian, energies=energies, nac=nac)
    steps = np.arange(2, n_frames - 1, every)
    nac = np.full_like(dense.nac, np.nan)
    nac[steps] = dense.nac[steps] * np.where(np.arange(len(steps)) % 2, 1, -1)[:, None, None]  # unrelated signs
    energies = np.full_like(dense.energies, np.nan)
    for frames in (steps, steps + 1):
        energies[frames] = dense.energies[frames]
    sparse = dataclasses.replace(dense, energies=energies, nac=nac, energy_known=None, nac_known=None)
    return trajectory, sparse, dense, steps


# images all around have no jumps, and no warning of them
TEXT = '[features]\nmode = "default"\n[samples]\nn_folds = 5\nblock = 100.0\n[information]\nn_select = 2\n'
QUICK = TEXT.replace("n_folds", "candidates = false\nn_folds")


@pytest.fixture(scope="module")
def material():
    return sparse_material()


@pytest.fixture
def no_drawing(monkeypatch):
    import hopcast.study.run as module

    monkeypatch.setattr(module, "write_report", lambda report, folder: {})


def write_sparse(folder, material, text=TEXT, mode="default"):
    study = write_study(folder, material=material[:2], text=text)
    study.write_text(study.read_text().replace("[models]\n", f'[models]\nmode = "{mode}"\npurge = 24.0\n'))
    return study


@pytest.fixture(scope="module")
def finished(tmp_path_factory, material):
    folder = tmp_path_factory.mktemp("sparse")
    return run_study(write_sparse(folder / "in", material), folder / "out", workers=2)


def test_everything_is_written(finished, material):
    _, _, _, steps = material
    results = finished.results
    validate_results(results)
    assert results["samples"] == {
        "n_pairs": len(steps),
        "spacing": 12.0,
        "share": len(steps) / 479,
        "block": 100.0,
        "purge": 24.0,
    }
    for name in ("report.html", "figures/rates.svg", "tables/rates.csv", "hamiltonians/all-2.h5"):
        assert (finished.folder / name).is_file(), name
    page = (finished.folder / "report.html").read_text()
    assert "computed pairs" in page
    assert {model["split"] for model in results["models"]} == {"interleaved", "blocked"}
    for model in results["models"]:
        assert model["n_test"] == len(steps)


def test_the_plain_average_is_the_mean_over_the_computed_pairs(finished, material):
    _, _, dense, steps = material
    gap = 0.5 * (dense.gap()[steps] + dense.gap()[steps + 1])
    tau = finished.results["dephasing"]["tau"]
    assert tau == pytest.approx(HBAR / gap.std())
    truth = second_order_rate(gap, dense.coupling()[steps], tau)
    first = finished.results["rates"][0]
    assert first["kind"] == "plain average"
    assert first["rate"]["value"] == pytest.approx(FS_PER_NS * truth.mean(), rel=1e-12)
    stretches = ((steps + 0.5) * 2.0 // 100.0).astype(int)
    alone = prediction_powered_mean(
        truth / truth.mean(), np.zeros(len(truth)), np.zeros(dense.n_steps), stretches, 0.95, random_state=0
    )
    assert first["rate"]["low"] == pytest.approx(FS_PER_NS * truth.mean() * alone.low, rel=1e-9)


def test_a_good_forecast_sharpens_the_average_and_lies_near_the_truth(finished, material):
    _, _, dense, _ = material
    tau = finished.results["dephasing"]["tau"]
    gap = 0.5 * (dense.gap()[1:] + dense.gap()[:-1])
    truth = FS_PER_NS * second_order_rate(gap, dense.coupling(), tau).mean()
    rates = {(row["name"], row["kind"]): row for row in finished.results["rates"]}
    powered = rates["all-2", "prediction-powered"]
    assert powered["weight"] > 0.5
    assert powered["relative_width"] < 1.0
    assert powered["rate"]["low"] < truth < powered["rate"]["high"]
    score = {(m["name"], m["target"], m["split"]): m["r2"] for m in finished.results["models"]}
    assert score["all-2", "gap", "blocked"] > 0.5


def test_forecasts_keep_what_was_computed(finished, material):
    _, sparse, dense, steps = material
    forecast = read_hamiltonian(finished.folder / "hamiltonians" / "all-2.h5")
    assert forecast.is_complete
    known = sparse.energy_known
    np.testing.assert_allclose(forecast.gap()[known], dense.gap()[known], rtol=1e-12)
    np.testing.assert_allclose(forecast.coupling()[steps], np.abs(dense.coupling()[steps]), rtol=1e-9)
    assert np.corrcoef(forecast.gap()[~known], dense.gap()[~known])[0, 1] > 0.9


def test_a_finished_run_is_not_computed_again_and_workers_change_nothing(material, tmp_path, monkeypatch, no_drawing):
    import hopcast.study.stage as module

    study = write_sparse(tmp_path / "in", material, text=QUICK)
    alone = run_study(study, tmp_path / "out", workers=1)
    two = run_study(study, tmp_path / "two", workers=2)
    for key in ("information", "rates", "hamiltonians", "dephasing"):
        assert alone.results[key] == two.results[key]

    def forbidden(*_args, **_kwargs):
        raise AssertionError("computed again")

    monkeypatch.setattr(module, "with_notes", forbidden)
    again = run_study(study, tmp_path / "out", resume=True)
    assert again.results["rates"] == alone.results["rates"]


def test_paper_mode_and_energies_on_midpoints(tmp_path, no_drawing, monkeypatch):
    import hopcast.study.sparse as module

    monkeypatch.setattr(module, "CHUNK_FRAMES", 23)  # 300 = 13 * 23 + 1: the last chunk is one frame, no mid-point
    trajectory, sparse, *_ = sparse_material(every=8, n_frames=300)
    middle = dataclasses.replace(sparse, energies=sparse.midpoint_energies, energy_grid="midpoint", energy_known=None)
    study = write_sparse(tmp_path / "in", (trajectory, middle), text=QUICK, mode="paper")
    result = run_study(study, tmp_path / "out")
    assert result.hamiltonians["all-2"].energy_grid == "midpoint"
    assert result.hamiltonians["all-2"].is_complete


@pytest.mark.parametrize("mode", ["paper", "default"])
def test_chunks_of_features_are_those_of_the_pairs(material, tmp_path, mode, monkeypatch):
    import hopcast.study.sparse as module

    config = read_config(write_sparse(tmp_path, material, mode=mode))
    data = read_data(config)
    features = StageRunner(config, data, None, Reporter(None), 1).run(feature_stage.STAGE)
    gap, nac = targets_of(config.models, data, features.arrays, features.numbers.memory)
    functions = features.numbers.functions
    for size in (1024, 37):
        monkeypatch.setattr(module, "CHUNK_FRAMES", size)
        chunks = list(feature_chunks(mode, data, functions, 1))
        along = np.concatenate([chunk.nac for chunk in chunks])
        assert len(along) == data.hamiltonian.n_steps
        np.testing.assert_array_equal(along[data.samples.steps], nac.features)
        frames = np.concatenate([chunk.gap for chunk in chunks])
        assert len(frames) == data.hamiltonian.n_frames
        middle = 0.5 * (frames[1:] + frames[:-1])
        np.testing.assert_array_equal(middle[data.samples.steps], gap.features)


def test_several_sparse_trajectories_are_refused(tmp_path, material):
    study = write_sparse(tmp_path, material)
    write_native(tmp_path / "md2.h5", trajectory=material[0])
    write_native(tmp_path / "ham2.h5", hamiltonian=material[2])
    words = study.read_text().replace("[data]", "[[data]]")
    study.write_text(words.replace("[models]", '[[data]]\ntrajectory = "md2.h5"\nhamiltonian = "ham2.h5"\n[models]', 1))
    with pytest.raises(InputError, match="needs every frame of each computed, but the first has unknown frames"):
        read_data(read_config(study))


def test_a_purge_that_leaves_nothing_is_refused(tmp_path, material, no_drawing):
    study = write_sparse(tmp_path / "in", material)
    study.write_text(study.read_text().replace("purge = 24.0", "purge = 900.0"))
    with pytest.raises(InputError, match="must leave at least two training frames"):
        run_study(study, tmp_path / "out")

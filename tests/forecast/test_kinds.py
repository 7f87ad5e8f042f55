"""A kind of forecaster is one file: found by itself, it is chosen, kept in a file and streamed, signed couplings and all."""

import dataclasses
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

import hopcast as hc
from hopcast.core.fingerprint import fingerprint
from hopcast.core.forecast import HamiltonianForecast, HamiltonianStd
from hopcast.couplings import derive_couplings
from hopcast.forecast import fit_forecaster, kinds, list_kinds, load_forecaster, predict_stream, save_forecaster
from hopcast.forecast.held_out import forecast_steps
from hopcast.io import read_hamiltonian

HOPPING, SLOPE = 1.1, -0.9


@pytest.fixture
def chain(tmp_path, monkeypatch):
    """The module of a user's kind, put where kinds are looked for; nothing of hopcast is changed."""
    place = tmp_path / "kinds"
    place.mkdir()
    shutil.copy(Path(__file__).parent / "toy_kind.py", place / "chain.py")
    monkeypatch.setattr(kinds, "__path__", [*kinds.__path__, str(place)])
    list_kinds.cache_clear()
    yield next(kind for kind in list_kinds() if kind.name == "chain").fitted
    monkeypatch.undo()
    list_kinds.cache_clear()


@pytest.fixture
def material(chain):
    """Four atoms in a row on two phonons, their bands known on pairs of frames."""
    times = 2.0 * np.arange(240)
    positions = np.zeros((240, 4, 3))
    positions[:, :, 0] = 1.5 * np.arange(4)
    for atom, (a, b) in enumerate(((0.011, 0.3), (0.017, 1.1), (0.013, 2.0), (0.019, 0.7))):
        positions[:, atom] += 0.08 * np.sin(2 * np.pi * a * times + b)[:, None] * [1.0, 0.4, 0.2]
    trajectory = hc.Trajectory(positions, 20.0 * np.eye(3), np.full(4, 1), 2.0)
    from importlib import import_module

    toy = import_module(chain.__module__)
    whole = derive_couplings(toy.chain_hamiltonian(trajectory, HOPPING, SLOPE))
    steps = np.arange(1, 238, 4)
    energies, nac = np.full_like(whole.energies, np.nan), np.full_like(whole.nac, np.nan)
    for frames in (steps, steps + 1):
        energies[frames] = whole.energies[frames]
    nac[steps] = whole.nac[steps]
    sparse = hc.VibronicHamiltonian(energies, nac, 2.0, n_occupied=2, state_labels=whole.state_labels)
    return trajectory, sparse, whole


def test_a_kind_in_one_file_is_chosen_kept_and_streamed(chain, material, tmp_path):
    trajectory, sparse, whole = material
    found = fit_forecaster(trajectory, sparse, workers=1)
    assert isinstance(found, chain)  # it knows the physics: no regression is as good
    assert min(found.scores.values()) > 0.999
    np.testing.assert_allclose([found.hopping, found.slope], [HOPPING, SLOPE], rtol=1e-6)
    save_forecaster(found, tmp_path / "model.h5")
    again = load_forecaster(tmp_path / "model.h5")
    one = read_hamiltonian(predict_stream(again, trajectory, tmp_path / "one.h5").path)
    many = read_hamiltonian(predict_stream(found, trajectory, tmp_path / "many.h5", chunk_frames=7, workers=2).path)
    # signed couplings of all pairs of bands: the same chain of derivation as that of raw overlaps read from a code
    np.testing.assert_array_equal(one.nac, many.nac)
    np.testing.assert_allclose(np.abs(one.nac), np.abs(whole.nac), atol=1e-7)
    np.testing.assert_allclose(np.diff(one.energies, axis=1), np.diff(whole.energies, axis=1), atol=1e-7)
    with h5py.File(tmp_path / "many.h5") as file:
        np.testing.assert_allclose(file["forecast/coupling"][()], np.abs(whole.nac[:, 1, 2]), atol=1e-7)
        assert "gap_std" not in file["forecast"]


def test_it_may_be_asked_for_by_name_and_says_why_it_cannot(chain, material):
    trajectory, sparse, _ = material
    assert isinstance(fit_forecaster(trajectory, sparse, model="chain", workers=1), chain)
    with pytest.raises(
        hc.ConfigError, match="`chain` cannot learn from these data: a chain has 4 bands, but the window has 2"
    ):
        fit_forecaster(trajectory, sparse.frontier(), model="chain")


def test_separate_steps_are_forecast_from_their_own_two_frames(chain, material):
    trajectory, sparse, whole = material
    fitted = chain().fit(trajectory, sparse, np.flatnonzero(sparse.nac_known))
    steps = np.array([3, 4, 90, 200])
    said = forecast_steps(fitted, trajectory, steps, ("band 1", "band 2"))
    pair = whole.frontier()
    np.testing.assert_allclose(said.gap, 0.5 * (pair.gap()[steps] + pair.gap()[steps + 1]), atol=1e-7)
    assert len(said.coupling) == 4
    far = dataclasses.replace(trajectory, positions=trajectory.positions.copy())
    far.positions[50:80] += np.random.default_rng(0).normal(size=(30, 4, 3))
    moved = forecast_steps(fitted, far, steps, ("band 1", "band 2"))
    np.testing.assert_array_equal(moved.gap, said.gap)


def test_a_variance_enlarges_couplings_and_keeps_their_sign_or_phase():
    nac = np.zeros((1, 2, 2), dtype=complex)
    nac[0, 0, 1], nac[0, 1, 0] = 3j, 3j  # anti-Hermitian
    spread = np.zeros((1, 2, 2))
    spread[0, 0, 1] = spread[0, 1, 0] = 4.0
    ham = hc.VibronicHamiltonian(np.array([[0.0, 1.0]] * 2), nac, 1.0)
    found = HamiltonianForecast(ham, HamiltonianStd(ham.energies, spread), np.zeros(2, bool), np.zeros(2))
    np.testing.assert_allclose(found.with_variance().nac[0, 0, 1], 5j)
    with pytest.raises(hc.InputError, match="no joint posterior"):
        found.samples(2)


def test_fingerprints_see_values_and_not_containers():
    array = np.arange(6.0)
    assert fingerprint([1, 2], {"a": array}) == fingerprint((1, 2), {"a": array.copy()})
    assert fingerprint(array) != fingerprint(array.reshape(2, 3))
    assert fingerprint(array) != fingerprint(array.astype(np.float32))
    assert fingerprint("12", "3") != fingerprint("1", "23")
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})

"""Kramers pairs of CsPbI3: tight binding with the spin-orbit coupling of lead and iodine, as `benchmarks/spin_orbit.py` has it."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

import hopcast as hc
from hopcast.tightbinding.basis import make_basis
from hopcast.tightbinding.form import Form, build_model
from hopcast.tightbinding.samples import collect_samples
from hopcast.tightbinding.start import starting_values

_path = Path(__file__).parents[2] / "benchmarks" / "spin_orbit.py"
_spec = importlib.util.spec_from_file_location("spin_orbit", _path)
spin_orbit = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(spin_orbit)


@pytest.fixture(scope="module")
def pairs():
    """Two pairs on either side of the gap along 40 frames, universal hoppings: without and with spin-orbit coupling."""
    data = hc.load("cspbi3")
    samples = collect_samples(data.trajectory, data.hamiltonian, most=10)
    basis = make_basis(data.trajectory.symbols)
    model = build_model(Form(), basis, data.trajectory, samples)
    arguments = (model, starting_values(model), data.trajectory[:40], basis.n_occupied(data.trajectory.numbers))
    return [spin_orbit.spinor_pairs(*arguments, strengths=each) for each in ({}, spin_orbit.STRENGTHS)]


def test_every_band_is_a_pair_and_the_gap_moves_by_an_electronvolt(pairs):
    none, raw = pairs
    assert raw.multiplicities == (2,) * 4
    assert np.ptp(raw.energies.reshape(40, 4, 2), axis=2).max() < 1e-10
    assert 0.7 < none.frontier().gap().mean() - raw.frontier().gap().mean() < 1.3
    ham = hc.derive_couplings(raw).frontier()
    values = np.linalg.svd(ham.nac[:, :2, 2:], compute_uv=False)
    assert_allclose(values[:, 0], values[:, 1], rtol=1e-6, atol=1e-9)


def test_random_bases_change_nothing_but_the_workaround(pairs):
    raw = pairs[1]
    found = [spin_orbit.lifetimes(each, dephasing_time=6.0) for each in (raw, spin_orbit.turned(raw, 1))]
    assert_allclose(found[1][1:], found[0][1:], rtol=1e-6)  # of which little decays in a nanosecond
    assert abs(found[1][0] / found[0][0] - 1) > 0.05
    options = {"method": "fssh", "duration": 100.0, "dephasing_time": 6.0, "n_trajectories": 20, "n_times": 20, "absorbing": False, "temperature": 3000.0}  # fmt: skip
    hams = [hc.derive_couplings(each) for each in (raw, spin_orbit.turned(raw, 2))]
    one, two = (hc.run_dynamics(ham, initial_state=3, initial_times=[0, 20], **options) for ham in hams)
    assert_allclose(one.populations, two.populations, atol=1e-10)

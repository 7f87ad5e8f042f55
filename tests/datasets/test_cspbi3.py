"""The shipped CsPbI3 data: the numbers its provenance states."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import hopcast as hc
from hopcast.couplings import diagnose_overlaps


@pytest.fixture(scope="module")
def data():
    return hc.load("cspbi3")


def test_shapes_and_composition(data):
    assert data.trajectory.formula == "Cs4Pb4I12"
    assert data.trajectory.n_frames == data.hamiltonian.n_frames
    assert data.trajectory.timestep == data.hamiltonian.timestep == 4.0
    assert data.hamiltonian.is_complete


def test_gap_and_coupling(data):
    frontier = data.hamiltonian.frontier()
    assert frontier.state_labels == ("band 68", "band 69")
    gap, coupling = frontier.gap(), frontier.coupling()
    assert_allclose([gap.mean(), gap.std(), gap.min(), gap.max()], [1.82, 0.12, 1.53, 2.03], atol=0.006)
    assert_allclose(1e3 * np.sqrt((coupling**2).mean()), 0.61, atol=0.005)


def test_velocities_are_those_of_the_positions(data):
    trajectory = data.trajectory
    differenced = np.gradient(trajectory.positions, trajectory.timestep, axis=0)
    assert np.corrcoef(differenced[1:-1].ravel(), trajectory.velocities[1:-1].ravel())[0, 1] > 0.999


def test_diagnosis(data):
    found = diagnose_overlaps(data.hamiltonian)
    assert 0.15 < found.flipped < 0.25
    assert set(found.leaking) == {"band 61", "band 76"}
    assert found.autocorrelation > 0.99
    assert found.autocorrelation_raw < 0.6
    steps = {(crossing.step, crossing.states) for crossing in found.crossings}
    vbm = ("band 67", "band 68")
    assert {(288, vbm), (425, vbm), (629, vbm), (184, ("band 70", "band 71"))} <= steps


def test_tracking_by_character_is_refused_for_the_gap(data):
    with pytest.raises(hc.InputError, match="must stay at the band edges, but at frame 289"):
        hc.derive_couplings(data.hamiltonian, tracking="trivial").frontier()


def test_unknown_name():
    with pytest.raises(hc.ConfigError, match="Did you mean `cspbi3`"):
        hc.load("cspbi")

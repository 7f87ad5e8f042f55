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


@pytest.fixture(scope="module")
def long():
    return hc.load("cspbi3-long")


class TestLong:
    def test_sparse_pairs_over_100_ps(self, long):
        pair = long.hamiltonian.frontier()
        assert long.trajectory.duration == 100_000.0
        assert long.trajectory.positions.dtype == np.float32
        first = np.flatnonzero(pair.nac_known)
        assert (first % 100 == 0).all()
        assert pair.energy_known[first].all()
        assert pair.energy_known[first + 1].all()
        assert pair.energy_known.sum() == 2 * len(first)

    def test_gap_and_coupling(self, long):
        pair = long.hamiltonian.frontier()
        gap, coupling = pair.gap()[pair.energy_known], pair.coupling()[pair.nac_known]
        assert_allclose([gap.mean(), gap.std(), gap.min(), gap.max()], [1.79, 0.14, 1.44, 2.15], atol=0.006)
        assert_allclose(1e3 * np.sqrt((coupling**2).mean()), 0.41, atol=0.005)

    def test_it_continues_the_dense_trajectory_in_the_same_cell(self, data, long):
        assert_allclose(long.trajectory.cell, data.trajectory.cell)
        assert long.trajectory.formula == data.trajectory.formula

    def test_diagnosis_speaks_of_frames_and_not_of_neighbours(self, long):
        found = diagnose_overlaps(long.hamiltonian)
        assert found.autocorrelation is None
        assert set(found.leaking) == {"band 61"}
        known = set(np.flatnonzero(long.hamiltonian.nac_known))
        assert {crossing.step for crossing in found.crossings} <= known
        with pytest.raises(hc.InputError, match="needs the overlaps of every step"):
            hc.derive_couplings(long.hamiltonian, tracking="trivial")

"""Derivatives of gap and coupling by the place of every atom: against differences of levels, overlaps of states, and invariances."""

from types import SimpleNamespace

import numpy as np
import pytest
from band_materials import make_model, random_theta, shaken

from hopcast import Trajectory
from hopcast.core.units import HBAR
from hopcast.tightbinding.forecast import overlap_of
from hopcast.tightbinding.gradients import AtomSlopes, atom_slopes
from hopcast.tightbinding.motion import apply_turn

VBM = 7


def make_bands(overlap, momenta=False):
    """What the derivatives need of fitted bands."""
    model = make_model(potential="", overlap=overlap, momenta=momenta)
    theta = random_theta(model)
    return SimpleNamespace(
        model=model,
        theta=theta,
        n_occupied=1,
        lowest_of=lambda numbers: VBM,
        eigenstates=lambda geometry: model.solve(theta, geometry),
    )


@pytest.fixture(scope="module", params=[False, True], ids=["orthogonal", "overlapping"])
def bands(request):
    return make_bands(request.param)


def edges(bands, positions, trajectory):
    moved = Trajectory(positions[None], trajectory.cell, trajectory.numbers, trajectory.timestep)
    geometry = bands.model.geometry(moved, 0)
    levels, states = bands.eigenstates(geometry)
    return levels[[VBM, VBM + 1]], states[:, [VBM, VBM + 1]], bands.model.metric(bands.theta, geometry)


@pytest.mark.parametrize(("overlap", "momenta"), [(False, False), (True, False), (True, True)])
def test_slopes_are_those_of_levels_and_overlaps(overlap, momenta):
    bands = make_bands(overlap, momenta)
    trajectory = shaken(2)
    slopes = atom_slopes(bands, trajectory, [1], workers=1)
    places = trajectory.positions[1]
    velocities = np.random.default_rng(3).normal(size=places.shape)
    step = 1e-4
    (before, early, metric_early), (after, late, metric_late) = (
        edges(bands, places + sign * step / 2 * velocities, trajectory) for sign in (-1, 1)
    )
    change = np.diff(after)[0] - np.diff(before)[0]
    assert np.sum(slopes.of_gap[0] * velocities) == pytest.approx(change / step, rel=1e-5)
    species = bands.model.basis.species_of(trajectory.numbers)
    turns = apply_turn(bands.model, bands.theta, species, step * velocities, late)
    turn = overlap_of(early, late, metric_early, metric_late, turns)
    turn = turn * np.sign(np.diag(turn))
    coupling = HBAR * np.abs(turn[0, 1] - turn[1, 0]) / (2 * step)
    said = HBAR * np.abs(np.sum(slopes.of_coupling[0] * velocities)) / slopes.gap[0]
    assert said == pytest.approx(coupling, rel=1e-5)


def test_moving_all_atoms_alike_changes_nothing(bands):
    slopes = atom_slopes(bands, shaken(2), [0, 1], workers=2)
    assert np.abs(slopes.of_gap).max() > 0.1
    np.testing.assert_allclose(slopes.of_gap.sum(axis=1), 0.0, atol=1e-6)
    np.testing.assert_allclose(slopes.of_coupling.sum(axis=1), 0.0, atol=1e-6)


def test_slopes_turn_with_the_crystal(bands):
    trajectory = shaken(1)
    turn, _ = np.linalg.qr(np.random.default_rng(5).normal(size=(3, 3)))
    turned = Trajectory(trajectory.positions @ turn, trajectory.cell @ turn, trajectory.numbers, 2.0)
    one, other = (atom_slopes(bands, each, [0], workers=1) for each in (trajectory, turned))
    np.testing.assert_allclose(other.of_gap, one.of_gap @ turn, atol=1e-5)
    np.testing.assert_allclose(np.abs(other.of_coupling), np.abs(one.of_coupling @ turn), atol=1e-5)


def test_shares_are_those_of_thermal_velocities():
    rng = np.random.default_rng(0)
    numbers = np.array([8, 22, 55])
    slopes = AtomSlopes(np.array([1.0, 2.0]), rng.normal(size=(2, 3, 3)), rng.normal(size=(2, 3, 3)), numbers)
    mass = np.array([15.999, 47.867, 132.905])
    velocities = rng.normal(size=(200_000, 3, 3)) / np.sqrt(mass)[:, None]
    for shares, g in (
        (slopes.gap_shares(), slopes.of_gap),
        (slopes.coupling_shares(), slopes.of_coupling / [[[1.0]], [[2.0]]]),
    ):
        alone = [np.mean([np.mean(np.sum(one[k] * velocities[:, k], axis=1) ** 2) for one in g]) for k in range(3)]
        np.testing.assert_allclose(shares, alone / np.sum(alone), rtol=0.02)
        assert shares.sum() == pytest.approx(1.0)

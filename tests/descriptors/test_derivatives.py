import dataclasses
import math

import numpy as np
import pytest
from descriptor_twins import from_ase, make_trajectory, perovskite, random_trajectory

from hopcast.core import InputError
from hopcast.descriptors import SymmetryFunctions

SF = SymmetryFunctions(r_s=(2.2, 3.1, 4.0, 4.4), theta_s=(0.0, 1.2, 2.4, math.pi), r_cut=5.5)


def moving(trajectory, h, cell_rate=0.0):
    """Frames at -2h, -h, 0, h, 2h of straight lines through the first frame."""
    times = h * np.arange(-2, 3)[:, None, None]
    v = trajectory.velocities[0]
    return dataclasses.replace(
        trajectory,
        positions=trajectory.positions[0] + times * v,
        velocities=np.broadcast_to(v, (5, *v.shape)).copy(),
        cell=trajectory.cell if np.all(cell_rate == 0) else trajectory.cell + times * cell_rate,
        timestep=h,
    )


def richardson(G, h):
    """Fourth-order derivative at the middle of five frames."""
    return (8 * (G[3] - G[1]) - (G[4] - G[0])) / (12 * h)


@pytest.mark.parametrize("zeta", [1.0, 0.4, 3.0])
@pytest.mark.parametrize("pbc", [True, (True, False, True), False])
def test_equals_differences(zeta, pbc):
    sf = dataclasses.replace(SF, zeta=zeta)
    h = 0.05
    trajectory = moving(random_trajectory(seed=2, n_frames=1, pbc=pbc), h)
    if pbc is True and zeta == 0.4:
        sf = dataclasses.replace(sf, theta_s=(1.2, 2.4), theta_s_labels=())  # |theta - pi|^0.8 has no derivative
    expected = richardson(sf.transform(trajectory), h)
    assert np.abs(expected).max() > 1e-3
    assert sf.transform_derivative(trajectory)[2] == pytest.approx(expected, abs=1e-8 * max(1, np.abs(expected).max()))


def test_images_move_with_a_cell_that_changes():
    h = 0.05
    rate = np.array([[0.004, 0.001, 0.0], [-0.002, 0.003, 0.001], [0.0, 0.002, -0.005]])
    base = random_trajectory(seed=2, n_frames=1)
    # positions given unwrapped, a few cells away: their own translations must not move with the cell
    base = dataclasses.replace(base, positions=base.positions + np.array([2, -1, 3]) @ base.cell)
    trajectory = moving(base, h, rate)
    expected = richardson(SF.transform(trajectory), h)
    assert SF.transform_derivative(trajectory)[2] == pytest.approx(expected, abs=1e-8 * np.abs(expected).max())


@pytest.mark.parametrize("zeta", [1.0, 2.0])
@pytest.mark.parametrize("angle", [0.0, math.pi])
def test_a_straight_triplet_takes_the_mean_of_both_sides(angle, zeta):
    r = (2.0, 3.0) if angle == 0.0 else (2.0, 2.5)
    positions = [[0, 0, 0], [r[0], 0, 0], [math.cos(angle) * r[1], 0, 0]]
    velocities = np.array([[[0.0, 0, 0], [0.002, 0.01, 0.0], [-0.001, 0.003, 0.02]]])
    trajectory = make_trajectory(("Pb", "I", "I"), positions, np.zeros((3, 3)), pbc=False, velocities=velocities)
    sf = dataclasses.replace(SF, zeta=zeta)
    h = 1e-3
    expected = richardson(sf.transform(moving(trajectory, h)), h)
    found = sf.transform_derivative(trajectory)[0]
    assert np.all(np.isfinite(found))
    # the kink is met by the central difference as well: its two halves cancel up to their curvature
    assert found[0] == pytest.approx(expected[0], abs=1e-7)


@pytest.mark.parametrize("bend", [1e-3, 1e-5, 1e-6])
def test_nearly_straight_triplets_keep_their_digits(bend):
    # two arms at pi - bend, closing at a known rate: d theta / dt = -rate
    rate = 0.01
    positions = [[0, 0, 0], [2.0, 0, 0], [-2.0 * math.cos(bend), 2.0 * math.sin(bend), 0]]
    velocities = np.zeros((1, 3, 3))
    velocities[0, 2] = rate * 2.0 * np.array([math.sin(bend), math.cos(bend), 0])
    trajectory = make_trajectory(("Pb", "I", "I"), positions, np.zeros((3, 3)), pbc=False, velocities=velocities)
    sf = SymmetryFunctions(r_s=(2.0,), theta_s=(1.0,), r_cut=5.0)
    fc = 0.5 * math.cos(math.pi * 2.0 / 5.0) + 0.5
    expected = -math.sin(math.pi - bend - 1.0) * -rate * fc**2
    assert sf.transform_derivative(trajectory)[0, 0, 0] == pytest.approx(expected, rel=1e-15 / bend**2 + 1e-9)


def test_an_ideal_crystal_that_moves_has_finite_rates():
    atoms = perovskite()
    velocities = np.random.default_rng(0).normal(scale=0.01, size=(1, 5, 3))
    for zeta in (1.0, 0.3, 2.0):
        sf = SymmetryFunctions.from_trajectory(from_ase(atoms), zeta=zeta)
        rates = sf.transform_derivative(from_ase(atoms, velocities=velocities))
        assert np.all(np.isfinite(rates))
        assert np.abs(rates).max() < 10


def test_translation_and_rotation_change_nothing_in_time():
    trajectory = random_trajectory(n_frames=1, pbc=False)
    omega = np.array([0.01, -0.02, 0.005])
    rigid = np.cross(omega, trajectory.positions) + np.array([0.3, -0.1, 0.2])
    rates = SF.transform_derivative(dataclasses.replace(trajectory, velocities=rigid))
    assert rates == pytest.approx(np.zeros_like(rates), abs=1e-13)


def test_velocities_are_differenced_where_they_are_absent():
    trajectory = random_trajectory(n_frames=5)  # straight lines: differences are exact
    given = SF.transform_derivative(trajectory)
    absent = SF.transform_derivative(dataclasses.replace(trajectory, velocities=None))
    assert absent == pytest.approx(given, abs=1e-10)


def test_two_frames_without_velocities_are_refused():
    trajectory = dataclasses.replace(random_trajectory(n_frames=2), velocities=None)
    with pytest.raises(InputError, match="at least 3 frames"):
        SF.transform_derivative(trajectory)

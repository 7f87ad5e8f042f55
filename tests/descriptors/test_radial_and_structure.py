"""Radial functions against their definition, structural numbers on lattices, element means, mid-points."""

from __future__ import annotations

import dataclasses
import itertools
import math

import numpy as np
import pytest
from descriptor_twins import make_trajectory, random_trajectory

import hopcast as hc
from hopcast.core import ConfigError, InputError
from hopcast.descriptors import (
    Bond,
    RadialFunctions,
    StructuralNumbers,
    SymmetryFunctions,
    midpoint_functions,
    pool_elements,
    take_frames,
)
from hopcast.descriptors.structure import nearest_vectors

RADIAL = RadialFunctions(elements=("Cs", "Pb", "I"), r_s=(2.0, 3.0, 4.5), eta=1.3, r_cut=5.5)


def images(trajectory: hc.Trajectory, frame: int) -> np.ndarray:
    """Vectors from every atom to every image of every atom, [n_atoms, n_atoms, n_images, 3]."""
    shifts = np.array(list(itertools.product(*[(-2, -1, 0, 1, 2) if p else (0,) for p in trajectory.pbc])))
    x = trajectory.positions[frame]
    return x[None, :, None] - x[:, None, None] + (shifts @ trajectory.cells()[frame])[None, None]


def twin(sf: RadialFunctions, trajectory: hc.Trajectory, frame: int) -> np.ndarray:
    r = np.linalg.norm(images(trajectory, frame), axis=3)
    symbols = np.array(trajectory.symbols)
    near = (r > 1e-9) & (r <= sf.r_cut)
    fc = np.where(near, 0.5 * np.cos(np.pi * r / sf.r_cut) + 0.5, 0.0)
    columns = [
        np.sum((np.exp(-sf.eta * (r - centre) ** 2) * fc)[:, symbols == element], axis=(1, 2))
        for element in sf.elements
        for centre in sf.r_s
    ]
    return np.stack(columns, axis=1)


@pytest.mark.parametrize("pbc", [True, (True, False, True), False])
def test_radial_functions_are_their_definition(pbc: object) -> None:
    trajectory = random_trajectory(seed=3, n_frames=3, pbc=pbc)
    found = RADIAL.transform(trajectory)
    assert found.shape == (3, trajectory.n_atoms, RADIAL.n_functions)
    for frame in range(3):
        np.testing.assert_allclose(found[frame], twin(RADIAL, trajectory, frame), rtol=1e-11, atol=1e-13)


def test_their_rates_equal_differences() -> None:
    base, h = random_trajectory(seed=2, n_frames=1), 0.05
    times = h * np.arange(-2, 3)[:, None, None]
    rate = np.array([[0.004, 0.001, 0.0], [-0.002, 0.003, 0.001], [0.0, 0.002, -0.005]])
    v = np.random.default_rng(1).normal(scale=0.02, size=base.positions[0].shape)
    moving = dataclasses.replace(
        base,
        positions=base.positions[0] + times * v,
        velocities=np.broadcast_to(v, (5, *v.shape)).copy(),
        cell=base.cell + times * rate,
        timestep=h,
    )
    G = RADIAL.transform(moving)
    expected = (8 * (G[3] - G[1]) - (G[4] - G[0])) / (12 * h)
    assert np.abs(expected).max() > 1e-2
    np.testing.assert_allclose(RADIAL.transform_derivative(moving)[2], expected, atol=1e-8)


def test_radial_parameters_come_from_the_trajectory_and_back_from_plain_data() -> None:
    trajectory = random_trajectory(seed=3)
    sf = RadialFunctions.from_trajectory(trajectory, n_centres=4, r_cut=4.0)
    assert sf.r_s == (2.0, 2.5, 3.0, 3.5)
    assert sf.eta == pytest.approx(2.0)
    assert RadialFunctions.from_dict(sf.to_dict()) == sf
    assert sf.function_labels[5] == ("Pb", "2.5 Å")
    with pytest.raises(ConfigError, match="Did you mean `eta`"):
        RadialFunctions.from_dict({**sf.to_dict(), "etas": 1.0})


def test_radial_functions_refuse_other_elements_and_nonsense() -> None:
    other = make_trajectory(["Cs", "Br"], np.array([[0.0, 0, 0], [3.0, 0, 0]]), 12.0 * np.eye(3))
    with pytest.raises(InputError, match="only Cs, Pb, I, for which these radial functions were made, but holds Br"):
        RADIAL.transform(other)
    with pytest.raises(ConfigError, match="name each element once"):
        dataclasses.replace(RADIAL, elements=("I", "I"))
    with pytest.raises(ConfigError, match="`r_cut` must be a positive number"):
        dataclasses.replace(RADIAL, r_cut=0.0)


def cubic_perovskite(
    a: float = 6.2, tilt: float = 0.0, symbols: tuple[str, ...] = ("Cs", "Pb", "I", "I", "I")
) -> hc.Trajectory:
    positions = a * np.array([[0.5, 0.5, 0.5], [0, 0, 0], [0.5, tilt, 0], [0, 0.5, tilt], [tilt, 0, 0.5]])
    return make_trajectory(symbols, positions, a * np.eye(3))


def test_structural_numbers_of_a_cubic_perovskite() -> None:
    trajectory = cubic_perovskite()
    found = StructuralNumbers.from_trajectory(trajectory, tightest=True)
    assert found.bonds == (Bond("Pb", "I", 6, 2),)
    values = dict(zip(found.labels, found.transform(trajectory)[0], strict=True))
    assert values == pytest.approx(
        {
            "Pb-I mean": 3.1,
            "Pb-I spread": 0.0,
            "Pb-I shortest": 3.1,
            "Pb-I longest": 3.1,
            "Pb-I-Pb mean": math.pi,
            "Pb-I-Pb spread": 0.0,
            "Pb-I-Pb smallest": math.pi,
            "Pb-I asymmetry": 0.0,
        },
        abs=1e-6,
    )
    assert [b.centre + b.bridge for b in StructuralNumbers.from_trajectory(trajectory).bonds] == ["PbI", "CsI"]


def test_a_tilt_bends_every_bridge_by_its_angle() -> None:
    trajectory = cubic_perovskite(tilt=0.05)
    found = StructuralNumbers((Bond("Pb", "I", 6, 2),))
    values = dict(zip(found.labels, found.transform(trajectory)[0], strict=True))
    assert values["Pb-I-Pb mean"] == pytest.approx(math.pi - 2 * math.atan(0.1), abs=1e-9)
    assert values["Pb-I mean"] == pytest.approx(3.1 * math.sqrt(1.01), abs=1e-9)


def test_bonds_are_found_in_other_materials() -> None:
    zinc_blende = make_trajectory(
        ["Zn", "S"], 5.4 * np.array([[0.0, 0, 0], [0.25, 0.25, 0.25]]), 5.4 * np.array([[0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
    )  # fmt: skip
    found = StructuralNumbers.from_trajectory(zinc_blende)
    assert found.bonds == (Bond("Zn", "S", 4, 4),)
    values = dict(zip(found.labels, found.transform(zinc_blende)[0], strict=True))
    assert values["Zn-S-Zn mean"] == pytest.approx(math.acos(-1 / 3), abs=1e-6)
    diamond = dataclasses.replace(zinc_blende, numbers=np.array([6, 6]))
    assert StructuralNumbers.from_trajectory(diamond).bonds == (Bond("C", "C", 4, 4),)


def test_nearest_vectors_are_the_nearest_images() -> None:
    trajectory = random_trajectory(seed=5, n_frames=2)
    found = nearest_vectors(trajectory, "Pb", "I", 4)
    symbols = np.array(trajectory.symbols)
    for frame in range(2):
        r = np.linalg.norm(images(trajectory, frame), axis=3)[symbols == "Pb"][:, symbols == "I"]
        expected = np.sort(r.reshape(len(r), -1), axis=1)[:, :4]
        np.testing.assert_allclose(np.linalg.norm(found[frame], axis=2), expected, rtol=1e-12)
    isolated = make_trajectory(["Pb", "I"], np.array([[0.0, 0, 0], [3.0, 0, 0]]), np.eye(3), pbc=False)
    with pytest.raises(InputError, match="Every Pb must have 2 neighbours I, but some have fewer"):
        nearest_vectors(isolated, "Pb", "I", 2)


def test_structural_numbers_do_not_depend_on_order_place_or_replication() -> None:
    trajectory = random_trajectory(seed=6, n_frames=2, n_atoms=8)
    found = StructuralNumbers.from_trajectory(trajectory)
    reference = found.transform(trajectory)
    order = np.random.default_rng(0).permutation(trajectory.n_atoms)
    shuffled = dataclasses.replace(
        trajectory, positions=trajectory.positions[:, order] + 0.7, numbers=trajectory.numbers[order]
    )
    np.testing.assert_allclose(found.transform(shuffled), reference, rtol=1e-9, atol=1e-12)
    doubled = dataclasses.replace(
        trajectory,
        positions=np.concatenate([trajectory.positions, trajectory.positions + trajectory.cell[0]], axis=1),
        numbers=np.tile(trajectory.numbers, 2),
        velocities=None,
        cell=trajectory.cell * np.array([[2.0], [1.0], [1.0]]),
    )
    np.testing.assert_allclose(found.transform(doubled), reference, rtol=1e-9, atol=1e-12)
    G, G2 = RADIAL.transform(trajectory), RADIAL.transform(doubled)
    pooled = pool_elements(G, trajectory, spread=True)
    assert pooled.shape == (2, len(trajectory.elements) * 9 * 2)
    np.testing.assert_allclose(pool_elements(G2, doubled, spread=True), pooled, atol=1e-11)


def test_element_means_and_spreads() -> None:
    G = np.random.default_rng(0).normal(size=(3, 4, 2))
    found = pool_elements(G, ("I", "Pb", "I", "I"), spread=True)
    np.testing.assert_allclose(found[:, :2], G[:, [0, 2, 3]].mean(axis=1))
    np.testing.assert_allclose(found[:, 2:4], G[:, 1])
    np.testing.assert_allclose(found[:, 4:6], G[:, [0, 2, 3]].std(axis=1))
    np.testing.assert_allclose(found[:, 6:], 0.0)
    with pytest.raises(InputError, match=r"shape \[n_frames, 3, n_functions\], but has \(3, 4, 2\)"):
        pool_elements(G, ("I", "Pb", "I"))


def test_midpoints_are_means_of_pairs_and_need_velocities() -> None:
    trajectory = random_trajectory(seed=3, n_frames=6).with_velocities()
    for functions in (RADIAL, SymmetryFunctions(r_s=(2.2,), theta_s=(1.2,), r_cut=5.5)):
        G, dG = functions.transform(trajectory), functions.transform_derivative(trajectory)
        found = midpoint_functions(functions, trajectory, [3, 0])
        expected = np.concatenate([G, dG], axis=2)
        np.testing.assert_allclose(found, 0.5 * (expected[[3, 0]] + expected[[4, 1]]), rtol=1e-12)
        np.testing.assert_array_equal(midpoint_functions(functions, trajectory, [[3, 4], [0, 1]]), found)
    with pytest.raises(InputError, match="pair 1 holds frames 2 and 4: a coupling needs neighbouring frames"):
        midpoint_functions(RADIAL, trajectory, [[0, 1], [2, 4]])
    still = dataclasses.replace(trajectory, velocities=None)
    with pytest.raises(InputError, match=r"must have velocities .* `trajectory.with_velocities\(\)`"):
        midpoint_functions(RADIAL, still, [0])
    assert midpoint_functions(RADIAL, still, [0], rates=False).shape == (1, still.n_atoms, 9)
    with pytest.raises(InputError, match="frame numbers from 0 to 5, but holds 0 to 6"):
        midpoint_functions(RADIAL, trajectory, [0, 5])
    np.testing.assert_array_equal(take_frames(trajectory, [4, 1]).positions, trajectory.positions[[4, 1]])

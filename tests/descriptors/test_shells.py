import dataclasses
import logging
import math

import numpy as np
import pytest
from ase.build import bulk, molecule
from descriptor_twins import from_ase, make_trajectory, perovskite, random_trajectory

from hopcast.core import ConfigError, InputError, QualityWarning
from hopcast.descriptors import SymmetryFunctions, find_shells


@pytest.mark.parametrize("repeats", [(1, 1, 1), (2, 1, 2)])
def test_an_ideal_perovskite_has_its_textbook_distances_and_angles(repeats):
    a = 6.3
    shells = find_shells(from_ase(perovskite(a).repeat(repeats), n_frames=2))
    assert shells.r_s_labels == ("Cs-Pb", "Cs-I", "Pb-I")
    assert shells.r_s == pytest.approx([a * math.sqrt(3) / 2, a / math.sqrt(2), a / 2], rel=1e-14)
    expected = {
        "Cs-Pb-Cs": 180.0,  # opposite corners of the cube
        "Cs-I-Cs": 180.0,  # across the square of four Cs
        "Pb-Cs-Pb": 180.0,
        "Pb-I-Pb": 180.0,
        "I-Cs-I": 180.0,  # cuboctahedron
        "I-Pb-I": 180.0,  # trans
    }
    assert shells.theta_s_labels == tuple(expected)
    assert np.degrees(shells.theta_s) == pytest.approx(list(expected.values()))


def test_zincblende_has_the_tetrahedral_angle():
    shells = find_shells(from_ase(bulk("GaAs", "zincblende", a=5.65)))
    assert shells.r_s == pytest.approx([5.65 * math.sqrt(3) / 4])
    assert shells.r_s_labels == ("Ga-As",)
    assert shells.theta_s_labels == ("Ga-As-Ga", "As-Ga-As")
    assert np.cos(shells.theta_s) == pytest.approx([-1 / 3, -1 / 3])


@pytest.mark.parametrize(
    ("structure", "nearest", "cosine"), [("diamond", math.sqrt(3) / 4, -1 / 3), ("fcc", math.sqrt(0.5), -1.0)]
)
def test_one_element_uses_its_like_pair(structure, nearest, cosine):
    trajectory = from_ase(bulk("Si", structure, a=5.4))
    shells = find_shells(trajectory)
    assert shells.r_s_labels == ("Si-Si",)
    assert shells.theta_s_labels == ("Si-Si-Si",)
    assert shells.r_s == pytest.approx([5.4 * nearest])
    assert np.cos(shells.theta_s) == pytest.approx([cosine])
    assert SymmetryFunctions.from_trajectory(trajectory).n_functions == 1


def test_distances_average_both_directions_over_frames():
    # H-O: from H 1.0 and 1.2, from O 1.0 (the nearer H); the second frame is twice as large
    frame = np.array([[0, 0, 0], [1.0, 0, 0], [0, 1.2, 0]])
    trajectory = make_trajectory("OHH", np.array([frame, 2 * frame]), np.zeros((3, 3)), pbc=False)
    shells = find_shells(trajectory)
    assert shells.r_s == pytest.approx([1.5 * 0.5 * (1.0 + 1.1)])


def test_an_angle_that_cannot_exist_is_left_out_and_logged(caplog):
    with caplog.at_level(logging.INFO, logger="hopcast.descriptors"):
        shells = find_shells(from_ase(molecule("H2O")))
    assert shells.theta_s_labels == ("H-O-H",)
    assert np.degrees(shells.theta_s) == pytest.approx([molecule("H2O").get_angle(1, 0, 2)])
    assert "O-H-O: 2 centres have fewer than two O at all; left out." in caplog.text


def test_the_next_shell_is_taken_where_the_first_has_fewer_than_two(caplog):
    # a chain X-Y--X: seen from Y one X at 1 Å, the other at 2 Å, beyond 1.3 times the nearest
    positions = [[0, 0, 0], [1, 0, 0], [3, 0.0, 0]]
    trajectory = make_trajectory(("C", "O", "C"), positions, np.zeros((3, 3)), pbc=False)
    with caplog.at_level(logging.INFO, logger="hopcast.descriptors"):
        shells = find_shells(trajectory)
    # R_s: from C (1 + 2) / 2, from O 1
    assert shells.r_s == pytest.approx([1.25])
    assert shells.theta_s == pytest.approx([math.pi])
    assert shells.theta_s_labels == ("C-O-C",)
    assert "C-O-C: 1 of 1 centres had fewer than two C within 1.62 Å; they took the next shell" in caplog.text


def test_cutoffs_of_both_modes():
    small, large = from_ase(perovskite(6.3)), from_ase(perovskite(12.6))
    assert SymmetryFunctions.from_trajectory(small, mode="paper").r_cut == pytest.approx(6.3 * math.sqrt(3) / 2)
    assert SymmetryFunctions.from_trajectory(large, mode="paper").r_cut == pytest.approx(12.6 * math.sqrt(3) / 2)
    assert SymmetryFunctions.from_trajectory(small).r_cut == pytest.approx(6.3 * math.sqrt(3) / 2)
    assert SymmetryFunctions.from_trajectory(large).r_cut == 9.1
    assert SymmetryFunctions.from_trajectory(small, mode="paper").images == "mic"
    assert SymmetryFunctions.from_trajectory(small).images == "all"


def test_a_cutoff_at_the_nearest_neighbours_says_that_functions_vanish():
    caesium_chloride = from_ase(bulk("CsCl", "cesiumchloride", a=4.12))
    with pytest.warns(QualityWarning, match=r"`r_cut` 3\.568 Å ends at the nearest neighbours, 3\.568 Å away"):
        blind = SymmetryFunctions.from_trajectory(caesium_chloride)
    assert np.abs(blind.transform(caesium_chloride)).max() < 1e-12
    seeing = SymmetryFunctions.from_trajectory(caesium_chloride, r_cut=6.0)
    assert seeing.transform(caesium_chloride).max() > 0.1


def test_the_body_diagonal_is_the_longest_of_a_triclinic_cell():
    cell = np.array([[4.0, 0, 0], [-3.0, 4.0, 0], [0, 0, 5.0]])
    trajectory = make_trajectory("HH", [[0, 0, 0], [1, 1, 1]], cell)
    r_cut = SymmetryFunctions.from_trajectory(trajectory, mode="paper").r_cut
    assert r_cut == pytest.approx(0.5 * math.sqrt(7**2 + 4**2 + 5**2))


def test_what_is_given_is_kept():
    trajectory = from_ase(perovskite())
    sf = SymmetryFunctions.from_trajectory(
        trajectory, mode="paper", r_s=[3.0], theta_s=[1.0, 2.0], r_cut=7.0, eta=0.3, zeta=2.0, images="all"
    )
    assert sf == SymmetryFunctions((3.0,), (1.0, 2.0), 7.0, eta=0.3, zeta=2.0, images="all")
    half = SymmetryFunctions.from_trajectory(trajectory, r_s=[3.0])
    assert half.r_s == (3.0,)
    assert half.theta_s_labels[3] == "Pb-I-Pb"


def test_workers_do_not_change_a_bit():
    trajectory = random_trajectory(n_frames=1500)
    assert find_shells(trajectory, workers=1) == find_shells(trajectory, workers=3)


def test_sparse_matter_is_searched_until_neighbours_are_found():
    cell = np.diag([40.0, 50.0, 60.0])
    shells = find_shells(make_trajectory("CO", [[0, 0, 0], [15, 0, 0]], cell))
    assert shells.r_s == pytest.approx([15.0])
    # the second C around O is the image across the cell
    assert shells.theta_s == pytest.approx([math.pi, math.pi])


def test_paper_mode_of_a_molecule_is_refused():
    with pytest.raises(ConfigError, match="Half the body diagonal of the cell needs a trajectory that is periodic"):
        SymmetryFunctions.from_trajectory(from_ase(molecule("H2O")), mode="paper")
    assert SymmetryFunctions.from_trajectory(from_ase(molecule("H2O"))).r_cut == 9.1


def test_too_few_atoms_are_refused():
    atom = make_trajectory("H", [[0, 0, 0]], np.zeros((3, 3)), pbc=False)
    with pytest.raises(InputError, match="R_s needs neighbours"):
        find_shells(atom)
    pair = make_trajectory("HF", [[0, 0, 0], [1, 0, 0]], np.zeros((3, 3)), pbc=False)
    with pytest.raises(InputError, match="theta_s needs three atoms"):
        find_shells(pair)


def test_a_cell_for_each_frame_is_followed():
    base = from_ase(perovskite(6.0), n_frames=2)
    scale = np.array([1.0, 1.2])[:, None, None]
    trajectory = dataclasses.replace(base, positions=base.positions * scale, cell=base.cell * scale)
    assert find_shells(trajectory).r_s == pytest.approx(1.1 * 6.0 * np.array([math.sqrt(3) / 2, math.sqrt(0.5), 0.5]))

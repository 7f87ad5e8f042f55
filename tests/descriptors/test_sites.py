"""Elements that are left out, molecules that are one site, and a cap on functions that says what it left out."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from ase.data import atomic_masses

from hopcast import Trajectory
from hopcast.core import ConfigError, InputError, QualityWarning
from hopcast.descriptors import SymmetryFunctions, find_sites

_spec = importlib.util.spec_from_file_location("methylammonium", Path(__file__).with_name("methylammonium.py"))
methylammonium = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(methylammonium)


@pytest.fixture(scope="module")
def trajectory():
    return methylammonium.make_trajectory(12)


def test_a_molecule_is_one_site_at_its_centre_of_mass(trajectory):
    """A wrapped cell cuts molecules in two; their centre is that of the whole molecule."""
    sites = find_sites(trajectory, molecules=["C", "N", "H"])
    assert sites.trajectory.formula == "Pb4I12N4"
    assert [trajectory.symbols[atom] for atom in sites.atoms] == list(sites.trajectory.symbols)
    inverse = np.linalg.inv(trajectory.cell)
    for site, first in enumerate(range(16, 48, 8), start=16):
        atoms = np.arange(first, first + 8)
        fractional = (trajectory.positions[:, atoms] - trajectory.positions[:, [first]]) @ inverse
        whole = trajectory.positions[:, [first]] + (fractional - np.round(fractional)) @ trajectory.cell
        centre = np.average(whole, axis=1, weights=atomic_masses[trajectory.numbers[atoms]])
        away = (sites.trajectory.positions[:, site] - centre) @ inverse
        np.testing.assert_allclose(away - np.round(away), 0.0, atol=1e-10)


def test_whole_molecules_do_not_care_where_the_cell_cuts(trajectory):
    moved = Trajectory(
        trajectory.positions + np.array([3.1, -2.2, 5.7]), trajectory.cell, trajectory.numbers, trajectory.timestep
    )
    functions = SymmetryFunctions(r_s=(3.2, 4.5), theta_s=(1.6, 3.1), r_cut=6.0)
    here, there = (
        functions.transform(find_sites(each, molecules=["C", "N", "H"]).trajectory) for each in (trajectory, moved)
    )
    np.testing.assert_allclose(here, there, rtol=1e-9)


def test_velocities_are_those_of_the_centre_of_mass(trajectory):
    rng = np.random.default_rng(3)
    velocities = rng.normal(size=trajectory.positions.shape)
    moving = Trajectory(trajectory.positions, trajectory.cell, trajectory.numbers, 2.0, velocities=velocities)
    found = find_sites(moving, molecules=["C", "N", "H"]).trajectory.velocities
    mass = atomic_masses[trajectory.numbers[16:24]]
    np.testing.assert_allclose(found[:, 16], np.average(velocities[:, 16:24], axis=1, weights=mass))


def test_elements_are_left_out(trajectory):
    sites = find_sites(trajectory, ["I", "Pb"])
    assert sites.trajectory.elements == ("Pb", "I")
    np.testing.assert_array_equal(sites.trajectory.positions, trajectory.positions[:, :16])
    spread = sites.to_atoms(np.arange(16.0), 48)
    np.testing.assert_array_equal(spread[:16], np.arange(16))
    assert np.isnan(spread[16:]).all()


def test_nothing_asked_for_is_the_trajectory_itself(trajectory):
    assert find_sites(trajectory).trajectory is trajectory


@pytest.mark.parametrize(
    ("elements", "molecules", "message"),
    [
        (["Pb", "J"], (), r"`elements` must hold elements of the trajectory \(Pb, I, C, N, H\), but holds `J`"),
        (None, ["Br"], "`molecules` must hold elements of the trajectory"),
        (["H"], ["C", "N", "H"], r"\(Pb, I, N\), but holds `H`"),
        ([], (), "at least one element"),
    ],
)
def test_elements_that_are_not_there_are_named(trajectory, elements, molecules, message):
    with pytest.raises(ConfigError, match=message):
        find_sites(trajectory, elements, molecules)


def test_a_framework_is_no_molecule(trajectory):
    with pytest.raises(InputError, match="smaller than half the cell"):
        find_sites(trajectory, molecules=["Pb", "I"])


def test_five_elements_have_a_bounded_number_of_functions(trajectory):
    with pytest.warns(QualityWarning, match="of H make no symmetry functions: 5 elements would have 200 functions"):
        functions = SymmetryFunctions.from_trajectory(trajectory)
    assert functions.n_functions == 72
    assert not any("H" in label for label in functions.r_s_labels + functions.theta_s_labels)
    assert SymmetryFunctions.from_trajectory(trajectory, max_functions=None).n_functions == 200


def test_three_elements_are_as_before(trajectory):
    sites = find_sites(trajectory, molecules=["C", "N", "H"]).trajectory
    assert SymmetryFunctions.from_trajectory(sites).n_functions == 18

"""The two routes to a coupling, on a bent molecule and a crystal: agreement, invariances, order of convergence."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule

from hopcast.abinitio import ElectronsError, Geometry, make_engine, matrix_couplings
from hopcast.core.errors import ConfigError, InputError
from hopcast.core.units import HBAR
from hopcast.couplings.derivative import difference

pytest.importorskip("tblite", reason="needs tblite: pip install 'hopcast[tblite]'")
pytestmark = pytest.mark.filterwarnings("default")


class Moving:
    """A structure with velocities, its electrons at any time, and couplings at time 0 by either route."""

    def __init__(self, atoms, periodic, bands, velocities=None, path=None):
        rng = np.random.default_rng(1)
        self.start = atoms.positions + 0.05 * rng.normal(size=atoms.positions.shape)
        self.velocities = (
            0.01 * rng.normal(size=atoms.positions.shape) if velocities is None else velocities(self.start)
        )
        self.path = path or (lambda time: self.start + time * self.velocities)
        self.numbers, self.periodic = atoms.numbers, periodic
        self.cell = atoms.cell.array if periodic else np.zeros((3, 3))
        self.engine = make_engine("tblite", bands=bands, accuracy=0.001)
        self.middle = self.engine.electrons(self.geometry(0.0))

    def geometry(self, time):
        return Geometry(self.numbers, self.path(time), self.cell, self.periodic)

    def by_overlaps(self, dt):
        sides = [self.engine.electrons(self.geometry(time)) for time in (-dt / 2, dt / 2)]
        signs = [np.sign(np.diag(self.engine.overlap(self.middle, side))) for side in sides]
        overlaps = signs[0][:, None] * self.engine.overlap(*sides) * signs[1]
        return HBAR / dt * difference(overlaps)

    def by_matrices(self, dt):
        matrices = [self.engine.matrices(self.geometry(time)) for time in (-dt / 2, 0.0, dt / 2)]
        first = self.middle.first
        return matrix_couplings(*matrices, dt, slice(first, first + self.middle.orbitals.shape[1]))


@pytest.fixture(scope="module")
def formaldehyde():
    return Moving(molecule("H2CO"), False, (3, 2))


def test_both_routes_have_the_same_limit_to_second_order(formaldehyde):
    errors = []
    for dt in (1.0, 0.5):
        left, right = formaldehyde.by_overlaps(dt), formaldehyde.by_matrices(dt)
        errors.append(np.abs(np.abs(left) - np.abs(right)).max())
    assert np.abs(right).max() > 5e-3
    assert errors[1] < 1e-5
    assert errors[0] / errors[1] == pytest.approx(4.0, rel=0.02)


def test_both_routes_agree_in_a_crystal():
    crystal = Moving(cubic_perovskite(), True, (1, 1))
    left, right = crystal.by_overlaps(0.02), crystal.by_matrices(0.02)  # valence bands lie 0.3 meV apart
    assert np.abs(left[0, 1]) > 1e-5
    assert np.abs(right[0, 1]) == pytest.approx(np.abs(left[0, 1]), rel=1e-3)


def cubic_perovskite():
    places = [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]
    return Atoms("CsPbI3", scaled_positions=places, cell=[6.3] * 3, pbc=True)


def test_overlaps_converge_to_second_order_in_the_step(formaldehyde):
    d = [formaldehyde.by_overlaps(dt) for dt in (2.0, 1.0, 0.5)]
    ratio = np.linalg.norm(d[0] - d[1]) / np.linalg.norm(d[1] - d[2])
    assert ratio == pytest.approx(4.0, rel=0.05)


def test_reversed_velocities_give_the_opposite_coupling(formaldehyde):
    # computed anew from the other side of the geometry: not the same two frames exchanged
    dt = 0.02
    engine, middle = formaldehyde.engine, formaldehyde.middle

    def forward(sign):
        other = engine.electrons(formaldehyde.geometry(sign * dt))
        overlaps = engine.overlap(middle, other)
        return HBAR / dt * difference(overlaps * np.sign(np.diag(overlaps)))

    there, back = forward(1.0), forward(-1.0)
    np.testing.assert_allclose(back, -there, atol=0.02 * np.abs(there).max())


def test_a_translation_gives_no_coupling():
    moved = Moving(molecule("H2CO"), False, (3, 2), velocities=lambda x: np.broadcast_to([0.01, 0.02, -0.01], x.shape))
    assert np.abs(moved.by_overlaps(1.0)).max() < 1e-8
    assert np.abs(moved.by_matrices(1.0)).max() < 1e-8


def test_a_rotation_gives_the_rotation_of_the_shells_and_no_more():
    rate = 0.02  # radians/fs about z
    atoms = molecule("H2CO")
    moved = Moving(atoms, False, (3, 2))

    def turned(time):
        angle = rate * time
        matrix = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
        return moved.start @ matrix.T

    moved.path = turned
    # tblite orders a p shell y, z, x; a turn about z takes x to y: <y|d/dt|x> = 1
    generator = np.zeros((len(moved.middle.atom_of),) * 2)
    calculator_shells = shells(moved)
    for shell, momentum in enumerate(calculator_shells[1]):
        if momentum == 1:
            y, _, x = np.flatnonzero(calculator_shells[0] == shell)
            generator[y, x], generator[x, y] = 1.0, -1.0
    known = HBAR * rate * moved.middle.orbitals.T @ generator @ moved.middle.orbitals
    assert np.abs(known).max() > 1e-3
    signs = np.sign(known)
    np.testing.assert_allclose(np.abs(moved.by_overlaps(0.2)), signs * known, atol=1e-5 * np.abs(known).max() + 1e-9)
    np.testing.assert_allclose(np.abs(moved.by_matrices(0.2)), signs * known, atol=1e-4 * np.abs(known).max())


def shells(moved):
    from tblite.interface import Calculator

    calculator = Calculator("GFN1-xTB", moved.numbers, moved.start / 0.529177)
    return np.asarray(calculator.get("orbital-map")), np.asarray(calculator.get("angular-momenta"))


def test_electrons_are_orthonormal_and_shared_among_atoms(formaldehyde):
    middle = formaldehyde.middle
    np.testing.assert_allclose(middle.orbitals.T @ middle.orbitals, np.eye(5), atol=1e-10)
    np.testing.assert_allclose(middle.weights.sum(axis=0), 1.0, atol=1e-10)
    assert middle.n_occupied == 6
    assert middle.gap == pytest.approx(middle.window[3] - middle.window[2])


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"numbers": np.array([92, 8])}, InputError, "atom 0 is U"),
        ({"bands": (3, 500)}, ConfigError, "1 to .* above .*those computed.*asks for 3 and 500"),
        ({"bands": (0, 1)}, ConfigError, "asks for 0 and 1"),
        ({"max_iterations": 2}, ElectronsError, "at most 2 iterations"),
        ({"numbers": np.array([1, 8])}, ElectronsError, "7 electrons.*closed shells"),
        ({"temperature": 60000.0}, ElectronsError, "below kT.*metallic"),
    ],
)
def test_what_cannot_be_computed_says_why(change, error, match):
    numbers = change.pop("numbers", np.array([6, 8]))
    engine = make_engine("tblite", **{"bands": (2, 2), **change})
    geometry = Geometry(numbers, np.array([[0.0, 0, 0], [0, 0, 1.15]]), np.zeros((3, 3)), False)
    with pytest.raises(error, match=match):
        engine.electrons(geometry)


def test_orbitals_of_other_bases_and_cells_are_not_overlapped(formaldehyde):
    import dataclasses

    middle, engine = formaldehyde.middle, formaldehyde.engine
    with pytest.raises(InputError, match=r"must have the same basis"):
        engine.overlap(middle, dataclasses.replace(middle, basis="another"))
    wide = dataclasses.replace(middle.geometry, cell=np.eye(3) * 9)
    with pytest.raises(InputError, match=r"must have the same cell"):
        engine.overlap(middle, dataclasses.replace(middle, geometry=wide))
    other = dataclasses.replace(middle.geometry, numbers=middle.geometry.numbers[::-1])
    with pytest.raises(InputError, match=r"same atoms in the same order"):
        engine.overlap(middle, dataclasses.replace(middle, geometry=other))

"""Orbitals that move with their atoms: momenta from their definition, sums, symmetry."""

import numpy as np
import pytest
from band_materials import make_model, random_theta, shaken
from scipy.spatial.transform import Rotation

from hopcast.tightbinding.motion import VECTORS, apply_turn, turn_sums
from hopcast.tightbinding.terms import Momentum

MODEL = make_model(potential="", overlap=True, momenta=True)
THETA = random_theta(MODEL)
SPECIES = MODEL.basis.species_of(shaken().numbers)
DISPLACEMENT = np.random.default_rng(1).normal(size=(len(SPECIES), 3))


def gaussian_orbitals(places, momentum):
    """Cartesian Gaussians times real harmonics, in our order, not normalised [n_orbitals, ...]."""
    x, y, z = places
    envelope = np.exp(-0.5 * (x * x + y * y + z * z))
    r3 = np.sqrt(3.0)
    shapes = {
        0: [np.ones_like(x)],
        1: [x, y, z],
        2: [r3 * x * y, r3 * y * z, r3 * z * x, r3 / 2 * (x * x - y * y), 0.5 * (2 * z * z - x * x - y * y)],
    }
    return np.array(shapes[momentum]) * envelope


@pytest.mark.parametrize("momentum", [0, 1])
def test_momenta_are_overlaps_of_orbitals_with_themselves_a_step_later(momentum):
    axis = np.linspace(-7.0, 7.0, 57)
    grid = np.array(np.meshgrid(axis, axis, axis, indexing="ij"))
    step = np.array([3e-4, -2e-4, 5e-4])
    one, two = (
        [gaussian_orbitals(grid - shift[:, None, None, None], shell) for shift in (0 * step, step)]
        for shell in (momentum, momentum + 1)
    )
    overlap = np.einsum("aijk,bijk->ab", one[0], two[1])
    back = np.einsum("aijk,bijk->ab", one[1], two[0])
    turned = 0.5 * (overlap - back)
    expected = np.einsum("k,kpq->pq", step, VECTORS[momentum])
    size = np.sum(turned * expected) / np.sum(expected**2)
    # one number for all orbitals of the two shells
    np.testing.assert_allclose(turned, size * expected, atol=1e-6 * np.abs(turned).max())


def matrix(theta, displacement=DISPLACEMENT):
    n = MODEL.basis.n_orbitals
    return apply_turn(MODEL, theta, SPECIES, displacement, np.eye(sum(n(int(k)) for k in SPECIES)))


def test_orbitals_turn_and_sums_are_derivatives():
    A = matrix(THETA)
    np.testing.assert_allclose(A, -A.T, atol=1e-14)
    np.testing.assert_allclose(matrix(THETA, -DISPLACEMENT), -A, atol=1e-14)
    rng = np.random.default_rng(2)
    C, D = rng.normal(size=(2, len(A), 4))
    sums = turn_sums(MODEL, C, D, SPECIES, DISPLACEMENT)
    np.testing.assert_allclose(THETA @ sums, np.einsum("ak,ab,bk->k", C, A, D), atol=1e-12)
    momenta = [at.start for term, at in zip(MODEL.terms, MODEL.columns, strict=True) if isinstance(term, Momentum)]
    assert len(momenta) == 3  # Ti sp and pd, O sp
    others = np.setdiff1d(np.arange(MODEL.n_parameters), momenta)
    assert np.all(sums[others] == 0.0)
    # and no level knows of them
    geometry, still = MODEL.geometry(shaken(), 0), THETA.copy()
    still[momenta] = 0.0
    np.testing.assert_array_equal(MODEL.hamiltonian(THETA, geometry), MODEL.hamiltonian(still, geometry))


def test_a_rotated_crystal_turns_alike():
    trajectory, turn = shaken(), Rotation.random(random_state=4).as_matrix()
    found = []
    for places, cell, displacement in (
        (trajectory.positions[0], trajectory.cell, DISPLACEMENT),
        (trajectory.positions[0] @ turn.T, trajectory.cell @ turn.T, DISPLACEMENT @ turn.T),
    ):
        geometry = MODEL.geometry_of(places, cell, (True, True, True), SPECIES)
        _, states = MODEL.solve(THETA, geometry)
        found.append(np.abs(states.T @ apply_turn(MODEL, THETA, SPECIES, displacement, states)))
    np.testing.assert_allclose(found[1], found[0], atol=1e-9)


def test_a_model_without_momenta_is_at_rest():
    model = make_model()
    assert apply_turn(model, random_theta(model), SPECIES, DISPLACEMENT, np.eye(3)) is None

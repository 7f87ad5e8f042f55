"""H(k), spin-orbit coupling, and what the states look like."""

import numpy as np
import pytest
from band_materials import CELL, NUMBERS, PLACES, make_model, random_theta

from hopcast import InputError, Trajectory
from hopcast.tightbinding.bloch import band_structure, bloch_matrix
from hopcast.tightbinding.orbitals import atom_weights, density_of_states, element_weights, inverse_participation
from hopcast.tightbinding.spin_orbit import angular_momentum, spinor_matrix


@pytest.fixture(scope="module")
def frame():
    model = make_model(potential="")
    geometry = model.geometry(Trajectory(PLACES[None], CELL, NUMBERS, 1.0), 0)
    return model, random_theta(model), geometry


def test_gamma_is_the_real_matrix(frame):
    model, theta, geometry = frame
    H = bloch_matrix(model, theta, geometry, (0, 0, 0))
    np.testing.assert_allclose(H, model.hamiltonian(theta, geometry), atol=1e-12)
    H = bloch_matrix(model, theta, geometry, (0.1, 0.3, -0.2))
    np.testing.assert_allclose(H, H.conj().T, atol=1e-12)


def test_a_replica_at_gamma_folds_the_k_points(frame):
    model, theta, geometry = frame
    double = np.concatenate([PLACES, PLACES + CELL[1]])
    large = Trajectory(double[None], CELL * [[1], [2], [1]], np.tile(NUMBERS, 2), 1.0)
    found = np.linalg.eigvalsh(model.hamiltonian(theta, model.geometry(large, 0)))
    folded = band_structure(model, theta, geometry, [(0, 0, 0), (0, 0.5, 0)])
    np.testing.assert_allclose(found, np.sort(folded.ravel()), atol=1e-10)
    with pytest.raises(InputError, match=r"must have the shape \[n_k, 3\]"):
        band_structure(model, theta, geometry, [0.0, 0.5])


@pytest.mark.parametrize("l", [1, 2])
def test_angular_momenta_are_angular_momenta(l):  # noqa: E741
    x, y, z = angular_momentum(l)
    np.testing.assert_allclose(x @ y - y @ x, 1j * z, atol=1e-12)
    np.testing.assert_allclose(x @ x + y @ y + z @ z, l * (l + 1) * np.eye(2 * l + 1), atol=1e-12)


def test_shells_split_as_they_must(frame):
    model, _, geometry = frame
    n = model.first_of(geometry)[-1]
    nothing = np.zeros((n, n))
    # O 2p: 4 states at lambda / 2 and 2 at -lambda an atom; Ti 3d: 6 at lambda and 4 at -3/2 lambda
    levels = np.linalg.eigvalsh(spinor_matrix(model, nothing, geometry, {"O": {"p": 0.6}, "Ti": {"d": 0.2}}))
    values, counts = np.unique(np.round(levels, 9), return_counts=True)
    expected = {-0.6: 4, -0.3: 4, 0.2: 6, 0.3: 8}
    assert {float(v): int(c) for v, c in zip(values, counts, strict=True) if v} == expected
    with pytest.raises(ValueError, match="Cs has no p shell"):
        spinor_matrix(model, nothing, geometry, {"Cs": {"p": 1.0}})


def test_levels_with_spin_are_kramers_pairs(frame):
    model, theta, geometry = frame
    H = model.hamiltonian(theta, geometry)
    levels = np.linalg.eigvalsh(spinor_matrix(model, H, geometry, {"Ti": {"d": 0.3, "p": 0.5}}))
    np.testing.assert_allclose(levels[::2], levels[1::2], atol=1e-10)


def test_where_states_live(frame):
    model, theta, geometry = frame
    levels, states = model.solve(theta, geometry)
    atoms, elements = atom_weights(model, states, geometry), element_weights(model, states, geometry)
    np.testing.assert_allclose(atoms.sum(axis=0), 1.0)
    np.testing.assert_allclose(elements.sum(axis=0), 1.0)
    spread = inverse_participation(atoms)
    assert np.all((spread >= 0.25 - 1e-12) & (spread <= 1.0 + 1e-12))
    grid = np.linspace(levels[0] - 2, levels[-1] + 2, 40000)
    total = density_of_states(levels, grid, 0.1)
    assert np.trapezoid(total, grid) == pytest.approx(len(levels), rel=1e-3)
    np.testing.assert_allclose(density_of_states(levels, grid, 0.1, elements).sum(axis=0), total, atol=1e-10)

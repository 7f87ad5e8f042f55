"""H and its derivatives: published tables, symmetry, a chain that can be solved, plain twins."""

import numpy as np
import pytest
from band_materials import (
    CELL,
    NUMBERS,
    ORBITALS,
    PLACES,
    make_model,
    random_theta,
    real_harmonics,
    shaken,
    slater_koster_table,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from hopcast import InputError, Trajectory
from hopcast.tightbinding.basis import make_basis
from hopcast.tightbinding.bloch import band_structure
from hopcast.tightbinding.model import BandModel, Surroundings
from hopcast.tightbinding.radial import RadialPrior, tabulate
from hopcast.tightbinding.slater_koster import N_ROTATION, bond_frame, row_of
from hopcast.tightbinding.terms import Hopping, Level, hoppings_of, standard_terms

angles = st.tuples(st.floats(-1.0, 1.0), st.floats(0.0, 2 * np.pi))


def frame_of(vector):
    out = np.empty(N_ROTATION)
    bond_frame(*vector, out)
    return out


def block(u, one, other, m):
    """What the kernels sum for one channel."""
    rotation = frame_of(u)
    rows = [0] if m == 0 else [2 * m - 1, 2 * m]
    return np.array(
        [
            [
                sum(rotation[row_of(one, mu) + a] * rotation[row_of(other, mu) + b] for mu in rows)
                for b in range(2 * other + 1)
            ]
            for a in range(2 * one + 1)
        ]
    )


@settings(max_examples=40, deadline=None)
@given(angles)
def test_bond_frames_are_rotations_whose_axis_is_the_bond(angle):
    z, phi = angle
    u = np.array([np.sqrt(1 - z * z) * np.cos(phi), np.sqrt(1 - z * z) * np.sin(phi), z])
    rotation = frame_of(u)
    for k, at in ((1, slice(1, 10)), (2, slice(10, 35))):
        R = rotation[at].reshape(2 * k + 1, 2 * k + 1)
        np.testing.assert_allclose(R @ R.T, np.eye(2 * k + 1), atol=1e-12)
        # the sigma function is the orbital that is largest along the bond
        np.testing.assert_allclose(R[0], real_harmonics(k, u), atol=1e-12)


@settings(max_examples=20, deadline=None)
@given(angles)
def test_blocks_are_those_of_slater_and_koster(angle):
    z, phi = angle
    u = np.array([np.sqrt(1 - z * z) * np.cos(phi), np.sqrt(1 - z * z) * np.sin(phi), z])
    for (one, other), factors in slater_koster_table(*u).items():
        (l1, a), (l2, b) = ORBITALS[one], ORBITALS[other]
        for m, expected in enumerate(factors):
            assert block(u, l1, l2, m)[a, b] == pytest.approx(expected, abs=1e-12), (one, other, m)
            # E_{b,a} of the table is (-1)^(l + l') E_{a,b}: seen from the other atom the bond is reversed
            assert block(-u, l2, l1, m)[b, a] == pytest.approx((-1) ** (l1 + l2) * expected, abs=1e-12)


def test_element_sums_are_the_derivatives_of_h():
    model, trajectory = make_model(), shaken()
    theta, geometry = random_theta(model), make_model().geometry(trajectory, 0)
    H = model.hamiltonian(theta, geometry)
    np.testing.assert_allclose(H, H.T, atol=1e-12)
    rng = np.random.default_rng(3)
    C, D = rng.normal(size=(2, len(H), 5))
    sums = model.element_sums(C, D, geometry)
    # H is linear in theta, so <c|H|d> is theta times the sums, and each column is H of a unit vector
    np.testing.assert_allclose(theta @ sums, np.einsum("ak,ab,bk->k", C, H, D), atol=1e-10)
    for q in rng.choice(model.n_parameters, 25, replace=False):
        B = model.hamiltonian(np.eye(model.n_parameters)[q], geometry)
        np.testing.assert_allclose(sums[q], np.einsum("ak,ab,bk->k", C, B, D), atol=1e-11)


def test_sums_of_the_overlap_are_the_derivatives_of_s():
    model = make_model(potential="", overlap=True)
    theta, geometry = random_theta(model), model.geometry(shaken(), 0)
    S = model.metric(theta, geometry)
    rng = np.random.default_rng(3)
    C, D = rng.normal(size=(2, len(S), 5))
    energies = rng.normal(size=5)
    sums = model.element_sums(C, D, geometry, energies)
    own = theta[model.n_own :]
    expected = -energies * (np.einsum("ak,ab,bk->k", C, S, D) - np.einsum("ak,ak->k", C, D))
    np.testing.assert_allclose(own @ sums[model.n_own :], expected, atol=1e-10)
    # those of the metric alone, straight from its own terms
    alone = model.overlap.element_sums(C, D, geometry)
    np.testing.assert_allclose(model.metric_sums(sums), alone, atol=1e-11)
    # states are normalised by S, and H in them is their levels
    found, states = model.solve(theta, geometry)
    np.testing.assert_allclose(states.T @ S @ states, np.eye(len(S)), atol=1e-9)
    np.testing.assert_allclose(states.T @ model.hamiltonian(theta, geometry) @ states, np.diag(found), atol=1e-8)


def levels(model, theta, places, cell, numbers, pbc=(True, True, True)):
    trajectory = Trajectory(np.asarray(places)[None], cell, numbers, 1.0, pbc=pbc)
    return model.solve(theta, model.geometry(trajectory, 0))[0]


@pytest.mark.parametrize(("density", "overlap"), [("", False), ("all", False), ("element", False), ("all", True)])
def test_levels_do_not_depend_on_how_the_frame_is_written(density, overlap):
    model = make_model(density=density, overlap=overlap)
    theta = random_theta(model)
    places = PLACES + 0.1 * np.random.default_rng(5).normal(size=PLACES.shape)
    reference = levels(model, theta, places, CELL, NUMBERS)
    turn = Rotation.random(random_state=2).as_matrix()
    order = np.array([2, 3, 0, 1])
    wraps = np.array([[1, 0, -2], [0, 3, 0], [0, 0, 0], [-1, -1, 1]])
    for name, (p, c, n) in {
        "rotated": (places @ turn.T, CELL @ turn.T, NUMBERS),
        "mirrored": (places * [1, 1, -1], CELL * [1, 1, -1], NUMBERS),
        "moved": (places + np.array([1.3, -0.4, 7.0]), CELL, NUMBERS),
        "reordered": (places[order], CELL, NUMBERS[order]),
        "wrapped": (places + wraps @ CELL, CELL, NUMBERS),
        "another cell of the lattice": (places, CELL + CELL[[1, 2, 0]] * [[1], [0], [0]], NUMBERS),
    }.items():
        np.testing.assert_allclose(levels(model, theta, p, c, n), reference, atol=1e-10, err_msg=name)


@pytest.mark.parametrize(("potential", "overlap"), [("screened", False), ("ewald", False), ("", True)])
def test_a_replica_has_the_levels_of_its_cell(potential, overlap):
    model = make_model(potential=potential, overlap=overlap)
    theta = random_theta(model)
    reference = levels(model, theta, PLACES, CELL, NUMBERS)
    double = np.concatenate([PLACES, PLACES + CELL[0]])
    found = levels(model, theta, double, CELL * [[2], [1], [1]], np.tile(NUMBERS, 2))
    assert max(np.abs(found - level).min() for level in reference) < 1e-8


def chain_model(on, hop, bond=2.0, overlap=0.0):
    """Hydrogen atoms in a row, one s orbital each, whose hopping at the bond is `hop`, and whose overlap there is `overlap`."""
    basis = make_basis(["H"])
    table = tabulate((RadialPrior(bond + 1.0, 1.0), RadialPrior(bond + 1.0, 1.0)), np.array([bond]), 1.0)
    terms = standard_terms(basis, keep=lambda term: isinstance(term, Hopping))
    metric = BandModel(basis, hoppings_of(terms), Surroundings(table), modulated=False) if overlap else None
    model = BandModel(basis, terms, Surroundings(table), overlap=metric)
    values = table(0, np.array([bond]))[0][model.functions_of(terms[1])]
    shape = values / (values @ values)
    return model, np.concatenate([[on], hop * shape, overlap * shape if overlap else []])


def test_a_ring_of_atoms_has_the_cosine_band():
    n, on, hop, bond = 12, -1.5, -0.7, 2.0
    model, theta = chain_model(on, hop, bond)
    places = np.stack([bond * np.arange(n), np.zeros(n), np.zeros(n)], axis=1)
    cell = np.diag([n * bond, 20.0, 20.0])
    found = levels(model, theta, places, cell, np.ones(n, int), pbc=(True, False, False))
    expected = np.sort(on + 2 * hop * np.cos(2 * np.pi * np.arange(n) / n))
    np.testing.assert_allclose(found, expected, atol=1e-12)
    # one atom with its own images: both neighbours are one pair
    alone = levels(model, theta, places[:1], np.diag([bond, 20.0, 20.0]), np.ones(1, int), pbc=(True, False, False))
    np.testing.assert_allclose(alone, [on + 2 * hop], atol=1e-12)


def test_a_ring_of_overlapping_orbitals_has_its_closed_form():
    n, on, hop, bond, overlap = 12, -1.5, -0.7, 2.0, 0.2
    model, theta = chain_model(on, hop, bond, overlap)
    places = np.stack([bond * np.arange(n), np.zeros(n), np.zeros(n)], axis=1)
    cosine = np.cos(2 * np.pi * np.arange(n) / n)
    expected = np.sort((on + 2 * hop * cosine) / (1 + 2 * overlap * cosine))
    found = levels(model, theta, places, np.diag([n * bond, 20.0, 20.0]), np.ones(n, int), pbc=(True, False, False))
    np.testing.assert_allclose(found, expected, atol=1e-11)
    # one atom at the k-points of the ring: H(k) and S(k)
    alone = Trajectory(places[None, :1], np.diag([bond, 20.0, 20.0]), np.ones(1, int), 1.0, pbc=(True, False, False))
    bands = band_structure(model, theta, model.geometry(alone, 0), [(k / n, 0, 0) for k in range(n)])
    np.testing.assert_allclose(np.sort(bands[:, 0]), expected, atol=1e-11)


def test_an_open_chain_has_its_closed_form():
    n, on, hop, bond = 9, 0.3, 0.4, 2.0
    model, theta = chain_model(on, hop, bond)
    places = np.stack([bond * np.arange(n), np.zeros(n), np.zeros(n)], axis=1)
    found = levels(model, theta, places, np.zeros((3, 3)), np.ones(n, int), pbc=(False, False, False))
    expected = np.sort(on + 2 * hop * np.cos(np.pi * np.arange(1, n + 1) / (n + 1)))
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_radial_functions_are_those_of_their_prior():
    prior = RadialPrior(6.0, 1.5, bend=0.8)
    table = tabulate((prior,), np.array([2.5]), 2.0)
    r = np.linspace(2.0, 5.9, 23)
    functions = table(0, r)
    expected = np.outer(prior.envelope(r, 2.5), prior.envelope(r, 2.5)) * np.exp(-0.5 * ((r[:, None] - r) / 0.8) ** 2)
    np.testing.assert_allclose(functions @ functions.T, expected, atol=5e-3 * expected.max())
    np.testing.assert_allclose(table(0, np.array([6.0])), 0.0, atol=1e-9)


def test_potentials_are_madelungs():
    # rock salt: the Madelung constant of the nearest distance, 1.7475645946 (e.g. Kittel), times e^2/(4 pi eps0 d)
    d = 2.8
    places = d * np.array([[i, j, k] for i in range(2) for j in range(2) for k in range(2)], float)
    numbers = np.where(places.sum(axis=1) / d % 2 < 0.5, 11, 17)
    basis = make_basis(["Na", "Cl"])
    table = tabulate((RadialPrior(4.0, 1.0),) * 2, np.full(4, 2.5), 1.0)
    model = BandModel(basis, standard_terms(basis, potential=True), Surroundings(table, potential="ewald", eta=0.6))
    geometry = model.geometry(Trajectory(places[None], 2 * d * np.eye(3), numbers, 1.0), 0)
    v = geometry.sites @ np.array([1.0, -1.0])
    np.testing.assert_allclose(v[numbers == 11], -1.7475645946 * 14.399645 / d, rtol=1e-7)
    np.testing.assert_allclose(v[numbers == 17], 1.7475645946 * 14.399645 / d, rtol=1e-7)


def test_valence_and_basis_by_element():
    basis = make_basis(["Cs", "Pb", "I"])
    assert dict(zip(basis.elements, basis.shells, strict=True)) == {"I": "sp", "Cs": "", "Pb": "sp"}
    numbers = np.repeat([55, 82, 53], [4, 4, 12])
    assert basis.n_occupied(numbers) == 52
    assert make_basis(["Ti", "O"]).n_occupied(np.array([22, 8, 8])) == 8
    # oxygen without its 2s brings four electrons; titanium without its 4s gives them away all the same
    assert make_basis(["Ti", "O"], {"O": "p", "Ti": "d"}).n_occupied(np.array([22, 8, 8])) == 6
    with pytest.raises(InputError, match="even number of valence electrons, but the cell has 11"):
        basis.n_occupied(np.array([82, 53]))
    with pytest.raises(InputError, match=r"Atom 1 is Br, but the tight binding knows I, Cs, Pb only"):
        basis.species_of(np.array([82, 35]))
    with pytest.raises(InputError, match="`Nd` has no valence shells"):
        make_basis(["Nd"])
    with pytest.raises(ValueError, match=r"must name elements of the trajectory \(O, Ti\), but names `S`"):
        make_basis(["Ti", "O"], {"S": "sp"})
    with pytest.raises(ValueError, match="out of s, p and d for Ti, each once"):
        make_basis(["Ti"], {"Ti": "ssp"})
    assert [term.label for term in standard_terms(basis) if isinstance(term, Level)] == [
        "I s level",
        "I p level",
        "Pb s level",
        "Pb p level",
    ]


def test_an_ablation_leaves_terms_out_but_never_levels():
    basis = make_basis(["Cs", "Pb", "I"], {"Cs": "s"})
    whole = standard_terms(basis)
    without = standard_terms(basis, keep=lambda term: "Cs" not in term.elements)
    assert {term.label for term in whole} > {term.label for term in without}
    assert [term for term in without if "Cs" in term.elements] == [Level("Cs", "s")]
    bonds = standard_terms(basis, keep=lambda term: isinstance(term, Hopping) and set(term.elements) == {"Pb", "I"})
    assert {term.label for term in bonds if isinstance(term, Hopping)} == {
        "I-Pb ssσ",
        "I-Pb spσ",
        "I-Pb psσ",
        "I-Pb ppσ",
        "I-Pb ppπ",
    }

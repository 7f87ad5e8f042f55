"""Parts of a Hamiltonian taken out: the same matrices, a known material told from what it does not need."""

import warnings

import numpy as np
import pytest
from band_materials import known_on_pairs, make_model, random_theta, shaken, sparse_pairs

from hopcast import InputError, QualityWarning, VibronicHamiltonian
from hopcast.couplings import derive_couplings
from hopcast.tightbinding import Form, TightBinding, make_basis
from hopcast.tightbinding.ablation import eliminate_terms, score_variants
from hopcast.tightbinding.form import build_model
from hopcast.tightbinding.parts import Variant, reduce_model
from hopcast.tightbinding.samples import Samples
from hopcast.tightbinding.start import starting_values
from hopcast.tightbinding.terms import CrystalField, Hopping

FORM = Form(
    r_hopping=4.5, r_field=4.5, decay_field=1.6, density="", size_overlap=0.0, size_level=1.0, shift=1.0, scale=1.0
)
N_STATES, N_OCCUPIED, LOWEST = 12, 6, 2


@pytest.mark.parametrize(
    "variant",
    [
        Variant("no fields", lambda term: not isinstance(term, CrystalField)),
        Variant("some hoppings", lambda term: not (isinstance(term, Hopping) and term.m == 0)),
        Variant("levels and fields", lambda term: not isinstance(term, Hopping)),
        Variant("no densities", density=False),
        Variant("no overlap", overlap=False),
    ],
    ids=lambda variant: variant.name,
)
def test_a_part_is_the_whole_with_zeros(variant):
    model = make_model(density="all", potential="", overlap=True)
    trajectory = shaken(1)
    part, columns = reduce_model(model, variant)
    theta = random_theta(model)
    zeros = np.zeros_like(theta)
    zeros[columns] = theta[columns]
    geometry = model.geometry(trajectory, 0)
    assert len(columns) == part.n_parameters < model.n_parameters
    np.testing.assert_allclose(
        part.hamiltonian(theta[columns], geometry), model.hamiltonian(zeros, geometry), atol=1e-12
    )
    metric = part.metric(theta[columns], geometry)
    metric = np.eye(len(model.metric(zeros, geometry))) if metric is None else metric
    np.testing.assert_allclose(metric, model.metric(zeros, geometry), atol=1e-12)


@pytest.fixture(scope="module")
def material():
    """A crystal whose Hamiltonian has no crystal fields of Ga and no hoppings between As, and a fit of it with all terms."""
    trajectory = sparse_pairs(n_pairs=30)
    steps = np.arange(0, trajectory.n_frames - 1, 3)
    nothing = Samples(
        steps, np.zeros((len(steps), 2, N_STATES)), np.zeros((len(steps), N_STATES, N_STATES)), N_OCCUPIED, 1.0
    )
    model = build_model(FORM, make_basis(trajectory.symbols), trajectory, nothing)
    theta = starting_values(model, shift=1.0) + random_theta(model, 7, 0.1, FORM)
    for term, at in zip(model.terms, model.columns, strict=True):
        if is_idle(term):
            theta[at] = 0.0
    energies, states = [], []
    for frame in range(trajectory.n_frames):
        levels, vectors = model.solve(theta, model.geometry(trajectory, frame))
        energies.append(levels[LOWEST : LOWEST + N_STATES])
        states.append(vectors[:, LOWEST : LOWEST + N_STATES])
    overlaps = np.einsum("tai,taj->tij", np.array(states)[:-1], np.array(states)[1:])
    raw = VibronicHamiltonian(
        np.array(energies), np.zeros_like(overlaps), trajectory.timestep, overlaps=overlaps, n_occupied=N_OCCUPIED
    )
    known = known_on_pairs(derive_couplings(raw))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", QualityWarning)
        bands = TightBinding(form=FORM, workers=1).fit(trajectory, known).bands_
    folds = [(steps[steps % 2 != k], steps[steps % 2 == k]) for k in range(2)]
    return bands, trajectory, known, folds


def is_idle(term):
    if isinstance(term, CrystalField):
        return term.neighbour == "Ga"
    return isinstance(term, Hopping) and term.elements == ("As", "As")


def test_what_is_not_needed_can_go(material):
    bands, trajectory, known, folds = material
    whole, without_idle, without_bonds = score_variants(
        bands,
        trajectory,
        known,
        folds,
        [
            Variant("without what is not there", lambda term: not is_idle(term)),
            Variant(
                "without bonds", lambda term: not (isinstance(term, Hopping) and set(term.elements) == {"Ga", "As"})
            ),
        ],
        workers=1,
    )
    assert whole.name == "everything"
    assert whole.scores.gap_r2 > 0.9
    assert without_idle.n_parameters < whole.n_parameters
    assert without_idle.n_determined < without_idle.n_parameters
    # fewer parameters of no use forecast better, not worse
    assert without_idle.scores.gap_error <= whole.scores.gap_error
    assert without_bonds.scores.gap_error > 1.5 * without_idle.scores.gap_error


def test_elimination_ends_within_its_tolerance(material):
    bands, trajectory, known, folds = material
    found = eliminate_terms(bands, trajectory, known, folds, tolerance=0.02, workers=1)
    whole, smallest = found.path[0], found.smallest
    assert smallest.scores.gap_r2 >= whole.scores.gap_r2 - 0.02
    assert len(smallest.terms) < len(whole.terms)
    kept = [term for term in smallest.terms if is_idle(term)]
    idle = [term for term in whole.terms if is_idle(term)]
    assert len(kept) / len(idle) < len(smallest.terms) / len(whole.terms)
    assert all(found.keep(term) for term in smallest.terms)
    # every other term was tried alone, and was one too many
    after = found.path[found.path.index(smallest) + 1 :]
    assert all(one.scores.gap_r2 < whole.scores.gap_r2 - 0.02 for one in after)


def test_folds_must_leave_something_out(material):
    bands, trajectory, known, folds = material
    with pytest.raises(InputError, match="fold 1 leaves out none"):
        score_variants(bands, trajectory, known, [folds[0], (folds[1][0], folds[1][1][:0])], [], workers=1)
    with pytest.raises(InputError, match="needs at least 10 pairs"):
        score_variants(bands, trajectory, known, [(folds[0][0][:3], folds[0][1])], [], workers=1)

"""Fits: exact derivatives, a known tight binding recovered, what bad input is told."""

import dataclasses
import itertools
import warnings

import numpy as np
import pytest
from band_materials import GAAS_CELL, GALLIUM_ARSENIDE, known_on_pairs, random_theta, sparse_pairs

import hopcast as hc
from hopcast import InputError, QualityWarning, Trajectory, VibronicHamiltonian
from hopcast.couplings import derive_couplings
from hopcast.tightbinding import Form, TightBinding, forecast_bands, load_bands, make_basis
from hopcast.tightbinding.fit import Trainer, make_loss, prior_weights
from hopcast.tightbinding.forecast import overlap_of
from hopcast.tightbinding.form import build_model
from hopcast.tightbinding.motion import apply_turn
from hopcast.tightbinding.residuals import Target, has_metric, sample_residuals
from hopcast.tightbinding.samples import Samples, collect_samples, displacements, midpoint_positions, sample_geometries
from hopcast.tightbinding.start import LEAST_START, soften_overlap, starting_values

N_PAIRS = 30
FORM = Form(
    r_hopping=4.5,
    r_field=4.5,
    decay_field=1.6,
    density="",
    size_overlap=0.0,
    size_level=1.0,
    shift=1.0,
    scale=1.0,
)
N_STATES, N_OCCUPIED, LOWEST = 12, 6, 2


def reference(trajectory, seed=7, size=0.1, form=FORM, n_states=N_STATES):
    """Energies and couplings of a window of bands of a tight binding whose parameters are known."""
    steps = np.arange(0, trajectory.n_frames - 1, 3)
    samples = Samples(
        steps, np.zeros((len(steps), 2, n_states)), np.zeros((len(steps), n_states, n_states)), N_OCCUPIED, 1.0
    )
    model = build_model(form, make_basis(trajectory.symbols), trajectory, samples)
    theta = starting_values(model, shift=1.0) + random_theta(model, seed, size, form)
    energies, states = [], []
    for frame in range(trajectory.n_frames):
        levels, vectors = model.solve(theta, model.geometry(trajectory, frame))
        energies.append(levels[LOWEST : LOWEST + n_states])
        states.append(vectors[:, LOWEST : LOWEST + n_states])
    species = model.basis.species_of(trajectory.numbers)
    overlaps = np.array(
        [
            overlap_of(
                one,
                other,
                None,
                None,
                apply_turn(model, theta, species, displacements(trajectory, slice(step, step + 1))[0], other),
            )
            for step, (one, other) in enumerate(itertools.pairwise(states))
        ]
    )
    raw = VibronicHamiltonian(
        np.array(energies), np.zeros_like(overlaps), trajectory.timestep, overlaps=overlaps, n_occupied=N_OCCUPIED
    )
    return model, theta, derive_couplings(raw)


@pytest.fixture(scope="module")
def material():
    trajectory = sparse_pairs(n_pairs=N_PAIRS)
    model, theta, full = reference(trajectory)
    return trajectory, model, theta, known_on_pairs(full), full


@pytest.mark.parametrize(("density", "size_overlap"), [("", 0.0), ("all", 0.0), ("all", 0.05)])
def test_derivatives_of_the_residuals_are_exact(density, size_overlap, monkeypatch):
    # without the smoothing near crossings
    monkeypatch.setattr("hopcast.tightbinding.residuals.CROSSING", 1e-9)
    trajectory = sparse_pairs(n_pairs=10, step=0.02)
    form = FORM.replace(density=density, size_overlap=size_overlap, n_edges=2)
    model, theta, full = reference(trajectory, form=form)
    samples = Samples(np.array([0]), full.energies[:2][None], np.abs(full.nac[:1]), N_OCCUPIED, trajectory.timestep)
    loss = make_loss(form, samples, LOWEST)
    geometries = sample_geometries(model, trajectory, samples.steps).parts[0]
    rng = np.random.default_rng(1)
    elsewhere = theta.copy()
    elsewhere[: model.n_own] += random_theta(model, 1, 0.05, form)[: model.n_own]
    target = Target(
        samples.energies[0] + 0.1 * rng.normal(size=(2, N_STATES)), samples.couplings[0], np.ones((N_STATES, N_STATES))
    )

    def residuals(at):
        return sample_residuals(model, at, geometries, target, loss, derivatives=False)[0]

    _, slopes = sample_residuals(model, elsewhere, geometries, target, loss, derivatives=True)
    assert slopes.shape == (model.n_parameters, N_STATES - 2 + 4)
    for _ in range(3):
        along = rng.normal(size=len(theta)) / np.sqrt(prior_weights(model, form))
        numeric = (residuals(elsewhere + 1e-5 * along) - residuals(elsewhere - 1e-5 * along)) / 2e-5
        np.testing.assert_allclose(along @ slopes, numeric, rtol=1e-5, atol=1e-5 * np.abs(numeric).max())


def test_a_known_tight_binding_is_recovered(material):
    trajectory, model, theta, known, _ = material
    form = FORM.replace(energy_error=1e-5)
    samples = collect_samples(trajectory, known)
    geometries = sample_geometries(model, trajectory, samples.steps)
    trainer = Trainer(model, samples, geometries, LOWEST)
    start = theta + random_theta(model, 2, 0.05, form)
    found = trainer.refine(form, np.arange(len(samples)), start, start)
    # many parameters say the same of a window of bands: it is the predictions that must agree, of unseen frames too
    window, others = slice(LOWEST, LOWEST + N_STATES), sparse_pairs(n_pairs=5, seed=11)
    for frame in range(others.n_frames):
        geometry = model.geometry(others, frame)
        learnt, true = (np.linalg.eigvalsh(model.hamiltonian(one, geometry))[window] for one in (found.theta, theta))
        np.testing.assert_allclose(learnt - learnt.mean(), true - true.mean(), atol=1e-6)


@pytest.fixture(scope="module")
def fitted(material):
    trajectory, _, _, known, _ = material
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", QualityWarning)
        return TightBinding(form=FORM, basis={"Ga": "sp"}, most_samples=16, workers=1).fit(trajectory, known)


def test_two_states_are_enough_to_learn_from(material):
    """VBM and CBM alone, all that a list of gaps and couplings holds; couplings take part in the fit."""
    trajectory, _, _, known, full = material
    edges = slice(N_OCCUPIED - 1, N_OCCUPIED + 1)
    two, true = (
        VibronicHamiltonian(one.energies[:, edges], one.nac[:, edges, edges], one.timestep, n_occupied=1)
        for one in (known, full)
    )
    learnt, judged = np.arange(0, 45, 3), np.arange(45, trajectory.n_frames - 1, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", QualityWarning)
        model = TightBinding(form=FORM, workers=1).fit(trajectory, two, learnt)
    found = model.forecast(trajectory)
    assert found.hamiltonian.n_states == 2
    assert found.hamiltonian.n_occupied == 1
    gap, said = true.frontier().gap()[judged], found.hamiltonian.frontier().gap()[judged]
    assert np.mean((gap - said) ** 2) < 0.5 * np.var(gap)


def test_workers_do_not_change_a_bit(material, fitted):
    trajectory, _, _, known, _ = material
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", QualityWarning)
        other = TightBinding(form=FORM, most_samples=16, workers=2).fit(trajectory, known)
    np.testing.assert_array_equal(other.bands_.theta, fitted.bands_.theta)
    assert other.scores_ == fitted.scores_
    one, two = other.forecast(trajectory), fitted.forecast(trajectory)
    np.testing.assert_array_equal(one.hamiltonian.nac, two.hamiltonian.nac)
    np.testing.assert_array_equal(one.std.energies, two.std.energies)


def test_the_file_holds_everything(tmp_path, material, fitted):
    trajectory = material[0]
    fitted.save(tmp_path / "bands.h5")
    again = TightBinding.load(tmp_path / "bands.h5")
    one, two = fitted.forecast(trajectory), again.forecast(trajectory)
    for name in ("energies", "nac", "overlaps"):
        np.testing.assert_array_equal(getattr(one.hamiltonian, name), getattr(two.hamiltonian, name))
    np.testing.assert_array_equal(one.std.energies, two.std.energies)
    np.testing.assert_array_equal(one.outside, two.outside)
    assert again.scores_ == fitted.scores_
    assert again.bands_.form == FORM
    content = (tmp_path / "bands.h5").read_bytes()
    (tmp_path / "cut.h5").write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match=r"cut.h5"):
        load_bands(tmp_path / "cut.h5")
    hc.write_trajectory(trajectory, tmp_path / "other.h5")
    with pytest.raises(InputError, match="must hold a tight binding"):
        load_bands(tmp_path / "other.h5")


def test_a_frame_whose_orbitals_are_no_basis_is_named(material):
    trajectory, _, _, known, _ = material
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", QualityWarning)
        model = TightBinding(form=FORM.replace(size_overlap=0.02), most_samples=10, workers=1).fit(trajectory, known)
    theta = model.bands_.theta.copy()
    theta[model.bands_.model.n_own :] *= 100.0
    with pytest.raises(InputError, match="Frame 0 is too far from what the tight binding learnt from"):
        forecast_bands(dataclasses.replace(model.bands_, theta=theta), trajectory[:3], workers=1)


def test_couplings_of_the_forecast_are_those_of_its_own_hamiltonian(fitted):
    # <i|dH/dt|j> = hbar d (E_j - E_i), along a smooth path
    time = np.arange(6)[:, None, None]
    rng = np.random.default_rng(4)
    base = sparse_pairs(n_pairs=1).positions[0]
    moving = Trajectory(base + 0.002 * time * rng.normal(size=(1, 4, 3)), GAAS_CELL, GALLIUM_ARSENIDE, 1.0)
    found = fitted.forecast(moving)
    bands, model = fitted.bands_, fitted.bands_.model
    for step in (1, 3):
        place, cell = midpoint_positions(moving, step)
        middle = model.geometry_of(place, cell, moving.pbc, model.basis.species_of(moving.numbers))
        levels, states = bands.eigenstates(middle)
        before, after = (model.hamiltonian(bands.theta, model.geometry(moving, step + k)) for k in (0, 1))
        h = states.T @ (after - before) @ states * 0.6582119569
        turns = apply_turn(
            model,
            bands.theta,
            model.basis.species_of(moving.numbers),
            displacements(moving, slice(step, step + 1))[0],
            states,
        )
        i, j = LOWEST + N_OCCUPIED - 1, LOWEST + N_OCCUPIED
        nac = found.hamiltonian.nac[step, N_OCCUPIED - 1, N_OCCUPIED]
        at_rest, turned = h[i, j] / (levels[j] - levels[i]), states[:, i] @ turns[:, j] * 0.6582119569
        assert abs(turned) > 0.02 * abs(at_rest)
        assert abs(nac) == pytest.approx(abs(at_rest + turned), rel=0.02)
    # one sign a state: reversing time reverses every coupling
    back = fitted.forecast(Trajectory(moving.positions[::-1], GAAS_CELL, GALLIUM_ARSENIDE, 1.0)).hamiltonian.nac[::-1]
    np.testing.assert_allclose(np.abs(back), np.abs(found.hamiltonian.nac), atol=1e-10)


def test_a_larger_cell_and_unseen_frames(fitted):
    trajectory = sparse_pairs(n_pairs=2)
    double = Trajectory(
        np.concatenate([trajectory.positions, trajectory.positions + GAAS_CELL[0]], axis=1),
        GAAS_CELL * [[2], [1], [1]],
        np.tile(GALLIUM_ARSENIDE, 2),
        1.0,
    )
    gap = fitted.forecast(trajectory).hamiltonian.gap((N_OCCUPIED - 1, N_OCCUPIED))
    assert np.all(fitted.forecast(double).hamiltonian.gap((N_OCCUPIED - 1, N_OCCUPIED)) <= gap + 1e-8)
    near = trajectory.positions.copy()
    near[1, 1] = near[1, 0] + [1.0, 0.0, 0.0]
    found = fitted.forecast(Trajectory(near, GAAS_CELL, GALLIUM_ARSENIDE, 1.0))
    assert found.outside[1]
    assert np.all(found.std.energies > 0)


def test_bad_input_gets_one_sentence(material, fitted):
    trajectory, _, _, known, _ = material
    model = TightBinding(form=FORM)

    def fit_with(**changes):
        fields = {"energies": known.energies, "nac": known.nac, "timestep": 1.0, "n_occupied": N_OCCUPIED, **changes}
        return model.fit(trajectory, VibronicHamiltonian(**fields))

    with pytest.raises(InputError, match="how many of the 12 states are occupied"):
        fit_with(n_occupied=None)
    with pytest.raises(InputError, match="must hold VBM and CBM, but 12 of its 12"):
        fit_with(n_occupied=12)
    with pytest.raises(InputError, match=r"must be the same, but are 1 fs and 2 fs"):
        fit_with(timestep=2.0)
    few = known.energies.copy()
    few[27:] = np.nan
    with pytest.raises(
        InputError, match="at least 10 pairs of neighbouring frames with known energies, but the Hamiltonian has 9"
    ):
        fit_with(energies=few)
    with pytest.raises(InputError, match="6 occupied and 6 empty bands, but has 2 and 6"):
        TightBinding(form=FORM, basis={"Ga": "s", "As": "p"}, valence={"Ga": 1, "As": 1}).fit(trajectory, known)
    with pytest.raises(InputError, match="even number of valence electrons"):
        fitted.forecast(Trajectory(trajectory.positions[:, :3], GAAS_CELL, GALLIUM_ARSENIDE[:3], 1.0))
    with pytest.raises(InputError, match="not fitted"):
        model.__class__().forecast(trajectory)
    numbers = np.array([31, 31, 33, 51])
    with pytest.raises(InputError, match="Atom 3 is Sb, but the tight binding knows Ga, As only"):
        fitted.forecast(Trajectory(trajectory.positions, GAAS_CELL, numbers, 1.0))
    with pytest.raises(InputError, match="at least two frames"):
        fitted.forecast(trajectory[:1])
    with pytest.raises(ValueError, match="`r_hopping` must lie well beyond the shortest distance"):
        TightBinding(form=Form(r_hopping=1.5)).fit(trajectory, known)
    with pytest.raises(ValueError, match="`density` must be one of"):
        Form(density="al")


def test_the_start_is_chosen_by_left_out_blocks(material, monkeypatch):
    trajectory, _, _, known, _ = material
    monkeypatch.setattr("hopcast.tightbinding.fit.STARTS", ((-6.0, 0.4), (1.0, 1.0)))
    form = FORM.replace(shift=None, scale=None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", QualityWarning)
        found = TightBinding(form=form, most_samples=12, workers=1).fit(trajectory, known)
    # the reference was made around this start
    assert (found.bands_.form.shift, found.bands_.form.scale) == (1.0, 1.0)
    with pytest.raises(ValueError, match="`shift` and `scale` must be given together"):
        FORM.replace(shift=None)


def test_a_fit_that_does_not_converge_says_what_it_reached(material, monkeypatch):
    trajectory, _, _, known, _ = material
    for name, steps in {
        "fit.ENERGY_STEPS": 0,
        "fit.COUPLING_STEPS": 0,
        "estimator.TRIED": 1,
        "estimator.MOST_STEPS": 1,
    }.items():
        monkeypatch.setattr(f"hopcast.tightbinding.{name}", steps)
    with pytest.warns(QualityWarning, match=r"did not converge in 1 steps; it reached a loss of .*gap R²"):
        found = TightBinding(form=FORM, most_samples=10, workers=1).fit(trajectory, known)
    assert not found.bands_.converged


def test_the_window_alone_has_the_same_states(material, fitted, monkeypatch):
    geometry = fitted.bands_.model.geometry(material[0], 0)
    levels, states = fitted.bands_.window_states(geometry, LOWEST)
    monkeypatch.setattr("hopcast.tightbinding.fitted.ALL_STATES", 0)
    alone, few = fitted.bands_.window_states(geometry, LOWEST)
    np.testing.assert_allclose(alone, levels, atol=1e-10)
    np.testing.assert_allclose(np.abs(few.T @ states), np.eye(N_STATES), atol=1e-8)


def test_d_orbitals_in_a_dense_crystal_start_with_a_metric():
    """Universal hoppings of rutile's spd orbitals, turned into overlaps, are no metric; a fit starts from smaller ones."""
    numbers = np.array([22, 22, 8, 8, 8, 8])
    cell = np.diag([4.594, 4.594, 2.959])
    u = 0.305
    places = np.array(
        [[0, 0, 0], [0.5, 0.5, 0.5], [u, u, 0], [-u, -u, 0], [0.5 + u, 0.5 - u, 0.5], [0.5 - u, 0.5 + u, 0.5]]
    )
    positions = places @ cell + 0.03 * np.random.default_rng(0).normal(size=(12, 6, 3))
    trajectory = Trajectory(positions, cell, numbers, 1.0)
    steps = np.arange(11)
    nothing = Samples(steps, np.zeros((11, 2, 8)), np.zeros((11, 8, 8)), 4, 1.0)
    model = build_model(Form(density=""), make_basis(trajectory.symbols), trajectory, nothing)
    geometries = [model.geometry(trajectory, frame) for frame in (0, 5, 10)]
    bare = starting_values(model)
    least = [np.linalg.eigvalsh(model.metric(bare, one))[0] for one in geometries]
    soft = soften_overlap(model, bare, geometries)
    assert min(least) < 0.0
    assert min(np.linalg.eigvalsh(model.metric(soft, one))[0] for one in geometries) == pytest.approx(LEAST_START)
    np.testing.assert_array_equal(soft[: model.n_own], bare[: model.n_own])
    softer = bare.copy()
    softer[model.n_own :] *= 0.1
    np.testing.assert_array_equal(soften_overlap(model, softer, geometries), softer)
    # priors as wide as elsewhere would lead back to where there is no metric
    trainer = Trainer(model, nothing, sample_geometries(model, trajectory, steps), 0)
    form = trainer.believable(Form(density=""), steps)
    assert 0.1 * Form().size_overlap < form.size_overlap < 0.5 * Form().size_overlap
    far = bare.copy()
    far[model.n_own :] *= 1.5
    index = np.arange(11)
    near = trainer.with_metric(far, soft, index)
    assert all(has_metric(model, near, one.middle) for one in trainer.geometries.parts)
    assert not has_metric(model, far, trainer.geometries.parts[0].middle)

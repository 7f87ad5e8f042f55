"""What a tight binding says of separate steps moves with its parameters as differences do; a design takes what tells most."""

import dataclasses

import numpy as np
import pytest
from band_materials import known_on_pairs, sparse_pairs
from test_fit import FORM, N_OCCUPIED, reference

from hopcast import VibronicHamiltonian
from hopcast.selection.sequential import Belief, _take, choose_by_bands
from hopcast.tightbinding import TightBinding, step_slopes
from hopcast.tightbinding.fitted import posterior_variances

N_PAIRS = 14
STEPS = np.arange(0, 3 * N_PAIRS, 3)


@pytest.fixture(scope="module")
def material():
    # atoms move enough in a step for couplings to be seen beside rounding
    trajectory = sparse_pairs(n_pairs=N_PAIRS, step=0.01)
    full = reference(trajectory)[2]
    known = known_on_pairs(full)
    return trajectory, known, TightBinding(form=FORM, workers=1).fit(trajectory, known).bands_


def test_gaps_and_couplings_are_those_of_the_forecast(material):
    trajectory, known, bands = material
    found = step_slopes(bands, trajectory, STEPS, workers=1)
    pair = known.frontier()
    gap = np.diff(pair.midpoint_energies[STEPS], axis=1)[:, 0]
    # the fit reaches what it learnt from
    np.testing.assert_allclose(found.gap, gap, atol=0.02 * gap.std())
    np.testing.assert_allclose(
        found.coupling, np.abs(pair.coupling()[STEPS]) * gap, rtol=0.1, atol=0.05 * found.coupling.max()
    )


def test_slopes_are_derivatives(material, monkeypatch):
    monkeypatch.setattr("hopcast.tightbinding.residuals.CROSSING", 1e-9)
    trajectory, _, bands = material
    steps = STEPS[:3]
    found = step_slopes(bands, trajectory, steps, workers=1)
    rng = np.random.default_rng(0)
    along = 0.1 * rng.normal(size=len(bands.theta))
    one, two = (
        step_slopes(dataclasses.replace(bands, theta=bands.theta + sign * 1e-5 * along), trajectory, steps, workers=1)
        for sign in (1, -1)
    )
    for name in ("gap", "coupling"):
        numeric = (getattr(one, name) - getattr(two, name)) / 2e-5
        slopes = getattr(found, f"{name}_slopes")
        np.testing.assert_allclose(along @ slopes, numeric, rtol=1e-4, atol=1e-4 * np.abs(numeric).max())


def test_variances_are_those_of_the_posterior(material):
    trajectory, _, bands = material
    found = step_slopes(bands, trajectory, STEPS, workers=1)
    covariance = found.covariance(bands)
    np.testing.assert_allclose(
        np.diag(covariance)[:N_PAIRS], bands.scale * posterior_variances(bands.factor, found.gap_slopes), rtol=1e-8
    )
    assert np.linalg.eigvalsh(covariance).min() > -1e-9 * np.abs(covariance).max()


def test_the_pair_taken_lowers_the_variance_of_the_mean_rate_most():
    rng = np.random.default_rng(3)
    n = 12
    half = 0.1 * rng.normal(size=(2 * n, 6))
    gap, coupling = 1.5 + 0.1 * rng.normal(size=n), 0.02 * np.abs(rng.normal(size=n))
    belief = Belief(gap, coupling, half @ half.T, (0.01, 0.02))
    size = np.sqrt(coupling**2 + np.diag(belief.covariance)[n:])
    w = np.concatenate([-4 * size**2 / gap**5, 2 * size / gap**4])

    def left(steps):
        """Variance of the mean rate once both numbers of some steps are known: conditioning of a normal law."""
        seen = np.concatenate([steps, np.array(steps) + n])
        inner = belief.covariance[np.ix_(seen, seen)] + np.diag(np.repeat(belief.noise, len(steps)))
        across = belief.covariance[:, seen]
        return w @ (belief.covariance - across @ np.linalg.solve(inner, across.T)) @ w

    first = min(range(n), key=lambda step: left([step]))
    second = min((step for step in range(n) if step != first), key=lambda step: left([first, step]))
    assert _take(belief, np.arange(n), 2, 1).tolist() == sorted([first, second])


def test_new_pairs_are_apart_from_the_computed(material):
    trajectory, known, _ = material
    energies, nac = known.energies.copy(), known.nac.copy()
    energies[36:], nac[36:] = np.nan, np.nan
    fewer = VibronicHamiltonian(energies, nac, known.timestep, n_occupied=N_OCCUPIED)
    chosen = choose_by_bands(trajectory, fewer, 2, form=FORM, workers=1)
    assert len(set(chosen.tolist())) == 2
    assert np.abs(chosen[:, None] - STEPS[:12]).min() >= 1

"""Fits of many folds at once: as good as a fit each, and ignorant of what they leave out."""

import dataclasses

import numpy as np
import pytest
from band_materials import known_on_pairs, sparse_pairs
from test_fit import FORM, N_OCCUPIED, reference

from hopcast import InputError
from hopcast.tightbinding import TightBinding, fit_folds, forecast_bands
from hopcast.tightbinding import folds as module

N_PAIRS = 24

STEPS = np.arange(0, 3 * N_PAIRS, 3)
FOLDS = [np.setdiff1d(STEPS, STEPS[k::4]) for k in range(4)]


@pytest.fixture(scope="module")
def material():
    trajectory = sparse_pairs(n_pairs=N_PAIRS)
    full = reference(trajectory)[2]
    known = known_on_pairs(full)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "LEAST_COMMON", 10)  # so that the folds of a half share their start
        yield trajectory, known, full, TightBinding(form=FORM, workers=1).fit(trajectory, known).bands_


@pytest.fixture(scope="module")
def folds(material):
    trajectory, known, _, whole = material
    return fit_folds(whole, trajectory, known, FOLDS, workers=1)


def test_folds_of_a_half_start_together():
    halves = [[np.flatnonzero(np.isin(STEPS, fold)) for fold in FOLDS[start : start + 2]] for start in (0, 2)]
    assert [len(module._common(half)) for half in halves] == [N_PAIRS // 2] * 2


def test_each_fold_forecasts_what_it_leaves_out(material, folds):
    trajectory, _, full, _ = material
    for k, one in enumerate(folds):
        found = forecast_bands(one, trajectory, workers=1).hamiltonian
        left_out = STEPS[k::4]
        np.testing.assert_allclose(
            found.frontier().gap()[left_out], full.frontier().gap()[left_out], atol=0.1 * full.frontier().gap().std()
        )
        assert one.n_samples == len(FOLDS[k])


def test_one_fold_is_a_fit(material):
    trajectory, known, full, whole = material
    (alone,) = fit_folds(whole, trajectory, known, FOLDS[:1], workers=1)
    found = forecast_bands(alone, trajectory, workers=1).hamiltonian.frontier().gap()[STEPS[::4]]
    assert alone.n_samples == len(FOLDS[0])
    np.testing.assert_allclose(found, full.frontier().gap()[STEPS[::4]], atol=0.1 * full.frontier().gap().std())


def test_nothing_of_what_a_fold_leaves_out_enters(material, folds):
    # other energies and couplings there, from the start of the half on: the same bits
    trajectory, known, _, whole = material
    energies, nac = known.energies.copy(), known.nac.copy()
    for step in STEPS[1::4]:
        energies[[step, step + 1], N_OCCUPIED:] += 0.3
        nac[step] *= 5.0
    other = dataclasses.replace(known, energies=energies, nac=nac)
    again = fit_folds(whole, trajectory, other, FOLDS, workers=2)
    np.testing.assert_array_equal(again[1].theta, folds[1].theta)
    assert not np.array_equal(again[2].theta, folds[2].theta)


def test_a_fold_too_small_to_learn_from_is_told(material):
    trajectory, known, _, whole = material
    with pytest.raises(InputError, match="needs at least 10 pairs of neighbouring frames, but one fold leaves 4"):
        fit_folds(whole, trajectory, known, [STEPS[:4], STEPS], workers=1)

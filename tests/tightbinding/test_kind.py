"""Tight binding as a kind of forecaster: what `fit`, `predict` and files of forecasters need."""

import dataclasses

import numpy as np
import pytest
from band_materials import known_on_pairs, sparse_pairs
from test_fit import FORM, N_OCCUPIED, N_PAIRS, reference

from hopcast import InputError, VibronicHamiltonian
from hopcast.forecast import load_forecaster, save_forecaster
from hopcast.forecast.kinds.tight_binding import NAME, TightBindingForecaster, unable
from hopcast.forecast.protocol import list_kinds
from hopcast.study.whole import FittedWhole
from hopcast.tightbinding import atom_slopes


@pytest.fixture(scope="module")
def material():
    trajectory = sparse_pairs(n_pairs=N_PAIRS)
    full = reference(trajectory)[2]
    return trajectory, known_on_pairs(full), full


@pytest.fixture(scope="module")
def forecaster(material):
    trajectory, known, _ = material
    return TightBindingForecaster(FORM, workers=1).fit(trajectory, known, np.arange(0, 3 * 14, 3))


def test_it_is_found_and_says_what_it_is(forecaster):
    assert NAME in {kind.name for kind in list_kinds()}
    assert forecaster.n_samples == 14
    assert forecaster.n_occupied == N_OCCUPIED
    assert forecaster.models == {"gap": NAME, "coupling": NAME}
    assert forecaster.scored({"gap": 0.5, "coupling": 0.25}).scores == {"gap": 0.5, "coupling": 0.25}


def test_a_file_forecasts_the_same(tmp_path, material, forecaster):
    trajectory = material[0]
    scored = forecaster.scored({"gap": 0.5, "coupling": 0.25})
    save_forecaster(scored, tmp_path / "model.h5")
    again = load_forecaster(tmp_path / "model.h5")
    one, two = scored.forecast(trajectory), again.forecast(trajectory)
    np.testing.assert_array_equal(one.hamiltonian.nac, two.hamiltonian.nac)
    np.testing.assert_array_equal(one.std.energies, two.std.energies)
    assert again.scores == scored.scores
    assert again.provenance == scored.provenance


def test_a_study_asks_it_whose_atoms_move_gap_and_coupling(material, forecaster):
    trajectory = material[0]
    edges = forecaster.state_labels[N_OCCUPIED - 1 : N_OCCUPIED + 1]
    steps = np.arange(0, 3 * 14, 3)
    found = FittedWhole(forecaster, steps, edges, on_midpoints=False, workers=1).moved_by(trajectory)
    slopes = atom_slopes(forecaster.bands, trajectory, steps, workers=1)
    for target, shares in (("gap", slopes.gap_shares()), ("nac", slopes.coupling_shares())):
        assert [one.element for one in found[target]] == list(trajectory.elements)
        assert found[target][0].share == pytest.approx(shares[np.array(trajectory.symbols) == "Ga"].sum())
        assert sum(one.share for one in found[target]) == pytest.approx(1.0)
    # a study of other states than VBM and CBM is not told
    others = forecaster.state_labels[:2]
    assert FittedWhole(forecaster, steps, others, on_midpoints=False, workers=1).moved_by(trajectory) == {}


def test_chunks_join(material, forecaster):
    # the phases of states are each frame's own: overlaps of a chunk are those of the whole
    trajectory = material[0]
    whole = forecaster.forecast(trajectory).hamiltonian
    part = forecaster.forecast(trajectory[20:30]).hamiltonian
    np.testing.assert_array_equal(part.overlaps, whole.overlaps[20:29])
    np.testing.assert_array_equal(part.energies, whole.energies[20:30])


def test_what_it_cannot_learn_is_said(material, forecaster):
    trajectory, known, _ = material
    assert unable(trajectory, known, N_OCCUPIED - 1) == ""
    assert "not that of VBM and CBM" in unable(trajectory, known, 0)
    unsure = dataclasses.replace(known, n_occupied=None)
    assert "how many of the 12 states are occupied" in unable(trajectory, unsure, 0)
    twisted = VibronicHamiltonian(known.energies, known.nac * (1 + 0j), 1.0, n_occupied=N_OCCUPIED)
    assert "real bands of one spin" in unable(trajectory, twisted, N_OCCUPIED - 1)
    with pytest.raises(InputError, match="same time step, but the trajectory has 2 fs"):
        forecaster.check(trajectory[::2])

"""The doctor on Kramers pairs: one page, splittings that should be zero, meetings, copies, bases without overlaps."""

import dataclasses

import numpy as np
import pytest
from kramers_model import doubled, general_pairs, hamiltonian, rotated, rotations, single_model

from hopcast.couplings import derive_couplings
from hopcast.doctor import check


def verdict(ham, name="degenerate states"):
    return next(each for each in check(ham).verdicts if each.name == name)


def test_twenty_pairs_are_one_page():
    ham = rotated(general_pairs(20, n_frames=40, gap=0.5, turn=0.01), 0).with_blocks()
    ham = dataclasses.replace(ham, n_occupied=20)
    page = check(ham).to_text()
    assert len(page) < 5000
    assert "40 states are 20 degenerate blocks" in page
    found = verdict(ham)
    assert found.level == "good"
    assert found.evidence["largest_splitting_meV"] < 1e-9
    assert "VBM pair" in verdict(ham, "pair").finding
    assert verdict(ham, "phases").level == "warn"
    assert "bases of degenerate states turn at 39 of 39 steps" in verdict(ham, "phases").finding


def test_couplings_from_turned_overlaps_are_called_wrong():
    ham = rotated(general_pairs(2, n_frames=80), 0)
    raw = 0.5 * (ham.overlaps - ham.overlaps.conj().swapaxes(1, 2))
    broken = dataclasses.replace(ham, nac=raw, nac_known=None).with_blocks()
    found = verdict(broken, "phases")
    assert found.level == "bad"
    assert "wrong in magnitude" in found.finding


def test_a_splitting_that_should_be_zero_is_named():
    ham = derive_couplings(general_pairs(3).with_blocks())
    energies = ham.energies.copy()
    energies[[7, 30], 3] += 0.004
    found = verdict(dataclasses.replace(ham, energies=energies, n_occupied=2))
    assert found.level == "bad"
    assert found.frames == (7, 30)
    assert "CBM pair must have one energy, but split by up to 4 meV at 2 frames" in found.finding


def test_pairs_that_only_text_split_are_told_by_their_overlaps():
    raw = rotated(general_pairs(3), 1)
    noise = np.random.default_rng(3).uniform(-1e-3, 1e-3, raw.energies.shape)
    found = verdict(dataclasses.replace(raw, energies=np.round(raw.energies + noise, 3), n_occupied=2).with_blocks())
    assert found.level == "warn"
    assert "their overlaps mix them at most steps" in found.finding
    assert "more digits" in found.fix


def test_a_pair_split_throughout_is_named():
    ham = general_pairs(4, n_frames=40)
    energies = ham.energies.copy()
    energies[:, 5] += 0.002
    found = verdict(dataclasses.replace(ham, energies=energies).with_blocks())
    assert found.level == "bad"
    assert "split at every frame" in found.finding


def test_pairs_split_everywhere_look_like_pairs():
    ham = general_pairs(3)
    split = dataclasses.replace(ham, energies=ham.energies + 0.005 * np.array([0, 1, 0, 1, 0, 1]))
    found = verdict(derive_couplings(split.with_blocks()))
    assert found.level == "warn"
    assert "5 meV apart in the median" in found.finding


def test_pairs_that_meet_are_said_and_followed():
    ham = derive_couplings(general_pairs(3, gap=0.5).with_blocks())
    energies = ham.energies.copy()
    energies[20, 4:] = energies[20, 3]
    found = verdict(dataclasses.replace(ham, energies=energies))
    assert found.level == "warn"
    assert found.frames == (20,)
    assert "grow together at 1 frames" in found.finding


def test_a_window_that_cuts_a_pair():
    ham = derive_couplings(general_pairs(3))
    cut = dataclasses.replace(
        ham, energies=ham.energies[:, :5], nac=ham.nac[:, :5, :5], overlaps=None, state_labels=(), n_occupied=2
    ).with_blocks()
    found = verdict(cut)
    assert found.level == "bad"
    assert "CBM+1" in found.finding or "4 has no partner" in found.finding


def test_copies_are_recognised():
    single = single_model(3)
    twice = derive_couplings(doubled(single).with_blocks())
    assert "alpha states and their beta copies" in verdict(twice).finding
    # Kramers pairs as a program hands them out are no copies
    assert "copies" not in verdict(derive_couplings(rotated(doubled(single), 1).with_blocks())).finding
    n = single.n_steps
    overlaps = np.zeros((n, 6, 6))
    overlaps[:, :3, :3] = overlaps[:, 3:, 3:] = single.overlaps
    apart = derive_couplings(hamiltonian(np.tile(single.energies, 2), overlaps))
    assert "States 3 to 5 are copies of states 0 to 2" in verdict(apart).finding


def test_couplings_without_a_common_basis():
    plain = derive_couplings(general_pairs(2).with_blocks())
    turns = rotations(plain.n_steps, 2, 0)
    ham = dataclasses.replace(plain, nac=turns.conj().swapaxes(1, 2) @ plain.nac @ turns, overlaps=None)
    found = verdict(ham)
    assert found.level == "warn"
    assert "another basis at every step" in found.finding


@pytest.mark.parametrize("n_states", [2, 3])
def test_without_degeneracy_nothing_is_said(n_states):
    assert all(each.name != "degenerate states" for each in check(derive_couplings(single_model(n_states))).verdicts)

"""Degenerate blocks as states: found, labelled, cut whole, aligned, merged; invariant under U(2) at every frame."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kramers_model import doubled, general_pairs, hamiltonian, rotated, rotations, single_model
from numpy.testing import assert_allclose

import hopcast as hc
from hopcast.core import InputError, VibronicHamiltonian
from hopcast.core.blocks import mixed_shares
from hopcast.core.units import HBAR
from hopcast.couplings import coupling_log, derive_couplings, diagnose_overlaps, log_to_csv
from hopcast.couplings.phases import align_degenerate


def lag_one(series):
    return np.corrcoef(series[1:], series[:-1])[0, 1]


def test_pairs_are_found_named_and_kept_through_selections_and_files(tmp_path):
    ham = doubled(single_model(4, gap=0.5)).with_blocks()
    assert ham.multiplicities == (2, 2, 2, 2)
    assert ham.block_labels == ("VBM pair", "CBM pair", "CBM+1 pair", "CBM+2 pair")
    assert "8 states in 4 degenerate blocks" in repr(ham)
    edges = ham.frontier()
    assert edges.multiplicities == (2, 2)
    assert edges.block_labels == ("VBM pair", "CBM pair")
    assert_allclose(edges.gap(), ham.energies[:, 2] - ham.energies[:, 1])
    unnamed = dataclasses.replace(ham, n_occupied=None)
    assert unnamed.block_labels[1] == "2/3 pair"
    assert ham.select([4, 5, 2, 3]).multiplicities == (2, 2)
    assert ham[10:20].multiplicities == ham.multiplicities
    ham.write(tmp_path / "pairs.h5")
    back = hc.read_hamiltonian(tmp_path / "pairs.h5")
    assert back.multiplicities == ham.multiplicities
    assert back.block_labels == ham.block_labels


def test_rounding_of_text_keeps_a_pair_and_a_splitting_does_not():
    ham = doubled(single_model())
    noise = np.random.default_rng(1).uniform(-3e-5, 3e-5, ham.energies.shape)
    assert dataclasses.replace(ham, energies=ham.energies + noise).with_blocks().multiplicities == (2, 2)
    split = ham.energies + np.array([0, 2e-4, 0, 2e-4])
    assert dataclasses.replace(ham, energies=split).with_blocks().multiplicities == ()
    assert dataclasses.replace(ham, energies=split).with_blocks(1e-3).multiplicities == (2, 2)


def test_overlaps_find_pairs_that_text_split():
    """Energies of three digits, each state rounded for itself: what mixes them is a basis of a pair, a state of its own is not."""
    double = doubled(single_model(3))
    noise = np.random.default_rng(2).uniform(-1e-3, 1e-3, double.energies.shape)
    noisy = np.round(double.energies + noise, 3)
    turned = dataclasses.replace(rotated(double, 4), energies=noisy)
    assert turned.with_blocks().multiplicities == (2, 2, 2)
    assert_allclose(mixed_shares(turned.overlaps)[::2], 0.5, atol=0.15)
    fixed = dataclasses.replace(double, energies=noisy)  # as apart, and each state by itself
    assert fixed.with_blocks().multiplicities == ()
    far = dataclasses.replace(turned, energies=noisy + 0.02 * (np.arange(6) % 2))
    assert far.with_blocks().multiplicities == ()
    found = derive_couplings(turned.with_blocks())
    assert_allclose(np.abs(found.coupling((0, 1))), np.abs(derive_couplings(single_model(3)).coupling()), atol=1e-9)


def test_without_degeneracy_nothing_changes():
    single = derive_couplings(single_model(3))
    assert single.with_blocks() is single
    assert single.merged() is single
    assert single.blocks == (slice(0, 1), slice(1, 2), slice(2, 3))
    assert single.block_labels == single.state_labels
    assert single.block_energies is single.energies
    assert not single.is_degenerate


@pytest.mark.parametrize("seed", [None, 1])
def test_a_doubled_model_merges_to_the_single_one(seed):
    """Sum over final states, mean over initial ones: the factor between Kramers pairs doubled by time reversal is one."""
    single = derive_couplings(single_model(3))
    double = derive_couplings(doubled(single_model(3), seed).with_blocks())
    merged = double.merged()
    assert_allclose(merged.energies, single.energies, atol=1e-14)
    sign = np.sign((merged.nac * single.nac).sum(axis=0))
    np.fill_diagonal(sign, 1)
    assert_allclose(merged.nac * sign, single.nac, atol=1e-12)
    assert sign[0, 1] * sign[1, 2] * sign[0, 2] == 1  # a choice of signs of states, not of couplings
    assert merged.n_occupied == 1
    pair = double.coupling((0, 1))
    assert_allclose(pair * np.sign(pair @ single.nac[:, 0, 1]), single.nac[:, 0, 1], atol=1e-12)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_block_norms_are_invariant(seed):
    ham = general_pairs(3)
    plain = derive_couplings(ham.with_blocks())
    turned = derive_couplings(rotated(ham, seed).with_blocks())
    assert_allclose(np.abs(turned.merged().nac), np.abs(plain.merged().nac), atol=1e-13)
    # not only the norm: one rotation of each pair, that of frame 0, is all that is left
    spectra = [np.linalg.eigvalsh(-1j * each.nac) for each in (plain, turned)]
    assert_allclose(spectra[0], spectra[1], atol=1e-12)


def test_rotated_overlaps_come_out_smooth():
    ham = general_pairs(2, n_frames=400)
    rough = rotated(ham, 3)
    raw = rough.overlaps[:, :2, 2:] - rough.overlaps[:, 2:, :2].conj().swapaxes(1, 2)
    before = lag_one(np.linalg.norm(raw, axis=(1, 2)))
    norms = [np.abs(derive_couplings(each.with_blocks()).coupling((0, 1))) for each in (ham, rough)]
    assert_allclose(lag_one(norms[1]), lag_one(norms[0]), rtol=1e-9)
    assert lag_one(norms[1]) > 0.85
    assert before < 0.5
    found = diagnose_overlaps(rough.with_blocks())
    assert found.autocorrelation > 0.99
    assert found.autocorrelation_raw < 0.97
    assert found.flips == 399
    assert found.crossings == ()


def crossing(seed=None):
    """Two pairs that exchange their characters within step 2, in energy order, and a third that stands aside."""
    overlaps = np.broadcast_to(np.eye(6, dtype=complex), (6, 6, 6)).copy()
    angle = 0.48 * np.pi
    block = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    overlaps[2, :4, :4] = np.kron(block, np.eye(2))
    energies = np.repeat(np.array([[0.0, 0.05, 2.0]] * 7), 2, axis=1)
    ham = hamiltonian(energies, overlaps, n_occupied=4)
    return ham if seed is None else rotated(ham, seed)


@pytest.mark.parametrize("seed", [None, 0, 1])
@pytest.mark.parametrize("tracking", ["energy", "trivial"])
def test_a_crossing_of_pairs_is_followed_as_one_of_states(seed, tracking):
    ham = crossing(seed).with_blocks()
    result = derive_couplings(ham, tracking=tracking)
    turned = np.abs(result.coupling((0, 1))) / HBAR
    expected = 0.48 * np.pi if tracking == "energy" else 0.02 * np.pi
    assert_allclose(turned[2], expected, atol=1e-9)
    assert_allclose(np.delete(turned, 2), 0, atol=1e-12)
    if tracking == "trivial":
        assert_allclose(result.energies[3:, 0], 0.05)
    found = diagnose_overlaps(ham)
    assert [each.states for each in found.crossings] == [("VBM-1 pair", "VBM pair")]
    log = coupling_log(ham)
    assert log[2].swapped == ("VBM-1 pair", "VBM pair")
    assert len({line.count(",") for line in log_to_csv(log).splitlines()}) == 1


def test_explicit_groups_and_blocks_give_the_same():
    ham = rotated(general_pairs(2), 5)
    by_groups = derive_couplings(ham, degenerate=[(0, 1), (2, 3)])
    by_blocks = derive_couplings(ham.with_blocks())
    assert_allclose(by_groups.nac, by_blocks.nac, atol=1e-12)
    aligned = align_degenerate(ham.overlaps, [(0, 1), (2, 3)])
    for block in (aligned[:, :2, :2], aligned[:, 2:, 2:]):
        assert_allclose(block, block.conj().swapaxes(1, 2), atol=1e-12)
        assert np.linalg.eigvalsh(block).min() > 0.9


def test_bad_input_is_one_sentence():
    ham = doubled(single_model(3)).with_blocks()
    with pytest.raises(InputError, match=r"must not cut degenerate states, but of 2, 3 .* Name all of them"):
        ham.select([3, 4])
    with pytest.raises(InputError, match=r"must not split degenerate states, but 3 lies among 2, 3 .* Give 2 or 4"):
        dataclasses.replace(ham, n_occupied=3)
    with pytest.raises(InputError, match="must add up to the 4 states"):
        VibronicHamiltonian(np.zeros((3, 4)), np.zeros((2, 4, 4)), 1.0, multiplicities=(2, 1))
    with pytest.raises(InputError, match="Block 3 must lie between 0 and 2"):
        ham.gap((0, 3))


def test_norms_of_unaligned_couplings_have_no_sign():
    """Couplings without overlaps in a new basis at each step: only the norm means anything."""
    plain = derive_couplings(doubled(single_model()).with_blocks())
    turned = plain.nac.astype(complex)
    turns = rotations(plain.n_steps, 2, 7)
    turned = turns.conj().swapaxes(1, 2) @ turned @ turns
    ham = dataclasses.replace(plain, nac=turned, overlaps=None)
    assert_allclose(ham.coupling((0, 1)), np.abs(plain.coupling((0, 1))), atol=1e-13)
    assert plain.coupling((0, 1)).min() < 0

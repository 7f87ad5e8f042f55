"""The log of couplings says what was done at which step; real overlaps come back through another code's files."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import hopcast as hc
from hopcast.couplings import coupling_log, log_to_csv, summary


def test_log_names_turned_swapped_and_shrunk_states():
    swap = np.array([[0, 1, 0], [-1, 0, 0], [0, 0, 1.0]])
    overlaps = np.stack([np.eye(3), np.diag([1, -1, 1.0]), swap, 0.8 * np.eye(3)])
    ham = hc.VibronicHamiltonian(
        np.arange(15.0).reshape(5, 3), np.full((4, 3, 3), np.nan), 1.0, overlaps=overlaps, state_labels=("a", "b", "c")
    )
    log = coupling_log(ham)
    assert [entry.turned for entry in log][:2] == [(), ("b",)]
    assert [entry.negative for entry in log][:2] == [(), ("b",)]
    assert [entry.swapped for entry in log] == [(), (), ("a", "b"), ()]
    assert [entry.moved for entry in log] == [()] * 4
    assert [entry.weak for entry in log] == [False, False, True, False]
    assert_allclose([entry.deviation for entry in log], [0, 0, 0, 0.36], atol=1e-12)
    assert {entry.derivative for entry in coupling_log(ham, derivative="difference")} == {"difference"}
    followed = coupling_log(ham, tracking="trivial")
    assert [entry.moved for entry in followed] == [(), (), ("a", "b"), ("a", "b")]
    assert not any(entry.weak for entry in followed)
    table = log_to_csv(log, first=5, timestep=2.0).splitlines()
    assert table[0] == "step,frame,time_fs,deviation,swapped,moved,turned,negative,weak,derivative,doubtful"
    assert table[2] == "1,6,3,0.000e+00,,,b,b,0,log,0"
    assert "signs turned at" in summary(log)
    assert "states swap at 1" in summary(log)
    with pytest.raises(hc.InputError, match="has only couplings"):
        coupling_log(hc.VibronicHamiltonian(ham.energies, np.zeros((4, 3, 3)), 1.0))


def test_an_undetermined_rotation_is_logged_with_its_difference():
    half = np.array([[0, 1.0], [1, 0]])  # det -1: no sign pattern of two states but one
    overlaps = np.stack([np.eye(2), half @ np.diag([1.0, 1.0]), np.eye(2)])
    ham = hc.VibronicHamiltonian(np.arange(8.0).reshape(4, 2), np.full((3, 2, 2), np.nan), 1.0, overlaps=overlaps)
    assert not any(entry.doubtful for entry in coupling_log(ham))  # a turned sign makes it a quarter turn
    third = (
        np.array([[-1, 2, 2], [2, -1, 2], [2, 2, -1.0]]) / 3
    )  # half a turn about (1, 1, 1), however its states are signed
    ham = hc.VibronicHamiltonian(np.arange(6.0).reshape(2, 3), np.full((1, 3, 3), np.nan), 1.0, overlaps=third[None])
    (entry,) = coupling_log(ham)
    nac = hc.derive_couplings(ham).nac[0]
    difference = hc.derive_couplings(ham, derivative="difference").nac[0]
    assert entry.derivative == ("difference" if entry.doubtful else "log")
    assert entry.doubtful == np.allclose(nac, difference)


def test_the_difference_of_orthonormalised_overlaps():
    """Overlaps that are 0.8 of a rotation: only orthonormalisation gives the angle's sine back."""
    angle = 0.3
    overlap = 0.8 * np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    ham = hc.VibronicHamiltonian(
        np.arange(4.0).reshape(2, 2), np.full((1, 2, 2), np.nan), 0.6582119569, overlaps=overlap[None]
    )
    raw, clean = (
        hc.derive_couplings(ham, derivative="difference", orthonormalise=flag).coupling()[0] for flag in (False, True)
    )
    assert raw == pytest.approx(0.8 * np.sin(angle))
    assert clean == pytest.approx(np.sin(angle))
    assert hc.derive_couplings(ham).coupling()[0] == pytest.approx(angle)


def test_followed_states_are_followed_once(tmp_path):
    """Energies and overlaps move together, so that couplings derived again from the result are the same."""
    raw = hc.load("cspbi3").hamiltonian[:240]
    once = hc.derive_couplings(raw, tracking="trivial")
    assert not np.allclose(once.energies, raw.energies)
    again = hc.derive_couplings(once)
    assert_allclose(again.nac, once.nac, atol=1e-12)
    assert again.provenance["tracking"] == "trivial"
    assert not hc.diagnose_overlaps(once).crossings


def test_raw_overlaps_of_the_shipped_data_through_libra(tmp_path):
    """Unphased overlaps written and read as another code's give the couplings of the first study."""
    whole = hc.load("cspbi3").hamiltonian
    short = whole[:40]
    hc.write_hamiltonian(short, tmp_path, format="libra-npz")
    raw = hc.read_hamiltonian(tmp_path, timestep=whole.timestep, n_occupied=whole.n_occupied)
    assert not raw.nac_known.any()
    assert hc.diagnose_overlaps(raw).flips > 10
    assert_allclose(hc.derive_couplings(raw).nac, short.nac, atol=1e-10)

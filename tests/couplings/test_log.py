"""The log of couplings says what was done at which step; real overlaps come back through another code's files."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import hopcast as hc
from hopcast.couplings import coupling_log, log_to_csv


def test_log_names_turned_swapped_and_shrunk_states():
    swap = np.array([[0, 1, 0], [-1, 0, 0], [0, 0, 1.0]])
    overlaps = np.stack([np.eye(3), np.diag([1, -1, 1.0]), swap, 0.8 * np.eye(3)])
    ham = hc.VibronicHamiltonian(
        np.arange(15.0).reshape(5, 3),
        np.full((4, 3, 3), np.nan),
        1.0,
        overlaps=overlaps,
        state_labels=("a", "b", "c"),
    )
    log = coupling_log(ham)
    assert [entry.turned for entry in log][:2] == [(), ("b",)]
    assert [entry.swapped for entry in log] == [(), (), ("a", "b"), ()]
    assert [entry.weak for entry in log] == [False, False, True, False]
    assert_allclose([entry.deviation for entry in log], [0, 0, 0, 0.36], atol=1e-12)
    assert log_to_csv(log).splitlines()[2] == "1,b,,0,0.000e+00"
    with pytest.raises(hc.InputError, match="has only couplings"):
        coupling_log(hc.VibronicHamiltonian(ham.energies, np.zeros((4, 3, 3)), 1.0))


def test_raw_overlaps_of_the_shipped_data_through_libra(tmp_path):
    """Unphased overlaps written and read as another code's give the couplings of the first study."""
    whole = hc.load("cspbi3").hamiltonian
    short = whole[:40]
    hc.write_hamiltonian(short, tmp_path, format="libra-npz")
    raw = hc.read_hamiltonian(tmp_path, timestep=whole.timestep, n_occupied=whole.n_occupied)
    assert not raw.nac_known.any()
    assert hc.diagnose_overlaps(raw).flips > 10
    assert_allclose(hc.derive_couplings(raw).nac, short.nac, atol=1e-10)

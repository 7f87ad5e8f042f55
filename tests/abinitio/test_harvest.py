"""Finished calculations become a sparse Hamiltonian; what is missing has a reason."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

import hopcast as hc
from hopcast.abinitio import harvest_pairs, harvest_runs, make_engine, write_plan
from hopcast.abinitio.cp2k_input import Cp2kSettings
from hopcast.core.errors import InputError
from hopcast.io import write_hamiltonian

CONVERGED = "  *** SCF run converged in 11 steps ***\n PROGRAM ENDED AT 2024"


def make_trajectory(n_frames=30):
    start = np.array([[0.1, 0.2, 0.3], [0.85, 0.2, 0.3]])
    drift = 0.02 * np.arange(n_frames)[:, None, None] * np.array([[0, 0, 0], [0.5, 0.2, 0]])
    return hc.Trajectory(start + drift, np.eye(3) * 8.0, np.array([1, 1]), 2.0)


def restart_writer():
    # tests are modules by path here: the writer stands beside its own tests
    place = Path(__file__).with_name("test_cp2k_files.py")
    spec = importlib.util.spec_from_file_location("cp2k_files_tests", place)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.write_restart


@pytest.fixture
def plan(tmp_path):
    return write_plan(tmp_path / "plan", make_trajectory(), [2, 10, 20], strategy="by hand")


@pytest.mark.parametrize(("code", "file"), [("canac", "CAnac_hopcast_re.txt"), ("hefei", "NATXT_RE")])
def test_couplings_of_a_nac_code_are_collected_pair_by_pair(plan, code, file):
    rng = np.random.default_rng(0)
    for pair in (2, 20):
        energies = np.sort(rng.normal(size=(2, 3)), axis=1)
        d = np.zeros((1, 3, 3))
        d[0, 0, 1], d[0, 1, 0] = 0.01 * pair, -0.01 * pair
        part = hc.VibronicHamiltonian(energies, d, 2.0)
        write_hamiltonian(part, plan.folder / "pairs" / f"{pair:06d}", format=code)
    found = harvest_pairs(plan.folder, n_occupied=2)
    assert found.missing == {10: "there is nothing in its folder"}
    ham = found.hamiltonian
    assert list(np.flatnonzero(ham.nac_known)) == [2, 20]
    assert list(np.flatnonzero(ham.energy_known)) == [2, 3, 20, 21]
    assert ham.nac[20, 0, 1] == pytest.approx(0.2, rel=1e-5)
    assert ham.n_occupied == 2
    assert "2 of 3 pairs" in ham.provenance["harvest"]
    (plan.folder / "pairs" / "000020" / file).write_text("1 2\n")
    assert file.partition(".")[0] in harvest_pairs(plan.folder).missing[20]


def test_nothing_to_harvest_says_why(plan):
    with pytest.raises(InputError, match=r"no pair that can be read.*nothing in its folder"):
        harvest_pairs(plan.folder)


def test_cp2k_runs_are_collected_and_failed_ones_listed(plan, tmp_path, monkeypatch):
    pytest.importorskip("pyscf", reason="needs pyscf: pip install 'hopcast[cp2k]'")
    from scipy.linalg import eigh

    write_restart = restart_writer()

    (tmp_path / "BASIS_MOLOPT").write_text("H ONE ONE-q1\n 1\n 1 0 0 2 2\n  0.8 1.0 0.0\n 0.3 0.0 1.0\n")
    monkeypatch.setenv("CP2K_DATA_DIR", str(tmp_path))
    engine = make_engine("cp2k", bands=(1, 1), settings=Cp2kSettings(basis="ONE"))
    with pytest.raises(InputError, match=r"no finished calculation .frame 2: there is no output"):
        harvest_runs(plan.folder, engine)
    for frame in (2, 3, 10, 20, 21):
        place = plan.folder / "frames" / f"{frame:06d}"
        place.mkdir(parents=True)
        overlap = engine._integrals(plan.geometry(frame), plan.geometry(frame))
        energies, orbitals = eigh(-overlap @ np.diag([1.0, 0.3, 0.9, 0.2]) @ overlap, overlap)
        write_restart(place / "frame-RESTART.wfn", orbitals, energies, momenta=((0, 0), (0, 0)))
        (place / "frame.out").write_text(CONVERGED)
    wave = plan.folder / "frames" / "000021" / "frame-RESTART.wfn"
    wave.write_bytes(wave.read_bytes()[:60])
    (plan.folder / "frames" / "000010" / "frame.out").write_text(CONVERGED.replace("converged", "NOT converged"))
    found = harvest_runs(plan.folder, engine)
    assert set(found.missing) == {10, 11, 21}
    assert "did not converge" in found.missing[10]
    assert "there is no output" in found.missing[11]
    assert "cut short" in found.missing[21]
    ham = found.hamiltonian
    assert list(np.flatnonzero(ham.nac_known)) == [2]
    assert list(np.flatnonzero(ham.energy_known)) == [2, 3, 20]
    assert np.abs(np.diag(ham.overlaps[2])).min() > 0.99

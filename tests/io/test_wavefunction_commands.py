"""From folders of wavefunctions to a Hamiltonian and a report, by commands."""

import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from typer.testing import CliRunner

import hopcast as hc
from hopcast.cli.app import app
from hopcast.dynamics import run_channels
from hopcast.io import write_native
from hopcast.study import read_config
from hopcast.study.inputs import read_data

sys.path.insert(0, str(Path(__file__).parent))
import plane_wave_files as files


def run(*words):
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == 0, f"{result.output}{result.exception}"
    return result.output


def nuclei(n_frames, **options):
    places = np.array([files.atoms_at(time) @ files.CELL for time in range(n_frames)])
    return hc.Trajectory(places, files.CELL, np.array([14, 32]), 1.0, **options)


def vasp_run(folder, numbers, **options):
    for number in numbers:
        one = files.channel(float(number), n_occupied=2, **options)
        files.write_wavecar(folder / f"{number:05d}" / "WAVECAR", [[one]], half="z" if options.get("real") else None)
        files.write_poscar(folder / f"{number:05d}" / "POSCAR", float(number))


def test_folders_become_one_file(tmp_path):
    vasp_run(tmp_path / "run", range(5), real=True)
    output = run("convert", tmp_path / "run", tmp_path / "states.h5", "--bands", "0:6", "--timestep", "1")
    assert "format vasp-wavecar" in output
    assert "bands 0:6 from 0, 1 to 6 of 8 as the code counts" in output
    assert "norm lost VBM-1 0.0%" in output
    assert "an approximation" in output
    assert "(poscars): " in output
    ham, trajectory = hc.read_hamiltonian(tmp_path / "states.h5"), hc.read_trajectory(tmp_path / "states.h5")
    assert (ham.n_states, ham.n_occupied, ham.is_complete) == (6, 2, True)
    assert_allclose(trajectory.positions, nuclei(5).positions, atol=1e-12)
    # five frames of a gap that hardly moves: the dephasing is judged bad, the overlaps good
    checked = CliRunner().invoke(app, ["check", str(tmp_path / "states.h5")])
    assert "GOOD    swaps: States stay in order" in checked.output


def test_bands_that_are_written_wrongly(tmp_path):
    vasp_run(tmp_path / "run", range(2))
    for words in ("6:0", "1-4", "all"):
        result = CliRunner().invoke(app, ["convert", str(tmp_path / "run"), str(tmp_path / "s.h5"), "--bands", words])
        assert isinstance(result.exception, hc.ConfigError)
        assert "must be like 60:76" in str(result.exception)
    result = CliRunner().invoke(app, ["convert", str(tmp_path / "run"), str(tmp_path / "s.h5"), "--kpoint", "gamma"])
    assert "must be a number from 0" in str(result.exception)
    assert not (tmp_path / "s.h5").exists()


def test_every_kpoint_is_a_hamiltonian(tmp_path):
    kpoints = ((0, 0, 0), (0.25, 0, 0))
    for number in range(3):
        channels = [files.channel(float(number), n_occupied=2, kpoint=k) for k in kpoints]
        files.write_wavecar(tmp_path / "run" / str(number) / "WAVECAR", [channels])
    run("convert", tmp_path / "run", tmp_path / "s.h5", "--timestep", "1", "--kpoint", "all")
    hams = [hc.read_hamiltonian(tmp_path / f"s-k{k}.h5") for k in (0, 1)]
    assert_allclose(hams[1].energies, [files.channel(float(t), kpoint=kpoints[1]).energies for t in range(3)])
    assert np.iscomplexobj(hams[1].nac)
    assert np.abs(hams[0].energies - hams[1].energies).max() > 0.1
    assert "k-point 1 (0.25 0 0)" in hams[1].provenance["channel"]


IBZKPT = """Automatically generated mesh
       3
Reciprocal lattice
    0.00000000000000    0.00000000000000    0.00000000000000             1
    0.25000000000000    0.00000000000000    0.00000000000000             6
    0.50000000000000    0.00000000000000    0.00000000000000             1
Tetrahedra
    1    0.00520833333333
"""


@pytest.mark.parametrize("source", ["EIGENVAL", "IBZKPT", "data-file-schema.xml", "nothing"])
def test_weights_of_kpoints_are_read_and_average(tmp_path, source):
    """VASP's EIGENVAL (shares) or IBZKPT (multiplicities) beside the WAVECAR, `k_point weight` of pw.x; all alike where nothing says it."""
    kpoints, weights = ((0, 0, 0), (0.25, 0, 0)), (0.125, 0.75)
    for number in range(3):
        channels = [files.channel(float(number), n_occupied=2, kpoint=k) for k in kpoints]
        place = tmp_path / "run" / str(number)
        if source == "data-file-schema.xml":
            files.write_save(place / "si.save", [channels], time=float(number), weights=weights)
            continue
        files.write_wavecar(place / "WAVECAR", [channels])
        if source == "EIGENVAL":
            files.write_eigenval(place / "EIGENVAL", [channels], weights)
    if source == "IBZKPT":
        (tmp_path / "run" / "IBZKPT").write_text(IBZKPT)
    run("convert", tmp_path / "run", tmp_path / "s.h5", "--timestep", "1", "--kpoint", "all")
    hams = [hc.read_hamiltonian(tmp_path / f"s-k{k}.h5").select([1, 2]) for k in (0, 1)]
    options = {"method": "exact", "dephasing_time": 8.0, "duration": 10.0, "n_times": 5, "substeps": 200}
    found = run_channels(hams, **options)
    assert_allclose(found.weights, [0.5, 0.5] if source == "nothing" else [1 / 7, 6 / 7])
    given = run_channels(hams, weights=[1, 1], **options)
    assert_allclose(given.weights, [0.5, 0.5])


def test_spinors_and_their_blocks(tmp_path):
    for number in range(4):
        one = files.channel(float(number), n_occupied=4, n_bands=12, spinor=True)
        files.write_wavecar(tmp_path / "run" / str(number) / "WAVECAR", [[one]], double=True)
    run("convert", tmp_path / "run", tmp_path / "s.h5", "--timestep", "1", "--bands", "2:8")
    ham = hc.read_hamiltonian(tmp_path / "s.h5")
    assert np.iscomplexobj(ham.nac)
    # two bands each, whatever mixture of them a code writes: what couples two pairs is their singular values
    for number in range(4):
        one = files.channel(float(number), n_occupied=4, n_bands=12, spinor=True, seed=9)
        files.write_wavecar(tmp_path / "other" / str(number) / "WAVECAR", [[one]], double=True)
    run("convert", tmp_path / "other", tmp_path / "o.h5", "--timestep", "1", "--bands", "2:8")
    other = hc.read_hamiltonian(tmp_path / "o.h5")
    for step in range(3):
        blocks = [np.linalg.svd(each.nac[step][:2, 2:4], compute_uv=False) for each in (ham, other)]
        assert_allclose(blocks[0], blocks[1], atol=1e-8)
        assert blocks[0].max() > 1e-5


@pytest.mark.parametrize("first_number", [0, 1])
def test_pairs_are_placed_in_their_trajectory(tmp_path, first_number):
    """Folders count from 0, the trajectory from 0 or from 1: the atoms say which frames they are."""
    vasp_run(tmp_path / "run", (3, 4, 7, 8), real=True)
    write_native(tmp_path / "md.h5", trajectory=nuclei(12, frame_numbers=first_number + np.arange(12)))
    output = run("convert", tmp_path / "run", tmp_path / "s.h5", "--timestep", "1", "--trajectory", tmp_path / "md.h5")
    assert "Frames 3 to 8 are frames 3 to 8 of the trajectory, from 0 (by the atoms in their folders)." in output
    ham = hc.read_hamiltonian(tmp_path / "s.h5")
    assert ham.n_frames == 12
    assert_array_equal(np.flatnonzero(ham.nac_known), [3, 7])
    moved = hc.Trajectory(nuclei(12).positions + 0.3, files.CELL, np.array([14, 32]), 1.0)
    write_native(tmp_path / "other.h5", trajectory=moved)
    result = CliRunner().invoke(
        app,
        [
            "convert",
            str(tmp_path / "run"),
            str(tmp_path / "t.h5"),
            "--timestep",
            "1",
            "--trajectory",
            str(tmp_path / "other.h5"),
        ],
    )
    assert isinstance(result.exception, hc.InputError)
    assert "must be those of frame 3 of the trajectory, counted from 0 or from 1, but are up to 0.52 Å away" in str(
        result.exception
    )


def test_a_study_reads_the_folders_themselves(tmp_path):
    vasp_run(tmp_path / "run", range(5), real=True)
    (tmp_path / "study.toml").write_text('[data]\ntrajectory = "run"\nhamiltonian = "run"\ntimestep = 1.0\n')
    data = read_data(read_config(tmp_path / "study.toml"))
    assert data.hamiltonian.state_labels == ("VBM", "CBM")
    assert_allclose(data.trajectory.positions, nuclei(5).positions, atol=1e-12)
    whole = hc.derive_couplings(hc.read_hamiltonian(tmp_path / "run", timestep=1.0)).frontier()
    assert_array_equal(np.abs(data.hamiltonian.nac), np.abs(whole.nac))


def test_a_study_from_a_folder_of_pairs(tmp_path):
    """`hopcast run` on what VASP left: the lifetime is that of the Hamiltonian which the plane waves were made from."""
    n_frames = 200
    pairs = np.arange(2, n_frames - 1, 5)
    wanted = np.union1d(pairs, pairs + 1)
    vasp_run(tmp_path / "run", wanted, real=True, n_bands=4)
    write_native(tmp_path / "md.h5", trajectory=nuclei(n_frames))
    run(
        "convert",
        tmp_path / "run",
        tmp_path / "states.h5",
        "--bands",
        "1:3",
        "--timestep",
        "1",
        "--trajectory",
        tmp_path / "md.h5",
    )
    (tmp_path / "study.toml").write_text(
        'title = "two atoms in plane waves"\n[data]\ntrajectory = "states.h5"\nhamiltonian = "states.h5"\n'
        '[features]\nmode = "default"\n[samples]\ncandidates = false\nn_folds = 4\nblock = 60.0\n[information]\nn_select = 2\n'
        "[models]\npurge = 10.0\nn_shifts = 4\n[dynamics]\nduration = 1e6\nn_times = 50\n"
        '[evaluation]\nprofile = "quick"\nn_rate_samples = 3\n[checks]\nn_seeds = 2\nn_trajectories = 50\n'
    )
    run("run", tmp_path / "study.toml", "--output", tmp_path / "out")
    assert "plane waves" in (tmp_path / "out" / "report.html").read_text()
    with h5py.File(tmp_path / "states.h5") as file:
        couplings = np.abs(file["hamiltonian/nac"][:, 0, 1])
    expected = []
    for pair in pairs:
        left, right = (files.channel(float(t), n_bands=4, real=True) for t in (pair, pair + 1))
        overlap = files.direct_overlaps(left, right).real[1:3, 1:3]
        overlap = overlap * np.sign(np.diag(overlap))
        expected.append(0.6582119569 * abs(overlap[0, 1] - overlap[1, 0]) / 2)
    assert_allclose(couplings[pairs], expected, rtol=2e-3, atol=1e-6)
    assert np.isnan(np.delete(couplings, pairs)).all()

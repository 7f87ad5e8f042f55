import json
import re
import sys

import h5py
import numpy as np
import pytest

import hopcast as hc
from hopcast.cli.app import main
from hopcast.core import VibronicHamiltonian
from hopcast.core.units import FS_PER_NS
from hopcast.dynamics import dephasing_matrix, hole_hamiltonian


@pytest.fixture
def source(ladder, tmp_path, monkeypatch):
    """A Hamiltonian on disk, and the command to run on it: returns the exit code."""
    ladder(n_states=4).write(tmp_path / "ham.h5")
    monkeypatch.chdir(tmp_path)

    def command(*words: str) -> int:
        monkeypatch.setattr(sys, "argv", ["hopcast", "dynamics", *words])
        with pytest.raises(SystemExit) as stop:
            main()
        return int(stop.value.code or 0)

    return command


RUN = (
    "ham.h5",
    "--states",
    "1-3",
    "--duration",
    "2000",
    "--trajectories",
    "30",
    "--every",
    "20",
    "--dephasing",
    "8",
    "-j",
    "1",
)


def test_results_of_a_run(source, tmp_path, capsys) -> None:
    assert source(*RUN, "-o", "out", "--carrier", "hole", "--initial-state", "1") == 0
    printed = capsys.readouterr().out
    assert "hole, 3 states" in printed
    record = json.loads((tmp_path / "out/results.json").read_text())
    assert record["states"] == ["3", "2", "1"]
    assert record["initial_state"] == "1"
    assert record["lifetime"]["unit"] == "ns"
    with h5py.File(tmp_path / "out/dynamics.h5") as file:
        populations = file["dynamics/populations"][()]
        assert file["dynamics/times"].attrs["unit"] == "fs"
    np.testing.assert_allclose(populations[-1], record["final_populations"])
    np.testing.assert_allclose(populations.sum(axis=1), 1)
    lines = (tmp_path / "out/recombined.csv").read_text().splitlines()
    assert lines[0] == "time [fs],3,2,1"
    recombined = np.array([[float(word) for word in line.split(",")] for line in lines[1:]])[:, 1:]
    np.testing.assert_allclose(recombined.sum(axis=1), populations[:, 0], atol=1e-14)
    np.testing.assert_allclose(recombined[-1], record["recombined"])
    assert (tmp_path / "out/populations.svg").stat().st_size > 1000
    assert (tmp_path / "out/populations.png").stat().st_size > 1000
    assert not (tmp_path / "out/checkpoint").exists()
    # the same numbers again: replaced or resumed
    assert source(*RUN, "-o", "out") == 2
    assert "`out` exists and is not empty. Choose another name, or continue with --resume" in capsys.readouterr().err
    assert source(*RUN, "-o", "out", "--carrier", "hole", "--overwrite") == 0
    again = json.loads((tmp_path / "out/results.json").read_text())
    assert again["final_populations"] == record["final_populations"]


def test_conventions_and_scissor(source, ladder, tmp_path, capsys) -> None:
    ladder(n_states=2, spacing=0.5, scale=0.01).write(tmp_path / "two.h5")
    common = ("two.h5", "--duration", "2000", "--trajectories", "20", "--every", "20", "-j", "1")
    assert source(*common, "--compare", "-o", "a") == 0
    assert "longest over shortest lifetime" in capsys.readouterr().out
    assert len(json.loads((tmp_path / "a/results.json").read_text())["comparison"]["rows"]) == 24
    assert source(*common, "-m", "exact", "-o", "b") == 0
    assert source(*common, "-m", "exact", "--scissor", "1.0", "-o", "c") == 0
    b, c = (json.loads((tmp_path / name / "results.json").read_text())["rate"]["value"] for name in "bc")
    assert 0 < c < 0.5 * b < FS_PER_NS


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("nowhere.h5",), 3, "does not exist"),
        (("ham.h5", "--states", "1-9"), 3, "--states must name states .* but holds `9`"),
        (
            ("ham.h5", "--states", "0,1", "--initial-state", "7"),
            3,
            "--initial-state must be one of 0, 1, or thermal, but is `7`",
        ),
        (("ham.h5", "--states", "0,1", "-m", "fsshh"), 2, "Did you mean `fssh`"),
        (("ham.h5", "--states", "0-2", "-m", "exact"), 2, "`exact` needs two states"),
        (("ham.h5", "--states", "0"), 3, "at least two states"),
        (("ham.h5", "--states", "0,1", "--every", "0"), 2, "--every must be at least 1"),
        (("ham.h5", "--states", "0,1", "--dephasing", "x"), 3, "`x` is neither"),
        (("ham.h5", "--states", "0,1", "--dephasing", "times.txt"), 3, "`dephasing_time` must be symmetric"),
        (("ham.h5", "--states", "0,1", "--temperature", "-3"), 3, "`--temperature` must be positive"),
        (("ham.h5", "--states", "0,1", "--no-loop", "--duration", "1000"), 3, "must not exceed the 60 fs"),
        (("ham.h5", "--states", "0,1", "--resume", "--overwrite"), 2, "exclude each other"),
    ],
)
def test_mistakes_are_one_sentence(source, tmp_path, capsys, words, code, message) -> None:
    (tmp_path / "times.txt").write_text("0 5\n6 0\n")
    assert source(*words, "-o", "out") == code
    error = capsys.readouterr().err
    assert error.startswith("hopcast: ")
    assert "Traceback" not in error
    assert re.search(message, error), error


def test_bands_that_leak_are_named(ladder) -> None:
    from hopcast.core import QualityWarning
    from hopcast.dynamics import warn_leaking

    ham = ladder(n_states=3)
    overlaps = np.tile(np.eye(3), (60, 1, 1))
    overlaps[7, 2, 2] = 0.5
    whole = VibronicHamiltonian(
        energies=ham.energies, nac=ham.nac, timestep=1.0, overlaps=overlaps, state_labels=("a", "b", "c")
    )
    with pytest.warns(QualityWarning, match=r"States c \(0\.50\) leave the window"):
        assert warn_leaking(whole, [1, 2]) == ("c",)
    assert warn_leaking(whole, [0, 1]) == ()
    assert warn_leaking(ham, [0, 1, 2]) == ()


def _populations(folder):
    with h5py.File(folder / "dynamics.h5") as file:
        return file["dynamics/populations"][()]


def _times_of(n: int) -> np.ndarray:
    """Dephasing times that tell which pair they are of."""
    times = np.zeros((n, n))
    for i in range(n):
        for j in range(i):
            times[i, j] = times[j, i] = 4.0 + 3 * i + 10 * j
    return times


@pytest.mark.parametrize("carrier", ["electron", "hole"])
def test_times_of_a_file_are_those_of_the_states_of_the_hamiltonian(source, tmp_path, carrier) -> None:
    """Whatever the carrier: the same numbers as from Python, by pair of names."""
    ham, times = hc.read_hamiltonian("ham.h5"), _times_of(4)
    np.savetxt("DEPHTIME", times)
    np.savetxt("part.txt", times[1:, 1:])
    np.savetxt("decoherence_rates_icond0.txt", np.divide(1, times, where=times > 0, out=np.zeros_like(times)))
    common = ("ham.h5", "--states", "1-3", "--duration", "60", "--trajectories", "30", "--every", "20", "-j", "1")
    for number, file in enumerate(("DEPHTIME", "part.txt", "decoherence_rates_icond0.txt")):
        assert source(*common, "--carrier", carrier, "--dephasing", file, "-o", f"o{number}") == 0
    chosen = ham.select([1, 2, 3])
    expected = hc.run_dynamics(
        hole_hamiltonian(chosen) if carrier == "hole" else chosen,
        duration=60.0,
        n_trajectories=30,
        initial_state=2,
        initial_times=[0, 20, 40],
        dephasing_time=times[1:, 1:][::-1, ::-1] if carrier == "hole" else times[1:, 1:],
    )
    for number in range(3):
        np.testing.assert_array_equal(_populations(tmp_path / f"o{number}"), expected.populations)


def test_exported_times_give_the_same_run_as_those_of_the_data(source, tmp_path) -> None:
    np.savetxt("DEPHTIME", dephasing_matrix(hc.read_hamiltonian("ham.h5")))
    common = ("ham.h5", "--states", "1-3", "--duration", "60", "--trajectories", "30", "--every", "20", "-j", "1")
    for carrier in ("electron", "hole"):
        assert source(*common, "--carrier", carrier, "--dephasing", "DEPHTIME", "-o", f"file-{carrier}") == 0
        assert source(*common, "--carrier", carrier, "-o", f"data-{carrier}") == 0
        np.testing.assert_array_equal(
            _populations(tmp_path / f"file-{carrier}"), _populations(tmp_path / f"data-{carrier}")
        )


def test_dephasing_files_that_cannot_be_meant(source, capsys) -> None:
    np.savetxt("rates.txt", 0.05 * (1 - np.eye(4)))
    np.savetxt("six.txt", 5.0 * (1 - np.eye(6)))
    for name, message in (
        ("rates.txt", r"all are below 1 \(0.05 at most\), as rates"),
        ("six.txt", "for the 4 states of the Hamiltonian, or for the 2"),
    ):
        assert source("ham.h5", "--states", "1,2", "--dephasing", name, "-o", "out") == 3
        assert re.search(message, capsys.readouterr().err)


def test_an_inicon_names_steps_and_bands_from_one(source, tmp_path, capsys) -> None:
    """Its line "21 3" is frame 20 in the third band; lines repeat; for a hole, the same bands."""
    (tmp_path / "INICON").write_text("  1  4\n 21  3\n 21  4\n 21  4\n 41  3\n")
    common = ("ham.h5", "--states", "0-3", "--duration", "20", "--trajectories", "30", "--dephasing", "8", "-j", "1")
    assert source(*common, "--initial-times", "INICON", "-o", "a") == 0
    weights = [[0, 0, 0, 1], [0, 0, 1 / 3, 2 / 3], [0, 0, 1, 0]]
    options = {
        "duration": 20.0,
        "n_trajectories": 30,
        "dephasing_time": 8.0,
        "initial_times": [0, 20, 40],
        "initial_weights": [1, 3, 1],
    }
    ham = hc.read_hamiltonian("ham.h5")
    found = _populations(tmp_path / "a")
    np.testing.assert_array_equal(found, hc.run_dynamics(ham, initial_state=weights, **options).populations)
    np.testing.assert_allclose(found[0], [0, 0, 0.4, 0.6], atol=0.01)
    # bands of VASP: BMIN of `inp` is the first of the Hamiltonian
    (tmp_path / "vasp").mkdir()
    (tmp_path / "vasp/inp").write_text("&NAMDPARA\n BMIN = 62 ! first\n BMAX = 65\n/\n")
    (tmp_path / "vasp/INICON").write_text("1 65\n21 64\n21 65\n21 65\n41 64\n")
    assert source(*common, "--initial-times", "vasp/INICON", "-o", "b") == 0
    np.testing.assert_array_equal(_populations(tmp_path / "b"), found)
    # a hole in band 1 and 2, which it counts as 3 and 2
    (tmp_path / "INICON.hole").write_text("1 1\n21 2\n21 1\n21 1\n41 2\n")
    assert source(*common, "--initial-times", "INICON.hole", "--carrier", "hole", "-o", "c") == 0
    expected = hc.run_dynamics(ham, initial_state=weights, carrier="hole", **options).populations
    np.testing.assert_array_equal(_populations(tmp_path / "c"), expected)
    capsys.readouterr()
    for words, message in (
        (
            ("--initial-times", "INICON", "--states", "0,1"),
            "line 1 must start in one of the states 0, 1, but names band 4, which is state 3",
        ),
        (("--initial-times", "vasp/INICON", "--initial-state", "2"), "--initial-state must be left out"),
    ):
        assert source(*common, *words, "-o", "d") in (2, 3)
        assert message in capsys.readouterr().err
    (tmp_path / "starts").write_text("1 4\n21 3\n")
    assert source(*common, "--initial-times", "starts", "-o", "d") == 3
    assert "may be Hefei-NAMD's INICON" in capsys.readouterr().err
    (tmp_path / "starts").write_text("# frame weight\n0 1.0\n20 3.0\n")
    assert source(*common, "--initial-times", "starts", "-o", "d") == 0


def test_our_own_inicon_starts_where_it_says(source, tmp_path) -> None:
    from hopcast.io import write_initial_conditions

    write_initial_conditions(tmp_path / "INICON", [1, 31], [4, 4])
    common = ("ham.h5", "--states", "0-3", "--duration", "20", "--trajectories", "30", "--dephasing", "8", "-j", "1")
    assert source(*common, "--initial-times", "INICON", "-o", "a") == 0
    assert source(*common, "--initial-times", "0,30", "--initial-state", "3", "-o", "b") == 0
    np.testing.assert_array_equal(_populations(tmp_path / "a"), _populations(tmp_path / "b"))


def test_an_inicon_of_degenerate_bands(source, tmp_path) -> None:
    """Bands of a spinor calculation: partners are one, for a hole counted from the top."""
    from hopcast.cli.dynamics_inputs import read_initial_times

    ham = hc.read_hamiltonian("ham.h5")
    double = VibronicHamiltonian(
        np.repeat(ham.energies, 2, axis=1), np.zeros((ham.n_steps, 8, 8)), 1.0, multiplicities=(2, 2, 2, 2)
    )
    (tmp_path / "INICON").write_text("1 8\n1 7\n1 5\n11 3\n")
    found = read_initial_times(double, list(range(8)), "INICON", None, "electron")
    np.testing.assert_allclose(found.states, [[0, 0, 1 / 3, 2 / 3], [0, 1, 0, 0]])
    np.testing.assert_array_equal(found.weights, [3, 1])
    turned = read_initial_times(double, list(range(8)), "INICON", None, "hole")
    np.testing.assert_array_equal(turned.states, found.states[:, ::-1])


def test_a_loop_of_five_frames_has_no_interval(source, tmp_path, capsys) -> None:
    """It varies by 0.2 %, which says nothing about what the material does."""
    energies, nac = np.zeros((5, 2)), np.zeros((4, 2, 2))
    energies[:, 1] = 1.5 + 0.001 * np.sin(0.3 * np.arange(5))
    nac[:, 0, 1], nac[:, 1, 0] = 0.01, -0.01
    VibronicHamiltonian(energies, nac, 1.0).write(tmp_path / "short.h5")
    assert source("short.h5", "-m", "exact", "--duration", "1e6", "--dephasing", "5", "-o", "out") == 0
    assert re.search(
        r"lifetime +56\.7\d* ps \[0, inf\] \(interval at least this wide: trajectory too short\)",
        capsys.readouterr().out,
    )
    record = json.loads((tmp_path / "out/results.json").read_text())
    assert (record["lifetime"]["low"], record["lifetime"]["high"]) == (0.0, None)

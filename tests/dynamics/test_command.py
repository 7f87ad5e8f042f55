import json
import re
import sys

import h5py
import numpy as np
import pytest

from hopcast.cli.app import main
from hopcast.core import VibronicHamiltonian
from hopcast.core.units import FS_PER_NS


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
    assert (tmp_path / "out/populations.svg").stat().st_size > 1000
    assert (tmp_path / "out/populations.png").stat().st_size > 1000
    assert not (tmp_path / "out/checkpoint").exists()
    # the same numbers again: replaced or resumed
    assert source(*RUN, "-o", "out") == 2
    assert "Folder `out` exists. Continue with --resume" in capsys.readouterr().err
    assert source(*RUN, "-o", "out", "--carrier", "hole", "--overwrite") == 0
    again = json.loads((tmp_path / "out/results.json").read_text())
    assert again["final_populations"] == record["final_populations"]


def test_conventions_and_scissor(source, ladder, tmp_path, capsys) -> None:
    ladder(n_states=2, spacing=0.5, scale=0.01).write(tmp_path / "two.h5")
    common = ("two.h5", "--duration", "2000", "--trajectories", "20", "--every", "20", "-j", "1")
    assert source(*common, "--compare", "-o", "a") == 0
    assert "longest over shortest lifetime" in capsys.readouterr().out
    assert len(json.loads((tmp_path / "a/results.json").read_text())["comparison"]["rows"]) == 18
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
        (("ham.h5", "--states", "0,1", "--temperature", "-3"), 3, "`temperature` must be positive"),
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

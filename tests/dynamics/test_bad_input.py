"""Every mistake that `hopcast dynamics` has to expect: one sentence, the right exit code, nothing written."""

import re
import sys

import h5py
import numpy as np
import pytest

from hopcast.cli.app import main
from hopcast.core import VibronicHamiltonian


@pytest.fixture
def broken(ladder, tmp_path, monkeypatch):
    """A folder of Hamiltonians, each with one mistake, and the command: returns the exit code."""
    ham = ladder(n_states=3, spacing=0.3)

    def write(name: str, energies=ham.energies, nac=ham.nac) -> None:
        VibronicHamiltonian(energies=energies, nac=nac, timestep=1.0).write(tmp_path / name)

    write("ok.h5")
    write("uneven.h5")
    with h5py.File(tmp_path / "uneven.h5", "r+") as file:
        file["hamiltonian/nac"][7, 0, 1] += 0.005
    energies, nac = ham.energies.copy(), ham.nac.copy()
    energies[11, 1] = energies[11, 2] + 0.01
    write("unsorted.h5", energies=energies)
    energies[13, 1] = energies[13, 0] - 0.01
    write("closed.h5", energies=energies)
    nac[5, 0, 1], nac[5, 1, 0] = 2.0, -2.0
    write("large.h5", nac=nac)
    nac[6] = np.nan
    write("unknown.h5", nac=nac)
    for name, text in {
        "zero": "0 5 5\n5 0 0\n5 0 0\n",
        "negative": "0 5 5\n5 0 -1\n5 -1 0\n",
        "nan": "0 5 5\n5 0 nan\n5 nan 0\n",
        "skew": "0 5 5\n6 0 5\n5 5 0\n",
        "small": "0 5\n5 0\n",
        "ragged": "0 5\n5 0 3\n",
        "frames": "0 1\n99 1\n",
        "words": "0 one\n",
        "wide": "0 1 2\n",
    }.items():
        (tmp_path / f"{name}.txt").write_text(text)
    monkeypatch.chdir(tmp_path)

    def command(*words: str) -> int:
        monkeypatch.setattr(sys, "argv", ["hopcast", "dynamics", *words, "-o", "out", "-j", "1"])
        with pytest.raises(SystemExit) as stop:
            main()
        return int(stop.value.code or 0)

    return command


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ("uneven.h5", 3, r"`nac` must be anti-Hermitian .* mid-point 7 deviates by 0\.005 eV"),
        ("unsorted.h5 -m bl-lz", 3, "states in energy order, but they are not at frame 11"),
        ("closed.h5", 3, r"gap must stay open .* is -0\.01 eV at frame 13"),
        (
            "large.h5",
            3,
            "rotate by at most 0.5 rad in a sub-step, but does by .* rad after frame 5.*`--substeps` to at least 7",
        ),
        ("unknown.h5", 3, "1 couplings are unknown .the first at mid-point 6"),
        ("ok.h5 --timestep 2", 3, "has frames 1 fs apart, but `--timestep` is 2 fs"),
        ("ok.h5 --duration 0.3", 3, "`--duration` must hold at least one step of the data, 1 fs, but is 0.3 fs"),
        ("ok.h5 --duration nan", 3, "`--duration` must be a positive number of fs, but is nan"),
        ("ok.h5 --dephasing 0", 3, "`dephasing_time` must be positive, but is 0.0 fs"),
        ("ok.h5 --dephasing -3", 3, "`dephasing_time` must be positive, but is -3.0 fs"),
        ("ok.h5 --dephasing nan", 3, "`dephasing_time` must be positive, but is nan fs"),
        ("ok.h5 --dephasing zero.txt", 3, "must be positive, but is 0.0 fs for states 1 and 2"),
        ("ok.h5 --dephasing negative.txt", 3, "must be positive, but is -1.0 fs for states 1 and 2"),
        ("ok.h5 --dephasing nan.txt", 3, "must be positive, but is nan fs for states 1 and 2"),
        ("ok.h5 --dephasing skew.txt", 3, "must be symmetric, but has 5 and 6 fs for states 0 and 1"),
        ("ok.h5 --dephasing small.txt", 3, "for the 3 states of the Hamiltonian, .* but holds 2 lines of 2 numbers"),
        ("ok.h5 --dephasing ragged.txt", 3, "rows of different lengths"),
        ("ok.h5 --temperature -1", 3, "`--temperature` must be positive .* but is -1.0 K"),
        ("ok.h5 --temperature nan", 3, "`--temperature` must be positive .* but is nan K"),
        ("ok.h5 --initial-state 9", 3, "--initial-state must be one of 0, 1, 2, or thermal, but is `9`"),
        ("ok.h5 --initial-state 0", 3, "`--initial-state` must not be 0 while state 0 absorbs"),
        ("ok.h5 --initial-state 1:x", 3, "weights of at least zero, but has `1:x`"),
        ("ok.h5 --initial-state 1:-1,2", 3, "weights of at least zero, but has `1:-1`"),
        ("ok.h5 --initial-state 1:0,2:0", 3, "must give some state a weight"),
        ("ok.h5 --initial-state thermal --temperature 0", 2, "thermal start needs a `--temperature`"),
        ("ok.h5 --initial-times 0,77", 3, "`--initial-times` must lie between frames 0 and 59, but holds 77"),
        ("ok.h5 --initial-times frames.txt", 3, "must lie between frames 0 and 59, but holds 99"),
        ("ok.h5 --initial-times words.txt", 3, "File `words.txt` must hold one frame a line"),
        ("ok.h5 --initial-times wide.txt", 3, "File `wide.txt` must hold one frame a line, .* but has 3 columns"),
        ("ok.h5 --initial-times 0,x", 3, "must hold frames, or name a file"),
        ("ok.h5 --initial-times 0 --every 2", 2, "--every and --initial-times exclude each other"),
        ("ok.h5 --no-loop --initial-times 50 --duration 20", 3, "between frames 0 and 40 .*, but holds 50"),
        (
            "ok.h5 --no-loop --duration 1000",
            3,
            "`--duration` must not exceed the 60 fs of the trajectory without `--loop`",
        ),
        ("ok.h5 --trajectories 0", 2, "`n_trajectories` must be at least 1, but is 0"),
        (
            "ok.h5 --convention foo",
            2,
            "`tau_convention` must be one of `gaussian`, `e-folding`, `pyxaid`, `libra`, but is `foo`",
        ),
        ("ok.h5 --rule foo", 2, "`--rule` must be one of"),
        ("ok.h5 --waiting foo", 2, "`--waiting` must be one of"),
        ("ok.h5 --substeps 0", 2, "`--substeps` must be at least 1"),
        ("ok.h5 --seed -1", 2, "`--seed` must be at least 0, but is -1"),
        ("ok.h5 -m exact", 2, "`exact` needs two states, but the Hamiltonian has 3"),
    ],
)
def test_one_sentence_and_nothing_written(broken, tmp_path, capsys, words, code, message) -> None:
    first, *rest = words.split()
    assert broken(first, "--states", "0-2", *rest) == code
    error = capsys.readouterr().err
    assert error.startswith("hopcast: ")
    assert "Traceback" not in error
    assert re.search(message, error), error
    assert not (tmp_path / "out").exists()


def test_one_state_only(broken, tmp_path, capsys) -> None:
    assert broken("ok.h5", "--states", "0") == 3
    assert "at least two states, but the Hamiltonian has one" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()

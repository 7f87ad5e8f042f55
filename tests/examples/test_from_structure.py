"""The commands of the example from a structure file to a lifetime, run on a molecule in a box."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase.build import molecule
from typer.testing import CliRunner

from hopcast.cli.app import app

pytest.importorskip("tblite", reason="needs tblite: pip install 'hopcast[tblite]'")
EXAMPLE = Path(__file__).parents[2] / "examples" / "from-structure"
SMALLER = (
    (r"--equilibration \d+", "--equilibration 10"),
    (r"--duration \d+ --store-every 2", "--duration 80 --timestep 1"),
    (r"--budget 25\b", "--budget 24"),
    (r"--budget 250\b", "--budget 80"),
    (r"--bands 4,4", "--bands 2,2"),
)
QUICK = (
    (
        "[models]",
        "[information]\nn_select = 0\n[evaluation]\nenabled = false\n[checks]\nenabled = false\n[dynamics]\nn_bootstrap = 100\n"
        "[models]\nelements = []\nn_shifts = 1\nn_samples = 2",
    ),
    ("[features]", "[features]\nr_cut = 3.0"),
    ("stride = 40.0", "stride = 5.0"),
    ("purge = 100.0", "purge = 3.0"),
    ("block = 200.0", "block = 16.0"),
)


def commands(folder, output):
    """Return what `run.sh` calls hopcast with, and where."""
    spy = folder / "bin" / "hopcast"
    spy.parent.mkdir()
    spy.write_text('#!/bin/sh\nfor word in "$@"; do printf "%s\\t" "$word"; done\necho\n')
    spy.chmod(0o755)
    path = f"{spy.parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["sh", folder / "run.sh", output], env={**os.environ, "PATH": path}, capture_output=True, text=True, check=True
    )
    return [line.split("\t")[:-1] for line in done.stdout.splitlines()]


@pytest.mark.filterwarnings("ignore::hopcast.QualityWarning", "ignore::DeprecationWarning")
def test_the_example_goes_from_a_structure_to_two_reports(tmp_path, monkeypatch):
    import hopcast.study.run as module

    drawn = []
    monkeypatch.setattr(module, "write_report", lambda report, folder: drawn.append(report) or {})
    folder, output = tmp_path / "example", tmp_path / "out"
    shutil.copytree(EXAMPLE, folder)
    atoms = molecule("H2CO")
    atoms.set_cell(np.eye(3) * 8)
    atoms.center()
    atoms.pbc = True
    ase.io.write(folder / "cspbi3.extxyz", atoms)
    script = (folder / "run.sh").read_text()
    for old, new in SMALLER:
        assert re.search(old, script)
        script = re.sub(old, new, script)
    (folder / "run.sh").write_text(script)
    for file in folder.glob("*.toml"):
        text = file.read_text()
        for old, new in QUICK:
            text = text.replace(old, new)
        file.write_text(text)
    lines = commands(folder, output)
    assert [line[0] for line in lines] == ["md", "select", "compute", "run", "select", "compute", "run"]
    monkeypatch.chdir(output)
    for line in lines:
        result = CliRunner().invoke(app, line)
        assert result.exit_code == 0, (line, result.output, result.exception)
    sparse, dense = drawn
    assert sparse.results.electrons.n_frames == 48
    assert sparse.results.samples.n_pairs == 24
    assert dense.results.electrons.n_frames == dense.data.n_frames == 81
    assert dense.results.hamiltonians[0].lifetime.value > 0
    finished = {file: file.stat().st_mtime_ns for file in output.rglob("electrons.npz")}
    assert len(finished) == 48 + 81
    for line in commands_again(folder, output):
        assert line[0] != "md"  # what is there is not made again
    assert CliRunner().invoke(app, lines[2]).exit_code == 0
    assert {file: file.stat().st_mtime_ns for file in finished} == finished
    assert json.loads((output / "forecast" / "run.json").read_text())["status"] == "finished"


def commands_again(folder, output):
    shutil.rmtree(folder / "bin")
    return commands(folder, output)

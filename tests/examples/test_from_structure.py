"""The example from a structure file to a lifetime, on four atoms."""

import importlib.util
import json
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase.build import molecule

pytest.importorskip("tblite", reason="needs tblite: pip install 'hopcast[tblite]'")
SCRIPT = Path(__file__).parents[2] / "examples" / "from-structure" / "run.py"


@pytest.mark.filterwarnings("ignore::hopcast.QualityWarning", "ignore::DeprecationWarning")
def test_the_example_runs_and_goes_on_where_it_was(tmp_path, capsys):
    spec = importlib.util.spec_from_file_location("from_structure", SCRIPT)
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    atoms = molecule("H2CO")
    atoms.set_cell(np.eye(3) * 8)
    atoms.center()
    atoms.pbc = True
    ase.io.write(tmp_path / "h2co.extxyz", atoms)
    arguments = [
        "--structure", str(tmp_path / "h2co.extxyz"), "--output", str(tmp_path / "out"), "--equilibration", "5",
        "--frames", "24", "--budget", "6", "--r-cut", "3", "--bands", "2",
    ]  # fmt: skip
    first = example.main(arguments)
    rows = first["rows"]
    assert first["sparse_pairs"] == 6
    assert {"ab initio, all frames", "forecast", "linear in time", "spline in time", "mean"} <= set(rows)
    assert all(np.isfinite(row["lifetime_ns"]) and row["lifetime_ns"] > 0 for row in rows.values())
    # the mean knows nothing; a spline through samples of a smooth series does
    assert rows["mean"]["gap_r2"] < 0.2 < rows["spline in time"]["gap_r2"]
    assert "<svg" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    files = {file: file.stat().st_mtime_ns for file in (tmp_path / "out").rglob("electrons.npz")}
    assert len(files) >= 24
    example.main(arguments)
    assert {file: file.stat().st_mtime_ns for file in files} == files
    again = json.loads((tmp_path / "out" / "results.json").read_text())["rows"]
    assert again["forecast"] == pytest.approx(rows["forecast"], rel=1e-9)

"""From a structure file to a sparse Hamiltonian by commands alone, with the embedded engine."""

import dataclasses
import subprocess
import sys
import time

import ase.io
import numpy as np
import pytest
from ase.build import molecule
from typer.testing import CliRunner

import hopcast as hc
from hopcast.cli.app import app
from hopcast.core.errors import ConfigError, OutputError
from hopcast.io import read_hamiltonian, read_trajectory, write_native

pytest.importorskip("tblite", reason="needs tblite: pip install 'hopcast[tblite]'")
pytestmark = pytest.mark.filterwarnings("ignore::hopcast.QualityWarning", "ignore::DeprecationWarning")


def run(*words):
    result = CliRunner().invoke(app, [str(word) for word in words])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture
def structure(tmp_path):
    atoms = molecule("H2CO")
    atoms.set_cell(np.eye(3) * 8)
    atoms.center()
    atoms.pbc = True
    ase.io.write(tmp_path / "h2co.extxyz", atoms)
    return tmp_path / "h2co.extxyz"


def test_a_structure_becomes_a_sparse_hamiltonian(structure, tmp_path):
    md, plan = tmp_path / "md.h5", tmp_path / "plan"
    text = run("md", structure, "-o", md, "--equilibration", 10, "--duration", 40, "--timestep", 1, "--seed", 3)
    assert "NVT, 10 of 50 fs" in text
    assert "drifts by" in text
    assert not list(tmp_path.glob("*unfinished*"))
    trajectory = read_trajectory(md)
    assert (trajectory.n_frames, trajectory.timestep, trajectory.velocities is None) == (41, 1.0, False)
    assert "3 pairs are fewer than the 20 that `hopcast run` needs" in run("select", md, "--budget", 3, "-o", plan)
    text = run("compute", plan, "--bands", "2,2")
    assert "3 of 3 pairs are finished" in text
    sparse = read_hamiltonian(plan / "hamiltonian.h5")
    assert (sparse.n_frames, sparse.n_states, int(sparse.nac_known.sum())) == (41, 4, 3)


def test_a_killed_md_command_goes_on(structure, tmp_path):
    words = [
        "md",
        str(structure),
        "-o",
        str(tmp_path / "md.h5"),
        "--equilibration",
        "0",
        "--duration",
        "60",
        "--timestep",
        "1",
    ]
    script = (
        "import sys; from hopcast.abinitio import molecular_dynamics as md; md.SAVE_EVERY = 0.0; "
        f"from hopcast.cli.app import main; sys.argv = ['hopcast', *{words!r}]; main()"
    )
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.DEVNULL)
    unfinished = tmp_path / "md.unfinished.h5"
    while not unfinished.exists():
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert not (tmp_path / "md.h5").exists()
    refused = CliRunner().invoke(app, [*words, "--method", "IPEA1-xTB"])
    assert "calculator differ" in str(refused.exception)
    text = run(*words)
    assert "goes on from step" in text
    assert read_trajectory(tmp_path / "md.h5").n_frames == 61
    assert not unfinished.exists()
    process = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert process.returncode == 2
    assert "exists. Choose another name" in process.stderr


def test_metallic_frames_are_named_and_too_many_bands_refused(tmp_path):
    bond = np.array([0.74, 0.75, 5.0, 5.1])
    positions = np.zeros((4, 2, 3))
    positions[:, 1, 0] = bond
    write_native(tmp_path / "h2.h5", trajectory=hc.Trajectory(positions + 3, np.eye(3) * 14, np.array([1, 1]), 1.0))
    plan = tmp_path / "plan"
    run("select", tmp_path / "h2.h5", "-n", 3, "-o", plan)
    words = ["compute", str(plan), "--bands"]
    refused = CliRunner().invoke(app, [*words, "1,500"])
    assert isinstance(refused.exception, ConfigError)
    text = run(*words, "1,1")
    assert "Frame 2 is unknown: the gap is 0.005472 eV, below kT = 0.0259 eV at 300 K: metallic" in text
    assert "1 of 3 pairs are finished" in text
    for bad in ("1", "a,b"):
        assert isinstance(CliRunner().invoke(app, [*words, bad]).exception, ConfigError)


def test_the_array_script_computes_every_part(structure, tmp_path):
    md, plan = tmp_path / "md.h5", tmp_path / "plan"
    run("md", structure, "-o", md, "--equilibration", 0, "--duration", 8, "--timestep", 1, "--quiet")
    run("select", md, "--budget", 3, "-o", plan)
    script = (plan / "array.slurm").read_text()
    assert "#SBATCH --array=0-2\n" in script
    line = next(line for line in script.splitlines() if line.startswith("hopcast compute"))
    for task in range(3):
        words = line.replace("$SLURM_ARRAY_TASK_ID", str(task)).replace('"', "").replace(" . ", f" {plan} ").split()
        assert "1 of 1 pairs are finished" in run(*words[1:], "--bands", "2,2")
    assert int(read_hamiltonian(plan / "hamiltonian.h5").nac_known.sum()) == 3


HOLD = """
import sys
from pathlib import Path
from hopcast.core.outputs import held_part
with held_part(Path(sys.argv[1]), 0, 0, ""):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_one_process_at_a_time_computes_a_pair_or_a_trajectory(structure, tmp_path):
    md, plan = tmp_path / "md.h5", tmp_path / "plan"

    def refused_while_held(lock, *words):
        other = subprocess.Popen(
            [sys.executable, "-c", HOLD, lock], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert other.stdout.readline() == "held\n"
        try:
            result = CliRunner().invoke(app, [str(word) for word in words])
            assert isinstance(result.exception, OutputError)
            return str(result.exception)
        finally:
            other.communicate("")

    words = ["md", structure, "-o", md, "--equilibration", 0, "--duration", 6, "--timestep", 1, "--quiet"]
    assert "Another run of hopcast computes" in refused_while_held(tmp_path / "md.unfinished.lock", *words)
    run(*words)
    run("select", md, "--budget", 2, "-o", plan)
    lock = plan / "compute.lock"
    assert "give each job a --part of its own" in refused_while_held(lock, "compute", plan, "--bands", "2,2")
    run("compute", plan, "--bands", "2,2")
    assert not lock.exists()


def test_the_hamiltonian_of_a_plan_grows_and_nothing_else_is_replaced(structure, tmp_path):
    md, plan = tmp_path / "md.h5", tmp_path / "plan"
    run("md", structure, "-o", md, "--equilibration", 0, "--duration", 6, "--timestep", 1, "--quiet")
    run("select", md, "--budget", 2, "-o", plan)
    words, target = ["compute", plan, "--bands", "2,2"], plan / "hamiltonian.h5"
    run(*words, "--part", "0/2")
    run(*words, "--part", "1/2")
    found = read_hamiltonian(target)
    assert int(found.nac_known.sum()) == 2
    run(*words)  # the same again

    def refused():
        before = target.read_bytes()
        result = CliRunner().invoke(app, [str(word) for word in words])
        assert isinstance(result.exception, OutputError)
        assert target.read_bytes() == before
        return str(result.exception)

    other = dataclasses.replace(found, state_labels=tuple("abcd"))
    write_native(target, hamiltonian=other)
    assert "holds other states (a to d), which would be lost. Replace it with --overwrite" in refused()
    strange = dataclasses.replace(found, provenance={})
    write_native(target, hamiltonian=strange)
    assert "exists and is not of this plan. Move it away, replace it with --overwrite" in refused()
    run(*words, "--overwrite")
    assert read_hamiltonian(target).state_labels == found.state_labels

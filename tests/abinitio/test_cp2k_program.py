"""The real CP2K, where it is installed: a cluster's array script, harvest, and a self-consistency that fails."""

import os
import subprocess

import numpy as np
import pytest

from hopcast.abinitio import ElectronsError, compute_plan, harvest_runs, make_engine, write_folders, write_plan
from hopcast.abinitio.cp2k_files import find_program
from hopcast.abinitio.cp2k_input import Cp2kSettings

pytest.importorskip("pyscf", reason="needs pyscf: pip install 'hopcast[cp2k]'")
pytestmark = pytest.mark.skipif(find_program() is None, reason="needs CP2K: apt-get install cp2k")

COARSE = Cp2kSettings(cutoff=60.0, eps_default=1e-8, added_bands=2)


def test_an_array_job_is_run_resumed_and_harvested(nuclei, tmp_path):
    plan = write_plan(tmp_path / "plan", nuclei, [0, 3], strategy="by hand")
    write_folders(plan, "cp2k", settings=COARSE)
    srun = tmp_path / "bin" / "srun"
    srun.parent.mkdir()
    srun.write_text(f'#!/bin/sh\nshift\nexec "{find_program()}" "$@"\n')
    srun.chmod(0o755)

    def submit(task):
        environment = {
            **os.environ,
            "PATH": f"{srun.parent}{os.pathsep}{os.environ['PATH']}",
            "OMP_NUM_THREADS": "1",
            "SLURM_SUBMIT_DIR": str(plan.folder),
            "SLURM_ARRAY_TASK_ID": str(task),
        }
        subprocess.run(["bash", plan.folder / "array.slurm"], env=environment, check=True, capture_output=True)

    for task in (0, 1):
        submit(task)
    outputs = [plan.folder / "frames" / f"00000{frame}" / "frame.out" for frame in (0, 1)]
    before = [file.stat().st_mtime_ns for file in outputs]
    submit(0)  # submitted again: what is finished stays
    assert [file.stat().st_mtime_ns for file in outputs] == before
    half = plan.folder / "frames" / "000003" / "frame.out"
    half.write_text(outputs[0].read_text()[:2000])

    engine = make_engine("cp2k", bands=(4, 2), settings=COARSE)
    found = harvest_runs(plan.folder, engine)
    assert found.missing == {3: "the run was killed before its end", 4: "there is no output"}
    ham = found.hamiltonian
    assert list(np.flatnonzero(ham.nac_known)) == [0]
    electrons = engine.read(outputs[0].parent, plan.geometry(0))
    np.testing.assert_allclose(engine.overlap(electrons, electrons), np.eye(6), atol=1e-5)
    assert 5 < ham.gap()[0] < 12
    assert np.abs(np.diag(ham.overlaps[0])).min() > 0.95


def test_a_failed_self_consistency_is_recorded_and_an_abort_in_cp2k_s_words(nuclei, tmp_path):
    plan = write_plan(tmp_path / "plan", nuclei, [0], strategy="by hand")
    engine = make_engine("cp2k", bands=(4, 2), settings=Cp2kSettings(cutoff=60.0, added_bands=2, max_scf=2))
    report = compute_plan(plan.folder, engine)
    assert (report.finished, report.failed) == (0, {0: "the self-consistency did not converge"})
    with pytest.raises(ElectronsError, match=r"CP2K stopped: invalid value for enumeration:NOSUCH"):
        make_engine("cp2k", bands=(4, 2), settings=Cp2kSettings(functional="NOSUCH")).electrons(plan.geometry(0))

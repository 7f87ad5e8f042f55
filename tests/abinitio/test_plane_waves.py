"""VASP and pw.x: inputs of a plan, runs of programs that write what the codes write, harvests that go on after a kill."""

import importlib
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from typer.testing import CliRunner

import hopcast as hc
from hopcast.abinitio import (
    ElectronsError,
    Geometry,
    compute_plan,
    harvest_waves,
    make_engine,
    read_engine_options,
    write_folders,
    write_plan,
)
from hopcast.abinitio.qe_input import QeSettings, qe_input, qe_state
from hopcast.abinitio.vasp_input import FRAME_TAGS, OVERLAP_TAGS, VaspSettings, merged_incar, vasp_state
from hopcast.cli.app import app
from hopcast.io import write_native
from hopcast.io.wavefunctions import Selection

sys.path.insert(0, str(Path(__file__).parents[1] / "io"))
import plane_wave_files as files

DONE = "aborting loop because EDIFF is reached\n General timing and accounting\n"
SI = QeSettings(pseudopotentials={"Si": "Si.upf", "Ge": "Ge.upf"}, nbnd=8)


def nuclei(n_frames=12):
    places = np.array([files.atoms_at(time) @ files.CELL for time in range(n_frames)])
    return hc.Trajectory(places, files.CELL, np.array([14, 32]), 1.0)


@pytest.fixture
def plan(tmp_path):
    return write_plan(tmp_path / "plan", nuclei(), [2, 3, 8], strategy="by hand")


def run_vasp(plan, frame, *, wswq_of=None, **options):
    """Leave in the folder of a frame what VASP leaves."""
    folder = plan.folder / "frames" / f"{frame:06d}"
    one = files.channel(float(frame), n_occupied=2, kpoint=(0.25, 0, 0), **options)
    files.write_wavecar(folder / "WAVECAR", [[one]], double=True)
    (folder / "OUTCAR").write_text(DONE)
    if wswq_of is not None:
        before = files.channel(float(wswq_of), n_occupied=2, kpoint=(0.25, 0, 0), **options)
        files.write_wswq(folder / "WSWQ", [[files.direct_overlaps(one, before)]])
    return one


class TestVaspPlan:
    def test_scripts_make_frames_and_then_overlaps(self, plan, tmp_path):
        """The scripts run, with a program in VASP's place that writes down what it is given."""
        write_folders(plan, "vasp")
        for name, text in (("INCAR", "ENCUT = 300\n lwave = F\nNELM=60\n"), ("KPOINTS", "k"), ("POTCAR", "p")):
            (plan.folder / name).write_text(text)
        tools = tmp_path / "bin"
        tools.mkdir()
        program = f"""#!{sys.executable}
import sys
from pathlib import Path
incar = Path("INCAR").read_text()
assert Path("KPOINTS").read_text() + Path("POTCAR").read_text() == "kp"
if "LWSWQ = .TRUE." in incar:
    assert "ALGO = None" in incar and "lwave" not in incar and "NELM=60" not in incar and "ENCUT = 300" in incar
    Path("WSWQ").write_text(Path("WAVECAR").read_text() + " after " + Path("WAVECAR.qqq").read_text())
else:
    assert "LWAVE = .TRUE." in incar and "lwave" not in incar and "NELM=60" in incar
    Path("WAVECAR").write_text(Path("POSCAR").read_text().split("\\n")[0])
    Path("OUTCAR").write_text("General timing")
"""
        for name, text in (("vasp_gam", program), ("srun", '#!/bin/sh\nexec "$@"\n')):
            (tools / name).write_text(text)
            (tools / name).chmod(0o755)
        environment = {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}", "SLURM_SUBMIT_DIR": str(plan.folder)}
        for script, count in (("array.slurm", 5), ("overlaps.slurm", 3)):
            assert f"--array=0-{count - 1}%16" in (plan.folder / script).read_text()
            for task in [*range(count), 0]:
                done = subprocess.run(
                    ["bash", script],
                    cwd=plan.folder,
                    env={**environment, "SLURM_ARRAY_TASK_ID": str(task)},
                    capture_output=True,
                    text=True,
                    check=False,
                )
                assert done.returncode == 0, done.stderr
        for earlier, later in ((2, 3), (3, 4), (8, 9)):
            place = plan.folder / "frames" / f"{later:06d}"
            assert (place / "WSWQ").read_text() == f"frame {later} after frame {earlier}"
        assert not list((plan.folder / "frames").glob("*.overlap"))
        assert "--dependency=afterany" in (plan.folder / "submit.sh").read_text()
        (plan.folder / "frames" / "000008" / "WAVECAR").unlink()
        (plan.folder / "frames" / "000009" / "WSWQ").unlink()
        done = subprocess.run(
            ["bash", "overlaps.slurm"],
            cwd=plan.folder,
            env={**environment, "SLURM_ARRAY_TASK_ID": "2"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 1
        assert "frame 000008 has no WAVECAR" in done.stderr

    def test_tags_that_must_hold_replace_yours(self):
        yours = "ENCUT = 300 ; LWAVE = .FALSE.\n# ALGO = Fast\nalgo = Fast\nNELM = 60\n"
        merged = merged_incar(yours, OVERLAP_TAGS)
        assert "ENCUT = 300" in merged
        assert "algo = Fast" not in merged.replace("# ALGO = Fast", "")
        assert merged.count("LWAVE") == 1
        assert "NELM = 60" not in merged
        assert "NELM = 60" in merged_incar(yours, FRAME_TAGS)


class TestHarvestOfVasp:
    def test_own_overlaps_and_pseudo_ones(self, plan):
        write_folders(plan, "vasp")
        frames = {frame: run_vasp(plan, frame, wswq_of={3: 2, 4: 3}.get(frame)) for frame in (2, 3, 4, 8, 9)}
        found = harvest_waves(plan.folder)
        assert found.missing == {}
        ham = found.hamiltonian
        assert_array_equal(np.flatnonzero(ham.nac_known), [2, 3, 8])
        assert_array_equal(np.flatnonzero(ham.energy_known), [2, 3, 4, 8, 9])
        for pair in (2, 3, 8):
            assert_allclose(ham.overlaps[pair], files.direct_overlaps(frames[pair], frames[pair + 1]), atol=1e-7)
        assert ham.n_occupied == 2
        assert ham.provenance["overlaps"].startswith("2 of 3 pairs exact (WSWQ); the others of pseudo-wavefunctions")
        assert "VBM 0.0%" in ham.provenance["norm lost"]

    def test_failed_and_missing_frames_have_their_reason(self, plan):
        write_folders(plan, "vasp")
        for frame in (2, 3, 4, 8, 9):
            run_vasp(plan, frame)
        place = plan.folder / "frames"
        (place / "000004" / "OUTCAR").write_text("aborting loop because EDIFF is reached\n")
        (place / "000008" / "OUTCAR").write_text("General timing\n")
        file = place / "000009" / "WAVECAR"
        file.write_bytes(file.read_bytes()[:-3000])
        found = harvest_waves(plan.folder)
        assert_array_equal(np.flatnonzero(found.hamiltonian.nac_known), [2])
        assert found.missing[4] == "the run was killed before its end"
        assert found.missing[8] == "the self-consistency did not converge (EDIFF was not reached)"
        assert "The run was killed while it wrote" in found.missing[9]
        shutil.rmtree(place / "000004")
        result = CliRunner().invoke(app, ["harvest", str(plan.folder)])
        assert result.exit_code == 0
        assert "Frame 4 is unknown: there is no OUTCAR" in result.output
        assert "3 of 5 missing" in result.output

    def test_a_metallic_frame_is_missing(self, plan):
        write_folders(plan, "vasp")
        for frame in (2, 3, 4, 8, 9):
            run_vasp(plan, frame)
        one = files.channel(3.0, n_occupied=2, kpoint=(0.25, 0, 0))
        one.occupations[1:3] = 0.5
        files.write_wavecar(plan.folder / "frames" / "000003" / "WAVECAR", [[one]], double=True)
        found = harvest_waves(plan.folder)
        assert_array_equal(np.flatnonzero(found.hamiltonian.nac_known), [8])
        assert "metallic, or smeared too much" in found.missing[3]

    def test_goes_on_after_a_kill_and_without_the_wavefunctions(self, plan, monkeypatch):
        write_folders(plan, "vasp")
        for frame in (2, 3, 4, 8, 9):
            run_vasp(plan, frame)
        whole = harvest_waves(plan.folder).hamiltonian
        for file in (plan.folder / "pairs").glob("*.npz"):
            file.unlink()
        # killed at the fourth frame it loads
        module = importlib.import_module("hopcast.abinitio.harvest_waves")

        opened = []
        genuine = module.load_frame

        def dying(file, window):
            opened.append(file.path)
            if len(opened) > 3:
                raise KeyboardInterrupt
            return genuine(file, window)

        monkeypatch.setattr(module, "load_frame", dying)
        with pytest.raises(KeyboardInterrupt):
            harvest_waves(plan.folder)
        kept = sorted(file.name for file in (plan.folder / "pairs").glob("*.npz"))
        assert kept == ["000002.npz", "000003.npz"]
        shutil.rmtree(plan.folder / "frames" / "000002")
        (plan.folder / "frames" / "000003" / "WAVECAR").unlink()
        opened.clear()
        again = harvest_waves(plan.folder).hamiltonian
        assert {path.parent.name for path in opened} == {"000008", "000009"}
        assert_array_equal(again.overlaps, whole.overlaps)
        assert_array_equal(again.nac, whole.nac)

    def test_a_frame_computed_again_is_read_again(self, plan):
        write_folders(plan, "vasp")
        for frame in (2, 3, 4, 8, 9):
            run_vasp(plan, frame)
        before = harvest_waves(plan.folder).hamiltonian
        one = run_vasp(plan, 9, seed=4)
        later = (plan.folder / "pairs" / "000008.npz").stat().st_mtime + 10
        os.utime(plan.folder / "frames" / "000009" / "WAVECAR", (later, later))
        after = harvest_waves(plan.folder).hamiltonian
        assert_allclose(
            after.overlaps[8], files.direct_overlaps(files.channel(8.0, kpoint=(0.25, 0, 0)), one), atol=1e-12
        )
        assert_array_equal(after.overlaps[2], before.overlaps[2])
        assert np.abs(after.overlaps[8] - before.overlaps[8]).max() > 0.1

    def test_nothing_finished(self, plan):
        write_folders(plan, "vasp")
        with pytest.raises(hc.InputError, match=r"holds no finished pair \(frame 2: there is no OUTCAR\)"):
            harvest_waves(plan.folder)

    def test_one_kpoint_of_several(self, plan):
        write_folders(plan, "vasp")
        frames = {}
        for frame in (2, 3):
            ks = [files.channel(float(frame), n_occupied=2, kpoint=k) for k in ((0, 0, 0), (0.25, 0, 0))]
            folder = plan.folder / "frames" / f"{frame:06d}"
            files.write_wavecar(folder / "WAVECAR", [ks], double=True)
            frames[frame] = ks[1]
        ham = harvest_waves(plan.folder, selection=Selection(kpoint=1, bands=(0, 4))).hamiltonian
        assert np.iscomplexobj(ham.nac)
        assert_allclose(ham.overlaps[2], files.direct_overlaps(frames[2], frames[3])[:4, :4], atol=1e-2)


class TestHarvestOfQe:
    def run(self, plan, frame):
        folder = plan.folder / "frames" / f"{frame:06d}"
        one = files.channel(float(frame), n_occupied=2, real=True)
        files.write_save(folder / "out" / "frame.save", [[one]], time=float(frame), gamma=True)
        (folder / "frame.out").write_text("Program PWSCF\n convergence has been achieved\n JOB DONE.\n")
        return one

    def test_overlaps(self, plan):
        write_folders(plan, "qe", settings=SI)
        frames = {frame: self.run(plan, frame) for frame in (2, 3, 4, 8)}
        found = harvest_waves(plan.folder)
        assert found.missing == {9: "there is no output"}
        for pair in (2, 3):
            assert_allclose(
                found.hamiltonian.overlaps[pair], files.direct_overlaps(frames[pair], frames[pair + 1]).real, atol=1e-12
            )
        assert found.hamiltonian.provenance["overlaps"] == "2 of 2 pairs exact (norm-conserving)"
        shutil.rmtree(plan.folder / "frames" / "000004" / "out")
        shutil.rmtree(plan.folder / "pairs")
        assert "left no wavefunctions" in harvest_waves(plan.folder).missing[4]

    @pytest.mark.parametrize(
        ("text", "state", "words"),
        [
            ("Program PWSCF\n JOB DONE.", "finished", ""),
            (
                "Program PWSCF\n convergence NOT achieved after 100 iterations: stopping\n JOB DONE.",
                "not converged",
                "did not converge",
            ),
            ("Program PWSCF\n iteration # 3", "killed", "killed before its end"),
            (
                f"Program PWSCF\n{'%' * 80}\n Error in routine readpp (1):\n file not found\n{'%' * 80}\n stopping",
                "killed",
                "readpp (1): file not found",
            ),
            ("Program PWSCF\n JOB DONE.\n Program PWSCF\n", "killed", "killed before its end"),
        ],
    )
    def test_how_a_run_ended(self, tmp_path, text, state, words):
        (tmp_path / "frame.out").write_text(text)
        found = qe_state(tmp_path / "frame.out")
        assert found.state == state
        assert words in found.reason


class TestInputs:
    def geometry(self):
        return Geometry.from_frame(nuclei(), 3)

    def test_pw_input(self, tmp_path):
        for name, valence in (("Si.upf", "4.0"), ("Ge.upf", "14.0")):
            (tmp_path / name).write_text(f'<UPF version="2.0.1">\n<PP_HEADER element="X" z_valence="  {valence}"/>')
        settings = QeSettings(
            pseudopotentials={"Si": "Si.upf", "Ge": "Ge.upf"},
            pseudo_dir=str(tmp_path),
            ecutwfc=30,
            ecutrho=240,
            kpoints=(2, 2, 1),
            functional="PBE",
        )
        text = qe_input(self.geometry(), settings)
        assert "nbnd=17" in text
        assert "ecutwfc=30, nbnd=17, ecutrho=240, input_dft='PBE'" in text
        assert "K_POINTS automatic\n2 2 1 0 0 0" in text
        assert "wf_collect=.true." in text
        assert f"pseudo_dir='{tmp_path}'" in text
        spinors = qe_input(
            self.geometry(),
            QeSettings(pseudopotentials=settings.pseudopotentials, pseudo_dir=str(tmp_path), spin_orbit=True),
        )
        assert "nbnd=34" in spinors
        assert "K_POINTS automatic\n1 1 1 0 0 0" in spinors

    def test_settings_file(self, tmp_path):
        file = tmp_path / "qe.toml"
        file.write_text('ecutwfc = 40\nkpoints = [2, 2, 2]\n[pseudopotentials]\nSi = "Si.upf"\n')
        assert read_engine_options(file, "qe")["settings"] == QeSettings(
            pseudopotentials={"Si": "Si.upf"}, ecutwfc=40, kpoints=(2, 2, 2)
        )
        file.write_text("kpoints = [2, 2]\n")
        with pytest.raises(hc.ConfigError, match="three numbers of k-points"):
            read_engine_options(file, "qe")
        file.write_text("ecutwf = 40\n")
        with pytest.raises(hc.ConfigError, match=r"unknown key `ecutwf` for the engine qe.* `ecutwfc`"):
            read_engine_options(file, "qe")

    def test_a_pseudopotential_without_a_name_leaves_no_plan(self, tmp_path):
        write_native(tmp_path / "md.h5", trajectory=nuclei())
        result = CliRunner().invoke(
            app, ["select", str(tmp_path / "md.h5"), "--budget", "2", "-o", str(tmp_path / "plan"), "--engine", "qe"]
        )
        assert isinstance(result.exception, hc.ConfigError)
        assert "Element Si has no pseudopotential chosen" in str(result.exception)
        assert not (tmp_path / "plan").exists()
        with pytest.raises(hc.ConfigError, match=r"`.*Si.upf` is not there .* Set `pseudo_dir`"):
            QeSettings(pseudopotentials={"Si": "Si.upf"}, pseudo_dir=str(tmp_path)).bands(["Si"])

    def test_select_for_qe(self, tmp_path):
        write_native(tmp_path / "md.h5", trajectory=nuclei())
        (tmp_path / "qe.toml").write_text('nbnd = 12\n[pseudopotentials]\nSi = "Si.upf"\nGe = "Ge.upf"\n')
        words = [
            "select",
            str(tmp_path / "md.h5"),
            "--budget",
            "2",
            "-o",
            str(tmp_path / "plan"),
            "--engine",
            "qe",
            "--settings",
            str(tmp_path / "qe.toml"),
        ]
        result = CliRunner().invoke(app, words)
        assert result.exit_code == 0, result.output
        assert "nbnd=12" in next((tmp_path / "plan").rglob("frame.in")).read_text()


def program(path, text):
    path.write_text(f"#!{sys.executable}\n{text}")
    path.chmod(path.stat().st_mode | stat.S_IEXEC)
    return (str(path),)


class TestEngines:
    def test_qe_runs_and_is_refused(self, tmp_path, plan):
        for name in ("Si.upf", "Ge.upf"):
            (tmp_path / name).write_text('z_valence="4.0"')
        settings = QeSettings(pseudopotentials={"Si": "Si.upf", "Ge": "Ge.upf"}, pseudo_dir=str(tmp_path), nbnd=8)
        place = Path(files.__file__).parent
        works = program(
            tmp_path / "pw",
            f"""import sys
sys.path.insert(0, {str(place)!r})
import plane_wave_files as files
import ase.io, numpy as np
atoms = ase.io.read("frame.in", format="espresso-in")
places = atoms.get_scaled_positions(wrap=False)
time = next(t for t in range(12) if np.abs(files.atoms_at(t) - places).max() < 1e-8)
files.write_save("out/frame.save", [[files.channel(float(time), n_occupied=2, real=True)]], time=float(time), gamma=True)
print("Program PWSCF\\nJOB DONE.")
""",
        )
        engine = make_engine("qe", settings=settings, bands=(2, 3), command=works)
        report = compute_plan(plan.folder, engine)
        assert (report.finished, report.n_pairs, report.failed) == (3, 3, {})
        from hopcast.abinitio import assemble_plan

        ham = assemble_plan(plan.folder, engine)
        expected = files.direct_overlaps(files.channel(2.0, real=True), files.channel(3.0, real=True)).real[:5, :5]
        assert_allclose(np.abs(ham.overlaps[2]), np.abs(expected), atol=1e-12)
        assert ham.n_occupied == 2
        fails = program(
            tmp_path / "stops", f"print('Program PWSCF\\n{'%' * 80}\\n Error in routine x (1):\\n no\\n{'%' * 80}')"
        )
        with pytest.raises(ElectronsError, match=r"pw\.x stopped: x \(1\): no"):
            make_engine("qe", settings=settings, command=fails).electrons(plan.geometry(2))
        with pytest.raises(hc.ConfigError, match="computes at Gamma"):
            make_engine("qe", settings=QeSettings(kpoints=(2, 2, 2)))
        with pytest.raises(hc.ConfigError, match=r"Pseudopotential `.*` of Si is not there"):
            make_engine("qe", settings=SI).check(np.array([14]))

    def test_pw_that_is_not_there(self, tmp_path, monkeypatch):
        (tmp_path / "Si.upf").write_text("")
        monkeypatch.setenv("PATH", str(tmp_path))
        settings = QeSettings(pseudopotentials={"Si": "Si.upf"}, pseudo_dir=str(tmp_path), nbnd=8)
        with pytest.raises(hc.ConfigError, match=r"needs the program pw\.x, which is not on the path"):
            make_engine("qe", settings=settings).check(np.array([14]))
        with pytest.raises(hc.ConfigError, match="needs the program vasp_gam, which is not on the path"):
            make_engine("vasp")

    def test_vasp_runs(self, tmp_path, plan):
        for name in ("INCAR", "KPOINTS", "POTCAR"):
            (tmp_path / name).write_text("LWAVE = .FALSE.\n")
        place = Path(files.__file__).parent
        works = program(
            tmp_path / "vasp",
            f"""import sys
from pathlib import Path
sys.path.insert(0, {str(place)!r})
import plane_wave_files as files
import ase.io, numpy as np
assert "LWAVE = .FALSE." not in Path("INCAR").read_text()
places = ase.io.read("POSCAR").get_scaled_positions(wrap=False)
time = next(t for t in range(12) if np.abs(files.atoms_at(t) - places).max() < 1e-8)
one = files.channel(float(time), n_occupied=2, real=True)
one.states = 0.97 * one.states
files.write_wavecar(Path("WAVECAR"), [[one]], half="z", double=True)
Path("OUTCAR").write_text({DONE!r})
""",
        )
        engine = make_engine("vasp", bands=(2, 3), command=works, settings=VaspSettings(inputs=str(tmp_path)))
        left, right = (engine.electrons(plan.geometry(frame)) for frame in (2, 3))
        assert_allclose(left.orbitals.T @ left.orbitals, np.eye(5), atol=1e-12)
        expected = files.direct_overlaps(files.channel(2.0, real=True), files.channel(3.0, real=True)).real[:5, :5]
        assert_allclose(engine.overlap(left, right), expected, atol=1e-12)
        (tmp_path / "POTCAR").unlink()
        with pytest.raises(hc.ConfigError, match="needs your POTCAR"):
            engine.check(np.array([14]))

    def test_how_a_run_of_vasp_ended(self, tmp_path):
        assert vasp_state(tmp_path / "OUTCAR").state == "absent"
        (tmp_path / "OUTCAR").write_text(DONE)
        assert vasp_state(tmp_path / "OUTCAR").state == "finished"

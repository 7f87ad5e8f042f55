"""Whole studies: another material, resumed and interrupted runs, bad input, a full disk."""

import dataclasses
import json
import resource
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import jsonschema
import numpy as np
import pytest

import hopcast as hc
from hopcast.cli import main
from hopcast.io import write_native
from hopcast.results import results_schema
from hopcast.study import rank_study, run_study

sys.path.insert(0, str(Path(__file__).parent))
from conftest import make_material, write_study


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mgo")
    return run_study(write_study(folder / "input"), folder / "out")


@pytest.fixture
def no_drawing(monkeypatch):
    """Leave the report's figures out where a test is not about them: they take most of the time of a small study."""
    import hopcast.study.run as module

    monkeypatch.setattr(module, "write_report", lambda report, folder: {})


class TestAnotherMaterial:
    def test_everything_is_written(self, finished):
        names = {path.relative_to(finished.folder).as_posix() for path in finished.folder.rglob("*") if path.is_file()}
        assert {"report.html", "results.json", "run.json", "hamiltonians/ab-initio.h5", "hamiltonians/Mg-1.h5"} <= names
        assert any(name.startswith("tables/") and name.endswith(".csv") for name in names)
        assert any(name.startswith("figures/") and name.endswith(".svg") for name in names)

    def test_results_follow_the_schema_and_are_complete(self, finished):
        results = json.loads((finished.folder / "results.json").read_text(encoding="utf-8"))
        jsonschema.validate(results, results_schema())
        assert results["data"]["formula"] == "Mg4O4"
        rows = [row["name"] for row in results["hamiltonians"]]
        models = ["all-12", "Mg-12", "O-12", "all-1", "Mg-1", "O-1"]
        n = results["models"][0]["features"]
        assert rows == ["ab initio", *(name.replace("12", str(n)) for name in models)]
        assert {(m["target"], m["split"]) for m in results["models"]} == {
            (t, s) for t in ("gap", "nac") for s in ("interleaved", "blocked")
        }
        assert {(i["element"], i["target"]) for i in results["information"]} == {
            (e, t) for e in ("Mg", "O") for t in ("gap", "nac")
        }
        for row in results["hamiltonians"]:
            assert row["gradient"]["low"] <= row["gradient"]["value"] <= row["gradient"]["high"]
            assert set(row["gradient"]["parts"]) >= {"finite_trajectory", "model", "initial_time", "monte_carlo"}

    def test_forecasts_keep_what_was_computed(self, finished):
        forecast = hc.read_hamiltonian(finished.folder / "hamiltonians" / "Mg-1.h5")
        truth = hc.read_hamiltonian(finished.folder / "hamiltonians" / "ab-initio.h5")
        np.testing.assert_allclose(forecast.gap()[::6], truth.gap()[::6], rtol=1e-12)
        np.testing.assert_allclose(forecast.coupling()[::6], np.abs(truth.coupling()[::6]), rtol=1e-12)
        assert np.abs(forecast.gap() - truth.gap()).max() > 0

    def test_record_is_closed(self, finished):
        record = json.loads((finished.folder / "run.json").read_text())
        assert record["status"] == "finished"
        assert record["config"]["models"]["stride"] == 12.0
        assert len(record["inputs"][0]["sha256"]) == 64

    def test_resume_computes_nothing_again(self, finished, monkeypatch, no_drawing):
        stop_at(monkeypatch, None, AssertionError("computed again"))
        study = finished.folder.parent / "input" / "study.toml"
        again = run_study(study, finished.folder, resume=True)
        for key in ("information", "models", "hamiltonians", "checks"):
            assert again.results[key] == finished.results[key]

    def test_results_do_not_depend_on_workers(self, finished, tmp_path, no_drawing):
        study = finished.folder.parent / "input" / "study.toml"
        alone = run_study(study, tmp_path / "alone", workers=1)
        for key in ("information", "best_features", "hamiltonians", "checks"):
            assert alone.results[key] == finished.results[key]
        strip = [{k: v for k, v in m.items() if k != "estimator"} for m in alone.results["models"]]
        assert strip == [{k: v for k, v in m.items() if k != "estimator"} for m in finished.results["models"]]


def stop_at(patch, name, error):
    """Raise where a stage (None: any) is computed instead of found."""
    import hopcast.study.stage as module

    original = module.with_notes

    def work(stage, context):
        if name in (None, stage.name):
            raise error
        return original(stage, context)

    patch.setattr(module, "with_notes", work)


def test_one_element_default_mode_and_midpoint_energies(tmp_path, no_drawing):
    trajectory, hamiltonian = make_material("Si", n_frames=160, crystalstructure="diamond", a=5.43)
    middle = dataclasses.replace(
        hamiltonian, energies=hamiltonian.midpoint_energies, energy_grid="midpoint", energy_known=None
    )
    study = write_study(
        tmp_path / "in", material=(trajectory, middle), text='fssh = false\n[features]\nmode = "default"\n'
    )
    text = study.read_text().replace("[models]\n", '[models]\nmode = "default"\n')
    study.write_text(text)
    result = run_study(study, tmp_path / "out")
    rows = [row["name"] for row in result.results["hamiltonians"]]
    assert rows[0] == "ab initio"
    assert all(name.startswith("Si-") for name in rows[1:])


def test_an_interrupted_run_says_so_and_continues(tmp_path, study, monkeypatch, no_drawing):
    with monkeypatch.context() as patch:
        stop_at(patch, "models", KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            run_study(study, tmp_path / "out")
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    assert record["status"] == "interrupted"
    assert not (tmp_path / "out" / "report.html").exists()
    kept = {path.name.split("-")[0] for path in (tmp_path / "out" / "stages").iterdir()}
    assert kept == {"features", "information"}
    stop_at(monkeypatch, "features", KeyboardInterrupt())
    assert run_study(study, tmp_path / "out", resume=True).results["models"]


def test_a_killed_run_leaves_whole_files_only(tmp_path, study, no_drawing):
    """SIGKILL while stages are being written: what lies in the folder can be read, and the run continues."""
    code = (
        "import hopcast.study.run as m, os, signal\n"
        "from hopcast.study import run_study\n"
        "import hopcast.core.hdf5 as h\n"
        "count = [0]\n"
        "replace = os.replace\n"
        "def slow(a, b):\n"
        "    count[0] += 1\n"
        "    if count[0] == 4: os.kill(os.getpid(), signal.SIGKILL)\n"
        "    replace(a, b)\n"
        "os.replace = slow\n"
        f"run_study({str(study)!r}, {str(tmp_path / 'out')!r})\n"
    )
    killed = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert json.loads((tmp_path / "out" / "run.json").read_text())["status"] == "running"
    stages = [path for path in (tmp_path / "out" / "stages").iterdir() if path.suffix == ".h5"]
    assert len(stages) == 2
    result = run_study(study, tmp_path / "out", resume=True)
    assert result.results["hamiltonians"]


@dataclasses.dataclass
class Done:
    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def hopcast(capfd, monkeypatch):
    """Run the command line in this process, as the console script does."""

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["hopcast", *map(str, arguments)])
        monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
        capfd.readouterr()
        try:
            main()
            code = 0
        except SystemExit as stop:
            code = stop.code or 0
        return Done(code, *capfd.readouterr())

    return call


class TestBadInput:
    """Each mistake: one sentence on standard error, the right exit code, no traceback, nothing half-written."""

    @pytest.fixture(autouse=True)
    def _command(self, hopcast):
        self.hopcast = hopcast

    def check(self, folder, code, message):
        done = self.hopcast("run", folder / "study.toml", "--output", folder / "out")
        assert done.returncode == code, done.stderr
        assert message in done.stderr
        assert "Traceback" not in done.stderr
        assert not (folder / "out" / "report.html").exists()

    def write(self, folder, *, trajectory=None, hamiltonian=None, text=""):
        first = make_material(n_frames=120)
        return write_study(folder, material=(trajectory or first[0], hamiltonian or first[1]), text=text)

    def test_missing_file(self, tmp_path):
        self.write(tmp_path)
        (tmp_path / "md.h5").unlink()
        self.check(tmp_path, 3, "does not exist")

    def test_unreadable_file(self, tmp_path):
        self.write(tmp_path)
        (tmp_path / "ham.h5").write_bytes(b"not a file")
        self.check(tmp_path, 3, "cannot be read as HDF5")

    def test_unknown_key(self, tmp_path):
        self.write(tmp_path, text="[dynamic]\n")
        self.check(tmp_path, 2, "Did you mean `dynamics`?")

    def test_other_length(self, tmp_path):
        trajectory, hamiltonian = make_material(n_frames=120)
        self.write(tmp_path, trajectory=trajectory[:100], hamiltonian=hamiltonian)
        self.check(tmp_path, 3, "must be the same, but are 100 and 120")

    def test_other_time_step(self, tmp_path):
        trajectory, hamiltonian = make_material(n_frames=120)
        self.write(tmp_path, trajectory=dataclasses.replace(trajectory, timestep=1.0), hamiltonian=hamiltonian)
        self.check(tmp_path, 3, "must be the same, but are 1 fs and 2 fs")

    def test_element_absent(self, tmp_path):
        self.write(tmp_path)
        study = tmp_path / "study.toml"
        study.write_text(study.read_text().replace("[models]\n", '[models]\nelements = ["Cs"]\n'))
        self.check(tmp_path, 3, "names Cs, but the elements of the trajectory are Mg, O")

    @pytest.mark.parametrize(("stride", "code"), [(1000.0, 3), (2.0, 2)])
    def test_a_stride_without_training_or_test_frames(self, tmp_path, stride, code):
        self.write(tmp_path)
        study = tmp_path / "study.toml"
        study.write_text(study.read_text().replace("stride = 12.0", f"stride = {stride}"))
        self.check(tmp_path, code, "must")

    def test_constant_gap(self, tmp_path):
        _, hamiltonian = make_material(n_frames=120)
        flat = np.broadcast_to([0.0, 1.0], hamiltonian.energies.shape)
        self.write(tmp_path, hamiltonian=dataclasses.replace(hamiltonian, energies=flat))
        self.check(tmp_path, 3, "must vary along the trajectory")

    def test_too_few_frames(self, tmp_path):
        trajectory, hamiltonian = make_material(n_frames=4)
        self.write(tmp_path, trajectory=trajectory, hamiltonian=hamiltonian)
        self.check(tmp_path, 3, "must")

    def test_theiler_window_longer_than_the_trajectory(self, tmp_path):
        self.write(tmp_path, text="[information]\ntheiler_window = 5000.0\n")
        self.check(tmp_path, 3, "window")

    def test_states_out_of_range(self, tmp_path):
        self.write(tmp_path)
        study = tmp_path / "study.toml"
        study.write_text(
            study.read_text().replace("[models]\n", "[models]\n").replace("[data]\n", "[data]\nstates = [0, 7]\n")
        )
        self.check(tmp_path, 3, "State 7 must lie between 0 and 1")
        study.write_text(study.read_text().replace("states = [0, 7]", 'states = ["VBM", "LUMO"]'))
        self.check(tmp_path, 3, "State `LUMO` must be one of the states VBM, CBM")

    def test_output_exists(self, tmp_path):
        self.write(tmp_path)
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "mine.txt").write_text("keep")
        self.check(tmp_path, 2, "exists and is not empty")
        assert (tmp_path / "out" / "mine.txt").read_text() == "keep"

    def test_too_few_known_pairs(self, tmp_path):
        _, hamiltonian = make_material(n_frames=120)
        nac = hamiltonian.nac.copy()
        nac[:100] = np.nan
        self.write(tmp_path, hamiltonian=dataclasses.replace(hamiltonian, nac=nac, nac_known=None))
        self.check(
            tmp_path,
            3,
            "needs at least 20 pairs of frames with energies at both and a coupling between them, but 19 are known",
        )

    def test_not_finite_and_reordered_files_are_refused_on_reading(self, tmp_path):
        import h5py

        self.write(tmp_path)
        with h5py.File(tmp_path / "md.h5", "a") as file:
            file["trajectory/positions"][7, 3, 1] = np.nan
        self.check(tmp_path, 3, "frame 7, atom 3 (O) has nan along y")

    def test_full_disk(self, tmp_path):
        """A limit on the size of files stands for a full disk: every write beyond it fails."""
        self.write(tmp_path)

        handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
        try:
            self.check(tmp_path, 2, "Cannot write")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            signal.signal(signal.SIGXFSZ, handler)
        for path in (tmp_path / "out").rglob("*.h5"):
            with hc.core.hdf5.open_file(path):
                pass

    def test_interrupt(self, tmp_path, monkeypatch):
        self.write(tmp_path)
        stop_at(monkeypatch, "models", KeyboardInterrupt())
        self.check(tmp_path, 130, "--resume")


def test_rank_writes_nothing_and_agrees_with_the_study(finished, tmp_path):
    study = finished.folder.parent / "input" / "study.toml"
    before = sorted(study.parent.iterdir())
    report = rank_study(study)
    assert report.results.to_dict()["information"] == finished.results["information"]
    assert sorted(study.parent.iterdir()) == before


def test_command_line_rank(study, tmp_path, hopcast):
    done = hopcast("rank", study, "--json", tmp_path / "rank.json")
    assert done.returncode == 0, done.stderr
    assert "Mean mutual information" in done.stdout
    assert json.loads((tmp_path / "rank.json").read_text())["information"]
    again = hopcast("rank", study, "--json", tmp_path / "rank.json")
    assert again.returncode == 2
    assert "exists" in again.stderr


def test_command_line_help_and_version(hopcast):
    assert "demo" in hopcast("--help").stdout
    assert hopcast("--version").stdout.startswith("hopcast ")
    usage = hopcast("run")
    assert usage.returncode == 2
    assert "Traceback" not in usage.stderr


def test_unwritable_data_is_not_needed(tmp_path):
    """Data given as files of a folder that cannot be written: the study only reads them."""
    study = write_study(tmp_path / "in", text="fssh = false\n")
    (tmp_path / "in").chmod(0o555)
    try:
        assert rank_study(study).results.information
    finally:
        (tmp_path / "in").chmod(0o755)
    write_native(tmp_path / "again.h5", trajectory=make_material(n_frames=10)[0])

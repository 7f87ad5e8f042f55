"""No command writes over what it reads, nor over anything without leave; what cannot be written or read is one sentence, before any work."""

import errno
import itertools
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from typer.testing import CliRunner

import hopcast as hc
from hopcast.cli.app import app
from hopcast.core import hdf5, outputs
from hopcast.core.errors import HopcastError, check_number
from hopcast.core.outputs import check_file, check_folder, held_part, run_folder
from hopcast.core.scheduler import SchedulerError


def command(*words):
    result = CliRunner().invoke(app, [str(word) for word in words])
    error = result.exception
    code = error.exit_code if isinstance(error, HopcastError) else result.exit_code
    assert error is None or isinstance(error, HopcastError | SystemExit), error
    return code, result.output + (str(error) if isinstance(error, HopcastError) else "")


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """A Hamiltonian and a trajectory, ours and in the files of codes."""
    place = tmp_path_factory.mktemp("template")
    gap = 1.5 + 0.1 * np.sin(np.arange(61) / 4) + 0.05 * np.cos(np.arange(61) / 3)
    nac = np.zeros((60, 2, 2))
    nac[:, 0, 1] = 0.02 * np.cos(np.arange(60) / 7)
    nac[:, 1, 0] = -nac[:, 0, 1]
    ham = hc.VibronicHamiltonian(np.stack([0 * gap, gap], axis=1), nac, 0.5, n_occupied=1)
    ham.write(place / "ham.h5")
    ham.write(place / "namd", format="hefei")
    frames = "".join(f"Direct configuration= {k:5d}\n 0.1 0.2 {0.3 + k / 1e3:.4f}\n" for k in range(1, 62))
    (place / "XDATCAR").write_text("x\n1.0\n4 0 0\n0 4 0\n0 0 4\nSi\n1\n" + frames)
    hc.write_trajectory(hc.read_trajectory(place / "XDATCAR", timestep=0.5), place / "md.h5")
    (place / "mine.txt").write_text("mine")
    (place / "mine.h5").write_bytes(b"mine")
    (place / "model.h5").write_bytes(b"model")
    (place / "study.toml").write_text('[data]\ntrajectory = "md.h5"\nhamiltonian = "ham.h5"\n')
    (place / "results").mkdir()
    (place / "results" / "results.json").write_text("of a study")
    return place


@pytest.fixture
def work(template, tmp_path, monkeypatch):
    """A copy of these files, as the working folder."""
    shutil.copytree(template, tmp_path / "work")
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work"


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


OVER_INPUTS = [
    "convert XDATCAR XDATCAR --timestep 0.5 --overwrite",
    "convert md.h5 md.h5 --overwrite",
    "convert ham.h5 ham.h5 --overwrite",
    "convert ham.h5 md.h5 --trajectory md.h5 --overwrite",
    "convert namd namd --to hefei --overwrite",
    "convert namd/EIGTXT namd --to hefei --overwrite",
    "convert ham.h5 . --to pyxaid --overwrite",
    "convert ham.h5 link.h5 --overwrite",
    "convert ham.h5 hard.h5 --overwrite",
    "convert ham.h5 new.h5 --log ham.h5 --overwrite",
    "convert namd new.h5 --log namd/NATXT --overwrite",
    "check ham.h5 --html ham.h5 --overwrite",
    "check namd --html namd/EIGTXT --overwrite",
    "check ham.h5 --trajectory md.h5 --html md.h5 --overwrite",
    "rank study.toml --json study.toml",
    "fit md.h5 ham.h5 -o ham.h5 --overwrite",
    "fit md.h5 ham.h5 -o md.h5 --overwrite",
    "predict model.h5 md.h5 -o model.h5 --overwrite",
    "predict model.h5 md.h5 -o md.h5 --overwrite",
    "predict model.h5 md.h5 -o md.h5 --resume",
    "md md.h5 -o md.h5 --overwrite",
    "dynamics ham.h5 -o . --overwrite",
    "run study.toml -o . --overwrite",
]
OVER_OTHERS = [
    "convert XDATCAR mine.h5 --timestep 0.5",
    "convert ham.h5 mine.h5",
    "convert ham.h5 results --to hefei",
    "convert ham.h5 new.h5 --log mine.txt",
    "check ham.h5 --html mine.txt",
    "rank study.toml --json mine.txt",
    "fit md.h5 ham.h5 -o mine.h5",
    "predict model.h5 md.h5 -o mine.h5",
    "md XDATCAR -o mine.h5",
    "dynamics ham.h5 -o results",
    "dynamics ham.h5 -o results --overwrite",
    "dynamics ham.h5 -o results --resume",
    "dynamics ham.h5 -o mine.txt --overwrite",
    "run study.toml -o results",
    "run study.toml -o results --overwrite",
    "run study.toml -o mine.txt --overwrite",
    "run study.toml -o results --resume",
    "convert ham.h5 mine.txt --to hefei --overwrite",
    "convert ham.h5 results --overwrite",
]


@pytest.mark.parametrize("line", OVER_INPUTS + OVER_OTHERS)
def test_nothing_is_written_over_inputs_nor_over_anything_without_leave(work, line):
    (work / "link.h5").symlink_to("ham.h5")
    os.link("ham.h5", "hard.h5")
    before = contents(work)
    code, said = command(*line.split())
    assert code == 2, said
    assert said.rstrip().count("\n") == 0
    assert contents(work) == before


CANNOT_BE = ["/dev/null", "x" * 300 + ".h5", "pipe.h5", "loop.h5", "namd"]


@pytest.mark.parametrize(
    "line",
    [
        "convert ham.h5 {}",
        "fit md.h5 ham.h5 -o {}",
        "predict model.h5 md.h5 -o {}",
        "md XDATCAR -o {}",
        "check ham.h5 --html {}",
        "rank study.toml --json {}",
    ],
)
def test_what_cannot_be_a_file(work, line):
    os.mkfifo("pipe.h5")
    (work / "loop.h5").symlink_to("loop.h5")
    (work / "namd.h5").mkdir()
    for name, leave in itertools.product(CANNOT_BE, ("", " --overwrite")):
        if leave and line.startswith("rank"):
            continue
        code, said = command(*(line.format(name) + leave).split())
        assert code == 2, said
        assert said.count("\n") <= 1


@pytest.mark.parametrize(
    "line", ["convert ham.h5 {} --to hefei", "dynamics ham.h5 -o {} --duration 20", "run study.toml -o {}"]
)
@pytest.mark.parametrize("name", ["/dev/null", "x" * 300, "mine.txt/sub"])
def test_what_cannot_be_a_folder(work, line, name):
    code, said = command(*line.format(name).split())
    assert code == 2, said


def test_a_name_that_cannot_be_read_back_is_refused(work):
    for line in (
        "convert XDATCAR md --timestep 0.5",
        "convert ham.h5 ham.dat",
        "fit md.h5 ham.h5 -o model",
        "predict model.h5 md.h5 -o out.txt",
    ):
        code, said = command(*line.split())
        assert code == 2
        assert "must end in .h5 or .hdf5" in said


@pytest.mark.parametrize(
    "line",
    [
        "check {}",
        "check ham.h5 --trajectory {}",
        "convert {} new.h5",
        "run {} -o out",
        "fit {} ham.h5 -o m.h5",
        "fit md.h5 {} -o m.h5",
        "dynamics {} -o out",
        "md {} -o m2.h5",
        "select {} --budget 3 --timestep 1",
        "rank {}",
    ],
)
def test_a_pipe_is_not_waited_for(work, line):
    os.mkfifo("pipe")
    os.mkfifo("pipe.toml")

    def waited(*_):
        raise TimeoutError("it waits for the pipe")

    before = signal.signal(signal.SIGALRM, waited)
    signal.alarm(60)
    try:
        name = "pipe.toml" if line.split()[0] in ("run", "rank") else "pipe"
        code, said = command(*line.format(name).split())
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    assert code in (2, 3, 4)
    assert "is a pipe or a device" in said


def test_a_name_that_is_too_long_is_no_traceback(work):
    long = "x" * 300
    for line in (
        "check {}",
        "check ham.h5 --trajectory {}",
        "convert {} new.h5",
        "run {} -o out",
        "fit {} ham.h5 -o m.h5",
        "dynamics {} -o out",
        "dynamics ham.h5 -o out --dephasing {}",
        "dynamics ham.h5 -o out --initial-times {}",
        "rank {}",
        "evaluate {} -o out",
        "md {} -o m2.h5",
        "select {} --budget 3 --timestep 1",
        "predict {} md.h5 -o m.h5",
        "predict model.h5 {} -o m.h5",
        "harvest {}",
        "compute {}",
    ):
        code, said = command(*line.format(long).split())
        assert code in (2, 3, 4), said


def test_a_link_stays_a_link(work):
    (work / "far").mkdir()
    (work / "out.h5").symlink_to("far/real.h5")
    assert command("convert", "ham.h5", "out.h5")[0] == 0
    assert (work / "out.h5").is_symlink()
    assert hc.read_hamiltonian(work / "far" / "real.h5").n_frames == 61
    assert command("convert", "ham.h5", "out.h5")[0] == 2
    assert command("convert", "ham.h5", "out.h5", "--overwrite")[0] == 0
    assert (work / "out.h5").is_symlink()


def test_a_full_or_closed_standard_output_costs_no_work(work):
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full")
    line = [sys.executable, "-m", "hopcast", "convert", "ham.h5"]
    with open("/dev/full", "w") as full:
        done = subprocess.run([*line, "a.h5"], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "cannot print to standard output: No space left on device" in done.stderr
    assert hc.read_hamiltonian("a.h5").n_frames == 61
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([*line, "b.h5"], stdout=write, stderr=subprocess.PIPE, text=True, check=False)
    os.close(write)
    assert (done.returncode, done.stderr) == (0, "")
    assert hc.read_hamiltonian("b.h5").n_frames == 61
    done = subprocess.run(
        [*line, "c.h5"], env={**os.environ, "NUMBA_NUM_THREADS": "0"}, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "NUMBA_NUM_THREADS must be a whole number of at least 1, but is `0`" in done.stderr


def test_a_refused_run_leaves_no_folder(work, monkeypatch):
    monkeypatch.setattr(outputs, "WORTH_KEEPING", 600.0)  # kernels may have to be compiled first
    for line in (
        "dynamics ham.h5 -o new/deep --duration -5",
        "dynamics ham.h5 -o new/deep --initial-times 999",
        "run study.toml -o new/deep",
    ):
        code, said = command(*line.split())
        assert code in (2, 3), said
        assert not (work / "new").exists()

    def refused(kind, keep):
        with run_folder(work / "a" / "b") as folder:
            (folder / "stages").mkdir()
            (folder / "run.json").write_text("{}")
            if keep:
                (folder / "stages" / "features.h5").write_text("an hour's work")
            raise kind("no")

    with pytest.raises(hc.InputError):
        refused(hc.InputError, keep=False)
    assert not (work / "a").exists()
    with pytest.raises(hc.ConfigError):
        refused(hc.ConfigError, keep=True)  # of a second
    assert not (work / "a").exists()
    monkeypatch.setattr(outputs, "WORTH_KEEPING", 0.0)
    with pytest.raises(hc.ConfigError):
        refused(hc.ConfigError, keep=True)
    assert (work / "a" / "b" / "stages" / "features.h5").exists()
    (work / "mine").mkdir()
    with pytest.raises(hc.InputError), run_folder(work / "mine"):
        raise hc.InputError("no")
    assert (work / "mine").exists()


def test_one_run_at_a_time_works_in_a_folder(work):
    """The lock is the system's: it ends with a killed process."""
    code = "import sys, time; from hopcast.core.outputs import run_folder\nwith run_folder('run'):\n print('in', flush=True); time.sleep(60)"
    other = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    try:
        assert other.stdout.readline() == "in\n"
        (work / "run" / "checkpoint").mkdir()
        code, said = command("dynamics", "ham.h5", "-o", "run", "--resume", "--duration", "20")
        assert code == 2
        assert "Another run of hopcast is at work in `run`" in said
    finally:
        other.kill()
        other.wait()
        other.stdout.close()
    code, said = command("dynamics", "ham.h5", "-o", "run", "--resume", "--duration", "20", "--trajectories", "5")
    assert code == 0, said


def test_seeds_that_random_numbers_cannot_take(work):
    for line in ("dynamics ham.h5 -o s --seed 4294967296", "md XDATCAR -o s.h5 --seed 4294967296"):
        code, said = command(*line.split())
        assert code == 2
        assert "4294967295" in said
    (work / "study.toml").write_text('seed = 4294967296\n[data]\ntrajectory = "md.h5"\nhamiltonian = "ham.h5"\n')
    code, said = command("run", "study.toml", "-o", "s")
    assert code == 2
    assert "4294967295" in said
    rng = np.random.default_rng(0)
    with pytest.raises(hc.ConfigError, match="`random_state` must be at most 4294967295"):
        hc.mutual_information(rng.normal(size=(50, 2)), rng.normal(size=50), random_state=2**32)
    assert command("dynamics", "ham.h5", "-o", "s", "--seed", 2**32 - 1, "--duration", 20, "--trajectories", 5)[0] == 0


def test_arguments_of_other_types_are_one_sentence(work):
    ham = hc.read_hamiltonian("ham.h5")
    for options, message in (
        ({"flavor": "dev"}, "Did you mean `flavour`"),
        ({"temperature": "300"}, "`temperature` must be a number, but is '300'"),
        ({"n_samples": 2.5}, "whole number"),
        ({"n_samples": 0}, "at least 1"),
        ({"duration": [1]}, "must be a number"),
    ):
        with pytest.raises(hc.ConfigError, match=message):
            hc.write_hamiltonian(ham, work / "out", format="hefei", **options)
    for name in ("temperature", "duration", "n_trajectories", "random_state"):
        with pytest.raises(hc.ConfigError, match=f"`{name}` must be a number, but is '300'"):
            hc.run_dynamics(ham, **{name: "300"})
    with pytest.raises(hc.ConfigError, match="must be a whole number"):
        check_number("n", float("nan"), whole=True)
    check_number("n", np.int64(3), whole=True, least=3, most=3)


def test_a_full_disk_and_lost_workers_are_no_mistakes_of_the_user(work, monkeypatch):
    assert issubclass(hc.OutputError, OSError)
    assert issubclass(SchedulerError, ConnectionError)
    for kind in (hc.OutputError, SchedulerError):
        assert not issubclass(kind, ValueError)
        assert kind("no").exit_code == 2
        assert str(kind("no room")) == "no room"

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(hc.OutputError), run_folder(work / "full"):
        raise hc.OutputError("no room")  # no refusal: what is there stays
    assert (work / "full").is_dir()
    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(hc.OutputError, match="No space left on device"):
        hdf5.write_text(work / "t.txt", "text")
    assert not (work / "t.txt").exists()


def test_a_large_file_opens_at_once(work):
    """200 MB took 0.8 s: only small files are looked through, and all in `check`."""
    with hdf5.examining():
        hc.read_hamiltonian("ham.h5")
    hdf5.write_file("large.h5", lambda file: hdf5.put_array(file, "x", np.zeros(1), unit="1", axes=("n",)))
    with open("large.h5", "r+b") as file:  # as large as its content claims nothing of, and a broken heap at its end
        file.seek(300_000_000)
        file.write(b"GCOL\x01\0\0\0" + (64).to_bytes(8, "little") + bytes(48))
    best = min(_seconds(lambda: hdf5.open_file("large.h5")) for _ in range(5))
    assert best < 0.05
    with hdf5.examining(), pytest.raises(hc.InputError, match="is damaged at byte"), hdf5.open_file("large.h5"):
        pass


def _seconds(opening):
    start = time.process_time()
    with opening():
        pass
    return time.process_time() - start


def test_the_guard_itself(work):
    check_file("new.h5")
    check_folder("new")
    check_file("mine.txt", overwrite=True)
    check_file("namd/page.html", inputs=["namd"])
    (work / "namd" / "page.html").write_text("old page")
    check_file("namd/page.html", inputs=["namd"], overwrite=True)
    with pytest.raises(hc.OutputError, match="is read here"):
        check_file("namd/EIGTXT", inputs=["namd"], overwrite=True)


HOLD = """
import sys
from pathlib import Path
from hopcast.core.outputs import held_part
with held_part(Path(sys.argv[1]), 2, 4, ""):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_parts_of_a_work_are_held_by_one_process_each(tmp_path):
    lock = tmp_path / "work.lock"
    other = subprocess.Popen(
        [sys.executable, "-c", HOLD, lock], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert other.stdout.readline() == "held\n"
    for first, last in ((0, 2), (3, 3), (4, 9)):
        with pytest.raises(hc.OutputError, match="at work"), held_part(lock, first, last, "Another is at work."):
            pass
    for first, last in ((0, 1), (5, 9)):
        with held_part(lock, first, last, ""):
            pass
    assert lock.exists()
    other.communicate("")
    with held_part(lock, 0, 9, ""):  # the lock ended with its process
        assert lock.exists()
    assert not lock.exists()

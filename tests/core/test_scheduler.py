"""Work on other processes: the same bits, through any number of killed workers; and what is said when there are none."""

from __future__ import annotations

import itertools
import os
import random
import signal
import stat
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hopcast as hc
from hopcast.core import ConfigError, InputError
from hopcast.core.chunks import chunk_slices, computing_on, map_chunks, stream_chunks
from hopcast.core.scheduler import Scheduler, SchedulerError, open_scheduler, slurm_cluster
from hopcast.descriptors import SymmetryFunctions
from hopcast.regression import LaplacianRidge

FUNCTIONS = SymmetryFunctions(r_s=(3.2, 4.6), theta_s=(0.0, 1.57, 3.14), r_cut=6.0)


@pytest.fixture(scope="module", autouse=True)
def fast_processes() -> Any:
    """Worker processes forked from a server that has imported everything: a killed one is back within a tenth of a second."""
    dask = pytest.importorskip("dask", reason="Dask is not installed: no schedulers")
    distributed = pytest.importorskip("distributed", reason="Dask is not installed: no schedulers")
    with dask.config.set({"distributed.worker.multiprocessing-method": "forkserver"}):
        context = distributed.utils.get_mp_context()
        context.set_forkserver_preload(["distributed", "hopcast.descriptors", "hopcast.regression"])
        yield


@pytest.fixture(scope="module")
def scheduler(fast_processes: None) -> Any:
    # workers that died are started anew, which takes its time on a busy machine
    with open_scheduler("local", workers=2, patience=600.0) as opened:
        yield opened


@pytest.fixture(scope="module")
def trajectory() -> hc.Trajectory:
    return hc.load("cspbi3").trajectory[:240]


@pytest.fixture
def small_cluster() -> Any:
    """A scheduler on a port and one worker that is easily lost."""
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, protocol="tcp", dashboard_address=None, silence_logs=50
    ) as cluster:
        yield cluster


def kill_a_worker(scheduler: Scheduler, chance: random.Random, killed: set[int]) -> None:
    """End a worker process that was not killed before, without warning and at a random moment."""
    deadline = time.monotonic() + 30.0
    while time.monotonic() < deadline:
        pids = {nanny.pid for nanny in scheduler._client.cluster.workers.values()} - killed - {None}
        if pids:
            time.sleep(chance.uniform(0.0, 0.03))
            pid = chance.choice(sorted(pids))
            os.kill(pid, signal.SIGKILL)
            killed.add(pid)
            return
        time.sleep(0.01)
    raise AssertionError("no worker came back")


def test_features_on_workers_have_the_bits_of_one_thread(scheduler: Scheduler, trajectory: hc.Trajectory) -> None:
    expected = FUNCTIONS.transform(trajectory, workers=1)
    there = FUNCTIONS.transform(trajectory, chunk_frames=50, executor=scheduler)
    np.testing.assert_array_equal(there, expected)
    assert scheduler.n_threads == 2


def test_forecasts_on_workers_have_the_bits_of_one_thread(scheduler: Scheduler) -> None:
    X = np.random.default_rng(0).normal(size=(900, 12))
    model = LaplacianRidge(alpha=1e-3, gamma=0.1, workers=1).fit(X[:90], np.sin(X[:90, 0]))
    chunks = [X[part] for part in chunk_slices(len(X), 100)]
    there = map_chunks(partial(model.predict, return_std=True), chunks, executor=scheduler)
    np.testing.assert_array_equal(np.concatenate(there, axis=1), model.predict(X, return_std=True))


def test_ten_killed_workers_change_no_bit(scheduler: Scheduler, trajectory: hc.Trajectory) -> None:
    expected = FUNCTIONS.transform(trajectory, workers=1)
    found = np.full_like(expected, np.nan)
    chance, killed = random.Random(0), set[int]()
    for frames, values in FUNCTIONS.transform_chunks(trajectory, chunk_frames=4, executor=scheduler):
        assert np.isnan(found[frames]).all()
        found[frames] = values
        if len(killed) < 10 and chance.random() < 0.5:
            kill_a_worker(scheduler, chance, killed)
    assert len(killed) == 10
    np.testing.assert_array_equal(found, expected)


def test_only_a_few_chunks_are_taken_ahead(scheduler: Scheduler) -> None:
    taken = itertools.count()
    results = stream_chunks(abs, (-next(taken) for _ in range(1000)), executor=scheduler)
    assert [next(results) for _ in range(5)] == [0, 1, 2, 3, 4]
    assert next(taken) < 100
    results = stream_chunks(abs, (-next(taken) for _ in range(1000)), workers=2)
    first = next(results)
    assert next(results) == first + 1
    assert next(taken) < 200


def test_bad_data_on_a_worker_is_named_as_at_home(scheduler: Scheduler, trajectory: hc.Trajectory) -> None:
    positions = trajectory.positions.copy()
    positions[77, 3] = positions[77, 5]
    bad = hc.Trajectory(positions, trajectory.cell, trajectory.numbers, trajectory.timestep)
    with pytest.raises(InputError, match="frame 77") as there:
        FUNCTIONS.transform(bad, chunk_frames=30, executor=scheduler)
    with pytest.raises(InputError) as here:
        FUNCTIONS.transform(bad)
    assert str(there.value) == str(here.value)


def kill_myself(item: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return item


def test_a_unit_that_kills_every_worker_is_named(scheduler: Scheduler, monkeypatch: pytest.MonkeyPatch) -> None:
    # a scheduler of others, which gives up after two: the unit is handed over once more
    monkeypatch.setattr(scheduler._client.cluster.scheduler, "allowed_failures", 1)
    monkeypatch.setattr("hopcast.core.scheduler.LOSSES", 2)
    with pytest.raises(SchedulerError, match="4 workers died under it: they may have too little memory"):
        map_chunks(kill_myself, [1], executor=scheduler)


def test_all_workers_lost_is_said_in_time(small_cluster: Any) -> None:
    with open_scheduler(small_cluster.scheduler_address, patience=1.0) as opened:
        results = opened.map(abs, [-1] * 1000)
        assert next(results) == 1
        small_cluster.scale(0)
        start = time.monotonic()
        with pytest.raises(SchedulerError, match=r"has been without any worker for 1 s\. Start workers"):
            list(results)
        assert time.monotonic() - start < 20.0
    with (
        pytest.raises(SchedulerError, match=r"has had none for 0.5 s. Start them with `dask worker tcp://"),
        open_scheduler(small_cluster.scheduler_address, patience=0.5),
    ):
        pass


def test_a_scheduler_that_ends_is_told(small_cluster: Any) -> None:
    with open_scheduler(small_cluster.scheduler_address, patience=1.0) as opened:
        results = opened.map(abs, [-1] * 1000)
        assert next(results) == 1
        small_cluster.close()
        with pytest.raises(SchedulerError, match=r"must keep running, but was lost|been without an answer"):
            list(results)


def test_nobody_answers() -> None:
    start = time.monotonic()
    with (
        pytest.raises(SchedulerError, match=r"`tcp://127.0.0.1:9` must answer, but did not within 0\.5 s"),
        open_scheduler("tcp://127.0.0.1:9", patience=0.5),
    ):
        pass
    assert time.monotonic() - start < 20.0


@pytest.mark.parametrize(
    ("address", "options", "message"),
    [
        ("locla", None, "Argument `scheduler` must be .* Did you mean `local`"),
        ("local", "slurm.toml", "must come with the scheduler `slurm`, but the scheduler is `local`"),
        ("slurm", None, "needs a file with the options of the site"),
    ],
)
def test_wrong_arguments_are_told(address: str, options: str | None, message: str) -> None:
    with pytest.raises(ConfigError, match=message), open_scheduler(address, options_file=options):
        pass


def test_without_dask_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ConfigError, match=r'`pip install "hopcast\[dask\]"`'), open_scheduler("local"):
        pass


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            'cores = 4\nmemory = "8GB"\nqueu = "long"\n',
            "unknown key `queu` for the scheduler slurm. Did you mean `queue`",
        ),
        ('cores = 4\nqueue = "long"\n', "must have the key `memory`, the memory of a job, like .8GB., but does not"),
        ("cores = \n", "is not valid TOML"),
        ('cores = "four"\nmemory = "8GB"\n', "must have the key `cores`, the cores of a job, but it is .four."),
    ],
)
def test_options_of_a_site_are_checked(tmp_path: Path, text: str, message: str) -> None:
    pytest.importorskip("dask_jobqueue", reason="Dask-Jobqueue is not installed")
    (tmp_path / "slurm.toml").write_text(text)
    with pytest.raises(ConfigError, match=message):
        slurm_cluster(tmp_path / "slurm.toml")


SITE = """
queue = "long"
account = "perovskites"
cores = 2
processes = 2
memory = "4GB"
walltime = "12:00:00"
job_extra_directives = ["--constraint=skylake"]
job_script_prologue = ["export HOPCAST_SITE=1"]
"""


def test_the_job_script_holds_the_options_of_the_site(tmp_path: Path) -> None:
    pytest.importorskip("dask_jobqueue", reason="Dask-Jobqueue is not installed")
    (tmp_path / "slurm.toml").write_text(SITE)
    with slurm_cluster(tmp_path / "slurm.toml") as cluster:
        script = cluster.job_script()
    for line in ("-p long", "-A perovskites", "-t 12:00:00", "--cpus-per-task=2", "--mem=4G", "--constraint=skylake"):
        assert f"#SBATCH {line}" in script
    assert "export HOPCAST_SITE=1" in script
    assert f"{sys.executable} -m distributed.cli.dask_worker tcp://" in script


def test_jobs_of_a_queue_do_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With commands that stand in for SLURM's: `sbatch` runs the script at once, `scancel` ends it."""
    pytest.importorskip("dask_jobqueue", reason="Dask-Jobqueue is not installed")
    (tmp_path / "slurm.toml").write_text(SITE.replace("processes = 2", "processes = 1"))
    commands = {
        # like the real one it keeps a copy: the script is deleted as soon as it is submitted
        "sbatch": f'cp "$1" {tmp_path}/$$.sh\nsetsid sh {tmp_path}/$$.sh > /dev/null 2>&1 &\necho "Submitted batch job $!"\n',
        "scancel": 'kill -- "-$1"\n',
    }
    for name, text in commands.items():
        path = tmp_path / name
        path.write_text(f"#!/bin/sh\n{text}")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    with open_scheduler("slurm", options_file=tmp_path / "slurm.toml") as opened:
        assert map_chunks(abs, [-3, -2, -1], executor=opened) == [3, 2, 1]
        assert opened.n_threads == 2


def test_what_is_inside_a_context_needs_no_argument(scheduler: Scheduler, trajectory: hc.Trajectory) -> None:
    """Features, information, refits of candidates and forecasts: each travels, and every bit is that of threads."""
    from hopcast.evaluation import Candidate, nested_selection, time_blocks
    from hopcast.information import mutual_information

    journeys: list[int] = []

    class Counting:
        def map(self, function: Any, /, *iterables: Any) -> Any:
            journeys.append(1)
            return scheduler.map(function, *iterables)

    def work() -> list[Any]:
        G = FUNCTIONS.transform(trajectory)
        X = G.reshape(len(G), -1)
        y = X[:, :3].sum(axis=1) + np.sin(np.arange(len(X)))
        times = np.arange(240.0)
        chosen = nested_selection(
            [Candidate("a", X, LaplacianRidge(alpha=1e-3))], y, times, time_blocks(times, 50.0), n_shifts=2
        )
        model = LaplacianRidge(alpha=1e-3, gamma=0.1).fit(X[::4], y[::4])
        return [G, mutual_information(X, y), chosen.forecast, *model.predict(np.tile(X, (10, 1)), return_std=True)]

    at_home = work()
    with computing_on(Counting()):
        away = work()
    assert len(journeys) >= 4
    n_away = len(journeys)
    for one, other in zip(at_home, away, strict=True):
        np.testing.assert_array_equal(one, other)
    work()
    assert len(journeys) == n_away  # the context is over

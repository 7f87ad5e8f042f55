"""A forecast on worker processes that are killed: the same bits, and finished chunks stay where nobody is left."""

import os
import random
import signal

import h5py
import numpy as np
import pytest
from forecast_material import contents, make_material, same
from typer.testing import CliRunner

from hopcast.cli.app import app
from hopcast.forecast import fit_forecaster, predict_stream, save_forecaster
from hopcast.forecast.options import PUBLISHED
from hopcast.io import write_native

N_KILLS = 10


@pytest.fixture(scope="module", autouse=True)
def fast_processes():
    """Worker processes forked from a server that has imported everything: a killed one is back at once."""
    dask = pytest.importorskip("dask", reason="Dask is not installed: no schedulers")
    distributed = pytest.importorskip("distributed", reason="Dask is not installed: no schedulers")
    with dask.config.set({"distributed.worker.multiprocessing-method": "forkserver"}):
        context = distributed.utils.get_mp_context()
        context.set_forkserver_preload(["distributed", "hopcast.forecast"])
        yield


def test_workers_killed_at_random_change_no_bit(tmp_path, monkeypatch):
    import hopcast.core.scheduler as module
    from hopcast.core.scheduler import open_scheduler

    monkeypatch.setattr(module, "_LARGEST", 2)  # these chunks are short: all would travel at once
    trajectory, hamiltonian, _ = make_material()
    forecaster = fit_forecaster(trajectory, hamiltonian, model=PUBLISHED, workers=1)
    whole = predict_stream(forecaster, trajectory, tmp_path / "whole.h5", workers=1)
    dice, killed = random.Random(4), []

    with open_scheduler("local", workers=2) as scheduler:

        def kill_one(done, total):
            if done % 8 == 0 and len(killed) < N_KILLS:
                alive = [worker.pid for worker in scheduler._client.cluster.workers.values() if worker.pid]
                killed.append(dice.choice(alive))
                os.kill(killed[-1], signal.SIGKILL)

        found = predict_stream(
            forecaster, trajectory, tmp_path / "cut.h5", chunk_frames=4, executor=scheduler, progress=kill_one
        )
    assert len(killed) == N_KILLS
    assert found.n_chunks == 100
    same(contents(whole.path), contents(found.path))


def test_the_options_of_the_command(tmp_path):
    trajectory, hamiltonian, _ = make_material()
    save_forecaster(fit_forecaster(trajectory, hamiltonian, model=PUBLISHED, workers=1), tmp_path / "model.h5")
    write_native(tmp_path / "md.h5", trajectory=trajectory[:40])
    arguments = ["predict", str(tmp_path / "model.h5"), str(tmp_path / "md.h5"), "-o", str(tmp_path / "f.h5")]
    (tmp_path / "slurm.toml").write_text('cores = 1\nmemroy = "1GB"\n')
    run = CliRunner().invoke
    options = str(tmp_path / "slurm.toml")
    for extra, words in (
        (["--scheduler", "slrum"], "Did you mean `slurm`"),
        (["--scheduler-options", options], "needs --scheduler slurm"),
        (["--scheduler", "slurm", "--scheduler-options", options], "unknown key `memroy`"),
    ):
        found = run(app, [*arguments, *extra])
        assert words in str(found.exception), extra
        assert not (tmp_path / "f.h5").exists()
        assert not (tmp_path / "f.h5.parts").exists()
    assert run(app, [*arguments, "--chunk", "8", "-j", "1", "--scheduler", "local"]).exit_code == 0
    with h5py.File(tmp_path / "f.h5") as file:
        assert np.isfinite(file["forecast/gap"][()]).all()

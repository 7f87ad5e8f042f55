import contextlib
import json
import os
import signal
import sys
import time
import warnings

import numpy as np
import pytest

from hopcast.core import ConfigError
from hopcast.dynamics import run_dynamics

OPTIONS = {
    "duration": 250.0,
    "dephasing_time": 8.0,
    "n_trajectories": 60,
    "n_times": 20,
    "absorbing": False,
    "workers": 1,
    "chunk_trajectories": 10,
    "initial_times": [0, 10, 20, 30],
}


def finished(folder) -> int:
    return len(list(folder.glob("unit-*.npz"))) if folder.exists() else 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills a forked copy of this process")
@pytest.mark.parametrize("method", ["dish", "fssh", "msdm", "ehrenfest"])
def test_killed_twenty_times_ends_with_the_same_bits(ladder, method, tmp_path) -> None:
    ham, folder = ladder(n_states=3), tmp_path / "checkpoint"
    options = {**OPTIONS, "initial_state": 2, "temperature": 300.0, "initial_times": list(range(60))}
    reference = run_dynamics(ham, method, **options)
    rng, kept = np.random.default_rng(4), [0]
    for _ in range(20):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # threads of the BLAS, which the child does not use
            child = os.fork()
        if child == 0:
            with contextlib.suppress(BaseException):  # slow enough to be met in the middle
                run_dynamics(ham, method, checkpoint=folder, progress=lambda *_: time.sleep(0.004), **options)
            os._exit(0)
        # a random number of units later, at a random time within the next one
        wanted, deadline = kept[-1] + rng.integers(0, 3), time.monotonic() + 5.0
        while finished(folder) < wanted and time.monotonic() < deadline:
            time.sleep(0.0005)
        time.sleep(rng.uniform(0, 0.006))
        os.kill(child, signal.SIGKILL)
        assert os.waitpid(child, 0)[1] == signal.SIGKILL  # it was at work
        kept.append(finished(folder))
    assert kept == sorted(kept)  # nothing is lost
    assert len(set(kept)) > 4
    result = run_dynamics(ham, method, checkpoint=folder, **{**options, "workers": 2})
    np.testing.assert_array_equal(result.populations, reference.populations)
    np.testing.assert_array_equal(result.flows, reference.flows)
    assert result.lifetime == reference.lifetime


def test_a_checkpoint_is_of_one_run(wavy, tmp_path) -> None:
    folder, seen = tmp_path / "checkpoint", []
    options = {**OPTIONS, "duration": 50.0}
    first = run_dynamics(wavy(), "fssh", checkpoint=folder, **options)
    with pytest.raises(ConfigError, match="holds the checkpoint of another run"):
        run_dynamics(wavy(), "fssh", checkpoint=folder, **{**options, "random_state": 1})
    with pytest.raises(ConfigError, match="holds the checkpoint of another run"):
        run_dynamics(wavy(scale=1.1), "fssh", checkpoint=folder, **options)
    unit = folder / "unit-0-0.npz"
    unit.write_bytes(unit.read_bytes()[:100])  # a disk that lost its last blocks
    again = run_dynamics(
        wavy(), "fssh", checkpoint=folder, progress=lambda done, total: seen.append((done, total)), **options
    )
    np.testing.assert_array_equal(again.populations, first.populations)
    assert seen[-1] == (4, 4)


def test_an_interrupted_command_goes_on(ladder, tmp_path, monkeypatch, capsys) -> None:
    from hopcast.cli.app import main
    from hopcast.dynamics.methods import induced

    ladder(n_states=3).write(tmp_path / "ham.h5")
    monkeypatch.chdir(tmp_path)
    words = [
        "ham.h5",
        "--states",
        "0-2",
        "--duration",
        "300",
        "--trajectories",
        "20",
        "--every",
        "10",
        "--dephasing",
        "8",
        "-j",
        "1",
        "--not-absorbing",
    ]

    def run(*more: str) -> int:
        monkeypatch.setattr(sys, "argv", ["hopcast", "dynamics", *words, *more])
        with pytest.raises(SystemExit) as stop:
            main()
        return int(stop.value.code or 0)

    assert run("-o", "whole") == 0
    calls, original = [], induced._open

    def interrupt(*arguments):
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return original(*arguments)

    monkeypatch.setattr(induced, "_open", interrupt)
    assert run("-o", "parts") == 130
    assert "continue with --resume --output parts" in capsys.readouterr().err
    assert len(list((tmp_path / "parts/checkpoint").glob("unit-*.npz"))) == 3
    assert run("-o", "parts", "--resume") == 0
    assert len(calls) == 7  # three of six initial times were kept
    one, two = (json.loads((tmp_path / name / "results.json").read_text()) for name in ("whole", "parts"))
    assert one == two

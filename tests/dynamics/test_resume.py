import contextlib
import os
import signal
import time
import warnings

import numpy as np
import pytest

from hopcast.core import ConfigError
from hopcast.dynamics import run_dynamics

OPTIONS = {"duration": 250.0, "dephasing_time": 8.0, "n_trajectories": 60, "n_times": 20, "absorbing": False, "workers": 1,
           "chunk_trajectories": 10, "initial_times": [0, 10, 20, 30]}  # fmt: skip


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills a forked copy of this process")
@pytest.mark.parametrize("method", ["dish", "msdm"])
def test_killed_twenty_times_ends_with_the_same_bits(ladder, method, tmp_path) -> None:
    ham, options = ladder(n_states=3), {**OPTIONS, "initial_state": 2, "temperature": 300.0}
    start = time.perf_counter()
    reference = run_dynamics(ham, method, **options)
    took = time.perf_counter() - start
    rng, folder = np.random.default_rng(4), tmp_path / "checkpoint"
    kept = []
    for _ in range(20):
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore", DeprecationWarning
            )  # threads of the BLAS, which the child does not use
            child = os.fork()
        if child == 0:
            with contextlib.suppress(BaseException):
                run_dynamics(ham, method, checkpoint=folder, **options)
            os._exit(0)
        time.sleep(rng.uniform(0, min(0.6 * took, 0.15)))
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        kept.append(len(list(folder.glob("unit-*.npz"))) if folder.exists() else 0)
    assert kept == sorted(kept)  # nothing is lost
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

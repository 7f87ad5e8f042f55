"""A long trajectory instead of a loop over a short one: the part of the interval that is the trajectory's shrinks."""

import numpy as np
import pytest
from scipy.signal import lfilter

from hopcast.dynamics import run_dynamics

TIMESTEP = 2.0
LENGTHENING = 16


def memory_series(n: int, seed: int, memory: float = 100.0) -> np.ndarray:
    """Return an Ornstein-Uhlenbeck series of unit variance."""
    a = np.exp(-1 / memory)
    noise = np.random.default_rng(seed).normal(size=n + int(20 * memory))
    return lfilter([np.sqrt(1 - a**2)], [1.0, -a], noise)[-n:]


@pytest.fixture
def build(series):
    """Build a Hamiltonian of the first frames of one long random trajectory."""
    n = 500 * LENGTHENING + 1
    gap, coupling = 1.0 + 0.05 * memory_series(n, 1), 0.02 * np.exp(0.3 * memory_series(n - 1, 2))
    return lambda n_steps: series(gap[: n_steps + 1], coupling[:n_steps], TIMESTEP)


def spread(result) -> float:
    """Return the finite-trajectory part of the lifetime's interval, relative."""
    part = result.lifetime.parts["finite_trajectory"]
    return float(np.log(part.high / part.low))


def test_the_finite_trajectory_part_shrinks_with_the_root_of_the_length(build) -> None:
    options = {"dephasing_time": 8.0, "duration": 800.0, "n_times": 41, "workers": 1}
    short = run_dynamics(build(500), "exact", **options)  # looped: what 1 ps says
    long = run_dynamics(build(500 * LENGTHENING), "exact", loop=False, **options)
    # the few blocks of the short one also widen it by Student's t
    assert 0.5 < spread(short) / spread(long) / np.sqrt(LENGTHENING) < 2.5
    assert short.lifetime.low < long.lifetime.value < short.lifetime.high


def test_without_a_loop_a_run_stays_on_its_trajectory(build) -> None:
    ham = build(500)
    options = {"dephasing_time": 8.0, "n_times": 11, "workers": 1}
    once = run_dynamics(ham, "exact", loop=False, duration=400.0, **options)
    assert max(once.initial_times) * TIMESTEP + 400.0 <= 500 * TIMESTEP
    assert once.seam is None
    # frames far from the end never see the seam: both readings of one start agree there
    one = {**options, "duration": 400.0, "initial_times": [100]}
    looped, straight = (run_dynamics(ham, "exact", loop=loop, **one) for loop in (True, False))
    np.testing.assert_allclose(looped.populations, straight.populations, rtol=1e-10)

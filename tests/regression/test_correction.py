"""A forecast corrected in time: errors with a memory are taken away, errors without one are left alone."""

import numpy as np
import pytest

from hopcast import InputError
from hopcast.evaluation import interpolate_in_time
from hopcast.regression import correct_in_time

TIMES = 4.0 * np.arange(400)
FAST = np.sin(2 * np.pi * TIMES / 37.0) + 0.5 * np.sin(2 * np.pi * TIMES / 23.0)
SLOW = 0.4 * np.sin(2 * np.pi * TIMES / 700.0 + 1.0)


def rms(values):
    return np.sqrt(np.mean(values**2))


def test_slow_errors_are_interpolated_away():
    truth, known = FAST + SLOW, np.arange(0, 400, 20)
    inside = slice(0, known[-1])
    found = correct_in_time(TIMES, FAST, known, truth[known], workers=1)
    spline = interpolate_in_time(TIMES[known], truth[known], TIMES, "cubic", max_gap=np.inf)
    assert rms((found.mean - truth)[inside]) < 0.05 * rms(SLOW)
    assert rms((found.mean - truth)[inside]) < 0.05 * rms((spline - truth)[inside])
    np.testing.assert_allclose(found.mean[known], truth[known], atol=0.02)
    assert found.std[known].max() < found.std[inside].max()


@pytest.mark.parametrize(("spacing", "limit"), [(1000.0, 1.1), (40.0, 1.4)])
def test_errors_without_memory_are_left_alone(spacing, limit):
    """But for their mean. Samples closer than the 110 fs that the process expects of a memory are taken to have one, at a price."""
    known = np.arange(0, 400, 10)
    test = np.setdiff1d(np.arange(known[-1]), known)
    times = spacing / 10.0 * np.arange(400)
    for seed in range(3):
        noise = 0.2 * np.random.default_rng(seed).normal(size=400)
        truth = FAST + 0.3 + noise
        found = correct_in_time(times, FAST, known, truth[known], workers=1)
        assert rms((found.mean - truth)[test]) < limit * rms(noise[test])
        assert rms((FAST - truth)[test]) > 1.5 * rms(noise[test])


def test_shapes_must_fit():
    with pytest.raises(
        InputError, match=r"a time for each forecast and a value for each sample, but got \(400,\) times"
    ):
        correct_in_time(TIMES, FAST[:-1], [0, 1], [0.0, 1.0])

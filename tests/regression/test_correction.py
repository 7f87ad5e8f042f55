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


def test_errors_without_memory_are_left_alone():
    known = np.arange(0, 400, 10)
    test = np.setdiff1d(np.arange(known[-1]), known)
    added = []
    for seed in range(5):
        noise = 0.2 * np.random.default_rng(seed).normal(size=400)
        truth = FAST + 0.3 + noise
        found = correct_in_time(TIMES, FAST, known, truth[known], workers=1)
        # but for their mean; forty samples now and then look as if they remembered each other
        added.append(rms((found.mean - truth)[test]) / rms(noise[test]))
        assert rms((FAST - truth)[test]) > 1.5 * rms(noise[test])
    assert np.median(added) < 1.1
    assert max(added) < 1.4


def test_shapes_must_fit():
    with pytest.raises(
        InputError, match=r"a time for each forecast and a value for each sample, but got \(400,\) times"
    ):
        correct_in_time(TIMES, FAST[:-1], [0, 1], [0.0, 1.0])

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.signal import hilbert
from scipy.special import exp1, expi

from hopcast.core.errors import InputError
from hopcast.information import autocorrelation, circular_shifts, correlation_time, first_zero_crossing


def autoregressive(phi, n, seed):
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=n)
    series = np.zeros(n)
    for t in range(1, n):
        series[t] = phi * series[t - 1] + noise[t]
    return series


def test_autocorrelation_is_the_sum_over_pairs():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(101, 11)).cumsum(axis=0)
    x = X[:, 10] - X[:, 10].mean()
    expected = [x[: 101 - lag] @ x[lag:] / (x @ x) for lag in range(101)]
    np.testing.assert_allclose(autocorrelation(X)[:, 10], expected, atol=1e-12)
    np.testing.assert_allclose(autocorrelation(X[:, 10], 20), expected[:21], atol=1e-12)


def test_zero_crossing_of_a_cosine_is_a_quarter_of_its_period():
    time = np.arange(4000) * 0.5
    series = np.stack([np.cos(2 * np.pi * time / 100.0), np.cos(2 * np.pi * time / 40.0), np.ones(4000)], axis=1)
    np.testing.assert_allclose(first_zero_crossing(series, 0.5)[:2], [25.0, 10.0], atol=0.5)
    assert first_zero_crossing(series)[2] == np.inf
    assert first_zero_crossing(series[:, 0], 0.5).shape == (1,)


def test_correlation_time_of_an_autoregressive_series():
    def envelope(u):  # of exp(-|u|): its Hilbert transform in closed form
        return np.hypot(np.exp(-u), (np.exp(-u) * expi(u) + np.exp(u) * exp1(u)) / np.pi)

    expected = brentq(lambda u: envelope(u) - np.exp(-1), 0.5, 5)  # 1.92: no vibration, so more than 1
    memory = correlation_time(autoregressive(np.exp(-1 / 25.0), 40_000, 1), timestep=2.0)
    assert memory.resolved
    assert memory.value == pytest.approx(50.0 * expected, rel=0.2)
    assert float(memory) == memory.value
    assert memory.duration == 80_000.0


def test_a_damped_vibration_is_not_forgotten_at_its_zeros():
    series = autoregressive(0.98, 40_000, 2) * np.cos(2 * np.pi * np.arange(40_000) / 12)
    zero = first_zero_crossing(series)[0]
    assert zero <= 4
    assert correlation_time(series).value == pytest.approx(50, rel=0.35)


def test_envelope_is_that_of_the_hilbert_transform():
    series = autoregressive(0.95, 4000, 3)
    full = autocorrelation(series)
    envelope = np.abs(hilbert(np.concatenate([full[:0:-1], full])))[len(full) - 1 :][: 4000 // 4 + 1]
    assert correlation_time(series).value == np.flatnonzero(envelope >= np.exp(-1))[-1] + 1


def test_what_never_decays_is_flagged():
    vibration = np.cos(2 * np.pi * np.arange(1000) / 37)
    memory = correlation_time(vibration, timestep=4.0)
    assert not memory.resolved
    assert memory.value == 1000.0
    assert "longer than 1000 fs" in str(memory)


def test_the_slowest_column_counts_and_constants_do_not():
    noise = np.random.default_rng(0).normal(size=(5000, 10))
    X = np.column_stack([np.ones(5000), noise, autoregressive(0.9, 5000, 4)])
    memory = correlation_time(X, workers=2)
    assert memory.column == 11
    assert memory.value == correlation_time(X[:, 11]).value > correlation_time(noise).value
    assert correlation_time(np.ones(50), 3.0).value == 3.0


@pytest.mark.parametrize("function", [autocorrelation, first_zero_crossing, correlation_time])
def test_bad_series_are_named(function):
    with pytest.raises(InputError, match="sample 3 of column 1 is nan"):
        function(np.where(np.arange(20).reshape(10, 2) == 7, np.nan, 1.0))
    with pytest.raises(InputError, match="at least 2 samples"):
        function([1.0])


@given(n=st.integers(1, 500), wanted=st.integers(0, 120), spacing=st.integers(1, 60), seed=st.integers(0, 99))
def test_shifts_keep_their_distance_and_as_many_as_fit(n, wanted, spacing, seed):
    shifts = circular_shifts(n, wanted, spacing, seed)
    assert len(shifts) == max(0, min(wanted, n // spacing - 1))
    assert np.all(np.diff(np.concatenate([[0], shifts, [n]])) >= spacing) or len(shifts) == 0
    assert np.array_equal(shifts, circular_shifts(n, wanted, spacing, seed))


def test_shifts_cover_the_whole_circle():
    drawn = np.concatenate([circular_shifts(40, 2, 5, seed) for seed in range(400)])
    assert set(drawn) == set(range(5, 36))


def test_bad_shifts_are_named():
    with pytest.raises(InputError, match="`min_shift` must be at least 1"):
        circular_shifts(10, 2, 0)
    with pytest.raises(InputError, match="`n_shifts` must not be negative"):
        circular_shifts(10, -2, 1)

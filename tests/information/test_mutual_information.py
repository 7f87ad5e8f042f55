from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import digamma
from sklearn.feature_selection import mutual_info_regression

import hopcast as hc
from hopcast.core.errors import InputError
from hopcast.information import mutual_information
from hopcast.information.ksg import ksg, scale_series


def brute_force(x, y, k, window):
    """NumPy twin: all pairs, KSG 1 with a Theiler window, on scaled and jittered series."""
    n = len(x)
    time = np.arange(n)
    admitted = np.abs(time[:, None] - time) >= max(window, 1)
    dx = np.abs(x[:, None] - x)
    dy = np.abs(y[:, None] - y)
    joint = np.where(admitted, np.maximum(dx, dy), np.inf)
    radius = np.sort(joint, axis=1)[:, k - 1, None]
    n_x = np.sum(admitted & (dx < radius), axis=1)
    n_y = np.sum(admitted & (dy < radius), axis=1)
    others = admitted.sum(axis=1)
    return digamma(k) + np.mean(digamma(others + 1) - digamma(n_x + 1) - digamma(n_y + 1))


def series(kind, n, rng):
    time = np.arange(n)
    if kind == "noise":
        return rng.normal(size=n)
    if kind == "smooth":
        return np.cos(0.05 * time + rng.uniform(0, 6)) + 0.5 * np.cos(0.013 * time + rng.uniform(0, 6))
    if kind == "levels":
        return rng.integers(0, 4, n).astype(float)
    if kind == "duplicates":
        return np.repeat(rng.normal(size=n), 3)[:n]
    if kind == "heavy":
        return rng.standard_t(1, size=n)
    if kind == "constant":
        return np.full(n, 3.0e5)
    return rng.permutation(n) * 1e-3 + 7.0  # an exact grid: differences tie


KINDS = ["noise", "smooth", "levels", "duplicates", "heavy", "constant", "grid"]


@pytest.mark.parametrize("kind_y", [kind for kind in KINDS if kind != "constant"])
@pytest.mark.parametrize("n", [5, 40, 611])
def test_equals_scikit_learn_on_every_kind_of_series(kind_y, n):
    rng = np.random.default_rng(3)
    X = np.stack([series(kind, n, rng) for kind in KINDS], axis=1)
    y = series(kind_y, n, rng)
    y[0] += 1e-3  # never constant
    reference = mutual_info_regression(X, y, random_state=5)
    np.testing.assert_allclose(mutual_information(X, y, random_state=5), reference, atol=1e-9, rtol=0)


@settings(max_examples=30, deadline=None)
@given(
    n=st.integers(6, 300),
    k=st.integers(1, 5),
    n_features=st.integers(1, 11),
    decimals=st.integers(0, 6),
    mixing=st.floats(0, 1),
    seed=st.integers(0, 2**31),
)
def test_equals_scikit_learn_for_any_size_and_rounding(n, k, n_features, decimals, mixing, seed):
    rng = np.random.default_rng(seed)
    y = np.round(rng.normal(size=n), decimals)
    y[:2] = -3.0, 3.0
    X = np.round(mixing * y[:, None] + rng.normal(size=(n, n_features)), decimals)
    reference = mutual_info_regression(X, y, n_neighbors=k, random_state=1)
    ours = mutual_information(X, y, n_neighbors=k, random_state=1)
    np.testing.assert_allclose(ours, reference, atol=1e-9, rtol=0)


def test_equals_scikit_learn_across_the_blocks_in_which_noise_is_drawn():
    rng = np.random.default_rng(0)
    y = rng.normal(size=9001)
    X = np.stack([y + rng.normal(size=9001), rng.integers(0, 3, 9001)], axis=1)
    np.testing.assert_allclose(
        mutual_information(X, y), mutual_info_regression(X, y, random_state=0), atol=1e-9, rtol=0
    )


@pytest.mark.parametrize("window", [1, 2, 7, 40, 90])
@pytest.mark.parametrize("k", [1, 3, 6])
def test_equals_brute_force_with_a_window(window, k):
    rng = np.random.default_rng(11)
    n = 260
    X = np.stack([series(kind, n, rng) for kind in KINDS], axis=1)
    for kind in ("smooth", "levels", "noise"):
        y = series(kind, n, rng)
        scaled, scaled_y = scale_series(X, y, 4)
        ours = mutual_information(X, y, n_neighbors=k, theiler_window=window, random_state=4)
        expected = [brute_force(x, scaled_y, k, window) for x in scaled]
        np.testing.assert_allclose(ours, expected, atol=1e-11, rtol=0)


@pytest.mark.parametrize("window", [0, 25])
def test_shifts_and_decimation_equal_brute_force(window):
    rng = np.random.default_rng(2)
    n, step = 403, 3
    X, y = scale_series(np.stack([series("smooth", n, rng) for _ in range(10)], 1), series("noise", n, rng), 0)
    shifts = [0, 1, 50, 133]
    ours = ksg(X, y, n_neighbors=3, theiler_window=window, step=step, shifts=shifts)
    length = n // step
    for feature in (0, 9):
        for column, shift in enumerate(shifts):
            parts = [
                brute_force(
                    X[feature, o : length * step : step], np.roll(y[o : length * step : step], -shift), 3, window
                )
                for o in range(step)
            ]
            assert ours[feature, column] == pytest.approx(np.mean(parts), abs=1e-11)


def test_coincident_samples_are_counted():
    x = np.repeat(np.arange(5.0), 6)  # no jitter here: the third neighbour is at distance zero
    estimate = ksg(x[None, :], x.copy(), n_neighbors=3)[0, 0]
    assert estimate == pytest.approx(digamma(30) + digamma(3) - 2 * digamma(6), abs=1e-12)


@pytest.mark.parametrize(("rho", "expected"), [(0.3, 0.0472), (0.6, 0.2231), (0.9, 0.8304)])
def test_bivariate_normal(rho, expected):
    rng = np.random.default_rng(0)
    n = 4000
    y = rng.normal(size=n)
    X = rho * y[:, None] + np.sqrt(1 - rho**2) * rng.normal(size=(n, 5))
    assert -0.5 * np.log(1 - rho**2) == pytest.approx(expected, abs=1e-4)
    assert np.mean(mutual_information(X, y)) == pytest.approx(expected, abs=0.015)


def test_autoregressive_pair_with_a_window_shows_nothing():
    rng = np.random.default_rng(1)
    noise = rng.normal(size=(3500, 40))
    walk = np.zeros_like(noise)
    for t in range(1, len(noise)):
        walk[t] = 0.9 * walk[t - 1] + noise[t]
    walk = walk[500:]
    draws = [mutual_information(walk[:, i], walk[:, 20 + i], theiler_window=50)[0] for i in range(20)]
    assert abs(np.mean(draws)) < 0.03
    assert min(draws) < 0  # not clipped


def test_unit_offset_and_sign_do_not_matter():
    rng = np.random.default_rng(8)
    y = rng.normal(size=500)
    x = y + rng.normal(size=500)
    reference = mutual_information(x, y)
    assert reference.shape == (1,)
    np.testing.assert_allclose(mutual_information(1e3 * x, 1e-4 * y), reference, atol=1e-3)
    np.testing.assert_allclose(mutual_information(-x, y + 5), reference, atol=1e-3)


@pytest.mark.parametrize("window", [0, 20])
def test_workers_and_neighbouring_features_do_not_change_a_bit(window):
    rng = np.random.default_rng(9)
    X = rng.normal(size=(400, 37)).cumsum(axis=0)
    y = rng.normal(size=400).cumsum()
    one = mutual_information(X, y, theiler_window=window, workers=1)
    assert np.array_equal(one, mutual_information(X, y, theiler_window=window, workers=4))
    assert np.array_equal(one, mutual_information(np.asfortranarray(X), y, theiler_window=window))
    scaled, scaled_y = scale_series(X, y, 0)
    alone = ksg(scaled[20:21], scaled_y, n_neighbors=3, theiler_window=window)[0, 0]
    assert one[20] == (max(alone, 0.0) if window == 0 else alone)


def test_input_is_not_changed():
    X = np.random.default_rng(0).normal(size=(50, 1))
    y = X[:, 0] ** 2
    before = X.copy(), y.copy()
    mutual_information(X, y)
    mutual_information(X[:, 0], y)
    assert np.array_equal(X, before[0])
    assert np.array_equal(y, before[1])


def _bad(position, value):
    X = np.random.default_rng(0).normal(size=(30, 4))
    X[position] = value
    return X


Y = np.arange(30.0)


@pytest.mark.parametrize(
    ("X", "y", "options", "message"),
    [
        (_bad((7, 2), np.nan), Y, {}, "`X` must be finite, but sample 7 of feature 2 is nan"),
        (_bad((7, 2), np.inf), Y, {}, "sample 7 of feature 2 is inf"),
        (_bad(0, 0.0), np.where(Y == 5, np.nan, Y), {}, "`y` must be finite, but sample 5 is nan"),
        (_bad(0, 0.0), np.full(30, 2.5), {}, "`y` must vary, but all 30 samples are 2.5"),
        (_bad(0, 0.0), Y[:-1], {}, "same number of samples, but have 30 and 29"),
        (_bad(0, 0.0)[:3], Y[:3], {}, r"at least n_neighbors \+ 1 = 4 samples, but holds 3"),
        (_bad(0, 0.0), Y, {"theiler_window": 14}, "but 14 of 30 samples leave 3: shorten the window"),
        (_bad(0, 0.0), Y, {"theiler_window": -1}, "`theiler_window` must be 0 or more"),
        (_bad(0, 0.0), Y, {"n_neighbors": 0}, "`n_neighbors` must be at least 1"),
        (np.zeros((30, 2, 2)), Y, {}, r"`X` must be \[n_samples, n_features\]"),
        (_bad(0, 0.0), Y[:, None], {}, r"`y` must be \[n_samples\]"),
    ],
)
def test_bad_input_is_named(X, y, options, message):
    with pytest.raises(InputError, match=message):
        mutual_information(X, y, **options)


def test_the_longest_admissible_window_works():
    X, y = _bad(0, 0.0), Y
    assert np.isfinite(hc.mutual_information(X, y, theiler_window=13)).all()

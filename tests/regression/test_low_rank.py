from __future__ import annotations

import pickle

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from hopcast.core import ConfigError, InputError
from hopcast.regression import LaplacianRidge, LowRankRidge, kernel_matrix
from hopcast.regression.low_rank import farthest_frames


def data(n: int = 90, d: int = 6, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    X = random.normal(size=(n, d)) * np.arange(1, d + 1) + 3.0
    return X, np.stack([np.sin(X[:, 0]) + 0.3 * X[:, 1] + 5.0, X[:, 2] * X[:, 3]], axis=1)


@pytest.mark.parametrize("kernel", ["laplacian", "matern32", "gaussian"])
def test_with_every_frame_a_landmark_it_is_the_exact_model(kernel: str) -> None:
    (X, y), (X2, _) = data(), data(40, seed=1)
    exact = LaplacianRidge(alpha=1e-3, gamma=0.3, kernel=kernel).fit(X, y)
    model = LowRankRidge(90, alpha=1e-3, gamma=0.3, kernel=kernel).fit(X, y)
    np.testing.assert_allclose(model.predict(X2, True), exact.predict(X2, True), rtol=1e-8)
    np.testing.assert_allclose(
        model.posterior_covariance(X2), exact.posterior_covariance(X2), rtol=0, atol=1e-8 * exact.signal_variance_[0]
    )
    np.testing.assert_allclose(model.signal_variance_, exact.signal_variance_, rtol=1e-8)
    np.testing.assert_allclose(
        model.sample(X2[:5], 2, random_state=0), exact.sample(X2[:5], 2, random_state=0), rtol=1e-6
    )


@pytest.mark.parametrize("odd", [None, [4, 5]])
def test_with_every_frame_a_landmark_it_chooses_as_the_exact_model(odd: list[int] | None) -> None:
    X, y = data(60)
    parity = None if odd is None else "even"
    exact = LaplacianRidge(odd_columns=odd, parity=parity).fit(X, y)
    model = LowRankRidge(60, odd_columns=odd, parity=parity).fit(X, y)
    assert exact.search_ is not None
    assert model.search_ is not None
    np.testing.assert_allclose(model.search_.mean_squared_error, exact.search_.mean_squared_error, rtol=1e-6)
    np.testing.assert_array_equal([model.gamma_, model.alpha_], [exact.gamma_, exact.alpha_])
    np.testing.assert_allclose(model.predict(X[:9] + 0.1), exact.predict(X[:9] + 0.1), rtol=1e-8)


def test_forecast_and_posterior_are_those_of_the_definition() -> None:
    (X, y), (X2, _) = data(), data(30, seed=1)
    model = LowRankRidge(25, alpha=0.02, gamma=0.2, standardize=False).fit(X, y[:, 0])
    m, target = X[model.landmarks_], y[:, 0] - y[:, 0].mean()
    K_mm, K_mn, k = (kernel_matrix(one, m, gamma=0.2).T for one in (m, X, X2))
    inner = 0.02 * K_mm + K_mn @ K_mn.T
    mean, std = model.predict(X2, return_std=True)
    np.testing.assert_allclose(mean - y[:, 0].mean(), k.T @ np.linalg.solve(inner, K_mn @ target), rtol=1e-9)
    Q = K_mn.T @ np.linalg.solve(K_mm, K_mn)
    s2 = target @ np.linalg.solve(Q + np.diag(0.02 + 1.0 - np.diag(Q)), target) / len(X)
    assert model.signal_variance_ == pytest.approx(s2, rel=1e-9)
    assert model.residual_ == pytest.approx(np.mean(1.0 - np.diag(Q)), rel=1e-9)
    variance = 1.0 - np.sum(k * np.linalg.solve(K_mm, k), axis=0)
    variance += 0.02 * np.sum(k * np.linalg.solve(inner, k), axis=0)
    np.testing.assert_allclose(std**2, s2 * variance, rtol=1e-8)
    np.testing.assert_allclose(np.diag(model.posterior_covariance(X2)), std**2, rtol=1e-9)
    far = model.predict(X2 + 1e4, return_std=True)
    np.testing.assert_allclose(far, [[y[:, 0].mean()] * 30, [np.sqrt(s2)] * 30], rtol=1e-12)


def test_the_error_falls_with_landmarks() -> None:
    (X, y), (X2, _) = data(600), data(200, seed=1)
    exact = LaplacianRidge(alpha=1e-3, gamma=0.1).fit(X, y[:, 0])
    models = [LowRankRidge(m, alpha=1e-3, gamma=0.1).fit(X, y[:, 0]) for m in (20, 60, 180, 600)]
    errors = [np.sqrt(np.mean((model.predict(X2) - exact.predict(X2)) ** 2)) for model in models]
    assert errors[0] > 1.2 * errors[1] > 1.2**2 * errors[2] > 1e6 * errors[3]
    assert np.all(np.diff([model.residual_ for model in models]) < 0.0)


def test_landmarks_are_the_farthest_frames_each_once() -> None:
    X, _ = data(50)
    for kernel, metric in (("laplacian", "cityblock"), ("gaussian", "sqeuclidean")):
        apart, taken = cdist(X, X, metric), [0]
        while len(taken) < 12:
            taken.append(int(np.argmax(apart[taken].min(axis=0))))
        assert farthest_frames(X, 12, kernel).tolist() == sorted(taken)
    repeated = np.repeat(X[:7], 3, axis=0)
    assert farthest_frames(repeated, 20, "laplacian").tolist() == list(range(0, 21, 3))
    twice = np.concatenate([X, X])
    model = LowRankRidge(100, alpha=0.1, gamma=0.3).fit(twice, np.tile(X[:, 0], 2))
    exact = LaplacianRidge(alpha=0.1, gamma=0.3).fit(twice, np.tile(X[:, 0], 2))
    np.testing.assert_allclose(model.predict(X, True), exact.predict(X, True), rtol=1e-8)


def test_smooth_kernels_of_nearly_equal_landmarks_stay_solvable() -> None:
    X = np.linspace(0.0, 1.0, 300)[:, None]
    y = np.sin(3.0 * X[:, 0])
    mean, std = LowRankRidge(200, alpha=1e-6, gamma=0.3, kernel="gaussian").fit(X, y).predict(X, return_std=True)
    np.testing.assert_allclose(mean, y, atol=1e-3)
    assert np.all(std < 0.01)


def test_workers_chunks_and_a_pickle_change_no_bit() -> None:
    (X, y), (X2, _) = data(300), data(1500, seed=1)
    one = LowRankRidge(40, workers=1).fit(X, y)
    whole = one.predict(X2, return_std=True)
    np.testing.assert_array_equal(LowRankRidge(40, workers=3).fit(X, y).predict(X2, True), whole)
    np.testing.assert_array_equal(
        pickle.loads(pickle.dumps(one)).predict(X2[700:703], True), [p[700:703] for p in whole]
    )


def test_bad_parameters_say_what_must_hold() -> None:
    X, y = data(20)
    with pytest.raises(ConfigError, match="`n_landmarks` must be a whole number of at least 1, but is 0"):
        LowRankRidge(0).fit(X, y)
    with pytest.raises(ConfigError, match="`alpha` must be positive with landmarks"):
        LowRankRidge(5, alpha=0.0).fit(X, y)
    X[3, 2] = np.nan
    with pytest.raises(InputError, match="frame 3, column 2 holds NaN"):
        LowRankRidge(5).fit(X, y)

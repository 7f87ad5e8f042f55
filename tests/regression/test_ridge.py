from __future__ import annotations

import itertools
import pickle
from typing import Any

import numpy as np
import pytest
from scipy.linalg import cho_factor, cho_solve
from scipy.ndimage import gaussian_filter1d
from sklearn.base import clone
from sklearn.kernel_ridge import KernelRidge
from sklearn.preprocessing import StandardScaler

import hopcast as hc
from hopcast.core import ConfigError, InputError
from hopcast.regression import LaplacianRidge, kernel_matrix


def data(n: int = 60, d: int = 5, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    X = random.normal(size=(n, d)) * np.arange(1, d + 1) + 3.0
    return X, np.sin(X[:, 0]) + 0.3 * X[:, 1] + 5.0 + 0.05 * random.normal(size=n)


def reference(X: np.ndarray, y: np.ndarray, X2: np.ndarray, alpha: float, gamma: float) -> np.ndarray:
    scaler = StandardScaler().fit(X)
    ridge = KernelRidge(alpha=alpha, gamma=gamma, kernel="laplacian").fit(scaler.transform(X), y - y.mean(axis=0))
    return y.mean(axis=0) + ridge.predict(scaler.transform(X2))


def test_public_api_equals_scikit_learn() -> None:
    X, y = data()
    X2, _ = data(seed=1)
    mean, std = hc.LaplacianRidge(alpha=1e-4, gamma=0.2).fit(X, y).predict(X2, return_std=True)
    np.testing.assert_allclose(mean, reference(X, y, X2, 1e-4, 0.2), rtol=0, atol=1e-10)
    assert mean.shape == std.shape == (60,)


def test_paper_mode_equals_scikit_learn_with_its_default_gamma() -> None:
    X, y = data()
    X2, _ = data(seed=1)
    model = LaplacianRidge.paper().fit(X, y)
    np.testing.assert_allclose(model.predict(X2), reference(X, y, X2, 1e-4, 1 / 5), rtol=0, atol=1e-10)
    assert (model.alpha_, model.gamma_) == (1e-4, 0.2)
    assert model.search_ is None


def test_without_standardising_features_are_taken_as_they_are() -> None:
    X, y = data()
    X2, _ = data(seed=1)
    ours = LaplacianRidge(alpha=1e-3, gamma=0.05, standardize=False).fit(X, y).predict(X2)
    ridge = KernelRidge(alpha=1e-3, gamma=0.05, kernel="laplacian").fit(X, y - y.mean())
    np.testing.assert_allclose(ours, y.mean() + ridge.predict(X2), rtol=0, atol=1e-10)


@pytest.mark.parametrize("kernel", ["laplacian", "matern32"])
def test_no_ridge_interpolates(kernel: str) -> None:
    X, y = data()
    mean, std = LaplacianRidge(alpha=0.0, gamma=0.2, kernel=kernel).fit(X, y).predict(X, return_std=True)
    np.testing.assert_allclose(mean, y, atol=1e-10)
    np.testing.assert_allclose(std, 0.0, atol=1e-6)


@pytest.mark.parametrize("kernel", ["laplacian", "matern32"])
def test_variance_by_direct_inversion(kernel: str) -> None:
    X, y = data()
    X2, _ = data(n=23, seed=1)
    model = LaplacianRidge(alpha=0.01, gamma=0.15, kernel=kernel).fit(X, y)
    scaler = StandardScaler().fit(X)
    Z, Z2 = scaler.transform(X), scaler.transform(X2)
    inverse = np.linalg.inv(kernel_matrix(Z, gamma=0.15, kernel=kernel) + 0.01 * np.eye(60))
    k = kernel_matrix(Z2, Z, gamma=0.15, kernel=kernel)
    s2 = (y - y.mean()) @ inverse @ (y - y.mean()) / 60
    covariance = s2 * (kernel_matrix(Z2, gamma=0.15, kernel=kernel) - k @ inverse @ k.T)
    np.testing.assert_allclose(model.predict(X2, return_std=True)[1], np.sqrt(np.diag(covariance)), rtol=1e-9)
    np.testing.assert_allclose(model.posterior_covariance(X2), covariance, rtol=0, atol=1e-10)
    assert model.signal_variance_ == pytest.approx(s2, rel=1e-10)


def test_error_bars_have_the_unit_of_the_target() -> None:
    X, y = data()
    X2, _ = data(seed=1)
    mean, std = LaplacianRidge(alpha=0.01, gamma=0.15).fit(X, y).predict(X2, return_std=True)
    mean_milli, std_milli = LaplacianRidge(alpha=0.01, gamma=0.15).fit(X, 1000 * y).predict(X2, return_std=True)
    np.testing.assert_allclose(mean_milli, 1000 * mean, rtol=1e-10)
    np.testing.assert_allclose(std_milli, 1000 * std, rtol=1e-10)
    # Far from every training frame: the prior, which is as wide as the signal.
    far = LaplacianRidge(alpha=0.01, gamma=0.15).fit(X, y).predict(X2 + 1e4, return_std=True)
    np.testing.assert_allclose(far[0], y.mean(), rtol=1e-12)
    assert 0.5 < far[1][0] / y.std() < 3.0


def brute_force(X: np.ndarray, y: np.ndarray, model: LaplacianRidge, blocks: list[np.ndarray]) -> np.ndarray:
    Z = StandardScaler().fit(X).transform(X)
    K = kernel_matrix(Z, gamma=float(model.gamma_), kernel=model.kernel)
    out = np.empty(len(y))
    for block in blocks:
        rest = np.setdiff1d(np.arange(len(y)), block)
        factor = cho_factor(K[np.ix_(rest, rest)] + float(model.alpha_) * np.eye(len(rest)))
        out[block] = (y - y.mean())[block] - K[np.ix_(block, rest)] @ cho_solve(factor, (y - y.mean())[rest])
    return out


@pytest.mark.parametrize("length", [1, 7, 30])
@pytest.mark.parametrize("kernel", ["laplacian", "matern32"])
def test_block_out_residuals_equal_refits(length: int, kernel: str) -> None:
    X, y = data()
    model = LaplacianRidge(alpha=0.003, gamma=0.2, kernel=kernel).fit(X, y)
    blocks = [np.arange(a, min(a + length, 60)) for a in range(0, 60, length)]
    expected = brute_force(X, y, model, blocks)
    np.testing.assert_allclose(model.block_out_residuals(block_length=length), expected, rtol=0, atol=1e-9)
    labels = np.arange(60) // length
    np.testing.assert_array_equal(model.block_out_residuals(labels), model.block_out_residuals(block_length=length))


def test_blocks_may_be_scattered_groups() -> None:
    X, y = data()
    model = LaplacianRidge(alpha=0.003, gamma=0.2).fit(X, y)
    groups = np.random.default_rng(0).choice(["a", "b", "c"], size=60)
    expected = brute_force(X, y, model, [np.flatnonzero(groups == name) for name in "abc"])
    np.testing.assert_allclose(model.block_out_residuals(groups), expected, rtol=0, atol=1e-9)


def test_search_takes_the_least_block_out_error() -> None:
    X, y = data()
    model = LaplacianRidge(block_length=6).fit(X, y)
    table = model.search_
    errors = table.mean_squared_error[:, :, 0]
    assert errors.shape == (7, 9)
    for g, a in [(0, 0), (3, 5), (6, 8)]:
        single = LaplacianRidge(alpha=table.alphas[a], gamma=table.gammas[g]).fit(X, y)
        brute = brute_force(X, y, single, np.split(np.arange(60), 10))
        assert errors[g, a] == pytest.approx(np.mean(brute**2), rel=1e-8)
    best = np.mean(model.block_out_residuals() ** 2)
    assert best == pytest.approx(errors.min(), rel=1e-10)
    g, a = np.unravel_index(np.argmin(errors), errors.shape)
    assert (model.gamma_, model.alpha_) == (table.gammas[g], table.alphas[a])


def test_default_block_is_a_tenth_of_the_frames() -> None:
    X, y = data(n=55)
    default = LaplacianRidge().fit(X, y).search_.mean_squared_error
    np.testing.assert_array_equal(default, LaplacianRidge(block_length=6).fit(X, y).search_.mean_squared_error)
    groups = np.arange(55) // 6
    np.testing.assert_array_equal(default, LaplacianRidge().fit(X, y, groups).search_.mean_squared_error)
    assert not np.array_equal(default, LaplacianRidge(block_length=1).fit(X, y).search_.mean_squared_error)


def test_blocks_do_not_choose_a_clock() -> None:
    # Smooth features that know nothing: single frames left out flatter them, blocks do not.
    noise = np.random.default_rng(0).normal(size=(400, 31))
    waves = gaussian_filter1d(noise, 4.0, axis=0, mode="wrap")
    X, y = waves[:, 1:], waves[:, 0]
    clock = LaplacianRidge(block_length=1).fit(X, y)
    honest = LaplacianRidge(block_length=80).fit(X, y)
    assert np.mean(clock.block_out_residuals() ** 2) < 0.01 * y.var()
    assert np.mean(honest.block_out_residuals() ** 2) > 0.8 * y.var()


def test_several_targets_equal_one_at_a_time() -> None:
    X, y = data()
    X2, _ = data(seed=1)
    Y = np.stack([y, np.random.default_rng(4).normal(size=60), X[:, 1]], axis=1)
    for parameters in ({}, {"alpha": 1e-3}, {"alpha": 1e-3, "gamma": 0.1}):
        model = LaplacianRidge(**parameters).fit(X, Y)
        mean, std = model.predict(X2, return_std=True)
        residuals = model.block_out_residuals()
        for column in range(3):
            single = LaplacianRidge(**parameters).fit(X, Y[:, column])
            one_mean, one_std = single.predict(X2, return_std=True)
            np.testing.assert_allclose(mean[:, column], one_mean, rtol=0, atol=1e-11)
            np.testing.assert_allclose(std[:, column], one_std, rtol=1e-9)
            np.testing.assert_allclose(residuals[:, column], single.block_out_residuals(), rtol=0, atol=1e-10)
    assert np.shape(LaplacianRidge().fit(X, Y).alpha_) == (3,)
    assert np.shape(LaplacianRidge(alpha=1.0, gamma=1.0).fit(X, Y).alpha_) == ()


def test_samples_have_mean_and_covariance_of_the_posterior() -> None:
    X, y = data(n=20, d=2)
    X2, _ = data(n=6, d=2, seed=1)
    model = LaplacianRidge(alpha=0.1, gamma=0.3).fit(X, y)
    draws = model.sample(X2, n=40_000, random_state=0)
    mean, std = model.predict(X2, return_std=True)
    assert draws.shape == (40_000, 6)
    np.testing.assert_allclose((draws.mean(axis=0) - mean) / std, 0.0, atol=4 / 200)
    covariance = model.posterior_covariance(X2)
    scale = np.outer(std, std)
    np.testing.assert_allclose(np.cov(draws.T) / scale, covariance / scale, atol=0.03)
    np.testing.assert_array_equal(draws[:5], model.sample(X2, n=40_000, random_state=0)[:5])
    two = LaplacianRidge(alpha=0.1, gamma=0.3).fit(X, np.stack([y, y**2], axis=1))
    assert two.sample(X2, n=2, random_state=0).shape == (2, 6, 2)


def test_samples_at_training_frames_of_an_interpolator_are_the_targets() -> None:
    X, y = data(n=20, d=2)
    draws = LaplacianRidge(alpha=0.0, gamma=0.3).fit(X, y).sample(X, n=3, random_state=0)
    np.testing.assert_allclose(draws, np.broadcast_to(y, (3, 20)), atol=1e-4)


@pytest.mark.parametrize("parameters", [{"alpha": 0.01, "gamma": 0.1}, {}, {"kernel": "matern32"}])
def test_workers_and_cuts_change_no_bit(parameters: dict[str, Any]) -> None:
    X, y = data(n=90, d=9)
    X2, _ = data(n=1500, d=9, seed=1)
    Y = np.stack([y, y**2], axis=1)
    one = LaplacianRidge(**parameters, workers=1).fit(X, Y)
    many = LaplacianRidge(**parameters, workers=4).fit(X, Y)
    np.testing.assert_array_equal(one.dual_coef_, many.dual_coef_)
    mean, std = one.predict(X2, return_std=True)
    for other in (many.predict(X2, return_std=True), pickle.loads(pickle.dumps(one)).predict(X2, return_std=True)):
        np.testing.assert_array_equal(mean, other[0])
        np.testing.assert_array_equal(std, other[1])
    cuts = [0, 1, 9, 700, 1500]
    parts = [one.predict(X2[a:b], return_std=True) for a, b in itertools.pairwise(cuts)]
    np.testing.assert_array_equal(mean, np.concatenate([part[0] for part in parts]))
    np.testing.assert_array_equal(std, np.concatenate([part[1] for part in parts]))


def test_single_precision_frames_are_forecast_in_double() -> None:
    X, y = data()
    model = LaplacianRidge(alpha=0.01, gamma=0.1).fit(X, y)
    single = X.astype(np.float32)
    np.testing.assert_array_equal(model.predict(single), model.predict(single.astype(np.float64)))


def test_constant_features_are_ignored() -> None:
    X, y = data()
    with_constant = np.column_stack([X, np.full(60, 0.1), np.zeros(60), np.full(60, 1e9 / 3)])
    model = LaplacianRidge(alpha=0.01, gamma=0.1).fit(with_constant, y)
    np.testing.assert_allclose(
        model.predict(with_constant), LaplacianRidge(alpha=0.01, gamma=0.1).fit(X, y).predict(X), atol=1e-6
    )
    assert np.isfinite(model.X_fit_).all()


def test_parameters_survive_clone() -> None:
    model = LaplacianRidge(0.1, 0.2, kernel="matern32", block_length=4, standardize=False, workers=2)
    assert clone(model).get_params() == model.get_params()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"alpha": -1.0}, "Argument `alpha` must be a number of at least 0, or None, but is -1.0"),
        ({"gamma": 0.0}, 'Argument `gamma` must be a positive number, "1/n_features" or None, but is 0.0'),
        ({"gamma": "scale"}, "Argument `gamma` must be one of `1/n_features`, but is `scale`"),
        ({"kernel": "laplacia"}, "Did you mean `laplacian`"),
        ({"block_length": 60}, "must leave at least two blocks, but is 60 with 60 training frames"),
        ({"block_length": 0}, "must be a whole number of frames of at least 1, but is 0"),
        ({"block_length": 2.5}, "must be a whole number or None, but is 2.5"),
    ],
)
def test_impossible_parameters(parameters: dict[str, Any], message: str) -> None:
    X, y = data()
    with pytest.raises(ConfigError, match=message):
        LaplacianRidge(**parameters).fit(X, y)


def test_bad_data_is_named() -> None:
    X, y = data()
    model = LaplacianRidge(alpha=1e-4, gamma=0.2)
    for n in (0, 1):
        with pytest.raises(InputError, match=f"at least two training frames, but n_samples = {n}"):
            model.fit(X[:n], y[:n])
    with pytest.raises(InputError, match=r"`y` must vary .* target 0 is 2.5 on all 60"):
        model.fit(X, np.full(60, 2.5))
    broken = X.copy()
    broken[7, 3] = np.nan
    with pytest.raises(InputError, match="`X` must be finite, but frame 7, column 3 holds NaN"):
        model.fit(broken, y)
    with pytest.raises(InputError, match="`X` must be finite, but frame 7, column 3 holds NaN"):
        model.fit(X, y).predict(broken)
    with pytest.raises(InputError, match="`y` must be finite, but frame 2, column 0 holds inf"):
        model.fit(X, np.where(np.arange(60) == 2, np.inf, y))
    with pytest.raises(InputError, match="`groups` must hold one label for each of 60 frames"):
        LaplacianRidge().fit(X, y, groups=[1, 2])
    with pytest.raises(InputError, match="`groups` must hold at least two labels"):
        LaplacianRidge().fit(X, y, groups=np.zeros(60))
    with pytest.raises(ConfigError, match="`n` must be at least 1, but is 0"):
        model.fit(X, y).sample(X, n=0)


@pytest.mark.parametrize("alpha", [0.0, 1e-17])
def test_repeated_frames_without_ridge(alpha: float) -> None:
    X, y = data()
    X[10] = X[11]
    with pytest.raises(InputError, match=r"`alpha` must be large enough .* some training frames have the same"):
        LaplacianRidge(alpha=alpha, gamma=0.2).fit(X, y)
    with pytest.raises(InputError, match="no pair tried was"):
        LaplacianRidge(alpha=alpha).fit(X, y)
    # A chosen ridge copes.
    assert LaplacianRidge(gamma=0.2).fit(X, y).alpha_ >= 1e-6

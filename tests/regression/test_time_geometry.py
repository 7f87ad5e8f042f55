"""A process in time and geometry: the equations of scikit-learn's, a spline where dense, the geometry where not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.interpolate import CubicSpline
from scipy.optimize import approx_fprime
from sklearn.base import clone
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

from hopcast.core import ConfigError, InputError
from hopcast.regression import LaplacianRidge, TimeGeometryProcess, distances
from hopcast.regression.time_geometry import _Evidence
from hopcast.regression.time_kernels import HYPERPARAMETERS, Prior, covariance

HELD = {
    "rough_variance": 0.3,
    "rough_length": 50.0,
    "smooth_variance": 0.7,
    "smooth_length": 90.0,
    "geometry_variance": 0.5,
    "gamma": 0.4,
    "product_variance": 0.2,
    "product_length": 300.0,
    "noise_variance": 1e-2,
}


def trajectory(seed: int, n: int, n_features: int = 3, spacing: float = 40.0) -> tuple[np.ndarray, np.ndarray]:
    """Return frames (time first) and a target that both time and geometry tell of."""
    random = np.random.default_rng(seed)
    X = np.c_[spacing * np.arange(n), random.normal(size=(n, n_features))]
    return X, np.sin(X[:, 0] / 150.0) + np.tanh(X[:, 1]) + 0.1 * random.normal(size=n)


def unexplained(y: np.ndarray, forecast: Any) -> float:
    return float(np.mean((y - forecast) ** 2) / np.var(y))


@pytest.mark.parametrize(("kernel", "nu", "n_features"), [("laplacian", 0.5, 1), ("matern32", 1.5, 3)])
def test_mean_deviation_and_evidence_are_scikit_learns(kernel: str, nu: float, n_features: int) -> None:
    X, y = trajectory(0, 40, n_features)
    new = trajectory(1, 25, n_features, 70.0)[0]
    model = TimeGeometryProcess(kernel, hyperparameters=HELD, standardize=False, workers=1).fit(X, y)

    def along(length: float, nu: float) -> Matern:  # infinite lengths leave the other columns out
        return Matern([length, *[1e12] * n_features], nu=nu)

    across = Matern([1e12, *[1 / HELD["gamma"]] * n_features], nu=nu)
    peer = GaussianProcessRegressor(
        ConstantKernel(0.3) * along(50.0, 1.5)
        + ConstantKernel(0.7) * along(90.0, 2.5)
        + ConstantKernel(0.5) * across
        + ConstantKernel(0.2) * along(300.0, 2.5) * across
        + WhiteKernel(1e-2),
        alpha=0.0,
        optimizer=None,
        normalize_y=True,
    ).fit(X, y)
    mean, std = model.predict(new, return_std=True)
    expected, deviation = peer.predict(new, return_std=True)
    np.testing.assert_allclose(mean, expected, rtol=1e-9, atol=1e-10)
    noise = 1e-2 * y.var()  # theirs is the deviation of a measured target
    np.testing.assert_allclose(std, np.sqrt(deviation**2 - noise), rtol=1e-7)
    assert model.log_marginal_likelihood_ == pytest.approx(peer.log_marginal_likelihood_value_, rel=1e-10)
    np.testing.assert_allclose(np.sqrt(np.diag(model.posterior_covariance(new))), std, rtol=1e-7)
    assert model.hyperparameters_ == HELD


@pytest.mark.parametrize("kernel", ["laplacian", "matern32"])
def test_gradients_are_those_of_differences(kernel: str) -> None:
    X, y = trajectory(2, 30)
    lag = np.abs(X[:, None, 0] - X[None, :, 0])
    evidence = _Evidence(lag, distances(X[:, 1:], kernel=kernel), (y - y.mean()) / y.std(), kernel)
    logs = np.log(list(HELD.values()))
    numeric = approx_fprime(logs, lambda x: evidence.negative(np.exp(x))[0], 1e-6)
    np.testing.assert_allclose(evidence.negative(np.exp(logs))[1], numeric, rtol=1e-4, atol=1e-4)
    prior = Prior(3, kernel, 80.0)
    numeric = approx_fprime(logs, lambda x: prior.negative(np.exp(x))[0], 1e-6)
    np.testing.assert_allclose(prior.negative(np.exp(logs))[1], numeric, rtol=1e-4, atol=1e-5)


def test_what_is_chosen_is_a_maximum() -> None:
    X, y = trajectory(3, 60)
    model = TimeGeometryProcess(workers=1).fit(X, y)
    target = (y - y.mean()) / y.std()
    evidence = _Evidence(np.abs(X[:, None, 0] - X[None, :, 0]), distances(model.X_fit_), target, "laplacian")
    prior = Prior(3, "laplacian", 80.0)

    def density(theta: np.ndarray) -> float:
        return -evidence.negative(theta)[0] - prior.negative(theta)[0]

    best = density(model.theta_)
    for index in range(len(HYPERPARAMETERS)):
        for factor in (0.8, 1.25):
            theta = model.theta_.copy()
            theta[index] *= factor
            assert density(theta) < best + 1e-2


@pytest.mark.parametrize("stride", [8.0, 24.0, 48.0])
def test_a_spline_where_samples_are_dense(stride: float) -> None:
    def motion(t: np.ndarray) -> np.ndarray:  # sums of phonons, 0.4 to 3 THz
        return np.asarray(np.sin(t / 400.0) + 0.6 * np.cos(t / 130.0 + 1.0) + 0.2 * np.sin(t / 53.0))

    noise = np.random.default_rng(0).normal(size=(2000, 6))  # features that tell nothing
    train = np.arange(0.0, 1500.0, stride)
    new = np.arange(100.0, 1300.0, 4.0)
    model = TimeGeometryProcess(workers=1).fit(np.c_[train, noise[: len(train)]], motion(train))
    forecast = model.predict(np.c_[new, noise[-len(new) :]])
    spline = CubicSpline(train, motion(train))(new)
    # a quarter of an error above the spline's 1e-9 ... 1e-4, or rounding
    assert unexplained(motion(new), forecast) < 1.25 * unexplained(motion(new), spline) + 1e-9


def test_the_geometry_alone_where_time_carries_nothing() -> None:
    random = np.random.default_rng(4)
    X = random.normal(size=(400, 4))
    y = np.tanh(X[:, 0]) + 0.5 * X[:, 1] + 0.2 * random.normal(size=400)
    time = 4.0 * random.permutation(400)
    train, test = np.arange(150), np.arange(150, 400)
    model = TimeGeometryProcess(workers=1).fit(np.c_[time, X][train], y[train])
    ridge = LaplacianRidge(workers=1).fit(X[train], y[train])
    both, geometry = (
        unexplained(y[test], model.predict(np.c_[time, X][test])),
        unexplained(y[test], ridge.predict(X[test])),
    )
    assert both < geometry + 0.02
    assert both < 0.35
    # held variances of zero leave the geometry model itself: alpha = v_n / v_g
    held = (
        dict.fromkeys(HYPERPARAMETERS, 0.0)
        | HELD
        | dict.fromkeys(("rough_variance", "smooth_variance", "product_variance"), 0.0)
    )
    same = TimeGeometryProcess(hyperparameters=held, workers=1).fit(np.c_[time, X][train], y[train])
    peer = LaplacianRidge(alpha=1e-2 / 0.5, gamma=0.4, workers=1).fit(X[train], y[train])
    np.testing.assert_allclose(same.predict(np.c_[time, X][test]), peer.predict(X[test]), rtol=1e-9, atol=1e-9)


def test_better_than_either_where_both_tell() -> None:
    X, y = trajectory(15, 300)
    train, test = np.arange(0, 300, 3), np.setdiff1d(np.arange(298), np.arange(0, 300, 3))
    process = unexplained(y[test], TimeGeometryProcess(workers=1).fit(X[train], y[train]).predict(X[test]))
    ridge = unexplained(y[test], LaplacianRidge(workers=1).fit(X[train, 1:], y[train]).predict(X[test, 1:]))
    clock = unexplained(y[test], TimeGeometryProcess(workers=1).fit(X[train, :1], y[train]).predict(X[test, :1]))
    spline = unexplained(y[test], CubicSpline(X[train, 0], y[train])(X[test, 0]))
    assert process < 0.5 * min(ridge, clock, spline)


def test_far_from_every_sample_only_the_geometry_is_left() -> None:
    X, y = trajectory(5, 80)
    model = TimeGeometryProcess(workers=1).fit(X, y)
    far, further = np.tile(X[:10], (2, 1)).reshape(2, 10, -1)
    far[:, 0] += 1e6
    further[:, 0] += 2e6
    np.testing.assert_allclose(model.predict(far), model.predict(further), rtol=1e-10)
    assert np.corrcoef(model.predict(far), np.tanh(X[:10, 1]))[0, 1] > 0.9
    assert (model.predict(far, return_std=True)[1] > model.predict(X[:10], return_std=True)[1]).all()


def test_few_samples_of_a_fast_motion_are_not_taken_for_noise() -> None:
    random = np.random.default_rng(6)
    frequency, phase = random.uniform(0.5, 2.5, size=20), random.uniform(0, 6.3, size=20)
    time = np.arange(0.0, 3000.0, 4.0)
    y = np.abs(np.cos(2e-3 * np.pi * frequency * time[:, None] + phase).sum(axis=1))  # like a coupling's modulus
    train = np.arange(12, len(y), 25)
    model = TimeGeometryProcess(workers=1).fit(time[train, None], y[train])
    assert model.hyperparameters_["noise_variance"] < 1e-2
    inside = np.arange(train[0], train[-1])
    linear = np.interp(time[inside], time[train], y[train])
    assert unexplained(y[inside], model.predict(time[inside, None])) < 1.15 * unexplained(y[inside], linear)


def test_units_origin_and_order_do_not_matter() -> None:
    X, y = trajectory(7, 40)
    new = trajectory(8, 15)[0]
    mean, std = TimeGeometryProcess(workers=1).fit(X, y).predict(new, return_std=True)
    shift = np.array([1e5, 3.0, 0.0, 0.0])
    order = np.random.default_rng(0).permutation(40)
    moved = TimeGeometryProcess(workers=1).fit((X + shift)[order], 1000.0 * y[order] + 7.0)
    other, spread = moved.predict(new + shift, return_std=True)
    np.testing.assert_allclose(other, 1000.0 * mean + 7.0, rtol=1e-3)
    np.testing.assert_allclose(spread, 1000.0 * std, rtol=1e-2)


def test_same_bits_for_any_workers_and_chunks() -> None:
    X, y = trajectory(9, 50)
    new = trajectory(10, 900, spacing=2.0)[0]
    one, two = (TimeGeometryProcess(workers=workers).fit(X, y) for workers in (1, 2))
    for name in ("theta_", "dual_coef_", "lower_"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))
    mean, std = one.predict(new, return_std=True)
    parts = [two.predict(part, return_std=True) for part in (new[:7], new[7:600], new[600:])]
    np.testing.assert_array_equal(mean, np.concatenate([part[0] for part in parts]))
    np.testing.assert_array_equal(std, np.concatenate([part[1] for part in parts]))
    np.testing.assert_array_equal(one.sample(new[:9], 3, random_state=1), two.sample(new[:9], 3, random_state=1))


def test_draws_have_the_posteriors_moments() -> None:
    X, y = trajectory(11, 30)
    new = trajectory(12, 6)[0] + [13.0, 0, 0, 0]
    model = TimeGeometryProcess(hyperparameters=HELD, workers=1).fit(X, y)
    draws = model.sample(new, 4000, random_state=0)
    mean, std = model.predict(new, return_std=True)
    assert (np.abs(draws.mean(axis=0) - mean) < 5 * std / np.sqrt(4000)).all()
    np.testing.assert_allclose(np.cov(draws.T), model.posterior_covariance(new), atol=0.1 * std.max() ** 2)


def test_some_values_may_be_held_and_the_others_chosen() -> None:
    X, y = trajectory(13, 40)
    model = TimeGeometryProcess(hyperparameters={"product_variance": 0.0, "noise_variance": 1e-3}, workers=1).fit(X, y)
    assert model.hyperparameters_["product_variance"] == 0.0
    assert model.hyperparameters_["noise_variance"] == 1e-3
    assert model.hyperparameters_["gamma"] != pytest.approx(0.1)  # the prior's centre
    assert clone(model).hyperparameters == model.hyperparameters
    alone = TimeGeometryProcess(workers=1).fit(X[:, :1], y)
    assert alone.hyperparameters_["geometry_variance"] == alone.hyperparameters_["product_variance"] == 0.0


def test_covariance_is_the_sum_of_its_parts() -> None:
    lag, distance = np.array([[0.0, 30.0]]), np.array([[0.0, 1.5]])
    theta = np.array(list(HELD.values()))
    s3, s5, sp = (np.sqrt(nu) * 30.0 / length for nu, length in ((3, 50.0), (5, 90.0), (5, 300.0)))
    near = np.exp(-0.4 * 1.5)
    expected = 0.3 * (1 + s3) * np.exp(-s3) + 0.7 * (1 + s5 + s5**2 / 3) * np.exp(-s5) + 0.5 * near
    expected += 0.2 * (1 + sp + sp**2 / 3) * np.exp(-sp) * near
    np.testing.assert_allclose(covariance(theta, lag, distance, "laplacian"), [[1.7, expected]], rtol=1e-12)


def test_bad_arguments_are_named() -> None:
    X, y = trajectory(14, 10)
    with pytest.raises(ConfigError, match=r"`hyperparameters` must name .*names `gama`.*Did you mean `gamma`"):
        TimeGeometryProcess(hyperparameters={"gama": 1.0}).fit(X, y)
    with pytest.raises(ConfigError, match=r"must hold positive numbers .*`gamma` is 0"):
        TimeGeometryProcess(hyperparameters={"gamma": 0}).fit(X, y)
    with pytest.raises(ConfigError, match="`time_scale` must be a positive time in fs, but is -1"):
        TimeGeometryProcess(time_scale=-1).fit(X, y)
    with pytest.raises(ConfigError, match="`kernel` must be"):
        TimeGeometryProcess("cubic").fit(X, y)
    with pytest.raises(InputError, match="`y` must vary over the training frames, but is 1 on all 10"):
        TimeGeometryProcess().fit(X, np.ones(10))
    with pytest.raises(InputError, match="at least two training frames, but n_samples = 1"):
        TimeGeometryProcess().fit(X[:1], y[:1])
    with pytest.raises(InputError, match="`X` must be finite, but frame 1, column 0 holds NaN"):
        TimeGeometryProcess().fit([[0.0, 1.0], [np.nan, 2.0]], [0.0, 1.0])
    with pytest.raises(ConfigError, match="`n` must be at least 1, but is 0"):
        TimeGeometryProcess(hyperparameters=HELD).fit(X, y).sample(X, 0)

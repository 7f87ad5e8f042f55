"""A line through features: scikit-learn's ridge, its Gaussian process, and its own refits."""

import numpy as np
import pytest
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, DotProduct
from sklearn.linear_model import Ridge

from hopcast.regression import LinearRidge


@pytest.fixture
def data():
    rng = np.random.default_rng(2)
    X = rng.normal(size=(60, 5)) * [1.0, 3.0, 0.1, 10.0, 1.0] + 4.0
    return X, X @ [1.0, -0.2, 5.0, 0.0, 0.3] + 0.2 * rng.normal(size=60), 4.0 + rng.normal(size=(9, 5))


def test_it_is_the_ridge_of_standardised_features(data):
    X, y, new = data
    model = LinearRidge(alpha=0.03).fit(X, y)
    ridge = Ridge(alpha=0.03 * X.shape[1]).fit((X - X.mean(0)) / X.std(0), y)
    np.testing.assert_allclose(model.predict(new), ridge.predict((new - X.mean(0)) / X.std(0)), rtol=1e-10)


def test_its_error_bars_are_those_of_a_gaussian_process(data):
    X, y, new = data
    model = LinearRidge(alpha=0.03).fit(X, y)
    variance = model.signal_variance_ / X.shape[1]
    kernel = ConstantKernel(variance, "fixed") * DotProduct(0.0, "fixed")
    process = GaussianProcessRegressor(kernel, alpha=0.03 * model.signal_variance_, optimizer=None)
    process.fit((X - X.mean(0)) / X.std(0), y - y.mean())
    mean, std = process.predict((new - X.mean(0)) / X.std(0), return_std=True)
    ours = model.predict(new, return_std=True)
    np.testing.assert_allclose(ours[0], mean + y.mean(), rtol=1e-9)
    np.testing.assert_allclose(ours[1], std, rtol=1e-7)


def test_errors_left_out_are_those_of_refits_with_the_same_scales(data):
    X, y, _ = data
    Z, centred = (X - X.mean(0)) / X.std(0), y - y.mean()
    found = LinearRidge(alpha=0.03, standardize=False).fit(Z, centred).block_out_residuals(block_length=7)
    for start in range(0, 60, 7):
        held = np.arange(start, min(start + 7, 60))
        train = np.setdiff1d(np.arange(60), held)
        ridge = Ridge(alpha=0.03 * X.shape[1], fit_intercept=False).fit(Z[train], centred[train])
        np.testing.assert_allclose(found[held], centred[held] - ridge.predict(Z[held]), rtol=1e-8, atol=1e-12)


def test_workers_and_rows_change_no_bit(data):
    X, y, _ = data
    many = np.random.default_rng(3).normal(size=(3000, 5))
    one = LinearRidge(workers=1).fit(X, y)
    two = LinearRidge(workers=2).fit(X, y)
    whole = one.predict(many, return_std=True)
    np.testing.assert_array_equal(whole, two.predict(many, return_std=True))
    np.testing.assert_array_equal(whole[0][100:107], one.predict(many[100:107]))

"""Coverage of error bars, and their recalibration on blocks that the test never sees."""

import numpy as np
import pytest

from hopcast import ConfigError, InputError
from hopcast.evaluation import BlockedSplit, calibrate
from hopcast.evaluation.calibration import conformal_factors, coverage_interval, leave_one_out_scale
from hopcast.evaluation.verdicts import coverage
from hopcast.regression import LaplacianRidge


def ar1(rng, n, phi):
    noise = rng.normal(size=n + 200)
    out = np.zeros(n + 200)
    for i in range(1, n + 200):
        out[i] = phi * out[i - 1] + noise[i] * np.sqrt(1 - phi**2)
    return out[200:]


def test_block_out_forecast_is_that_of_a_refit_without_block_and_margin():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(40, 3)), rng.normal(size=40)
    model = LaplacianRidge(alpha=0.1, gamma=0.3, standardize=False).fit(X, y)
    residuals, std = model.block_out_forecast(block_length=8, purge=3)
    for start in range(0, 40, 8):
        block = np.arange(start, start + 8)
        rest = np.setdiff1d(np.arange(40), np.arange(start - 3, start + 11))
        K = np.exp(-0.3 * np.abs(X[:, None] - X[None]).sum(axis=2))
        inverse = np.linalg.inv(K[np.ix_(rest, rest)] + 0.1 * np.eye(len(rest)))
        cross = K[np.ix_(block, rest)]
        mean = y.mean() + cross @ inverse @ (y[rest] - y.mean())
        variance = 1.1 - np.einsum("ij,jk,ik->i", cross, inverse, cross)
        np.testing.assert_allclose(residuals[block], y[block] - mean, atol=1e-10)
        np.testing.assert_allclose(std[block], np.sqrt(variance * model.signal_variance_), atol=1e-10)
    np.testing.assert_allclose(
        model.block_out_forecast(block_length=8)[0], model.block_out_residuals(block_length=8), atol=1e-10
    )


def test_block_out_forecast_refuses_a_margin_that_takes_everything():
    rng = np.random.default_rng(0)
    model = LaplacianRidge.paper().fit(rng.normal(size=(12, 2)), rng.normal(size=12))
    with pytest.raises(InputError, match="must leave training frames"):
        model.block_out_forecast(block_length=6, purge=6)


def test_wrong_scale_is_found_and_mended():
    """Sigma off by a factor: the raw intervals fail, the recalibrated ones do not (20 trajectories)."""

    class Overconfident(LaplacianRidge):
        def fit(self, X, y, groups=None):
            super().fit(X, y, groups)
            self.signal_variance_ = self.signal_variance_ / 16
            return self

    raw, mended = [], []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        X = np.stack([ar1(rng, 1000, 0.8) for _ in range(2)], axis=1)
        y = X[:, 0] + 0.5 * np.abs(X[:, 1]) + 0.3 * rng.normal(size=1000)
        found = calibrate(
            Overconfident(alpha=0.1, gamma=0.3),
            X,
            y,
            BlockedSplit(4, 1.0, 10.0, train_stride_fs=3),
            1.0,
            correlation_time=5.0,
        )
        raw.append(found.coverage[8])
        mended.append(found.recalibrated[8])
        assert found.levels[8] == 0.9
        assert found.factors[8] > 2
        assert found.verdict_raw == "not calibrated"
        assert found.n_effective == pytest.approx(200)
    assert np.mean(raw) < 0.6
    assert 0.88 < np.mean(mended) < 0.92


def test_verdict():
    assert coverage(*coverage_interval(0.9, 200.0)) == "calibrated"
    assert coverage(*coverage_interval(0.9, 10.0)) == "inconclusive"
    assert coverage(*coverage_interval(0.5, 100.0)) == "not calibrated"
    low, high = coverage_interval(0.9, 50.0)
    from scipy.stats import binomtest

    same = binomtest(45, 50).proportion_ci(method="wilson")
    assert (low, high) == pytest.approx((same.low, same.high))


def test_conformal_factor_is_the_split_conformal_quantile():
    scores = np.arange(1.0, 100.0)  # 99 scores: rank 90 of 100 at 90 %
    factor = conformal_factors(scores, np.array([0.9]))
    assert factor[0] * 1.6448536 == pytest.approx(90.0, abs=0.2)
    assert conformal_factors(scores, np.array([0.95]), n_effective=5.0)[0] * 1.959964 == pytest.approx(99.0)


def test_leave_one_out_scale_of_white_noise_is_one():
    rng = np.random.default_rng(1)
    X, y = rng.normal(size=(300, 2)), rng.normal(size=300)
    assert leave_one_out_scale(LaplacianRidge(alpha=1.0, gamma=1e3).fit(X, y)) == pytest.approx(1.0, abs=0.01)


def test_bad_input():
    rng = np.random.default_rng(1)
    X, y = rng.normal(size=(60, 2)), rng.normal(size=60)
    split = BlockedSplit(3, 1.0, 0.0)
    with pytest.raises(ConfigError, match="`levels` must lie between 0 and 1"):
        calibrate(LaplacianRidge.paper(), X, y, split, 1.0, correlation_time=1.0, levels=[1.0])
    with pytest.raises(ConfigError, match="must be positive times"):
        calibrate(LaplacianRidge.paper(), X, y, split, 1.0, correlation_time=0.0)

"""Couplings without signs: what both signs of the likelihood recover, what sign flips change (nothing)."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import foldnorm

from hopcast.core.errors import ConfigError
from hopcast.regression import CouplingRidge, LaplacianRidge
from hopcast.regression.signs import infer_signs

ODD = [2, 3]


def data(n: int = 120, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    G, rates = random.normal(size=(n, 2)), random.normal(size=(n, 2))
    return np.concatenate([G, rates], axis=1), np.sin(G[:, 0]) * rates[:, 0] + 0.7 * rates[:, 1]


def model(loss: str, **extra: object) -> CouplingRidge:
    return CouplingRidge(loss=loss, kernel="gaussian", odd_columns=ODD, alpha=0.01, gamma=0.3, **extra)


@pytest.mark.parametrize("loss", ["magnitude", "square", "signs"])
def test_random_flips_of_the_samples_signs_change_no_bit(loss: str) -> None:
    X, y = data(60)
    flips = np.random.default_rng(1).choice([-1.0, 1.0], size=60)
    one, other = model(loss).fit(X, y), model(loss).fit(X, flips * y)
    X2, _ = data(10, seed=2)
    np.testing.assert_array_equal(one.predict(X2, return_std=True), other.predict(X2, return_std=True))
    np.testing.assert_array_equal(one.predict_square(X2), other.predict_square(X2))


@pytest.mark.parametrize("loss", ["magnitude", "square", "signs"])
def test_reversed_velocities_change_neither_magnitude_nor_square(loss: str) -> None:
    X, y = data(60)
    fitted = model(loss).fit(X, y)
    mirrored = X * np.array([1.0, 1.0, -1.0, -1.0])
    np.testing.assert_allclose(fitted.predict(mirrored), fitted.predict(X), rtol=1e-9)
    np.testing.assert_allclose(fitted.predict_square(mirrored), fitted.predict_square(X), rtol=1e-9)


def test_both_signs_recover_magnitude_and_sign() -> None:
    X, y = data()
    flips = np.random.default_rng(1).choice([-1.0, 1.0], size=len(y))
    X2, truth = data(200, seed=3)
    fitted = model("signs").fit(X, flips * y)
    mean, _ = fitted.predict_signed(X2)
    one_sign = np.sign(mean @ truth)
    assert 1 - np.sum((one_sign * mean - truth) ** 2) / np.sum(truth**2) > 0.9
    magnitude = np.abs(truth)
    r2 = {loss: model(loss).fit(X, y).score(X2, magnitude) for loss in ("magnitude", "square", "signs")}
    assert r2["signs"] > 0.85
    assert min(r2.values()) > 0.6
    # Knowing the signs is worth no more: the odd kernel on the true signs comes to the same.
    known = LaplacianRidge(kernel="gaussian", odd_columns=ODD, parity="odd", alpha=0.01, gamma=0.3).fit(X, y)
    scale = np.sqrt(np.mean(truth**2))
    assert np.median(np.abs(known.predict(X2) - one_sign * mean)) < 0.1 * scale


def test_open_signs_leave_the_spread_of_the_prior() -> None:
    """Samples that know nothing of each other: no sign can be found, and <V^2> is still right."""
    random = np.random.default_rng(4)
    X, y = random.normal(size=(80, 4)) * 100.0, random.normal(size=80) * 3.0
    fitted = CouplingRidge(
        loss="signs", kernel="gaussian", odd_columns=ODD, standardize=False, alpha=0.1, gamma=1.0
    ).fit(X, y)
    far = random.normal(size=(20, 4)) * 100.0 + 1e4
    mean, _ = fitted.predict_signed(far)
    np.testing.assert_allclose(mean, 0.0, atol=1e-9)
    np.testing.assert_allclose(fitted.predict_square(far), np.mean(y**2), rtol=1e-6)
    np.testing.assert_allclose(fitted.predict(far), np.sqrt(2 / np.pi * np.mean(y**2)), rtol=1e-6)


@pytest.mark.parametrize("loss", ["magnitude", "square", "signs"])
def test_the_mean_square_is_not_shrunk(loss: str) -> None:
    X, y = data(150)
    X2, truth = data(400, seed=5)
    fitted = CouplingRidge(loss=loss, kernel="gaussian", odd_columns=ODD, gamma=0.3).fit(X, y)
    assert np.mean(fitted.predict_square(X2)) == pytest.approx(np.mean(truth**2), rel=0.15)
    noise = np.random.default_rng(6).normal(size=150)
    useless = CouplingRidge(loss=loss, kernel="gaussian", odd_columns=ODD, gamma=0.3).fit(X, noise)
    assert np.mean(useless.predict_square(X2)) == pytest.approx(np.mean(noise**2), rel=0.25)


def test_sites_of_two_samples_are_those_of_the_exact_posterior() -> None:
    """Two samples of one f: the posterior is a sum over four signs, integrated by hand on a grid."""
    K, y, noise = np.array([[1.0, 0.95], [0.95, 1.0]]), np.array([1.4, 1.3]), 0.05
    sites = infer_signs(K, y, noise)
    gain = K @ np.linalg.inv(K + np.diag(sites.noise))
    mean = gain @ sites.targets
    grid = np.linspace(-4, 4, 401)
    f1, f2 = np.meshgrid(grid, grid, indexing="ij")
    P = np.linalg.inv(K)
    log = -0.5 * (P[0, 0] * f1**2 + 2 * P[0, 1] * f1 * f2 + P[1, 1] * f2**2)
    for f, value in ((f1, y[0]), (f2, y[1])):
        log = log + np.logaddexp(-0.5 * (value - f) ** 2 / noise, -0.5 * (value + f) ** 2 / noise)
    weight = np.exp(log - log.max()) * (f1 + f2 > 0)  # one of the two global signs
    exact = [np.sum(weight * f1), np.sum(weight * f2)] / np.sum(weight)
    np.testing.assert_allclose(np.sign(mean.sum()) * mean, exact, rtol=0.02)


def test_block_out_residuals_are_of_the_magnitude() -> None:
    X, y = data(120)
    groups = np.arange(120) // 12
    for loss in ("magnitude", "square", "signs"):
        residuals = model(loss).fit(X, y).block_out_residuals(groups)
        outside = []
        for block in range(10):
            keep = groups != block
            outside.append(np.abs(y[~keep]) - model(loss).fit(X[keep], y[keep]).predict(X[~keep]))
        # Refits take their own centre and scale, and signs their own sites.
        assert np.corrcoef(residuals, np.concatenate(outside))[0, 1] > 0.85
    several = CouplingRidge(loss="signs", odd_columns=ODD, alpha=0.01, gamma=0.3).fit(X, np.stack([y, 2 * y], axis=1))
    two = several.predict(X)
    np.testing.assert_allclose(two[:, 1], 2 * two[:, 0], rtol=1e-6)
    assert several.block_out_residuals(groups).shape == (120, 2)


def test_signs_are_inferred_anew_without_the_block_left_out() -> None:
    """Signs chosen with a block present would fit it."""
    X, y = data(60)
    block, others = np.arange(6), np.arange(6, 60)
    fitted = model("signs", standardize=False).fit(X, y)
    residuals = fitted.block_out_residuals(np.arange(60) // 6)

    def gaussian(A: np.ndarray, B: np.ndarray) -> np.ndarray:
        return np.exp(-0.5 * 0.3**2 * ((A[:, None] - B[None]) ** 2).sum(axis=2))

    K = 0.5 * (gaussian(X, X) - gaussian(X, X * np.array([1.0, 1.0, -1.0, -1.0])))
    scale = np.sqrt(float(fitted.signal_variance_))
    sites = infer_signs(K[np.ix_(others, others)], np.abs(y[others]) / scale, 0.01)
    inverse = np.linalg.inv(K[np.ix_(others, others)] + np.diag(sites.noise))
    cross = K[np.ix_(block, others)]
    mean = scale * cross @ inverse @ sites.targets
    std = scale * np.sqrt(np.diag(K)[block] - np.sum(cross @ inverse * cross, axis=1) + 0.01)
    expected = foldnorm.mean(np.abs(mean) / std, scale=std)
    np.testing.assert_allclose(np.abs(y[block]) - residuals[block], expected, rtol=1e-6)


def test_signs_need_velocities_and_magnitudes_have_none() -> None:
    X, y = data(20)
    with pytest.raises(ConfigError, match="add time derivatives"):
        CouplingRidge(loss="signs").fit(X, y)
    with pytest.raises(ConfigError, match="Did you mean `signs`"):
        CouplingRidge(loss="sign").fit(X, y)
    with pytest.raises(ConfigError, match="it forgot the signs"):
        model("magnitude").fit(X, y).predict_signed(X)

"""Exchangeable atoms: the kernel against its double sum, invariances, sizes, and parity under reversed velocities."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern
from sklearn.kernel_ridge import KernelRidge

from hopcast.core.errors import ConfigError, InputError, QualityWarning
from hopcast.regression import ExchangeableRidge, LaplacianRidge

SYMBOLS = ("Cs", "Pb", "I", "I", "Pb", "I")
FUNCTIONS = 4


def draw(n: int, seed: int = 0, symbols: tuple[str, ...] = SYMBOLS) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, len(symbols) * FUNCTIONS))


def atom_kernel(a: np.ndarray, b: np.ndarray, gamma: float, shape: str) -> float:
    if shape == "laplacian":
        return float(np.exp(-gamma * np.abs(a - b).sum()))
    s = np.sqrt(((a - b) ** 2).sum()) * gamma
    return float(np.exp(-0.5 * s**2) if shape == "gaussian" else (1 + np.sqrt(3) * s) * np.exp(-np.sqrt(3) * s))


def frame_kernel(x: np.ndarray, y: np.ndarray, gamma: float, shape: str, reversal: np.ndarray) -> float:
    """The definition, atom by atom, of frames of (not standardised) features."""
    a, b = x.reshape(-1, FUNCTIONS), y.reshape(-1, FUNCTIONS) * reversal
    labels = np.array(SYMBOLS)
    return float(
        np.mean(
            [
                np.mean([atom_kernel(p, q, gamma, shape) for p in a[labels == e] for q in b[labels == e]])
                for e in dict.fromkeys(SYMBOLS)
            ]
        )
    )


def gram(X: np.ndarray, Y: np.ndarray, shape: str, parity: str | None) -> np.ndarray:
    same, mirror = np.ones(FUNCTIONS), np.array([1.0, 1.0, -1.0, -1.0])

    def matrix(reversal: np.ndarray) -> np.ndarray:
        return np.array([[frame_kernel(x, y, 0.3, shape, reversal) for y in Y] for x in X])

    if parity is None:
        return matrix(same)
    return 0.5 * (matrix(same) + (1.0 if parity == "even" else -1.0) * matrix(mirror))


@pytest.mark.parametrize("shape", ["laplacian", "matern32", "gaussian"])
@pytest.mark.parametrize("parity", [None, "even", "odd"])
def test_forecast_and_posterior_are_those_of_the_double_sum(shape: str, parity: str | None) -> None:
    X, X2, y = draw(12), draw(5, seed=1), np.random.default_rng(2).normal(size=12)
    model = ExchangeableRidge(
        SYMBOLS, alpha=0.02, gamma=0.3, kernel=shape, standardize=False, odd_columns=[2, 3], parity=parity
    ).fit(X, y)
    mean, std = model.predict(X2, return_std=True)
    K, k = gram(X, X, shape, parity), gram(X2, X, shape, parity)
    centre = 0.0 if parity == "odd" else y.mean()
    inverse = np.linalg.inv(K + 0.02 * np.eye(12))
    np.testing.assert_allclose(mean, centre + k @ inverse @ (y - centre), rtol=1e-10, atol=1e-12)
    s2 = (y - centre) @ inverse @ (y - centre) / 12
    own = np.diag(gram(X2, X2, shape, parity))
    np.testing.assert_allclose(std**2, s2 * (own - np.sum((k @ inverse) * k, axis=1)), rtol=1e-8)
    np.testing.assert_allclose(np.sqrt(np.diag(model.posterior_covariance(X2))), std, rtol=1e-8)


def test_it_is_scikit_learns_kernel_ridge_with_that_kernel() -> None:
    X, X2, y = draw(15), draw(6, seed=1), np.random.default_rng(2).normal(size=15)
    model = ExchangeableRidge(SYMBOLS, alpha=0.1, gamma=0.3, standardize=False).fit(X, y)
    K, k = gram(X, X, "laplacian", None), gram(X2, X, "laplacian", None)
    peer = KernelRidge(alpha=0.1, kernel="precomputed").fit(K, y - y.mean())
    np.testing.assert_allclose(model.predict(X2), peer.predict(k) + y.mean(), rtol=1e-11)


def test_one_atom_is_the_fixed_order_and_scikit_learns_gaussian_process() -> None:
    X, X2, y = draw(20), draw(6, seed=1), np.random.default_rng(2).normal(size=20)
    model = ExchangeableRidge(alpha=0.1, gamma=0.3, kernel="matern32").fit(X, y)
    fixed = LaplacianRidge(alpha=0.1, gamma=0.3, kernel="matern32").fit(X, y)
    ours, theirs = model.predict(X2, return_std=True), fixed.predict(X2, return_std=True)
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)
    z, z2 = (X - X.mean(axis=0)) / X.std(axis=0), (X2 - X.mean(axis=0)) / X.std(axis=0)
    s2 = float(fixed.signal_variance_)
    kernel = ConstantKernel(s2, "fixed") * Matern(1 / 0.3, "fixed", nu=1.5)
    peer = GaussianProcessRegressor(kernel, alpha=0.1 * s2, optimizer=None).fit(z, y - y.mean())
    mean, std = peer.predict(z2, return_std=True)
    np.testing.assert_allclose(ours[0], mean + y.mean(), rtol=1e-9)
    np.testing.assert_allclose(ours[1], std, rtol=1e-9)


def test_like_atoms_are_exchangeable_unlike_ones_are_not() -> None:
    X, y = draw(30), np.random.default_rng(2).normal(size=30)
    model = ExchangeableRidge(SYMBOLS, alpha=0.01, gamma=0.3).fit(X, y)
    atoms = draw(7, seed=3).reshape(7, len(SYMBOLS), FUNCTIONS)
    order = [0, 4, 5, 2, 1, 3]  # the I among themselves, the Pb among themselves
    swapped = atoms[:, order].reshape(7, -1)
    reference = model.predict(atoms.reshape(7, -1), return_std=True)
    np.testing.assert_allclose(model.predict(swapped, return_std=True), reference, rtol=1e-11)
    fixed = LaplacianRidge(alpha=0.01, gamma=0.1).fit(X, y)
    assert not np.allclose(fixed.predict(swapped), fixed.predict(atoms.reshape(7, -1)), rtol=1e-3)
    mixed = atoms[:, [1, 0, 2, 3, 4, 5]].reshape(7, -1)
    assert not np.allclose(model.predict(mixed), reference[0], rtol=1e-6)
    labelled = model.predict(mixed, symbols=("Pb", "Cs", "I", "I", "Pb", "I"))
    np.testing.assert_allclose(labelled, reference[0], rtol=1e-11)


def test_replicas_give_the_same_and_other_sizes_are_flagged() -> None:
    X, y = draw(30), np.random.default_rng(2).normal(size=30)
    model = ExchangeableRidge(SYMBOLS).fit(X, y)
    X2 = draw(9, seed=4)
    twice = np.concatenate([X2, X2], axis=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mean, std = model.predict(twice, return_std=True, symbols=SYMBOLS * 2)
    single = model.predict(X2, return_std=True)
    np.testing.assert_allclose(mean, single[0], rtol=0, atol=1e-10)
    np.testing.assert_allclose(std, single[1], rtol=0, atol=1e-10)
    twice[4, 0] += 1e-3
    with pytest.warns(
        QualityWarning, match="extrapolation in size: the model was trained on 6 atoms and is applied to 12"
    ):
        model.predict(twice, symbols=SYMBOLS * 2)
    with pytest.warns(QualityWarning, match="extrapolation in size"):
        model.predict(draw(2, symbols=SYMBOLS[:4]), symbols=SYMBOLS[:4])


def test_other_elements_and_other_columns_are_refused() -> None:
    X, y = draw(10), np.random.default_rng(2).normal(size=10)
    model = ExchangeableRidge(SYMBOLS, alpha=0.1, gamma=0.3).fit(X, y)
    with pytest.raises(InputError, match="elements of the training frames, Cs, Pb, I, but has Cs, Pb, Br"):
        model.predict(X, symbols=("Cs", "Pb", "Br", "Br", "Pb", "Br"))
    with pytest.raises(InputError, match="elements of the training frames, Cs, Pb, I, but has Pb, I"):
        model.predict(X[:, : 2 * FUNCTIONS], symbols=("Pb", "I"))
    with pytest.raises(InputError, match="4 functions for each of 7 atoms in `symbols`, but has 24 columns"):
        model.predict(X, symbols=(*SYMBOLS, "I"))
    with pytest.raises(InputError, match="same number of functions for each of 5 atoms"):
        ExchangeableRidge(SYMBOLS[:5]).fit(X, y)
    with pytest.raises(
        InputError, match=r"48 features, but LaplacianRidge is expecting 24 features .*`ExchangeableRidge`"
    ):
        LaplacianRidge(alpha=0.1, gamma=0.3).fit(X, y).predict(np.concatenate([X, X], axis=1))


@pytest.mark.parametrize("learner", [LaplacianRidge, ExchangeableRidge])
def test_reversed_velocities_flip_odd_forecasts_and_keep_even_ones(learner: type) -> None:
    X, y = draw(40), np.random.default_rng(2).normal(size=40) + 3.0
    X2 = draw(8, seed=5)
    odd = np.arange(X.shape[1]).reshape(-1, FUNCTIONS)[:, 2:].ravel()
    mirrored = X2.copy()
    mirrored[:, odd] *= -1.0
    own = {"odd_columns": odd} if learner is LaplacianRidge else {"symbols": SYMBOLS, "odd_columns": [2, 3]}
    model = learner(parity="odd", **own).fit(X, y)
    np.testing.assert_allclose(model.predict(mirrored), -model.predict(X2), rtol=1e-10, atol=1e-13)
    np.testing.assert_allclose(
        model.predict(mirrored, return_std=True)[1], model.predict(X2, return_std=True)[1], rtol=1e-9
    )
    X2[:, odd] = 0.0
    np.testing.assert_allclose(model.predict(X2, return_std=True), np.zeros((2, 8)), atol=1e-7)
    even = learner(parity="even", **own).fit(X, y)
    flipped = mirrored.copy()
    flipped[:, odd] *= -1.0
    np.testing.assert_allclose(even.predict(flipped), even.predict(mirrored), rtol=1e-11)


def test_the_odd_kernel_learns_what_velocities_decide() -> None:
    random = np.random.default_rng(7)
    G, rates = random.normal(size=(200, 3)), random.normal(size=(200, 3))
    y = np.sin(G[:, 0]) * rates[:, 0] + 0.5 * rates[:, 1]
    X = np.concatenate([G, rates], axis=1)
    odd = LaplacianRidge(kernel="gaussian", odd_columns=[3, 4, 5], parity="odd").fit(X[:150], y[:150])
    positions = LaplacianRidge(kernel="gaussian").fit(G[:150], y[:150])
    assert odd.score(X[150:], y[150:]) > 0.9
    assert positions.score(G[150:], y[150:]) < 0.3


def test_parity_without_rates_says_what_is_missing() -> None:
    with pytest.raises(ConfigError, match=r"`odd_columns` must name the columns .* add time derivatives"):
        LaplacianRidge(parity="odd").fit(draw(5), np.arange(5.0))
    with pytest.raises(ConfigError, match="Did you mean `odd`"):
        LaplacianRidge(parity="od").fit(draw(5), np.arange(5.0))


@pytest.mark.parametrize("workers", [1, 3])
def test_workers_and_chunks_change_no_bit(workers: int) -> None:
    X, y = draw(60), np.random.default_rng(2).normal(size=60)
    one = ExchangeableRidge(SYMBOLS, workers=1).fit(X, y)
    other = ExchangeableRidge(SYMBOLS, workers=workers).fit(X, y)
    many = draw(1500, seed=6)
    whole = one.predict(many, return_std=True)
    np.testing.assert_array_equal(other.predict(many, return_std=True), whole)
    np.testing.assert_array_equal(one.predict(many[700:703], return_std=True), [part[700:703] for part in whole])


def test_block_out_search_is_that_of_refits_with_everything_else_held() -> None:
    X, y = draw(24), np.random.default_rng(2).normal(size=24)
    model = ExchangeableRidge(SYMBOLS, alpha=0.1, gamma=0.3, standardize=False).fit(X, y)
    groups = np.arange(24) // 6
    residuals = model.block_out_residuals(groups)
    for block in range(4):
        keep = groups != block
        K = gram(X[keep], X[keep], "laplacian", None) + 0.1 * np.eye(keep.sum())
        forecast = gram(X[~keep], X[keep], "laplacian", None) @ np.linalg.solve(K, y[keep] - y.mean())
        np.testing.assert_allclose(residuals[~keep], y[~keep] - y.mean() - forecast, rtol=1e-9)

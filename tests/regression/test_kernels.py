from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from sklearn.gaussian_process.kernels import RBF, Matern
from sklearn.metrics.pairwise import laplacian_kernel

from hopcast.core import ConfigError
from hopcast.regression import distances, kernel_matrix
from hopcast.regression.kernels import explained_variance, frames_per_chunk, weighted_sums


def draw(n_frames: int, n_features: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n_frames, n_features))


@pytest.mark.parametrize(("n", "m", "d"), [(1, 1, 1), (5, 33, 7), (40, 31, 8), (37, 64, 19), (601, 70, 3)])
@pytest.mark.parametrize(
    ("kernel", "metric"), [("laplacian", "cityblock"), ("matern32", "sqeuclidean"), ("gaussian", "sqeuclidean")]
)
def test_distances_are_those_of_scipy(n: int, m: int, d: int, kernel: str, metric: str) -> None:
    X, Y = draw(n, d), draw(m, d, seed=1)
    np.testing.assert_allclose(distances(X, Y, kernel=kernel), cdist(X, Y, metric), rtol=1e-13)


@pytest.mark.parametrize("kernel", ["laplacian", "matern32", "gaussian"])
def test_symmetric_distances_equal_the_full_ones_bit_by_bit(kernel: str) -> None:
    X = draw(530, 11)
    once = distances(X, kernel=kernel)
    np.testing.assert_array_equal(once, distances(X, X, kernel=kernel))
    np.testing.assert_array_equal(once, once.T)
    assert not np.diag(once).any()


def test_laplacian_kernel_is_that_of_scikit_learn() -> None:
    X, Y = draw(50, 30), draw(70, 30, seed=1)
    np.testing.assert_allclose(kernel_matrix(X, Y, gamma=0.05), laplacian_kernel(X, Y, gamma=0.05), rtol=1e-13)


def test_matern_kernel_is_that_of_scikit_learn() -> None:
    X, Y = draw(50, 30), draw(70, 30, seed=1)
    ours = kernel_matrix(X, Y, gamma=0.2, kernel="matern32")
    np.testing.assert_allclose(ours, Matern(length_scale=1.0 / 0.2, nu=1.5)(X, Y), rtol=1e-12)


def test_gaussian_kernel_is_that_of_scikit_learn() -> None:
    X, Y = draw(50, 30), draw(70, 30, seed=1)
    ours = kernel_matrix(X, Y, gamma=0.2, kernel="gaussian")
    np.testing.assert_allclose(ours, RBF(length_scale=1.0 / 0.2)(X, Y), rtol=1e-12)


def test_matern_of_the_l1_distance_would_be_no_kernel() -> None:
    corners = 0.1 * np.array([[0, 0], [0, 1], [1, 0], [1, 1.0]])
    s = np.sqrt(3.0) * distances(corners)
    assert np.linalg.eigvalsh((1 + s) * np.exp(-s))[0] < -1e-3
    assert np.linalg.eigvalsh(kernel_matrix(corners, gamma=1.0, kernel="matern32"))[0] > 0
    assert np.linalg.eigvalsh(kernel_matrix(corners, gamma=1.0))[0] > 0


@pytest.mark.parametrize("kernel", ["laplacian", "matern32", "gaussian"])
def test_workers_and_cuts_change_no_bit(kernel: str) -> None:
    X, Y = draw(1200, 13), draw(45, 13, seed=1)
    whole = kernel_matrix(X, Y, gamma=0.1, kernel=kernel, workers=1)
    np.testing.assert_array_equal(whole, kernel_matrix(X, Y, gamma=0.1, kernel=kernel, workers=3))
    cuts = [0, 1, 8, 517, 1199, 1200]
    parts = [kernel_matrix(X[a:b], Y, gamma=0.1, kernel=kernel, workers=1) for a, b in itertools.pairwise(cuts)]
    np.testing.assert_array_equal(whole, np.concatenate(parts))


def test_kernel_sums_and_their_numpy_twins() -> None:
    K, weights = draw(41, 34), draw(34, 3, seed=1)
    np.testing.assert_allclose(weighted_sums(K, weights), K @ weights, rtol=1e-12, atol=1e-13)
    A = draw(34, 34, seed=2)
    L = np.linalg.cholesky(A @ A.T + np.eye(34))
    expected = np.sum(np.linalg.solve(L, K.T) ** 2, axis=0)
    np.testing.assert_allclose(explained_variance(K, L), expected, rtol=1e-10)
    # A frame alone, or among others: the same bits.
    alone = [explained_variance(K[i : i + 1], L)[0] for i in range(len(K))]
    np.testing.assert_array_equal(explained_variance(K, L), alone)


def test_a_chunk_of_distances_is_bounded() -> None:
    assert all(frames_per_chunk(m) * m <= 2**19 or frames_per_chunk(m) == 16 for m in (1, 126, 5_000, 10**6))


def test_unknown_kernel_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"Argument `kernel` must be one of .* Did you mean `laplacian`\?"):
        distances(draw(3, 2), kernel="laplace")

"""The minimiser alone: a quadratic in a few steps, and a wall that lets none be taken."""

from types import SimpleNamespace

import numpy as np

from hopcast.tightbinding.gauss_newton import Sums, minimise

A = np.array([[2.0, 0.3], [0.3, 1.0], [0.5, -0.4]])
B = np.array([1.0, -2.0, 0.5])
WEIGHTS = np.array([0.1, 0.2])


def problem(allowed=lambda theta: True):
    def normal_equations(theta):
        if not allowed(theta):
            raise np.linalg.LinAlgError
        residuals = A @ theta - B
        return Sums(float(residuals @ residuals), A.T @ A, A.T @ residuals)

    def cost(theta, sums):
        return sums.square + float(WEIGHTS @ theta**2)

    return SimpleNamespace(normal_equations=normal_equations, cost=cost, weights=WEIGHTS, centre=np.zeros(2))


def test_a_quadratic_is_minimised() -> None:
    found = minimise(problem(), np.array([5.0, 5.0]))
    assert found.converged
    np.testing.assert_allclose(found.theta, np.linalg.solve(A.T @ A + np.diag(WEIGHTS), A.T @ B), atol=1e-4)
    again = minimise(problem(), found.theta)  # at the minimum no step lowers the cost
    assert again.converged
    np.testing.assert_allclose(again.theta, found.theta, atol=1e-4)


def test_a_wall_is_no_minimum() -> None:
    start = np.array([5.0, 5.0])
    found = minimise(problem(lambda theta: np.array_equal(theta, start)), start)
    assert not found.converged
    assert found.n_steps == 0
    np.testing.assert_array_equal(found.theta, start)

r"""The kernel of time and geometry, its derivatives, and the weak priors of its hyperparameters."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from hopcast.regression.kernels import FloatArray, kernel_of_distance

GEOMETRY_KERNELS = ("laplacian", "matern32")

HYPERPARAMETERS = (
    "rough_variance",
    "rough_length",
    "smooth_variance",
    "smooth_length",
    "geometry_variance",
    "gamma",
    "product_variance",
    "product_length",
    "noise_variance",
)
"""Variances in units of the training target's, lengths in fs, gamma as in `LaplacianRidge`."""

_VARIANCE, _LENGTH, _GAMMA, _NOISE = (1e-8, 1e2), (1.0, 1e6), (1e-6, 1e3), (1e-9, 1.0)
LOG_LIMITS = np.log([_VARIANCE, _LENGTH, _VARIANCE, _LENGTH, _VARIANCE, _GAMMA, _VARIANCE, _LENGTH, _NOISE])
"""Logarithms of the least and the largest value of each hyperparameter, [9, 2]."""

# Means of the exponential priors of variances. In time it only keeps them from growing without bound; geometry and product
# must each earn two nats for explaining everything, one for each of their two parameters (as in Akaike's criterion).
_MEANS = np.array([10.0, np.inf, 10.0, np.inf, 0.5, np.inf, 0.5, np.inf, np.inf])


class Prior:
    """Weak priors of the hyperparameters: log-normal for lengths, gamma and noise, exponential for the other variances.

    Lengths in time: `time_scale` within a factor e, that of the product's slow change ten times as long within e^1.5.
    gamma: 0.3/n_features (``laplacian``) or 0.5/sqrt(n_features) within e^1.5. Noise: 1e-6 of the target's variance within e^3.
    """

    def __init__(self, n_features: int, kernel: str, time_scale: float) -> None:
        unit = 0.3 / n_features if kernel == "laplacian" else 0.5 / math.sqrt(n_features)
        self.centre = np.log([1.0, time_scale, 1.0, time_scale, 1.0, unit, 1.0, 10.0 * time_scale, 1e-6])
        self.width = np.array([np.inf, 1.0, np.inf, 1.0, np.inf, 1.5, np.inf, 1.5, 3.0])

    def negative(self, theta: FloatArray) -> tuple[float, FloatArray]:
        """Return minus the logarithm of the density (without constants) and its gradient by the logarithms of `theta`."""
        z = (np.log(np.maximum(theta, 1e-300)) - self.centre) / self.width
        excess = theta / _MEANS
        return float(0.5 * z @ z + excess.sum()), z / self.width + excess


def covariance(theta: FloatArray, lag: FloatArray, distance: FloatArray, kernel: str) -> FloatArray:
    r"""Return the covariance of the function, noise not included, in units of the target's variance.

    .. math:: K = v_r M_{3/2}(\tau/l_r) + v_s M_{5/2}(\tau/l_s) + v_g k_\gamma + v_p M_{5/2}(\tau/l_p) k_\gamma

    Parameters
    ----------
    theta
        Values of `HYPERPARAMETERS`, [9].
    lag
        Time differences, fs, any shape.
    distance
        As `hopcast.regression.kernels.distances` gives them, same shape.
    kernel
        Of the geometry.
    """
    rough, rough_length, smooth, smooth_length, geometry, gamma, product, product_length, _ = theta
    K = np.zeros(np.shape(lag))
    if rough > 0.0:
        K += rough * _matern32(lag, rough_length)[0]
    if smooth > 0.0:
        K += smooth * _matern52(lag, smooth_length)[0]
    if geometry > 0.0 or product > 0.0:
        near = kernel_of_distance(distance.copy(), gamma, kernel)
        if product > 0.0:
            K += near * (geometry + product * _matern52(lag, product_length)[0])
        else:
            K += geometry * near
    return K


def derivatives(
    theta: FloatArray, lag: FloatArray, distance: FloatArray, kernel: str
) -> Iterator[tuple[int, FloatArray]]:
    """Yield (index, derivative of `covariance` by the logarithm of that hyperparameter); noise is left to the caller."""
    rough, rough_length, smooth, smooth_length, geometry, gamma, product, product_length, _ = theta
    for first, variance, (value, slope) in (
        (0, rough, _matern32(lag, rough_length)),
        (2, smooth, _matern52(lag, smooth_length)),
    ):
        yield first, variance * value
        yield first + 1, variance * slope
    if geometry > 0.0 or product > 0.0:
        near = kernel_of_distance(distance.copy(), gamma, kernel)
        # d/dlog gamma: -gamma r exp(-gamma r), or -s^2 exp(-s) with s^2 = 3 gamma^2 r^2
        steepness = gamma * distance if kernel == "laplacian" else 3.0 * gamma**2 * distance
        by_gamma = -steepness * (near if kernel == "laplacian" else np.exp(-math.sqrt(3.0) * gamma * np.sqrt(distance)))
        value, slope = _matern52(lag, product_length)
        yield 4, geometry * near
        yield 5, (geometry + product * value) * by_gamma
        yield 6, product * value * near
        yield 7, product * slope * near


def _matern32(lag: FloatArray, length: float) -> tuple[FloatArray, FloatArray]:
    """Return (1 + s) exp(-s), s = sqrt(3) lag / length, and its derivative by log length."""
    s = (math.sqrt(3.0) / length) * lag
    decay = np.exp(-s)
    return (1.0 + s) * decay, s * s * decay


def _matern52(lag: FloatArray, length: float) -> tuple[FloatArray, FloatArray]:
    """Return (1 + s + s^2/3) exp(-s), s = sqrt(5) lag / length, and its derivative by log length."""
    s = (math.sqrt(5.0) / length) * lag
    decay = np.exp(-s)
    return (1.0 + s + s * s / 3.0) * decay, s * s * (1.0 + s) / 3.0 * decay

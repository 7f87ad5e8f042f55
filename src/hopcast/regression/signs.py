r"""Gaussian-process regression on values whose signs are unknown, by expectation propagation.

Each sample says :math:`y = \pm (f + \epsilon)`, both signs alike:
:math:`p(y|f) = \tfrac12 N(y; f, \sigma^2) + \tfrac12 N(-y; f, \sigma^2)`. Expectation propagation replaces it by a Gaussian site that
reproduces mean and variance of f under the cavity (the posterior without the sample) times the true likelihood. Where
the other samples do not tell the sign, the site carries no information and the prior's spread remains; where they do, it
becomes the measurement itself. The posterior is even in the global sign: which of the two is found is decided by the
first guess, the leading eigenvector of :math:`|y_i| K_{ij} |y_j|`.

Sources: Minka, UAI 2001, 362 (expectation propagation); Rasmussen, Williams, *Gaussian Processes for Machine Learning*,
section 3.6; Singer, Appl. Comput. Harmon. Anal. 2011, 30, 20, doi:10.1016/j.acha.2010.02.001 (signs from an eigenvector).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cholesky, eigh, solve_triangular

from hopcast.regression.kernels import FloatArray

MOST_SWEEPS = 60
CONVERGED = 1e-4
_DAMPING = 0.5
# A site of this precision (prior variance 1) says nothing.
_SILENT = 1e-8


@dataclass(frozen=True, eq=False)
class Sites:
    """Gaussian sites in place of measurements without signs.

    Attributes
    ----------
    targets, noise
        A regression with these targets and noise variances has the same posterior, [n_samples].
    log_predictive
        Sum over samples of the log density of abs(y) under its cavity: leave-one-out, without refits.
    """

    targets: FloatArray
    noise: FloatArray
    log_predictive: float


def infer_signs(K: FloatArray, magnitudes: FloatArray, noise: float) -> Sites:
    """Return the sites of samples of known magnitude and unknown sign.

    Parameters
    ----------
    K
        Prior covariance of f on the samples, [n_samples, n_samples].
    magnitudes
        abs(y), in units in which K is the covariance, [n_samples].
    noise
        sigma^2, positive.
    """
    y = magnitudes
    n = len(y)
    guess = eigh(y[:, None] * K * y, subset_by_index=[n - 1, n - 1])[1][:, 0]
    guess *= 1.0 if guess[np.argmax(np.abs(guess))] > 0 else -1.0
    precision = np.full(n, 1.0 / noise)
    linear = np.where(guess < 0, -y, y) / noise
    cavity_mean, cavity_variance = np.zeros(n), np.diag(K).copy()
    for _ in range(MOST_SWEEPS):
        mean, variance = _posterior(K, precision, linear)
        cavity_variance = 1.0 / np.maximum(1.0 / variance - precision, 1e-12)
        cavity_mean = cavity_variance * (mean / variance - linear)
        total = cavity_variance + noise
        gain = cavity_variance / total
        sign = np.tanh(y * cavity_mean / total)
        tilted_mean = cavity_mean + gain * (sign * y - cavity_mean)
        tilted_variance = cavity_variance * (1.0 - gain) + (gain * y) ** 2 * (1.0 - sign**2)
        # A doubtful sign can widen f beyond the cavity; a site cannot.
        wanted = np.maximum(1.0 / tilted_variance - 1.0 / cavity_variance, _SILENT)
        wanted_linear = tilted_mean * (1.0 / cavity_variance + wanted) - cavity_mean / cavity_variance
        change = float(np.max(np.abs(wanted - precision)) * noise + np.max(np.abs(wanted_linear - linear)) * noise)
        precision += _DAMPING * (wanted - precision)
        linear += _DAMPING * (wanted_linear - linear)
        if change < CONVERGED:
            break
    total = cavity_variance + noise
    mixed = np.logaddexp(y * cavity_mean / total, -y * cavity_mean / total) - np.log(2.0)
    density = mixed - 0.5 * (y**2 + cavity_mean**2) / total - 0.5 * np.log(2.0 * np.pi * total)
    return Sites(linear / precision, 1.0 / precision, float(np.sum(density)))


def _posterior(K: FloatArray, precision: FloatArray, linear: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return mean and variance of f on the samples under Gaussian sites."""
    root = np.sqrt(precision)
    B = root[:, None] * K * root
    B.flat[:: len(B) + 1] += 1.0
    lower = cholesky(B, lower=True, overwrite_a=True, check_finite=False)
    solved = solve_triangular(lower, root[:, None] * K, lower=True, overwrite_b=True, check_finite=False)
    variance = np.diag(K) - np.einsum("ij,ij->j", solved, solved)
    return K @ linear - solved.T @ (solved @ linear), np.maximum(variance, 1e-12)

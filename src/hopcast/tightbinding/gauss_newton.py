"""Gauss-Newton with an identity damping, over samples in parallel, always summed in the same order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from hopcast.core.chunks import chunk_slices, map_chunks, single_threaded_blas
from hopcast.tightbinding.model import BandModel
from hopcast.tightbinding.residuals import Loss, Target, sample_residuals
from hopcast.tightbinding.samples import StepGeometry

Floats = NDArray[np.float64]

CHUNK = 8
"""Samples of one sum: fixed, so that results do not depend on the number of threads."""

MOST_STEPS = 40
SMALL_STEP = 5e-4
"""Relative fall of the cost below which a step counts as small; three of them in a row end the fit."""


@dataclass(frozen=True, eq=False)
class Optimum:
    """Where a minimisation ended.

    Attributes
    ----------
    theta
        Parameters.
    cost
        Sum of squared residuals and prior.
    normal
        J^T J of the residuals, without the prior [n_parameters, n_parameters].
    converged
        Whether the last steps were small.
    n_steps
        Steps taken.
    """

    theta: Floats
    cost: float
    normal: Floats
    converged: bool
    n_steps: int


class Sums(NamedTuple):
    """Over samples: r^T r, J^T J and J^T r of the residuals."""

    square: float
    normal: Floats
    gradient: Floats


def add_sums(parts: Iterable[Sums]) -> Sums:
    """Return the sum over more samples, added in order."""
    iterator = iter(parts)
    square, normal, gradient = next(iterator)
    for one in iterator:
        square, normal, gradient = square + one.square, normal + one.normal, gradient + one.gradient
    return Sums(square, normal, gradient)


@dataclass(frozen=True, eq=False)
class Problem:
    """Least squares of some samples with a quadratic prior.

    Attributes
    ----------
    model, loss
        What is fitted, and what counts.
    geometries, targets
        Of the samples.
    centre, weights
        The prior, ``sum(weights (theta - centre)^2)``.
    workers
        Threads.
    """

    model: BandModel
    loss: Loss
    geometries: Sequence[StepGeometry]
    targets: Sequence[Target]
    centre: Floats
    weights: Floats
    workers: int | None = None

    def normal_equations(self, theta: Floats) -> Sums:
        """Return the sums at `theta`."""

        def part(chunk: slice) -> Sums:
            found = [
                sample_residuals(self.model, theta, geometries, target, self.loss, derivatives=True)
                for geometries, target in zip(self.geometries[chunk], self.targets[chunk], strict=True)
            ]
            residuals = np.concatenate([one for one, _ in found])
            slopes = np.concatenate([one for _, one in found], axis=1)
            return Sums(float(residuals @ residuals), slopes @ slopes.T, slopes @ residuals)

        return add_sums(map_chunks(part, chunk_slices(len(self.targets), CHUNK), workers=self.workers))

    def cost(self, theta: Floats, sums: Sums) -> float:
        """Return squared residuals and prior."""
        return sums.square + float(np.sum(self.weights * (theta - self.centre) ** 2))


def minimise(
    problem: Problem,
    theta: Floats,
    *,
    most_steps: int = MOST_STEPS,
    small: float = SMALL_STEP,
    sums: Sums | None = None,
) -> Optimum:
    """Return the minimum that Gauss-Newton reaches from `theta`, where `sums` may be known already.

    Each step solves ``(J^T J + (1 + damping) W) step = -gradient``, an identity damping of parameters in units of what the prior believes of
    them; the damping falls after a step that lowers the cost and grows until one does. (A damping by the diagonal of J^T J stops early here:
    parameters of distant shells have tiny diagonals.)
    """
    with single_threaded_blas():
        here = problem.normal_equations(theta) if sums is None else sums
        cost = problem.cost(theta, here)
        # in units of the curvature, so that the units of the residuals do not matter
        unit = max(1e-3 * float(np.median(np.diagonal(here.normal) / problem.weights)), 1.0)
        damping, least = unit, unit * 1e-6
        n_small = n_steps = 0
        while n_steps < most_steps and n_small < 3:
            slope = here.gradient + problem.weights * (theta - problem.centre)
            for _ in range(12):
                step = _solve(here.normal, problem.weights * (1.0 + damping), -slope)
                # most steps are taken: their derivatives are needed anyway
                there = _attempt(problem, theta + step) if step is not None else None
                lower = problem.cost(theta + step, there) if step is not None and there is not None else np.inf
                if step is not None and there is not None and lower < cost:
                    n_small = n_small + 1 if cost - lower < small * cost else 0
                    theta, here, cost, damping = theta + step, there, lower, max(damping / 5.0, least)
                    n_steps += 1
                    break
                damping *= 5.0
            else:
                # no step lowers the cost: the minimum, unless S let none be taken
                return Optimum(theta, cost, here.normal, there is not None, n_steps)
    return Optimum(theta, cost, here.normal, n_small >= 3, n_steps)


def _attempt(problem: Problem, theta: Floats) -> Sums | None:
    """Return the normal equations; None where orbitals overlap so much that the basis is none."""
    try:
        return problem.normal_equations(theta)
    except np.linalg.LinAlgError:
        return None


def _solve(normal: Floats, diagonal: Floats, right: Floats) -> Floats | None:
    matrix = normal.copy()
    matrix[np.diag_indices_from(matrix)] += diagonal
    try:
        return np.asarray(cho_solve(cho_factor(matrix, lower=True, overwrite_a=True), right))
    except LinAlgError:
        return None

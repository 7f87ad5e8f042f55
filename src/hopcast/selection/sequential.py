"""Sequential design: the pairs that take the most variance from the mean rate, given what is computed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hopcast.core.errors import InputError
from hopcast.core.hamiltonian import VibronicHamiltonian
from hopcast.regression import LaplacianRidge

MAX_CANDIDATES = 1500
"""Posterior covariances are square in the candidates: at most so many, evenly spaced, are looked at."""


def choose_sequential(
    features: NDArray[np.float64], known: VibronicHamiltonian, budget: int, *, seed_free: int | None = None
) -> NDArray[np.int64]:
    """Return `budget` new steps that reduce the posterior variance of the mean rate most (greedy).

    Parameters
    ----------
    features
        [n_steps, n_features], on mid-points.
    known
        What is computed: its frontier pair is used.
    budget
        Number of new pairs.
    seed_free
        Least distance in steps from a pair that is taken; None: half the equal stride of all pairs.

    Raises
    ------
    InputError
        If fewer than four pairs are known, or no candidate is left.
    """
    pair = known.frontier().merged()
    if pair.n_steps != len(features):
        raise InputError(
            f"What is computed must belong to the trajectory of {len(features) + 1} frames, but has {pair.n_frames}."
        )
    gap = np.diff(pair.midpoint_energies, axis=1)[:, 0]
    steps = np.flatnonzero(pair.nac_known & np.isfinite(gap))
    if steps.size < 4:
        raise InputError(
            f"Strategy `sequential` needs at least 4 computed pairs, but {steps.size} are known. Begin with `stride`."
        )
    target = np.abs(pair.nac[steps, 0, 1]) * gap[steps]
    total = steps.size + budget
    apart = max(1, len(features) // total // 2) if seed_free is None else seed_free
    free = np.ones(len(features), dtype=bool)
    for step in steps:
        free[max(0, step - apart + 1) : step + apart] = False
    candidates = np.flatnonzero(free)
    if candidates.size < budget:
        raise InputError(
            f"Strategy `sequential` finds only {candidates.size} steps that are not beside a computed one, but is asked for "
            f"{budget}. Lower the budget."
        )
    if candidates.size > MAX_CANDIDATES:
        candidates = candidates[np.linspace(0, candidates.size - 1, max(MAX_CANDIDATES, budget)).astype(int)]
    X = features[candidates]
    parts = []
    means = []
    for values in (gap[steps], target):
        model = LaplacianRidge().fit(features[steps], values)
        covariance = model.posterior_covariance(X)
        means.append(np.asarray(model.predict(X)))
        parts.append((covariance, float(model.alpha_) * float(model.signal_variance_)))
    energy = np.maximum(means[0], 0.5 * gap[steps].min())
    size = np.sqrt(means[1] ** 2 + np.diag(parts[1][0]))
    gradients = (-4.0 * size**2 / energy**5, 2.0 * size / energy**4)
    open_ = np.ones(candidates.size, dtype=bool)
    chosen: list[int] = []
    for _ in range(budget):
        gain = np.zeros(candidates.size)
        for (covariance, noise), gradient in zip(parts, gradients, strict=True):
            gain += (covariance @ gradient) ** 2 / (np.diag(covariance) + noise)
        if not open_.any():
            open_ = ~np.isin(candidates, chosen)
        best = int(np.argmax(np.where(open_, gain, -np.inf)))
        chosen.append(int(candidates[best]))
        open_ &= np.abs(candidates - candidates[best]) >= apart
        for covariance, noise in parts:
            column = covariance[:, best].copy()
            covariance -= np.outer(column, column) / (column[best] + noise)
    return np.array(sorted(chosen))

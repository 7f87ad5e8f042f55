r"""Sequential design: the pairs that take the most variance from the mean rate, given what is computed.

A belief about gap E and coupling V (:math:`|\hbar d| E`) at candidate steps, jointly normal, makes the mean of the local rates
:math:`V^2/E^4` uncertain by :math:`w^T C w` with its gradient w. Pairs are taken one after the other: the one whose two numbers,
once known, lower it most. Beliefs come from a tight binding learnt from what is computed, where it can be (parameters are shared by all steps
and both numbers), or else from kernels on features, one for each number.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hopcast.core.errors import InputError, QualityWarning
from hopcast.core.hamiltonian import VibronicHamiltonian
from hopcast.core.trajectory import Trajectory
from hopcast.regression import LaplacianRidge

if TYPE_CHECKING:
    from hopcast.tightbinding import Form

Floats = NDArray[np.float64]
Steps = NDArray[np.intp]

MAX_CANDIDATES = 1500
"""Posterior covariances are square in the candidates: at most so many, evenly spaced, are looked at."""

MAX_BANDS = 600
"""The same where a tight binding is diagonalised at each."""


@dataclass(frozen=True, eq=False)
class Belief:
    """What is believed of candidate steps.

    Attributes
    ----------
    gap, coupling
        Expected E, eV, and V, eV^2 [n].
    covariance
        Of the gaps (first n) and the couplings (last n) [2 n, 2 n].
    noise
        Variance of a computed gap, and of a computed coupling, about what is believed of it.
    """

    gap: Floats
    coupling: Floats
    covariance: Floats
    noise: tuple[float, float]


def choose_sequential(
    features: NDArray[np.float64], known: VibronicHamiltonian, budget: int, *, seed_free: int | None = None
) -> NDArray[np.int64]:
    """Return `budget` new steps that reduce the posterior variance of the mean rate most (greedy), by kernels on features.

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
    pair, steps, gap = _computed(known, len(features))
    apart = _apart(len(features), steps.size + budget) if seed_free is None else seed_free
    candidates = _candidates(len(features), steps, budget, apart, MAX_CANDIDATES)
    X, n = features[candidates], len(candidates)
    covariance = np.zeros((2 * n, 2 * n))
    means, noise = [], []
    for place, values in enumerate((gap, np.abs(pair.nac[steps, 0, 1]) * gap)):
        model = LaplacianRidge().fit(features[steps], values)
        part = slice(place * n, (place + 1) * n)
        covariance[part, part] = model.posterior_covariance(X)
        means.append(np.asarray(model.predict(X)))
        noise.append(float(model.alpha_) * float(model.signal_variance_))
    belief = Belief(np.maximum(means[0], 0.5 * gap.min()), means[1], covariance, (noise[0], noise[1]))
    return _take(belief, candidates, budget, apart)


def choose_by_bands(
    trajectory: Trajectory,
    known: VibronicHamiltonian,
    budget: int,
    *,
    form: Form | None = None,
    workers: int | None = None,
) -> NDArray[np.int64]:
    """Return `budget` new steps that reduce the posterior variance of the mean rate most (greedy), by a tight binding.

    Parameters
    ----------
    trajectory
        The nuclei.
    known
        What is computed: a window of bands and couplings on pairs.
    budget
        Number of new pairs.
    form
        Hyperparameters of the tight binding; None: the default ones.
    workers
        Threads.

    Raises
    ------
    InputError
        If a tight binding cannot learn from what is computed, or no candidate is left.
    """
    from hopcast.tightbinding import Form, TightBinding, step_slopes

    n_steps = trajectory.n_frames - 1
    _, steps, gap = _computed(known, n_steps)
    apart = _apart(n_steps, steps.size + budget)
    candidates = _candidates(n_steps, steps, budget, apart, MAX_BANDS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", QualityWarning)  # a fit that did not converge still tells where it knows little
        bands = TightBinding(form=form or Form(), workers=workers).fit(trajectory, known).bands_
    found = step_slopes(bands, trajectory, candidates, workers=workers)
    belief = Belief(
        np.maximum(found.gap, 0.5 * gap.min()),
        found.coupling,
        found.covariance(bands),
        (bands.floor, float((bands.scores.coupling_error * gap.mean()) ** 2)),
    )
    return _take(belief, candidates, budget, apart)


def _computed(known: VibronicHamiltonian, n_steps: int) -> tuple[VibronicHamiltonian, Steps, Floats]:
    """Return the frontier pair, the steps where both gap and coupling are known, and the gap there."""
    pair = known.frontier().merged()
    if pair.n_steps != n_steps:
        raise InputError(
            f"What is computed must belong to the trajectory of {n_steps + 1} frames, but has {pair.n_frames}."
        )
    gap = np.diff(pair.midpoint_energies, axis=1)[:, 0]
    steps = np.flatnonzero(pair.nac_known & np.isfinite(gap))
    if steps.size < 4:
        raise InputError(
            f"Strategy `sequential` needs at least 4 computed pairs, but {steps.size} are known. Begin with `stride`."
        )
    return pair, steps, gap[steps]


def _apart(n_steps: int, total: int) -> int:
    return max(1, n_steps // total // 2)


def _candidates(n_steps: int, steps: Steps, budget: int, apart: int, most: int) -> Steps:
    """Return steps that are not beside a computed one, thinned out evenly."""
    free = np.ones(n_steps, dtype=bool)
    for step in steps:
        free[max(0, step - apart + 1) : step + apart] = False
    candidates = np.flatnonzero(free)
    if candidates.size < budget:
        raise InputError(
            f"Strategy `sequential` finds only {candidates.size} steps that are not beside a computed one, but is asked for "
            f"{budget}. Lower the budget."
        )
    if candidates.size > most:
        candidates = candidates[np.linspace(0, candidates.size - 1, max(most, budget)).astype(int)]
    return candidates


def _take(belief: Belief, candidates: Steps, budget: int, apart: int) -> NDArray[np.int64]:
    """Return the steps that lower the variance of the mean rate most, each given those before."""
    n, covariance = len(candidates), belief.covariance.copy()
    size = np.sqrt(belief.coupling**2 + np.diag(covariance)[n:])
    gradient = np.concatenate([-4.0 * size**2 / belief.gap**5, 2.0 * size / belief.gap**4])
    # a belief without noise knows a computed step for certain: what rounding leaves of it must not be divided by
    noise = [
        max(one, 1e-9 * float(part.max()))
        for one, part in zip(belief.noise, np.split(np.diag(covariance), 2), strict=True)
    ]
    open_ = np.ones(n, dtype=bool)
    chosen: list[int] = []
    for _ in range(budget):
        toward = covariance @ gradient
        variance = np.diag(covariance)
        one, two, both = variance[:n] + noise[0], variance[n:] + noise[1], np.diag(covariance, n)
        gap, coupling = toward[:n], toward[n:]
        gain = (two * gap**2 - 2.0 * both * gap * coupling + one * coupling**2) / (one * two - both**2)
        if not open_.any():
            open_ = ~np.isin(candidates, chosen)
        best = int(np.argmax(np.where(open_, gain, -np.inf)))
        chosen.append(int(candidates[best]))
        open_ &= np.abs(candidates - candidates[best]) >= apart
        columns = covariance[:, [best, n + best]].copy()
        block = np.array([[one[best], both[best]], [both[best], two[best]]])
        covariance -= columns @ np.linalg.solve(block, columns.T)
    return np.array(sorted(chosen))

"""Fits to many parts of the same samples, each as ignorant of what it leaves out as a fit of its own."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cholesky

from hopcast.core.errors import InputError
from hopcast.core.hamiltonian import VibronicHamiltonian
from hopcast.core.trajectory import Trajectory
from hopcast.tightbinding.fit import Trainer, prior_weights
from hopcast.tightbinding.fitted import FittedBands
from hopcast.tightbinding.samples import FEWEST, MOST, Samples, collect_samples, sample_geometries

Floats = NDArray[np.float64]
Steps = NDArray[np.intp]

LEAST_COMMON = FEWEST
"""Samples that folds must share for a fit to them to be a start for all."""

REFINEMENTS = 10
"""Gauss-Newton steps from a start that saw half of the samples; fits end earlier where steps become small."""


def fit_folds(
    whole: FittedBands,
    trajectory: Trajectory,
    hamiltonian: VibronicHamiltonian,
    folds: Sequence[Steps],
    *,
    workers: int | None = None,
) -> list[FittedBands]:
    """Fit the form of a fitted tight binding to other steps, one fit for each fold.

    Parameters
    ----------
    whole
        Gives form, terms and functions, and the error bars and scores that are handed on: those of a fold are not found anew.
    trajectory, hamiltonian
        Of the same frames.
    folds
        Steps t, t + 1 that each fit may learn from, by t.
    workers
        Threads.

    Returns
    -------
    list of FittedBands
        Parameters of each fold; everything else is that of `whole`.

    Raises
    ------
    InputError
        If a fold has fewer than 10 known steps, or as `TightBinding.fit`.

    Notes
    -----
    A fit that starts where one of all samples ended would know by its minimum what it leaves out. Therefore folds in two halves: those of a half
    start from a fit (energies first) to the steps that *all of them* learn from, and a few Gauss-Newton steps lead
    from there to the minimum of each. Nothing that a fold leaves out enters what it says.
    """
    everything = np.unique(np.concatenate([np.asarray(fold, dtype=np.intp) for fold in folds]))
    samples = collect_samples(
        trajectory, hamiltonian, most=len(everything), n_occupied=whole.n_occupied, steps=everything
    )
    indices = [training_index(samples, fold) for fold in folds]
    geometries = sample_geometries(whole.model, trajectory, samples.steps, workers=workers)
    trainer = Trainer(whole.model, samples, geometries, whole.lowest_of(trajectory.numbers), workers)
    found: list[FittedBands] = []
    for half in np.array_split(np.arange(len(folds)), min(2, len(folds))):
        mine = [indices[int(fold)] for fold in half]
        common = _common(mine)
        start = None if len(mine) < 2 or len(common) < LEAST_COMMON else trainer.fit(whole.form, common)
        for index in mine:
            if start is None:
                optimum = trainer.fit(whole.form, index).optimum
            else:
                optimum = trainer.refine(whole.form, index, start.optimum.theta, start.centre, REFINEMENTS)
            normal = optimum.normal + np.diag(prior_weights(whole.model, whole.form))
            factor = np.ascontiguousarray(cholesky(normal, lower=True))
            found.append(
                dataclasses.replace(
                    whole, theta=optimum.theta, factor=factor, n_samples=len(index), converged=optimum.converged
                )
            )
    return found


def training_index(samples: Samples, fold: Steps) -> Steps:
    """Return which samples a fold learns from, thinned out as a fit of its own would."""
    index = np.flatnonzero(np.isin(samples.steps, fold))
    if len(index) < FEWEST:
        raise InputError(
            f"Each fit of a tight binding needs at least {FEWEST} pairs of neighbouring frames, but one fold leaves {len(index)}. "
            "Compute more pairs, or hold less out at a time."
        )
    return index if len(index) <= MOST else index[np.linspace(0, len(index) - 1, MOST).round().astype(int)]


def _common(indices: Sequence[Steps]) -> Steps:
    """Return the samples that all of some folds learn from."""
    common = indices[0]
    for index in indices[1:]:
        common = np.intersect1d(common, index)
    return common

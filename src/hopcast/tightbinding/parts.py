"""Parts of a Hamiltonian: some of its terms, fitted to the training steps of several folds and judged on those left out."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cholesky

from hopcast.core.errors import InputError
from hopcast.core.hamiltonian import VibronicHamiltonian
from hopcast.core.trajectory import Trajectory
from hopcast.tightbinding.blockout import BlockOut, forecast_samples, score
from hopcast.tightbinding.fit import Trainer, make_loss, prior_weights
from hopcast.tightbinding.fitted import FittedBands, HeldOutScores
from hopcast.tightbinding.folds import training_index
from hopcast.tightbinding.form import Form
from hopcast.tightbinding.gauss_newton import Optimum
from hopcast.tightbinding.model import BandModel
from hopcast.tightbinding.samples import collect_samples, sample_geometries
from hopcast.tightbinding.terms import CrystalField, Hopping, Keep, Level, Term, hoppings_of

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Steps = NDArray[np.intp]

FOLLOWED = 12
"""Gauss-Newton steps from the minimum of a larger Hamiltonian to that of a part of it; fits end earlier where steps become small."""

DENSITY, OVERLAP = "modulation by densities", "overlap"
"""What can be taken out beside terms."""


@dataclass(frozen=True)
class Variant:
    """A Hamiltonian with something taken out.

    Attributes
    ----------
    name
        In words.
    keep
        Which terms stay; levels always do. None: all.
    density
        Whether densities go on to modulate what stays.
    overlap
        Whether orbitals that hop go on to overlap.
    """

    name: str
    keep: Keep | None = None
    density: bool = True
    overlap: bool = True


@dataclass(frozen=True)
class VariantScore:
    """A variant, fitted and judged.

    Attributes
    ----------
    name
        Of the variant.
    terms
        That stayed, with the levels.
    n_parameters
        Of H and S.
    n_determined
        How many of them the data determine rather than the prior, trace(N (N + W)^-1), mean over the folds.
    scores
        On the steps left out of each fold; `n_blocks` is the number of folds.
    """

    name: str
    terms: tuple[Term, ...]
    n_parameters: int
    n_determined: float
    scores: HeldOutScores


def reduce_model(model: BandModel, variant: Variant) -> tuple[BandModel, Integers]:
    """Return a part of a model, and which of the model's parameters are its own; geometries of the model serve both."""
    keep = variant.keep
    terms = tuple(term for term in model.terms if isinstance(term, Level) or keep is None or keep(term))
    hoppings = hoppings_of(terms)
    metric = None
    if model.overlap is not None and variant.overlap and hoppings:
        metric = BandModel(model.basis, hoppings, model.surroundings, modulated=False)
    part = BandModel(
        model.basis, terms, model.surroundings, modulated=model.modulated and variant.density, overlap=metric
    )
    # a term's plain functions come before those that densities modulate
    columns = [_columns_of(model, part, terms)]
    if metric is not None and model.overlap is not None:
        columns.append(model.n_own + _columns_of(model.overlap, metric, hoppings))
    return part, np.concatenate(columns)


def _columns_of(model: BandModel, part: BandModel, terms: Sequence[Term]) -> Integers:
    starts = {term: at.start for term, at in zip(model.terms, model.columns, strict=True)}
    return np.concatenate([starts[term] + np.arange(part.n_columns_of(term)) for term in terms])


@dataclass(frozen=True, eq=False)
class FoldFits:
    """One Hamiltonian, fitted to the training samples of every fold."""

    trainer: Trainer
    form: Form
    folds: tuple[tuple[Steps, Steps], ...]
    optima: tuple[Optimum, ...]
    centres: tuple[Floats, ...]

    def without(self, variant: Variant) -> FoldFits:
        """Return the fits of a part, each from the minimum of the whole in its own fold."""
        part, columns = reduce_model(self.trainer.model, variant)
        trainer = dataclasses.replace(self.trainer, model=part)
        centres = tuple(centre[columns] for centre in self.centres)
        optima = [
            trainer.refine(self.form, train, optimum.theta[columns], centre, FOLLOWED)
            for (train, _), optimum, centre in zip(self.folds, self.optima, centres, strict=True)
        ]
        return dataclasses.replace(self, trainer=trainer, optima=tuple(optima), centres=centres)

    @cached_property
    def curvatures(self) -> tuple[Floats, ...]:
        """N + W of each fold."""
        weights = np.diag(prior_weights(self.trainer.model, self.form))
        return tuple(optimum.normal + weights for optimum in self.optima)

    def candidates(self) -> list[str]:
        """Return the labels of what could be taken out, what costs the training samples least first."""
        model = self.trainer.model
        groups: list[tuple[str, Integers]] = [
            (term.label, self._parameters_of(term)) for term in model.terms if not isinstance(term, Level)
        ]
        modulated = np.zeros(model.n_parameters, dtype=bool)
        for term, at in zip(model.terms, model.columns, strict=True):
            if isinstance(term, Hopping | CrystalField):
                functions = model.functions_of(term)
                modulated[at.start + functions.stop - functions.start : at.stop] = True
        if modulated.any():
            groups.append((DENSITY, np.flatnonzero(modulated)))
        if model.overlap is not None:
            groups.append((OVERLAP, np.arange(model.n_own, model.n_parameters)))
        costs = np.zeros(len(groups))
        for curvature, optimum in zip(self.curvatures, self.optima, strict=True):
            inverse = np.linalg.inv(curvature)
            for k, (_, group) in enumerate(groups):
                theta = optimum.theta[group]
                costs[k] += theta @ np.linalg.solve(inverse[group][:, group], theta)
        return [groups[k][0] for k in np.argsort(costs, kind="stable")]

    def _parameters_of(self, term: Term) -> Integers:
        """Return the parameters of a term, in S too."""
        model = self.trainer.model
        at = model.columns[model.terms.index(term)]
        own = np.arange(at.start, at.stop)
        if model.overlap is None or term not in model.overlap.terms:
            return own
        of_metric = model.overlap.columns[model.overlap.terms.index(term)]
        return np.concatenate([own, model.n_own + np.arange(of_metric.start, of_metric.stop)])

    def score(self, name: str) -> VariantScore:
        """Return how well steps left out are forecast."""
        trainer, determined = self.trainer, []
        tests = np.concatenate([test for _, test in self.folds])
        parts = []
        loss = make_loss(self.form, trainer.samples, trainer.lowest)
        for (_, test), optimum, curvature in zip(self.folds, self.optima, self.curvatures, strict=True):
            factor = np.ascontiguousarray(cholesky(curvature, lower=True))
            parts.append(forecast_samples(trainer, optimum.theta, test, loss, factor))
            determined.append(float(np.trace(np.linalg.solve(curvature, optimum.normal))))
        judged = dataclasses.replace(trainer, samples=trainer.samples.take(tests))
        joined = BlockOut(
            np.concatenate([part.energies for part in parts]),
            np.concatenate([part.couplings for part in parts]),
            np.concatenate([part.variance for part in parts]),
            np.concatenate([part.loss for part in parts]),
        )
        model = trainer.model
        scores = score(judged, joined, n_blocks=len(self.folds))
        return VariantScore(name, model.terms, model.n_parameters, float(np.mean(determined)), scores)


def fit_whole(
    bands: FittedBands,
    trajectory: Trajectory,
    hamiltonian: VibronicHamiltonian,
    folds: Sequence[tuple[Steps, Steps]],
    workers: int | None,
) -> FoldFits:
    """Return the fits of a whole Hamiltonian to the training steps of every fold (arguments as of `score_variants`)."""
    wanted = np.unique(np.concatenate([steps for fold in folds for steps in fold]))
    samples = collect_samples(
        trajectory, hamiltonian, most=trajectory.n_frames, n_occupied=bands.n_occupied, steps=wanted
    )
    indices = tuple(
        (training_index(samples, train), np.flatnonzero(np.isin(samples.steps, test))) for train, test in folds
    )
    for number, (_, test) in enumerate(indices):
        if not len(test):
            raise InputError(
                f"Every fold must leave out at least one step with known energies, but fold {number} leaves out none."
            )
    geometries = sample_geometries(bands.model, trajectory, samples.steps, workers=workers)
    trainer = Trainer(bands.model, samples, geometries, bands.lowest_of(trajectory.numbers), workers)
    fits = [trainer.fit(bands.form, train) for train, _ in indices]
    return FoldFits(
        trainer,
        bands.form,
        indices,
        tuple(fit.optimum for fit in fits),
        tuple(fit.centre for fit in fits),
    )

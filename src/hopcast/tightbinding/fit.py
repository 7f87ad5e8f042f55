"""A fit: from several starts on some samples, energies first, then all samples and the couplings."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hopcast.core.spreading import spread
from hopcast.tightbinding.form import Form
from hopcast.tightbinding.gauss_newton import MOST_STEPS, Optimum, Problem, minimise
from hopcast.tightbinding.geometry import FrameGeometry
from hopcast.tightbinding.model import BandModel
from hopcast.tightbinding.residuals import Loss, Target, has_metric
from hopcast.tightbinding.samples import SampleGeometries, Samples, mixing
from hopcast.tightbinding.start import overlap_share, soften_overlap, starting_values
from hopcast.tightbinding.terms import Hopping, Level, Momentum, Potential

Floats = NDArray[np.float64]

STARTS = tuple((shift, scale) for scale in (0.7, 1.0) for shift in (0.0, 1.0, 2.0, 3.0))
"""Shifts of the cations' levels, eV, and factors on the universal hoppings that a fit starts from."""

SCREENED = 36
"""Samples on which starts are compared."""

MEASURED = 8
"""Of them those whose S is looked at before a start."""

ENERGY_STEPS, COUPLING_STEPS = 6, 5
"""Steps of a start before it is compared, with energies alone and with couplings."""

SHARES = (1.0, 0.5, 0.25, 0.125, 0.0)
"""Of the way from the prior's overlaps to those of a fit to other samples."""

CONTINUED = 2
"""Starts that go on with couplings, and with all samples where left-out blocks are to choose among them."""


def make_loss(form: Form, samples: Samples, lowest: int) -> Loss:
    """Return what counts how much.

    The lowest and the highest band of a window of more than six mix with bands that are not known, and get no weight.
    """
    n_states, n_occupied = samples.energies.shape[2], samples.n_occupied
    weights = np.full(n_states, 1.0 / form.energy_error)
    if n_occupied > 3:
        weights[0] = 0.0
    if n_states - n_occupied > 3:
        weights[-1] = 0.0
    weights[[n_occupied - 1, n_occupied]] *= form.edge_weight
    below = range(max(n_occupied - form.n_edges, 0), n_occupied)
    above = range(n_occupied, min(n_occupied + form.n_edges, n_states))
    pairs = np.array([(i, j) for i in below for j in above], dtype=np.int64)
    size = coupling_size(samples)
    if form.coupling_weight == 0.0 or size == 0.0:
        pairs = pairs[:0]
    return Loss(
        lowest, weights, pairs, np.full(len(pairs), form.coupling_weight / size if size else 0.0), samples.timestep
    )


def coupling_size(samples: Samples) -> float:
    """Return the root mean square of hbar |d| times gap of VBM and CBM, eV^2; 0 where no coupling is known."""
    moved = samples.coupling * samples.gap.mean(axis=1)
    known = moved[np.isfinite(moved)]
    return float(np.sqrt(np.mean(known**2))) if known.size else 0.0


def edges_alone(form: Form) -> Form:
    """Return the form with the coupling of VBM and CBM alone in the loss."""
    return form.replace(n_edges=1)


@dataclass(frozen=True, eq=False)
class Fitted:
    """A minimum, the start that led to it, and the prior's centre there."""

    optimum: Optimum
    start: tuple[float, float]
    centre: Floats


def prior_weights(model: BandModel, form: Form) -> Floats:
    """Return the weights of (theta - centre)^2: one over the square of the size that the form believes of each parameter."""
    sizes = np.ones(model.n_parameters)
    for term, at in zip(model.terms, model.columns, strict=True):
        if isinstance(term, Level):
            sizes[at] = form.size_level
        elif isinstance(term, Momentum):
            sizes[at] = form.size_momentum
        elif not isinstance(term, Potential):
            functions = model.functions_of(term)
            sizes[at] = form.size_hopping if isinstance(term, Hopping) else form.size_field
            sizes[at.start + functions.stop - functions.start : at.stop] *= form.density_size
    if model.overlap is not None:
        sizes[model.n_own :] = form.size_overlap
    return np.asarray(1.0 / sizes**2)


def make_targets(samples: Samples) -> list[Target]:
    """Return the known numbers of each sample."""
    size = coupling_size(samples)
    trust = 1.0 / np.sqrt(1.0 + (mixing(samples) / size) ** 2) if size else np.ones_like(samples.couplings)
    return [Target(*one) for one in zip(samples.energies, samples.couplings, trust, strict=True)]


@dataclass(frozen=True, eq=False)
class Trainer:
    """Everything that fits with one set of radial functions share.

    Attributes
    ----------
    model
        What is fitted.
    samples, geometries
        Known numbers and where they were found.
    lowest
        Band of the model that is the lowest of the window.
    workers
        Threads.
    """

    model: BandModel
    samples: Samples
    geometries: SampleGeometries
    lowest: int
    workers: int | None = None

    def problem(
        self, form: Form, index: NDArray[np.intp] | Sequence[int], centre: Floats, loss: Loss | None = None
    ) -> Problem:
        """Return the least squares of some samples; their own loss, or one given."""
        chosen = self.samples.take(index)
        targets = make_targets(chosen)
        return Problem(
            self.model,
            loss or make_loss(form, chosen, self.lowest),
            self.geometries.take(index).parts,
            targets,
            centre,
            prior_weights(self.model, form),
            self.workers,
        )

    def fit(self, form: Form, index: NDArray[np.intp]) -> Fitted:
        """Return the minimum reached from the form's start, or from the best of several by its cost."""
        begun = self.screen(edges_alone(form), index)[0]
        return Fitted(self.settle(form, index, begun.optimum.theta, begun.centre), begun.start, begun.centre)

    def settle(
        self, form: Form, index: NDArray[np.intp], theta: Floats, centre: Floats, most_steps: int = MOST_STEPS
    ) -> Optimum:
        """Return the minimum reached from a start: that of the coupling of VBM and CBM alone, then with all others.

        Moduli of many couplings at once trap a fit of few samples half way.
        """
        if form.n_edges > 1:
            theta = self.refine(edges_alone(form), index, theta, centre, most_steps).theta
        return self.refine(form, index, theta, centre, most_steps)

    def screen(self, form: Form, index: NDArray[np.intp]) -> list[Fitted]:
        """Return where the best starts lead on few samples, the one of lowest cost first.

        Every start takes some steps with energies alone; those of lowest cost go on with the couplings.
        """
        few = index[spread(len(index), SCREENED)]
        shown = self.some_geometries(index)
        starts = STARTS if form.shift is None or form.scale is None else ((form.shift, form.scale),)
        tried: list[tuple[float, tuple[float, float], Floats, Problem]] = []
        for shift, scale in starts:
            centre = soften_overlap(self.model, starting_values(self.model, shift=shift, scale=scale), shown)
            problem = self.problem(form, few, centre)
            alone = dataclasses.replace(problem, loss=problem.loss.without_couplings())
            found = minimise(alone, centre, most_steps=ENERGY_STEPS)
            tried.append((found.cost, (shift, scale), found.theta, problem))
        tried.sort(key=lambda one: one[0])
        ends = [
            Fitted(minimise(problem, theta, most_steps=COUPLING_STEPS), start, problem.centre)
            for _, start, theta, problem in tried[:CONTINUED]
        ]
        return sorted(ends, key=lambda one: one.optimum.cost)

    def some_geometries(self, index: NDArray[np.intp]) -> list[FrameGeometry]:
        """Return the mid-points whose S is looked at before a start."""
        return [self.geometries.parts[int(k)].middle for k in index[spread(len(index), MEASURED)]]

    def believable(self, form: Form, index: NDArray[np.intp]) -> Form:
        """Return the form with overlaps believed to be as small as a basis needs in this crystal: a dense one has many neighbours."""
        share = overlap_share(self.model, starting_values(self.model), self.some_geometries(index))
        return form.replace(size_overlap=form.size_overlap * share)

    def refine(
        self, form: Form, index: NDArray[np.intp], theta: Floats, centre: Floats, most_steps: int = MOST_STEPS
    ) -> Optimum:
        """Return the minimum near `theta`, which may come from other samples."""
        near = self.with_metric(theta, centre, index)
        return minimise(self.problem(form, index, centre), near, most_steps=most_steps)

    def with_metric(self, theta: Floats, centre: Floats, index: NDArray[np.intp]) -> Floats:
        """Return theta with overlaps so much nearer to the prior's that S is a metric for all of some samples."""
        model = self.model
        if model.overlap is None:
            return theta
        overlaps = slice(model.n_own, None)
        for share in SHARES:
            near = theta.copy()
            near[overlaps] = centre[overlaps] + share * (theta[overlaps] - centre[overlaps])
            if all(has_metric(model, near, self.geometries.parts[int(k)].middle) for k in index):
                return near
        return near

"""`TightBinding`: learn a Hamiltonian from computed frames, forecast it along any trajectory of the material."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cholesky
from sklearn.base import BaseEstimator

from hopcast.core.errors import InputError, QualityWarning
from hopcast.core.forecast import HamiltonianForecast
from hopcast.core.hamiltonian import VibronicHamiltonian
from hopcast.core.trajectory import Trajectory
from hopcast.tightbinding.bars import band_errors, calibrate, calibrate_couplings
from hopcast.tightbinding.basis import OrbitalBasis, make_basis
from hopcast.tightbinding.blockout import BlockOut, leave_blocks_out, score
from hopcast.tightbinding.fit import Trainer, edges_alone, prior_weights
from hopcast.tightbinding.fitted import FittedBands, HeldOutScores
from hopcast.tightbinding.forecast import forecast_bands
from hopcast.tightbinding.form import Form, build_model, shortest_distances
from hopcast.tightbinding.gauss_newton import MOST_STEPS, Optimum
from hopcast.tightbinding.samples import (
    MOST,
    Samples,
    collect_samples,
    lowest_band,
    sample_geometries,
)
from hopcast.tightbinding.terms import Keep

Floats = NDArray[np.float64]

CANDIDATES: tuple[Mapping[str, float], ...] = (
    {"size_field": 0.67},
    {"density_size": 0.5},
    {"size_hopping": 0.67},
    {"size_overlap": 0.5},
)
"""Factors on the default form's numbers, tried in turn; what lowers the errors on left-out blocks stays. Smaller only: fits without a block start
from the minimum of all samples, whose basin knows the block a little, and the more so the wider the priors are. On CsPbI3 wider ones looked
better there and were worse on blocks that no fit had seen."""

WORTH = 0.01
"""By how much `HeldOutScores.merit` must fall for a change to stay: 1 % of one of the errors."""

CHANGED = 4
"""Gauss-Newton steps to the minimum of a form that differs in a size."""

TRIED = 8
"""Gauss-Newton steps of a start before left-out blocks choose among them."""

INSIDE = 0.99
"""Share of left-out samples whose posterior variance counts as inside."""


class TightBinding(BaseEstimator):
    r"""Environment-dependent tight binding, fitted to band energies and couplings of some frames.

    .. math:: H_{i\alpha,j\beta}(R) = \sum_q \theta_q B^q_{i\alpha,j\beta}(R)

    Parameters
    ----------
    basis
        Shells by element, e.g. ``{"Cs": "s", "Pb": "sp", "I": "sp"}``; what is not named takes `default_basis`.
    valence
        Electrons that an element gives to the bands, where the table's are not meant.
    n_occupied
        Occupied states of the Hamiltonian that is learnt from, where it does not know.
    form
        Hyperparameters; None: the default `Form`.
    choose
        Whether to try smaller sizes of the priors too, and to keep those of `CANDIDATES` that lower the errors on left-out blocks.
    keep
        Which terms stay (an ablation); None: all.
    most_samples
        Samples to learn from; more are thinned out evenly.
    random_state
        For the scikit-learn dialect; the fit draws no random numbers.
    workers
        Threads; None takes all cores. Results do not depend on it.

    Attributes
    ----------
    bands_ : FittedBands
        The fitted Hamiltonian.
    scores_ : HeldOutScores
        On blocks of time that were left out of the fit.
    search_ : tuple
        Pairs of each form that was tried and its scores.
    """

    def __init__(
        self,
        *,
        basis: Mapping[str, str] | None = None,
        valence: Mapping[str, int] | None = None,
        n_occupied: int | None = None,
        form: Form | None = None,
        choose: bool = False,
        keep: Keep | None = None,
        most_samples: int = MOST,
        random_state: int | None = 0,
        workers: int | None = None,
    ) -> None:
        self.basis = basis
        self.valence = valence
        self.n_occupied = n_occupied
        self.form = form
        self.choose = choose
        self.keep = keep
        self.most_samples = most_samples
        self.random_state = random_state
        self.workers = workers

    def fit(
        self, trajectory: Trajectory, hamiltonian: VibronicHamiltonian, steps: NDArray[np.intp] | None = None
    ) -> Self:
        """Learn from the known frames of a Hamiltonian.

        Parameters
        ----------
        trajectory, hamiltonian
            Of the same frames; most may be unknown.
        steps
            Pairs of frames t, t + 1 to learn from, by t; None: all that are known.

        Raises
        ------
        InputError
            If trajectory and Hamiltonian do not belong together, fewer than 10 pairs of neighbouring frames are known, the number of
            occupied states is unknown or at odds with the valence electrons, or the window does not hold VBM and CBM.
        ConfigError
            If an option is impossible.

        Warns
        -----
        QualityWarning
            If the minimisation did not converge.
        """
        samples = collect_samples(
            trajectory, hamiltonian, most=self.most_samples, n_occupied=self.n_occupied, steps=steps
        )
        basis = make_basis(trajectory.symbols, self.basis, self.valence)
        lowest = lowest_band(basis, trajectory.numbers, samples.energies.shape[2], samples.n_occupied)
        work = _Workshop(trajectory, samples, basis, lowest, self.keep, self.workers)
        best = work.try_form(self.form or Form())
        tried = [(best.form, best.scores)]
        for factors in CANDIDATES if self.choose else ():
            changed = {name: factor * getattr(best.form, name) for name, factor in factors.items()}
            found = work.change_form(best, best.form.replace(**changed), CHANGED)
            tried.append((found.form, found.scores))
            if found.scores.merit < best.scores.merit - WORTH:
                best = found
        best = work.converge(best)
        self.search_ = tuple(tried)
        self.bands_ = work.finish(best, hamiltonian)
        self.scores_ = self.bands_.scores
        if not self.bands_.converged:
            warnings.warn(
                f"The fit of the tight binding did not converge in {best.optimum.n_steps} steps; it reached a loss of "
                f"{best.optimum.cost:.4g}, {self.scores_}.",
                QualityWarning,
                stacklevel=2,
            )
        return self

    def forecast(self, trajectory: Trajectory) -> HamiltonianForecast:
        """Return the Hamiltonian along a trajectory of the material: any number of frames, any cell.

        Raises
        ------
        InputError
            If it was not fitted, an element is unknown, or the trajectory has one frame.
        """
        return forecast_bands(self._fitted(), trajectory, workers=self.workers)

    def save(self, path: str | Path) -> None:
        """Write the fitted Hamiltonian to an HDF5 file, atomically."""
        from hopcast.tightbinding.storage import save_bands

        save_bands(self._fitted(), path)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read what `save` wrote.

        Raises
        ------
        InputError
            If the file is missing, damaged, or holds no tight binding.
        """
        from hopcast.tightbinding.storage import load_bands

        bands = load_bands(path)
        basis = bands.model.basis
        found = cls(
            basis=dict(zip(basis.elements, basis.shells, strict=True)),
            valence=dict(zip(basis.elements, basis.electrons, strict=True)),
            form=bands.form,
        )
        found.bands_, found.scores_, found.search_ = bands, bands.scores, ()
        return found

    def _fitted(self) -> FittedBands:
        if not hasattr(self, "bands_"):
            raise InputError("This tight binding is not fitted: call `fit(trajectory, hamiltonian)` first.")
        return self.bands_


class _Trial:
    """A form that was fitted and judged."""

    def __init__(
        self, form: Form, trainer: Trainer, optimum: Optimum, centre: Floats, left_out: BlockOut, scores: HeldOutScores
    ) -> None:
        self.form, self.trainer, self.optimum = form, trainer, optimum
        self.centre, self.left_out, self.scores = centre, left_out, scores


class _Workshop:
    """The samples of one fit."""

    def __init__(
        self,
        trajectory: Trajectory,
        samples: Samples,
        basis: OrbitalBasis,
        lowest: int,
        keep: Keep | None,
        workers: int | None,
    ) -> None:
        self.trajectory, self.samples, self.basis, self.lowest = trajectory, samples, basis, lowest
        self.keep, self.workers = keep, workers

    def try_form(self, form: Form) -> _Trial:
        """Fit a form from its start, or from the best few of several, and judge its minimum on left-out blocks."""
        model = build_model(form, self.basis, self.trajectory, self.samples, keep=self.keep)
        geometries = sample_geometries(model, self.trajectory, self.samples.steps, workers=self.workers)
        trainer = Trainer(model, self.samples, geometries, self.lowest, self.workers)
        index = np.arange(len(self.samples))
        form = trainer.believable(form, index)
        trials = []
        first = edges_alone(form)
        for begun in trainer.screen(first, index):
            started = first.replace(shift=begun.start[0], scale=begun.start[1])
            optimum = trainer.refine(started, index, begun.optimum.theta, begun.centre, TRIED)
            trials.append(self._judge(started, trainer, optimum, begun.centre))
        best = min(trials, key=lambda trial: trial.scores.merit)
        whole = best.form.replace(n_edges=form.n_edges)
        optimum = trainer.settle(whole, index, best.optimum.theta, best.centre, MOST_STEPS)
        return self._judge(whole, trainer, optimum, best.centre)

    def change_form(self, trial: _Trial, form: Form, most_steps: int) -> _Trial:
        """Fit another form of the same columns, from the minimum of a trial."""
        index = np.arange(len(self.samples))
        optimum = trial.trainer.refine(form, index, trial.optimum.theta, trial.centre, most_steps)
        return self._judge(form, trial.trainer, optimum, trial.centre)

    def converge(self, trial: _Trial) -> _Trial:
        """Follow a trial to its minimum."""
        return trial if trial.optimum.converged else self.change_form(trial, trial.form, MOST_STEPS)

    def _judge(self, form: Form, trainer: Trainer, optimum: Optimum, centre: Floats) -> _Trial:
        left_out = leave_blocks_out(trainer, form, optimum.theta, centre)
        return _Trial(form, trainer, optimum, centre, left_out, score(trainer, left_out))

    def finish(self, trial: _Trial, hamiltonian: VibronicHamiltonian) -> FittedBands:
        """Return the fitted Hamiltonian with its error bars."""
        samples, optimum = self.samples, trial.optimum
        normal = optimum.normal.copy()
        normal[np.diag_indices_from(normal)] += prior_weights(trial.trainer.model, trial.form)
        occupied, left_out = samples.n_occupied, trial.left_out
        gap = (left_out.energies[:, :, occupied] - left_out.energies[:, :, occupied - 1]).mean(axis=1)
        floor, scale = calibrate(gap - samples.gap.mean(axis=1), left_out.variance)
        return FittedBands(
            model=trial.trainer.model,
            theta=optimum.theta,
            form=trial.form,
            n_states=samples.energies.shape[2],
            n_occupied=occupied,
            timestep=samples.timestep,
            state_labels=hamiltonian.state_labels,
            offset=float(np.mean(samples.energies - left_out.energies)),
            factor=np.ascontiguousarray(cholesky(normal, lower=True)),
            floor=floor,
            scale=scale,
            coupling_bars=calibrate_couplings(samples.couplings, left_out.couplings),
            band_errors=band_errors(samples.energies.mean(axis=1), left_out.energies.mean(axis=1), occupied),
            gap_std=float(np.std(samples.gap)),
            limit=float(np.quantile(left_out.variance, INSIDE)),
            shortest=shortest_distances(
                self.trajectory, np.concatenate([samples.steps, samples.steps + 1]), self.basis
            ),
            cell=self.trajectory.cells().mean(axis=0),
            numbers=self.trajectory.numbers,
            scores=trial.scores,
            n_samples=len(samples),
            converged=optimum.converged,
            provenance=dict(hamiltonian.provenance),
        )

"""Samples seen by a model that did not learn from them: contiguous blocks of time left out one after the other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cholesky

from hopcast.core.chunks import chunk_slices, map_chunks
from hopcast.core.units import HBAR
from hopcast.tightbinding.fit import Trainer, make_loss, make_targets, prior_weights
from hopcast.tightbinding.fitted import HeldOutScores, posterior_variances
from hopcast.tightbinding.forecast import overlap_of
from hopcast.tightbinding.form import Form
from hopcast.tightbinding.gauss_newton import add_sums, minimise
from hopcast.tightbinding.motion import apply_turn
from hopcast.tightbinding.residuals import Loss, sample_residuals

Floats = NDArray[np.float64]

BLOCKS = 4
"""Blocks that are left out in turn."""

REFINEMENTS = 2
"""Gauss-Newton steps from the minimum of all samples to that of the rest."""


@dataclass(frozen=True, eq=False)
class BlockOut:
    """Forecasts of left-out samples.

    Attributes
    ----------
    energies
        Of the window [n_samples, 2, n_states], without an offset, eV.
    couplings
        hbar |d| of all pairs [n_samples, n_states, n_states], eV.
    variance
        Posterior variance of the mid-point's gap before scaling [n_samples], eV^2.
    loss
        Sum of squared residuals of each sample [n_samples].
    """

    energies: Floats
    couplings: Floats
    variance: Floats
    loss: Floats


def leave_blocks_out(
    trainer: Trainer, form: Form, theta: Floats, centre: Floats, *, n_blocks: int = BLOCKS
) -> BlockOut:
    """Return forecasts of each block by a model of the others, which starts from the minimum of all."""
    n = len(trainer.samples)
    index = np.arange(n)
    n_states = trainer.samples.energies.shape[2]
    energies, couplings = np.empty((n, 2, n_states)), np.empty((n, n_states, n_states))
    variance, loss = np.empty(n), np.empty(n)
    whole = make_loss(form, trainer.samples, trainer.lowest)
    blocks = np.array_split(index, min(n_blocks, n))
    # the first step of each needs what all others say at the minimum of all
    sums = [trainer.problem(form, block, centre, whole).normal_equations(theta) for block in blocks]
    for k, test in enumerate(blocks):
        rest = trainer.problem(form, np.setdiff1d(index, test), centre, whole)
        found = minimise(rest, theta, most_steps=REFINEMENTS, sums=add_sums(sums[:k] + sums[k + 1 :]))
        normal = found.normal.copy()
        normal[np.diag_indices_from(normal)] += prior_weights(trainer.model, form)
        factor = np.ascontiguousarray(cholesky(normal, lower=True))
        part = forecast_samples(trainer, found.theta, test, whole, factor)
        energies[test], couplings[test], variance[test], loss[test] = (
            part.energies,
            part.couplings,
            part.variance,
            part.loss,
        )
    return BlockOut(energies, couplings, variance, loss)


def forecast_samples(trainer: Trainer, theta: Floats, index: NDArray[np.intp], loss: Loss, factor: Floats) -> BlockOut:
    """Return what parameters say of some samples: energies of both frames, the coupling between, the error bar of the gap."""
    samples, model = trainer.samples, trainer.model
    n_states = samples.energies.shape[2]
    window = slice(trainer.lowest, trainer.lowest + n_states)
    edge = [samples.n_occupied - 1, samples.n_occupied]

    targets = make_targets(samples)

    def work(chunk: slice) -> list[tuple[Floats, Floats, float, float]]:
        found = []
        for sample in index[chunk]:
            step = trainer.geometries.parts[sample]
            before, after, middle = step[:3]
            levels, states = [], []
            metrics = [model.metric(theta, geometry) for geometry in (before, after)]
            for geometry, metric in zip((before, after), metrics, strict=True):
                level, state = model.solve(theta, geometry, metric)
                levels.append(level[window])
                states.append(state[:, window])
            turns = apply_turn(model, theta, middle.species, step.displacement, states[1])
            turn = overlap_of(states[0], states[1], metrics[0], metrics[1], turns)
            turn = turn * np.where(np.diag(turn) < 0.0, -1.0, 1.0)
            coupling = np.abs(turn - turn.T) * HBAR / (2.0 * samples.timestep)
            level, state = model.solve(theta, middle)
            at_edge = state[:, window][:, edge]
            slopes = model.element_sums(at_edge, at_edge, middle, level[window][edge])
            target = targets[sample]
            residuals, _ = sample_residuals(model, theta, step, target, loss, derivatives=False)
            found.append(
                (
                    np.array(levels),
                    coupling,
                    float(posterior_variances(factor, slopes[:, [1]] - slopes[:, [0]])[0]),
                    float(residuals @ residuals),
                )
            )
        return found

    parts = [one for chunk in map_chunks(work, chunk_slices(len(index), 8), workers=trainer.workers) for one in chunk]
    return BlockOut(
        np.array([one[0] for one in parts]),
        np.array([one[1] for one in parts]),
        np.array([one[2] for one in parts]),
        np.array([one[3] for one in parts]),
    )


def score(trainer: Trainer, found: BlockOut, *, n_blocks: int = BLOCKS) -> HeldOutScores:
    """Return how well left-out samples were forecast."""
    samples = trainer.samples
    low, high = samples.n_occupied - 1, samples.n_occupied
    gap = found.energies[:, :, high] - found.energies[:, :, low]
    known = np.isfinite(samples.coupling)
    middle, couplings = samples.gap.mean(axis=1), found.couplings[:, low, high]
    # V^2/E^4 with V = hbar d E
    rate, forecast_rate = samples.coupling**2 / middle**2, couplings**2 / gap.mean(axis=1) ** 2

    def from_middle(energies: Floats) -> Floats:
        return energies - 0.5 * (energies[:, :, [low]] + energies[:, :, [high]])

    inner = slice(1 if low > 2 else 0, -1 if samples.energies.shape[2] - high > 3 else None)
    bands = np.abs(from_middle(found.energies) - from_middle(samples.energies))[:, :, inner]
    return HeldOutScores(
        gap_r2=r2_score(samples.gap.ravel(), gap.ravel()),
        coupling_r2=r2_score(samples.coupling[known], couplings[known]),
        gap_error=float(np.sqrt(np.mean((gap - samples.gap) ** 2))),
        coupling_error=_rms(couplings[known] - samples.coupling[known]),
        band_error=float(bands.mean()),
        rate_correlation=_correlation(rate[known], forecast_rate[known]),
        rate_ratio=float(forecast_rate[known].mean() / rate[known].mean()) if np.any(rate[known]) else float("nan"),
        loss=float(found.loss.mean()),
        n_blocks=n_blocks,
    )


def r2_score(y: Floats, forecast: Floats) -> float:
    """Return 1 - residual over total sum of squares; NaN where y does not vary."""
    total = float(np.sum((y - y.mean()) ** 2)) if len(y) else 0.0
    return 1.0 - float(np.sum((y - forecast) ** 2)) / total if total > 0 else float("nan")


def _rms(values: Floats) -> float:
    return float(np.sqrt(np.mean(values**2))) if len(values) else float("nan")


def _correlation(one: Floats, two: Floats) -> float:
    if len(one) < 3 or np.std(one) == 0 or np.std(two) == 0:
        return float("nan")
    return float(np.corrcoef(one, two)[0, 1])

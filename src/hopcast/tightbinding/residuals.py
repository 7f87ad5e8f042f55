r"""Residuals of a sample and their exact derivatives by the parameters.

Energies: model at the mid-point minus the mean of the data at both frames, for the window's bands, less one free shift (absolute levels of
a periodic calculation mean nothing; over a time step energies bend by less than a meV, and one eigenproblem serves all).
Couplings: :math:`|h_{ij}|` minus the data's :math:`\hbar|d_{ij}|(E_j - E_i)`, with
:math:`h_{ij} = \hbar\langle i|H(t+\Delta t) - H(t)|j\rangle/\Delta t` in the eigenvectors of the mid-point; no 1/(E_j - E_i), no signs. Their derivative
has three parts, the matrix element itself and, by first-order perturbation theory, the two states:

.. math:: \partial_q h_{ij} = \langle i|\partial_q\dot H|j\rangle + \langle i|B_q|x\rangle + \langle y|B_q|j\rangle, \qquad
          x = \sum_{k\ne i} |k\rangle \frac{\langle k|\dot H|j\rangle}{E_i - E_k}

(y likewise; orbitals that move add :math:`\hbar (E_j - E_i)\,c_i^T A c_j` to h, `hopcast.tightbinding.motion`; in a basis that is not orthogonal :math:`H - \bar E S` takes the place of H in h and B_q - E S_q that of B_q, and the norms and the levels
in h change too); near a crossing 1/x becomes x/(x^2 + w^2). A model crosses a frame earlier or later than the data: where a state is about to
exchange its character with a neighbour whose coupling is large, the residual counts less (`hopcast.tightbinding.samples.mixing`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hopcast.core.units import HBAR
from hopcast.tightbinding.geometry import FrameGeometry
from hopcast.tightbinding.model import BandModel
from hopcast.tightbinding.motion import apply_turn, turn_sums
from hopcast.tightbinding.samples import StepGeometry

Floats = NDArray[np.float64]

CROSSING = 0.005
"""eV; closer levels than this do not mix fully in the derivative of a coupling."""


LEAST_METRIC = 0.1
"""Smallest eigenvalue of S that a fit may come to."""


@dataclass(frozen=True, eq=False)
class Loss:
    """What counts how much.

    Attributes
    ----------
    lowest
        Band of the model that is the lowest of the window.
    band_weights
        Of the residuals of the window's energies [n_states], 1/eV; 0 leaves a band out.
    pairs
        States of the window whose couplings count [n_pairs, 2].
    pair_weights
        Of their residuals [n_pairs], 1/eV^2.
    timestep
        fs.
    """

    lowest: int
    band_weights: Floats
    pairs: NDArray[np.int64]
    pair_weights: Floats
    timestep: float

    def without_couplings(self) -> Loss:
        """Return the loss of the energies alone."""
        return Loss(self.lowest, self.band_weights, self.pairs[:0], self.pair_weights[:0], self.timestep)


@dataclass(frozen=True, eq=False)
class Target:
    """Known numbers of one sample.

    Attributes
    ----------
    energies
        [2, n_states], eV.
    couplings
        hbar |d| [n_states, n_states], eV.
    trust
        Factors on the weights of couplings, at most 1 [n_states, n_states].
    """

    energies: Floats
    couplings: Floats
    trust: Floats


def sample_residuals(
    model: BandModel, theta: Floats, geometries: StepGeometry, target: Target, loss: Loss, *, derivatives: bool
) -> tuple[Floats, Floats]:
    """Return the weighted residuals of a sample [n], and their derivatives [n_parameters, n] (empty where not asked for).

    Raises
    ------
    LinAlgError
        If S is not positive definite, or with derivatives comes near to that: a fit takes a smaller step.
    """
    metric = model.metric(theta, geometries.middle)
    if derivatives and metric is not None and not _is_metric(metric):
        raise np.linalg.LinAlgError("S comes too near to a singular matrix.")
    levels, states = model.solve(theta, geometries[2], metric)
    bands = np.flatnonzero(loss.band_weights)
    weight = loss.band_weights[bands]
    square = weight**2 / np.sum(weight**2)
    middle = target.energies.mean(axis=0)
    error = levels[loss.lowest + bands] - middle[bands]
    residuals, rows = [weight * (error - square @ error)], []
    if derivatives:
        chosen = np.ascontiguousarray(states[:, loss.lowest + bands])
        slopes = model.element_sums(chosen, chosen, geometries[2], levels[loss.lowest + bands])
        rows.append((slopes - (slopes @ square)[:, None]) * weight)
    if len(loss.pairs) and np.isfinite(target.couplings).any():
        found = _couplings(model, theta, geometries, levels, states, target, loss, derivatives)
        residuals.append(found[0])
        if derivatives:
            rows.append(found[1])
    return np.concatenate(residuals), np.concatenate(rows, axis=1) if rows else np.zeros((0, 0))


def has_metric(model: BandModel, theta: Floats, geometry: FrameGeometry) -> bool:
    """Whether S of a frame has no eigenvalue below `LEAST_METRIC`, so that there is room for frames that are not in a fit."""
    metric = model.metric(theta, geometry)
    return metric is None or _is_metric(metric)


def _is_metric(metric: Floats) -> bool:
    try:
        np.linalg.cholesky(metric - LEAST_METRIC * np.eye(len(metric)))
    except np.linalg.LinAlgError:
        return False
    return True


def _couplings(
    model: BandModel,
    theta: Floats,
    geometries: StepGeometry,
    levels: Floats,
    states: Floats,
    target: Target,
    loss: Loss,
    derivatives: bool,
) -> tuple[Floats, Floats]:
    factor = HBAR / loss.timestep
    before, after = (model.hamiltonian(theta, geometry) for geometry in geometries[:2])
    change = (after - before) * factor
    i, j = loss.lowest + loss.pairs[:, 0], loss.lowest + loss.pairs[:, 1]
    one, two = np.ascontiguousarray(states[:, i]), np.ascontiguousarray(states[:, j])
    between = 0.5 * (levels[i] + levels[j])
    moved, moved_back = change @ two, change @ one
    metrics = [model.metric(theta, geometry) for geometry in geometries[:2]]
    overlap_rate = np.zeros(len(i))
    if metrics[0] is not None and metrics[1] is not None:
        change_of_metric = (metrics[1] - metrics[0]) * factor
        overlap_rate = np.einsum("ak,ak->k", one, change_of_metric @ two)
        moved -= between * (change_of_metric @ two)
        moved_back -= between * (change_of_metric @ one)
    species, displacement = geometries.middle.species, geometries.displacement
    turns = apply_turn(model, theta, species, displacement, np.concatenate([two, one], axis=1))
    turned, apart = np.zeros(len(i)), levels[j] - levels[i]
    if turns is not None:
        turns *= factor
        turned = np.einsum("ak,ak->k", one, turns[:, : len(i)])
        moved += apart * turns[:, : len(i)]
        moved_back -= apart * turns[:, len(i) :]
    h = np.einsum("ak,ak->k", one, moved)
    middle = target.energies.mean(axis=0)
    wanted = target.couplings[loss.pairs[:, 0], loss.pairs[:, 1]] * (
        middle[loss.pairs[:, 1]] - middle[loss.pairs[:, 0]]
    )
    known = np.isfinite(wanted)
    weight = np.where(known, loss.pair_weights * target.trust[loss.pairs[:, 0], loss.pairs[:, 1]], 0.0)
    error = weight * (np.abs(h) - np.where(known, wanted, 0.0))
    if not derivatives:
        return error, np.zeros((0, 0))
    slopes = factor * (
        model.element_sums(one, two, geometries[1], between) - model.element_sums(one, two, geometries[0], between)
    )
    responses = [
        states @ (_inverse_gaps(levels, i) * (states.T @ moved)),
        states @ (_inverse_gaps(levels, j) * (states.T @ moved_back)),
    ]
    # the levels of both states move too, and their norms
    edges, place = np.unique(np.concatenate([i, j]), return_inverse=True)
    if model.overlap is None and turns is None:
        edges = edges[:0]
    mixed = model.element_sums(
        np.concatenate([one, two, states[:, edges]], axis=1),
        np.concatenate([*responses, states[:, edges]], axis=1),
        geometries[2],
        levels[np.concatenate([i, j, edges])],
    )
    n = len(i)
    slopes += mixed[:, :n] + mixed[:, n : 2 * n]
    if len(edges):
        of_levels = mixed[:, 2 * n :][:, place]
        of_one, of_two = of_levels[:, :n], of_levels[:, n:]
        slopes += turned * (of_two - of_one) - 0.5 * overlap_rate * (of_one + of_two)
        # states stay normalised
        of_norms = model.metric_sums(of_levels)
        slopes[model.n_own :] -= 0.5 * h * (of_norms[:, :n] + of_norms[:, n:])
    if turns is not None:
        slopes += factor * apart * turn_sums(model, one, two, species, displacement)
    return error, slopes * (weight * np.where(h < 0.0, -1.0, 1.0))


def _inverse_gaps(levels: Floats, states: NDArray[np.int64]) -> Floats:
    """Return 1 / (E_i - E_k), smooth near crossings and 0 for k = i, [n_levels, n_states]."""
    gaps = levels[states][None, :] - levels[:, None]
    inverse = gaps / (gaps**2 + CROSSING**2)
    return np.asarray(inverse)

"""Channels that never mix along one trajectory: two collinear spins, or k-points. Dynamics in each, averages over all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hopcast.core.errors import InputError
from hopcast.core.estimates import Estimate
from hopcast.core.hamiltonian import VibronicHamiltonian
from hopcast.dynamics.initial import time_weights
from hopcast.dynamics.rates import bootstrap_rate
from hopcast.dynamics.result import DynamicsResult
from hopcast.dynamics.run import run_dynamics


@dataclass(frozen=True, eq=False)
class Channels:
    """Dynamics of several channels.

    Attributes
    ----------
    labels
        One a channel.
    weights
        Adding up to one [n_channels].
    results
        Of each channel.
    rate
        Weighted mean of the local rates, 1/ns: the nuclei are the same, so that the same stretches of time are drawn for all.
    """

    labels: tuple[str, ...]
    weights: NDArray[np.float64]
    results: tuple[DynamicsResult, ...]
    rate: Estimate

    @property
    def times(self) -> NDArray[np.float64]:
        """Output times [n_times], fs."""
        return self.results[0].times

    @property
    def populations(self) -> NDArray[np.float64]:
        """Weighted mean of the populations, state by state from the lowest one [n_times, n_states]."""
        each = np.array([result.populations for result in self.results])
        return np.asarray(np.tensordot(self.weights, each, axes=1), dtype=np.float64)

    def __str__(self) -> str:
        lines = [
            f"{label} (weight {weight:.3g}): lifetime {result.lifetime}"
            for label, weight, result in zip(self.labels, self.weights, self.results, strict=True)
        ]
        return "\n".join([*lines, f"mean rate of all: {self.rate}"])


def run_channels(channels: Sequence[VibronicHamiltonian], weights: ArrayLike | None = None, **options: Any) -> Channels:
    r"""Run dynamics in each of several channels and average: :math:`P(t) = \sum_kw_kP_k(t)`, :math:`k(t) = \sum_kw_kk_k(t)`.

    Vertical transitions only: momentum and collinear spin are conserved, so that a carrier stays in its channel.

    Parameters
    ----------
    channels
        Hamiltonians along one trajectory, e.g. of both spins, or of the k-points of a mesh.
    weights
        Of the channels, e.g. the multiplicities of k-points; None takes those that their files gave (``provenance["k-point weight"]``),
        and weighs channels without alike.
    options
        Of `run_dynamics`, for all.

    Raises
    ------
    InputError
        If there is no channel, their frames, time steps or numbers of states differ, or weights do not fit.
    """
    check_channels(channels, weights)
    results = tuple(run_dynamics(ham, **options) for ham in channels)
    return average_channels(channels, results, weights, random_state=int(options.get("random_state", 0)))


def average_channels(
    channels: Sequence[VibronicHamiltonian],
    results: Sequence[DynamicsResult],
    weights: ArrayLike | None = None,
    *,
    random_state: int = 0,
) -> Channels:
    """Return the averages of dynamics that were run in each channel, see `run_channels`."""
    labels, shares = check_channels(channels, weights)
    local = np.tensordot(shares, np.array([result.local_rate for result in results]), axes=1)
    rate = bootstrap_rate(local, channels[0].timestep, random_state=random_state)
    return Channels(labels, shares, tuple(results), rate)


def check_channels(
    channels: Sequence[VibronicHamiltonian], weights: ArrayLike | None
) -> tuple[tuple[str, ...], NDArray[np.float64]]:
    """Return labels and weights of channels that belong together, see `run_channels`."""
    if not channels:
        raise InputError("Argument `channels` must hold at least one Hamiltonian, but is empty.")
    labels = tuple(ham.provenance.get("channel", f"channel {number}") for number, ham in enumerate(channels))
    for label, ham in zip(labels, channels, strict=True):
        for what, own, first in (
            ("frames", ham.n_frames, channels[0].n_frames),
            ("fs from frame to frame", ham.timestep, channels[0].timestep),
            ("states (degenerate ones count as one)", ham.n_blocks, channels[0].n_blocks),
        ):
            if own != first:
                raise InputError(
                    f"Channels must lie along one trajectory with the same states, but `{labels[0]}` has {first:g} {what} and `{label}` has "
                    f"{own:g}. Cut or select both alike."
                )
    if weights is not None and np.shape(weights) != (len(channels),):
        raise InputError(
            f"Argument `weights` must hold a number for each of the {len(channels)} channels, but is {weights!r}."
        )
    return labels, time_weights(own_weights(channels) if weights is None else weights, len(channels))


def own_weights(channels: Sequence[VibronicHamiltonian]) -> list[float] | None:
    """Return the weights of the k-points that the files of all channels gave; None where one did not."""
    told = [ham.provenance.get("k-point weight") for ham in channels]
    return None if None in told else [float(one) for one in told if one is not None]

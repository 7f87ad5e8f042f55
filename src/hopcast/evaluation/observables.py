"""A forecast Hamiltonian held against a known one: the gap, the magnitude of the coupling, and the local rate that goes with both."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hopcast.core.errors import InputError
from hopcast.core.hamiltonian import VibronicHamiltonian
from hopcast.core.matching import in_one_count
from hopcast.core.showing import Shown
from hopcast.evaluation.scores import Score, score

LEAST = 3
"""Frames, and mid-points, that a comparison needs."""


@dataclass(frozen=True, repr=False)
class HamiltonianScores(Shown):
    r"""How a forecast of two states compares with the truth, on what both know.

    Attributes
    ----------
    states
        Labels of the pair in the true Hamiltonian.
    gap
        Score of the gap, eV.
    gap_bias
        Mean of forecast minus truth, eV.
    coupling
        Score of :math:`|\hbar d|`, eV: signs are a gauge.
    coupling_ratio
        Root mean square of the forecast over that of the truth.
    rate_correlation
        Of the local rate :math:`V^2/E^4` with :math:`V = \hbar d\,E`, that is of :math:`(\hbar d)^2/E^2`, at the mid-points.
    rate_ratio
        Mean local rate of the forecast over that of the truth.
    """

    states: tuple[str, str]
    gap: Score
    gap_bias: float
    coupling: Score
    coupling_ratio: float
    rate_correlation: float
    rate_ratio: float

    def headline(self) -> str:
        """Return the scores of gap and coupling."""
        return f"R2 of the gap {self.gap.r2:.4f}, of the coupling {self.coupling.r2:.4f}, mean local rate {self.rate_ratio:.3f} of the true one"

    def __str__(self) -> str:
        return "\n".join(
            [
                f"Forecast against truth, {self.states[0]} and {self.states[1]}",
                f"  gap         {self.gap}, bias {self.gap_bias:+.3g} eV",
                f"  coupling    {self.coupling}, rms {self.coupling_ratio:.3f} of the true one",
                f"  local rate  correlation {self.rate_correlation:.3f}, mean {self.rate_ratio:.3f} of the true one",
            ]
        )


def score_hamiltonian(
    forecast: VibronicHamiltonian,
    truth: VibronicHamiltonian,
    *,
    pair: tuple[int, int] | None = None,
    forecast_pair: tuple[int, int] | None = None,
) -> HamiltonianScores:
    """Hold a forecast against a Hamiltonian that is known on some or all of the same frames.

    Parameters
    ----------
    forecast, truth
        Of the same frames: matched by the numbers of their frames where both carry them, else there must be as many.
    pair, forecast_pair
        Indices of the two states in each; None: VBM and CBM.

    Raises
    ------
    InputError
        If the time steps or frames differ, or fewer than three known frames or couplings are in common.
    """
    if not math.isclose(forecast.timestep, truth.timestep, rel_tol=1e-6):
        raise InputError(
            f"Forecast and truth must have the same time step, but have {forecast.timestep:g} fs and {truth.timestep:g} fs. "
            "Thin out the finer one."
        )
    ours, theirs = common_frames(forecast, truth)
    one = forecast.frontier() if forecast_pair is None else forecast.select(list(forecast_pair))
    other = truth.frontier() if pair is None else truth.select(list(pair))
    if one.is_degenerate or other.is_degenerate:
        one, other = one.merged(), other.merged()
    both = (np.diff(ours) == 1) & (np.diff(theirs) == 1)
    sides = ((one, ours, ours[:-1][both]), (other, theirs, theirs[:-1][both]))
    nacs = [np.abs(states.coupling()[steps]) for states, _, steps in sides]
    means = [np.diff(states.midpoint_energies, axis=1)[steps, 0] for states, _, steps in sides]
    on_frames = one.energy_grid == other.energy_grid == "frame"
    gaps = [states.gap()[frames] for states, frames, _ in sides] if on_frames else means
    known = np.isfinite(gaps[0]) & np.isfinite(gaps[1])
    shared = np.isfinite(nacs[0]) & np.isfinite(nacs[1]) & np.isfinite(means[0]) & np.isfinite(means[1])
    for what, mask in (("frames with energies", known), ("mid-points with couplings", shared)):
        if mask.sum() < LEAST:
            raise InputError(
                f"Forecast and truth must share at least {LEAST} {what}, but share {int(mask.sum())}. Look whether they are of the same "
                "trajectory."
            )
    y, f = nacs[1][shared], nacs[0][shared]
    rates = [(nac[shared] / mean[shared]) ** 2 for nac, mean in zip(nacs, means, strict=True)]
    return HamiltonianScores(
        states=(other.state_labels[0], other.state_labels[1]),
        gap=score(gaps[1][known], gaps[0][known]),
        gap_bias=float(np.mean(gaps[0][known] - gaps[1][known])),
        coupling=score(y, f),
        coupling_ratio=float(np.sqrt(np.mean(f**2) / np.mean(y**2))),
        rate_correlation=float(np.corrcoef(rates[0], rates[1])[0, 1]),
        rate_ratio=float(rates[0].mean() / rates[1].mean()),
    )


def common_frames(one: VibronicHamiltonian, other: VibronicHamiltonian) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the frames of each that are the same, in order.

    Raises
    ------
    InputError
        If none are, or nothing says which.
    """
    if one.frame_numbers is None or other.frame_numbers is None:
        if one.n_frames != other.n_frames:
            raise InputError(
                f"Forecast and truth must hold the same frames, but hold {one.n_frames} and {other.n_frames}, and nothing says which belong "
                "together. Cut the longer one."
            )
        frames = np.arange(one.n_frames)
        return frames, frames
    _, ours, theirs = np.intersect1d(*in_one_count(one.frame_numbers, other.frame_numbers), return_indices=True)
    if not ours.size:
        raise InputError(
            f"Forecast and truth must share frames, but one is numbered {one.frame_numbers[0]} to {one.frame_numbers[-1]} and the other "
            f"{other.frame_numbers[0]} to {other.frame_numbers[-1]}."
        )
    return ours, theirs

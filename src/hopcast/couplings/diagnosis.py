"""What the raw overlaps tell about a Hamiltonian: flipped signs, crossings, bands that leave the window."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hopcast.core.errors import InputError
from hopcast.core.hamiltonian import VibronicHamiltonian
from hopcast.couplings.derivative import orthonormalised, rotation_angles
from hopcast.couplings.phases import accumulate_phases, apply_phases, step_phases, weak_steps
from hopcast.couplings.tracking import match_states

LEAK_THRESHOLD = 0.9
"""A state whose row of S has a smaller norm somewhere mixes with states outside the window."""


@dataclass(frozen=True)
class Crossing:
    """Two states that exchange their characters within one step."""

    step: int
    states: tuple[str, ...]
    overlap: float
    """The least |S_ii| of the states involved."""


@dataclass(frozen=True)
class OverlapDiagnosis:
    """What was found in the overlaps, and so what `derive_couplings` had to correct.

    Attributes
    ----------
    n_steps
        Number of overlap matrices looked at.
    flipped
        Share of negative raw diagonals S_ii (real overlaps; 0.5 is what random signs give).
    flips
        Number of steps at which at least one state changes its sign (real) or phase (complex).
    crossings
        Steps at which states exchange their characters.
    weak
        Number of steps at which some state keeps less than half of itself.
    doubtful
        Steps whose rotation is not determined (an eigenvalue of S within 1e-3 of -1).
    leaking
        States that leave the window, with the least norm of their row of S.
    autocorrelation_raw, autocorrelation
        Lag-1 autocorrelation of the frontier coupling (S - S^T)/2 as it comes, and after phase correction;
        None where `n_occupied` is unknown or no steps are neighbours. A low value is the alarm for sign flips.
    """

    n_steps: int
    flipped: float
    flips: int
    crossings: tuple[Crossing, ...]
    weak: int
    doubtful: tuple[int, ...]
    leaking: dict[str, float]
    autocorrelation_raw: float | None
    autocorrelation: float | None


def diagnose_overlaps(hamiltonian: VibronicHamiltonian) -> OverlapDiagnosis:
    """Look at the raw overlaps of a Hamiltonian.

    Raises
    ------
    InputError
        If the Hamiltonian has no overlaps, or none is known.
    """
    raw = hamiltonian.overlaps
    if raw is None:
        raise InputError("A diagnosis needs the overlaps, but this Hamiltonian has only couplings.")
    steps = np.flatnonzero(np.isfinite(raw).all(axis=(1, 2)))
    if steps.size == 0:
        raise InputError("A diagnosis needs the overlaps of at least one step, but all are unknown.")
    overlaps = raw[steps]
    labels = hamiltonian.state_labels
    diagonal = np.einsum("tii->ti", overlaps)
    phases = step_phases(overlaps)
    corrected = apply_phases(overlaps, accumulate_phases(phases))
    angles = rotation_angles(orthonormalised(corrected))
    crossings = []
    for step, partner in match_states(overlaps).items():
        moved = np.flatnonzero(partner != np.arange(len(partner)))
        crossings.append(
            Crossing(
                int(steps[step]),
                tuple(labels[state] for state in moved),
                float(np.abs(diagonal[step, moved]).min()),
            )
        )
    norms = np.sqrt((np.abs(overlaps) ** 2).sum(axis=2)).min(axis=0)
    before = after = None
    if hamiltonian.n_occupied is not None and 0 < hamiltonian.n_occupied < hamiltonian.n_states:
        pair = (hamiltonian.n_occupied - 1, hamiltonian.n_occupied)
        before, after = (
            _lag_one(steps, s[:, pair[0], pair[1]] - s[:, pair[1], pair[0]].conj())
            for s in (overlaps, corrected)
        )
    return OverlapDiagnosis(
        n_steps=len(overlaps),
        flipped=float((diagonal.real < 0).mean()),
        flips=int((np.abs(phases - 1) > 1e-8).any(axis=1).sum()),
        crossings=tuple(crossings),
        weak=len(weak_steps(overlaps)),
        doubtful=tuple(
            int(step) for step in np.flatnonzero(np.abs(np.abs(angles) - np.pi).min(axis=1) < 1e-3)
        ),
        leaking={labels[state]: float(norms[state]) for state in np.flatnonzero(norms < LEAK_THRESHOLD)},
        autocorrelation_raw=before,
        autocorrelation=after,
    )


def _lag_one(steps: NDArray[np.int64], series: NDArray[Any]) -> float | None:
    """Autocorrelation at lag one step about zero (a flipping sign has no meaningful mean), of neighbouring steps."""
    neighbours = np.diff(steps) == 1
    now, later = series[:-1][neighbours], series[1:][neighbours]
    # the mean power of both sides: with that of all steps a growing series would exceed 1
    power = 0.5 * float((np.abs(now) ** 2 + np.abs(later) ** 2).sum())
    if len(now) < 2 or power == 0:
        return None
    return float((later * now.conj()).real.sum() / power)

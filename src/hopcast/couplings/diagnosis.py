"""What the raw overlaps tell about a Hamiltonian: flipped signs, crossings, bands that leave the window."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hopcast.core.blocks import block_coupling
from hopcast.core.errors import InputError
from hopcast.core.hamiltonian import VibronicHamiltonian
from hopcast.core.showing import Shown
from hopcast.couplings.derivative import orthonormalised, rotation_angles
from hopcast.couplings.phases import WEAK_DIAGONAL, block_weights, consistent_gauge
from hopcast.couplings.tracking import match_weights

LEAK_THRESHOLD = 0.9
"""A state whose row of S has a smaller norm somewhere, or over a few steps together, mixes with states outside the window."""

LEAK_STEPS = 5
"""Consecutive steps over which row norms are multiplied: a band may leave the window slowly."""


@dataclass(frozen=True)
class Crossing:
    """Two states that exchange their characters within one step."""

    step: int
    states: tuple[str, ...]
    overlap: float
    """The least |S_ii| of the states involved."""


@dataclass(frozen=True, repr=False)
class OverlapDiagnosis(Shown):
    """What was found in the overlaps, and so what `derive_couplings` had to correct.

    Degenerate states (Kramers pairs) are looked at as blocks: what a rotation among them changes is no finding.

    Attributes
    ----------
    n_steps
        Number of overlap matrices looked at.
    flipped
        Share of negative raw diagonals S_ii (real overlaps; 0.5 is what random signs give).
    flips
        Number of steps at which at least one state changes its sign (real) or phase (complex), or a block its basis.
    crossings
        Steps at which states exchange their characters.
    weak
        Number of steps at which some state keeps less than half of itself.
    doubtful
        Steps whose rotation is not determined (an eigenvalue of S within 1e-3 of -1).
    leaking
        States that leave the window, with the least norm of their row of S, over up to `LEAK_STEPS` steps together.
    autocorrelation_raw, autocorrelation
        Lag-1 autocorrelation of the frontier coupling (S - S^T)/2 as it comes, and after phase correction;
        None where `n_occupied` is unknown or no steps are neighbours. A low value is the alarm for sign flips. Of blocks: of
        the signed norm, and before correction of the norm.
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

    def headline(self) -> str:
        """Return signs, crossings and states that leave the window."""
        return f"{self.n_steps} steps, signs flip at {self.flips}, {len(self.crossings)} crossings, {len(self.leaking)} states leave the window"

    def __str__(self) -> str:
        lines = [
            f"Raw overlaps of {self.n_steps} steps",
            f"  signs        flip at {self.flips} steps; {100 * self.flipped:.0f} % of diagonals are negative",
            f"  crossings    {len(self.crossings)}; {self.weak} steps at which a state keeps less than half of itself",
            f"  doubtful     {len(self.doubtful)} steps whose rotation is not determined",
            f"  window       {', '.join(f'{name} leaves it (norm {norm:.2f})' for name, norm in self.leaking.items()) or 'no state leaves it'}",
        ]
        if self.autocorrelation is not None and self.autocorrelation_raw is not None:
            lines.append(
                f"  coupling     lag-1 autocorrelation {self.autocorrelation_raw:.2f} as it comes, {self.autocorrelation:.2f} after correction"
            )
        return "\n".join(lines)


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
    labels, blocks = hamiltonian.block_labels, hamiltonian.blocks
    gauge = consistent_gauge(overlaps, blocks)
    angles = rotation_angles(orthonormalised(gauge.overlaps))
    weights = block_weights(overlaps, blocks)
    kept = np.einsum("taa->ta", weights)
    crossings = []
    for step, partner in match_weights(weights).items():
        moved = np.flatnonzero(partner != np.arange(len(partner)))
        crossings.append(
            Crossing(int(steps[step]), tuple(labels[block] for block in moved), float(np.sqrt(kept[step, moved].min())))
        )
    norms = kept_norms(np.sqrt(weights.sum(axis=2)), steps)
    before = after = None
    occupied = hamiltonian.n_occupied
    if occupied is not None and 0 < occupied < hamiltonian.n_states:
        edge = next(number for number, block in enumerate(blocks) if block.start == occupied)
        before, after = (
            _lag_one(steps, _edge_coupling(s, blocks[edge - 1], blocks[edge])) for s in (overlaps, gauge.overlaps)
        )
    return OverlapDiagnosis(
        n_steps=len(overlaps),
        flipped=float((np.einsum("tii->ti", overlaps).real < 0).mean()),
        flips=int(gauge.turned.any(axis=1).sum()),
        crossings=tuple(crossings),
        weak=int((kept < WEAK_DIAGONAL).any(axis=1).sum()),
        doubtful=tuple(int(step) for step in np.flatnonzero(np.abs(np.abs(angles) - np.pi).min(axis=1) < 1e-3)),
        leaking={labels[block]: float(norms[block]) for block in np.flatnonzero(norms < LEAK_THRESHOLD)},
        autocorrelation_raw=before,
        autocorrelation=after,
    )


def kept_norms(norms: NDArray[np.float64], steps: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
    """Return the least share of each state that the window keeps over one to `LEAK_STEPS` consecutive steps.

    Parameters
    ----------
    norms
        Row norms of S [n_steps, n_states].
    steps
        Which step each row is [n_steps]; only neighbouring ones follow each other.
    """
    product, least = norms, norms.min(axis=0)
    for span in range(1, min(LEAK_STEPS, len(norms))):
        product = product[:-1] * norms[span:]
        together = steps[span:] - steps[:-span] == span
        if together.any():
            least = np.minimum(least, product[together].min(axis=0))
    return np.asarray(least)


def _edge_coupling(overlaps: NDArray[Any], low: slice, high: slice) -> NDArray[Any]:
    difference = overlaps[:, low, high] - overlaps[:, high, low].conj().swapaxes(1, 2)
    return difference[:, 0, 0] if difference.shape[1:] == (1, 1) else block_coupling(difference)


def _lag_one(steps: NDArray[np.int64], series: NDArray[Any]) -> float | None:
    """Autocorrelation at lag one step about zero (a flipping sign has no meaningful mean), of neighbouring steps."""
    neighbours = np.diff(steps) == 1
    now, later = series[:-1][neighbours], series[1:][neighbours]
    # the mean power of both sides: with that of all steps a growing series would exceed 1
    power = 0.5 * float((np.abs(now) ** 2 + np.abs(later) ** 2).sum())
    if len(now) < 2 or power == 0:
        return None
    return float((later * now.conj()).real.sum() / power)

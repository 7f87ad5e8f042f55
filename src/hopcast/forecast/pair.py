r"""The physics of a pair of states, once: what is learnt of gap and coupling, from what, and back.

A gap is learnt as it is. A coupling :math:`\hbar d = \hbar\langle i|\dot j\rangle` goes as 1/gap where two states come near, so
:math:`|\hbar d|\,E/\langle E\rangle` is learnt at mid-points, from the mean of the features of both frames and their rate of
change (it is linear in velocities). The published protocol learns :math:`|\hbar d|` itself from the frame before the mid-point.
Signs of couplings of separate steps are unrelated, so the modulus is learnt.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from hopcast.core.hamiltonian import EnergyGrid, VibronicHamiltonian

Array = NDArray[np.float64]

TARGETS: Final = ("gap", "nac")


@dataclass(frozen=True)
class PairPhysics:
    """What is learnt of two states.

    Attributes
    ----------
    mean_gap
        By which a coupling times its gap is divided, eV.
    energy_grid
        Where gaps live.
    published
        Whether the modulus itself is learnt, from the features of one frame.
    """

    mean_gap: float
    energy_grid: EnergyGrid = "frame"
    published: bool = False

    @classmethod
    def of(cls, pair: VibronicHamiltonian, steps: NDArray[np.intp], *, published: bool = False) -> Self:
        """Return that of two states which are known at some steps."""
        return cls(float(midpoint_gap(pair)[steps].mean()), pair.energy_grid, published)

    def middle(self, gap: Array) -> Array:
        """Return gaps [..., n] at mid-points."""
        return gap if self.energy_grid == "midpoint" else 0.5 * (gap[..., 1:] + gap[..., :-1])

    def learnt(self, coupling: Array, middle: Array) -> Array:
        """Return what is learnt of moduli of couplings and gaps at the same mid-points."""
        return coupling if self.published else coupling * middle / self.mean_gap

    def coupling(self, learnt: Array, middle: Array) -> Array:
        """Return moduli of couplings from what was learnt of them and gaps at the same mid-points."""
        return learnt if self.published else learnt * self.mean_gap / middle

    def columns(self, target: str, now: Array, later: Array, timestep: float) -> Array:
        """Return what a learner of a target sees of pairs of neighbouring frames, at their mid-points."""
        return now if self.published and target == "nac" else target_columns(target, now, later, timestep)


def midpoint_gap(pair: VibronicHamiltonian) -> Array:
    """Return the gap of two states at mid-points [n_steps], eV; NaN where it is unknown."""
    return pair.midpoint_energies[:, 1] - pair.midpoint_energies[:, 0]


def known_steps(pair: VibronicHamiltonian) -> NDArray[np.intp]:
    """Return the steps whose coupling and both energies are known."""
    return np.flatnonzero(pair.nac_known & np.isfinite(midpoint_gap(pair)))


def target_columns(target: str, now: Array, later: Array, timestep: float) -> Array:
    """Return mean features of pairs of frames and, for a coupling, their rates of change.

    Parameters
    ----------
    target
        ``"gap"``, or ``"nac"``: couplings see the rate of change too.
    now, later
        Columns of the two frames, as `Representation.of_frames` gives them.
    timestep
        Between the frames, fs.

    Returns
    -------
    numpy.ndarray
        [n_pairs, n_columns]; rates follow the functions of each atom.
    """
    parts = [0.5 * (now + later)]
    if target == "nac":
        parts.append((later - now) / timestep)
    joined = np.concatenate(parts, axis=-1)
    return joined.reshape(len(now), math.prod(joined.shape[1:]))


def pair_hamiltonian(
    gap: Array,
    coupling: Array,
    timestep: float,
    state_labels: tuple[str, ...],
    energy_grid: EnergyGrid = "frame",
    provenance: Mapping[str, str] | None = None,
) -> VibronicHamiltonian:
    """Return the Hamiltonian of two states: energies 0 and the gap, the coupling's modulus between them."""
    nac = np.zeros((len(coupling), 2, 2))
    nac[:, 0, 1], nac[:, 1, 0] = coupling, -coupling
    return VibronicHamiltonian(
        energies=np.stack([np.zeros_like(gap), gap], axis=1),
        nac=nac,
        timestep=timestep,
        n_occupied=1,
        state_labels=state_labels,
        energy_grid=energy_grid,
        provenance=provenance or {},
    )

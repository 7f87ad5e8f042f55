"""The computed pairs of a sparse Hamiltonian, and what stands in for a dense series where only they are known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hopcast.core.errors import InputError
from hopcast.core.hamiltonian import VibronicHamiltonian
from hopcast.core.units import HBAR
from hopcast.dynamics.dephasing import CONVENTIONS
from hopcast.information import correlation_time
from hopcast.selection.strategies import FEWEST_PAIRS

FRAMES_OF_MEMORY = 4000
"""Frames from which the correlation time of the features is estimated, spread over the trajectory."""

STATIC = 10.0
"""A gap that keeps its value for this many dephasing times dephases as a static one does."""


@dataclass(frozen=True, eq=False)
class Samples:
    """Where both gap and coupling of the pair of states are known.

    Attributes
    ----------
    steps
        Numbers of the mid-points, ascending [n]; frames `steps` and `steps + 1` were computed.
    times
        Of the mid-points, fs [n].
    gap
        At the mid-points, eV [n].
    coupling
        Its modulus, eV [n]: the signs of separate samples are unrelated.
    spacing
        Median time between samples, fs.
    n_steps
        Of the whole trajectory.
    """

    steps: NDArray[np.intp]
    times: NDArray[np.float64]
    gap: NDArray[np.float64]
    coupling: NDArray[np.float64]
    spacing: float
    n_steps: int

    def __len__(self) -> int:
        return len(self.steps)

    def memory(self, values: NDArray[np.float64]) -> float:
        """Return the correlation time of a quantity known at the samples, fs; at least their spacing."""
        return max(float(correlation_time(values, self.spacing)), self.spacing)


def samples_of(pair: VibronicHamiltonian) -> Samples:
    """Return the samples of a sparse Hamiltonian of two states.

    Raises
    ------
    InputError
        If fewer than `FEWEST_PAIRS` mid-points have both gap and coupling, or one of them does not vary.
    """
    middle = pair.midpoint_energies[:, 1] - pair.midpoint_energies[:, 0]
    steps = np.flatnonzero(pair.nac_known & np.isfinite(middle))
    if len(steps) < FEWEST_PAIRS:
        raise InputError(
            f"A study of a sparse Hamiltonian needs at least {FEWEST_PAIRS} pairs of frames with energies at both and a coupling "
            f"between them, but {len(steps)} are known. Compute more (`hopcast select`, `hopcast compute`)."
        )
    gap, coupling = middle[steps], np.abs(pair.coupling()[steps])
    for name, values in (("gap", gap), ("coupling", coupling)):
        if np.ptp(values) == 0:
            raise InputError(
                f"The {name} must vary over the computed pairs, but is {values[0]:.4g} eV in all {len(values)}."
            )
    times = pair.timestep * (steps.astype(np.float64) + 0.5)
    return Samples(steps, times, gap, coupling, float(np.median(np.diff(times))), pair.n_steps)


def static_dephasing_times(samples: Samples) -> dict[str, float]:
    r"""Return the dephasing times of the conventions from the spread of the sampled gap, fs.

    A gap that keeps its value for much longer than it takes to dephase does so as
    :math:`e^{-\sigma^2 t^2/2\hbar^2}`: :math:`\tau = \hbar/\sigma` (gaussian), :math:`\sqrt2\,\hbar/\sigma` (e-folding, pyxaid),
    :math:`\sqrt{12/5}\,\hbar/\sigma` (libra). Separate samples show the spread and nothing of the motion, so this is
    what they can say; whether the limit holds is for `STATIC` and the correlation time of the features.
    """
    width = HBAR / float(samples.gap.std())
    factors = {"gaussian": 1.0, "e-folding": np.sqrt(2.0), "pyxaid": np.sqrt(2.0), "libra": np.sqrt(12.0 / 5.0)}
    return {name: factors[name] * width for name in CONVENTIONS}

"""`HamiltonianForecast`: what a forecaster says of a trajectory, and how sure it is."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hopcast.core.errors import InputError
from hopcast.core.hamiltonian import VibronicHamiltonian


@dataclass(frozen=True, eq=False, repr=False)
class HamiltonianStd:
    """Standard deviations of a forecast, eV.

    Attributes
    ----------
    energies
        Like the energies of the Hamiltonian.
    nac
        Of the size of its couplings, like them.
    """

    energies: NDArray[np.float64]
    nac: NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class HamiltonianForecast:
    """A forecast Hamiltonian along consecutive frames.

    Attributes
    ----------
    hamiltonian
        The mean forecast. With raw overlaps of the forecast states, its couplings are those derived from them, and are derived
        anew where chunks are joined (a phase that each frame has by itself joins them); without, they are what was learnt, of a
        pair of states their size.
    std
        Deviations; None where the forecaster has no posterior.
    outside
        Frames unlike those that were learnt from [n_frames].
    distance
        Of each frame to the nearest that was learnt from, in the measure of the forecaster [n_frames].
    relative_std
        Posterior over prior deviation [n_frames]; None without a posterior. 1: the forecaster knows nothing of the frame.
    draw
        From a number and a seed to so many whole Hamiltonians of the joint posterior; None where there is none.
    """

    hamiltonian: VibronicHamiltonian
    std: HamiltonianStd | None
    outside: NDArray[np.bool_]
    distance: NDArray[np.float64]
    relative_std: NDArray[np.float64] | None = None
    draw: Callable[[int, int], Iterable[VibronicHamiltonian]] | None = None

    def samples(self, n: int, random_state: int = 0) -> tuple[VibronicHamiltonian, ...]:
        """Return Hamiltonians drawn jointly, over all frames and states, from the posterior.

        Raises
        ------
        InputError
            If the forecaster has no joint posterior.
        """
        if self.draw is None:
            raise InputError("This forecast has no joint posterior to draw from: use its `std`.")
        return tuple(self.draw(n, random_state))

    def with_variance(self) -> VibronicHamiltonian:
        r"""Return the mean forecast with couplings of the size :math:`\sqrt{|\mu|^2 + \sigma^2}`, whose mean square is not shrunk."""
        if self.std is None:
            return self.hamiltonian
        return dataclasses.replace(self.hamiltonian, nac=enlarged(self.hamiltonian.nac, self.std.nac), overlaps=None)


def enlarged(nac: NDArray[Any], std: NDArray[np.float64]) -> NDArray[Any]:
    r"""Return couplings of the size :math:`\sqrt{|\mu|^2 + \sigma^2}` with the sign or phase they have."""
    size = np.sqrt(np.abs(nac) ** 2 + std**2)
    if not np.iscomplexobj(nac):
        return np.copysign(size, nac)
    phase = np.where(nac == 0, 1.0, nac / np.where(nac == 0, 1.0, np.abs(nac)))
    return size * phase

"""What a fitted tight binding says of separate steps, and how that moves with its parameters: what a design needs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular

from hopcast.core.chunks import chunk_slices, map_chunks, single_threaded_blas
from hopcast.core.trajectory import Trajectory
from hopcast.tightbinding.fitted import FittedBands
from hopcast.tightbinding.residuals import Loss, Target, sample_residuals
from hopcast.tightbinding.samples import sample_geometries

Floats = NDArray[np.float64]
Steps = NDArray[np.intp]

CHUNK = 8
"""Steps of one unit of work."""


@dataclass(frozen=True, eq=False)
class StepSlopes:
    r"""Gap and coupling of VBM and CBM at mid-points, linear in the parameters around their best values.

    Attributes
    ----------
    gap
        E at the mid-points [n], eV.
    coupling
        :math:`|\hbar d|\,E` there [n], eV^2.
    gap_slopes, coupling_slopes
        Derivatives by the parameters [n_parameters, n].
    """

    gap: Floats
    coupling: Floats
    gap_slopes: Floats
    coupling_slopes: Floats

    def covariance(self, bands: FittedBands) -> Floats:
        """Return the posterior covariance of gaps (first n) and couplings (last n), [2 n, 2 n]."""
        slopes = np.concatenate([self.gap_slopes, self.coupling_slopes], axis=1)
        whitened = solve_triangular(bands.factor, slopes, lower=True, check_finite=False)
        return np.asarray(bands.scale * (whitened.T @ whitened))


def step_slopes(bands: FittedBands, trajectory: Trajectory, steps: Steps, *, workers: int | None = None) -> StepSlopes:
    """Return gaps, couplings and their derivatives at steps t, t + 1 of a trajectory, by t.

    Raises
    ------
    InputError
        If an element is unknown, or two atoms coincide.
    """
    low, high = bands.n_occupied - 1, bands.n_occupied
    lowest = bands.lowest_of(trajectory.numbers)
    window = slice(lowest, lowest + bands.n_states)
    loss = Loss(lowest, np.zeros(bands.n_states), np.array([[low, high]]), np.ones(1), bands.timestep)
    # of a coupling that is known to be zero the residual is the coupling itself
    energies, nothing = np.zeros((2, bands.n_states)), np.zeros((bands.n_states, bands.n_states))
    target = Target(energies, nothing, np.ones_like(nothing))

    def work(chunk: slice) -> list[tuple[float, float, Floats, Floats]]:
        found = []
        for geometries in sample_geometries(bands.model, trajectory, steps[chunk], workers=1).parts:
            levels, states = bands.eigenstates(geometries[2])
            gap = float(levels[lowest + high] - levels[lowest + low])
            slope = bands.gap_slope(geometries[2], levels[window], states[:, window])
            residuals, slopes = sample_residuals(bands.model, bands.theta, geometries, target, loss, derivatives=True)
            found.append((gap, float(residuals[-1]), slope, slopes[:, -1]))
        return found

    with single_threaded_blas():
        parts = map_chunks(work, chunk_slices(len(steps), CHUNK), workers=workers)
    gap, coupling, of_gap, of_coupling = zip(*(one for part in parts for one in part), strict=True)
    return StepSlopes(np.array(gap), np.array(coupling), np.stack(of_gap, axis=1), np.stack(of_coupling, axis=1))

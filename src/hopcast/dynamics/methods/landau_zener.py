"""Method `bl-lz`: Landau-Zener hops where gaps are smallest, without couplings."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hopcast.core.units import HBAR
from hopcast.dynamics.loop import Window
from hopcast.dynamics.methods.method import Method
from hopcast.dynamics.methods.shared import run_shared
from hopcast.dynamics.problem import Populations, Problem


def crossing_probabilities(energies: NDArray[np.float64], timestep: float, closed: bool) -> NDArray[np.float64]:
    r"""Return hop probabilities at frames where the gap of neighbouring states has a minimum.

    .. math:: p = \exp\Bigl(-\frac{\pi}{2\hbar}\sqrt{Z^3/\ddot Z}\Bigr)

    with the gap `Z` and its second derivative at the vertex of the parabola through three frames.

    Parameters
    ----------
    energies
        In energy order [n_frames, n_states], eV.
    timestep
        fs.
    closed
        Whether the frame before the first is the last.

    Returns
    -------
    ndarray
        [n_frames, n_states, n_states], zero where there is no minimum.

    References
    ----------
    A. K. Belyaev, O. V. Lebedev, Phys. Rev. A 2011, 84, 014701, 10.1103/PhysRevA.84.014701.
    """
    n, k = energies.shape
    g = np.zeros((n, k, k))
    gaps = np.diff(energies, axis=1)
    before, after = np.roll(gaps, 1, axis=0), np.roll(gaps, -1, axis=0)
    lowest = (gaps < before) & (gaps <= after)
    if not closed:
        lowest[[0, -1]] = False
    bend = (before - 2 * gaps + after) / timestep**2
    slope = (after - before) / (2 * timestep)
    safe = np.where(lowest, bend, 1.0)
    vertex = np.maximum(gaps - 0.5 * slope**2 / safe, 0.0)
    p = np.where(lowest, np.exp(-0.5 * np.pi / HBAR * np.sqrt(vertex**3 / safe)), 0.0)
    lower = np.arange(k - 1)
    g[:, lower, lower + 1] = g[:, lower + 1, lower] = p
    total = g.sum(axis=2, keepdims=True)
    return g / np.maximum(total, 1.0)


def solve(problem: Problem) -> Populations:
    """Return sampled populations of Belyaev-Lebedev Landau-Zener surface hopping."""
    grid = problem.grid
    crossings = crossing_probabilities(grid.left[:, problem.edges[:-1]], grid.timestep, grid.closed)

    def hop_probabilities(window: Window) -> NDArray[np.float64]:
        """Return the probabilities of a window: those of a frame act in the sub-step that begins there."""
        g = np.zeros((len(window.nac), window.n_states, window.n_states))
        g[:: window.n_substeps] = crossings[window.first_step : window.last_step]
        return g

    return run_shared(problem, hop_probabilities)


METHODS = (Method("bl-lz", "Landau-Zener at minima of gaps, no couplings", solve, needs_order=True),)

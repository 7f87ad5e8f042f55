"""Method `fssh`: fewest switches."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from hopcast.core.units import HBAR
from hopcast.dynamics.arrays import Complexes, Floats
from hopcast.dynamics.loop import Window
from hopcast.dynamics.methods.shared import run_shared, weight
from hopcast.dynamics.problem import Populations, Problem


def hop_probabilities(window: Window) -> NDArray[np.float64]:
    r"""Return :math:`g_{i\to j} = \max\bigl(0, \int 2\,\mathrm{Re}\,c_i^*c_jd_{ij}\,dt\bigr)/|c_i|^2` of each sub-step.

    The integral over the sub-step is Simpson's, from the amplitudes at its beginning, middle and end.

    References
    ----------
    J. C. Tully, J. Chem. Phys. 1990, 93, 1061, 10.1063/1.459170.
    """
    g = np.zeros(window.nac.shape)
    _fill(window.amplitudes, window.nac, 2.0 * window.substep / HBAR, g)
    return g


@njit(cache=True, nogil=True)
def _fill(c: Complexes, nac: Any, h: float, g: Floats) -> None:
    n, k = g.shape[0], g.shape[1]
    for s in range(n):
        first, middle, last = c[2 * s], c[2 * s + 1], c[2 * s + 2]
        for i in range(k):
            for j in range(i):
                # d_ji = -d_ij*: what flows from i to j does not flow from j to i
                x = (
                    first[i].conjugate() * first[j]
                    + 4.0 * middle[i].conjugate() * middle[j]
                    + last[i].conjugate() * last[j]
                ) / 6.0
                flow = h * (x * nac[s, i, j]).real
                if flow > 0.0 and weight(first[i]) > 1e-300:
                    g[s, i, j] = flow / weight(first[i])
                elif flow < 0.0 and weight(first[j]) > 1e-300:
                    g[s, j, i] = -flow / weight(first[j])


def solve(problem: Problem) -> Populations:
    """Return sampled populations of fewest-switches surface hopping."""
    return run_shared(problem, hop_probabilities)

"""Method `fssh`: fewest switches."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from hopcast.core.units import HBAR
from hopcast.dynamics import fssh
from hopcast.dynamics.arrays import Complexes, Floats, Ints
from hopcast.dynamics.loop import Window
from hopcast.dynamics.methods.method import Method
from hopcast.dynamics.methods.shared import block_weight, run_shared
from hopcast.dynamics.problem import Populations, Problem


def hop_probabilities(window: Window) -> NDArray[np.float64]:
    r"""Return :math:`g_{i\to j} = \max\bigl(0, \int 2\,\mathrm{Re}\,c_i^*c_jd_{ij}\,dt\bigr)/|c_i|^2` of each sub-step.

    The integral over the sub-step is Simpson's, from the amplitudes at its beginning, middle and end. Between degenerate blocks
    flux and population are the sums over all partners.

    References
    ----------
    J. C. Tully, J. Chem. Phys. 1990, 93, 1061, 10.1063/1.459170.
    """
    g = np.zeros((len(window.nac), window.n_states, window.n_states))
    edges, copies = window.block_edges, window.copies
    _fill(window.amplitudes, window.nac, 2.0 * window.substep / HBAR, edges, copies, g)
    return g


@njit(cache=True, nogil=True)
def _fill(c: Complexes, nac: Any, h: float, edges: Ints, copies: int, g: Floats) -> None:
    n, k = g.shape[0], g.shape[1]
    for s in range(n):
        first, middle, last = c[2 * s], c[2 * s + 1], c[2 * s + 2]
        for i in range(k):
            for j in range(i):
                # d_ji = -d_ij*: what flows from i to j does not flow from j to i
                total = 0.0
                for p in range(edges[i], edges[i + 1]):
                    for q in range(edges[j], edges[j + 1]):
                        for r in range(copies):
                            a, b = p * copies + r, q * copies + r
                            x = (
                                first[a].conjugate() * first[b]
                                + 4.0 * middle[a].conjugate() * middle[b]
                                + last[a].conjugate() * last[b]
                            ) / 6.0
                            total += (x * nac[s, p, q]).real
                flow = h * total
                source = i if flow > 0.0 else j
                there = block_weight(first, edges[source] * copies, edges[source + 1] * copies)
                if flow > 0.0 and there > 1e-300:
                    g[s, i, j] = flow / there
                elif flow < 0.0 and there > 1e-300:
                    g[s, j, i] = -flow / there


def solve(problem: Problem) -> Populations:
    """Return sampled populations of fewest-switches surface hopping."""
    return run_shared(problem, hop_probabilities)


METHODS = (Method("fssh", "fewest switches, no decoherence", solve, two_states=fssh.solve),)

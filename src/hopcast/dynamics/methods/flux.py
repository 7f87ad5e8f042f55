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
    h = 2.0 * window.substep / HBAR
    if window.edges is None:
        g = np.empty((len(window.nac), window.n_states, window.n_states))
        _fill(window.amplitudes, window.nac, h, g)
    else:
        g = np.zeros((len(window.nac), window.n_states, window.n_states))
        _fill_blocks(window.amplitudes, window.nac, h, window.edges, window.copies, g)
    return g


@njit(cache=True, nogil=True)
def _fill(c: Complexes, nac: Any, h: float, g: Floats) -> None:
    """States that are their own: all targets of a state at once, in the vector lanes."""
    n, k = g.shape[0], g.shape[1]
    r0, r1, r2 = np.empty(k), np.empty(k), np.empty(k)
    m0, m1, m2 = np.empty(k), np.empty(k), np.empty(k)
    for s in range(n):
        for i in range(k):
            r0[i], r1[i], r2[i] = c[2 * s, i].real, 4.0 * c[2 * s + 1, i].real, c[2 * s + 2, i].real
            m0[i], m1[i], m2[i] = c[2 * s, i].imag, 4.0 * c[2 * s + 1, i].imag, c[2 * s + 2, i].imag
        for i in range(k):
            there = r0[i] * r0[i] + m0[i] * m0[i]
            scale = h / 6.0 / there if there > 1e-300 else 0.0
            a0, a1, a2, b0, b1, b2 = r0[i], 0.25 * r1[i], r2[i], m0[i], 0.25 * m1[i], m2[i]
            for j in range(k):
                x = a0 * r0[j] + b0 * m0[j] + (a1 * r1[j] + b1 * m1[j]) + (a2 * r2[j] + b2 * m2[j])
                y = a0 * m0[j] - b0 * r0[j] + (a1 * m1[j] - b1 * r1[j]) + (a2 * m2[j] - b2 * r2[j])
                flow = x * nac[s, i, j].real - y * nac[s, i, j].imag
                g[s, i, j] = flow * scale if flow > 0.0 else 0.0


@njit(cache=True, nogil=True)
def _fill_blocks(c: Complexes, nac: Any, h: float, edges: Ints, copies: int, g: Floats) -> None:
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

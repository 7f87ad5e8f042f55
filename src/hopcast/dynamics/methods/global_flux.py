"""Method `gfsh`: global flux."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from hopcast.dynamics.arrays import Complexes, Floats, Ints
from hopcast.dynamics.loop import Window
from hopcast.dynamics.methods.method import Method
from hopcast.dynamics.methods.shared import block_weight, run_shared
from hopcast.dynamics.problem import Populations, Problem


def hop_probabilities(window: Window) -> NDArray[np.float64]:
    r"""Return the probabilities of global-flux hops, from population changes alone.

    With :math:`\Delta_i` the change of :math:`|c_i|^2` over the sub-step,

    .. math:: g_{i\to j} = \frac{\max(0,\Delta_j)}{|c_i|^2}\,\frac{\max(0,-\Delta_i)}{\sum_k\max(0,-\Delta_k)},

    so that populations equal :math:`|c|^2` at any step. Of degenerate blocks the populations are the sums over all partners.

    References
    ----------
    L. Wang, D. Trivedi, O. V. Prezhdo, J. Chem. Theory Comput. 2014, 10, 3598, 10.1021/ct5003835.
    """
    g = np.zeros((len(window.nac), window.n_states, window.n_states))
    _fill(window.amplitudes, window.block_edges * window.copies, g)
    return g


@njit(cache=True, nogil=True)
def _fill(c: Complexes, edges: Ints, g: Floats) -> None:
    n, k = g.shape[0], g.shape[1]
    change, here = np.empty(k), np.empty(k)
    for s in range(n):
        gained = 0.0
        for i in range(k):
            here[i] = block_weight(c[2 * s], edges[i], edges[i + 1])
            change[i] = block_weight(c[2 * s + 2], edges[i], edges[i + 1]) - here[i]
            gained += max(change[i], 0.0)
        for i in range(k):
            before = here[i]
            if change[i] < 0.0 and before > 1e-300 and gained > 1e-300:
                for j in range(k):
                    g[s, i, j] = max(change[j], 0.0) / gained * (-change[i] / before)


def solve(problem: Problem) -> Populations:
    """Return sampled populations of global-flux surface hopping."""
    return run_shared(problem, hop_probabilities)


METHODS = (Method("gfsh", "global flux", solve),)

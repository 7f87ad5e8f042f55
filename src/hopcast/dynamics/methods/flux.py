"""Method `fssh`: fewest switches."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hopcast.core.units import HBAR
from hopcast.dynamics.loop import Window
from hopcast.dynamics.methods.shared import run_shared, safe_ratio
from hopcast.dynamics.problem import Populations, Problem


def hop_probabilities(window: Window) -> NDArray[np.float64]:
    r"""Return :math:`g_{i\to j} = \max\bigl(0, \int 2\,\mathrm{Re}\,c_i^*c_jd_{ij}\,dt\bigr)/|c_i|^2` of each sub-step.

    The integral over the sub-step is Simpson's, from the amplitudes at its beginning, middle and end.

    References
    ----------
    J. C. Tully, J. Chem. Phys. 1990, 93, 1061, 10.1063/1.459170.
    """
    c = window.amplitudes
    flow = sum(
        w * np.real(c[at, :, None].conj() * c[at, None, :] * window.nac)
        for w, at in ((1 / 6, slice(0, -1, 2)), (4 / 6, slice(1, None, 2)), (1 / 6, slice(2, None, 2)))
    )
    before = np.abs(c[0:-1:2]) ** 2
    return safe_ratio(np.maximum(flow * (2.0 * window.substep / HBAR), 0.0), before[:, :, None])


def solve(problem: Problem) -> Populations:
    """Return sampled populations of fewest-switches surface hopping."""
    return run_shared(problem, hop_probabilities)

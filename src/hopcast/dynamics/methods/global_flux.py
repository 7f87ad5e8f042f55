"""Method `gfsh`: global flux."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hopcast.dynamics.loop import Window
from hopcast.dynamics.methods.shared import run_shared, safe_ratio
from hopcast.dynamics.problem import Populations, Problem


def hop_probabilities(window: Window) -> NDArray[np.float64]:
    r"""Return the probabilities of global-flux hops, from population changes alone.

    With :math:`\Delta_i` the change of :math:`|c_i|^2` over the sub-step,

    .. math:: g_{i\to j} = \frac{\max(0,\Delta_j)}{|c_i|^2}\,\frac{\max(0,-\Delta_i)}{\sum_k\max(0,-\Delta_k)},

    so that populations equal :math:`|c|^2` at any step.

    References
    ----------
    L. Wang, D. Trivedi, O. V. Prezhdo, J. Chem. Theory Comput. 2014, 10, 3598, 10.1021/ct5003835.
    """
    weights = np.abs(window.amplitudes[::2]) ** 2
    change = np.diff(weights, axis=0)
    gain, loss = np.maximum(change, 0.0), np.maximum(-change, 0.0)
    share = safe_ratio(gain, gain.sum(axis=1, keepdims=True))
    leave = safe_ratio(loss, weights[:-1])
    return np.asarray(leave[:, :, None] * share[:, None, :])


def solve(problem: Problem) -> Populations:
    """Return sampled populations of global-flux surface hopping."""
    return run_shared(problem, hop_probabilities)

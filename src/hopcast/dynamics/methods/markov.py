"""Method `mssh`: Markov-state surface hopping."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hopcast.dynamics.loop import Window
from hopcast.dynamics.methods.method import Method
from hopcast.dynamics.methods.shared import run_shared
from hopcast.dynamics.problem import Populations, Problem


def hop_probabilities(window: Window) -> NDArray[np.float64]:
    r"""Return :math:`g_{i\to j} = |c_j|^2` (of a degenerate block the sum over all partners) at the end of the sub-step, whatever the state before.

    References
    ----------
    A. V. Akimov, D. Trivedi, L. Wang, O. V. Prezhdo, J. Phys. Soc. Jpn. 2015, 84, 094002, 10.7566/JPSJ.84.094002.
    """
    weights = window.populations()[2::2]
    return np.repeat(weights[:, None, :], weights.shape[1], axis=1)


def solve(problem: Problem) -> Populations:
    """Return sampled populations of Markov-state surface hopping."""
    return run_shared(problem, hop_probabilities)


METHODS = (Method("mssh", "Markov state", solve),)

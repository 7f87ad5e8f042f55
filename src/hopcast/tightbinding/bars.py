r"""Error bars that left-out samples agree with.

The posterior of the parameters says which frames are more uncertain than others, not by how much: it does not know what the form cannot say. Of
a number whose variance should go with x (the posterior variance of a gap, the square of a coupling),

.. math:: \sigma^2 = \langle e^2\rangle\,[(1 - f) + f x/\langle x\rangle]

with e the errors of left-out samples and f the share that makes these errors most likely. The mean of the variances is the
mean square error whatever f is, so that :math:`\langle V^2\rangle \approx \langle \hat V^2 + \sigma^2\rangle` of a forecast that lost what it could not know.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

SHARES = np.linspace(0.05, 0.95, 19)
"""That are tried: with all of the variance in x a frame of x = 0 would be certain, with none nothing that is learnt would tell."""


def calibrate(errors: Floats, x: Floats) -> tuple[float, float]:
    """Return floor and scale of the variance ``floor + scale * x`` of errors [n]; NaN where there are none."""
    known = np.isfinite(errors) & np.isfinite(x)
    square, x = errors[known] ** 2, x[known]
    if not len(square):
        return float("nan"), 0.0
    mean, middle = float(square.mean()), float(x.mean())
    if mean == 0.0 or middle == 0.0:
        return mean, 0.0
    relative = 1.0 + SHARES[:, None] * (x / middle - 1.0)
    surprise = np.sum(np.log(relative) + square / (mean * relative), axis=1)
    share = float(SHARES[surprise.argmin()])
    return mean * (1.0 - share), mean * share / middle


def calibrate_couplings(known: Floats, found: Floats) -> Floats:
    """Return floor (eV^2) and scale of the variance of the size of each pair's coupling [2, n_states, n_states], from sizes [n, n_states, n_states]."""
    n_states = known.shape[1]
    out = np.zeros((2, n_states, n_states))
    for i in range(n_states):
        for j in range(i):
            out[:, i, j] = out[:, j, i] = calibrate(found[:, i, j] - known[:, i, j], found[:, i, j] ** 2)
    return out


def band_errors(known: Floats, found: Floats, n_occupied: int) -> Floats:
    """Return the root mean square errors of the energies of a window [n_states], eV, from energies [n, n_states] of any zero.

    VBM and CBM are such that their squares add up to that of the gap; all others are measured from the gap's middle.
    """
    edges = [n_occupied - 1, n_occupied]
    error = found - known
    gap = error[:, edges[1]] - error[:, edges[0]]
    errors = np.sqrt(np.mean((error - error[:, edges].mean(axis=1, keepdims=True)) ** 2, axis=0))
    errors[edges] = np.sqrt(0.5 * np.mean(gap**2))
    return np.asarray(errors)

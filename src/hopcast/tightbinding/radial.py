r"""Radial functions: the leading eigenfunctions of a Gaussian-process prior, tabulated as splines.

What a matrix element does with the distance is a smooth function of known size and range,

.. math:: V(r) = V_0(r) + \sum_q \theta_q \phi_q(r), \qquad \theta_q \sim N(0, \sigma^2), \qquad
          \sum_q \phi_q(r)\phi_q(r') \approx e(r)\, e(r')\, e^{-(r - r')^2/2 l^2}

with the envelope :math:`e(r) = e^{-(r - r_0)/\rho} f_c(r)/f_c(r_0)`: sigma is the size at a bond, rho the decay, l the
length over which it bends. The number of functions follows (those above `SMALLEST` of the largest eigenvalue), every hyperparameter has a
unit and a meaning, and in units of sigma the least squares are well conditioned. Sigma is no part of the tables: sizes can be chosen
without new geometries.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]

SMALLEST = 1e-3
"""Eigenvalues below this share of the largest are left out."""

MOST = 14
"""Functions of one set."""

N_KNOTS = 256
"""Of the splines."""


@dataclass(frozen=True)
class RadialPrior:
    """What is believed of a kind of matrix element before any data.

    Attributes
    ----------
    cutoff
        Where it vanishes, Å.
    decay
        Falls by e over this distance, Å.
    bend
        Distances over which it bends, Å.
    """

    cutoff: float
    decay: float
    bend: float = 1.0

    def envelope(self, distance: Floats, bond: float) -> Floats:
        """Return e(r) of pairs with this bond length."""
        smooth = np.where(distance < self.cutoff, 0.5 * np.cos(np.pi * distance / self.cutoff) + 0.5, 0.0)
        at_bond = 0.5 * np.cos(np.pi * bond / self.cutoff) + 0.5
        return np.asarray(np.exp(-(distance - bond) / self.decay) * smooth / at_bond)


@dataclass(frozen=True, eq=False)
class RadialTable:
    """Splines of one or more sets of radial functions, by pair of elements.

    Attributes
    ----------
    start, step
        First knot and distance of knots, Å.
    cutoff
        Last knot, Å; beyond it functions are not asked for.
    coefficients
        Of the cubics [n_kinds, n_knots - 1, n_functions, 4], highest power first.
    counts
        Functions of each set.
    reaches
        Distances beyond which those of each set vanish, Å.
    """

    start: float
    step: float
    cutoff: float
    coefficients: Floats
    counts: tuple[int, ...]
    reaches: tuple[float, ...]

    def __call__(self, kind: int, distance: Floats) -> Floats:
        """Return the functions at some distances [n, n_functions]."""
        out = np.empty((len(distance), self.coefficients.shape[2]))
        kinds = np.full(len(distance), kind, dtype=np.int64)
        evaluate(np.ascontiguousarray(distance), kinds, self.start, self.step, self.coefficients, out)
        return out


def tabulate(priors: tuple[RadialPrior, ...], bonds: Floats, nearest: float) -> RadialTable:
    """Return the radial functions of some sets for pairs of elements with these bond lengths.

    Parameters
    ----------
    priors
        One for each set.
    bonds
        Bond length by pair of elements [n_kinds], Å.
    nearest
        Where the tables start, Å; closer atoms see the functions as they are there.
    """
    from scipy.interpolate import CubicSpline

    cutoff = max(prior.cutoff for prior in priors)
    knots = np.linspace(nearest, cutoff, N_KNOTS)
    sets = []
    for prior in priors:
        bend = np.exp(-0.5 * ((knots[:, None] - knots) / prior.bend) ** 2)
        found = []
        for bond in bonds:
            envelope = prior.envelope(knots, float(bond))
            values, vectors = np.linalg.eigh(bend * envelope[:, None] * envelope)
            values, vectors = values[::-1], vectors[:, ::-1]
            # an eigenvector's sign is arbitrary: bits must not depend on the library's choice
            vectors = vectors * np.where(vectors.sum(axis=0) < 0.0, -1.0, 1.0)
            found.append((values, vectors))
        # one number for all pairs of elements, that of the middle
        counts = sorted(int(np.sum(values > SMALLEST * values[0])) for values, _ in found)
        count = min(counts[len(counts) // 2], MOST)
        sets.append(
            np.stack([vectors[:, :count] * np.sqrt(np.maximum(values[:count], 0.0)) for values, vectors in found])
        )
    functions = np.concatenate(sets, axis=2)
    pieces = CubicSpline(knots, functions, axis=1).c
    return RadialTable(
        nearest,
        float(knots[1] - knots[0]),
        cutoff,
        np.ascontiguousarray(np.moveaxis(pieces, (2, 1, 3, 0), (0, 1, 2, 3))),
        tuple(part.shape[2] for part in sets),
        tuple(prior.cutoff for prior in priors),
    )


@njit(cache=True, nogil=True, error_model="numpy")
def evaluate(
    distance: Any, kind: Any, start: float, step: float, coefficients: Any, out: Any
) -> None:  # pragma: no cover - compiled
    """Write all functions of each pair [n_pairs, n_functions]."""
    last = coefficients.shape[1] - 1
    for p in range(distance.shape[0]):
        x = max((distance[p] - start) / step, 0.0)
        k = min(int(x), last)
        t = (x - k) * step
        for f in range(coefficients.shape[2]):
            c = coefficients[kind[p], k, f]
            out[p, f] = ((c[0] * t + c[1]) * t + c[2]) * t + c[3]

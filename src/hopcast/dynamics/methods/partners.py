"""Amplitudes of degenerate blocks: copies for the partners of the start, populations, projections.

A carrier that starts in a block may be in any of its partners. Its mixed state is carried as one copy of the amplitudes for
each partner, [n_copies, n_partners], which all trajectories propagate alike: with the population of a block summed over partners *and*
copies, nothing depends on the bases. A collapse keeps what lies in a block (its partners do not dephase); where a hop is refused the block
returns as it started, all partners alike, so that the ensemble obeys a linear equation (`hopcast.dynamics.block_maps`).
"""

from __future__ import annotations

import numpy as np

from hopcast.dynamics.arrays import Floats, Ints, leaf
from hopcast.dynamics.loop import apply
from hopcast.dynamics.methods.events import REFUSED, REMOVED, Marks


@leaf
def unpolarise(cr: Floats, ci: Floats, first: int, end: int) -> None:
    """Put amplitudes [n_copies, width] into a block: a copy for each partner, all alike."""
    share = 1.0 / np.sqrt(end - first)
    for r in range(cr.shape[0]):
        for i in range(cr.shape[1]):
            cr[r, i], ci[r, i] = 0.0, 0.0
        if first + r < end:
            cr[r, first + r] = share


@leaf
def population(cr: Floats, ci: Floats, first: int, end: int) -> float:
    """Return the population of a block from amplitudes [n_copies, width]."""
    total = 0.0
    for r in range(cr.shape[0]):
        for i in range(first, end):
            total += cr[r, i] ** 2 + ci[r, i] ** 2
    return total


@leaf
def project(cr: Floats, ci: Floats, first: int, end: int) -> None:
    """Keep of amplitudes [n_copies, width] what lies in a block, and normalise it; where nothing does, unpolarise."""
    inside = population(cr, ci, first, end)
    if (end - first == 1 and cr.shape[0] == 1) or inside < 1e-28:
        unpolarise(cr, ci, first, end)
        return
    scale = 1.0 / np.sqrt(inside)
    for r in range(cr.shape[0]):
        for i in range(cr.shape[1]):
            kept = scale if first <= i < end else 0.0
            cr[r, i] *= kept
            ci[r, i] *= kept


@leaf
def propagate(real: Floats, imag: Floats, xr: Floats, xi: Floats, cr: Floats, ci: Floats) -> None:
    """Fill amplitudes `c` [n_copies, width] with the products of a transposed, padded matrix and all copies of `x`."""
    for r in range(xr.shape[0]):
        apply(real, imag, xr[r], xi[r], cr[r], ci[r])


@leaf
def settle(cr: Floats, ci: Floats, edges: Ints, marks: Marks, collapsed: int) -> None:
    """Collapse amplitudes to a block, or take the marked blocks out of them."""
    if collapsed >= 0 and marks[REFUSED, collapsed]:
        unpolarise(cr, ci, edges[collapsed], edges[collapsed + 1])
        return
    if collapsed >= 0:
        project(cr, ci, edges[collapsed], edges[collapsed + 1])
        return
    left = 0.0
    for i in range(edges.size - 1):
        for r in range(cr.shape[0]):
            for j in range(edges[i], edges[i + 1]):
                if marks[REMOVED, i]:
                    cr[r, j], ci[r, j] = 0.0, 0.0
                left += cr[r, j] ** 2 + ci[r, j] ** 2
    scale = 1.0 / np.sqrt(left)
    for r in range(cr.shape[0]):
        for j in range(cr.shape[1]):
            cr[r, j] *= scale
            ci[r, j] *= scale

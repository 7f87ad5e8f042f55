r"""Orbitals that move with their atoms: the part of a coupling that no level knows.

With states :math:`\psi_j = \sum_a c_{aj}\varphi_a` of orbitals that sit on moving atoms,

.. math:: \langle i|\dot j\rangle = \frac{c_i^T(\dot H - \bar E\dot S)c_j}{E_j - E_i} + c_i^T A\,c_j, \qquad
          A_{ab} = \tfrac12\left(\langle\varphi_a|\dot\varphi_b\rangle - \langle\dot\varphi_a|\varphi_b\rangle\right),

the symmetric half of :math:`\langle\varphi_a|\dot\varphi_b\rangle` being :math:`\dot S/2`. Near a crossing the first part is large and A does not
count; across a gap A does. What counts in it is what an atom does to its own orbitals, :math:`-v\cdot\langle s|\nabla|p\rangle` (and
p with d), one number for two shells of an element:

.. math:: A_{lm,\,l+1\,m'} = p_l\,\sum_k v_k\,V^k_{mm'}, \qquad V^k_{s,p_{k'}} = \delta_{kk'},

of p and d the second derivatives of the d orbital as a quadratic form. A uniform motion of all atoms counts as in any calculation whose orbitals or
plane waves do not move along; a trajectory should have no drift.

Source: S. Fatehi, J. E. Subotnik, J. Phys. Chem. Lett. 2012, 3, 2039 (doi 10.1021/jz3006173), on the term and what leaving it out means.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from hopcast.tightbinding.model import BandModel, ShellPair

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_HALF: Final = 0.5 * np.sqrt(3.0)

VECTORS: Final = (
    np.eye(3)[:, None, :],
    np.stack(
        [
            _HALF * np.array([[0, 1, 0], [1, 0, 0], [0, 0, 0]]),
            _HALF * np.array([[0, 0, 0], [0, 0, 1], [0, 1, 0]]),
            _HALF * np.array([[0, 0, 1], [0, 0, 0], [1, 0, 0]]),
            _HALF * np.diag([1, -1, 0]),
            np.diag([-0.5, -0.5, 1.0]),
        ],
        axis=2,
    ),
)
"""V of s with p [3, 1, 3] and of p with d [3, 3, 5], orbitals in the order of `slater_koster`."""


def apply_turn(
    model: BandModel, theta: Floats, species: Integers, displacement: Floats, vectors: Floats
) -> Floats | None:
    """Return A dt, by which orbitals turn in a step, times some vectors; None of a model without momenta.

    Parameters
    ----------
    model, theta
        With the momenta of its shells, 1/Å.
    species
        Of each atom.
    displacement
        Of each atom in the step [n_atoms, 3], Å.
    vectors
        [n_orbitals, n_vectors].
    """
    if not model.momenta:
        return None
    first, out = _first(model, species), np.zeros_like(vectors)
    for pair in model.momenta:
        block, rows, columns = _blocks(pair, species, first, displacement)
        block = theta[pair.column] * block
        out[rows] += block @ vectors[columns]
        out[columns] -= block.transpose(0, 2, 1) @ vectors[rows]
    return out


def turn_sums(model: BandModel, C: Floats, D: Floats, species: Integers, displacement: Floats) -> Floats:
    """Return <c_k|A_q dt|d_k> of the momenta for the columns of C and D [n_parameters, n_vectors]; zero elsewhere."""
    out, first = np.zeros((model.n_parameters, C.shape[1])), _first(model, species)
    for pair in model.momenta:
        block, rows, columns = _blocks(pair, species, first, displacement)
        forth = np.einsum("apv,apq,aqv->v", C[rows], block, D[columns])
        out[pair.column] = forth - np.einsum("apv,apq,aqv->v", D[rows], block, C[columns])
    return out


def _first(model: BandModel, species: Integers) -> Integers:
    counts = model.table.offsets[species]
    return np.cumsum(counts) - counts


def _blocks(
    pair: ShellPair, species: Integers, first: Integers, displacement: Floats
) -> tuple[Floats, Integers, Integers]:
    """Return A_q dt of the atoms that have the shells [n_atoms, 2 l + 1, 2 l + 3], and the orbitals of its rows and columns."""
    atoms = np.flatnonzero(species == pair.species)
    vector = VECTORS[pair.momentum]
    block = (displacement[atoms] @ vector.reshape(3, -1)).reshape(len(atoms), *vector.shape[1:])
    start = first[atoms][:, None]
    return block, start + pair.one + np.arange(vector.shape[1]), start + pair.two + np.arange(vector.shape[2])

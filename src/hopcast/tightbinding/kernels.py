r"""Hot loops: blocks of H from parameters, and the sums <c|B_q|d> of all parameters straight over the pairs.

B_q is never formed: a pair's contribution to <c|B_q|d> is a product of the two vectors turned into the bond's frame, shared by all
radial functions of a channel.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from hopcast.tightbinding.slater_koster import entry

Integers = NDArray[np.int64]

HOP, ON_FIRST, ON_SECOND = 0, 1, 2
"""Where a channel of a pair acts."""


class ChannelTable(NamedTuple):
    """The terms of a model as arrays, by pair of elements and by element.

    Attributes
    ----------
    start
        First channel of each pair of elements, [n_species^2 + 1].
    place
        HOP, ON_FIRST or ON_SECOND [n_channels].
    l_row, l_column
        Angular momenta of the two shells.
    row, column
        First orbital of the shells within their atoms.
    m
        |m| of the channel.
    sign
        Of its radial function.
    theta
        Its first parameter: one a radial function, then as many for each modulation.
    feature, feature_end
        Which radial functions it takes.
    n_densities
        By how many densities it is modulated.
    own
        Where its densities come from: 0 first the first atom's, then the second's; 1 the other way; 2 their sum.
    site_start
        First site term of each element [n_species + 1].
    site_orbital, site_size
        Orbitals of its shell, first and number.
    site_theta
        Its parameter.
    site_source
        Which column of `FrameGeometry.sites` it multiplies; -1: one.
    offsets
        Number of orbitals of each element [n_species].
    """

    start: Integers
    place: Integers
    l_row: Integers
    l_column: Integers
    row: Integers
    column: Integers
    m: Integers
    sign: Integers
    theta: Integers
    feature: Integers
    feature_end: Integers
    n_densities: Integers
    own: Integers
    site_start: Integers
    site_orbital: Integers
    site_size: Integers
    site_theta: Integers
    site_source: Integers
    offsets: Integers


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def _n_modulations(table: Any, c: int) -> int:  # pragma: no cover - compiled
    return table.n_densities[c] * (1 if table.own[c] == 2 else 2)


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def _modulation(
    table: Any, c: int, geometry: Any, i: int, j: int, modulation: int
) -> float:  # pragma: no cover - compiled
    """Return the density that multiplies a channel: of its own end, of the other, or of both."""
    if table.own[c] == 2:
        return geometry.change[i, modulation] + geometry.change[j, modulation]
    atom = i if (modulation % 2 == 0) == (table.own[c] == 0) else j
    return geometry.change[atom, modulation // 2]


@njit(cache=True, nogil=True, error_model="numpy")
def blocks(
    theta: Any, geometry: Any, table: Any, on_site: Any, hops: Any
) -> None:  # pragma: no cover - compiled
    """Add the on-site blocks [n_atoms, n, n] and the hopping blocks [n_pairs, n, n] (n: most orbitals of an atom)."""
    for atom in range(geometry.species.shape[0]):
        species = geometry.species[atom]
        for k in range(table.site_start[species], table.site_start[species + 1]):
            value = theta[table.site_theta[k]]
            if table.site_source[k] >= 0:
                value *= geometry.sites[atom, table.site_source[k]]
            for o in range(table.site_orbital[k], table.site_orbital[k] + table.site_size[k]):
                on_site[atom, o, o] += value
    for p in range(geometry.first.shape[0]):
        i, j, kind = geometry.first[p], geometry.second[p], geometry.kind[p]
        rotation = geometry.rotation[p]
        for c in range(table.start[kind], table.start[kind + 1]):
            n_functions = table.feature_end[c] - table.feature[c]
            q = table.theta[c]
            value = 0.0
            for f in range(n_functions):
                value += theta[q + f] * geometry.features[p, table.feature[c] + f]
            for modulation in range(_n_modulations(table, c)):
                part = 0.0
                q += n_functions
                for f in range(n_functions):
                    part += theta[q + f] * geometry.features[p, table.feature[c] + f]
                value += part * _modulation(table, c, geometry, i, j, modulation)
            value *= table.sign[c]
            l_row, l_column, row, column, m = (
                table.l_row[c], table.l_column[c], table.row[c], table.column[c], table.m[c],
            )  # fmt: skip
            low, high = (0, 1) if m == 0 else (2 * m - 1, 2 * m + 1)
            for a in range(2 * l_row + 1):
                for b in range(2 * l_column + 1):
                    element = 0.0
                    for mu in range(low, high):
                        element += entry(rotation, l_row, mu, a) * entry(rotation, l_column, mu, b)
                    element *= value
                    if table.place[c] == HOP:
                        hops[p, row + a, column + b] += element
                    else:
                        atom = i if table.place[c] == ON_FIRST else j
                        on_site[atom, row + a, column + b] += element
                        if row != column:
                            on_site[atom, column + b, row + a] += element


@njit(cache=True, nogil=True, error_model="numpy")
def assemble(
    on_site: Any, hops: Any, geometry: Any, table: Any, first_orbital: Any, H: Any
) -> None:  # pragma: no cover - compiled
    """Add blocks to the matrix at Gamma [n_orbitals, n_orbitals]."""
    for atom in range(geometry.species.shape[0]):
        n, o = table.offsets[geometry.species[atom]], first_orbital[atom]
        for a in range(n):
            for b in range(n):
                H[o + a, o + b] += on_site[atom, a, b]
    for p in range(geometry.first.shape[0]):
        i, j = geometry.first[p], geometry.second[p]
        oi, oj = first_orbital[i], first_orbital[j]
        for a in range(table.offsets[geometry.species[i]]):
            for b in range(table.offsets[geometry.species[j]]):
                H[oi + a, oj + b] += hops[p, a, b]
                H[oj + b, oi + a] += hops[p, a, b]


@njit(cache=True, nogil=True, error_model="numpy")
def element_sums(
    C: Any, D: Any, geometry: Any, table: Any, first_orbital: Any, out: Any
) -> None:  # pragma: no cover - compiled
    """Add <c_k|B_q|d_k> to `out` [n_parameters, n_vectors] for the columns of C and D [n_orbitals, n_vectors]."""
    n_vectors = C.shape[1]
    for atom in range(geometry.species.shape[0]):
        species, first = geometry.species[atom], first_orbital[atom]
        for k in range(table.site_start[species], table.site_start[species + 1]):
            factor = 1.0
            if table.site_source[k] >= 0:
                factor = geometry.sites[atom, table.site_source[k]]
            for o in range(first + table.site_orbital[k], first + table.site_orbital[k] + table.site_size[k]):
                for v in range(n_vectors):
                    out[table.site_theta[k], v] += factor * C[o, v] * D[o, v]
    # both vectors of both atoms in the bond's frame: [atom, C or D, orbital, vector]
    turned = np.zeros((2, 2, 9, n_vectors))
    product = np.zeros(n_vectors)
    for p in range(geometry.first.shape[0]):
        i, j, kind = geometry.first[p], geometry.second[p], geometry.kind[p]
        if table.start[kind] == table.start[kind + 1]:
            continue
        rotation = geometry.rotation[p]
        for end in range(2):
            atom = i if end == 0 else j
            _turn(C, rotation, first_orbital[atom], table.offsets[geometry.species[atom]], turned[end, 0])
            _turn(D, rotation, first_orbital[atom], table.offsets[geometry.species[atom]], turned[end, 1])
        for c in range(table.start[kind], table.start[kind + 1]):
            row, column, m = table.row[c], table.column[c], table.m[c]
            low, high = (0, 1) if m == 0 else (2 * m - 1, 2 * m + 1)
            one, two = 0, 1
            if table.place[c] == ON_FIRST:
                two = 0
            elif table.place[c] == ON_SECOND:
                one = 1
            # a diagonal block counts once, everything else with its transpose
            both = table.place[c] == HOP or row != column
            product[:] = 0.0
            for mu in range(low, high):
                x, y = turned[one, 0, row + mu], turned[two, 1, column + mu]
                for v in range(n_vectors):
                    product[v] += x[v] * y[v]
                if both:
                    x, y = turned[one, 1, row + mu], turned[two, 0, column + mu]
                    for v in range(n_vectors):
                        product[v] += x[v] * y[v]
            n_functions = table.feature_end[c] - table.feature[c]
            for modulation in range(-1, _n_modulations(table, c)):
                size = float(table.sign[c])
                if modulation >= 0:
                    size *= _modulation(table, c, geometry, i, j, modulation)
                q = table.theta[c] + (modulation + 1) * n_functions
                for f in range(n_functions):
                    factor = size * geometry.features[p, table.feature[c] + f]
                    for v in range(n_vectors):
                        out[q + f, v] += factor * product[v]


@njit(cache=True, nogil=True, error_model="numpy")
def _turn(
    vectors: Any, rotation: Any, first: int, n_orbitals: int, turned: Any
) -> None:  # pragma: no cover - compiled
    """Write the components of one atom's orbitals in the bond's frame; shells of 1, 3 and 5 orbitals lie in order."""
    n_vectors = vectors.shape[1]
    o = 0
    if n_orbitals in (1, 4, 6, 9):
        for v in range(n_vectors):
            turned[0, v] = vectors[first, v]
        o = 1
    if n_orbitals in (3, 4, 8, 9):
        for mu in range(3):
            for v in range(n_vectors):
                turned[o + mu, v] = (
                    rotation[3 * mu] * vectors[first + o, v]
                    + rotation[3 * mu + 1] * vectors[first + o + 1, v]
                    + rotation[3 * mu + 2] * vectors[first + o + 2, v]
                )
        o += 3
    if n_orbitals >= 5:
        for mu in range(5):
            for v in range(n_vectors):
                total = 0.0
                for a in range(5):
                    total += rotation[9 + 5 * mu + a] * vectors[first + o + a, v]
                turned[o + mu, v] = total

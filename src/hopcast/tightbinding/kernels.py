r"""Hot loops: blocks of H from parameters, and the sums <c|B_q|d> of all parameters straight over the pairs.

B_q is never formed: a pair's contribution to <c|B_q|d> is a product of the two vectors turned into the bond's frame, shared by all
radial functions of a channel.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from hopcast.tightbinding.slater_koster import row_of

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
    reach
        Distance beyond which its radial functions vanish, Å.
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
    reach: NDArray[np.float64]
    site_start: Integers
    site_orbital: Integers
    site_size: Integers
    site_theta: Integers
    site_source: Integers
    offsets: Integers


@njit(cache=True, nogil=True, error_model="numpy")
def _group_end(table: Any, c: int, last: int) -> int:  # pragma: no cover - compiled
    """Return the end of the channels that act at the same place and see the same functions as channel c."""
    end = c + 1
    while end < last and table.place[end] == table.place[c] and table.own[end] == table.own[c]:
        end += 1
    return end


@njit(cache=True, nogil=True, error_model="numpy")
def _within(geometry: Any, low: int, high: int, reach: float) -> int:  # pragma: no cover - compiled
    """Return the end of the pairs low ... high that lie within a reach: either all do, or those that hop come first."""
    while high > low and geometry.distance[high - 1] >= reach:
        high -= 1
    return high


@njit(cache=True, nogil=True, error_model="numpy")
def _functions(geometry: Any, table: Any, c: int, low: int, high: int) -> Any:  # pragma: no cover - compiled
    """Return what the parameters of a channel multiply in pairs low ... high: radial functions, then the same modulated."""
    begin, own = table.feature[c], table.own[c]
    n_functions = table.feature_end[c] - begin
    n_modulations = table.n_densities[c] * (1 if own == 2 else 2)
    first, second, features, change = geometry.first, geometry.second, geometry.features, geometry.change
    out = np.empty((high - low, n_functions * (1 + n_modulations)))
    for p in range(low, high):
        for f in range(n_functions):
            out[p - low, f] = features[p, begin + f]
        for modulation in range(n_modulations):
            if own == 2:
                factor = change[first[p], modulation] + change[second[p], modulation]
            else:
                atom = first[p] if (modulation % 2 == 0) == (own == 0) else second[p]
                factor = change[atom, modulation // 2]
            at = (modulation + 1) * n_functions
            for f in range(n_functions):
                out[p - low, at + f] = factor * features[p, begin + f]
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def blocks(theta: Any, geometry: Any, table: Any, on_site: Any, hops: Any) -> None:  # pragma: no cover - compiled
    """Add the on-site blocks [n_atoms, n, n] and the hopping blocks [n_pairs, n, n] (n: most orbitals of an atom)."""
    for atom in range(geometry.species.shape[0]):
        species = geometry.species[atom]
        for k in range(table.site_start[species], table.site_start[species + 1]):
            value = theta[table.site_theta[k]]
            if table.site_source[k] >= 0:
                value *= geometry.sites[atom, table.site_source[k]]
            for o in range(table.site_orbital[k], table.site_orbital[k] + table.site_size[k]):
                on_site[atom, o, o] += value
    low, n_pairs = 0, geometry.first.shape[0]
    while low < n_pairs:
        kind = geometry.kind[low]
        high = np.searchsorted(geometry.kind, kind, side="right")
        c, last = table.start[kind], table.start[kind + 1]
        while c < last:
            end = _group_end(table, c, last)
            functions = _functions(geometry, table, c, low, _within(geometry, low, high, table.reach[c]))
            parameters = np.empty((functions.shape[1], end - c))
            for k in range(c, end):
                parameters[:, k - c] = table.sign[k] * theta[table.theta[k] : table.theta[k] + functions.shape[1]]
            values = np.dot(functions, parameters)
            for k in range(c, end):
                _scatter(values[:, k - c].copy(), geometry, table, k, low, on_site, hops)
            c = end
        low = high


@njit(cache=True, nogil=True, error_model="numpy")
def _scatter(
    values: Any, geometry: Any, table: Any, c: int, low: int, on_site: Any, hops: Any
) -> None:  # pragma: no cover - compiled
    """Add a channel's values to the blocks of its pairs or of their atoms."""
    l_row, l_column, row, column, m = (table.l_row[c], table.l_column[c], table.row[c], table.column[c], table.m[c])
    start, stop = (0, 1) if m == 0 else (2 * m - 1, 2 * m + 1)
    place, rotation = table.place[c], geometry.rotation
    atoms = geometry.first if place == ON_FIRST else geometry.second
    for k in range(values.shape[0]):
        p = low + k
        for mu in range(start, stop):
            one, two = row_of(l_row, mu), row_of(l_column, mu)
            for a in range(2 * l_row + 1):
                factor = values[k] * rotation[p, one + a]
                for b in range(2 * l_column + 1):
                    element = factor * rotation[p, two + b]
                    if place == HOP:
                        hops[p, row + a, column + b] += element
                    else:
                        on_site[atoms[p], row + a, column + b] += element
                        if row != column:
                            on_site[atoms[p], column + b, row + a] += element


@njit(cache=True, nogil=True, error_model="numpy")
def quadratic_forms(factor: Any, vectors: Any) -> Any:  # pragma: no cover - compiled
    """Return g^T (L L^T)^-1 g of each column g of `vectors` [n, n_vectors], which is overwritten; L lower triangular.

    Column by column in the same order of operations, however many columns there are.
    """
    n, n_vectors = vectors.shape
    out = np.zeros(n_vectors)
    for i in range(n):
        for k in range(i):
            entry = factor[i, k]
            for v in range(n_vectors):
                vectors[i, v] -= entry * vectors[k, v]
        scale = 1.0 / factor[i, i]
        for v in range(n_vectors):
            vectors[i, v] *= scale
            out[v] += vectors[i, v] * vectors[i, v]
    return out


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
    first, second, rotation = geometry.first, geometry.second, geometry.rotation
    rows, columns, momenta, places = table.row, table.column, table.m, table.place
    n_species = table.offsets.shape[0]
    # in the bond's frame: C and D of the first atom, C and D of the second [4, orbital, vector]
    turned = np.zeros((4, 9, n_vectors))
    low, n_pairs = 0, geometry.first.shape[0]
    while low < n_pairs:
        kind = geometry.kind[low]
        high = np.searchsorted(geometry.kind, kind, side="right")
        start, last = table.start[kind], table.start[kind + 1]
        products = np.zeros((high - low, last - start, n_vectors))
        if last > start:
            n_first, n_second = table.offsets[kind // n_species], table.offsets[kind % n_species]
        for p in range(low, high if last > start else low):
            i, j = first_orbital[first[p]], first_orbital[second[p]]
            _turn(C, rotation, p, i, n_first, turned, 0)
            _turn(D, rotation, p, i, n_first, turned, 1)
            _turn(C, rotation, p, j, n_second, turned, 2)
            _turn(D, rotation, p, j, n_second, turned, 3)
            for c in range(start, last):
                if geometry.distance[p] >= table.reach[c]:
                    continue
                row, column, m, place = rows[c], columns[c], momenta[c], places[c]
                low_mu, high_mu = (0, 1) if m == 0 else (2 * m - 1, 2 * m + 1)
                one, two = 0, 2
                if place == ON_FIRST:
                    two = 0
                elif place == ON_SECOND:
                    one = 2
                # a diagonal block counts once, everything else with its transpose
                both = place == HOP or row != column
                for mu in range(low_mu, high_mu):
                    for v in range(n_vectors):
                        value = turned[one, row + mu, v] * turned[two + 1, column + mu, v]
                        if both:
                            value += turned[one + 1, row + mu, v] * turned[two, column + mu, v]
                        products[p - low, c - start, v] += value
        c = start
        while c < last:
            end = _group_end(table, c, last)
            stop = _within(geometry, low, high, table.reach[c])
            functions = _functions(geometry, table, c, low, stop)
            group = products[: stop - low, c - start : end - start].copy().reshape((stop - low, (end - c) * n_vectors))
            sums = np.dot(functions.T, group)
            for k in range(c, end):
                for f in range(functions.shape[1]):
                    for v in range(n_vectors):
                        out[table.theta[k] + f, v] += table.sign[k] * sums[f, (k - c) * n_vectors + v]
            c = end
        low = high


@njit(cache=True, nogil=True, error_model="numpy")
def _turn(
    vectors: Any, rotation: Any, p: int, first: int, n_orbitals: int, turned: Any, at: int
) -> None:  # pragma: no cover - compiled
    """Write the components of one atom's orbitals in the bond's frame; shells of 1, 3 and 5 orbitals lie in order."""
    n_vectors = vectors.shape[1]
    o = 0
    if n_orbitals in (1, 4, 6, 9):
        for v in range(n_vectors):
            turned[at, 0, v] = vectors[first, v]
        o = 1
    if n_orbitals in (3, 4, 8, 9):
        for mu in range(3):
            x, y, z = rotation[p, 1 + 3 * mu], rotation[p, 2 + 3 * mu], rotation[p, 3 + 3 * mu]
            for v in range(n_vectors):
                turned[at, o + mu, v] = (
                    x * vectors[first + o, v] + y * vectors[first + o + 1, v] + z * vectors[first + o + 2, v]
                )
        o += 3
    if n_orbitals >= 5:
        for mu in range(5):
            turned[at, o + mu] = 0.0
            for a in range(5):
                factor = rotation[p, 10 + 5 * mu + a]
                for v in range(n_vectors):
                    turned[at, o + mu, v] += factor * vectors[first + o + a, v]

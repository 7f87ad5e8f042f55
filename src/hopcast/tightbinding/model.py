"""`BandModel`: terms compiled into the columns of H = sum_q theta_q B_q(R), and H of a frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh

from hopcast.core.errors import InputError
from hopcast.core.trajectory import Trajectory
from hopcast.descriptors.neighbours import Boxes, all_pairs, boxes_of, coincident_message, complete_cells
from hopcast.tightbinding.basis import OrbitalBasis
from hopcast.tightbinding.elements import LETTERS
from hopcast.tightbinding.environment import densities, ion_potentials
from hopcast.tightbinding.geometry import FrameGeometry, fill_pairs, half_pairs
from hopcast.tightbinding.kernels import HOP, ON_FIRST, ON_SECOND, ChannelTable, assemble, blocks, element_sums
from hopcast.tightbinding.radial import RadialTable, evaluate
from hopcast.tightbinding.slater_koster import N_ROTATION, N_ROTATION_P
from hopcast.tightbinding.terms import CrystalField, Hopping, Level, Momentum, Potential, Term

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Surroundings:
    """How a model sees what lies around atoms and bonds: radial functions, densities, potentials, and their references.

    Attributes
    ----------
    radial
        Radial functions of hoppings, then of crystal fields.
    density
        "" for none, "all" for one density of all neighbours, "element" for one of each element's.
    density_reach
        Radius of the density, Å.
    bond
        Distance at which a neighbour adds about one to the density, Å.
    density_mean
        Reference by element of the atom [n_species, n_densities].
    potential
        "" for none, "screened" or "ewald".
    eta
        Where the potential is split, 1/Å.
    potential_mean
        Reference by element of the atom [n_species, n_species], eV.
    """

    radial: RadialTable
    density: str = ""
    density_reach: float = 8.0
    bond: float = 3.0
    density_mean: Floats = field(default_factory=lambda: np.zeros((0, 0)))
    potential: str = ""
    eta: float = 0.25
    potential_mean: Floats = field(default_factory=lambda: np.zeros((0, 0)))

    @property
    def cutoff(self) -> float:
        """Radius within which neighbours are looked for, Å."""
        return max(self.radial.cutoff, self.density_reach if self.density else 0.0)

    def n_densities(self, n_species: int) -> int:
        """Return the number of densities at an atom."""
        return {"": 0, "all": 1, "element": n_species}[self.density]


class ShellPair(NamedTuple):
    """Two shells of an element with a momentum: its parameter, the element, the first orbitals of both within the atom, l of the first."""

    column: int
    species: int
    one: int
    two: int
    momentum: int


@dataclass(frozen=True, eq=False)
class BandModel:
    """A tight-binding Hamiltonian that is linear in its parameters.

    Attributes
    ----------
    basis
        Orbitals.
    terms
        In the order of their columns.
    surroundings
        Radial functions and environments.
    modulated
        Whether densities modulate radial functions.
    overlap
        Of a basis that is not orthogonal: the terms of S - 1, whose parameters follow those of H; None: orthogonal.
    """

    basis: OrbitalBasis
    terms: tuple[Term, ...]
    surroundings: Surroundings
    modulated: bool = True
    overlap: BandModel | None = None

    @cached_property
    def n_species(self) -> int:
        """Number of elements."""
        return len(self.basis.elements)

    @cached_property
    def n_densities(self) -> int:
        """Densities that modulate radial functions."""
        return self.surroundings.n_densities(self.n_species) if self.modulated else 0

    def functions_of(self, term: Term) -> slice:
        """Return which radial functions a term takes."""
        n_hopping, n_field = self.surroundings.radial.counts
        return slice(0, n_hopping) if isinstance(term, Hopping) else slice(n_hopping, n_hopping + n_field)

    def n_columns_of(self, term: Term) -> int:
        """Return how many parameters a term has: one a radial function, and as many again for each modulation."""
        if isinstance(term, Level | Potential | Momentum):
            return 1
        functions = self.functions_of(term)
        return (functions.stop - functions.start) * (1 + self.n_densities * (1 if _is_symmetric(term) else 2))

    @cached_property
    def columns(self) -> tuple[slice, ...]:
        """The columns of each term."""
        ends = np.cumsum([self.n_columns_of(term) for term in self.terms])
        return tuple(
            slice(int(end) - self.n_columns_of(term), int(end)) for term, end in zip(self.terms, ends, strict=True)
        )

    @cached_property
    def n_own(self) -> int:
        """Parameters of H."""
        return self.columns[-1].stop

    @cached_property
    def n_parameters(self) -> int:
        """Length of theta: parameters of H, then of S."""
        return self.n_own + (self.overlap.n_own if self.overlap is not None else 0)

    @cached_property
    def most_orbitals(self) -> int:
        """Largest number of orbitals of an atom."""
        return max(self.basis.n_orbitals(species) for species in range(self.n_species))

    @cached_property
    def wanted(self) -> NDArray[np.bool_]:
        """Pairs of elements that any term needs [n_species, n_species]."""
        if self.surroundings.density:
            return np.ones((self.n_species, self.n_species), dtype=bool)
        index = {element: k for k, element in enumerate(self.basis.elements)}
        wanted = np.zeros((self.n_species, self.n_species), dtype=bool)
        for term in self.terms:
            if isinstance(term, Hopping | CrystalField):
                a, b = index[term.element], index[term.neighbour]
                wanted[a, b] = wanted[b, a] = True
        return wanted

    @cached_property
    def table(self) -> ChannelTable:
        """The terms as arrays for the kernels."""
        return _compile(self)

    @cached_property
    def momenta(self) -> tuple[ShellPair, ...]:
        """Shells between which the velocity of their atom counts."""
        index = {element: k for k, element in enumerate(self.basis.elements)}
        starts = _shell_starts(self.basis)
        return tuple(
            ShellPair(
                at.start,
                index[term.element],
                starts[index[term.element], term.shell],
                starts[index[term.element], term.other_shell],
                LETTERS.index(term.shell),
            )
            for term, at in zip(self.terms, self.columns, strict=True)
            if isinstance(term, Momentum)
        )

    def first_orbitals(self, numbers: Integers) -> Integers:
        """Return the first orbital of each atom, and the number of orbitals as a last entry [n_atoms + 1]."""
        counts = [self.basis.n_orbitals(int(species)) for species in self.basis.species_of(numbers)]
        return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)

    def geometry(self, trajectory: Trajectory, frame: int, species: Integers | None = None) -> FrameGeometry:
        """Return what the parameters multiply in a frame; `species` of the atoms where they are known already.

        Raises
        ------
        InputError
            If two atoms coincide, or an element is unknown.
        """
        if species is None:
            species = self.basis.species_of(trajectory.numbers)
        cell = trajectory.cells()[frame]
        found = self.geometry_of(trajectory.positions[frame], cell, trajectory.pbc, species)
        if isinstance(found, tuple) and not isinstance(found, FrameGeometry):
            raise InputError(coincident_message(trajectory, frame, *found))
        return found

    def geometry_of(
        self, positions: NDArray[np.floating], cell: Floats, pbc: tuple[bool, bool, bool], species: Integers
    ) -> FrameGeometry | tuple[int, int]:
        """Return the geometry of atoms given as arrays; two indices where two atoms coincide."""
        around = self.surroundings
        places = np.array(positions, dtype=np.float64, order="C")
        boxes = _boxes_of_cell(
            np.asarray(cell, dtype=np.float64).tobytes(), tuple(bool(one) for one in pbc), around.cutoff
        )
        centre, neighbour, near = all_pairs(places, boxes)
        if near.shape[1] == 0 and centre.size:
            return int(centre[0]), int(neighbour[0])
        keep = half_pairs(centre, neighbour, near, species, self.wanted)
        kinds = species[centre[keep]] * self.n_species + species[neighbour[keep]]
        far = near[3, keep] >= around.radial.reaches[0]
        keep = keep[np.argsort((2 * kinds + far).astype(np.int16), kind="stable")]
        n = len(keep)
        first, second, kind = np.empty(n, np.int64), np.empty(n, np.int64), np.empty(n, np.int64)
        distance, shift = np.empty(n), np.empty((n, 3), np.int64)
        rotation = np.empty((n, N_ROTATION if self.most_momentum == 2 else N_ROTATION_P))
        fill_pairs(
            keep, centre, neighbour, near, species, self.n_species, first, second, kind, distance, rotation, shift
        )
        radial = around.radial
        features = np.empty((n, radial.coefficients.shape[2]))
        evaluate(distance, kind, radial.start, radial.step, radial.coefficients, features)
        change = np.zeros((len(places), 0))
        if around.density:
            change = self.densities_at(first, second, distance, species)
            if around.density_mean.size:
                change -= around.density_mean[species]
        sites = np.zeros((len(places), 0))
        if around.potential:
            sites = ion_potentials(
                places,
                boxes.cells[0],
                boxes.periodic,
                species,
                self.n_species,
                eta=around.eta,
                long_range=around.potential == "ewald",
            )
            if around.potential_mean.size:
                sites -= around.potential_mean[species]
        return FrameGeometry(first, second, kind, distance, rotation, features, shift, species, change, sites)

    @cached_property
    def most_momentum(self) -> int:
        """Largest angular momentum of the basis."""
        return max(l for species in range(self.n_species) for l in self.basis.momenta(species))  # noqa: E741

    def densities_at(self, first: Integers, second: Integers, distance: Floats, species: Integers) -> Floats:
        """Return the densities at each atom [n_atoms, n_densities], not from their reference."""
        around = self.surroundings
        columns = np.zeros(self.n_species, np.int64)
        if around.density == "element":
            columns = np.arange(self.n_species)
        out = np.zeros((len(species), around.n_densities(self.n_species)))
        densities(first, second, distance, species, around.bond, around.density_reach, columns, out)
        return out

    def blocks(self, theta: Floats, geometry: FrameGeometry) -> tuple[Floats, Floats]:
        """Return the on-site blocks [n_atoms, n, n] and the hopping blocks [n_pairs, n, n], eV."""
        n = self.most_orbitals
        on_site = np.zeros((len(geometry.species), n, n))
        hops = np.zeros((len(geometry.first), n, n))
        blocks(theta[: self.n_own], geometry, self.table, on_site, hops)
        return on_site, hops

    def first_of(self, geometry: FrameGeometry) -> Integers:
        """Return the first orbital of each atom, then their number [n_atoms + 1]."""
        return np.concatenate([[0], np.cumsum(self.table.offsets[geometry.species])])

    def hamiltonian(self, theta: Floats, geometry: FrameGeometry) -> Floats:
        """Return H at Gamma [n_orbitals, n_orbitals], eV."""
        on_site, hops = self.blocks(theta, geometry)
        first = self.first_of(geometry)
        H = np.zeros((first[-1], first[-1]))
        assemble(on_site, hops, geometry, self.table, first, H)
        return H

    def metric(self, theta: Floats, geometry: FrameGeometry) -> Floats | None:
        """Return S at Gamma [n_orbitals, n_orbitals]; None where the basis is orthogonal."""
        if self.overlap is None:
            return None
        S = self.overlap.hamiltonian(theta[self.n_own :], geometry)
        S[np.diag_indices_from(S)] += 1.0
        return S

    def solve(self, theta: Floats, geometry: FrameGeometry, metric: Floats | None = None) -> tuple[Floats, Floats]:
        """Return levels [n], eV, and states [n_orbitals, n] of H c = E S c, normalised by S, which may be known already.

        Raises
        ------
        LinAlgError
            If S is not positive definite.
        """
        H = self.hamiltonian(theta, geometry)
        S = self.metric(theta, geometry) if metric is None else metric
        if S is None:
            levels, states = np.linalg.eigh(H)
        else:
            levels, states = eigh(H, S, driver="gvd", check_finite=False, overwrite_a=True)
        return levels, states

    def element_sums(self, C: Floats, D: Floats, geometry: FrameGeometry, levels: Floats | None = None) -> Floats:
        """Return <c_k|B_q - E_k S_q|d_k> for the columns of C and D [n_orbitals, n_vectors]: [n_parameters, n_vectors].

        Parameters
        ----------
        C, D
            Vectors.
        geometry
            Of the frame.
        levels
            E of each column [n_vectors], eV; needed where the basis is not orthogonal.
        """
        out = np.zeros((self.n_parameters, C.shape[1]))
        C, D = np.ascontiguousarray(C), np.ascontiguousarray(D)
        first = self.first_of(geometry)
        element_sums(C, D, geometry, self.table, first, out[: self.n_own])
        if levels is not None:
            out[self.n_own :] = -levels * self.metric_sums(out)
        return out

    @cached_property
    def metric_columns(self) -> Integers:
        """Parameters of H whose matrices B_q are those of S, in the order of S: a hopping's before any modulation."""
        if self.overlap is None:
            return np.zeros(0, np.int64)
        starts = {term: at.start for term, at in zip(self.terms, self.columns, strict=True)}
        pairs = zip(self.overlap.terms, self.overlap.columns, strict=True)
        return np.concatenate([starts[term] + np.arange(at.stop - at.start) for term, at in pairs])

    def metric_sums(self, sums: Floats) -> Floats:
        """Return <c_k|S_q|d_k> [n_parameters of S, n_vectors] from what `element_sums` returned."""
        return np.asarray(sums[self.metric_columns])


@lru_cache(maxsize=64)
def _boxes_of_cell(cell: bytes, pbc: tuple[bool, ...], radius: float) -> Boxes:
    """Return the box of a cell, given as bytes; the frames of a trajectory often share theirs."""
    whole = complete_cells(np.frombuffer(cell).reshape(3, 3), (pbc[0], pbc[1], pbc[2]))
    return boxes_of(whole, np.array(pbc), radius)


def _compile(model: BandModel) -> ChannelTable:
    basis, n = model.basis, model.n_species
    index = {element: k for k, element in enumerate(basis.elements)}
    starts = _shell_starts(basis)
    channels: dict[int, list[tuple[int, ...]]] = {kind: [] for kind in range(n * n)}
    sites: list[list[tuple[int, ...]]] = [[] for _ in range(n)]

    def add(
        kind: int,
        place: int,
        one: tuple[int, str],
        two: tuple[int, str],
        term: Hopping | CrystalField,
        sign: int,
        at: slice,
        own: int,
    ) -> None:
        functions = model.functions_of(term)
        channels[kind].append(
            (
                place,
                LETTERS.index(one[1]),
                LETTERS.index(two[1]),
                starts[one],
                starts[two],
                term.m,
                sign,
                at.start,
                functions.start,
                functions.stop,
                model.n_densities,
                own,
            )
        )

    for term, at in zip(model.terms, model.columns, strict=True):
        a = index[term.element]
        if isinstance(term, Level | Potential):
            source = index[term.source] if isinstance(term, Potential) else -1
            size = 2 * LETTERS.index(term.shell) + 1
            sites[a].append((starts[a, term.shell], size, at.start, source))
        elif isinstance(term, Hopping):
            b, parity = index[term.neighbour], _parity(term.shell, term.neighbour_shell)
            one, two = (a, term.shell), (b, term.neighbour_shell)
            if a <= b:
                add(a * n + b, HOP, one, two, term, 1, at, 2 if _is_symmetric(term) else 0)
            else:
                add(b * n + a, HOP, two, one, term, parity, at, 1)
            if a == b and term.shell != term.neighbour_shell:
                add(a * n + a, HOP, two, one, term, parity, at, 1)
        elif isinstance(term, CrystalField):
            b, parity = index[term.neighbour], _parity(term.shell, term.other_shell)
            one, two = (a, term.shell), (a, term.other_shell)
            if a <= b:
                add(a * n + b, ON_FIRST, one, two, term, 1, at, 0)
            if a >= b:
                add(b * n + a, ON_SECOND, one, two, term, parity, at, 1)
    # those that act at one place and see the same functions side by side: kernels multiply them together
    flat = [channel for kind in range(n * n) for channel in sorted(channels[kind], key=lambda one: (one[0], one[-1]))]
    fields = np.array(flat, dtype=np.int64).reshape(-1, 12).T.copy()
    reaches = model.surroundings.radial.reaches
    reach = np.array([reaches[0 if channel[0] == HOP else 1] for channel in flat])
    site_fields = np.array([site for part in sites for site in part], dtype=np.int64).reshape(-1, 4).T.copy()
    first_channels = _starts([len(channels[kind]) for kind in range(n * n)])
    n_orbitals = np.array([basis.n_orbitals(k) for k in range(n)], dtype=np.int64)
    return ChannelTable._make(
        [first_channels, *fields, reach, _starts([len(part) for part in sites]), *site_fields, n_orbitals]
    )


def _shell_starts(basis: OrbitalBasis) -> dict[tuple[int, str], int]:
    """Return the first orbital of each shell within its atom, by element and letter."""
    return {
        (k, letter): sum(2 * l + 1 for l in basis.momenta(k)[: basis.shells[k].index(letter)])  # noqa: E741
        for k in range(len(basis.elements))
        for letter in basis.shells[k]
    }


def _is_symmetric(term: Term) -> bool:
    """Whether both ends of a hopping are the same, so that only the sum of their densities can matter."""
    return isinstance(term, Hopping) and term.element == term.neighbour and term.shell == term.neighbour_shell


def _parity(one: str, other: str) -> int:
    return 1 - 2 * ((LETTERS.index(one) + LETTERS.index(other)) % 2)


def _starts(counts: Sequence[int]) -> Integers:
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)

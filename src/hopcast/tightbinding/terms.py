"""Terms of the Hamiltonian, declared: each contributes columns of one linear parametrisation, H = sum_q theta_q B_q."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hopcast.tightbinding.basis import OrbitalBasis
from hopcast.tightbinding.elements import LETTERS
from hopcast.tightbinding.slater_koster import CHANNEL_NAMES


@dataclass(frozen=True)
class Level:
    """The level of a shell."""

    element: str
    shell: str

    @property
    def label(self) -> str:
        """How a table names it."""
        return f"{self.element} {self.shell} level"

    @property
    def elements(self) -> tuple[str, ...]:
        """Of the orbitals, then of the neighbour."""
        return (self.element,)


@dataclass(frozen=True)
class Potential:
    """The electrostatic potential of one element's ions as a shift of a shell; its parameter is that element's charge."""

    element: str
    shell: str
    source: str

    @property
    def label(self) -> str:
        """How a table names it."""
        return f"{self.element} {self.shell} in the potential of {self.source}"

    @property
    def elements(self) -> tuple[str, ...]:
        """Of the orbitals, then of the neighbour."""
        return (self.element, self.source)


@dataclass(frozen=True)
class Hopping:
    """Between a shell of one element and a shell of another (or the same), with |m| along the bond."""

    element: str
    shell: str
    neighbour: str
    neighbour_shell: str
    m: int

    @property
    def label(self) -> str:
        """How a table names it."""
        return f"{self.element}-{self.neighbour} {self.shell}{self.neighbour_shell}{CHANNEL_NAMES[self.m]}"

    @property
    def elements(self) -> tuple[str, ...]:
        """Of the orbitals, then of the neighbour."""
        return (self.element, self.neighbour)


@dataclass(frozen=True)
class CrystalField:
    """What a neighbour does to the orbitals of an atom: a shift, a splitting, or the mixing of two shells."""

    element: str
    shell: str
    other_shell: str
    neighbour: str
    m: int

    @property
    def label(self) -> str:
        """How a table names it."""
        return f"{self.element} {self.shell}{self.other_shell}{CHANNEL_NAMES[self.m]} near {self.neighbour}"

    @property
    def elements(self) -> tuple[str, ...]:
        """Of the orbitals, then of the neighbour."""
        return (self.element, self.neighbour)


@dataclass(frozen=True)
class Momentum:
    """What an atom's velocity does between two of its shells, which move with it (`hopcast.tightbinding.motion`); l of the second is one more."""

    element: str
    shell: str
    other_shell: str

    @property
    def label(self) -> str:
        """How a table names it."""
        return f"{self.element} {self.shell}{self.other_shell} momentum"

    @property
    def elements(self) -> tuple[str, ...]:
        """Of the orbitals."""
        return (self.element,)


Term = Level | Potential | Hopping | CrystalField | Momentum
Keep = Callable[[Term], bool]


def standard_terms(
    basis: OrbitalBasis, *, potential: bool = False, momenta: bool = False, keep: Keep | None = None
) -> tuple[Term, ...]:
    """Return all terms that symmetry allows between atoms two at a time.

    Parameters
    ----------
    basis
        The orbitals.
    potential
        Also the electrostatic potential of each element's ions on each shell.
    momenta
        Also those of an atom between its shells.
    keep
        Which terms stay (an ablation); levels always do.
    """
    elements = list(zip(basis.elements, basis.shells, strict=True))
    terms: list[Term] = [Level(element, shell) for element, shells in elements for shell in shells]
    for index, (element, shells) in enumerate(elements):
        for neighbour, neighbour_shells in elements[index:]:
            terms += [
                Hopping(element, one, neighbour, other, m)
                for one in shells
                for other in neighbour_shells
                # between like elements sp and ps are one function, up to the sign (-1)^(l + l')
                if neighbour != element or LETTERS.index(one) <= LETTERS.index(other)
                for m in range(_channels(one, other))
            ]
    for element, shells in elements:
        for neighbour in basis.elements:
            terms += [
                CrystalField(element, one, other, neighbour, m)
                for k, one in enumerate(shells)
                for other in shells[k:]
                for m in range(_channels(one, other))
            ]
    if potential:
        terms += [
            Potential(element, shell, source)
            for element, shells in elements
            for shell in shells
            for source in basis.elements
        ]
    if momenta:
        terms += [
            Momentum(element, one, other)
            for element, shells in elements
            for one in shells
            for other in shells
            if LETTERS.index(other) == LETTERS.index(one) + 1
        ]
    return tuple(term for term in terms if isinstance(term, Level) or keep is None or keep(term))


def hoppings_of(terms: Sequence[Term]) -> tuple[Hopping, ...]:
    """Return the hoppings among some terms: where orbitals hop they may also overlap."""
    return tuple(term for term in terms if isinstance(term, Hopping))


def describe(terms: Sequence[Term]) -> str:
    """Return how many terms of each kind there are, in words."""
    kinds = {
        Level: "levels",
        Hopping: "hoppings",
        CrystalField: "crystal fields",
        Potential: "potentials",
        Momentum: "momenta",
    }
    counts = {name: sum(isinstance(term, kind) for term in terms) for kind, name in kinds.items()}
    return ", ".join(f"{count} {name}" for name, count in counts.items() if count)


def _channels(one: str, other: str) -> int:
    return min(LETTERS.index(one), LETTERS.index(other)) + 1

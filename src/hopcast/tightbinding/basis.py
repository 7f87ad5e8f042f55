"""`OrbitalBasis`: the orbitals that each element brings, and how they lie in the matrix of a frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hopcast.core.errors import ConfigError, InputError, nearest
from hopcast.tightbinding.elements import LETTERS, atomic_level, check_shells, default_basis, valence_electrons

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class OrbitalBasis:
    """Orthogonal real orbitals by element.

    Attributes
    ----------
    elements
        Symbols, by atomic number.
    shells
        Letters of each element's shells, e.g. ``("", "sp", "sp")``.
    electrons
        That each element gives to the bands.
    """

    elements: tuple[str, ...]
    shells: tuple[str, ...]
    electrons: tuple[int, ...]

    def __post_init__(self) -> None:
        if not any(self.shells):
            raise ConfigError("Argument `basis` must give orbitals to at least one element, but gives none.")

    @property
    def numbers(self) -> tuple[int, ...]:
        """Atomic numbers of the elements."""
        from ase.data import atomic_numbers

        return tuple(atomic_numbers[symbol] for symbol in self.elements)

    def momenta(self, species: int) -> tuple[int, ...]:
        """Return the angular momenta of an element's shells."""
        return tuple(LETTERS.index(letter) for letter in self.shells[species])

    def n_orbitals(self, species: int) -> int:
        """Return the number of orbitals of an atom of the element."""
        return sum(2 * l + 1 for l in self.momenta(species))  # noqa: E741

    def level(self, species: int, letter: str) -> float:
        """Return the atomic level of a shell, eV."""
        return atomic_level(self.elements[species], letter)

    def species_of(self, numbers: Integers) -> Integers:
        """Return the index of each atom's element.

        Raises
        ------
        InputError
            If an atom's element is not in the basis.
        """
        from ase.data import chemical_symbols

        known = {number: index for index, number in enumerate(self.numbers)}
        for atom, number in enumerate(numbers):
            if int(number) not in known:
                raise InputError(
                    f"Atom {atom} is {chemical_symbols[int(number)]}, but the tight binding knows "
                    f"{', '.join(self.elements)} only: fit one with frames that hold it."
                )
        return np.array([known[int(number)] for number in numbers], dtype=np.int64)

    def n_occupied(self, numbers: Integers) -> int:
        """Return the number of doubly occupied levels of a cell.

        Raises
        ------
        InputError
            If the number of valence electrons is odd.
        """
        species = self.species_of(numbers)
        electrons = sum(self.electrons[index] for index in species)
        if electrons % 2:
            counts = ", ".join(
                f"{count} {symbol} with {self.electrons[index]}"
                for index, symbol in enumerate(self.elements)
                if (count := int(np.sum(species == index)))
            )
            raise InputError(
                f"Doubly occupied bands need an even number of valence electrons, but the cell has {electrons} ({counts}). "
                "Give `valence` by element, or leave out the charged or spin-polarised system."
            )
        return electrons // 2


def make_basis(
    symbols: Sequence[str], basis: Mapping[str, str] | None = None, valence: Mapping[str, int] | None = None
) -> OrbitalBasis:
    """Return the basis of some elements: the default of each, or what was asked for.

    Parameters
    ----------
    symbols
        Chemical symbols of the atoms (repetitions do not matter).
    basis
        Shells by element, e.g. ``{"Cs": "s", "Pb": "sp"}``; "" for an ion without orbitals.
    valence
        Electrons by element, where the table's are not meant.

    Raises
    ------
    ConfigError
        If an element named is not among the atoms, or its shells are not s, p or d.
    InputError
        If an element has no entry in the table of atomic levels and none was given.
    """
    from ase.data import atomic_numbers

    elements = tuple(sorted(set(symbols), key=lambda symbol: int(atomic_numbers[symbol])))
    basis, valence = dict(basis or {}), dict(valence or {})
    for name, given in (("basis", basis), ("valence", valence)):
        for symbol in given:
            if symbol not in elements:
                raise ConfigError(
                    f"Argument `{name}` must name elements of the trajectory ({', '.join(elements)}), but names `{symbol}`."
                    f"{nearest(symbol, elements)}"
                )
    shells = tuple(
        check_shells(symbol, basis[symbol]) if symbol in basis else default_basis(symbol) for symbol in elements
    )
    electrons = tuple(
        int(valence[symbol]) if symbol in valence else valence_electrons(symbol, letters)
        for symbol, letters in zip(elements, shells, strict=True)
    )
    return OrbitalBasis(elements, shells, electrons)

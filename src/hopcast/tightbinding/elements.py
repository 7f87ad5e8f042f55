"""Elements: the shells of an atom, which of them make the basis, and how many electrons fill the bands."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources

from hopcast.core.errors import ConfigError, InputError

LETTERS = "spd"
"""Shells by angular momentum."""

CLOSED_D = 3.5
"""A full d shell further below the s level of its atom than this, eV, is core."""


@dataclass(frozen=True)
class Shell:
    """One valence shell of a neutral atom.

    Attributes
    ----------
    n, l
        Quantum numbers.
    electrons
        In it.
    energy
        Kohn-Sham level of the spherical atom, eV.
    """

    n: int
    l: int  # noqa: E741 - its name
    electrons: int
    energy: float

    @property
    def letter(self) -> str:
        """``s``, ``p`` or ``d``."""
        return LETTERS[self.l]


@cache
def _table() -> dict[str, tuple[Shell, ...]]:
    text = (resources.files("hopcast.tightbinding") / "elements.tsv").read_text(encoding="utf-8")
    table: dict[str, tuple[Shell, ...]] = {}
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        symbol, name, electrons, energy = line.split("\t")
        shell = Shell(int(name[0]), LETTERS.index(name[1]), int(electrons), float(energy))
        table[symbol] = (*table.get(symbol, ()), shell)
    return table


def valence_shells(symbol: str) -> tuple[Shell, ...]:
    """Return the valence shells of an element, s before p before d.

    Raises
    ------
    InputError
        If the element is not in the table (open f shells, no such element).
    """
    if symbol not in _table():
        raise InputError(
            f"Element `{symbol}` has no valence shells in the table of atomic levels (open f shells are left out). "
            f'Name its orbitals and electrons, e.g. basis = {{{symbol} = "sd"}} and valence = {{{symbol} = 3}}.'
        )
    return _table()[symbol]


def default_basis(symbol: str) -> str:
    """Return the shells that an element brings to the basis, e.g. "sp".

    Ions of groups 1 and 2 (from Na on) bring none: their electrons fill the bands of others. Main-group elements bring s and p,
    transition metals s, p and d; a full d shell is taken where its level lies near the s level.
    """
    from ase.data import atomic_numbers

    number = atomic_numbers.get(symbol, 0)
    if number in (1, 2, 3):
        return "s"
    if number in (11, 12, 19, 20, 37, 38, 55, 56):
        return ""
    shells = {shell.letter: shell for shell in valence_shells(symbol)}
    d = shells.get("d")
    open_d = d is not None and (d.electrons < 10 or shells["s"].energy - d.energy < CLOSED_D)
    return "spd" if open_d else "sp"


def valence_electrons(symbol: str, basis: str) -> int:
    """Return how many electrons an element gives to the bands of a basis.

    Electrons of a shell in the basis count. Of a shell that is left out they count too (an ion gives them away), except a full d
    shell and the s shell below a p shell in the basis, which are core.
    """
    count = 0
    shells = valence_shells(symbol)
    occupied_p = any(shell.l == 1 and shell.electrons for shell in shells) and "p" in basis
    for shell in shells:
        core = (shell.l == 2 and shell.electrons == 10) or (shell.l == 0 and occupied_p)
        if shell.letter in basis or not core:
            count += shell.electrons
    return count


def atomic_level(symbol: str, letter: str) -> float:
    """Return the atomic level of a shell, eV; 0 (the vacuum) where the atom does not bind it."""
    return next((shell.energy for shell in _table().get(symbol, ()) if shell.letter == letter), 0.0)


def check_shells(symbol: str, letters: str) -> str:
    """Return the letters of a basis in the order s, p, d.

    Raises
    ------
    ConfigError
        If there is another letter, or one twice.
    """
    if len(set(letters)) != len(letters) or any(letter not in LETTERS for letter in letters):
        raise ConfigError(
            f'Argument `basis` must name shells out of s, p and d for {symbol}, each once (e.g. "sp", or "" for none), '
            f"but is `{letters}`."
        )
    return "".join(sorted(letters, key=LETTERS.index))

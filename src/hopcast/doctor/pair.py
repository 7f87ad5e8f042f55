"""Which two states a check is about, and how that was decided."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from hopcast.core.errors import InputError
from hopcast.core.hamiltonian import VibronicHamiltonian
from hopcast.doctor.verdict import Verdict
from hopcast.dynamics.dephasing import Dephasing

STANDS_OUT = 2.0
"""The largest mean gap is the band gap where it is larger than the next by this factor, whatever the unit."""


@dataclass(frozen=True)
class Context:
    """What the checks are told beside the data.

    Attributes
    ----------
    pair
        The two states of interest.
    names
        How they are called in sentences.
    duration
        Length of the dynamics that is planned, fs.
    is_gap
        Whether the pair is the band gap (and not two states of one band).
    dephasing
        Of the pair, or why there is none.
    """

    pair: tuple[int, int]
    names: str
    duration: float | None
    is_gap: bool
    dephasing: Dephasing | str


def choose_pair(ham: VibronicHamiltonian, pair: tuple[int, int] | None) -> tuple[tuple[int, int], bool, Verdict]:
    """Return the pair to judge, whether it is the band gap, and the verdict that says so.

    The pair that is given; else the band edges where the number of occupied states is known; else the neighbours with the largest mean gap.

    Raises
    ------
    InputError
        If there is one state only, or the pair does not exist.
    """
    if ham.n_states < 2:
        raise InputError("A check needs at least two states, but the Hamiltonian has one.")
    occupied = ham.n_occupied
    edges = (occupied - 1, occupied) if occupied is not None and 0 < occupied < ham.n_states else None
    guess = _largest_gap(ham)
    gap_known = edges or (guess.pair if occupied is None and guess.stands_out else None)
    if pair is not None:
        if pair[0] == pair[1] or not all(0 <= state < ham.n_states for state in pair):
            raise InputError(f"Argument `pair` must name two of the {ham.n_states} states, but is {pair}.")
        is_gap = gap_known is not None and set(pair) == set(gap_known)
        return pair, is_gap, Verdict("pair", "good", f"Judged are {named(ham, pair)}, as asked for.")
    if edges is not None:
        finding = f"Judged are {named(ham, edges)}, the band edges: {occupied} of {ham.n_states} states are occupied."
        return edges, True, Verdict("pair", "good", finding)
    if ham.n_states == 2:
        finding = f"Judged are {named(ham, (0, 1))}: there are no others."
        return (0, 1), occupied is None, Verdict("pair", "good", finding)
    evidence = {"mean_gap_eV": guess.gap, "next_gap_eV": guess.following}
    if occupied is not None:  # all of them, or none: the states of one band
        finding = f"Judged are {named(ham, guess.pair)}, which have the largest mean gap: all states lie on one side of the band gap."
        return guess.pair, False, Verdict("pair", "good", finding, "", evidence)
    finding = (
        f"Nobody said how many states are occupied: judged are {named(ham, guess.pair)}, which have the largest mean gap "
        f"({guess.gap:.3g} eV, the next has {guess.following:.3g} eV)"
        + (", as a band gap." if guess.stands_out else ", and not as a band gap: it does not stand out.")
    )
    fix = f"Give --occupied {guess.n_below} if these are the band edges, or another number, or --pair."
    return guess.pair, guess.stands_out, Verdict("pair", "warn", finding, fix, evidence)


class _Guess(NamedTuple):
    """The neighbours in energy with the largest mean gap, this gap and the next largest (eV), and how many states lie below it."""

    pair: tuple[int, int]
    gap: float
    following: float
    n_below: int

    @property
    def stands_out(self) -> bool:
        return self.gap > STANDS_OUT * self.following


def _largest_gap(ham: VibronicHamiltonian) -> _Guess:
    known = ham.energies[ham.energy_known]
    if not len(known):
        return _Guess((0, 1), 0.0, 0.0, 1)
    means = known.mean(axis=0)
    order = np.argsort(means, kind="stable")
    gaps = np.diff(means[order])
    largest = int(gaps.argmax())
    following = float(np.delete(gaps, largest).max(initial=0.0))
    return _Guess((int(order[largest]), int(order[largest + 1])), float(gaps[largest]), following, largest + 1)


def named(ham: VibronicHamiltonian, pair: tuple[int, int]) -> str:
    """Return how two states are called: by number, and by name where that says more."""
    words = [
        f"{state}" if ham.state_labels[state] == str(state) else f"{state} ({ham.state_labels[state]})"
        for state in pair
    ]
    return f"states {words[0]} and {words[1]}"

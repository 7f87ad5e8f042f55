r"""Which parts of a Hamiltonian matter: terms taken out, the rest fitted anew, all judged on steps that no fit saw.

A `Variant` says what stays. `score_variants` fits each to the training steps of every fold, from the minimum of the whole Hamiltonian, and
scores it on the steps left out. `eliminate_terms` goes on taking out what costs the training steps least: with N the Gauss-Newton matrix and W
the prior's at the minimum, parameters g can be set to zero at a cost of

.. math:: \theta_g^T\,\big\{[(N + W)^{-1}]_{gg}\big\}^{-1}\,\theta_g

to second order, all others following (B. Hassibi, D. G. Stork, Adv. Neural Inf. Process. Syst. 1993, 5, 164). It ends where the gap on left-out steps
would lose more than is allowed by any further one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hopcast.core.hamiltonian import VibronicHamiltonian
from hopcast.core.trajectory import Trajectory
from hopcast.tightbinding.fitted import FittedBands
from hopcast.tightbinding.parts import DENSITY, OVERLAP, Variant, VariantScore, fit_whole
from hopcast.tightbinding.terms import Keep

Steps = NDArray[np.intp]

AT_ONCE = 6
"""One in so many terms is taken out at a time, as long as nothing is lost."""


@dataclass(frozen=True)
class Elimination:
    """Hamiltonians with fewer and fewer terms.

    Attributes
    ----------
    path
        The whole one, then everything that was tried, in order.
    smallest
        The one with the fewest parameters whose gap R2 on left-out steps is within the tolerance of the whole one's.
    tolerance
        Of R2.
    """

    path: tuple[VariantScore, ...]
    smallest: VariantScore
    tolerance: float

    @property
    def keep(self) -> Keep:
        """For ``TightBinding(keep=...)``: the terms of the smallest."""
        terms = frozenset(self.smallest.terms)
        return lambda term: term in terms


def score_variants(
    bands: FittedBands,
    trajectory: Trajectory,
    hamiltonian: VibronicHamiltonian,
    folds: Sequence[tuple[Steps, Steps]],
    variants: Sequence[Variant],
    *,
    workers: int | None = None,
) -> tuple[VariantScore, ...]:
    """Fit variants of a Hamiltonian to some steps and score them on others.

    Parameters
    ----------
    bands
        Gives form, radial functions and where fits start; nothing of its parameters is used.
    trajectory, hamiltonian
        Of the same frames.
    folds
        Steps t, t + 1 to learn from and steps to be judged on, by t.
    variants
        What is taken out.
    workers
        Threads.

    Returns
    -------
    tuple of VariantScore
        The whole Hamiltonian, then each variant.

    Raises
    ------
    InputError
        If a fold has fewer than 10 known steps to learn from or none to be judged on, or as `TightBinding.fit`.
    """
    whole = fit_whole(bands, trajectory, hamiltonian, folds, workers)
    scores = [whole.score("everything")]
    for variant in variants:
        scores.append(whole.without(variant).score(variant.name))
    return tuple(scores)


def eliminate_terms(
    bands: FittedBands,
    trajectory: Trajectory,
    hamiltonian: VibronicHamiltonian,
    folds: Sequence[tuple[Steps, Steps]],
    *,
    tolerance: float = 0.02,
    workers: int | None = None,
) -> Elimination:
    """Take out of a Hamiltonian what it needs least, again and again, as long as the gap on left-out steps is forecast as well.

    Parameters
    ----------
    bands, trajectory, hamiltonian, folds, workers
        As of `score_variants`.
    tolerance
        How much of the gap's R2 may be lost.

    Returns
    -------
    Elimination
        Which terms go is decided on the training steps of all folds together, how many on those left out: the smallest one's
        scores are a little better than new steps would give.

    Raises
    ------
    InputError
        As `score_variants`.
    """
    here = fit_whole(bands, trajectory, hamiltonian, folds, workers)
    best = here.score("everything")
    path, allowed = [best], best.scores.gap_r2 - tolerance
    at_once, needed = max(1, len(here.candidates()) // AT_ONCE), set[str]()
    while ranked := [label for label in here.candidates() if label not in needed]:
        dropped = ranked[: min(at_once, max(1, len(ranked) // AT_ONCE))]
        there = here.without(_without(dropped))
        found = there.score("without " + ", ".join(dropped))
        path.append(found)
        if found.scores.gap_r2 >= allowed:
            here, best = there, found
        elif len(dropped) == 1:
            needed.update(dropped)
        else:
            at_once = len(dropped) // 2
    return Elimination(tuple(path), best, tolerance)


def _without(labels: Sequence[str]) -> Variant:
    """Return the variant without what `FoldFits.candidates` calls so."""
    return Variant("", lambda term: term.label not in labels, DENSITY not in labels, OVERLAP not in labels)

"""`Learner`: what forecasts ask of a regression, and `Abilities`: what one can beyond that, said instead of asked by class.

A module of `hopcast.regression` that names its `LEARNER`, a class of scikit-learn's dialect whose attributes are numbers, text and arrays,
lets forecasts with it into files.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from numpy.typing import ArrayLike


class Learner(Protocol):
    """A regression in scikit-learn's dialect."""

    def fit(self, X: ArrayLike, y: ArrayLike) -> Any:
        """Learn targets [n_samples] from features [n_samples, n_features]; returns itself."""
        ...

    def predict(self, X: ArrayLike) -> Any:
        """Return forecasts [n_samples]."""
        ...


@dataclass(frozen=True)
class Abilities:
    """What a learner can; one that says nothing (``learner.abilities``) can nothing of this.

    Attributes
    ----------
    many_targets
        `fit` takes targets [n_samples, n_targets] and labels of blocks, chooses for each target as if it were alone, and costs
        little more than for one.
    in_threads
        Several may be fitted at a time.
    leaves_blocks_out
        `block_out_forecast` and `block_out_residuals`: errors on training blocks, each left out, without refits.
    is_exact
        Its cost grows with the cube of the samples: of very many it needs some.
    is_a_line
        More samples than some thousands do not move it.
    learns_many
        Thousands of samples are affordable in a choice among learners.
    other_cells
        `predict` takes the `symbols` of a cell with other numbers of atoms.
    """

    many_targets: bool = False
    in_threads: bool = False
    leaves_blocks_out: bool = False
    is_exact: bool = False
    is_a_line: bool = False
    learns_many: bool = False
    other_cells: bool = False


def abilities_of(learner: object) -> Abilities:
    """Return what a learner says it can."""
    found = getattr(learner, "abilities", None)
    return found if isinstance(found, Abilities) else Abilities()

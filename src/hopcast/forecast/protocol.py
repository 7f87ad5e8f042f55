"""What a forecaster is, and the kinds of them: each is one file in `hopcast.forecast.kinds` that names its `KIND`.

To add one, put a module there with ``KIND = ForecasterKind(...)``. Nothing else changes: `fit_forecaster`, `predict_stream`,
files of forecasters, ``hopcast fit`` and ``hopcast predict`` find it there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Literal, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from hopcast.core.declared import list_declared
from hopcast.core.forecast import HamiltonianForecast
from hopcast.core.hamiltonian import VibronicHamiltonian
from hopcast.core.trajectory import Trajectory
from hopcast.evaluation import Extrapolation

DEPHASING: Final = "dephasing time"
"""Key of the provenance that says where the dephasing time comes from."""


MOST_ATOMS: Final = 40
"""Cells up to which kinds that learn a window of bands are tried without being asked for: a tight binding of 145 pairs of 20 atoms takes a
minute of CPU time, and a matrix of twice the size eight times as long."""


class Forecaster(Protocol):
    """What learns a Hamiltonian from the steps of a trajectory that are known."""

    def fit(
        self, trajectory: Trajectory, known: VibronicHamiltonian, steps: NDArray[np.intp] | None = None
    ) -> FittedForecaster:
        """Learn from some of the known steps; None takes all of them.

        A step is a pair of neighbouring frames with the energies of both and the coupling between them. Nothing but the
        geometries of other frames may be used.
        """


class FittedForecaster(Protocol):
    """What goes from geometries to a Hamiltonian."""

    @property
    def timestep(self) -> float:
        """Between frames, fs."""

    @property
    def n_samples(self) -> int:
        """Steps that were learnt from."""

    @property
    def n_occupied(self) -> int:
        """Of the states that are forecast."""

    @property
    def state_labels(self) -> tuple[str, ...]:
        """Names of the states that are forecast."""

    @property
    def scores(self) -> Mapping[str, float]:
        """R2 of gap and coupling on held-out stretches of time; 0 is the mean."""

    @property
    def models(self) -> Mapping[str, str]:
        """What forecasts the gap and what the coupling, in words."""

    @property
    def dephasing_time(self) -> float:
        """Of the gaps that were learnt from, fs; the provenance says how it was found (`DEPHASING`)."""

    @property
    def provenance(self) -> Mapping[str, str]:
        """Where it comes from, as text; "training samples" says how many and how far apart."""

    def forecast(self, geometries: Trajectory, *, workers: int | None = None) -> HamiltonianForecast:
        """Forecast consecutive frames, at least two; a pure function, for threads and other machines alike."""

    def check(self, trajectory: Trajectory) -> None:
        """Refuse (`InputError`) a trajectory of another kind than the training set's."""

    def size_doubt(self, trajectory: Trajectory) -> str:
        """Return what a user must know where the cell has another number of atoms than the training set's, or nothing."""

    def judged(
        self, distance: NDArray[np.float64], relative_std: NDArray[np.float64] | None, outside: NDArray[np.bool_]
    ) -> Extrapolation:
        """Return the judgement of all frames, with its limits."""

    def scored(self, scores: Mapping[str, float]) -> Self:
        """Return the same with scores from held-out stretches of time."""


FoldFits = Callable[[Any, Trajectory, VibronicHamiltonian, Sequence[NDArray[np.intp]], int | None], list[Any]]
"""Fitted to all, trajectory, what is known, steps of each fold, threads -> one fitted forecaster for each fold."""


@dataclass(frozen=True)
class ForecasterKind:
    """A kind of forecaster.

    Attributes
    ----------
    name
        What users and tables call it.
    takes
        "pair": the two states of a gap; "window": every state that is known.
    make
        Return one that has learnt nothing, for so many threads.
    unable
        Return why it cannot learn from these data, or nothing.
    fitted
        The class of what `fit` returns.
    put, get
        Store it in an HDF5 group, and load it: plain numbers, text and arrays, nothing that could run.
    fit_folds
        From one that learnt from all steps and the steps of each fold to one for each fold, cheaper than by a fit each; what it
        says may depend on nothing that its fold leaves out. None: there is no cheaper way.
    """

    name: str
    takes: Literal["pair", "window"]
    make: Callable[[int | None], Forecaster]
    unable: Callable[[Trajectory, VibronicHamiltonian, int], str]
    fitted: type
    put: Callable[[Any, Any], None]
    get: Callable[[Any], FittedForecaster]
    fit_folds: FoldFits | None = None


@lru_cache(maxsize=1)
def list_kinds() -> tuple[ForecasterKind, ...]:
    """Return all kinds of forecasters, by name."""
    from hopcast.forecast import kinds

    return tuple(sorted(list_declared(kinds, "KIND"), key=lambda kind: kind.name))


def doubt(forecaster: FittedForecaster) -> str:
    """Return what a user must know before using a forecast: which targets it knows no better than their mean, or nothing."""
    poor = [f"{name} (R² {r2:.2g})" for name, r2 in forecaster.scores.items() if r2 <= 0.0]
    if not poor:
        return ""
    return (
        f"On training samples left out in blocks the forecast of {' and '.join(poor)} is no better than the mean: use the "
        "average over the computed pairs (`hopcast run` prints it with its interval), or compute more of them."
    )

"""What a forecast is chosen among: representations of the geometry, each with a learner."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from hopcast.core.trajectory import Trajectory
from hopcast.descriptors import RadialFunctions, StructuralNumbers, SymmetryFunctions
from hopcast.forecast.representation import Representation
from hopcast.regression import ExchangeableRidge, LaplacianRidge, LinearRidge

N_TREES: Final = 40

PUBLISHED: Final = "angular functions, fixed order"
"""The option of the published protocol."""


@dataclass(frozen=True, eq=False)
class Option:
    """A representation and a learner for it.

    Attributes
    ----------
    name
        What the table calls it.
    representation
        Of the geometry; a coupling sees its rate of change too.
    learner
        A scikit-learn regressor.
    """

    name: str
    representation: Representation
    learner: Any


def options(trajectory: Trajectory, angular: SymmetryFunctions, workers: int | None = None) -> tuple[Option, ...]:
    """Return the candidates, from the published representation to plain numbers of the structure.

    All of their learners are Gaussian processes of ours, with deviations, and go into a file.
    """
    radial = RadialFunctions.from_trajectory(trajectory)
    symbols: Sequence[str] = trajectory.symbols
    atoms = Representation("angular", angular)
    means = Representation("angular means", angular, "mean and spread")
    tightest = Representation("tightest bond", StructuralNumbers.from_trajectory(trajectory, tightest=True))
    structure = Representation("structure", StructuralNumbers.from_trajectory(trajectory))

    def smooth() -> LaplacianRidge:
        return LaplacianRidge(kernel="matern32", workers=workers)

    return (
        Option(PUBLISHED, atoms, LaplacianRidge(workers=workers)),
        Option("angular functions, exchangeable", atoms, ExchangeableRidge(symbols, workers=workers)),
        Option("angular means, kernel", means, smooth()),
        Option("radial means, kernel", Representation("radial means", radial, "mean"), smooth()),
        Option("numbers of the tightest bond, kernel", tightest, smooth()),
        Option("numbers of the tightest bond, line", tightest, LinearRidge(workers=workers)),
        Option("numbers of all bonds, line", structure, LinearRidge(workers=workers)),
    )


def trees(trajectory: Trajectory) -> Option:
    """Return trees on radial means: for comparison, for they have no deviation and go into no file."""
    from sklearn.ensemble import ExtraTreesRegressor

    means = Representation("radial means", RadialFunctions.from_trajectory(trajectory), "mean")
    return Option("radial means, trees", means, ExtraTreesRegressor(N_TREES, min_samples_leaf=3, random_state=0))

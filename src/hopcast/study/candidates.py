"""What a sparse study chooses among: representations of the geometry, each with a learner."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from hopcast.core.trajectory import Trajectory
from hopcast.descriptors import RadialFunctions, StructuralNumbers, SymmetryFunctions, pool_elements
from hopcast.regression import ExchangeableRidge, LaplacianRidge

Array = NDArray[np.float64]

Pool = Literal["atoms", "mean", "mean and spread"]

N_TREES = 40


@dataclass(frozen=True, eq=False)
class Representation:
    """A way to turn frames into columns.

    Attributes
    ----------
    name
        What the table calls it.
    functions
        Of each atom, or of a whole frame.
    pool
        Each atom by itself, or averages over the atoms of an element.
    """

    name: str
    functions: SymmetryFunctions | RadialFunctions | StructuralNumbers
    pool: Pool = "atoms"

    def of_frames(self, trajectory: Trajectory, workers: int | None) -> Array:
        """Return the columns of every frame, [n_frames, n_columns] or [n_frames, n_atoms, n_columns]."""
        columns = self.functions.transform(trajectory, workers=workers)
        if self.pool == "atoms":
            return columns
        return pool_elements(columns, trajectory, spread=self.pool == "mean and spread")


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


def options(trajectory: Trajectory, angular: SymmetryFunctions, workers: int | None) -> tuple[Option, ...]:
    """Return the candidates of a sparse study, from the published representation to plain numbers of the structure."""
    radial = RadialFunctions.from_trajectory(trajectory)
    symbols: Sequence[str] = trajectory.symbols
    atoms = Representation("angular", angular)
    means = Representation("angular means", angular, "mean and spread")
    radial_means = Representation("radial means", radial, "mean")
    tightest = Representation("tightest bond", StructuralNumbers.from_trajectory(trajectory, tightest=True))
    structure = Representation("structure", StructuralNumbers.from_trajectory(trajectory))
    line = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-3, 4, 15)))
    trees = ExtraTreesRegressor(N_TREES, min_samples_leaf=3, random_state=0)
    return (
        Option("angular functions, fixed order", atoms, LaplacianRidge(workers=workers)),
        Option("angular functions, exchangeable", atoms, ExchangeableRidge(symbols, workers=workers)),
        Option("angular means, kernel", means, LaplacianRidge(kernel="matern32", workers=workers)),
        Option("radial means, kernel", radial_means, LaplacianRidge(kernel="matern32", workers=workers)),
        Option("radial means, trees", radial_means, trees),
        Option(
            "numbers of the tightest bond, kernel",
            tightest,
            LaplacianRidge(kernel="matern32", workers=workers),
        ),
        Option("numbers of the tightest bond, line", tightest, line),
        Option("numbers of all bonds, line", structure, line),
    )


def target_columns(target: str, now: Array, later: Array, timestep: float) -> Array:
    """Return what a learner sees of pairs of frames, [n_pairs, n_columns]: their mean, and for couplings its rate of change."""
    parts = [0.5 * (now + later)]
    if target == "nac":
        parts.append((later - now) / timestep)
    return np.concatenate(parts, axis=-1).reshape(len(now), -1)

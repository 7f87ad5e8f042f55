"""`Forecaster`: from geometries to gap and coupling."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from ase.geometry import cell_to_cellpar
from numpy.typing import NDArray

from hopcast.core.errors import InputError
from hopcast.core.trajectory import Trajectory
from hopcast.descriptors import SymmetryFunctions, flatten
from hopcast.evaluation import TrainingDomain, extrapolation, training_domain
from hopcast.regression import LaplacianRidge

Array = NDArray[np.float64]

LENGTH_TOLERANCE = 0.03
"""Lattice vectors of another length, relative, belong to another cell."""

ANGLE_TOLERANCE = 3.0
"""Degrees."""


@dataclass(frozen=True, eq=False)
class Forecaster:
    """A fitted forecast of the gap and the coupling of two states.

    Attributes
    ----------
    functions
        What the learners see of a geometry.
    gap, coupling
        Learners of the gap and of the coupling's modulus times gap over mean gap.
    mean_gap
        Over the training samples, eV.
    gap_scale, coupling_scale
        Factors on the posterior variances, from leave-one-out residuals.
    symbols
        Of the atoms, in their order.
    cell
        Mean lattice vectors of the training trajectory [3, 3], Å.
    timestep
        Between frames, fs: rates of change of features are differences over it.
    state_labels
        Names of the two states.
    dephasing_time
        hbar over the standard deviation of the training gaps, fs: that of a gap that keeps its value for much longer. A forecast
        gap varies too little to give its own.
    scores
        R2 of `gap` and `coupling` on the training samples, each left out with its block; 0 is the mean.
    provenance
        Where it comes from, as text.
    """

    functions: SymmetryFunctions
    gap: LaplacianRidge
    coupling: LaplacianRidge
    mean_gap: float
    gap_scale: float
    coupling_scale: float
    symbols: tuple[str, ...]
    cell: Array
    timestep: float
    state_labels: tuple[str, ...]
    dephasing_time: float
    scores: Mapping[str, float] = field(default_factory=dict)
    provenance: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def domain(self) -> TrainingDomain:
        """Where the geometries of the training set lie."""
        return training_domain(self.gap, workers=1)

    @property
    def n_samples(self) -> int:
        """Number of training samples."""
        return len(self.gap.X_fit_)

    @property
    def doubt(self) -> str:
        """What a user must know before using the forecast: which targets it knows no better than their mean, or nothing."""
        poor = [f"{name} (R² {r2:.2g})" for name, r2 in self.scores.items() if r2 <= 0.0]
        if not poor:
            return ""
        return (
            f"On training samples left out in blocks the forecast of {' and '.join(poor)} is no better than the mean: use the "
            "average over the computed pairs (`hopcast run` prints it with its interval), or compute more of them."
        )

    def check(self, trajectory: Trajectory) -> None:
        """Refuse a trajectory of another kind than the training set's.

        Raises
        ------
        InputError
            If the atoms, the cell or the time step differ.
        """
        if trajectory.symbols != self.symbols:
            ours = ", ".join(f"{self.symbols.count(e)} {e}" for e in dict.fromkeys(self.symbols))
            theirs = ", ".join(f"{trajectory.symbols.count(e)} {e}" for e in trajectory.elements)
            order = " in another order" if sorted(trajectory.symbols) == sorted(self.symbols) else ""
            raise InputError(
                f"A forecaster of {ours} atoms must see the same atoms in the same order, but the trajectory has "
                f"{theirs}{order}. Fit one for these atoms."
            )
        if not math.isclose(trajectory.timestep, self.timestep, rel_tol=1e-6):
            raise InputError(
                f"A forecaster fitted at {self.timestep:g} fs between frames must see the same time step, but the trajectory has "
                f"{trajectory.timestep:g} fs: couplings are learnt from differences between neighbouring frames."
            )
        found, known = (cell_to_cellpar(cell) for cell in (mean_cell(trajectory), self.cell))
        lengths = np.abs(found[:3] / known[:3] - 1).max()
        angles = np.abs(found[3:] - known[3:]).max()
        if lengths > LENGTH_TOLERANCE or angles > ANGLE_TOLERANCE:
            raise InputError(
                f"A forecaster of the cell {_shown(known)} must see a like one (lengths within {100 * LENGTH_TOLERANCE:g} %, "
                f"angles within {ANGLE_TOLERANCE:g} degrees), but the trajectory has {_shown(found)}. Fit one for this cell."
            )


def forecast_chunk(
    forecaster: Forecaster, geometries: Trajectory, n_frames: int
) -> dict[str, NDArray[np.generic]]:
    """Return the forecast of consecutive frames; a pure function, for threads and other machines alike.

    Parameters
    ----------
    forecaster
        What forecasts.
    geometries
        The frames, and the one after them where there is one.
    n_frames
        How many of them are forecast: the last may only end a mid-point.

    Returns
    -------
    dict
        ``gap``, ``gap_std``, ``relative_std``, ``distance``, ``outside`` [n_frames]; ``coupling``, ``coupling_std`` at the mid-points
        that begin at these frames. eV.
    """
    flat = flatten(forecaster.functions.transform(geometries, workers=1))
    frames, now, later = flat[:n_frames], flat[:-1], flat[1:]
    gap, latent = forecaster.gap.predict(frames, return_std=True)
    where = extrapolation(forecaster.domain, frames, std=latent)
    assert where.relative_std is not None
    result: dict[str, NDArray[np.generic]] = {
        "gap": gap,
        "gap_std": math.sqrt(forecaster.gap_scale) * latent,
        "relative_std": where.relative_std,
        "distance": where.distance,
        "outside": where.outside,
        "coupling": np.empty(0),
        "coupling_std": np.empty(0),
    }
    if len(now):
        middle = 0.5 * (now + later)
        at_middle = np.asarray(forecaster.gap.predict(middle))
        columns = np.concatenate([middle, (later - now) / geometries.timestep], axis=1)
        values, spread = forecaster.coupling.predict(columns, return_std=True)
        to_coupling = forecaster.mean_gap / at_middle
        result["coupling"] = np.abs(values * to_coupling)
        result["coupling_std"] = math.sqrt(forecaster.coupling_scale) * np.abs(spread * to_coupling)
    return result


def mean_cell(trajectory: Trajectory) -> Array:
    """Return the lattice vectors averaged over frames [3, 3], Å."""
    return trajectory.cell if trajectory.cell.ndim == 2 else trajectory.cell.mean(axis=0)


def _shown(parameters: Array) -> str:
    return (
        " × ".join(f"{x:.2f}" for x in parameters[:3])
        + " Å, "
        + ", ".join(f"{x:.0f}°" for x in parameters[3:])
    )

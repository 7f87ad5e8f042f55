"""`Forecaster`: from geometries to gap and coupling."""

from __future__ import annotations

import math
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from ase.geometry import cell_to_cellpar
from numpy.typing import NDArray

from hopcast.core.errors import InputError, QualityWarning
from hopcast.core.trajectory import Trajectory
from hopcast.descriptors import pool_elements
from hopcast.evaluation import TrainingDomain, extrapolation
from hopcast.forecast.representation import Representation, target_columns
from hopcast.regression import ExchangeableRidge
from hopcast.regression.frame_model import FrameModel

Array = NDArray[np.float64]

DEPHASING: Final = "dephasing time"
"""Key of the provenance that says where the dephasing time comes from."""

LENGTH_TOLERANCE = 0.03
"""Lattice vectors of another length, relative, belong to another cell."""

ANGLE_TOLERANCE = 3.0
"""Degrees."""


@dataclass(frozen=True, eq=False)
class TargetModel:
    """A fitted learner of one target, and what it sees.

    Attributes
    ----------
    name
        Of the option that was chosen.
    representation
        Of the geometry.
    learner
        A fitted Gaussian process.
    scale
        Factor on the posterior variances, from training samples left out one by one.
    r2
        Of training samples left out in blocks; 0 is the mean.
    """

    name: str
    representation: Representation
    learner: FrameModel
    scale: float
    r2: float

    @property
    def fits_other_cells(self) -> bool:
        """Whether cells with other numbers of atoms can be seen."""
        return isinstance(self.learner, ExchangeableRidge) or not self.representation.is_atomic

    def predict(self, columns: Array, symbols: Sequence[str]) -> tuple[Array, Array]:
        """Return the forecast and its posterior deviation, not scaled, of columns of frames with these atoms."""
        if isinstance(self.learner, ExchangeableRidge):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", QualityWarning)  # said once, by `Forecaster.size_doubt`
                found = self.learner.predict(columns, return_std=True, symbols=symbols)
        else:
            found = self.learner.predict(columns, return_std=True)
        assert isinstance(found, tuple)
        return found

    def domain_columns(self, columns: Array, symbols: Sequence[str]) -> Array:
        """Return the columns by which distances to training frames are judged: of exchangeable atoms their means and spreads."""
        if not isinstance(self.learner, ExchangeableRidge):
            return columns
        return pool_elements(columns.reshape(len(columns), len(symbols), -1), symbols, spread=True)


@dataclass(frozen=True, eq=False)
class Forecaster:
    """A fitted forecast of the gap and the coupling of two states.

    Attributes
    ----------
    gap, coupling
        Models of the gap, and of the coupling's modulus times gap over mean gap.
    domain
        Where the geometries of the training set lie, as the model of the gap sees them.
    mean_gap
        Over the training samples, eV.
    symbols
        Of the atoms, in their order.
    cell
        Mean lattice vectors of the training trajectory [3, 3], Å.
    timestep
        Between frames, fs: rates of change of features are differences over it.
    n_samples
        Pairs of frames that were learnt from.
    state_labels
        Names of the two states.
    dephasing_time
        Of the training gaps, fs: of their correlation in time where every frame is known, else hbar over their standard deviation, as for a
        gap that keeps its value for much longer. A forecast gap varies too little to give its own.
    provenance
        Where it comes from, as text.
    """

    gap: TargetModel
    coupling: TargetModel
    domain: TrainingDomain
    mean_gap: float
    symbols: tuple[str, ...]
    cell: Array
    timestep: float
    n_samples: int
    state_labels: tuple[str, ...]
    dephasing_time: float
    provenance: Mapping[str, str] = field(default_factory=dict)

    @property
    def models(self) -> dict[str, TargetModel]:
        """The models by the names of their targets."""
        return {"gap": self.gap, "coupling": self.coupling}

    @property
    def scores(self) -> dict[str, float]:
        """R2 of the targets on training samples left out in blocks; 0 is the mean."""
        return {name: model.r2 for name, model in self.models.items()}

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

    def size_doubt(self, trajectory: Trajectory) -> str:
        """Return what a user must know where the cell has another number of atoms than the training set's, or nothing."""
        if trajectory.n_atoms == len(self.symbols):
            return ""
        return (
            f"extrapolation in size: the models saw {len(self.symbols)} atoms and are applied to {trajectory.n_atoms}. They average "
            "over atoms; nothing was learnt of cells of this size, whose gaps fluctuate less."
        )

    def check(self, trajectory: Trajectory) -> None:
        """Refuse a trajectory of another kind than the training set's.

        Cells of another size are taken where both models see averages over atoms: they must have the same elements in the same
        ratio, and the same volume an atom.

        Raises
        ------
        InputError
            If the atoms, the cell or the time step differ.
        """
        same_size = trajectory.n_atoms == len(self.symbols)
        fixed = [name for name, model in self.models.items() if not model.fits_other_cells]
        ours = ", ".join(f"{self.symbols.count(e)} {e}" for e in dict.fromkeys(self.symbols))
        theirs = ", ".join(f"{trajectory.symbols.count(e)} {e}" for e in trajectory.elements)
        if fixed and trajectory.symbols != self.symbols:
            order = " in another order" if sorted(trajectory.symbols) == sorted(self.symbols) else ""
            raise InputError(
                f"A forecaster of {ours} atoms must see the same atoms in the same order (its model of the {fixed[0]} knows each "
                f"atom by its place), but the trajectory has {theirs}{order}. Fit one for these atoms, or choose a model that "
                "averages over atoms (`hopcast fit --model`)."
            )
        if _composition(trajectory.symbols) != _composition(self.symbols):
            raise InputError(
                f"A forecaster of {ours} atoms must see the same elements in the same ratio, but the trajectory has {theirs}. Fit one "
                "for this material."
            )
        if not math.isclose(trajectory.timestep, self.timestep, rel_tol=1e-6):
            raise InputError(
                f"A forecaster fitted at {self.timestep:g} fs between frames must see the same time step, but the trajectory has "
                f"{trajectory.timestep:g} fs: couplings are learnt from differences between neighbouring frames."
            )
        cell = mean_cell(trajectory)
        if not same_size:
            volumes = [
                abs(np.linalg.det(one)) / n
                for one, n in ((cell, trajectory.n_atoms), (self.cell, len(self.symbols)))
            ]
            if abs(volumes[0] / volumes[1] - 1) > 3 * LENGTH_TOLERANCE:
                raise InputError(
                    f"A forecaster of {volumes[1]:.2f} Å³ an atom must see a like density (within {300 * LENGTH_TOLERANCE:g} %), but "
                    f"the trajectory has {volumes[0]:.2f} Å³. Fit one for this cell."
                )
            return
        found, known = (cell_to_cellpar(one) for one in (cell, self.cell))
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
    gap, coupling, symbols = forecaster.gap, forecaster.coupling, geometries.symbols
    seen = {
        one: one.of_frames(geometries, workers=1)
        for one in dict.fromkeys((gap.representation, coupling.representation))
    }
    of_gap, of_coupling = seen[gap.representation], seen[coupling.representation]
    frames = of_gap[:n_frames].reshape(n_frames, -1)
    mean, latent = gap.predict(frames, symbols)
    where = extrapolation(forecaster.domain, gap.domain_columns(frames, symbols), std=latent, workers=1)
    assert where.relative_std is not None
    result: dict[str, NDArray[np.generic]] = {
        "gap": mean,
        "gap_std": math.sqrt(gap.scale) * latent,
        "relative_std": where.relative_std,
        "distance": where.distance,
        "outside": where.outside,
        "coupling": np.empty(0),
        "coupling_std": np.empty(0),
    }
    if len(of_gap) > 1:
        at_middle, _ = gap.predict(
            target_columns("gap", of_gap[:-1], of_gap[1:], geometries.timestep), symbols
        )
        columns = target_columns("nac", of_coupling[:-1], of_coupling[1:], geometries.timestep)
        values, spread = coupling.predict(columns, symbols)
        to_coupling = forecaster.mean_gap / at_middle
        result["coupling"] = np.abs(values * to_coupling)
        result["coupling_std"] = math.sqrt(coupling.scale) * np.abs(spread * to_coupling)
    return result


def mean_cell(trajectory: Trajectory) -> Array:
    """Return the lattice vectors averaged over frames [3, 3], Å."""
    return trajectory.cell if trajectory.cell.ndim == 2 else trajectory.cell.mean(axis=0)


def _composition(symbols: Sequence[str]) -> dict[str, int]:
    """Return the smallest whole numbers of atoms of each element."""
    counts = Counter(symbols)
    common = math.gcd(*counts.values())
    return {element: count // common for element, count in counts.items()}


def _shown(parameters: Array) -> str:
    return (
        " × ".join(f"{x:.2f}" for x in parameters[:3])
        + " Å, "
        + ", ".join(f"{x:.0f}°" for x in parameters[3:])
    )

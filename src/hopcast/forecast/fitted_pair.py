"""`FittedPair`: from geometries to gap and coupling of two states, by one learner each."""

from __future__ import annotations

import math
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Self

import numpy as np
from ase.geometry import cell_to_cellpar
from numpy.typing import NDArray

from hopcast.core.errors import InputError, QualityWarning
from hopcast.core.forecast import HamiltonianForecast, HamiltonianStd
from hopcast.core.hamiltonian import VibronicHamiltonian
from hopcast.core.trajectory import Trajectory
from hopcast.descriptors import pool_elements
from hopcast.evaluation import Extrapolation, TrainingDomain, extrapolation
from hopcast.forecast.pair import PairPhysics, pair_hamiltonian, target_columns
from hopcast.forecast.representation import Representation
from hopcast.regression.frame_model import FrameModel

Array = NDArray[np.float64]

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
        return self.learner.abilities.other_cells or not self.representation.is_atomic

    def predict(self, columns: Array, symbols: Sequence[str], workers: int | None) -> tuple[Array, Array]:
        """Return the forecast and its posterior deviation, not scaled, of columns of frames with these atoms."""
        learner = copy(self.learner).set_params(workers=workers)
        predict = partial(learner.predict, symbols=symbols) if learner.abilities.other_cells else learner.predict
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", QualityWarning)  # another cell is said once, by `size_doubt`
            found = predict(columns, return_std=True)
        assert isinstance(found, tuple)
        return found

    def draws(self, columns: Array, mean: Array, n: int, seed: int) -> Array:
        """Return series drawn from the scaled joint posterior around its mean [n, n_frames]."""
        return mean + math.sqrt(self.scale) * (self.learner.sample(columns, n, random_state=seed) - mean)

    def domain_columns(self, columns: Array, symbols: Sequence[str]) -> Array:
        """Return the columns by which distances to training frames are judged: of exchangeable atoms their means and spreads."""
        if not self.learner.abilities.other_cells:
            return columns
        return pool_elements(columns.reshape(len(columns), len(symbols), -1), symbols, spread=True)


@dataclass(frozen=True, eq=False)
class FittedPair:
    """A fitted forecast of the gap and the coupling of two states: a `FittedForecaster`.

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
    def targets(self) -> dict[str, TargetModel]:
        """The models by the names of their targets."""
        return {"gap": self.gap, "coupling": self.coupling}

    @property
    def models(self) -> dict[str, str]:
        """What forecasts each target, in words."""
        return {name: model.name for name, model in self.targets.items()}

    @property
    def scores(self) -> dict[str, float]:
        """R2 of the targets on training samples left out in blocks; 0 is the mean."""
        return {name: model.r2 for name, model in self.targets.items()}

    @property
    def n_occupied(self) -> int:
        """The lower state is."""
        return 1

    def scored(self, scores: Mapping[str, float]) -> Self:
        """Return the same with other scores."""
        gap, coupling = (replace(one, r2=scores[name]) for name, one in self.targets.items())
        return replace(self, gap=gap, coupling=coupling)

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
        fixed = [name for name, model in self.targets.items() if not model.fits_other_cells]
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
                abs(np.linalg.det(one)) / n for one, n in ((cell, trajectory.n_atoms), (self.cell, len(self.symbols)))
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

    def judged(self, distance: Array, relative_std: Array | None, outside: NDArray[np.bool_]) -> Extrapolation:
        """Return the judgement of frames with the limits of the training set."""
        domain = self.domain
        return Extrapolation(distance, relative_std, outside, domain.distance_limit, domain.std_limit, domain.level)

    def forecast(self, geometries: Trajectory, *, workers: int | None = None) -> HamiltonianForecast:
        """Return the forecast of consecutive frames: gaps there, moduli of couplings at the mid-points between them."""
        gap, coupling, symbols = self.gap, self.coupling, geometries.symbols
        seen = {
            one: one.of_frames(geometries, workers=workers)
            for one in dict.fromkeys((gap.representation, coupling.representation))
        }
        of_gap, of_coupling = seen[gap.representation], seen[coupling.representation]
        frames = of_gap.reshape(len(of_gap), -1)
        middle = target_columns("gap", of_gap[:-1], of_gap[1:], geometries.timestep)
        steps = target_columns("nac", of_coupling[:-1], of_coupling[1:], geometries.timestep)
        mean, latent = gap.predict(frames, symbols, workers)
        at_middle, _ = gap.predict(middle, symbols, workers)
        learnt, spread = coupling.predict(steps, symbols, workers)
        where = extrapolation(self.domain, gap.domain_columns(frames, symbols), std=latent, workers=workers)
        physics = PairPhysics(self.mean_gap)
        std = HamiltonianStd(
            np.stack([np.zeros_like(mean), math.sqrt(gap.scale) * latent], axis=1),
            _off_diagonal(math.sqrt(coupling.scale) * np.abs(physics.coupling(spread, at_middle))),
        )

        def hamiltonian(gaps: Array, middles: Array, values: Array) -> VibronicHamiltonian:
            size = np.abs(physics.coupling(values, middles))
            return pair_hamiltonian(gaps, size, self.timestep, self.state_labels, provenance=self.provenance)

        def draw(n: int, seed: int) -> Iterator[VibronicHamiltonian]:
            gaps = gap.draws(frames, mean, n, seed)
            values = coupling.draws(steps, learnt, n, seed)
            for one, value in zip(gaps, values, strict=True):
                yield hamiltonian(one, 0.5 * (one[1:] + one[:-1]), value)

        return HamiltonianForecast(
            hamiltonian(mean, at_middle, learnt), std, where.outside, where.distance, where.relative_std, draw
        )


def _off_diagonal(values: Array) -> Array:
    matrix = np.zeros((len(values), 2, 2))
    matrix[:, 0, 1] = matrix[:, 1, 0] = values
    return matrix


def mean_cell(trajectory: Trajectory) -> Array:
    """Return the lattice vectors averaged over frames [3, 3], Å."""
    return trajectory.cell if trajectory.cell.ndim == 2 else trajectory.cell.mean(axis=0)


def _composition(symbols: Sequence[str]) -> dict[str, int]:
    """Return the smallest whole numbers of atoms of each element."""
    counts = Counter(symbols)
    common = math.gcd(*counts.values())
    return {element: count // common for element, count in counts.items()}


def _shown(parameters: Array) -> str:
    return " × ".join(f"{x:.2f}" for x in parameters[:3]) + " Å, " + ", ".join(f"{x:.0f}°" for x in parameters[3:])

"""`StudyReport`: all that a report shows, independent of how the numbers were made.

What a study has to supply:

- `results`, the records of `hopcast.results`. Verdicts are added here and need not be given. The first Hamiltonian is the
  ab initio one.
- `series`, the arrays behind the figures. Each may be None: its figure is then left out and the report says so.
  Names of models and Hamiltonians are those of `results`.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hopcast.abinitio.electrons import BandEdges, DensityOfStates
from hopcast.core.errors import InputError
from hopcast.results import StudyResults, validate_results, with_verdicts
from hopcast.results.forecasts import ModelRecord
from hopcast.results.study import DataRecord

Array = NDArray[np.float64]

CHOSEN = "chosen"
"""Name of the model that a sparse study chooses among representations and learners."""


def _check_length(name: str, array: NDArray[Any] | None, shape: tuple[int, ...]) -> None:
    if array is not None and np.shape(array) != shape:
        raise InputError(f"Argument `{name}` must have the shape {list(shape)}, but has {list(np.shape(array))}.")


@dataclass(frozen=True, eq=False, repr=False)
class Structure:
    """One frame of the trajectory.

    Parameters
    ----------
    positions
        [n_atoms, 3], Å; wrapped or not.
    cell
        Lattice vectors as rows [3, 3], Å.
    numbers
        Atomic numbers [n_atoms].
    pbc
        Periodicity along the three lattice vectors.
    """

    positions: Array
    cell: Array
    numbers: NDArray[np.int64]
    pbc: tuple[bool, bool, bool] = (True, True, True)

    def __post_init__(self) -> None:
        _check_length("positions", self.positions, (len(self.numbers), 3))
        _check_length("cell", self.cell, (3, 3))

    @property
    def has_cell(self) -> bool:
        """Whether the lattice vectors span a cell; a molecule in vacuum may have none."""
        return abs(float(np.linalg.det(self.cell))) > 1e-9

    @property
    def box(self) -> Array:
        """The cell, or a box around the atoms where there is none: vectors as rows [3, 3], Å."""
        return self.cell if self.has_cell else np.diag(np.ptp(self.positions, axis=0) + 1.0)

    @property
    def corners(self) -> Array:
        """Corners of the box [8, 3], Å, the last vector fast."""
        origin = np.zeros(3) if self.has_cell else self.positions.min(axis=0) - 0.5
        return origin + np.array(list(itertools.product((0.0, 1.0), repeat=3))) @ self.box


@dataclass(frozen=True, eq=False, repr=False)
class Forecast:
    """A target along the trajectory, ab initio and as the models forecast it.

    Parameters
    ----------
    times
        [n], fs: frames for the gap, mid-points for the coupling.
    ab_initio
        [n], eV: the gap, or |hbar d| of the pair. NaN where it is unknown.
    train
        Which of them trained the models (interleaved split) [n].
    models
        By name of the model: the forecast at every time, training frames included [n], eV.
    held_out
        By name of the model, of a sparse Hamiltonian: the forecast of known values by a model that did not see them, NaN
        elsewhere [n], eV.
    """

    times: Array
    ab_initio: Array
    train: NDArray[np.bool_]
    models: Mapping[str, Array]
    held_out: Mapping[str, Array] = field(default_factory=dict)

    def __post_init__(self) -> None:
        shape = (len(self.times),)
        _check_length("ab_initio", self.ab_initio, shape)
        _check_length("train", self.train, shape)
        for kind in ("models", "held_out"):
            for name, values in getattr(self, kind).items():
                _check_length(f"{kind}[{name!r}]", values, shape)


@dataclass(frozen=True, eq=False, repr=False)
class Dephasing:
    """The pure-dephasing function of the ab initio gap.

    Parameters
    ----------
    times
        [n], fs, from 0.
    function
        D(t) = exp(-g(t)) [n].
    tau
        Dephasing time in the convention of the study, fs (`results.dephasing` names it).
    correlation
        C(t) = <dE(t) dE(0)> on its own times, eV^2, and those times in fs; both or neither.
    """

    times: Array
    function: Array
    tau: float
    correlation_times: Array | None = None
    correlation: Array | None = None

    def __post_init__(self) -> None:
        _check_length("function", self.function, (len(self.times),))
        if self.correlation_times is not None:
            _check_length("correlation", self.correlation, (len(self.correlation_times),))


@dataclass(frozen=True, eq=False, repr=False)
class Populations:
    """Ground-state populations, averaged over initial times, by name of the Hamiltonian.

    Parameters
    ----------
    times
        [n], ns.
    values
        By name [n].
    low, high
        Ends of the 95 % interval by name [n]; names may be missing.
    monte_carlo
        The Monte Carlo engine on the ab initio Hamiltonian, beside the exact solver [n], where it was run.
    """

    times: Array
    values: Mapping[str, Array]
    low: Mapping[str, Array] = field(default_factory=dict)
    high: Mapping[str, Array] = field(default_factory=dict)
    monte_carlo: Array | None = None

    def __post_init__(self) -> None:
        shape = (len(self.times),)
        for kind in ("values", "low", "high"):
            for name, values in getattr(self, kind).items():
                _check_length(f"{kind}[{name!r}]", values, shape)
        _check_length("monte_carlo", self.monte_carlo, shape)


@dataclass(frozen=True, eq=False, repr=False)
class InformationMap:
    """Mutual information of an element's symmetry functions with a target, averaged over its atoms, nat.

    Parameters
    ----------
    element, target
        As in `results`.
    r_s, theta_s
        [n_r_s] Å and [n_theta_s] radians.
    raw, null, corrected
        [n_r_s, n_theta_s]; `null` is the mean of `raw` on shifted features.
    r_labels, theta_labels
        Element pairs they come from, e.g. "Pb-I" and "I-Pb" (or empty).
    """

    element: str
    target: str
    r_s: Array
    theta_s: Array
    raw: Array
    null: Array | None = None
    corrected: Array | None = None
    r_labels: tuple[str, ...] = ()
    theta_labels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        shape = (len(self.r_s), len(self.theta_s))
        for name in ("raw", "null", "corrected"):
            _check_length(name, getattr(self, name), shape)


@dataclass(frozen=True, eq=False, repr=False)
class Relaxation:
    """A carrier on its way through its bands, by one or more methods.

    Parameters
    ----------
    name, carrier
        As in `results.relaxation`.
    states
        Bands, the edge where the carrier ends first.
    times
        [n], fs.
    populations
        By method [n, n_states].
    energy, energy_error
        Energy above the edge and the 95 % half-width of its sampling, by method [n], eV.
    """

    name: str
    carrier: str
    states: tuple[str, ...]
    times: Array
    populations: Mapping[str, Array]
    energy: Mapping[str, Array]
    energy_error: Mapping[str, Array]

    def __post_init__(self) -> None:
        n = len(self.times)
        for method, values in self.populations.items():
            _check_length(f"populations[{method!r}]", values, (n, len(self.states)))
            _check_length(f"energy[{method!r}]", self.energy[method], (n,))
            _check_length(f"energy_error[{method!r}]", self.energy_error[method], (n,))


@dataclass(frozen=True, eq=False, repr=False)
class ElectronHole:
    """Electron and hole in one run, beside each alone.

    Parameters
    ----------
    method
        Surface-hopping method.
    times
        [n], fs.
    groups
        Populations by name [n]: which of the two are hot, at the edge, recombined.
    energy, energy_error
        Energy above the edge and the 95 % half-width of its sampling, by carrier ("electron", "hole") and way ("together",
        "alone") [n], eV.
    """

    method: str
    times: Array
    groups: Mapping[str, Array]
    energy: Mapping[tuple[str, str], Array]
    energy_error: Mapping[tuple[str, str], Array]

    def __post_init__(self) -> None:
        for name, values in self.groups.items():
            _check_length(f"groups[{name!r}]", values, (len(self.times),))
        for key, values in self.energy.items():
            _check_length(f"energy[{key!r}]", values, (len(self.times),))
            _check_length(f"energy_error[{key!r}]", self.energy_error[key], (len(self.times),))


@dataclass(frozen=True, eq=False, repr=False)
class Series:
    """The arrays behind the figures. None (or empty): the figure is left out and the report says so.

    Parameters
    ----------
    structure
        One frame.
    gap, nac
        Targets and forecasts. Their spectra are computed by the figure.
    dephasing, populations
        Of the dynamics.
    maps
        One for each element and target.
    atoms
        By target: corrected information of each atom's features, summed, nat [n_atoms]; NaN where unknown.
    relaxation
        One for each carrier.
    pair
        Electron and hole together.
    states, edges
        Density of states and band-edge states of the frames whose orbitals are known.
    """

    structure: Structure | None = None
    gap: Forecast | None = None
    nac: Forecast | None = None
    dephasing: Dephasing | None = None
    populations: Populations | None = None
    maps: tuple[InformationMap, ...] = ()
    atoms: Mapping[str, Array] = field(default_factory=dict)
    relaxation: tuple[Relaxation, ...] = ()
    pair: ElectronHole | None = None
    states: DensityOfStates | None = None
    edges: BandEdges | None = None

    def __post_init__(self) -> None:
        if self.structure is not None:
            if self.edges is not None:
                _check_length("edges.weights", self.edges.weights, (2, len(self.structure.numbers)))
            for target, values in self.atoms.items():
                _check_length(f"atoms[{target!r}]", values, (len(self.structure.numbers),))

    def target(self, name: str) -> Forecast | None:
        """Return the series of the target "gap" or "nac"."""
        return self.gap if name == "gap" else self.nac


@dataclass(frozen=True, eq=False, repr=False)
class StudyReport:
    """Numbers and arrays of a study, checked, with verdicts.

    Parameters
    ----------
    results
        Records, or what `results.json` holds; verdicts are added.
    series
        Arrays behind the figures.

    Raises
    ------
    InputError
        If `results` do not follow the schema or a series has the wrong length.
    """

    results: StudyResults
    series: Series = field(default_factory=Series)

    def __post_init__(self) -> None:
        object.__setattr__(self, "results", with_verdicts(validate_results(self.results)))

    def __repr__(self) -> str:
        n = len(self.results.hamiltonians)
        return f"StudyReport({self.data.name!r}, {len(self.model_names)} models, {n} Hamiltonians)"

    @property
    def data(self) -> DataRecord:
        """The `data` record."""
        return self.results.data

    @property
    def elements(self) -> tuple[str, ...]:
        """Elements of the material."""
        return self.results.elements

    @property
    def model_names(self) -> tuple[str, ...]:
        """Names of the models, each once, in the order of the results."""
        return self.results.model_names

    def model(self, name: str, target: str, split: str) -> ModelRecord | None:
        """Return the record of a model on a target and split, or None."""
        return self.results.model(name, target, split)

    def _any(self, name: str) -> ModelRecord | None:
        return next((one for one in self.results.models if one.name == name), None)

    def elements_of(self, name: str) -> tuple[str, ...]:
        """Return the elements whose features a model uses (all for an unknown name)."""
        model = self._any(name)
        return self.elements if model is None else tuple(model.elements)

    def features_of(self, name: str) -> int:
        """Return how many features an atom a model uses (0 for an unknown name, or one of the whole Hamiltonian)."""
        model = self._any(name)
        return (model and model.features) or 0

    def is_hamiltonian(self, name: str) -> bool:
        """Whether a model learns the whole Hamiltonian."""
        model = self._any(name)
        return model is not None and model.is_hamiltonian

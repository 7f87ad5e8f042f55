"""The whole Hamiltonian of a window of bands, by a tight binding that was learnt (`hopcast.tightbinding`)."""

from __future__ import annotations

import dataclasses
import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from hopcast.core import hdf5
from hopcast.core.errors import ConfigError, InputError, QualityWarning
from hopcast.core.forecast import HamiltonianForecast
from hopcast.core.hamiltonian import VibronicHamiltonian
from hopcast.core.trajectory import Trajectory
from hopcast.core.units import HBAR
from hopcast.dynamics import dephasing_time
from hopcast.evaluation import Extrapolation
from hopcast.forecast.protocol import DEPHASING, ForecasterKind
from hopcast.tightbinding import (
    AtomSlopes,
    FittedBands,
    Form,
    TightBinding,
    atom_slopes,
    fit_folds,
    forecast_bands,
    get_bands,
    put_bands,
)
from hopcast.tightbinding.estimator import INSIDE

NAME = "tight binding"

FEWEST_STATES = 6
"""Below these the energies of other bands are missed too much to compete: on CsPbI3 eight bands lost the couplings."""


@dataclass(frozen=True)
class TightBindingForecaster:
    """Learns a tight binding: a `Forecaster`.

    Parameters
    ----------
    form
        Hyperparameters of the fit.
    workers
        Threads.
    """

    form: Form = Form()  # noqa: RUF009 - frozen
    workers: int | None = None

    def fit(
        self, trajectory: Trajectory, known: VibronicHamiltonian, steps: NDArray[np.intp] | None = None
    ) -> FittedTightBinding:
        """Learn from some of the known steps; a fit that does not converge says so in its provenance."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", QualityWarning)
            bands = TightBinding(form=self.form, workers=self.workers).fit(trajectory, known, steps).bands_
        pair = known.select([bands.n_occupied - 1, bands.n_occupied])
        gaps = pair.gap()
        if np.isfinite(gaps).all():
            tau, source = dephasing_time(pair), f"from the gap of all {known.n_frames} frames"
        else:
            seen = gaps[np.isfinite(gaps)]
            tau = HBAR / float(seen.std())
            source = "hbar / sigma of the computed gaps, too short where the gap turns faster"
        return FittedTightBinding(bands, tau, source)


@dataclass(frozen=True, eq=False)
class FittedTightBinding:
    """A fitted tight binding: a `FittedForecaster`.

    Attributes
    ----------
    bands
        Model, parameters, error bars.
    dephasing_time
        Of the gaps that were learnt from, fs.
    dephasing_source
        Where it comes from.
    held_out
        R2 of gap and coupling that somebody else found; None: those of the fit's own left-out blocks.
    """

    bands: FittedBands
    dephasing_time: float
    dephasing_source: str
    held_out: tuple[float, float] | None = None

    @property
    def timestep(self) -> float:
        """Between frames, fs."""
        return self.bands.timestep

    @property
    def n_samples(self) -> int:
        """Steps that were learnt from."""
        return self.bands.n_samples

    @property
    def n_occupied(self) -> int:
        """Of the window."""
        return self.bands.n_occupied

    @property
    def state_labels(self) -> tuple[str, ...]:
        """Of the window."""
        return self.bands.state_labels

    @property
    def scores(self) -> dict[str, float]:
        """R2 of gap and coupling on held-out stretches of time."""
        own = self.bands.scores
        gap, coupling = self.held_out or (own.gap_r2, own.coupling_r2)
        return {"gap": gap, "coupling": coupling}

    @property
    def models(self) -> dict[str, str]:
        """One Hamiltonian forecasts both."""
        return {"gap": NAME, "coupling": NAME}

    @property
    def provenance(self) -> dict[str, str]:
        """Where it comes from."""
        found = {
            "model": NAME,
            "training samples": f"{self.n_samples} pairs of frames",
            "form": str(self.bands.form),
            DEPHASING: self.dephasing_source,
        }
        return found if self.bands.converged else {**found, "fit": "did not converge"}

    def atom_slopes(
        self, trajectory: Trajectory, frames: NDArray[np.intp], *, workers: int | None = None
    ) -> AtomSlopes:
        """Return how gap and coupling of VBM and CBM move with each atom."""
        return atom_slopes(self.bands, trajectory, frames, workers=workers)

    def scored(self, scores: Mapping[str, float]) -> Self:
        """Return the same with other scores."""
        return dataclasses.replace(self, held_out=(scores["gap"], scores["coupling"]))

    def size_doubt(self, trajectory: Trajectory) -> str:
        """Return that larger cells were not seen, where the cell is another."""
        if trajectory.n_atoms == len(self.bands.numbers):
            return ""
        return (
            f"extrapolation in size: the tight binding saw cells of {len(self.bands.numbers)} atoms and is applied to {trajectory.n_atoms}. "
            "A replica has the same bands; states that the small cell cannot hold were not seen."
        )

    def check(self, trajectory: Trajectory) -> None:
        """Refuse a trajectory with other elements, an odd number of electrons, or another time step.

        Raises
        ------
        InputError
            If so.
        """
        self.bands.lowest_of(trajectory.numbers)
        if not math.isclose(trajectory.timestep, self.timestep, rel_tol=1e-6):
            raise InputError(
                f"A forecaster fitted at {self.timestep:g} fs between frames must see the same time step, but the trajectory has "
                f"{trajectory.timestep:g} fs: error bars of couplings were found at that step."
            )

    def judged(
        self, distance: NDArray[np.float64], relative_std: NDArray[np.float64] | None, outside: NDArray[np.bool_]
    ) -> Extrapolation:
        """Return the judgement of frames: distance 1 is the limit of the training set."""
        limit = None if relative_std is None else np.array([np.inf])
        return Extrapolation(distance, relative_std, outside, 1.0, limit, INSIDE)

    def forecast(self, geometries: Trajectory, *, workers: int | None = None) -> HamiltonianForecast:
        """Return the window of bands along consecutive frames."""
        return forecast_bands(self.bands, geometries, workers=workers)


def unable(trajectory: Trajectory, known: VibronicHamiltonian, lower: int) -> str:
    """Return why a tight binding cannot learn from these data, or nothing."""
    from hopcast.tightbinding.basis import make_basis
    from hopcast.tightbinding.samples import collect_samples, lowest_band

    if known.n_states < FEWEST_STATES:
        return (
            f"a window of at least {FEWEST_STATES} bands tells of a Hamiltonian, but {known.n_states} states are known "
            "(`hopcast.TightBinding` learns from two if asked)."
        )
    if known.n_occupied is not None and lower != known.n_occupied - 1:
        return "the gap asked for is not that of VBM and CBM."
    try:
        samples = collect_samples(trajectory, known)
        lowest_band(make_basis(trajectory.symbols), trajectory.numbers, known.n_states, samples.n_occupied)
    except (InputError, ConfigError) as error:
        return str(error)
    return ""


def fit_each(
    whole: FittedTightBinding,
    trajectory: Trajectory,
    known: VibronicHamiltonian,
    folds: Sequence[NDArray[np.intp]],
    workers: int | None,
) -> list[FittedTightBinding]:
    """Return a forecaster for the steps of each fold, with the form, error bars and dephasing time of the whole."""
    found = fit_folds(whole.bands, trajectory, known, folds, workers=workers)
    return [dataclasses.replace(whole, bands=bands) for bands in found]


def put(group: Any, forecaster: FittedTightBinding) -> None:
    """Store the tight binding and what else the forecaster knows."""
    hdf5.put_attributes(
        group,
        {
            "dephasing_time": forecaster.dephasing_time,
            "dephasing_time_unit": "fs",
            "dephasing_source": forecaster.dephasing_source,
            "held_out": forecaster.held_out,
        },
    )
    put_bands(group.create_group("bands"), forecaster.bands)


def get(group: Any) -> FittedTightBinding:
    """Load what `put` stored."""
    held_out = group.attrs.get("held_out")
    return FittedTightBinding(
        get_bands(group["bands"]),
        float(group.attrs["dephasing_time"]),
        str(group.attrs["dephasing_source"]),
        None if held_out is None else (float(held_out[0]), float(held_out[1])),
    )


KIND = ForecasterKind(
    NAME,
    "window",
    lambda workers: TightBindingForecaster(workers=workers),
    unable,
    FittedTightBinding,
    put,
    get,
    fit_each,
)

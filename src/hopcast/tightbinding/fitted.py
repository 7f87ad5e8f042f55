"""`FittedBands`: a tight binding with its parameters, and what is known of its errors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh

from hopcast.tightbinding.form import Form
from hopcast.tightbinding.geometry import FrameGeometry
from hopcast.tightbinding.kernels import quadratic_forms
from hopcast.tightbinding.model import BandModel

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


ALL_STATES = 200
"""Orbitals up to which all eigenstates are found faster than those of the window alone."""


@dataclass(frozen=True)
class HeldOutScores:
    """How well samples in blocks of time that were left out are forecast.

    Attributes
    ----------
    gap_r2, coupling_r2
        Of the gap and of hbar |d| of VBM and CBM; 0 is the mean.
    gap_error, coupling_error
        Root mean square errors, eV.
    band_error
        Mean absolute error of the window's energies from the gap's middle, eV.
    rate_correlation, rate_ratio
        Of V^2/E^4, the second-order rate at the mid-points, and its mean over the known one.
    loss
        Sum of squared residuals a sample, in the units of the fit: what forms are compared by.
    n_blocks
        Blocks.
    """

    gap_r2: float
    coupling_r2: float
    gap_error: float
    coupling_error: float
    band_error: float
    rate_correlation: float
    rate_ratio: float
    loss: float
    n_blocks: int

    @property
    def merit(self) -> float:
        """Sum of the logarithms of the errors of gap, bands and, where known, coupling: lower is better, and no unit matters."""
        errors = [self.gap_error, self.band_error, *[self.coupling_error] * bool(np.isfinite(self.coupling_error))]
        return float(np.sum(np.log(np.maximum(errors, 1e-12))))

    def __str__(self) -> str:
        return (
            f"left out in {self.n_blocks} blocks of time: gap R² {self.gap_r2:.2f} (rms error {1e3 * self.gap_error:.0f} meV), "
            f"ħ|d| R² {self.coupling_r2:.2f}, bands {1e3 * self.band_error:.0f} meV, correlation of the local rate {self.rate_correlation:.2f}, "
            f"mean rate {self.rate_ratio:.2f} of the known"
        )


@dataclass(frozen=True, eq=False)
class FittedBands:
    """A Hamiltonian learnt from samples.

    Attributes
    ----------
    model, theta
        The form and its parameters.
    form
        Hyperparameters.
    n_states, n_occupied
        Of the window of bands.
    timestep
        Of the samples, fs.
    state_labels
        Names of the window's states.
    offset
        Added to the model's levels, so that their mean over the training samples is the data's, eV.
    factor
        Lower Cholesky factor of J^T J + W [n_parameters, n_parameters].
    floor, scale
        Variance of a gap, eV^2: ``floor + scale * posterior variance``, calibrated on left-out blocks.
    coupling_bars
        Floor (eV^2) and scale of the variance of hbar |d| of each pair of bands, ``floor + scale * (hbar d)^2``
        [2, n_states, n_states], calibrated likewise; NaN where no couplings were known.
    band_errors
        Of the energies of left-out samples [n_states], eV (`hopcast.tightbinding.bars.band_errors`).
    gap_std
        Standard deviation of the training gaps, eV.
    limit
        Posterior variance of the gap, before scaling, that 99 % of left-out samples stay below, eV^2.
    shortest
        Shortest distances in training by pair of elements [n_species, n_species], Å.
    cell, numbers
        Of the training cell.
    scores
        On left-out blocks.
    n_samples
        Samples learnt from.
    converged
        Whether the minimisation ended in small steps.
    provenance
        As text.
    """

    model: BandModel
    theta: Floats
    form: Form
    n_states: int
    n_occupied: int
    timestep: float
    state_labels: tuple[str, ...]
    offset: float
    factor: Floats
    floor: float
    scale: float
    coupling_bars: Floats
    band_errors: Floats
    gap_std: float
    limit: float
    shortest: Floats
    cell: Floats
    numbers: Integers
    scores: HeldOutScores
    n_samples: int
    converged: bool
    provenance: Mapping[str, str] = field(default_factory=dict)

    def lowest_of(self, numbers: Integers) -> int:
        """Return which band of a cell is the lowest of the window."""
        return self.model.basis.n_occupied(numbers) - self.n_occupied

    def eigenstates(self, geometry: FrameGeometry) -> tuple[Floats, Floats]:
        """Return all levels [n], eV (without the offset), and states [n, n] of a frame."""
        return self.model.solve(self.theta, geometry)

    def window_states(
        self, geometry: FrameGeometry, lowest: int, metric: Floats | None = None
    ) -> tuple[Floats, Floats]:
        """Return levels [n_states], eV (without the offset), and states [n_orbitals, n_states] of the window alone; S may be known already."""
        window = slice(lowest, lowest + self.n_states)
        n_orbitals = int(self.model.first_of(geometry)[-1])
        if n_orbitals <= ALL_STATES:
            levels, states = self.model.solve(self.theta, geometry, metric)
            return levels[window], states[:, window]
        H = self.model.hamiltonian(self.theta, geometry)
        S = self.model.metric(self.theta, geometry) if metric is None else metric
        found: tuple[Floats, Floats] = eigh(
            H,
            S,
            subset_by_index=[window.start, window.stop - 1],
            driver="evr" if S is None else "gvx",
            check_finite=False,
            overwrite_a=True,
        )
        return found

    def gap_slope(self, geometry: FrameGeometry, levels: Floats, states: Floats) -> Floats:
        """Return the derivative of a frame's gap by the parameters, from the window's levels and states."""
        edges = [self.n_occupied - 1, self.n_occupied]
        slopes = self.model.element_sums(states[:, edges], states[:, edges], geometry, levels[edges])
        return np.asarray(slopes[:, 1] - slopes[:, 0])


def posterior_variances(factor: Floats, slopes: Floats) -> Floats:
    """Return g^T (L L^T)^-1 g of each column g of `slopes` [n_parameters, n]."""
    return np.asarray(quadratic_forms(factor, np.array(slopes, order="C")))

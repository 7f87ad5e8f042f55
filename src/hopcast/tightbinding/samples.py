"""What a fit learns from: frames with known energies, steps with known couplings, laid out around the window of bands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hopcast.core.chunks import chunk_slices, map_chunks
from hopcast.core.errors import InputError
from hopcast.core.hamiltonian import VibronicHamiltonian
from hopcast.core.matching import check_same_frames
from hopcast.core.trajectory import Trajectory
from hopcast.core.units import HBAR
from hopcast.tightbinding.basis import OrbitalBasis
from hopcast.tightbinding.geometry import FrameGeometry
from hopcast.tightbinding.model import BandModel

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

FEWEST = 10
"""Samples that a fit needs."""

MOST = 400
"""Samples that a fit takes; more are thinned out evenly."""


LEVEL_ERROR = 0.04
"""By which a model's levels are wrong, eV: states closer than this exchange their characters elsewhere than in the data."""


@dataclass(frozen=True, eq=False)
class Samples:
    """Known steps of a trajectory: energies of both frames and, where known, the couplings between.

    Attributes
    ----------
    steps
        Frame t of each step t, t + 1 [n_samples].
    energies
        [n_samples, 2, n_states], eV.
    couplings
        hbar |d_ij| at the mid-point [n_samples, n_states, n_states], eV; NaN where unknown.
    n_occupied
        Of the states of the window.
    timestep
        fs.
    """

    steps: Integers
    energies: Floats
    couplings: Floats
    n_occupied: int
    timestep: float

    def __len__(self) -> int:
        return len(self.steps)

    def take(self, index: NDArray[np.intp] | Sequence[int]) -> Samples:
        """Return some samples."""
        at = np.asarray(index)
        return Samples(self.steps[at], self.energies[at], self.couplings[at], self.n_occupied, self.timestep)

    @property
    def gap(self) -> Floats:
        """CBM - VBM of both frames [n_samples, 2], eV."""
        return self.energies[:, :, self.n_occupied] - self.energies[:, :, self.n_occupied - 1]

    @property
    def coupling(self) -> Floats:
        """Moduli hbar |d| of VBM and CBM [n_samples], eV."""
        return self.couplings[:, self.n_occupied - 1, self.n_occupied]


def collect_samples(
    trajectory: Trajectory,
    hamiltonian: VibronicHamiltonian,
    *,
    most: int = MOST,
    n_occupied: int | None = None,
    steps: NDArray[np.intp] | None = None,
) -> Samples:
    """Return the known steps of a Hamiltonian, evenly thinned out to `most`.

    Parameters
    ----------
    trajectory, hamiltonian
        Of the same frames.
    most
        Samples to keep.
    n_occupied
        Of the Hamiltonian's states, where it does not know.
    steps
        Of which to take the known ones; None: all.

    Raises
    ------
    InputError
        If the two do not belong together, the number of occupied states is unknown, the window does not hold VBM and CBM, energies
        live on mid-points, or fewer than 10 steps are known.
    """
    check_same_frames(trajectory, hamiltonian)
    if hamiltonian.energy_grid != "frame":
        raise InputError(
            "Tight binding learns energies of frames, but this Hamiltonian has them on mid-points. "
            "Read a source with energies on frames (overlaps and band energies)."
        )
    occupied = hamiltonian.n_occupied if n_occupied is None else n_occupied
    if occupied is None:
        raise InputError(
            f"Tight binding must know how many of the {hamiltonian.n_states} states are occupied, but the Hamiltonian does not say. "
            "Give `n_occupied` (`hopcast convert --occupied`)."
        )
    if hamiltonian.multiplicities or np.iscomplexobj(hamiltonian.nac):
        raise InputError(
            "Tight binding learns real bands of one spin, but these states are "
            f"{'degenerate pairs' if hamiltonian.multiplicities else 'complex (spin-orbit coupling or k-points)'}. "
            "Learn from a calculation without spin-orbit coupling at Gamma."
        )
    if not 0 < occupied < hamiltonian.n_states:
        raise InputError(
            f"The window of bands must hold VBM and CBM, but {occupied} of its {hamiltonian.n_states} states are occupied. "
            "Read more bands on the other side of the gap."
        )
    energies = hamiltonian.energies
    order = np.sort(energies, axis=1)
    known = hamiltonian.energy_known
    if not np.array_equal(order[known], energies[known]):
        raise InputError(
            "Tight binding needs states in energy order, but labels cross in this Hamiltonian. Derive its couplings with "
            'tracking="energy".'
        )
    usable = known[:-1] & known[1:]
    steps = np.flatnonzero(usable) if steps is None else steps[usable[steps]]
    if len(steps) < FEWEST:
        raise InputError(
            f"Tight binding needs at least {FEWEST} pairs of neighbouring frames with known energies, but the Hamiltonian has {len(steps)}. "
            "Compute more of them (`hopcast select`)."
        )
    if len(steps) > most:
        steps = steps[np.linspace(0, len(steps) - 1, most).round().astype(int)]
    couplings = np.abs(hamiltonian.nac[steps])
    couplings[~hamiltonian.nac_known[steps]] = np.nan
    return Samples(
        steps, np.stack([energies[steps], energies[steps + 1]], axis=1), couplings, occupied, hamiltonian.timestep
    )


def mixing(samples: Samples) -> Floats:
    r"""Return how far couplings times gaps are uncertain because states mix differently in a model [n_samples, n_states, n_states], eV^2.

    A level that is wrong by `LEVEL_ERROR` mixes states i and k by about :math:`a_{ik} = w/\sqrt{(E_i - E_k)^2 + w^2}`:

    .. math:: \sigma_{ij}^2 = \sum_k a_{ik}^2 h_{kj}^2 + h_{ik}^2 a_{kj}^2

    Unknown couplings count as none.
    """
    middle = samples.energies.mean(axis=1)
    gaps = middle[:, None, :] - middle[:, :, None]
    diagonal = np.arange(middle.shape[1])
    share = LEVEL_ERROR**2 / (gaps**2 + LEVEL_ERROR**2)
    share[:, diagonal, diagonal] = 0.0
    square = np.nan_to_num(samples.couplings * gaps, nan=0.0) ** 2
    slopes = (samples.energies[:, 1] - samples.energies[:, 0]) * (HBAR / samples.timestep)
    square[:, diagonal, diagonal] = (slopes - slopes.mean(axis=1, keepdims=True)) ** 2
    return np.sqrt(share @ square + square @ share)


def lowest_band(basis: OrbitalBasis, numbers: Integers, n_states: int, n_occupied: int) -> int:
    """Return which band of the model is the lowest of the window.

    Raises
    ------
    InputError
        If the basis has fewer occupied or empty bands than the window.
    """
    filled = basis.n_occupied(numbers)
    n_orbitals = sum(basis.n_orbitals(int(species)) for species in basis.species_of(numbers))
    empty = n_orbitals - filled
    if filled < n_occupied or empty < n_states - n_occupied:
        shells = ", ".join(
            f'{element} = "{letters}"' for element, letters in zip(basis.elements, basis.shells, strict=True)
        )
        raise InputError(
            f"The basis must hold the window's {n_occupied} occupied and {n_states - n_occupied} empty bands, but has {filled} and "
            f"{max(empty, 0)} ({n_orbitals} orbitals; {shells}). Add shells with `basis`, correct `valence` or the number of occupied states, "
            "or select fewer bands."
        )
    return filled - n_occupied


def displacements(trajectory: Trajectory, steps: slice) -> Floats:
    """Return how far each atom moves from a frame to the next [n_steps, n_atoms, 3], Å; atoms that were wrapped take the short way."""
    frames = slice(steps.start, steps.stop + 1)
    change = np.diff(trajectory.positions[frames].astype(np.float64), axis=0)
    if any(trajectory.pbc):
        from hopcast.descriptors.neighbours import complete_cells

        whole = complete_cells(_middle_cells(trajectory, steps), trajectory.pbc)
        change -= (np.round(change @ np.linalg.inv(whole)) * np.array(trajectory.pbc)) @ whole
    return np.asarray(change)


def midpoint_positions(trajectory: Trajectory, step: int) -> tuple[NDArray[np.floating], Floats]:
    """Return positions and cell half way between two frames."""
    before, at = trajectory.positions[step].astype(np.float64), slice(step, step + 1)
    return before + 0.5 * displacements(trajectory, at)[0], _middle_cells(trajectory, at)[0]


def _middle_cells(trajectory: Trajectory, steps: slice) -> Floats:
    cells = trajectory.cells()
    return np.asarray(0.5 * (cells[steps] + cells[steps.start + 1 : steps.stop + 1]))


class StepGeometry(NamedTuple):
    """The geometries of frame t, frame t + 1 and the mid-point of a step, and how far atoms move in it [n_atoms, 3], Å."""

    before: FrameGeometry
    after: FrameGeometry
    middle: FrameGeometry
    displacement: Floats


@dataclass(frozen=True, eq=False)
class SampleGeometries:
    """The geometries of samples [n_samples]."""

    parts: tuple[StepGeometry, ...]

    def take(self, index: NDArray[np.intp] | Sequence[int]) -> SampleGeometries:
        """Return those of some samples."""
        return SampleGeometries(tuple(self.parts[int(i)] for i in index))


def sample_geometries(
    model: BandModel, trajectory: Trajectory, steps: Integers, *, workers: int | None = None
) -> SampleGeometries:
    """Return the geometries of steps; made once for all fits with these radial functions.

    Raises
    ------
    InputError
        If two atoms coincide.
    """
    species = model.basis.species_of(trajectory.numbers)

    def part(chunk: slice) -> list[StepGeometry]:
        found = []
        for step in steps[chunk]:
            middle = model.geometry_of(*midpoint_positions(trajectory, int(step)), trajectory.pbc, species)
            assert isinstance(middle, FrameGeometry)
            before, after = (model.geometry(trajectory, int(step) + k, species) for k in (0, 1))
            found.append(
                StepGeometry(before, after, middle, displacements(trajectory, slice(int(step), int(step) + 1))[0])
            )
        return found

    chunks = map_chunks(part, chunk_slices(len(steps), 8), workers=workers)
    return SampleGeometries(tuple(one for chunk in chunks for one in chunk))

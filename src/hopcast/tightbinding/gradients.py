r"""Which atoms move gap and coupling: derivatives of a fitted Hamiltonian by the place of every atom.

Hellmann and Feynman, with S: of a level and of the coupling of two

.. math:: \frac{\partial E_n}{\partial x} = \Big\langle n\Big|\frac{\partial H}{\partial x} - E_n\frac{\partial S}{\partial x}\Big|n\Big\rangle, \qquad
          g_x = \Big\langle i\Big|\frac{\partial H}{\partial x} - \bar E\frac{\partial S}{\partial x}\Big|j\Big\rangle

so that the gap changes by the first times the velocities and :math:`\hbar d_{ij} = \hbar\,g\cdot v/(E_j - E_i)`; where orbitals move with their atoms
(`hopcast.tightbinding.motion`) g has that part times :math:`E_j - E_i` too. H and S are differenced centrally with the states held fixed. In equilibrium velocities are independent: of the mean square of either, atom a has the share of
:math:`|g_a|^2/m_a`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hopcast.core.chunks import chunk_slices, map_chunks, single_threaded_blas
from hopcast.core.errors import InputError
from hopcast.core.trajectory import Trajectory
from hopcast.tightbinding.fitted import FittedBands
from hopcast.tightbinding.geometry import FrameGeometry
from hopcast.tightbinding.motion import apply_turn

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

STEP = 1e-3
"""Displacement of an atom in a central difference, Å."""


@dataclass(frozen=True, eq=False)
class AtomSlopes:
    """Derivatives by the places of all atoms, in some frames.

    Attributes
    ----------
    gap
        Gap of each frame [n_frames], eV.
    of_gap
        Its derivatives [n_frames, n_atoms, 3], eV/Å.
    of_coupling
        Couplings of VBM and CBM times the gap, per velocity: ``hbar d = hbar sum(of_coupling * velocities) / gap`` [n_frames, n_atoms, 3], eV/Å;
        the sign of each frame is a gauge.
    numbers
        Atomic numbers [n_atoms].
    """

    gap: Floats
    of_gap: Floats
    of_coupling: Floats
    numbers: Integers

    def gap_shares(self) -> Floats:
        """Return the share of each atom in the mean square rate of change of the gap, in equilibrium [n_atoms]."""
        return self._shares(self.of_gap)

    def coupling_shares(self) -> Floats:
        """Return the share of each atom in the mean square coupling hbar d, in equilibrium [n_atoms]."""
        return self._shares(self.of_coupling / self.gap[:, None, None])

    def _shares(self, slopes: Floats) -> Floats:
        from ase.data import atomic_masses

        weight = np.mean(np.sum(slopes**2, axis=2), axis=0) / atomic_masses[self.numbers]
        return np.asarray(weight / weight.sum())


def atom_slopes(
    bands: FittedBands, trajectory: Trajectory, frames: ArrayLike, *, workers: int | None = None
) -> AtomSlopes:
    """Return how gap and coupling of VBM and CBM move with each atom.

    Parameters
    ----------
    bands
        A fitted tight binding.
    trajectory, frames
        Where.
    workers
        Threads; results do not depend on them.

    Raises
    ------
    InputError
        If an element is unknown, or two atoms coincide.
    """
    chosen = np.asarray(frames, dtype=np.intp)
    species = bands.model.basis.species_of(trajectory.numbers)
    vbm = bands.lowest_of(trajectory.numbers) + bands.n_occupied - 1

    def work(chunk: slice) -> list[tuple[float, Floats, Floats]]:
        return [_of_frame(bands, trajectory, int(frame), species, vbm) for frame in chosen[chunk]]

    with single_threaded_blas():
        parts = map_chunks(work, chunk_slices(len(chosen), 1), workers=workers)
    gap, of_gap, of_coupling = zip(*(one for part in parts for one in part), strict=True)
    return AtomSlopes(np.array(gap), np.array(of_gap), np.array(of_coupling), trajectory.numbers)


def _of_frame(
    bands: FittedBands, trajectory: Trajectory, frame: int, species: Integers, vbm: int
) -> tuple[float, Floats, Floats]:
    levels, states = bands.eigenstates(bands.model.geometry(trajectory, frame, species))
    low, high = levels[vbm], levels[vbm + 1]
    one, two = np.ascontiguousarray(states[:, vbm]), np.ascontiguousarray(states[:, vbm + 1])
    cell = trajectory.cells()[frame]
    places = trajectory.positions[frame].astype(np.float64)
    of_gap, of_coupling = np.zeros_like(places), np.zeros_like(places)
    for atom, axis in np.ndindex(*places.shape):
        matrices = []
        for sign in (1.0, -1.0):
            moved = places.copy()
            moved[atom, axis] += sign * STEP
            geometry = bands.model.geometry_of(moved, cell, trajectory.pbc, species)
            if not isinstance(geometry, FrameGeometry):
                raise InputError(f"Two atoms coincide in frame {frame}: {geometry[0]} and {geometry[1]}.")
            matrices.append((bands.model.hamiltonian(bands.theta, geometry), bands.model.metric(bands.theta, geometry)))
        (H, S), (H_before, S_before) = matrices
        change = (H - H_before) / (2.0 * STEP)
        of_one, of_two = change @ one, change @ two
        of_gap[atom, axis] = two @ of_two - one @ of_one
        of_coupling[atom, axis] = one @ of_two
        if S is not None and S_before is not None:
            change = (S - S_before) / (2.0 * STEP)
            of_one, of_two = change @ one, change @ two
            of_gap[atom, axis] -= high * (two @ of_two) - low * (one @ of_one)
            of_coupling[atom, axis] -= 0.5 * (low + high) * (one @ of_two)
        moved = np.zeros_like(places)
        moved[atom, axis] = 1.0
        turned = apply_turn(bands.model, bands.theta, species, moved, two[:, None])
        if turned is not None:
            of_coupling[atom, axis] += (high - low) * (one @ turned[:, 0])
    return float(high - low), of_gap, of_coupling

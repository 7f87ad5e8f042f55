"""Pairs of frames placed in the trajectory they were taken from: by the numbers of their folders, and by the atoms in them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hopcast.core.errors import InputError
from hopcast.core.hamiltonian import VibronicHamiltonian
from hopcast.core.trajectory import Trajectory
from hopcast.io.formats.poscars import read_poscar
from hopcast.io.wavefunctions.espresso_schema import SCHEMA, read_schema

SAME = 1e-3
"""Atoms that are no further apart (Å) are in the same place: coordinates of a trajectory are rounded."""
LOOKED_AT = 3
"""Folders whose atoms are compared."""


def place_in_trajectory(
    hamiltonian: VibronicHamiltonian, trajectory: Trajectory, geometries: Mapping[int, Path]
) -> tuple[VibronicHamiltonian, str]:
    """Return a Hamiltonian of some frames of a trajectory with as many frames as that, and a sentence on where its frames are.

    Numbers of folders are those of the trajectory's frames, from 0 or from 1: the atoms in the folders tell, where there are any.

    Parameters
    ----------
    hamiltonian
        With `frame_numbers`.
    trajectory
        The whole one.
    geometries
        ``POSCAR`` or ``prefix.save`` of each folder, by number; may be empty.

    Raises
    ------
    InputError
        If frames are outside of the trajectory, or the atoms of a folder are not those of its frame.
    """
    if hamiltonian.frame_numbers is None:
        raise InputError(
            "The frames of the Hamiltonian have no numbers, so that their places in the trajectory are not known."
        )
    numbers = hamiltonian.frame_numbers
    own = 0 if trajectory.frame_numbers is None else int(trajectory.frame_numbers[0])
    looked_at = sorted(number for number in geometries if numbers[0] <= number <= numbers[-1])[:LOOKED_AT]
    distances = {
        origin: max((_distance(geometries[n], trajectory, n - origin) for n in looked_at), default=0.0)
        for origin in dict.fromkeys((own, 0, 1))
    }
    origin = min(distances, key=lambda each: distances[each])
    if distances[origin] > SAME:
        where = f"`{geometries[looked_at[0]]}`"
        raise InputError(
            f"The atoms in {where} must be those of frame {looked_at[0]} of the trajectory, counted from 0 or from 1, but are "
            f"{f'up to {distances[origin]:.3g} Å away' if np.isfinite(distances[origin]) else 'others, or that frame is not there'}. Give the "
            "trajectory from which the frames were taken."
        )
    start = int(numbers[0]) - origin
    stop = start + hamiltonian.n_frames
    if start < 0 or stop > trajectory.n_frames:
        raise InputError(
            f"Frames {numbers[0]} to {numbers[-1]} must lie in the trajectory, which has {trajectory.n_frames} frames from {origin} on, but do "
            "not. Give the trajectory from which the frames were taken."
        )
    told = "by the atoms in their folders" if looked_at else "by their numbers"
    around = (start, trajectory.n_frames - stop)
    overlaps = hamiltonian.overlaps
    padded = dataclasses.replace(
        hamiltonian,
        energies=_pad(hamiltonian.energies, around),
        nac=_pad(hamiltonian.nac, around),
        overlaps=None if overlaps is None else _pad(overlaps, around),
        frame_numbers=trajectory.frame_numbers,
        # of what is not NaN
        energy_known=None,  # type: ignore[arg-type]
        nac_known=None,  # type: ignore[arg-type]
    )
    return (
        padded,
        f"Frames {numbers[0]} to {numbers[-1]} are frames {start} to {stop - 1} of the trajectory, from 0 ({told}).",
    )


def _pad(values: NDArray[Any], around: tuple[int, int]) -> NDArray[Any]:
    widths = [around] + [(0, 0)] * (values.ndim - 1)
    return np.pad(values, widths, constant_values=np.nan)


def _distance(geometry: Path, trajectory: Trajectory, frame: int) -> float:
    """Return how far the atoms of a folder are from those of a frame, at most, Å; infinity where they are others."""
    if geometry.suffix == ".save":
        positions = read_schema(geometry / SCHEMA).geometry.positions
    else:
        positions = read_poscar(geometry, frame)[2]
    if not 0 <= frame < trajectory.n_frames or positions.shape != (trajectory.n_atoms, 3):
        return np.inf
    shift = (positions - trajectory.positions[frame]) @ np.linalg.inv(trajectory.cells()[frame])
    return float(np.linalg.norm((shift - np.round(shift)) @ trajectory.cells()[frame], axis=1).max())

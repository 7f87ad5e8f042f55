"""`Trajectory`: the nuclei along molecular dynamics."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hopcast.core.errors import ArgumentError
from hopcast.core.showing import Shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def _as_float(array: ArrayLike) -> NDArray[Any]:
    """Return a floating-point view of `array` that keeps float32 as it is (no copy of large arrays)."""
    result = np.asarray(array)
    return result if result.dtype in (np.float32, np.float64) else result.astype(np.float64)


@dataclass(frozen=True, eq=False, repr=False)
class Trajectory(Shown):
    """Positions of the atoms of one periodic cell, one frame every `timestep`.

    Parameters
    ----------
    positions
        Cartesian, unwrapped where the source allows it [n_frames, n_atoms, 3], Å (float32 is kept).
    cell
        Lattice vectors as rows, [3, 3] or one a frame [n_frames, 3, 3], Å.
    numbers
        Atomic numbers [n_atoms].
    timestep
        Time between frames, fs.
    velocities
        [n_frames, n_atoms, 3], Å/fs; None where the source has none (see `with_velocities`).
    pbc
        Periodicity along the three lattice vectors.
    frame_numbers
        The numbers that the source gave its frames [n_frames] (``i =`` of CP2K, configurations of an XDATCAR, ``TIMESTEP`` of
        LAMMPS, names of folders), each in its own count; None where it gave none.
    potential_energies
        Those that the source gave with its frames [n_frames], eV, or None.

    Raises
    ------
    InputError
        If shapes disagree or a number is not finite (names the frame and the atom).
    """

    positions: NDArray[Any]
    cell: NDArray[np.float64]
    numbers: NDArray[np.int64]
    timestep: float
    velocities: NDArray[Any] | None = None
    pbc: tuple[bool, bool, bool] = (True, True, True)
    frame_numbers: NDArray[np.int64] | None = None
    potential_energies: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        positions = _as_float(self.positions)
        if positions.ndim != 3 or positions.shape[2] != 3 or positions.shape[0] == 0 or positions.shape[1] == 0:
            raise ArgumentError(
                f"Argument `positions` must have the shape [n_frames, n_atoms, 3], but has {positions.shape}."
            )
        n_frames, n_atoms, _ = positions.shape
        numbers = np.asarray(self.numbers, dtype=np.int64)
        if numbers.shape != (n_atoms,):
            raise ArgumentError(
                f"Argument `numbers` must hold one atomic number for each of the {n_atoms} atoms, "
                f"but has the shape {numbers.shape}."
            )
        _check_finite("positions", positions, numbers)
        cell = np.asarray(self.cell, dtype=np.float64)
        if cell.shape not in ((3, 3), (n_frames, 3, 3)):
            raise ArgumentError(
                f"Argument `cell` must have the shape [3, 3] or [{n_frames}, 3, 3], but has {cell.shape}. "
                "A trajectory file without a cell needs one: give it by hand."
            )
        pbc = tuple(bool(p) for p in np.broadcast_to(self.pbc, (3,)))
        if all(pbc) and not (np.all(np.isfinite(cell)) and np.all(np.abs(np.linalg.det(cell)) > 1e-8)):
            raise ArgumentError(
                "Argument `cell` must span a volume where the trajectory is periodic, but its lattice "
                "vectors are zero, linearly dependent or not finite. Give the cell, or set `pbc` to False."
            )
        if not (np.isfinite(self.timestep) and self.timestep > 0):
            raise ArgumentError(f"Argument `timestep` must be a positive number of fs, but is {self.timestep}.")
        velocities = self.velocities
        if velocities is not None:
            velocities = _as_float(velocities)
            if velocities.shape != positions.shape:
                raise ArgumentError(
                    f"Argument `velocities` must have the shape of the positions {positions.shape}, "
                    f"but has {velocities.shape}."
                )
            _check_finite("velocities", velocities, numbers)
        energies = self.potential_energies
        if energies is not None:
            energies = np.asarray(energies, dtype=np.float64)
            if energies.shape != (n_frames,) or not np.isfinite(energies).all():
                raise ArgumentError(
                    f"Argument `potential_energies` must hold a finite number for each of the {n_frames} frames, but does not (shape "
                    f"{energies.shape})."
                )
        for name, value in (
            ("positions", positions),
            ("cell", cell),
            ("numbers", numbers),
            ("velocities", velocities),
            ("pbc", pbc),
            ("timestep", float(self.timestep)),
            ("frame_numbers", checked_frame_numbers(self.frame_numbers, n_frames)),
            ("potential_energies", energies),
        ):
            object.__setattr__(self, name, value)

    @property
    def n_frames(self) -> int:
        """Number of frames."""
        return int(self.positions.shape[0])

    @property
    def n_atoms(self) -> int:
        """Number of atoms."""
        return int(self.positions.shape[1])

    @property
    def duration(self) -> float:
        """Time between the first and the last frame, fs."""
        return (self.n_frames - 1) * self.timestep

    @cached_property
    def symbols(self) -> tuple[str, ...]:
        """Chemical symbol of each atom."""
        from ase.data import chemical_symbols

        return tuple(chemical_symbols[number] for number in self.numbers)

    @property
    def elements(self) -> tuple[str, ...]:
        """Chemical symbols without repetition, in the order of first appearance."""
        return tuple(dict.fromkeys(self.symbols))

    @property
    def formula(self) -> str:
        """Formula of the cell, elements in the order of first appearance (``Cs4Pb4I12``)."""
        counts = {element: self.symbols.count(element) for element in self.elements}
        return "".join(f"{element}{count if count > 1 else ''}" for element, count in counts.items())

    def atoms_of(self, element: str) -> NDArray[np.int64]:
        """Return the indices of the atoms of `element`.

        Raises
        ------
        InputError
            If the trajectory has no such atom.
        """
        indices = np.flatnonzero(np.array(self.symbols) == element)
        if indices.size == 0:
            raise ArgumentError(
                f"Element `{element}` must be in the trajectory, but its elements are {', '.join(self.elements)}."
            )
        return indices

    def cells(self) -> NDArray[np.float64]:
        """Return one cell a frame [n_frames, 3, 3] (a broadcast view where the cell is fixed), Å."""
        return np.broadcast_to(self.cell, (self.n_frames, 3, 3))

    def with_velocities(self) -> Trajectory:
        """Return the trajectory with velocities: its own, or central differences of the positions.

        The first and the last frame take second-order one-sided differences.

        Raises
        ------
        InputError
            If there are no velocities and fewer than three frames to difference.
        """
        if self.velocities is not None:
            return self
        if self.n_frames < 3:
            raise ArgumentError(
                f"Velocities need at least 3 frames to be differenced, but the trajectory has {self.n_frames}."
            )
        velocities = np.gradient(self.positions, self.timestep, axis=0, edge_order=2)
        return dataclasses.replace(self, velocities=velocities)

    def __getitem__(self, frames: slice) -> Trajectory:
        """Return the frames of a slice as views; the time step is multiplied by the stride."""
        if not isinstance(frames, slice):
            raise ArgumentError("A trajectory is indexed by a slice of frames, e.g. `trajectory[:100]`.")
        stride = frames.step or 1
        if stride < 0:
            raise ArgumentError(f"A slice of a trajectory must run forward in time, but its step is {stride}.")
        return self._taken(frames, self.timestep * stride)

    def take(self, frames: ArrayLike) -> Trajectory:
        """Return some frames in the order given; what lies between them is not known to be one time step any more.

        Raises
        ------
        InputError
            If a frame does not exist, or none is named.
        """
        chosen = np.asarray(frames, dtype=np.intp)
        if chosen.ndim != 1 or len(chosen) == 0 or chosen.min() < 0 or chosen.max() >= self.n_frames:
            raise ArgumentError(
                f"Argument `frames` must hold frame numbers from 0 to {self.n_frames - 1}, but holds "
                f"{chosen.min() if len(chosen) else 'none'} to {chosen.max() if len(chosen) else 'none'}."
            )
        return self._taken(chosen, self.timestep)

    def _taken(self, frames: slice | NDArray[np.intp], timestep: float) -> Trajectory:
        def of(values: NDArray[Any] | None) -> NDArray[Any] | None:
            return None if values is None else values[frames]

        return dataclasses.replace(
            self,
            positions=self.positions[frames],
            cell=self.cell if self.cell.ndim == 2 else self.cell[frames],
            velocities=of(self.velocities),
            timestep=timestep,
            frame_numbers=of(self.frame_numbers),
            potential_energies=of(self.potential_energies),
        )

    def headline(self) -> str:
        """Return formula, frames and length."""
        return (
            f"{self.formula}, {self.n_frames} frames, {self.timestep:g} fs apart, "
            f"{self.duration / 1000:.3g} ps, velocities {'given' if self.velocities is not None else 'absent'}"
        )

    def plot(self, frame: int = 0, axes: Axes | None = None) -> Axes:
        """Draw the atoms of a frame; return Matplotlib axes."""
        from hopcast.core.plot import plot_frame

        return plot_frame(self, frame, axes)

    def write(self, path: str | Path, format: str | None = None, *, overwrite: bool = False) -> None:
        """Write the trajectory in the form that the name stands for, or another (see `hopcast.write_trajectory`).

        ``.h5`` is our own and holds everything; ``.extxyz``, ``XDATCAR`` and, for one frame, ``POSCAR`` are for other programs.

        Raises
        ------
        ConfigError
            If the name stands for no format, or `format` is unknown.
        OutputError
            If the file exists and `overwrite` is not set, or it cannot be written.
        """
        # against the order of the pipeline, as `VibronicHamiltonian.write`: resolved when called
        from hopcast.io import write_trajectory

        write_trajectory(self, path, format=format, overwrite=overwrite)


def checked_frame_numbers(numbers: ArrayLike | None, n_frames: int) -> NDArray[np.int64] | None:
    """Return the numbers of frames as integers, None where there are none.

    Raises
    ------
    InputError
        If they are not one whole number a frame.
    """
    if numbers is None:
        return None
    given = np.asarray(numbers)
    if given.shape != (n_frames,) or given.dtype.kind not in "iu":
        raise ArgumentError(
            f"Argument `frame_numbers` must hold a whole number for each of the {n_frames} frames, but has the shape {given.shape} and "
            f"the type {given.dtype}."
        )
    return given.astype(np.int64)


def _check_finite(name: str, values: NDArray[Any], numbers: NDArray[np.int64]) -> None:
    # a sum is finite only if every term is: one pass without a mask the size of the trajectory
    if np.isfinite(np.sum(values)):
        return
    for start in range(0, len(values), 1024):
        bad = np.argwhere(~np.isfinite(values[start : start + 1024]))
        if bad.size:
            from ase.data import chemical_symbols

            frame, atom, axis = bad[0]
            raise ArgumentError(
                f"Argument `{name}` must be finite, but frame {start + frame}, atom {atom} "
                f"({chemical_symbols[numbers[atom]]}) has {values[start + frame, atom, axis]} along {'xyz'[axis]}. "
                "Check how this frame was written."
            )

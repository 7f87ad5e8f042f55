"""The protocol of an engine, and the nouns it deals in: a geometry and its electrons."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from hopcast.core.errors import ConfigError, HopcastError, InputError
from hopcast.core.plain import PlainMap
from hopcast.core.trajectory import Trajectory
from hopcast.core.units import KB


class ElectronsError(HopcastError, RuntimeError):
    """One frame could not be computed: not converged, metallic, killed."""

    exit_code = 3


@dataclass(frozen=True)
class OutputState:
    """How a run ended: "finished", "not converged", "killed" or "absent", and a sentence about it."""

    state: str
    reason: str


@dataclass(frozen=True, eq=False)
class Geometry:
    """The nuclei of one frame.

    Attributes
    ----------
    numbers
        Atomic numbers [n_atoms].
    positions
        [n_atoms, 3], Å.
    cell
        Lattice vectors as rows [3, 3], Å; zero for a molecule in vacuum.
    periodic
        Whether the cell repeats (in all three directions, or in none).
    """

    numbers: NDArray[np.int64]
    positions: NDArray[np.float64]
    cell: NDArray[np.float64]
    periodic: bool = True

    @classmethod
    def from_frame(cls, trajectory: Trajectory, frame: int) -> Geometry:
        """Return the geometry of a frame.

        Raises
        ------
        InputError
            If the trajectory is periodic along some directions only.
        """
        if len(set(trajectory.pbc)) != 1:
            raise InputError(
                f"An engine needs periodicity along all three directions or none, but `pbc` is {trajectory.pbc}. "
                "Add vacuum and set all three to True."
            )
        return cls(
            trajectory.numbers,
            np.asarray(trajectory.positions[frame], float),
            np.asarray(trajectory.cells()[frame], float),
            trajectory.pbc[0],
        )


@dataclass(frozen=True, eq=False)
class Electrons:
    """The orbitals of one geometry (closed shell, real).

    Attributes
    ----------
    geometry
        The nuclei.
    energies
        Of all orbitals computed, ascending [n_orbitals], eV.
    orbitals
        Coefficients of the window that is kept [n_basis, n_window]: in the Löwdin-orthonormalised basis (tblite), or in
        the Gaussian functions (cp2k).
    first
        Number of the first orbital of the window, from 0.
    n_occupied
        Doubly occupied orbitals.
    atom_of
        The atom of each basis function [n_basis].
    weights
        Share of each atom in each orbital [n_atoms, n_orbitals] (Löwdin); each column sums to 1. None where unknown.
    basis
        What the coefficients refer to; only alike ones can be overlapped.
    """

    geometry: Geometry
    energies: NDArray[np.float64]
    orbitals: NDArray[np.float64]
    first: int
    n_occupied: int
    atom_of: NDArray[np.int64]
    basis: str
    weights: NDArray[np.float64] | None = None

    @property
    def window(self) -> NDArray[np.float64]:
        """Energies of the orbitals that are kept [n_window], eV."""
        return self.energies[self.first : self.first + self.orbitals.shape[1]]

    @property
    def gap(self) -> float:
        """Lowest unoccupied minus highest occupied energy, eV."""
        return float(self.energies[self.n_occupied] - self.energies[self.n_occupied - 1])


class Engine(Protocol):
    """What `hopcast.abinitio.compute_plan` needs of an electronic-structure method."""

    name: str

    def settings(self) -> PlainMap:
        """Everything that decides about the result, as plain text and numbers."""

    def check(self, numbers: NDArray[np.int64]) -> None:
        """Raise `InputError` if an element has no parameters or basis."""

    def electrons(self, geometry: Geometry) -> Electrons:
        """Return the orbitals of a geometry; raise `ElectronsError` if that fails."""

    def overlap(self, left: Electrons, right: Electrons) -> NDArray[np.float64]:
        """Return ``<i(left)|j(right)>`` of the orbitals kept [n_window, n_window], raw signs."""


def coordinates(values: Iterable[float]) -> str:
    """Return numbers as lines of inputs hold them."""
    return " ".join(f"{x:.12f}" for x in values)


def fingerprint(settings: PlainMap) -> str:
    """Return a short hash of an engine's settings."""
    return hashlib.sha256(json.dumps(dict(settings), sort_keys=True).encode()).hexdigest()[:16]


def require(module: str, extra: str, engine: str) -> None:
    """Refuse to go on without an optional package.

    Raises
    ------
    ConfigError
        Naming the extra that brings it.
    """
    if importlib.util.find_spec(module) is None:
        raise ConfigError(
            f"Engine `{engine}` needs the package {module}, which is not installed. Run: pip install 'hopcast[{extra}]'."
        )


def check_alike(left: Electrons, right: Electrons) -> None:
    """Refuse to overlap orbitals of different bases or cells.

    Raises
    ------
    InputError
        Naming what differs.
    """
    if left.basis != right.basis or left.orbitals.shape[0] != right.orbitals.shape[0]:
        raise InputError(
            f"Wavefunctions that are overlapped must have the same basis, but theirs are `{left.basis}` "
            f"({left.orbitals.shape[0]} functions) and `{right.basis}` ({right.orbitals.shape[0]} functions). Compute both alike."
        )
    if left.geometry.periodic != right.geometry.periodic or not np.allclose(
        left.geometry.cell, right.geometry.cell, atol=1e-8
    ):
        raise InputError(
            "Wavefunctions that are overlapped must have the same cell, but theirs differ. Compute both in one fixed cell."
        )


def check_gap(electrons: Electrons, temperature: float) -> Electrons:
    """Return the electrons, unless they are metallic.

    Raises
    ------
    ElectronsError
        If the gap is below kT.
    """
    if electrons.gap < KB * temperature:
        raise ElectronsError(
            f"the gap is {electrons.gap:.4g} eV, below kT = {KB * temperature:.3g} eV at {temperature:g} K: metallic"
        )
    return electrons


def choose_window(bands: tuple[int, int], n_occupied: int, n_orbitals: int) -> slice:
    """Return the orbitals to keep: `bands` = how many below the gap and how many above.

    Raises
    ------
    ConfigError
        If there are fewer.
    """
    below, above = bands
    if below < 1 or above < 1 or below > n_occupied or above > n_orbitals - n_occupied:
        raise ConfigError(
            f"Argument `bands` must ask for 1 to {n_occupied} bands below the gap and 1 to {n_orbitals - n_occupied} above "
            f"(those computed), but asks for {below} and {above}."
        )
    return slice(n_occupied - below, n_occupied + above)

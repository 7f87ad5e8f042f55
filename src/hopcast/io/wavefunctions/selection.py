"""Which bands are read, how many of them are occupied, and what frames must share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hopcast.core.errors import InputError
from hopcast.io.wavefunctions.protocol import SAME_CELL, BandFile, Basis, Levels, check_bands, check_channel
from hopcast.io.wavefunctions.weights import kpoint_weight

PARTIAL = 0.02
"""Occupations further than this from 0 and from 1 are partial."""
AROUND = 8
"""Bands below and above the gap that are read where nobody names others."""


@dataclass(frozen=True)
class Selection:
    """What is read of each frame.

    Attributes
    ----------
    bands
        First and last + 1, from 0; None takes `AROUND` below and above the gap.
    spin, kpoint
        From 0; None takes the only one there is.
    loewdin
        Orthonormalise pseudo-wavefunctions in the window, where they are not orthonormal by themselves.
    variable_cell
        Match plane waves by index where cells differ; else such frames are refused.
    n_occupied
        Of the bands of the window; None takes the occupations of the files, which must be whole then.
    """

    bands: tuple[int, int] | None = None
    spin: int | None = None
    kpoint: int | None = None
    loewdin: bool = True
    variable_cell: bool = False
    n_occupied: int | None = None

    @property
    def channel(self) -> tuple[int, int]:
        """Spin and k-point."""
        return self.spin or 0, self.kpoint or 0


@dataclass(frozen=True, eq=False)
class Window:
    """A selection made for the frames of one material.

    Attributes
    ----------
    bands
        The bands.
    below
        Occupied bands of all, from 0; None where the user says how many of the window are.
    selection
        What was asked for.
    reference
        Name of the first frame.
    n_bands, kpoint
        What all frames must share with it.
    basis
        That too; None where only bands are read.
    weight
        Of the k-point among those of its file, where it is told.
    """

    bands: range
    below: int | None
    selection: Selection
    reference: str
    n_bands: int
    kpoint: NDArray[np.float64]
    basis: Basis | None
    weight: float | None = None

    @property
    def n_occupied(self) -> int:
        """How many of the bands of the window are occupied."""
        if self.below is None:
            assert self.selection.n_occupied is not None
            return self.selection.n_occupied
        return min(max(self.below - self.bands.start, 0), len(self.bands))

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the states: by their distance from the gap, where it lies in the window; else by their number from 1."""
        return band_labels(self.n_occupied, len(self.bands), self.bands.start)

    def check_levels(self, file: BandFile, levels: Levels) -> None:
        """Refuse a frame whose bands are not those of the first.

        Raises
        ------
        InputError
            Naming both numbers.
        """
        check_channel(file, *self.selection.channel)
        kpoint = file.kpoints[self.selection.channel[1]]
        self._same(file, "number of bands", file.n_bands, self.n_bands, "NBANDS (nbnd)")
        if np.abs(kpoint - self.kpoint).max() > 1e-6:
            self._same(file, "k-point", _vector(kpoint), _vector(self.kpoint), "k-points")
        if self.below is not None:
            below = count_occupied(file, levels)
            if below != self.below:
                raise InputError(
                    f"Frames must have the same number of occupied bands, but `{file.path}` has {below} and `{self.reference}` has {self.below}: the "
                    "gap closes, or charge or spin differ. Calculate this frame with fixed occupations, or leave it out."
                )

    def check_basis(self, file: BandFile, basis: Basis) -> None:
        """Refuse a frame whose plane waves are not those of the first.

        Raises
        ------
        InputError
            Naming both numbers.
        """
        assert self.basis is not None
        self._same(file, "cutoff", f"{basis.cutoff:.6g} eV", f"{self.basis.cutoff:.6g} eV", "ENCUT (ecutwfc)")
        self._same(
            file,
            "kind of plane waves",
            basis.flavour,
            self.basis.flavour,
            "program (gamma-only or not, spinors or not)",
        )
        deviation = float(np.abs(basis.cell - self.basis.cell).max())
        if deviation > SAME_CELL and not self.selection.variable_cell:
            raise InputError(
                f"Frames must have the same cell, but that of `{file.path}` ({_vector(np.linalg.norm(basis.cell, axis=1))} Å) differs by up to "
                f"{deviation:.3g} Å from that of `{self.reference}` ({_vector(np.linalg.norm(self.basis.cell, axis=1))} Å). Where the cell "
                "varies on purpose, say so (`variable_cell`): plane waves are matched by their indices then."
            )
        if deviation <= SAME_CELL:
            self._same(
                file, "number of coefficients a band", basis.n_components, self.basis.n_components, "cell and cutoff"
            )

    def _same(self, file: BandFile, what: str, here: object, there: object, advice: str) -> None:
        if here != there:
            raise InputError(
                f"Frames must have the same {what}, but `{file.path}` has {here} and `{self.reference}` has {there}. Calculate them with the same "
                f"{advice}."
            )


def choose_window(file: BandFile, selection: Selection, basis_of: Callable[[int, int], Basis] | None = None) -> Window:
    """Return the bands to be read of all frames, told by the first.

    Parameters
    ----------
    file
        The first frame.
    selection
        What was asked for.
    basis_of
        Returns the basis of a spin and k-point, where coefficients are read too.

    Raises
    ------
    InputError
        If bands, spin or k-point are not there, there are several of which none is chosen, or it is not told which bands are
        occupied.
    """
    for what, name, chosen, count in (
        ("spin channels", "spin", selection.spin, file.n_spins),
        ("k-points", "kpoint", selection.kpoint, len(file.kpoints)),
    ):
        if chosen is None and count > 1:
            raise InputError(
                f"File `{file.path}` holds {count} {what}, and each is a Hamiltonian of its own. Choose one: `{name}` (--{name}) from 0 to {count - 1}"
                f"{' (--kpoint all writes all)' * (name == 'kpoint')}."
            )
    check_channel(file, *selection.channel)
    levels = file.levels(*selection.channel)
    if selection.bands is not None:
        check_bands(file, range(*selection.bands))
    told = selection.n_occupied is not None and selection.bands is not None and _partial(levels).size > 0
    below = None if told else count_occupied(file, levels)
    if selection.bands is not None:
        bands = range(*selection.bands)
    else:
        assert below is not None
        bands = range(max(0, below - AROUND), min(file.n_bands, below + AROUND))
    window = Window(
        bands,
        below,
        selection,
        str(file.path),
        file.n_bands,
        file.kpoints[selection.channel[1]],
        None if basis_of is None else basis_of(*selection.channel),
        kpoint_weight(file, selection.channel[1]),
    )
    if selection.n_occupied is not None and window.n_occupied != selection.n_occupied:
        raise InputError(
            f"File `{file.path}` says that {window.n_occupied} of the bands {bands.start}:{bands.stop} are occupied, but `n_occupied` is "
            f"{selection.n_occupied}. Leave `n_occupied` out, or choose other `bands`."
        )
    if not 0 <= window.n_occupied <= len(bands):
        raise InputError(
            f"Argument `n_occupied` must lie between 0 and the {len(bands)} bands, but is {window.n_occupied}."
        )
    return window


def _partial(levels: Levels) -> NDArray[np.int64]:
    occupations = levels.occupations
    return np.flatnonzero((occupations > PARTIAL) & (occupations < 1 - PARTIAL))


def count_occupied(file: BandFile, levels: Levels) -> int:
    """Return the number of occupied bands.

    Raises
    ------
    InputError
        If a band is occupied in part, or one lies above an empty one.
    """
    occupations = levels.occupations
    if occupations.min() < -PARTIAL or occupations.max() > 1 + PARTIAL:
        raise InputError(
            f"File `{file.path}` must hold occupations between 0 and 1, but holds one of {occupations[np.abs(occupations - 0.5).argmax()]:.3g}. "
            "Smear with a Gaussian or not at all (ISMEAR = 0)."
        )
    partial = _partial(levels)
    if partial.size:
        band = int(partial[0])
        raise InputError(
            f"File `{file.path}` must have a gap, but band {band} (from 0) at {levels.energies[band]:.4f} eV is occupied by {occupations[band]:.3g}: "
            "metallic, or smeared too much. Calculate it with ISMEAR = 0 and a SIGMA of 0.01 (degauss), or name `bands` and `n_occupied` "
            "(--bands, --occupied)."
        )
    below = int((occupations > 0.5).sum())
    if not (occupations[:below] > 0.5).all():
        empty = int(np.argmin(occupations[:below] > 0.5))
        raise InputError(
            f"File `{file.path}` must have its occupied bands below the others, but band {empty} (from 0) is empty below an occupied one: it is "
            "no ground state. Calculate it with the occupations of the ground state."
        )
    return below


def band_labels(n_occupied: int, n_states: int, first: int = 0) -> tuple[str, ...]:
    """Return VBM-1, VBM, CBM, CBM+1, ... for a window around the gap; else "band 61", ..., counted from 1.

    Parameters
    ----------
    n_occupied
        Of the states.
    n_states
        All.
    first
        Number of the first band, from 0.
    """
    if not 0 < n_occupied < n_states:
        return tuple(f"band {first + i + 1}" for i in range(n_states))
    return tuple(
        [f"VBM-{n_occupied - 1 - i}" if i < n_occupied - 1 else "VBM" for i in range(n_occupied)]
        + ["CBM" if i == 0 else f"CBM+{i}" for i in range(n_states - n_occupied)]
    )


def _vector(values: NDArray[Any]) -> str:
    return " ".join(f"{value:.5g}" for value in values)

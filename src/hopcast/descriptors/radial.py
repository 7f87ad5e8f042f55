"""`RadialFunctions`: how many neighbours of each element every atom has at every distance, and how fast that changes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from hopcast.core import ConfigError, InputError, Trajectory
from hopcast.core.chunks import chunk_slices, map_chunks
from hopcast.core.errors import check_choice
from hopcast.core.plain import PlainMap, from_plain, to_plain
from hopcast.descriptors.angular import cutoff
from hopcast.descriptors.angular_rates import image_velocities
from hopcast.descriptors.neighbours import R, fill_bins, frame_box, gather_all, make_bins, make_room
from hopcast.descriptors.shells import default_r_cut
from hopcast.descriptors.symmetry_functions import Geometry, Images, frames_per_chunk


@dataclass(frozen=True)
class RadialFunctions:
    r"""Radial symmetry functions of every atom, one set for each element of its neighbours.

    .. math:: G_i^{B}(R_s) = \sum_{j \in B} e^{-\eta (R_{ij} - R_s)^2} f_c(R_{ij})

    Parameters
    ----------
    elements
        Elements B of the neighbours.
    r_s
        Centres, Å.
    eta
        Width, Å⁻².
    r_cut
        Cutoff radius, Å.
    images
        "all" for every periodic image within `r_cut`, "mic" for the shortest image of each other atom.

    Raises
    ------
    ConfigError
        If a parameter is out of range.

    References
    ----------
    Behler, J. Chem. Phys. 2011, 134, 074106, doi:10.1063/1.3553717 (G2).

    Examples
    --------
    >>> from hopcast.descriptors import RadialFunctions
    >>> RadialFunctions(elements=("Pb", "I"), r_s=(3.0, 4.0, 5.0), eta=4.0, r_cut=6.0).n_functions
    6
    """

    elements: tuple[str, ...]
    r_s: tuple[float, ...]
    eta: float
    r_cut: float
    images: Images = "all"

    def __post_init__(self) -> None:
        if not self.elements or len(set(self.elements)) != len(self.elements):
            raise ConfigError(f"Argument `elements` must name each element once, but is {list(self.elements)}.")
        centres = tuple(float(r) for r in self.r_s)
        if not centres or not all(math.isfinite(r) and r >= 0 for r in centres):
            raise ConfigError(f"Argument `r_s` must hold distances in Å, but is {list(self.r_s)}.")
        for name, value in (("eta", self.eta), ("r_cut", self.r_cut)):
            if not (math.isfinite(value) and value > 0):
                raise ConfigError(f"Argument `{name}` must be a positive number, but is {value}.")
        check_choice("images", self.images, ("all", "mic"))
        object.__setattr__(self, "elements", tuple(self.elements))
        object.__setattr__(self, "r_s", centres)

    @classmethod
    def from_trajectory(
        cls,
        trajectory: Trajectory,
        *,
        n_centres: int = 12,
        r_cut: float | None = None,
        shortest: float = 2.0,
        images: Images = "all",
    ) -> RadialFunctions:
        """Return functions with evenly spaced centres from `shortest` to the cutoff, as wide as they are apart.

        Parameters
        ----------
        trajectory
            Gives the elements and, unless `r_cut` is given, the cutoff: half the body diagonal, at most 9.1 Å.
        n_centres
            Number of centres; eta = 1 / (2 spacing^2).
        r_cut, images
            See the class.
        shortest
            First centre, Å.
        """
        reach = default_r_cut(trajectory, "default") if r_cut is None else r_cut
        if n_centres < 2 or reach <= shortest:
            raise ConfigError(
                f"Arguments `n_centres` and `r_cut` must allow two centres from {shortest:g} Å on, but are {n_centres} and {reach:g}."
            )
        spacing = (reach - shortest) / n_centres
        centres = tuple(float(shortest + spacing * k) for k in range(n_centres))
        return cls(trajectory.elements, centres, eta=0.5 / spacing**2, r_cut=float(reach), images=images)

    @property
    def n_functions(self) -> int:
        """Number of functions an atom, ``len(elements) * len(r_s)``."""
        return len(self.elements) * len(self.r_s)

    @property
    def function_labels(self) -> tuple[tuple[str, str], ...]:
        """Element and centre of each function, elements slow."""
        return tuple((element, f"{r:.4g} Å") for element in self.elements for r in self.r_s)

    def transform(self, trajectory: Trajectory, *, workers: int | None = None) -> NDArray[np.float64]:
        """Return the functions of every atom in every frame, [n_frames, n_atoms, n_functions], elements slow, centres fast.

        Raises
        ------
        InputError
            If two atoms coincide, or an element has no function.
        """
        return self._run(trajectory, False, workers)

    def transform_derivative(self, trajectory: Trajectory, *, workers: int | None = None) -> NDArray[np.float64]:
        """Return dG/dt per fs from the velocities of the trajectory (or differences of its positions), as `transform`."""
        return self._run(trajectory.with_velocities(), True, workers)

    def to_dict(self) -> PlainMap:
        """Return plain data for a run record."""
        return to_plain(self)

    @classmethod
    def from_dict(cls, data: PlainMap) -> RadialFunctions:
        """Return the functions that `to_dict` wrote.

        Raises
        ------
        ConfigError
            If a key is unknown.
        """
        return from_plain(cls, data, "Radial functions")

    def _run(self, trajectory: Trajectory, rate: bool, workers: int | None) -> NDArray[np.float64]:
        for symbol in trajectory.elements:
            if symbol not in self.elements:
                raise InputError(
                    f"The trajectory must hold only {', '.join(self.elements)}, for which these radial functions were made, "
                    f"but holds {symbol}: make functions of its own (`RadialFunctions.from_trajectory`)."
                )
        geometry = Geometry(trajectory, self.r_cut, self.images)
        kind = np.array([self.elements.index(symbol) for symbol in trajectory.symbols])
        out = np.empty((trajectory.n_frames, trajectory.n_atoms, self.n_functions))
        r_s = np.array(self.r_s)

        def run(frames: slice) -> None:
            motion, boxes = geometry.part(frames, rate)
            found = _chunk_radial(motion, boxes, kind, r_s, self.eta, rate, out[frames])
            geometry.check(frames, found)

        map_chunks(run, chunk_slices(trajectory.n_frames, frames_per_chunk(trajectory)), workers=workers)
        return out


@njit(cache=True, nogil=True, error_model="numpy")
def _chunk_radial(
    motion: Any, boxes: Any, kind: Any, r_s: Any, eta: float, rate: bool, out: Any
) -> Any:  # pragma: no cover - compiled
    """Write the functions, or their time derivatives, of a chunk; (-1, 0, 0), or frame and two atoms that coincide."""
    positions, velocities, cell_velocities = motion
    r_cut = boxes.radius
    n_frames, n_atoms, _ = positions.shape
    n_r = r_s.shape[0]
    bins = make_bins(n_atoms)
    index, near = make_room(128)
    rates = np.empty((4, 128))
    out[:] = 0.0
    for f in range(n_frames):
        box = frame_box(boxes, f)
        fill_bins(positions[f], box, bins)
        for i in range(n_atoms):
            n, index, near = gather_all(i, box, bins, index, near)
            if n > rates.shape[1]:
                rates = np.empty((4, index.shape[0]))
            if n < 0:
                return f, i, -1 - n
            if rate:
                image_velocities(
                    i, n, index, near, velocities[f], cell_velocities[f if cell_velocities.shape[0] > 1 else 0], rates
                )
            for k in range(n):
                r = near[R, k]
                fc = cutoff(r, r_cut)
                slope = -0.5 * math.pi / r_cut * math.sin(math.pi * r / r_cut)
                first = kind[index[k]] * n_r
                for s in range(n_r):
                    distance = r - r_s[s]
                    value = math.exp(-eta * distance * distance)
                    if rate:
                        value *= (slope - 2.0 * eta * distance * fc) * rates[3, k]
                    else:
                        value *= fc
                    out[f, i, first + s] += value
    return -1, 0, 0

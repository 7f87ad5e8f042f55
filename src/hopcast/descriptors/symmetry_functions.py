"""`SymmetryFunctions`: the features of every atom along a trajectory, and their time derivatives."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from hopcast.core import ConfigError, InputError, QualityWarning, Trajectory
from hopcast.core.chunks import Mapper, chunk_slices, map_chunks, stream_chunks
from hopcast.core.errors import check_choice
from hopcast.core.plain import PlainMap, from_plain, to_plain
from hopcast.descriptors.frames import Motion, Sums, chunk_counts, chunk_functions
from hopcast.descriptors.neighbours import Boxes, boxes_of, coincident_message, complete_cells, part_of
from hopcast.descriptors.shells import default_r_cut, find_shells
from hopcast.descriptors.sites import find_sites

Images = Literal["all", "mic"]
Mode = Literal["default", "paper"]

# factors of the shared exponential lose digits as their exponents grow; beyond this the definition is summed
LARGEST_EXPONENT = 100.0
# atoms times frames in one unit of work
CHUNK_ATOMS = 5120

MOST_FUNCTIONS: Final = 80
"""Functions an atom beyond which distances and angles of light elements are left out: four elements have 72, five would have 200."""

NEAREST_SEEN: Final = 1.1
"""R_c over the shortest nearest-neighbour distance below which functions see too little (fc < 0.02)."""


@dataclass(frozen=True)
class SymmetryFunctions:
    r"""Angular symmetry functions of every atom; see `hopcast.descriptors` for the equation.

    Parameters
    ----------
    r_s
        Centres of the radial part, Å.
    theta_s
        Centres of the angular part, rad, from 0 to pi.
    r_cut
        Cutoff radius, Å.
    eta
        Width of the radial part, Å⁻².
    zeta
        Power of the angular part. The value 1 is many times faster than others.
    images
        "all" for every periodic image within `r_cut`, "mic" for the shortest image of each other atom
        (discontinuous where `r_cut` exceeds half the smallest width of the cell).
    r_s_labels, theta_s_labels
        Names of the centres, "Cs-Pb" and "Pb-I-Pb"; the default is their values.

    Raises
    ------
    ConfigError
        If a parameter is out of range.

    References
    ----------
    How et al., J. Phys. Chem. Lett. 2021, 12, 12026, doi:10.1021/acs.jpclett.1c03469.
    Smith, Isayev, Roitberg, Chem. Sci. 2017, 8, 3192, doi:10.1039/C6SC05720A.

    Examples
    --------
    >>> from hopcast.descriptors import SymmetryFunctions
    >>> sf = SymmetryFunctions(r_s=(3.2, 4.0), theta_s=(1.57, 3.14), r_cut=6.0)
    >>> sf.n_functions
    4
    """

    r_s: tuple[float, ...]
    theta_s: tuple[float, ...]
    r_cut: float
    eta: float = 0.15
    zeta: float = 1.0
    images: Images = "all"
    r_s_labels: tuple[str, ...] = ()
    theta_s_labels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        r_s = _numbers("r_s", self.r_s)
        theta_s = _numbers("theta_s", self.theta_s)
        if min(r_s) < 0:
            raise ConfigError(f"Argument `r_s` must hold distances in Å, but holds {min(r_s):g}.")
        if min(theta_s) < 0 or max(theta_s) > math.pi + 1e-9:
            wrong = max(theta_s) if max(theta_s) > math.pi else min(theta_s)
            hint = " It looks like degrees." if wrong > 2 * math.pi else ""
            raise ConfigError(
                f"Argument `theta_s` must hold angles between 0 and pi radians, but holds {wrong:g}.{hint}"
            )
        for name, value, low in (("r_cut", self.r_cut, 0.0), ("zeta", self.zeta, 0.0)):
            if not (_is_number(value) and math.isfinite(value) and value > low):
                raise ConfigError(f"Argument `{name}` must be a positive number, but is {value}.")
        if not (_is_number(self.eta) and math.isfinite(self.eta) and self.eta >= 0):
            raise ConfigError(f"Argument `eta` must be zero or a positive number, but is {self.eta}.")
        check_choice("images", self.images, ("all", "mic"))
        r_s_labels = tuple(self.r_s_labels) or tuple(f"{r:.4g} Å" for r in r_s)
        theta_s_labels = tuple(self.theta_s_labels) or tuple(f"{math.degrees(t):.4g}°" for t in theta_s)
        for name, labels, values in (("r_s_labels", r_s_labels, r_s), ("theta_s_labels", theta_s_labels, theta_s)):
            if len(labels) != len(values):
                raise ConfigError(f"Argument `{name}` must name {len(values)} values, but names {len(labels)}.")
        checked: tuple[tuple[str, Any], ...] = (
            ("r_s", r_s),
            ("theta_s", tuple(min(t, math.pi) for t in theta_s)),
            ("r_cut", float(self.r_cut)),
            ("eta", float(self.eta)),
            ("zeta", float(self.zeta)),
            ("r_s_labels", r_s_labels),
            ("theta_s_labels", theta_s_labels),
        )
        for name, final in checked:
            object.__setattr__(self, name, final)

    @classmethod
    def from_trajectory(
        cls,
        trajectory: Trajectory,
        *,
        mode: Mode = "default",
        r_s: Sequence[float] | None = None,
        theta_s: Sequence[float] | None = None,
        r_cut: float | None = None,
        eta: float = 0.15,
        zeta: float = 1.0,
        images: Images | None = None,
        max_functions: int | None = MOST_FUNCTIONS,
        workers: int | None = None,
    ) -> SymmetryFunctions:
        """Find R_s, theta_s and R_c from a trajectory; whatever is given is kept.

        Parameters
        ----------
        trajectory
            The trajectory that defines them (they are reused on others).
        mode
            "default": R_c half the body diagonal of the cell but at most 9.1 Å, every periodic image; "paper": R_c half
            the body diagonal, the shortest image of each atom.
        r_s, theta_s, r_cut, images
            Override what `mode` would choose.
        eta, zeta
            See the class.
        max_functions
            Most functions an atom that are found: distances and angles of the lightest elements are left out until there are no
            more (five elements would give 200). None: no limit.
        workers
            Number of threads.

        Raises
        ------
        ConfigError
            If the mode is unknown or a parameter out of range.
        InputError
            If atoms coincide or the trajectory has no distances or angles to find.

        Warns
        -----
        QualityWarning
            If R_c ends at the nearest neighbours (half the body diagonal does in a cell of the CsCl type): functions vanish there;
            if functions of light elements are left out.
        """
        check_choice("mode", mode, ("default", "paper"))
        if images is None:
            images = "mic" if mode == "paper" else "all"
        r_s_labels: tuple[str, ...] = ()
        theta_s_labels: tuple[str, ...] = ()
        if r_s is None or theta_s is None:
            shells = find_shells(_of_heavy_elements(trajectory, max_functions, r_s, theta_s), workers=workers)
            if r_s is None:
                r_s, r_s_labels = shells.r_s, shells.r_s_labels
            if theta_s is None:
                theta_s, theta_s_labels = shells.theta_s, shells.theta_s_labels
        reach = default_r_cut(trajectory, mode) if r_cut is None else r_cut
        if r_s_labels and reach < NEAREST_SEEN * min(r_s):
            warnings.warn(
                f"`r_cut` {reach:.4g} Å ends at the nearest neighbours, {min(r_s):.4g} Å away: the functions (nearly) vanish. "
                "Give a longer one.",
                QualityWarning,
                stacklevel=2,
            )
        return cls(
            r_s=tuple(r_s),
            theta_s=tuple(theta_s),
            r_cut=reach,
            eta=eta,
            zeta=zeta,
            images=images,
            r_s_labels=r_s_labels,
            theta_s_labels=theta_s_labels,
        )

    @property
    def n_functions(self) -> int:
        """Number of functions an atom, ``len(r_s) * len(theta_s)``."""
        return len(self.r_s) * len(self.theta_s)

    @property
    def function_labels(self) -> tuple[tuple[str, str], ...]:
        """Labels of (R_s, theta_s) of each function, R_s slow, theta_s fast."""
        return tuple((r, theta) for r in self.r_s_labels for theta in self.theta_s_labels)

    @property
    def function_values(self) -> NDArray[np.float64]:
        """R_s (Å) and theta_s (rad) of each function [n_functions, 2]."""
        return np.array([(r, theta) for r in self.r_s for theta in self.theta_s])

    def transform(
        self,
        trajectory: Trajectory,
        *,
        workers: int | None = None,
        chunk_frames: int | None = None,
        executor: Mapper | None = None,
        out: Any = None,
    ) -> Any:
        """Return the functions of every atom in every frame.

        Parameters
        ----------
        trajectory
            Any elements, any cell, any periodicity.
        workers
            Number of threads; the result does not depend on it.
        chunk_frames
            Frames in one unit of work; the result does not depend on it.
        executor
            Where to compute instead of threads of our own: other processes or machines (`hopcast.core.scheduler`).
        out
            Array to fill and return: an `numpy.memmap` or a dataset of h5py keeps a long trajectory out of memory.

        Returns
        -------
        array [n_frames, n_atoms, n_functions]
            R_s slow, theta_s fast. An atom with fewer than two neighbours has zeros.

        Raises
        ------
        InputError
            If two atoms coincide (frame and atoms are named), or `out` has another shape.

        Warns
        -----
        QualityWarning
            If ``images="mic"`` and `r_cut` exceeds half the smallest width of the cell.
        """
        return self._run(trajectory, False, workers, chunk_frames, executor, out)

    def transform_chunks(
        self,
        trajectory: Trajectory,
        *,
        workers: int | None = None,
        chunk_frames: int | None = None,
        executor: Mapper | None = None,
    ) -> Iterator[tuple[slice, NDArray[np.float64]]]:
        """Yield frames and functions chunk by chunk, in order: what `transform` returns, in the memory of a few chunks.

        Parameters
        ----------
        trajectory, workers, chunk_frames, executor
            As for `transform`. Positions may be a `numpy.memmap`.

        Yields
        ------
        slice, array [n_frames of the chunk, n_atoms, n_functions]
        """
        return self._chunks(trajectory, False, workers, chunk_frames, executor)

    def transform_derivative(
        self, trajectory: Trajectory, *, workers: int | None = None, chunk_frames: int | None = None
    ) -> NDArray[np.float64]:
        """Return dG/dt of every function, from the velocities of the trajectory (or differences of its positions).

        A cell that changes in time moves its images along. At a straight triplet, where sin(theta) has a kink, the mean
        of both one-sided derivatives is taken.

        Parameters
        ----------
        trajectory, workers, chunk_frames
            As for `transform`.

        Returns
        -------
        array [n_frames, n_atoms, n_functions]
            Per fs.

        Raises
        ------
        InputError
            If two atoms coincide, or there are no velocities and fewer than three frames.
        """
        return np.asarray(self._run(trajectory.with_velocities(), True, workers, chunk_frames, None, None))

    def count_neighbours(self, trajectory: Trajectory, *, workers: int | None = None) -> NDArray[np.int64]:
        """Return how many neighbours (images within `r_cut`) each atom has [n_frames, n_atoms]."""
        geometry = Geometry(trajectory, self.r_cut, self.images)
        out = np.empty((trajectory.n_frames, trajectory.n_atoms), dtype=np.int64)

        def run(frames: slice) -> None:
            motion, boxes = geometry.part(frames)
            geometry.check(frames, chunk_counts(motion.positions, boxes, out[frames]))

        map_chunks(run, chunk_slices(trajectory.n_frames, frames_per_chunk(trajectory)), workers=workers)
        return out

    def to_dict(self) -> PlainMap:
        """Return plain data for a run record."""
        return to_plain(self)

    @classmethod
    def from_dict(cls, data: PlainMap) -> SymmetryFunctions:
        """Return the functions that `to_dict` wrote.

        Raises
        ------
        ConfigError
            If a key is unknown or missing.
        """
        return from_plain(cls, data, "Symmetry functions", ("r_s", "theta_s", "r_cut"))

    @property
    def _is_factored(self) -> bool:
        """Whether the sums can be factored: zeta 1, and exponents small enough to keep all digits."""
        shift = max(abs(r - 0.5 * self.r_cut) for r in self.r_s)
        u = 0.25 * self.r_cut
        exponent = self.eta * max(2.0 * u * u, u * u + 2.0 * shift * u + 0.5 * shift * shift)
        return self.zeta == 1.0 and exponent < LARGEST_EXPONENT

    def _run(
        self,
        trajectory: Trajectory,
        rate: bool,
        workers: int | None,
        chunk_frames: int | None,
        executor: Mapper | None,
        out: Any,
    ) -> Any:
        shape = (trajectory.n_frames, trajectory.n_atoms, self.n_functions)
        if out is None:
            out = np.empty(shape)
        elif tuple(out.shape) != shape:
            raise InputError(f"Argument `out` must have the shape {shape}, but has {tuple(out.shape)}.")
        for frames, values in self._chunks(trajectory, rate, workers, chunk_frames, executor):
            out[frames] = values
        return out

    def _chunks(
        self, trajectory: Trajectory, rate: bool, workers: int | None, chunk_frames: int | None, executor: Mapper | None
    ) -> Iterator[tuple[slice, NDArray[np.float64]]]:
        if chunk_frames is not None and chunk_frames < 1:
            raise ConfigError(f"Argument `chunk_frames` must be at least 1, but is {chunk_frames}.")
        geometry = Geometry(trajectory, self.r_cut, self.images)
        if self.images == "mic" and self.r_cut > 0.5 * geometry.smallest_width:
            warnings.warn(
                f"`r_cut` {self.r_cut:.4g} Å exceeds half the smallest width of the cell, {geometry.smallest_width:.4g} Å: "
                'with `images="mic"` the functions jump where the shortest image of an atom changes.',
                QualityWarning,
                stacklevel=4,
            )
        slices = chunk_slices(trajectory.n_frames, chunk_frames or frames_per_chunk(trajectory))
        # parts are made one by one: of a trajectory on disk only those under way are in memory
        parts = (geometry.part(frames, rate) for frames in slices)
        work = partial(_functions_of, self, rate)
        results = stream_chunks(work, parts, workers=workers, executor=executor, portable=True)
        return (
            (frames, geometry.checked(frames, found, values))
            for frames, (found, values) in zip(slices, results, strict=True)
        )


def _functions_of(
    functions: SymmetryFunctions, rate: bool, part: tuple[Motion, Boxes]
) -> tuple[tuple[int, int, int], NDArray[np.float64]]:
    """Return what the kernel found (coincident atoms) and the functions of some frames."""
    motion, boxes = part
    out = np.empty((*motion.positions.shape[:2], functions.n_functions))
    sums = Sums(np.array(functions.r_s), np.array(functions.theta_s), functions.r_cut, functions.eta, functions.zeta)
    return chunk_functions(motion, boxes, sums, functions._is_factored, rate, out), out


class Geometry:
    """A trajectory as the kernels want it: in parts, each complete in itself, so that it can be sent to where it is computed."""

    def __init__(self, trajectory: Trajectory, radius: float, images: Images) -> None:
        self.trajectory = trajectory
        periodic = np.array(trajectory.pbc)
        cells = complete_cells(trajectory.cell, trajectory.pbc)
        self.boxes = boxes_of(cells, periodic, radius, shortest=images == "mic")
        self.smallest_width = float(self.boxes.widths[:, periodic].min()) if any(trajectory.pbc) else math.inf
        # on the whole trajectory, so that the ends of chunks do not matter
        if len(cells) > 1:
            order: Literal[1, 2] = 2 if len(cells) > 2 else 1
            self.cell_velocities = np.gradient(cells, trajectory.timestep, axis=0, edge_order=order)
        else:
            self.cell_velocities = np.zeros_like(cells)

    def part(self, frames: slice, rate: bool = False) -> tuple[Motion, Boxes]:
        """Return some frames; with velocities where rates are wanted."""
        part = slice(None) if len(self.boxes.cells) == 1 else frames
        velocities = np.empty((0, 0, 3))
        if rate:
            velocities = np.array(self.trajectory.velocities[frames], dtype=np.float64, order="C")  # type: ignore[index]
        positions = np.array(self.trajectory.positions[frames], dtype=np.float64, order="C")
        return Motion(positions, velocities, self.cell_velocities[part]), part_of(self.boxes, part)

    def checked(self, frames: slice, found: tuple[int, int, int], values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return values unless a kernel found two atoms at one place."""
        self.check(frames, found)
        return values

    def check(self, frames: slice, found: tuple[int, int, int]) -> None:
        """Raise if a kernel found two atoms at one place."""
        if found[0] >= 0:
            raise InputError(coincident_message(self.trajectory, frames.start + found[0], found[1], found[2]))


def frames_per_chunk(trajectory: Trajectory) -> int:
    """Return the frames of one unit of work."""
    return max(1, CHUNK_ATOMS // trajectory.n_atoms)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)


def _numbers(name: str, values: Sequence[float]) -> tuple[float, ...]:
    try:
        numbers = tuple(float(value) for value in values)
    except (TypeError, ValueError):
        numbers = ()
    if not numbers or not all(math.isfinite(value) for value in numbers):
        raise ConfigError(f"Argument `{name}` must hold at least one finite number, but is {values!r}.")
    return numbers


def _of_heavy_elements(
    trajectory: Trajectory, most: int | None, r_s: Sequence[float] | None, theta_s: Sequence[float] | None
) -> Trajectory:
    """Return the trajectory without as many of its lightest elements as bring the functions down to `most`."""
    elements = trajectory.elements
    by_weight = sorted(elements, key=lambda element: -int(trajectory.numbers[trajectory.symbols.index(element)]))
    kept = by_weight
    while most is not None and len(kept) > 2 and _count_functions(len(kept), r_s, theta_s) > most:
        kept = kept[:-1]
    if len(kept) == len(elements):
        return trajectory
    found, left = _count_functions(len(elements), r_s, theta_s), _count_functions(len(kept), r_s, theta_s)
    warnings.warn(
        f"Distances and angles of {', '.join(by_weight[len(kept) :])} make no symmetry functions: {len(elements)} elements would have "
        f"{found} functions an atom, at most {most} are found; {left} are used. Name the elements that count, join molecules to "
        "one site each (`find_sites`; `features.elements` and `features.molecules` of a study file), or raise `max_functions`.",
        QualityWarning,
        stacklevel=3,
    )
    return find_sites(trajectory, kept).trajectory


def _count_functions(n_elements: int, r_s: Sequence[float] | None, theta_s: Sequence[float] | None) -> int:
    """Return how many functions `find_shells` would make of as many elements, less those that are given."""
    pairs = max(n_elements * (n_elements - 1) // 2, 1)
    return (pairs if r_s is None else len(r_s)) * (2 * pairs if theta_s is None else len(theta_s))

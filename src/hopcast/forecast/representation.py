"""What a learner sees of geometries: functions of atoms or of frames, by themselves or averaged over an element."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal, cast, get_args

import numpy as np
from numpy.typing import NDArray

from hopcast.core.errors import InputError
from hopcast.core.plain import PlainMap, part
from hopcast.core.trajectory import Trajectory
from hopcast.descriptors import RadialFunctions, StructuralNumbers, SymmetryFunctions, pool_elements, take_frames

Array = NDArray[np.float64]

Pool = Literal["atoms", "mean", "mean and spread"]

Functions = SymmetryFunctions | RadialFunctions | StructuralNumbers

KINDS: Final = {kind.__name__: kind for kind in (SymmetryFunctions, RadialFunctions, StructuralNumbers)}


@dataclass(frozen=True)
class Representation:
    """A way to turn frames into columns.

    Attributes
    ----------
    name
        What a table calls it.
    functions
        Of each atom, or of a whole frame.
    pool
        Each atom by itself, or averages over the atoms of an element.
    """

    name: str
    functions: Functions
    pool: Pool = "atoms"

    @property
    def is_atomic(self) -> bool:
        """Whether every atom has columns of its own; otherwise their number does not depend on the size of the cell."""
        return self.pool == "atoms" and not isinstance(self.functions, StructuralNumbers)

    def of_frames(self, trajectory: Trajectory, workers: int | None = None) -> Array:
        """Return the columns of every frame, [n_frames, n_columns] or, of atoms, [n_frames, n_atoms, n_columns]."""
        columns = self.functions.transform(trajectory, workers=workers)
        if self.pool == "atoms":
            return columns
        return pool_elements(columns, trajectory, spread=self.pool == "mean and spread")

    def to_dict(self) -> PlainMap:
        """Return plain data for a file."""
        return {
            "name": self.name,
            "kind": type(self.functions).__name__,
            "pool": self.pool,
            "functions": self.functions.to_dict(),
        }

    @classmethod
    def from_dict(cls, data: PlainMap) -> Representation:
        """Return what `to_dict` wrote.

        Raises
        ------
        InputError
            If its kind or pool is none that this version knows.
        ConfigError
            If a parameter of the functions is unknown.
        """
        kind, pool = str(data["kind"]), cast(Pool, data["pool"])
        if kind not in KINDS or pool not in get_args(Pool):
            raise InputError(
                f"A representation must be one of {', '.join(KINDS)} with atoms pooled as {', '.join(get_args(Pool))}, but is "
                f"`{kind}`, `{pool}`. Update hopcast."
            )
        return cls(str(data["name"]), KINDS[kind].from_dict(part(data, "functions")), pool)


def columns_of_pairs(
    representations: Iterable[Representation],
    trajectory: Trajectory,
    steps: NDArray[np.intp],
    workers: int | None = None,
) -> dict[Representation, tuple[Array, Array]]:
    """Return the columns of the frames at which pairs begin and end, for each representation once."""
    ends = [take_frames(trajectory, steps + later) for later in (0, 1)]
    return {
        one: (one.of_frames(ends[0], workers), one.of_frames(ends[1], workers))
        for one in dict.fromkeys(representations)
    }

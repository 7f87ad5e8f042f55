"""A plan: which pairs of frames are to be computed, their geometries, and the folder that holds what is finished."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hopcast.abinitio.engine import Geometry
from hopcast.core.errors import InputError, OutputError
from hopcast.core.hdf5 import write_text
from hopcast.core.inputs import refuse_pipe
from hopcast.core.trajectory import Trajectory
from hopcast.io.native import read_native, write_native

PLAN_VERSION = 1
PLAN_FILE = "plan.json"
GEOMETRIES = "geometries.h5"


def trajectory_hash(trajectory: Trajectory) -> str:
    """Return the hash of a trajectory: its nuclei, cell and time step."""
    digest = hashlib.sha256()
    for array in (trajectory.positions, trajectory.cell, trajectory.numbers, np.array([trajectory.timestep])):
        digest.update(str(array.dtype).encode() + str(array.shape).encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def frame_folder(plan: Path, frame: int) -> Path:
    """Return the folder of a frame in the folder of a plan."""
    return plan / "frames" / f"{frame:06d}"


@dataclass(frozen=True, eq=False)
class Plan:
    """Pairs of frames (t, t + dt) of a trajectory that are to be computed.

    Attributes
    ----------
    folder
        Where it lies.
    pairs
        The first frame of each pair, ascending.
    n_frames
        Of the trajectory.
    timestep
        fs.
    strategy
        How the pairs were chosen.
    source
        The trajectory's file, as it was given; None if it had none.
    fingerprint
        Hash of the trajectory.
    frames
        The distinct frames of the pairs, ascending.
    """

    folder: Path
    pairs: tuple[int, ...]
    n_frames: int
    timestep: float
    strategy: str
    source: str | None
    fingerprint: str
    frames: tuple[int, ...]
    _geometries: Trajectory

    def place(self, frame: int) -> Path:
        """Return the folder of a frame's inputs and outputs."""
        return frame_folder(self.folder, frame)

    def geometry(self, frame: int) -> Geometry:
        """Return the nuclei of one of the plan's frames."""
        return Geometry.from_frame(self._geometries, self.frames.index(frame))

    @property
    def numbers(self) -> Any:
        """Atomic numbers [n_atoms]."""
        return self._geometries.numbers

    @property
    def frame_numbers(self) -> NDArray[np.int64] | None:
        """Numbers of all frames of the trajectory [n_frames], where those of the plan's frames count evenly; else None."""
        carried = self._geometries.frame_numbers
        if carried is None:
            return None
        frames = np.array(self.frames)
        stride = int(carried[1] - carried[0])  # of the two frames of the first pair
        numbers = carried[0] + stride * (np.arange(self.n_frames) - frames[0])
        return numbers if stride > 0 and np.array_equal(numbers[frames], carried) else None

    def check_trajectory(self, trajectory: Trajectory, name: str = "the trajectory") -> None:
        """Refuse a trajectory that the plan was not made for.

        Raises
        ------
        InputError
            If the hashes differ.
        """
        if trajectory_hash(trajectory) != self.fingerprint:
            raise InputError(
                f"Plan `{self.folder}` was made for another trajectory than {name} (their hashes differ: nuclei, cell or time "
                "step changed). Make a new plan with hopcast select, or put the old trajectory back."
            )


def distinct_frames(pairs: Sequence[int]) -> tuple[int, ...]:
    """Return the frames of pairs (t, t + 1), each once."""
    return tuple(sorted({frame + step for frame in pairs for step in (0, 1)}))


def write_plan(
    folder: str | Path, trajectory: Trajectory, pairs: Sequence[int], *, strategy: str, source: str | None = None
) -> Plan:
    """Write a plan into a new folder; the geometries it needs go with it, so that the folder can be copied to a cluster.

    Parameters
    ----------
    folder
        New or empty; a plan of the same trajectory and strategy is extended by the new pairs, what is finished stays.
    trajectory
        The nuclei.
    pairs
        First frame of each pair.
    strategy
        How they were chosen.
    source
        The trajectory's file.

    Raises
    ------
    InputError
        If there are no pairs, or a pair leaves the trajectory.
    OutputError
        If the folder holds something else.
    """
    place = Path(folder)
    chosen = {int(pair) for pair in pairs}
    if not chosen or min(chosen) < 0 or max(chosen) > trajectory.n_frames - 2:
        raise InputError(
            f"Argument `pairs` must name at least one frame between 0 and {trajectory.n_frames - 2}, but is {sorted(chosen)[:5]}."
        )
    fingerprint = trajectory_hash(trajectory)
    if (place / PLAN_FILE).exists():
        old = read_plan(place)
        old.check_trajectory(trajectory, f"`{source}`" if source else "the one given")
        chosen |= set(old.pairs)
    elif place.exists() and (not place.is_dir() or any(place.iterdir())):
        raise OutputError(f"`{place}` exists and is no plan. Choose another name.")
    ordered = tuple(sorted(chosen))
    frames = distinct_frames(ordered)
    write_native(place / GEOMETRIES, trajectory=trajectory.take(frames))
    record = {
        "plan_version": PLAN_VERSION,
        "strategy": strategy,
        "trajectory": source,
        "trajectory_sha256": fingerprint,
        "formula": trajectory.formula,
        "n_frames": trajectory.n_frames,
        "timestep_fs": trajectory.timestep,
        "pairs": list(ordered),
    }
    write_text(place / PLAN_FILE, json.dumps(record, indent=1) + "\n")
    return read_plan(place)


def read_plan(folder: str | Path) -> Plan:
    """Read a plan.

    Raises
    ------
    InputError
        If it is missing, damaged, or its geometries are not those of its pairs.
    """
    place = refuse_pipe(folder)
    file = place / PLAN_FILE
    if not file.is_file():
        raise InputError(f"`{place}` holds no {PLAN_FILE}. Make a plan with hopcast select.")
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
        pairs = tuple(int(pair) for pair in record["pairs"])
        geometries = read_native(place / GEOMETRIES, "trajectory")
        plan = Plan(
            place,
            pairs,
            int(record["n_frames"]),
            float(record["timestep_fs"]),
            str(record["strategy"]),
            record["trajectory"],
            str(record["trajectory_sha256"]),
            distinct_frames(pairs),
            geometries,
        )
    except (KeyError, TypeError, json.JSONDecodeError) as error:
        raise InputError(f"File `{file}` is damaged ({error}). Make the plan anew.") from error
    if geometries.n_frames != len(plan.frames):
        raise InputError(
            f"Plan `{place}` names {len(plan.frames)} frames, but its {GEOMETRIES} holds {geometries.n_frames}. Make the plan anew."
        )
    return plan

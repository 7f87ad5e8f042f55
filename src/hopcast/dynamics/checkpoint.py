"""Finished units of work on disk, so that a killed run goes on with the same bits."""

from __future__ import annotations

import hashlib
import json
import zipfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from hopcast.core.chunks import map_chunks
from hopcast.core.errors import ConfigError
from hopcast.core.hdf5 import atomic_path, write_text
from hopcast.dynamics.problem import Problem
from hopcast.dynamics.units import Counted, Unit

_STAMP = "run.json"


def fingerprint(problem: Problem, method: str) -> str:
    """Return a hash of everything that decides the bits of a run."""
    digest = hashlib.sha256()
    grid = problem.grid
    starts = problem.starts
    for array in (
        grid.left,
        grid.right,
        grid.nac,
        problem.tau,
        problem.output_steps,
        starts.key,
        starts.state,
        starts.share,
        starts.n_trajectories,
    ):
        digest.update(np.ascontiguousarray(array).tobytes())
        digest.update(repr((array.shape, array.dtype.str)).encode())
    settings = (
        method,
        grid.timestep,
        grid.n_substeps,
        grid.linear,
        grid.closed,
        problem.temperature,
        problem.rule,
        problem.waiting,
        problem.decisions,
        problem.absorbing,
        problem.loop,
        problem.random_state,
        problem.chunk_trajectories,
    )
    digest.update(repr(settings).encode())
    digest.update(repr(problem.multiplicities).encode() if problem.is_degenerate else b"")
    return digest.hexdigest()


def open_checkpoint(problem: Problem, method: str) -> None:
    """Make the folder of a checkpoint, or check that the one found is of this very run.

    Raises
    ------
    ConfigError
        If it belongs to another run.
    """
    folder = problem.checkpoint
    if folder is None:
        return
    mark = fingerprint(problem, method)
    stamp = folder / _STAMP
    if stamp.is_file():
        try:
            found = json.loads(stamp.read_text(encoding="utf-8"))["fingerprint"]
        except (ValueError, KeyError, TypeError):
            found = "unreadable"
        if found != mark:
            raise ConfigError(
                f"Folder `{folder}` holds the checkpoint of another run (Hamiltonian or settings differ). "
                "Repeat the settings of that run, or start anew elsewhere."
            )
        return
    folder.mkdir(parents=True, exist_ok=True)
    write_text(stamp, json.dumps({"fingerprint": mark, "method": method}))


def map_units(
    problem: Problem, work: Callable[[Unit], Counted], units: Sequence[Unit], finished: Callable[[], None] | None = None
) -> list[Counted]:
    """Return ``[work(unit) for unit in units]`` by threads; units that are on disk are read instead.

    A unit is written under another name and renamed, so a kill leaves it whole or absent; its result depends on its
    own random numbers only, so that it does not matter who computes it when.

    Parameters
    ----------
    problem
        Names the folder, or None.
    work
        Computes a unit: counts, and hops (a number or a matrix).
    units
        Initial time, first and last trajectory.
    finished
        Called for a unit that was read (`work` itself tells the others).
    """
    folder = problem.checkpoint

    def kept(unit: Unit) -> Counted:
        if folder is None:
            return work(unit)
        path = folder / f"unit-{unit[0]}-{unit[1]}.npz"
        found = _read(path)
        if found is not None:
            if finished is not None:
                finished()
            return found
        counted = work(unit)
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, **{name: array for name, array in counted._asdict().items() if array is not None})
        return counted

    return map_chunks(kept, list(units), workers=problem.workers)


def _read(path: Path) -> Counted | None:
    if not path.is_file() or not zipfile.is_zipfile(path):
        return None  # e.g. of a disk that lost its last blocks: computed anew
    try:
        with np.load(path, allow_pickle=False) as file:
            return Counted(file["counts"], file["hops"], file["arrivals"] if file["hops"].ndim else None)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
        return None

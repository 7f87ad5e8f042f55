"""`predict_stream`: a forecast along a trajectory of any length, chunk by chunk, each chunk kept as soon as it is done."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hopcast.core import hdf5
from hopcast.core.chunks import Mapper, chunk_slices, stream_chunks
from hopcast.core.errors import InputError, OutputError
from hopcast.core.hamiltonian import VibronicHamiltonian
from hopcast.core.trajectory import Trajectory
from hopcast.evaluation import Extrapolation
from hopcast.forecast.forecaster import Forecaster, forecast_chunk
from hopcast.forecast.storage import fingerprint
from hopcast.io.native import put_hamiltonian
from hopcast.io.streaming import Source, open_trajectory

CHUNK_FRAMES = 2048
"""Frames of a chunk; results do not depend on it."""

UNITS = {
    "gap": "eV", "gap_std": "eV", "relative_std": "1", "distance": "1", "outside": "1", "coupling": "eV", "coupling_std": "eV",
}  # fmt: skip

Arrays = dict[str, NDArray[Any]]

_Item = tuple[Path, Trajectory | None, int]


@dataclass(frozen=True, eq=False)
class StreamedForecast:
    """What a streamed forecast left behind.

    Attributes
    ----------
    path
        The file: a Hamiltonian for `hopcast dynamics`, and in ``forecast`` deviations, distances and the mask.
    n_frames
        Forecast.
    n_found
        Chunks that an earlier run had finished.
    n_chunks
        All of them.
    extrapolation
        Of all frames.
    size_doubt
        What to know where the cell has another number of atoms than the training set's; else empty.
    """

    path: Path
    n_frames: int
    n_found: int
    n_chunks: int
    extrapolation: Extrapolation
    size_doubt: str = ""


def predict_stream(
    forecaster: Forecaster,
    trajectory: Trajectory | str | Path,
    output: str | Path,
    *,
    variance: bool = True,
    resume: bool = False,
    overwrite: bool = False,
    timestep: float | None = None,
    cell: ArrayLike | None = None,
    chunk_frames: int = CHUNK_FRAMES,
    workers: int | None = None,
    executor: Mapper | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> StreamedForecast:
    r"""Forecast a trajectory into an HDF5 file, reading and computing a chunk of frames at a time.

    Memory is that of the chunks under way and about 100 bytes a frame for the forecast itself, whatever the number of atoms.

    Parameters
    ----------
    forecaster
        What forecasts.
    trajectory
        In memory, or a file; our HDF5, XDATCAR and xyz are read a chunk at a time, others whole.
    output
        File to write. Finished chunks wait in ``<output>.parts`` until it is complete.
    variance
        Write :math:`\sqrt{\mu^2 + \sigma^2}` as the coupling, whose mean square is not shrunk; otherwise :math:`\mu`.
    resume
        Take finished chunks of an earlier run of the same forecaster and trajectory.
    overwrite
        Replace `output` when the forecast is whole, and what an earlier run left.
    timestep
        fs between frames, for files that do not say it.
    cell
        Lattice vectors or three lengths, Å, for files without a cell.
    chunk_frames
        Frames of a chunk; the result does not depend on it.
    workers
        Threads.
    executor
        Where to compute instead: what `hopcast.core.scheduler.open_scheduler` gives, or any `concurrent.futures.Executor`.
    progress
        Called with (chunks done, chunks).

    Raises
    ------
    InputError
        If the trajectory is of another kind than the training set's (`Forecaster.check`), or the forecast closes the gap.
    OutputError
        If `output` or its parts exist and neither `resume` nor `overwrite` is given, `output` is the trajectory, or a file
        cannot be written; finished chunks stay.
    """
    path = Path(output)
    parts = path.with_name(path.name + ".parts")
    if not isinstance(trajectory, Trajectory) and path.resolve() == Path(trajectory).resolve():
        raise OutputError(f"File `{path}` is the trajectory itself. Choose another name for the forecast.")
    _refuse_leftovers(path, parts, resume=resume, overwrite=overwrite)
    with open_trajectory(trajectory, timestep=timestep, cell=cell) as source:
        if source.n_frames < 2:
            raise InputError("A forecast needs at least two frames, but the trajectory has one.")
        first = source.frames(0, 1)
        forecaster.check(first)
        size_doubt = forecaster.size_doubt(first)
        _prepare(parts, afresh=overwrite)
        signature = fingerprint(forecaster)
        chunks = chunk_slices(source.n_frames, chunk_frames)
        n_found = 0
        kept: list[Path] = []
        for name, arrays in _computed(forecaster, source, chunks, parts, signature, workers, executor):
            kept.append(name)
            if arrays is None:
                n_found += 1
            else:
                _store(name, arrays)
            if progress is not None:
                progress(len(kept), len(chunks))
        n_frames, dt = source.n_frames, forecaster.timestep
    loaded = [_load(name) for name in kept]
    joined = {key: np.concatenate([one[key] for one in loaded]) for key in UNITS}
    _write(path, forecaster, joined, dt, variance=variance)
    shutil.rmtree(parts)
    domain = forecaster.domain
    found = Extrapolation(
        joined["distance"], joined["relative_std"], joined["outside"], domain.distance_limit, domain.std_limit, domain.level
    )  # fmt: skip
    return StreamedForecast(path, n_frames, n_found, len(chunks), found, size_doubt)


def _refuse_leftovers(path: Path, parts: Path, *, resume: bool, overwrite: bool) -> None:
    if overwrite:
        return
    # file and chunks both: killed while it cleared its chunks, or while it was to replace an older file
    if path.exists() and not (resume and parts.exists()):
        raise OutputError(f"File `{path}` exists. Choose another name, or replace it with --overwrite.")
    if parts.exists() and not resume:
        raise OutputError(
            f"Folder `{parts}` holds chunks of an earlier run. Continue it with --resume, or start anew with --overwrite."
        )


def _prepare(parts: Path, *, afresh: bool) -> None:
    """Make the folder of finished chunks; the old forecast stays until the new one is whole."""
    if afresh:
        shutil.rmtree(parts, ignore_errors=True)
    try:
        parts.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"Folder `{parts}` cannot be made: {error.strerror or error}.") from error


def _computed(
    forecaster: Forecaster,
    source: Source,
    chunks: list[slice],
    parts: Path,
    signature: str,
    workers: int | None,
    executor: Mapper | None,
) -> Iterator[tuple[Path, Arrays | None]]:
    """Yield the file of every chunk in order, with its arrays where they had to be computed."""

    def items() -> Iterator[_Item]:
        for part in chunks:
            stop = min(
                part.stop + 1, source.n_frames
            )  # the mid-point after the last frame needs the next one
            geometries = source.frames(part.start, stop)
            try:
                forecaster.check(geometries)
            except InputError as error:
                raise InputError(f"Frames {part.start} to {stop - 1}: {error}") from error
            name = parts / f"{part.start:012d}-{_key(signature, part, geometries)}.h5"
            yield (name, None, 0) if _is_whole(name) else (name, geometries, part.stop - part.start)

    return stream_chunks(partial(_forecast, _serial(forecaster)), items(), workers=workers, executor=executor)


def _serial(forecaster: Forecaster) -> Forecaster:
    """Return the forecaster for one thread: chunks are what threads and other machines share."""
    gap, coupling = (
        replace(model, learner=copy(model.learner).set_params(workers=1))
        for model in forecaster.models.values()
    )
    return replace(forecaster, gap=gap, coupling=coupling)


def _forecast(forecaster: Forecaster, item: _Item) -> tuple[Path, Arrays | None]:
    name, geometries, n_frames = item
    return name, None if geometries is None else forecast_chunk(forecaster, geometries, n_frames)


def _key(signature: str, part: slice, geometries: Trajectory) -> str:
    digest = hashlib.sha256(f"{signature} {part.start} {part.stop} {geometries.timestep}".encode())
    for array in (geometries.positions, geometries.cell, geometries.numbers):
        digest.update(f"{array.dtype}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()[:16]


def _store(name: Path, arrays: Arrays) -> None:
    def fill(file: Any) -> None:
        for key, unit in UNITS.items():
            hdf5.put_array(file, key, arrays[key], unit=unit, axes=("time",), compress=False)

    hdf5.write_file(name, fill)


def _load(name: Path) -> Arrays:
    with hdf5.open_file(name) as file:
        return {key: hdf5.get_array(file, key) for key in UNITS}


def _is_whole(name: Path) -> bool:
    """Whether a chunk was finished; a file that cannot be read is computed again."""
    if not name.exists():
        return False
    try:
        _load(name)
    except Exception:  # h5py raises whatever the HDF5 library says of damaged files
        name.unlink()
        return False
    return True


def _write(path: Path, forecaster: Forecaster, joined: Arrays, timestep: float, *, variance: bool) -> None:
    gap, coupling = joined["gap"], joined["coupling"]
    worst = int(gap.argmin())
    if gap[worst] <= 0:
        raise InputError(
            f"The forecast closes the gap: {gap[worst]:.4g} eV at frame {worst}. Compute frames like it ab initio, and fit again."
        )
    if variance:
        coupling = np.sqrt(coupling**2 + joined["coupling_std"] ** 2)
    nac = np.zeros((len(coupling), 2, 2))
    nac[:, 0, 1], nac[:, 1, 0] = coupling, -coupling
    hamiltonian = VibronicHamiltonian(
        energies=np.stack([np.zeros_like(gap), gap], axis=1), nac=nac, timestep=timestep, n_occupied=1,
        state_labels=forecaster.state_labels,
        provenance={
            "source": "forecast by hopcast",
            "couplings": "sqrt(mu^2 + var) of the modulus" if variance else "forecast modulus",
            **forecaster.provenance,
        },
    )  # fmt: skip

    def fill(file: Any) -> None:
        put_hamiltonian(file.create_group("hamiltonian"), hamiltonian)
        group = file.create_group("forecast")
        for key, unit in UNITS.items():
            axis = "n_steps" if key.startswith("coupling") else "n_frames"
            hdf5.put_array(group, key, joined[key], unit=unit, axes=(axis,))

    hdf5.write_file(path, fill)

"""`predict_stream`: a forecast along a trajectory of any length, chunk by chunk, each chunk kept as soon as it is done."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hopcast.core import hdf5
from hopcast.core.chunks import Mapper, chunk_slices, stream_chunks
from hopcast.core.errors import InputError, OutputError
from hopcast.core.fingerprint import fingerprint
from hopcast.core.forecast import HamiltonianForecast, enlarged
from hopcast.core.hamiltonian import VibronicHamiltonian
from hopcast.core.outputs import held
from hopcast.core.trajectory import Trajectory
from hopcast.couplings import derive_couplings
from hopcast.evaluation import Extrapolation
from hopcast.forecast.protocol import FittedForecaster
from hopcast.forecast.storage import signature
from hopcast.io.native import put_hamiltonian
from hopcast.io.streaming import Source, open_trajectory

CHUNK_FRAMES = 2048
"""Frames of a chunk; results do not depend on it."""

FRAMES: Final = {
    "energies": "eV",
    "energies_std": "eV",
    "outside": "1",
    "distance": "1",
    "relative_std": "1",
    "frame_numbers": "1",
}
"""What a chunk holds of its frames, and the units of it."""

STEPS: Final = {"nac": "eV", "nac_std": "eV", "overlaps": "1"}
"""What a chunk holds of the mid-points that begin at them."""

Arrays = dict[str, NDArray[Any]]

_Item = tuple[Path, Trajectory | None, slice]


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
    forecaster: FittedForecaster,
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

    Memory is that of the chunks under way and of the forecast itself (of two states about 120 bytes a frame), whatever the number
    of atoms. A forecaster that gives raw overlaps gets its couplings derived from all of them together.

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
        _prepare(parts)
        with held(parts):
            if overwrite:  # the old forecast stays until the new one is whole
                for old in parts.iterdir():
                    old.unlink()
            made_of = signature(forecaster)
            chunks = chunk_slices(source.n_frames, chunk_frames)
            n_found = 0
            kept: list[Path] = []
            for name, arrays in _computed(forecaster, source, chunks, parts, made_of, workers, executor):
                kept.append(name)
                if arrays is None:
                    n_found += 1
                else:
                    _store(name, arrays)
                if progress is not None:
                    progress(len(kept), len(chunks))
            n_frames, dt = source.n_frames, forecaster.timestep
            loaded = [_load(name) for name in kept]
            joined = {key: np.concatenate([one[key] for one in loaded]) for key in loaded[0]}
            _write(path, forecaster, joined, dt, variance=variance)
            shutil.rmtree(parts)
    found = forecaster.judged(joined["distance"], joined.get("relative_std"), joined["outside"])
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


def _prepare(parts: Path) -> None:
    """Make the folder of finished chunks."""
    try:
        parts.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"Folder `{parts}` cannot be made: {error.strerror or error}.") from error


def _computed(
    forecaster: FittedForecaster,
    source: Source,
    chunks: list[slice],
    parts: Path,
    made_of: str,
    workers: int | None,
    executor: Mapper | None,
) -> Iterator[tuple[Path, Arrays | None]]:
    """Yield the file of every chunk in order, with its arrays where they had to be computed."""

    def items() -> Iterator[_Item]:
        for part in chunks:
            # the mid-point after the last frame needs the next one; the last frame alone, the one before it
            start, stop = min(part.start, source.n_frames - 2), min(part.stop + 1, source.n_frames)
            geometries = source.frames(start, stop)
            try:
                forecaster.check(geometries)
            except InputError as error:
                raise InputError(f"Frames {start} to {stop - 1}: {error}") from error
            key = fingerprint(
                made_of,
                part.start,
                part.stop,
                geometries.timestep,
                geometries.positions,
                geometries.cell,
                geometries.numbers,
                geometries.frame_numbers,
            )
            name = parts / f"{part.start:012d}-{key[:16]}.h5"
            wanted = slice(part.start - start, part.stop - start)
            yield (name, None, wanted) if _is_whole(name) else (name, geometries, wanted)

    return stream_chunks(partial(_forecast, forecaster), items(), workers=workers, executor=executor)


def _forecast(forecaster: FittedForecaster, item: _Item) -> tuple[Path, Arrays | None]:
    """Forecast a chunk on one thread: chunks are what threads and other machines share."""
    name, geometries, wanted = item
    if geometries is None:
        return name, None
    arrays = _arrays(forecaster.forecast(geometries, workers=1), wanted)
    if geometries.frame_numbers is not None:
        arrays["frame_numbers"] = geometries.frame_numbers[wanted]
    return name, arrays


def _arrays(found: HamiltonianForecast, wanted: slice) -> Arrays:
    """Return what is kept of some of the frames, and of the mid-points that begin at them."""
    ham, std = found.hamiltonian, found.std
    everything = {
        "energies": ham.energies,
        "energies_std": None if std is None else std.energies,
        "outside": found.outside,
        "distance": found.distance,
        "relative_std": found.relative_std,
        "nac": ham.nac,
        "nac_std": None if std is None else std.nac,
        "overlaps": ham.overlaps,
    }
    return {key: values[wanted] for key, values in everything.items() if values is not None}


def _store(name: Path, arrays: Arrays) -> None:
    units = FRAMES | STEPS

    def fill(file: Any) -> None:
        for key, values in arrays.items():
            axes = ("time", *[""] * (values.ndim - 1))
            hdf5.put_array(file, key, values, unit=units[key], axes=axes, compress=False)

    hdf5.write_file(name, fill)


def _load(name: Path) -> Arrays:
    with hdf5.open_file(name) as file:
        return {key: hdf5.get_array(file, key) for key in file}


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


def _write(path: Path, forecaster: FittedForecaster, joined: Arrays, timestep: float, *, variance: bool) -> None:
    energies, nac, overlaps, std = (joined.get(key) for key in ("energies", "nac", "overlaps", "nac_std"))
    assert energies is not None
    assert nac is not None
    labels, n_occupied = forecaster.state_labels, forecaster.n_occupied
    said = "of the forecast" if overlaps is not None else "forecast modulus"
    mean = VibronicHamiltonian(
        energies=energies, nac=nac, timestep=timestep, overlaps=overlaps, n_occupied=n_occupied, state_labels=labels
    )
    nac = mean.nac if overlaps is None else derive_couplings(mean).nac
    lower, upper = n_occupied - 1, n_occupied
    gap, coupling = mean.gap((lower, upper)), np.abs(nac[:, lower, upper])
    worst = int(gap.argmin())
    if gap[worst] <= 0:
        raise InputError(
            f"The forecast closes the gap: {gap[worst]:.4g} eV at frame {worst}. Compute frames like it ab initio, and fit again."
        )
    if variance and std is not None:
        nac, said = enlarged(nac, std), "sqrt(mu^2 + var) of the modulus"
    hamiltonian = VibronicHamiltonian(
        energies=energies,
        nac=nac,
        timestep=timestep,
        n_occupied=n_occupied,
        state_labels=labels,
        frame_numbers=joined.get("frame_numbers"),
        provenance={"source": "forecast by hopcast", "couplings": said, **forecaster.provenance},
    )
    shown = {"gap": (gap, "eV"), "coupling": (coupling, "eV")}
    if std is not None:
        spread = joined["energies_std"]
        shown["gap_std"] = np.hypot(spread[:, lower], spread[:, upper]), "eV"
        shown["coupling_std"] = std[:, lower, upper], "eV"
    shown |= {key: (joined[key], "1") for key in ("outside", "distance", "relative_std") if key in joined}

    def fill(file: Any) -> None:
        put_hamiltonian(file.create_group("hamiltonian"), hamiltonian)
        group = file.create_group("forecast")
        for key, (values, unit) in shown.items():
            axis = "n_steps" if key.startswith("coupling") else "n_frames"
            hdf5.put_array(group, key, values, unit=unit, axes=(axis,))

    hdf5.write_file(path, fill)

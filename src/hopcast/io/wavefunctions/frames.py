"""Frames in numbered folders: which of them are pairs, their levels, metrics and overlaps, two frames in memory at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hopcast.core.chunks import chunk_slices, map_chunks, single_threaded_blas
from hopcast.core.errors import InputError
from hopcast.io.wavefunctions.gauge import phases_of
from hopcast.io.wavefunctions.overlaps import BLOCK, common_planewaves, metric, overlap
from hopcast.io.wavefunctions.protocol import Basis, Levels, Wavefunctions
from hopcast.io.wavefunctions.selection import Window

Open = Callable[[Path], Wavefunctions]
STRETCH = 4, 32
"""Least and most frames that follow each other and are read by one worker, each once; a quarter of all between them."""


@dataclass(frozen=True, eq=False)
class Frame:
    r"""What is kept of a frame.

    Attributes
    ----------
    number
        Of its folder.
    energies
        Of the window, eV.
    metric
        :math:`C^\dagger C` of the window, or its diagonal where nothing is orthonormalised; None where wavefunctions are
        orthonormal by themselves.
    overlap
        With the frame before it; None where there is none.
    real
        Whether it was real up to phases, which were taken away.
    matched
        Plane waves that both have, of those of this frame, where they were matched by index; None where they are the same.
    """

    number: int
    energies: NDArray[np.float64]
    metric: NDArray[Any] | None
    overlap: NDArray[Any] | None
    real: bool
    matched: tuple[int, int] | None = None


@dataclass(frozen=True, eq=False)
class Loaded:
    """The window of a frame in memory.

    Attributes
    ----------
    file
        Where it comes from.
    basis
        What its coefficients refer to.
    levels
        All its bands.
    coefficients
        Of the window [n_bands, n_components].
    real
        Whether its overlaps are real: of half spheres, and of whole ones at Gamma once the phases of the states are taken away.
    """

    file: Wavefunctions
    basis: Basis
    levels: Levels
    coefficients: NDArray[Any]
    real: bool


def load_frame(file: Wavefunctions, window: Window, out: NDArray[Any] | None = None) -> Loaded:
    """Read the window of one frame, into `out` where that fits, and check that it belongs to the others.

    Raises
    ------
    InputError
        If it is damaged, or differs from the first frame.
    """
    spin, kpoint = window.selection.channel
    basis, levels = file.basis(spin, kpoint), file.levels(spin, kpoint)
    window.check_levels(file, levels)
    window.check_basis(file, basis)
    coefficients = file.coefficients(window.bands, spin, kpoint, out)
    real = basis.flavour == "half"
    phases = phases_of(file, coefficients, basis, (spin, kpoint))
    if phases is not None:
        coefficients *= phases.astype(coefficients.dtype)[:, None]
        real = True
    return Loaded(file, basis, levels, coefficients, real)


def overlap_frames(left: Loaded, right: Loaded, window: Window) -> tuple[NDArray[Any], tuple[int, int] | None]:
    """Return the raw overlaps of two frames, and how many plane waves they share of how many where they are matched.

    Raises
    ------
    InputError
        If they are not finite.
    """
    spin, kpoint = window.selection.channel
    common = common_planewaves(left.file, right.file, spin, kpoint, (left.basis, right.basis))
    first, second = left.coefficients, right.coefficients
    if common is not None:
        first, second = np.take(first, common[0], axis=1), np.take(second, common[1], axis=1)
    found = overlap(first, second, real=left.real and right.real)
    _check_finite(right.file, found)
    return found, None if common is None else (len(common[1]), right.basis.n_components)


def metric_of(frame: Loaded) -> NDArray[Any]:
    """Return the overlaps of the window with itself.

    Raises
    ------
    InputError
        If they are not finite, or a band has no norm.
    """
    found = metric(frame.coefficients, real=frame.real)
    _check_norms(frame.file, np.diag(found).real)
    _check_finite(frame.file, found)
    return found


def norms_of(frame: Loaded) -> NDArray[np.float64]:
    """Return the norm of each band of the window.

    Raises
    ------
    InputError
        As `metric_of`.
    """
    found = np.zeros(len(frame.coefficients))
    with np.errstate(all="ignore"):  # of damaged files
        parts = frame.coefficients.view(frame.coefficients.real.dtype)
        for block in chunk_slices(parts.shape[1], BLOCK):
            found += np.einsum("bg,bg->b", parts[:, block], parts[:, block])
    _check_norms(frame.file, found)
    return found


def _check_norms(file: Wavefunctions, norms: NDArray[np.float64]) -> None:
    _check_finite(file, norms)
    if norms.min() < 0.01 or norms.max() > 100:
        band = int(np.argmax(np.abs(np.log(np.maximum(norms, 1e-300)))))
        raise InputError(
            f"File `{file.path}` must hold wavefunctions of a norm of about 1, but band {band} of those read has {norms[band]:.3g}. It is damaged, or "
            "not converged: calculate this frame again."
        )


def _check_finite(file: Wavefunctions, values: NDArray[Any]) -> None:
    if not np.isfinite(values).all():
        raise InputError(
            f"File `{file.path}` must hold finite coefficients, but some of the bands read are not. It is damaged: calculate this frame again."
        )


def read_stretch(paths: dict[int, Path], window: Window, opener: Open, *, first: bool = True) -> list[Frame]:
    """Return consecutive frames; the first one serves the overlap with the second only, unless `first`."""
    kept: list[Frame] = []
    before: Loaded | None = None
    spare: NDArray[Any] | None = None  # memory that is in hand is written to faster than new memory
    names = list(paths.items())
    file = opener(names[0][1])
    with single_threaded_blas():
        for place, (number, _) in enumerate(names):
            here = load_frame(file, window, spare)
            if place + 1 < len(names):  # is read by the system while this frame is multiplied
                file = opener(names[place + 1][1])
                file.announce(window.bands, *window.selection.channel)
            found, matched = (None, None) if before is None else overlap_frames(before, here, window)
            if before is not None or first:
                norms: NDArray[Any] | None = None
                if not here.file.orthonormal:
                    norms = metric_of(here) if window.selection.loewdin else norms_of(here)
                energies = here.levels.energies[window.bands.start : window.bands.stop].copy()
                kept.append(Frame(number, energies, norms, found, here.real, matched))
            spare, before = None if before is None else before.coefficients, here
    return kept


def stretches(numbers: Sequence[int]) -> Iterator[tuple[list[int], bool]]:
    """Yield runs of consecutive numbers, cut into stretches that overlap by one frame, and whether each begins a run."""
    longest = min(max(len(numbers) // 4, STRETCH[0]), STRETCH[1])
    run: list[int] = []
    begins = True
    for number in numbers:
        ends = bool(run) and number != run[-1] + 1
        if ends or len(run) > longest:
            if begins or len(run) > 1:
                yield run, begins
            run, begins = ([], True) if ends else ([run[-1]], False)
        run.append(number)
    if run and (begins or len(run) > 1):
        yield run, begins


def read_frames(paths: dict[int, Path], window: Window, opener: Open, *, workers: int | None = None) -> list[Frame]:
    """Return all frames, in the order of their numbers; stretches of them are read by threads (or where Dask says).

    Raises
    ------
    InputError
        If a frame is damaged or differs from the first.
    """
    items = list(stretches(sorted(paths)))
    read = partial(_read_item, window=window, opener=opener)
    tasks = [({number: paths[number] for number in run}, begins) for run, begins in items]
    return [frame for part in map_chunks(read, tasks, workers=workers, portable=True) for frame in part]


def _read_item(task: tuple[dict[int, Path], bool], *, window: Window, opener: Open) -> list[Frame]:
    paths, begins = task
    return read_stretch(paths, window, opener, first=begins)

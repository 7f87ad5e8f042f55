"""Numbered folders of finished calculations -> the Hamiltonian of their frames."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hopcast.core.errors import InputError
from hopcast.core.hamiltonian import VibronicHamiltonian
from hopcast.io.assemble import from_overlaps, need_timestep, orthogonal_pair
from hopcast.io.registry import ReadOptions
from hopcast.io.wavefunctions.frames import Frame, Open, read_frames
from hopcast.io.wavefunctions.gauge import is_gamma
from hopcast.io.wavefunctions.selection import Selection, Window, choose_window

PSEUDO = (
    "without the augmentation inside the spheres of the atoms: an approximation, of the order of the norm that is lost"
)
"""What overlaps of pseudo-wavefunctions are."""


def selection_of(options: ReadOptions) -> Selection:
    """Return what is to be read, of the options of a reader."""
    return Selection(
        bands=options.bands,
        spin=options.spin,
        kpoint=options.kpoint,
        loewdin=options.loewdin,
        variable_cell=options.variable_cell,
        n_occupied=options.n_occupied,
    )


def check_pairs(folder: Path, paths: Mapping[int, Path], what: str) -> None:
    """Refuse folders among which there is no pair.

    Raises
    ------
    InputError
        Saying what there is.
    """
    if not paths:
        raise InputError(
            f"Folder `{folder}` must hold numbered folders with {what}, one a frame, but holds none. Name the folder above them."
        )
    if not any(number + 1 in paths for number in paths):
        raise InputError(
            f"Folder `{folder}` must hold two frames of consecutive numbers, a pair, but holds {len(paths)} with {what} "
            f"({', '.join(str(number) for number in sorted(paths)[:5])}{', ...' * (len(paths) > 5)}). Number each folder by its frame, and "
            "calculate the frame after each."
        )


def read_folders(
    folder: Path, paths: dict[int, Path], opener: Open, options: ReadOptions, form: str
) -> VibronicHamiltonian:
    """Return the Hamiltonian of frames: raw overlaps of all pairs of consecutive numbers, energies, occupied bands.

    Parameters
    ----------
    folder
        For messages.
    paths
        The wavefunctions of each frame.
    opener
        Opens one.
    options
        What is read.
    form
        Name of the format.

    Raises
    ------
    InputError
        If frames are damaged, do not belong together, or none is a pair.
    """
    timestep = need_timestep(folder, options.timestep)
    start = opener(paths[min(paths)])
    window = choose_window(start, selection_of(options), start.basis)
    frames = read_frames(paths, window, opener, workers=options.workers)
    first, last = frames[0].number, frames[-1].number
    n_states = len(window.bands)
    energies = np.full((last - first + 1, n_states), np.nan)
    overlaps = np.full(
        (last - first, n_states, n_states),
        np.nan,
        np.result_type(*(f.overlap for f in frames if f.overlap is not None)),
    )
    before: Frame | None = None
    for frame in frames:
        energies[frame.number - first] = frame.energies
        if frame.overlap is not None:
            assert before is not None
            overlaps[frame.number - 1 - first] = _orthonormal(before, frame, window)
        before = frame
    return hamiltonian_of(
        folder,
        energies,
        overlaps,
        window,
        options,
        first=first,
        timestep=timestep,
        provenance={"format": form, "sign": "raw overlaps <i(t)|j(t+dt)>", "units": "eV", **_said(frames, window)},
    )


def hamiltonian_of(
    name: object,
    energies: NDArray[np.float64],
    overlaps: NDArray[Any],
    window: Window,
    options: ReadOptions,
    *,
    first: int,
    timestep: float,
    provenance: Mapping[str, str],
) -> VibronicHamiltonian:
    """Return the Hamiltonian of a window: what is not known is NaN, and its states are named and counted."""
    told = dataclasses.replace(options, n_occupied=window.n_occupied)
    found = from_overlaps(
        name,
        energies,
        overlaps,
        timestep=timestep,
        options=told,
        first=first,
        provenance={**provenance, **channel(window)},
    )
    return dataclasses.replace(found, state_labels=window.labels)


def channel(window: Window) -> dict[str, str]:
    """Return what the provenance says of bands, spin and k-point."""
    bands, chosen = window.bands, window.selection
    weight = {} if window.weight is None else {"k-point weight": f"{window.weight:.10g}"}
    return weight | {
        "bands": f"{bands.start}:{bands.stop} from 0, {bands.start + 1} to {bands.stop} of {window.n_bands} as the code counts"
        + ("" if chosen.bands is not None else " (around the gap)"),
        "channel": f"spin {chosen.channel[0]}, k-point {chosen.channel[1]} ({' '.join(f'{x:.6g}' for x in window.kpoint)})"
        + (", spinors" if window.basis is not None and window.basis.flavour == "spinor" else ""),
    }


def _orthonormal(before: Frame, frame: Frame, window: Window) -> NDArray[Any]:
    assert frame.overlap is not None
    if not window.selection.loewdin or before.metric is None or frame.metric is None:
        return frame.overlap
    return orthogonal_pair(before.metric, frame.overlap, frame.metric)


def _said(frames: list[Frame], window: Window) -> dict[str, str]:
    said = {}
    assert window.basis is not None
    if window.basis.flavour == "full" and is_gamma(window.kpoint):
        some = sum(frame.real for frame in frames)
        said["gauge"] = (
            f"{some} of {len(frames)} frames are real up to phases, as states at Gamma are, and were made real"
        )
    metrics = [frame.metric for frame in frames if frame.metric is not None]
    if metrics:
        how = "Löwdin-orthonormalised in the window" if window.selection.loewdin else "as they come"
        said["overlaps"] = f"of pseudo-wavefunctions, {how}; {PSEUDO}"
        said["norm lost"] = norm_lost(
            np.array([metric if metric.ndim == 1 else np.diag(metric).real for metric in metrics]), window.labels
        )
    else:
        said["overlaps"] = "of whole wavefunctions (norm-conserving pseudopotentials)"
    matched = [frame.matched for frame in frames if frame.matched is not None]
    if matched:
        shared = min(common / whole for common, whole in matched)
        said["cell"] = (
            f"varies; plane waves matched by index in {len(matched)} pairs, at least {shared:.2%} of them in both frames"
        )
    return said


def norm_lost(norms: NDArray[np.float64], labels: tuple[str, ...]) -> str:
    r"""Return a sentence on how much of each band a pseudo-wavefunction lacks (negative: has too much).

    Parameters
    ----------
    norms
        :math:`C^\\dagger C` [n_frames, n_states].
    labels
        Names of the states.
    """
    lost = 1.0 - norms.mean(axis=0)
    return ", ".join(f"{label} {round(value, 3) + 0.0:.1%}" for label, value in zip(labels, lost, strict=True))

"""The forecast: every frame's Hamiltonian, its window of bands, and couplings by the chain that anybody's overlaps go through."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hopcast.core.chunks import chunk_slices, single_threaded_blas, stream_chunks
from hopcast.core.errors import InputError
from hopcast.core.forecast import HamiltonianForecast, HamiltonianStd
from hopcast.core.hamiltonian import VibronicHamiltonian
from hopcast.core.trajectory import Trajectory
from hopcast.couplings import derive_couplings
from hopcast.tightbinding.fitted import FittedBands, posterior_variances
from hopcast.tightbinding.geometry import FrameGeometry
from hopcast.tightbinding.motion import apply_turn
from hopcast.tightbinding.samples import displacements

Floats = NDArray[np.float64]

CHUNK = 64
"""Frames of one unit of work."""

SHORTER = 0.9
"""A distance below this share of the shortest in training puts a frame outside."""


@dataclass(frozen=True, eq=False)
class _Part:
    energies: Floats
    overlaps: Floats
    variance: Floats
    close: NDArray[np.bool_]


def forecast_bands(bands: FittedBands, trajectory: Trajectory, *, workers: int | None = None) -> HamiltonianForecast:
    """Return the Hamiltonian of a window of bands along a trajectory.

    Parameters
    ----------
    bands
        The fitted tight binding.
    trajectory
        Of the same elements, any cell and number of atoms; two frames at least.
    workers
        Threads; results do not depend on them.

    Returns
    -------
    HamiltonianForecast
        Energies and signed couplings of the window; deviations of the energies such that those of VBM and CBM add up, squared, to the
        gap's (others: from the gap's middle), and of the size of each coupling, all calibrated on left-out samples; frames outside: more
        uncertain than 99 % of left-out samples, or with atoms closer than any in training.

    Raises
    ------
    InputError
        If an element is unknown, the number of valence electrons is odd, the cell has too few bands, two atoms coincide, or a frame is so
        far from those learnt from that its orbitals are no basis.
    """
    if trajectory.n_frames < 2:
        raise InputError("A forecast of couplings needs at least two frames, but the trajectory has one.")
    lowest = bands.lowest_of(trajectory.numbers)
    n_orbitals = sum(bands.model.basis.n_orbitals(int(k)) for k in bands.model.basis.species_of(trajectory.numbers))
    if lowest < 0 or lowest + bands.n_states > n_orbitals:
        raise InputError(
            f"The window of {bands.n_states} bands ({bands.n_occupied} occupied) must fit into the cell's {n_orbitals} bands "
            f"({lowest + bands.n_occupied} occupied), but does not: take a larger cell."
        )

    def work(chunk: slice) -> _Part:
        return _forecast_chunk(bands, trajectory, chunk, lowest)

    with single_threaded_blas():
        parts = list(stream_chunks(work, chunk_slices(trajectory.n_frames, CHUNK), workers=workers, portable=True))
    variance = np.concatenate([part.variance for part in parts])
    close = np.concatenate([part.close for part in parts])
    n_steps, n_states = trajectory.n_frames - 1, bands.n_states
    raw = VibronicHamiltonian(
        np.concatenate([part.energies for part in parts]) + bands.offset,
        np.zeros((n_steps, n_states, n_states)),
        trajectory.timestep,
        overlaps=np.concatenate([part.overlaps for part in parts]),
        n_occupied=bands.n_occupied,
        state_labels=bands.state_labels,
        frame_numbers=trajectory.frame_numbers,
        provenance={"source": "tight binding", **bands.provenance},
    )
    gap_std = np.sqrt(bands.scale * variance + bands.floor)
    edge_error = bands.band_errors[bands.n_occupied] * np.sqrt(2.0)
    # gaps of no error at all have bars of none
    share = gap_std / edge_error if edge_error > 0.0 else np.zeros_like(gap_std)
    hamiltonian = derive_couplings(raw)
    spread = np.sqrt(bands.coupling_bars[0] + bands.coupling_bars[1] * hamiltonian.nac**2)
    return HamiltonianForecast(
        hamiltonian=hamiltonian,
        std=HamiltonianStd(share[:, None] * bands.band_errors, spread),
        outside=(variance > bands.limit) | close,
        distance=np.sqrt(variance / bands.limit),
        relative_std=gap_std / bands.gap_std,
    )


def _forecast_chunk(bands: FittedBands, trajectory: Trajectory, chunk: slice, lowest: int) -> _Part:
    """Return the frames of a chunk, and the overlaps with the frame after it."""
    last = min(chunk.stop + 1, trajectory.n_frames)
    n = chunk.stop - chunk.start
    energies = np.empty((n, bands.n_states))
    overlaps = np.empty((last - 1 - chunk.start, bands.n_states, bands.n_states))
    slopes, close = np.empty((bands.model.n_parameters, n)), np.zeros(n, dtype=bool)
    species = bands.model.basis.species_of(trajectory.numbers)
    moved = displacements(trajectory, slice(chunk.start, last - 1))
    before: Floats | None = None
    metric_before: Floats | None = None
    for row, frame in enumerate(range(chunk.start, last)):
        geometry = bands.model.geometry(trajectory, frame, species)
        metric = bands.model.metric(bands.theta, geometry)
        try:
            levels, now = bands.window_states(geometry, lowest, metric)
        except np.linalg.LinAlgError as error:
            raise InputError(
                f"Frame {frame} is too far from what the tight binding learnt from: its orbitals would overlap more than a basis can. "
                "Look at the distances of its atoms (`hopcast check`), or learn from frames like it."
            ) from error
        # a phase of the frame's own, so that chunks can be joined
        now = with_own_phase(now)
        if before is not None:
            turns = apply_turn(bands.model, bands.theta, species, moved[row - 1], now)
            overlaps[row - 1] = overlap_of(before, now, metric_before, metric, turns)
        before, metric_before = now, metric
        if row < n:
            energies[row] = levels
            slopes[:, row] = bands.gap_slope(geometry, levels, now)
            close[row] = has_close_atoms(bands, geometry)
    return _Part(energies, overlaps, posterior_variances(bands.factor, slopes), close)


def overlap_of(
    before: Floats, now: Floats, metric_before: Floats | None, metric: Floats | None, turns: Floats | None = None
) -> Floats:
    """Return <i(t)|j(t + dt)> of states, with the metric of the mid-point where there is one; `turns` of the later ones is what `apply_turn` says."""
    moved = now if metric_before is None or metric is None else (0.5 * (metric_before + metric)) @ now
    return np.asarray(before.T @ (moved if turns is None else moved + turns))


def with_own_phase(states: Floats) -> Floats:
    """Return states [n_orbitals, n_states] whose largest component is positive."""
    largest = np.take_along_axis(states, np.abs(states).argmax(axis=0)[None], axis=0)
    return np.asarray(states * np.where(largest < 0.0, -1.0, 1.0))


def has_close_atoms(bands: FittedBands, geometry: FrameGeometry) -> bool:
    """Whether two atoms lie closer than any of their elements did in training, by more than a tenth."""
    limit = SHORTER * bands.shortest.reshape(-1)[geometry.kind]
    return bool(np.any(geometry.distance < np.where(np.isfinite(limit), limit, 0.0)))


def iterate_states(bands: FittedBands, trajectory: Trajectory) -> Iterator[tuple[FrameGeometry, Floats, Floats]]:
    """Yield the geometry, all levels (eV, with the offset) and all states of each frame."""
    for frame in itertools.count():
        if frame >= trajectory.n_frames:
            return
        geometry = bands.model.geometry(trajectory, frame)
        levels, states = bands.eigenstates(geometry)
        yield geometry, levels + bands.offset, states

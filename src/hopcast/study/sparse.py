"""Stretches of time held out, and features along a trajectory in chunks, where the Hamiltonian is known on pairs of frames."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hopcast.core.chunks import chunk_slices
from hopcast.core.errors import InputError
from hopcast.core.trajectory import Trajectory
from hopcast.descriptors import SymmetryFunctions, flatten
from hopcast.evaluation import CalendarSplit, stretches_of_time
from hopcast.forecast.pair import PairPhysics
from hopcast.study.config import StudyConfig
from hopcast.study.inputs import StudyData

Array = NDArray[np.float64]

CHUNK_FRAMES = 1024
"""Frames whose features are held at a time."""


def calendar_of(config: StudyConfig, data: StudyData, memory: float, times: Array | None = None) -> CalendarSplit:
    """Return the stretches of time that are held out, where the study does not say otherwise by `stretches_of_time`.

    Of all computed pairs, or of those at some times.
    """
    assert data.samples is not None
    usual = stretches_of_time(data.trajectory.duration, memory)
    block = config.samples.block or usual.length
    purge = usual.purge if config.models.purge is None else config.models.purge
    return CalendarSplit(data.samples.times if times is None else times, block, purge)


def stretches_of(data: StudyData, calendar: CalendarSplit) -> range:
    """Return the numbers of all stretches of the trajectory, those without a computed pair too.

    Raises
    ------
    InputError
        If holding one out leaves fewer than two pairs to train.
    """
    stretches = range(math.floor(data.trajectory.duration / calendar.block_fs) + 1)
    for stretch in stretches:
        left = len(calendar.training(stretch))
        if left < 2:
            raise InputError(
                f"Holding out {calendar.block_fs:g} fs with a purge of {calendar.purge_fs:g} fs must leave computed pairs to "
                f"train, but leaves {left} beside stretch {stretch}: set a shorter `samples.block` or `models.purge`."
            )
    return stretches


@dataclass(frozen=True, eq=False)
class FeatureChunk:
    """Features of consecutive frames, and of the mid-points that begin at them.

    Attributes
    ----------
    frames, steps
        Which they are.
    gap
        Features of the frames, or of the mid-points where the energies live there, [n, n_columns].
    nac
        Features of the mid-points.
    geometries
        The frames, and the one that ends the last mid-point.
    """

    frames: slice
    steps: slice
    gap: Array
    nac: Array
    geometries: Trajectory


def feature_chunks(
    mode: str, data: StudyData, functions: SymmetryFunctions, workers: int | None
) -> Iterator[FeatureChunk]:
    """Yield the features along the whole trajectory, a bounded number of frames at a time."""
    trajectory = data.sites
    physics = PairPhysics(1.0, published=mode == "paper")  # its columns depend on nothing else
    for part in chunk_slices(trajectory.n_frames, CHUNK_FRAMES):
        stop = min(part.stop + 1, trajectory.n_frames)  # the mid-point after the last frame needs the next one
        geometries = trajectory[part.start : stop]
        flat = flatten(functions.transform(geometries, workers=workers))
        now, later = flat[:-1], flat[1:]
        at_midpoints = data.hamiltonian.energy_grid == "midpoint"
        gap = (
            physics.columns("gap", now, later, trajectory.timestep) if at_midpoints else flat[: part.stop - part.start]
        )
        coupling = physics.columns("nac", now, later, trajectory.timestep)
        yield FeatureChunk(part, slice(part.start, stop - 1), gap, coupling, geometries)

"""Features of a study whose Hamiltonian is known on pairs of frames only: at the pairs, and along the trajectory in chunks."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hopcast.core.chunks import chunk_slices
from hopcast.core.errors import InputError
from hopcast.core.trajectory import Trajectory
from hopcast.descriptors import SymmetryFunctions, flatten, take_frames
from hopcast.evaluation import CalendarSplit
from hopcast.forecast.pair import target_columns
from hopcast.information import correlation_time
from hopcast.study.config import FeaturesSection, StudyConfig
from hopcast.study.forecasts import Target
from hopcast.study.inputs import StudyData
from hopcast.study.ranking import InformationSeries
from hopcast.study.samples import FRAMES_OF_MEMORY, Samples
from hopcast.study.stages import StageResult

Array = NDArray[np.float64]

STRETCHES = 20
"""Stretches of time held out in turn, where the study does not say how long they are."""

CHUNK_FRAMES = 1024
"""Frames whose features are held at a time."""


def samples_in(data: StudyData) -> Samples:
    """Return the computed pairs of sparse data."""
    assert data.samples is not None
    return data.samples


def run_sample_features(section: FeaturesSection, data: StudyData, workers: int | None) -> StageResult:
    """Find the symmetry functions of the trajectory and evaluate them at both frames of every computed pair.

    Returns
    -------
    StageResult
        ``functions``; ``memory``: correlation time of the slowest feature, fs, from frames spread over the
        trajectory. Arrays ``G`` and ``G_next`` [n_samples, n_atoms, n_functions].
    """
    samples = samples_in(data)
    functions = SymmetryFunctions.from_trajectory(
        data.trajectory, mode=section.mode, r_s=section.r_s, theta_s=section.theta_s, r_cut=section.r_cut,
        eta=section.eta, zeta=section.zeta, images=section.images, workers=workers,
    )  # fmt: skip
    arrays = {
        name: functions.transform(take_frames(data.trajectory, samples.steps + later), workers=workers)
        for name, later in (("G", 0), ("G_next", 1))
    }
    spread = data.trajectory[:: max(1, -(-data.trajectory.n_frames // FRAMES_OF_MEMORY))]
    memory = correlation_time(flatten(functions.transform(spread, workers=workers)), spread.timestep)
    return StageResult(
        {"functions": functions.to_dict(), "memory": max(float(memory), spread.timestep)}, arrays
    )


def sample_series(data: StudyData, features: StageResult) -> InformationSeries:
    """Return what is ranked: features of the first frame of each pair against the gap and |NAC| of the pair."""
    samples = samples_in(data)
    return {"gap": (features.arrays["G"], samples.gap), "nac": (features.arrays["G"], samples.coupling)}


def sample_targets(mode: str, data: StudyData, features: StageResult) -> list[Target]:
    """Return gap and coupling at the computed pairs with the features they are learnt from, as `targets` does.

    A pair is one sample of both, at its mid-point.
    """
    samples = samples_in(data)
    now, later = (flatten(features.arrays[name]) for name in ("G", "G_next"))
    scaled = samples.coupling if mode == "paper" else samples.coupling * samples.gap / samples.gap.mean()
    return [
        Target(
            name, samples.times, values, truth, columns,
            max(samples.memory(values), features.numbers["memory"]), now.shape[1],
        )
        for name, values, truth, columns in (
            ("gap", samples.gap, samples.gap, target_columns("gap", now, later, data.trajectory.timestep)),
            ("nac", scaled, samples.coupling, _coupling_features(mode, now, later, data.trajectory.timestep)),
        )
    ]  # fmt: skip


def calendar_of(config: StudyConfig, data: StudyData, memory: float) -> CalendarSplit:
    """Return the stretches of time that are held out, with a purge of twice the correlation time."""
    block = config.samples.block or max(data.trajectory.duration / STRETCHES, 2.0 * memory)
    purge = 2.0 * memory if config.models.purge is None else config.models.purge
    return CalendarSplit(samples_in(data).times, block, purge)


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


def coupling_at(mode: str, samples: Samples, values: Array, gap: Array) -> Array:
    """Return |NAC| from what the models learn of it and the gap at the same mid-points."""
    return values if mode == "paper" else values * samples.gap.mean() / gap


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
    trajectory = data.trajectory
    for part in chunk_slices(trajectory.n_frames, CHUNK_FRAMES):
        stop = min(
            part.stop + 1, trajectory.n_frames
        )  # the mid-point after the last frame needs the next one
        geometries = trajectory[part.start : stop]
        flat = flatten(functions.transform(geometries, workers=workers))
        now, later = flat[:-1], flat[1:]
        at_midpoints = data.hamiltonian.energy_grid == "midpoint"
        gap = (
            target_columns("gap", now, later, trajectory.timestep)
            if at_midpoints
            else flat[: part.stop - part.start]
        )
        yield FeatureChunk(
            part,
            slice(part.start, stop - 1),
            gap,
            _coupling_features(mode, now, later, trajectory.timestep),
            geometries,
        )


def _coupling_features(mode: str, now: Array, later: Array, timestep: float) -> Array:
    return now if mode == "paper" else target_columns("nac", now, later, timestep)

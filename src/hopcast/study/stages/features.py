"""Stage `features`: the symmetry functions of the trajectory, where the Hamiltonian is known."""

from __future__ import annotations

from typing import Final

from pydantic import Field, JsonValue

from hopcast.descriptors import SymmetryFunctions, flatten, take_frames
from hopcast.information import correlation_time
from hopcast.results.record import Record
from hopcast.study.stage import Context, Stage, StageResult

FRAMES_OF_MEMORY: Final = 4000
"""Frames from which the correlation time of the features is estimated, spread over the trajectory."""


class FeatureNumbers(Record):
    """What the stage found."""

    features: dict[str, JsonValue]
    memory: float = Field(0.0, description="Correlation time of the slowest feature where only pairs are known, fs.")

    @property
    def functions(self) -> SymmetryFunctions:
        """The symmetry functions."""
        return SymmetryFunctions.from_dict(self.features)


def run_features(context: Context) -> StageResult[FeatureNumbers]:
    """Find the symmetry functions and evaluate them: ``G`` at every frame of each trajectory (``G2``, ... of others).

    Of separate pairs ``G`` and ``G_next`` at both frames of each.
    """
    section, data, workers = context.config.features, context.data, context.workers
    functions = SymmetryFunctions.from_trajectory(
        data.sites,
        mode=section.mode,
        r_s=section.r_s,
        theta_s=section.theta_s,
        r_cut=section.r_cut,
        eta=section.eta,
        zeta=section.zeta,
        images=section.images,
        max_functions=section.max_functions,
        workers=workers,
    )
    if data.samples is None:
        arrays = {"G": functions.transform(data.sites, workers=workers)}
        for number, other in enumerate(data.others, start=2):  # the functions of the first trajectory serve all
            arrays[f"G{number}"] = functions.transform(other.sites, workers=workers)
        return StageResult(FeatureNumbers(features=functions.to_dict()), arrays)
    arrays = {
        name: functions.transform(take_frames(data.sites, data.samples.steps + later), workers=workers)
        for name, later in (("G", 0), ("G_next", 1))
    }
    spread = data.sites[:: max(1, -(-data.sites.n_frames // FRAMES_OF_MEMORY))]
    memory = correlation_time(flatten(functions.transform(spread, workers=workers)), spread.timestep)
    slowest = max(float(memory), spread.timestep)
    return StageResult(FeatureNumbers(features=functions.to_dict(), memory=slowest), arrays)


STAGE = Stage("features", 10, FeatureNumbers, ("features",), run_features)

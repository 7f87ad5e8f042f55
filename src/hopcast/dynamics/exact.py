"""Method `exact`: the ensemble of two states with memoryless clocks, no sampling."""

from __future__ import annotations

import numpy as np

from hopcast.dynamics.maps import average_populations, step_maps
from hopcast.dynamics.problem import Populations, Problem


def solve(problem: Problem) -> Populations:
    """Return the populations of the `consistent` rule with `exponential` waiting, averaged over initial times."""
    maps = step_maps(
        problem.grid,
        float(problem.tau[0, 1]),
        temperature=problem.temperature,
        absorbing=problem.absorbing,
        workers=problem.workers,
    )
    excited, moments = average_populations(
        maps, problem.initial_state, problem.initial_steps, problem.output_steps, problem.weights,
        loop=problem.loop, workers=problem.workers,
    )  # fmt: skip
    if problem.progress is not None:
        problem.progress(1, 1)
    return Populations(np.stack([1.0 - excited, excited], axis=1), moments)

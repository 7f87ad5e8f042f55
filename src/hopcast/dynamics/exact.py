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
    excited = np.zeros(problem.output_steps.size)
    moments = np.zeros((problem.initial_steps.size, 2))
    weight = np.bincount([start.time for start in problem.starts], [start.share for start in problem.starts])
    for state in sorted({start.state for start in problem.starts}):
        mine = [start for start in problem.starts if start.state == state]
        shares = np.array([start.share for start in mine])
        found, each = average_populations(
            maps, state, np.array([start.frame for start in mine]), problem.output_steps, problem.weights,
            loop=problem.loop, workers=problem.workers, shares=shares,
        )  # fmt: skip
        excited += found
        times = [start.time for start in mine]
        moments[times] += each * (shares / weight[times])[:, None]
    if problem.progress is not None:
        problem.progress(1, 1)
    return Populations(np.stack([1.0 - excited, excited], axis=1), moments)

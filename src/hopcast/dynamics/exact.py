"""Method `exact`: the ensemble of two states with memoryless clocks, no sampling."""

from __future__ import annotations

import numpy as np

from hopcast.dynamics.block_maps import block_ensemble
from hopcast.dynamics.maps import average_populations, step_maps
from hopcast.dynamics.problem import Populations, Problem


def solve(problem: Problem) -> Populations:
    """Return the populations of the `consistent` rule with `exponential` waiting, averaged over initial times."""
    tau, temperature, absorbing = float(problem.tau[0, 1]), problem.temperature, problem.absorbing
    blocks = None
    if problem.is_degenerate:
        blocks = block_ensemble(
            problem.grid,
            problem.multiplicities,
            tau,
            temperature=temperature,
            absorbing=absorbing,
            workers=problem.workers,
        )
        maps = blocks.maps
    else:
        maps = step_maps(problem.grid, tau, temperature=temperature, absorbing=absorbing, workers=problem.workers)
    excited = np.zeros(problem.output_steps.size)
    moments = np.zeros((problem.initial_steps.size, 2))
    starts = problem.starts
    for state in np.unique(starts.state):
        mine = starts.state == state
        times, shares = starts.time[mine], starts.share[mine]
        found, each = average_populations(
            maps,
            int(state),
            starts.frame[mine],
            problem.output_steps,
            problem.weights,
            loop=problem.loop,
            workers=problem.workers,
            shares=shares,
            row=None if blocks is None else blocks.row,
            column=None if blocks is None else blocks.starts[int(state)],
        )
        excited += found
        moments[times] += each * (shares / starts.time_shares[times])[:, None]
    if problem.progress is not None:
        problem.progress(1, 1)
    return Populations(np.stack([1.0 - excited, excited], axis=1), moments)

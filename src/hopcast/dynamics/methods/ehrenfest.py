"""Method `ehrenfest`: mean field, populations of the amplitudes themselves."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hopcast.core.chunks import map_chunks
from hopcast.dynamics.initial import Start
from hopcast.dynamics.loop import half_propagators
from hopcast.dynamics.methods.shared import amplitudes, windows
from hopcast.dynamics.problem import Populations, Problem
from hopcast.dynamics.units import Reporter


def solve(problem: Problem) -> Populations:
    r"""Return :math:`|c_i|^2`, averaged over initial times: no hops, no decoherence, no temperature, no absorption."""
    halves = half_propagators(problem.grid, problem.workers)
    report = Reporter(problem, len(problem.starts))

    def work(start: Start) -> NDArray[np.float64]:
        n_sub = problem.grid.n_substeps
        found = np.zeros((problem.output_steps.size, problem.n_states))
        c = np.zeros(problem.n_states, dtype=np.complex128)
        c[start.state] = 1.0
        for elapsed, first, last in windows(problem, start.frame):
            path = amplitudes(halves, first * n_sub, (last - first) * n_sub, c)
            c = path[-1]
            inside = np.flatnonzero(
                (problem.output_steps >= elapsed) & (problem.output_steps <= elapsed + last - first)
            )
            found[inside] = np.abs(path[(problem.output_steps[inside] - elapsed) * 2 * n_sub]) ** 2
        report()
        return found

    each = map_chunks(work, list(problem.starts), workers=problem.workers)
    mean, moments = np.zeros_like(each[0]), np.zeros((problem.initial_steps.size, 2))
    weight = np.bincount([start.time for start in problem.starts], [start.share for start in problem.starts])
    for start, found in zip(problem.starts, each, strict=True):
        mean += start.share * found
        moments[start.time] += start.share / weight[start.time] * ((1.0 - found[:, 0]) @ problem.weights)
    return Populations(mean, moments)

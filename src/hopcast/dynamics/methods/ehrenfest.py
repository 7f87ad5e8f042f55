"""Method `ehrenfest`: mean field, populations of the amplitudes themselves."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hopcast.core.chunks import map_chunks
from hopcast.dynamics.loop import half_propagators
from hopcast.dynamics.methods.shared import Reporter, amplitudes, windows
from hopcast.dynamics.problem import Populations, Problem


def solve(problem: Problem) -> Populations:
    r"""Return :math:`|c_i|^2`, averaged over initial times: no hops, no decoherence, no temperature, no absorption."""
    halves = half_propagators(problem.grid, problem.workers)
    report = Reporter(problem, problem.initial_steps.size)

    def work(frame: int) -> NDArray[np.float64]:
        n_sub = problem.grid.n_substeps
        found = np.zeros((problem.output_steps.size, problem.n_states))
        c = np.zeros(problem.n_states, dtype=np.complex128)
        c[problem.initial_state] = 1.0
        for elapsed, first, last in windows(problem, int(frame)):
            path = amplitudes(halves, first * n_sub, (last - first) * n_sub, c)
            c = path[-1]
            inside = np.flatnonzero(
                (problem.output_steps >= elapsed) & (problem.output_steps <= elapsed + last - first)
            )
            found[inside] = np.abs(path[(problem.output_steps[inside] - elapsed) * 2 * n_sub]) ** 2
        report()
        return found

    each = map_chunks(work, list(problem.initial_steps), workers=problem.workers)
    moments = np.stack([(1.0 - found[:, 0]) @ problem.weights for found in each])
    mean = np.zeros_like(each[0])
    for found in each:
        mean += found
    return Populations(mean / len(each), moments)

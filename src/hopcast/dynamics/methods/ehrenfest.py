"""Method `ehrenfest`: mean field, populations of the amplitudes themselves."""

from __future__ import annotations

import numpy as np

from hopcast.dynamics.checkpoint import map_units
from hopcast.dynamics.loop import Halves
from hopcast.dynamics.methods.method import Method
from hopcast.dynamics.methods.shared import amplitudes, pure_amplitudes, windows
from hopcast.dynamics.problem import Populations, Problem
from hopcast.dynamics.units import Counted, Reporter, Unit


def solve(problem: Problem) -> Populations:
    r"""Return :math:`|c_i|^2`, averaged over initial times: no hops, no decoherence, no temperature, no absorption."""
    halves = Halves(problem.grid, problem.workers)
    starts = problem.starts
    units = [(i, 0, 0) for i in range(len(starts))]
    report = Reporter(problem, len(units))

    def work(unit: Unit) -> Counted:
        i = unit[0]
        n_sub = problem.grid.n_substeps
        found = np.zeros((problem.output_steps.size, problem.n_states))
        c = pure_amplitudes(problem, int(starts.state[i]))
        copies = len(c)
        for elapsed, first, last in windows(problem, int(starts.frame[i])):
            path, c = amplitudes(halves.of(first, last), c)
            inside = np.flatnonzero(
                (problem.output_steps >= elapsed) & (problem.output_steps <= elapsed + last - first)
            )
            squares = np.abs(path[(problem.output_steps[inside] - elapsed) * 2 * n_sub]) ** 2
            # of a degenerate block the sum over its partners, of the start the mean
            found[inside] = squares if not problem.is_degenerate else problem.block_sums(squares, copies)
        report()
        return Counted(found, np.array(0))

    each = [one.counts for one in map_units(problem, work, units, report)]
    mean, moments = np.zeros_like(each[0]), np.zeros((problem.initial_steps.size, 2))
    within = starts.share / starts.time_shares[starts.time]
    for i, found in enumerate(each):
        mean += starts.share[i] * found
        moments[starts.time[i]] += within[i] * ((1.0 - found[:, 0]) @ problem.weights)
    return Populations(mean, moments)


METHODS = (Method("ehrenfest", "mean field: populations of the amplitudes", solve),)

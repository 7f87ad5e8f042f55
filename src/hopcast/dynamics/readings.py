"""From populations to a lifetime and a line, each with the parts of its interval."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hopcast.core.estimates import TOO_SHORT, Estimate, Interval, Scale, combined
from hopcast.core.resampling import MIN_BLOCKS
from hopcast.core.units import FS_PER_NS
from hopcast.dynamics.observables import Reader, exponential_rate, grouped_interval, line_of_exponential
from hopcast.dynamics.problem import Populations, Problem
from hopcast.dynamics.rates import block_length, finite_interval, memory_length

LITTLE_DECAY: Final = 0.1
_Z = 1.959963984540054


@dataclass(frozen=True, eq=False)
class Reference:
    """What the exact solver says about the run.

    Attributes
    ----------
    local_rate
        [n_steps], 1/fs.
    equilibrium
        Population of the upper state that stays.
    dephasing
        What the dephasing time adds to the uncertainty of the rate where it comes from the same trajectory [n_steps]
        (`dephasing_in_rate`); None where it is given.
    """

    local_rate: NDArray[np.float64]
    equilibrium: float
    dephasing: NDArray[np.float64] | None = None


@dataclass(frozen=True)
class Readings:
    """Lifetime (ns), rate and gradient (1/ns), intercept."""

    lifetime: Estimate
    rate: Estimate
    gradient: Estimate
    intercept: Estimate


def read(problem: Problem, populations: Populations, reference: Reference) -> Readings:
    """Return what is read from populations, with 95 % intervals.

    Parts. ``finite_trajectory``: the interval of the mean local rate (`finite_interval`) scales the fitted rate, and the line
    follows from the exponential of the scaled rate. ``initial_time``: standard error of the line's slope over initial times,
    of which at most one a correlation time of the local rate counts as independent; sampling noise is subtracted.
    ``monte_carlo``: delete-one-group jackknife over 20 groups of trajectories; zero width for the exact solver.
    ``model``: None, for the study. Those of the rate lie on the logarithmic scale and the lifetime is its inverse, intervals
    and all.
    """
    times, weights = problem.times, problem.weights
    excited = populations.mean[:, 1:].sum(axis=1)
    start = float(1.0 - problem.initial_populations[0])
    equilibrium = reference.equilibrium if abs(start - reference.equilibrium) > 1e-6 else float(round(1.0 - start))
    swing = start - equilibrium

    def fit(population: NDArray[np.float64]) -> float:
        return exponential_rate(times, population, start, equilibrium)

    rate = fit(excited)
    slope, crossing = float(-(excited @ weights[:, 0])), float(1.0 - excited @ weights[:, 1])

    sampled = _monte_carlo(problem, populations, fit)
    spread, n_starts = _starts(problem, populations, reference, sampled["gradient"])
    finite, too_short = _finite(problem, reference, rate, slope, crossing, swing)

    def estimate(name: str, value: float, unit: str, starts: Interval, note: str, scale: Scale = "linear") -> Estimate:
        parts = {
            "finite_trajectory": finite.get(name),
            "model": None,
            "initial_time": starts if n_starts > 1 else None,
            "monte_carlo": Interval(value, value) if populations.counts is None else sampled[name],
        }
        return combined(value, unit, parts, note, scale)

    short = TOO_SHORT if too_short else ""
    decay = 1.0 - (excited[-1] - equilibrium) / swing
    few = "" if decay >= LITTLE_DECAY else f"only {100 * max(decay, 0.0):.2g} % decays in the window: quote the rate"
    none = "nothing decays in the window" if rate == 0 else few
    relative = spread[0] / abs(slope) if slope != 0 else 0.0
    value = rate * FS_PER_NS
    decaying = estimate("rate", value, "1/ns", Interval.around(value, relative, "log"), short, "log")
    return Readings(
        dataclasses.replace(decaying.inverse("ns"), note=_join(none, short)),
        decaying,
        estimate("gradient", slope, "1/ns", Interval(slope - spread[0], slope + spread[0]), short),
        estimate("intercept", crossing, "", Interval(crossing - spread[1], crossing + spread[1]), short),
    )


def _join(*notes: str) -> str:
    return "; ".join(note for note in notes if note)


def _monte_carlo(problem: Problem, populations: Populations, fit: Reader) -> dict[str, Interval]:
    if populations.counts is None or populations.totals is None:
        return {name: Interval(0.0, 0.0) for name in ("rate", "gradient", "intercept")}
    counts, totals = populations.counts[:, :, 1:].sum(axis=2), populations.totals
    weights = problem.weights
    value, low, high = grouped_interval(fit, counts, totals)
    if value == 0:
        # no event in the total time at risk: 95 % sure that the rate is below 3 over it
        rate = Interval(0.0, 3.0 * FS_PER_NS / (float(totals.sum()) * problem.times[-1]))
    else:
        rate = Interval.around(value * FS_PER_NS, 0.5 * (high - low) / value, "log")
    _, g_low, g_high = grouped_interval(lambda p: float(-(p @ weights[:, 0])), counts, totals)
    _, i_low, i_high = grouped_interval(lambda p: float(1.0 - p @ weights[:, 1]), counts, totals)
    return {"rate": rate, "gradient": Interval(g_low, g_high), "intercept": Interval(i_low, i_high)}


def _starts(
    problem: Problem, populations: Populations, reference: Reference, sampled: Interval
) -> tuple[NDArray[np.float64], int]:
    """Return 95 % half-widths of slope and intercept from the initial times, and their number."""
    shares = problem.starts.time_shares
    n = int(np.count_nonzero(shares))
    if n < 2:
        return np.zeros(2), n
    some = float(1.0 / (shares**2).sum())  # as many alike would have the same weight
    away = populations.moments - shares @ populations.moments
    variance = shares @ away**2 * some / (some - 1.0)
    if populations.counts is not None:
        # every initial time has 1/n of the trajectories, so n times the variance of the whole
        noise = ((sampled.high - sampled.low) / (2 * _Z)) ** 2 * some
        variance = variance * max(0.0, 1.0 - noise / variance[0]) if variance[0] > 0 else variance
    length = max(1.0, memory_length([reference.local_rate], problem.grid.timestep))
    independent = max(1.0, min(some, problem.grid.n_steps / length))
    return np.asarray(_Z * np.sqrt(variance / independent)), n


def _finite(
    problem: Problem, reference: Reference, rate: float, slope: float, crossing: float, swing: float
) -> tuple[dict[str, Interval], bool]:
    local = reference.local_rate
    timestep = problem.grid.timestep
    if local.mean() <= 0 or not np.isfinite(rate) or rate <= 0:
        return {}, local.size < MIN_BLOCKS * block_length([local], timestep, None)
    relative = local / local.mean()
    moving = relative if reference.dephasing is None else relative + reference.dephasing
    ends, too_short = finite_interval(moving, timestep, memory_of=[relative, moving], random_state=problem.random_state)
    value = rate * FS_PER_NS
    centre = line_of_exponential(np.array(rate), problem.times, problem.weights)
    # neither slope nor intercept is monotonic in the rate
    factors = np.geomspace(max(ends.low, 1e-12), min(ends.high, 1e12), 101)
    lines = line_of_exponential(rate * factors, problem.times, problem.weights)
    slopes = slope * (lines[:, 0] / centre[0] if centre[0] != 0 else np.ones_like(factors))
    crossings = crossing + swing * (lines[:, 1] - centre[1])
    return {
        "rate": Interval(value * ends.low, value * ends.high),
        "gradient": Interval(float(slopes.min()), float(slopes.max())),
        "intercept": Interval(float(crossings.min()), float(crossings.max())),
    }, too_short

"""Populations as a figure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hopcast.core.showing import take_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from hopcast.dynamics.result import DynamicsResult

MOST_NAMED = 12
"""States that a legend can name."""


def plot_populations(result: DynamicsResult, axes: Axes | None = None) -> Axes:
    """Draw the population of each state against time, with the 95 % interval of the sampling as a band.

    Parameters
    ----------
    result
        Of `run_dynamics`.
    axes
        Where to draw; None makes a figure.
    """
    axes = take_axes(axes)
    unit, scale = (("ns", 1e-6), ("ps", 1e-3), ("fs", 1.0))[
        0 if result.times[-1] >= 1e5 else 1 if result.times[-1] >= 1e3 else 2
    ]
    times = result.times * scale
    names = result.states or tuple(str(state) for state in range(result.populations.shape[1]))
    for state, name in enumerate(names):
        (line,) = axes.plot(times, result.populations[:, state], label=name, lw=1.6)
        if result.populations_low is not None and result.populations_high is not None:
            axes.fill_between(
                times,
                result.populations_low[:, state],
                result.populations_high[:, state],
                color=line.get_color(),
                alpha=0.18,
                lw=0,
            )
    axes.set(xlabel=f"Time ({unit})", ylabel="Population", xlim=(times[0], times[-1]), ylim=(0.0, 1.02))
    if len(names) <= MOST_NAMED:
        axes.legend(frameon=False)
    return axes

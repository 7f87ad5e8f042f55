"""Figures of `hopcast dynamics`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from hopcast.dynamics import DynamicsResult

_UNITS = ((1e6, "ns"), (1e3, "ps"), (1.0, "fs"))


def draw_populations(result: DynamicsResult, stem: Path) -> tuple[Path, Path]:
    """Write populations with their sampling intervals, and the carrier's energy, as SVG and PNG."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    from hopcast.report.style import WIDE, label_ends, save_figure, style

    scale, unit = next((s, u) for s, u in _UNITS if result.times[-1] >= s or s == 1.0)
    t = result.times / scale
    with style():
        figure = Figure(figsize=(WIDE, 2.6), layout=None)
        left, right = figure.subplots(1, 2)
        figure.subplots_adjust(left=0.09, right=0.97, bottom=0.18, top=0.88, wspace=0.62)
        colours = mpl.colormaps["viridis"](np.linspace(0.0, 0.88, result.populations.shape[1]))
        names = [mpl.colors.to_hex(c) for c in colours]
        for i, name in enumerate(names):
            left.plot(t, result.populations[:, i], color=name, lw=1.1)
            if result.populations_low is not None and result.populations_high is not None:
                left.fill_between(
                    t, result.populations_low[:, i], result.populations_high[:, i], color=name, alpha=0.2, lw=0
                )
        left.set(xlim=(0, t[-1]), ylim=(-0.02, 1.02), xlabel=f"Time ({unit})", ylabel="Population")
        left.set_title("States")
        label_ends(left, [(s, float(result.populations[-1, i]), names[i]) for i, s in enumerate(result.states)])
        right.plot(t, result.carrier_energy, color=names[0])
        right.set(xlim=(0, t[-1]), xlabel=f"Time ({unit})", ylabel=f"Energy above {result.states[0]} (eV)")
        right.set_ylim(bottom=0)
        right.set_title(f"{result.carrier.capitalize()}")
    return save_figure(figure, stem)

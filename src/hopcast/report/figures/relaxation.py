"""Carriers relaxing through the bands: populations by one method, energy by all."""

from __future__ import annotations

from typing import Final

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hopcast.report.study_report import Relaxation, StudyReport
from hopcast.report.style import ALL, ELEMENT_COLOURS, WIDE, label_ends, panel_label

_FS_PER_PS: Final = 1e3
_COLOURS: Final = (ALL, *ELEMENT_COLOURS)


def draw_relaxation(report: StudyReport) -> Figure | None:
    """Draw populations of the bands (first method) and the carrier's energy (every method), a row a carrier."""
    carriers = report.series.relaxation
    if not carriers:
        return None
    height = 1.85 * len(carriers) + 0.35
    fig = Figure(figsize=(WIDE + 0.6, height))
    axes = fig.subplots(len(carriers), 2, squeeze=False)
    fig.subplots_adjust(left=0.085, right=0.9, top=1 - 0.25 / height, bottom=0.42 / height, hspace=0.52, wspace=0.66)
    for (left, right), carrier in zip(axes, carriers, strict=True):
        _populations(left, carrier)
        _energies(right, carrier)
    for ax in axes[-1]:
        ax.set_xlabel("Time (ps)")
    return fig


def _populations(ax: Axes, carrier: Relaxation) -> None:
    method, values = next(iter(carrier.populations.items()))
    times = carrier.times / _FS_PER_PS
    colours = [mpl.colors.to_hex(c) for c in mpl.colormaps["viridis"](np.linspace(0.3, 0.88, len(carrier.states)))]
    for i, colour in enumerate(colours):
        ax.plot(times, values[:, i], color=colour, lw=1.1, label=carrier.states[i])
    ax.set(xlim=(0, times[-1]), ylim=(-0.02, 1.02), ylabel="Population")
    panel_label(ax, f"{carrier.name.capitalize()}: {method}")
    label_ends(
        ax, [(s, float(values[-1, i]), colours[i]) for i, s in enumerate(carrier.states)], size=6.5, gap_points=7.5
    )


def _energies(ax: Axes, carrier: Relaxation) -> None:
    times = carrier.times / _FS_PER_PS
    ends = []
    for (method, energy), colour in zip(carrier.energy.items(), _COLOURS, strict=False):
        error = carrier.energy_error[method]
        ax.fill_between(times, energy - error, energy + error, color=colour, alpha=0.18, lw=0)
        ax.plot(times, energy, color=colour, lw=1.1, label=method)
        ends.append((method, float(energy[-1]), colour))
    ax.set(xlim=(0, times[-1]), ylabel=f"Energy above {carrier.states[0]} (eV)")
    ax.set_ylim(0, 1.05 * ax.get_ylim()[1])
    panel_label(ax, "Carrier energy")
    label_ends(ax, ends)

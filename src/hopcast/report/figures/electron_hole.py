"""Electron and hole in one run: which of them is still hot, and their energies beside those of each alone."""

from __future__ import annotations

from typing import Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hopcast.report.study_report import ElectronHole, StudyReport
from hopcast.report.style import AB_INITIO, ALL, ELEMENT_COLOURS, WIDE, label_ends, panel_label

_FS_PER_PS: Final = 1e3
_COLOURS: Final = {"electron": ALL, "hole": ELEMENT_COLOURS[0]}


def draw_pair(report: StudyReport) -> Figure | None:
    """Draw populations of the groups of determinants, and the energies of both carriers together and alone."""
    pair = report.series.pair
    if pair is None:
        return None
    fig = Figure(figsize=(WIDE + 0.6, 2.3))
    left, right = fig.subplots(1, 2)
    fig.subplots_adjust(left=0.085, right=0.84, top=0.89, bottom=0.18, wspace=0.78)
    _groups(left, pair)
    _energies(right, pair)
    for ax in (left, right):
        ax.set(xlim=(0, pair.times[-1] / _FS_PER_PS), xlabel="Time (ps)")
    return fig


def _groups(ax: Axes, pair: ElectronHole) -> None:
    colours = [mpl.colors.to_hex(mpl.colormaps["viridis"](x)) for x in (0.88, 0.7, 0.5, 0.3)]
    ends = []
    for (name, values), colour in zip(pair.groups.items(), (*colours, AB_INITIO), strict=True):
        ax.plot(pair.times / _FS_PER_PS, values, color=colour, lw=1.1, label=name)
        ends.append((name, float(values[-1]), colour))
    ax.set(ylim=(-0.02, 1.02), ylabel="Population")
    panel_label(ax, f"Electron and hole: {pair.method}")
    label_ends(ax, ends)


def _energies(ax: Axes, pair: ElectronHole) -> None:
    times, ends = pair.times / _FS_PER_PS, []
    for (carrier, way), energy in pair.energy.items():
        colour = _COLOURS[carrier]
        if way == "together":
            error = pair.energy_error[carrier, way]
            ax.fill_between(times, energy - error, energy + error, color=colour, alpha=0.18, lw=0)
        name = carrier if way == "together" else f"{carrier} alone"
        ax.plot(times, energy, color=colour, lw=1.1, ls="-" if way == "together" else (0, (3.2, 1.6)), label=name)
        ends.append((name, float(energy[-1]), colour))
    ax.set(ylabel="Energy above the edge (eV)")
    ax.set_ylim(0, 1.05 * ax.get_ylim()[1])
    panel_label(ax, "Energy of each carrier")
    label_ends(ax, ends)

"""Density of states by element, the atoms of the band edges, and how the gap is distributed."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from hopcast.abinitio.electrons import BandEdges, DensityOfStates
from hopcast.core.naming import counted
from hopcast.report.study_report import StudyReport
from hopcast.report.style import AB_INITIO, ALL, MUTED, SINGLE, WIDE, element_colour, panel_label

_EDGES = (("VBM", AB_INITIO), ("CBM", ALL))
_WINDOW = (-4.5, 2.5)  # eV below the VBM and above the CBM


def draw_states(report: StudyReport) -> Figure | None:
    """Draw the density of states by element, the share of each atom in the band edges, and their participation."""
    states, edges, structure = report.series.states, report.series.edges, report.series.structure
    if states is None or edges is None or structure is None:
        return None
    fig = Figure(figsize=(WIDE, 4.3))
    grid = fig.add_gridspec(
        2,
        2,
        width_ratios=(1.6, 1),
        height_ratios=(1.25, 1),
        left=0.1,
        right=0.97,
        top=0.94,
        bottom=0.1,
        wspace=0.3,
        hspace=0.5,
    )
    ax = fig.add_subplot(grid[0, :])
    box = ax.get_position()
    ax.set_position((box.x0, box.y0, box.width - 0.11, box.height))  # the names of the elements stand at its side
    _draw_density(ax, states, float(edges.gaps.mean()), report.elements)
    _draw_atoms(fig.add_subplot(grid[1, 0]), edges, structure.numbers, report.elements)
    _draw_participation(fig.add_subplot(grid[1, 1]), edges)
    return fig


def _draw_density(ax: Axes, states: DensityOfStates, gap: float, elements: tuple[str, ...]) -> None:
    low, high = _WINDOW[0], gap + _WINDOW[1]
    shown = (states.energies >= low) & (states.energies <= high)
    energies = states.energies[shown]
    ax.axvspan(0, gap, color=MUTED, alpha=0.12, lw=0)
    for element in elements:
        values, colour = states.by_element[element], element_colour(element, elements)
        ax.fill_between(energies, values[shown], color=colour, alpha=0.25, lw=0)
        ax.plot(energies, values[shown], color=colour, label=element)
    total = states.total[shown]
    ax.plot(energies, total, color=AB_INITIO, lw=0.8, ls=(0, (3, 1.5)), label="all")
    ax.set(xlabel="Energy from the VBM (eV)", ylabel="States (1/eV)", xlim=(low, high), ylim=(0, 1.12 * total.max()))
    ax.text(
        gap / 2,
        0.97,
        f"gap\n{gap:.2f} eV",
        transform=ax.get_xaxis_transform(),
        ha="center",
        va="top",
        color=MUTED,
        fontsize=7,
    )
    ax.legend(loc="upper left", bbox_to_anchor=(1.02, 1.05), borderpad=0)
    panel_label(ax, "Density of states by element")


def _draw_atoms(ax: Axes, edges: BandEdges, numbers: NDArray[np.int64], elements: tuple[str, ...]) -> None:
    from ase.data import chemical_symbols

    order = np.argsort([elements.index(chemical_symbols[number]) for number in numbers], kind="stable")
    places = np.arange(len(order))
    for row, (sign, (name, _)) in enumerate(zip((1, -1), _EDGES, strict=True)):
        colours = [element_colour(chemical_symbols[numbers[atom]], elements) for atom in order]
        ax.bar(places, sign * edges.weights[row, order], width=0.8, color=colours, lw=0)
        ax.text(
            0.99,
            0.96 if sign > 0 else 0.04,
            f"{name}, mean share",
            transform=ax.transAxes,
            ha="right",
            va="top" if sign > 0 else "bottom",
            fontsize=7,
        )
    ax.axhline(0, color=AB_INITIO, lw=0.7)
    reach = 1.45 * float(edges.weights.max())
    ax.set(ylim=(-reach, reach), xlim=(-0.7, len(order) - 0.3), xlabel="Atom", ylabel="Share")
    ax.yaxis.set_major_formatter(lambda value, _: f"{abs(value):g}")
    kinds = np.array([chemical_symbols[numbers[atom]] for atom in order])
    starts = np.flatnonzero(np.r_[True, kinds[1:] != kinds[:-1]])
    ends = np.r_[starts[1:], len(kinds)]
    ax.set_xticks((starts + ends - 1) / 2, kinds[starts])
    ax.tick_params(axis="x", length=0)
    panel_label(ax, "Atoms of the band edges")


def _draw_participation(ax: Axes, edges: BandEdges) -> None:
    low, high = float(edges.participation.min()), float(edges.participation.max())
    bins = np.linspace(low, high, 13) if high > low else np.array([low - 0.01, low + 0.01])
    for row, (name, colour) in enumerate(_EDGES):
        counts, _ = np.histogram(edges.participation[:, row], bins)
        ax.stairs(counts, bins, color=colour, fill=True, alpha=0.2, lw=0)
        ax.stairs(counts, bins, color=colour, lw=1.1, label=name)
    even = 1 / edges.weights.shape[1]
    ax.set(xlabel="Inverse participation ratio", ylabel="Frames", xlim=(min(even, low) * 0.9, None))
    ax.axvline(even, color=MUTED, lw=0.7, ls=(0, (2, 2)))
    ax.legend(loc="best")
    panel_label(ax, "Localisation")


def draw_gaps(report: StudyReport) -> Figure | None:
    """Draw how the ab initio gap is distributed, beside the normal distribution of its mean and width."""
    if report.series.gap is None:
        return None
    gaps = report.series.gap.ab_initio
    gaps = gaps[np.isfinite(gaps)]
    if gaps.size < 2 or not np.ptp(gaps) > 0:
        return None
    fig = Figure(figsize=(SINGLE, 2.2))
    ax = fig.subplots()
    fig.subplots_adjust(left=0.16, right=0.95, top=0.87, bottom=0.2)
    bins = np.linspace(gaps.min(), gaps.max(), int(np.clip(np.sqrt(gaps.size), 5, 40)) + 1)
    counts, _ = np.histogram(gaps, bins)
    ax.stairs(counts, bins, color=AB_INITIO, fill=True, alpha=0.2, lw=0)
    ax.stairs(counts, bins, color=AB_INITIO, lw=0.9, label=counted(gaps.size, "frame"))
    mean, width = float(gaps.mean()), float(gaps.std())
    fine = np.linspace(mean - 3 * width, mean + 3 * width, 200)
    normal = np.exp(-0.5 * ((fine - mean) / width) ** 2) / (width * np.sqrt(2 * np.pi))
    ax.plot(fine, normal * gaps.size * (bins[1] - bins[0]), color=ALL, label="normal")
    ax.set(xlabel="Gap (eV)", ylabel="Frames", ylim=(0, None))
    ax.legend(loc="upper left")
    panel_label(ax, f"Gap: {mean:.3g} ± {width:.2g} eV")
    return fig

"""Ground-state populations of all Hamiltonians, and the straight lines through them."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, StrMethodFormatter
from numpy.typing import NDArray

from hopcast.report.study_report import StudyReport
from hopcast.report.style import AB_INITIO, FAINT, MUTED, SINGLE, WIDE, label_ends, model_colour, model_dash, thin
from hopcast.report.table import shown_number
from hopcast.results.answer import headline_lifetime

COMPUTED_PAIRS = "the answer"
"""Name of the curve of the headline's lifetime, where only pairs of frames were computed."""


def draw_populations(report: StudyReport) -> Figure | None:
    """Draw ground-state population against time, one line a Hamiltonian, the ab initio interval as a band."""
    series = report.series.populations
    if series is None or not series.values:
        return None
    fig = Figure(figsize=(SINGLE + 0.2, 2.9))
    ax = fig.subplots()
    longer = 0.0155 * max(max(map(len, series.values)) - 8, 0)  # room for names
    fig.subplots_adjust(left=0.19, right=0.82 - longer, top=0.97, bottom=0.15)
    reference = report.results.hamiltonians[0].name
    ends = []
    for name, values in series.values.items():
        colour = model_colour(name, report)
        times, shown = thin(series.times, np.asarray(values), 400)
        first = name == reference and report.results.samples is None
        if first and name in series.low and name in series.high:
            t_low, low = thin(series.times, np.asarray(series.low[name]), 400)
            t_high, high = thin(series.times, np.asarray(series.high[name]), 400)
            ax.fill(
                np.concatenate([t_low, t_high[::-1]]),
                np.concatenate([low, high[::-1]]),
                color=AB_INITIO,
                alpha=0.1,
                lw=0,
            )
        ax.plot(
            times,
            shown,
            color=colour,
            ls=model_dash(name, report),
            lw=2.0 if first else 1.1,
            zorder=4 if first else 3,
            label=name,
        )
        ends.append((name, float(values[-1]), colour))
    if report.results.samples is not None:
        ends += _draw_computed_pairs(ax, report, np.asarray(series.times))
    if series.monte_carlo is not None:
        every = max(len(series.times) // 12, 1)
        ax.plot(
            series.times[::every],
            series.monte_carlo[::every],
            "o",
            ms=3,
            mfc="white",
            mec=AB_INITIO,
            mew=0.8,
            zorder=5,
            label="Monte Carlo (ab initio)",
        )
        ax.annotate("○ Monte Carlo (ab initio)", xy=(0.03, 0.97), xycoords="axes fraction", fontsize=7, va="top")
    ax.set(xlabel="Time (ns)", ylabel="Ground-state population", xlim=(series.times[0], series.times[-1]))
    ax.set_ylim(0, min(ax.get_ylim()[1], 1.02))
    label_ends(ax, ends)
    return fig


def _draw_computed_pairs(ax: Axes, report: StudyReport, times: NDArray[np.float64]) -> list[tuple[str, float, str]]:
    """Draw the population that the lifetime of the headline gives, with its band; return the name of its end."""
    lifetime = headline_lifetime(report.results)
    if lifetime is None or not lifetime.value:
        return []
    if lifetime.low and lifetime.high:
        low, high = (1 - np.exp(-times / end) for end in (lifetime.high, lifetime.low))
        ax.fill_between(times, low, high, color=AB_INITIO, alpha=0.1, lw=0)
    values = 1 - np.exp(-times / lifetime.value)
    ax.plot(times, values, color=AB_INITIO, lw=2.0, zorder=4, label=COMPUTED_PAIRS)
    return [(COMPUTED_PAIRS, float(values[-1]), AB_INITIO)]


def draw_fits(report: StudyReport) -> Figure | None:
    """Draw each population with its least-squares line; gradient and intercept stand in the panel."""
    series = report.series.populations
    if series is None or not series.values:
        return None
    rows = [row for row in report.results.hamiltonians if row.name in series.values]
    n_columns = 3 if len(rows) > 4 else min(len(rows), 2)
    n_rows = math.ceil(len(rows) / n_columns)
    height = 1.4 * n_rows + 0.75
    fig = Figure(figsize=(WIDE, height))
    axes = fig.subplots(n_rows, n_columns, sharex=True, sharey=True, squeeze=False)
    fig.subplots_adjust(left=0.1, right=0.98, top=1 - 0.25 / height, bottom=0.58 / height, hspace=0.32, wspace=0.1)
    top = max(float(np.max(series.values[row.name])) for row in rows)
    for ax, row in zip(axes.flat, rows, strict=False):
        name = row.name
        times, values = thin(series.times, np.asarray(series.values[name]), 300)
        ax.plot(times, values, color=model_colour(name, report), lw=2.4, alpha=0.55, solid_capstyle="butt", label=name)
        ax.set_title(name, color=model_colour(name, report), pad=3)
        gradient, intercept = row.gradient.value, row.intercept.value
        if gradient is not None and intercept is not None:
            end = float(series.times[-1])
            if row.window is not None:
                end = min(end, row.window)
            ends = np.array([float(series.times[0]), end])
            ax.plot(ends, intercept + gradient * ends, color="black", lw=0.8, ls=(0, (4, 2)))
            text = f"{shown_number(gradient)} ns⁻¹\n{shown_number(intercept, 2)} at t = 0"
        else:
            text = "no line"
        ax.text(0.05, 0.93, text, transform=ax.transAxes, va="top", fontsize=6.5, linespacing=1.35)
        ax.grid(axis="y", color=FAINT, lw=0.4)
    for ax in axes.flat[len(rows) :]:
        ax.set_axis_off()
    axes[0, 0].set_ylim(0, top * 1.45 if top > 0 else 1)
    axes[0, 0].set_xlim(series.times[0], series.times[-1])
    axes[0, 0].xaxis.set_major_locator(MaxNLocator(2, steps=[1, 2, 5, 10]))
    axes[0, 0].xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    fig.supxlabel("Time (ns)", fontsize=8, y=0.1 / height)
    fig.supylabel("Ground-state population", fontsize=8, x=0.005)
    fig.text(0.985, 0.1 / height, "dashed: least-squares line", ha="right", va="bottom", fontsize=6.5, color=MUTED)
    return fig

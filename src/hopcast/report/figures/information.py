"""Mutual information: bars of every element beside its null, and maps over (R_s, theta_s)."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from numpy.typing import NDArray

from hopcast.report.study_report import InformationMap, StudyReport
from hopcast.report.style import FAINT, INK, SINGLE, WIDE, element_colour, note, panel_label
from hopcast.report.table import shown_fixed

_TITLES = {"gap": "with the gap", "nac": "with the coupling"}


def draw_information_bars(report: StudyReport) -> Figure | None:
    """Draw the mean mutual information of every element: raw, of shifted features, corrected."""
    entries = report.results.information
    targets = [target for target in ("gap", "nac") if any(e.target == target for e in entries)]
    if not targets:
        return None
    height = 1.6 * len(targets) + 0.4
    many = max(sum(e.target == target for e in entries) for target in targets) > 4
    fig = Figure(figsize=(WIDE if many else SINGLE, height))
    axes = fig.subplots(len(targets), 1, squeeze=False)[:, 0]
    fig.subplots_adjust(left=0.16, right=0.97, top=1 - 0.52 / height, bottom=0.25 / height, hspace=0.42)
    values = [one for e in entries for one in (e.raw, e.null_mean, e.corrected) if one is not None]
    low, high = min(0.0, *values, 0.0), max(*values, 0.0, 1e-9)
    for ax, target in zip(axes, targets, strict=True):
        shown = [e for e in entries if e.target == target]
        for index, entry in enumerate(shown):
            colour = element_colour(entry.element, report.elements)
            bars: tuple[tuple[str, dict[str, Any]], ...] = (
                ("raw", {"facecolor": colour, "edgecolor": colour}),
                ("null_mean", {"facecolor": "white", "edgecolor": colour, "hatch": "/////"}),
                ("corrected", {"facecolor": INK, "edgecolor": INK}),
            )
            for offset, (key, look) in zip((-0.26, 0.0, 0.26), bars, strict=True):
                value: float | None = getattr(entry, key)
                if value is None:
                    ax.text(index + offset, 0, "–", ha="center", va="bottom", fontsize=7)
                    continue
                ax.bar(index + offset, value, width=0.24, linewidth=0.7, **look)
                if key == "corrected":
                    place = max(value, 0.0) + 0.02 * (high - low)
                    ax.text(index + offset - 0.1, place, shown_fixed(value, 2), ha="left", va="bottom", fontsize=6.5)
        ax.axhline(0, color=INK, lw=0.7)
        ax.set_xticks(range(len(shown)), [e.element for e in shown])
        ax.tick_params(axis="x", length=0)
        ax.spines["bottom"].set_visible(False)
        ax.set(ylabel="MI (nat per atom)", ylim=(1.08 * low, 1.12 * high), xlim=(-0.6, len(shown) - 0.4))
        ax.grid(axis="y", color=FAINT, lw=0.4)
        if low < 0:
            ax.tick_params(axis="x", pad=1)
        panel_label(ax, f"Mean information {_TITLES[target]}")
    handles = [
        Patch(facecolor="#8a8a8a", edgecolor="#8a8a8a", label="raw"),
        Patch(facecolor="white", edgecolor="#8a8a8a", hatch="/////", label="shifted in time (null)"),
        Patch(facecolor=INK, label="corrected"),
    ]
    fig.legend(handles=handles, loc="upper center", ncols=3, handlelength=1.1, columnspacing=1.1, handletextpad=0.4)
    return fig


def draw_information_maps(report: StudyReport, target: str) -> Figure | None:
    """Draw maps over (R_s, theta_s) for every element: raw, of shifted features, corrected (best cell framed)."""
    maps = [m for m in report.series.maps if m.target == target]
    if not maps:
        return None
    kinds = [kind for kind in ("raw", "null", "corrected") if any(getattr(m, kind) is not None for m in maps)]
    titles = {"raw": "raw", "null": "shifted (null)", "corrected": "corrected"}
    height = 1.05 * len(maps) + 1.35
    fig = Figure(figsize=(WIDE, height))
    axes = fig.subplots(len(maps), len(kinds), squeeze=False, sharex=True)
    bottom, top = 0.98 / height, 1 - 0.3 / height
    fig.subplots_adjust(left=0.17, right=0.98, top=top, bottom=bottom, hspace=0.18, wspace=0.1)
    plain = np.concatenate([np.ravel(v) for m in maps for k in ("raw", "null") if (v := getattr(m, k)) is not None])
    corrected = [np.ravel(m.corrected) for m in maps if m.corrected is not None]
    reach = float(np.nanmax(np.abs(np.concatenate(corrected)))) if corrected else 1.0
    looks: dict[str, dict[str, Any]] = {
        "plain": {"cmap": "viridis", "vmin": min(0.0, float(np.nanmin(plain))), "vmax": float(np.nanmax(plain))},
        "corrected": {"cmap": "RdBu_r", "norm": TwoSlopeNorm(0.0, -max(reach, 1e-6), max(reach, 1e-6))},
    }
    images: dict[str, Any] = {}
    for row, (line, entry) in enumerate(zip(axes, maps, strict=True)):
        for ax, kind in zip(line, kinds, strict=True):
            values = getattr(entry, kind)
            look = "corrected" if kind == "corrected" else "plain"
            if values is None:
                note(ax, "not computed")
                ax.set_axis_off()
                continue
            images[kind] = _draw_map(ax, entry, values, looks[look], framed=kind != "null")
            if row == 0:
                ax.set_title(titles[kind], loc="center", fontweight="normal")
            ax.tick_params(labelleft=ax is line[0], length=0)
        line[0].set_ylabel("Rₛ (Å)", labelpad=2)
        line[0].annotate(
            entry.element,
            xy=(-0.52, 0.5),
            xycoords="axes fraction",
            fontweight="bold",
            fontsize=9,
            va="center",
            ha="center",
            color=element_colour(entry.element, report.elements),
        )
    for ax in axes[-1]:
        ax.set_xlabel("θₛ (degrees)", labelpad=2)
    _colour_bars(fig, axes, kinds, images, height)
    return fig


def _draw_map(
    ax: Axes, entry: InformationMap, values: NDArray[np.float64], look: dict[str, Any], *, framed: bool
) -> Any:
    rows, columns = np.argsort(entry.r_s, kind="stable"), np.argsort(entry.theta_s, kind="stable")
    grid = np.asarray(values)[np.ix_(rows, columns)]
    image = ax.pcolormesh(grid, edgecolors="white", linewidth=0.6, **look)
    for axis, labels in (
        (ax.yaxis, [f"{value:.2f}" for value in entry.r_s[rows]]),
        (ax.xaxis, [f"{value:.0f}" for value in np.degrees(entry.theta_s[columns])]),
    ):
        step = -(-len(labels) // 6)
        axis.set_ticks(np.arange(0, len(labels), step) + 0.5, labels=labels[::step])
    ax.tick_params(labelsize=6.5)
    for spine in ax.spines.values():
        spine.set_visible(False)
    if framed and np.any(np.isfinite(grid)):
        best = np.unravel_index(np.nanargmax(grid), grid.shape)
        ax.add_patch(
            Rectangle((float(best[1]) + 0.06, float(best[0]) + 0.06), 0.88, 0.88, fill=False, ec="white", lw=2.2)
        )
        ax.add_patch(
            Rectangle((float(best[1]) + 0.06, float(best[0]) + 0.06), 0.88, 0.88, fill=False, ec="black", lw=1.0)
        )
    return image


def _colour_bars(fig: Figure, axes: NDArray[Any], kinds: list[str], images: dict[str, Any], height: float) -> None:
    plain = [kind for kind in kinds if kind != "corrected" and kind in images]
    spans = [(plain, "MI (nat)"), (["corrected"] if "corrected" in images else [], "corrected MI (nat)")]
    for group, label in spans:
        if not group:
            continue
        first, last = (axes[0, kinds.index(group[0])].get_position(), axes[0, kinds.index(group[-1])].get_position())
        inset = 0.15 * (last.x1 - first.x0)
        bar = fig.add_axes((first.x0 + inset / 2, 0.40 / height, last.x1 - first.x0 - inset, 0.09 / height))
        colours = fig.colorbar(images[group[0]], cax=bar, orientation="horizontal")
        colours.ax.tick_params(labelsize=6.5, length=2)
        colours.outline.set_visible(False)
        colours.ax.locator_params(nbins=4)
        colours.set_label(label, fontsize=7, labelpad=1)

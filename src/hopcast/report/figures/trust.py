"""How far to trust the forecasts: every score beside what the calendar alone would score."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

from hopcast.evaluation.verdicts import shown_r2
from hopcast.report.study_report import StudyReport
from hopcast.report.style import FAINT, INK, MUTED, WIDE, model_colour, panel_label, r2_of_unexplained
from hopcast.results.record import known

_TITLES = {"gap": "Gap", "nac": "Coupling"}
_CALENDAR = {"linear": "linear in time", "cubic": "by a cubic spline in time"}
_PERFECT = 1e-6  # smallest unexplained share of variance that is drawn


def draw_trust(report: StudyReport) -> Figure | None:
    """Draw R2 of each model beside linear, cubic, shifted features and held-out blocks, on a scale of log(1 - R2)."""
    targets = [t for t in ("gap", "nac") if any(m.target == t for m in report.results.models)]
    if not targets:
        return None
    names = list(report.model_names)
    height = 0.235 * len(names) + 1.15
    fig = Figure(figsize=(WIDE, height))
    axes = fig.subplots(1, len(targets), squeeze=False)[0]  # names on both: a phone shows one below the other
    longer = 0.0105 * max(max(map(len, names)) - 8, 0)  # room for names
    fig.subplots_adjust(
        left=0.115 + longer, right=0.975, top=1 - 0.5 / height, bottom=0.5 / height, wspace=0.3 + 3 * longer
    )
    for ax, target in zip(axes, targets, strict=True):
        _draw_panel(ax, report, names, target)
        panel_label(ax, _TITLES[target])
        ax.set_yticks(range(len(names)), names)
        ax.set_ylim(len(names) - 0.4, -0.6)
        for tick, name in zip(ax.get_yticklabels(), names, strict=True):
            tick.set_color(model_colour(name, report))
    look: dict[str, Any] = {"color": MUTED, "ls": "none"}
    handles = [
        Line2D([], [], marker="o", ms=5.5, color=INK, ls="none", label="model"),
        Line2D([], [], color="#b5b5b5", lw=4, solid_capstyle="butt", label="features shifted in time"),
        Line2D([], [], marker="|", ms=8, mew=1.6, label="linear", **look),
        Line2D([], [], marker="x", ms=4.5, mew=1.2, label="cubic spline", **look),
        Line2D([], [], marker="s", ms=4.5, mfc="white", mec=INK, ls="none", label="model, held-out blocks"),
    ]
    fig.legend(handles=handles, loc="upper center", ncols=5, columnspacing=1.0, handletextpad=0.3, fontsize=7)
    fig.supxlabel("R²  (axis: logarithm of 1 − R²; better to the right; 0 is the mean)", fontsize=7.5, y=0.02)
    return fig


def _draw_panel(ax: Axes, report: StudyReport, names: list[str], target: str) -> None:
    drawn: list[float] = []

    def place(r2: float | None) -> float | None:
        if r2 is None:
            return None
        drawn.append(max(1 - r2, _PERFECT))
        return drawn[-1]

    for row, name in enumerate(names):
        colour = model_colour(name, report)
        model = report.model(name, target, "interleaved")
        if model is not None:
            shifted = model.baselines.shifted
            low, high, median = place(shifted.low), place(shifted.high), place(shifted.median)
            if low is not None and high is not None:
                ax.plot([low, high], [row, row], color="#b5b5b5", lw=4.5, solid_capstyle="butt", zorder=1)
            if median is not None:
                ax.plot([median, median], [row - 0.2, row + 0.2], color="#8f8f8f", lw=1.2, zorder=2)
            for key, look in (
                ("linear", {"marker": "|", "ms": 8, "mew": 1.6}),
                ("cubic", {"marker": "x", "ms": 4.5, "mew": 1.2}),
            ):
                x = place(getattr(model.baselines, key).r2)
                if x is not None:
                    label = f"{name}: R² {shown_r2(1 - x)} {_CALENDAR[key]}"
                    ax.plot([x], [row], color=MUTED, ls="none", zorder=3, label=label, **look)  # type: ignore[arg-type]
            x = place(model.r2)
            if x is not None:
                label = f"{name}: R² {shown_r2(known(model.r2))} between training frames"
                ax.plot([x], [row], "o", ms=5.5, color=colour, zorder=4, label=label)
        blocked = report.model(name, target, "blocked") or report.model(name, target, "trajectory")
        x = place(blocked.r2) if blocked is not None else None
        if x is not None:
            label = f"{name}: R² {shown_r2(known(blocked.r2))} on held-out blocks" if blocked is not None else ""
            ax.plot([x], [row], "s", ms=4.5, mfc="white", mec=colour, mew=1.0, zorder=4, label=label)
    ax.set_xscale("log")
    bound = [*drawn, 1.0]
    ax.set_xlim(max(bound) * 2.2, min(bound) / 2.2)
    ax.axvline(1.0, color=INK, lw=0.7, ls=(0, (2, 2)), zorder=0)
    exponents = np.arange(np.ceil(np.log10(min(bound) / 2.2)), np.floor(np.log10(max(bound) * 2.2)) + 1).astype(int)
    step = -(-len(exponents) // 5)
    exponents = np.array([e for e in exponents if e % step == 0 and e >= -5])
    ax.xaxis.set_major_locator(FixedLocator([10.0**e for e in exponents]))
    ax.xaxis.set_major_formatter(FixedFormatter([r2_of_unexplained(int(e)) for e in exponents]))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    for row in range(len(names)):
        ax.axhline(row, color=FAINT, lw=0.5, zorder=0)

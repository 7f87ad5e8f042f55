"""Coverage of the error bars on held-out blocks, as they are and recalibrated."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from hopcast.report.study_report import StudyReport
from hopcast.report.style import FAINT, INK, MUTED, SINGLE, is_small, model_colour, panel_label

_TITLES = {"gap": "Gap", "nac": "Coupling"}


def draw_calibration(report: StudyReport) -> Figure | None:
    """Draw the share of held-out values inside intervals against their nominal level."""
    judged = [(m, m.calibration) for m in report.results.models if m.calibration is not None]
    targets = [t for t in _TITLES if any(m.target == t for m, _ in judged)]
    if not targets:
        return None
    fig = Figure(figsize=(SINGLE * len(targets) / 2 + 1.0, 2.5))
    axes = fig.subplots(1, len(targets), squeeze=False, sharey=True)[0]
    fig.subplots_adjust(left=0.13, right=0.97, top=0.8, bottom=0.17, wspace=0.12)
    for ax, target in zip(axes, targets, strict=True):
        ax.plot([0, 1], [0, 1], color=INK, lw=0.7, ls=(0, (2, 2)), zorder=0)
        own = [(m, record) for m, record in judged if m.target == target]
        for model, record in own:
            colour = model_colour(model.name, report)
            small = is_small(model.name, report)
            ax.plot(record.levels, record.coverage, color=colour, lw=0.8, alpha=0.45, zorder=1)
            ax.plot(
                record.levels,
                record.recalibrated,
                "o",
                ms=2.6,
                color=colour,
                mfc="white" if small else colour,
                mew=0.7,
                zorder=3,
            )
        _, first = own[0]
        ax.plot([0.9, 0.9], [first.low, first.high], color=MUTED, lw=1.6, zorder=2, solid_capstyle="butt")
        ax.set(xlim=(0, 1), ylim=(0, 1), xlabel="nominal level", aspect="equal")
        ax.set_xticks(np.linspace(0, 1, 6))
        ax.grid(color=FAINT, lw=0.4)
        panel_label(ax, _TITLES[target])
    axes[0].set_ylabel("share of held-out values inside")
    handles = [
        Line2D([], [], color=MUTED, lw=0.8, label="as they are"),
        Line2D([], [], color=MUTED, marker="o", ms=3, ls="none", label="recalibrated"),
        Line2D([], [], color=MUTED, lw=1.6, label="95 % interval at 90 %"),
    ]
    fig.legend(handles=handles, loc="upper center", ncols=3, fontsize=6.5, columnspacing=1.0, handletextpad=0.4)
    return fig

"""The mean rate of a sparse Hamiltonian: what the computed pairs say alone, and what forecasts make of it."""

from __future__ import annotations

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from hopcast.report.study_report import StudyReport
from hopcast.report.style import FAINT, INK, MUTED, WIDE, model_colour
from hopcast.results.record import known

_KINDS = {
    "forecast": ("o", "full", "forecast"),
    "forecast with its variance": ("o", "none", "forecast with its variance"),
    "prediction-powered": ("D", "full", "prediction-powered"),
}


def draw_rates(report: StudyReport) -> Figure | None:
    """Draw each model's rates with their intervals over the band of the plain average."""
    rates = report.results.rates or []
    plain = next((row for row in rates if row.kind == "plain average"), None)
    names = list(dict.fromkeys(row.name for row in rates if row.kind in _KINDS))
    if plain is None or not names:
        return None
    height = 0.3 * len(names) + 1.15
    fig = Figure(figsize=(WIDE, height))
    ax = fig.subplots()
    left = max(0.12, 0.02 + 0.0105 * max(map(len, names)))  # room for names
    fig.subplots_adjust(left=left, right=0.97, top=1 - 0.48 / height, bottom=0.45 / height)
    ax.axvspan(known(plain.rate.low), known(plain.rate.high), color=FAINT, lw=0, zorder=0)
    ax.axvline(known(plain.rate.value), color=MUTED, lw=0.9, zorder=1)
    for index, name in enumerate(names):
        colour = model_colour(name, report)
        for offset, (kind, (marker, fill, _)) in enumerate(_KINDS.items()):
            row = next((one for one in rates if one.name == name and one.kind == kind), None)
            if row is None or row.rate.value is None:
                continue
            y = index + 0.22 * (offset - 1)
            ax.plot([known(row.rate.low), known(row.rate.high)], [y, y], color=colour, lw=1.1, zorder=2)
            ax.plot(
                [row.rate.value], [y], marker, ms=4.5, color=colour, zorder=3, mfc=colour if fill == "full" else "white"
            )
    ax.set_yticks(range(len(names)), names)
    for tick, name in zip(ax.get_yticklabels(), names, strict=True):
        tick.set_color(model_colour(name, report))
    ax.set_ylim(len(names) - 0.45, -0.55)
    ax.set_xlim(left=0)
    ax.set_xlabel("Mean rate along the trajectory (1/ns)")
    handles = [
        Line2D([], [], color=FAINT, lw=6, solid_capstyle="butt", label="computed pairs, plain average"),
        *(
            Line2D(
                [], [], marker=marker, ms=4.5, color=INK, ls="none", mfc=INK if fill == "full" else "white", label=words
            )
            for marker, fill, words in _KINDS.values()
        ),
    ]
    fig.legend(handles=handles, loc="upper center", ncols=4, columnspacing=1.0, handletextpad=0.4, fontsize=7)
    return fig

"""The pure-dephasing function of the ab initio gap and its Gaussian."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from hopcast.report.study_report import StudyReport
from hopcast.report.style import AB_INITIO, ALL, MUTED, SINGLE, panel_label, thin

_EXPONENT = {"gaussian": 2.0, "e-folding": 1.0, "pyxaid": 1.0}  # exp(-t^2 / (factor tau^2))


def draw_dephasing(report: StudyReport) -> Figure | None:
    """Draw D(t) with the Gaussian of the study's convention, and below it the gap's autocorrelation where given."""
    series = report.series.dephasing
    if series is None:
        return None
    both = series.correlation is not None and series.correlation_times is not None
    height = 3.9 if both else 2.3
    fig = Figure(figsize=(SINGLE, height))
    axes = fig.subplots(2 if both else 1, 1, squeeze=False)[:, 0]
    fig.subplots_adjust(left=0.16, right=0.95, top=1 - 0.28 / height, bottom=0.44 / height, hspace=0.75)
    ax = axes[0]
    record = report.results.dephasing
    convention = "" if record is None else record.convention
    limit = min(float(series.times[-1]), 5 * series.tau)
    shown = series.times <= max(limit, float(series.times[min(2, len(series.times) - 1)]))
    every = slice(None, None, max(1, int(shown.sum()) // 24))  # the curve must show between the dots
    ax.plot(
        series.times[shown][every],
        series.function[shown][every],
        "o",
        ms=3.2,
        color=AB_INITIO,
        label="from the gap",
        zorder=3,
    )
    if convention in _EXPONENT:
        fine = np.linspace(0, limit, 200)
        ax.plot(
            fine, np.exp(-(fine**2) / (_EXPONENT[convention] * series.tau**2)), color=ALL, label="Gaussian", zorder=2
        )
    ax.axvline(series.tau, color=MUTED, lw=0.7, ls=(0, (2, 2)))
    ax.annotate(
        f"τ = {series.tau:.3g} fs",
        xy=(series.tau, 0.97),
        xycoords=("data", "axes fraction"),
        xytext=(4, 0),
        textcoords="offset points",
        va="top",
        fontsize=7,
    )
    ax.set(xlabel="Time (fs)", ylabel="D(t)", ylim=(0, 1.04), xlim=(0, limit))
    ax.legend(loc="center right")
    panel_label(ax, "Pure dephasing of the gap")
    if both and series.correlation is not None and series.correlation_times is not None:
        lower = axes[1]
        times, values = thin(series.correlation_times, series.correlation / series.correlation[0])
        lower.plot(times / 1e3, values, color=AB_INITIO, lw=1, label="C(t) / C(0)")
        lower.axhline(0, color=MUTED, lw=0.6)
        lower.set(xlabel="Lag (ps)", ylabel="C(t) / C(0)")
        lower.margins(x=0.01)
        panel_label(lower, "Autocorrelation of the gap")
    return fig

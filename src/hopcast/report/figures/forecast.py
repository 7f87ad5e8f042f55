"""Figure 2: forecasts against ab initio, in time and against each other."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hopcast.report.study_report import Forecast, StudyReport
from hopcast.report.style import AB_INITIO, FAINT, MUTED, WIDE, is_small, label_ends, model_colour, model_dash, panel_label
from hopcast.report.verdicts import shown_r2

_MAX_POINTS = 160  # of a model and target; more would only make the file larger
_LABELS = {"gap": ("Gap", "eV", 1.0), "nac": ("|ħd|", "meV", 1e3)}


def draw_forecast(report: StudyReport) -> Figure | None:
    """Draw a stretch of the series with training frames, and below it forecast against ab initio on test frames."""
    shown = [(t, s) for t in ("gap", "nac") if (s := report.series.target(t)) is not None and s.models]
    if not shown:
        return None
    groups = _groups(report, shown[0][1])
    n_columns = min(len(groups), 4)
    panel = (WIDE - 0.65) / max(n_columns, 3)
    height = len(shown) * (1.55 + 0.35) + len(shown) * (panel + 0.42) + 0.35
    fig = Figure(figsize=(WIDE, height))
    top = height - 0.28
    for target, series in shown:
        ax = fig.add_axes((0.1, (top - 1.5) / height, 0.76, 1.5 / height))
        _draw_stretch(ax, report, series, target)
        top -= 1.5 + 0.72
    for index, (target, series) in enumerate(shown):
        limits = _limits(series, target)
        for column, (title, names) in enumerate(groups[:4]):
            left = 0.52 + column * (panel + 0.03)
            ax = fig.add_axes((left / WIDE, (top - panel) / height, (panel - 0.1) / WIDE, (panel - 0.1) / height))
            _draw_parity(ax, report, series, target, names, limits)
            if index == 0:
                ax.set_title(title, color=model_colour(names[0], report), pad=4)
            if column:
                ax.tick_params(labelleft=False)
            else:
                ax.set_ylabel(f"Forecast {_LABELS[target][0]} ({_LABELS[target][1]})", fontsize=7.5)
            ax.set_xlabel(f"Ab initio ({_LABELS[target][1]})", fontsize=7.5, labelpad=2)
        top -= panel + 0.42
    return fig


def _groups(report: StudyReport, series: Forecast) -> list[tuple[str, list[str]]]:
    """Return models by the elements they use, the one with most features first."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for name in series.models:
        groups.setdefault(tuple(sorted(report.elements_of(name))), []).append(name)
    ordered = [sorted(names, key=lambda n: -report.features_of(n)) for names in groups.values()]
    return [("all elements" if names[0].startswith("all") else f"{report.elements_of(names[0])[0]} only", names) for names in ordered]


def _stretch(series: Forecast) -> slice:
    """Return about twelve training frames from the middle of the series."""
    train = np.flatnonzero(series.train)
    if len(train) < 3:
        return slice(0, min(len(series.times), 200))
    middle = len(train) // 2
    first, last = train[max(middle - 6, 0)], train[min(middle + 6, len(train) - 1)]
    return slice(int(first), int(last) + 1)


def _draw_stretch(ax: Axes, report: StudyReport, series: Forecast, target: str) -> None:
    label, unit, scale = _LABELS[target]
    part = _stretch(series)
    times = series.times[part]
    ends = []
    for name, values in series.models.items():
        colour = model_colour(name, report)
        ax.plot(times, values[part] * scale, color=colour, ls=model_dash(name, report), lw=0.9, zorder=2)
        ends.append((name, float(values[part][-1] * scale), colour))
    ax.plot(times, series.ab_initio[part] * scale, color=AB_INITIO, lw=2.2, alpha=0.3, zorder=1)
    train = series.train[part]
    ax.plot(times[train], series.ab_initio[part][train] * scale, "o", ms=3.4, color=AB_INITIO, zorder=4)
    ax.set(xlabel="Time (fs)", ylabel=f"{label} ({unit})", xlim=(times[0], times[-1]))
    panel_label(ax, f"{'Gap' if target == 'gap' else 'Coupling'}: a stretch of the trajectory")
    ax.text(1.0, 1.04, "● training frames   ▬ ab initio", transform=ax.transAxes, ha="right", va="bottom", fontsize=6.5, color=MUTED)
    label_ends(ax, ends, gap_points=8)


def _limits(series: Forecast, target: str) -> tuple[float, float]:
    scale = _LABELS[target][2]
    known = series.ab_initio[np.isfinite(series.ab_initio)] * scale
    if known.size == 0:
        return 0.0, 1.0
    low, high = float(known.min()), float(known.max())
    pad = 0.06 * (high - low) or 0.1
    return low - pad, high + pad


def _draw_parity(
    ax: Axes, report: StudyReport, series: Forecast, target: str, names: list[str], limits: tuple[float, float]
) -> None:
    scale = _LABELS[target][2]
    ax.plot(limits, limits, color=MUTED, lw=0.6, zorder=1)
    lines = []
    for name in reversed(names):
        small = is_small(name, report)
        test = np.flatnonzero(~series.train & np.isfinite(series.ab_initio) & np.isfinite(series.models[name]))
        test = test[:: max(-(-len(test) // _MAX_POINTS), 1)]
        colour = model_colour(name, report)
        ax.plot(
            series.ab_initio[test] * scale, series.models[name][test] * scale, "o", ms=2.2, mec=colour, mew=0.4,
            mfc="none" if small else colour, alpha=0.6, zorder=2 if small else 3,
        )  # fmt: skip
        model = report.model(name, target, "interleaved")
        if model is not None and model["r2"] is not None:
            mark = "○" if small else "●"
            lines.append(f"{mark} {report.features_of(name)}: {shown_r2(model['r2'])}")
    ax.text(0.05, 0.95, "\n".join(reversed(lines)), transform=ax.transAxes, va="top", fontsize=6, linespacing=1.3)
    ax.set(xlim=limits, ylim=limits)
    ax.locator_params(nbins=4)
    ax.tick_params(labelsize=6.5)
    ax.grid(color=FAINT, lw=0.4)

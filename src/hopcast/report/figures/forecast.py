"""Forecasts against ab initio, in time and against each other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from hopcast.evaluation.verdicts import shown_r2
from hopcast.report.study_report import CHOSEN, Forecast, StudyReport
from hopcast.report.style import AB_INITIO, FAINT, MUTED, WIDE, is_small, model_colour, model_dash, panel_label

_MAX_POINTS = 160  # of a model and target; more would only make the file larger
_COLUMNS = 5  # of panels, and of the key
_LABELS = {"gap": ("Gap", "eV", 1.0), "nac": ("|ħd|", "meV", 1e3)}


def draw_forecast(report: StudyReport) -> Figure | None:
    """Draw a stretch of the series with training frames, and below it forecast against ab initio on test frames."""
    shown = [(t, s) for t in ("gap", "nac") if (s := report.series.target(t)) is not None and s.models]
    if not shown:
        return None
    groups = _groups(report, shown[0][1])
    n_columns = min(len(groups), _COLUMNS)
    n_rows = -(-len(groups) // _COLUMNS)
    panel = (WIDE - 0.65) / max(n_columns, 3)
    head = 0.32 + 0.15 * -(-(2 + len(shown[0][1].models)) // _COLUMNS)
    height = head + 1.3 + 0.12 + 0.9 + 0.85 + len(shown) * n_rows * (panel + 0.42) + (n_rows - 1) * 0.2
    fig = Figure(figsize=(WIDE, height))
    _draw_key(fig, report, shown[0][1], height)
    width = (WIDE - 0.6 - 0.62) / 2
    for index, (target, series) in enumerate(shown):
        left = (0.52 + index * (width + 0.62)) / WIDE
        upper = fig.add_axes((left, (height - head - 1.3) / height, width / WIDE, 1.3 / height))
        lower = fig.add_axes(
            (left, (height - head - 1.3 - 0.12 - 0.9) / height, width / WIDE, 0.9 / height), sharex=upper
        )
        _draw_stretch(upper, lower, report, series, target)
    top = height - (head + 1.3 + 0.12 + 0.9 + 0.8)
    for start in range(0, len(groups), _COLUMNS):
        _draw_parity_rows(fig, report, shown, groups[start : start + _COLUMNS], panel, top)
        top -= len(shown) * (panel + 0.42) + 0.2
    return fig


def _draw_parity_rows(
    fig: Figure,
    report: StudyReport,
    shown: Sequence[tuple[str, Forecast]],
    groups: Sequence[tuple[str, list[str]]],
    panel: float,
    top: float,
) -> None:
    """Draw forecast against ab initio, a row a target, a panel for the models of the same elements; `top` in inches."""
    height = float(fig.get_size_inches()[1])
    for index, (target, series) in enumerate(shown):
        limits = _limits(series, target)
        for column, (title, names) in enumerate(groups):
            left = 0.52 + column * (panel + 0.03)
            ax = fig.add_axes((left / WIDE, (top - panel + 0.1) / height, (panel - 0.1) / WIDE, (panel - 0.1) / height))
            _draw_parity(ax, report, series, target, [name for name in names if name in series.models], limits)
            if index == 0:
                ax.set_title(title, color=model_colour(names[0], report), pad=4)
            if column:
                ax.tick_params(labelleft=False)
            else:
                ax.set_ylabel(f"Forecast ({_LABELS[target][1]})", fontsize=7.5)
            ax.set_xlabel(f"Ab initio {_LABELS[target][0].lower()} ({_LABELS[target][1]})", fontsize=7, labelpad=2)
        top -= panel + 0.42


def _draw_key(fig: Figure, report: StudyReport, series: Forecast, height: float) -> None:
    handles = [
        Line2D([], [], color=AB_INITIO, lw=3.2, alpha=0.3, label="ab initio"),
        Line2D([], [], color=AB_INITIO, marker="o", ms=3.4, ls="none", label="training frames"),
    ]
    handles += [Line2D([], [], color=model_colour(n, report), ls=model_dash(n, report), label=n) for n in series.models]
    fig.legend(
        handles=handles,
        loc="upper center",
        bbox_to_anchor=(0.5, 1 - 0.02 / height),
        ncols=min(len(handles), _COLUMNS),
        columnspacing=1.2,
    )


def _groups(report: StudyReport, series: Forecast) -> list[tuple[str, list[str]]]:
    """Return models by the elements they use, the one with most features first."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for name in series.models:
        alone = name == CHOSEN or report.is_hamiltonian(name)
        key = (name,) if alone else tuple(sorted(report.elements_of(name)))
        groups.setdefault(key, []).append(name)
    ordered = [sorted(names, key=lambda n: -report.features_of(n)) for names in groups.values()]
    return [(_title(report, names[0]), names) for names in ordered]


def _title(report: StudyReport, name: str) -> str:
    if name == CHOSEN or report.is_hamiltonian(name):
        return name
    return "all elements" if name.startswith("all") else f"{report.elements_of(name)[0]} only"


def _stretch(series: Forecast) -> slice:
    """Return about twelve training frames from the middle of the series."""
    train = np.flatnonzero(series.train)
    if len(train) < 3:
        return slice(0, min(len(series.times), 200))
    middle = len(train) // 2
    first, last = train[max(middle - 6, 0)], train[min(middle + 6, len(train) - 1)]
    return slice(int(first), int(last) + 1)


def _draw_stretch(upper: Axes, lower: Axes, report: StudyReport, series: Forecast, target: str) -> None:
    label, unit, scale = _LABELS[target]
    part = _stretch(series)
    times, truth, train = series.times[part], series.ab_initio[part] * scale, series.train[part]
    upper.plot(times, truth, color=AB_INITIO, lw=3.2, alpha=0.3, zorder=1, label="ab initio")
    lower.axhline(0, color=AB_INITIO, lw=3.2, alpha=0.3, zorder=1)
    error_scale = scale if target == "nac" else 1e3
    for name, values in series.models.items():
        if series.held_out and is_small(name, report):
            continue  # forecasts that do not agree fill a panel: those of all features are enough
        colour, dash = model_colour(name, report), model_dash(name, report)
        upper.plot(times, values[part] * scale, color=colour, ls=dash, lw=0.9, zorder=2, label=name)
        error = (series.held_out.get(name, values)[part] - series.ab_initio[part]) * error_scale
        if name in series.held_out:
            lower.plot(times, error, "o", ms=2.8, color=colour, zorder=3, label=name)
        else:
            lower.plot(times, error, color=colour, ls=dash, lw=0.9, zorder=2, label=name)
    upper.plot(times[train], truth[train], "o", ms=3.4, color=AB_INITIO, zorder=4)
    if not series.held_out:
        lower.plot(times[train], np.zeros(int(train.sum())), "o", ms=2.6, color=AB_INITIO, zorder=4)
    upper.set(ylabel=f"{label} ({unit})", xlim=(times[0], times[-1]))
    upper.tick_params(labelbottom=False)
    upper.locator_params(axis="x", nbins=4)
    lower.set(xlabel="Time (fs)", ylabel="Error (meV)")
    panel_label(upper, "Gap" if target == "gap" else "Coupling")


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
        forecast = series.held_out.get(name, series.models[name])
        known = np.isfinite(series.ab_initio) & np.isfinite(forecast)
        test = np.flatnonzero(known if name in series.held_out else known & ~series.train)
        test = test[:: max(-(-len(test) // _MAX_POINTS), 1)]
        colour = model_colour(name, report)
        ax.plot(
            series.ab_initio[test] * scale,
            forecast[test] * scale,
            "o",
            ms=2.2,
            mec=colour,
            mew=0.4,
            mfc="none" if small else colour,
            alpha=0.6,
            zorder=2 if small else 3,
        )
        model = report.model(name, target, "blocked" if series.held_out else "interleaved")
        if model is not None and model.r2 is not None:
            mark = "○" if small else "●"
            features = "" if name == CHOSEN or model.is_hamiltonian else f" {report.features_of(name)}:"
            lines.append(f"{mark}{features} {shown_r2(model.r2)}")
    ax.text(0.05, 0.95, "\n".join(reversed(lines)), transform=ax.transAxes, va="top", fontsize=6, linespacing=1.3)
    ax.set(xlim=limits, ylim=limits)
    ax.locator_params(nbins=4)
    ax.tick_params(labelsize=6.5)
    ax.grid(color=FAINT, lw=0.4)

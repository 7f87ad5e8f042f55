"""Learning curves: the training stride from which on a model knows more than the calendar."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedFormatter, FixedLocator, FuncFormatter, NullFormatter, NullLocator

from hopcast.evaluation.verdicts import shown_r2
from hopcast.report.study_report import StudyReport
from hopcast.report.style import FAINT, INK, MUTED, WIDE, model_colour, note, panel_label, r2_of_unexplained
from hopcast.results.forecasts import CurvePoint, LearningCurves

_TITLES = {"gap": "Gap", "nac": "Coupling", "rate": "Rate / ab initio"}
_SPLITS = {"interleaved": "between training frames", "blocked": "held-out blocks"}
_CALENDAR = {"linear": "linear in time", "cubic": "cubic spline"}
_PERFECT = 1e-6
_RATES = (0.0, 2.0)


def draw_learning_curves(report: StudyReport, axis: str = "stride") -> Figure | None:
    """Draw R2 of gap and coupling and the ratio of rates against the training stride or the number of frames."""
    points = [p for p in (report.results.learning_curves or LearningCurves()).points if p.axis == axis]
    if not points:
        return None
    models = list(dict.fromkeys(p.model for p in points))
    scored = [p for p in points if p.value is not None]
    splits = [split for split in _SPLITS if any(p.split == split for p in scored)]
    targets = [target for target in _TITLES if any(p.target == target for p in scored)]
    if not splits:
        return None
    height = 0.7 + 1.8 * len(splits)
    fig = Figure(figsize=(WIDE + 0.4, height))
    axes = fig.subplots(len(splits), len(targets), sharex=True, squeeze=False)
    fig.subplots_adjust(left=0.135, right=0.985, top=1 - 0.62 / height, bottom=0.44 / height, wspace=0.36, hspace=0.24)
    for row, split in enumerate(splits):
        for ax, target in zip(axes[row], targets, strict=True):
            chosen = [p for p in scored if p.split == split and p.target == target]
            _panel(ax, report, chosen, models, axis, rate=target == "rate")
            if row == 0:
                panel_label(ax, _TITLES[target])
        box = axes[row, 0].get_position()
        fig.text(0.012, (box.y0 + box.y1) / 2, f"R², {_SPLITS[split]}", rotation=90, va="center", ha="left", fontsize=7)
    look: dict[str, Any] = {"color": MUTED, "lw": 1.0}
    handles = [
        *(Line2D([], [], color=model_colour(m, report), marker="o", ms=3.5, label=m) for m in models),
        Patch(color="#c9c9c9", label="features shifted in time"),
        Line2D([], [], ls=(0, (1, 1.2)), label="linear", **look),
        Line2D([], [], ls=(0, (4, 1.5)), label="cubic spline", **look),
        Line2D([], [], marker="x", ms=4, color=MUTED, ls="none", label="plain average"),
    ]
    fig.legend(
        handles=handles,
        loc="upper center",
        ncols=min(len(handles), 5),
        fontsize=6.5,
        columnspacing=1.0,
        handletextpad=0.4,
    )
    label = "time between training frames (fs)" if axis == "stride" else "frames of the trajectory used"
    fig.supxlabel(label, fontsize=7.5, y=0.012)
    return fig


def _panel(
    ax: Axes, report: StudyReport, points: list[CurvePoint], models: list[str], axis: str, *, rate: bool
) -> None:
    if not points:
        note(ax, "no point")
        ax.set_yticks([])
        return
    drawn: list[float] = []

    def place(values: list[float | None]) -> np.ndarray[Any, np.dtype[np.float64]]:
        numbers = np.array([np.nan if v is None else float(v) for v in values])
        out = np.clip(numbers, *_RATES) if rate else np.maximum(1 - numbers, _PERFECT)
        drawn.extend(out[np.isfinite(out)].tolist())
        return out

    for index, model in enumerate(models):
        own = sorted((p for p in points if p.model == model), key=lambda p: _x(p, axis))
        if not own:
            continue
        x = [_x(p, axis) for p in own]
        if index == 0:
            low, high = (place([getattr(p, f"shifted_{end}") for p in own]) for end in ("low", "high"))
            ax.fill_between(x, low, high, color="#c9c9c9", lw=0.8, zorder=1)
            for key, dash in zip(_CALENDAR, ((0, (1, 1.2)), (0, (4, 1.5))), strict=True):
                values = [getattr(p, key) for p in own]
                if any(v is not None for v in values):
                    ax.plot(x, place(values), color=MUTED, lw=1.0, ls=dash, zorder=2, label=_CALENDAR[key])
            if rate:
                ax.plot(x, place([p.plain for p in own]), "x", color=MUTED, ms=4, zorder=2, label="plain average")
        ax.plot(
            x,
            place([p.value for p in own]),
            "o-",
            color=model_colour(model, report),
            ms=2.8,
            lw=1.1,
            zorder=4 - 0.1 * index,
            label=model,
        )
    ax.set_xscale("log")
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.xaxis.set_minor_formatter(NullFormatter())
    if axis == "frames":
        ticks = sorted({_x(p, axis) for p in points})
        ax.xaxis.set_major_locator(FixedLocator(ticks[:: max(1, len(ticks) // 3)]))
        ax.xaxis.set_minor_locator(NullLocator())
    if rate:
        ax.axhline(1.0, color=INK, lw=0.7, ls=(0, (2, 2)), zorder=0)
        span = max(abs(np.array(drawn) - 1).max(), 0.05) * 1.15
        ax.set_ylim(1 - span, 1 + span)
    else:
        _scale_unexplained(ax, drawn)
    ax.grid(axis="y", color=FAINT, lw=0.4)


def _scale_unexplained(ax: Axes, drawn: list[float]) -> None:
    """Scale an axis of 1 - R2, better upwards, and label it with R2."""
    ax.set_yscale("log")
    ax.fmt_ydata = lambda unexplained: f"R² {shown_r2(1 - unexplained)}"
    ax.set_ylim(max([*drawn, 1.0]) * 2, min(drawn) / 2)  # better upwards
    ax.axhline(1.0, color=INK, lw=0.7, ls=(0, (2, 2)), zorder=0)
    top, bottom = ax.get_ylim()
    exponents = np.arange(np.ceil(np.log10(bottom)), np.floor(np.log10(top)) + 1).astype(int)
    step = -(-len(exponents) // 5)
    exponents = np.array([e for e in exponents if e % step == 0])
    ax.yaxis.set_major_locator(FixedLocator([10.0**e for e in exponents]))
    ax.yaxis.set_major_formatter(FixedFormatter([r2_of_unexplained(int(e)) for e in exponents]))
    ax.yaxis.set_minor_locator(NullLocator())
    if len(exponents) < 2:
        ticks = [value for value in (0.2, 0.5, 1.0, 2.0, 3.0, 5.0) if bottom <= value <= top]
        ax.yaxis.set_major_locator(FixedLocator(ticks))
        ax.yaxis.set_major_formatter(FixedFormatter([f"{1 - v:g}".replace("-", "−") for v in ticks]))


def _x(point: CurvePoint, axis: str) -> float:
    return float(point.stride.fs if axis == "stride" else point.n_frames)

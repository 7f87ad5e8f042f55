"""The gap and the coupling over time, and their spectra."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from hopcast.core.units import THZ_PER_INVERSE_FS, WAVENUMBER_PER_THZ
from hopcast.report.study_report import Forecast, StudyReport
from hopcast.report.style import AB_INITIO, MUTED, WIDE, note, panel_label, thin


def spectrum(times: NDArray[Any], values: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Return frequencies, THz, and the one-sided power spectral density (Hann window, mean removed), unit^2/THz.

    None where the series has gaps, uneven steps or fewer than 16 points.
    """
    if len(times) < 16 or not np.all(np.isfinite(values)):
        return None
    steps = np.diff(times)
    if not np.allclose(steps, steps[0], rtol=1e-6, atol=0):
        return None
    from scipy.signal import periodogram

    frequencies, density = periodogram(values, fs=THZ_PER_INVERSE_FS / steps[0], window="hann", detrend="constant")
    return frequencies[1:], density[1:]


def draw_series(report: StudyReport) -> Figure | None:
    """Draw gap and |coupling| along the trajectory, each with its spectrum in THz and 1/cm."""
    rows = [
        (series, label, unit, scale)
        for series, label, unit, scale in (
            (report.series.gap, "Gap", "eV", 1.0),
            (report.series.nac, "|ħd|", "meV", 1e3),
        )
        if series is not None
    ]
    if not rows:
        return None
    spectra = [spectrum(series.times, series.ab_initio * scale) for series, _, _, scale in rows]
    if not any(spectra):
        return _draw_times_alone(rows)
    height = 1.95 * len(rows) + 0.15
    fig = Figure(figsize=(WIDE, height))
    axes = fig.subplots(
        len(rows), 2, squeeze=False, gridspec_kw={"width_ratios": (1.45, 1), "wspace": 0.38, "hspace": 0.75}
    )
    fig.subplots_adjust(left=0.1, right=0.97, top=1 - 0.36 / height, bottom=0.42 / height)
    for (left, right), (series, label, unit, scale), found in zip(axes, rows, spectra, strict=True):
        _draw_time(left, series, label, unit, scale)
        _draw_spectrum(right, found, unit)
    return fig


def _draw_times_alone(rows: Sequence[tuple[Forecast, str, str, float]]) -> Figure:
    """Draw the series side by side: frames that are missing leave no spectrum."""
    fig = Figure(figsize=(WIDE, 2.1))
    axes = fig.subplots(1, len(rows), squeeze=False)[0]
    fig.subplots_adjust(left=0.1, right=0.97, top=0.87, bottom=0.2, wspace=0.28)
    for ax, (series, label, unit, scale) in zip(axes, rows, strict=True):
        _draw_time(ax, series, label, unit, scale)
    return fig


def _draw_time(ax: Axes, series: Forecast, label: str, unit: str, scale: float) -> None:
    known = np.isfinite(series.ab_initio)
    sparse = known.mean() < 0.5  # separate values make no line
    if sparse:
        times, values = series.times[known], series.ab_initio[known] * scale
    else:
        times, values = thin(series.times, series.ab_initio * scale)
    long = float(series.times[-1]) > 2e5
    ax.plot(
        times / (1e6 if long else 1e3),
        values,
        "o" if sparse else "-",
        color=AB_INITIO,
        lw=0.8,
        ms=2.2,
        label=f"{label} ({unit})",
    )
    ax.set(xlabel=f"Time ({'ns' if long else 'ps'})", ylabel=f"{label} ({unit})")
    ax.margins(x=0.01)
    if label != "Gap":
        ax.set_ylim(bottom=0)
    panel_label(ax, "Gap along the trajectory" if label == "Gap" else "Coupling along the trajectory")


def _draw_spectrum(ax: Axes, found: tuple[NDArray[np.float64], NDArray[np.float64]] | None, unit: str) -> None:
    ax.set(xlabel="Frequency (THz)", ylabel=f"PSD ({unit}²/THz)")
    if found is None:
        note(ax, "no spectrum:\ntoo few or missing frames")
        return
    frequencies, density = found
    share = np.cumsum(density) / density.sum() if density.sum() > 0 else np.linspace(0, 1, len(density))
    last = min(int(np.searchsorted(share, 0.98)), len(frequencies) - 1)
    limit = min(1.3 * frequencies[last], frequencies[-1])
    shown = frequencies <= limit
    x, y = thin(frequencies[shown], density[shown])
    ax.plot(x, y, color=AB_INITIO, lw=0.9, label=f"PSD ({unit}²/THz)")
    ax.fill_between(x, y, color=AB_INITIO, alpha=0.12, lw=0)
    ax.set(xlim=(0, limit), ylim=(0, None))
    top = ax.secondary_xaxis("top", functions=(_to_wavenumber, _to_frequency))
    top.set_xlabel("Wavenumber (cm⁻¹)", color=MUTED, fontsize=7, labelpad=3)
    top.tick_params(colors=MUTED, labelsize=6.5)
    top.spines["top"].set_visible(True)
    top.spines["top"].set_color(MUTED)


def _to_wavenumber(frequency: Any) -> Any:
    return frequency * WAVENUMBER_PER_THZ


def _to_frequency(wavenumber: Any) -> Any:
    return wavenumber / WAVENUMBER_PER_THZ

"""Information beside its control as a figure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hopcast.core.showing import take_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from hopcast.information.significance import Information


def plot_information(information: Information, axes: Axes | None = None) -> Axes:
    """Draw for each group of features the mean raw information, that of features moved in time, and the corrected one.

    Parameters
    ----------
    information
        Of `hopcast.information.information`.
    axes
        Where to draw; None makes a figure.
    """
    axes = take_axes(axes)
    groups = list(dict.fromkeys(information.groups.tolist()))
    place = np.arange(len(groups))

    def means(values: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> list[float]:
        return [float(np.mean(values[information.groups == group])) for group in groups]

    axes.bar(place - 0.27, means(information.raw), 0.25, color="#8c8c8c", label="raw")
    axes.bar(
        place,
        means(information.raw_null_mean),
        0.25,
        color="none",
        edgecolor="#8c8c8c",
        hatch="////",
        label="shifted in time",
    )
    axes.bar(place + 0.27, means(information.corrected), 0.25, color="#1b1b1b", label="corrected")
    axes.axhline(0.0, color="#1b1b1b", lw=0.8)
    axes.set(ylabel="Information (nat a feature)", xticks=place, xticklabels=[str(group) for group in groups])
    axes.legend(frameon=False, loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=3)
    return axes

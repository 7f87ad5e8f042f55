"""A score beside what needs no model, as a figure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hopcast.core.showing import COLOURS, take_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from hopcast.evaluation.evaluate import Evaluation

PERFECT = 1e-9
"""Unexplained variance that is drawn where nothing is left."""


def plot_evaluation(evaluation: Evaluation, axes: Axes | None = None) -> Axes:
    """Draw the unexplained variance 1 - R2 of the model, of itself on features of other times, and of the baselines; better to the right.

    Parameters
    ----------
    evaluation
        Of `hopcast.evaluation.evaluate_model`.
    axes
        Where to draw; None makes a figure.
    """
    axes = take_axes(axes, height=2.4)
    rows = [("model", [evaluation.model.r2]), ("shifted in time", evaluation.shifted.tolist())]
    rows += [(name, [getattr(evaluation, name).r2]) for name in ("linear", "cubic", "mean")]
    rows = [(name, values) for name, values in rows if values]
    for row, (name, values) in enumerate(rows):
        colour = COLOURS[0] if name == "model" else "#8c8c8c"
        axes.plot(
            np.maximum(1.0 - np.array(values), PERFECT),
            [row] * len(values),
            "o" if name == "model" else "|",
            color=colour,
            ms=8,
            label=name,
        )
    axes.set(
        xscale="log",
        xlabel="Unexplained variance, 1 − R² (better to the right)",
        yticks=range(len(rows)),
        yticklabels=[name for name, _ in rows],
    )
    axes.invert_xaxis()
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.axvline(1.0, color="#1b1b1b", lw=0.7, ls=(0, (2, 2)))
    return axes

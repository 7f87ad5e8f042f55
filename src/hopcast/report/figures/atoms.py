"""The cell, every atom coloured by what its surroundings know of gap and coupling (corrected information)."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from numpy.typing import NDArray

from hopcast.report.figures.structure import _view, draw_cell, radii_of
from hopcast.report.study_report import Structure, StudyReport
from hopcast.report.style import INK, MUTED, WIDE, panel_label

_TITLES = {"gap": "Information on the gap", "nac": "Information on the coupling"}
_MOST_LABELS = 60


def draw_information_atoms(report: StudyReport) -> Figure | None:
    """Draw the atoms of the first frame, coloured by the corrected information of their features, one panel a target."""
    structure = report.series.structure
    known = {t: v for t, v in report.series.atoms.items() if np.isfinite(v).any()}
    if structure is None or not known:
        return None
    reach = max(float(np.nanmax(np.abs(values))) for values in known.values()) or 1.0
    norm = TwoSlopeNorm(0.0, -reach, reach)
    points = _wrapped(structure)
    lengths = np.linalg.norm(structure.box, axis=1)
    frame = _view(structure.box, int(np.argmin(lengths)))
    flat = np.vstack([points, structure.corners]) @ frame.T
    low, high = flat[:, :2].min(axis=0) - 1.2, flat[:, :2].max(axis=0) + 1.2
    width = (WIDE - 0.75) / 2
    height = min(width * (high[1] - low[1]) / (high[0] - low[0]), 3.6) + 0.45
    fig = Figure(figsize=(WIDE, height))
    axes = fig.subplots(1, len(known), squeeze=False)[0]
    fig.subplots_adjust(left=0.02, right=0.86, top=1 - 0.3 / height, bottom=0.1 / height, wspace=0.06)
    scale = ScalarMappable(norm, "RdBu_r")
    for ax, (target, values) in zip(axes, known.items(), strict=True):
        _draw(ax, structure, points @ frame.T, values, scale, frame)
        ax.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), aspect="equal")
        ax.set_axis_off()
        panel_label(ax, _TITLES[target])
    bar = fig.add_axes((0.88, 0.2, 0.02, 0.6))
    fig.colorbar(scale, cax=bar)
    bar.set_title("nat", fontsize=7, fontweight="normal", loc="center")
    return fig


def _wrapped(structure: Structure) -> NDArray[np.float64]:
    fractional = structure.positions @ np.linalg.inv(structure.box)
    inside = np.where(np.array(structure.pbc), fractional % 1.0, fractional)
    return np.asarray(inside @ structure.box)


def _draw(
    ax: Axes,
    structure: Structure,
    flat: NDArray[np.float64],
    values: NDArray[np.float64],
    scale: ScalarMappable,
    frame: NDArray[np.float64],
) -> None:
    from ase.data import chemical_symbols

    draw_cell(ax, structure, frame)
    radii = radii_of(np.asarray(structure.numbers)) * 1.25
    for rank, atom in enumerate(np.argsort(flat[:, 2], kind="stable")):
        colour = scale.to_rgba(values[atom]) if np.isfinite(values[atom]) else (1.0, 1.0, 1.0, 1.0)
        place = (flat[atom, 0], flat[atom, 1])
        ax.add_patch(Circle(place, radii[atom], fc=colour, ec=MUTED, lw=0.6, zorder=1 + rank * 1e-3))
        if len(values) <= _MOST_LABELS:
            ink = "white" if np.isfinite(values[atom]) and np.dot(colour[:3], (0.3, 0.59, 0.11)) < 0.4 else INK
            ax.text(
                *place,
                chemical_symbols[structure.numbers[atom]],
                ha="center",
                va="center",
                fontsize=6,
                color=ink,
                zorder=1 + rank * 1e-3,
            )

"""The cell from two sides."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PatchCollection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from numpy.typing import NDArray

from hopcast.report.study_report import Structure, StudyReport
from hopcast.report.style import INK, MUTED, WIDE, element_colour

BOND_FACTOR = 1.2
"""Bonds are drawn between atoms closer than this times the sum of their covalent radii."""
_NO_BONDS = frozenset({3, 11, 19, 37, 55, 87, 4, 12, 20, 38, 56, 88})  # alkali and alkaline-earth ions
_BORDER = 0.1  # atoms within this fraction of a face are repeated on the other side
_RADIUS = 0.42  # of the covalent radius
_MANY = 400
_LEGEND_COLUMNS = 5


def draw_structure(report: StudyReport) -> Figure | None:
    """Draw the atoms of one frame in two projections: along the longest and the shortest lattice vector."""
    structure = report.series.structure
    if structure is None:
        return None
    from ase.data import chemical_symbols

    points, kinds = with_border_atoms(structure)
    lengths = np.linalg.norm(structure.box, axis=1)
    views = [int(np.argmin(lengths)), int(np.argmax(lengths))]
    if views[0] == views[1]:
        views = [1, 2]
    frames = [_view(structure.box, axis) for axis in views]
    radii = radii_of(kinds)
    pad = 0.35 + radii.max()
    extents = []
    for frame in frames:
        flat = np.vstack([points, structure.corners]) @ frame.T
        extents.append((flat.min(axis=0) - pad, flat.max(axis=0) + pad))
    widths = [high[0] - low[0] for low, high in extents]
    heights = [high[1] - low[1] for low, high in extents]
    scale = (WIDE - 0.5) / sum(widths)
    rows = -(-len(report.elements) // _LEGEND_COLUMNS)
    foot = 0.22 + 0.2 * rows
    height = min(max(heights) * scale, 4.2) + 0.33 + foot
    fig = Figure(figsize=(WIDE, height))
    axes = fig.subplots(1, 2, gridspec_kw={"width_ratios": widths, "wspace": 0.06})
    fig.subplots_adjust(left=0.02, right=0.98, top=1 - 0.30 / height, bottom=foot / height)
    for ax, frame, axis, (low, high) in zip(axes, frames, views, extents, strict=True):
        _draw_view(ax, structure, points, kinds, frame, report)
        ax.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), aspect="equal")
        ax.set_axis_off()
        box = ax.get_position()
        right, up = "abc"[(axis + 1) % 3], "abc"[(axis + 2) % 3]
        fig.text(
            (box.x0 + box.x1) / 2,
            1 - 0.2 / height,
            f"along {'abc'[axis]}   (→ {right}, ↑ {up})",
            ha="center",
            color=MUTED,
        )
    handles = [
        fig.axes[0].plot([], [], "o", ms=7, mfc=element_colour(e, report.elements), mec=INK, mew=0.5, ls="none")[0]
        for e in report.elements
    ]
    counts = [sum(chemical_symbols[n] == e for n in structure.numbers) for e in report.elements]
    labels = [f"{e} ({count})" for e, count in zip(report.elements, counts, strict=True)]
    fig.legend(
        handles, labels, loc="lower center", ncols=min(len(labels), _LEGEND_COLUMNS), fontsize=9, handletextpad=0.2
    )
    return fig


def radii_of(kinds: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the radius each atom is drawn with, Å."""
    from ase.data import covalent_radii

    return np.asarray(covalent_radii)[kinds] * _RADIUS


def with_border_atoms(structure: Structure) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return positions and atomic numbers, atoms near a face repeated on the opposite one."""
    inverse = np.linalg.inv(structure.box)
    fractional = structure.positions @ inverse
    periodic = np.array(structure.pbc)
    fractional = np.where(periodic, fractional % 1.0, fractional)
    points, kinds = [fractional], [np.asarray(structure.numbers)]
    for shift in itertools.product((-1, 0, 1), repeat=3):
        moved = np.array(shift)
        if not moved.any() or (moved[~periodic] != 0).any():
            continue
        image = fractional + moved
        inside = np.all((image > -_BORDER) & (image < 1 + _BORDER), axis=1)
        points.append(image[inside])
        kinds.append(np.asarray(structure.numbers)[inside])
    return np.vstack(points) @ structure.box, np.concatenate(kinds)


def _view(cell: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    """Return a rotation whose third row looks along a lattice vector and whose first lies near the next one."""
    towards = cell[axis] / np.linalg.norm(cell[axis])
    across = cell[(axis + 1) % 3]
    across = across - (across @ towards) * towards
    across = across / np.linalg.norm(across)
    return np.array([across, np.cross(towards, across), towards])


def draw_cell(ax: Axes, structure: Structure, frame: NDArray[np.float64]) -> None:
    """Draw the edges of the cell, where there is one, seen along the third row of `frame`."""
    if not structure.has_cell:
        return
    corners = structure.corners @ frame.T
    for first, second in itertools.combinations(range(8), 2):
        if (first ^ second).bit_count() == 1:  # corners are numbered by three bits: an edge changes one
            ax.plot(*corners[[first, second], :2].T, color=INK, lw=0.6, zorder=0.5, alpha=0.55)


def _draw_view(
    ax: Axes,
    structure: Structure,
    points: NDArray[np.float64],
    kinds: NDArray[np.int64],
    frame: NDArray[np.float64],
    report: StudyReport,
) -> None:
    from ase.data import chemical_symbols

    flat = points @ frame.T
    depth = flat[:, 2]
    span = max(float(np.ptp(depth)), 1e-9)
    near = (depth - depth.min()) / span
    draw_cell(ax, structure, frame)
    radii = radii_of(kinds)
    colours = [
        _faded(element_colour(chemical_symbols[kind], report.elements), float(depth_share))
        for kind, depth_share in zip(kinds, near, strict=True)
    ]
    halves, half_colours, half_orders = [], [], []
    for first, second in bonds_of(points, kinds):
        a, b = flat[first, :2], flat[second, :2]
        if float(np.hypot(*(b - a))) < radii[first] + radii[second]:
            continue
        for atom, end in ((first, a), (second, b)):
            halves.append([end, (a + b) / 2])
            half_colours.append(colours[atom])
            half_orders.append(1 + float(min(near[first], near[second])))
    back_to_front = np.argsort(depth, kind="stable")
    if len(points) > _MANY:  # one collection each: thousands of single artists would take minutes
        ax.add_collection(LineCollection(halves, colors=half_colours, linewidths=0.8, zorder=1))
        circles = [Circle((flat[i, 0], flat[i, 1]), radii[i]) for i in back_to_front]
        faces = [colours[i] for i in back_to_front]
        ax.add_collection(PatchCollection(circles, facecolors=faces, edgecolors="#404040", linewidths=0.25, zorder=2))
        return
    for half, colour, order in zip(halves, half_colours, half_orders, strict=True):
        ax.plot(*np.transpose(half), color=colour, lw=1.8, solid_capstyle="butt", zorder=order)
    for index in back_to_front:
        _draw_atom(ax, flat[index, :2], float(radii[index]), colours[index], 1 + float(near[index]) + 1e-3)


def _draw_atom(ax: Axes, centre: NDArray[Any], radius: float, colour: Any, order: float) -> None:
    ax.add_patch(Circle((centre[0], centre[1]), radius, fc=colour, ec="#404040", lw=0.45, zorder=order))
    base = np.array(colour)
    for step in (0.25, 0.5, 0.75, 1.0):  # light from the upper left
        size = radius * (0.86 - 0.68 * step)
        shift = radius * 0.34 * step
        light = tuple(base + (1 - base) * 0.62 * step)
        ax.add_patch(Circle((centre[0] - shift, centre[1] + shift), size, fc=light, ec="none", zorder=order))


def _faded(colour: str, near: float) -> tuple[float, float, float]:
    """Mix a colour with white by distance."""
    base = np.array(to_rgb(colour))
    red, green, blue = base + (1 - base) * 0.55 * (1 - near)
    return float(red), float(green), float(blue)


def bonds_of(points: NDArray[np.float64], kinds: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Return the pairs of atoms that are near enough for a bond."""
    from ase.data import covalent_radii
    from scipy.spatial import cKDTree

    reach = np.asarray(covalent_radii)[kinds]
    bonded = ~np.isin(kinds, list(_NO_BONDS))
    if not bonded.any():
        return []
    pairs = cKDTree(points).query_pairs(BOND_FACTOR * 2 * float(reach[bonded].max()))
    bonds = []
    for first, second in sorted(pairs):
        if not (bonded[first] and bonded[second]):
            continue
        distance = float(np.linalg.norm(points[first] - points[second]))
        if 0.1 < distance < BOND_FACTOR * (reach[first] + reach[second]):
            bonds.append((first, second))
    return bonds

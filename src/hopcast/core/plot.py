"""Energies along a trajectory, and atoms of a frame, as figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hopcast.core.showing import COLOURS, take_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from hopcast.core.hamiltonian import VibronicHamiltonian
    from hopcast.core.trajectory import Trajectory


def plot_energies(hamiltonian: VibronicHamiltonian, axes: Axes | None = None) -> Axes:
    """Draw the energy of each state against time: lines where frames follow each other, dots where they are single or pairs.

    Occupied states are blue and empty ones orange, where the Hamiltonian knows them.
    """
    axes = take_axes(axes)
    offset = 0.5 if hamiltonian.energy_grid == "midpoint" else 0.0
    times = (np.arange(len(hamiltonian.energies)) + offset) * hamiltonian.timestep * 1e-3
    known = hamiltonian.energy_known
    dense = bool(known.mean() > 0.5)
    for state in range(hamiltonian.n_states):
        occupied = hamiltonian.n_occupied
        colour = "0.3" if occupied is None else "#4477aa" if state < occupied else "#ee7733"
        energies = np.where(known, hamiltonian.energies[:, state], np.nan)
        axes.plot(times, energies, "-" if dense else ".", color=colour, lw=0.8, ms=2.5)
    axes.set(xlabel="Time (ps)", ylabel="Energy (eV)", xlim=(times[0], times[-1]))
    return axes


def plot_frame(trajectory: Trajectory, frame: int = 0, axes: Axes | None = None) -> Axes:
    """Draw the atoms of a frame as they are (not wrapped), seen along the shortest lattice vector, with the outline of the cell, Å."""
    from ase.data import covalent_radii

    axes = take_axes(axes, width=4.6, height=4.2)
    cell, places = trajectory.cells()[frame], trajectory.positions[frame]
    towards = np.eye(3)[2] if not np.any(cell) else cell[int(np.argmin(np.linalg.norm(cell, axis=1)))]
    depth = places @ (towards / np.linalg.norm(towards))
    across = np.linalg.svd(towards[None])[2][1:]  # two directions at right angles to it
    flat = places @ across.T
    corners = np.array([(i, j, k) for i in (0, 1) for j in (0, 1) for k in (0, 1)])
    for first in corners:
        for second in corners[(np.abs(corners - first).sum(axis=1) == 1) & (corners @ (4, 2, 1) > first @ (4, 2, 1))]:
            axes.plot(*(np.array([first, second]) @ cell @ across.T).T, color="0.5", lw=0.6, zorder=0)
    symbols = np.array(trajectory.symbols)
    for index, element in enumerate(trajectory.elements):
        mine = np.flatnonzero(symbols == element)
        mine = mine[np.argsort(depth[mine], kind="stable")]
        size = (30 * covalent_radii[trajectory.numbers[mine]] * 0.42) ** 2
        axes.scatter(
            flat[mine, 0],
            flat[mine, 1],
            s=size,
            color=COLOURS[(index + 1) % len(COLOURS)],
            edgecolors="#404040",
            lw=0.5,
            label=element,
        )
    axes.set(aspect="equal", xlabel="Å", ylabel="Å")
    legend = axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    for handle in legend.legend_handles:
        handle.set_sizes([60.0])  # type: ignore[union-attr]
    return axes

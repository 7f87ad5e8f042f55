"""Energies along a trajectory as a figure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hopcast.core.showing import take_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from hopcast.core.hamiltonian import VibronicHamiltonian


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

r"""Electrons to look at: density of states by element, localisation, gaps.

:math:`D_A(\varepsilon) = \langle\sum_i 2\,w_{Ai}\,g(\varepsilon-\varepsilon_i)\rangle`, with the Löwdin weight :math:`w_{Ai}` of the atoms
of element A in orbital i, a Gaussian g, averaged over frames, energies from the valence band maximum of each frame.
Inverse participation ratio over atoms: :math:`\sum_a w_{ai}^2`, 1 for an orbital on one atom, 1/N for one spread over N.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hopcast.abinitio.compute import open_store
from hopcast.abinitio.engine import Electrons, Engine
from hopcast.abinitio.plan import read_plan
from hopcast.core.errors import InputError


@dataclass(frozen=True, eq=False)
class DensityOfStates:
    """Density of states averaged over frames.

    Attributes
    ----------
    energies
        From the valence band maximum [n_points], eV.
    by_element
        Of each element [n_points], states an eV and cell (both spins).
    """

    energies: NDArray[np.float64]
    by_element: dict[str, NDArray[np.float64]]

    @property
    def total(self) -> NDArray[np.float64]:
        """Sum over elements [n_points]."""
        return np.sum(list(self.by_element.values()), axis=0)


@dataclass(frozen=True, eq=False)
class BandEdges:
    """The band-edge states of each frame.

    Attributes
    ----------
    gaps
        [n_frames], eV.
    weights
        Mean share of each atom [2, n_atoms]: VBM, CBM.
    participation
        Inverse participation ratio over atoms [n_frames, 2].
    """

    gaps: NDArray[np.float64]
    weights: NDArray[np.float64]
    participation: NDArray[np.float64]


def density_of_states(
    frames: Sequence[Electrons], energies: NDArray[np.float64] | None = None, *, width: float = 0.1
) -> DensityOfStates:
    """Return the projected density of states.

    Parameters
    ----------
    frames
        Electrons with weights.
    energies
        Where, from the VBM [n_points], eV; the default is -6 to 6.
    width
        Standard deviation of the Gaussians, eV.

    Raises
    ------
    InputError
        If there are no frames or no weights.
    """
    weights = _weights(frames)
    from ase.data import chemical_symbols

    grid = np.linspace(-6.0, 6.0, 601) if energies is None else np.asarray(energies, float)
    symbols = np.array([chemical_symbols[number] for number in frames[0].geometry.numbers])
    by_element = {str(symbol): np.zeros(grid.size) for symbol in dict.fromkeys(symbols.tolist())}
    for electrons, share in zip(frames, weights, strict=True):
        levels = electrons.energies - electrons.energies[electrons.n_occupied - 1]
        shapes = np.exp(-0.5 * ((grid[:, None] - levels) / width) ** 2) / (width * np.sqrt(2 * np.pi))
        for symbol in by_element:
            by_element[symbol] += 2.0 * shapes @ share[symbols == symbol].sum(axis=0) / len(frames)
    return DensityOfStates(grid, by_element)


def band_edges(frames: Sequence[Electrons]) -> BandEdges:
    """Return gaps, weights and participation of the VBM and the CBM.

    Parameters
    ----------
    frames
        Electrons with weights.

    Raises
    ------
    InputError
        If there are no frames or no weights.
    """
    edges = np.array(
        [
            share[:, [electrons.n_occupied - 1, electrons.n_occupied]].T
            for electrons, share in zip(frames, _weights(frames), strict=True)
        ]
    )
    return BandEdges(
        np.array([electrons.gap for electrons in frames]), edges.mean(axis=0), (edges**2).sum(axis=2)
    )


def plan_electrons(folder: str | Path, engine: Engine) -> list[Electrons]:
    """Return the electrons of the finished frames of a plan.

    Parameters
    ----------
    folder
        Of the plan.
    engine
        The one that computed it.
    """
    plan = read_plan(folder)
    store = open_store(plan, engine)
    return [found for frame in plan.frames if (found := store.get_electrons(frame)) is not None]


def draw_electrons(frames: Sequence[Electrons]) -> Any:
    """Return a figure (matplotlib): density of states by element, gaps, weight of each atom, participation.

    Parameters
    ----------
    frames
        Electrons with weights.
    """
    from ase.data import chemical_symbols
    from matplotlib.figure import Figure

    states, edges = density_of_states(frames), band_edges(frames)
    figure = Figure(figsize=(10, 6.5), layout="constrained")
    (left, right), (below, last) = figure.subplots(2, 2)
    left.plot(states.energies, states.total, color="0.6", label="all")
    for symbol, values in states.by_element.items():
        left.plot(states.energies, values, label=symbol)
    left.set(xlabel="energy from the VBM, eV", ylabel="states / eV", title="density of states")
    left.legend(frameon=False)
    right.hist(edges.gaps, bins=min(30, max(5, len(frames) // 4)), color="0.5")
    right.set(xlabel="gap, eV", ylabel="frames", title="gaps")
    places = np.arange(edges.weights.shape[1])
    below.bar(places - 0.2, edges.weights[0], 0.4, label="VBM")
    below.bar(places + 0.2, edges.weights[1], 0.4, label="CBM")
    labels = [chemical_symbols[number] for number in frames[0].geometry.numbers]
    below.set_xticks(places, labels, fontsize="small")
    below.set(ylabel="mean share", title="atoms of the band edges")
    below.legend(frameon=False)
    last.plot(edges.participation, label=("VBM", "CBM"))
    last.set(xlabel="computed frame", ylabel="inverse participation ratio", title="localisation")
    last.legend(frameon=False)
    return figure


def _weights(frames: Sequence[Electrons]) -> list[NDArray[np.float64]]:
    if not frames:
        raise InputError("There are no electrons to look at: no frame is finished.")
    weights = [electrons.weights for electrons in frames if electrons.weights is not None]
    if len(weights) < len(frames):
        raise InputError(
            "Electrons must come with the weights of atoms, but some have none. Compute with `weights=True`."
        )
    return weights

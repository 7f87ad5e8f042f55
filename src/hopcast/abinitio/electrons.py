r"""Electrons to look at: density of states by element, localisation, gaps.

:math:`D_A(\varepsilon) = \langle\sum_i 2\,w_{Ai}\,g(\varepsilon-\varepsilon_i)\rangle`, with the Löwdin weight :math:`w_{Ai}` of the atoms
of element A in orbital i, a Gaussian g, averaged over frames, energies from the valence band maximum of each frame.
Inverse participation ratio over atoms: :math:`\sum_a w_{ai}^2`, 1 for an orbital on one atom, 1/N for one spread over N.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hopcast.abinitio.compute import read_settings
from hopcast.abinitio.engine import Electrons, fingerprint
from hopcast.abinitio.plan import read_plan
from hopcast.abinitio.store import Store
from hopcast.core.errors import InputError
from hopcast.core.plain import PlainMap


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
    return BandEdges(np.array([electrons.gap for electrons in frames]), edges.mean(axis=0), (edges**2).sum(axis=2))


def plan_electrons(folder: str | Path) -> tuple[dict[int, Electrons], PlainMap]:
    """Return the electrons of the finished frames of a plan, by frame, and the settings they were computed with.

    Parameters
    ----------
    folder
        Of the plan.

    Raises
    ------
    InputError
        If nothing was computed.
    """
    plan = read_plan(folder)
    settings = read_settings(plan)
    store = Store(plan.folder, fingerprint(settings))
    found = {frame: one for frame in plan.frames if (one := store.get_electrons(frame)) is not None}
    if not found:
        raise InputError(f"Plan `{plan.folder}` holds no electrons of a finished frame. Run hopcast compute first.")
    return found, settings


def _weights(frames: Sequence[Electrons]) -> list[NDArray[np.float64]]:
    if not frames:
        raise InputError("There are no electrons to look at: no frame is finished.")
    weights = [electrons.weights for electrons in frames if electrons.weights is not None]
    if len(weights) < len(frames):
        raise InputError(
            "Electrons must come with the weights of atoms, but some have none. Compute with `weights=True`."
        )
    return weights

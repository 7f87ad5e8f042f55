"""Electrons and holes."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from hopcast.core.errors import QualityWarning, check_array, check_choice
from hopcast.core.hamiltonian import VibronicHamiltonian
from hopcast.couplings.diagnosis import LEAK_THRESHOLD, kept_norms

CARRIERS: Final = ("electron", "hole")


def hole_hamiltonian(ham: VibronicHamiltonian) -> VibronicHamiltonian:
    r"""Return the Hamiltonian of a hole: energies mirrored, states from the top of the band downwards.

    The amplitudes of an empty orbital follow :math:`-H^*`, so :math:`E_i \to -E_i` and :math:`d_{ij} \to d_{ij}^*`. State 0 is the highest
    orbital, where a hole ends.
    """
    return dataclasses.replace(
        ham,
        energies=-ham.energies[:, ::-1],
        nac=ham.nac.conj()[:, ::-1, ::-1],
        overlaps=None if ham.overlaps is None else ham.overlaps.conj()[:, ::-1, ::-1],
        n_occupied=None,
        state_labels=ham.state_labels[::-1],
        multiplicities=ham.multiplicities[::-1],
    )


def carrier_hamiltonian(ham: VibronicHamiltonian, carrier: str) -> VibronicHamiltonian:
    """Return the Hamiltonian that a carrier follows: as given for an "electron", mirrored for a "hole"."""
    return hole_hamiltonian(ham) if check_choice("carrier", carrier, CARRIERS) == "hole" else ham


def carrier_dephasing(times: float | ArrayLike | None, carrier: str) -> float | ArrayLike | None:
    """Return dephasing times in the order in which a carrier counts its states: a matrix is turned for a "hole"."""
    matrix = np.zeros(()) if times is None else check_array("dephasing_time", times, "a number of fs or a matrix")
    return matrix[::-1, ::-1] if carrier == "hole" and matrix.ndim == 2 else times


def warn_leaking(ham: VibronicHamiltonian, states: Sequence[int]) -> tuple[str, ...]:
    r"""Warn of states that mix with others outside the window of bands, and return their names.

    A row of the overlaps keeps the norm :math:`\bigl(\sum_j|S_{ij}|^2\bigr)^{1/2} = 1` only while the state stays in the window. Call it
    with the whole window, before states are selected.

    Parameters
    ----------
    ham
        The whole window of bands, with overlaps (else nothing is known and nothing is said).
    states
        States that will be used.

    Warns
    -----
    QualityWarning
        If a row norm falls below 0.9, in one step or multiplied over up to five, with the names of the states and the lowest norm of each.
    """
    if ham.overlaps is None:
        return ()
    rows = np.sqrt((np.abs(ham.overlaps) ** 2).sum(axis=2))
    known = np.flatnonzero(np.isfinite(rows).all(axis=1))
    norms = kept_norms(rows[known], known) if known.size else np.ones(ham.n_states)
    leaking = [i for i in states if norms[i] < LEAK_THRESHOLD]
    if leaking:
        listed = ", ".join(f"{ham.state_labels[i]} ({norms[i]:.2f})" for i in leaking)
        warnings.warn(
            f"States {listed} leave the window of bands (row norm of their overlaps below {LEAK_THRESHOLD:g}): their couplings "
            "are incomplete. Leave them out.",
            QualityWarning,
            stacklevel=2,
        )
    return tuple(ham.state_labels[i] for i in leaking)

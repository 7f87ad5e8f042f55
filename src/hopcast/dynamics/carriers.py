"""Electrons and holes."""

from __future__ import annotations

import dataclasses
from typing import Final

from hopcast.core.errors import check_choice
from hopcast.core.hamiltonian import VibronicHamiltonian

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
    )


def carrier_hamiltonian(ham: VibronicHamiltonian, carrier: str) -> VibronicHamiltonian:
    """Return the Hamiltonian that a carrier follows: as given for an "electron", mirrored for a "hole"."""
    return hole_hamiltonian(ham) if check_choice("carrier", carrier, CARRIERS) == "hole" else ham

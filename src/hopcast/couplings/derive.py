"""`derive_couplings`: the chain from raw overlaps to nonadiabatic couplings."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Literal

import numpy as np

from hopcast.core.errors import InputError, check_choice
from hopcast.core.hamiltonian import VibronicHamiltonian
from hopcast.core.units import HBAR
from hopcast.couplings.derivative import difference, has_logarithm, orthonormalised, unitary_logarithm
from hopcast.couplings.phases import accumulate_phases, align_degenerate, apply_phases, consistent_gauge, step_phases
from hopcast.couplings.tracking import reordered, tracked_order

TRACKINGS = ("energy", "trivial")
DERIVATIVES = ("log", "difference")
DERIVED = "derived from overlaps"
"""How the provenance of couplings begins that were made here."""


def derive_couplings(
    hamiltonian: VibronicHamiltonian,
    *,
    tracking: Literal["energy", "trivial"] = "energy",
    derivative: Literal["log", "difference"] = "log",
    orthonormalise: bool = False,
    degenerate: Sequence[Sequence[int]] = (),
) -> VibronicHamiltonian:
    r"""Return the Hamiltonian with couplings built from its raw overlaps: order, phases, derivative.

    Parameters
    ----------
    hamiltonian
        Energies and raw overlaps :math:`S_{ij} = \langle i(t)|j(t+\Delta t)\rangle`; its own `nac` is not used.
        Steps without overlaps (NaN) stay unknown, and the signs of couplings before and after them are unrelated.
    tracking
        "energy": states are adiabatic, in energy order, and a crossing that the time step does not resolve
        shows as a rotation by about a quarter turn. "trivial": labels follow their character through such
        crossings (energies, rows and columns of S move together, here and in the result); the gap is then no longer CBM - VBM.
    derivative
        "log": :math:`\hbar d = \hbar \log(\tilde S)/\Delta t` of the Löwdin-orthonormalised overlap, exact
        for a steady rotation; steps whose logarithm is not unique (an eigenvalue within 1e-3 of -1) take the
        difference. "difference": :math:`\hbar d = \hbar (S - S^\dagger)/2\Delta t`.
    orthonormalise
        Take the difference of the Löwdin-orthonormalised overlap too (the logarithm always does).
    degenerate
        Groups of states that are degenerate along the whole trajectory, besides those that the Hamiltonian knows
        (`VibronicHamiltonian.with_blocks` finds Kramers pairs).

    Raises
    ------
    InputError
        If there are no overlaps, states are to be followed while energies live on mid-points, or states are to be tracked across unknown steps.
    ConfigError
        If an option is unknown.

    Notes
    -----
    Hammes-Schiffer and Tully, J. Chem. Phys. 1994, 101, 4657 (doi 10.1063/1.467455) for the difference;
    Meek and Levine, J. Phys. Chem. Lett. 2014, 5, 2351 (doi 10.1021/jz5009449) for what it misses;
    Akimov, J. Phys. Chem. Lett. 2018, 9, 6096 (doi 10.1021/acs.jpclett.8b02826) for the phases.
    """
    check_choice("tracking", tracking, TRACKINGS)
    check_choice("derivative", derivative, DERIVATIVES)
    if hamiltonian.overlaps is None:
        raise InputError("Couplings can be derived only from overlaps, but this Hamiltonian has none.")
    if hamiltonian.energy_grid != "frame" and tracking != "energy":
        raise InputError(
            "States can be followed through crossings only where energies live on frames, but these live on mid-points. Use tracking `energy`."
        )
    raw, energies = hamiltonian.overlaps, hamiltonian.energies
    known = np.isfinite(raw).all(axis=(1, 2))
    failed = np.flatnonzero(~np.any(raw, axis=(1, 2)))
    if failed.size:
        raise InputError(
            f"The overlaps of step {failed[0]} are zero throughout: its calculation failed. Calculate it again, or leave it unknown (NaN)."
        )
    if tracking == "trivial":
        order = tracked_order(raw, hamiltonian.multiplicities)
        energies = np.take_along_axis(energies, order, axis=1)
        raw = reordered(raw, order)
    overlaps = raw[known]
    # a run of known steps starts with the signs of the run before it: nothing ties the two together
    if len(degenerate):
        named = {state for group in degenerate for state in group}
        own = [range(block.start, block.stop) for block in hamiltonian.blocks]
        groups = [*degenerate, *(block for block in own if len(block) > 1 and not named & set(block))]
        overlaps = align_degenerate(overlaps, groups)
        overlaps = apply_phases(overlaps, accumulate_phases(step_phases(overlaps)))
    else:
        overlaps = consistent_gauge(overlaps, hamiltonian.blocks).overlaps

    unitary = orthonormalised(overlaps) if orthonormalise or derivative == "log" else overlaps
    rotation = difference(unitary if orthonormalise else overlaps)
    if derivative == "log":
        unique = has_logarithm(unitary)
        rotation[unique] = unitary_logarithm(unitary[unique])
    nac = np.full(raw.shape, np.nan, dtype=rotation.dtype)
    nac[known] = rotation * (HBAR / hamiltonian.timestep)
    return dataclasses.replace(
        hamiltonian,
        energies=energies,
        overlaps=raw,
        nac=nac,
        nac_known=known,
        provenance={
            **hamiltonian.provenance,
            "couplings": f"{DERIVED}: {derivative}{', orthonormalised' if orthonormalise and derivative != 'log' else ''}",
            # states that were followed once keep their labels
            "tracking": "trivial" if hamiltonian.provenance.get("tracking") == "trivial" else tracking,
            "phases": (
                "degenerate blocks parallel from step to step (polar factors of their overlaps)"
                if hamiltonian.is_degenerate
                else "cumulative, least rotation where a state loses more than half of itself in a step"
            )
            + ("" if known.all() else "; no relation between runs of known steps"),
        },
    )

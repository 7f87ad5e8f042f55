"""The Hamiltonian of a plan, in its folder: it grows from call to call, and nothing that it holds is lost without leave."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np

from hopcast.abinitio.plan import Plan
from hopcast.core.errors import InputError, OutputError
from hopcast.core.hamiltonian import VibronicHamiltonian
from hopcast.core.outputs import held_part
from hopcast.io.hamiltonians import read_hamiltonian
from hopcast.io.native import write_native

PLAN_FILE = "hamiltonian.h5"
LOCK = "compute.lock"
"""Held by those who compute pairs (their places in the plan), and beyond them by who writes the Hamiltonian."""


def held_assembly(plan: Plan) -> AbstractContextManager[None]:
    """Wait until no other part of the plan is putting its Hamiltonian together, and hold that."""
    return held_part(plan.folder / LOCK, len(plan.pairs), len(plan.pairs), "", wait=True)


def check_plan_file(plan: Plan, *, overwrite: bool = False) -> None:
    """Refuse to begin where the plan's folder holds a Hamiltonian that is not of this plan.

    Raises
    ------
    OutputError
        Naming the file.
    """
    path = plan.folder / PLAN_FILE
    if path.exists() and not overwrite:
        _earlier(path, plan)


def write_plan_file(plan: Plan, hamiltonian: VibronicHamiltonian, *, overwrite: bool = False) -> Path:
    """Write the Hamiltonian of a plan over an earlier state of itself; over anything else with leave only.

    Raises
    ------
    OutputError
        If the file there would lose something, and what.
    """
    path = plan.folder / PLAN_FILE
    if path.exists() and not overwrite:
        lost = _what_is_lost(_earlier(path, plan), hamiltonian)
        if lost:
            raise OutputError(
                f"File `{path}` holds {lost}, which would be lost. Replace it with --overwrite, or name another --output."
            )
    write_native(path, hamiltonian=hamiltonian)
    return path


def _earlier(path: Path, plan: Plan) -> VibronicHamiltonian:
    """Return the Hamiltonian that an earlier call wrote for this plan."""
    try:
        found = read_hamiltonian(path, format="hopcast")
    except InputError:
        found = None
    if found is None or found.provenance.get("trajectory_sha256") != plan.fingerprint:
        raise OutputError(
            f"File `{path}` exists and is not of this plan. Move it away, replace it with --overwrite, or name another --output."
        )
    return found


def _what_is_lost(old: VibronicHamiltonian, new: VibronicHamiltonian) -> str:
    """Return what an earlier Hamiltonian holds and a later one does not, or an empty string."""
    if old.state_labels != new.state_labels:
        return f"other states ({old.state_labels[0]} to {old.state_labels[-1]})"
    if old.provenance.get("settings") != new.provenance.get("settings"):
        return "results of other settings"
    pairs = int((old.nac_known & ~new.nac_known).sum())
    if pairs:
        return f"{pairs} pairs that are missing now"
    known = old.energy_known
    frames = int((known & ~new.energy_known).sum())
    if frames:
        return f"{frames} frames that are missing now"
    return "" if np.array_equal(old.energies[known], new.energies[known]) else "other energies of the same frames"

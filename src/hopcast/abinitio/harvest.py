"""`harvest`: collect finished calculations into a sparse Hamiltonian; what is missing has a reason."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from hopcast.abinitio.compute import assemble_plan, open_store
from hopcast.abinitio.engine import Electrons, ElectronsError, Engine, Geometry
from hopcast.abinitio.plan import Plan, read_plan
from hopcast.core.errors import HopcastError, InputError
from hopcast.core.hamiltonian import VibronicHamiltonian
from hopcast.io.hamiltonians import read_hamiltonian


@dataclass(frozen=True, eq=False)
class Harvest:
    """What was collected.

    Attributes
    ----------
    hamiltonian
        Sparse; what is missing is unknown.
    missing
        Frames without electrons, each with its reason.
    """

    hamiltonian: VibronicHamiltonian
    missing: dict[int, str]


class RunReader(Engine, Protocol):
    """An engine that reads its finished runs."""

    def read(self, folder: str | Path, geometry: Geometry) -> Electrons:
        """Return the electrons of a run in a folder; raise `ElectronsError` if it did not finish."""


def harvest_runs(folder: str | Path, engine: RunReader) -> Harvest:
    """Collect finished runs in the folders of a plan (of CP2K: ``frames/<number>/frame.out`` and ``frame-RESTART.wfn``).

    Orbitals are kept beside the outputs, so that a later harvest reads only what is new.

    Parameters
    ----------
    folder
        Of the plan.
    engine
        With the settings of the runs.

    Raises
    ------
    InputError
        If no pair is finished.
    """
    plan = read_plan(folder)
    store = open_store(plan, engine)
    missing: dict[int, str] = {}
    for frame in plan.frames:
        if store.get_electrons(frame) is not None:
            continue
        try:
            store.put_electrons(frame, engine.read(plan.place(frame), plan.geometry(frame)))
        except (ElectronsError, InputError) as error:
            missing[frame] = str(error)
    for pair in plan.pairs:
        if store.get_overlap(pair) is None:
            sides = [store.get_electrons(frame) for frame in (pair, pair + 1)]
            if sides[0] is not None and sides[1] is not None:
                store.put_overlap(pair, engine.overlap(sides[0], sides[1]))
    if len(missing) == len(plan.frames):
        raise InputError(
            f"Plan `{plan.folder}` holds no finished calculation (frame {plan.frames[0]}: {missing[plan.frames[0]]})."
        )
    return Harvest(assemble_plan(plan.folder, engine), missing)


def harvest_pairs(folder: str | Path, *, format: str | None = None, n_occupied: int | None = None) -> Harvest:
    """Collect couplings that a NAC code wrote for each pair: ``pairs/<number>/`` in any format of `read_hamiltonian`.

    Each folder holds one step (two frames, or one row of energies for codes that leave the last one out): CA-NAC or
    Hefei text made from VASP runs, and others. Couplings of codes that store no overlaps have unrelated signs from pair
    to pair.

    Parameters
    ----------
    folder
        Of the plan.
    format
        See ``hopcast formats``; None recognises it in each folder.
    n_occupied
        Number of occupied states among those written.

    Raises
    ------
    InputError
        If no pair can be read, or pairs have different numbers of states.
    """
    plan = read_plan(folder)
    found: dict[int, VibronicHamiltonian] = {}
    missing: dict[int, str] = {}
    for pair in plan.pairs:
        place = plan.folder / "pairs" / f"{pair:06d}"
        if not place.is_dir() or not any(place.iterdir()):
            missing[pair] = "there is nothing in its folder"
            continue
        try:
            found[pair] = read_hamiltonian(place, format=format, timestep=plan.timestep, n_occupied=n_occupied)
        except HopcastError as error:
            missing[pair] = str(error)
    if not found:
        reason = missing[plan.pairs[0]]
        raise InputError(f"Plan `{plan.folder}` holds no pair that can be read (pair {plan.pairs[0]}: {reason}).")
    return Harvest(_merge(plan, found), missing)


def _merge(plan: Plan, found: dict[int, VibronicHamiltonian]) -> VibronicHamiltonian:
    first_pair, first = next(iter(found.items()))
    n = first.n_states
    energies = np.full((plan.n_frames, n), np.nan)
    nac = np.full((plan.n_frames - 1, n, n), np.nan, dtype=first.nac.dtype)
    overlaps = None if first.overlaps is None else np.full(nac.shape, np.nan, dtype=first.overlaps.dtype)
    for pair, part in found.items():
        if part.n_states != n:
            raise InputError(
                f"All pairs must have the same states, but pair {first_pair} has {n} and pair {pair} {part.n_states}. "
                "Use the same window of bands."
            )
        if part.energy_grid != "frame":
            raise InputError(
                f"Pair {pair} must have energies on frames, but they live on mid-points. Take the raw files."
            )
        energies[pair : pair + min(2, len(part.energies))] = part.energies[:2]
        nac[pair] = part.nac[0]
        if overlaps is not None and part.overlaps is not None:
            overlaps[pair] = part.overlaps[0]
    return VibronicHamiltonian(
        energies,
        nac,
        plan.timestep,
        overlaps=overlaps,
        n_occupied=first.n_occupied,
        state_labels=first.state_labels,
        frame_numbers=plan.frame_numbers,
        provenance={
            **first.provenance,
            "harvest": f"{len(found)} of {len(plan.pairs)} pairs; signs unrelated from pair to pair",
            "trajectory_sha256": plan.fingerprint,
            "selection": plan.strategy,
        },
    )

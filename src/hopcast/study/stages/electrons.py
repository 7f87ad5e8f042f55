"""Electrons of the study: density of states and band edges of the frames whose orbitals a plan holds."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np

from hopcast.abinitio import BandEdges, DensityOfStates, band_edges, density_of_states, plan_electrons, read_plan
from hopcast.core.errors import QualityWarning
from hopcast.results.record import Record
from hopcast.results.study import EdgeState, ElectronsRecord, ElementShare
from hopcast.study.config import StudyConfig
from hopcast.study.stage import Arrays, Context, Stage, StageResult

EDGES: Final[tuple[Literal["VBM", "CBM"], ...]] = ("VBM", "CBM")

SAME_GAP: Final = 1e-3
"""eV by which the gaps of the plan may differ from the study's before the report says that they are of another calculation."""


def orbitals_signature(plan: Path) -> list[list[Any]]:
    """Return which orbitals a plan holds and when they were written: what the stage depends on."""
    files = sorted((plan / "frames").glob("*/electrons.npz"))
    return [[file.parent.name, file.stat().st_mtime_ns] for file in files]


class ElectronNumbers(Record):
    """What the stage found."""

    electrons: ElectronsRecord


def run_electrons(context: Context) -> StageResult[ElectronNumbers]:
    """Average the electrons of a plan's computed frames.

    Raises
    ------
    InputError
        If the plan is of another trajectory, or nothing of it was computed.
    """
    plan, data = context.config.electrons.plan, context.data
    assert plan is not None
    read_plan(plan).check_trajectory(data.trajectory, "that of the study")
    found, settings = plan_electrons(plan)
    frames = list(found.values())
    edges = band_edges(frames)
    grid = np.linspace(-6.0, float(edges.gaps.max()) + 4.0, 1001)
    states = density_of_states(frames, grid)
    if data.hamiltonian.energy_grid == "frame":
        off = np.nanmax(np.abs(data.hamiltonian.gap()[list(found)] - edges.gaps))
        if off > SAME_GAP:
            warnings.warn(
                f"The gaps of plan `{plan}` differ from those of the study by up to {off:.3g} eV: its orbitals are of another "
                "calculation, or the study's states are not VBM and CBM.",
                QualityWarning,
                stacklevel=2,
            )
    symbols = np.array(data.trajectory.symbols)
    record = ElectronsRecord(
        engine=" ".join(str(settings[key]) for key in ("engine", "method", "functional", "basis") if key in settings),
        n_frames=len(frames),
        gap_mean=float(edges.gaps.mean()),
        gap_std=float(edges.gaps.std()),
        gap_min=float(edges.gaps.min()),
        gap_max=float(edges.gaps.max()),
        states=[
            EdgeState(
                state=name,
                participation=float(edges.participation[:, row].mean()),
                participation_std=float(edges.participation[:, row].std()),
                elements=[
                    ElementShare(element=element, share=float(edges.weights[row, symbols == element].sum()))
                    for element in data.trajectory.elements
                ],
                atoms=edges.weights[row].tolist(),
            )
            for row, name in enumerate(EDGES)
        ],
    )
    arrays = {
        "energies": states.energies,
        "gaps": edges.gaps,
        "weights": edges.weights,
        "participation": edges.participation,
    }
    arrays |= {f"states/{element}": values for element, values in states.by_element.items()}
    return StageResult(ElectronNumbers(electrons=record), arrays)


def electron_series(arrays: Arrays) -> tuple[DensityOfStates, BandEdges]:
    """Return the densities of states and the band edges that a finished stage holds, for the report."""
    by_element = {name.removeprefix("states/"): values for name, values in arrays.items() if name.startswith("states/")}
    edges = BandEdges(arrays["gaps"], arrays["weights"], arrays["participation"])
    return DensityOfStates(arrays["energies"], by_element), edges


def _outside(config: StudyConfig) -> list[list[Any]] | None:
    plan = config.electrons.plan
    return None if plan is None else orbitals_signature(plan)


STAGE = Stage(  # first: what is wrong with a plan should not show after hours
    "electrons",
    0,
    ElectronNumbers,
    ("electrons",),
    run_electrons,
    applies=lambda config, data: config.electrons.plan is not None,
    outside=_outside,
)

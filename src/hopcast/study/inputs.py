"""The data of a study: read, checked against each other, couplings derived, the pair chosen."""

from __future__ import annotations

import dataclasses
import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hopcast.core.errors import InputError
from hopcast.core.fingerprint import fingerprint as fingerprint_of
from hopcast.core.hamiltonian import VibronicHamiltonian
from hopcast.core.matching import check_same_frames
from hopcast.core.naming import edge_state, frame_range
from hopcast.core.trajectory import Trajectory
from hopcast.couplings import OverlapDiagnosis, derive_couplings, diagnose_overlaps
from hopcast.datasets import load
from hopcast.descriptors import Sites, find_sites
from hopcast.io import read_hamiltonian, read_trajectory
from hopcast.study.config import DataSection, StudyConfig
from hopcast.study.samples import Samples, samples_of


@dataclass(frozen=True, eq=False)
class StudyData:
    """What a study works on.

    Attributes
    ----------
    name, description
        Of the data.
    trajectory
        The nuclei.
    window
        The Hamiltonian of all states that were given, couplings derived, degenerate ones as one (`VibronicHamiltonian.merged`).
    hamiltonian
        The two states of the study, lower first.
    diagnosis
        What was found in the overlaps; None where the Hamiltonian came with couplings only.
    fingerprint
        Hash of everything above.
    others
        Further trajectories of the same material, each by itself.
    samples
        The computed pairs of a sparse Hamiltonian; None where every frame is known.
    chosen
        Sites of the features, where the study leaves elements out or joins molecules.
    blocks
        The two degenerate blocks at the gap with all their partners, where states are degenerate and everything is known.
    """

    name: str
    description: str
    trajectory: Trajectory
    window: VibronicHamiltonian
    hamiltonian: VibronicHamiltonian
    diagnosis: OverlapDiagnosis | None
    fingerprint: str
    others: tuple[StudyData, ...] = ()
    samples: Samples | None = None
    chosen: Sites | None = None
    blocks: VibronicHamiltonian | None = None

    @property
    def sites(self) -> Trajectory:
        """What features are made of: the atoms, or those elements and molecules that the study names."""
        return self.trajectory if self.chosen is None else self.chosen.trajectory

    def at_atoms(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return values of sites at their atoms [n_atoms], NaN at atoms that are no site."""
        return values if self.chosen is None else self.chosen.to_atoms(values, self.trajectory.n_atoms)


def read_data(config: StudyConfig) -> StudyData:
    """Read the data of a study.

    Raises
    ------
    InputError
        If a file cannot be read, the trajectory and the Hamiltonian do not belong together, too few pairs of
        frames are known, the states do not exist, or several trajectories are not of the same material.
    """
    first = _read(config, config.data)
    others = tuple(_read(config, section) for section in config.more_data)
    for number, other in enumerate(others, start=2):
        if other.trajectory.symbols != first.trajectory.symbols:
            raise InputError(
                f"Trajectory {number} of the study must have the same atoms in the same order, but is "
                f"{other.trajectory.formula} ({other.trajectory.n_atoms} atoms) beside {first.trajectory.formula} "
                f"({first.trajectory.n_atoms})."
            )
        if not np.isclose(other.trajectory.timestep, first.trajectory.timestep, rtol=1e-6):
            raise InputError(
                f"Trajectory {number} of the study must have the time step of the first, {first.trajectory.timestep:g} "
                f"fs, but has {other.trajectory.timestep:g} fs."
            )
        if first.samples is not None or other.samples is not None:
            raise InputError(
                "A study of several trajectories needs every frame of each computed, but "
                f"{'the first' if first.samples is not None else f'trajectory {number}'} has unknown frames. "
                "Study it alone."
            )
        if other.hamiltonian.energy_grid != first.hamiltonian.energy_grid:
            raise InputError(f"Trajectory {number} of the study must hold its energies where the first does.")
    if not others:
        return first
    joined = "+".join([first.fingerprint, *(other.fingerprint for other in others)])
    return dataclasses.replace(first, others=others, fingerprint=hashlib.sha256(joined.encode()).hexdigest())


def _read(config: StudyConfig, section: DataSection) -> StudyData:
    """Read one trajectory with its Hamiltonian."""
    if section.dataset is not None:
        shipped = load(section.dataset)
        name, description = section.dataset, shipped.description
        trajectory, window = shipped.trajectory, shipped.hamiltonian
    else:
        assert section.trajectory is not None
        assert section.hamiltonian is not None
        name, description = (section.trajectory.stem, f"{section.trajectory.name} and {section.hamiltonian.name}")
        window = read_hamiltonian(section.hamiltonian, timestep=section.timestep, prefix=section.prefix)
        trajectory = read_trajectory(
            section.trajectory, timestep=section.timestep, cell=section.cell, elements=section.elements
        )
    check_same_frames(trajectory, window)
    if section.frames is not None:
        part = frame_range(section.frames, trajectory.n_frames, "Key `data.frames`")
        trajectory, window = trajectory[part], window[part]
    diagnosis = None
    if window.overlaps is not None:
        diagnosis = diagnose_overlaps(window)
        window = derive_couplings(window, tracking=config.couplings.tracking, derivative=config.couplings.derivative)
    whole = window.frontier() if window.is_degenerate and window.is_complete and section.states is None else None
    # degenerate states count as one: gap and coupling norm are what a study forecasts
    window = window.merged()
    pair = window.frontier() if section.states is None else chosen_states(window, section.states)
    gap = pair.gap()
    if np.nanmin(gap, initial=np.inf) <= 0:
        raise InputError(
            f"The gap between states {' and '.join(pair.state_labels)} must stay open, but is {np.nanmin(gap):.4g} eV at "
            f"frame {int(np.nanargmin(gap))}. Name the lower state first, or take states that do not cross."
        )
    if np.iscomplexobj(pair.nac):
        raise InputError("A study forecasts real couplings, but these are complex (spinors or k-points).")
    fingerprint = fingerprint_of(
        trajectory.positions,
        trajectory.velocities,
        trajectory.cell,
        trajectory.numbers,
        window.energies,
        window.nac,
        np.array([trajectory.timestep]),
        pair.gap(),
        *(() if whole is None else (whole.nac,)),
    )
    samples = None if pair.is_complete else samples_of(pair)
    asked = config.features
    chosen = find_sites(trajectory, asked.elements, asked.molecules) if asked.elements or asked.molecules else None
    return StudyData(
        name,
        description,
        trajectory,
        window,
        pair,
        diagnosis,
        fingerprint,
        samples=samples,
        chosen=chosen,
        blocks=whole,
    )


def chosen_states(hamiltonian: VibronicHamiltonian, states: tuple[str, str] | tuple[int, int]) -> VibronicHamiltonian:
    """Return the Hamiltonian of two states, by label or by number from 0, lower first.

    Raises
    ------
    InputError
        If there is no such state.
    """
    labels = hamiltonian.state_labels
    index = []
    for state in states:
        if isinstance(state, int):
            index.append(state)
        elif state in labels:
            index.append(labels.index(state))
        elif (edge := edge_state(hamiltonian, state)) is not None:
            index.append(edge)
        else:
            raise InputError(f"State `{state}` must be one of the states {', '.join(labels)}.")
    return hamiltonian.select(index)

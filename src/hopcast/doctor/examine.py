"""`check`: all verdicts on a Hamiltonian, a trajectory, or both."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hopcast.core.errors import InputError
from hopcast.core.hamiltonian import VibronicHamiltonian
from hopcast.core.trajectory import Trajectory
from hopcast.couplings import derive_couplings
from hopcast.doctor import nuclei, scales, seams, signs, states
from hopcast.doctor.pair import Context, choose_pair, named
from hopcast.doctor.partners import partners
from hopcast.doctor.together import alignment
from hopcast.doctor.verdict import Diagnosis, Verdict
from hopcast.dynamics.dephasing import Dephasing, dephasing_function

CHECKS: tuple[Callable[[VibronicHamiltonian, Context], Verdict], ...] = (
    scales.units,
    signs.phases,
    signs.flips,
    signs.autocorrelation,
    states.swaps,
    states.spikes,
    scales.closed_gap,
    seams.frames,
    seams.missing_energies,
    seams.numbering_of_states,
    scales.gap_drift,
    scales.length,
    scales.dephasing,
    scales.decay,
    scales.substeps,
)


def check(
    hamiltonian: VibronicHamiltonian | None = None,
    trajectory: Trajectory | None = None,
    *,
    pair: tuple[int, int] | None = None,
    duration: float | None = None,
    frame_numbers: ArrayLike | None = None,
    potential_energies: ArrayLike | None = None,
    title: str | None = None,
) -> Diagnosis:
    """Look for what silently ruins lifetimes.

    Parameters
    ----------
    hamiltonian, trajectory
        One of them, or both.
    pair
        The two states of interest (degenerate ones count as one); the band edges where `n_occupied` is known, else the neighbours with the largest mean gap.
    duration
        Length of the dynamics that is planned, fs; without it nobody can say that it is too short.
    frame_numbers
        Numbers that the frames carry in their file.
    potential_energies
        Energies that the frames carry in their file (CP2K's xyz) [n_frames], eV.
    title
        What the page is called.

    Raises
    ------
    InputError
        If neither is given, or the pair does not exist.
    """
    if hamiltonian is None and trajectory is None:
        raise InputError("A check needs a Hamiltonian or a trajectory, but got neither.")
    verdicts: list[Verdict] = []
    series: dict[str, NDArray[Any]] = {}
    names = []
    if hamiltonian is not None:
        raw, given = hamiltonian, repr(hamiltonian)
        derived = _with_couplings(raw)
        told = partners(derived, raw.overlaps)
        hamiltonian = raw.merged() if raw.is_degenerate else raw
        pair, is_gap, verdict = choose_pair(hamiltonian, pair)
        verdicts += [verdict] if told is None else [verdict, told]
        dephasing: Dephasing | str
        try:
            dephasing = dephasing_function(hamiltonian, pair)
        except InputError as error:
            dephasing = str(error)
        context = Context(pair, named(hamiltonian, pair), duration, is_gap, dephasing)
        usable = derived.merged()
        for each in CHECKS:
            verdicts.append(each(raw if each is signs.phases else usable, context))
        names.append(given)
        series |= {
            "gap": usable.gap(pair),
            "coupling": np.abs(usable.coupling(pair)),
            "timestep": np.array(usable.timestep),
        }
    if trajectory is not None:
        for look in nuclei.CHECKS:
            verdicts.append(look(trajectory))
        verdicts.append(seams.numbering(None if frame_numbers is None else np.asarray(frame_numbers, dtype=np.int64)))
        verdicts.append(
            nuclei.potential_energy(None if potential_energies is None else np.asarray(potential_energies, dtype=float))
        )
        names.append(repr(trajectory))
        if trajectory.n_frames >= 3:
            series["temperature"] = nuclei.temperatures(trajectory)
            series["timestep"] = np.array(trajectory.timestep)
    if hamiltonian is not None and trajectory is not None:
        assert pair is not None
        verdict, scan = alignment(trajectory, hamiltonian, pair, named(hamiltonian, pair))
        verdicts.append(verdict)
        series |= scan
    return Diagnosis(title or " with ".join(names), tuple(verdicts), series)


def _with_couplings(hamiltonian: VibronicHamiltonian) -> VibronicHamiltonian:
    """Return couplings derived from overlaps where the source gave overlaps only."""
    if hamiltonian.overlaps is None or hamiltonian.nac_known.any() or hamiltonian.energy_grid != "frame":
        return hamiltonian
    return dataclasses.replace(derive_couplings(hamiltonian))


def unreadable(source: object, error: InputError) -> Diagnosis:
    """Return the diagnosis of data that cannot be read: the reader's sentence is the verdict, its topic the name."""
    verdict = Verdict(error.topic, "bad", str(error), "Correct the files as said, then check again.")
    return Diagnosis(str(source), (verdict,))

"""Stage `relaxation`: carriers on their way through the bands beside the gap, by several methods."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hopcast.core.errors import InputError, QualityWarning
from hopcast.core.hamiltonian import VibronicHamiltonian
from hopcast.core.units import FS_PER_NS
from hopcast.dynamics import DynamicsResult, active_transitions, fit_decays, run_dynamics
from hopcast.dynamics.readings import LITTLE_DECAY
from hopcast.report import Relaxation, number
from hopcast.study.config import DynamicsSection, RelaxationSection
from hopcast.study.electron_hole import run_pair
from hopcast.study.inputs import StudyData
from hopcast.study.lifetimes import estimate_record
from hopcast.study.progress import Stage
from hopcast.study.stages import StageResult

MOST_FRAMES: Final = 2000
"""Frames of a longer trajectory that are used: the propagators of all would not fit."""

N_SHOWN: Final = 5
"""Transitions of each run that are kept."""


@dataclass(frozen=True, eq=False)
class Case:
    """A carrier ("electron" or "hole") and the Hamiltonian of its bands."""

    name: str
    carrier: str
    hamiltonian: VibronicHamiltonian


def relaxes(data: StudyData) -> bool:
    """Whether the window has bands beside the pair of the study, and all of it is known."""
    window, pair = data.window, data.hamiltonian.state_labels
    return window.n_states > 2 and window.is_complete and set(pair) <= set(window.state_labels)


def cases(data: StudyData, most_states: int) -> list[Case]:
    """Return the carriers of a study: the hole below the gap and the electron above it.

    Bands count from the edge outwards; the first one that leaves the window ends them, for what lies beyond it is
    coupled through it.
    """
    window = data.window[: min(MOST_FRAMES, data.window.n_frames)]
    lower, upper = (window.state_labels.index(label) for label in data.hamiltonian.state_labels)
    leaking = {} if data.diagnosis is None else data.diagnosis.leaking

    def chain(order: range) -> list[int]:
        sound: list[int] = []
        for state in order[:most_states]:
            if window.state_labels[state] in leaking:
                break
            sound.append(state)
        return sorted(sound)

    wanted = {"hole": chain(range(lower, -1, -1)), "electron": chain(range(upper, window.n_states))}
    return [Case(name, name, window.select(bands)) for name, bands in wanted.items() if len(bands) > 1]


def run_relaxation(
    section: RelaxationSection,
    dynamics: DynamicsSection,
    seed: int,
    data: StudyData,
    stage: Stage,
    workers: int | None,
) -> StageResult:
    """Start each carrier in the band farthest from the edge and follow it, by each method.

    A carrier that hardly ever arrives starts once more, below the band it waits in. Last, electron and hole run together
    (`run_pair`), each from the band it started in last.

    Returns
    -------
    StageResult
        ``relaxation``: record of `results.json`. Arrays ``times`` and, by case and method,
        ``{case}/{method}/populations``, ``.../energy`` and ``.../energy_error``; those of `run_pair`.
    """
    runs: list[dict[str, Any]] = []
    refused: list[dict[str, str]] = []
    arrays: dict[str, NDArray[Any]] = {}

    def follow(case: Case, start: int, methods: Sequence[str]) -> dict[str, Any] | None:
        """Run the methods; return the record of the first."""
        ham = case.hamiltonian
        starts = np.unique(np.linspace(0, ham.n_steps - 1, section.n_starts).round().astype(int))
        first = None
        for method in methods:
            stage.advance(f"{case.name}, {method}")
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", QualityWarning)  # notes of the record say it, by name
                    found = run_dynamics(
                        ham, method, carrier=case.carrier, initial_state=start, initial_times=starts,
                        duration=section.duration, temperature=dynamics.temperature,
                        tau_convention=dynamics.tau_convention, n_times=section.n_times,
                        coupling_interpolation=dynamics.coupling_interpolation, n_trajectories=section.n_trajectories,
                        random_state=seed, workers=workers,
                    )  # fmt: skip
            except InputError as error:
                refused.append({"name": case.name, "method": method, "reason": str(error)})
                continue
            runs.append(_record(case, found))
            first = first or runs[-1]
            arrays.update({
                "times": found.times,
                f"{case.name}/{method}/populations": found.populations,
                f"{case.name}/{method}/energy": found.carrier_energy,
                f"{case.name}/{method}/energy_error": found.carrier_energy_error,
            })  # fmt: skip
        return first

    ways: dict[str, list[str]] = {}  # bands from the edge to the start
    for case in cases(data, section.n_states):
        farthest = case.hamiltonian.n_states - 1
        found = follow(case, farthest, section.methods)
        if found is None:
            continue
        ways[case.carrier] = found["states"]
        if found["decayed"] >= LITTLE_DECAY:
            continue
        # stuck: a band apart from the others hides what happens below it
        below = found["states"].index(found["longest_stay"]) - 1
        if below > 0:
            name = f"{case.name} from {found['states'][below]}"
            follow(dataclasses.replace(case, name=name), below, section.methods)
            ways[case.carrier] = found["states"][: below + 1]
    pair: dict[str, Any] | None = None
    holes, electrons = (ways.get(carrier, [])[: section.pair_states] for carrier in ("hole", "electron"))
    if min(len(holes), len(electrons)) > 1:
        window = data.window[: min(MOST_FRAMES, data.window.n_frames)]
        try:
            pair, series = run_pair(section, dynamics, seed, window, holes, electrons, stage, workers)
            arrays.update(series)
        except InputError as error:
            refused.append({"name": "electron and hole", "method": section.methods[0], "reason": str(error)})
    leaking = {} if data.diagnosis is None else data.diagnosis.leaking
    record: dict[str, Any] = {
        "runs": runs,
        "left_out": [{"band": band, "row_norm": norm} for band, norm in leaking.items()],
        "refused": refused,
    }
    if pair is not None:
        record["pair"] = pair
    return StageResult({"relaxation": record}, arrays)


def _record(case: Case, found: DynamicsResult) -> dict[str, Any]:
    excited = 1.0 - found.ground_population
    apart = found.tau[~np.eye(len(found.tau), dtype=bool)]
    stay = np.trapezoid(found.populations[:, 1:], found.times, axis=0)
    flows = [] if found.flows is None else active_transitions(found)[:N_SHOWN]
    reasons = {"model": "no model: ab initio"}
    return {
        "name": case.name,
        "carrier": case.carrier,
        "states": list(found.states),
        "initial_state": found.states[found.initial_state],
        "method": found.method,
        "rule": found.rule or "none",
        "waiting": found.waiting or "none",
        "lifetime": estimate_record(found.lifetime, "ns", reasons),
        "rate": estimate_record(found.rate, "1/ns", reasons),
        "decayed": float(1.0 - excited[-1]),
        "final_populations": found.populations[-1].tolist(),
        **_decay(found, excited),
        "longest_stay": found.states[1 + int(stay.argmax())],
        "transitions": [{"from": old, "to": new, "net_hops": net} for old, new, net in flows],
        "tau_low": float(apart.min()),
        "tau_high": float(apart.max()),
        "tau_convention": found.tau_convention,
        **number("temperature", found.temperature, "no detailed balance"),
        "duration": float(found.times[-1]),
        "n_frames": case.hamiltonian.n_frames,
        "n_trajectories": found.n_trajectories * found.initial_times.size,
        "n_starts": int(found.initial_times.size),
        "substeps": found.substeps,
        "random_state": found.random_state,
    }


def _decay(found: DynamicsResult, excited: Any) -> dict[str, Any]:
    """Return the model of the decay, where enough decays to ask."""
    if excited[-1] > 1.0 - LITTLE_DECAY:
        reason = f"less than {100 * LITTLE_DECAY:.0f} % decays in the window"
        return {
            "decay_model": "none",
            **number("decay_lifetime", None, reason),
            "decay_parameters": [],
            "decay_note": reason,
        }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", QualityWarning)  # `decay_note` says it
        fits = fit_decays(found.times, excited)
    return {
        "decay_model": fits.best.name,
        "decay_lifetime": fits.best.lifetime / FS_PER_NS,
        "decay_parameters": list(fits.best.parameters),
        "decay_note": fits.note,
    }


def relaxation_series(stage: StageResult) -> tuple[Relaxation, ...]:
    """Return what the report draws, one for each carrier."""
    runs = stage.numbers.get("relaxation", {}).get("runs", ())
    found = []
    for name in dict.fromkeys(run["name"] for run in runs):
        mine = [run for run in runs if run["name"] == name]
        kinds = ({run["method"]: stage.arrays[f"{name}/{run['method']}/{kind}"] for run in mine}
                 for kind in ("populations", "energy", "energy_error"))  # fmt: skip
        found.append(
            Relaxation(name, mine[0]["carrier"], tuple(mine[0]["states"]), stage.arrays["times"], *kinds)
        )
    return tuple(found)

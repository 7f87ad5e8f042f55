"""Stage `relaxation`: carriers on their way through the bands beside the gap, by several methods."""

from __future__ import annotations

import dataclasses
import warnings
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np

from hopcast.core.errors import InputError, QualityWarning
from hopcast.core.hamiltonian import VibronicHamiltonian
from hopcast.core.spreading import spread
from hopcast.core.units import FS_PER_NS
from hopcast.dynamics import DynamicsResult, active_transitions, fit_decays
from hopcast.dynamics.readings import LITTLE_DECAY
from hopcast.report import Relaxation
from hopcast.results.dynamics import (
    BandNorm,
    ElectronHoleRecord,
    RefusedRun,
    RelaxationRecord,
    RelaxationRun,
    TransitionRecord,
)
from hopcast.results.record import Record
from hopcast.study.config import StudyConfig
from hopcast.study.electron_hole import run_pair
from hopcast.study.inputs import StudyData
from hopcast.study.rates import estimate_record, follow_carrier
from hopcast.study.stage import Arrays, Context, Stage, StageResult
from hopcast.study.stages import models
from hopcast.study.whole import able_kinds

MOST_FRAMES: Final = 2000
"""Frames of a longer trajectory that are used: the propagators of all would not fit."""

N_SHOWN: Final = 5
"""Transitions of each run that are kept."""


@dataclass(frozen=True, eq=False)
class Case:
    """A carrier ("electron" or "hole") and the Hamiltonian of its bands."""

    name: str
    carrier: Literal["hole", "electron"]
    hamiltonian: VibronicHamiltonian


def relaxes(config: StudyConfig, data: StudyData) -> bool:
    """Whether bands beside the pair of the study are known, or can be forecast."""
    window, pair = data.window, data.hamiltonian.state_labels
    inside = window.n_states > 2 and set(pair) <= set(window.state_labels)
    known = window.is_complete if data.samples is None else bool(able_kinds(config, data))
    return config.relaxation.enabled and inside and known


def window_of(context: Context) -> tuple[VibronicHamiltonian, str | None]:
    """Return the first frames of all bands, and whose forecast they are (None: ab initio).

    Raises
    ------
    InputError
        If only pairs are known and no forecast of the bands was made.
    """
    data = context.data
    if data.samples is None:
        return data.window[: min(MOST_FRAMES, data.window.n_frames)], None
    forecast = forecast_window(context)
    if forecast is None:
        raise InputError("No forecast gives the bands beside the gap.")
    return forecast


def forecast_window(context: Context) -> tuple[VibronicHamiltonian, str] | None:
    """Return the first frames of all bands as they were forecast, and by whom; None where nothing forecasts them."""
    found, window = context.results.get(models.STAGE.name), context.data.window
    if found is None or "window/energies" not in found.arrays:
        return None
    energies, nac = (found.arrays[f"window/{part}"] for part in ("energies", "nac"))
    forecast = VibronicHamiltonian(
        energies, nac, window.timestep, n_occupied=window.n_occupied, state_labels=window.state_labels
    )
    return forecast, found.numbers.names[-1]


def cases(data: StudyData, window: VibronicHamiltonian, most_states: int) -> list[Case]:
    """Return the carriers of a study: the hole below the gap and the electron above it.

    Bands count from the edge outwards; the first one that leaves the window ends them, for what lies beyond it is
    coupled through it.
    """
    lower, upper = (window.state_labels.index(label) for label in data.hamiltonian.state_labels)
    leaking = {} if data.diagnosis is None else data.diagnosis.leaking

    def chain(order: range) -> list[int]:
        sound: list[int] = []
        for state in order[:most_states]:
            if window.state_labels[state] in leaking:
                break
            sound.append(state)
        return sorted(sound)

    wanted: dict[Literal["hole", "electron"], list[int]] = {
        "hole": chain(range(lower, -1, -1)),
        "electron": chain(range(upper, window.n_states)),
    }
    return [Case(name, name, window.select(bands)) for name, bands in wanted.items() if len(bands) > 1]


class RelaxationNumbers(Record):
    """What the stage found."""

    relaxation: RelaxationRecord


class _Runs:
    """Runs of carriers through their bands: records, refusals, series."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self.runs: list[RelaxationRun] = []
        self.refused: list[RefusedRun] = []
        self.arrays: Arrays = {}
        self.followed: list[tuple[Case, int]] = []

    def follow(self, case: Case, start: int) -> RelaxationRun | None:
        """Start a carrier in a band and follow it by every method; return the record of the first."""
        context, ham = self._context, case.hamiltonian
        section = context.config.relaxation
        starts = spread(ham.n_steps, section.n_starts)
        first = None
        for method in section.methods:
            context.progress.advance(f"{case.name}, {method}")
            try:
                found = follow_carrier(context, ham, case.carrier, method, start, starts)
            except InputError as error:
                self.refused.append(RefusedRun(name=case.name, method=method, reason=str(error)))
                continue
            self.runs.append(_record(case, found))
            if first is None:
                first = self.runs[-1]
                self.followed.append((case, start))
            self.arrays |= {
                "times": found.times,
                f"{case.name}/{method}/populations": found.populations,
                f"{case.name}/{method}/energy": found.carrier_energy,
                f"{case.name}/{method}/energy_error": found.carrier_energy_error,
            }
        return first


def run_relaxation(context: Context) -> StageResult[RelaxationNumbers]:
    """Start each carrier in the band farthest from the edge and follow it, by each method.

    A carrier that hardly ever arrives starts once more, below the band it waits in. Then electron and hole run together
    (`run_pair`), each from the band it started in last. Where the bands were computed and forecast, each carrier runs on the forecast
    too, under a name that says so.

    Returns
    -------
    StageResult
        Arrays ``times`` and, by case and method, ``{case}/{method}/populations``, ``.../energy`` and ``.../energy_error``; those of
        `run_pair`.
    """
    section, data = context.config.relaxation, context.data
    made = _Runs(context)
    leaking = {} if data.diagnosis is None else data.diagnosis.leaking
    left_out = [BandNorm(band=band, row_norm=norm) for band, norm in leaking.items()]
    try:
        window, source = window_of(context)
    except InputError as error:
        made.refused.append(RefusedRun(name="all carriers", method=section.methods[0], reason=str(error)))
        record = RelaxationRecord(runs=[], left_out=left_out, refused=made.refused)
        return StageResult(RelaxationNumbers(relaxation=record), {})
    ways = _follow_alone(made, cases(data, window, section.n_states))
    pair: ElectronHoleRecord | None = None
    holes, electrons = (ways.get(carrier, [])[: section.pair_states] for carrier in ("hole", "electron"))
    if min(len(holes), len(electrons)) > 1:
        try:
            pair, series = run_pair(context, window, holes, electrons)
            made.arrays |= series
        except InputError as error:
            name = "electron and hole"
            made.refused.append(RefusedRun(name=name, method=section.methods[0], reason=str(error)))
    forecast = None if source is not None else forecast_window(context)
    if forecast is not None:
        _follow_again(made, *forecast)
    record = RelaxationRecord(runs=made.runs, left_out=left_out, refused=made.refused, source=source, pair=pair)
    return StageResult(RelaxationNumbers(relaxation=record), made.arrays)


def _follow_alone(made: _Runs, carriers: list[Case]) -> dict[str, list[str]]:
    """Follow each carrier from the band farthest from the edge; return the bands from the edge to where it started last."""
    ways: dict[str, list[str]] = {}
    for case in carriers:
        found = made.follow(case, case.hamiltonian.n_states - 1)
        if found is None:
            continue
        ways[case.carrier] = found.states
        if found.decayed >= LITTLE_DECAY:
            continue
        # stuck: a band apart from the others hides what happens below it
        below = found.states.index(found.longest_stay) - 1
        if below > 0:
            name = f"{case.name} from {found.states[below]}"
            made.follow(dataclasses.replace(case, name=name), below)
            ways[case.carrier] = found.states[: below + 1]
    return ways


def _follow_again(made: _Runs, window: VibronicHamiltonian, source: str) -> None:
    """Follow every carrier once more, through the same bands as they were forecast."""
    for case, start in tuple(made.followed):
        bands = [window.state_labels.index(label) for label in case.hamiltonian.state_labels]
        made.follow(Case(f"{case.name}, {source}", case.carrier, window.select(bands)), start)


def _record(case: Case, found: DynamicsResult) -> RelaxationRun:
    excited = 1.0 - found.ground_population
    apart = found.tau[~np.eye(len(found.tau), dtype=bool)]
    stay = np.trapezoid(found.populations[:, 1:], found.times, axis=0)
    flows = [] if found.flows is None else active_transitions(found)[:N_SHOWN]
    reasons = {"model": "no model: ab initio"}
    decay = _decay(found, excited)
    return RelaxationRun(
        name=case.name,
        carrier=case.carrier,
        states=list(found.states),
        initial_state=found.states[found.initial_state],
        method=found.method,
        rule=found.rule or "none",
        waiting=found.waiting or "none",
        lifetime=estimate_record(found.lifetime, "ns", reasons),
        rate=estimate_record(found.rate, "1/ns", reasons),
        decayed=float(1.0 - excited[-1]),
        final_populations=found.populations[-1].tolist(),
        **vars(decay),
        longest_stay=found.states[1 + int(stay.argmax())],
        transitions=[TransitionRecord(from_=old, to=new, net_hops=net) for old, new, net in flows],
        tau_low=float(apart.min()),
        tau_high=float(apart.max()),
        tau_convention=found.tau_convention,
        temperature=found.temperature,
        duration=float(found.times[-1]),
        n_frames=case.hamiltonian.n_frames,
        n_trajectories=found.n_trajectories * found.initial_times.size,
        n_starts=int(found.initial_times.size),
        substeps=found.substeps,
        random_state=found.random_state,
        reasons={"temperature": "no detailed balance", "decay_lifetime": decay.decay_note},
    )


@dataclass(frozen=True)
class _Decay:
    """The model of a decay, or why there is none: fields of its record."""

    decay_model: str
    decay_lifetime: float | None
    decay_parameters: tuple[float, ...]
    decay_note: str


def _decay(found: DynamicsResult, excited: Any) -> _Decay:
    """Return the model of the decay where enough decays to ask."""
    if excited[-1] > 1.0 - LITTLE_DECAY:
        return _Decay("none", None, (), f"less than {100 * LITTLE_DECAY:.0f} % decays in the window")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", QualityWarning)  # `decay_note` says it
        fits = fit_decays(found.times, excited)
    return _Decay(fits.best.name, fits.best.lifetime / FS_PER_NS, tuple(fits.best.parameters), fits.note)


def relaxation_series(stage: StageResult[RelaxationNumbers]) -> tuple[Relaxation, ...]:
    """Return what the report draws, one for each carrier."""
    runs = stage.numbers.relaxation.runs
    found = []
    for name in dict.fromkeys(run.name for run in runs):
        mine = [run for run in runs if run.name == name]
        kinds = (
            {run.method: stage.arrays[f"{name}/{run.method}/{kind}"] for run in mine}
            for kind in ("populations", "energy", "energy_error")
        )
        found.append(Relaxation(name, mine[0].carrier, tuple(mine[0].states), stage.arrays["times"], *kinds))
    return tuple(found)


def _total(config: StudyConfig, data: StudyData) -> int:
    """Return the runs there may be: each carrier once, on what is known and on a forecast, and a pair; who gets stuck starts once more."""
    again = data.samples is None and bool(able_kinds(config, data))
    return 2 * len(config.relaxation.methods) * (1 + again) + 1


STAGE = Stage(
    "relaxation",
    50,
    RelaxationNumbers,
    ("relaxation", "dynamics.temperature", "dynamics.tau_convention", "dynamics.coupling_interpolation"),
    run_relaxation,
    needs=lambda data: (models.STAGE,),
    applies=relaxes,
    total=_total,
)

"""Stage `checks`: the exact solver against the Monte Carlo engine, and FSSH beside DISH, on the ab initio Hamiltonian."""

from __future__ import annotations

import dataclasses
import math
from functools import partial

import numpy as np

from hopcast.core.hamiltonian import VibronicHamiltonian
from hopcast.core.spreading import spread
from hopcast.core.units import FS_PER_NS
from hopcast.dynamics import DynamicsResult, run_dynamics
from hopcast.report import CHOSEN
from hopcast.results.dynamics import CheckRecord, HamiltonianRecord
from hopcast.results.record import Record, known
from hopcast.study.config import StudyConfig
from hopcast.study.dense_rates import AB_INITIO
from hopcast.study.inputs import StudyData
from hopcast.study.rates import estimate_record, forecast_hamiltonian
from hopcast.study.stage import Context, Stage, StageResult
from hopcast.study.stages import dynamics

N_STARTS = 20
"""Initial times of each comparison, spread evenly over the loop."""

MOST_FRAMES = 2000
"""Two solvers that agree on a loop of this many frames agree on a longer one, which would only take longer."""

TARGET_LIFETIME = 5e4
"""Couplings are scaled up to this lifetime (fs), where the true one is longer, so that enough trajectories recombine."""


def scaled(hamiltonian: VibronicHamiltonian, factor: float) -> VibronicHamiltonian:
    """Return the Hamiltonian with its couplings multiplied by a factor."""
    return dataclasses.replace(hamiltonian, nac=hamiltonian.nac * factor, overlaps=None)


def compare(
    hamiltonian: VibronicHamiltonian,
    *,
    dephasing_time: float,
    temperature: float | None,
    substeps: int,
    duration: float,
    n_seeds: int,
    n_trajectories: int,
    seed: int,
    workers: int | None = None,
) -> CheckRecord:
    """Compare the ground-state population at the end of a run: exact against `n_seeds` Monte Carlo runs.

    Recombined trajectories may hop up again (the lower state does not absorb), so that the temperature matters.

    Parameters
    ----------
    hamiltonian
        Two states.
    dephasing_time, temperature, substeps, duration
        As in `run_dynamics`.
    n_seeds, n_trajectories
        Runs, and trajectories of each, spread over the initial times.
    seed
        First seed.
    workers
        Threads.

    Returns
    -------
    CheckRecord
    """
    starts = spread(hamiltonian.n_steps, N_STARTS)
    run = partial(
        run_dynamics,
        hamiltonian,
        rule="consistent",
        waiting="exponential",
        duration=duration,
        temperature=temperature,
        dephasing_time=dephasing_time,
        initial_times=starts,
        absorbing=False,
        n_times=2,
        substeps=substeps,
        workers=workers,
    )
    exact = run(method="exact")
    expected = float(exact.ground_population[-1])
    each = max(1, math.ceil(n_trajectories / len(starts)))
    n = each * len(starts)
    error = math.sqrt(expected * (1 - expected) / n)
    found, events = [], []
    for number in range(n_seeds):
        sampled = run(method="dish", n_trajectories=each, random_state=seed + number)
        found.append(float(sampled.ground_population[-1]))
        events.append(int(sampled.n_hops or 0))
    z = (np.array(found) - expected) / error
    return CheckRecord(
        name="exact and Monte Carlo",
        quantity=f"ground-state population after {duration:.3g} fs, {n} trajectories a run",
        exact=expected,
        monte_carlo=float(np.mean(found)),
        standard_error=error / math.sqrt(n_seeds),
        unit="1",
        temperature=temperature,
        substep=exact.substep,
        n_seeds=n_seeds,
        n_events=min(events),
        within_two=int((np.abs(z) <= 2).sum()),
        pooled_z=float(z.sum() / math.sqrt(n_seeds)),
        z=z.tolist(),
        reasons={"temperature": "no detailed balance"},
    )


class CheckNumbers(Record):
    """What the stage found."""

    checks: list[CheckRecord]
    methods: list[HamiltonianRecord]


def run_checks(context: Context) -> StageResult[CheckNumbers]:
    """Compare the solvers with and without temperature, at two sub-steps; run FSSH and DISH by Monte Carlo.

    On the ab initio Hamiltonian; where only pairs of it are known, on the first part of a forecast.

    Returns
    -------
    StageResult
        Of a complete Hamiltonian the array ``monte_carlo``: ground-state population of DISH at the times of the study.
    """
    section, settings, data = context.config.checks, context.config.dynamics, context.data
    first, reference = _reference(context)
    tau, rate = known(first.tau), first.rate
    assert rate is not None
    lifetime = FS_PER_NS / known(rate.value)
    factor = max(1.0, math.sqrt(lifetime / TARGET_LIFETIME))
    hamiltonian = scaled(reference[:MOST_FRAMES], factor)
    records = []
    for temperature in (settings.temperature or 300.0, None):
        for refinement in (1, 2):
            name = f"{'no detailed balance' if temperature is None else f'{temperature:g} K'}, sub-step / {refinement}"
            context.progress.advance(name)
            record = compare(
                hamiltonian,
                dephasing_time=tau,
                temperature=temperature,
                substeps=refinement * (first.substeps or 1),
                duration=min(lifetime, TARGET_LIFETIME) * 2.0,
                n_seeds=section.n_seeds,
                n_trajectories=section.n_trajectories,
                seed=context.config.seed,
                workers=context.workers,
            )
            named = {"name": name, "coupling_scale": factor, "n_frames": hamiltonian.n_frames}
            records.append(record.model_copy(update=named))
    whole = reference if data.samples is None else reference[:MOST_FRAMES]
    run = partial(
        run_dynamics,
        whole,
        duration=settings.duration,
        temperature=settings.temperature,
        n_times=settings.n_times,
        coupling_interpolation=settings.coupling_interpolation,
        random_state=context.config.seed,
        workers=context.workers,
    )
    starts = spread(whole.n_steps, N_STARTS)
    context.progress.advance("DISH by Monte Carlo")
    arrays = {}
    if data.samples is None:
        sampled = run(
            method="dish",
            dephasing_time=tau,
            initial_times=starts,
            n_trajectories=max(1, math.ceil(section.n_trajectories / len(starts))),
        )
        arrays["monte_carlo"] = sampled.ground_population
    methods = []
    if section.fssh:
        context.progress.advance("FSSH with Boltzmann factor")
        fssh = run(
            method="fssh",
            initial_times=starts[:: max(1, len(starts) // 2)][:2],
            n_trajectories=section.n_trajectories,
        )
        methods.append(method_record("FSSH, Boltzmann factor on upward hops", fssh, tau, first))
    return StageResult(CheckNumbers(checks=records, methods=methods), arrays)


def _reference(context: Context) -> tuple[HamiltonianRecord, VibronicHamiltonian]:
    """Return what the solvers are compared on: the ab initio Hamiltonian, or else the forecast of best score."""
    found = context.of(dynamics.STAGE)
    rows = found.numbers.hamiltonians
    if context.data.samples is None:
        return rows[0], context.data.hamiltonian
    row = next((one for one in rows if one.name == CHOSEN), rows[1])
    gap, nac = (found.arrays[f"{target}/{row.name}"] for target in ("gap", "nac"))
    return row, forecast_hamiltonian(context.data, gap, nac, row.name)


def method_record(name: str, found: DynamicsResult, tau: float, first: HamiltonianRecord) -> HamiltonianRecord:
    """Return the record of another method; its ratio is to the rate of the row it stands beside."""
    reasons = {"model": "no model: ab initio"}
    assert first.rate is not None
    on = "" if first.name == AB_INITIO else f"on the forecast {first.name}"
    return HamiltonianRecord(
        name=name,
        gradient=estimate_record(found.gradient, "1/ns", reasons),
        intercept=estimate_record(found.intercept, "1", reasons),
        lifetime=estimate_record(found.lifetime, "ns", reasons),
        ratio=estimate_record(found.rate.times(1.0 / known(first.rate.value), ""), "1", reasons),
        method=found.method,
        solver="monte carlo",
        rule=found.rule or "none",
        waiting=found.waiting or "none",
        tau=tau if found.rule else None,
        tau_convention=first.tau_convention,
        n_trajectories=found.n_trajectories * len(found.initial_times),
        final_population=float(found.ground_population[-1]),
        window=found.fit_window[1] / FS_PER_NS,
        note=on or None,
        reasons={"tau": "no decoherence"},
    )


def _applies(config: StudyConfig, data: StudyData) -> bool:
    return config.checks.enabled


STAGE = Stage(
    "checks",
    70,
    CheckNumbers,
    ("checks", "dynamics"),
    run_checks,
    needs=lambda data: (dynamics.STAGE,),
    applies=_applies,
    total=lambda config, data: 5 + config.checks.fssh,
)

"""Stage `checks`: the exact solver against the Monte Carlo engine, and FSSH beside DISH, on the ab initio Hamiltonian."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from hopcast.core.hamiltonian import VibronicHamiltonian
from hopcast.core.units import FS_PER_NS
from hopcast.dynamics import DynamicsResult, run_dynamics
from hopcast.report import number
from hopcast.study.config import ChecksSection, DynamicsSection
from hopcast.study.inputs import StudyData
from hopcast.study.lifetimes import estimate_record
from hopcast.study.progress import Stage
from hopcast.study.stages import StageResult

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
) -> dict[str, Any]:
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
    dict
        A record of ``checks`` in `results.json` without its name.
    """
    starts = np.unique(np.linspace(0, hamiltonian.n_steps - 1, N_STARTS).round().astype(int))
    settings: dict[str, Any] = {
        "rule": "consistent", "waiting": "exponential", "duration": duration, "temperature": temperature,
        "dephasing_time": dephasing_time, "initial_times": starts, "absorbing": False, "n_times": 2,
        "substeps": substeps, "workers": workers,
    }  # fmt: skip
    exact = run_dynamics(hamiltonian, method="exact", **settings)
    expected = float(exact.ground_population[-1])
    each = max(1, math.ceil(n_trajectories / len(starts)))
    n = each * len(starts)
    error = math.sqrt(expected * (1 - expected) / n)
    found, events = [], []
    for run in range(n_seeds):
        sampled = run_dynamics(
            hamiltonian, method="dish", n_trajectories=each, random_state=seed + run, **settings
        )
        found.append(float(sampled.ground_population[-1]))
        events.append(int(sampled.n_hops or 0))
    z = (np.array(found) - expected) / error
    return {
        "quantity": f"ground-state population after {duration:.3g} fs, {n} trajectories a run",
        "exact": expected,
        "monte_carlo": float(np.mean(found)),
        "standard_error": error / math.sqrt(n_seeds),
        "unit": "1",
        "temperature": temperature,
        **({} if temperature is not None else {"temperature_reason": "no detailed balance"}),
        "substep": exact.substep,
        "n_seeds": n_seeds,
        "n_events": min(events),
        "within_two": int((np.abs(z) <= 2).sum()),
        "pooled_z": float(z.sum() / math.sqrt(n_seeds)),
        "z": z.tolist(),
    }


def run_checks(
    section: ChecksSection,
    dynamics: DynamicsSection,
    seed: int,
    data: StudyData,
    numbers: dict[str, Any],
    stage: Stage,
    workers: int | None,
) -> StageResult:
    """Compare the solvers with and without temperature, at two sub-steps; run FSSH and DISH by Monte Carlo.

    Parameters
    ----------
    section, dynamics, seed
        Settings.
    data
        The data.
    numbers
        Of the stage `dynamics`.
    stage, workers
        Progress and threads.

    Returns
    -------
    StageResult
        ``checks`` and ``methods``: records of `results.json`; array ``monte_carlo`` (ground-state population of DISH at the times of the study).
    """
    tau = float(numbers["dephasing"]["tau"])
    first = numbers["hamiltonians"][0]
    lifetime = FS_PER_NS / float(first["rate"]["value"])
    factor = max(1.0, math.sqrt(lifetime / TARGET_LIFETIME))
    hamiltonian = scaled(data.hamiltonian[:MOST_FRAMES], factor)
    records = []
    for temperature in (dynamics.temperature or 300.0, None):
        for refinement in (1, 2):
            name = f"{'no detailed balance' if temperature is None else f'{temperature:g} K'}, sub-step / {refinement}"
            stage.advance(name)
            record = compare(
                hamiltonian, dephasing_time=tau, temperature=temperature, substeps=refinement * int(first["substeps"]),
                duration=min(lifetime, TARGET_LIFETIME) * 2.0, n_seeds=section.n_seeds,
                n_trajectories=section.n_trajectories, seed=seed, workers=workers,
            )  # fmt: skip
            records.append(
                {"name": name, "coupling_scale": factor, "n_frames": hamiltonian.n_frames, **record}
            )
    common: dict[str, Any] = {
        "duration": dynamics.duration, "temperature": dynamics.temperature, "n_times": dynamics.n_times,
        "coupling_interpolation": dynamics.coupling_interpolation, "random_state": seed, "workers": workers,
    }  # fmt: skip
    stage.advance("DISH by Monte Carlo")
    starts = np.unique(np.linspace(0, data.hamiltonian.n_steps - 1, N_STARTS).round().astype(int))
    sampled = run_dynamics(
        data.hamiltonian, method="dish", dephasing_time=tau, initial_times=starts,
        n_trajectories=max(1, math.ceil(section.n_trajectories / len(starts))), **common,
    )  # fmt: skip
    methods = []
    if section.fssh:
        stage.advance("FSSH with Boltzmann factor")
        fssh = run_dynamics(
            data.hamiltonian, method="fssh", initial_times=starts[:: max(1, len(starts) // 2)][:2],
            n_trajectories=section.n_trajectories, **common,
        )  # fmt: skip
        methods.append(method_record("FSSH, Boltzmann factor on upward hops", fssh, tau, first))
    return StageResult({"checks": records, "methods": methods}, {"monte_carlo": sampled.ground_population})


def method_record(name: str, found: DynamicsResult, tau: float, first: dict[str, Any]) -> dict[str, Any]:
    """Return the record of another method on the ab initio Hamiltonian; its ratio is to the first row of Table 4."""
    reasons = {"model": "no model: ab initio"}
    reference = float(first["rate"]["value"])
    ratio = found.rate.times(1.0 / reference, "")
    return {
        "name": name,
        "gradient": estimate_record(found.gradient, "1/ns", reasons),
        "intercept": estimate_record(found.intercept, "1", reasons),
        "lifetime": estimate_record(found.lifetime, "ns", reasons),
        "ratio": estimate_record(ratio, "1", reasons),
        "method": found.method,
        "solver": "monte carlo",
        "rule": found.rule or "none",
        "waiting": found.waiting or "none",
        **number("tau", tau if found.rule else None, "no decoherence"),
        "tau_convention": str(first["tau_convention"]),
        "n_trajectories": found.n_trajectories * len(found.initial_times),
        "final_population": float(found.ground_population[-1]),
        "window": found.fit_window[1] / FS_PER_NS,
    }

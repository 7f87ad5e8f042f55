"""From the stages' numbers and arrays to the report: `results.json` and the series behind the figures."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hopcast.core.units import FS_PER_NS
from hopcast.couplings import OverlapDiagnosis
from hopcast.descriptors import SymmetryFunctions
from hopcast.report import (
    SCHEMA_VERSION,
    Dephasing,
    Forecast,
    InformationMap,
    Populations,
    Series,
    Structure,
    StudyReport,
    number,
)
from hopcast.study.config import StudyConfig
from hopcast.study.electron_hole import pair_series
from hopcast.study.electrons import electron_series
from hopcast.study.inputs import StudyData
from hopcast.study.lifetimes import coupling_of
from hopcast.study.ranking import TARGETS
from hopcast.study.relaxation import relaxation_series
from hopcast.study.samples import Samples
from hopcast.study.sparse import coupling_at
from hopcast.study.stages import StageResult


def assemble(
    config: StudyConfig,
    data: StudyData,
    functions: SymmetryFunctions,
    stages: dict[str, StageResult],
    provenance: dict[str, Any],
    seconds: dict[str, float],
) -> StudyReport:
    """Return the report of the stages that ran; those that did not are left out."""
    information = stages["information"]
    models = stages.get("models", StageResult({"models": [], "names": []}))
    dynamics = stages.get("dynamics", StageResult({"hamiltonians": []}))
    checks = stages.get("checks", StageResult())
    results: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "provenance": provenance,
        "data": _data(config, data, information, models),
        "features": functions.to_dict(),
        "information": information.numbers["information"],
        "best_features": information.numbers["best_features"],
        "models": models.numbers["models"],
        "hamiltonians": dynamics.numbers["hamiltonians"],
        "notes": [note for stage in stages.values() for note in stage.numbers.get("notes", [])],
        "timings": [{"stage": name, "seconds": round(spent, 2)} for name, spent in seconds.items()],
    }
    results["selection"] = information.numbers["selection"]
    electrons = stages.get("electrons")
    if electrons is not None:
        results["electrons"] = electrons.numbers["electrons"]
    if "curves" in stages:
        results["learning_curves"] = stages["curves"].numbers["learning_curves"]
    if data.samples is not None:
        results["samples"] = _samples(data.samples, models)
        results["candidates"] = models.numbers.get("candidates", [])
    for key in ("dephasing", "seam", "rate_controls", "rates"):
        if key in dynamics.numbers:
            results[key] = dynamics.numbers[key]
    if data.diagnosis is not None:
        results["corrections"] = _corrections(config, data.diagnosis, len(data.window.state_labels))
    for key in ("checks", "methods"):
        if checks.numbers.get(key) is not None:
            results[key] = checks.numbers[key]
    series = _series(config, data, functions, information, models, dynamics, checks)
    if "relaxation" in stages:
        results["relaxation"] = stages["relaxation"].numbers["relaxation"]
        series = dataclasses.replace(
            series,
            relaxation=relaxation_series(stages["relaxation"]),
            pair=pair_series(stages["relaxation"]),
        )
    if electrons is not None:
        series = dataclasses.replace(series, **electron_series(electrons))
    return StudyReport(results, series)


def _data(
    config: StudyConfig, data: StudyData, information: StageResult, models: StageResult
) -> dict[str, Any]:
    trajectory, gap, nac = data.trajectory, data.hamiltonian.gap(), np.abs(data.hamiltonian.coupling())
    memory = (
        models.numbers["memory"].values()
        if "memory" in models.numbers
        else (entry["correlation_time"] for entry in information.numbers["memory"].values())
    )
    strides = [record["stride"] for record in models.numbers["models"]]
    return {
        "name": config.title or data.name,
        "description": data.description,
        "formula": trajectory.formula,
        "elements": list(trajectory.elements),
        "n_atoms": trajectory.n_atoms,
        "n_frames": trajectory.n_frames,
        "timestep": trajectory.timestep,
        "duration": trajectory.duration,
        "states": list(data.hamiltonian.state_labels),
        "gap_mean": float(np.nanmean(gap)),
        "gap_std": float(np.nanstd(gap)),
        "nac_rms": float(np.sqrt(np.nanmean(nac**2))),
        **number("correlation_time", max(memory)),
        **_temperature(data),
        **({"train_stride": strides[0]} if strides else {}),
    }


def _samples(samples: Samples, models: StageResult) -> dict[str, Any]:
    held_out: dict[str, Any] = {
        key: models.numbers[key] for key in ("block", "purge") if key in models.numbers
    }
    return {
        "n_pairs": len(samples),
        "spacing": samples.spacing,
        "share": len(samples) / samples.n_steps,
        **held_out,
    }


def _temperature(data: StudyData) -> dict[str, Any]:
    """Mean temperature of the nuclei from their velocities, the centre of mass at rest."""
    from ase.data import atomic_masses

    trajectory = data.trajectory
    if trajectory.velocities is None or trajectory.n_atoms < 2:
        return number("temperature", None, "the trajectory has no velocities")
    from ase import units

    kelvin_per_ev = 1.0 / units.kB
    mass = atomic_masses[trajectory.numbers] * units._amu / units._e * 1e10  # eV fs^2 / Å^2
    kinetic = 0.5 * np.einsum("a,tai,tai->", mass, trajectory.velocities, trajectory.velocities)
    degrees = 3 * (trajectory.n_atoms - 1) * trajectory.n_frames
    return number("temperature", float(2 * kinetic / degrees * kelvin_per_ev))


def _corrections(config: StudyConfig, found: OverlapDiagnosis, n_states: int) -> dict[str, Any]:
    crossings = [
        {"step": crossing.step, "states": list(crossing.states), "overlap": crossing.overlap}
        for crossing in found.crossings
    ]
    kept = config.couplings.tracking == "energy"
    return {
        "phase_flips": round(found.flipped * found.n_steps * n_states),
        "n_overlaps": found.n_steps * n_states,
        "swaps": [] if kept else crossings,
        "crossings": crossings if kept else [],
        "leaking_bands": [{"band": band, "row_norm": norm} for band, norm in found.leaking.items()],
        "doubtful_steps": len(found.doubtful),
        **number("nac_autocorrelation_raw", found.autocorrelation_raw, "no frontier pair"),
        **number("nac_autocorrelation", found.autocorrelation, "no frontier pair"),
        "notes": [
            f"couplings are the {'logarithm of the orthonormalised overlap' if config.couplings.derivative == 'log' else 'difference (S - S^T)/2'} over the time step",
            f"states in order of {'energy (adiabatic)' if kept else 'character, through trivial crossings'}",
        ],
    }


def _series(
    config: StudyConfig,
    data: StudyData,
    functions: SymmetryFunctions,
    information: StageResult,
    models: StageResult,
    dynamics: StageResult,
    checks: StageResult,
) -> Series:
    trajectory, pair = data.trajectory, data.hamiltonian
    maps = tuple(
        InformationMap(
            element=element, target=target, r_s=np.array(functions.r_s), theta_s=np.array(functions.theta_s),
            r_labels=functions.r_s_labels, theta_labels=functions.theta_s_labels,
            **{kind: information.arrays[f"{kind}/{target}/{element}"] for kind in ("raw", "null", "corrected")},
        )
        for target in TARGETS
        for element in trajectory.elements
    )  # fmt: skip
    structure = Structure(
        np.asarray(trajectory.positions[0], dtype=float), np.asarray(trajectory.cells()[0]), trajectory.numbers,
        trajectory.pbc,
    )  # fmt: skip
    names = models.numbers["names"]
    gap = nac = populations = dephasing = None
    frames: NDArray[Any] = np.arange(trajectory.n_frames) * trajectory.timestep
    middle = frames[:-1] + 0.5 * trajectory.timestep
    if names:
        gap = Forecast(
            frames if pair.energy_grid == "frame" else middle, pair.gap(), models.arrays["train/gap"],
            {name: models.arrays[f"gap/{name}"] for name in names},
        )  # fmt: skip
        forecasts = {
            name: dynamics.arrays[f"nac/{name}"]
            if f"nac/{name}" in dynamics.arrays
            else coupling_of(config.models, data, models.arrays[f"nac/{name}"], models.arrays[f"gap/{name}"])
            for name in names
        }
        nac = Forecast(middle, np.abs(pair.coupling()), models.arrays["train/nac"], forecasts)
    if data.samples is not None and gap is not None and nac is not None:
        gap, nac = _held_out(config, data, data.samples, models, gap, nac)
    rows = [
        record["name"]
        for record in dynamics.numbers["hamiltonians"]
        if f"population/{record['name']}" in dynamics.arrays  # separate pairs have no populations
    ]
    if rows:
        populations = Populations(
            dynamics.arrays["times"] / FS_PER_NS,
            {name: dynamics.arrays[f"population/{name}"] for name in rows},
            *_band(dynamics),
            monte_carlo=checks.arrays.get("monte_carlo"),
        )
    if "dephasing/times" in dynamics.arrays:
        dephasing = Dephasing(
            dynamics.arrays["dephasing/times"], dynamics.arrays["dephasing/function"],
            float(dynamics.numbers["dephasing"]["tau"]),
            dynamics.arrays["dephasing/times"], dynamics.arrays["dephasing/correlation"],
        )  # fmt: skip
    atoms = {target: information.arrays[f"atoms/{target}"] for target in TARGETS}
    return Series(structure, gap, nac, dephasing, populations, maps, atoms)


def _held_out(
    config: StudyConfig, data: StudyData, samples: Samples, models: StageResult, gap: Forecast, nac: Forecast
) -> tuple[Forecast, Forecast]:
    """Return the series with what models that saw nothing of a stretch say of the computed pairs in it."""
    unseen_gap, unseen_nac = {}, {}
    for name in models.numbers["names"]:
        blocked = models.arrays[f"gap-blocked/{name}"]
        middle = blocked if data.hamiltonian.energy_grid == "midpoint" else 0.5 * (blocked[1:] + blocked[:-1])
        coupling = coupling_at(config.models.mode, samples, models.arrays[f"nac-blocked/{name}"], middle)
        unseen_gap[name] = np.where(gap.train, blocked, np.nan)
        unseen_nac[name] = np.where(nac.train, coupling, np.nan)
    return dataclasses.replace(gap, held_out=unseen_gap), dataclasses.replace(nac, held_out=unseen_nac)


def _band(dynamics: StageResult) -> tuple[dict[str, NDArray[Any]], dict[str, NDArray[Any]]]:
    """Return the ends of the ab initio population's interval: that of its rate, P -> 1 - (1 - P)^(k'/k)."""
    first = dynamics.numbers["hamiltonians"][0]
    rate = first["rate"]
    if (
        f"population/{first['name']}" not in dynamics.arrays
        or not rate["value"]
        or rate["low"] is None
        or rate["high"] is None
    ):
        return {}, {}
    survived = 1.0 - dynamics.arrays[f"population/{first['name']}"]
    low, high = (
        {first["name"]: 1.0 - survived ** (max(rate[end], 0.0) / rate["value"])} for end in ("low", "high")
    )
    return low, high

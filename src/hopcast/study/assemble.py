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
from hopcast.study.inputs import StudyData
from hopcast.study.lifetimes import coupling_of
from hopcast.study.ranking import TARGETS
from hopcast.study.relaxation import relaxation_series
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
    if "curves" in stages:
        results["learning_curves"] = stages["curves"].numbers["learning_curves"]
    for key in ("dephasing", "seam", "rate_controls"):
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
        series = dataclasses.replace(series, relaxation=relaxation_series(stages["relaxation"]))
    return StudyReport(results, series)


def _data(
    config: StudyConfig, data: StudyData, information: StageResult, models: StageResult
) -> dict[str, Any]:
    trajectory, gap, nac = data.trajectory, data.hamiltonian.gap(), data.hamiltonian.coupling()
    memory = information.numbers["memory"]
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
        "gap_mean": float(gap.mean()),
        "gap_std": float(gap.std()),
        "nac_rms": float(np.sqrt((np.abs(nac) ** 2).mean())),
        **number("correlation_time", max(entry["correlation_time"] for entry in memory.values())),
        **_temperature(data),
        **({"train_stride": strides[0]} if strides else {}),
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
            name: coupling_of(config.models, data, models.arrays[f"nac/{name}"], models.arrays[f"gap/{name}"])
            for name in names
        }
        nac = Forecast(middle, np.abs(pair.coupling()), models.arrays["train/nac"], forecasts)
    if dynamics.numbers["hamiltonians"]:
        rows = [record["name"] for record in dynamics.numbers["hamiltonians"]]
        populations = Populations(
            dynamics.arrays["times"] / FS_PER_NS,
            {name: dynamics.arrays[f"population/{name}"] for name in rows},
            *_band(dynamics),
            monte_carlo=checks.arrays.get("monte_carlo"),
        )
        dephasing = Dephasing(
            dynamics.arrays["dephasing/times"], dynamics.arrays["dephasing/function"],
            float(dynamics.numbers["dephasing"]["tau"]),
            dynamics.arrays["dephasing/times"], dynamics.arrays["dephasing/correlation"],
        )  # fmt: skip
    atoms = {target: information.arrays[f"atoms/{target}"] for target in TARGETS}
    return Series(structure, gap, nac, dephasing, populations, maps, atoms)


def _band(dynamics: StageResult) -> tuple[dict[str, NDArray[Any]], dict[str, NDArray[Any]]]:
    """Return the ends of the ab initio population's interval: that of its rate, P -> 1 - (1 - P)^(k'/k)."""
    first = dynamics.numbers["hamiltonians"][0]
    rate = first["rate"]
    if not rate["value"] or rate["low"] is None or rate["high"] is None:
        return {}, {}
    survived = 1.0 - dynamics.arrays[f"population/{first['name']}"]
    low, high = (
        {first["name"]: 1.0 - survived ** (max(rate[end], 0.0) / rate["value"])} for end in ("low", "high")
    )
    return low, high

"""A result on disk: HDF5 for the arrays, plain objects for JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from hopcast.core.hdf5 import put_array, put_attributes, write_file
from hopcast.core.plain import Plain
from hopcast.dynamics.decays import DecayFits, DecayModel
from hopcast.dynamics.result import DynamicsResult


def result_record(result: DynamicsResult, fits: DecayFits | None = None) -> dict[str, Plain]:
    """Return what a result says as plain objects for JSON (numbers that are not finite become None)."""

    def plain(value: Any) -> Plain:
        array = np.asarray(value)
        if array.ndim:
            return [plain(item) for item in array]
        return None if array.dtype.kind == "f" and not np.isfinite(array) else array.item()

    record: dict[str, Plain] = {
        "method": result.method,
        "rule": result.rule,
        "waiting": result.waiting,
        "decisions": result.decisions,
        "carrier": result.carrier,
        "states": list(result.states),
        "initial_state": result.states[result.initial_state],
        "initial_populations": plain(result.initial_populations),
        "temperature": result.temperature,
        "tau": plain(result.tau),
        "tau_convention": result.tau_convention,
        "tau_excess": result.tau_excess,
        "duration": float(result.times[-1]),
        "substeps": result.substeps,
        "substep": result.substep,
        "max_phase": result.max_phase,
        "coupling_interpolation": result.coupling_interpolation,
        "absorbing": result.absorbing,
        "loop": result.loop,
        "n_trajectories": result.n_trajectories,
        "initial_times": plain(result.initial_times),
        "n_hops": result.n_hops,
        "random_state": result.random_state,
        "fit_window": list(result.fit_window),
        "final_populations": plain(result.populations[-1]),
        "asymptotic_rate": plain(result.asymptotic_rate),
    }
    for name in ("lifetime", "rate", "gradient", "intercept"):
        record[name] = getattr(result, name).as_dict()
    if result.seam is not None:
        record["seam"] = {
            "energy_jump": result.seam.energy_jump,
            "usual_step": result.seam.usual_step,
            "closed": result.seam.closed,
            "rate_kept": plain(result.seam.rate_kept),
            "rate_zeroed": plain(result.seam.rate_zeroed),
        }
    if result.flows is not None:
        record["hops"] = plain(result.flows)
    if result.recombined is not None:
        record["recombined"] = plain(result.recombined[-1])
    if fits is not None:
        record["decays"] = [_model_record(model) for model in fits.models]
        record["decay_note"] = fits.note
    return record


def _model_record(model: DecayModel) -> dict[str, Plain]:
    return {
        "model": model.name,
        "parameters": list(model.parameters),
        "lifetime": model.lifetime,
        "extrapolated": model.extrapolated,
        "deviation": model.deviation,
        "bic": model.bic,
    }


def write_result(result: DynamicsResult, path: str | Path) -> None:
    """Write populations, intervals, times, dephasing times and hops to an HDF5 file (atomic).

    Raises
    ------
    OutputError
        If it cannot be written.
    """

    def fill(file: Any) -> None:
        group = file.create_group("dynamics")
        put_attributes(
            group,
            {
                "method": result.method,
                "rule": result.rule,
                "waiting": result.waiting,
                "decisions": result.decisions,
                "carrier": result.carrier,
                "states": ", ".join(result.states),
                "temperature": result.temperature,
                "random_state": result.random_state,
            },
        )
        put_array(group, "times", result.times, unit="fs", axes=["time"])
        put_array(group, "populations", result.populations, unit="1", axes=["time", "state"])
        for name in ("populations_low", "populations_high"):
            values = getattr(result, name)
            if values is not None:
                put_array(group, name, values, unit="1", axes=["time", "state"])
        put_array(group, "tau", result.tau, unit="fs", axes=["state", "state"])
        put_array(group, "initial_times", result.initial_times, unit="frame", axes=["start"])
        put_array(group, "local_rate", result.local_rate, unit="1/fs", axes=["step"])
        if result.mean_energies is not None:
            put_array(group, "mean_energies", result.mean_energies, unit="eV", axes=["state"])
        if result.flows is not None:
            put_array(group, "hops", result.flows, unit="1", axes=["from", "to"])
        if result.recombined is not None:
            put_array(group, "recombined", result.recombined, unit="1", axes=["time", "from"])

    write_file(path, fill)

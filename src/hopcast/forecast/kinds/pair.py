"""Gap and coupling of two states, each by a learner of its own."""

from __future__ import annotations

import json
from typing import Any

from hopcast.core import hdf5
from hopcast.core.hamiltonian import VibronicHamiltonian
from hopcast.core.trajectory import Trajectory
from hopcast.evaluation import TrainingDomain
from hopcast.forecast.fit_pair import PairForecaster
from hopcast.forecast.fitted_pair import FittedPair, TargetModel
from hopcast.forecast.protocol import ForecasterKind
from hopcast.forecast.representation import Representation
from hopcast.forecast.storage import get_learner, get_value, put_learner, put_value


def unable(trajectory: Trajectory, known: VibronicHamiltonian, lower: int) -> str:
    """Learns from any two states."""
    return ""


def put(group: Any, forecaster: FittedPair) -> None:
    """Store learners, what they see, and the domain of the training set."""
    hdf5.put_attributes(
        group,
        {
            "n_samples": forecaster.n_samples,
            "mean_gap": forecaster.mean_gap,
            "mean_gap_unit": "eV",
            "symbols": list(forecaster.symbols),
            "state_labels": list(forecaster.state_labels),
            "dephasing_time": forecaster.dephasing_time,
            "dephasing_time_unit": "fs",
            "timestep": forecaster.timestep,
            "timestep_unit": "fs",
        },
    )
    hdf5.put_array(group, "cell", forecaster.cell, unit="Å", axes=("vector", "xyz"))
    hdf5.put_attributes(group.create_group("provenance"), forecaster.provenance)
    for name, model in forecaster.targets.items():
        part = group.create_group(name)
        hdf5.put_attributes(
            part,
            {
                "name": model.name,
                "representation": json.dumps(model.representation.to_dict()),
                "scale": model.scale,
                "r2": model.r2,
            },
        )
        put_learner(part.create_group("learner"), model.learner)
    domain = group.create_group("domain")
    for name, value in vars(forecaster.domain).items():
        put_value(domain, name, value)


def get(group: Any) -> FittedPair:
    """Load what `put` stored."""
    gap, coupling = (_model(group[name]) for name in ("gap", "coupling"))
    return FittedPair(
        gap=gap,
        coupling=coupling,
        domain=TrainingDomain(**{name: get_value(item) for name, item in group["domain"].items()}),
        mean_gap=float(group.attrs["mean_gap"]),
        n_samples=int(group.attrs["n_samples"]),
        symbols=tuple(str(one) for one in group.attrs["symbols"]),
        cell=hdf5.get_array(group, "cell"),
        timestep=float(group.attrs["timestep"]),
        dephasing_time=float(group.attrs["dephasing_time"]),
        state_labels=tuple(str(one) for one in group.attrs["state_labels"]),
        provenance={key: str(value) for key, value in group["provenance"].attrs.items()},
    )


def _model(group: Any) -> TargetModel:
    return TargetModel(
        str(group.attrs["name"]),
        Representation.from_dict(json.loads(group.attrs["representation"])),
        get_learner(group["learner"]),
        float(group.attrs["scale"]),
        float(group.attrs["r2"]),
    )


KIND = ForecasterKind("pair", "pair", lambda workers: PairForecaster(workers=workers), unable, FittedPair, put, get)

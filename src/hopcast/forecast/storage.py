"""A forecaster in one HDF5 file: plain numbers, text and arrays, nothing that could run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from hopcast.core import hdf5
from hopcast.core.errors import ConfigError, InputError
from hopcast.evaluation import TrainingDomain
from hopcast.forecast.forecaster import Forecaster, TargetModel
from hopcast.forecast.representation import Representation
from hopcast.regression import ExchangeableRidge, LaplacianRidge, LinearRidge, LowRankRidge

LEARNERS: Final = {
    learner.__name__: learner for learner in (LaplacianRidge, ExchangeableRidge, LinearRidge, LowRankRidge)
}
"""What a file may hold."""

DEFINITION: Final = 2
"""Of the features and the layout: a file of another one would forecast something else."""

NOT_KEPT: Final = ("workers", "search_")
"""How it was computed, and the table of the search: neither changes a forecast."""


def save_forecaster(forecaster: Forecaster, path: str | Path) -> None:
    """Write a forecaster, atomically.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """

    def fill(file: Any) -> None:
        group = file.create_group("forecaster")
        hdf5.put_attributes(
            group,
            {
                "definition": DEFINITION, "n_samples": forecaster.n_samples,
                "mean_gap": forecaster.mean_gap, "mean_gap_unit": "eV",
                "symbols": list(forecaster.symbols), "state_labels": list(forecaster.state_labels),
                "dephasing_time": forecaster.dephasing_time, "dephasing_time_unit": "fs",
                "timestep": forecaster.timestep, "timestep_unit": "fs",
            },
        )  # fmt: skip
        hdf5.put_array(group, "cell", forecaster.cell, unit="Å", axes=("vector", "xyz"))
        hdf5.put_attributes(group.create_group("provenance"), forecaster.provenance)
        for name, model in forecaster.models.items():
            part = group.create_group(name)
            hdf5.put_attributes(
                part,
                {
                    "name": model.name, "representation": json.dumps(model.representation.to_dict()),
                    "scale": model.scale, "r2": model.r2,
                },
            )  # fmt: skip
            put_learner(part.create_group("learner"), model.learner)
        domain = group.create_group("domain")
        for name, value in vars(forecaster.domain).items():
            _put(domain, name, value)

    hdf5.write_file(path, fill)


def load_forecaster(path: str | Path) -> Forecaster:
    """Read a forecaster.

    Raises
    ------
    InputError
        If the file is missing, broken, or holds no forecaster.
    """
    try:
        with hdf5.open_file(path) as file:
            if "forecaster" not in file:
                raise InputError(
                    f"File `{path}` must hold a forecaster (`hopcast fit` writes one), but holds {', '.join(file) or 'nothing'}."
                )
            group = file["forecaster"]
            definition = int(group.attrs.get("definition", 1))
            if definition != DEFINITION:
                raise InputError(
                    f"File `{path}` must define features as this version of hopcast does (definition {DEFINITION}), but has "
                    f"definition {definition}. Fit the forecaster again."
                )
            gap, coupling = (_model(group[name]) for name in ("gap", "coupling"))
            return Forecaster(
                gap=gap, coupling=coupling,
                domain=TrainingDomain(**{name: _get(item) for name, item in group["domain"].items()}),
                mean_gap=float(group.attrs["mean_gap"]), n_samples=int(group.attrs["n_samples"]),
                symbols=tuple(str(one) for one in group.attrs["symbols"]), cell=hdf5.get_array(group, "cell"),
                timestep=float(group.attrs["timestep"]), dephasing_time=float(group.attrs["dephasing_time"]),
                state_labels=tuple(str(one) for one in group.attrs["state_labels"]),
                provenance={key: str(value) for key, value in group["provenance"].attrs.items()},
            )  # fmt: skip
    except (InputError, ConfigError):
        raise
    except Exception as error:  # h5py raises whatever the HDF5 library says of damaged files
        raise InputError(
            f"File `{path}` is damaged ({type(error).__name__}: {str(error)[:200]}). Fit the forecaster again."
        ) from error


def fingerprint(forecaster: Forecaster) -> str:
    """Return the hash of everything that a forecast depends on, the same before and after the file."""
    digest = hashlib.sha256(f"{DEFINITION} {forecaster.mean_gap!r} {forecaster.timestep!r}".encode())
    for model in forecaster.models.values():
        digest.update(f"{model.representation} {model.scale!r} {type(model.learner).__name__}".encode())
        _add_all(digest, {name: value for name, value in vars(model.learner).items() if name not in NOT_KEPT})
    _add_all(digest, vars(forecaster.domain))
    return digest.hexdigest()


def _model(group: Any) -> TargetModel:
    return TargetModel(
        str(group.attrs["name"]), Representation.from_dict(json.loads(group.attrs["representation"])),
        get_learner(group["learner"]), float(group.attrs["scale"]), float(group.attrs["r2"]),
    )  # fmt: skip


def _add_all(digest: Any, values: Mapping[str, Any]) -> None:
    for name, value in sorted(values.items()):
        digest.update(name.encode())
        _add(digest, value)


def _add(digest: Any, value: Any) -> None:
    if isinstance(value, np.ndarray) and value.dtype.kind != "U":
        digest.update(f"{value.dtype}{value.shape}".encode())
        digest.update(np.ascontiguousarray(value).data)
    elif isinstance(value, list | tuple | np.ndarray):
        digest.update(f"sequence {len(value)}".encode())
        for item in value:
            _add(digest, item)
    else:
        digest.update(json.dumps(value.item() if isinstance(value, np.generic) else value).encode())


def put_learner(group: Any, learner: Any) -> None:
    """Store a fitted learner: its class by name, its parameters, its fitted state."""
    group.attrs["learner"] = type(learner).__name__
    for name, value in vars(learner).items():
        if name not in NOT_KEPT:
            _put(group, name, value)


def get_learner(group: Any) -> Any:
    """Load a learner of a known class.

    Raises
    ------
    InputError
        If its class is none of `LEARNERS`.
    """
    name = str(group.attrs["learner"])
    if name not in LEARNERS:
        raise InputError(
            f"File `{group.file.filename}` holds a learner `{name}`, but this hopcast knows {', '.join(LEARNERS)}. Update hopcast."
        )
    learner = LEARNERS[name]()
    for key in group:
        setattr(learner, key, _get(group[key]))
    return learner


def _put(group: Any, name: str, value: Any) -> None:
    """Store a number, text, None, an array, or a sequence of these."""
    if isinstance(value, np.ndarray) and value.dtype.kind != "U":
        hdf5.put_array(group, name, value, unit="1", axes=("",) * value.ndim)
    elif isinstance(value, list | tuple) or (isinstance(value, np.ndarray) and value.dtype.kind == "U"):
        part = group.create_group(name)
        part.attrs["kind"] = type(value).__name__
        for index, item in enumerate(value):
            _put(part, f"{index:06d}", item)
    else:
        plain = value.item() if isinstance(value, np.generic) else value
        part = group.create_group(name)
        part.attrs["kind"] = "json"
        part.attrs["value"] = json.dumps(plain)


def _get(item: Any) -> Any:
    if not hasattr(item, "keys"):
        return np.asarray(item[()])
    kind = item.attrs["kind"]
    if kind == "json":
        return json.loads(item.attrs["value"])
    values = [_get(item[key]) for key in sorted(item)]
    return tuple(values) if kind == "tuple" else np.array(values) if kind == "ndarray" else values

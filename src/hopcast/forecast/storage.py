"""A forecaster in one HDF5 file: plain numbers, text and arrays, nothing that could run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import numpy as np

from hopcast import regression
from hopcast.core import hdf5
from hopcast.core.declared import list_declared
from hopcast.core.errors import InputError
from hopcast.core.fingerprint import fingerprint
from hopcast.forecast.protocol import FittedForecaster, list_kinds

DEFINITION: Final = 2
"""Of the features and the layout: a file of another one would forecast something else."""

NOT_KEPT: Final = ("workers", "search_")
"""How it was computed, and the table of the search: neither changes a forecast."""

IN_WORDS: Final = ("provenance", "name", "r2", "scores")
"""What is said of a forecaster changes no forecast either."""


def save_forecaster(forecaster: FittedForecaster, path: str | Path) -> None:
    """Write a forecaster, atomically.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    kind = next(one for one in list_kinds() if isinstance(forecaster, one.fitted))

    def fill(file: Any) -> None:
        group = file.create_group("forecaster")
        hdf5.put_attributes(group, {"definition": DEFINITION, "kind": kind.name})
        kind.put(group, forecaster)

    hdf5.write_file(path, fill)


def load_forecaster(path: str | Path) -> FittedForecaster:
    """Read a forecaster.

    Raises
    ------
    InputError
        If the file is missing, broken, or holds no forecaster.
    """
    with hdf5.open_group(path, "forecaster", "forecaster", "`hopcast fit`", DEFINITION) as group:
        kinds = {kind.name: kind for kind in list_kinds()}
        name = str(group.attrs.get("kind", "pair"))
        if name not in kinds:
            raise InputError(
                f"File `{path}` holds a forecaster of the kind `{name}`, but this hopcast knows {', '.join(kinds)}. Update hopcast."
            )
        return kinds[name].get(group)


def signature(forecaster: FittedForecaster) -> str:
    """Return the hash of everything that a forecast depends on, the same before and after the file."""
    return fingerprint(DEFINITION, forecaster, leave_out=NOT_KEPT + IN_WORDS)


def put_learner(group: Any, learner: Any) -> None:
    """Store a fitted learner: its class by name, its parameters, its fitted state."""
    group.attrs["learner"] = type(learner).__name__
    for name, value in vars(learner).items():
        if name not in NOT_KEPT:
            put_value(group, name, value)


def get_learner(group: Any) -> Any:
    """Load a learner, of a class that a module of `hopcast.regression` names as its `LEARNER`.

    Raises
    ------
    InputError
        If there is none of that name.
    """
    name = str(group.attrs["learner"])
    learners = {learner.__name__: learner for learner in list_declared(regression, "LEARNER")}
    if name not in learners:
        raise InputError(
            f"File `{group.file.filename}` holds a learner `{name}`, but this hopcast knows {', '.join(learners)}. Update hopcast."
        )
    learner = learners[name]()
    for key in group:
        setattr(learner, key, get_value(group[key]))
    return learner


def put_value(group: Any, name: str, value: Any) -> None:
    """Store a number, text, None, an array, or a sequence of these."""
    if isinstance(value, np.ndarray) and value.dtype.kind != "U":
        hdf5.put_array(group, name, value, unit="1", axes=("",) * value.ndim)
    elif isinstance(value, list | tuple) or (isinstance(value, np.ndarray) and value.dtype.kind == "U"):
        part = group.create_group(name)
        part.attrs["kind"] = type(value).__name__
        for index, item in enumerate(value):
            put_value(part, f"{index:06d}", item)
    else:
        plain = value.item() if isinstance(value, np.generic) else value
        part = group.create_group(name)
        part.attrs["kind"] = "json"
        part.attrs["value"] = json.dumps(plain)


def get_value(item: Any) -> Any:
    """Load what `put_value` stored."""
    if not hasattr(item, "keys"):
        return np.asarray(item[()])
    kind = item.attrs["kind"]
    if kind == "json":
        return json.loads(item.attrs["value"])
    values = [get_value(item[key]) for key in sorted(item)]
    return tuple(values) if kind == "tuple" else np.array(values) if kind == "ndarray" else values

"""Stages of a study: computed once, kept in HDF5 under the hash of their inputs, found again after a kill."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hopcast.core import hdf5
from hopcast.core.errors import InputError


@dataclass(frozen=True, eq=False)
class StageResult:
    """What a stage leaves behind: plain numbers and text, and arrays by name.

    Attributes
    ----------
    numbers
        Anything JSON can hold.
    arrays
        Arrays by name.
    """

    numbers: dict[str, Any] = field(default_factory=dict)
    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)


def stage_key(name: str, inputs: Mapping[str, Any]) -> str:
    """Return the hash of a stage's inputs: its name, the version of hopcast, settings, keys of earlier stages."""
    from importlib.metadata import version

    text = json.dumps(
        {"stage": name, "hopcast": version("hopcast"), "inputs": inputs}, sort_keys=True, default=str
    )
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def array_hash(*arrays: NDArray[Any] | None) -> str:
    """Return the hash of the contents of arrays."""
    digest = hashlib.sha256()
    for array in arrays:
        if array is None:
            digest.update(b"none")
            continue
        digest.update(f"{array.dtype}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def cached(folder: Path, name: str, key: str, compute: Callable[[], StageResult]) -> tuple[StageResult, bool]:
    """Return a stage's result and whether it was found on disk; a computed one is stored atomically.

    A file that cannot be read is computed again: a cache is never worth a failure.
    """
    path = folder / f"{name}-{key}.h5"
    if path.exists():
        try:
            return _load(path), True
        except (InputError, KeyError, ValueError, OSError):
            path.unlink()
    result = compute()
    _store(path, name, key, result)
    return result, False


def _store(path: Path, name: str, key: str, result: StageResult) -> None:
    def fill(file: Any) -> None:
        # a dataset, not an attribute: attributes end at 64 kB
        file.create_dataset("numbers", data=json.dumps(result.numbers, allow_nan=True))
        file.attrs["stage"] = name
        file.attrs["key"] = key
        arrays = file.create_group("arrays")
        for label, values in result.arrays.items():
            arrays.create_dataset(label.replace("/", "|"), data=values, track_times=False)

    hdf5.write_file(path, fill)


def _load(path: Path) -> StageResult:
    with hdf5.open_file(path) as file:
        numbers = json.loads(file["numbers"].asstr()[()])
        arrays = {label.replace("|", "/"): np.asarray(values[()]) for label, values in file["arrays"].items()}
    return StageResult(numbers, arrays)

"""`results.json`: its JSON Schema (made from the records), checking and writing it."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ValidationError

from hopcast.core.errors import InputError
from hopcast.core.hdf5 import write_text
from hopcast.results.study import StudyResults


def results_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of `results.json`."""
    made = StudyResults.model_json_schema(by_alias=True)
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:hopcast:results:1",
        "title": "hopcast results",
    }
    return head | {key: value for key, value in made.items() if key != "title"}


def plain(value: Any) -> Any:
    """Return records, mappings, NumPy scalars and arrays, tuples and paths as plain JSON types."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", by_alias=True)
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Path):
        return str(value)
    return value


def validate_results(results: StudyResults | Mapping[str, Any]) -> StudyResults:
    """Check results, and return them as records.

    Every key at any depth that is null must have a sibling ``<key>_reason``, lists hold no null, and every number must be
    finite, under keys that no record names too.

    Raises
    ------
    InputError
        Naming the first offending place, e.g. ``models[3].r2``.
    """
    if isinstance(results, StudyResults):
        return results
    values = plain(results)
    for problem in _null_problems(values, ""):
        raise InputError(f"Results do not follow the schema: {problem}")
    try:
        return StudyResults.model_validate(values)
    except ValidationError as error:
        raise InputError(f"Results do not follow the schema: {_sentence(error)}") from None


def to_json(results: StudyResults | Mapping[str, Any], path: str | Path | None = None) -> str:
    """Return results as JSON text, and write it atomically where a path is given.

    Raises
    ------
    InputError
        If the results do not follow the schema or hold a number that is not finite.
    OutputError
        If the file cannot be written.
    """
    values = validate_results(results).to_dict()
    text = json.dumps(values, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    if path is not None:
        write_text(path, text)
    return text


def _sentence(error: ValidationError) -> str:
    first = error.errors()[0]
    path = ""
    for part in first["loc"]:
        path = f"{path}[{part}]" if isinstance(part, int) else _join(path, part)
    if first["type"] == "missing":
        where, _, key = path.rpartition(".")
        return f"{_where(where)} must have the key `{key}`."
    message = first["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
    return f"{_where(path)} must be {message}, but is {_shown(first['input'])}."


def _null_problems(value: Any, path: str) -> Iterator[str]:
    """Yield nulls without a reason and numbers that are not finite, also under keys the schema does not name."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            if item is None:
                reason = value.get(f"{key}_reason")
                if not (isinstance(reason, str) and reason):
                    yield f"`{_join(path, key)}` is null and must have the sibling `{key}_reason`."
            else:
                yield from _null_problems(item, _join(path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            if item is None:
                yield f"`{path}[{index}]` is null, but a list holds no null; leave it out and say why beside."
            else:
                yield from _null_problems(item, f"{path}[{index}]")
    elif isinstance(value, float) and not math.isfinite(value):
        yield f"{_where(path)} must be finite, but is {value}; write null and a reason."
    elif not isinstance(value, str | int | float | bool):
        yield f"{_where(path)} must be a JSON value, but is {_shown(value)}."


def _where(path: str) -> str:
    return f"`{path}`" if path else "the top level"


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."

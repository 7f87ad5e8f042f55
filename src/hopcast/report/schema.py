"""`results.json`: its JSON Schema, a light validation that needs no further package, and writing it."""

from __future__ import annotations

import json
import math
import operator
import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from hopcast.core.errors import InputError
from hopcast.core.hdf5 import write_text

SCHEMA_VERSION = "1.0"
"""Written into every `results.json`; the first number changes when a key changes its meaning."""

_TYPES: dict[str, Any] = {
    "object": Mapping, "array": list, "string": str, "boolean": bool, "null": type(None), "integer": int,
    "number": (int, float),
}  # fmt: skip

_BOUNDS: dict[str, tuple[str, Callable[[float, float], bool]]] = {
    "minimum": ("at least", operator.ge), "maximum": ("at most", operator.le),
    "exclusiveMinimum": ("above", operator.gt), "exclusiveMaximum": ("below", operator.lt),
}  # fmt: skip


@lru_cache(maxsize=1)
def _schema() -> dict[str, Any]:
    return json.loads((files("hopcast.report") / "results.schema.json").read_text(encoding="utf-8"))


def results_schema() -> dict[str, Any]:
    """Return a copy of the JSON Schema (2020-12) of `results.json` that ships with hopcast."""
    return json.loads(json.dumps(_schema()))


def plain(value: Any) -> Any:
    """Return `value` with NumPy scalars and arrays, tuples and other mappings as plain JSON types."""
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


def validate_results(results: Mapping[str, Any]) -> None:
    """Check results against the shipped schema and the rule that a null carries its reason.

    The part of JSON Schema that our schema uses is interpreted here, so that no validator is needed at run
    time. Beyond the schema, every key at any depth that is null must have a sibling ``<key>_reason``, lists
    hold no null, and every number must be finite.

    Raises
    ------
    InputError
        Naming the first offending place, e.g. ``models[3].r2``.
    """
    for problem in _problems(plain(results), _schema(), ""):
        raise InputError(f"Results do not follow the schema: {problem}")
    for problem in _null_problems(plain(results), ""):
        raise InputError(f"Results do not follow the schema: {problem}")


def to_json(results: Mapping[str, Any], path: str | Path | None = None) -> str:
    """Return results as JSON text, and write it atomically where a path is given.

    Parameters
    ----------
    results
        As the schema asks; NumPy numbers and arrays are converted.
    path
        File to write, e.g. ``results.json``.

    Raises
    ------
    InputError
        If the results do not follow the schema or hold a number that is not finite.
    OutputError
        If the file cannot be written.
    """
    validate_results(results)
    text = json.dumps(plain(results), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    if path is not None:
        write_text(path, text)
    return text


def _where(path: str) -> str:
    return f"`{path}`" if path else "the top level"


def _is_type(value: Any, name: str) -> bool:
    if isinstance(value, bool):
        return name == "boolean"
    if name == "integer" and isinstance(value, float):  # JSON knows 2.0 as an integer
        return value.is_integer()
    return isinstance(value, _TYPES[name])


def _problems(value: Any, schema: Mapping[str, Any], path: str) -> Iterator[str]:
    if "$ref" in schema:
        yield from _problems(value, _schema()["$defs"][schema["$ref"].removeprefix("#/$defs/")], path)
    if "type" in schema:
        names = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
        if not any(_is_type(value, name) for name in names):
            yield f"{_where(path)} must be of type {' or '.join(names)}, but is {_shown(value)}."
            return
    if "enum" in schema and value not in schema["enum"]:
        yield f"{_where(path)} must be one of {', '.join(schema['enum'])}, but is {_shown(value)}."
    if isinstance(value, str):
        if len(value) < schema.get("minLength", 0):
            yield f"{_where(path)} must not be empty."
        if "pattern" in schema and not re.search(schema["pattern"], value):
            yield f"{_where(path)} must match {schema['pattern']}, but is {_shown(value)}."
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield from _number_problems(value, schema, path)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _problems(item, schema.get("items", {}), f"{path}[{index}]")
    elif isinstance(value, Mapping):
        yield from _object_problems(value, schema, path)


def _number_problems(value: float, schema: Mapping[str, Any], path: str) -> Iterator[str]:
    if not math.isfinite(value):
        yield f"{_where(path)} must be finite, but is {value}; write null and a reason."
        return
    for keyword, (words, holds) in _BOUNDS.items():
        if keyword in schema and not holds(value, schema[keyword]):
            yield f"{_where(path)} must be {words} {schema[keyword]}, but is {value:g}."


def _object_problems(value: Mapping[str, Any], schema: Mapping[str, Any], path: str) -> Iterator[str]:
    properties = schema.get("properties", {})
    for key in schema.get("required", ()):
        if key not in value:
            yield f"{_where(path)} must have the key `{key}`."
    for key, item in value.items():
        if key in properties:
            yield from _problems(item, properties[key], _join(path, key))
        elif "additionalProperties" in schema:
            yield from _problems(item, schema["additionalProperties"], _join(path, key))
    for rule in schema.get("allOf", ()):
        if not any(_problems(value, rule["if"], path)):
            yield from _problems(value, rule["then"], path)


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


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."

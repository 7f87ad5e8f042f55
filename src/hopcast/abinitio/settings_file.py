"""A file with an engine's settings, so that the command line reaches all that Python does."""

from __future__ import annotations

import dataclasses
import inspect
import tomllib
from pathlib import Path
from typing import Any

from hopcast.abinitio.code import Code
from hopcast.abinitio.codes import find_code
from hopcast.core.errors import ConfigError, nearest
from hopcast.core.inputs import refuse_pipe


def read_engine_options(path: str | Path, engine: str) -> dict[str, Any]:
    """Return the options of `make_engine` from a TOML file.

    Parameters
    ----------
    path
        The file: one key a line, for tblite the arguments of `TbliteEngine` (method, accuracy, temperature, max_iterations), for
        cp2k, qe and vasp those of `Cp2kSettings`, `QeSettings` and `VaspSettings`, and temperature.
    engine
        "tblite", "cp2k", "qe" or "vasp".

    Raises
    ------
    ConfigError
        If it is missing, not TOML, or a key or the type of a value is wrong.
    """
    name = refuse_pipe(path)
    try:
        values = tomllib.loads(name.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ConfigError(f"File `{name}` cannot be read: {error.strerror or error}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"File `{name}` is not valid TOML: {error}.") from error
    code = find_code(engine)
    known = _defaults(code)
    for key, value in values.items():
        if key not in known:
            raise ConfigError(
                f"File `{name}` has the unknown key `{key}` for the engine {engine}.{nearest(key, known)}"
            )
        kind: Any = type(known[key])
        kind = {tuple: list}.get(kind, kind)
        if not isinstance(value, (int, float) if kind is float else kind) or isinstance(value, bool):
            raise ConfigError(f"File `{name}`, `{key}` must be like {known[key]!r}, but is {value!r}.")
    if code.settings is None:
        return values
    own = {"temperature": values.pop("temperature")} if "temperature" in values else {}
    return {**own, "settings": code.settings(**values)}


def _defaults(code: Code) -> dict[str, Any]:
    if code.settings is not None:
        return {**dataclasses.asdict(code.settings()), "temperature": 300.0}
    parameters = inspect.signature(code.engine).parameters
    return {key: one.default for key, one in parameters.items() if key != "bands"}

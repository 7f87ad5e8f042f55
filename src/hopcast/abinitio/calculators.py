"""A calculator of ASE, named as ``module:Class``, for molecular dynamics: CHGNet, MACE, GPAW, anything that ASE drives."""

from __future__ import annotations

import importlib
import tomllib
from pathlib import Path
from typing import Any

from hopcast.core.errors import ConfigError, nearest
from hopcast.core.inputs import refuse_pipe


def make_calculator(name: str, options: str | Path | None = None) -> Any:
    """Return a calculator of ASE.

    Parameters
    ----------
    name
        ``module:Class``, or a function that returns one: ``chgnet.model.dynamics:CHGNetCalculator``, ``mace.calculators:mace_mp``.
    options
        TOML file of its keywords, or None.

    Raises
    ------
    ConfigError
        If it cannot be imported, does not exist, refuses its keywords or calculates no forces.
    """
    module_name, _, attribute = name.partition(":")
    if not (module_name and attribute):
        raise ConfigError(f"Argument `calculator` must be like ase.calculators.emt:EMT, but is `{name}`.")
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise ConfigError(
            f"Calculator `{name}` cannot be imported: {error}. Install the package it comes with."
        ) from error
    if not hasattr(module, attribute):
        raise ConfigError(f"Module `{module_name}` has no `{attribute}`.{nearest(attribute, dir(module))}")
    keywords = {} if options is None else read_keywords(options)
    try:
        calculator = getattr(module, attribute)(**keywords)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"Calculator `{name}` refuses its keywords: {error}.") from error
    if not hasattr(calculator, "get_property"):
        raise ConfigError(f"`{name}` must give a calculator of ASE, but gives a {type(calculator).__name__}.")
    return calculator


def read_keywords(path: str | Path) -> dict[str, Any]:
    """Return what a TOML file holds.

    Raises
    ------
    ConfigError
        If it cannot be read or is no TOML.
    """
    name = refuse_pipe(path)
    try:
        return tomllib.loads(name.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ConfigError(f"File `{name}` cannot be read: {error.strerror or error}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"File `{name}` is not valid TOML: {error}.") from error

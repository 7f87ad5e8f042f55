"""The codes of electronic structure, one short file each that names its `CODE`; nothing else lists them."""

from __future__ import annotations

import sys
from typing import Any

from hopcast.abinitio.code import Code
from hopcast.abinitio.engine import Engine
from hopcast.abinitio.plan import Plan
from hopcast.core.declared import list_declared
from hopcast.core.errors import check_choice

__all__ = ["find_code", "list_codes", "make_engine", "plan_code"]


def list_codes() -> dict[str, Code]:
    """Return all codes by name."""
    return {code.name: code for code in list_declared(sys.modules[__name__], "CODE")}


def find_code(name: str) -> Code:
    """Return the code of a name.

    Raises
    ------
    ConfigError
        If there is none.
    """
    codes = list_codes()
    return codes[check_choice("engine", name, tuple(codes))]


def make_engine(name: str, **options: Any) -> Engine:
    """Return an engine.

    Parameters
    ----------
    name
        "tblite", "cp2k", "qe" or "vasp".
    options
        Of `TbliteEngine`, `Cp2kEngine`, `QeEngine` or `VaspEngine`.

    Raises
    ------
    ConfigError
        If it is unknown or not installed (names the extra or the package).
    """
    return find_code(name).engine(**options)


def plan_code(plan: Plan) -> Code | None:
    """Return the code whose inputs lie in the folders of a plan; None where there are none."""
    codes = [(code, code.inputs.file) for code in list_codes().values() if code.inputs is not None]
    for frame in plan.frames:
        for code, file in codes:
            if (plan.place(frame) / file).is_file():
                return code
    return None

"""The engines by name."""

from __future__ import annotations

from typing import Any

from hopcast.abinitio.engine import Engine, require
from hopcast.core.errors import check_choice

ENGINES = ("tblite", "cp2k")


def make_engine(name: str, **options: Any) -> Engine:
    """Return an engine.

    Parameters
    ----------
    name
        "tblite" or "cp2k".
    options
        Of `TbliteEngine` or `Cp2kEngine`.

    Raises
    ------
    ConfigError
        If it is unknown or not installed (names the extra or the package).
    """
    check_choice("engine", name, ENGINES)
    if name == "tblite":
        require("tblite", "tblite", "tblite")
        from hopcast.abinitio.tblite_engine import TbliteEngine

        return TbliteEngine(**options)
    from hopcast.abinitio.cp2k_engine import Cp2kEngine

    return Cp2kEngine(**options)

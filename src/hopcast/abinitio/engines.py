"""The engines by name."""

from __future__ import annotations

from typing import Any

from hopcast.abinitio.engine import Engine, require
from hopcast.core.errors import check_choice

ENGINES = ("tblite", "cp2k", "qe", "vasp")


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
    check_choice("engine", name, ENGINES)
    if name == "tblite":
        require("tblite", "tblite", "tblite")
        from hopcast.abinitio.tblite_engine import TbliteEngine

        return TbliteEngine(**options)
    if name == "qe":
        from hopcast.abinitio.qe_engine import QeEngine

        return QeEngine(**options)
    if name == "vasp":
        from hopcast.abinitio.vasp_engine import VaspEngine

        return VaspEngine(**options)
    from hopcast.abinitio.cp2k_engine import Cp2kEngine

    return Cp2kEngine(**options)

"""hopcast: forecast vibronic Hamiltonians, run surface hopping on them, say how far to trust the answer.

The public names below load their sub-packages on first use, so that ``import hopcast`` and
``hopcast --help`` are instant.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hopcast.core import (
        ConfigError,
        GateError,
        HopcastError,
        InputError,
        OutputError,
        QualityWarning,
        Trajectory,
        VibronicHamiltonian,
    )

_HOMES = {
    "ConfigError": "hopcast.core", "GateError": "hopcast.core", "HopcastError": "hopcast.core",
    "InputError": "hopcast.core", "OutputError": "hopcast.core", "QualityWarning": "hopcast.core",
    "Trajectory": "hopcast.core", "VibronicHamiltonian": "hopcast.core",
    "read_trajectory": "hopcast.io", "write_trajectory": "hopcast.io",
    "read_hamiltonian": "hopcast.io", "write_hamiltonian": "hopcast.io",
    "derive_couplings": "hopcast.couplings", "diagnose_overlaps": "hopcast.couplings",
    "load": "hopcast.datasets",
    "SymmetryFunctions": "hopcast.descriptors",
    "mutual_information": "hopcast.information", "information": "hopcast.information",
    "LaplacianRidge": "hopcast.regression",
    "dephasing_time": "hopcast.dynamics", "run_dynamics": "hopcast.dynamics",
    "run_study": "hopcast.study",
}  # fmt: skip

__all__ = ["__version__", *sorted(_HOMES)]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("hopcast")
    if name not in _HOMES:
        raise AttributeError(f"module 'hopcast' has no attribute {name!r}")
    home = importlib.import_module(_HOMES[name])
    if home.__name__ == f"{__name__}.{name}":  # a package named like its main function is callable itself
        return home
    value = getattr(home, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__

"""hopcast: forecast vibronic Hamiltonians, run surface hopping on them, say how far to trust the answer.

The public names below load their sub-packages on first use, so that ``import hopcast`` and
``hopcast --help`` are instant.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from hopcast._kernel_cache import choose_folder as _choose_folder

if TYPE_CHECKING:
    from hopcast.core import ConfigError as ConfigError
    from hopcast.core import GateError as GateError
    from hopcast.core import HopcastError as HopcastError
    from hopcast.core import InputError as InputError
    from hopcast.core import OutputError as OutputError
    from hopcast.core import QualityWarning as QualityWarning
    from hopcast.core import Trajectory as Trajectory
    from hopcast.core import VibronicHamiltonian as VibronicHamiltonian
    from hopcast.couplings import derive_couplings as derive_couplings
    from hopcast.couplings import diagnose_overlaps as diagnose_overlaps
    from hopcast.datasets import load as load
    from hopcast.descriptors import SymmetryFunctions as SymmetryFunctions
    from hopcast.dynamics import dephasing_time as dephasing_time
    from hopcast.dynamics import run_dynamics as run_dynamics
    from hopcast.evaluation import evaluate_model as evaluate_model
    from hopcast.evaluation import prediction_powered_mean as prediction_powered_mean
    from hopcast.evaluation import score_hamiltonian as score_hamiltonian
    from hopcast.information import information as information
    from hopcast.information import mutual_information as mutual_information
    from hopcast.io import list_formats as list_formats
    from hopcast.io import read_hamiltonian as read_hamiltonian
    from hopcast.io import read_psict as read_psict
    from hopcast.io import read_recomb as read_recomb
    from hopcast.io import read_shprop as read_shprop
    from hopcast.io import read_trajectory as read_trajectory
    from hopcast.io import write_hamiltonian as write_hamiltonian
    from hopcast.io import write_trajectory as write_trajectory
    from hopcast.regression import LaplacianRidge as LaplacianRidge
    from hopcast.study import run_study as run_study
    from hopcast.tightbinding import TightBinding as TightBinding

_choose_folder()

_NAMES = {
    "hopcast.core": (
        "ConfigError",
        "GateError",
        "HopcastError",
        "InputError",
        "OutputError",
        "QualityWarning",
        "Trajectory",
        "VibronicHamiltonian",
    ),
    "hopcast.io": (
        "list_formats",
        "read_hamiltonian",
        "read_psict",
        "read_recomb",
        "read_shprop",
        "read_trajectory",
        "write_hamiltonian",
        "write_trajectory",
    ),
    "hopcast.couplings": ("derive_couplings", "diagnose_overlaps"),
    "hopcast.datasets": ("load",),
    "hopcast.descriptors": ("SymmetryFunctions",),
    "hopcast.tightbinding": ("TightBinding",),
    "hopcast.information": ("information", "mutual_information"),
    "hopcast.regression": ("LaplacianRidge",),
    "hopcast.evaluation": ("evaluate_model", "prediction_powered_mean", "score_hamiltonian"),
    "hopcast.dynamics": ("dephasing_time", "run_dynamics"),
    "hopcast.study": ("run_study",),
}
_PACKAGES = frozenset(
    [
        "abinitio",
        "core",
        "couplings",
        "datasets",
        "descriptors",
        "doctor",
        "dynamics",
        "evaluation",
        "forecast",
        "information",
        "io",
        "regression",
        "report",
        "results",
        "selection",
        "study",
        "tightbinding",
    ]
)
_HOMES = {name: home for home, names in _NAMES.items() for name in names}

__all__ = ["__version__", *sorted(_HOMES)]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("hopcast")
    if name in _PACKAGES:
        return importlib.import_module(f"{__name__}.{name}")
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

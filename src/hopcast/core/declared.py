"""Plug-ins without registration: what the modules of a package declare under one name."""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType
from typing import Any


def list_declared(package: ModuleType, name: str) -> list[Any]:
    """Return what the modules of a package declare under a name, module by module in alphabetical order.

    A module that declares nothing is passed over. The package's ``__path__`` is read at every call, so that a folder that is added
    to it is searched too.

    Parameters
    ----------
    package
        The package; its modules are imported.
    name
        E.g. "FORMAT".
    """
    modules = (
        importlib.import_module(f"{package.__name__}.{found.name}") for found in pkgutil.iter_modules(package.__path__)
    )
    return [getattr(module, name) for module in modules if hasattr(module, name)]

"""The package as a whole: layers, lazy imports, public names."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import hopcast as hc

LAYERS = (
    "core",
    "io",
    "couplings",
    "datasets",
    "descriptors",
    "tightbinding",
    "information",
    "regression",
    "evaluation",
    "dynamics",
    "forecast",
    "abinitio",
    "selection",
    "results",
    "report",
    "doctor",
    "study",
    "cli",
)
ROOT = Path(hc.__file__).parent
FILES = sorted(path for path in ROOT.rglob("*.py") if path.parent != ROOT)

# a convenience method of a noun, resolved when called: `VibronicHamiltonian.write`
ALLOWED = {("core/hamiltonian.py", "io"), ("core/trajectory.py", "io")}  # the methods `write`, resolved when called


def imported_layers(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        else:
            continue
        for name in names:
            parts = name.split(".")
            if parts[0] == "hopcast" and len(parts) > 1:
                yield parts[1]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_imports_backwards(path):
    relative = path.relative_to(ROOT)
    own = LAYERS.index(relative.parts[0])
    later = {
        layer
        for layer in imported_layers(ast.parse(path.read_text(encoding="utf-8")))
        if LAYERS.index(layer) > own and (relative.as_posix(), layer) not in ALLOWED
    }
    assert not later


def test_every_public_name_loads():
    for name in hc.__all__:
        assert getattr(hc, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        hc.nothing  # noqa: B018


@pytest.mark.parametrize("layer", LAYERS)
def test_packages_say_what_they_are(layer):
    package = importlib.import_module(f"hopcast.{layer}")
    assert len(package.__doc__) > 50
    for name in package.__all__:
        assert hasattr(package, name)


def test_the_command_line_starts_without_heavy_imports():
    code = (
        "import sys; import hopcast.cli; "
        "heavy = {'numpy', 'scipy', 'numba', 'sklearn', 'matplotlib', 'h5py', 'ase', 'pydantic'} & set(sys.modules); "
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)

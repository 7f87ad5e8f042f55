"""The package as a whole: layers, lazy imports, public names."""

import ast
import graphlib
import importlib
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import hopcast as hc
from hopcast.cli.app import app
from hopcast.cli.commands import NAMES

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


def modules_imported(path, known):
    """Modules of ours that a file imports anywhere, inside functions too, but for annotations only."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for branch in (
        node for node in ast.walk(tree) if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
    ):
        branch.body = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom) and node.module in known:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if name in known else node.module for name in names)


def test_no_module_imports_itself_through_others():
    named = {}
    for path in FILES:
        parts = path.relative_to(ROOT.parent).with_suffix("").parts
        named[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    graph = {}
    for name, path in named.items():
        layers = {layer for file, layer in ALLOWED if file == path.relative_to(ROOT).as_posix()}
        found = modules_imported(path, named)
        graph[name] = {other for other in found if other != name and other.split(".")[1] not in layers}
    assert len(graph) > 300
    list(graphlib.TopologicalSorter(graph).static_order())  # CycleError names the circle


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


def loaded_by(*arguments):
    """Return the modules that a run of the command line has loaded at its end."""
    code = f"import sys, atexit; sys.argv = ['hopcast', *{arguments!r}]; from hopcast.cli import main; " + (
        "atexit.register(lambda: print(*sys.modules, file=sys.stderr)); main()"
    )
    return set(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stderr.split())


@pytest.mark.parametrize("argument", ["--help", "--version"])
def test_the_command_line_starts_without_heavy_imports(argument):
    assert not loaded_by(argument) & {
        "numpy",
        "scipy",
        "numba",
        "sklearn",
        "matplotlib",
        "h5py",
        "ase",
        "pydantic",
        "rich",
    }


def test_every_subcommand_is_listed_and_its_sentence_is_whole():
    files = {path.stem for path in (ROOT / "cli").glob("*.py") if f"\ndef {path.stem}(" in path.read_text()}
    assert set(NAMES) == files - {"grouped"}
    listed = (
        CliRunner().invoke(app, ["--help"], terminal_width=80).output.partition("Commands:")[2].strip().splitlines()
    )
    assert [line.split()[0] for line in listed] == list(NAMES)
    assert all(line.endswith(".") and not line.endswith("...") for line in listed)


def test_an_unknown_subcommand_is_answered_by_the_nearest():
    assert "Did you mean 'dynamics'?" in CliRunner().invoke(app, ["dynamic"]).output

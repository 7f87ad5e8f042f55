"""Installations that nobody can write into, and no writable HOME: kernels are kept elsewhere, or compiled each time."""

import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import hopcast
from hopcast import _kernel_cache

USE = "import hopcast; from hopcast.dynamics.randomness import open_stream; print(open_stream(1, 2, 3)[1] % 2)"


@pytest.fixture
def sealed(tmp_path):
    """A copy of the package beside whose sources nothing can be kept, and a user without a home (works for root, too)."""
    source = Path(hopcast.__file__).parent
    shutil.copytree(source, tmp_path / "site" / "hopcast", ignore=shutil.ignore_patterns("__pycache__", "data"))
    for folder in [tmp_path / "site" / "hopcast", *(tmp_path / "site" / "hopcast").rglob("*/")]:
        (folder / "__pycache__").write_text("no folder\n")
    (tmp_path / "tmp").mkdir()

    def run(code, **more):
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("NUMBA_CACHE", "XDG_CACHE"))}
        environment = kept | {
            "PYTHONPATH": str(tmp_path / "site"),
            "HOME": "/dev/null",
            "TMPDIR": str(tmp_path / "tmp"),
            **more,
        }
        return subprocess.run(
            [sys.executable, "-c", code], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
        )

    return run


def test_kernels_are_kept_in_a_private_folder(sealed, tmp_path):
    done = sealed(USE)
    assert (done.returncode, done.stdout) == (0, "1\n"), done.stderr
    (folder,) = (tmp_path / "tmp").iterdir()
    assert folder.name.startswith("hopcast-kernels-")
    assert folder.stat().st_mode & 0o077 == 0
    kept = {path: path.stat().st_mtime_ns for path in folder.rglob("*.nbc")}
    assert kept
    assert sealed(USE).returncode == 0
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*.nbc")} == kept


def test_kernels_of_an_earlier_version_are_compiled_anew(sealed, tmp_path):
    """An index names the types of its kernels before it says how old they are."""
    assert sealed(USE).returncode == 0
    indices = list((tmp_path / "tmp").rglob("randomness.open_stream*.nbi"))
    assert indices
    for index in indices:
        with index.open("rb") as file:
            version = pickle.load(file)
        for moved in (b"chopcast.core.units\nNoSuchType\n.", b"chopcast.no_such_module\nTally\n."):
            for use in (USE, "import numba; " + USE):
                index.write_bytes(pickle.dumps(version) + moved)
                done = sealed(use)
                assert (done.returncode, done.stdout) == (0, "1\n"), done.stderr
                assert moved not in index.read_bytes()


def test_without_any_place_kernels_are_compiled_each_time(sealed, tmp_path):
    nowhere = (  # the module, with no private folder, before the package is imported
        "import importlib.util as u, sys, pathlib;"
        "spec = u.spec_from_file_location('hopcast._kernel_cache', pathlib.Path(sys.path[1]) / 'hopcast/_kernel_cache.py');"
        "c = u.module_from_spec(spec); spec.loader.exec_module(c); c._private_folder = lambda: None;"
        "sys.modules['hopcast._kernel_cache'] = c;"
    )
    done = sealed(nowhere + USE)
    assert (done.returncode, done.stdout) == (0, "1\n"), done.stderr
    assert not list((tmp_path / "tmp").rglob("*.nbc"))


def test_a_folder_of_somebody_else_is_not_trusted(tmp_path, monkeypatch):
    monkeypatch.setattr(_kernel_cache, "_temporary", lambda: [str(tmp_path)])
    folder = _kernel_cache._private_folder()
    assert folder.parent == tmp_path
    folder.chmod(0o777)
    other = _kernel_cache._private_folder()
    assert other is None or other.parent != tmp_path
    folder.rmdir()
    folder.symlink_to(tmp_path)
    other = _kernel_cache._private_folder()
    assert other is None or other.parent != tmp_path


def test_where_numba_finds_a_place_nothing_changes(monkeypatch, tmp_path):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(_kernel_cache, "_private_folder", lambda: pytest.fail("asked for another place"))
    _kernel_cache.choose_folder()
    assert os.environ["NUMBA_CACHE_DIR"] == str(tmp_path)

"""A small sample of `make fuzz`, so that its harness and its seeds stay alive."""

import importlib.util
from pathlib import Path

import pytest

_spec = importlib.util.spec_from_file_location(
    "fuzz_readers", Path(__file__).parents[1] / "fuzz" / "fuzz_readers.py"
)
fuzz_readers = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(fuzz_readers)


@pytest.fixture(scope="module")
def seeds(tmp_path_factory):
    return fuzz_readers.seeds(tmp_path_factory.mktemp("seeds"))


def test_seeds_are_valid(seeds):
    for name, (path, kind, options) in seeds.items():
        fuzz_readers.read(path, kind, name, options)


def test_mutated_files_are_read_or_refused(seeds):
    for name, (path, kind, options) in seeds.items():
        fine, refused = fuzz_readers.fuzz(name, path, kind, options, 25, seed=1)
        assert fine + refused == 25
        assert refused > 0, name

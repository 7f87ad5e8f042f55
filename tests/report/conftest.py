"""The made-up study of `make_fake_study.py`, and the folder of its report."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from hopcast.report import write_report

_path = Path(__file__).with_name("make_fake_study.py")
_spec = importlib.util.spec_from_file_location("make_fake_study", _path)
_module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_module)


@pytest.fixture(scope="session")
def make_study():
    return _module.make_study


@pytest.fixture(scope="session")
def study(make_study):
    return make_study()


@pytest.fixture(scope="session")
def folder(study, tmp_path_factory):
    """The output folder of the study, and the paths that were written."""
    base = tmp_path_factory.mktemp("study") / "out"
    return base, write_report(study, base)

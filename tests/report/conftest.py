"""A study made up for tests: band-limited series, forecasts with errors of the usual size, every key filled."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

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

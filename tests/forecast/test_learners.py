"""A learner is its file and its option: chosen by name, kept in a file, known by nothing else."""

import importlib
import sys

import numpy as np
import pytest
from forecast_material import contents, make_material, same

from hopcast import regression
from hopcast.core.errors import InputError
from hopcast.forecast import fit_forecaster, fit_pair, load_forecaster, predict_stream, save_forecaster
from hopcast.forecast.options import Option, options

LEARNER = '''
from hopcast.regression import LinearRidge


class SlopeRidge(LinearRidge):
    """A line that says what it is."""


LEARNER = SlopeRidge
'''


@pytest.fixture
def added(tmp_path, monkeypatch):
    (tmp_path / "added").mkdir()
    (tmp_path / "added" / "slope.py").write_text(LEARNER)
    monkeypatch.setattr(regression, "__path__", [*regression.__path__, str(tmp_path / "added")])
    learner = importlib.import_module("hopcast.regression.slope").SlopeRidge

    def more(trajectory, functions, workers=None):
        known = options(trajectory, functions, workers)
        return (*known, Option("slope", known[-1].representation, learner(workers=workers)))

    monkeypatch.setattr(fit_pair, "options", more)
    yield learner
    sys.modules.pop("hopcast.regression.slope", None)


def test_a_learner_in_one_file_forecasts_and_is_kept(added, tmp_path, monkeypatch):
    trajectory, sparse, _ = make_material()
    found = fit_forecaster(trajectory, sparse, model="slope", workers=1)
    assert type(found.gap.learner) is added
    save_forecaster(found, tmp_path / "model.h5")
    again = load_forecaster(tmp_path / "model.h5")
    assert type(again.gap.learner) is added
    one = predict_stream(found, trajectory, tmp_path / "one.h5", workers=1)
    other = predict_stream(again, trajectory, tmp_path / "other.h5", workers=1)
    same(contents(one.path), contents(other.path))
    assert np.ptp(contents(one.path)["forecast/gap"]) > 0  # it forecasts, and not its mean
    monkeypatch.undo()
    with pytest.raises(InputError, match="holds a learner `SlopeRidge`, but this hopcast knows"):
        load_forecaster(tmp_path / "model.h5")

"""Nested selection: what it may see, what it must find, and what it must not be fooled by."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.linear_model import LinearRegression

from hopcast.core.errors import ConfigError, InputError
from hopcast.evaluation import Candidate, nested_selection, score, time_blocks
from hopcast.regression import LaplacianRidge

N = 90
TIMES = np.arange(N) * 400.0
BLOCKS = time_blocks(TIMES, 5000.0)


def data(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    X, noise = random.normal(size=(N, 3)), random.normal(size=(N, 5))
    return X, noise, X @ [1.0, -0.5, 0.2] + 0.3 * random.normal(size=N)


def test_blocks_are_those_of_the_clock() -> None:
    assert time_blocks([0.0, 4999.0, 5000.0, 17000.0], 5000.0).tolist() == [0, 0, 1, 2]
    with pytest.raises(InputError, match="at least two blocks"):
        time_blocks([0.0, 10.0], 5000.0)
    with pytest.raises(ConfigError, match="positive time"):
        time_blocks([0.0, 10.0], 0.0)


def test_the_informed_candidate_is_chosen_and_beats_its_control() -> None:
    X, noise, y = data()
    found = nested_selection(
        [
            Candidate("line", X, LinearRegression()),
            Candidate("kernel on noise", noise, LaplacianRidge(gamma=0.3, kernel="gaussian")),
            Candidate("trees on noise", noise, ExtraTreesRegressor(3, random_state=0)),
        ],
        y,
        TIMES,
        BLOCKS,
    )
    assert found.final == "line"
    assert set(found.chosen) == {"line"}
    assert found.rows[0].n_chosen == found.n_blocks == BLOCKS.max() + 1
    assert found.selected == found.rows[0].score
    assert found.selected.r2 > 0.85
    assert found.is_useful
    assert found.p == pytest.approx(1 / 21)
    assert found.mean.r2 < 0.0
    assert found.linear.r2 < 0.0
    assert max(row.score.r2 for row in found.rows[1:]) < 0.2
    assert "to use: line; useful" in str(found)
    assert str(found).splitlines()[0].split() == ["candidate", "R2", "MAE", "shifted", "p", "chosen"]


def test_nothing_is_found_where_there_is_nothing() -> None:
    X, noise, _ = data()
    y = np.random.default_rng(9).normal(size=N)
    found = nested_selection(
        [Candidate("a", X, LaplacianRidge(gamma=0.3)), Candidate("b", noise, LinearRegression())], y, TIMES, BLOCKS
    )
    assert not found.is_useful


def test_forecasts_are_those_of_refits_without_the_block_and_the_purge() -> None:
    X, _, y = data()
    model = LaplacianRidge(gamma=0.3, kernel="matern32")
    found = nested_selection([Candidate("m", X, model)], y, TIMES, BLOCKS, n_shifts=0, purge=900.0)
    for block in (0, 3, int(BLOCKS.max())):
        test = np.flatnonzero(block == BLOCKS)
        apart = np.minimum(abs(TIMES - TIMES[test[0]]), abs(TIMES - TIMES[test[-1]]))
        train = np.flatnonzero((block != BLOCKS) & (apart > 900.0))
        assert len(train) < N - len(test)
        expected = model.fit(X[train], y[train], BLOCKS[train]).predict(X[test])
        np.testing.assert_allclose(found.rows[0].forecast[test], expected, rtol=1e-10)
    assert found.rows[0].score == score(y, found.rows[0].forecast)
    assert not found.is_useful  # nothing was controlled
    assert "no shifts, so no verdict" in str(found)


class Recorder(RegressorMixin, BaseEstimator):
    """Remembers every target it was fitted to."""

    seen: list[set[float]] = []  # noqa: RUF012 - shared by all clones on purpose

    def fit(self, X: np.ndarray, y: np.ndarray) -> Recorder:
        Recorder.seen.append(set(y.tolist()))
        self.mean_ = y.mean()
        return self

    def predict(self, X: np.ndarray) -> np.ndarray:
        return np.full(len(X), self.mean_)


def test_no_model_of_a_fold_ever_sees_its_block() -> None:
    X, _, y = data()
    Recorder.seen.clear()
    found = nested_selection([Candidate("r", X, Recorder())], y, TIMES, BLOCKS, n_shifts=0, workers=1)
    by_block = [set(y[block == BLOCKS].tolist()) for block in range(found.n_blocks)]
    per_fold = 5 + 1  # five inner folds, one forecast
    for block, own in enumerate(by_block):
        for fitted in Recorder.seen[block * per_fold : (block + 1) * per_fold]:
            assert not fitted & own
    assert len(Recorder.seen) == found.n_blocks * per_fold + 5


def test_threads_change_no_bit() -> None:
    X, _, y = data()
    several = [Candidate("k", X, LaplacianRidge(gamma=0.3)), Candidate("t", X, ExtraTreesRegressor(2, random_state=0))]
    one, three = (nested_selection(several, y, TIMES, BLOCKS, n_shifts=1, workers=w) for w in (1, 3))
    assert str(one) == str(three)
    np.testing.assert_array_equal(one.forecast, three.forecast)
    np.testing.assert_array_equal(one.shifted, three.shifted)


def test_bad_input() -> None:
    X, _, y = data()
    line = Candidate("line", X, LinearRegression())
    with pytest.raises(ConfigError, match="at least one candidate"):
        nested_selection([], y, TIMES, BLOCKS)
    with pytest.raises(ConfigError, match="`line` is repeated"):
        nested_selection([line, line], y, TIMES, BLOCKS)
    with pytest.raises(InputError, match="one value for each sample"):
        nested_selection([line], y[1:], TIMES, BLOCKS)
    with pytest.raises(InputError, match="must ascend"):
        nested_selection([line], y, TIMES[::-1], BLOCKS)
    with pytest.raises(InputError, match="at least three blocks"):
        nested_selection([line], y, TIMES, np.minimum(BLOCKS, 1))
    with pytest.raises(InputError, match=r"Features of candidate `line` must be \[90, n_columns\]"):
        nested_selection([Candidate("line", X[1:], LinearRegression())], y, TIMES, BLOCKS)

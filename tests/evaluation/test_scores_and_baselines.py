from __future__ import annotations

import numpy as np
import pytest
from scipy.interpolate import CubicSpline
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

from hopcast.core import ConfigError, InputError
from hopcast.evaluation import interpolate_in_time, mean_prediction, score


def test_scores_are_those_of_scikit_learn() -> None:
    random = np.random.default_rng(0)
    y, f = random.normal(size=50), random.normal(size=50)
    result = score(y, f)
    assert result.r2 == pytest.approx(r2_score(y, f))
    assert result.mae == pytest.approx(mean_absolute_error(y, f))
    assert result.rmse == pytest.approx(root_mean_squared_error(y, f))
    assert result.n == 50
    assert "50 frames" in str(result)


def test_scores_that_have_no_meaning() -> None:
    with pytest.raises(InputError, match="`y` must vary over the scored frames, but is 2 on all 5"):
        score(np.full(5, 2.0), np.arange(5))
    with pytest.raises(InputError, match="`prediction` must be finite, but frame 1 holds nan"):
        score([1.0, 2.0], [1.0, np.nan])
    with pytest.raises(InputError, match=r"the shapes are \(3,\) and \(2,\)"):
        score([1.0, 2.0], [1.0, 2.0, 3.0])
    with pytest.raises(InputError, match="at least two frames to score, but holds 1"):
        score([1.0], [1.0])


def test_linear_interpolation_is_exact_on_lines_and_constant_beyond() -> None:
    frames = np.arange(20)
    out = interpolate_in_time([12, 4, 8], 2.0 * np.array([12, 4, 8]), frames)
    np.testing.assert_allclose(out, 2.0 * np.clip(frames, 4, 12))


def test_cubic_interpolation_is_exact_on_cubics_and_constant_beyond() -> None:
    frames = np.arange(40.0)
    known = np.arange(5, 35, 3)
    cubic = (frames - 20) ** 3 / 100 + frames
    out = interpolate_in_time(known, cubic[known], frames, "cubic")
    np.testing.assert_allclose(out[5:33], cubic[5:33], atol=1e-10)
    np.testing.assert_array_equal(out[:5], cubic[5])
    np.testing.assert_array_equal(out[33:], cubic[32])


def test_cubic_does_not_explode_across_a_gap() -> None:
    frames = np.arange(300)
    y = np.sin(frames / 10.0)
    known = np.r_[0:100, 220:300]
    naive = CubicSpline(known, y[known])(frames)
    assert np.abs(naive).max() > 1.3  # what a spline through the gap does
    out = interpolate_in_time(known, y[known], frames, "cubic")
    assert np.abs(out).max() <= 1.0
    np.testing.assert_array_equal(out[100:220], interpolate_in_time(known, y[known], frames)[100:220])
    np.testing.assert_allclose(out[known], y[known], atol=1e-12)
    # The parts keep their own splines.
    sparse = known[::4]
    np.testing.assert_allclose(interpolate_in_time(sparse, y[sparse], frames[:97], "cubic"), y[:97], atol=2e-3)
    through = interpolate_in_time(known, y[known], frames, "cubic", max_gap=1e9)
    np.testing.assert_allclose(through, naive, atol=1e-9)


def test_few_training_frames() -> None:
    frames = np.arange(6)
    np.testing.assert_array_equal(interpolate_in_time([2], [7.0], frames, "cubic"), np.full(6, 7.0))
    np.testing.assert_allclose(interpolate_in_time([0, 5], [0.0, 5.0], frames, "cubic"), frames)
    np.testing.assert_array_equal(mean_prediction([1.0, 2.0], 3), [1.5, 1.5, 1.5])


def test_bad_training_frames() -> None:
    with pytest.raises(InputError, match="must not repeat a frame"):
        interpolate_in_time([1, 1], [0.0, 1.0], [0])
    with pytest.raises(InputError, match="at least one training frame"):
        interpolate_in_time([], [], [0])
    with pytest.raises(ConfigError, match="Did you mean `cubic`"):
        interpolate_in_time([0, 1], [0.0, 1.0], [0], "cubik")

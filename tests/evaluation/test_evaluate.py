from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d
from sklearn.base import clone
from sklearn.linear_model import Ridge

from hopcast.core import ConfigError, InputError
from hopcast.evaluation import BlockedSplit, InterleavedSplit, NeighbourSplit, TrajectorySplit, evaluate_model, score
from hopcast.information import circular_shifts
from hopcast.regression import LaplacianRidge

STEP = 4.0  # fs


def smooth_noise(n_series: int, n_frames: int = 900, seed: int = 0, width: float = 12.0) -> np.ndarray:
    """Independent band-limited series, [n_frames, n_series], unit variance, correlation time about 2 `width` frames."""
    noise = np.random.default_rng(seed).normal(size=(n_frames, n_series))
    out = gaussian_filter1d(noise, width, axis=0, mode="wrap")
    return out / out.std(axis=0)


def calendar(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Features that know the time and nothing of the target."""
    series = smooth_noise(61, seed=seed)
    return series[:, 1:], series[:, 0]


def physics(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Fast features that determine the target."""
    X = smooth_noise(3, seed=seed, width=5.0)
    return X, X @ [1.0, 0.5, -0.7]


def test_interleaved_frames_are_a_clock_and_the_controls_say_so() -> None:
    X, y = calendar()
    result = evaluate_model(LaplacianRidge.paper(), X, y, InterleavedSplit(24.0, STEP), STEP, min_shift=120.0)
    assert result.model.r2 > 0.95
    assert result.linear.r2 > result.model.r2
    assert result.cubic.r2 > result.linear.r2 > 0.99
    assert abs(result.mean.r2) < 0.05
    assert len(result.shifted) == 20
    assert abs(result.shifted_median - result.model.r2) < 0.01
    assert result.shifted.min() > 0.95
    assert result.beats_the_calendar == "not useful"


@pytest.mark.parametrize("model", [LaplacianRidge.paper(), LaplacianRidge()])
def test_blocks_unmask_the_clock(model: LaplacianRidge) -> None:
    X, y = calendar()
    split = BlockedSplit(5, STEP, 200.0, train_stride_fs=24.0)
    result = evaluate_model(model, X, y, split, STEP, min_shift=120.0)
    assert result.model.r2 < 0.15
    assert result.beats_the_calendar == "not useful"


@pytest.mark.parametrize("split", [InterleavedSplit(100.0, STEP), BlockedSplit(5, STEP, 100.0, train_stride_fs=24.0)])
def test_features_that_determine_the_target_are_useful(split: Any) -> None:
    X, y = physics()
    result = evaluate_model(LaplacianRidge(), X, y, split, STEP, min_shift=120.0)
    assert result.model.r2 > 0.8
    assert (result.rank, result.p) == (1, 1 / 21)
    assert result.z > 3.0
    assert result.shifted.max() < 0.6
    assert result.beats_the_calendar == "useful"
    assert "verdict  useful" in str(result)


def test_half_and_half_ranks_between() -> None:
    X, y = physics()
    other = smooth_noise(1, seed=5, width=5.0)[:, 0]
    split = BlockedSplit(5, STEP, 100.0, train_stride_fs=24.0)
    r2 = [
        evaluate_model(
            LaplacianRidge(), X, share * y / y.std() + (1 - share) * other, split, STEP, min_shift=120.0
        ).model.r2
        for share in (0.0, 0.5, 1.0)
    ]
    assert r2[0] < 0.1 < r2[1] < 0.7 < r2[2]


def naive(model: Any, X: np.ndarray, y: np.ndarray, split: Any, shift: int) -> tuple[np.ndarray, np.ndarray]:
    """Refit to the shifted target; return forecasts of the held-out frames, and those frames."""
    rolled = np.roll(y, shift)
    folds = list(split.split(X))
    frames = np.concatenate([test for _, test in folds])
    forecast = np.concatenate([clone(model).fit(X[a], rolled[a]).predict(X[b]) for a, b in folds])
    return forecast, frames


@pytest.mark.parametrize("model", [LaplacianRidge.paper(), LaplacianRidge(block_length=10)])
@pytest.mark.parametrize("split", [InterleavedSplit(24.0, STEP), BlockedSplit(4, STEP, 100.0, train_stride_fs=24.0)])
def test_one_factorisation_equals_refitting_every_shift(model: LaplacianRidge, split: Any) -> None:
    X, y = smooth_noise(7, n_frames=600)[:, 1:], smooth_noise(7, n_frames=600)[:, 0]
    result = evaluate_model(model, X, y, split, STEP, min_shift=400.0, n_shifts=4)
    for number, shift in enumerate([0, *result.shifts]):
        forecast, frames = naive(model, X, y, split, shift)
        if shift == 0:
            np.testing.assert_allclose(result.predictions[frames], forecast, rtol=0, atol=1e-9)
            assert result.model.r2 == pytest.approx(score(y[frames], forecast).r2, abs=1e-9)
            continue
        aligned = np.roll(result.shifted_predictions[number - 1], shift)
        np.testing.assert_allclose(aligned[frames], forecast, rtol=0, atol=1e-9)
        clear = (frames < shift - 6) | (frames >= shift + 6)
        if isinstance(split, InterleavedSplit):
            expected = score(np.roll(y, shift)[frames[clear]], forecast[clear]).r2
            assert result.shifted[number - 1] == pytest.approx(expected, abs=1e-9)


def test_rolling_the_target_back_is_rolling_the_features() -> None:
    # On a periodic calendar (stride divides the length) both are the same model, frame by frame.
    X, y = smooth_noise(5, n_frames=600)[:, 1:], smooth_noise(5, n_frames=600)[:, 0]
    train, test = np.arange(0, 600, 6), np.setdiff1d(np.arange(600), np.arange(0, 600, 6))
    shift = 120
    by_target = LaplacianRidge.paper().fit(X[train], np.roll(y, shift)[train]).predict(X[test])
    rolled = np.roll(X, -shift, axis=0)
    by_features = LaplacianRidge.paper().fit(rolled[train], y[train]).predict(rolled[test])
    order = np.argsort((test - shift) % 600)
    np.testing.assert_allclose(by_features, by_target[order], rtol=0, atol=1e-9)


def test_the_seam_is_not_held_against_the_shifted_models() -> None:
    # A trend makes the seam a cliff; a clock must still score as a clock.
    X, y = calendar()
    result = evaluate_model(
        LaplacianRidge.paper(), X, y + np.linspace(0, 6, 900), InterleavedSplit(24.0, STEP), STEP, min_shift=300.0
    )
    assert result.shifted.min() > 0.985


def test_other_regressors_are_refitted() -> None:
    X, y = physics()
    split = BlockedSplit(3, STEP, 100.0)
    result = evaluate_model(Ridge(), X, y, split, STEP, min_shift=400.0, n_shifts=3, workers=2)
    assert result.model.r2 > 0.999
    for shift, rows in zip(result.shifts, result.shifted_predictions, strict=True):
        forecast, frames = naive(Ridge(), X, y, split, shift)
        np.testing.assert_allclose(np.roll(rows, shift)[frames], forecast, atol=1e-12)


def test_workers_change_no_bit() -> None:
    X, y = calendar()
    split = BlockedSplit(3, STEP, 100.0, train_stride_fs=24.0)
    one, two = (
        evaluate_model(LaplacianRidge(), X, y, split, STEP, min_shift=300.0, random_state=1, workers=workers)
        for workers in (1, 3)
    )
    np.testing.assert_array_equal(one.predictions, two.predictions)
    np.testing.assert_array_equal(one.shifted, two.shifted)
    np.testing.assert_array_equal(one.shifts, two.shifts)


def test_where_forecasts_are_defined() -> None:
    X, y = physics()
    one_fold = evaluate_model(
        LaplacianRidge.paper(), X, y, InterleavedSplit(40.0, STEP), STEP, min_shift=400.0, n_shifts=2
    )
    assert np.isfinite(one_fold.predictions).all()
    np.testing.assert_array_equal(one_fold.training_frames[0], np.arange(0, 900, 10))
    assert len(one_fold.test_frames) == one_fold.model.n == one_fold.cubic.n == 890 - 89
    folds = evaluate_model(LaplacianRidge.paper(), X, y, BlockedSplit(3, STEP, 40.0), STEP, min_shift=400.0, n_shifts=2)
    assert np.isfinite(folds.predictions).all()
    assert len(folds.training_frames) == 3
    assert folds.model.n == 900


def test_several_trajectories() -> None:
    X = np.concatenate([smooth_noise(3, 300, seed=s, width=5.0) for s in range(3)])
    y, groups = X @ [1.0, 0.5, -0.7], np.repeat([0, 1, 2], 300)
    result = evaluate_model(LaplacianRidge.paper(), X, y, TrajectorySplit(), STEP, min_shift=50.0, groups=groups)
    assert result.beats_the_calendar == "useful"
    # No training frame lies in the held-out trajectory: interpolation is the mean.
    assert result.linear == result.cubic == result.mean
    shift = int(result.shifts[0])
    rolled = np.concatenate([np.roll(y[groups == g], shift) for g in range(3)])
    train, test = np.flatnonzero(groups != 0), np.flatnonzero(groups == 0)
    forecast = LaplacianRidge.paper().fit(X[train], rolled[train]).predict(X[test])
    np.testing.assert_allclose(np.roll(result.shifted_predictions[0][test], shift), forecast, atol=1e-9)


def test_too_short_a_trajectory_is_inconclusive() -> None:
    X, y = physics()
    result = evaluate_model(
        LaplacianRidge.paper(), X, y, BlockedSplit(5, STEP, 100.0, train_stride_fs=12.0), STEP, min_shift=600.0
    )
    assert len(result.shifted) == 5
    assert result.beats_the_calendar == "inconclusive"
    assert result.notes[0] == "5 shifts of at least 600 fs fit into 3600 fs; 20 were asked for."
    assert "needs 12000 fs of trajectory" in result.notes[1]
    assert result.notes[1] in str(result)
    none = evaluate_model(
        LaplacianRidge.paper(), X, y, BlockedSplit(5, STEP, 100.0, train_stride_fs=12.0), STEP, min_shift=2000.0
    )
    assert len(none.shifted) == 0
    assert none.beats_the_calendar == "inconclusive"
    assert np.isnan(none.z)
    assert "none possible" in str(none)


@pytest.mark.parametrize("seed", [None, 0, 1])
@pytest.mark.parametrize(
    ("n", "least", "wanted", "made"), [(756, 30, 20, 20), (756, 30, 40, 24), (100, 50, 5, 1), (99, 50, 5, 0)]
)
def test_shifts_keep_their_distance(n: int, least: int, wanted: int, made: int, seed: int | None) -> None:
    shifts = circular_shifts(n, wanted, least, seed)
    assert len(shifts) == made
    if made:
        assert np.diff(np.r_[0, shifts, n]).min() >= least


def test_bad_arguments_are_named() -> None:
    X, y = physics()
    split = InterleavedSplit(24.0, STEP)
    model = LaplacianRidge.paper()
    with pytest.raises(InputError, match="`y` must vary, but is 1 on all 900"):
        evaluate_model(model, X, np.ones(900), split, STEP, min_shift=100.0)
    with pytest.raises(InputError, match="`y` must be finite, but frame 3, column 0 holds NaN"):
        evaluate_model(model, X, np.where(np.arange(900) == 3, np.nan, y), split, STEP, min_shift=100.0)
    broken = X.copy()
    broken[701, 2] = np.inf
    with pytest.raises(InputError, match="`X` must be finite, but frame 701, column 2 holds inf"):
        evaluate_model(model, broken, y, split, STEP, min_shift=100.0)
    with pytest.raises(InputError, match=r"of the same frames, but the shapes are \(900, 3\) and \(899,\)"):
        evaluate_model(model, X, y[1:], split, STEP, min_shift=100.0)
    with pytest.raises(InputError, match="`groups` must name a trajectory for each of 900"):
        evaluate_model(model, X, y, split, STEP, min_shift=100.0, groups=[1])
    with pytest.raises(ConfigError, match=r"must be positive times in fs, but are 4\.0 and 0\.0"):
        evaluate_model(model, X, y, split, STEP, min_shift=0.0)
    with pytest.raises(ConfigError, match="`n_shifts` must not be negative, but is -1"):
        evaluate_model(model, X, y, split, STEP, min_shift=100.0, n_shifts=-1)

    class Twice:
        def split(self, X: Any, y: Any = None, groups: Any = None) -> Any:
            yield np.arange(10), np.arange(10, 20)
            yield np.arange(10), np.arange(15, 25)

    with pytest.raises(InputError, match="must test every frame at most once"):
        evaluate_model(model, X, y, Twice(), STEP, min_shift=100.0)


def test_uneven_samples_are_interpolated_in_their_own_time() -> None:
    rng = np.random.default_rng(0)
    times = np.sort(rng.uniform(0, 1000, 60))
    y = 0.3 + 0.01 * times  # a straight line in time, not in the number of the sample
    found = evaluate_model(
        LaplacianRidge.paper(), rng.normal(size=(60, 3)), y, NeighbourSplit(5), 16.0, min_shift=48.0, times=times
    )
    inside = found.test_frames[(found.test_frames > 5) & (found.test_frames < 54)]
    assert found.linear.r2 > 0.999
    assert np.isfinite(found.predictions[inside]).all()
    with pytest.raises(InputError, match="`times` must ascend"):
        evaluate_model(
            LaplacianRidge.paper(), rng.normal(size=(60, 3)), y, NeighbourSplit(5), 16.0, min_shift=48.0, times=-times
        )


def test_without_shifts_there_is_no_control() -> None:
    rng = np.random.default_rng(1)
    found = evaluate_model(
        LaplacianRidge.paper(),
        rng.normal(size=(40, 2)),
        rng.normal(size=40),
        NeighbourSplit(4),
        STEP,
        min_shift=8.0,
        n_shifts=0,
    )
    assert len(found.shifts) == 0
    assert np.isnan(found.shifted_median)
    assert found.notes == ()

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import cross_val_predict

from hopcast.core import ConfigError, InputError
from hopcast.evaluation import (
    BlockedSplit,
    CalendarSplit,
    InterleavedSplit,
    NeighbourSplit,
    TrajectorySplit,
    stretches_of_time,
)


def test_interleaved_takes_every_nth_frame() -> None:
    split = InterleavedSplit(25.0, 4.0)
    assert (split.stride_frames, split.stride, split.get_n_splits()) == (6, 24.0, 1)
    ((train, test),) = split.split(np.zeros((20, 2)))
    np.testing.assert_array_equal(train, [0, 6, 12, 18])
    np.testing.assert_array_equal(test, [1, 2, 3, 4, 5, 7, 8, 9, 10, 11, 13, 14, 15, 16, 17])
    ((train, test),) = InterleavedSplit(24, 4, offset=2, test_ends=True).split(np.zeros((20, 2)))
    np.testing.assert_array_equal(train, [2, 8, 14])
    np.testing.assert_array_equal(np.sort(np.concatenate([train, test])), np.arange(20))
    assert repr(split) == "InterleavedSplit(stride=24 fs, every 6 frames)"


def test_interleaved_starts_anew_in_every_trajectory() -> None:
    groups = np.repeat([1, 2], [7, 8])
    ((train, test),) = InterleavedSplit(3.0, 1.0).split(np.zeros((15, 1)), groups=groups)
    np.testing.assert_array_equal(train, [0, 3, 6, 7, 10, 13])
    np.testing.assert_array_equal(test, [1, 2, 4, 5, 8, 9, 11, 12])


def test_blocked_purges_both_sides() -> None:
    split = BlockedSplit(4, 2.0, 5.0)
    assert (split.purge_frames, split.purge, split.get_n_splits()) == (3, 6.0, 4)
    folds = list(split.split(np.zeros((40, 1))))
    train, test = folds[1]
    np.testing.assert_array_equal(test, np.arange(10, 20))
    np.testing.assert_array_equal(train, [*range(7), *range(23, 40)])
    np.testing.assert_array_equal(folds[0][0], np.arange(13, 40))


def test_a_purge_of_whole_frames_does_not_grow_by_rounding() -> None:
    assert BlockedSplit(2, 0.1, 0.3).purge_frames == 3
    assert BlockedSplit(2, 0.1, 0.31).purge_frames == 4
    assert BlockedSplit(2, 1.0, 0.0).purge_frames == 0


@settings(max_examples=60, deadline=None)
@given(
    lengths=st.lists(st.integers(12, 80), min_size=1, max_size=3),
    n_blocks=st.integers(2, 6),
    timestep=st.floats(0.5, 5.0),
    purge=st.integers(0, 6),
    stride=st.integers(1, 4),
)
def test_blocked_never_leaks_and_tests_every_frame_once(
    lengths: list[int], n_blocks: int, timestep: float, purge: int, stride: int
) -> None:
    labels = np.repeat(np.arange(len(lengths)), lengths)
    time = np.concatenate([np.arange(n) for n in lengths]) * timestep
    split = BlockedSplit(n_blocks, timestep, purge * timestep, train_stride_fs=stride * timestep)
    try:
        folds = list(split.split(labels[:, None], groups=labels))
    except InputError:
        assume(False)
    np.testing.assert_array_equal(np.sort(np.concatenate([test for _, test in folds])), np.arange(len(labels)))
    for train, test in folds:
        distance = np.abs(time[train][:, None] - time[test][None])
        distance[labels[train][:, None] != labels[test][None]] = np.inf
        assert distance.min() > purge * timestep
        # Nothing more than the purge is lost: with stride 1 the next frames out train.
        if stride == 1:
            lost = len(labels) - len(train) - len(test)
            assert lost <= 2 * purge * len(lengths)
        assert (np.rint(time[train] / timestep) % stride == 0).all()


@settings(max_examples=40, deadline=None)
@given(
    n=st.integers(4, 300),
    stride=st.integers(2, 20),
    timestep=st.floats(0.2, 5.0),
    offset=st.integers(0, 19),
    ends=st.booleans(),
)
def test_interleaved_partitions(n: int, stride: int, timestep: float, offset: int, ends: bool) -> None:
    assume(offset < stride and n > offset + stride)
    split = InterleavedSplit(stride * timestep, timestep, offset=offset, test_ends=ends)
    ((train, test),) = split.split(np.zeros((n, 1)))
    assert not set(train) & set(test)
    assert (np.diff(train) == stride).all()
    together = np.sort(np.concatenate([train, test]))
    first, last = (0, n - 1) if ends else (train[0], train[-1])
    np.testing.assert_array_equal(together, np.arange(first, last + 1))


def test_trajectories_are_held_out_in_turn() -> None:
    groups = np.array(["b", "a", "a", "b", "c", "c"])
    split = TrajectorySplit()
    folds = list(split.split(np.zeros((6, 1)), groups=groups))
    assert split.get_n_splits(groups=groups) == 3
    assert [list(test) for _, test in folds] == [[1, 2], [0, 3], [4, 5]]
    assert [list(train) for train, _ in folds] == [[0, 3, 4, 5], [1, 2, 4, 5], [0, 1, 2, 3]]


def test_splits_serve_scikit_learn() -> None:
    X = np.random.default_rng(0).normal(size=(60, 2))
    y = X @ [1.0, 2.0]
    np.testing.assert_allclose(cross_val_predict(LinearRegression(), X, y, cv=BlockedSplit(3, 1.0, 4.0)), y, atol=1e-12)


def test_impossible_splits_say_so() -> None:
    X = np.zeros((20, 1))
    with pytest.raises(InputError, match=r"at least two training frames, but fold 0 of a stride of 40 fs .* leaves 1"):
        list(InterleavedSplit(40.0, 1.0).split(X))
    with pytest.raises(InputError, match=r"at least two training frames, but fold 0 .* stride of 2 fs over 1 frames"):
        list(InterleavedSplit(2.0, 1.0).split(X[:1]))
    with pytest.raises(InputError, match=r"leave frames to test, but fold \d of 10 blocks of 6 frames .* leaves none"):
        list(BlockedSplit(10, 1.0, 0.0).split(X[:6]))
    with pytest.raises(InputError, match=r"but fold 0 of 2 blocks of 20 frames with a purge of 12 frames \(12 fs\)"):
        list(BlockedSplit(2, 1.0, 12.0).split(X))
    with pytest.raises(InputError, match="at least two trajectories to hold one out, but there is one"):
        list(TrajectorySplit().split(X, groups=np.ones(20)))
    with pytest.raises(InputError, match="but there is none"):
        list(TrajectorySplit().split(X))
    with pytest.raises(InputError, match=r"at least two training frames, but fold 1 of 2 trajectories"):
        list(TrajectorySplit().split(X, groups=np.arange(20) > 0))
    with pytest.raises(ConfigError, match="`stride_fs` must span at least two frames, but 4 fs is 1"):
        InterleavedSplit(4.0, 4.0)
    with pytest.raises(ConfigError, match="`timestep` must be a positive time in fs, but is 0"):
        InterleavedSplit(4.0, 0.0)
    with pytest.raises(ConfigError, match=r"`offset` must lie in 0 ... 1, but is 2"):
        InterleavedSplit(2.0, 1.0, offset=2)
    with pytest.raises(ConfigError, match="`n_blocks` must be at least 2, but is 1"):
        BlockedSplit(1, 1.0, 0.0)
    with pytest.raises(ConfigError, match="`purge_fs` must be a time of at least 0 fs, but is -1"):
        BlockedSplit(2, 1.0, -1.0)


@given(n=st.integers(6, 80), folds=st.integers(2, 6))
def test_neighbours_train_while_every_nth_sample_is_held_out(n: int, folds: int) -> None:
    tested = []
    for train, test in NeighbourSplit(folds).split(np.empty((n, 1))):
        np.testing.assert_array_equal(np.sort(np.concatenate([train, test])), np.arange(n))
        assert (np.diff(test) == folds).all()
        tested.append(test)
    np.testing.assert_array_equal(np.sort(np.concatenate(tested)), np.arange(n))


@given(
    times=st.lists(st.integers(0, 1000), min_size=12, max_size=60, unique=True),
    block=st.integers(100, 400),
    purge=st.integers(0, 40),
)
def test_stretches_of_the_calendar_are_purged_by_time(times: list[int], block: int, purge: int) -> None:
    calendar = np.sort(np.array(times, dtype=float))
    assume(len(np.unique(calendar // block)) > 1)
    split = CalendarSplit(calendar, block, purge)
    tested = []
    for stretch in np.unique(split.labels):
        train, test = split.training(int(stretch)), np.flatnonzero(split.labels == stretch)
        inside = calendar[test]
        assert ((inside >= stretch * block) & (inside < (stretch + 1) * block)).all()
        far = (calendar < stretch * block - purge) | (calendar >= (stretch + 1) * block + purge)
        np.testing.assert_array_equal(train, np.flatnonzero(far))
        tested.append(test)
    np.testing.assert_array_equal(np.sort(np.concatenate(tested)), np.arange(len(calendar)))


def test_impossible_stretches_say_so() -> None:
    with pytest.raises(InputError, match="at least two stretches, but 100 fs hold all 3"):
        CalendarSplit([1.0, 2.0, 3.0], 100.0)
    with pytest.raises(ConfigError, match="`block_fs` must be a positive time"):
        CalendarSplit([1.0, 2.0], 0.0)
    with pytest.raises(ConfigError, match="`n_folds` must be at least 2"):
        NeighbourSplit(1)
    with pytest.raises(InputError, match="at least two training frames"):
        list(CalendarSplit([1.0, 2.0, 150.0], 100.0, 100.0).split(np.empty((3, 1))))


@pytest.mark.parametrize("memory", [10.0, 1600.0, 30_000.0])
def test_stretches_of_time_leave_half_of_it_to_train(memory: float) -> None:
    """Long enough to be independent, short enough to have four of; what trains lies two correlation times away where it can."""
    length, purge = stretches_of_time(100_000.0, memory)
    assert length == min(max(5000.0, 2 * memory), 25_000.0)
    assert purge == min(2 * memory, (50_000.0 - length) / 2)
    assert length + 2 * purge <= 50_000.0

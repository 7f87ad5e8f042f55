"""Splits that know about time, in scikit-learn's dialect: interleaved, blocked, by trajectory; of sparse samples too."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import indexable
from sklearn.utils.validation import _num_samples

from hopcast.core.errors import ConfigError, InputError

Frames = NDArray[np.intp]

N_STRETCHES: Final = 20
"""Stretches of time held out in turn, where they are longer than twice the correlation time."""

FEWEST_STRETCHES: Final = 4
"""Stretches on a trajectory too short for that."""


class Stretches(NamedTuple):
    """Stretches of time that are held out: their length, and the time beside them that does not train, fs."""

    length: float
    purge: float


def stretches_of_time(span: float, memory: float) -> Stretches:
    """Return the one rule for stretches of time held out, by every command.

    A twentieth of the time, but at least two correlation times and at most a quarter of it; the purge on both sides is two
    correlation times, or less where that would leave less than half of the time to train.
    """
    length = min(max(span / N_STRETCHES, 2.0 * memory), span / FEWEST_STRETCHES)
    return Stretches(length, min(2.0 * memory, 0.5 * (0.5 * span - length)))


class InterleavedSplit:
    """Every n-th frame trains, the frames between are the test: the published protocol, one fold.

    Parameters
    ----------
    stride_fs
        Time between training frames, fs; rounded to whole frames.
    timestep
        Time between frames, fs.
    offset
        First training frame.
    test_ends
        Also test the frames before the first and after the last training frame. By default they neither train nor
        test: a forecast there is an extrapolation, and on a short trajectory these few frames would decide the score.

    Attributes
    ----------
    stride_frames : int
        Frames between training frames, as used.
    stride : float
        The same in fs.

    Raises
    ------
    ConfigError
        If a time is not positive, or the stride is below two frames (nothing would be left to test).
    InputError
        At `split`, if fewer than two frames train or none tests.

    Notes
    -----
    Test frames lie at most half a stride from a training frame: any smooth features interpolate in time. See
    `evaluate_model` for what such a score is worth. With groups, the stride starts anew in every trajectory.
    """

    def __init__(self, stride_fs: float, timestep: float, *, offset: int = 0, test_ends: bool = False) -> None:
        _check_positive(stride_fs=stride_fs, timestep=timestep)
        self.stride_frames = round(stride_fs / timestep)
        if self.stride_frames < 2:
            raise ConfigError(
                f"Argument `stride_fs` must span at least two frames, but {stride_fs:g} fs is {self.stride_frames} "
                f"with frames every {timestep:g} fs: no frame would be left to test."
            )
        if not 0 <= offset < self.stride_frames:
            raise ConfigError(f"Argument `offset` must lie in 0 ... {self.stride_frames - 1}, but is {offset}.")
        self.timestep = timestep
        self.stride = self.stride_frames * timestep
        self.offset = offset
        self.test_ends = test_ends

    def __repr__(self) -> str:
        return f"InterleavedSplit(stride={self.stride:g} fs, every {self.stride_frames} frames)"

    def split(self, X: Any, y: Any = None, groups: ArrayLike | None = None) -> Iterator[tuple[Frames, Frames]]:
        """Yield (training frames, test frames)."""
        trains, tests = [], []
        for frames in _trajectories(X, y, groups):
            train = frames[self.offset :: self.stride_frames]
            # From the first to the last training frame, both included.
            span = self.stride_frames * (len(train) - 1) + 1
            covered = frames if self.test_ends else frames[self.offset : self.offset + span]
            trains.append(train)
            tests.append(np.setdiff1d(covered, train))
        train, test = np.sort(np.concatenate(trains)), np.sort(np.concatenate(tests))
        _check_fold(0, train, test, f"a stride of {self.stride:g} fs over {_num_samples(X)} frames")
        yield train, test

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Return 1."""
        return 1


class BlockedSplit:
    """Contiguous blocks of time are held out in turn, with a purge on both sides.

    Parameters
    ----------
    n_blocks
        Number of blocks, so of folds.
    timestep
        Time between frames, fs.
    purge_fs
        No frame within this time of a test frame trains, fs; should be twice the correlation time.
    train_stride_fs
        Train on every n-th frame of what is left, so that sizes of training sets compare with interleaved ones;
        None trains on all.

    Attributes
    ----------
    purge_frames, train_stride_frames : int
        As used: the purge rounded up, the stride rounded to whole frames.

    Raises
    ------
    ConfigError
        If fewer than two blocks are asked for, or a time is negative.
    InputError
        At `split`, if a fold is left with fewer than two training frames or no test frame.

    Notes
    -----
    With groups (trajectories), fold b holds out the b-th block of each of them; a purge ends with its trajectory.
    """

    def __init__(
        self, n_blocks: int, timestep: float, purge_fs: float, *, train_stride_fs: float | None = None
    ) -> None:
        if n_blocks < 2:
            raise ConfigError(f"Argument `n_blocks` must be at least 2, but is {n_blocks}.")
        _check_positive(timestep=timestep)
        if not 0.0 <= purge_fs < math.inf:
            raise ConfigError(f"Argument `purge_fs` must be a time of at least 0 fs, but is {purge_fs}.")
        self.n_blocks = n_blocks
        self.timestep = timestep
        # A purge that is a whole number of frames must not grow by one through rounding.
        self.purge_frames = math.ceil(round(purge_fs / timestep, 9))
        self.purge = self.purge_frames * timestep
        self.train_stride_frames = 1
        if train_stride_fs is not None:
            _check_positive(train_stride_fs=train_stride_fs)
            self.train_stride_frames = max(1, round(train_stride_fs / timestep))

    def __repr__(self) -> str:
        return f"BlockedSplit({self.n_blocks} blocks, purge={self.purge:g} fs, every {self.train_stride_frames} frames)"

    def split(self, X: Any, y: Any = None, groups: ArrayLike | None = None) -> Iterator[tuple[Frames, Frames]]:
        """Yield (training frames, test frames) of every fold, in the order of time."""
        trajectories = _trajectories(X, y, groups)
        for fold in range(self.n_blocks):
            trains, tests = [], []
            for frames in trajectories:
                edges = np.linspace(0, len(frames), self.n_blocks + 1).round().astype(int)
                first, last = edges[fold], edges[fold + 1]
                position = np.arange(len(frames))
                far = (position < first - self.purge_frames) | (position >= last + self.purge_frames)
                trains.append(frames[far & (position % self.train_stride_frames == 0)])
                tests.append(frames[first:last])
            train, test = np.sort(np.concatenate(trains)), np.sort(np.concatenate(tests))
            _check_fold(
                fold,
                train,
                test,
                f"{self.n_blocks} blocks of {_num_samples(X)} frames with a purge of {self.purge_frames} frames "
                f"({self.purge:g} fs) on both sides",
            )
            yield train, test

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Return the number of blocks."""
        return self.n_blocks


class NeighbourSplit:
    """Every n-th sample is held out in turn while its neighbours train: the interleaved score of a sparse series.

    Parameters
    ----------
    n_folds
        How many folds; fold f tests samples f, f + n_folds, ...

    Raises
    ------
    ConfigError
        If `n_folds` is below 2.
    InputError
        At `split`, if a fold is left with fewer than two training samples or no test sample.

    Notes
    -----
    What a model knows of the geometry shows here only where samples lie further apart than the target's memory;
    interpolation in time beside it tells. With groups, samples are counted within each trajectory.
    """

    def __init__(self, n_folds: int = 10) -> None:
        if n_folds < 2:
            raise ConfigError(f"Argument `n_folds` must be at least 2, but is {n_folds}.")
        self.n_folds = n_folds

    def __repr__(self) -> str:
        return f"NeighbourSplit({self.n_folds} folds)"

    def split(self, X: Any, y: Any = None, groups: ArrayLike | None = None) -> Iterator[tuple[Frames, Frames]]:
        """Yield (training samples, test samples)."""
        trajectories = _trajectories(X, y, groups)
        position = np.empty(_num_samples(X), dtype=np.intp)
        for frames in trajectories:
            position[frames] = np.arange(len(frames))
        for fold in range(self.n_folds):
            tested = position % self.n_folds == fold
            train, test = np.flatnonzero(~tested), np.flatnonzero(tested)
            _check_fold(fold, train, test, f"{self.n_folds} folds of {len(position)} samples")
            yield train, test

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Return the number of folds."""
        return self.n_folds


class CalendarSplit:
    """Stretches of the calendar are held out in turn, with a purge: the blocked split of unevenly spaced samples.

    Parameters
    ----------
    times
        Time of every sample, fs, [n_samples].
    block_fs
        Length of a stretch, fs; stretches are counted from time 0, empty ones are skipped.
    purge_fs
        No sample within this time of a stretch trains, fs.

    Attributes
    ----------
    labels : ndarray [n_samples]
        Number of the stretch of every sample.

    Raises
    ------
    ConfigError
        If the length is not positive or the purge negative.
    InputError
        If the samples lie in fewer than two stretches; at `split`, if a fold is left with fewer than two training samples.
    """

    def __init__(self, times: ArrayLike, block_fs: float, purge_fs: float = 0.0) -> None:
        _check_positive(block_fs=block_fs)
        if not 0.0 <= purge_fs < math.inf:
            raise ConfigError(f"Argument `purge_fs` must be a time of at least 0 fs, but is {purge_fs}.")
        self.times = np.asarray(times, dtype=np.float64)
        self.block_fs = block_fs
        self.purge_fs = purge_fs
        self.labels = np.floor(self.times / block_fs).astype(np.intp)
        if len(np.unique(self.labels)) < 2:
            raise InputError(
                f"Argument `block_fs` must divide the samples into at least two stretches, but {block_fs:g} fs hold all "
                f"{len(self.times)}: choose shorter stretches, or compute samples elsewhere on the trajectory."
            )

    def __repr__(self) -> str:
        return f"CalendarSplit({self.get_n_splits()} stretches of {self.block_fs:g} fs, purge={self.purge_fs:g} fs)"

    def training(self, stretch: int) -> Frames:
        """Return the samples that train where a stretch is held out."""
        start, stop = stretch * self.block_fs - self.purge_fs, (stretch + 1) * self.block_fs + self.purge_fs
        return np.flatnonzero((self.times < start) | (self.times >= stop))

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[tuple[Frames, Frames]]:
        """Yield (training samples, test samples) of every stretch, in the order of time."""
        for fold, stretch in enumerate(np.unique(self.labels)):
            train, test = self.training(int(stretch)), np.flatnonzero(self.labels == stretch)
            _check_fold(fold, train, test, f"stretches of {self.block_fs:g} fs with a purge of {self.purge_fs:g} fs")
            yield train, test

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Return the number of stretches that hold samples."""
        return len(np.unique(self.labels))


class TrajectorySplit:
    """Every trajectory is held out in turn; `groups` name the trajectory of each frame.

    Parameters
    ----------
    train_stride_frames
        Train on every n-th frame of the other trajectories, so that sizes of training sets compare with
        interleaved ones.

    Raises
    ------
    ConfigError
        If the stride is below one frame.
    InputError
        At `split`, without groups, with one trajectory only, or if fewer than two frames are left to train.
    """

    def __init__(self, train_stride_frames: int = 1) -> None:
        if train_stride_frames < 1:
            raise ConfigError(f"Argument `train_stride_frames` must be at least 1, but is {train_stride_frames}.")
        self.train_stride_frames = train_stride_frames

    def __repr__(self) -> str:
        return f"TrajectorySplit(every {self.train_stride_frames} frames)"

    def split(self, X: Any, y: Any = None, groups: ArrayLike | None = None) -> Iterator[tuple[Frames, Frames]]:
        """Yield (training frames, test frames), in the order of the trajectories' labels."""
        parts = _trajectories(X, y, self._required(groups))
        n_frames = _num_samples(X)
        for fold, test in enumerate(parts):
            kept = [part[:: self.train_stride_frames] for other, part in enumerate(parts) if other != fold]
            train = np.sort(np.concatenate(kept))
            _check_fold(fold, train, test, f"{len(parts)} trajectories of together {n_frames} frames")
            yield train, test

    def get_n_splits(self, X: Any = None, y: Any = None, groups: ArrayLike | None = None) -> int:
        """Return the number of trajectories."""
        return len(np.unique(np.asarray(self._required(groups))))

    @staticmethod
    def _required(groups: ArrayLike | None) -> ArrayLike:
        if groups is None or len(np.unique(np.asarray(groups))) < 2:
            raise InputError(
                "Argument `groups` must name at least two trajectories to hold one out, but there is "
                f"{'none' if groups is None else 'one'}: use a blocked split, or add a trajectory."
            )
        return groups


def _trajectories(X: Any, y: Any, groups: ArrayLike | None) -> list[Frames]:
    """Return the frames of every trajectory."""
    indexable(X, y, groups)
    n_frames = _num_samples(X)
    if groups is None:
        return [np.arange(n_frames)]
    labels = np.asarray(groups)
    return [np.flatnonzero(labels == label) for label in np.unique(labels)]


def _check_positive(**times: float) -> None:
    for name, value in times.items():
        if not 0.0 < value < math.inf:
            raise ConfigError(f"Argument `{name}` must be a positive time in fs, but is {value}.")


def _check_fold(fold: int, train: Frames, test: Frames, how: str) -> None:
    if len(train) < 2:
        raise InputError(
            f"Argument `split` must leave at least two training frames, but fold {fold} of {how} leaves {len(train)}: "
            "use a longer trajectory, more and shorter blocks, a shorter stride or a shorter purge."
        )
    if len(test) == 0:
        raise InputError(
            f"Argument `split` must leave frames to test, but fold {fold} of {how} leaves none: use a longer "
            "trajectory, fewer blocks or a longer stride."
        )

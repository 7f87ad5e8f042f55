"""One model, one split: its score beside everything that a calendar alone can do."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hopcast.core.errors import ConfigError, InputError
from hopcast.core.showing import Shown
from hopcast.evaluation.baselines import interpolate_in_time, mean_prediction
from hopcast.evaluation.scores import Score, score
from hopcast.evaluation.shifts import fit_and_predict_all, near_seam, shifted_targets
from hopcast.evaluation.verdicts import Usefulness, usefulness
from hopcast.information import circular_shifts
from hopcast.regression.finite import require_finite

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Shares of shifted models (itself counted) that can be told from it.
LEVEL = 0.05


class Splitter(Protocol):
    """What `evaluate_model` asks of a split: scikit-learn's ``split``."""

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Any:
        """Yield (training frames, test frames)."""


@dataclass(frozen=True, eq=False, repr=False)
class Evaluation(Shown):
    """The score of a model beside its baselines and its control.

    Attributes
    ----------
    model
        Score over the test frames of all folds together.
    mean, linear, cubic
        Scores of the baselines over the same frames, from the same training frames.
    shifted_scores
        Scores of the same model on features shifted circularly in time, one a shift.
    shifts
        The shifts, in frames, [n_shifts].
    n_shifts_wanted
        How many were asked for.
    predictions
        Forecast, [n_frames]: of a split with one fold on all frames (training frames too), otherwise on the test
        frames, each by the fold that held it out; NaN elsewhere.
    shifted_predictions
        What each shifted model says of the true target's frames, [n_shifts, n_frames], NaN as above.
    test_frames
        Frames that were scored, ascending.
    training_frames
        Of every fold.
    min_shift
        Least shift, fs (the correlation time given).
    timestep
        fs.
    notes
        What a reader must know: fewer shifts than asked for, too short a trajectory.
    """

    model: Score
    mean: Score
    linear: Score
    cubic: Score
    shifted_scores: tuple[Score, ...]
    shifts: NDArray[np.intp]
    n_shifts_wanted: int
    predictions: NDArray[np.float64]
    shifted_predictions: NDArray[np.float64]
    test_frames: NDArray[np.intp]
    training_frames: tuple[NDArray[np.intp], ...]
    min_shift: float
    timestep: float
    notes: tuple[str, ...]

    @property
    def shifted(self) -> NDArray[np.float64]:
        """R2 of the shifted models [n_shifts]."""
        return np.array([one.r2 for one in self.shifted_scores], dtype=np.float64)

    @property
    def shifted_median(self) -> float:
        """Median R2 of the shifted models; NaN without any."""
        return float(np.median(self.shifted)) if len(self.shifted) else math.nan

    @property
    def z(self) -> float:
        """Standard deviations of the shifted R2 between their mean and the model's; NaN below two shifts."""
        if len(self.shifted) < 2 or np.ptp(self.shifted) == 0.0:
            return math.nan
        return float((self.model.r2 - self.shifted.mean()) / self.shifted.std(ddof=1))

    @property
    def rank(self) -> int:
        """Place of the model among itself and its shifted twins, 1 the best; ties count against it."""
        return 1 + int(np.sum(self.shifted >= self.model.r2))

    @property
    def p(self) -> float:
        """``rank / (n_shifts + 1)``; its least value is 1 / (n_shifts + 1)."""
        return self.rank / (len(self.shifted) + 1)

    @property
    def best_baseline(self) -> Score:
        """The best of mean, linear and cubic."""
        return max((self.mean, self.linear, self.cubic), key=lambda one: one.r2)

    @property
    def beats_the_calendar(self) -> Usefulness:
        """The one definition of *useful* (`hopcast.evaluation.verdicts.usefulness`) on these scores.

        ``not useful`` where a baseline, or the model on features of another time, is as good; ``inconclusive`` where it beats them,
        but too few shifts fit into the trajectory.
        """
        return usefulness(self.model.r2, (self.mean.r2, self.linear.r2, self.cubic.r2), self.shifted)

    def headline(self) -> str:
        """Return the score of the model, and the verdict."""
        return f"R2 {self.model.r2:.4f} on {len(self.test_frames)} frames, {self.beats_the_calendar}"

    def plot(self, axes: Axes | None = None) -> Axes:
        """Draw the score of the model beside its baselines and its control; return Matplotlib axes."""
        from hopcast.evaluation.plot import plot_evaluation

        return plot_evaluation(self, axes)

    def __str__(self) -> str:
        shifted = (
            f"R2 {self.shifted_median:.4f} (median of {len(self.shifted)}; rank {self.rank}, z {self.z:.2f}, p {self.p:.3g})"
            if len(self.shifted)
            else "none possible"
        )
        lines = [
            f"model    {self.model}",
            f"mean     {self.mean}",
            f"linear   {self.linear}",
            f"cubic    {self.cubic}",
            f"shifted  {shifted}",
            f"verdict  {self.beats_the_calendar}",
        ]
        return "\n".join([*lines, *(f"note     {note}" for note in self.notes)])


def evaluate_model(
    model: Any,
    X: ArrayLike,
    y: ArrayLike,
    split: Splitter,
    timestep: float,
    *,
    min_shift: float,
    n_shifts: int = 20,
    groups: ArrayLike | None = None,
    times: ArrayLike | None = None,
    random_state: int | None = None,
    workers: int | None = None,
) -> Evaluation:
    """Score a model on a split beside mean, linear and cubic interpolation in time, and its own shifted twins.

    Parameters
    ----------
    model
        A scikit-learn regressor; cloned for every fit. A `LaplacianRidge` serves all shifts by one factorisation.
    X
        Features [n_frames, n_features].
    y
        Target [n_frames].
    split
        `InterleavedSplit`, `BlockedSplit`, `TrajectorySplit`, or any scikit-learn splitter that tests no frame twice.
    timestep
        fs between frames.
    min_shift
        Least circular shift, and least distance between shifts, fs: the correlation time.
    n_shifts
        Shifts wanted. As many as fit are made; fewer than wanted is a note of the result. 0: no control.
    groups
        Trajectory of every frame; shifts are circular within each, interpolation too.
    times
        Time of every frame, fs, ascending within each trajectory, where frames are not evenly spaced (computed pairs of
        a sparse Hamiltonian): interpolation follows it. Shifts move frames by their order; `timestep` is then the
        typical spacing.
    random_state
        Seed that draws the shifts; None spreads them evenly.
    workers
        Threads; the result does not depend on them.

    Raises
    ------
    InputError
        If X, y and `times` do not fit or are not finite, the target is constant, the split leaves no frames, or it tests a
        frame twice.
    ConfigError
        If a time is not positive or `n_shifts` negative.

    Notes
    -----
    *Control.* The shifted models see the target of s frames earlier on the same training frames, which is the same as
    features of s frames later. Each is fitted as the model is, its own choice of hyperparameters included. Test
    frames within one (median) training spacing of the seam, where the shifted target jumps from its end to its
    start, are left out of its score.

    *Folds.* The forecasts of all folds are scored together, with one mean of the target; R2 by fold would depend on
    how little the target moves within a block.
    """
    features, target = _checked(X, y)
    if not 0.0 < timestep < math.inf or not 0.0 < min_shift < math.inf:
        raise ConfigError(
            f"Arguments `timestep` and `min_shift` must be positive times in fs, but are {timestep} and {min_shift}."
        )
    n_frames = len(target)
    labels = np.zeros(n_frames, dtype=np.intp) if groups is None else np.asarray(groups)
    if labels.shape != (n_frames,):
        raise InputError(
            f"Argument `groups` must name a trajectory for each of {n_frames} frames, but has {labels.shape}."
        )
    trajectories = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    calendar = _calendar(times, trajectories, n_frames)
    shortest = min(len(frames) for frames in trajectories)
    min_frames = max(1, math.ceil(round(min_shift / timestep, 9)))
    if n_shifts < 0:
        raise ConfigError(f"Argument `n_shifts` must not be negative, but is {n_shifts}.")
    shifts = circular_shifts(shortest, n_shifts, min_frames, random_state)
    targets = np.column_stack([target, shifted_targets(target, shifts, trajectories)])
    folds = [(np.asarray(train), np.asarray(test)) for train, test in split.split(features, target, groups)]
    tested = np.concatenate([test for _, test in folds])
    if len(np.unique(tested)) != len(tested):
        raise InputError("Argument `split` must test every frame at most once, but tests some twice.")

    forecasts = np.full((n_frames, 1 + len(shifts)), np.nan)
    baselines = {kind: np.full(n_frames, np.nan) for kind in ("mean", "linear", "cubic")}
    clear_of_seam = np.zeros((n_frames, len(shifts)), dtype=np.bool_)
    for train, test in folds:
        frames = np.arange(n_frames) if len(folds) == 1 else test
        forecasts[frames] = fit_and_predict_all(model, features, targets, train, frames, workers)
        baselines["mean"][frames] = mean_prediction(target[train], len(frames))
        for kind in ("linear", "cubic"):
            baselines[kind][frames] = _interpolated(train, target, frames, trajectories, calendar, kind)
        for column, shift in enumerate(shifts):
            clear_of_seam[test, column] = ~near_seam(test, train, int(shift), trajectories)

    tested = np.sort(tested)
    shifted = tuple(
        score(targets[rows, 1 + column], forecasts[rows, 1 + column])
        for column in range(len(shifts))
        for rows in [tested[clear_of_seam[tested, column]]]
    )
    # Back to the calendar of the true target.
    back = np.empty((len(shifts), n_frames))
    for column, shift in enumerate(shifts):
        for frames in trajectories:
            back[column, frames] = np.roll(forecasts[frames, 1 + column], -shift)
    return Evaluation(
        model=score(target[tested], forecasts[tested, 0]),
        mean=score(target[tested], baselines["mean"][tested]),
        linear=score(target[tested], baselines["linear"][tested]),
        cubic=score(target[tested], baselines["cubic"][tested]),
        shifted_scores=shifted,
        shifts=shifts,
        n_shifts_wanted=n_shifts,
        predictions=forecasts[:, 0].copy(),
        shifted_predictions=back,
        test_frames=tested,
        training_frames=tuple(train for train, _ in folds),
        min_shift=min_shift,
        timestep=timestep,
        notes=_notes(len(shifts), n_shifts, shortest, min_frames, timestep),
    )


def evaluate_series(
    y: ArrayLike,
    forecast: ArrayLike,
    folds: Sequence[tuple[ArrayLike, ArrayLike]],
    timestep: float,
    *,
    min_shift: float,
    n_shifts: int = 20,
    times: ArrayLike | None = None,
    random_state: int | None = None,
) -> Evaluation:
    """Score what was forecast elsewhere, beside mean, linear and cubic interpolation in time and its own shifted twins.

    Parameters
    ----------
    y, forecast
        Target, and what each fold said of its test frames [n_frames]; NaN where no fold tests.
    folds
        Training and test frames of each.
    timestep, min_shift, n_shifts, times, random_state
        As in `evaluate_model`.

    Notes
    -----
    *Control.* The twins are the same forecasts read at other times: what the model says of frames of another time. They
    are not fitted anew.
    """
    target, said = np.asarray(y, dtype=np.float64), np.asarray(forecast, dtype=np.float64)
    n_frames = len(target)
    everything = [np.arange(n_frames)]
    calendar = _calendar(times, everything, n_frames)
    min_frames = max(1, math.ceil(round(min_shift / timestep, 9)))
    shifts = circular_shifts(n_frames, n_shifts, min_frames, random_state)
    pairs = [(np.asarray(train), np.asarray(test)) for train, test in folds]
    tested = np.sort(np.concatenate([test for _, test in pairs]))
    baselines = {kind: np.full(n_frames, np.nan) for kind in ("mean", "linear", "cubic")}
    for train, test in pairs:
        baselines["mean"][test] = mean_prediction(target[train], len(test))
        for kind in ("linear", "cubic"):
            baselines[kind][test] = _interpolated(train, target, test, everything, calendar, kind)
    twins = np.array([np.roll(said, -shift) for shift in shifts]).reshape(len(shifts), n_frames)
    scores = []
    for twin in twins:
        rows = tested[np.isfinite(twin[tested])]
        scores.append(score(target[rows], twin[rows]))
    return Evaluation(
        model=score(target[tested], said[tested]),
        mean=score(target[tested], baselines["mean"][tested]),
        linear=score(target[tested], baselines["linear"][tested]),
        cubic=score(target[tested], baselines["cubic"][tested]),
        shifted_scores=tuple(scores),
        shifts=shifts,
        n_shifts_wanted=n_shifts,
        predictions=said,
        shifted_predictions=twins,
        test_frames=tested,
        training_frames=tuple(train for train, _ in pairs),
        min_shift=min_shift,
        timestep=timestep,
        notes=_notes(len(shifts), n_shifts, n_frames, min_frames, timestep),
    )


def _interpolated(
    train: NDArray[np.intp],
    target: NDArray[np.float64],
    frames: NDArray[np.intp],
    trajectories: list[NDArray[np.intp]],
    calendar: NDArray[np.float64],
    kind: str,
) -> NDArray[np.float64]:
    """Interpolate within each trajectory; one without training frames takes the mean of all of them."""
    whole = np.full(len(target), float(target[train].mean()))
    for members in trajectories:
        positions = np.flatnonzero(np.isin(members, train))
        if len(positions):
            known = members[positions]
            whole[members] = interpolate_in_time(calendar[known], target[known], calendar[members], kind)
    return whole[frames]


def _calendar(times: ArrayLike | None, trajectories: list[NDArray[np.intp]], n_frames: int) -> NDArray[np.float64]:
    """Return the time of every frame: as given, or its number within its trajectory."""
    if times is None:
        calendar = np.empty(n_frames)
        for members in trajectories:
            calendar[members] = np.arange(len(members))
        return calendar
    calendar = np.asarray(times, dtype=np.float64)
    if calendar.shape != (n_frames,):
        raise InputError(
            f"Argument `times` must hold a time for each of {n_frames} frames, but has shape {calendar.shape}."
        )
    if not all((np.diff(calendar[members]) > 0).all() for members in trajectories):
        raise InputError("Argument `times` must ascend within each trajectory, but does not.")
    return calendar


def _checked(X: ArrayLike, y: ArrayLike) -> tuple[NDArray[np.floating], NDArray[np.float64]]:
    features, target = np.asarray(X), np.asarray(y, dtype=np.float64)
    if features.ndim != 2 or target.ndim != 1 or len(features) != len(target):
        raise InputError(
            "Argument `X` must be [n_frames, n_features] and `y` [n_frames] of the same frames, but the shapes are "
            f"{features.shape} and {target.shape}."
        )
    require_finite("y", target[:, None])
    if features.dtype.kind == "f":
        require_finite("X", features)  # here, where frames still have the numbers the user knows
    if np.ptp(target) == 0.0:
        raise InputError(f"Argument `y` must vary, but is {target[0]:g} on all {len(target)} frames.")
    return features, target


def _notes(n_made: int, n_wanted: int, n_frames: int, min_frames: int, timestep: float) -> tuple[str, ...]:
    notes = []
    if n_made < n_wanted:
        notes.append(
            f"{n_made} shifts of at least {min_frames * timestep:g} fs fit into {n_frames * timestep:g} fs; "
            f"{n_wanted} were asked for."
        )
    needed = math.ceil(1.0 / LEVEL)  # shifts and the model itself
    if n_wanted and n_made + 1 < needed:
        notes.append(
            f"The least p that {n_made} shifts can reach is {1 / (n_made + 1):.2g}: a verdict at {LEVEL:g} needs "
            f"{needed * min_frames * timestep:g} fs of trajectory (or more shifts)."
        )
    return tuple(notes)

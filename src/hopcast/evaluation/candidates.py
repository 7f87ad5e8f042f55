"""Many models, one table: candidates scored on whole blocks of time held out, and chosen without looking at them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone
from sklearn.model_selection import GroupKFold

from hopcast.core.chunks import map_chunks, single_threaded_blas
from hopcast.core.errors import ConfigError, InputError
from hopcast.evaluation.baselines import interpolate_in_time
from hopcast.evaluation.scores import Score, score
from hopcast.evaluation.shifts import fit_and_predict_all, fit_learner
from hopcast.evaluation.verdicts import usefulness
from hopcast.information import circular_shifts
from hopcast.regression.finite import require_finite
from hopcast.regression.learner import Learner, abilities_of

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Candidate:
    """A representation and a learner.

    Attributes
    ----------
    name
        What the table calls it.
    features
        Of the samples, [n_samples, n_columns].
    learner
        A scikit-learn regressor; cloned for every fit. Block labels reach a `fit` that takes ``groups``.
    """

    name: str
    features: Floats
    learner: Learner


@dataclass(frozen=True, eq=False)
class CandidateScore:
    """One row of the table.

    Attributes
    ----------
    name
        Of the candidate.
    score
        On the held-out blocks.
    shifted
        R2 of the same on features shifted circularly in time, [n_shifts].
    n_chosen
        Folds in which it was chosen.
    forecast
        [n_samples], each by the model that saw nothing of its block.
    """

    name: str
    score: Score
    shifted: Floats
    n_chosen: int
    forecast: Floats

    @property
    def p(self) -> float:
        """Share of the candidate and its shifted twins that do as well; NaN without shifts."""
        n = len(self.shifted)
        return (1 + int(np.sum(self.shifted >= self.score.r2))) / (n + 1) if n else math.nan


@dataclass(frozen=True, eq=False)
class NestedSelection:
    """Candidates, baselines, and the choice among the candidates, all on the same held-out blocks.

    Attributes
    ----------
    rows
        One for each candidate, in the order given.
    selected
        Score of choosing: in every fold the candidate of least error inside the training blocks forecasts the
        held-out block. This score is free of the optimism of picking the best row.
    forecast
        The forecasts that `selected` scores, [n_samples].
    shifted
        R2 of the chosen candidates on shifted features, [n_shifts].
    chosen
        Name of the candidate of each fold.
    final
        Name of the candidate of least block-out error on all samples: the one to refit and use.
    mean, linear, cubic
        Scores of the mean of the training blocks and of interpolation in time from them.
    n_blocks
        Number of blocks.
    """

    rows: tuple[CandidateScore, ...]
    selected: Score
    forecast: Floats
    shifted: Floats
    chosen: tuple[str, ...]
    final: str
    mean: Score
    linear: Score
    cubic: Score
    n_blocks: int

    @property
    def p(self) -> float:
        """Rank of the choice among its shifted twins, over their number and one; NaN without shifts."""
        n = len(self.shifted)
        return (1 + int(np.sum(self.shifted >= self.selected.r2))) / (n + 1) if n else math.nan

    @property
    def is_useful(self) -> bool:
        """Whether the choice is *useful* by the one definition (`hopcast.evaluation.verdicts.usefulness`)."""
        rivals = (self.mean.r2, self.linear.r2, self.cubic.r2)
        return usefulness(self.selected.r2, rivals, self.shifted) == "useful"

    def __str__(self) -> str:
        width = max(len(row.name) for row in self.rows)
        width = max(width, len("chosen in each fold"))
        lines = [f"{'candidate':{width}}  {'R2':>7}  {'MAE':>9}  {'shifted':>8}  {'p':>5}  chosen"]

        def line(name: str, found: Score, shifted: Floats, p: float, chosen: str) -> str:
            control = f"{np.median(shifted):8.3f}  {p:5.3f}" if len(shifted) else f"{'-':>8}  {'-':>5}"
            return f"{name:{width}}  {found.r2:7.3f}  {found.mae:9.4g}  {control}  {chosen}".rstrip()

        lines += [line(row.name, row.score, row.shifted, row.p, str(row.n_chosen or "")) for row in self.rows]
        lines.append(line("chosen in each fold", self.selected, self.shifted, self.p, f"of {self.n_blocks}"))
        nothing = np.empty(0)
        for name in ("mean", "linear", "cubic"):
            lines.append(line(name, getattr(self, name), nothing, math.nan, ""))
        verdict = "useful" if self.is_useful else "not useful"
        if not len(self.shifted):
            verdict = "no shifts, so no verdict"
        return "\n".join([*lines, f"to use: {self.final}; {verdict}"])


def time_blocks(times: ArrayLike, length: float) -> NDArray[np.intp]:
    """Return the number of the block of `length` (same unit as `times`) that every sample lies in, from the first sample on.

    Raises
    ------
    ConfigError
        If the length is not positive.
    InputError
        If all samples lie in one block.
    """
    if not 0.0 < length < math.inf:
        raise ConfigError(f"Argument `length` must be a positive time, but is {length}.")
    at = np.asarray(times, dtype=np.float64)
    labels = np.floor((at - at.min()) / length).astype(np.intp)
    if labels.max() == 0:
        raise InputError(
            f"Argument `length` must cut the samples into at least two blocks, but {length:g} spans all of them."
        )
    return np.unique(labels, return_inverse=True)[1].astype(np.intp)


def nested_selection(
    candidates: Sequence[Candidate],
    y: ArrayLike,
    times: ArrayLike,
    blocks: ArrayLike,
    *,
    n_shifts: int = 20,
    purge: float = 0.0,
    inner_folds: int = 5,
    workers: int | None = None,
) -> NestedSelection:
    """Score candidates on whole blocks of time held out, and choose among them inside the training blocks.

    Each block is held out in turn. Within the other blocks every candidate gets an error from refits on `inner_folds` groups
    of blocks, the same for all; the best of them forecasts the block. Learners choose their own hyperparameters by the labels of
    the blocks, so nothing of a held-out block is used. (The least error of a learner's own search is no stand-in for the refits: it
    is the best of many, and a learner that tries more pairs would win by that alone.)

    Parameters
    ----------
    candidates
        Representations and learners.
    y
        Target of the samples, in the order of time, [n_samples].
    times
        Of the samples, ascending, any unit.
    blocks
        Label of the block of every sample (`time_blocks`), longer than the correlation time.
    n_shifts
        Circular shifts of the target against the features, the control; 0 for none. As many as there are samples at most.
    purge
        No sample within this time of the held-out block trains.
    inner_folds
        Groups of training blocks on which candidates are compared.
    workers
        Threads, over blocks.

    Raises
    ------
    InputError
        If shapes do not fit, times do not ascend, or there are fewer than three blocks.
    ConfigError
        Without candidates, or if two share a name.

    References
    ----------
    Varma, Simon, BMC Bioinformatics 2006, 7, 91, doi:10.1186/1471-2105-7-91 (why nested).
    """
    target, at, labels = _checked(candidates, y, times, blocks)
    n = len(target)
    shifts = circular_shifts(n, min(n_shifts, n - 1), 1, None) if n_shifts else np.empty(0, dtype=np.intp)
    targets = np.stack([target, *(np.roll(target, int(shift)) for shift in shifts)], axis=1)
    names = np.unique(labels)
    folds = [_fold(labels, at, label, purge) for label in names]
    forecasts = np.full((len(candidates), n, targets.shape[1]), np.nan)
    # Errors inside the training blocks of every fold, and, last, inside all blocks.
    inner = np.empty((len(candidates), len(folds) + 1))
    with single_threaded_blas():
        for place, candidate in enumerate(candidates):
            learner = _serial(candidate.learner)

            def work(fold: int, X: Floats = candidate.features, learner: Any = learner) -> tuple[float, Floats]:
                if fold == len(folds):
                    return _inner_error(learner, X, target, labels, inner_folds), targets[:0]
                train, test = folds[fold]
                return _fit_fold(learner, X, targets, labels, train, test, inner_folds)

            # Other libraries' learners are not promised to work in threads.
            threads = workers if abilities_of(learner).in_threads else 1
            found = map_chunks(work, range(len(folds) + 1), workers=threads, portable=True)
            inner[place] = [error for error, _ in found]
            for (_, test), (_, forecast) in zip(folds, found[:-1], strict=True):
                forecasts[place, test] = forecast
    baselines = {kind: np.full(n, np.nan) for kind in ("mean", "linear", "cubic")}
    for train, test in folds:
        baselines["mean"][test] = target[train].mean()
        for kind in ("linear", "cubic"):
            baselines[kind][test] = interpolate_in_time(at[train], target[train], at[test], kind)
    *picks, final = (int(pick) for pick in np.argmin(inner, axis=0))
    counted = Counter(picks)
    rows = tuple(
        CandidateScore(
            candidate.name,
            score(target, forecasts[place, :, 0]),
            _shifted_scores(targets, forecasts[place]),
            counted[place],
            forecasts[place, :, 0].copy(),
        )
        for place, candidate in enumerate(candidates)
    )
    together = np.empty_like(forecasts[0])
    for label, pick in zip(names, picks, strict=True):
        together[labels == label] = forecasts[pick, labels == label]
    return NestedSelection(
        rows=rows,
        selected=score(target, together[:, 0]),
        forecast=together[:, 0].copy(),
        shifted=_shifted_scores(targets, together),
        chosen=tuple(candidates[pick].name for pick in picks),
        final=candidates[final].name,
        mean=score(target, baselines["mean"]),
        linear=score(target, baselines["linear"]),
        cubic=score(target, baselines["cubic"]),
        n_blocks=len(names),
    )


def _fold(labels: NDArray[np.intp], at: Floats, label: Any, purge: float) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return training and test samples of the fold that holds a block out."""
    test = np.flatnonzero(labels == label)
    apart = (at < at[test].min() - purge) | (at > at[test].max() + purge)
    return np.flatnonzero(apart & (labels != label)), test


def _fit_fold(
    learner: Learner,
    X: Floats,
    targets: Floats,
    labels: NDArray[np.intp],
    train: NDArray[np.intp],
    test: NDArray[np.intp],
    n_folds: int,
) -> tuple[float, Floats]:
    """Return the error inside the training blocks, and the forecasts of all targets on the block held out."""
    if abilities_of(learner).many_targets:  # one factorisation a pair for all shifted targets
        forecast = clone(learner).fit(X[train], targets[train], labels[train]).predict(X[test])
    else:
        forecast = fit_and_predict_all(learner, X, targets, train, test, 1, labels)
    return _inner_error(learner, X[train], targets[train, 0], labels[train], n_folds), forecast


def _inner_error(learner: Learner, X: Floats, y: Floats, labels: NDArray[np.intp], n_folds: int) -> float:
    """Return the mean squared error on blocks held out of the training samples."""
    folds = GroupKFold(min(n_folds, len(np.unique(labels))))
    total = 0.0
    for train, test in folds.split(X, y, labels):
        fitted = fit_learner(learner, X[train], y[train], labels[train])
        total += float(np.sum((y[test] - fitted.predict(X[test])) ** 2))
    return total / len(y)


def _shifted_scores(targets: Floats, forecasts: Floats) -> Floats:
    return np.array([score(targets[:, k], forecasts[:, k]).r2 for k in range(1, targets.shape[1])])


def _serial(learner: Any) -> Any:
    """Return the learner on one thread: threads run over blocks."""
    single = clone(learner)
    parameters = single.get_params(deep=False)
    known = {name: 1 for name in ("workers", "n_jobs") if name in parameters}
    return single.set_params(**known) if known else single


def _checked(
    candidates: Sequence[Candidate], y: ArrayLike, times: ArrayLike, blocks: ArrayLike
) -> tuple[Floats, Floats, NDArray[np.intp]]:
    if not candidates:
        raise ConfigError("Argument `candidates` must hold at least one candidate, but is empty.")
    repeated = [name for name, count in Counter(one.name for one in candidates).items() if count > 1]
    if repeated:
        raise ConfigError(f"Argument `candidates` must have different names, but `{repeated[0]}` is repeated.")
    target, at = np.asarray(y, dtype=np.float64), np.asarray(times, dtype=np.float64)
    labels = np.unique(np.asarray(blocks), return_inverse=True)[1].astype(np.intp)
    if target.ndim != 1 or at.shape != target.shape or labels.shape != target.shape:
        raise InputError(
            f"Arguments `y`, `times` and `blocks` must have one value for each sample, but have {target.shape}, {at.shape} "
            f"and {labels.shape}."
        )
    require_finite("y", target[:, None])
    if (np.diff(at) <= 0).any():
        raise InputError("Argument `times` must ascend, but does not: sort the samples by time.")
    if labels.max(initial=0) < 2:
        raise InputError(
            f"Argument `blocks` must name at least three blocks, one to hold out and two to choose within, but names "
            f"{labels.max(initial=-1) + 1}."
        )
    for one in candidates:
        if one.features.ndim != 2 or len(one.features) != len(target):
            raise InputError(
                f"Features of candidate `{one.name}` must be [{len(target)}, n_columns], but have the shape {one.features.shape}."
            )
    return target, at, labels

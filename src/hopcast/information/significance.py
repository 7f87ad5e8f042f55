"""Information that survives controls: decimated, windowed, and tested against circular shifts."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hopcast.core.errors import InputError
from hopcast.core.showing import Shown
from hopcast.information.checks import admissible_others, check_series
from hopcast.information.kernels import Floats, Ints
from hopcast.information.ksg import ksg, normal_scores, scale_series
from hopcast.information.shifts import circular_shifts
from hopcast.information.timescales import CorrelationTime, correlation_time, first_zero_crossing

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MAX_SHIFTS = 120
"""Enough that one of six values shown together can pass Benjamini and Hochberg's 5 %."""
_GUARD = 2  # decimated samples: the first zero crossing
_RAW_SHIFTS = 20
_WINDOWED_SHIFTS = 5  # each costs several raw ones, and only their mean is used
_LONG = 2_000
_MANY = 3_000  # features: their nulls are pooled, so fewer shifts of each say as much
"""Beyond so many samples, shifts of the full series and offsets of the decimated ones are thinned out in proportion."""
_FEWEST_DECIMATED = 20
_LEVEL = 0.05


@dataclass(frozen=True, eq=False, repr=False)
class Information(Shown):
    """What each feature knows of a target, with its controls. All information in nat, arrays [n_features].

    Attributes
    ----------
    raw
        KSG over all samples, clipped at 0 (scikit-learn's value). Never to be reported without
        `raw_null_mean`.
    raw_null_mean
        Mean raw value of the same feature shifted circularly in time: the size of the artefact.
    corrected
        KSG on the decimated series, averaged over all offsets, not clipped. The value to believe.
    windowed, windowed_null_mean
        KSG with a Theiler window, not clipped, and its mean under circular shifts, which is not 0.
    null_mean, null_std
        Of `corrected` under circular shifts, pooled over the features of like speed of a group.
    z
        (corrected - null_mean) / null_std.
    p
        Share of the pooled null at or above `corrected`, both counted with the value itself, but never below
        `smallest_p`.
    p_adjusted
        p after Benjamini and Hochberg, over all features.
    smallest_p
        1 / (1 + independent null values of the group): see the theory page.
    null
        The null values of `corrected` [n_features, n_shifts].
    groups
        Label of the group of each feature.
    correlation_time
        Of the target and the features, the slowest.
    decimation, theiler_window
        In samples.
    n_decimated
        Length of each decimated series.
    n_shifts
        Circular shifts of the decimated series behind `null`.
    reason
        Why the result is inconclusive; empty if it is not.
    thinning
        Share of the usual shifts and offsets that was computed: less than 1 of long series and of many features.
    """

    raw: Floats
    raw_null_mean: Floats
    corrected: Floats
    windowed: Floats
    windowed_null_mean: Floats
    null_mean: Floats
    null_std: Floats
    z: Floats
    p: Floats
    p_adjusted: Floats
    smallest_p: Floats
    null: Floats
    groups: NDArray[np.character]
    correlation_time: CorrelationTime
    decimation: int
    theiler_window: int
    n_decimated: int
    n_shifts: int
    n_samples: int
    timestep: float
    reason: str
    thinning: float = 1.0

    @property
    def length_needed(self) -> float:
        """Length of a trajectory (fs) that allows p = 0.05 from shifts alone; a lower bound if not resolved."""
        return self.correlation_time.value * math.ceil(1 / _LEVEL)

    def headline(self) -> str:
        """Return the number of features and what they know on average."""
        return f"{len(self.raw)} features, corrected {np.mean(self.corrected):.3f} nat, shifted in time {np.mean(self.null_mean):.3f} nat"

    def plot(self, axes: Axes | None = None) -> Axes:
        """Draw the mean information of each group beside that of features moved in time; return Matplotlib axes."""
        from hopcast.information.plot import plot_information

        return plot_information(self, axes)

    def __str__(self) -> str:
        lines = [
            f"Information of {len(self.raw)} features with the target (mean a feature, nat), "
            f"{self.n_samples} samples of {self.timestep:g} fs"
        ]
        for name, value, null in (
            ("raw", self.raw, self.raw_null_mean),
            ("corrected", self.corrected, self.null_mean),
            ("windowed", self.windowed, self.windowed_null_mean),
        ):
            lines.append(f"  {name:10s} {np.mean(value):7.3f}   shifted in time {np.mean(null):7.3f}")
        lines.append(f"  correlation time {self.correlation_time}")
        lines.append(
            f"  one sample in {self.decimation}, {self.n_shifts} shifts, smallest p {np.min(self.smallest_p):.2g}"
        )
        if self.thinning < 1:
            lines.append(
                f"  thinned: {100 * self.thinning:.0f} % of the usual shifts and offsets, of {self.n_samples} samples"
            )
        return "\n".join([*lines, f"  inconclusive: {self.reason}"] if self.reason else lines)


def information(
    X: ArrayLike,
    y: ArrayLike,
    timestep: float = 1.0,
    *,
    n_neighbors: int = 3,
    n_shifts: int | None = None,
    groups: Sequence[Hashable] | None = None,
    decimate: int | None = None,
    theiler_window: int | None = None,
    shift_spacing: float | None = None,
    random_state: int = 0,
    workers: int | None = None,
) -> Information:
    """Estimate what each feature knows of the target along a trajectory, raw and corrected, with its null.

    Parameters
    ----------
    X : array_like [n_samples, n_features] or [n_samples]
        Features along one trajectory, any unit.
    y : array_like [n_samples]
        Target, any unit.
    timestep
        Between samples, fs.
    n_neighbors
        k of the KSG estimator.
    n_shifts
        Circular shifts of the decimated series; None takes as many as fit, at most 100. Fewer may fit.
        The full series is shifted as often, at most 20 times for `raw_null_mean` and 5 for
        `windowed_null_mean`. Beyond 2000 samples, or 3000 features, these numbers, and the offsets of the decimated series that are
        averaged (in the value and its null alike), shrink in proportion (`thinning`), to no fewer than 2, 1 and 1: the estimates
        of so long series need less averaging, nulls of many features are pooled, and time grows linearly.
    groups : sequence [n_features]
        Features with the same label (an element) and like speed share one null; None puts all into one group.
    decimate
        Samples from one decimated sample to the next; None takes half the first zero crossing of the target
        or of the slowest feature, whichever is shorter.
    theiler_window
        Samples; None takes the correlation time.
    shift_spacing
        Least distance between shifts, fs; None takes one decimated sample. From zero they keep two of them, the first zero
        crossing, or the spacing if that is more.
    random_state
        Seed of jitter and shifts.
    workers
        Number of threads; does not change a bit of the result.

    Returns
    -------
    Information
        Where the trajectory is too short for a part, that part is NaN and `reason` says why.

    Raises
    ------
    InputError
        As `mutual_information`; a time step, spacing or decimation that is not positive, or groups of another
        length.
    """
    features, target = check_series(X, y, n_neighbors, theiler_window or 0)
    n_samples, n_features = features.shape
    labels = _labels(groups, n_features)
    for name, value in (("timestep", timestep), ("decimate", decimate), ("shift_spacing", shift_spacing)):
        if value is not None and not value > 0:
            raise InputError(f"Argument `{name}` must be positive, but is {value}.")
    if n_shifts is not None and n_shifts < 1:
        raise InputError(f"Argument `n_shifts` must be at least 1, but is {n_shifts}.")

    memory = _slowest(features, target, timestep, workers)
    step = _decimation(features, target) if decimate is None else int(decimate)
    spacing = step if shift_spacing is None else max(1, math.ceil(shift_spacing / timestep - 1e-9))
    window = max(1, math.ceil(memory.value / timestep)) if theiler_window is None else theiler_window
    find = _Finder(n_samples, n_features, n_neighbors, n_shifts or _MAX_SHIFTS, step, spacing, random_state, workers)
    scores = scale_series(normal_scores(features), normal_scores(target[:, None])[:, 0], random_state, workers)
    raw = np.maximum(find.whole(scale_series(features, target, random_state, workers), _RAW_SHIFTS), 0.0)
    windowed = np.full((n_features, 1), np.nan)
    if admissible_others(n_samples, window).min() > n_neighbors:
        windowed = find.whole(scores, _WINDOWED_SHIFTS, window)
    decimated = find.decimated(scores)
    corrected, null = decimated[:, 0], decimated[:, 1:]
    null_mean, null_std, p, smallest = _pooled(corrected, null, _alike(features, labels))
    with np.errstate(invalid="ignore", divide="ignore"):
        z = (corrected - null_mean) / null_std
    return Information(
        raw=raw[:, 0],
        raw_null_mean=_mean(raw[:, 1:]),
        corrected=corrected,
        windowed=windowed[:, 0],
        windowed_null_mean=_mean(windowed[:, 1:]),
        null_mean=null_mean,
        null_std=null_std,
        z=np.where(np.isfinite(z), z, np.nan),
        p=p,
        p_adjusted=adjust(p),
        smallest_p=smallest,
        null=null,
        groups=labels,
        correlation_time=memory,
        decimation=step,
        theiler_window=window,
        n_decimated=find.length,
        n_shifts=null.shape[1],
        n_samples=n_samples,
        timestep=timestep,
        reason=_reason(find, window, memory, null.shape[1], float(np.min(smallest))),
        thinning=find.share,
    )


@dataclass(frozen=True)
class _Finder:
    """Estimates of scaled series as they are and under circular shifts [n_features, 1 + n_shifts]."""

    n_samples: int
    n_features: int
    n_neighbors: int
    n_shifts: int
    step: int
    spacing: int
    random_state: int
    workers: int | None

    @property
    def length(self) -> int:
        """Of a decimated series."""
        return self.n_samples // self.step

    @property
    def share(self) -> float:
        """Of shifts and offsets that long series, and many features, keep."""
        return min(1.0, _LONG / self.n_samples, _MANY / self.n_features)

    @property
    def guard(self) -> int:
        """Least shift."""
        return max(self.spacing, _GUARD * self.step)

    def whole(self, series: tuple[Floats, Floats], most: int, window: int = 0) -> Floats:
        """Return those of all samples, of at most so many shifts (all but 2 and 1 in proportion to the length)."""
        least = 2 if most == _RAW_SHIFTS else 1
        count = min(self.n_shifts, max(least, round(most * self.share)))
        shifts = circular_shifts(self.n_samples, count, self.spacing, self.random_state, guard=self.guard)
        return self._estimate(series, shifts, window, 1)

    def decimated(self, series: tuple[Floats, Floats]) -> Floats:
        """Return those of the decimated series, averaged over offsets; NaN where too few samples are left."""
        spacing, guard = math.ceil(self.spacing / self.step), math.ceil(self.guard / self.step)
        shifts = circular_shifts(self.length, self.n_shifts, spacing, self.random_state, guard=guard)
        if self.length <= self.n_neighbors:
            return np.full((len(series[0]), len(shifts) + 1), np.nan)
        return self._estimate(series, shifts, 0, self.step)

    def _estimate(self, series: tuple[Floats, Floats], shifts: Ints, window: int, step: int) -> Floats:
        return ksg(
            *series,
            n_neighbors=self.n_neighbors,
            theiler_window=window,
            step=step,
            n_offsets=math.ceil(self.step * self.share),
            shifts=np.concatenate([[0], shifts]),
            workers=self.workers,
        )


def _reason(find: _Finder, window: int, memory: CorrelationTime, n_shifts: int, smallest: float) -> str:
    """Return why a result is inconclusive and which length is needed; nothing where it is not."""
    reasons = []
    if admissible_others(find.n_samples, window).min() <= find.n_neighbors:
        reasons.append(f"a Theiler window of {window} samples leaves too few of {find.n_samples}")
    if find.length < max(_FEWEST_DECIMATED, find.n_neighbors + 1):
        reasons.append(f"one sample in {find.step} leaves only {find.length} of {find.n_samples}")
    if not memory.resolved:
        reasons.append(f"the correlation time is not resolved: {memory}")
    if smallest > _LEVEL:
        reasons.append(f"{n_shifts} shifts reach no p below {smallest:.2g}")
    if reasons:
        least = "" if memory.resolved else "more than "
        reasons.append(f"a trajectory of {least}{20 * memory.value / 1000:.3g} ps is needed")
    return "; ".join(reasons)


def adjust(p: ArrayLike) -> Floats:
    """Return p values after Benjamini and Hochberg, those that are NaN left out of the count and as they are."""
    from scipy.stats import false_discovery_control  # takes half a second to import

    given = np.asarray(p, dtype=np.float64)
    found = given.copy()
    known = ~np.isnan(given)
    if known.any():
        found[known] = false_discovery_control(given[known])
    return found


def _alike(features: Floats, labels: NDArray[Any]) -> NDArray[np.str_]:
    """Return labels that tell features of a group apart whose speeds differ by more than an octave: slow ones scatter more.

    The speed is the root-mean-square change from sample to sample over the deviation.
    """
    spread = np.maximum(features.std(axis=0), np.finfo(np.float64).tiny)
    speeds = np.sqrt(np.mean(np.diff(features, axis=0) ** 2, axis=0)) / spread
    names = labels.astype(object)
    for label in np.unique(labels):
        inside = np.flatnonzero(labels == label)
        ordered = inside[np.argsort(speeds[inside], kind="stable")]
        octave, start = 0, speeds[ordered[0]]
        for feature in ordered:
            if speeds[feature] > 2.0 * start:
                octave, start = octave + 1, speeds[feature]
            names[feature] = f"{label}/{octave}"
    return names.astype(str)


def _labels(groups: Sequence[Hashable] | None, n_features: int) -> NDArray[np.character]:
    labels = np.array(["all"] * n_features if groups is None else [str(label) for label in groups])
    if len(labels) != n_features:
        raise InputError(
            f"Argument `groups` must have one label for each of {n_features} features, but has {len(labels)}."
        )
    return labels


def _slowest(features: Floats, target: Floats, timestep: float, workers: int | None) -> CorrelationTime:
    """Return the correlation time of target and features, whichever is longer."""
    both = (correlation_time(target, timestep), correlation_time(features, timestep, workers=workers))
    return max(both, key=lambda memory: (not memory.resolved, memory.value))


def _decimation(features: Floats, target: Floats) -> int:
    """Return half the first zero crossing of the target or of the slowest feature, whichever is shorter.

    In the max norm two samples are neighbours only if both series have hardly moved: a pair needs the stride of
    its faster member only, and this one is enough for every pair.
    """
    crossings = first_zero_crossing(features)
    varying = crossings[np.isfinite(crossings)]
    shorter = min(first_zero_crossing(target)[0], varying.max(initial=1.0))
    return max(1, round(float(shorter) / 2))


def _mean(values: Floats) -> Floats:
    """Return the mean over shifts, NaN where there are none."""
    return values.mean(axis=1) if values.shape[1] else np.full(len(values), np.nan)


def _pooled(corrected: Floats, null: Floats, labels: NDArray[np.character]) -> tuple[Floats, Floats, Floats, Floats]:
    """Return mean and deviation of the pooled null, p, and the smallest p of each feature's group."""
    mean, deviation, p = (np.full(len(corrected), np.nan) for _ in range(3))
    smallest = np.ones(len(corrected))
    for label in np.unique(labels):
        group = labels == label
        pool = np.sort(null[group], axis=None)
        if pool.size == 0 or np.isnan(pool).any():
            continue
        mean[group] = pool.mean()
        deviation[group] = pool.std(ddof=1) if pool.size > 1 else np.nan
        smallest[group] = 1.0 / (1.0 + null.shape[1] * independent_features(null[group]))
        at_least = pool.size - np.searchsorted(pool, corrected[group], side="left")
        p[group] = np.maximum((1.0 + at_least) / (1.0 + pool.size), smallest[group])
    return mean, deviation, p, smallest


def independent_features(null: Floats) -> float:
    """Return the effective number of independent features, n^2 / sum_ij r_ij^2 (participation ratio).

    r_ij is the correlation of the null values [n_features, n_shifts] of two features over the shifts. Copies
    count once; from few shifts r is noisy and the number errs on the low side.
    """
    n_features, n_shifts = null.shape
    spread = null.std(axis=1, keepdims=True)
    if n_shifts < 2 or n_features == 1 or not np.all(spread > 0):
        return 1.0
    normal = (null - null.mean(axis=1, keepdims=True)) / spread
    gram = normal.T @ normal if n_shifts < n_features else normal @ normal.T
    return float(n_features**2 * n_shifts**2 / np.sum(gram**2))

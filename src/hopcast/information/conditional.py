"""Conditional information, intervals by block bootstrap, and a selection of features that are no copies of each other."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray
from scipy.special import digamma

from hopcast.core.chunks import map_chunks
from hopcast.core.errors import InputError, check_choice
from hopcast.core.resampling import cut_into_blocks, mean_interval, memory_widening
from hopcast.information.checks import check_series
from hopcast.information.kernels import Floats, Ints
from hopcast.information.ksg import ksg, normal_scores, scale_series
from hopcast.information.significance import Information

MOST_PAIRS = 4e8
"""Pairs of samples that the direct search visits; beyond, fewer offsets of the decimation are averaged."""


@njit(cache=True, nogil=True)
def local_terms(x: Floats, y: Floats, Z: Floats, k: int, psi: Floats, out: Floats) -> None:
    """Write psi(n_z + 1) - psi(n_xz + 1) - psi(n_yz + 1) of every sample (Frenzel and Pompe) into `out` [n].

    Parameters
    ----------
    x, y
        Series [n].
    Z
        Conditions [n_conditions, n]; none of them: n_z counts all others, the estimator is KSG 1.
    k
        Neighbours.
    psi
        digamma(m + 1) for m = 0 ... n - 1.
    """
    n = x.size
    conditions = np.zeros(n)
    joint = np.empty(n)
    nearest = np.empty(k)
    for i in range(n):
        for j in range(n):
            conditions[j] = 0.0
        for c in range(Z.shape[0]):
            here = Z[c, i]
            for j in range(n):
                conditions[j] = max(conditions[j], abs(Z[c, j] - here))
        nearest[:] = np.inf
        for j in range(n):
            joint[j] = max(conditions[j], max(abs(x[j] - x[i]), abs(y[j] - y[i])))
            distance = joint[j]
            if j != i and distance < nearest[k - 1]:
                for m in range(k):
                    old = nearest[m]
                    nearest[m] = min(old, distance)
                    distance = max(old, distance)
        radius = nearest[k - 1]
        n_z = 0
        n_x = 0
        n_y = 0
        for j in range(n):
            inside = conditions[j] < radius
            n_z += inside
            n_x += inside and abs(x[j] - x[i]) < radius
            n_y += inside and abs(y[j] - y[i]) < radius
        # each count holds the sample itself
        out[i] = psi[n_z - 1] - psi[n_x - 1] - psi[n_y - 1]


def _local(
    scaled: Floats, target: Floats, conditions: Floats, k: int, step: int, workers: int | None
) -> tuple[Floats, Ints]:
    """Return local terms with psi(k) added, [n_features, n_times], and the times (samples) they belong to."""
    n_features, n_samples = scaled.shape
    length = n_samples // step
    affordable = int(MOST_PAIRS // max(1.0, float(length) ** 2 * n_features))
    offsets = np.unique(np.linspace(0, step - 1, max(1, min(step, affordable))).round().astype(np.int64))
    psi = digamma(np.arange(1, length + 1, dtype=np.float64))
    times = (offsets[:, None] + step * np.arange(length)[None]).ravel()

    def terms(feature: int) -> Floats:
        out = np.empty((len(offsets), length))
        for row, start in enumerate(offsets):
            part = slice(start, start + length * step, step)
            local_terms(
                np.ascontiguousarray(scaled[feature, part]),
                np.ascontiguousarray(target[part]),
                np.ascontiguousarray(conditions[:, part]),
                k,
                psi,
                out[row],
            )
        return out.ravel() + digamma(k)

    return np.stack(map_chunks(terms, range(n_features), workers=workers, portable=True)), times


def conditional_information(
    X: ArrayLike,
    y: ArrayLike,
    conditions: ArrayLike | None = None,
    *,
    n_neighbors: int = 3,
    step: int = 1,
    random_state: int = 0,
    workers: int | None = None,
) -> NDArray[np.float64]:
    r"""Estimate what each feature knows of the target that the conditions do not, I(x; y | z), in nat.

    .. math:: I = \psi(k) + \langle \psi(n_z + 1) - \psi(n_{xz} + 1) - \psi(n_{yz} + 1) \rangle

    with counts strictly inside the joint k-th neighbour's distance (max norm). Not clipped at 0.

    Parameters
    ----------
    X
        Features [n_samples, n_features] or [n_samples].
    y
        Target [n_samples].
    conditions
        [n_samples, n_conditions] or [n_samples]; None: plain mutual information.
    n_neighbors
        k.
    step
        Decimation: every step-th sample, averaged over the offsets (`Information.decimation`).
    random_state
        Seed of the jitter.
    workers
        Threads; the result does not depend on them.

    Raises
    ------
    InputError
        As `mutual_information`; a step that leaves no more than k samples, or conditions of another length.

    References
    ----------
    Frenzel, Pompe, Phys. Rev. Lett. 99, 204101 (2007), 10.1103/PhysRevLett.99.204101.
    """
    features, target = check_series(X, y, n_neighbors, 0)
    held = np.zeros((len(target), 0))
    if conditions is not None:
        held, _ = check_series(conditions, y, n_neighbors, 0)
    _check_step(step, len(target), n_neighbors)
    scaled, scaled_y = scale_series(features, target, random_state, workers)
    known = scale_series(held, target, random_state + 1, workers)[0] if held.shape[1] else np.zeros((0, len(target)))
    return _local(scaled, scaled_y, known, n_neighbors, step, workers)[0].mean(axis=1)


def _check_step(step: int, n_samples: int, n_neighbors: int) -> None:
    if step < 1 or n_samples // step <= n_neighbors:
        raise InputError(
            f"Argument `step` must leave more than {n_neighbors} samples, but one in {step} of {n_samples} leaves "
            f"{n_samples // max(step, 1)}."
        )


@dataclass(frozen=True, eq=False)
class InformationInterval:
    """Corrected information of groups of features with its interval, nat.

    Attributes
    ----------
    groups
        Labels.
    value, low, high
        Sum over the group's features [n_groups], 95 % interval from blocks of time (`mean_interval`).
    n_blocks
        Blocks in the trajectory; with fewer than ten the interval is a lower bound.
    """

    groups: tuple[str, ...]
    value: Floats
    low: Floats
    high: Floats
    n_blocks: float


def bootstrap_information(
    X: ArrayLike,
    y: ArrayLike,
    info: Information,
    *,
    groups: Sequence[Hashable] | None = None,
    n_neighbors: int = 3,
    n_draws: int = 1000,
    random_state: int = 0,
    workers: int | None = None,
) -> InformationInterval:
    """Return the sum of corrected information over each group with a block-bootstrap interval.

    The estimate is a mean over samples of local terms; the interval is that of the mean of their blocks, 1.5 correlation times long
    or a tenth of the trajectory (`mean_interval`), while the neighbours stay as they are. (Drawing the samples themselves would make ties, which the
    estimator takes for information.)

    Parameters
    ----------
    X, y
        As given to `information`.
    info
        Its result: decimation, correlation time, groups.
    groups
        Label of each feature; None: those of `info`.
    n_neighbors, n_draws, random_state, workers
        As usual.
    """
    features, target = check_series(X, y, n_neighbors, 0)
    _check_step(info.decimation, len(target), n_neighbors)
    scaled, scaled_y = scale_series(
        normal_scores(features), normal_scores(target[:, None])[:, 0], random_state, workers
    )
    terms, times = _local(scaled, scaled_y, np.zeros((0, len(target))), n_neighbors, info.decimation, workers)
    labels = info.groups if groups is None else np.array([str(label) for label in groups])
    names = tuple(dict.fromkeys(labels.tolist()))
    order = np.argsort(times, kind="stable")
    series = np.stack([terms[labels == name].sum(axis=0)[order] for name in names])
    n = series.shape[1]
    per_fs = n / (len(target) * info.timestep)
    block = int(np.clip(math.ceil(1.5 * info.correlation_time.value * per_fs), 1, n))
    cut = int(min(max(n / block, 10), n))
    found = [
        mean_interval(means, widening=memory_widening(one, n // cut), n_draws=n_draws, random_state=random_state)
        for one, means in zip(series, cut_into_blocks(series, cut), strict=True)
    ]
    low, high = (np.array([getattr(one, end) for one in found]) for end in ("low", "high"))
    return InformationInterval(names, series.mean(axis=1), low, high, n / block)


@dataclass(frozen=True, eq=False)
class Selection:
    """Features chosen one after the other.

    Attributes
    ----------
    features
        Columns in the order chosen.
    relevance
        Corrected information of each with the target, nat.
    redundancy
        Mean corrected information with those chosen before (mRMR; 0 for the first), nat.
    score
        What was largest: relevance - redundancy (``mrmr``), or the conditional information (``cmi``).
    conditional
        Information with the target given all those chosen before (at most the last three), nat.
    p_first
        Share of shifted targets (unshifted included) whose most relevant feature is at least as relevant as the
        first one here: choosing the largest of many is no discovery. NaN without shifts.
    method
        ``mrmr`` or ``cmi``.
    """

    features: Ints
    relevance: Floats
    redundancy: Floats
    score: Floats
    conditional: Floats
    p_first: float
    method: str


def select_features(
    X: ArrayLike,
    y: ArrayLike,
    info: Information,
    n_select: int = 6,
    *,
    method: Literal["mrmr", "cmi"] = "mrmr",
    n_neighbors: int = 3,
    random_state: int = 0,
    workers: int | None = None,
) -> Selection:
    """Choose features greedily, so that the second is no copy of the first.

    ``mrmr``: largest relevance minus mean redundancy with those chosen (Peng, Long, Ding 2005), on the decimated
    series. ``cmi``: largest information given the chosen ones (at most the last three: neighbours thin out in more
    dimensions).

    Parameters
    ----------
    X, y
        As given to `information`.
    info
        Its result.
    n_select
        How many.
    method, n_neighbors, random_state, workers
        See above.

    References
    ----------
    Peng, Long, Ding, IEEE Trans. Pattern Anal. Mach. Intell. 27, 1226 (2005), 10.1109/TPAMI.2005.159.
    """
    check_choice("method", method, ("mrmr", "cmi"))
    features, target = check_series(X, y, n_neighbors, 0)
    if not 1 <= n_select <= features.shape[1]:
        raise InputError(
            f"Argument `n_select` must lie between 1 and the {features.shape[1]} features, but is {n_select}."
        )
    step = info.decimation
    _check_step(step, len(target), n_neighbors)
    scaled, scaled_y = scale_series(
        normal_scores(features), normal_scores(target[:, None])[:, 0], random_state, workers
    )
    relevance = info.corrected
    if np.isnan(relevance).any():
        raise InputError(f"Argument `info` must hold corrected information to choose by, but: {info.reason}.")
    chosen: list[int] = []
    redundancies = np.zeros(len(scaled))
    kept: list[tuple[float, float, float]] = []
    for turn in range(n_select):
        conditional = relevance
        if turn and method == "cmi":
            conditional = _local(scaled, scaled_y, scaled[chosen[-3:]], n_neighbors, step, workers)[0].mean(axis=1)
        score = conditional.copy() if method == "cmi" else relevance - redundancies / max(turn, 1)
        score[chosen] = -np.inf
        pick = int(np.argmax(score))
        given = relevance[pick]
        if turn:
            part = scaled[[pick]]
            given = _local(part, scaled_y, scaled[chosen[-3:]], n_neighbors, step, workers)[0].mean()
        kept.append((float(redundancies[pick] / max(turn, 1)), float(score[pick]), float(given)))
        chosen.append(pick)
        if turn + 1 < n_select:
            # a feature's information with itself is not asked for, and infinite
            others = np.setdiff1d(np.arange(len(scaled)), chosen)
            redundancies[others] += ksg(
                scaled[others],
                scaled[pick],
                n_neighbors=n_neighbors,
                step=step,
                workers=workers,
                n_offsets=max(1, round(step * min(1.0, 2000 / len(target)))),
            )[:, 0]
    largest = info.null.max(axis=0) if info.null.shape[1] else np.zeros(0)
    p_first = (1 + np.sum(largest >= relevance.max())) / (1 + len(largest)) if len(largest) else math.nan
    redundancy, score, conditional = np.array(kept).T
    picked = np.array(chosen, dtype=np.int64)
    return Selection(picked, relevance[picked], redundancy, score, conditional, float(p_first), method)

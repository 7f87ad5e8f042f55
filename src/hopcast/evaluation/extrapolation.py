"""Knowing when not to: frames unlike those a model was trained on, by distance and by posterior deviation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hopcast.core.chunks import chunk_slices, map_chunks
from hopcast.core.errors import ConfigError, InputError
from hopcast.regression.blockout import blocks_of
from hopcast.regression.finite import require_finite
from hopcast.regression.frame_model import FrameModel, centre_and_scale
from hopcast.regression.kernels import FloatArray, distance_block, frames_per_chunk, tiles_of
from hopcast.regression.laplacian import FixedOrder
from hopcast.regression.learner import abilities_of

LEVEL = 0.99
"""Share of the training frames, each seen from the other blocks, that count as inside."""

UNINFORMED = 0.95
"""A posterior deviation above this share of the prior's (so 10 % of the variance explained at most) tells nothing of a frame."""

TOLERATED = 0.05
"""A forecast with a larger share of frames outside extrapolates (`Extrapolation.extrapolates`)."""


@dataclass(frozen=True, eq=False)
class Extrapolation:
    """How far frames lie from a training set.

    Attributes
    ----------
    distance
        Of each frame to the nearest training frame, mean |difference| a feature in units of the feature's standard deviation
        over the training frames, [n_frames].
    relative_std
        Posterior standard deviation over the prior's, [n_frames] or [n_frames, n_targets]; None where it was not asked for.
        1: the model knows nothing of the frame.
    outside
        Whether `distance` or `relative_std` exceeds its limit, [n_frames].
    distance_limit, std_limit
        The limits: what the share `level` of the training frames stays below, each seen from the other blocks; that of the
        deviation is 0.95 at most, whatever the training frames say of each other.
    level
        As used.
    """

    distance: FloatArray
    relative_std: FloatArray | None
    outside: NDArray[np.bool_]
    distance_limit: float
    std_limit: FloatArray | None
    level: float

    @classmethod
    def joined(cls, parts: Sequence[Extrapolation]) -> Self:
        """Return consecutive chunks as one; all of one training set.

        Raises
        ------
        InputError
            Without chunks.
        """
        if not parts:
            raise InputError("Argument `parts` must hold at least one chunk of frames, but is empty.")
        stds = [part.relative_std for part in parts if part.relative_std is not None]
        return cls(
            distance=np.concatenate([part.distance for part in parts]),
            relative_std=np.concatenate(stds) if len(stds) == len(parts) else None,
            outside=np.concatenate([part.outside for part in parts]),
            distance_limit=parts[0].distance_limit,
            std_limit=parts[0].std_limit,
            level=parts[0].level,
        )

    @property
    def share(self) -> float:
        """Share of the frames outside."""
        return float(self.outside.mean()) if len(self.outside) else 0.0

    @property
    def extrapolates(self) -> bool:
        """Whether more than 5 % of the frames lie outside, where about 1 % of the training set's own kind do."""
        return self.share > TOLERATED

    @property
    def verdict(self) -> str:
        """One sentence for a log or a report."""
        text = (
            f"{int(self.outside.sum())} of {len(self.outside)} frames ({100 * self.share:.1f} %) lie outside of what the training "
            f"set tells of (about {100 * (1 - self.level):.1f} % of its own kind would)"
        )
        if self.relative_std is not None and len(self.relative_std):
            blind = int((self.relative_std.reshape(len(self.outside), -1) > UNINFORMED).any(axis=1).sum())
            text += f"; posterior over prior standard deviation {float(np.median(self.relative_std)):.2f} in the median"
            text += f", over {UNINFORMED:g} on {blind}, of which the model knows next to nothing" if blind else ""
        return text + (": the forecast extrapolates." if self.extrapolates else ".")


@dataclass(frozen=True, eq=False)
class TrainingDomain:
    """Where a training set lies, and how far its frames lie from each other: `training_domain` makes one.

    Attributes
    ----------
    features
        Standardised training features, [n_train, n_features].
    mean, scale
        Of the features, [n_features].
    distance_limit
        See `Extrapolation`.
    prior_std, std_limit
        sqrt(s2) in the unit of the targets and the limit of the relative deviation, [n_targets]; None without a model.
    level
        Share of the training frames inside.
    """

    features: FloatArray
    mean: FloatArray
    scale: FloatArray
    distance_limit: float
    prior_std: FloatArray | None
    std_limit: FloatArray | None
    level: float

    def standardise(self, X: NDArray[np.floating]) -> FloatArray:
        """Return features in units of the training set's standard deviations."""
        return (X - self.mean) / self.scale


def training_domain(
    reference: FixedOrder | ArrayLike,
    groups: ArrayLike | None = None,
    *,
    model: FrameModel | None = None,
    block_length: int | None = None,
    level: float = LEVEL,
    workers: int | None = None,
) -> TrainingDomain:
    r"""Fix once what counts as near to a training set.

    Every training frame is looked at from the other blocks alone, as a new frame would be:

    .. math:: d_i = \min_{j \notin B(i)} \frac{1}{n_f} \sum_f \frac{|x_{if} - x_{jf}|}{s_f}, \qquad
              r_i = \sqrt{\mathrm{var}_{-B(i)}(x_i) / s^2}

    and the `level` quantiles of both are the limits, that of r at most 0.95: a posterior as wide as the prior knows nothing,
    however alike the training frames are. (Frames of one block lie closer to each other than any new
    frame would: frames 25 fs apart are nearly copies.)

    Parameters
    ----------
    reference
        A fitted `LaplacianRidge` or `LinearRidge`, whose training features and posterior are taken; or training features
        [n_train, n_features] (any learner's), of which only distances are known.
    groups
        Label of the block of every training frame, [n_train].
    model
        With features: a learner fitted to the same frames, whose posterior is judged too. One without held-out errors in
        closed form (`LowRankRidge`) gets the limit 0.95.
    block_length
        Consecutive frames of a block; None (and no groups): that of the model, or a tenth of the frames.
    level
        Share of the training frames that is inside.
    workers
        Threads; results do not depend on them.

    Raises
    ------
    ConfigError
        If `level` is not between 0 and 1, or the blocks are impossible.
    InputError
        If features are not finite or not a table, or there is one block only.

    Notes
    -----
    Costs the distances of all pairs of training frames, in chunks; with a model also one inversion of its kernel matrix.
    """
    if not 0.0 < level < 1.0:
        raise ConfigError(f"Argument `level` must lie between 0 and 1, but is {level}.")
    if isinstance(reference, FixedOrder):
        model = reference
        features, mean, scale = reference.X_fit_, reference.x_mean_, reference.x_scale_
    else:
        raw = _table(reference)
        # one that never varied is compared in its own unit: any change of it is far
        mean, scale = centre_and_scale(raw, True, np.zeros(raw.shape[1], dtype=np.bool_))
        features = (raw - mean) / scale
    prior_std = std_limit = None
    if model is not None:
        block_length = model.block_length if block_length is None else block_length
        signal = np.atleast_1d(model.signal_variance_)
        prior_std, std_limit = np.sqrt(signal), np.full(len(signal), UNINFORMED)
        if abilities_of(model).leaves_blocks_out:
            _, std = model.block_out_forecast(groups, block_length=block_length)
            # the deviation of a measured target holds the noise alpha s2, that of the function does not
            latent = np.maximum(std.reshape(len(std), len(signal)) ** 2 / signal - np.atleast_1d(model.alpha_), 0.0)
            std_limit = np.minimum(np.quantile(np.sqrt(latent), level, axis=0), std_limit)
    labels = np.empty(len(features), dtype=np.intp)
    for label, block in enumerate(blocks_of(len(features), block_length, groups)):
        labels[block] = label
    limit = float(np.quantile(_nearest(features, features, labels, workers), level))
    return TrainingDomain(features, mean, scale, limit, prior_std, std_limit, level)


def extrapolation(
    reference: TrainingDomain | FixedOrder | ArrayLike,
    X: ArrayLike,
    *,
    std: ArrayLike | None = None,
    workers: int | None = None,
) -> Extrapolation:
    """Judge frames by their distance to a training set and by their posterior deviation.

    Parameters
    ----------
    reference
        What `training_domain` returned (made once, applied to chunk after chunk), or what it takes.
    X
        Features of the frames, [n_frames, n_features].
    std
        Posterior standard deviations as ``predict(X, return_std=True)`` returned them, [n_frames] or
        [n_frames, n_targets]. None: a model given as `reference` is asked for them, a domain judges by distance alone.
    workers
        Threads; results do not depend on them.

    Returns
    -------
    Extrapolation

    Raises
    ------
    InputError
        If shapes do not fit, a feature is not finite, or `std` is given for a training set without a model.

    Notes
    -----
    A frame outside is a warning: no training frame tells of it. A frame inside is no promise: the target can be unlearnt
    however near the nearest training frame is.
    """
    if isinstance(reference, FixedOrder) and std is None:
        std = reference.predict(X, return_std=True)[1]
    domain = reference if isinstance(reference, TrainingDomain) else training_domain(reference, workers=workers)
    frames = np.asarray(X)
    frames = frames if frames.dtype == np.float32 else frames.astype(np.float64, copy=False)
    if frames.ndim != 2 or frames.shape[1] != len(domain.mean):
        raise InputError(
            f"Argument `X` must have the shape [n_frames, {len(domain.mean)}] of the training features, but has {frames.shape}."
        )
    require_finite("X", frames)
    distance = _nearest(frames, domain.features, None, workers, domain)
    outside = distance > domain.distance_limit
    relative = None
    if std is not None:
        if domain.prior_std is None or domain.std_limit is None:
            raise InputError(
                "Argument `std` must come with a domain made of a model, but this one holds features alone."
            )
        deviations = np.asarray(std, dtype=np.float64)
        if deviations.shape not in {
            (len(frames), len(domain.prior_std)),
            (len(frames),) * (len(domain.prior_std) == 1),
        }:
            raise InputError(
                f"Argument `std` must have one value for each of {len(frames)} frames and {len(domain.prior_std)} targets, "
                f"but has the shape {deviations.shape}."
            )
        columns = deviations.reshape(len(frames), len(domain.prior_std)) / domain.prior_std
        outside |= (columns > domain.std_limit).any(axis=1)
        relative = columns.reshape(deviations.shape)
    return Extrapolation(distance, relative, outside, domain.distance_limit, domain.std_limit, domain.level)


def _nearest(
    X: NDArray[np.floating],
    training: FloatArray,
    labels: NDArray[np.intp] | None,
    workers: int | None,
    domain: TrainingDomain | None = None,
) -> FloatArray:
    """Return mean |difference| a feature to the nearest training frame (of another label, if given), [n_frames]."""
    out = np.empty(len(X))
    tiles = tiles_of(training)
    prepare = np.asarray if domain is None else domain.standardise

    def look(part: slice) -> None:
        distance = distance_block(prepare(X[part]), tiles, len(training), "laplacian")
        if labels is not None:
            distance[labels[part, None] == labels[None, :]] = np.inf
        out[part] = distance.min(axis=1) / training.shape[1]

    map_chunks(look, chunk_slices(len(X), frames_per_chunk(len(training))), workers=workers)
    return out


def _table(features: ArrayLike) -> FloatArray:
    raw = np.asarray(features, dtype=np.float64)
    if raw.ndim != 2 or len(raw) < 2 or raw.shape[1] == 0:
        raise InputError(
            f"Argument `reference` must be a table of at least two training frames, but has the shape {raw.shape}."
        )
    require_finite("reference", raw)
    return raw

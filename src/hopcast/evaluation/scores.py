"""R2, mean absolute and root mean square error of a forecast."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from hopcast.core.errors import InputError


@dataclass(frozen=True)
class Score:
    """How far forecasts lie from targets.

    Attributes
    ----------
    r2
        1 - sum (y - f)^2 / sum (y - mean y)^2, the mean over the same frames.
    mae, rmse
        Mean absolute and root mean square error, unit of the target.
    n
        Number of frames.
    """

    r2: float
    mae: float
    rmse: float
    n: int

    def __str__(self) -> str:
        return f"R2 {self.r2:.4f}, MAE {self.mae:.4g}, RMSE {self.rmse:.4g} ({self.n} frames)"


def score(y: ArrayLike, prediction: ArrayLike) -> Score:
    """Return the score of `prediction` against `y`.

    Parameters
    ----------
    y, prediction
        Target and forecast of the same frames, [n_frames].

    Raises
    ------
    InputError
        If shapes differ, values are not finite, there are fewer than two frames, or the target is constant.

    Examples
    --------
    >>> from hopcast.evaluation import score
    >>> score([1.0, 2.0, 3.0], [1.0, 2.0, 2.0]).r2
    0.5
    """
    target, forecast = np.asarray(y, dtype=np.float64), np.asarray(prediction, dtype=np.float64)
    if target.ndim != 1 or target.shape != forecast.shape:
        raise InputError(
            f"Argument `prediction` must have one value for each frame of `y`, but the shapes are {forecast.shape} and "
            f"{target.shape}."
        )
    for name, values in (("y", target), ("prediction", forecast)):
        if not np.isfinite(values).all():
            frame = int(np.flatnonzero(~np.isfinite(values))[0])
            raise InputError(f"Argument `{name}` must be finite, but frame {frame} holds {values[frame]}.")
    if len(target) < 2:
        raise InputError(f"Argument `y` must hold at least two frames to score, but holds {len(target)}.")
    if np.ptp(target) == 0.0:
        raise InputError(
            f"Argument `y` must vary over the scored frames, but is {target[0]:g} on all {len(target)}: R2 has no meaning."
        )
    error = target - forecast
    spread = float(np.sum((target - target.mean()) ** 2))
    return Score(
        r2=1.0 - float(np.sum(error**2)) / spread,
        mae=float(np.mean(np.abs(error))),
        rmse=float(np.sqrt(np.mean(error**2))),
        n=len(target),
    )

"""What is read from populations: the straight line of the paper's Table 4, and the lifetime."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from hopcast.core.units import FS_PER_NS

Reader = Callable[[NDArray[np.float64]], float]


def line_weights(times: NDArray[np.float64], window: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return weights [n_times, 2] whose products with a population are the slope (1/ns) and intercept of its line.

    Ordinary least squares over the output times in `window`.
    """
    t = times[window] / FS_PER_NS
    weights = np.zeros((times.size, 2))
    centred = t - t.mean()
    spread = float(centred @ centred)
    slope = centred / spread
    weights[window, 0] = slope
    weights[window, 1] = 1.0 / t.size - slope * t.mean()
    return weights


def exponential_rate(
    times: NDArray[np.float64], excited: NDArray[np.float64], start: float, equilibrium: float
) -> float:
    r"""Return k of the least-squares fit of :math:`p(t) = p_\infty + (p_0 - p_\infty)\,e^{-kt}`, 1/fs.

    Parameters
    ----------
    times, excited
        fs and population of the upper state [n_times].
    start, equilibrium
        :math:`p_0` (1 or 0) and :math:`p_\infty`.

    Returns
    -------
    float
        0 where nothing has decayed, infinite where everything has at once.
    """
    left = (excited - equilibrium) / (start - equilibrium)
    late = times > 0
    if not late.any() or (left[late] >= 1.0).all():
        return 0.0
    t, p = times[late], left[late]
    usable = np.flatnonzero(p > 0.3)
    # first guess: where about 1/e is left, or at the end of the window
    guess = usable[-1] if usable.size else 0
    if p[guess] <= 0:
        return float("inf")
    k = max(-np.log(p[guess]) / t[guess], 1e-3 * (1.0 - p.min()) / t[-1])
    for _ in range(200):  # Gauss-Newton, one parameter
        model = np.exp(-k * t)
        slope = -t * model
        norm = float(slope @ slope)
        if norm == 0:
            return float("inf")
        change = float(slope @ (p - model)) / norm
        change = max(change, -0.5 * k)
        k += change
        if abs(change) <= 1e-13 * k:
            break
    return float(k)


def line_of_exponential(
    rate: NDArray[np.float64], times: NDArray[np.float64], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return slope and intercept [..., 2] of the line through ``1 - exp(-rate t)``, for each rate (1/fs)."""
    return np.asarray(-np.expm1(-rate[..., None] * times) @ weights)


def grouped_interval(read: Reader, counts: NDArray[np.int64], totals: NDArray[np.int64]) -> tuple[float, float, float]:
    r"""Return a reading of sampled populations, and its 95 % interval by the delete-one-group jackknife.

    Parameters
    ----------
    read
        Function of the population [n_times].
    counts
        Trajectories in the upper state [n_groups, n_times].
    totals
        Trajectories of each group [n_groups]; empty groups are left out.

    Returns
    -------
    value, low, high
        Student's t with one degree of freedom fewer than groups; NaN bounds with fewer than two groups, or where
        leaving one out leaves no reading.
    """
    used = totals > 0
    counts, totals = counts[used], totals[used]
    everything, everyone = counts.sum(axis=0), totals.sum()
    value = read(everything / everyone)
    n = len(counts)
    if n < 2 or not np.isfinite(value):
        return value, float("nan"), float("nan")
    without = np.array(
        [read((everything - mine) / (everyone - total)) for mine, total in zip(counts, totals, strict=True)]
    )
    if not np.isfinite(without).all():
        return value, float("nan"), float("nan")
    error = np.sqrt((n - 1) / n * np.sum((without - without.mean()) ** 2))
    half = float(stdtrit(n - 1, 0.975)) * error
    return value, float(value - half), float(value + half)

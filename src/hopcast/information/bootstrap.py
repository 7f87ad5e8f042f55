"""Moving-block bootstrap of means of series."""

from __future__ import annotations

import numpy as np

from hopcast.information.kernels import Floats


def block_means(series: Floats, block: int, n_draws: int, random_state: int) -> Floats:
    """Return means [n_draws, n_series] of series rebuilt from blocks, the same blocks for all of them.

    Blocks may start anywhere on the circle, so that every sample is drawn equally often.

    References
    ----------
    Politis, Romano, in Exploring the Limits of Bootstrap, Wiley 1992, 263 (circular block bootstrap).
    """
    n_series, n = series.shape
    n_blocks = max(1, round(n / block))
    closed = np.concatenate(
        [np.zeros((n_series, 1)), np.cumsum(np.tile(series, 2)[:, : n + block], axis=1)], axis=1
    )
    sums = closed[:, block : block + n] - closed[:, :n]
    starts = np.random.default_rng(random_state).integers(0, n, size=(n_draws, n_blocks))
    return np.asarray(sums[:, starts].mean(axis=2).T / block, dtype=np.float64)

"""A forecast from elsewhere (a Hamiltonian, a model of the geometry), corrected by what time says of its errors at the samples."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hopcast.core.errors import InputError
from hopcast.regression.time_geometry import TimeGeometryProcess

Floats = NDArray[np.float64]


class Corrected(NamedTuple):
    """A corrected forecast and the standard deviation that the process in time gives its errors, [n] each."""

    mean: Floats
    std: Floats


def correct_in_time(
    times: ArrayLike, forecast: ArrayLike, known: ArrayLike, values: ArrayLike, *, workers: int | None = None
) -> Corrected:
    """Return a forecast plus a process in time of its errors where the truth is known.

    Where samples lie closer than the errors' memory this interpolates them; far from all samples, or where errors have no memory, the
    forecast stays as it is but for their mean. The process expects memories of some 100 fs: errors without one at samples much closer
    than that are interpolated too, which costs a quarter of their size.

    Parameters
    ----------
    times
        Of the forecast [n], fs.
    forecast
        At these times [n], any unit.
    known
        Which of them are samples [n_samples].
    values
        The truth there [n_samples].
    workers
        Threads.

    Raises
    ------
    InputError
        If shapes do not fit, or as `TimeGeometryProcess.fit` (at least two samples).
    """
    when, said = (np.asarray(one, dtype=np.float64) for one in (times, forecast))
    chosen, truth = np.asarray(known, dtype=np.intp), np.asarray(values, dtype=np.float64)
    if when.ndim != 1 or when.shape != said.shape or chosen.ndim != 1 or chosen.shape != truth.shape:
        raise InputError(
            f"A correction in time needs a time for each forecast and a value for each sample, but got {when.shape} times, "
            f"{said.shape} forecasts, {chosen.shape} samples and {truth.shape} values."
        )
    process = TimeGeometryProcess(workers=workers).fit(when[chosen, None], truth - said[chosen])
    mean, std = process.predict(when[:, None], return_std=True)
    return Corrected(said + mean, std)

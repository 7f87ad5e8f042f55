"""`fit_forecaster`: learn from the frames that are known."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hopcast.core.errors import ConfigError, InputError
from hopcast.core.hamiltonian import VibronicHamiltonian
from hopcast.core.trajectory import Trajectory
from hopcast.core.units import HBAR
from hopcast.descriptors import SymmetryFunctions, flatten, take_frames
from hopcast.evaluation.calibration import leave_one_out_scale
from hopcast.forecast.forecaster import Forecaster, mean_cell
from hopcast.information import correlation_time
from hopcast.regression import LaplacianRidge

FEWEST = 20
"""Samples below which nothing is learnt."""

MOST = 20_000
"""Samples beyond which an exact factorisation is no longer reasonable."""


def fit_forecaster(
    trajectory: Trajectory,
    hamiltonian: VibronicHamiltonian,
    *,
    stride: float | None = None,
    mode: str = "default",
    workers: int | None = None,
) -> Forecaster:
    """Fit a forecaster of gap and coupling.

    Parameters
    ----------
    trajectory
        All frames; those of the samples train, all of them say where the centres of the symmetry functions lie.
    hamiltonian
        Two states, complete or known on pairs of frames only.
    stride
        Least time between training samples, fs; None takes every one.
    mode
        Of `SymmetryFunctions.from_trajectory`.
    workers
        Threads.

    Raises
    ------
    InputError
        If trajectory and Hamiltonian do not belong together, or fewer than `FEWEST` pairs of frames are known.
    ConfigError
        If the stride is not positive.
    """
    if hamiltonian.n_states != 2:
        raise InputError(
            f"A forecaster needs the two states of a gap, but the Hamiltonian has {hamiltonian.n_states}: use `frontier()` or `select`."
        )
    if trajectory.n_frames != hamiltonian.n_frames or not math.isclose(
        trajectory.timestep, hamiltonian.timestep, rel_tol=1e-6
    ):
        raise InputError(
            f"Trajectory and Hamiltonian must have the same frames, but have {trajectory.n_frames} every {trajectory.timestep:g} fs "
            f"and {hamiltonian.n_frames} every {hamiltonian.timestep:g} fs."
        )
    middle = hamiltonian.midpoint_energies[:, 1] - hamiltonian.midpoint_energies[:, 0]
    steps = _thinned(
        np.flatnonzero(hamiltonian.nac_known & np.isfinite(middle)), stride, hamiltonian.timestep
    )
    if not FEWEST <= len(steps) <= MOST:
        raise InputError(
            f"A forecaster learns from {FEWEST} to {MOST} pairs of neighbouring frames with both energies and the coupling between "
            f"them, but {len(steps)} are known. {'Compute more.' if len(steps) < FEWEST else 'Give a stride.'}"
        )
    functions = SymmetryFunctions.from_trajectory(trajectory, mode=mode, workers=workers)  # type: ignore[arg-type]
    now, later = (
        flatten(functions.transform(take_frames(trajectory, steps + end), workers=workers)) for end in (0, 1)
    )
    position = 0.5 * (now + later)
    columns = np.concatenate([position, (later - now) / trajectory.timestep], axis=1)
    gap, coupling = middle[steps], np.abs(hamiltonian.coupling()[steps])
    mean_gap = float(gap.mean())
    spacing = float(np.median(np.diff(steps))) * trajectory.timestep
    learnt = coupling * gap / mean_gap
    models = [
        LaplacianRidge(block_length=_block(values, spacing), workers=workers).fit(X, values)
        for X, values in ((position, gap), (columns, learnt))
    ]
    return Forecaster(
        functions=functions, gap=models[0], coupling=models[1], mean_gap=mean_gap,
        gap_scale=leave_one_out_scale(models[0]), coupling_scale=leave_one_out_scale(models[1]),
        symbols=trajectory.symbols,
        cell=mean_cell(trajectory),
        timestep=trajectory.timestep, state_labels=hamiltonian.state_labels,
        dephasing_time=HBAR / float(gap.std()),
        scores={"gap": _block_out_r2(models[0], gap), "coupling": _block_out_r2(models[1], learnt)},
        provenance={
            "training samples": f"{len(steps)} pairs of frames, typically {spacing:g} fs apart",
            "coupling": "modulus, learnt as |hbar d| times gap over mean gap",
        },
    )  # fmt: skip


def _block_out_r2(learner: LaplacianRidge, values: NDArray[np.float64]) -> float:
    """Return R2 on the training samples, each left out with its block, in closed form."""
    residuals = learner.block_out_residuals()
    return float(1.0 - residuals @ residuals / np.sum((values - values.mean()) ** 2))


def _thinned(steps: NDArray[Any], stride: float | None, timestep: float) -> NDArray[Any]:
    if stride is None:
        return steps
    if not 0 < stride < math.inf:
        raise ConfigError(f"Argument `stride` must be a positive time in fs, but is {stride}.")
    kept: list[int] = []
    for step in steps.tolist():
        if not kept or (step - kept[-1]) * timestep >= stride * (1 - 1e-9):
            kept.append(step)
    return np.array(kept, dtype=np.intp)


def _block(values: NDArray[Any], spacing: float) -> int:
    """Return the samples of a held-out block of the hyperparameter search: a correlation time, four blocks at least."""
    memory = float(correlation_time(values, spacing))
    return max(1, min(math.ceil(memory / spacing), len(values) // 4))

"""Whether a trajectory and a Hamiltonian belong together: a scan over lags of a quick regression."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hopcast.core.chunks import single_threaded_blas
from hopcast.core.hamiltonian import VibronicHamiltonian
from hopcast.core.trajectory import Trajectory
from hopcast.doctor.verdict import Verdict

MAX_LAG = 6
"""Half-steps scanned on either side."""
MAX_FRAMES = 3000
LEARNABLE = 0.3
"""Below this R2 the quick regression has learnt too little to tell a lag."""
CLEAR = 2.0
"""The worst lag must be worse than the best by this factor; else the nuclei are too slow, or the data too short, to tell."""
N_BLOCKS = 5


def lag_scan(
    trajectory: Trajectory, ham: VibronicHamiltonian, pair: tuple[int, int]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return lags (in steps; positive: the positions that fit come later) and the blocked error of a ridge regression.

    The gap is regressed on the displacements of the atoms from their mean places and their squares, at positions
    shifted by each lag (half-steps: averages of neighbours). The error is the mean square over held-out blocks of time,
    relative to the variance of the gap.
    """
    gap = ham.gap(pair)[:MAX_FRAMES]
    positions = trajectory.positions[:MAX_FRAMES].astype(np.float64)
    n_frames = min(len(gap), len(positions))
    gap, positions = gap[:n_frames], positions[:n_frames].reshape(n_frames, -1)
    positions = positions - positions.mean(axis=0)
    half = np.empty((2 * n_frames - 1, positions.shape[1]))
    half[::2] = positions
    half[1::2] = 0.5 * (positions[1:] + positions[:-1])
    lags = np.arange(-MAX_LAG, MAX_LAG + 1)
    inside = np.arange((MAX_LAG + 1) // 2, n_frames - (MAX_LAG + 1) // 2)
    with single_threaded_blas():
        errors = np.array([_blocked_error(half[2 * inside + lag], gap[inside]) for lag in lags])
    return lags / 2.0, errors


def _blocked_error(places: NDArray[np.float64], target: NDArray[np.float64]) -> float:
    spread = places.std(axis=0)
    places = places / np.where(spread > 0, spread, 1.0)
    features = np.concatenate([places, places**2 - 1.0], axis=1)
    if features.shape[1] > 400:  # large cells: the directions that move most
        left, size, _ = np.linalg.svd(features - features.mean(axis=0), full_matrices=False)
        features = left[:, :200] * size[:200]
    blocks = np.array_split(np.arange(len(target)), N_BLOCKS)
    error = 0.0
    for block in blocks:
        rest = np.setdiff1d(np.arange(len(target)), block)
        mean, centre = features[rest].mean(axis=0), target[rest].mean()
        x, y = features[rest] - mean, target[rest] - centre
        gram = x.T @ x
        gram[np.diag_indices_from(gram)] += 0.002 * len(rest)
        weights = np.linalg.solve(gram, x.T @ y)
        error += float(((target[block] - centre - (features[block] - mean) @ weights) ** 2).sum())
    return error / max(float(((target - target.mean()) ** 2).sum()), 1e-300)


def alignment(
    trajectory: Trajectory, ham: VibronicHamiltonian, pair: tuple[int, int]
) -> tuple[Verdict, dict[str, NDArray[np.float64]]]:
    """Judge frames, time step and alignment; return the verdict and the scan for its figure."""
    name = "alignment"
    if not np.isclose(trajectory.timestep, ham.timestep, rtol=1e-6):
        return Verdict(
            name, "bad", f"The trajectory has frames {trajectory.timestep:g} fs apart, the Hamiltonian {ham.timestep:g} fs.",
            "Thin out the finer one, or correct the time step.", {},
        ), {}  # fmt: skip
    if abs(trajectory.n_frames - ham.n_frames) > 1:
        return Verdict(
            name, "bad", f"The trajectory has {trajectory.n_frames} frames, the Hamiltonian {ham.n_frames}.",
            "Cut both to the same frames; make sure that the first ones agree.", {},
        ), {}  # fmt: skip
    if trajectory.n_frames < 60 or not np.isfinite(ham.gap(pair)).all():
        return Verdict(name, "skipped", "The scan needs sixty frames with known energies."), {}
    lags, errors = lag_scan(trajectory, ham, pair)
    best = float(lags[errors.argmin()])
    evidence = {"best_lag_steps": best, "R2": 1 - float(errors.min()), "R2_at_0": 1 - float(errors[MAX_LAG])}
    series = {"lags": lags, "lag_errors": errors}
    if errors.min() > 1 - LEARNABLE or errors.max() < CLEAR * errors.min():
        return Verdict(
            name,
            "skipped",
            f"The quick regression explains {1 - errors.min():.0%}, at the worst lag {1 - errors.max():.0%}: too little to tell a lag.",
            "",
            evidence,
        ), series
    expected = (0.0, 0.5) if ham.energy_grid == "midpoint" else (-0.5, 0.0, 0.5)
    # where the error is flat around its minimum the lag is not determined
    allowed = float(np.min([errors[np.isclose(lags, lag)][0] for lag in expected]))
    if best not in expected and allowed > 1.15 * errors.min() + 0.002:
        return Verdict(
            name, "bad", f"The gap fits positions {best:+g} steps away best: frames of trajectory and Hamiltonian are shifted against each other.",
            f"Drop the first {abs(round(best)) or 1} frames of the {'trajectory' if best > 0 else 'Hamiltonian'}, and check where numbering begins.", evidence,
        ), series  # fmt: skip
    return Verdict(
        name, "good", f"The gap fits the positions of its own frame best (lag {best:+g} steps).", "", evidence
    ), series

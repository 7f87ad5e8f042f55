"""Whether a trajectory and a Hamiltonian belong together: a scan over lags of a quick regression."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hopcast.core.chunks import single_threaded_blas
from hopcast.core.hamiltonian import VibronicHamiltonian
from hopcast.core.matching import frames_differ
from hopcast.core.trajectory import Trajectory
from hopcast.doctor.verdict import Verdict, memory_of

NEAR = 6
"""Half-steps scanned one by one on either side."""
FAR = (20, 40, 80)
"""Half-steps beyond, where the data are long enough: nuclei may be too slow to tell near ones apart."""
MAX_FRAMES = 3000
LEARNABLE = 0.3
"""Below this R2 the quick regression has learnt too little to tell a lag."""
CLEAR = 2.0
"""The worst lag must be worse than the best by this factor; else the nuclei are too slow, or the data too short, to tell."""
INDEPENDENT = 30.0
"""Fewer independent values of the gap (length over twice its memory) fit some lag by accident: pieces of 3 ps of CsPbI3 do."""
N_BLOCKS = 5
PENALTIES = (0.002, 0.1, 1.0)


def lag_scan(
    trajectory: Trajectory, ham: VibronicHamiltonian, pair: tuple[int, int]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return lags (in steps; positive: the positions that fit come later) and the blocked error of a ridge regression.

    The gap is regressed on the displacements of the atoms from their mean places and their squares, at positions shifted
    by each lag (half-steps: averages of neighbours), with the penalty that learns most at its best lag. The
    error [n_lags, n_blocks] is the sum of squares in each held-out block of time, relative to that of the gap in all.
    """
    n_frames = min(ham.n_frames if ham.energy_grid == "frame" else ham.n_steps, trajectory.n_frames, MAX_FRAMES)
    gap = ham.gap(pair)[:n_frames]
    most = max(NEAR, n_frames // 4)
    far = np.array([lag for lag in FAR if lag <= most], dtype=np.int64)
    lags = np.concatenate([-far[::-1], np.arange(-NEAR, NEAR + 1), far])
    edge = (int(lags.max()) + 1) // 2
    inside = np.arange(edge, n_frames - edge)
    features = _displacements(trajectory[:n_frames])
    half = np.empty((2 * n_frames - 1, features.shape[1]))
    half[::2] = features
    half[1::2] = 0.5 * (features[1:] + features[:-1])
    with single_threaded_blas():
        errors = np.array([_blocked_errors(half[2 * inside + lag], gap[inside]) for lag in lags])
    return lags / 2.0, errors[:, int(errors.sum(axis=2).min(axis=0).argmin())]


def _displacements(trajectory: Trajectory) -> NDArray[np.float64]:
    """Return displacements from the mean places and their squares; of large cells, the directions that move most."""
    places = trajectory.positions.astype(np.float64).reshape(trajectory.n_frames, -1)
    places -= places.mean(axis=0)
    spread = places.std(axis=0)
    places /= np.where(spread > 0, spread, 1.0)
    features = np.concatenate([places, places**2 - 1.0], axis=1)
    if features.shape[1] > 400:
        left, size, _ = np.linalg.svd(features - features.mean(axis=0), full_matrices=False)
        features = left[:, :200] * size[:200]
    return features


def _blocked_errors(features: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the error [n_penalties, n_blocks]."""
    error = np.zeros((len(PENALTIES), N_BLOCKS))
    for held, block in enumerate(np.array_split(np.arange(len(target)), N_BLOCKS)):
        rest = np.setdiff1d(np.arange(len(target)), block)
        mean, centre = features[rest].mean(axis=0), target[rest].mean()
        x, y = features[rest] - mean, target[rest] - centre
        values, vectors = np.linalg.eigh(x.T @ x)
        along, held_out = vectors.T @ (x.T @ y), (features[block] - mean) @ vectors
        for number, penalty in enumerate(PENALTIES):
            forecast = centre + held_out @ (along / (values + penalty * len(rest)))
            error[number, held] = float(((target[block] - forecast) ** 2).sum())
    return error / max(float(((target - target.mean()) ** 2).sum()), 1e-300)


def alignment(
    trajectory: Trajectory, ham: VibronicHamiltonian, pair: tuple[int, int], names: str
) -> tuple[Verdict, dict[str, NDArray[np.float64]]]:
    """Judge frames, time step and alignment; return the verdict and the scan for its figure."""
    name = "alignment"
    finding = frames_differ(trajectory, ham)
    if finding:
        return Verdict(name, "bad", finding, "Bring both to the same frames as said, and check again."), {}
    if trajectory.n_frames < 60 or not np.isfinite(ham.gap(pair)).all():
        return Verdict(name, "skipped", "The scan needs sixty frames, all with known energies."), {}
    independent = trajectory.n_frames / (2 * memory_of(ham.gap(pair))[0])
    if independent < INDEPENDENT:
        return Verdict(
            name,
            "skipped",
            f"The gap of {names} is so slow that the data hold {independent:.2g} independent values of it, and {INDEPENDENT:g} are needed to tell a lag.",
            "",
            {"independent_values": independent},
        ), {}
    lags, blocks = lag_scan(trajectory, ham, pair)
    errors = blocks.sum(axis=1)
    best = float(lags[errors.argmin()])
    evidence = {"best_lag_steps": best, "R2": 1 - float(errors.min()), "R2_at_0": 1 - float(errors[lags == 0][0])}
    series = {"lags": lags, "lag_errors": errors}
    if errors.min() > 1 - LEARNABLE or errors.max() < CLEAR * errors.min():
        return Verdict(
            name,
            "skipped",
            f"A quick regression of the gap of {names} on positions leaves {errors.min():.0%} of its variance at the best lag and {errors.max():.0%} "
            "at the worst: too little is learnt, or too little lost by a shift, to tell a lag.",
            "",
            evidence,
        ), series
    expected = (0.0, 0.5) if ham.energy_grid == "midpoint" else (-0.5, 0.0, 0.5)
    allowed = min((np.flatnonzero(np.isclose(lags, lag))[0] for lag in expected), key=lambda k: errors[k])
    # where the error is flat around its minimum the lag is not determined
    if best in expected or (errors[allowed] <= 1.15 * errors.min() + 0.002 and abs(best) <= NEAR / 2):
        return Verdict(
            name,
            "good",
            f"The gap of {names} fits the positions of its own frame best, or as well (least error at lag {best:+g} steps).",
            "",
            evidence,
        ), series
    if errors[allowed] <= 1.15 * errors.min() + 0.002 or not np.all(blocks[errors.argmin()] < blocks[allowed]):
        return Verdict(
            name,
            "skipped",
            f"The gap of {names} fits positions {best:+g} steps away best, but not clearly or not in every part of the data: it cannot be told.",
            "",
            evidence,
        ), series
    return Verdict(
        name,
        "bad",
        f"The gap of {names} fits positions {best:+g} steps away best: frames of trajectory and Hamiltonian are shifted against each other.",
        f"Drop the first {abs(round(best)) or 1} frames of the {'trajectory' if best > 0 else 'Hamiltonian'}, and check where numbering begins.",
        evidence,
    ), series

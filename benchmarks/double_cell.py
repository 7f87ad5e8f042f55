"""Cells twice as large as those learnt from: a tight binding of 20 atoms beside CP2K for 40 atoms.

    python benchmarks/double_cell.py FOLDER [--pairs 8] [--model forecaster.h5]

Each geometry of the doubled cell is a blend: displacements from the mean positions go over from those of one frame of the shipped 100 ps
into those of another and back along the doubled axis (cosine and sine of an angle between 0 and 90 degrees), so that bonds are about as distorted as in
the trajectory and no plane is a copy of another. CP2K (PBE, the settings of the shipped data) computes both frames of each pair, some minutes a frame; the folder keeps what is
finished. ``--model`` takes what ``hopcast fit cspbi3-long --model "tight binding"`` wrote instead of a fit.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import hopcast as hc
from hopcast.abinitio import assemble_plan, compute_plan, make_engine, read_plan, write_plan
from hopcast.datasets import Dataset
from hopcast.forecast import fit_forecaster, load_forecaster

SEED = 7
BANDS = (12, 8)


def make_blends(data: Dataset, n_pairs: int) -> hc.Trajectory:
    """Return 2 n_pairs frames of the doubled cell: pairs of neighbouring frames."""
    trajectory = data.trajectory
    pairs = np.flatnonzero(data.hamiltonian.nac_known)
    inverse = np.linalg.inv(trajectory.cell)

    def unwrapped(frame: int) -> np.ndarray:
        step = (trajectory.positions[frame] - trajectory.positions[0]) @ inverse
        return trajectory.positions[0] + (step - np.round(step)) @ trajectory.cell

    mean = np.mean([unwrapped(frame) for frame in range(0, trajectory.n_frames, 50)], axis=0)
    cell = trajectory.cell.copy()
    cell[2] *= 2
    both = np.concatenate([mean, mean + trajectory.cell[2]])
    along = 2 * np.pi * (both @ np.linalg.inv(cell))[:, 2]
    rng = np.random.default_rng(SEED)
    frames = []
    for _ in range(n_pairs):
        one, other = rng.choice(pairs, 2, replace=False)
        shift = rng.uniform(0, 2 * np.pi)
        for step in (0, 1):
            a, b = (np.tile(unwrapped(frame + step) - mean, (2, 1)) for frame in (one, other))
            angle = 0.25 * np.pi * (1 - np.cos(along + shift))[:, None]
            frames.append(both + np.cos(angle) * a + np.sin(angle) * b)
    return hc.Trajectory(np.array(frames), cell, np.tile(trajectory.numbers, 2), trajectory.timestep)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pairs", type=int, default=8)
    parser.add_argument("--model", type=Path, default=None)
    parser.add_argument(
        "--part", type=lambda text: tuple(map(int, text.split("/"))), default=(0, 1), help="k/n, of the pairs"
    )
    given = parser.parse_args()
    data = hc.load("cspbi3-long")
    blends = make_blends(data, given.pairs)
    if (given.folder / "plan.json").is_file():
        read_plan(given.folder).check_trajectory(blends)
    else:
        write_plan(given.folder, blends, list(range(0, blends.n_frames, 2)), strategy="blends of two frames")
    engine = make_engine("cp2k", bands=BANDS)
    compute_plan(given.folder, engine, part=given.part, progress=lambda line: print(line, flush=True))
    true = assemble_plan(given.folder, engine).frontier()
    if given.model is not None:
        learnt = load_forecaster(given.model)
    else:
        learnt = fit_forecaster(data.trajectory, data.hamiltonian, model="tight binding")
    found = learnt.forecast(blends)
    steps = np.flatnonzero(true.nac_known)
    gap, forecast_gap = (one.gap()[np.concatenate([steps, steps + 1])] for one in (true, found.hamiltonian.frontier()))
    coupling, forecast_coupling = (np.abs(one.coupling()[steps]) for one in (true, found.hamiltonian.frontier()))
    outside = found.outside[steps] | found.outside[steps + 1]
    print("| pairs | gap, eV | MAE, meV | bias, meV | correlation | ħ|d|: correlation | mean square over CP2K's |")
    print("|---|---|---|---|---|---|---|")
    for name, chosen in (("all", np.full(len(steps), True)), ("inside", ~outside), ("outside", outside)):
        if chosen.sum() > 1:
            both = np.tile(chosen, 2)
            error = forecast_gap[both] - gap[both]
            low, high = gap[both].min(), gap[both].max()
            alike = np.corrcoef(forecast_gap[both], gap[both])[0, 1]
            coupled = np.corrcoef(forecast_coupling[chosen], coupling[chosen])[0, 1] if chosen.sum() > 2 else np.nan
            ratio = np.mean(forecast_coupling[chosen] ** 2) / np.mean(coupling[chosen] ** 2)
            print(
                f"| {name}, {chosen.sum()} | {low:.2f} to {high:.2f} | {1e3 * np.abs(error).mean():.0f} | {1e3 * error.mean():+.0f} | "
                f"{alike:.3f} | {coupled:.2f} | {ratio:.2f} |"
            )


if __name__ == "__main__":
    main()

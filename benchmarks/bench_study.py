"""The whole pipeline against the same assembled from scikit-learn and dscribe, and the memory of long trajectories.

    python benchmarks/bench_study.py [--quick]

Equal work on the shipped trajectory: 18 angular functions an atom (all images), raw mutual information of every
function with gap and |NAC|, and sixteen kernel ridge models (all, Cs, Pb, I; 18 functions or one; two targets) fitted on
one frame in six and forecast on all. One thread each, everything warm.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from common import machine, median_of, table
from sklearn.feature_selection import mutual_info_regression
from sklearn.kernel_ridge import KernelRidge
from sklearn.preprocessing import StandardScaler

import hopcast as hc
from hopcast.descriptors import element_columns, flatten

STRIDE = 6
RUN = """
import resource, sys, time
import hopcast as hc
from hopcast.study import run_study
start = time.perf_counter()
run_study(sys.argv[1], sys.argv[2])
print(time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)
"""


def model_columns(trajectory: hc.Trajectory, n_functions: int) -> list[np.ndarray]:
    """Columns of the eight models."""
    elements = [None, *trajectory.elements]
    whole = [element_columns(trajectory, element, n_functions) for element in elements]
    single = [element_columns(trajectory, element, n_functions, function=0) for element in elements]
    return whole + single


def ours(trajectory: hc.Trajectory, functions: hc.SymmetryFunctions, targets: list[np.ndarray]) -> dict[str, float]:
    seconds = {}
    start = time.perf_counter()
    G = flatten(functions.transform(trajectory, workers=1))
    seconds["features"] = time.perf_counter() - start
    start = time.perf_counter()
    for y in targets:
        hc.mutual_information(G[: len(y)], y, workers=1)
    seconds["information"] = time.perf_counter() - start
    start = time.perf_counter()
    for y in targets:
        for columns in model_columns(trajectory, functions.n_functions):
            X = G[: len(y), columns]
            hc.LaplacianRidge.paper(workers=1).fit(X[::STRIDE], y[::STRIDE]).predict(X)
    seconds["models"] = time.perf_counter() - start
    return seconds


def peers(trajectory: hc.Trajectory, functions: hc.SymmetryFunctions, targets: list[np.ndarray]) -> dict[str, float]:
    from ase import Atoms
    from dscribe.descriptors import ACSF

    eighteen = [[eta, zeta, lam] for eta in (0.05, 0.1, 0.15) for zeta in (1, 2, 4) for lam in (-1, 1)]
    acsf = ACSF(r_cut=functions.r_cut, species=["H"], periodic=True, g5_params=eighteen)
    seconds = {}
    start = time.perf_counter()
    systems = [
        Atoms(("H",) * trajectory.n_atoms, positions=p, cell=trajectory.cell, pbc=True) for p in trajectory.positions
    ]
    G = np.stack(acsf.create(systems))[..., 1:]
    G = np.ascontiguousarray(G, dtype=float).reshape(len(G), -1)
    seconds["features"] = time.perf_counter() - start
    start = time.perf_counter()
    for y in targets:
        mutual_info_regression(G[: len(y)], y, random_state=0)
    seconds["information"] = time.perf_counter() - start
    start = time.perf_counter()
    for y in targets:
        for columns in model_columns(trajectory, functions.n_functions):
            X = G[: len(y), columns]
            scaler = StandardScaler().fit(X[::STRIDE])
            model = KernelRidge(kernel="laplacian", alpha=1e-4, gamma=1 / len(columns))
            mean = y[::STRIDE].mean()
            model.fit(scaler.transform(X[::STRIDE]), y[::STRIDE] - mean).predict(scaler.transform(X))
    seconds["models"] = time.perf_counter() - start
    return seconds


def against_peers(quick: bool) -> None:
    data = hc.load("cspbi3")
    trajectory = data.trajectory[:200] if quick else data.trajectory
    pair = data.hamiltonian.frontier()
    targets = [pair.gap()[: trajectory.n_frames], np.abs(pair.coupling())[: trajectory.n_frames - 1]]
    functions = hc.SymmetryFunctions.from_trajectory(trajectory)
    ours(trajectory[:20], functions, [y[:20] for y in targets])
    mine = [ours(trajectory, functions, targets) for _ in range(5)]
    try:
        theirs = [peers(trajectory, functions, targets) for _ in range(1 if quick else 3)]
    except ImportError as error:
        print(f"{error.name} is not installed: no comparison")
        return
    rows = []
    for stage in (*mine[0], "together"):
        a, b = (
            float(np.median([sum(run.values()) if stage == "together" else run[stage] for run in runs]))
            for runs in (mine, theirs)
        )
        rows.append([stage, f"{a:.3f}", f"{b:.3f}", f"{b / a:.1f}"])
    print(table(f"{trajectory.n_frames} frames, one thread, seconds", ["stage", "hopcast", "peers", "ratio"], rows))


def long_trajectory(n_frames: int, folder: Path) -> Path:
    """Write a study of a long trajectory: the shipped one played forwards and backwards, slowly distorted."""
    data = hc.load("cspbi3")
    trajectory, pair = data.trajectory, data.hamiltonian.frontier()
    back = np.concatenate([np.arange(trajectory.n_frames), np.arange(trajectory.n_frames - 2, 0, -1)])
    order = np.resize(back, n_frames)
    drift = 0.02 * np.sin(np.arange(n_frames)[:, None, None] / 5000 + np.arange(60).reshape(20, 3))
    positions = (trajectory.positions[order] + drift).astype(np.float32)
    gap = pair.gap()[order] + drift[:, 0, 0]
    nac = np.zeros((n_frames - 1, 2, 2))
    nac[:, 0, 1] = pair.coupling()[np.minimum(order[:-1], pair.n_steps - 1)] * (1 + drift[:-1, 1, 1])
    nac[:, 1, 0] = -nac[:, 0, 1]
    energies = np.stack([np.zeros(n_frames), gap], axis=1)
    hc.write_trajectory(
        hc.Trajectory(positions, trajectory.cell, trajectory.numbers, trajectory.timestep), folder / "md.h5"
    )
    hc.VibronicHamiltonian(energies, nac, pair.timestep, n_occupied=1).write(folder / "ham.h5")
    (folder / "study.toml").write_text(
        '[data]\ntrajectory = "md.h5"\nhamiltonian = "ham.h5"\n[models]\nstride = 400.0\n[information]\ntheiler_window = 200.0\n'
    )
    return folder / "study.toml"


def memory(quick: bool) -> None:
    rows = []
    for n_frames in (2000,) if quick else (100_000,):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            study = long_trajectory(n_frames, folder)
            done = subprocess.run(
                [sys.executable, "-c", RUN, study, folder / "out"], capture_output=True, text=True, check=True
            )
            seconds, gigabytes = map(float, done.stdout.split()[-2:])
        rows.append([str(n_frames), f"{seconds:.0f}", f"{gigabytes:.2f}"])
    header = ["frames of 20 atoms", "seconds (all cores)", "peak GiB"]
    print("\n" + table("a whole study, 400 fs stride, Theiler window 200 fs, report included", header, rows))


def cold_start() -> None:
    timing = median_of(
        lambda: subprocess.run([sys.executable, "-m", "hopcast", "--help"], capture_output=True, check=True)
    )
    print(f"\nhopcast --help: {timing}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer frames")
    quick = parser.parse_args().quick
    print(machine())
    against_peers(quick)
    cold_start()
    memory(quick)


if __name__ == "__main__":
    main()

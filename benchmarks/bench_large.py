"""Trajectories larger than memory, cells of 1,000 atoms, fits of 20,000 frames, and worker processes beside threads.

    python benchmarks/bench_large.py [--quick] [--exact]

Frames are made on the fly: the shipped 100 ps of CsPbI3 over and over, every position displaced at random by 0.01 Å, so that
no two frames are equal and none is ever stored. Each forecast runs in a process of its own, whose peak memory is printed.
`--exact` also fits 20,000 frames exactly (3.2 GB and minutes).
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from functools import partial

import numpy as np
from bench_descriptors import INSTRUCTIONS, multiply_adds_per_second, supercell
from common import machine, median_of, table
from threadpoolctl import threadpool_limits

import hopcast as hc
from hopcast.core import QualityWarning
from hopcast.core.chunks import resolve_workers, stream_chunks
from hopcast.core.scheduler import open_scheduler
from hopcast.descriptors import SymmetryFunctions
from hopcast.regression import ExchangeableRidge, LaplacianRidge, LowRankRidge

ATOMS = 5120  # atoms times frames of one unit of work
DISPLACEMENT = 0.01


def frames_on_the_fly(cell: hc.Trajectory, n_frames: int, size: int) -> Iterator[hc.Trajectory]:
    """Yield trajectories of `size` frames; each unit has its own seed."""
    for start in range(0, n_frames, size):
        frames = np.arange(start, min(start + size, n_frames)) % cell.n_frames
        noise = np.random.default_rng(start).standard_normal((len(frames), cell.n_atoms, 3), dtype=np.float32)
        positions = cell.positions[frames] + np.float32(DISPLACEMENT) * noise
        yield hc.Trajectory(positions, cell.cell, cell.numbers, cell.timestep)


def forecast(
    functions: SymmetryFunctions, model: LaplacianRidge | ExchangeableRidge, frames: hc.Trajectory
) -> np.ndarray:
    """Features and forecast of one unit of work."""
    G = functions.transform(frames, workers=1).reshape(frames.n_frames, -1)
    if not isinstance(model, ExchangeableRidge):
        return np.asarray(model.predict(G))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", QualityWarning)  # "extrapolation in size" is what this is
        return np.asarray(model.predict(G, symbols=frames.symbols))


def trained(n_training: int, exchangeable: bool) -> tuple[hc.Trajectory, SymmetryFunctions, object]:
    """Return the shipped trajectory, its functions, and a model of the first gap known on pairs of frames."""
    data = hc.load("cspbi3-long")
    functions = SymmetryFunctions.from_trajectory(data.trajectory[::100])
    known = np.flatnonzero(data.hamiltonian.energy_known)[:n_training]
    gap = np.ptp(data.hamiltonian.energies[known][:, [0, -1]], axis=1)
    positions = data.trajectory.positions[known]
    part = hc.Trajectory(positions, data.trajectory.cell, data.trajectory.numbers, data.trajectory.timestep)
    G = functions.transform(part).reshape(len(known), -1)
    symbols = data.trajectory.symbols
    model = (
        ExchangeableRidge(symbols, alpha=1e-3, gamma=0.1, workers=1)
        if exchangeable
        else LaplacianRidge.paper(workers=1)
    )
    return data.trajectory, functions, model.fit(G, gap)


def measure(n_frames: int, large: bool, workers: int, scheduler: str | None) -> dict[str, float]:
    """Forecast `n_frames`; return seconds, the mean forecast, and the peak memory of this process."""
    trajectory, functions, model = trained(30 if large else 126, large)
    if large:
        trajectory = supercell(trajectory[:50], (5, 5, 2), 50)
    size = max(1, ATOMS // trajectory.n_atoms)
    work = partial(forecast, functions, model)

    def run(n: int, executor: object = None) -> tuple[float, float]:
        start = time.perf_counter()
        total = 0.0
        frames = frames_on_the_fly(trajectory, n, size)
        for values in stream_chunks(work, frames, workers=workers, executor=executor):
            total += float(values.sum())
        return time.perf_counter() - start, total / n

    if scheduler is None:
        run(size)
        seconds, mean = run(n_frames)
    else:
        with open_scheduler(scheduler, workers=workers) as executor:
            run(8 * workers * size, executor)  # every worker has loaded its kernels
            seconds, mean = run(n_frames, executor)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"seconds": seconds, "mean": mean, "peak": peak}


def measured(n_frames: int, *, large: bool = False, workers: int, scheduler: str = "") -> dict[str, float]:
    """Run `measure` in a process of its own."""
    words = [str(n_frames), str(int(large)), str(workers), scheduler]
    done = subprocess.run([sys.executable, __file__, "--part", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def features_floor() -> float:
    """Seconds a frame of 20 atoms that the pairs of neighbours take at the measured rate of multiply-adds."""
    trajectory = hc.load("cspbi3-long").trajectory[::1000]
    n = SymmetryFunctions.from_trajectory(trajectory).count_neighbours(trajectory)
    pairs = float(np.sum(n * (n - 1) // 2)) / trajectory.n_frames
    return pairs * INSTRUCTIONS / multiply_adds_per_second()


def long_trajectories(sizes: list[int], workers: int) -> str:
    floor = features_floor() / workers
    rows = []
    for n in sizes:
        found = measured(n, workers=workers)
        per_frame = found["seconds"] / n
        rows.append(
            [
                f"{n:.0e}",
                f"{found['seconds']:.1f}",
                f"{per_frame * 1e6:.0f}",
                f"{per_frame / floor:.2f}",
                f"{found['peak'] / 1e9:.2f}",
            ]
        )
    header = ["frames", "seconds", "µs a frame", "times the floor", "peak GB"]
    return table(
        f"Frames of 20 atoms through features and forecast, {workers} threads; floor (angular sums only) {floor * 1e6:.0f} µs",
        header,
        rows,
    )


def large_cells(sizes: list[int], workers: int) -> str:
    rows = []
    for n in sizes:
        found = measured(n, large=True, workers=workers)
        rows.append(
            [f"{n:.0e}", f"{found['seconds']:.1f}", f"{found['seconds'] / n * 1e3:.2f}", f"{found['peak'] / 1e9:.2f}"]
        )
    header = ["frames", "seconds", "ms a frame", "peak GB"]
    return table(
        f"Frames of 1,000 atoms through features and an exchangeable model of 30 frames of 20, {workers} threads",
        header,
        rows,
    )


def many_training_frames(sizes: list[int], landmarks: list[int], exact_up_to: int) -> str:
    trajectory = hc.load("cspbi3-long").trajectory
    functions = SymmetryFunctions.from_trajectory(trajectory[::100])
    n_frames = -(-max(sizes) // 4) * 5
    G = functions.transform(trajectory[:n_frames]).reshape(n_frames, -1)
    Z = (G - G.mean(axis=0)) / G.std(axis=0)
    lines = np.random.default_rng(0).normal(size=(Z.shape[1], 2)) / 20.0
    y = np.sin(Z @ lines[:, 0]) + (Z @ lines[:, 1]) ** 2
    held_out = np.arange(0, n_frames, 5)
    others = np.setdiff1d(np.arange(n_frames), held_out)
    with threadpool_limits(limits=1):
        A = np.ones((1024, 1024))
        rate = 1024**3 / median_of(lambda: A @ A).low  # multiply-adds a second of one core
    rows = []
    for n in sizes:
        train = others[np.linspace(0, len(others) - 1, n).astype(int)]

        def row(name: str, model: LaplacianRidge | LowRankRidge, operations: float, train: np.ndarray = train) -> None:
            start = time.perf_counter()
            model.fit(G[train], y[train])
            seconds = time.perf_counter() - start
            start = time.perf_counter()
            missed = y[held_out] - model.predict(G[held_out])
            us = (time.perf_counter() - start) / len(held_out) * 1e6
            error = np.std(missed) / np.std(y[held_out])
            rows.append(
                [
                    str(len(train)),
                    name,
                    f"{seconds:.1f}",
                    f"{seconds / (operations / rate):.1f}",
                    f"{us:.0f}",
                    f"{error:.4f}",
                ]
            )

        d = G.shape[1]
        for m in landmarks:
            model = LowRankRidge(m, alpha=1e-4, gamma="1/n_features")
            # difference and sum of the kernel's distances (the choice of landmarks on top), a triangular solve, two products
            row(f"{m} landmarks", model, 2 * n * m * d + (0.5 + 2) * n * m**2)
        if n <= exact_up_to:
            row("exact", LaplacianRidge.paper(), n**2 * d + n**3 / 6)
    header = ["training frames", "model", "fit s", "times the floor", "µs a forecast", "error / std"]
    return table(
        "Fits of many frames (360 features; target: a smooth function of them, no noise); floor at one core's rate",
        header,
        rows,
    )


def processes(n_frames: int) -> str:
    found = {
        name: measured(n_frames, workers=workers, scheduler=scheduler)
        for name, workers, scheduler in (
            ("1 thread", 1, ""),
            ("2 threads", 2, ""),
            ("Dask, 1 worker", 1, "local"),
            ("Dask, 2 workers", 2, "local"),
        )
    }
    if len({one["mean"] for one in found.values()}) != 1:
        sys.exit("threads and workers do not agree in every bit")
    alone = found["1 thread"]["seconds"]
    peer = {"1 thread": "1 thread", "2 threads": "2 threads"}
    peer |= {"Dask, 1 worker": "1 thread", "Dask, 2 workers": "2 threads"}
    rows = [
        [
            name,
            f"{one['seconds']:.2f}",
            f"{alone / one['seconds']:.2f}",
            f"{(one['seconds'] / found[peer[name]]['seconds'] - 1) * 100:+.0f} %",
        ]
        for name, one in found.items()
    ]
    text = table(
        f"{n_frames} frames of 20 atoms through features and forecast: the same bits from all",
        ["where", "seconds", "times one thread", "over as many threads"],
        rows,
    )
    gain = found["Dask, 1 worker"]["seconds"] / found["Dask, 2 workers"]["seconds"]
    return f"{text}\ntwo workers against one: {gain:.2f} times"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="small sizes")
    parser.add_argument("--exact", action="store_true", help="also fit 20,000 frames exactly (3.2 GB, minutes)")
    parser.add_argument("--part", nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.part:
        n_frames, large, workers, scheduler = arguments.part
        print(json.dumps(measure(int(n_frames), large == "1", int(workers), scheduler or None)))
        return
    quick, workers = arguments.quick, resolve_workers(None)
    print(machine(), end="\n\n")
    print(long_trajectories([1000, 3000] if quick else [10**4, 10**5, 10**6], workers), end="\n\n", flush=True)
    print(large_cells([50] if quick else [10**3, 10**4], workers), end="\n\n", flush=True)
    if quick:
        print(many_training_frames([1000], [200], 1000), end="\n\n", flush=True)
    else:
        limit = 20_000 if arguments.exact else 4000
        print(many_training_frames([4000, 20_000], [500, 1000, 2000], limit), end="\n\n", flush=True)
    print(processes(3000 if quick else 100_000))


if __name__ == "__main__":
    main()

"""Speed of the dynamics: exact solver, sampled DISH, FSSH; scaling in frames, duration and threads.

python benchmarks/bench_dynamics.py [--quick]
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from collections.abc import Callable

import numpy as np
from common import Timing, machine, median_of, table

from hopcast.core import VibronicHamiltonian
from hopcast.dynamics import SubstepGrid, dish, run_dynamics, substep_grid
from hopcast.dynamics.maps import average_populations, step_maps
from hopcast.dynamics.propagation import two_state_substeps

TAU = 6.0
measured: dict[str, float] = {}
"""What `target_rows` compares, filled by the tables before it."""
# a sub-step of the exact solver: a 4 x 4 by 4 x 4 product (64 multiplications, 48 additions) and the rotation (about 40)
FLOPS_A_SUBSTEP = 152
# a visited event: two products of complex numbers, a modulus, one logarithm and three random numbers (about 60)
FLOPS_AN_EVENT = 60


def material(n_frames: int, timestep: float = 4.0) -> VibronicHamiltonian:
    """A gap of 1.8 eV and a coupling of 0.6 meV with phonons of 0.3 to 4 THz."""
    rng = np.random.default_rng(0)
    t = timestep * np.arange(n_frames)
    frequency, phase = rng.uniform(0.3e-3, 4e-3, (2, 12)), rng.uniform(0, 2 * np.pi, (2, 12))

    def wave(i: int, at: np.ndarray) -> np.ndarray:
        parts = np.zeros_like(at)
        for f, p in zip(frequency[i], phase[i], strict=True):
            parts += np.cos(2 * np.pi * f * at + p) / np.sqrt(6)
        return parts

    gap = 1.8 + 0.1 * wave(0, t) / 2
    coupling = 6e-4 * wave(1, t[:-1] + timestep / 2)
    nac = np.zeros((n_frames - 1, 2, 2))
    nac[:, 0, 1], nac[:, 1, 0] = coupling, -coupling
    return VibronicHamiltonian(energies=np.stack([0 * gap, gap], 1), nac=nac, timestep=timestep)


def peak_flops() -> float:
    """Multiplications and additions a second of one thread of the BLAS, as a yardstick for floors."""
    from hopcast.core.chunks import single_threaded_blas

    x = np.random.default_rng(0).normal(size=(600, 600))
    with single_threaded_blas():
        x @ x
        seconds = median_of(lambda: x @ x).median
    return 2 * 600**3 / seconds


def first_calls(ham: VibronicHamiltonian) -> list[list[str]]:
    rows = []
    for name, options in (
        ("exact", {"method": "exact"}),
        ("dish, exponential", {}),
        ("dish, deterministic", {"rule": "hefei", "waiting": "deterministic"}),
        ("fssh", {"method": "fssh"}),
    ):
        start = time.perf_counter()
        run_dynamics(ham, duration=100.0, dephasing_time=TAU, n_trajectories=2, workers=1, **options)
        rows.append([name, f"{time.perf_counter() - start:.2f} s"])
    return rows


def exact_rows(ham: VibronicHamiltonian, peak: float) -> list[list[str]]:
    rows = []
    for name, duration, absorbing in (
        ("10 ns", 1e7, True),
        ("1 ms", 1e12, True),
        ("10 ns, upward hops too", 1e7, False),
    ):
        run = lambda d=duration, a=absorbing: run_dynamics(  # noqa: E731
            ham, "exact", duration=d, dephasing_time=TAU, absorbing=a, workers=1
        )
        result = run()
        measured[name] = median_of(run).median
        rows.append([name, f"{measured[name] * 1e3:.3g} ms", f"{result.lifetime.value:.4g} ns"])
    grid = substep_grid(ham)
    maps = median_of(lambda: step_maps(grid, TAU, workers=1)).median
    substeps = grid.n_steps * grid.n_substeps
    floor = FLOPS_A_SUBSTEP * substeps / peak
    rows.append(["of that, the loop's maps", f"{maps * 1e3:.3g} ms", f"{maps / substeps * 1e9:.3g} ns a sub-step"])
    rows.append(["  arithmetic floor (BLAS peak)", f"{floor * 1e3:.3g} ms", f"distance {maps / floor:.3g}x"])
    return rows


def scaling_rows(sizes: list[int]) -> list[list[str]]:
    """Times of the maps and of all, for outputs up to 10 ns and up to 10 us (all beyond the first loop)."""
    rows: list[list[str]] = []
    last: tuple[float, ...] = ()
    for n_frames in sizes:
        grid = substep_grid(material(n_frames))
        starts = np.arange(n_frames - 1)

        def solve(steps: int, grid: SubstepGrid = grid, starts: np.ndarray = starts) -> None:
            outputs = np.unique(np.linspace(0, steps, 1000).round().astype(np.int64))
            maps = step_maps(grid, TAU, workers=1)
            average_populations(maps, 1, starts, outputs, np.ones((outputs.size, 2)), loop=True, workers=1)

        now = (
            median_of(lambda grid=grid: step_maps(grid, TAU, workers=1), 3).median,
            median_of(lambda: solve(2_500_000), 3).median,
            median_of(lambda: solve(2_500_000_000), 3).median,
        )
        growth = [f" ({new / old:.3g}x)" for new, old in zip(now, last, strict=True)] if last else [""] * 3
        rows.append([f"{n_frames:,}", *(f"{t:.3g} s{g}" for t, g in zip(now, growth, strict=True))])
        last = now
    return rows


def rate_of(run: Callable[[], object], work: float) -> tuple[Timing, float]:
    run()
    timing = median_of(run)
    return timing, work / timing.median


def sampling_rows(ham: VibronicHamiltonian, quick: bool, peak: float) -> list[list[str]]:
    """Sub-steps decided a second: trajectories x duration / sub-step / time."""
    rows = []
    substep = substep_grid(ham).substep
    strong = dataclasses.replace(ham, nac=10 * ham.nac)
    scale = 0.2 if quick else 1.0
    marked = dish.marked_bound
    cases = [
        ("dish, every event visited", ham, 4, 2e6 * scale, True, {}),
        ("dish, consistent, exponential", ham, 1000, 1e7, False, {}),
        ("dish, couplings x10 (rate x100)", strong, 1000, 1e7, False, {}),
        ("dish, hefei, deterministic", ham, 1000, 5e5 * scale, False, {"rule": "hefei", "waiting": "deterministic"}),
        ("fssh (amplitudes shared)", ham, 1000, 2e5 * scale, False, {"method": "fssh"}),
        ("fssh, one trajectory a start", ham, 1, 2e5 * scale, False, {"method": "fssh"}),
    ]
    for name, which, n, duration, every, options in cases:
        times = {}
        for workers in (1, 2):
            if every:
                dish.marked_bound = lambda *_: 1.0
            try:
                run = lambda h=which, d=duration, n=n, w=workers, o=options: run_dynamics(  # noqa: E731
                    h,
                    duration=d,
                    dephasing_time=TAU,
                    n_trajectories=n,
                    initial_times=[0, 200, 400, 600],
                    n_times=100,
                    workers=w,
                    absorbing=False,
                    temperature=300.0,
                    **o,
                )
                times[workers] = rate_of(run, 4 * n * duration / substep)
            finally:
                dish.marked_bound = marked
        one, two = times[1], times[2]
        measured[name] = one[1]
        rows.append(
            [
                name,
                f"{one[0].median:.3g} s",
                f"{one[1]:.3g}",
                f"{one[1] * substep / which.timestep:.3g}",
                f"{one[0].median / two[0].median:.3g}x",
            ]
        )
        if every:
            events = 4 * n * duration / TAU
            floor = FLOPS_AN_EVENT / peak
            spent = one[0].median / events
            rows.append(["  an event", f"{spent * 1e9:.3g} ns", f"floor {floor * 1e9:.2g} ns", "", ""])
    return rows


def bands(n_states: int, n_frames: int = 401) -> VibronicHamiltonian:
    """A band of states over 1 eV, 1 fs a step, all coupled by 5 meV."""
    rng = np.random.default_rng(n_states)
    t = np.arange(float(n_frames))
    energies = np.linspace(0, 1, n_states) + 0.02 * np.sin(
        2 * np.pi * rng.uniform(1e-3, 5e-3, n_states) * t[:, None] + rng.uniform(0, 6, n_states)
    )
    nac = np.zeros((n_frames - 1, n_states, n_states))
    for i in range(n_states):
        for j in range(i + 1, n_states):
            nac[:, i, j] = 5e-3 * np.cos(2 * np.pi * rng.uniform(1e-3, 5e-3) * t[:-1] + rng.uniform(0, 6))
            nac[:, j, i] = -nac[:, i, j]
    return VibronicHamiltonian(energies=np.sort(energies, axis=1), nac=nac, timestep=1.0)


SETTINGS = {"dephasing_time": 20.0, "absorbing": False, "initial_times": [0, 100], "n_times": 50, "substeps": 10}


def many_state_rows(quick: bool, peak: float) -> list[list[str]]:
    """Trajectory-steps a second with 10 sub-steps a step; the set-up (propagators of the loop) is inside.

    Runs of `fssh` are five times as long: else the set-up would be most of them.
    """
    rows = []
    n, duration = 1000, 2e3 if quick else 1e4
    for states in (2, 9, 20):
        ham = bands(states)
        for method in ("dish", "fssh", "msdm") if states == 9 else ("dish", "fssh"):
            length = 5 * duration if method == "fssh" else duration
            speed = {}
            for workers in (1, 2):
                run = lambda w=workers, h=ham, m=method, d=length: run_dynamics(  # noqa: E731
                    h, m, duration=d, n_trajectories=n, initial_state=h.n_states - 1, workers=w, **SETTINGS
                )
                run()
                speed[workers] = 2 * n * length / median_of(run, 3).median
                measured[f"{states} states, {method}, {workers}"] = speed[workers]
            events = (states - 1) / SETTINGS["dephasing_time"]
            # a possible event: one matrix times a vector (8 k^2), populations and hazard (6 k)
            floor = events * (8 * states**2 + 6 * states) / peak
            rows.append(
                [
                    f"{states} states, {method}",
                    f"{speed[1]:.3g}",
                    f"{speed[2]:.3g}",
                    f"{speed[2] / speed[1]:.3g}x",
                    f"{1 / (floor * speed[1]):.3g}x" if method == "dish" and states > 2 else "",
                ]
            )
    return rows


def growth_rows(quick: bool) -> list[list[str]]:
    """DISH: what twice the trajectories, the duration, the states cost."""
    base = {"states": 9, "trajectories": 250, "duration": 2e3}
    rows = []
    first = 0.0
    for name, change in (("9 states, 250 trajectories, 2 ps", {}), ("trajectories x4", {"trajectories": 1000}),
                         ("duration x4", {"duration": 8e3}), ("states x2", {"states": 18})):  # fmt: skip
        case = {**base, **change}
        ham = bands(int(case["states"]))
        run = lambda h=ham, c=case: run_dynamics(  # noqa: E731
            h,
            duration=c["duration"],
            n_trajectories=int(c["trajectories"]),
            initial_state=h.n_states - 1,
            workers=1,
            **SETTINGS,
        )
        run()
        seconds = median_of(run, 3).median
        first = first or seconds
        rows.append([name, f"{seconds:.3g} s", f"{seconds / first:.3g}x"])
    return rows


def target_rows() -> list[list[str]]:
    """What was asked for, and whether this run meets it."""
    threads = {
        f"{states} states, {method}: 2 threads over 1": measured[f"{states} states, {method}, 2"]
        / measured[f"{states} states, {method}, 1"]
        for states in (9, 20)
        for method in ("dish", "fssh")
    }
    rows = [
        ("9-state DISH, trajectory-steps/s a core", measured["9 states, dish, 1"], 6e6),
        ("2-state DISH, event-resolved sub-steps/s a core", measured["dish, every event visited"], 1e8),
        ("exact, 10 ns, a second over its time", 1.0 / measured["10 ns"], 1.0 / 0.2),
        *((name, found, 1.8) for name, found in threads.items()),
    ]
    return [
        [name, f"{found:.3g}", f"{target:.2g}", "met" if found >= target else "MISSED"] for name, found, target in rows
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    print(machine())
    peak = peak_flops()
    print(f"BLAS, one thread: {peak * 1e-9:.3g} Gflop/s\n")
    ham = material(756)
    grid = substep_grid(ham)
    print(f"{ham}, {grid.n_substeps} sub-steps of {grid.substep:.3g} fs, dt_sub/tau = {grid.substep / TAU:.3g}")
    two_state_substeps(grid)
    print(table("\nFirst call (compiles, or loads what an earlier run compiled)", ["method", "time"], first_calls(ham)))
    print(
        table(
            "\nExact solver, 755 initial times, 1000 output times, intervals included, one thread",
            ["run", "time", ""],
            exact_rows(ham, peak),
        )
    )
    sizes = [1000, 10_000] if quick else [1000, 10_000, 100_000]
    print(
        table(
            "\nExact solver, every frame an initial time, 1000 output times, one thread",
            ["frames", "maps", "all, 10 ns", "all, 10 us"],
            scaling_rows(sizes),
        )
    )
    print(
        table(
            "\nSampling, four initial times, not absorbing",
            ["method", "1 thread", "sub-steps/s", "trajectory-steps/s", "2 threads"],
            sampling_rows(ham, quick, peak),
        )
    )
    print(
        table(
            "\nMany states, 1 fs steps of 10 sub-steps, 1000 trajectories from each of two initial times, tau 20 fs, "
            f"{2 if quick else 10} ps (fssh: {10 if quick else 50} ps): trajectory-steps/s",
            ["case", "1 thread", "2 threads", "", "from the floor"],
            many_state_rows(quick, peak),
        )
    )
    print(table("\nDISH, growth", ["case", "1 thread", ""], growth_rows(quick)))
    print(table("\nTargets", ["", "measured", "at least", ""], target_rows()))


if __name__ == "__main__":
    main()

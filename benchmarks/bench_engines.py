"""DISH beside a loop of the field: rule, clocks and decisions are stated for both sides.

python benchmarks/bench_engines.py [--quick]

The other side is `hefei_loop.f90`, the arithmetic of Hefei-NAMD's DISH restated in Fortran and compiled here (`gfortran -O3
-march=native`; without gfortran ours stands alone). CPU time of one thread, the two sides in turn, the smallest of three; ours
less that of a short run, so that set-up (propagators of the loop) and start-up are left out, which both sides share between trajectories.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
from bench_dynamics import bands
from common import machine, table

from hopcast import VibronicHamiltonian
from hopcast.core.chunks import single_threaded_blas
from hopcast.dynamics import run_dynamics

SHORT = 10.0
SUBSTEPS = 10
STARTS = 2


def compiled(folder: Path) -> Path | None:
    """Return the loop of the field, compiled, or None without a compiler."""
    if shutil.which("gfortran") is None:
        return None
    program = folder / "hefei_loop"
    source = Path(__file__).parent / "hefei_loop.f90"
    subprocess.run(["gfortran", "-O3", "-march=native", source, "-o", program], check=True)
    return program


def theirs(program: Path, n_states: int, n_trajectories: int, n_steps: int) -> float:
    """Return ns for each trajectory and electronic sub-step."""
    words = [program, str(n_states), str(n_trajectories), str(n_steps)]
    return float(subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()[3])


def paired(ham: VibronicHamiltonian) -> VibronicHamiltonian:
    """Return the Hamiltonian with a partner for each state, which couples to its own kind as the state does."""
    return VibronicHamiltonian(
        energies=np.repeat(ham.energies, 2, axis=1), nac=np.kron(ham.nac, np.eye(2)), timestep=ham.timestep
    ).with_blocks()


def ours(
    n_states: int, n_trajectories: int, duration: float, method: str = "dish", *, pairs: bool = False, **choice: str
) -> float:
    """Return ns for each trajectory and electronic sub-step."""
    ham = paired(bands(n_states)) if pairs else bands(n_states)

    def seconds(length: float) -> float:
        begin = time.process_time()
        run_dynamics(
            ham,
            method,
            duration=length,
            n_trajectories=n_trajectories // STARTS,
            initial_times=[0, 100],
            substeps=SUBSTEPS,
            dephasing_time=20.0,
            absorbing=False,
            n_times=50,
            initial_state=n_states - 1,
            workers=1,
            **choice,
        )
        return time.process_time() - begin

    seconds(SHORT)
    spent = -seconds(SHORT) + seconds(duration)
    return spent / (n_trajectories * (duration - SHORT) * SUBSTEPS) * 1e9


def peak_flops() -> float:
    """Return operations a CPU second of the BLAS on one thread, the yardstick of the floor."""
    x = np.random.default_rng(0).normal(size=(600, 600))
    seconds = []
    with single_threaded_blas():
        for _ in range(10):
            begin = time.process_time()
            x @ x
            seconds.append(time.process_time() - begin)
    return 2 * 600**3 / min(seconds)


def operations(n_states: int, decisions: str) -> float:
    """Multiplications and additions a sub-step of `clockwork`, couplings real."""
    k = n_states
    deciding = 3 * k + 2 * k * (k + 1) + 3 * k  # populations, coherence times and norm, clocks
    if decisions == "sub-step":
        return 4 * k**2 + 6 * k + deciding
    return (8 * k**2 + 6 * k + deciding) / SUBSTEPS


def rows(quick: bool) -> list[list[str]]:
    found: list[list[str]] = []
    peak = peak_flops()
    with tempfile.TemporaryDirectory() as folder:
        program = compiled(Path(folder))
        for n_states, n in ((9, 2400), (9, 16000), (20, 1200)):
            for decisions in ("sub-step", "nuclear step"):
                duration = 60.0 if quick or n > 2400 else 200.0
                mine, other = [], []
                for _ in range(3):
                    mine.append(ours(n_states, n, duration, rule="hefei", waiting="deterministic", decisions=decisions))
                    if program is not None:
                        other.append(theirs(program, n_states, n, int(duration)))
                floor = operations(n_states, decisions) / peak * 1e9
                found.append(
                    [
                        f"{n_states} states, {n} trajectories",
                        decisions,
                        f"{min(mine):.3g}",
                        f"{min(mine) / floor:.2g}",
                        f"{min(other):.3g}" if other else "-",
                        f"{min(other) / min(mine):.3g}" if other else "-",
                    ]
                )
    return found


METHODS = {
    "dish": (4000.0, 1200),
    "fssh": (10_000.0, 1200),
    "gfsh": (10_000.0, 1200),
    "mssh": (10_000.0, 1200),
    "msdm": (300.0, 600),
}
"""Durations, fs, and trajectories: `msdm` visits every sub-step of each."""


def method_rows(quick: bool) -> list[list[str]]:
    """Our methods side by side, DISH waiting exponentially: ns for each trajectory and sub-step, which their cost falls on unevenly."""
    found: list[list[str]] = []
    for method, (duration, n) in METHODS.items():
        times = [min(ours(k, n, duration / (5 if quick else 1), method) for _ in range(3)) for k in (9, 20)]
        found.append([method, str(n), f"{duration * 1e-3:g} ps", *(f"{time:.3g}" for time in times)])
    return found


def pair_rows(quick: bool) -> list[list[str]]:
    """States with partners beside states that are single."""
    found: list[list[str]] = []
    for n_states in (3, 4, 9):
        for waiting, duration, n in (("deterministic", 300.0, 600), ("exponential", 2000.0, 600)):
            length = duration / (5 if quick else 1)
            choice = {"rule": "hefei", "waiting": waiting}
            alone, both = (
                min(ours(n_states, n, length, pairs=pairs, **choice) for _ in range(3)) for pairs in (False, True)
            )
            found.append([str(n_states), waiting, f"{alone:.3g}", f"{both:.3g}", f"{both / alone:.2g}"])
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    print(machine())
    print(
        table(
            "DISH, rule hefei, deterministic clocks, 10 electronic sub-steps a step; the other side decides each nuclear step",
            ["case", "ours decides each", "ours, ns", "times its floor", "theirs, ns", "ratio"],
            rows(arguments.quick),
        )
    )
    print(
        table(
            "\nMethods of many states, one thread, CPU time of each trajectory and sub-step",
            ["method", "trajectories", "duration", "9 states, ns", "20 states, ns"],
            method_rows(arguments.quick),
        )
    )
    print(
        table(
            "\nDISH between pairs of states (Kramers) and between single states: CPU time of each trajectory and sub-step",
            ["states", "waiting", "single, ns", "pairs, ns", "ratio"],
            pair_rows(arguments.quick),
        )
    )

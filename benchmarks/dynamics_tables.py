"""Numbers of docs/dynamics.md: the shipped data by every method and convention, detailed balance, electron and hole.

python benchmarks/dynamics_tables.py [bands] [conventions] [electrons] [pair] [scissor] [golden] [balance] [moving]
"""

from __future__ import annotations

import sys
import time
import warnings

import numpy as np
from scipy.linalg import expm

import hopcast as hc
from hopcast.core import QualityWarning, VibronicHamiltonian
from hopcast.core.units import KB
from hopcast.dynamics import (
    compare_methods,
    dephasing_matrix,
    hole_hamiltonian,
    lifetime_against_gap,
    rate_matrices,
    redfield_rate,
    run_dynamics,
)
from hopcast.study.config import parse_config
from hopcast.study.electron_hole import run_pair
from hopcast.study.inputs import read_data
from hopcast.study.progress import Progress
from hopcast.study.stage import Context

METHODS = (
    ("dish", "consistent", "exponential"),
    ("dish", "hefei", "exponential"),
    ("dish", "hefei", "deterministic"),
    ("dish", "pyxaid", "deterministic"),
    ("msdm", "", ""),
    ("ida", "", ""),
    ("bl-lz", "", ""),
    ("gfsh", "", ""),
    ("fssh", "", ""),
    ("mssh", "", ""),
)
EVERY_38TH = list(range(0, 755, 38))


def bands(first: int, last: int) -> VibronicHamiltonian:
    """Bands of the shipped data by their numbers; its first is 61."""
    return hc.load("cspbi3").hamiltonian.select(range(first - 61, last - 60))


def print_bands() -> None:
    """The hole from band 62 to 68, as `hopcast dynamics cspbi3 --states 62-68 --carrier hole ...` with each method."""
    ham = bands(62, 68)
    tau = dephasing_matrix(ham)
    apart = tau[np.isfinite(tau)]
    print(f"hole, 62 to 68: gaussian times {apart.min():.0f} to {apart.max():.0f} fs; lifetimes, ps")
    for method, rule, waiting in METHODS:
        found = run_dynamics(
            ham,
            method,
            rule or "consistent",
            waiting or "exponential",
            carrier="hole",
            initial_state=6,
            duration=20000.0,
            initial_times=EVERY_38TH,
            n_trajectories=200,
        ).lifetime
        words = " ".join(word for word in (method, rule, waiting) if word)
        print(f"  {words:30s} {1e3 * found.value:.2f} [{1e3 * found.low:.2f}, {1e3 * found.high:.2f}]")


def print_conventions() -> None:
    """All combinations of DISH: the hole within its bands, and recombination."""
    hole = compare_methods(
        bands(62, 68), carrier="hole", initial_state=6, duration=20000.0, initial_times=EVERY_38TH, n_trajectories=200
    )
    print(f"hole, 62 to 68: {len(hole.rows)} combinations of DISH span a factor of {hole.spread:.1f}")
    pair = compare_methods(bands(68, 69), duration=1e6, initial_times=EVERY_38TH, n_trajectories=1000)
    times = [row.lifetime.value for row in pair.rows]
    print(f"recombination: {pair.spread:.1f} ({min(times):.0f} to {max(times):.0f} ns)")
    for row in pair.rows:
        print(f"  {row.rule:11s} {row.waiting:14s} {row.tau_convention:9s} {row.tau:.2f} fs  {row.lifetime}")


def print_electrons() -> None:
    """The electron from band 75 to 69."""
    found = run_dynamics(bands(69, 75), initial_state=6, duration=20000.0, initial_times=EVERY_38TH, n_trajectories=200)
    print(f"electron, 75 to 69: {100 * found.ground_population[-1]:.1f} % arrive in 20 ps")


def print_pair() -> None:
    """Electron and hole together and each alone, as in a study's report with ten times its trajectories."""
    start = time.perf_counter()
    config = parse_config({"data": {"dataset": "cspbi3"}, "relaxation": {"n_trajectories": 100}})
    context = Context(config, read_data(config), {}, Progress(), None)
    record, _ = run_pair(
        context,
        hc.load("cspbi3").hamiltonian,
        [f"band {i}" for i in range(68, 61, -1)],
        [f"band {i}" for i in range(69, 75)],
    )
    spent = time.perf_counter() - start
    print(
        f"electron and hole: {record.n_determinants} determinants, {record.substeps} sub-steps a step, "
        f"{record.n_trajectories} trajectories, {spent:.0f} s; recombined at most {100 * record.ground_population_high:.2g} %"
    )
    for one in record.carriers:
        value, low, high = (
            time_of and 1e-3 * time_of for time_of in (one.cooling_time, one.cooling_time_low, one.cooling_time_high)
        )
        print(
            f"  {one.carrier:8s} {one.way:8s} {one.initial_energy:.3f} eV at 1/e after {value:.2f} [{low:.2f}, {high:.2f}] ps; "
            f"at the end {one.final_energy:.3f} eV, {100 * one.at_the_edge:.0f} % at the edge"
        )


def print_scissor() -> None:
    """Exact lifetime of recombination against the gap."""
    ham = bands(68, 69)
    gaps = (1.5, float(ham.gap().mean()), 2.2, 2.6)
    for gap, lifetime in lifetime_against_gap(ham, gaps, method="exact", duration=1e7):
        print(f"recombination, exact, mean gap {gap:.2f} eV: {lifetime.value:.3g} ns")


def print_golden() -> None:
    """The golden rule with the gap's own fluctuation."""
    print(f"golden rule: {1e-9 / redfield_rate(bands(68, 69)):.2g} µs")


def print_balance() -> None:
    """Three states 40 meV apart, each coupled to the others by a few meV: populations late in 24 ps, 300 K."""
    t = np.arange(40) + 0.5
    nac = np.zeros((40, 3, 3))
    for i, j in ((0, 1), (0, 2), (1, 2)):
        nac[:, i, j] = 0.008 * np.cos(0.05 * (1 + i + j) * t + i)
        nac[:, j, i] = -nac[:, i, j]
    ham = VibronicHamiltonian(energies=np.tile(0.04 * np.arange(3), (41, 1)), nac=nac, timestep=1.0)
    boltzmann = np.exp(-ham.energies[0] / (KB * 300.0))
    print("Boltzmann ", np.round(boltzmann / boltzmann.sum(), 3))
    cases = [
        ("dish", rule, waiting)
        for rule in ("consistent", "hefei", "pyxaid")
        for waiting in ("exponential", "deterministic")
    ]
    for method, rule, waiting in [
        *cases,
        *((m, "consistent", "exponential") for m in ("msdm", "ida", "fssh", "gfsh", "mssh")),
    ]:
        found = (
            run_dynamics(
                ham,
                method,
                rule,
                waiting,
                duration=24000.0,
                temperature=300.0,
                dephasing_time=10.0,
                absorbing=False,
                initial_state=2,
                initial_times=[0, 20],
                n_trajectories=200,
                n_times=401,
            )
            .populations[150:]
            .mean(axis=0)
        )
        print(
            f"  {method} {rule if method == 'dish' else '':11s}{waiting if method == 'dish' else '':14s}",
            np.round(found, 2),
        )


def print_moving() -> None:
    """The share of a hole that is in band 68 late in a long run: gaps that move as fast as carriers relax keep it hot."""
    ham = bands(62, 68)
    found = run_dynamics(
        ham,
        carrier="hole",
        initial_state=6,
        duration=60000.0,
        absorbing=False,
        initial_times=EVERY_38TH,
        n_trajectories=50,
        n_times=300,
    )
    steps = [expm(each * ham.timestep) for each in rate_matrices(hole_hamiltonian(ham))]
    p, late = np.eye(7)[6], []
    for number in range(20 * len(steps)):
        p = steps[number % len(steps)] @ p
        late.append(p[0])
    weights = np.exp(-hole_hamiltonian(ham).energies / (KB * 300.0))
    boltzmann = (weights[:, 0] / weights.sum(axis=1)).mean()
    print(
        f"hole in band 68 after 20 ps: dish {found.populations[100:, 0].mean():.2f}, master equation along the trajectory "
        f"{np.mean(late[15 * len(steps) :]):.2f}, Boltzmann at each frame {boltzmann:.2f}"
    )


PARTS = {
    "bands": print_bands,
    "conventions": print_conventions,
    "electrons": print_electrons,
    "pair": print_pair,
    "scissor": print_scissor,
    "golden": print_golden,
    "balance": print_balance,
    "moving": print_moving,
}


def main() -> None:
    warnings.simplefilter("ignore", QualityWarning)
    for part in sys.argv[1:] or PARTS:
        PARTS[part]()


if __name__ == "__main__":
    main()

"""The Hamiltonian itself, learnt from 145 pairs of frames of CsPbI3: held-out blocks, another trajectory, larger cells, cost.

    python benchmarks/tight_binding.py [--parts held-out other cells cost curve draws] [--choose] [--processes N] [--draws N]

Prints the tables of docs/tight-binding.md.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, fields, replace
from multiprocessing import get_context

import numpy as np
from common import machine, table

import hopcast as hc
from hopcast.descriptors import take_frames
from hopcast.tightbinding import TightBinding

BLOCK = 5000.0  # fs
N_FOLDS = 4
LOW = 7
"""Of the window's bands the highest occupied."""
NEAR = 0.02  # eV
PARTS = ("held-out", "other", "cells", "cost")
SLOW = ("curve", "draws")
SIZES = (25, 50, 100)


def r2(y, forecast):
    return 1 - np.sum((y - forecast) ** 2) / np.sum((y - np.mean(y)) ** 2)


@dataclass(frozen=True)
class Steps:
    """Forecasts of steps, each by itself: energies [n, 2, bands], couplings [n, bands, bands], bars of the gap [n, 2] and of all couplings."""

    energies: np.ndarray
    nac: np.ndarray
    gap_std: np.ndarray
    nac_std: np.ndarray

    @classmethod
    def of(cls, model, trajectory, steps):
        ends = np.stack([steps, steps + 1], axis=1).ravel()
        found = model.forecast(replace(take_frames(trajectory, ends), timestep=trajectory.timestep))
        edges = found.std.energies[:, [LOW, LOW + 1]]
        return cls(
            found.hamiltonian.energies.reshape(len(steps), 2, -1),
            found.hamiltonian.nac[::2],
            np.sqrt(np.sum(edges**2, axis=1)).reshape(-1, 2),
            found.std.nac[::2],
        )

    @classmethod
    def join(cls, indices, parts):
        order = np.argsort(np.concatenate(indices))
        return cls(*[np.concatenate([getattr(part, one.name) for part in parts])[order] for one in fields(cls)])


def covered(error, std):
    """Share of errors inside the central 90 % of a normal distribution."""
    return f"{100 * np.mean(np.abs(error) < 1.645 * std):.0f} %"


def judge(known, steps, found):
    """Scores of forecast steps."""
    low, high = LOW, LOW + 1
    energies, said = np.stack([known.energies[steps], known.energies[steps + 1]], axis=1), found.energies
    gap, gap_said = (e[:, :, high] - e[:, :, low] for e in (energies, said))
    d, d_said = np.abs(known.nac[steps, low, high]), np.abs(found.nac[:, low, high])
    bar = found.nac_std[:, low, high]
    rate, rate_said = d**2 / gap.mean(axis=1) ** 2, d_said**2 / gap_said.mean(axis=1) ** 2
    expected = (d_said**2 + bar**2) / gap_said.mean(axis=1) ** 2
    middles = [e - 0.5 * (e[:, :, [low]] + e[:, :, [high]]) for e in (energies, said)]
    middle = 0.5 * (known.energies[steps] + known.energies[steps + 1])
    distance = np.abs(middle[:, 1:-1, None] - middle[:, None, 1:-1])
    occupied = np.arange(distance.shape[1]) < low
    across = np.not_equal.outer(occupied, occupied) & (distance >= 0.0)
    signed = [
        signed_correlation(known.nac[steps], found.nac, counted)
        for counted in (distance >= 0.0, distance > NEAR, across)
    ]
    return [
        f"{r2(gap.ravel(), gap_said.ravel()):.3f}",
        f"{1e3 * np.abs(gap - gap_said).mean():.0f}",
        f"{r2(d, d_said):.3f}",
        f"{np.corrcoef(rate, rate_said)[0, 1]:.2f}",
        f"{rate_said.mean() / rate.mean():.2f}",
        f"{expected.mean() / rate.mean():.2f}",
        f"{1e3 * np.abs(middles[0] - middles[1])[:, :, 1:-1].mean():.0f}",
        *[f"{one:.2f}" for one in signed],
        covered(gap - gap_said, found.gap_std),
        covered(d - d_said, bar),
    ]


HEADER = [
    "gap R2",
    "MAE, meV",
    "|hbar d| R2",
    "rate, correlation",
    "mean rate / true",
    "with variance",
    "bands, meV",
    "signed couplings",
    "of bands 20 meV apart",
    "across the gap",
    "gap's 90 % bars hold",
    "coupling's",
]


def signed_correlation(known, found, counted):
    """Correlation of the couplings of the counted pairs of inner bands [n, bands, bands], after one sign a state and step that fits best."""
    pairs = [[], []]
    for one, other, these in zip(known[:, 1:-1, 1:-1], found[:, 1:-1, 1:-1], counted, strict=True):
        i, j = np.nonzero(np.triu(these, 1))
        agreement = one * other * these
        sign = np.sign(np.linalg.eigh(agreement)[1][:, -1])
        sign[sign == 0] = 1
        for _ in range(4 * len(sign)):
            gain = sign * (agreement @ sign)
            worst = int(gain.argmin())
            if gain[worst] >= 0:
                break
            sign[worst] *= -1
        pairs[0].append(one[i, j])
        pairs[1].append((sign[:, None] * other * sign)[i, j])
    return float(np.corrcoef(np.concatenate(pairs[0]), np.concatenate(pairs[1]))[0, 1])


def known_steps(hamiltonian):
    return np.flatnonzero(hamiltonian.nac_known)


def fit_fold(job):
    """Forecast the steps of a fold by a fit to others."""
    choose, train, test = job
    warnings.simplefilter("ignore", hc.QualityWarning)
    data = hc.load("cspbi3-long")
    start = time.process_time()
    model = TightBinding(choose=choose, workers=1).fit(data.trajectory, data.hamiltonian, train)
    spent = time.process_time() - start
    return Steps.of(model, data.trajectory, test), spent, str(model.bands_.form)


def held_out(data, choose, processes, sizes: Iterable[int | None] = (None,), seed=0):
    """Every pair forecast by fits that saw no pair of its block of 5 ps, nor (with four folds) of every fourth block."""
    steps = known_steps(data.hamiltonian)
    block = (steps * data.hamiltonian.timestep // BLOCK).astype(int)
    rng = np.random.default_rng(seed)
    rows = []
    for size in sizes:
        tests, jobs = [], []
        for fold in range(N_FOLDS):
            test, train = np.flatnonzero(block % N_FOLDS == fold), np.flatnonzero(block % N_FOLDS != fold)
            if size is not None:
                train = np.sort(rng.choice(train, size, replace=False))
            tests.append(test)
            jobs.append((choose, steps[train], steps[test]))
        with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
            found = list(pool.map(fit_fold, jobs))
        whole = Steps.join(tests, [one[0] for one in found])
        spent = np.mean([one[1] for one in found])
        for fold, (test, one) in enumerate(zip(tests, found, strict=True)):
            rows.append(
                [f"fold {fold}, {len(test)} left out", *judge(data.hamiltonian, steps[test], one[0]), f"{one[1]:.0f}"]
            )
        rows.append([f"{len(jobs[0][1])} pairs", *judge(data.hamiltonian, steps, whole), f"{spent:.0f}"])
        print("chosen:", *[one[2] for one in found], sep="\n  ")
        print(
            table(f"held out in blocks of 5 ps, {N_FOLDS} folds", ["trained on", *HEADER, "CPU a fold, s"], rows),
            flush=True,
        )


def random_draws(data, choose, processes, n_draws, size=50):
    """Fits of random pairs outside of a fold, judged in the fold: does any end in a bad minimum?"""
    steps = known_steps(data.hamiltonian)
    block = (steps * data.hamiltonian.timestep // BLOCK).astype(int)
    jobs = []
    for draw in range(n_draws):
        inside = block % N_FOLDS == draw % N_FOLDS
        train = np.sort(np.random.default_rng(draw).choice(np.flatnonzero(~inside), size, replace=False))
        jobs.append((choose, steps[train], steps[inside]))
    rows = []
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        for draw, (found, spent, _) in enumerate(pool.map(fit_fold, jobs)):
            rows.append([str(draw), *judge(data.hamiltonian, jobs[draw][2], found), f"{spent:.0f}"])
            print("draw", *rows[-1], flush=True)
    print(table(f"random draws of {size} pairs", ["draw", *HEADER, "CPU, s"], rows), flush=True)
    d = np.array([float(row[3]) for row in rows])
    print(
        f"|hbar d| R2 of {n_draws} draws of {size} pairs: {d.min():.2f} to {d.max():.2f}, {int(np.sum(d < 0))} below 0",
        flush=True,
    )


def other_trajectory(model):
    """The dense 3 ps at 280 K, of which no frame was learnt from."""
    data = hc.load("cspbi3")
    start = time.process_time()
    found = model.forecast(data.trajectory)
    spent = 1e3 * (time.process_time() - start) / data.trajectory.n_frames
    known, said, enlarged = (one.frontier() for one in (data.hamiltonian, found.hamiltonian, found.with_variance()))
    tau = [hc.dephasing_time(one) for one in (known, said)]
    lifetimes = [
        hc.run_dynamics(one, method="exact", duration=1e6, temperature=300.0, dephasing_time=tau[0]).lifetime.value
        for one in (known, said, enlarged)
    ]
    d = [np.abs(one.coupling()) for one in (known, said)]
    rate = [(one.coupling() / np.mean(one.gap())) ** 2 for one in (known, said)]
    rows = [
        ["gap R2", f"{r2(known.gap(), said.gap()):.3f}"],
        ["gap bias, meV", f"{1e3 * np.mean(said.gap() - known.gap()):+.0f}"],
        ["|hbar d| R2", f"{r2(*d):.3f}"],
        ["correlation of the local rate", f"{np.corrcoef(*rate)[0, 1]:.2f}"],
        ["mean square coupling over ab initio", f"{np.mean(d[1] ** 2) / np.mean(d[0] ** 2):.2f}"],
        ["with its variance", f"{np.mean(enlarged.coupling() ** 2) / np.mean(d[0] ** 2):.2f}"],
        ["dephasing time, fs", f"{tau[1]:.2f} (ab initio {tau[0]:.2f})"],
        ["lifetime, exact, ns", f"{lifetimes[1]:.3g} (ab initio {lifetimes[0]:.3g}; couplings with their variance {lifetimes[2]:.3g})"],
        ["frames outside", f"{int(found.outside.sum())} of {data.trajectory.n_frames}"],
        ["rms error over mean error bar of the gap", f"{np.sqrt(np.mean((known.gap() - said.gap()) ** 2)) / np.sqrt(2) / found.std.energies.mean():.2f}"],
        ["CPU time a frame, ms", f"{spent:.2f}"],
    ]  # fmt: skip
    print(table("all pairs, applied to the other trajectory", ["", ""], rows), flush=True)


def larger_cells(model):
    """Replicas of one frame: the folded cell's edges, and what a frame costs."""
    trajectory = hc.load("cspbi3").trajectory[:2]
    edges = model.forecast(trajectory).hamiltonian
    rows = []
    for repeats in ((1, 1, 1), (2, 2, 2), (3, 3, 3)):
        shifts = np.array([[i, j, k] for i in range(repeats[0]) for j in range(repeats[1]) for k in range(repeats[2])])
        places = np.concatenate([trajectory.positions + shift @ trajectory.cell for shift in shifts], axis=1)
        large = hc.Trajectory(
            places, trajectory.cell * np.array(repeats)[:, None], np.tile(trajectory.numbers, len(shifts)), 4.0
        )
        start = time.process_time()
        bands, geometry = model.bands_, model.bands_.model.geometry(large, 0)
        levels, _ = bands.eigenstates(geometry)
        spent = time.process_time() - start
        missed = max(np.abs(levels + bands.offset - level).min() for level in edges.energies[0])
        rows.append([str(large.n_atoms), f"{missed:.1e}", f"{1e3 * spent:.1f}"])
    print(
        table("replicas", ["atoms", "folded levels missed by, eV", "CPU time of a frame, dense, ms"], rows), flush=True
    )


def cost(data, model):
    """A frame of 20 atoms with 16 bands and their couplings."""
    part = data.trajectory[:1025]
    model.forecast(part[:65])
    spent = []
    for _ in range(3):
        start = time.process_time()
        model.forecast(part)
        spent.append(1e3 * (time.process_time() - start) / part.n_frames)
    print(
        f"forecast of a frame of 20 atoms, 16 bands, couplings, error bar: {min(spent):.2f} ms of CPU time", flush=True
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", nargs="*", choices=PARTS + SLOW, default=list(PARTS))
    parser.add_argument("--choose", action="store_true", help="choose sizes of priors inside the training blocks")
    parser.add_argument("--processes", type=int, default=2, help="folds at a time")
    parser.add_argument("--draws", type=int, default=20, help="random choices of 50 pairs")
    options = parser.parse_args()
    warnings.simplefilter("ignore", hc.QualityWarning)
    print(machine())
    data = hc.load("cspbi3-long")

    if "held-out" in options.parts:
        held_out(data, options.choose, options.processes)
    if "curve" in options.parts:
        held_out(data, options.choose, options.processes, SIZES)
    if "draws" in options.parts:
        random_draws(data, options.choose, options.processes, options.draws)
    if {"other", "cells", "cost"} & set(options.parts):
        start = time.process_time()
        model = TightBinding(choose=options.choose).fit(data.trajectory, data.hamiltonian)
        print(
            f"fit of {model.bands_.n_samples} pairs, {model.bands_.model.n_parameters} parameters, {model.bands_.form}: "
            f"{time.process_time() - start:.0f} s of CPU time; {model.scores_}",
            flush=True,
        )
        for name, part in (("other", other_trajectory), ("cells", larger_cells)):
            if name in options.parts:
                part(model)
        if "cost" in options.parts:
            cost(data, model)


if __name__ == "__main__":
    main()

"""The Hamiltonian itself, learnt from 145 pairs of frames of CsPbI3: held-out blocks, another trajectory, larger cells, cost.

    python benchmarks/tight_binding.py [--parts held-out other cells cost curve] [--choose] [--processes N]

Prints the tables of docs/tight-binding.md.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
from common import machine, table

import hopcast as hc
from hopcast.tightbinding import Form, TightBinding

BLOCK = 5000.0  # fs
N_FOLDS = 4
PARTS = ("held-out", "other", "cells", "cost", "curve")
SIZES = (25, 50, 100)


def r2(y, forecast):
    return 1 - np.sum((y - forecast) ** 2) / np.sum((y - np.mean(y)) ** 2)


def judge(known, steps, found, n_occupied):
    """Scores of forecast steps; `found` has frames 2 k and 2 k + 1 for step k."""
    low, high = n_occupied - 1, n_occupied
    energies = np.stack([known.energies[steps], known.energies[steps + 1]], axis=1)
    said = found.energies.reshape(len(steps), 2, -1)
    gap, gap_said = (e[:, :, high] - e[:, :, low] for e in (energies, said))
    d, d_said = np.abs(known.nac[steps, low, high]), np.abs(found.nac[::2, low, high])
    rate, rate_said = d**2 / gap.mean(axis=1) ** 2, d_said**2 / gap_said.mean(axis=1) ** 2
    middles = [e - 0.5 * (e[:, :, [low]] + e[:, :, [high]]) for e in (energies, said)]
    signed = signed_correlation(known.nac[steps], found.nac[::2])
    return [
        f"{r2(gap.ravel(), gap_said.ravel()):.3f}",
        f"{1e3 * np.abs(gap - gap_said).mean():.0f}",
        f"{r2(d, d_said):.3f}",
        f"{np.corrcoef(rate, rate_said)[0, 1]:.2f}",
        f"{rate_said.mean() / rate.mean():.2f}",
        f"{1e3 * np.abs(middles[0] - middles[1])[:, :, 1:-1].mean():.0f}",
        f"{signed:.2f}",
    ]


HEADER = [
    "gap R2",
    "MAE, meV",
    "|hbar d| R2",
    "rate, correlation",
    "mean rate / true",
    "bands, meV",
    "signed couplings",
]


def signed_correlation(known, found):
    """Correlation of the couplings of all pairs of inner bands, after one sign a state and step that fits best."""
    i, j = np.triu_indices(known.shape[1] - 2, 1)
    pairs = [[], []]
    for one, other in zip(known[:, 1:-1, 1:-1], found[:, 1:-1, 1:-1], strict=True):
        agreement = one * other
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


def forecast_steps(model, trajectory, steps):
    """Forecast pairs of frames, each by itself."""
    from dataclasses import replace

    from hopcast.descriptors import take_frames

    ends = np.stack([steps, steps + 1], axis=1).ravel()
    return model.forecast(replace(take_frames(trajectory, ends), timestep=trajectory.timestep)).hamiltonian


def known_steps(hamiltonian):
    return np.flatnonzero(hamiltonian.nac_known)


def fit_fold(job):
    """Forecast the steps of a fold by a fit to others."""
    form, train, test = job
    warnings.simplefilter("ignore", hc.QualityWarning)
    data = hc.load("cspbi3-long")
    start = time.process_time()
    model = TightBinding(form=form, workers=1).fit(data.trajectory, data.hamiltonian, train)
    found = forecast_steps(model, data.trajectory, test)
    return found.energies, found.nac[::2], time.process_time() - start


def held_out(data, form, processes, sizes: Iterable[int | None] = (None,), seed=0):
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
            jobs.append((form, steps[train], steps[test]))
        energies, nac = np.zeros((2 * len(steps), 16)), np.zeros((2 * len(steps) - 1, 16, 16))
        with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
            found = list(pool.map(fit_fold, jobs))
        for test, (levels, couplings, _) in zip(tests, found, strict=True):
            energies[np.stack([2 * test, 2 * test + 1], axis=1).ravel()], nac[2 * test] = levels, couplings
        whole = hc.VibronicHamiltonian(energies, nac, data.hamiltonian.timestep, n_occupied=8)
        spent = np.mean([one[2] for one in found])
        rows.append([f"{len(jobs[0][1])} pairs", *judge(data.hamiltonian, steps, whole, 8), f"{spent:.0f}"])
        print(
            table(f"held out in blocks of 5 ps, {N_FOLDS} folds", ["trained on", *HEADER, "CPU a fold, s"], rows),
            flush=True,
        )


def other_trajectory(model):
    """The dense 3 ps at 280 K, of which no frame was learnt from."""
    data = hc.load("cspbi3")
    start = time.process_time()
    found = model.forecast(data.trajectory)
    spent = 1e3 * (time.process_time() - start) / data.trajectory.n_frames
    known, said = data.hamiltonian.frontier(), found.hamiltonian.frontier()
    tau = [hc.dephasing_time(one) for one in (known, said)]
    lifetimes = [
        hc.run_dynamics(one, method="exact", duration=1e6, temperature=300.0, dephasing_time=tau[0]).lifetime.value
        for one in (known, said)
    ]
    d = [np.abs(one.coupling()) for one in (known, said)]
    rate = [(one.coupling() / np.mean(one.gap())) ** 2 for one in (known, said)]
    rows = [
        ["gap R2", f"{r2(known.gap(), said.gap()):.3f}"],
        ["gap bias, meV", f"{1e3 * np.mean(said.gap() - known.gap()):+.0f}"],
        ["|hbar d| R2", f"{r2(*d):.3f}"],
        ["correlation of the local rate", f"{np.corrcoef(*rate)[0, 1]:.2f}"],
        ["mean square coupling over ab initio", f"{np.mean(d[1] ** 2) / np.mean(d[0] ** 2):.2f}"],
        ["dephasing time, fs", f"{tau[1]:.2f} (ab initio {tau[0]:.2f})"],
        ["lifetime, exact, ns", f"{lifetimes[1]:.3g} (ab initio {lifetimes[0]:.3g})"],
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
    parser.add_argument("--parts", nargs="*", choices=PARTS, default=list(PARTS))
    parser.add_argument("--choose", action="store_true", help="choose the form inside the training blocks")
    parser.add_argument("--processes", type=int, default=2, help="folds at a time")
    options = parser.parse_args()
    warnings.simplefilter("ignore", hc.QualityWarning)
    print(machine())
    data = hc.load("cspbi3-long")

    form = None if options.choose else Form()
    if "held-out" in options.parts:
        held_out(data, form, options.processes)
    if "curve" in options.parts:
        held_out(data, form, options.processes, SIZES)
    if {"other", "cells", "cost"} & set(options.parts):
        start = time.process_time()
        model = TightBinding(form=form).fit(data.trajectory, data.hamiltonian)
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

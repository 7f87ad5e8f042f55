"""The rate of 100 ps of CsPbI3 from 50, 100 and all pairs of frames, with a tight binding between them; its lifetime along all frames.

    hopcast run study.toml -o FOLDER        # with `dataset = "cspbi3-long"`
    python benchmarks/rate_of_pairs.py --study FOLDER [--parts all subsets lifetime] [--subsets 10] [--draws 1000] [--processes 2]

Every forecast of a pair is by a fit that saw nothing of its stretch of time. `all`: fits to all other pairs (those of the study), the
interval from them, and its coverage over random subsets of the pairs with these forecasts. `subsets`: fits to 50 and 100 random pairs alone, each with its
interval. `lifetime`: dynamics along all 25,001 frames. Prints the tables of docs/beyond.md.
"""

from __future__ import annotations

import argparse
import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path

import h5py
import numpy as np
from common import machine, table
from scipy.stats import t as student

import hopcast as hc
from hopcast.core.units import FS_PER_NS
from hopcast.dynamics import second_order_rate
from hopcast.evaluation import CalendarSplit, stretches_of_time
from hopcast.forecast.held_out import forecast_steps
from hopcast.forecast.kinds.tight_binding import FittedTightBinding, TightBindingForecaster
from hopcast.information import correlation_time
from hopcast.study.sampled_rates import smoothed
from hopcast.tightbinding import fit_folds

PARTS = ("all", "subsets", "lifetime")
SIZES = (50, 100)
LEVEL = 0.9
GROUPS = 5
"""Contiguous parts of the trajectory that are held out in fits to random subsets."""


class Study:
    """The pairs of the shipped 100 ps and their second-order rates."""

    def __init__(self) -> None:
        data = hc.load("cspbi3-long")
        self.trajectory, self.window = data.trajectory, data.hamiltonian
        pair = data.hamiltonian.frontier()
        self.states = pair.state_labels
        self.steps = np.flatnonzero(pair.nac_known)
        gap = pair.midpoint_energies[self.steps]
        self.gap, self.coupling = gap[:, 1] - gap[:, 0], np.abs(pair.coupling()[self.steps])
        self.tau = float(hc.dephasing_time(hc.load("cspbi3").hamiltonian.frontier()))
        self.truth = self.rate(self.gap, self.coupling)
        dt = pair.timestep
        self.times = (self.steps + 0.5) * dt
        spacing = float(np.median(np.diff(self.times)))
        memory = max(float(correlation_time(self.gap, spacing)), spacing)
        usual = stretches_of_time(self.trajectory.duration, memory)
        self.calendar = CalendarSplit(self.times, usual.length, usual.purge)
        self.stretch_of_all = np.floor((np.arange(pair.n_steps) + 0.5) * dt / usual.length).astype(int)
        self.fits = TightBindingForecaster()

    def rate(self, gap, coupling):
        """1/ns."""
        return FS_PER_NS * second_order_rate(gap, coupling, self.tau)

    def forecast(self, bands, steps):
        """Rate that fitted bands say of steps, 1/ns."""
        found = forecast_steps(FittedTightBinding(bands, self.tau, ""), self.trajectory, steps, self.states, workers=1)
        return self.rate(found.gap, found.coupling)


@lru_cache(maxsize=1)
def study():
    return Study()


@lru_cache(maxsize=1)
def whole():
    """The fit to all pairs: gives the form; nothing of its parameters enters a fold."""
    one = study()
    return one.fits.fit(one.trajectory, one.window, one.steps).bands


def in_folds(bands, parts, train_of, steps):
    """Forecast rates, smoothed, at all mid-points, each by a fit that saw nothing of its part of the trajectory.

    `parts` maps stretches to parts; `train_of` says which pairs are far enough from a part.
    """
    one = study()
    numbers = np.unique(parts)
    folds = fit_folds(bands, one.trajectory, one.window, [steps[train_of(part)] for part in numbers], workers=1)
    part_of = parts[one.stretch_of_all]
    rate = np.empty(one.window.n_steps)
    for part, fitted in zip(numbers, folds, strict=True):
        inside = np.flatnonzero(part_of == part)
        rate[inside] = one.forecast(fitted, inside)
    return smoothed(rate, one.window.timestep)


def interval(chosen, m_all, m_sampled):
    """Value, low and high; pairs of this material share nothing of their rates."""
    one = study()
    found = hc.prediction_powered_mean(
        one.truth[chosen], m_sampled, m_all, level=LEVEL, frames=one.steps[chosen], n_bootstrap=500
    )
    return np.array([found.value, found.low, found.high])


def plain_and_powered(chosen, everywhere, sampled):
    """Rows of value, low, high: the average of some pairs, and the same with the forecast, which is known at all mid-points."""
    one = study()
    return np.stack(
        [interval(chosen, np.zeros(one.window.n_steps), np.zeros(len(chosen))), interval(chosen, everywhere, sampled)]
    )


def against_the_rest(chosen, found):
    """Error and width over the mean of the pairs left out, and whether both intervals together hold the difference [methods]."""
    one = study()
    rest = np.setdiff1d(np.arange(len(one.steps)), chosen)
    reference = one.truth[rest].mean()
    own = student.ppf(0.5 + LEVEL / 2, len(rest) - 1) * one.truth[rest].std(ddof=1) / np.sqrt(len(rest))
    apart = reference - found[:, 0]
    side = np.where(apart > 0, found[:, 2] - found[:, 0], found[:, 0] - found[:, 1])
    return found[:, 0] / reference - 1, (found[:, 2] - found[:, 1]) / reference, np.abs(apart) <= np.hypot(side, own)


def print_subsets(title, found):
    """`found`: (chosen, rows) of every subset."""
    errors, widths, holds = (np.array(each) for each in zip(*(against_the_rest(*one) for one in found), strict=True))
    ratio = np.median(widths[:, 1] / widths[:, 0])
    rows = [
        [
            name,
            f"{100 * errors[:, k].mean():+.0f}",
            f"{100 * np.abs(errors[:, k]).mean():.0f}",
            f"{100 * np.median(widths[:, k]):.0f}",
            f"{100 * holds[:, k].mean():.0f}",
        ]
        for k, name in enumerate(("plain average", "prediction-powered"))
    ]
    print(
        table(
            f"{title}; prediction-powered over plain width {ratio:.2f} (median)",
            ["rate by", "bias, %", "mean error, %", "width, %", "covers, %"],
            rows,
        ),
        flush=True,
    )


def of_study(folder):
    """Gap, coupling and rate at all mid-points, each by the fit of the study that saw nothing of its stretch."""
    one = study()
    with h5py.File(max(Path(folder).glob("stages/models-*.h5"), key=lambda path: path.stat().st_mtime)) as file:
        gap, learnt = (file[f"arrays/{target}-blocked|tight binding"][()] for target in ("gap", "nac"))
    gap = 0.5 * (gap[1:] + gap[:-1])
    return gap, learnt, one.rate(gap, learnt)


def all_pairs(folder, draws):
    one = study()
    gap, coupling, rate = of_study(folder)

    def r2(y, said):
        return 1 - np.sum((y - said[one.steps]) ** 2) / np.sum((y - y.mean()) ** 2)

    everywhere = smoothed(rate, one.window.timestep)
    rho2 = [np.corrcoef(one.truth, m[one.steps])[0, 1] ** 2 for m in (rate, everywhere)]
    print(
        f"{len(one.steps)} pairs, each forecast without its stretch: gap R2 {r2(one.gap, gap):.3f}, |hbar d| R2 {r2(one.coupling, coupling):.3f}, "
        f"rho^2 of the local rate {rho2[0]:.2f}, smoothed {rho2[1]:.2f}, mean rate {rate[one.steps].mean() / one.truth.mean():.2f} of the "
        f"pairs' at the pairs and {rate.mean() / one.truth.mean():.2f} everywhere; dephasing time {one.tau:.2f} fs",
        flush=True,
    )
    everything = np.arange(len(one.steps))
    found = plain_and_powered(everything, everywhere, everywhere[one.steps])
    rows = [
        [name, *(f"{value:.4g}" for value in row), f"{(row[2] - row[1]) / (found[0, 2] - found[0, 1]):.2f}"]
        for name, row in zip(("plain average", "prediction-powered"), found, strict=True)
    ]
    print(table("all pairs, 90 % intervals", ["rate by", "1/ns", "low", "high", "width / plain"], rows), flush=True)
    rng = np.random.default_rng(0)
    for size in SIZES:
        subsets = [np.sort(rng.choice(len(one.steps), size, replace=False)) for _ in range(draws)]
        made = [(chosen, plain_and_powered(chosen, everywhere, everywhere[one.steps[chosen]])) for chosen in subsets]
        print_subsets(f"{size} pairs, forecasts as above, {draws} random subsets", made)


def one_subset(job):
    """Fit to some pairs alone and return what they say."""
    warnings.simplefilter("ignore", hc.QualityWarning)
    bands, chosen = job
    one = study()
    steps, n = one.steps[chosen], int(one.stretch_of_all.max()) + 1
    parts = np.arange(n) * GROUPS // n
    edges = [one.calendar.block_fs * np.flatnonzero(parts == part)[[0, -1]] for part in range(GROUPS)]

    def train_of(part):
        low, high = (
            edges[part][0] - one.calendar.purge_fs,
            edges[part][1] + one.calendar.block_fs + one.calendar.purge_fs,
        )
        times = one.times[chosen]
        return np.flatnonzero((times < low) | (times >= high))

    rate = in_folds(bands, parts, train_of, steps)
    rho = np.corrcoef(one.truth[chosen], rate[steps])[0, 1]
    return chosen, plain_and_powered(chosen, rate, rate[steps]), rho**2


def random_subsets(n_subsets, processes):
    one, bands = study(), whole()
    for size in SIZES:
        jobs = [
            (bands, np.sort(np.random.default_rng([size, k]).choice(len(one.steps), size, replace=False)))
            for k in range(n_subsets)
        ]
        with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
            found = list(pool.map(one_subset, jobs))
        rho2 = np.median([one[2] for one in found])
        print_subsets(
            f"{size} pairs alone, {n_subsets} random subsets, rho^2 {rho2:.2f} (median)", [one[:2] for one in found]
        )


def lifetime():
    one, bands = study(), whole()
    start = time.process_time()
    found = FittedTightBinding(bands, one.tau, "").forecast(one.trajectory)
    spent = time.process_time() - start
    pair = found.hamiltonian.frontier()
    said = hc.run_dynamics(pair, method="exact", duration=1e6, temperature=300.0, dephasing_time=one.tau, loop=True)
    estimate = said.lifetime
    print(
        f"all {one.trajectory.n_frames} frames forecast in {spent:.0f} s of CPU time, {int(found.outside.sum())} outside; lifetime by the "
        f"exact solver {estimate.value:.3g} ns [{estimate.low:.3g}, {estimate.high:.3g}] (dephasing time {one.tau:.2f} fs; the model's error is "
        "not in the interval: divide by the ratio of mean rates above)",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", nargs="*", choices=PARTS, default=list(PARTS))
    parser.add_argument("--study", help="folder of `hopcast run` on the shipped 100 ps; `all` reads its forecasts")
    parser.add_argument("--subsets", type=int, default=10, help="random subsets that are fitted alone")
    parser.add_argument("--draws", type=int, default=1000, help="random subsets with forecasts of all other pairs")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    warnings.simplefilter("ignore", hc.QualityWarning)
    print(machine())
    if "all" in options.parts and options.study is None:
        parser.error("`all` reads the forecasts of a study: give its folder by --study")
    if "all" in options.parts:
        all_pairs(options.study, options.draws)
    if "lifetime" in options.parts:
        lifetime()
    if "subsets" in options.parts:
        random_subsets(options.subsets, options.processes)


if __name__ == "__main__":
    main()

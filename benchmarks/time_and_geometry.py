"""Spline, geometry, and both: where a clock forecasts the shipped CsPbI3, where the geometry does, and whether one process
that knows both is ever worse than the better of the two.

Run as ``python benchmarks/time_and_geometry.py [--quick] [--figure STEM]``; prints the tables of docs/beyond-time.md and
draws its figure (STEM.svg, STEM.png).
"""

from __future__ import annotations

import dataclasses
import sys

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator
from sklearn.base import clone

import hopcast as hc
from hopcast.core.chunks import single_threaded_blas
from hopcast.descriptors import flatten
from hopcast.evaluation import interpolate_in_time
from hopcast.regression import LaplacianRidge, TimeGeometryProcess
from hopcast.report.style import ALL, ELEMENT_COLOURS, MUTED, WIDE, panel_label, save_figure, style

STRIDES = (8, 12, 16, 24, 32, 48, 64, 80, 100, 136, 200, 400, 800)  # fs
N_BLOCKS = 20  # of the bootstrap: 151 fs of the dense, 5 ps of the long trajectory
N_DRAWS = 2000
METHODS = ("linear", "spline", "geometry", "both")
LABELS = {
    "linear": "linear in time",
    "spline": "cubic spline in time",
    "geometry": "geometry",
    "both": "both",
}
LOOKS = {
    "linear": {"color": MUTED, "ls": (0, (1, 1.2)), "marker": "", "lw": 1.0},
    "spline": {"color": ELEMENT_COLOURS[0], "ls": (0, (4, 1.5)), "marker": "s", "lw": 1.2},
    "geometry": {"color": ELEMENT_COLOURS[1], "ls": (0, (1, 1)), "marker": "^", "lw": 1.2},
    "both": {"color": ALL, "ls": "-", "marker": "o", "lw": 1.6},
}


@dataclasses.dataclass(frozen=True, eq=False)
class Target:
    """A series to forecast: times [n] fs, values [n] eV, features [n, n_features]."""

    name: str
    times: np.ndarray
    values: np.ndarray
    features: np.ndarray


def targets(name):
    """Return gap and |NAC| of a shipped data set where they are known, with the features of the study's default mode.

    |NAC| is |V| times the gap over the mean gap; its features are the mean and the difference of those at t and t + dt.
    """
    data = hc.load(name)
    pair, trajectory = data.hamiltonian.frontier(), data.trajectory
    first = np.flatnonzero(pair.nac_known)
    frames = np.union1d(first, first + 1)
    known = dataclasses.replace(
        trajectory,
        positions=trajectory.positions[frames],
        velocities=trajectory.velocities[frames],
        cell=trajectory.cell if trajectory.cell.ndim == 2 else trajectory.cell[frames],
    )
    G = flatten(hc.SymmetryFunctions.from_trajectory(known).transform(known))
    here, there = G[np.searchsorted(frames, first)], G[np.searchsorted(frames, first + 1)]
    gap = np.diff(pair.energies, axis=1)[:, 0]
    middle = 0.5 * (gap[first] + gap[first + 1])
    coupling = np.abs(pair.nac[first, 0, 1]) * middle / middle.mean()
    step = pair.timestep
    sampled = frames if len(frames) == pair.n_frames else first  # of a pair 4 fs apart one gap is enough
    return [
        Target("gap", sampled * step, gap[sampled], G[np.searchsorted(frames, sampled)]),
        Target("|NAC|", (first + 0.5) * step, coupling, np.c_[0.5 * (here + there), (there - here) / step]),
    ]


def forecasts(target, train, test):
    """Return the forecast of each method on the test frames, and the process."""
    times, values = target.times[train], target.values[train]
    out = {
        "linear": interpolate_in_time(times, values, target.times[test], "linear"),
        "spline": interpolate_in_time(times, values, target.times[test], "cubic", max_gap=np.inf),
        "geometry": LaplacianRidge().fit(target.features[train], values).predict(target.features[test]),
    }
    X = np.c_[target.times, target.features]
    process = clone(TimeGeometryProcess()).fit(X[train], values)
    return out | {"both": process.predict(X[test])}, process


class Errors:
    """Squared errors of several methods on frames, gathered block of time by block of time."""

    def __init__(self, target):
        self.target = target
        span = target.times[-1] - target.times[0]
        self.block = np.minimum(
            (N_BLOCKS * (target.times - target.times[0]) / span).astype(int), N_BLOCKS - 1
        )
        self.squares = {method: np.zeros(N_BLOCKS) for method in METHODS}
        self.spread = np.zeros(N_BLOCKS)

    def add(self, test, found):
        values = self.target.values
        for method in METHODS:
            np.add.at(self.squares[method], self.block[test], (values[test] - found[method]) ** 2)
        np.add.at(self.spread, self.block[test], (values[test] - values.mean()) ** 2)

    def summary(self):
        """Return unexplained variance of each method, its 90 % interval, and that of both over the better of spline and
        geometry (blocks of time resampled whole, the same for all)."""
        draws = np.random.default_rng(0).multinomial(N_BLOCKS, np.full(N_BLOCKS, 1 / N_BLOCKS), size=N_DRAWS)
        values = {m: s.sum() / self.spread.sum() for m, s in self.squares.items()}
        drawn = {m: (draws @ s) / (draws @ self.spread) for m, s in self.squares.items()}
        better = min(("spline", "geometry"), key=values.__getitem__)
        ratio = drawn["both"] / drawn[better]
        return {
            "value": values,
            "interval": {m: np.quantile(d, [0.05, 0.95]) for m, d in drawn.items()},
            "better": better,
            "ratio": (values["both"] / values[better], *np.quantile(ratio, [0.05, 0.95])),
        }


def dense(quick):
    """Return and print the summary of each (target, stride) on the dense trajectory, several offsets pooled."""
    found = {}
    for target in targets("cspbi3"):
        for stride in (24, 100, 400) if quick else STRIDES:
            frames = round(stride / 4.0)
            offsets = np.unique(
                np.linspace(0, frames, min(frames, 2 if quick else 6), endpoint=False).astype(int)
            )
            errors = Errors(target)
            for offset in offsets:
                train = np.arange(offset, len(target.values), frames)
                test = np.setdiff1d(np.arange(train[0], train[-1] + 1), train)
                forecast, process = forecasts(target, train, test)
                errors.add(test, forecast)
            found[target.name, stride] = summary = errors.summary()
            show(f"{target.name} {stride} fs, {len(train)} samples, {len(offsets)} offsets", summary)
            print("    " + ", ".join(f"{k} {v:.2g}" for k, v in process.hyperparameters_.items()), flush=True)
    return found


def sparse(quick):
    """Print the summary of each target on the pairs of the long trajectory: blocks of 5 ps out, and pairs among others."""
    for target in targets("cspbi3-long"):
        n = len(target.values)
        block = Errors(target).block
        n_folds = 5 if quick else 29
        for words, fold in (
            ("whole blocks of 5 ps held out", block // 4 if quick else block),
            (f"every {n_folds}th pair held out", np.arange(n) % n_folds),
        ):
            errors = Errors(target)
            for label in np.unique(fold):
                train, test = np.flatnonzero(fold != label), np.flatnonzero(fold == label)
                errors.add(test, forecasts(target, train, test)[0])
            show(f"{target.name}, {n} pairs of the long trajectory, {words}", errors.summary())


def show(title, summary):
    """Print unexplained variance and R2 of each method with 90 % intervals, and the ratio to the better of two."""
    print(title)
    for method in METHODS:
        value, (low, high) = summary["value"][method], summary["interval"][method]
        print(f"    {method:9s} unexplained {value:9.3g} [{low:.3g}, {high:.3g}]   R2 {1 - value:.6f}")
    ratio, low, high = summary["ratio"]
    print(f"    both / {summary['better']} = {ratio:.3f} [{low:.3f}, {high:.3f}]", flush=True)


def draw(found):
    """Return the figure: unexplained variance against the stride, a panel for each target."""
    names = list(dict.fromkeys(name for name, _ in found))
    figure = Figure(figsize=(WIDE + 0.6, 2.7))
    axes = figure.subplots(1, len(names), sharex=True, sharey=True)
    figure.subplots_adjust(left=0.105, right=0.985, top=0.83, bottom=0.16, wspace=0.08)
    for ax, name in zip(axes, names, strict=True):
        strides = [stride for other, stride in found if other == name]
        for method in METHODS:
            cells = [found[name, stride] for stride in strides]
            ax.plot(
                strides, [c["value"][method] for c in cells], ms=3, mec="white", mew=0.4,
                label=LABELS[method], zorder=3 if method == "both" else 2, **LOOKS[method],
            )  # fmt: skip
            if method == "both":
                low, high = np.array([c["interval"][method] for c in cells]).T
                ax.fill_between(strides, low, high, color=ALL, alpha=0.18, lw=0)
        ax.axhline(1.0, color=MUTED, lw=0.6)
        ax.set(xscale="log", yscale="log", xlabel="Time between samples (fs)")
        ax.xaxis.set_major_locator(FixedLocator([8, 16, 32, 64, 136, 400, 800]))
        ax.xaxis.set_minor_locator(NullLocator())
        ax.set_xticklabels(["8", "16", "32", "64", "136", "400", "800"])
        panel_label(ax, {"gap": "Gap", "|NAC|": "|NAC|"}[name])
    axes[0].set_ylabel("Unexplained variance, 1 - R²")
    axes[0].text(8, 1.12, "the mean", fontsize=6.5, color=MUTED, va="bottom")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="upper center", ncols=4)
    return figure


def main(arguments):
    quick = "--quick" in arguments
    with single_threaded_blas():
        print("unexplained variance, 1 - R2, between samples of the dense trajectory")
        found = dense(quick)
        print("\npairs of the long trajectory")
        sparse(quick)
    if "--figure" in arguments:
        with style():
            save_figure(draw(found), arguments[arguments.index("--figure") + 1])


if __name__ == "__main__":
    main(sys.argv[1:])

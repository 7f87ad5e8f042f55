"""Spline, geometry, and both: where a clock forecasts the shipped CsPbI3, where the geometry does, and whether one process
that knows both is ever worse than the better of the two.

Run as ``python benchmarks/time_and_geometry.py [--quick] [--figure STEM] [PART ...]`` (parts: dense, sparse, outside);
prints the tables of docs/beyond-time.md and draws its figure (STEM.svg, STEM.png).
"""

from __future__ import annotations

import dataclasses
import sys

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

import hopcast as hc
from hopcast.core.chunks import single_threaded_blas
from hopcast.descriptors import flatten
from hopcast.evaluation import extrapolation, interpolate_in_time, training_domain
from hopcast.regression import LaplacianRidge, TimeGeometryProcess
from hopcast.report.style import ALL, ELEMENT_COLOURS, MUTED, WIDE, panel_label, save_figure, style

STRIDES = (8, 12, 16, 24, 32, 48, 64, 80, 100, 136, 200, 400, 800)  # fs
N_BLOCKS = 20  # of the bootstrap: 151 fs of the dense, 5 ps of the long trajectory
N_DRAWS = 2000
METHODS = ("linear", "spline", "clock", "geometry", "both")
RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
DRAWN = ("linear", "spline", "geometry", "both")
LABELS = {"linear": "linear in time", "spline": "cubic spline in time", "geometry": "geometry", "both": "both"}
LOOKS = {
    "linear": {"color": MUTED, "ls": (0, (1, 1.2)), "marker": "", "lw": 1.0},
    "spline": {"color": ELEMENT_COLOURS[0], "ls": (0, (4, 1.5)), "marker": "s", "lw": 1.2},
    "geometry": {"color": ELEMENT_COLOURS[1], "ls": (0, (1, 1.2)), "marker": "^", "lw": 1.2},
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
    """Return the forecast of each method on the test frames, and the process that knows both.

    ``clock`` is that process without the geometry: what is left between the two is what the geometry adds.
    """
    times, values = target.times[train], target.values[train]
    out = {
        "linear": interpolate_in_time(times, values, target.times[test], "linear"),
        "spline": interpolate_in_time(times, values, target.times[test], "cubic", max_gap=np.inf),
        "geometry": LaplacianRidge(workers=1).fit(target.features[train], values).predict(target.features[test]),
    }
    X = np.c_[target.times, target.features]
    clock, process = (TimeGeometryProcess(workers=1).fit(X[train, :k], values) for k in (1, X.shape[1]))
    return out | {"clock": clock.predict(X[test, :1]), "both": process.predict(X[test])}, process


class Errors:
    """Squared errors of several methods on frames, gathered block of time by block of time."""

    def __init__(self, target):
        self.target = target
        span = target.times[-1] - target.times[0]
        self.block = np.minimum((N_BLOCKS * (target.times - target.times[0]) / span).astype(int), N_BLOCKS - 1)
        self.squares = {method: np.zeros(N_BLOCKS) for method in METHODS}
        self.spread = np.zeros(N_BLOCKS)

    def add(self, test, found):
        values = self.target.values
        for method in METHODS:
            np.add.at(self.squares[method], self.block[test], (values[test] - found[method]) ** 2)
        np.add.at(self.spread, self.block[test], (values[test] - values.mean()) ** 2)

    def summary(self):
        """Return unexplained variance of each method, its 90 % interval, and that of both over the better of spline and
        geometry and over the clock (blocks of time resampled whole, the same for all)."""
        draws = np.random.default_rng(0).multinomial(N_BLOCKS, np.full(N_BLOCKS, 1 / N_BLOCKS), size=N_DRAWS)
        values = {m: s.sum() / self.spread.sum() for m, s in self.squares.items()}
        drawn = {m: (draws @ s) / (draws @ self.spread) for m, s in self.squares.items()}
        better = min(("spline", "geometry"), key=values.__getitem__)

        def ratio(other):
            return values["both"] / values[other], *np.quantile(drawn["both"] / drawn[other], [0.05, 0.95])

        return {
            "value": values,
            "interval": {m: np.quantile(d, [0.05, 0.95]) for m, d in drawn.items()},
            "ratios": {better: ratio(better), "clock": ratio("clock")},
        }


def dense(quick):
    """Return and print the summary of each (target, stride) on the dense trajectory, several offsets pooled."""
    found = {}
    for target in targets("cspbi3"):
        for stride in (24, 100, 400) if quick else STRIDES:
            frames = round(stride / 4.0)
            offsets = np.unique(np.linspace(0, frames, min(frames, 2 if quick else 6), endpoint=False).astype(int))
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


def outside():
    """Print which frames lie outside of two training sets, and what the error is on either side."""
    short, long = hc.load("cspbi3"), hc.load("cspbi3-long")
    functions = hc.SymmetryFunctions.from_trajectory(short.trajectory)
    pairs = long.hamiltonian.frontier()
    known = np.flatnonzero(pairs.energy_known)
    G, along = (flatten(functions.transform(t)) for t in (short.trajectory, long.trajectory[::10]))
    sampled = flatten(
        functions.transform(
            dataclasses.replace(
                long.trajectory,
                positions=long.trajectory.positions[known],
                velocities=None,
                cell=long.trajectory.cell if long.trajectory.cell.ndim == 2 else long.trajectory.cell[known],
            )
        )
    )
    gap = np.diff(short.hamiltonian.frontier().energies, axis=1)[:, 0]
    true = np.diff(pairs.energies[known], axis=1)[:, 0]
    for words, X, y, others in (
        ("the dense trajectory, every 24 fs", G[::6], gap[::6],
         {"its frames between": (G[3::6], gap[3::6]), "the long trajectory, every 40 fs": (along, None),
          "the long trajectory where it is known": (sampled, true)}),
        ("145 pairs of the long trajectory", sampled[::2], true[::2],
         {"the long trajectory, every 40 fs": (along, None), "the dense trajectory": (G, gap)}),
    ):  # fmt: skip
        model = LaplacianRidge(workers=1).fit(X, y)
        domain = training_domain(model)
        print(
            f"gap, trained on {words}: limits {domain.distance_limit:.3f} in distance, {domain.std_limit[0]:.3f} in deviation"
        )
        for name, (new, values) in others.items():
            mean, std = model.predict(new, return_std=True)
            found = extrapolation(domain, new, std=std)
            far = found.distance > domain.distance_limit
            print(f"    {name}: {found.verdict} By distance alone {100 * far.mean():.1f} %.")
            if values is not None:
                error = np.abs(values - mean)
                parts = [f"{w} {error[k].mean():.3f} eV" for w, k in (("near", ~far), ("far", far)) if k.any()]
                print(
                    f"        mean absolute error {', '.join(parts)}; the mean would have {np.abs(values - y.mean()).mean():.3f} eV"
                )


def show(title, summary):
    """Print unexplained variance and R2 of each method with 90 % intervals, and the ratio to the better of two."""
    print(title)
    for method in METHODS:
        value, (low, high) = summary["value"][method], summary["interval"][method]
        print(f"    {method:9s} unexplained {value:9.3g} [{low:.3g}, {high:.3g}]   R2 {1 - value:.6f}")
    for other, (ratio, low, high) in summary["ratios"].items():
        print(f"    both / {other} = {ratio:.3f} [{low:.3f}, {high:.3f}]", flush=True)


def draw(found):
    """Return the figure: unexplained variance against the stride, and that of both over the better of spline and geometry."""
    names = list(dict.fromkeys(name for name, _ in found))
    figure = Figure(figsize=(WIDE + 0.6, 3.7))
    axes = figure.subplots(2, len(names), sharex=True, sharey="row", height_ratios=(2.4, 1))
    figure.subplots_adjust(left=0.115, right=0.985, top=0.88, bottom=0.115, wspace=0.08, hspace=0.14)
    for (ax, below), name in zip(axes.T, names, strict=True):
        strides = [stride for other, stride in found if other == name]
        cells = [found[name, stride] for stride in strides]
        for method in DRAWN:
            ax.plot(
                strides,
                [c["value"][method] for c in cells],
                ms=3.2,
                mec="white",
                mew=0.4,
                label=LABELS[method],
                zorder=3 if method == "both" else 2,
                **LOOKS[method],
            )
        low, high = np.array([c["interval"]["both"] for c in cells]).T
        ax.fill_between(strides, low, high, color=ALL, alpha=0.18, lw=0)
        ax.axhline(1.0, color=MUTED, lw=0.6)
        ax.set(xscale="log", yscale="log")
        ax.yaxis.set_major_formatter(
            FuncFormatter(lambda value, _: f"10{str(round(np.log10(value))).translate(RAISED)}")
        )
        ax.yaxis.set_minor_locator(NullLocator())
        panel_label(ax, name if name.startswith("|") else name.capitalize())
        ratios = np.array([next(iter(c["ratios"].values())) for c in cells])
        below.errorbar(
            strides,
            ratios[:, 0],
            np.abs(ratios[:, 1:] - ratios[:, :1]).T,
            color=ALL,
            fmt="o",
            ms=3.2,
            mec="white",
            mew=0.4,
            elinewidth=0.9,
        )
        below.axhline(1.0, color=MUTED, lw=0.6)
        below.set(yscale="log", xlabel="Time between samples (fs)", ylim=(0.55, 1.7))
        below.yaxis.set_major_locator(FixedLocator([0.6, 0.8, 1.0, 1.25, 1.6]))
        below.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        below.xaxis.set_major_locator(FixedLocator([8, 16, 32, 64, 136, 400, 800]))
        below.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        for axis in (below.xaxis, below.yaxis):
            axis.set_minor_locator(NullLocator())
    axes[0, 0].set_ylabel("Unexplained variance, 1 − R²")
    axes[1, 0].set_ylabel("Both / the better")
    axes[0, 0].text(8, 1.25, "the mean", fontsize=6.5, color=MUTED, va="bottom")
    figure.align_ylabels(axes[:, 0])
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="upper center", ncols=4)
    return figure


def main(arguments):
    quick = "--quick" in arguments
    stem = arguments[arguments.index("--figure") + 1] if "--figure" in arguments else None
    parts = [word for word in arguments if not word.startswith("-") and word != stem] or ["dense", "sparse", "outside"]
    with single_threaded_blas():
        if "dense" in parts:
            print("unexplained variance, 1 - R2, between samples of the dense trajectory")
            found = dense(quick)
            if stem is not None:
                with style():
                    save_figure(draw(found), stem)
        if "sparse" in parts:
            print("\npairs of the long trajectory")
            sparse(quick)
        if "outside" in parts:
            print("\nframes outside of a training set")
            outside()


if __name__ == "__main__":
    main(sys.argv[1:])

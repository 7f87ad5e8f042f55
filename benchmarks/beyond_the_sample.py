"""Only geometry: what 145 pairs of frames, 400 fs and more apart, say of the gap, the coupling and the rate of CsPbI3.

    python benchmarks/beyond_the_sample.py [--figures FOLDER] [--subsets N] [--workers N]

Prints the tables of docs/beyond.md.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from common import machine, table
from scipy.optimize import nnls
from scipy.stats import t as t_distribution
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.feature_selection import SelectKBest, f_regression
from sklearn.linear_model import LinearRegression, RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import hopcast as hc
from hopcast.core.units import FS_PER_NS
from hopcast.descriptors import (
    RadialFunctions,
    StructuralNumbers,
    SymmetryFunctions,
    flatten,
    midpoint_functions,
    pool_elements,
    take_frames,
)
from hopcast.dynamics.rates import second_order_rate
from hopcast.evaluation import Candidate, NestedSelection, nested_selection, score, time_blocks
from hopcast.evaluation.shifts import fit_learner
from hopcast.regression import CouplingRidge, ExchangeableRidge, LaplacianRidge
from hopcast.report.style import ALL, ELEMENT_COLOURS, INK, MUTED, SINGLE, style

BLOCK = 5000.0  # fs
PARTS = ("gap", "coupling", "curves", "rates")
SPACING = 10  # frames between those that a forecast is averaged over
SIZES = (25, 50, 100)
LEARNT = (
    "angular, fixed order, laplacian",
    "radial, element means, trees",
    "structure, tightest bond, line",
    "structure, all bonds, line",
    "radial, fixed order, magnitude",
)


@dataclass(frozen=True, eq=False)
class Features:
    """Representations of some mid-points; every array [n, ...]."""

    angular: np.ndarray  # functions and rates of every atom
    radial: np.ndarray
    structure: np.ndarray
    tight: np.ndarray
    cartesian: np.ndarray  # displacements from the mean, then velocities, of every atom

    @property
    def values(self) -> dict[str, np.ndarray]:
        return {"angular": _half(self.angular, 0), "radial": _half(self.radial, 0)}


def _half(both: np.ndarray, which: int) -> np.ndarray:
    n = both.shape[2] // 2
    return both[:, :, which * n : (which + 1) * n]


@dataclass(frozen=True, eq=False)
class Samples:
    """The pairs of a sparse Hamiltonian, at their mid-points."""

    trajectory: hc.Trajectory
    steps: np.ndarray
    times: np.ndarray
    blocks: np.ndarray
    gap: np.ndarray  # eV
    coupling: np.ndarray  # hbar d, eV, arbitrary signs
    features: Callable[[np.ndarray], Features]
    numbers: Callable[[np.ndarray], np.ndarray]

    @property
    def numerator(self) -> np.ndarray:
        """|V| = |hbar d| times the gap, eV^2: free of the gap's denominator."""
        return np.abs(self.coupling) * self.gap


def load() -> Samples:
    data = hc.load("cspbi3-long")
    edge, trajectory = data.hamiltonian.frontier(), data.trajectory
    steps = np.flatnonzero(edge.nac_known)
    gap = 0.5 * (edge.gap()[steps] + edge.gap()[steps + 1])
    angular = SymmetryFunctions.from_trajectory(trajectory[::100])
    radial = RadialFunctions.from_trajectory(trajectory)
    structure = StructuralNumbers.from_trajectory(trajectory)
    tight = StructuralNumbers.from_trajectory(trajectory, tightest=True)

    moved = trajectory.positions - trajectory.positions.mean(axis=0)
    moved = np.concatenate([moved, trajectory.velocities], axis=2)  # type: ignore[list-item]
    moved = moved - moved.mean(axis=1, keepdims=True)
    cartesian = 0.5 * (moved[:-1] + moved[1:])

    def numbers(at: np.ndarray, which: StructuralNumbers = tight) -> np.ndarray:
        both = which.transform(take_frames(trajectory, np.stack([at, at + 1], axis=1).ravel()))
        return 0.5 * (both[0::2] + both[1::2])

    def features(at: np.ndarray) -> Features:
        return Features(
            midpoint_functions(angular, trajectory, at),
            midpoint_functions(radial, trajectory, at),
            numbers(at, structure),
            numbers(at),
            cartesian[at],
        )

    times = steps * trajectory.timestep
    return Samples(
        trajectory, steps, times, time_blocks(times, BLOCK), gap, edge.nac[steps, 0, 1].real, features, numbers
    )


def line() -> Any:
    return make_pipeline(StandardScaler(), RidgeCV(np.logspace(-2, 4, 13)))


def trees() -> Any:
    return ExtraTreesRegressor(50, min_samples_leaf=3, max_features=0.3, random_state=0)


def one_best() -> Any:
    return make_pipeline(SelectKBest(f_regression, k=1), LinearRegression())


def gap_candidates(found: Features, symbols: tuple[str, ...]) -> list[Candidate]:
    several = []
    for name, G in found.values.items():
        fixed = flatten(G)
        for kernel in ("laplacian", "matern32"):
            several.append(Candidate(f"{name}, fixed order, {kernel}", fixed, LaplacianRidge(kernel=kernel)))
        for kernel in ("laplacian", "matern32", "gaussian") if name == "radial" else ("matern32",):
            several.append(
                Candidate(f"{name}, exchangeable, {kernel}", fixed, ExchangeableRidge(symbols, kernel=kernel))
            )
        pooled = pool_elements(G, symbols, spread=True)
        several += [
            Candidate(f"{name}, element means, matern32", pooled, LaplacianRidge(kernel="matern32")),
            Candidate(f"{name}, element means, line", pooled, line()),
            Candidate(f"{name}, element means, trees", pooled, trees()),
        ]
    for element in dict.fromkeys(symbols):
        own = [i for i, symbol in enumerate(symbols) if symbol == element]
        for name, G in found.values.items():
            several.append(
                Candidate(
                    f"{name}, {element} alone, exchangeable, matern32",
                    flatten(np.ascontiguousarray(G[:, own])),
                    ExchangeableRidge((element,) * len(own), kernel="matern32"),
                )
            )
    for name, numbers in (("tightest bond", found.tight), ("all bonds", found.structure)):
        several += [
            Candidate(f"structure, {name}, line", numbers, line()),
            Candidate(f"structure, {name}, matern32", numbers, LaplacianRidge(kernel="matern32")),
            Candidate(f"structure, {name}, trees", numbers, trees()),
        ]
    displaced = flatten(_half(found.cartesian, 0))
    several += [
        Candidate("displacements, fixed order, line", displaced, line()),
        Candidate("displacements, fixed order, gaussian", displaced, LaplacianRidge(kernel="gaussian")),
    ]
    means = np.concatenate([pool_elements(G, symbols) for G in found.values.values()], axis=1)
    several.append(Candidate("one best element mean", means, one_best()))
    several.append(Candidate("one best structural number", found.structure, one_best()))
    return several


def coupling_candidates(found: Features, symbols: tuple[str, ...]) -> list[Candidate]:
    """Candidates for |V|; all know the velocities, and none the signs."""
    several = []
    for name, both in (("angular", found.angular), ("radial", found.radial), ("displacements", found.cartesian)):
        flat, n = flatten(both), both.shape[2]
        odd = np.arange(n // 2, n)
        all_odd = (np.arange(len(symbols))[:, None] * n + odd).ravel()
        for loss in ("magnitude", "square", "signs"):
            learner = CouplingRidge(loss=loss, kernel="matern32", odd_columns=all_odd)
            several.append(Candidate(f"{name}, fixed order, {loss}", flat, learner))
        positions = flatten(_half(both, 0))
        several.append(
            Candidate(f"{name}, fixed order, without velocities", positions, LaplacianRidge(kernel="matern32"))
        )
        if name == "displacements":
            continue  # they mean nothing without the order
        learner = CouplingRidge(symbols, kernel="matern32", odd_columns=odd)
        several.append(Candidate(f"{name}, exchangeable, magnitude", flat, learner))
        several.append(Candidate(f"{name}, element means, trees", pool_elements(both, symbols, spread=True), trees()))
    several += [
        Candidate("structure, all bonds, line", found.structure, line()),
        Candidate("structure, all bonds, trees", found.structure, trees()),
        Candidate("one best structural number", found.structure, one_best()),
    ]
    return several


def controlled(
    found: NestedSelection, candidates: list[Candidate], samples: Samples, y: np.ndarray, workers: int
) -> str:
    """The best row and the one to use once more, with twenty circular shifts."""
    # A fit of both signs takes seconds, twenty-one times as many take minutes.
    cheap = [row for row in found.rows if not row.name.endswith("signs")]
    best = max(cheap, key=lambda row: row.score.r2).name
    chosen = [one for one in candidates if one.name in (best, found.final) and not one.name.endswith("signs")]
    again = nested_selection(chosen, y, samples.times, samples.blocks, inner_folds=3, workers=workers)
    return str(again)


def learning_curve(
    candidate: Candidate, y: np.ndarray, blocks: np.ndarray, sizes: list[int], repeats: int
) -> np.ndarray:
    """R2 on held-out blocks, [n_repeats, n_sizes]: ten folds of blocks, n random pairs of the others train."""
    out = np.empty((repeats, len(sizes)))
    for repeat in range(repeats):
        random = np.random.default_rng(repeat)
        fold_of = random.permutation(blocks.max() + 1) % 10
        forecasts = np.empty((len(sizes), len(y)))
        for fold in range(10):
            test = fold_of[blocks] == fold
            pool = random.permutation(np.flatnonzero(~test))
            for place, size in enumerate(sizes):
                train = np.sort(pool[:size])
                fitted = fit_learner(candidate.learner, candidate.features[train], y[train], blocks[train])
                forecasts[place, test] = fitted.predict(candidate.features[test])
        out[repeat] = [score(y, forecast).r2 for forecast in forecasts]
    return out


def extrapolated(sizes: list[int], r2: np.ndarray) -> tuple[float, float]:
    """1 - R2 = a + b / n with a, b >= 0, by least squares over all repeats."""
    design = np.stack([np.ones(len(sizes)), 1.0 / np.array(sizes)], axis=1)
    a, b = nnls(np.tile(design, (len(r2), 1)), 1.0 - r2.ravel())[0]
    return float(a), float(b)


def pairs_for(a: float, b: float, r2: float) -> str:
    return f"{b / (1.0 - r2 - a):.0f}" if 1.0 - r2 > a else "never"


def curves(name: str, candidates: list[Candidate], y: np.ndarray, samples: Samples, repeats: int) -> dict[str, Any]:
    sizes = [25, 50, 75, 100, 125]
    rows, found = [], {}
    for candidate in candidates:
        r2 = learning_curve(candidate, y, samples.blocks, sizes, repeats)
        a, b = extrapolated(sizes, r2)
        found[candidate.name] = (sizes, r2, a, b)
        rows.append(
            [
                candidate.name,
                *(f"{m:.2f} ± {s:.2f}" for m, s in zip(r2.mean(axis=0), r2.std(axis=0), strict=True)),
                f"{1 - a:.2f}",
                pairs_for(a, b, 0.3),
                pairs_for(a, b, 0.5),
            ]
        )
    header = ["R2 at pairs", *map(str, sizes), "limit", "R2 0.3 at", "R2 0.5 at"]
    print(table(f"\nLearning curves, {name}, {repeats} repeats", header, rows), flush=True)
    return found


@dataclass(frozen=True, eq=False)
class Forecast:
    """Mean-square coupling (meV^2) and rate (1/ns) of sampled pairs, cross-fitted, and of all frames, one row a fold."""

    sampled: np.ndarray  # [2, n]
    everywhere: np.ndarray  # [2, n_folds, N]


def local(gap: np.ndarray, mean_square: np.ndarray, tau: float, spread: float = 0.0) -> np.ndarray:
    """(hbar d)^2 in meV^2 and the second-order rate in 1/ns, for a gap known up to `spread`."""
    # <1/E^p> of a normal gap to second order.
    square = mean_square / gap**2 * (1.0 + 3.0 * (spread / gap) ** 2)
    rate = second_order_rate(gap, np.sqrt(mean_square) / gap, tau) * (1.0 + 10.0 * (spread / gap) ** 2)
    return np.stack([1e6 * square, FS_PER_NS * rate])


def forecast_rates(train: np.ndarray, samples: Samples, near: np.ndarray, far: np.ndarray, tau: float) -> Forecast:
    """Five folds of blocks: gap by a line, V^2 by a line (not below a tenth of its mean), on the tightest bond."""
    gap, square, blocks = samples.gap[train], samples.numerator[train] ** 2, samples.blocks[train]
    names = np.unique(blocks)
    fold_of = dict(zip(names, np.arange(len(names)) % 5, strict=True))
    folds = np.array([fold_of[block] for block in blocks])
    sampled, everywhere = np.empty((2, len(train))), []
    for fold in range(5):
        inside = folds != fold
        gap_line, square_line = (
            line().fit(near[train[inside]], gap[inside]),
            line().fit(near[train[inside]], square[inside]),
        )
        spread = float(np.std(gap[inside] - gap_line.predict(near[train[inside]])))
        floor = 0.1 * float(square[inside].mean())
        low, high = gap[inside].min(), gap[inside].max()

        def of(
            X: np.ndarray,
            gap_line: Any = gap_line,
            square_line: Any = square_line,
            floor: float = floor,
            spread: float = spread,
            low: float = low,
            high: float = high,
        ) -> np.ndarray:
            E = np.clip(gap_line.predict(X), low, high)
            return local(E, np.maximum(square_line.predict(X), floor), tau, spread)

        sampled[:, ~inside] = of(near[train[~inside]])
        everywhere.append(of(far))
    return Forecast(sampled, np.stack(everywhere, axis=1))


def estimates(train: np.ndarray, truth: np.ndarray, forecast: Forecast, blocks: np.ndarray) -> np.ndarray:
    """Value, low, high by plain forecast, plain average and prediction-powered, [2 quantities, 3 methods, 3]."""
    out = np.empty((2, 3, 3))
    for q in range(2):
        y, m = truth[q, train], forecast.sampled[q]
        means = forecast.everywhere[q].mean(axis=1)
        jackknife = np.sqrt((len(means) - 1) / len(means) * np.sum((means - means.mean()) ** 2))
        half = t_distribution.ppf(0.95, len(means) - 1) * jackknife
        out[q, 0] = means.mean(), means.mean() - half, means.mean() + half
        for place, sampled in ((1, np.zeros_like(m)), (2, m)):
            everywhere = np.zeros(1) if place == 1 else forecast.everywhere[q].mean(axis=0)
            found = hc.prediction_powered_mean(y, sampled, everywhere, blocks[train], n_bootstrap=1000)
            out[q, place] = found.value, found.low, found.high
    return out


METHODS = ("plain forecast", "plain average", "prediction-powered")
QUANTITIES = ("<(hbar d)^2>, meV^2", "rate, 1/ns")


def rates(samples: Samples, near: np.ndarray, far: np.ndarray, n_subsets: int) -> dict[int, np.ndarray]:
    tau = hc.dephasing_time(hc.load("cspbi3").hamiltonian.frontier())
    truth = local(samples.gap, samples.numerator**2, float(tau))
    n = truth.shape[1]
    print(
        f"\nRates: dephasing time {float(tau):.2f} fs of the dense trajectory's gap; forecasts averaged over {len(far)} frames"
    )
    # Control variates divide the variance of an average by 1 - rho^2.
    whole = forecast_rates(np.arange(n), samples, near, far, float(tau))
    known_gap = local(samples.gap, np.full(n, np.mean(samples.numerator**2)), float(tau))[1]
    known_coupling = local(np.full(n, samples.gap.mean()), samples.numerator**2, float(tau))[1]
    for name, m in (
        ("cross-fitted forecast", whole.sampled[1]),
        ("true gap, mean V^2", known_gap),
        ("mean gap, true V^2", known_coupling),
    ):
        print(f"rho^2 with the local rate: {np.corrcoef(truth[1], m)[0, 1] ** 2:.3f} ({name})")
    error = truth[1].std(ddof=1) / np.sqrt(n) / truth[1].mean()
    print(
        f"standard error of the plain average rate {100 * error:.0f} %; 5 % would take {n * (error / 0.05) ** 2:.0f} pairs"
    )
    found = {}
    for size in SIZES:
        inside = np.zeros((2, 3))
        errors, widths = np.empty((n_subsets, 2, 3)), np.empty((n_subsets, 2, 3))
        for subset in range(n_subsets):
            order = np.random.default_rng([size, subset]).permutation(n)
            train, rest = np.sort(order[:size]), order[size:]
            got = estimates(train, truth, forecast_rates(train, samples, near, far, float(tau)), samples.blocks)
            for q in range(2):
                reference = truth[q, rest].mean()
                own = t_distribution.ppf(0.95, len(rest) - 1) * truth[q, rest].std(ddof=1) / np.sqrt(len(rest))
                errors[subset, q] = got[q, :, 0] / reference - 1.0
                widths[subset, q] = (got[q, :, 2] - got[q, :, 1]) / reference
                # Both the estimate and the held-out mean are uncertain.
                apart = reference - got[q, :, 0]
                side = np.where(apart > 0, got[q, :, 2] - got[q, :, 0], got[q, :, 0] - got[q, :, 1])
                inside[q] += np.abs(apart) <= np.hypot(side, own)
        rows = [
            [
                QUANTITIES[q],
                METHODS[k],
                f"{100 * errors[:, q, k].mean():+.1f}",
                f"{100 * np.abs(errors[:, q, k]).mean():.1f}",
                f"{100 * np.median(widths[:, q, k]):.0f}",
                f"{100 * inside[q, k] / n_subsets:.0f}",
            ]
            for q in range(2)
            for k in range(3)
        ]
        header = ["quantity", "estimate", "bias %", "mean error %", "width %", "covers %"]
        print(
            table(
                f"\n{size} pairs against the mean of the {n - size} others, {n_subsets} random subsets", header, rows
            ),
            flush=True,
        )
        found[size] = errors
    everything = np.arange(n)
    got = estimates(everything, truth, forecast_rates(everything, samples, near, far, float(tau)), samples.blocks)
    rows = [[QUANTITIES[q], METHODS[k], *(f"{value:.4g}" for value in got[q, k])] for q in range(2) for k in range(3)]
    print(table(f"\nAll {n} pairs, 90 % intervals", ["quantity", "estimate", "value", "low", "high"], rows), flush=True)
    return found


def draw_curves(name: str, grown: dict[str, Any], folder: Path) -> None:
    """R2 against the number of pairs, with the fitted curve."""
    figure, axes = plt.subplots(figsize=(SINGLE, 2.6), layout="constrained")
    fine = np.linspace(20, 600, 300)
    for place, (label, (sizes, r2, a, b)) in enumerate(grown.items()):
        colour = (ALL, *ELEMENT_COLOURS)[place]
        axes.errorbar(
            sizes, r2.mean(axis=0), r2.std(axis=0), fmt="os^Dv"[place], ms=3, color=colour, capsize=2, label=label
        )
        axes.plot(fine, 1 - a - b / fine, color=colour, lw=0.8)
    axes.axhline(0.0, color=MUTED, lw=0.6)
    axes.set(xlabel="pairs that train", ylabel="R² on 5 ps held out", xlim=(0, 600), ylim=(-0.8, 0.6), title=name)
    axes.legend(loc="lower right", fontsize=6)
    save(figure, folder, f"beyond-{'gap' if name.startswith('gap') else 'coupling'}")


def draw_rates(errors: dict[int, np.ndarray], folder: Path) -> None:
    """Errors of the rate over random subsets."""
    figure, axes = plt.subplots(figsize=(SINGLE, 2.6), layout="constrained")
    for place, method in enumerate(METHODS):
        boxes = axes.boxplot(
            [100 * found[:, 1, place] for found in errors.values()],
            positions=np.arange(len(errors)) + 0.25 * (place - 1),
            widths=0.2,
            whis=(5, 95),
            showfliers=False,
            patch_artist=True,
            medianprops={"color": INK},
        )
        for box in boxes["boxes"]:
            box.set_facecolor((ALL, *ELEMENT_COLOURS)[place])
        axes.plot([], [], "s", color=(ALL, *ELEMENT_COLOURS)[place], label=method)
    axes.axhline(0.0, color=MUTED, lw=0.6)
    axes.set(xlabel="pairs sampled", ylabel="error of the rate, %", xlim=(-0.5, len(errors) - 0.5))
    axes.set_xticks(range(len(errors)), [str(size) for size in errors])
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, columnspacing=1.0, handletextpad=0.2)
    save(figure, folder, "beyond-rates")


def save(figure: Any, folder: Path, name: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for kind in ("svg", "png"):
        figure.savefig(folder / f"{name}.{kind}", dpi=200)
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--figures", type=Path)
    parser.add_argument("--parts", nargs="+", default=PARTS, choices=PARTS)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--subsets", type=int, default=100)
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    start = time.perf_counter()
    print(machine())
    samples = load()
    found = samples.features(samples.steps)
    symbols = samples.trajectory.symbols
    print(f"{len(samples.steps)} pairs in {samples.blocks.max() + 1} blocks of {BLOCK / 1000:g} ps")
    targets = (
        ("gap", "gap, eV", samples.gap, gap_candidates(found, symbols)),
        ("coupling", "|V| = |hbar d| gap, eV²", samples.numerator, coupling_candidates(found, symbols)),
    )
    for part, name, y, candidates in targets:
        if part in options.parts:
            result = nested_selection(
                candidates, y, samples.times, samples.blocks, n_shifts=0, inner_folds=3, workers=options.workers
            )
            print(f"\n{name}\n{result}\n\nwith the control\n", flush=True)
            print(controlled(result, candidates, samples, y, options.workers), flush=True)
        if "curves" in options.parts:
            chosen = [one for one in candidates if one.name in LEARNT]
            grown = curves(name, chosen, y, samples, options.repeats)
            if options.figures is not None:
                with style():
                    draw_curves(name, grown, options.figures)
    if "rates" in options.parts:
        far = np.arange(0, samples.trajectory.n_frames - 1, SPACING)
        errors = rates(samples, found.tight, samples.numbers(far), options.subsets)
        if options.figures is not None:
            with style():
                draw_rates(errors, options.figures)
    print(f"\n{time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()

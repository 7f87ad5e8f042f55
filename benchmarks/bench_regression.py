"""Laplacian kernel, fit, prediction and controls, against scikit-learn on the same cores.

Run: python benchmarks/bench_regression.py [--quick]
One thread against one thread, compiled code warm, median of 5. The kernel takes 3 operations (difference, modulus, sum) a
feature and pair of frames. Its floor: difference and sum at the rate at which one core multiplies and adds in a matrix
product, the modulus (a bit mask) beside them for nothing.
"""

from __future__ import annotations

import argparse
import time
import tracemalloc

import numpy as np
from common import machine, median_of, table
from scipy.ndimage import gaussian_filter1d
from sklearn.base import clone
from sklearn.kernel_ridge import KernelRidge
from sklearn.metrics.pairwise import laplacian_kernel
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from hopcast.evaluation import BlockedSplit, Evaluation, InterleavedSplit, evaluate_model
from hopcast.regression import LaplacianRidge, kernel_matrix

N_FEATURES, N_TRAIN = 360, 126
Split = InterleavedSplit | BlockedSplit


def series(n_frames: int, n_features: int = N_FEATURES) -> tuple[np.ndarray, np.ndarray]:
    noise = np.random.default_rng(0).normal(size=(n_frames, n_features + 1))
    smooth = gaussian_filter1d(noise, 12.0, axis=0, mode="wrap")
    return np.ascontiguousarray(smooth[:, 1:]), smooth[:, 0].copy()


def arithmetic_rate() -> float:
    """1e9 operations a second of one core, from a matrix product: half its Gflop/s (its multiply-add counts twice)."""
    A = np.ones((1024, 1024))
    return 1024**3 / median_of(lambda: A @ A).median / 1e9


def refits(model: LaplacianRidge, X: np.ndarray, y: np.ndarray, split: Split, shifts: np.ndarray) -> None:
    """What `evaluate_model` saves: a fit for every shift and fold."""
    folds = list(split.split(X))
    for shift in [0, *shifts]:
        rolled = np.roll(y, shift)
        for train, test in folds:
            clone(model).fit(X[train], rolled[train]).predict(X if len(folds) == 1 else X[test])


def kernels(rate: float) -> str:
    rows = []
    for n in (756, 10_000):
        X, _ = series(n)
        train = np.ascontiguousarray(X[:: n // N_TRAIN][:N_TRAIN])
        ours = median_of(lambda X=X, train=train: kernel_matrix(X, train, gamma=1 / N_FEATURES, workers=1))
        theirs = median_of(lambda X=X, train=train: laplacian_kernel(X, train, gamma=1 / N_FEATURES))
        difference = np.abs(kernel_matrix(X, train, gamma=0.1) - laplacian_kernel(X, train, gamma=0.1)).max()
        flops = 3.0 * n * N_TRAIN * N_FEATURES
        rows.append(
            [
                f"{n} x {N_TRAIN} x {N_FEATURES}",
                str(ours),
                str(theirs),
                f"{theirs.median / ours.median:.2f}",
                f"{flops / ours.median / 1e9:.1f}",
                f"{ours.median / (2 / 3 * flops / rate / 1e9):.2f}",
                f"{difference:.1e}",
            ]
        )
    header = [
        "frames x training x features",
        "hopcast",
        "scikit-learn",
        "ratio",
        "Gflop/s",
        "times the floor",
        "max difference",
    ]
    return table("Laplacian kernel matrix, exponentials included", header, rows)


def extra_memory(model: LaplacianRidge, X: np.ndarray) -> float:
    """Largest MB that a prediction with error bars holds at a time."""
    tracemalloc.start()
    model.predict(X, return_std=True)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 1e6


def prediction(sizes: list[int]) -> str:
    rows = []
    for n in sizes:
        X, y = series(n)
        train = np.linspace(0, n - 1, N_TRAIN).astype(int)
        model = LaplacianRidge.paper(workers=1).fit(X[train], y[train])
        scaler = StandardScaler().fit(X[train])
        peer = KernelRidge(kernel="laplacian", alpha=1e-4, gamma=1 / N_FEATURES)
        peer.fit(scaler.transform(X[train]), y[train] - y[train].mean())
        runs = 5 if n <= 10_000 else 3
        ours = median_of(lambda m=model, X=X: m.predict(X), runs)
        with_std = median_of(lambda m=model, X=X: m.predict(X, return_std=True), runs)
        theirs = median_of(lambda p=peer, s=scaler, X=X: p.predict(s.transform(X)), runs)
        rows.append(
            [
                str(n),
                str(ours),
                f"{ours.median / n * 1e6:.2f}",
                f"{with_std.median / n * 1e6:.2f}",
                str(theirs),
                f"{theirs.median / ours.median:.2f}",
                f"{extra_memory(model, X):.0f}",
            ]
        )
    header = ["frames", "hopcast", "us a frame", "us with std", "scikit-learn", "ratio", "MB beside frames"]
    return table(f"Prediction from {N_TRAIN} training frames, {N_FEATURES} features", header, rows)


def fits(sizes: list[int]) -> str:
    rows = []
    for n in sizes:
        X, y = series(n)
        runs = 5 if n < 500 else 3
        paper = median_of(lambda X=X, y=y: LaplacianRidge.paper(workers=1).fit(X, y), runs)
        default = median_of(lambda X=X, y=y: LaplacianRidge(workers=1).fit(X, y), runs)
        peer = KernelRidge(kernel="laplacian", alpha=1e-4, gamma=1 / N_FEATURES)
        theirs = median_of(lambda p=peer, X=X, y=y: p.fit(StandardScaler().fit_transform(X), y - y.mean()), runs)
        rows.append([str(n), str(paper), str(theirs), f"{theirs.median / paper.median:.2f}", str(default)])
    header = ["training frames", "paper mode", "scikit-learn", "ratio", "default (63 pairs tried)"]
    return table("Fit", header, rows)


def controls(n: int) -> str:
    """One evaluation with 20 shifts against a loop that refits for each of them."""
    X, y = series(n)
    rows = []
    splits = {
        "interleaved 24 fs": InterleavedSplit(24.0, 4.0),
        "blocked": BlockedSplit(5, 4.0, 200.0, train_stride_fs=24.0),
    }
    for name, split in splits.items():
        for mode, model in (("paper", LaplacianRidge.paper(workers=1)), ("default", LaplacianRidge(workers=1))):

            def shared(model: LaplacianRidge = model, split: Split = split) -> Evaluation:
                return evaluate_model(model, X, y, split, 4.0, min_shift=120.0, n_shifts=20, workers=1)

            result = shared()
            loop = median_of(lambda m=model, s=split, r=result: refits(m, X, y, s, r.shifts), 3)
            ours = median_of(shared)
            rows.append([name, mode, str(ours), str(loop), f"{loop.median / ours.median:.1f}"])
    return table(f"Score, baselines and 20 shifts, {n} frames", ["split", "mode", "shared", "refits", "ratio"], rows)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="small sizes")
    quick = parser.parse_args().quick
    print(machine(), end="\n\n")
    start = time.perf_counter()
    X, y = series(50)
    LaplacianRidge.paper(workers=1).fit(X, y).predict(X, return_std=True)
    print(f"first call (compilation or its cache): {time.perf_counter() - start:.2f} s\n")
    with threadpool_limits(limits=1):
        print(kernels(arithmetic_rate()), end="\n\n")
        print(prediction([1_000, 10_000] if quick else [1_000, 10_000, 100_000]), end="\n\n")
        print(fits([126] if quick else [126, 252, 756]), end="\n\n")
        print(controls(756))


if __name__ == "__main__":
    main()

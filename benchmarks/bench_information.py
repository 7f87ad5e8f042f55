"""Mutual information against scikit-learn, its growth with the samples, and the cost of all its controls.

    python benchmarks/bench_information.py [--quick]

Floor: equality with scikit-learn fixes the jitter's random stream and the unit variance, and any estimator has to order
each feature. So the floor is what NumPy takes for these three (draw, scale, sort); the rest is the search of the
neighbours and the counts.
"""

from __future__ import annotations

import argparse
import math
import time

import numpy as np
from common import Timing, machine, median_of, table
from sklearn.feature_selection import mutual_info_regression

from hopcast.information import information, mutual_information


def band_limited(n_samples: int, n_series: int, seed: int) -> np.ndarray:
    """Independent smooth series, 0.2-2 THz at 1 fs: what features along a trajectory look like."""
    rng = np.random.default_rng(seed)
    frequency = np.fft.rfftfreq(2 * n_samples, 1e-3)
    inside = (frequency > 0.2) & (frequency < 2.0)
    series = np.empty((n_samples, n_series))
    for column in range(n_series):
        spectrum = np.zeros(len(frequency), complex)
        spectrum[inside] = rng.normal(size=inside.sum()) + 1j * rng.normal(size=inside.sum())
        series[:, column] = np.fft.irfft(spectrum)[:n_samples]
    return series


def floor(X: np.ndarray) -> Timing:
    """Draw the jitter, scale, sort: NumPy, one thread."""
    columns = np.ascontiguousarray(X.T)

    def work() -> None:
        np.random.RandomState(0).standard_normal(size=X.shape)
        (columns / columns.std(axis=1, keepdims=True)).argsort(axis=1)

    return median_of(work)


def against_scikit_learn(n_samples: int, n_features: int, runs: int) -> str:
    rows = []
    for name, series in (
        ("smooth", band_limited(n_samples, n_features + 1, 0)),
        ("noise", np.random.default_rng(0).normal(size=(n_samples, n_features + 1))),
    ):
        X, y = series[:, :-1], series[:, -1]
        difference = np.abs(mutual_information(X, y) - mutual_info_regression(X, y, random_state=0)).max()
        one = median_of(lambda X=X, y=y: mutual_information(X, y, workers=1))
        two = median_of(lambda X=X, y=y: mutual_information(X, y, workers=2))
        peer = median_of(lambda X=X, y=y: mutual_info_regression(X, y, random_state=0), runs)
        bound = floor(X)
        rows.append(
            [
                name,
                str(one),
                str(two),
                str(peer),
                f"{peer.median / one.median:.1f}",
                f"{peer.median / two.median:.1f}",
                f"{difference:.1e}",
                f"{one.median / bound.median:.1f}",
            ]
        )
    return table(
        f"Mutual information, {n_samples} samples x {n_features} features (scikit-learn: one thread, {runs} runs)",
        ["series", "1 thread", "2 threads", "scikit-learn", "ratio 1:1", "ratio 2:1", "difference", "x floor"],
        rows,
    )


def growth(sizes: list[int], n_features: int) -> str:
    rows = []
    for n in sizes:
        series = band_limited(n, n_features + 1, 1)
        noise = np.random.default_rng(1).normal(size=(n, n_features + 1))
        cells = [str(n)]
        for X, y in ((series[:, :-1], series[:, -1]), (noise[:, :-1], noise[:, -1])):
            timing = median_of(lambda X=X, y=y: mutual_information(X, y, workers=1))
            cells += [str(timing), f"{timing.median / (n_features * n * math.log2(n)) * 1e9:.2f}"]
        rows.append(cells)
    return table(
        f"Growth, {n_features} features, one thread; last column of each pair: ns / (feature n log2 n)",
        ["n", "smooth", "", "noise", ""],
        rows,
    )


def windows(n_samples: int, n_features: int) -> str:
    series = band_limited(n_samples, n_features + 1, 2)
    rows = []
    for window in (0, 50, 200, 800):
        timing = median_of(
            lambda w=window: mutual_information(series[:, :-1], series[:, -1], theiler_window=w, workers=1)
        )
        rows.append([str(window), str(timing), f"{timing.median / n_features * 1e3:.2f}"])
    return table(f"Theiler window, {n_samples} x {n_features}, one thread", ["window", "time", "ms/feature"], rows)


def controls(n_samples: int, n_features: int) -> str:
    series = band_limited(n_samples, n_features + 1, 3)
    X, y = series[:, :-1], series[:, -1]
    rows = []
    for name, options in (
        ("as it comes (correlation time from the data)", {}),
        ("shifts every 400 fs, window 400 fs", {"shift_spacing": 400.0, "theiler_window": 400}),
        (
            "20 raw and 100 decimated shifts, no decimation",
            {"shift_spacing": 1.0, "theiler_window": 400, "decimate": 1},
        ),
    ):
        start = time.perf_counter()
        result = information(X, y, workers=2, **options)
        rows.append([name, f"{time.perf_counter() - start:.1f} s", str(result.decimation), str(result.n_shifts)])
    return table(
        f"information(): raw, windowed, corrected and their nulls, {n_samples} x {n_features}, 2 threads, one run",
        ["case", "time", "one sample in", "shifts"],
        rows,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer features and runs")
    quick = parser.parse_args().quick
    print(machine())
    start = time.perf_counter()
    mutual_information(np.arange(10.0), np.arange(10.0), workers=1)
    print(f"First call (compilation, or loading from the cache): {time.perf_counter() - start:.2f} s\n")
    n_features = 24 if quick else 360
    print(against_scikit_learn(7000, n_features, 3 if quick else 5), "\n", flush=True)
    print(growth([1000, 10_000, 100_000], 8 if quick else 32), "\n", flush=True)
    print(windows(7000, 8 if quick else 32), "\n", flush=True)
    print(controls(7000, n_features))


if __name__ == "__main__":
    main()

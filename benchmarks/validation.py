"""Validation on synthetic trajectories whose answer is known: what every control must say, and how often it errs.

Run as ``python benchmarks/validation.py [--quick] [PART ...]``; prints the tables of docs/validation.md. The tests run
the same functions on smaller numbers (tests/evaluation/test_validation.py).
"""

from __future__ import annotations

import sys
import time

import numpy as np

from hopcast.dynamics.rates import bootstrap_rate, second_order_rate
from hopcast.evaluation import (
    BlockedSplit,
    InterleavedSplit,
    calibrate,
    evaluate_model,
    prediction_powered_mean,
)
from hopcast.information import correlation_time, information
from hopcast.regression import LaplacianRidge

TIMESTEP = 10.0  # fs
BAND = (0.2, 2.0)  # THz


def band_limited(rng, n_frames, n_series=1, timestep=TIMESTEP, band=BAND):
    """Return Gaussian series with a flat spectrum inside a band (THz), unit variance in the ensemble, [n_frames, n_series]."""
    length = 2 * n_frames  # the ends of the period are cut off
    spectrum = rng.normal(size=(length // 2 + 1, n_series)) + 1j * rng.normal(
        size=(length // 2 + 1, n_series)
    )
    frequency = np.fft.rfftfreq(length, timestep) * 1e3
    inside = (frequency >= band[0]) & (frequency <= band[1])
    spectrum[~inside] = 0
    # not each series by its own spread: how far a finite trajectory strays from the ensemble is what intervals are about
    return np.fft.irfft(spectrum, length, axis=0)[:n_frames] * length / (2 * np.sqrt(inside.sum()))


def world(kind, seed, n_frames=6000, n_features=12):
    """Return features and target. ``independent``: they share nothing; ``determining``: the target is a smooth function
    of three features; ``half``: half of its variance is, the other half is independent."""
    rng = np.random.default_rng(seed)
    G = band_limited(rng, n_frames, n_features)
    other = band_limited(rng, n_frames)[:, 0]
    told = G[:, 0] + 0.7 * G[:, 1] + 0.4 * np.tanh(G[:, 2])
    told /= told.std()
    share = {"independent": 0.0, "half": 0.5, "determining": 1.0}[kind]
    return G, np.sqrt(share) * told + np.sqrt(1 - share) * other


def controls(kind, seed=0, n_frames=6000, n_shifts=20, n_features=12):
    """Return what each control says of a world."""
    G, y = world(kind, seed, n_frames, n_features)
    memory = float(correlation_time(y, TIMESTEP))
    dense = evaluate_model(
        LaplacianRidge.paper(),
        G,
        y,
        InterleavedSplit(40.0, TIMESTEP),
        TIMESTEP,
        min_shift=memory,
        n_shifts=n_shifts,
    )
    sparse = evaluate_model(
        LaplacianRidge.paper(),
        G,
        y,
        InterleavedSplit(300.0, TIMESTEP),
        TIMESTEP,
        min_shift=memory,
        n_shifts=n_shifts,
    )
    blocked = evaluate_model(
        LaplacianRidge.paper(), G, y, BlockedSplit(5, TIMESTEP, 2 * memory, train_stride_fs=100.0), TIMESTEP,
        min_shift=memory, n_shifts=n_shifts,
    )  # fmt: skip
    found = information(G[:, :3], y, TIMESTEP, random_state=seed)
    return {
        "kind": kind,
        "interleaved R2, 40 fs": dense.model.r2,
        "verdict, 40 fs": dense.beats_the_calendar,
        "interleaved R2, 300 fs": sparse.model.r2,
        "shifted R2, 300 fs": sparse.shifted_median,
        "verdict, 300 fs": sparse.beats_the_calendar,
        "blocked R2": blocked.model.r2,
        "blocked verdict": blocked.beats_the_calendar,
        "raw MI": float(found.raw.mean()),
        "corrected MI": float(found.corrected.mean()),
        "least p adjusted": float(found.p_adjusted.min()),
        "verdict, information": "information" if found.p_adjusted.min() < 0.05 else "no information",
    }


def false_positives(n_draws, rho=0.0, kind="white", n=500):
    """Return the share of draws of a feature and a target of correlation `rho` whose corrected MI has p <= 0.05."""
    from scipy.signal import lfilter

    hits = 0
    for seed in range(n_draws):
        rng = np.random.default_rng(10_000 + seed)
        noise = rng.normal(size=(n + 100, 2))
        if kind == "AR(1)":
            noise = lfilter([1], [1, -0.8], noise, axis=0)
        x, e = (noise[100:] / noise[100:].std(axis=0)).T
        y = rho * x + np.sqrt(1 - rho**2) * e
        hits += information(x[:, None], y, random_state=seed, workers=1).p[0] <= 0.05
    return hits / n_draws


def coverage(n_trajectories, n_times=60, seed=0):
    """Return the mean coverage of nominal 90 % intervals on held-out blocks, as they are and recalibrated.

    Each trajectory holds `n_times` correlation times; the target is half told by the features.
    """
    raw, better = [], []
    for index in range(n_trajectories):
        rng = np.random.default_rng(seed + index)
        probe = band_limited(np.random.default_rng(1), 4000, timestep=20.0)[:, 0]
        memory = float(correlation_time(probe, 20.0))
        n_frames = int(np.ceil(n_times * memory / 20.0))
        G = band_limited(rng, n_frames, 4, timestep=20.0)
        y = G[:, 0] + 0.5 * np.tanh(G[:, 1]) + 0.8 * band_limited(rng, n_frames, timestep=20.0)[:, 0]
        split = BlockedSplit(5, 20.0, 2 * memory, train_stride_fs=40.0)
        found = calibrate(LaplacianRidge.paper(), G, y, split, 20.0, correlation_time=memory)
        raw.append(found.coverage[8])
        better.append(found.recalibrated[8])
    return np.array(raw), np.array(better)


def lifetimes(n_trajectories, n_times=30, seed=0, motion="band-limited"):
    """Return the share of 95 % intervals of a lifetime that hold the long-run one.

    Gap and coupling are band-limited noise, or Ornstein-Uhlenbeck processes (``motion="OU"``), whose slow wandering is
    the harder case; the trajectories hold `n_times` correlation times of the rate, the long-run rate is a mean over
    thousands of them.
    """
    from scipy.signal import lfilter

    tau, step = 6.0, 10.0

    def noise(rng, n_frames):
        if motion == "band-limited":
            return band_limited(rng, n_frames, timestep=step)[:, 0]
        phi = np.exp(-step / 200.0)
        return lfilter([np.sqrt(1 - phi**2)], [1, -phi], rng.normal(size=n_frames + 200))[200:]

    def rate(rng, n_frames):
        gap = 1.8 + 0.1 * noise(rng, n_frames)
        nac = 1e-3 * (1 + 0.8 * noise(rng, n_frames))
        return second_order_rate(gap, nac, tau)

    long = rate(np.random.default_rng(123456), 200_000)
    memory = float(correlation_time(long[:60_000], step))
    truth = long.mean() * 1e6
    inside = 0
    for index in range(n_trajectories):
        series = rate(np.random.default_rng(seed + index), int(np.ceil(n_times * memory / step)))
        found = bootstrap_rate(series, step, n_draws=1000)
        # a lifetime is the inverse of a rate: its interval holds the truth where the rate's does
        inside += found.low <= truth <= found.high
    return inside / n_trajectories


FORECASTS = ("useless", "half", "biased", "perfect")


def powered(target, n, n_blocks=None, n_draws=1000, seed=0):
    """Return what prediction-powered means of `n` samples do over many draws, for forecasts of known worth.

    Targets are normal, or squares of normals (``"skewed"``: a squared coupling). Forecasts: ``useless`` shares nothing
    with the target, ``half`` tells half of its variance, ``biased`` tells 0.8 of it but is 0.4 of it plus 1, ``perfect``
    is it. Samples are independent, or lie in `n_blocks` of 1000 blocks whose frames share half of their variance.

    Returns
    -------
    dict
        For each forecast: mean error over its standard error, share of 90 % intervals that hold the mean of all
        frames, mean squared error over that of the plain average.
    """
    rng = np.random.default_rng(seed)
    size = 1 if n_blocks is None else -(-n // n_blocks)
    n_all = 5000 if n_blocks is None else 1000 * size
    told = {"useless": 0.0, "half": 0.5, "biased": 0.8, "perfect": 1.0}

    def series():
        own = rng.normal(size=n_all)
        shared = own if n_blocks is None else np.repeat(rng.normal(size=n_all // size), size)
        return own if n_blocks is None else np.sqrt(0.5) * (own + shared)

    errors, plain, covered = {kind: [] for kind in FORECASTS}, [], dict.fromkeys(FORECASTS, 0)
    for draw in range(n_draws):
        a, b = series(), series()
        y = 2.0 + a if target == "normal" else a**2
        if n_blocks is None:
            sampled, labels = rng.choice(n_all, n, replace=False), None
        else:
            chosen = rng.choice(n_all // size, n_blocks, replace=False)
            sampled = (size * chosen + np.arange(size)[:, None]).ravel()[:n]
            labels = np.tile(np.arange(n_blocks), size)[:n]
        for kind, share in told.items():
            # correlation sqrt(share) with the target: of squares it is the square of the normals'
            r = np.sqrt(share) if target == "normal" else share**0.25
            mixed = r * a + np.sqrt(1 - r**2) * b
            m = 2.0 + mixed if target == "normal" else mixed**2
            m = 0.4 * m + 1.0 if kind == "biased" else m
            found = prediction_powered_mean(y[sampled], m[sampled], m, labels, random_state=draw)
            errors[kind].append(found.value - y.mean())
            covered[kind] += found.low <= y.mean() <= found.high
        plain.append(found.plain - y.mean())
    spread = np.mean(np.square(plain))
    return {
        kind: (
            np.mean(e) / np.std(e, ddof=1) * np.sqrt(n_draws),
            covered[kind] / n_draws,
            np.mean(np.square(e)) / spread,
        )
        for kind, e in errors.items()
    }


def reuse(n_frames=1500, n_shifts=20):
    """Return seconds of CPU of an evaluation with one factorisation for all shifts, and of refitting each shift."""
    from sklearn.base import BaseEstimator, RegressorMixin, clone

    class Refitted(RegressorMixin, BaseEstimator):
        """Hides what a LaplacianRidge can share."""

        def fit(self, X, y):
            self.inner_ = LaplacianRidge.paper(workers=1).fit(X, y)
            return self

        def predict(self, X):
            return self.inner_.predict(X)

    G, y = world("half", 0, n_frames, 60)
    split = BlockedSplit(5, TIMESTEP, 400.0)
    times, scores = [], []
    for model in (LaplacianRidge.paper(workers=1), Refitted()):
        evaluate_model(
            clone(model),
            G[:300],
            y[:300],
            BlockedSplit(3, TIMESTEP, 100.0),
            TIMESTEP,
            min_shift=300.0,
            workers=1,
        )
        start = time.process_time()
        found = evaluate_model(
            clone(model), G, y, split, TIMESTEP, min_shift=300.0, n_shifts=n_shifts, workers=1
        )
        times.append(time.process_time() - start)
        scores.append([found.model.r2, *found.shifted])
    np.testing.assert_allclose(scores[0], scores[1], atol=1e-8)
    return times


def main(arguments):
    quick = "--quick" in arguments
    parts = [word for word in arguments if not word.startswith("-")] or [
        "controls",
        "rates",
        "coverage",
        "lifetime",
        "powered",
        "reuse",
    ]
    if "controls" in parts:
        for kind in ("independent", "half", "determining"):
            print(
                "\n".join(
                    f"{key:24s} {value if isinstance(value, str) else f'{value:.4f}'}"
                    for key, value in controls(kind).items()
                )
            )
            print()
    if "rates" in parts:
        n = 200 if quick else 2000
        for kind in ("white", "AR(1)"):
            print(
                f"false positives at 5 %, {kind}, N = 500, {n} draws: {100 * false_positives(n, kind=kind):.2f} %"
            )
        for rho in (0.1, 0.2, 0.3, 0.5):
            print(
                f"power at correlation {rho}: {100 * false_positives(n // 10, rho):.0f} % of {n // 10} draws"
            )
    if "coverage" in parts:
        n = 10 if quick else 60
        raw, better = coverage(n)
        error = better.std(ddof=1) / np.sqrt(n)
        print(
            f"coverage of nominal 90 % over {n} trajectories: {100 * raw.mean():.1f} % as they are, {100 * better.mean():.1f} +- {100 * error:.1f} % recalibrated"
        )
    if "lifetime" in parts:
        n = 50 if quick else 400
        for motion in ("band-limited", "OU"):
            for n_times in (10, 30, 60):
                share = lifetimes(n, n_times, motion=motion)
                print(
                    f"95 % interval of a lifetime holds the long-run one in {100 * share:.0f} % of {n} trajectories "
                    f"of {n_times} correlation times, {motion}"
                )
    if "powered" in parts:
        draws = 200 if quick else 1000
        print(
            f"prediction-powered means over {draws} draws: mean error / its standard error, coverage of 90 %, variance / plain"
        )
        for target in ("normal", "skewed"):
            for n_blocks in (None, 20):
                for n in (25, 50, 100, 145):
                    found = powered(target, n, n_blocks, draws, seed=n)
                    print(
                        f"{target:7s} {f'in {n_blocks} blocks' if n_blocks else 'independent':12s} n = {n:3d}   "
                        + "   ".join(
                            f"{kind} {bias:+.1f} {100 * share:.1f} % {ratio:.3f}"
                            for kind, (bias, share, ratio) in found.items()
                        ),
                        flush=True,
                    )
    if "reuse" in parts:
        shared, naive = reuse(600 if quick else 1500)
        print(
            f"20 shifts, 5 folds: {shared:.2f} s of CPU with shared factors, {naive:.2f} s refitted: ratio {naive / shared:.1f}"
        )


if __name__ == "__main__":
    main(sys.argv[1:])

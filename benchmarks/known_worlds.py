"""Synthetic trajectories whose answer is known, and what every control says of them: measured by many draws.

`validation.py` prints the page that these measurements make; the tests run them on smaller numbers (tests/evaluation/test_validation.py).
"""

from __future__ import annotations

import time
import warnings
from functools import lru_cache

import numpy as np
from scipy.special import gamma

from hopcast.core import VibronicHamiltonian
from hopcast.dynamics import dephasing_function, local_rate, plain_average_rate
from hopcast.dynamics.rates import bootstrap_rate, memory_length, second_order_rate
from hopcast.evaluation import BlockedSplit, InterleavedSplit, calibrate, evaluate_model, prediction_powered_mean
from hopcast.information import adjust, bootstrap_information, correlation_time, information, memory_time, rank_elements
from hopcast.regression import LaplacianRidge

TIMESTEP = 10.0  # fs
BAND = (0.2, 2.0)  # THz


def band_limited(rng, n_frames, n_series=1, timestep=TIMESTEP, band=BAND):
    """Return Gaussian series with a flat spectrum inside a band (THz), unit variance in the ensemble, [n_frames, n_series]."""
    length = 2 * n_frames  # the ends of the period are cut off
    spectrum = rng.normal(size=(length // 2 + 1, n_series)) + 1j * rng.normal(size=(length // 2 + 1, n_series))
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
        LaplacianRidge.paper(), G, y, InterleavedSplit(40.0, TIMESTEP), TIMESTEP, min_shift=memory, n_shifts=n_shifts
    )
    sparse = evaluate_model(
        LaplacianRidge.paper(), G, y, InterleavedSplit(300.0, TIMESTEP), TIMESTEP, min_shift=memory, n_shifts=n_shifts
    )
    blocked = evaluate_model(
        LaplacianRidge.paper(),
        G,
        y,
        BlockedSplit(5, TIMESTEP, 2 * memory, train_stride_fs=100.0),
        TIMESTEP,
        min_shift=memory,
        n_shifts=n_shifts,
    )
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


RATES = {  # of a normal process x: rate, long-run mean, its correlation time over that of x
    "OU": (lambda x: 3.0 + x, 3.0, 1.0),
    "squared OU": (lambda x: x**2, 1.0, 0.5),
    "log-normal": (np.exp, np.exp(0.5), 0.75),
}


def ornstein_uhlenbeck(rng, n_frames, memory, n_series=1):
    """Return series [n_frames, n_series] of unit variance that forget all but 1/e in `memory` frames."""
    from scipy.signal import lfilter

    a = np.exp(-1.0 / memory)
    noise = rng.normal(size=(n_frames + int(10 * memory), n_series))
    return lfilter([np.sqrt(1 - a * a)], [1.0, -a], noise, axis=0)[-n_frames:]


def lifetimes(n_trajectories, n_times=30, seed=0, motion="OU"):
    """Return what 95 % intervals of a lifetime do over trajectories of `n_times` correlation times of the rate.

    Rates: `RATES` of an Ornstein-Uhlenbeck process, or ``motion="band-limited"`` gap and coupling.

    Returns
    -------
    silent, holds, looks
        Of each trajectory: whether it is without the note, whether its interval holds the long-run value, and how many correlation
        times it seems to hold.
    """
    rng = np.random.default_rng(seed)
    found = []
    if motion == "band-limited":
        step = 10.0

        def rate(n):
            gap, nac = band_limited(rng, n, 2).T
            return second_order_rate(1.8 + 0.1 * gap, 1e-3 * (1 + 0.8 * nac), 6.0)

        long = rate(200_000)
        truth, memory = long.mean(), memory_time(long[:60_000], step) / step
    else:
        form, truth, ratio = RATES[motion]
        memory = 20.0

        def rate(n):
            # a rate of OU motion is kept above zero where it strays there once in 700 times
            return np.maximum(form(ornstein_uhlenbeck(rng, int(np.ceil(n * ratio)), 20)[:, 0]), 1e-3)

    for _ in range(n_trajectories):
        # a lifetime is the inverse of a rate: its interval holds the truth where the rate's does
        series = rate(int(np.ceil(n_times * memory)))
        one = bootstrap_rate(series, 1.0, n_draws=300)
        found.append((one.note == "", one.low <= truth * 1e6 <= one.high, series.size / memory_length([series], 1.0)))
    silent, holds, looks = np.array(found).T
    return silent > 0, holds > 0, looks


def gap_with_coupling(rng, n_frames, memory):
    """Return a Hamiltonian of two states, 1 fs apart: a gap of 2 eV with an Ornstein-Uhlenbeck width of 0.1 eV, a constant coupling."""
    gap = 2 + 0.1 * ornstein_uhlenbeck(rng, n_frames, memory)[:, 0]
    nac = np.zeros((n_frames - 1, 2, 2))
    nac[:, 0, 1], nac[:, 1, 0] = 1e-3, -1e-3
    return VibronicHamiltonian(energies=np.stack([0 * gap, gap], axis=1), nac=nac, timestep=1.0)


@lru_cache
def long_dephasing(memory):
    """Return the dephasing time of a long series, fs, and its mean second-order rate, 1/ns."""
    long = gap_with_coupling(np.random.default_rng(1), 100_000, memory)
    tau = dephasing_function(long).gaussian
    many = gap_with_coupling(np.random.default_rng(2), 2_000_000, memory)
    return tau, local_rate(many, tau, "second_order").mean() * 1e6


def own_dephasing(n_trajectories, n_times, memory=60, seed=0):
    """Return what dephasing times found from the trajectory itself are worth, `n_times` correlation times of the gap long.

    Returns
    -------
    ratio, corrected
        Medians of the time over that of a long series, as it is and with the excess it says taken off.
    holds, taken_as_known
        Shares of 95 % intervals of the mean second-order rate that hold the long-run one, with the dephasing time resampled along
        with the blocks, and with it taken as known.
    """
    rng = np.random.default_rng(seed)
    tau, truth = long_dephasing(memory)
    ratios, holds = [], []
    for _ in range(n_trajectories):
        ham = gap_with_coupling(rng, int(np.ceil(n_times * memory)), memory)
        found = dephasing_function(ham)
        ratios.append((found.gaussian / tau, found.gaussian / tau / (1 + found.excess)))
        intervals = (plain_average_rate(ham, n_draws=300), plain_average_rate(ham, found.gaussian, n_draws=300))
        holds.append([one.low <= truth <= one.high for one in intervals])
    return *np.median(ratios, axis=0), *np.mean(holds, axis=0)


def decays(n_draws, seed=0, n_samples=2000):
    """Return which decay is chosen for known truths, and the lifetime over the true one: 2000 decay times, 300 output times
    to three lifetimes of the exponential."""
    from hopcast.dynamics import fit_decays

    output = np.linspace(0.0, 3e4, 301)
    draw = {
        "exponential": (lambda rng: rng.exponential(1e4, n_samples), 1e4),
        "stretched": (lambda rng: 5e3 * rng.exponential(size=n_samples) ** (1 / 0.6), 5e3 / 0.6 * gamma(1 / 0.6)),
        "biexponential": (
            lambda rng: rng.exponential(np.where(rng.random(n_samples) < 0.4, 2e3, 1.2e4)),
            0.4 * 2e3 + 0.6 * 1.2e4,
        ),
    }
    table = {}
    for name, (times, lifetime) in draw.items():
        rng = np.random.default_rng(seed)
        fits = []
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for _ in range(n_draws):
                t = np.sort(times(rng))
                fits.append(fit_decays(output, 1 - np.searchsorted(t, output, side="right") / n_samples))
        ratios = np.array([fit.best.lifetime for fit in fits]) / lifetime
        chosen = {kind: sum(fit.best.name == kind for fit in fits) for kind in draw}
        table[name] = (chosen, np.quantile(ratios, [0, 0.05, 0.5, 0.95, 1]), np.mean([fit.note != "" for fit in fits]))
    return table


def study_information(kind, seed, n_frames=1000, timestep=20.0):
    """Return the records of a small study: three elements of four features each, a gap, and a coupling that moves twice as fast.

    ``informed``: features of Pb and I tell most of the gap, of Pb a little of the coupling. ``independent``: nothing tells anything.
    """
    rng = np.random.default_rng(seed)
    symbols = np.repeat(["Cs", "Pb", "I"], 4)
    G = band_limited(rng, n_frames, 12, timestep)
    gap, nac = (
        band_limited(rng, n_frames, 1, timestep)[:, 0],
        band_limited(rng, n_frames, 1, timestep, (0.4, 4.0))[:, 0],
    )
    if kind == "informed":
        gap = 0.4 * gap + G[:, 4:12].sum(axis=1) / np.sqrt(8)
        nac = nac + 0.3 * G[:, 4]
    entries, memory = [], 0.0
    for target, y in (("gap", gap), ("nac", nac)):
        ranking = rank_elements(G.reshape(n_frames, 12, 1), list(symbols), y, timestep, random_state=seed, workers=1)
        interval = bootstrap_information(G, y, ranking.information, random_state=seed, workers=1)
        memory = max(memory, ranking.information.correlation_time.value)
        for e in ranking.elements:
            at, n = interval.groups.index(e.element), len(e.atoms)
            entries.append(
                {
                    "element": e.element,
                    "target": target,
                    "raw": e.mean_mi,
                    "null_mean": e.mean_null,
                    "corrected": e.mean_corrected,
                    "p": e.p,
                    "corrected_low": interval.low[at] / n,
                    "corrected_high": interval.high[at] / n,
                    "smallest_p": 1 / (1 + ranking.information.n_shifts),
                }
            )
    return entries, memory, n_frames * timestep


def studies(kind, n_studies):
    """Return shares of small studies with a significant raw p, with one after adjustment, and in which each claim survives."""
    from hopcast.results.claims import claims
    from hopcast.results.forecasts import InformationRecord
    from hopcast.results.study import DataRecord, StudyResults
    from hopcast.results.verdicts import information_verdict

    raw, adjusted, survived = 0, 0, {"coupling_below_gap": 0, "ranking": 0}
    for seed in range(n_studies):
        entries, memory, duration = study_information(kind, seed)
        data = DataRecord.model_construct(
            elements=["Cs", "Pb", "I"], duration=max(duration, 30 * memory), correlation_time=memory
        )
        after = adjust([e["p"] for e in entries])
        records = [
            InformationRecord.model_construct(**e, p_adjusted=p, reasons={}, verdict=None)
            for e, p in zip(entries, after, strict=True)
        ]
        records = [one.model_copy(update={"verdict": information_verdict(one, data)}) for one in records]
        raw += min(e["p"] for e in entries) <= 0.05
        adjusted += any(one.label == "significant" for one in records)
        results = StudyResults.model_construct(
            data=data, information=records, models=[], hamiltonians=[], rate_controls=[], checks=[]
        )
        for claim in claims(results):
            if claim.key in survived:
                survived[claim.key] += claim.verdict is not None and claim.verdict.label == "survives"
    return raw / n_studies, adjusted / n_studies, {key: count / n_studies for key, count in survived.items()}


def power(kind, duration, rho, n_draws, spacing=None, tail=None):
    """Return the share of draws whose corrected information has p <= 0.05.

    Parameters
    ----------
    kind
        "band-limited" (0.2 to 2 THz) or "OU" (forgets in 200 fs), 20 fs apart.
    duration
        fs.
    rho
        Correlation of feature and target.
    n_draws
        How many.
    spacing
        Of the shifts, fs.
    tail
        Monotonic function of both, or None.
    """
    hits, n = 0, round(duration / 20.0)
    for seed in range(n_draws):
        rng = np.random.default_rng(seed)
        z = band_limited(rng, n, 2, 20.0) if kind == "band-limited" else ornstein_uhlenbeck(rng, n, 10, 2)
        z = np.stack([z[:, 0], rho * z[:, 0] + np.sqrt(1 - rho**2) * z[:, 1]])
        x, y = z if tail is None else tail(z)
        hits += information(x[:, None], y, 20.0, shift_spacing=spacing, random_state=seed, workers=1).p[0] <= 0.05
    return hits / n_draws


def mixed_speeds(n_draws, duration=12_000.0):
    """Return the shares of false positives of four fast features and of a slow one beside them."""
    fast, slow, n = 0, 0, round(duration / 20.0)
    for seed in range(n_draws):
        rng = np.random.default_rng(seed)
        X = np.concatenate(
            [band_limited(rng, n, 4, 20.0, (1.0, 4.0)), band_limited(rng, n, 1, 20.0, (0.1, 0.6))], axis=1
        )
        y = band_limited(rng, n, 1, 20.0, (0.1, 4.0))[:, 0]
        p = information(X, y, 20.0, random_state=seed, workers=1).p
        fast += np.mean(p[:4] <= 0.05)
        slow += p[4] <= 0.05
    return fast / n_draws, slow / n_draws


def regular(n, memory, tail, n_draws, n_all=4000):
    """Return coverage and median width over ideal of prediction-powered means of regular samples of a series, both targets.

    The forecast tells 0.7 of the variance of the normal process; `memory` frames, `n` samples of `n_all` frames.
    """
    at = ((np.arange(n) + 0.5) * n_all / n).astype(int)
    found = {"trajectory": [], "long-run": []}
    for seed in range(n_draws):
        rng = np.random.default_rng(seed)
        a, b = ornstein_uhlenbeck(rng, n_all, memory, 2).T
        y, m = TAILS[tail][0](a), TAILS[tail][0](np.sqrt(0.7) * a + np.sqrt(0.3) * b)
        for target, mean in (("trajectory", y.mean()), ("long-run", TAILS[tail][1])):
            one = prediction_powered_mean(y[at], m[at], m, frames=at, target=target, n_bootstrap=200)
            found[target].append((one.low <= mean <= one.high, one.high - one.low, one.value - mean))
    return {
        target: (np.mean([f[0] for f in rows]), np.median([f[1] for f in rows]) / (3.29 * np.std([f[2] for f in rows])))
        for target, rows in found.items()
    }


TAILS = {
    "normal": (lambda z: 2.0 + z, 2.0),
    "squared": (lambda z: z**2, 1.0),
    "log-normal 1.5": (lambda z: np.exp(1.5 * z), np.exp(1.125)),
}
FORECASTS = ("useless", "half", "biased", "perfect")


def powered(tail, n, n_draws=1000, seed=0, n_all=2000):
    """Return what prediction-powered means of `n` samples do over many draws, for forecasts of known worth.

    Targets are normal, squares of normals (a squared coupling), or log-normals. Forecasts: ``useless`` shares nothing
    with the target, ``half`` tells 0.7 of the variance of the normal behind it, ``biased`` tells 0.9 but is 0.4 of it plus 1, ``perfect``
    is it. Samples are independent among `n_all` frames.

    Returns
    -------
    dict
        For each forecast: mean error over its standard error, share of 90 % intervals that hold the mean of all
        frames, mean squared error over that of the plain average.
    """
    rng = np.random.default_rng(seed)
    form = TAILS[tail][0]
    told = {"useless": 0.0, "half": 0.7, "biased": 0.9, "perfect": 1.0}
    errors, plain, covered = {kind: [] for kind in FORECASTS}, [], dict.fromkeys(FORECASTS, 0)
    for draw in range(n_draws):
        a, b = rng.normal(size=(2, n_all))
        y, sampled = form(a), rng.choice(n_all, n, replace=False)
        for kind, share in told.items():
            m = form(np.sqrt(share) * a + np.sqrt(1 - share) * b)
            m = 0.4 * m + 1.0 if kind == "biased" else m
            found = prediction_powered_mean(y[sampled], m[sampled], m, n_bootstrap=200, random_state=draw)
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
            clone(model), G[:300], y[:300], BlockedSplit(3, TIMESTEP, 100.0), TIMESTEP, min_shift=300.0, workers=1
        )
        start = time.process_time()
        found = evaluate_model(clone(model), G, y, split, TIMESTEP, min_shift=300.0, n_shifts=n_shifts, workers=1)
        times.append(time.process_time() - start)
        scores.append([found.model.r2, *found.shifted])
    np.testing.assert_allclose(scores[0], scores[1], atol=1e-8)
    return times

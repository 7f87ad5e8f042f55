from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import lfilter
from scipy.stats import t

from hopcast.core import ConfigError, InputError
from hopcast.core.resampling import mean_interval
from hopcast.evaluation import prediction_powered_mean, samples_in_time
from hopcast.evaluation.powered import _beyond_the_samples


def population(seed: int = 0, n: int = 40, n_all: int = 2000) -> tuple[np.ndarray, np.ndarray]:
    """Return skewed truths of all frames and the sampled frames."""
    random = np.random.default_rng(seed)
    return random.gamma(2.0, 1.0, size=n_all), random.choice(n_all, n, replace=False)


@pytest.mark.parametrize("n_blocks", [None, 10])
def test_estimate_is_the_formula(n_blocks: int | None) -> None:
    y, S = population()
    m = np.sqrt(y) + 0.2 * np.random.default_rng(1).normal(size=2000)
    labels = np.arange(40) % (n_blocks or 40)
    result = prediction_powered_mean(y[S], m[S], m, None if n_blocks is None else labels)
    dy, dm = y[S] - y[S].mean(), m[S] - m[S].mean()
    slope = (dy * dm).sum() / (dm**2).sum()
    left = dy - slope * dm
    inside = [labels == label for label in np.unique(labels)]
    n = len(inside)
    hc3 = sum(((dm * left)[b].sum() / (1 - (dm[b] ** 2).sum() / (dm**2).sum() - b.sum() / 40)) ** 2 for b in inside)
    shared = max(1, sum(left[b].sum() ** 2 for b in inside) / (left**2).sum() * n / (n - 1))
    noise = max(hc3, shared * (left**2).sum() / 38 * (dm**2).sum()) / (dm**2).sum() ** 2
    weight = slope * max(0.0, 1 - (1 + (10 / n) ** 3) * noise / slope**2) / (1 + 40 / 2000)
    assert result.weight == pytest.approx(weight, rel=1e-9)
    assert 0.2 < weight / slope < 0.98  # some shrinkage is there to be seen
    assert result.value == pytest.approx(y[S].mean() + weight * (m.mean() - m[S].mean()), rel=1e-12)
    assert result.plain == pytest.approx(y[S].mean())
    assert result.low < result.value < result.high


def test_the_plain_interval_is_that_of_a_mean() -> None:
    random = np.random.default_rng(3)
    y, nothing, everywhere = random.normal(size=12), np.zeros(12), np.zeros(10**7)
    plain = prediction_powered_mean(y, nothing, everywhere)
    half = t.ppf(0.95, 11) * y.std(ddof=1) / np.sqrt(12)
    assert plain.low <= y.mean() - 0.999999 * half
    assert plain.high >= y.mean() + 0.999999 * half
    few = prediction_powered_mean(y[:4], nothing[:4], everywhere)  # too few to resample, and not positive
    half = t.ppf(0.95, 3) * y[:4].std(ddof=1) / 2
    assert (few.low, few.high) == pytest.approx((y[:4].mean() - half, y[:4].mean() + half), rel=1e-5)
    positive = mean_interval(y**2, 0.9, positive=True)
    skew = prediction_powered_mean(y**2, nothing, everywhere)
    assert (skew.low, skew.high) == pytest.approx((positive.low, positive.high), rel=1e-5)
    assert skew.low > 0


def test_samples_that_are_most_of_the_frames_leave_little_to_know() -> None:
    # the mean of n of N values strays from that of all N with the variance of the mean of n, times 1 - n/N
    random = np.random.default_rng(4)
    y, nothing = random.normal(size=30), np.zeros(30)
    far, near, all_of_it = (prediction_powered_mean(y, nothing, np.zeros(n_all)) for n_all in (10**6, 40, 30))
    assert (near.high - near.low) / (far.high - far.low) == pytest.approx(0.5, rel=1e-3)
    assert all_of_it.high - all_of_it.low < 0.01 * (far.high - far.low)
    # for the long run the trajectory's own straying is added, and nothing is gained
    long_run = prediction_powered_mean(y, nothing, np.zeros(40), target="long-run")
    assert long_run.high - long_run.low == pytest.approx(far.high - far.low, rel=0.03)


@pytest.mark.parametrize("n", [2, 3, 5, 11])
def test_few_samples_give_a_forecast_no_weight(n: int) -> None:
    y, S = population(n=n)
    for m in (y, np.random.default_rng(1).normal(size=2000)):
        found = prediction_powered_mean(y[S], m[S], m)
        assert (found.value, found.weight) == (y[S].mean(), 0.0)


@pytest.mark.parametrize(("n", "least", "most"), [(6, 0.82, 0.97), (12, 0.82, 0.97), (40, 0.83, 0.97)])
def test_a_useless_forecast_of_few_samples_costs_nothing_much(n: int, least: float, most: float) -> None:
    # 300 draws of a squared normal and of a log-normal; the standard error of a coverage is 1.8 points
    for kind in ("squared", "log-normal"):
        covered, squares = 0, np.zeros(2)
        for seed in range(300):
            random = np.random.default_rng(seed)
            z, b = random.normal(size=(2, 500))
            y, m = (z**2, b**2) if kind == "squared" else (np.exp(z), np.exp(b))
            found = prediction_powered_mean(y[:n], m[:n], m, n_bootstrap=100)
            covered += found.low <= y.mean() <= found.high
            squares += (found.value - y.mean()) ** 2, (found.plain - y.mean()) ** 2
        assert least <= covered / 300 <= most
        assert squares[0] < 1.1 * squares[1]


@pytest.mark.parametrize("n", [6, 12, 24])
def test_forecasts_of_rare_values_widen_the_interval(n: int) -> None:
    # log-normal targets of width 1.5, whose mean rare values carry; a forecast that tells most of them is extrapolated there.
    # Of 200 draws 180 should hold, with a standard error of 4
    covered = np.zeros(2)
    for seed in range(200):
        z, b = np.random.default_rng(seed).normal(size=(2, 2000))
        y, m = np.exp(1.5 * z), 1 + 0.4 * np.exp(1.5 * (np.sqrt(0.9) * z + np.sqrt(0.1) * b))
        for place, forecast in enumerate((m, np.ones(2000))):
            found = prediction_powered_mean(y[:n], forecast[:n], forecast, n_bootstrap=100)
            covered[place] += found.low <= y.mean() <= found.high
    assert (covered >= 0.83 * 200).all()
    assert (covered <= 0.97 * 200).all()


def test_residuals_scatter_more_where_the_forecast_strays() -> None:
    # residuals that grow with the forecast's deviation, which is twice as wide on all frames
    random = np.random.default_rng(0)
    m = random.normal(size=40_000)
    alike, growing = m + random.normal(size=40_000), m + m * random.normal(size=40_000)
    wide = 2 * m
    assert _beyond_the_samples(alike, m, wide) == pytest.approx(1.0, abs=0.1)
    assert _beyond_the_samples(growing, m, wide) == pytest.approx(4.0, rel=0.1)
    assert _beyond_the_samples(growing, m, 0.5 * m) == 1.0


def ornstein_uhlenbeck(n: int, memory: float, random: np.random.Generator) -> np.ndarray:
    a = np.exp(-1 / memory)
    return lfilter([np.sqrt(1 - a * a)], [1, -a], random.normal(size=n + int(10 * memory)))[-n:]


def test_regular_samples_know_the_trajectory_better_and_the_long_run_worse() -> None:
    widths, covered = [], np.zeros(2)
    at = np.arange(20, 4000, 40)
    for seed in range(60):
        random = np.random.default_rng(seed)
        y, m = 2 + ornstein_uhlenbeck(4000, 100, random), random.normal(size=4000)
        found = [
            prediction_powered_mean(y[at], m[at], m, **options)
            for options in ({}, {"frames": at}, {"frames": at, "target": "long-run"})
        ]
        widths.append([f.high - f.low for f in found])
        covered += found[1].low <= y.mean() <= found[1].high, found[2].low <= 2 <= found[2].high
        assert found[1].value == pytest.approx(found[0].value, abs=0.2)
    independent, trajectory, long_run = np.median(widths, axis=0)
    assert trajectory < 0.7 * independent < 0.7 * long_run
    assert covered.min() >= 50  # of 60; 90 % are 54 with a standard error of 2.3
    assert "long-run mean" in str(found[2])
    # frames in any order
    shuffled = np.random.default_rng(0).permutation(len(at))
    again = prediction_powered_mean(y[at][shuffled], m[at][shuffled], m, frames=at[shuffled])
    assert (again.low, again.high) == pytest.approx((found[1].low, found[1].high))


def test_the_variance_of_regular_samples_is_that_of_the_process() -> None:
    # var(mean of samples - mean of all) of an Ornstein-Uhlenbeck series by brute force
    at, n_all, rho = np.array([3, 14, 20, 37, 49]), 60, 0.5
    a = rho ** (1 / ((49 - 3) / 4))
    for nugget in (0.0, 0.3):
        c = (1 - nugget) * a ** np.abs(np.subtract.outer(np.arange(n_all), np.arange(n_all)))
        np.fill_diagonal(c, 1.0)
        w = np.zeros(n_all)
        w[at] = 1 / 5
        w -= 1 / n_all
        memory = samples_in_time.Memory(rho, nugget)
        assert samples_in_time.sampled_share(memory, at, n_all) == pytest.approx(5 * (w @ c @ w) * memory.shrinkage(5))


def test_perfect_model_gives_the_mean_of_all_frames() -> None:
    y, S = population()
    result = prediction_powered_mean(y[S], y[S], y)
    assert result.weight == pytest.approx(1 / (1 + 40 / 2000))
    assert abs(result.value - y.mean()) < 0.03 * abs(y[S].mean() - y.mean())
    plain = prediction_powered_mean(y[S], np.zeros(40), np.zeros(2000))
    assert (result.high - result.low) < 0.05 * (plain.high - plain.low)


def test_a_biased_or_rescaled_model_is_as_good() -> None:
    y, S = population()
    m = np.sqrt(y)
    honest = prediction_powered_mean(y[S], m[S], m)
    biased = prediction_powered_mean(y[S], 5.0 - 3.0 * m[S], 5.0 - 3.0 * m)
    assert biased.value == pytest.approx(honest.value, rel=1e-10)
    assert biased.low == pytest.approx(honest.low, rel=1e-8)
    assert biased.weight == pytest.approx(-honest.weight / 3, rel=1e-10)


def test_constant_forecast_is_the_plain_average() -> None:
    y, S = population()
    result = prediction_powered_mean(y[S], np.full(40, 0.1), np.full(2000, 0.1))
    assert (result.value, result.weight) == (y[S].mean(), 0.0)


def test_a_useless_forecast_of_few_skewed_samples_costs_under_5_percent() -> None:
    random = np.random.default_rng(5)
    errors = np.empty((1500, 2))
    for row in errors:
        y, m = random.normal(size=(2, 2000)) ** 2
        result = prediction_powered_mean(y[:25], m[:25], m, n_bootstrap=100)
        row[:] = result.value - y.mean(), result.plain - y.mean()
    powered, plain = np.mean(errors**2, axis=0)
    assert powered / plain < 1.05  # 1.09 with the weight of least squares


def test_variance_and_coverage_for_useless_half_right_and_perfect_models() -> None:
    random = np.random.default_rng(1)
    kinds = {"useless": 0.0, "half": 0.7, "good": 0.95}
    n, n_all, draws = 60, 2000, 250
    errors: dict[str, list[float]] = {kind: [] for kind in ("plain", *kinds)}
    covered = dict.fromkeys(kinds, 0)
    weights: dict[str, list[float]] = {kind: [] for kind in kinds}
    for draw in range(draws):
        y = random.normal(2.0, 1.0, size=n_all)
        S = random.choice(n_all, n, replace=False)
        noise = random.normal(size=n_all)
        errors["plain"].append(y[S].mean() - y.mean())
        for kind, rho in kinds.items():
            m = rho * y + np.sqrt(1 - rho**2) * noise + 0.8  # biased by 0.8
            result = prediction_powered_mean(y[S], m[S], m, n_bootstrap=300, random_state=draw)
            errors[kind].append(result.value - y.mean())
            covered[kind] += result.low <= y.mean() <= result.high
            weights[kind].append(result.weight)
    rms = {kind: np.sqrt(np.mean(np.square(values))) for kind, values in errors.items()}
    assert abs(np.mean(weights["useless"])) < 0.05
    assert rms["useless"] < 1.05 * rms["plain"]
    assert rms["half"] / rms["plain"] == pytest.approx(np.sqrt(1 - 0.7**2), abs=0.1)
    assert rms["good"] / rms["plain"] == pytest.approx(np.sqrt(1 - 0.95**2), abs=0.06)
    for kind in kinds:
        assert abs(np.mean(errors[kind])) < 4 * rms[kind] / np.sqrt(draws)
        assert 0.84 <= covered[kind] / draws <= 0.96  # 3 binomial standard errors about 0.9


def test_correlated_samples_need_their_blocks() -> None:
    random = np.random.default_rng(2)
    level, widths = random.normal(size=20), []
    y = np.repeat(level, 10) + 0.01 * random.normal(size=200)
    m = random.normal(size=200)
    for blocks in (None, np.repeat(np.arange(20), 10)):
        result = prediction_powered_mean(y, m, np.r_[m, random.normal(size=2000)], blocks=blocks)
        widths.append(result.high - result.low)
    assert widths[1] > 2.5 * widths[0]
    # Blocks widen the interval as sqrt(10) would, little more.
    assert widths[1] < 4.5 * widths[0]


def test_same_seed_same_bits_and_a_wider_level_a_wider_interval() -> None:
    y, S = population()
    m = np.sqrt(y)
    one, two = (prediction_powered_mean(y[S], m[S], m, random_state=3) for _ in range(2))
    assert one == two
    wide = prediction_powered_mean(y[S], m[S], m, level=0.99, random_state=3)
    assert wide.low < one.low < one.high < wide.high
    assert "40 samples, 40 blocks" in str(one)


def test_bad_arguments_are_named() -> None:
    y = np.arange(4.0)
    with pytest.raises(InputError, match="`m_sampled` must have one forecast for each of 4 samples, but has 3"):
        prediction_powered_mean(y, y[:3], y)
    with pytest.raises(InputError, match="`blocks` must have one label for each of 4"):
        prediction_powered_mean(y, y, y, blocks=[1])
    with pytest.raises(InputError, match="at least two samples and blocks, but hold 4 and 1"):
        prediction_powered_mean(y, y, y, blocks=np.zeros(4))
    with pytest.raises(InputError, match="`m_all` must be finite, but value 1 is not"):
        prediction_powered_mean(y, y, [0.0, np.nan])
    with pytest.raises(InputError, match=r"`y` must be a series .* \(0,\)"):
        prediction_powered_mean([], [], y)
    with pytest.raises(ConfigError, match="`level` must lie between 0 and 1, but is 90"):
        prediction_powered_mean(y, y, y, level=90)
    with pytest.raises(ConfigError, match="`n_bootstrap` must be at least 100"):
        prediction_powered_mean(y, y, y, n_bootstrap=10)
    with pytest.raises(InputError, match="`frames` must lie among the 4 frames"):
        prediction_powered_mean(y, y, y, frames=[0, 1, 2, 4])
    with pytest.raises(InputError, match="`frames` must name each frame once"):
        prediction_powered_mean(y, y, y, frames=[0, 1, 2, 2])
    with pytest.raises(InputError, match="`frames` must have one whole number for each of 4 samples"):
        prediction_powered_mean(y, y, y, frames=[0.5, 1, 2, 3])
    with pytest.raises(ConfigError, match="`blocks` and `frames` must not both be given"):
        prediction_powered_mean(y, y, y, blocks=y, frames=[0, 1, 2, 3])
    with pytest.raises(ConfigError, match="`target` must be one of"):
        prediction_powered_mean(y, y, y, target="mean")

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import t

from hopcast.core import ConfigError, InputError
from hopcast.evaluation import prediction_powered_mean


def population(seed: int = 0, n: int = 40, n_all: int = 2000) -> tuple[np.ndarray, np.ndarray]:
    """Return skewed truths of all frames and the sampled frames."""
    random = np.random.default_rng(seed)
    return random.gamma(2.0, 1.0, size=n_all), random.choice(n_all, n, replace=False)


@pytest.mark.parametrize("n_blocks", [None, 8])
def test_estimate_is_the_formula(n_blocks: int | None) -> None:
    y, S = population()
    m = np.sqrt(y) + np.random.default_rng(1).normal(size=2000)
    labels = np.arange(40) % (n_blocks or 40)
    result = prediction_powered_mean(y[S], m[S], m, None if n_blocks is None else labels)
    dy, dm = y[S] - y[S].mean(), m[S] - m[S].mean()
    slope = (dy * dm).sum() / (dm**2).sum()
    scores = np.array([(dm * (dy - slope * dm))[labels == label].sum() for label in np.unique(labels)])
    n = len(scores)
    noise = n / (n - 1) * (scores**2).sum() / (dm**2).sum() ** 2
    weight = slope * max(0.0, 1 - noise / slope**2) / (1 + 40 / 2000)
    assert result.weight == pytest.approx(weight, rel=1e-9)
    assert 0.05 < weight / slope < 0.98  # some shrinkage is there to be seen
    assert result.value == pytest.approx(y[S].mean() + weight * (m.mean() - m[S].mean()), rel=1e-12)
    assert result.plain == pytest.approx(y[S].mean())
    assert result.low < result.value < result.high


def test_the_interval_is_the_wider_of_students_and_the_bootstraps() -> None:
    random = np.random.default_rng(3)
    y, nothing = random.normal(size=12) ** 2, np.zeros(12)
    plain = prediction_powered_mean(y, nothing, nothing)
    half = t.ppf(0.95, 11) * y.std(ddof=1) / np.sqrt(12)
    assert plain.low <= y.mean() - half + 1e-12
    assert plain.high > y.mean() + 1.2 * half  # skewed: the bootstrap reaches further up
    few = prediction_powered_mean(y[:4], nothing[:4], nothing)  # too few to resample
    half = t.ppf(0.95, 3) * y[:4].std(ddof=1) / 2
    assert (few.low, few.high) == pytest.approx((y[:4].mean() - half, y[:4].mean() + half))


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
    with pytest.raises(
        InputError, match="`m_sampled` must have one forecast for each of 4 samples, but has 3"
    ):
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

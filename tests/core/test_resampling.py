import numpy as np
import pytest
from scipy.stats import norm, t

from hopcast.core.resampling import ENOUGH, cut_into_blocks, mean_interval


def test_few_values_of_any_sign_have_students_interval() -> None:
    x = np.random.default_rng(0).normal(size=7)
    half = t.ppf(0.975, 6) * x.std(ddof=1) / np.sqrt(7)
    found = mean_interval(x)
    assert (found.low, found.high) == pytest.approx((x.mean() - half, x.mean() + half))
    twice = mean_interval(x, widening=2.0)
    assert (twice.low, twice.high) == pytest.approx((x.mean() - 2 * half, x.mean() + 2 * half))
    less = mean_interval(x, freedom=2)
    assert less.high - less.low == pytest.approx(2 * half * t.ppf(0.975, 2) / t.ppf(0.975, 6))


def test_few_positive_values_end_as_their_upper_half_tells() -> None:
    x = np.array([1.0, 2.0, 3.0, 5.0, 9.0])
    v = 2 / 4 * (np.log(5 / 3) ** 2 + np.log(3) ** 2)
    step = t.ppf(0.95, 4) * max(x.std(ddof=1) / np.sqrt(5) / 4, 1.5 * np.sqrt((v + v**2) / 5))
    found = mean_interval(x, 0.9, positive=True)
    assert found.high == pytest.approx(max(4, 3 * np.exp(v / 2)) * np.exp(step))
    assert found.low == pytest.approx(4 * np.exp(-t.ppf(0.95, 4) * x.std(ddof=1) / np.sqrt(5) / 4))
    # small values, which a mean hardly sees, do not move the upper end
    small = mean_interval(np.array([1e-9, 2.0, 3.0, 5.0, 9.0]), 0.9, positive=True)
    assert small.high == pytest.approx(found.high, rel=0.1)


@pytest.mark.parametrize("positive", [False, True])
def test_many_values_are_resampled(positive: bool) -> None:
    # normal values: Student's interval, near enough; skew ones reach further up
    rng = np.random.default_rng(1)
    x = 10 + rng.normal(size=400)
    found = mean_interval(x, positive=positive)
    half = norm.ppf(0.975) / np.sqrt(400)
    assert x.mean() - found.low == pytest.approx(half, rel=0.15)
    assert found.high - x.mean() == pytest.approx(half, rel=0.15)
    skew = rng.normal(size=60) ** 4
    found = mean_interval(skew, positive=positive)
    assert found.high - skew.mean() > 1.2 * t.ppf(0.975, 59) * skew.std(ddof=1) / np.sqrt(60)
    assert (found.low > 0) or not positive
    assert mean_interval(skew, positive=positive) == found  # same seed, same bits


def test_intervals_cover() -> None:
    # 90 % of 400 are 360 with a standard error of 6
    for draw, mean, positive in (
        (lambda rng, n: rng.normal(size=n), 0.0, False),
        (lambda rng, n: 3 + rng.normal(size=n), 3.0, True),
        (lambda rng, n: rng.normal(size=n) ** 2, 1.0, True),
        (lambda rng, n: np.exp(rng.normal(size=n)), np.exp(0.5), True),
    ):
        for n in (6, 12, ENOUGH + 5):
            rng = np.random.default_rng(n)
            found = [mean_interval(draw(rng, n), 0.9, positive=positive, n_draws=200) for _ in range(400)]
            assert 332 <= sum(one.low <= mean <= one.high for one in found) <= 388


def test_degenerate_values() -> None:
    assert mean_interval([2.0, 2.0, 2.0]) == mean_interval([2.0, 2.0], positive=True)
    assert mean_interval([2.0]).high == np.inf
    assert (mean_interval([2.0]).low, mean_interval([2.0], positive=True).low) == (-np.inf, 0.0)


def test_blocks_hold_every_value_once() -> None:
    rows = np.arange(22.0).reshape(2, 11)
    means = cut_into_blocks(rows, 3)
    np.testing.assert_allclose(means, [[1.5, 5, 8.5], [12.5, 16, 19.5]])
    np.testing.assert_allclose(cut_into_blocks(rows[0], 11)[0], rows[0])

import numpy as np
import pytest

from hopcast.core.estimates import PARTS, Estimate, Interval, combine_parts, combined, wilson


def draw_rate(rng: np.random.Generator) -> Estimate:
    """Return a rate with random parts: wide, narrow, one-sided, missing, beyond the value, and some that reach zero."""
    value = float(np.exp(rng.normal(0, 3)))
    parts: dict[str, Interval | None] = {}
    for name in PARTS:
        kind = rng.integers(4)
        below, above = np.abs(rng.normal(0, rng.choice([0.01, 0.5, 5.0]), size=2))
        parts[name] = [
            None,
            Interval(value * np.exp(-below), value * np.exp(above)),
            Interval(value * np.exp(0.1 * below), value * np.exp(above)),  # does not hold the value
            Interval(value * (1 - below), value * (1 + above)),  # symmetric: may reach below zero
        ][kind]
    return combined(value, "1/ns", parts, "", "log")


def test_500_positive_combinations_stay_positive_and_are_inverse() -> None:
    rng = np.random.default_rng(0)
    for _ in range(500):
        rate = draw_rate(rng)
        if rng.random() < 0.5:
            rate = rate.with_relative_part("model", float(abs(rng.normal(0, 2))))
        lifetime = rate.inverse("ns")
        assert 0 <= rate.low <= rate.value <= rate.high
        assert 0 < lifetime.low <= lifetime.value <= lifetime.high
        assert lifetime.low * rate.high == pytest.approx(1.0)
        if rate.low > 0:
            assert lifetime.high * rate.low == pytest.approx(1.0)
        else:
            # only a part that itself reaches zero can do that
            assert any(part is not None and part.low <= 0 for part in rate.parts.values())
            assert lifetime.high == np.inf
        # combined from its inverted parts the lifetime has the same interval
        again = combined(lifetime.value, "ns", lifetime.parts, "", "log")
        np.testing.assert_allclose([again.low, again.high], [lifetime.low, lifetime.high], rtol=1e-9)
        scaled = rate.times(3.0, "")
        np.testing.assert_allclose([scaled.low, scaled.high], [3 * rate.low, 3 * rate.high], rtol=1e-12)


def test_parts_add_in_quadrature_each_side_for_itself() -> None:
    parts = {"finite_trajectory": Interval(7, 14), "model": None, "monte_carlo": Interval(6, 13)}
    whole = combine_parts(10.0, parts)
    assert (whole.low, whole.high) == pytest.approx((5.0, 15.0))
    logs = {name: part and Interval(np.exp(part.low), np.exp(part.high)) for name, part in parts.items()}
    whole = combine_parts(np.exp(10.0), logs, "log")
    assert (np.log(whole.low), np.log(whole.high)) == pytest.approx((5.0, 15.0))


def test_a_lifetime_of_a_wide_model_part_stays_above_zero() -> None:
    lifetime = combined(3.0, "ns", {"finite_trajectory": Interval(2.0, 4.5)}, "", "log")
    wide = lifetime.with_relative_part("model", 2.5)
    assert 0 < wide.low < lifetime.low
    slope = combined(3.0, "1/ns", {"finite_trajectory": Interval(2.0, 4.5)}).with_relative_part("model", 2.5)
    assert slope.low < 0  # a slope may have either sign


def test_a_rate_of_zero_bounds_the_lifetime_from_below() -> None:
    rate = combined(0.0, "1/ns", {"monte_carlo": Interval(0.0, 3e-3), "model": Interval(0.0, 4e-3)}, "", "log")
    assert (rate.low, rate.high) == pytest.approx((0.0, 5e-3))
    lifetime = rate.inverse("ns")
    assert (lifetime.value, lifetime.low, lifetime.high) == pytest.approx((np.inf, 200.0, np.inf))
    assert combined(np.inf, "ns", lifetime.parts, "", "log").low == pytest.approx(200.0)


def test_wilson_interval_of_a_textbook_count() -> None:
    low, high = wilson(np.array([0, 5, 10]), 10)
    np.testing.assert_allclose(low, [0.0, 0.2366, 0.7225], atol=1e-4)
    np.testing.assert_allclose(high, [0.2775, 0.7634, 1.0], atol=1e-4)
    # neither number need be whole
    assert wilson(4.5, 9.0)[0] < wilson(45.0, 90.0)[0] < 0.5
    assert wilson(4.5, 9.0, 0.5)[0] > wilson(4.5, 9.0)[0]

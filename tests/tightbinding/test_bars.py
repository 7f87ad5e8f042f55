"""Error bars: calibrated on errors of known size."""

import numpy as np
import pytest

from hopcast.tightbinding.bars import band_errors, calibrate, calibrate_couplings


@pytest.mark.parametrize("share", [0.0, 0.4, 0.8])
def test_variances_of_known_origin_are_found(share):
    rng = np.random.default_rng(1)
    x = rng.gamma(1.5, size=20000)
    variance = 0.3 * ((1 - share) + share * x / x.mean())
    floor, scale = calibrate(np.sqrt(variance) * rng.normal(size=len(x)), x)
    assert floor == pytest.approx(0.3 * (1 - share), abs=0.03)
    assert scale * x.mean() == pytest.approx(0.3 * share, abs=0.03)


def test_the_mean_variance_is_the_mean_square_error():
    rng = np.random.default_rng(2)
    x, errors = rng.gamma(1.0, size=40), rng.normal(size=40) ** 3
    floor, scale = calibrate(errors, x)
    assert np.mean(floor + scale * x) == pytest.approx(np.mean(errors**2))
    # what is not known does not count, and nothing known says nothing
    assert calibrate(np.append(errors, np.nan), np.append(x, 5.0)) == (floor, scale)
    assert np.isnan(calibrate(np.full(3, np.nan), np.ones(3))[0])
    assert calibrate(np.zeros(4), np.ones(4)) == (0.0, 0.0)


def test_what_a_shrunk_forecast_lost_comes_back_on_average():
    # a forecast that knows one part of a coupling and forecasts the mean of the other, zero
    rng = np.random.default_rng(3)
    known_part, lost_part = rng.normal(size=(2, 4000))
    true, found = np.zeros((2, 4000, 2, 2))
    true[:, 0, 1] = true[:, 1, 0] = 3.0 + known_part + lost_part
    found[:, 0, 1] = found[:, 1, 0] = 3.0 + known_part
    bars = calibrate_couplings(true, found)
    expected = found**2 + bars[0] + bars[1] * found**2
    assert expected[:, 0, 1].mean() == pytest.approx(np.mean(true[:, 0, 1] ** 2), rel=0.02)
    np.testing.assert_array_equal(bars, bars.transpose(0, 2, 1))
    np.testing.assert_array_equal(bars[:, [0, 1], [0, 1]], 0.0)


def test_errors_of_bands_add_up_to_that_of_the_gap():
    rng = np.random.default_rng(4)
    known, error = rng.normal(size=(500, 4)), 0.05 * rng.normal(size=(500, 4))
    zero = rng.normal(size=(500, 1))
    bands = band_errors(known, known + error + zero, 2)
    gap = error[:, 2] - error[:, 1]
    assert bands[1] ** 2 + bands[2] ** 2 == pytest.approx(np.mean(gap**2))
    from_middle = error - 0.5 * (error[:, [1]] + error[:, [2]])
    np.testing.assert_allclose(bands[[0, 3]], np.sqrt(np.mean(from_middle[:, [0, 3]] ** 2, axis=0)))

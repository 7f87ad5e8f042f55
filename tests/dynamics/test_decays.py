"""Which decay a population follows: closed forms, survival curves of known decay times, and what a window cannot show."""

import warnings

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import gamma

from hopcast.core import InputError, QualityWarning
from hopcast.dynamics import fit_decays
from hopcast.dynamics.decays import LONGEST

T = np.linspace(0, 1000, 201)


def survival(times: np.ndarray, output: np.ndarray) -> np.ndarray:
    return (times[None] > output[:, None]).mean(axis=1)


@pytest.mark.parametrize(
    ("name", "curve", "parameters", "lifetime", "beyond"),
    [
        ("exponential", np.exp(-T / 200), (200,), 200, np.exp(-5)),
        ("stretched", np.exp(-((T / 50) ** 0.5)), (50, 0.5), 100, (1 + 20**0.5) * np.exp(-(20**0.5))),
        ("biexponential", 0.3 * np.exp(-T / 20) + 0.7 * np.exp(-T / 250), (20, 250, 0.3), 181, 175 * np.exp(-4) / 181),
    ],
)
def test_a_curve_without_noise_is_judged_by_its_deviation(name, curve, parameters, lifetime, beyond) -> None:
    fits = fit_decays(T, curve)
    assert fits.best.name == name
    assert fits.n_samples is None
    assert fits.best.bic is None
    assert fits.best.deviation < 1e-6
    np.testing.assert_allclose(fits.best.parameters, parameters, rtol=1e-4)
    assert fits.best.lifetime == pytest.approx(lifetime, rel=1e-4)
    assert fits.best.extrapolated == pytest.approx(beyond, rel=1e-3)
    assert fits.note == ""
    assert name in str(fits)


def test_half_a_percent_beside_an_exponential_is_one() -> None:
    fits = fit_decays(T, 0.997 * np.exp(-T / 200) + 0.003 * np.exp(-T / 20))
    assert fits.best.name == "exponential"
    assert 1e-4 < fits.best.deviation < 0.005


def test_an_exponential_of_2000_decay_times_is_called_one() -> None:
    # the window of 3 lifetimes and 300 output times in which AIC over output times found it 3 times in 60
    output = np.linspace(0, 3e4, 301)
    rng = np.random.default_rng(0)
    fits = [fit_decays(output, survival(rng.exponential(1e4, 2000), output)) for _ in range(30)]
    assert sum(fit.best.name == "exponential" for fit in fits) >= 28
    assert {fit.n_samples for fit in fits} == {2000}
    lifetimes = np.array([fit.best.lifetime for fit in fits])
    assert (abs(lifetimes / 1e4 - 1) < 0.1).all()
    # the likelihood of one exponential, censored at the window: events over the time at risk, but for the grid
    p = survival(rng.exponential(1e4, 2000), output)
    tau = next(m for m in fit_decays(output, p).models if m.name == "exponential").lifetime
    assert tau == pytest.approx(np.trapezoid(p, output) / (1 - p[-1]), rel=2e-3)


def test_two_kinds_of_decay_times_are_told_from_one() -> None:
    output, rng = np.linspace(0, 8e4, 601), np.random.default_rng(1)
    for _ in range(5):
        mixed = np.where(rng.random(2000) < 0.4, rng.exponential(2e3, 2000), rng.exponential(1.2e4, 2000))
        fits = fit_decays(output, survival(mixed, output))
        assert fits.best.name == "biexponential"
        assert fits.best.lifetime == pytest.approx(8000, rel=0.1)
        stretched = 5e3 * rng.exponential(size=2000) ** (1 / 0.6)
        fits = fit_decays(output, survival(stretched, output))
        assert fits.best.name == "stretched"
        assert fits.best.lifetime == pytest.approx(5e3 / 0.6 * gamma(1 / 0.6), rel=0.1)


def test_the_part_beyond_the_window_is_the_integral() -> None:
    rng = np.random.default_rng(2)
    output = np.linspace(0, 1e4, 101)
    curves = {
        "exponential": lambda t, tau: np.exp(-t / tau),
        "stretched": lambda t, tau, beta: np.exp(-((t / tau) ** beta)),
        "biexponential": lambda t, first, second, a: a * np.exp(-t / first) + (1 - a) * np.exp(-t / second),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", QualityWarning)
        fits = fit_decays(output, survival(rng.exponential(8e3, 500), output))
    for model in fits.models:
        inside = quad(curves[model.name], 0, 1e4, args=model.parameters, limit=200)[0]
        assert model.extrapolated == pytest.approx(1 - inside / model.lifetime, abs=1e-6)


def test_no_time_beyond_what_the_window_can_show() -> None:
    rng = np.random.default_rng(3)
    for n in (20, 100, 2000):
        p = survival(np.where(rng.random(n) < 0.5, rng.exponential(50, n), 1e9), T)  # half never decays
        with pytest.warns(QualityWarning, match="beyond the window"):
            fits = fit_decays(T, p)
        for model in fits.models:
            if model.name != "exponential":
                assert max(model.parameters[: 2 if model.name == "biexponential" else 1]) <= LONGEST * T[-1] * (
                    1 + 1e-9
                )


def test_a_short_window_says_so() -> None:
    rng = np.random.default_rng(4)
    with pytest.warns(QualityWarning, match=r"% of the lifetime lies beyond the window \(1\d.* % decay in it\)"):
        fits = fit_decays(T, survival(rng.exponential(8000, 2000), T))
    assert fits.best.name == "exponential"
    assert fits.best.lifetime == pytest.approx(8000, rel=0.2)
    above = fit_decays(T, 0.2 + 0.8 * np.exp(-T / 100), equilibrium=0.2)
    assert above.best.lifetime == pytest.approx(100, rel=1e-6)


def test_samples_are_counted_and_given_ones_believed() -> None:
    p = survival(np.random.default_rng(5).exponential(200, 60), T)
    found = fit_decays(T, p)
    assert found.n_samples == 60
    # a population that also rises counts samples, too, but is no survival curve
    rising = p.copy()
    rising[100] = rising[99] + 1 / 60
    fits = fit_decays(T, rising)
    assert fits.n_samples == 60
    assert fits.best.bic is None
    assert fits.best.name == "exponential"  # within Kolmogorov's 1.36 / sqrt(60)
    rounded = fit_decays(T, np.round(np.exp(-T / 200), 12), n_samples=500)
    assert rounded.n_samples == 500
    assert rounded.best.bic is not None


def test_what_is_no_decay_is_refused() -> None:
    with pytest.raises(InputError, match="must decay to have a lifetime"):
        fit_decays(T, np.ones(T.size))
    with pytest.raises(InputError, match="at least six times"):
        fit_decays(T[:3], T[:3])
    with pytest.raises(InputError, match="must be finite at every time"):
        fit_decays(T, np.full(T.size, np.nan))
    with pytest.raises(InputError, match="`n_samples` must be at least 1, but is 0"):
        fit_decays(T, np.exp(-T / 200), n_samples=0)


def test_times_are_shown_in_the_unit_that_suits_them():
    times = np.linspace(0, 5e7, 400)
    shown = str(fit_decays(times, np.exp(-times / 2e7)))
    assert "lifetime 20 ns" in shown
    assert "e+07" not in shown

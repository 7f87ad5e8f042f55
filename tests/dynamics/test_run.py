import dataclasses
import json
import warnings

import numpy as np
import pytest

import hopcast as hc
from hopcast.core import ConfigError, InputError, QualityWarning, VibronicHamiltonian
from hopcast.core.units import FS_PER_NS, HBAR
from hopcast.dynamics import Interval, run_dynamics
from hopcast.dynamics.observables import exponential_rate, line_weights


def test_readings_of_a_known_decay(constant) -> None:
    result = run_dynamics(
        constant(1.5, 0.003, 2.0), "exact", duration=2e7, dephasing_time=6.0, n_times=500, fit_window=(0.0, 1e7)
    )
    k = result.asymptotic_rate
    assert result.lifetime.value == pytest.approx(1 / k, rel=1e-4)
    np.testing.assert_allclose(result.ground_population, 1 - np.exp(-k * result.times / FS_PER_NS), atol=1e-5)
    inside = result.times <= 1e7
    slope, crossing = np.polyfit(result.times[inside] / FS_PER_NS, result.ground_population[inside], 1)
    assert result.gradient.value == pytest.approx(slope, rel=1e-9)
    assert result.intercept.value == pytest.approx(crossing, abs=1e-12)
    assert result.fit_window[1] <= 1e7
    # a Hamiltonian that never moves has no finite-trajectory error, and no sampling
    assert result.lifetime.high - result.lifetime.low < 1e-4 * result.lifetime.value


def test_result_reads_well_and_carries_everything(wavy) -> None:
    result = run_dynamics(wavy(n_frames=3000), "exact", duration=5e4, temperature=None)
    text = str(result)
    for word in ("exact, consistent, exponential", "no detailed balance", "gaussian", "lifetime", "1/ns", "seam"):
        assert word in text
    assert result.populations.shape == (1000, 2)
    assert result.times[0] == 0
    assert result.times[-1] == 5e4
    np.testing.assert_allclose(result.populations.sum(axis=1), 1)
    assert result.tau[0, 1] == result.tau[1, 0] == hc.dephasing_time(wavy(n_frames=3000))
    assert set(result.lifetime.parts) == {"finite_trajectory", "model", "initial_time", "monte_carlo"}
    assert result.lifetime.parts["model"] is None
    assert result.lifetime.parts["finite_trajectory"] is not None
    assert result.populations_low is None
    record = json.loads(json.dumps(result.lifetime.as_dict()))
    assert record["unit"] == "ns"
    assert record["parts"]["model"] is None
    wider = result.lifetime.with_part("model", Interval(0.5 * result.lifetime.value, 2 * result.lifetime.value))
    assert wider.low < result.lifetime.low
    assert wider.high > result.lifetime.high
    with pytest.raises(dataclasses.FrozenInstanceError):
        result.method = "dish"


def test_seam_is_reported(wavy) -> None:
    ham = wavy()
    seam = run_dynamics(ham, "exact", duration=1e4, dephasing_time=5.0).seam
    assert seam is not None
    assert seam.energy_jump == pytest.approx(ham.gap()[0] - ham.gap()[-1])
    assert seam.usual_step == pytest.approx(np.sqrt(np.mean(np.diff(ham.gap()) ** 2)))
    assert not seam.closed
    assert seam.rate_zeroed != seam.rate_kept
    assert seam.rate_zeroed == pytest.approx(seam.rate_kept, rel=0.1)
    assert "jumps by" in str(seam)
    assert run_dynamics(ham, "exact", duration=30.0, dephasing_time=5.0, loop=False).seam is None


def test_sampled_result_has_intervals_that_hold_the_exact_one(wavy) -> None:
    ham, options = wavy(n_frames=500), {"duration": 2e4, "dephasing_time": 5.0, "n_times": 100}
    exact = run_dynamics(ham, "exact", **options)
    result = run_dynamics(ham, n_trajectories=100, random_state=3, **options)
    assert result.populations_low is not None
    assert result.populations_high is not None
    inside = (result.populations_low <= exact.populations) & (exact.populations <= result.populations_high)
    assert inside.mean() > 0.8
    for name in ("rate", "gradient", "intercept", "lifetime"):
        part = getattr(result, name).parts["monte_carlo"]
        assert part is not None
        width = part.high - part.low
        assert abs(getattr(exact, name).value - getattr(result, name).value) < 1.2 * width
        assert part.low < getattr(result, name).value < part.high


def test_little_decay_says_so(wavy) -> None:
    result = run_dynamics(wavy(scale=0.1), "exact", duration=1000.0, dephasing_time=5.0)
    assert result.populations[-1, 0] < 0.1
    assert "decays in the window: quote the rate" in result.lifetime.note
    result = run_dynamics(wavy(scale=1e-3), duration=1000.0, dephasing_time=5.0, n_trajectories=50)
    assert result.lifetime.value == np.inf
    part = result.rate.parts["monte_carlo"]
    assert part is not None
    assert part.high == pytest.approx(3 / (60 * 50 * 1000.0) * FS_PER_NS)  # the rule of three


def test_equilibrium_enters_the_lifetime(constant) -> None:
    # populations relax with k_down + k_up, towards a ground state that stays below 1
    result = run_dynamics(
        constant(0.05, 0.002, 1.0), "exact", duration=1e5, temperature=300.0, dephasing_time=10.0, absorbing=False
    )
    b = np.exp(-0.05 / (8.617333262e-5 * 300))
    assert result.populations[-1, 1] == pytest.approx(b / (1 + b), rel=5e-3)
    assert result.rate.value == pytest.approx(result.asymptotic_rate * (1 + b), rel=5e-3)
    up = run_dynamics(
        constant(0.05, 0.002, 1.0),
        "exact",
        duration=1e5,
        temperature=300.0,
        dephasing_time=10.0,
        absorbing=False,
        initial_state=0,
    )
    assert up.rate.value == pytest.approx(result.rate.value, rel=0.02)


def test_seeds_workers_and_progress(wavy) -> None:
    seen: list[tuple[int, int]] = []
    run_dynamics(
        wavy(),
        duration=100.0,
        n_trajectories=10,
        initial_times=[0, 5, 9],
        dephasing_time=5.0,
        workers=2,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert seen == [(1, 3), (2, 3), (3, 3)]
    one, two = (run_dynamics(wavy(), "exact", duration=3e3, dephasing_time=5.0, workers=n) for n in (1, 2))
    np.testing.assert_array_equal(one.populations, two.populations)
    assert one.lifetime == two.lifetime


def test_default_initial_times(wavy) -> None:
    ham = wavy(n_frames=351)
    assert run_dynamics(ham, "exact", duration=100.0).initial_times.tolist() == list(range(350))
    sampled = run_dynamics(ham, duration=100.0, n_trajectories=1).initial_times
    assert sampled.size == 100
    assert sampled[0] == 0
    assert set(np.diff(sampled)) == {3, 4}
    assert run_dynamics(ham, "exact", duration=300.0, loop=False).initial_times.max() == 50


def test_line_weights_are_least_squares() -> None:
    rng = np.random.default_rng(0)
    times, y = np.sort(rng.uniform(0, 1e7, 30)), rng.normal(size=30)
    window = times < 8e6
    weights = line_weights(times, window)
    np.testing.assert_allclose(y @ weights, np.polyfit(times[window] / FS_PER_NS, y[window], 1), rtol=1e-10)


def test_exponential_fit_is_least_squares() -> None:
    from scipy.optimize import curve_fit

    t = np.linspace(0, 1e6, 200)
    y = np.exp(-t / 3e5) + 0.02 * np.random.default_rng(1).normal(size=200)
    (k,), _ = curve_fit(lambda t, k: np.exp(-k * t), t[1:], y[1:], p0=[1e-6])
    assert exponential_rate(t, y, 1.0, 0.0) == pytest.approx(k, rel=1e-6)
    assert exponential_rate(t, np.ones(200), 1.0, 0.0) == 0
    assert exponential_rate(t, 0.1 + 0.9 * np.exp(-t / 2e5), 1.0, 0.1) == pytest.approx(5e-6, rel=1e-9)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": 0.0}, r"`temperature` must be positive .* but is 0\.0 K"),
        ({"temperature": -5.0}, "`temperature` must be positive"),
        ({"dephasing_time": 0.0}, r"`dephasing_time` must be positive, but is 0\.0 fs"),
        ({"dephasing_time": -1.0}, "`dephasing_time` must be positive"),
        ({"dephasing_time": np.nan}, "`dephasing_time` must be positive, but is nan"),
        ({"dephasing_time": [[1.0, 5.0], [6.0, 1.0]]}, "`dephasing_time` must be symmetric, but has 5 and 6 fs"),
        ({"dephasing_time": [1.0, 2.0]}, r"a matrix \[2, 2\], but has the shape \(2,\)"),
        ({"initial_state": 2}, "`initial_state` must be a whole number between 0 and 1, but is 2"),
        ({"initial_state": np.nan}, "whole number between 0 and 1, but is nan"),
        ({"initial_state": 0.5}, "whole number between 0 and 1, but is 0.5"),
        ({"initial_state": 0}, "must not be 0 while state 0 absorbs"),
        ({"initial_times": [0, 60]}, "`initial_times` must lie between frames 0 and 59, but holds 60"),
        ({"initial_times": [0.5]}, "whole numbers"),
        ({"initial_times": [0.0, np.nan]}, "whole numbers"),
        ({"initial_times": "all"}, "whole numbers"),
        ({"initial_times": []}, "at least one"),
        ({"initial_times": [3, 3]}, "each once"),
        ({"loop": False, "duration": 100.0}, "must not exceed the 60 fs of the trajectory without `loop`"),
        ({"loop": False, "duration": 50.0, "initial_times": [11]}, "between frames 0 and 10 .* but holds 11"),
        ({"duration": 0.0}, "`duration` must be a positive"),
        ({"duration": 0.3}, "`duration` must hold at least one step of the data, 1 fs, but is 0.3 fs"),
        ({"fit_window": (10.0, 10.5)}, "`fit_window` must hold at least two"),
    ],
)
def test_bad_data(wavy, options, message: str) -> None:
    with pytest.raises(InputError, match=message):
        run_dynamics(wavy(), **{"duration": 50.0, "dephasing_time": 5.0, **options})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "fsssh"}, "`method` must be one of .* Did you mean `fssh`"),
        ({"rule": "heifei"}, "`rule` must be one of .* Did you mean `hefei`"),
        ({"waiting": "exponentiel"}, "`waiting` must be one of .* Did you mean `exponential`"),
        ({"tau_convention": "pixaid", "dephasing_time": None}, "Did you mean `pyxaid`"),
        ({"coupling_interpolation": "cubic"}, "`coupling_interpolation` must be one of"),
        ({"method": "exact", "rule": "hefei"}, 'needs `rule="consistent"`, but is asked for `hefei`'),
        ({"method": "exact", "waiting": "deterministic"}, "deterministic clocks remember the past"),
        ({"n_trajectories": 0}, "`n_trajectories` must be at least 1, but is 0"),
        ({"n_trajectories": 2.5}, "`n_trajectories` must be a whole number, but is 2.5"),
        ({"n_times": 1}, "`n_times` must be at least 2"),
        ({"substeps": 0}, "`substeps` must be at least 1"),
        ({"substeps": 2.5}, "`substeps` must be a whole number, but is 2.5"),
    ],
)
def test_bad_choices(wavy, options, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        run_dynamics(wavy(), **{"duration": 50.0, "dephasing_time": 5.0, **options})


def test_bad_hamiltonians(series, wavy) -> None:
    gap = np.ones(20)
    gap[13] = -0.01
    with pytest.raises(InputError, match=r"gap must stay open .* at frame 13"):
        run_dynamics(series(gap, np.zeros(19), 1.0))
    with pytest.raises(InputError, match="at least two states, but the Hamiltonian has one"):
        run_dynamics(VibronicHamiltonian(energies=np.ones((5, 1)), nac=np.zeros((4, 1, 1)), timestep=1.0))
    nac = wavy().nac.copy()
    nac[7] = np.nan
    with pytest.raises(InputError, match=r"1 couplings are unknown .the first at mid-point 7."):
        run_dynamics(VibronicHamiltonian(energies=wavy().energies, nac=nac, timestep=1.0))
    strong = np.full(19, 0.001)
    strong[4] = 2.0
    with pytest.raises(InputError, match="after frame 4"):
        run_dynamics(series(np.ones(20), strong, 1.0), dephasing_time=5.0)


def test_too_few_substeps_warn(wavy) -> None:
    with pytest.warns(QualityWarning, match="rad in a sub-step"):
        run_dynamics(wavy(), "exact", duration=50.0, dephasing_time=5.0, substeps=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = run_dynamics(wavy(), "exact", duration=50.0, dephasing_time=5.0)
    assert result.substeps == int(np.ceil(wavy().gap().max() / HBAR / 0.5))

import numpy as np
import pytest
from scipy.optimize import curve_fit
from scipy.signal import lfilter

from hopcast.core import ConfigError, InputError, VibronicHamiltonian
from hopcast.core.resampling import cut_into_blocks
from hopcast.core.units import HBAR
from hopcast.dynamics import (
    dephasing_function,
    dephasing_matrix,
    dephasing_time,
    local_rate,
    plain_average_rate,
    rate_matrices,
    run_dynamics,
)
from hopcast.dynamics.dephasing import TAU_CAP
from hopcast.dynamics.master import dephasing_in_slowest_mode, slowest_mode
from hopcast.dynamics.pyxaid_dephasing import pyxaid_rate
from hopcast.dynamics.rates import dephasing_in_rate


def test_slow_gap_dephases_as_a_static_one(series) -> None:
    # one slow wave: within its dephasing time the gap stands still
    t = np.arange(20001)
    gap = 1.5 + 0.1 * np.sqrt(2) * np.cos(2 * np.pi * t / 10000)
    ham = series(gap, np.zeros(t.size - 1), 1.0)
    static = HBAR / 0.1
    assert dephasing_time(ham) == pytest.approx(static, rel=2e-4)
    assert dephasing_time(ham, convention="e-folding") == pytest.approx(np.sqrt(2) * static, rel=2e-4)
    # the same limit in PYXAID's procedure, but for its sums, which lag by up to a step of some 14
    assert dephasing_time(ham, convention="pyxaid") == pytest.approx(np.sqrt(2) * static, rel=0.07)
    assert dephasing_time(ham, convention="libra") == pytest.approx(np.sqrt(12 / 5) * static, rel=2e-4)


def test_cosine_gap_has_its_closed_exponent(series) -> None:
    period, amplitude = 250, 0.05
    t = np.arange(400 * period)
    omega = 2 * np.pi / period
    found = dephasing_function(series(1 + amplitude * np.cos(omega * t), np.zeros(t.size - 1), 1.0))
    g = amplitude**2 / (2 * HBAR**2 * omega**2) * (1 - np.cos(omega * found.times))
    early = found.times < 500
    np.testing.assert_allclose(found.exponent[early], g[early], atol=0.01 * g.max())
    assert (found.exponent > -1e-9).all()  # a positive spectrum: D never exceeds 1
    np.testing.assert_allclose(found.function, np.exp(-found.exponent))
    np.testing.assert_allclose(found.correlation[0], amplitude**2 / 2, rtol=1e-9)


@pytest.mark.parametrize(("sigma", "memory"), [(0.1, 5.0), (0.05, 60.0)])
def test_ornstein_uhlenbeck_gap(series, sigma: float, memory: float) -> None:
    rng = np.random.default_rng(4)
    dt, n = 0.5, 400_000
    a = np.exp(-dt / memory)
    noise = rng.normal(size=n) * sigma * np.sqrt(1 - a**2)
    gap = lfilter([1.0], [1.0, -a], noise)
    found = dephasing_function(series(2 + gap, np.zeros(n - 1), dt))
    x = found.times / memory
    g = (sigma * memory / HBAR) ** 2 * (np.exp(-x) + x - 1)
    seen = g < 7
    np.testing.assert_allclose(found.function[seen], np.exp(-g[seen]), atol=0.02)
    # the fit's window ends where D has fallen to 0.001
    fine = np.linspace(0, found.times[np.flatnonzero(g > -np.log(1e-3))[0]], 4001)
    exact = np.exp(-((sigma * memory / HBAR) ** 2) * (np.exp(-fine / memory) + fine / memory - 1))
    (tau,), _ = curve_fit(lambda t, tau: np.exp(-((t / tau) ** 2) / 2), fine, exact, p0=[HBAR / sigma])
    assert found.gaussian == pytest.approx(tau, rel=0.03)
    assert found.e_folding == pytest.approx(np.sqrt(2) * found.gaussian, rel=1e-12)


def test_constant_gap_is_capped_and_says_so(constant) -> None:
    found = dephasing_function(constant(1.0, 0.01, 1.0, n_frames=50))
    assert found.gaussian == found.e_folding == found.pyxaid == found.libra == TAU_CAP
    assert found.limited
    assert "limited to" in str(found)


def test_gap_on_midpoints() -> None:
    rng = np.random.default_rng(1)
    energies = np.stack([np.zeros(300), 1 + 0.1 * rng.normal(size=300)], axis=1)
    nac = np.zeros((300, 2, 2))
    middle = VibronicHamiltonian(energies=energies, nac=nac, timestep=1.0, energy_grid="midpoint")
    frames = VibronicHamiltonian(energies=energies, nac=nac[1:], timestep=1.0)
    assert dephasing_time(middle) == dephasing_time(frames)


def test_bad_input(constant, series) -> None:
    ham = constant(1.0, 0.0, 1.0)
    with pytest.raises(ConfigError, match=r"`convention` must be one of .* Did you mean `gaussian`"):
        dephasing_time(ham, convention="gausian")
    with pytest.raises(InputError, match="two different states"):
        dephasing_time(ham, (1, 1))
    gap = np.ones(20)
    gap[7] = np.nan
    with pytest.raises(InputError, match="1 are unknown"):
        dephasing_time(
            VibronicHamiltonian(energies=np.stack([0 * gap, gap], 1), nac=np.zeros((19, 2, 2)), timestep=1.0)
        )


def plain_pyxaid(x: np.ndarray, dt: float, mode: int) -> float:
    """Decoherence rate, written out as the loops of PYXAID's `decoherence_rates` with ħ in eV fs."""
    x = x - x.mean()
    size = len(x) // 2
    c = [sum(x[n] * x[n + t] for n in range(size)) / size for t in range(size)]
    once, twice, total = [], [], 0.0
    for value in c:
        once.append(total)
        total += value * dt / HBAR
    total = 0.0
    for value in once:
        twice.append(total)
        total += value * dt / HBAR
    points = [((t * dt) ** 2, g) for t, g in enumerate(twice) if g < 2.3]
    t2, g = np.array(points).T
    slope = np.polyfit(t2, g, 1)[0] if mode == 1 else g.sum() / t2.sum()
    return float(np.sqrt(max(slope, 0.0)))


@pytest.mark.parametrize("n_frames", [200, 201])
@pytest.mark.parametrize("mode", [0, 1])
def test_pyxaid_procedure(mode, n_frames) -> None:
    rng = np.random.default_rng(n_frames)
    gap = 1.0 + np.convolve(0.05 * rng.normal(size=n_frames + 9), np.ones(10) / 3, mode="valid")
    found = pyxaid_rate(gap, 1.5, intercept=mode == 1)
    assert found == pytest.approx(plain_pyxaid(gap, 1.5, mode), rel=1e-9)
    ham = VibronicHamiltonian(energies=np.stack([0 * gap, gap], 1), nac=np.zeros((n_frames - 1, 2, 2)), timestep=1.5)
    assert dephasing_time(ham, convention="pyxaid") == pytest.approx(1 / plain_pyxaid(gap, 1.5, 0), rel=1e-9)
    # late points below the limit count too, so the time is longer than that of our fit
    assert dephasing_time(ham, convention="pyxaid") > dephasing_time(ham, convention="e-folding")


def gap_series(n: int, memory: float, seed: int) -> VibronicHamiltonian:
    """Return an Ornstein-Uhlenbeck gap of 2 eV and 0.1 eV width with a constant coupling."""
    a = np.exp(-1 / memory)
    noise = np.random.default_rng(seed).normal(size=n + int(10 * memory))
    gap = 2 + 0.1 * lfilter([np.sqrt(1 - a * a)], [1, -a], noise)[-n:]
    nac = np.zeros((n - 1, 2, 2))
    nac[:, 0, 1], nac[:, 1, 0] = 1e-3, -1e-3
    return VibronicHamiltonian(energies=np.stack([0 * gap, gap], 1), nac=nac, timestep=1.0)


def test_a_short_gap_says_by_how_much_its_dephasing_is_too_long() -> None:
    true = dephasing_time(gap_series(100_000, 60, 0))
    short = [dephasing_function(gap_series(180, 60, seed)) for seed in range(1, 60)]
    ratios = np.array([d.gaussian / true for d in short])
    assert np.median(ratios) > 1.35  # of three correlation times
    # said, though a little too low: what is left after it is a third of it
    assert 0.9 < np.median(ratios / (1 + np.array([d.excess for d in short]))) < 1.25
    assert "too long" in str(max(short, key=lambda d: d.excess))
    long = dephasing_function(gap_series(20_000, 60, 1))
    assert long.excess < 0.02
    assert "too long" not in str(long)
    options = {"method": "exact", "duration": 1e4, "n_times": 10}
    found = run_dynamics(gap_series(180, 60, 1), **options)
    assert found.tau_excess > 0.1
    assert f"likely {100 * found.tau_excess:.0f} % too long" in str(found)
    assert "too long" not in str(run_dynamics(gap_series(180, 60, 1), dephasing_time=6.0, **options))


@pytest.mark.parametrize("memory", [60.0, 6.0])  # slow against the dephasing of 6.6 fs, and not
def test_what_the_dephasing_time_adds_to_a_rate_is_what_it_scatters_by(memory: float) -> None:
    # mean second-order rates with the own dephasing time, over independent runs of 100 correlation times
    n = int(100 * memory)
    logs, said, blind = [], [], []
    for seed in range(60):
        ham = gap_series(n, memory, 100 + seed)
        tau = dephasing_time(ham)
        rates = local_rate(ham, tau, "second_order")
        own = dephasing_in_rate(ham, tau)
        assert abs(own.mean()) < 0.02
        for found, series in ((said, rates / rates.mean() + own), (blind, rates / rates.mean())):
            found.append(cut_into_blocks(series, 20)[0].std(ddof=1) / np.sqrt(20))
        logs.append(np.log(rates.mean()))
    scatter = np.std(logs, ddof=1)
    assert np.sqrt(np.mean(np.square(said))) == pytest.approx(scatter, rel=0.3)
    assert np.sqrt(np.mean(np.square(blind))) < 0.55 * scatter


def test_a_dephasing_time_from_the_run_widens_its_interval() -> None:
    ham = gap_series(3000, 30, 5)
    own = run_dynamics(ham, "exact", duration=1e5)
    given = run_dynamics(ham, "exact", duration=1e5, dephasing_time=dephasing_time(ham))
    assert own.rate.value == given.rate.value
    assert own.rate.high / own.rate.low > 1.05 * given.rate.high / given.rate.low
    assert plain_average_rate(ham).high > plain_average_rate(ham, dephasing_time(ham)).high


def three_levels(n: int, memory: float, seed: int) -> VibronicHamiltonian:
    """Return two close levels above a third, all moving, with constant couplings."""
    a = np.exp(-1 / memory)
    noise = np.random.default_rng(seed).normal(size=(n + int(10 * memory), 3))
    energies = np.array([0.0, 1.2, 1.5]) + 0.05 * lfilter([np.sqrt(1 - a * a)], [1, -a], noise, axis=0)[-n:]
    couplings = np.zeros((3, 3))
    couplings[0, 1], couplings[0, 2], couplings[1, 2] = 1e-3, 2e-3, 3e-3
    return VibronicHamiltonian(energies=energies, nac=np.repeat([couplings - couplings.T], n - 1, axis=0), timestep=1.0)


def test_dephasing_times_of_many_states_add_what_the_rate_scatters_by() -> None:
    logs, said, blind = [], [], []
    for seed in range(60):
        ham = three_levels(4000, 40, seed)
        tau = dephasing_matrix(ham)
        rates = rate_matrices(ham, tau)
        local = slowest_mode(rates)
        own = dephasing_in_slowest_mode(ham, rates, tau)
        assert abs(own.mean()) < 0.02
        for found, series in ((said, local / local.mean() + own), (blind, local / local.mean())):
            found.append(cut_into_blocks(series, 20)[0].std(ddof=1) / np.sqrt(20))
        logs.append(np.log(local.mean()))
    scatter = np.std(logs, ddof=1)
    assert np.sqrt(np.mean(np.square(said))) == pytest.approx(scatter, rel=0.3)
    assert np.sqrt(np.mean(np.square(blind))) < 0.6 * scatter


def test_dephasing_of_two_states_is_that_of_many() -> None:
    ham = gap_series(2000, 30, 1)
    tau = dephasing_matrix(ham)
    many = dephasing_in_slowest_mode(ham, rate_matrices(ham, tau, None), tau)
    np.testing.assert_allclose(many, dephasing_in_rate(ham, tau[0, 1]), rtol=1e-9, atol=1e-12)


def test_dephasing_times_of_pairs_and_of_ladders_widen_the_interval_too() -> None:
    single = gap_series(3000, 30, 5)
    pairs = VibronicHamiltonian(
        np.repeat(single.energies, 2, axis=1), np.kron(single.nac, np.eye(2)), 1.0, n_occupied=2
    ).with_blocks()
    own = [run_dynamics(ham, "exact", duration=1e5).rate for ham in (single, pairs)]
    assert (own[1].low, own[1].high) == pytest.approx((own[0].low, own[0].high), rel=1e-6)
    ladder = three_levels(1500, 30, 5)
    options = {"duration": 300.0, "initial_times": [0], "initial_state": 1}
    found, given = (
        run_dynamics(ladder, "ehrenfest", dephasing_time=tau, **options).rate.parts["finite_trajectory"]
        for tau in (None, dephasing_matrix(ladder))
    )
    assert found.high / found.low > 1.1 * given.high / given.low

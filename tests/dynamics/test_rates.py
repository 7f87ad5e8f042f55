import numpy as np
import pytest
from scipy.signal import lfilter

from hopcast.core import InputError, VibronicHamiltonian
from hopcast.core.estimates import TOO_SHORT
from hopcast.core.resampling import memory_widening
from hopcast.core.units import HBAR
from hopcast.dynamics import (
    bootstrap_rate,
    cumulant_rate,
    local_rate,
    plain_average_rate,
    ratio_of_rates,
    run_dynamics,
    second_order_rate,
)
from hopcast.dynamics.propagation import prefix_products, substep_grid, two_state_substeps
from hopcast.dynamics.rates import block_length
from hopcast.information import memory_time


def memory_series(n: int, memory: float, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    a = np.exp(-1 / memory)
    return lfilter([np.sqrt(1 - a**2)], [1.0, -a], rng.normal(size=n + int(20 * memory)))[-n:]


def test_cumulant_rate_of_an_ornstein_uhlenbeck_gap() -> None:  # T7, closed form
    t = np.linspace(0, 200, 200_001)
    g = (0.1 * 5 / HBAR) ** 2 * (np.exp(-t / 5) + t / 5 - 1)
    assert cumulant_rate(0.2, 0.005, t, g) == pytest.approx(7.1818e-5, rel=2e-5)


def test_stochastic_average_over_an_ornstein_uhlenbeck_gap(series) -> None:  # T7
    # transfer from every frame of noisy trajectories, without decoherence put in by hand; statistical error 0.8 %
    dt, n, times = 0.5, 400_000, (40.0, 120.0)
    found = np.zeros(2)
    for seed in range(10):
        gap = 0.2 + 0.1 * memory_series(n, 5 / dt, seed)
        a, b, _ = two_state_substeps(substep_grid(series(gap, np.full(n - 1, 0.005), dt), substeps=1))
        pa, pb = prefix_products(a, b)
        for i, time in enumerate(times):
            m = int(time / dt)
            found[i] += np.mean(np.abs(pb[m:] * pa[:-m] - pa[m:] * pb[:-m]) ** 2) / 10
    low, high = -np.log(1 - 2 * found) / 2
    assert (high - low) / (times[1] - times[0]) == pytest.approx(7.1818e-5, rel=0.02)


def test_white_noise_in_the_gap_dephases_and_transfers() -> None:  # T4, driven by noise
    # V = 0.02 eV, E = 0.5 eV, 1/G = 4 fs: P_g = (1 - e^{-kt}) / 2 with the slowest rate of Haken and Strobl
    # statistical error 0.9 %; steps of 0.2 fs add O(G dt)
    dt, n, g, times = 0.2, 250_000, 0.25, (20.0, 120.0)
    nac = np.zeros((n, 2, 2))
    nac[:, 0, 1], nac[:, 1, 0] = 0.02, -0.02
    found = np.zeros(2)
    for seed in range(40):
        gap = 0.5 + HBAR * np.sqrt(2 * g / dt) * np.random.default_rng(seed).normal(size=n)
        ham = VibronicHamiltonian(energies=np.stack([0 * gap, gap], 1), nac=nac, timestep=dt, energy_grid="midpoint")
        a, b, _ = two_state_substeps(substep_grid(ham, substeps=1))
        pa, pb = prefix_products(a, b)
        for i, time in enumerate(times):
            m = int(time / dt)
            found[i] += np.mean(np.abs(pb[m:] * pa[:-m] - pa[m:] * pb[:-m]) ** 2) / 40
    low, high = -np.log(1 - 2 * found)
    assert (high - low) / (times[1] - times[0]) == pytest.approx(1.43695e-3, rel=0.02)


def test_local_rates_agree_where_the_gap_is_wide(wavy) -> None:
    ham = wavy(n_frames=400, gap=1.8, scale=0.05)
    exact, second = local_rate(ham, 5.0), local_rate(ham, 5.0, "second_order")
    assert exact.shape == second.shape == (399,)
    assert exact.mean() == pytest.approx(second.mean(), rel=0.05)
    assert np.corrcoef(exact, second)[0, 1] > 0.9
    assert exact.mean() * 1e6 == pytest.approx(run_dynamics(ham, "exact", dephasing_time=5.0).asymptotic_rate, rel=1e-6)


def test_second_order_rate_is_the_published_form(constant) -> None:
    gap, v, tau = 2.07, 0.02, 9.0
    omega = gap / HBAR
    expected = 2 * v**2 / HBAR**2 * tau / (1 + omega**2 * tau**2)
    assert second_order_rate(gap, v, tau) == pytest.approx(expected, rel=1e-14)
    assert local_rate(constant(gap, v, 1.0), tau, "second_order")[0] == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("kind", ["gaussian", "log-normal"])
def test_interval_covers_the_long_run_rate(kind) -> None:
    # Ornstein-Uhlenbeck motion, 30 and 60 correlation times; 95 % are 142.5 of 150 with a standard error of 2.7
    n, truth = 150, 3.0 if kind == "gaussian" else np.exp(0.125)
    for memory in (40, 20):
        covered = 0
        for seed in range(n):
            x = memory_series(1200, memory, seed=100 + seed)
            rates = (3.0 + x if kind == "gaussian" else np.exp(0.5 * x)) * 1e-6
            found = bootstrap_rate(rates, 1.0, n_draws=200)
            covered += found.low <= truth <= found.high
        assert covered >= 0.93 * n


def test_memory_that_blocks_cut_short_is_put_back() -> None:
    # long series of memory m: blocks of L show 1 - (m / L)(1 - exp(-L / m)) of the variance
    m, length = 50, 100
    x = memory_series(400_000, m, seed=3)
    seen = 1 - m / length * (1 - np.exp(-length / m))
    twice = 1 - m / (2 * length) * (1 - np.exp(-2 * length / m))
    assert memory_widening(x, length) == pytest.approx(np.sqrt(2 * twice / seen - 1), rel=0.03)
    noise = np.random.default_rng(0).normal(size=100_000)
    assert 1.0 <= memory_widening(noise, 20) < 1.03
    assert memory_widening(noise[:30], 20) == 1.0
    assert memory_widening(np.ones(100), 5) == 1.0


def test_blocks_are_four_correlation_times_or_ten() -> None:
    x = memory_series(40_000, 50, seed=1)
    assert block_length([x], 1.0, None) == np.ceil(4 * memory_time(x))
    assert 150 < block_length([x], 1.0, None) < 260
    assert block_length([x], 2.0, 30.0) == 15
    # the longer of two memories
    assert block_length([x, memory_series(40_000, 200, seed=2)], 1.0, None) > 500


def test_unflagged_intervals_of_skew_rates_hold_the_long_run_mean() -> None:
    # squares of Ornstein-Uhlenbeck motion; of the draws without a note at least 92 % should
    covered, unflagged, everything = 0, 0, 0
    for n_times in (5, 10, 30):  # of the motion; twice as many of its square
        for seed in range(80):
            found = bootstrap_rate(memory_series(20 * n_times, 20, seed=7000 * n_times + seed) ** 2, 1.0, n_draws=200)
            holds = found.low <= 1e6 <= found.high
            everything += holds
            if not found.note:
                unflagged += 1
                covered += holds
    assert unflagged > 60
    assert covered >= 0.88 * unflagged  # 92 % less two standard errors
    assert everything >= 0.92 * 240
    assert bootstrap_rate(memory_series(60, 20, seed=1) ** 2, 1.0).note == TOO_SHORT


def test_few_blocks_are_called_a_lower_bound() -> None:
    rates = np.exp(memory_series(300, 60, seed=1))
    assert bootstrap_rate(rates, 1.0).note == TOO_SHORT
    assert bootstrap_rate(rates, 1.0, block=10.0).note == ""
    with pytest.raises(InputError, match="`block` must be a positive"):
        bootstrap_rate(rates, 1.0, block=0.0)
    with pytest.raises(InputError, match="value 2 is nan"):
        bootstrap_rate([1.0, 2.0, np.nan], 1.0)


def test_ratio_of_rates_is_paired() -> None:
    rng = np.random.default_rng(2)
    reference = np.exp(memory_series(4000, 40, seed=7))
    forecast = 0.9 * reference * np.exp(0.05 * rng.normal(size=4000))
    ratio = ratio_of_rates(forecast, reference, 1.0)
    assert ratio.low < 0.9 < ratio.high
    alone = bootstrap_rate(reference, 1.0)
    assert (ratio.high - ratio.low) / ratio.value < 0.1 * (alone.high - alone.low) / alone.value
    assert ratio_of_rates(reference, reference, 1.0).high == pytest.approx(1.0)
    with pytest.raises(InputError, match="same steps, but have 3999 and 4000"):
        ratio_of_rates(forecast[1:], reference, 1.0)


def test_plain_average_over_sampled_frames(wavy) -> None:
    ham = wavy(n_frames=200, gap=1.8)
    energies, nac = ham.energies.copy(), ham.nac.copy()
    sampled = np.arange(0, 199, 7)
    keep = np.zeros(199, bool)
    keep[sampled] = True
    nac[~keep] = np.nan
    energies[~np.append(keep, False)] = np.nan  # only the first frame of each pair
    sparse = VibronicHamiltonian(energies=energies, nac=nac, timestep=1.0)
    found = plain_average_rate(sparse, 5.0)
    expected = second_order_rate(ham.gap()[sampled], ham.coupling()[sampled], 5.0).mean() * 1e6
    assert found.value == pytest.approx(expected, rel=1e-12)
    assert found.low < found.value < found.high
    everything = plain_average_rate(ham, 5.0)
    assert everything.value == pytest.approx(local_rate(ham, 5.0, "second_order").mean() * 1e6)
    nac[:] = np.nan
    with pytest.raises(InputError, match="no mid-point has both"):
        plain_average_rate(VibronicHamiltonian(energies=energies, nac=nac, timestep=1.0), 5.0)

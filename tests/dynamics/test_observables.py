import dataclasses

import numpy as np
import pytest

from hopcast.core import ConfigError, InputError
from hopcast.core.units import HBAR, KB
from hopcast.dynamics import (
    active_transitions,
    compare_methods,
    influence_spectrum,
    lifetime_against_gap,
    master_equation,
    rate_matrices,
    redfield_rate,
    run_dynamics,
    scissor,
    second_order_rate,
    transition_rates,
)
from hopcast.dynamics.master import slowest_mode


def test_master_equation_in_closed_form() -> None:
    k = np.array([[0, 0.02, 0.0], [0, 0, 0.05], [0, 0, 0]])  # 2 -> 1 -> 0
    t = np.array([0.0, 10, 40, 200])
    p = master_equation(k, 2, t)
    np.testing.assert_allclose(p[:, 2], np.exp(-0.05 * t), atol=1e-12)
    np.testing.assert_allclose(p[:, 1], 0.05 / 0.03 * (np.exp(-0.02 * t) - np.exp(-0.05 * t)), atol=1e-12)
    np.testing.assert_allclose(p.sum(axis=1), 1)
    assert master_equation(k + k.T, 0, t, absorbing=True)[-1, 0] == 1
    with pytest.raises(InputError, match=r"has -1\.0 from state 1 to state 0"):
        master_equation(-50 * k, 2, t)
    with pytest.raises(InputError, match="add up to one"):
        master_equation(k, [0.5, 0.6, 0.0], t)


def test_rate_matrices_obey_detailed_balance(ladder) -> None:
    k = rate_matrices(ladder(), 10.0, 300.0)
    ham = ladder()
    np.testing.assert_allclose(k.sum(axis=1), 0, atol=1e-18)
    rise = ham.midpoint_energies[:, 2] - ham.midpoint_energies[:, 1]
    np.testing.assert_allclose(k[:, 2, 1] / k[:, 1, 2], np.exp(-rise / (KB * 300.0)))
    np.testing.assert_allclose(k[:, 1, 2], second_order_rate(rise, ham.nac[:, 1, 2], 10.0))
    # the slowest mode is that of the matrix
    mean = k.mean(axis=0)[1:, 1:]
    assert slowest_mode(k).mean() == pytest.approx(-np.linalg.eigvals(mean).real.max())


def test_redfield_rate_of_an_ornstein_uhlenbeck_gap(series) -> None:  # T7, to second order 7.1818e-5 / fs
    rng = np.random.default_rng(2)
    n, dt, sigma, tc = 200_000, 0.5, 0.1, 5.0
    a = np.exp(-dt / tc)
    from scipy.signal import lfilter

    noise = lfilter([np.sqrt(1 - a**2)], [1, -a], rng.normal(size=n)) * sigma
    ham = dataclasses.replace(series(np.full(n, 9.0), np.full(n - 1, 0.005), dt), overlaps=None)
    energies = np.stack([np.zeros(n), 0.2 + noise - noise.mean()], 1)
    found = redfield_rate(dataclasses.replace(ham, energies=energies))
    assert found == pytest.approx(7.1818e-5, rel=0.02)


def test_redfield_rate_needs_a_gap_that_dephases(constant) -> None:
    with pytest.raises(InputError, match="needs a gap that dephases within half the series"):
        redfield_rate(constant(1.0, 0.01, 1.0, 50))


def test_influence_spectrum_finds_the_vibration(series) -> None:
    t = 2.0 * np.arange(2000)
    ham = series(1.5 + 0.05 * np.cos(2 * np.pi * t / 250.0), np.zeros(1999), 2.0)  # 4 THz
    wavenumbers, intensity = influence_spectrum(ham)
    assert wavenumbers[intensity.argmax()] == pytest.approx(1 / (250.0 * 2.99792458e-5), rel=0.01)


def test_rates_between_states_and_active_transitions(ladder) -> None:
    options = {"duration": 2000.0, "dephasing_time": 8.0, "initial_state": 3, "n_trajectories": 50, "n_times": 401}
    found = run_dynamics(ladder(), initial_times=[0, 15, 30], temperature=300.0, **options)
    assert found.flows is not None
    rates = transition_rates(found)
    i = 2
    spent = np.trapezoid(found.populations[:, i], found.times) * 150
    assert rates[i, 1] == pytest.approx(found.flows[i, 1] / spent * 1e6)
    pairs = active_transitions(found)
    assert pairs[0][2] == max(p[2] for p in pairs)
    into = sum(net for _, to, net in pairs if to == "0") - sum(net for start, _, net in pairs if start == "0")
    assert into == pytest.approx(found.ground_population[-1])
    assert found.recombined is not None
    np.testing.assert_allclose(found.recombined.sum(axis=1), found.ground_population, atol=1e-15)
    np.testing.assert_allclose(found.recombined[-1], found.flows[:, 0] / 150)
    assert (np.diff(found.recombined, axis=0) >= 0).all()
    assert not found.recombined[0].any()
    energy = found.carrier_energy
    assert energy[0] == pytest.approx(np.mean(ladder().energies[:, 3] - ladder().energies[:, 0]))
    assert energy[-1] < 0.5 * energy[0]
    with pytest.raises(InputError, match="this result of `ehrenfest` has none"):
        transition_rates(run_dynamics(ladder(), "ehrenfest", **options))


@pytest.mark.parametrize("method", ["dish", "fssh", "msdm"])
@pytest.mark.parametrize("waiting", ["exponential", "deterministic"])
def test_who_leaves_the_lowest_state_again_recombines_once(ladder, method, waiting) -> None:
    if waiting == "deterministic" and method != "dish":
        return
    found = run_dynamics(
        ladder(),
        method,
        waiting=waiting,
        duration=3000.0,
        dephasing_time=8.0,
        initial_state=2,
        initial_times=[0, 7],
        temperature=2000.0,
        absorbing=False,
        n_trajectories=70,
        n_times=301,
    )
    assert found.recombined is not None
    assert found.flows is not None
    so_far = found.recombined.sum(axis=1)
    assert so_far[-1] <= 1 + 1e-12
    assert found.flows[:, 0].sum() / 140 > so_far[-1]  # some came more than once
    assert (so_far >= np.maximum.accumulate(found.ground_population) - 1e-12).all()
    assert found.recombined[-1, 0] == 0


def test_two_states_recombine_from_the_upper_one(wavy) -> None:
    found = run_dynamics(wavy(), duration=2000.0, dephasing_time=8.0, n_trajectories=40, n_times=50)
    np.testing.assert_allclose(found.recombined[:, 1], found.ground_population)
    assert run_dynamics(wavy(), duration=500.0, dephasing_time=8.0, absorbing=False).recombined is None


def test_every_convention_in_one_call(wavy) -> None:
    table = compare_methods(
        wavy(n_frames=200), duration=3000.0, n_trajectories=30, initial_times=[0, 50], n_times=50, methods=["fssh"]
    )
    assert len(table.rows) == 3 * 2 * 4 + 1  # rules, waitings, conventions; and FSSH
    assert {row.tau_convention for row in table.rows} == {"gaussian", "e-folding", "pyxaid", "libra"}
    assert table.rows[-1].rule is None
    times = [row.lifetime.value for row in table.rows]
    assert table.spread == max(times) / min(times)
    assert f"longest over shortest lifetime: {table.spread:.3g}" in str(table)
    with pytest.raises(ConfigError, match="`rule` must not be given"):
        compare_methods(wavy(), rule="hefei")


def test_scissor_keeps_the_matrix_element(ladder, constant) -> None:
    ham = ladder()
    wider = scissor(ham, 0.5, n_lower=2)
    np.testing.assert_allclose(wider.energies - ham.energies, [[0, 0, 0.5, 0.5]] * 61, atol=1e-15)
    gap = ham.midpoint_energies[:, 2] - ham.midpoint_energies[:, 1]
    np.testing.assert_allclose(wider.nac[:, 1, 2] * (gap + 0.5), ham.nac[:, 1, 2] * gap)
    np.testing.assert_array_equal(wider.nac[:, 0, 1], ham.nac[:, 0, 1])
    with pytest.raises(InputError, match="must leave the gap open, but closes it at frame"):
        scissor(ham, -1.0, n_lower=2)
    with pytest.raises(ConfigError, match="exactly one of"):
        scissor(ham)
    with pytest.raises(ConfigError, match="how many of the 4 states lie below the gap"):
        scissor(ham, 0.1)
    # far from resonance the rate goes as 1 / E^4 with V = v / E
    rows = lifetime_against_gap(
        constant(1.0, 0.002, 1.0), [2.0, 4.0], method="exact", dephasing_time=20.0, duration=1e5
    )
    expected = [1 / (2 * (0.002 / g / HBAR) ** 2 * 20 / (1 + (g * 20 / HBAR) ** 2)) for g, _ in rows]
    np.testing.assert_allclose([tau.value * 1e6 for _, tau in rows], expected, rtol=0.02)

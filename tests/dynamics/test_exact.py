import numpy as np
import pytest
from scipy.linalg import expm

from hopcast.core.units import HBAR, KB
from hopcast.dynamics import run_dynamics
from hopcast.dynamics.maps import average_populations, bare_rate, chain, initial_vector, stationary, step_maps
from hopcast.dynamics.propagation import propagators, substep_grid


def plain_step(grid, k, tau, temperature, absorbing, rho: np.ndarray) -> np.ndarray:
    """Advance [active, 2, 2] density matrices by one nuclear step, the plain way."""
    energies, _ = grid.interpolate(k, k + 1)
    q = np.exp(-grid.substep / tau)
    for s, u in enumerate(propagators(grid, k, k + 1)[0]):
        rho = u @ rho @ u.conj().T
        gap = energies[0, s, 1] - energies[0, s, 0]
        b = 1.0 if temperature is None else np.exp(-gap / (KB * temperature))
        new = q * rho
        measured = (1 - q) * np.einsum("aii->ai", rho).real
        new[1, 1, 1] += measured[1, 1] + b * measured[0, 1]
        new[0, 0, 0] += measured[0].sum() - b * measured[0, 1] + measured[1, 0]
        rho = new
        if absorbing:
            rho[0] = 0
    return rho


def as_vector(rho: np.ndarray) -> np.ndarray:
    parts = [[r[0, 0].real, r[1, 1].real, r[0, 1].real, r[0, 1].imag] for r in (rho[1], rho[0])]
    return np.concatenate(parts)


@pytest.mark.parametrize("temperature", [None, 3000.0])
@pytest.mark.parametrize("absorbing", [True, False])
def test_map_equals_density_matrices(wavy, temperature: float | None, absorbing: bool) -> None:
    grid = substep_grid(wavy(n_frames=12, scale=4.0))
    maps = step_maps(grid, 5.0, temperature=temperature, absorbing=absorbing)
    rho = np.zeros((2, 2, 2), dtype=complex)
    rho[1, 1, 1] = 1
    vector = initial_vector(1, absorbing)
    for k in range(grid.n_steps):
        rho = plain_step(grid, k, 5.0, temperature, absorbing, rho)
        vector = maps[k] @ vector
        np.testing.assert_allclose(vector, as_vector(rho)[: vector.size], atol=1e-14)


@pytest.mark.parametrize("absorbing", [True, False])
@pytest.mark.parametrize("loop", [True, False])
def test_windows_and_powers_equal_step_by_step(wavy, absorbing: bool, loop: bool) -> None:
    grid = substep_grid(wavy(n_frames=18, scale=4.0))
    maps = step_maps(grid, 4.0, temperature=900.0, absorbing=absorbing)
    n = grid.n_steps
    if loop:
        starts, outputs = np.arange(n), np.array([0, 1, 2, 5, 16, 17, 18, 33, 34, 35, 90, 400])
    else:
        starts, outputs = np.arange(5), np.array([0, 1, 3, 4, 7, 12, 13])
    weights = np.linspace(1, 2, outputs.size)[:, None]
    found, sums = average_populations(maps, 1, starts, outputs, weights, loop=loop)
    plain = np.empty((starts.size, outputs.size))
    for i, f in enumerate(starts):
        vector = initial_vector(1, absorbing)
        for m in range(outputs[-1] + 1):
            if m in outputs:
                plain[i, np.searchsorted(outputs, m)] = vector[:2].sum()
            vector = maps[(f + m) % n] @ vector
    np.testing.assert_allclose(found, plain.mean(axis=0), atol=1e-13)
    np.testing.assert_allclose(sums, plain @ weights, atol=1e-12)


@pytest.mark.parametrize(
    ("gap", "coupling", "tau", "second", "exact"),
    [(0.5, 0.02, 4.0, 1.4436e-3, 1.43695e-3), (0.2, 0.01, 6.0, 1.28120e-3, 1.27589e-3)],
)
def test_haken_strobl(constant, gap, coupling, tau, second, exact) -> None:  # T4
    # without absorption and Boltzmann factor the sum of both density matrices follows Bloch's equations
    ham = constant(gap, coupling, 0.1)
    maps = step_maps(substep_grid(ham, substeps=4), tau, absorbing=False)
    both = maps[0][:4, :4] + maps[0][4:, :4]
    rates = -np.log(np.linalg.eigvals(both).astype(complex)) / 0.1
    slowest = np.sort(rates.real[np.abs(rates.imag) < 1e-9])[1]
    assert slowest == pytest.approx(exact, rel=2e-5)
    g = 1 / tau
    assert 4 * coupling**2 / HBAR**2 * g / (g**2 + (gap / HBAR) ** 2) == pytest.approx(second, rel=2e-4)
    v, e = coupling / HBAR, gap / HBAR  # H = E/2 (sigma_z) + V sigma_y: Bloch's equations, by hand
    bloch = np.array([[-g, -e, 2 * v], [e, -g, 0], [-2 * v, 0, 0]])
    assert -np.linalg.eigvals(bloch).real.max() == pytest.approx(exact, rel=1e-5)


@pytest.mark.parametrize(("gap", "coupling", "dt", "tau"), [(2.07, 0.02, 2.0, 9.0), (0.5, 0.02, 0.5, 4.0)])
def test_first_passage(constant, gap, coupling, dt, tau) -> None:  # T5
    omega = np.sqrt(gap**2 + 4 * coupling**2) / HBAR
    limit = 2 * coupling**2 / HBAR**2 * tau / (1 + (omega * tau) ** 2)
    for substeps in (None, 100):
        grid = substep_grid(constant(gap, coupling, dt), substeps=substeps)
        one = step_maps(substep_grid(constant(gap, coupling, grid.substep), substeps=1), tau)[0]
        passage = np.linalg.solve(np.eye(4) - one, initial_vector(1, True))[:2].sum() * grid.substep
        assert 1 / passage == pytest.approx(bare_rate(gap, coupling, tau, grid.substep), rel=1e-9)
        assert 1 / passage == pytest.approx(limit, rel=(grid.substep / tau) ** 2 / 10 + 1e-9)


def test_run_decays_with_the_first_passage_rate(constant) -> None:  # T5, through the front door
    gap, coupling, tau = 2.07, 0.02, 9.0
    result = run_dynamics(constant(gap, coupling, 2.0), method="exact", duration=2e5, dephasing_time=tau, n_times=200)
    rate = bare_rate(gap, coupling, tau, result.substep) * 1e6
    assert result.rate.value == pytest.approx(rate, rel=2e-4)
    assert result.asymptotic_rate == pytest.approx(rate, rel=2e-4)
    assert result.substeps == 13


def test_detailed_balance(constant) -> None:  # T9
    gap, temperature = 0.05, 300.0
    maps = step_maps(substep_grid(constant(gap, 0.002, 1.0)), 10.0, temperature=temperature, absorbing=False)
    _, _, vector = stationary(maps)
    ratio = vector[:2].sum() / vector[4:6].sum()
    assert np.exp(-gap / (KB * temperature)) == pytest.approx(0.1446, abs=1e-4)
    # exact for the populations that jump; the lag between hop and measurement is of second order in V
    assert ratio == pytest.approx(0.1446, rel=1e-3)


def test_closed_loop_equals_the_unlooped_run(series) -> None:  # T14
    period, passes, dt = 24, 3, 0.5

    def build(n_frames: int):
        x = 2 * np.pi / period * np.arange(n_frames)
        gap = 0.4 + 0.1 * np.cos(x)
        gap[::period] = gap[0]
        return series(gap, 0.05 * np.sin(x[:-1] + np.pi / period), dt)

    once, long = substep_grid(build(period + 1)), substep_grid(build(passes * period + 1))
    assert once.closed
    maps, repeated = step_maps(once, 5.0, absorbing=False), step_maps(long, 5.0, absorbing=False)
    np.testing.assert_allclose(repeated, np.tile(maps, (passes, 1, 1)), atol=1e-15)
    outputs = np.arange(0, passes * period + 1, 3)
    weights = np.ones((outputs.size, 1))
    start = np.array([0])
    looped, _ = average_populations(maps, 1, start, outputs, weights, loop=True)
    straight, _ = average_populations(repeated, 1, start, outputs, weights, loop=False)
    np.testing.assert_allclose(looped, straight, atol=1e-13)


def test_losses_add_up_to_the_eigenvalue(wavy) -> None:
    maps = step_maps(substep_grid(wavy(scale=2.0)), 5.0)
    value, losses, vector = stationary(maps)
    assert losses.sum() == pytest.approx(-np.log(value), rel=1e-10)
    assert (losses > 0).all()
    np.testing.assert_allclose(chain(maps) @ vector, value * vector, atol=1e-14)
    zeroed, _, _ = stationary(maps, zero_seam=True)
    assert zeroed != value
    assert zeroed == pytest.approx(value, rel=0.02)


def test_phase_of_the_states_does_not_matter(wavy, series) -> None:  # the gauge part of T13
    ham = wavy(scale=3.0)
    options = {"method": "exact", "duration": 600.0, "dephasing_time": 5.0, "n_times": 50}
    reference = run_dynamics(ham, **options).populations
    for factor in (-1.0, np.exp(0.8j)):
        turned = series(ham.gap(), ham.coupling() * factor, 1.0)
        np.testing.assert_allclose(run_dynamics(turned, **options).populations, reference, atol=1e-13)


def test_continuous_limit_is_the_lindblad_equation(constant) -> None:
    gap, v, tau = 0.3, 0.03, 5.0
    h = np.array([[-gap / 2, -1j * v], [1j * v, gap / 2]])
    left = -1j / HBAR * (np.kron(h, np.eye(2)) - np.kron(np.eye(2), h.T))
    left[[1, 2], [1, 2]] -= 1 / tau
    left[0, 0] -= 1 / tau  # measured in g: gone
    rho = expm(40.0 * left) @ np.array([0, 0, 0, 1.0])
    coarse, fine = (
        run_dynamics(
            constant(gap, v, 1.0), method="exact", duration=40.0, n_times=2, dephasing_time=tau, substeps=substeps
        ).populations[-1, 1]
        for substeps in (200, 400)
    )
    # a measurement waits for the end of its sub-step: first order at one moment, gone from the rate (T5)
    assert 2 * fine - coarse == pytest.approx((rho[0] + rho[3]).real, abs=1e-7)

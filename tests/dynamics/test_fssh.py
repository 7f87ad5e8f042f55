import numpy as np
import pytest

from hopcast.core.units import KB
from hopcast.dynamics import run_dynamics
from hopcast.dynamics.propagation import prefix_products, propagators, substep_grid


def amplitudes(ham, steps: int, substeps: int | None = None) -> np.ndarray:
    """|c_e|^2 after each step from the upper state, looped, the plain way."""
    grid = substep_grid(ham, substeps=substeps)
    u, c = propagators(grid), np.array([0, 1.0 + 0j])
    excited = [1.0]
    for k in range(steps):
        for step in u[k % grid.n_steps]:
            c = step @ c
        excited.append(abs(c[1]) ** 2)
    return np.array(excited)


@pytest.mark.parametrize("substeps", [1, None, 10])
def test_populations_equal_the_amplitudes(series, substeps) -> None:  # T10
    # two states have one channel: the integrated flux is the change of |c|^2, so any step will do
    t = np.arange(40)
    ham = series(0.15 + 0.05 * np.sin(0.3 * t), 0.06 * np.cos(0.13 * t[:-1]), 1.0)
    steps, n = 120, 20000
    expected = amplitudes(ham, steps, substeps)
    result = run_dynamics(
        ham,
        method="fssh",
        duration=float(steps),
        temperature=None,
        absorbing=False,
        n_trajectories=n,
        n_times=steps + 1,
        initial_times=[0],
        substeps=substeps,
        dephasing_time=10.0,
    )
    assert expected.min() < 0.4
    error = np.sqrt(np.clip(expected * (1 - expected), 1e-5, None) / n)
    z = (result.populations[:, 1] - expected) / error
    assert np.abs(z).max() < 4.5
    assert np.sqrt(np.mean(z**2)) < 1.8


def test_boltzmann_factor_follows_the_master_equation(series) -> None:
    t = np.arange(40)
    ham = series(0.15 + 0.05 * np.sin(0.3 * t), 0.06 * np.cos(0.13 * t[:-1]), 1.0)
    temperature, steps, n = 800.0, 120, 20000
    grid = substep_grid(ham)
    u = propagators(grid)
    gap = grid.interpolate(0, grid.n_steps)[0][..., 1]
    c, p, expected = np.array([0, 1.0 + 0j]), 1.0, [1.0]
    for k in range(steps):
        for s in range(grid.n_substeps):
            new = u[k % 39, s] @ c
            lost, gained = abs(c[1]) ** 2 - abs(new[1]) ** 2, abs(c[0]) ** 2 - abs(new[0]) ** 2
            if lost > 0:
                p -= p * lost / abs(c[1]) ** 2
            else:
                p += (1 - p) * gained / abs(c[0]) ** 2 * np.exp(-gap[k % 39, s] / (KB * temperature))
            c = new
        expected.append(p)
    result = run_dynamics(
        ham,
        method="fssh",
        duration=float(steps),
        temperature=temperature,
        absorbing=False,
        n_trajectories=n,
        n_times=steps + 1,
        initial_times=[0],
        dephasing_time=10.0,
    )
    error = np.sqrt(np.clip(np.array(expected) * (1 - np.array(expected)), 1e-5, None) / n)
    assert (np.abs(result.populations[:, 1] - expected) / error).max() < 4.5


def test_coherent_hopping_misses_detailed_balance(constant) -> None:  # T9
    # the Hamiltonian on which DISH gives 0.1446: every Rabi period empties |c_g|^2 (at most 0.025), so all that is in g
    # is offered the way up again, and the Boltzmann factor hardly slows it: P_e/P_g is 30
    result = run_dynamics(
        constant(0.05, 0.004, 1.0, n_frames=500),
        method="fssh",
        duration=3e5,
        temperature=300.0,
        dephasing_time=10.0,
        absorbing=False,
        n_trajectories=500,
        initial_times=[0],
        n_times=400,
    )
    late = result.populations[100:].mean(axis=0)
    assert late[1] / late[0] == pytest.approx(30, rel=0.1)


def test_absorbing_state_keeps_what_it_has(wavy) -> None:
    result = run_dynamics(
        wavy(scale=4.0), method="fssh", duration=500.0, n_trajectories=300, n_times=100, dephasing_time=5.0, workers=1
    )
    assert (np.diff(result.ground_population) >= 0).all()
    assert result.ground_population[-1] > 0.2
    again = run_dynamics(
        wavy(scale=4.0), method="fssh", duration=500.0, n_trajectories=300, n_times=100, dephasing_time=5.0, workers=2
    )
    np.testing.assert_array_equal(again.populations, result.populations)
    assert result.rule is None
    assert result.waiting is None


def test_amplitudes_survive_many_loops(wavy) -> None:
    # 50 loops: the product of all propagators still has unit norm, so hop probabilities have no drift
    grid = substep_grid(wavy(scale=4.0))
    u = np.tile(propagators(grid).reshape(-1, 2, 2), (50, 1, 1))
    pa, pb = prefix_products(u[:, 0, 0].copy(), u[:, 0, 1].copy())
    assert abs(abs(pa[-1]) ** 2 + abs(pb[-1]) ** 2 - 1) < 1e-12

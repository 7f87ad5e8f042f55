import numpy as np
import pytest
from scipy.linalg import expm

from hopcast.core import InputError, VibronicHamiltonian
from hopcast.core.units import HBAR
from hopcast.dynamics import run_dynamics
from hopcast.dynamics.propagation import choose_substeps, prefix_products, propagators, substep_grid, two_state_substeps


def run(ham: VibronicHamiltonian, **options) -> np.ndarray:
    """Multiply all propagators, the plain way."""
    total = np.eye(ham.n_states, dtype=complex)
    for u in propagators(substep_grid(ham, loop=False, **options)).reshape(-1, ham.n_states, ham.n_states):
        total = u @ total
    return total


def test_rabi(constant) -> None:  # T1
    e, v = 0.3, 0.04
    ham = constant(e, v, 1.0, n_frames=31)
    width = np.sqrt(e**2 + 4 * v**2)
    expected = 4 * v**2 / width**2 * np.sin(width * 30 / (2 * HBAR)) ** 2
    assert abs(run(ham)[0, 1]) ** 2 == pytest.approx(expected, abs=1e-13)


def test_pure_rotation(constant) -> None:  # T2
    d = 0.02
    assert abs(run(constant(0.0, HBAR * d, 1.0, n_frames=41))[0, 1]) ** 2 == pytest.approx(
        np.sin(40 * d) ** 2, abs=1e-13
    )


@pytest.mark.parametrize(("speed", "expected"), [(0.02, 0.303240), (0.05, 0.620461), (0.2, 0.887521)])
def test_landau_zener(series, speed: float, expected: float) -> None:  # T3
    v = 0.05
    dt = 0.05 * v / speed
    half = 4000
    t = dt * np.arange(-half, half + 1)
    middle = t[:-1] + dt / 2
    gap = np.sqrt((speed * t) ** 2 + 4 * v**2)
    coupling = HBAR * speed * v / ((speed * middle) ** 2 + 4 * v**2)
    assert np.exp(-2 * np.pi * v**2 / (HBAR * speed)) == pytest.approx(expected, abs=1e-6)
    # averaged over the last part of the ringing, whose amplitude falls with the distance
    u = propagators(substep_grid(series(gap, coupling, dt), loop=False, substeps=4)).reshape(-1, 2, 2)
    _, pb = prefix_products(u[:, 0, 0].copy(), u[:, 0, 1].copy())
    late = np.abs(pb[-8000:]) ** 2
    assert late.mean() == pytest.approx(expected, abs=2e-4)


def test_substeps_resolve_the_gap_phase(constant) -> None:
    ham = constant(1.8, 0.001, 4.0)
    n = choose_substeps(ham)
    assert n == int(np.ceil(1.8 * 4 / HBAR / 0.5))
    assert substep_grid(ham).max_phase <= 0.5 < 1.8 * 4 / HBAR / (n - 1)


@pytest.mark.parametrize("how", ["linear", "constant"])
def test_error_falls_with_the_square_of_the_substep(wavy, how: str) -> None:  # T12
    ham = wavy(scale=3.0)
    options = {"coupling_interpolation": how}
    reference = run(ham, substeps=512, **options)
    errors = [np.abs(run(ham, substeps=n, **options) - reference).max() for n in (8, 16, 32)]
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.06)
    assert errors[1] / errors[2] == pytest.approx(4, rel=0.06)


def test_norm_and_time_reversal(wavy) -> None:  # T12
    ham = wavy(n_frames=400, scale=3.0)
    forward = run(ham)
    np.testing.assert_allclose(forward @ forward.conj().T, np.eye(2), atol=1e-12)
    back = VibronicHamiltonian(energies=ham.energies[::-1], nac=-ham.nac[::-1], timestep=ham.timestep)
    # reversed velocities reverse d; amplitudes run back under complex conjugation
    np.testing.assert_allclose(run(back).conj() @ forward, np.eye(2), atol=1e-12)


def test_two_states_equal_the_exponential_of_the_midpoint(wavy) -> None:
    ham = wavy(n_frames=9, scale=2.0)
    phase = np.exp(0.7j)
    nac = ham.nac * np.array([[1, phase], [1 / phase, 1]]) + np.diag([0.03j, -0.02j])
    ham = VibronicHamiltonian(energies=ham.energies, nac=nac, timestep=1.0)
    grid = substep_grid(ham, substeps=3)
    energies, nac = grid.interpolate(0, 8)
    ours = propagators(grid)
    for k in range(8):
        for s in range(3):
            h = np.diag(energies[k, s]) - 1j * nac[k, s]
            h -= np.eye(2) * np.trace(h) / 2
            np.testing.assert_allclose(ours[k, s], expm(-1j * h * grid.substep / HBAR), atol=1e-14)


def test_many_states_equal_the_exponential_and_hold_the_norm() -> None:
    rng = np.random.default_rng(3)
    n, frames = 5, 6
    nac = rng.normal(size=(frames - 1, n, n)) * 0.05
    nac = nac - nac.swapaxes(1, 2)
    energies = np.sort(rng.normal(size=(frames, n)), axis=1)
    grid = substep_grid(VibronicHamiltonian(energies=energies, nac=nac, timestep=0.5))
    e, v = grid.interpolate(0, frames - 1)
    u = propagators(grid)
    np.testing.assert_allclose(u[2, 1], expm(-1j * (np.diag(e[2, 1]) - 1j * v[2, 1]) * grid.substep / HBAR), atol=1e-13)
    np.testing.assert_allclose(u @ u.conj().swapaxes(-1, -2), np.broadcast_to(np.eye(n), u.shape), atol=1e-13)


def test_interpolation_is_linear_between_frames_and_between_midpoints(series) -> None:
    gap = np.array([1.0, 1.2, 0.9, 1.1])
    coupling = np.array([0.01, 0.03, -0.02])
    grid = substep_grid(series(gap, coupling, 2.0), substeps=50)
    energies, nac = grid.interpolate(0, 3)
    t = (np.arange(150) + 0.5) / 50
    np.testing.assert_allclose(energies[:, :, 1].ravel(), np.interp(t, np.arange(4), gap))
    np.testing.assert_allclose(nac[:, :, 0, 1].ravel(), np.interp(t, np.arange(3) + 0.5, coupling), atol=1e-16)


def test_couplings_cross_the_seam_of_a_closed_loop_only(series) -> None:
    coupling = np.array([0.01, 0.03, -0.02])
    closed = substep_grid(series(np.array([1.0, 1.2, 0.9, 1.0]), coupling, 2.0), substeps=4)
    assert closed.closed
    _, nac = closed.interpolate(0, 3)
    assert nac[0, 0, 0, 1] == pytest.approx(0.01 + (-0.02 - 0.01) * 0.375)
    assert nac[2, 3, 0, 1] == pytest.approx(-0.02 + (0.01 + 0.02) * 0.375)
    open_ = substep_grid(series(np.array([1.0, 1.2, 0.9, 1.3]), coupling, 2.0), substeps=4)
    assert not open_.closed
    assert open_.interpolate(0, 3)[1][0, 0, 0, 1] == 0.01


def test_midpoint_energies_are_constant_within_a_step() -> None:
    energies = np.array([[0.0, 1.0], [0.0, 1.4]])
    nac = np.array([[[0, 0.01], [-0.01, 0]], [[0, 0.02], [-0.02, 0]]])
    ham = VibronicHamiltonian(energies=energies, nac=nac, timestep=1.0, energy_grid="midpoint")
    _, _, gap = two_state_substeps(substep_grid(ham, substeps=3))
    np.testing.assert_array_equal(gap, [1.0] * 3 + [1.4] * 3)


def test_prefix_products_are_products(wavy) -> None:
    grid = substep_grid(wavy(n_frames=12, scale=3.0), substeps=4)
    u = propagators(grid).reshape(-1, 2, 2)
    pa, pb = prefix_products(*two_state_substeps(grid)[:2])
    total = np.eye(2, dtype=complex)
    for s, step in enumerate(u):
        total = step @ total
        np.testing.assert_allclose([pa[s + 1], pb[s + 1]], total[0], atol=1e-14)


def test_large_rotation_names_the_frame(series) -> None:
    coupling = np.full(9, 0.001)
    coupling[4] = 0.9
    with pytest.raises(InputError, match=r"0\.684 rad after frame 4\. .* `substeps` to at least 3"):
        substep_grid(series(np.full(10, 0.1), coupling, 1.0), substeps=2)


def test_unknown_couplings_are_refused(series) -> None:
    coupling = np.full(9, 0.001)
    ham = series(np.ones(10), coupling, 1.0)
    nac = ham.nac.copy()
    nac[[3, 5]] = np.nan
    with pytest.raises(InputError, match=r"2 couplings are unknown .the first at mid-point 3"):
        substep_grid(VibronicHamiltonian(energies=ham.energies, nac=nac, timestep=1.0))


@pytest.mark.parametrize("gap", [0.06, 0.3, 1.0, 2.0])
@pytest.mark.parametrize("size", [0.003, 0.01, 0.03])
def test_rough_couplings_get_as_many_substeps_as_they_need(series, gap: float, size: float) -> None:
    # couplings without memory from step to step: populations of 200 steps were off by up to 0.02
    rng = np.random.default_rng(1)
    ham = series(gap + 0.01 * np.sin(0.05 * np.arange(200)), size * rng.normal(size=199), 1.0)
    options = {
        "method": "ehrenfest", "duration": 190.0, "initial_times": [0], "temperature": None, "dephasing_time": 1e4, "absorbing": False,
        "loop": False, "n_times": 190,
    }  # fmt: skip
    found, exact = (run_dynamics(ham, substeps=n, **options).populations for n in (None, 60))
    assert np.abs(found - exact).max() < 2.5e-3


def test_smooth_couplings_cost_no_substeps(wavy, series) -> None:
    smooth = wavy(scale=0.3, gap=0.2)
    assert choose_substeps(smooth) == choose_substeps(smooth, coupling_interpolation="constant") == 2
    # a spike that no change of states can be does not count, nor do couplings that are constant within a step
    coupling = np.full(60, 1e-3)
    coupling[7] = 1.5
    assert choose_substeps(series(np.full(61, 0.2), coupling, 1.0)) == 1
    rough = series(np.full(61, 0.2), 0.01 * (-1.0) ** np.arange(60), 1.0)
    assert choose_substeps(rough) % 2 == 0
    assert choose_substeps(rough, coupling_interpolation="constant") == 1

"""T1 to T12 through the code of many states: two coupled states beside spectators give the two-state answers.

Tolerances: 1e-12 where an identity is tested, 4.5 standard errors where trajectories are sampled, else as written. From 13
states on propagators are split: eleven spectators.

Where each closed form of METHODS is tested (two states, and many states where no file is named twice):

- T1, T2: `test_propagation`, here (Ehrenfest, FSSH, GFSH, MSSH, mSDM without decay; both propagators). T3: `test_propagation`,
  here, BL-LZ in `test_many_states`.
- T4: `test_exact` (Bloch), `test_rates` (noise-driven), here (DISH; noise). T5: `test_exact`, here (DISH). T6: `test_dish`, here.
- T7: `test_rates` (closed form, stochastic average), `test_observables` (Redfield), here (noise). T8: `test_dephasing`, here.
- T9: `test_exact`, `test_dish`, `test_fssh` (which misses it), `test_many_states` (DISH, mSDM, ID-A; FSSH).
- T10: `test_fssh`, `test_many_states`. T11: `test_many_states`, here. T12: `test_propagation`, `test_many_states`, here.
- T13, T14: `test_exact`, `test_many_states` (every method).
"""

import dataclasses

import numpy as np
import pytest
from scipy.signal import lfilter

from hopcast.core import VibronicHamiltonian
from hopcast.core.units import HBAR, KB
from hopcast.dynamics import dephasing_matrix, dephasing_time, propagators, run_dynamics, substep_grid
from hopcast.dynamics.maps import bare_rate
from hopcast.dynamics.propagation import prefix_products, two_state_substeps

SHARED = ["ehrenfest", "fssh", "gfsh", "mssh"]


def beside_spectator(ham: VibronicHamiltonian, n: int = 1) -> VibronicHamiltonian:
    """Add uncoupled states above the others."""
    above = 0.4 + 0.01 * np.arange(n)
    energies = np.concatenate([ham.energies, ham.energies[:, 1:] + above], axis=1)
    nac = np.zeros((ham.n_steps, 2 + n, 2 + n), dtype=ham.nac.dtype)
    nac[:, :2, :2] = ham.nac
    return VibronicHamiltonian(energies=energies, nac=nac, timestep=ham.timestep)


def times_of(tau: float) -> np.ndarray:
    """Dephasing times of the pair; none with the spectator."""
    matrix = np.full((3, 3), np.inf)
    matrix[0, 1] = matrix[1, 0] = tau
    return matrix


def scores(found: np.ndarray, expected: np.ndarray, n: int) -> np.ndarray:
    return (found - expected) / np.sqrt(np.clip(expected * (1 - expected), 1e-5, None) / n)


@pytest.mark.parametrize("spectators", [1, 11])
@pytest.mark.parametrize("method", [*SHARED, "msdm"])
@pytest.mark.parametrize(("e", "v"), [(0.1, 0.04), (1e-9, 0.02)])
def test_rabi_and_pure_rotation(constant, method, e, v, spectators) -> None:  # T1; T2: a gap of nothing
    # the gap of T2 is there for the front door, which refuses closed ones: it changes P by (e / 2v)^2 = 6e-16
    # error of the split propagators: (V dt_sub / hbar)^3 / 12 of a rotation in each of 60 or more sub-steps, below 1e-3
    n = 4000 if method != "msdm" else 1000
    found = run_dynamics(
        beside_spectator(constant(e, v, 1.0), spectators),
        method,
        duration=60.0,
        n_times=61,
        n_trajectories=n,
        initial_times=[0],
        dephasing_time=10.0 if method != "msdm" else np.inf,
        temperature=None,
        absorbing=False,
    )
    width = np.sqrt(e**2 + 4 * v**2)
    expected = 4 * v**2 / width**2 * np.sin(width * found.times / (2 * HBAR)) ** 2
    if e < 1e-6:
        np.testing.assert_allclose(expected, np.sin(v / HBAR * found.times) ** 2, atol=1e-12)
    assert expected.max() > 0.35
    if method == "ehrenfest":
        np.testing.assert_allclose(found.populations[:, 0], expected, atol=1e-12 if spectators == 1 else 1e-3)
    else:
        assert np.abs(scores(found.populations[:, 0], expected, n)).max() < 4.5
    assert (found.populations[:, 2:] == 0).all()


@pytest.mark.parametrize("imaginary", [False, True])
def test_pure_rotation_of_a_closed_gap(constant, imaginary) -> None:  # T2
    d, steps = 0.02, 40
    two = constant(0.0, HBAR * d * (1j if imaginary else 1.0), 1.0, n_frames=steps + 1)
    expected = np.sin(steps * d) ** 2

    def moved(n_states: int, substeps: int, split: bool) -> float:
        grid = substep_grid(beside_spectator(two, n_states - 2), substeps=substeps, loop=False)
        c = np.eye(n_states, dtype=complex)[1]
        for u in propagators(grid, split=split).reshape(-1, n_states, n_states):
            c = u @ c
        return abs(c[0]) ** 2

    assert moved(3, 1, split=False) == pytest.approx(expected, abs=1e-12)
    assert moved(14, 1, split=False) == pytest.approx(expected, abs=1e-12)
    # a split step turns by 2 atan((d dt / 2) / (1 - (d dt)^2 / 12))
    for substeps in (1, 2):
        x = d / substeps
        turned = np.sin(2 * steps * substeps * np.arctan(x / 2 / (1 - x**2 / 12))) ** 2
        assert moved(14, substeps, split=True) == pytest.approx(turned, abs=1e-12)
        assert turned == pytest.approx(expected, abs=steps * d**5 / 720 / substeps**4 * 1.01)


@pytest.mark.parametrize("method", SHARED)
@pytest.mark.parametrize(("speed", "expected"), [(0.05, 0.620461), (0.2, 0.887521)])
def test_landau_zener(series, method, speed, expected) -> None:  # T3
    v, n, half = 0.05, 4000, 400
    dt = 0.1 * v / speed
    t = dt * np.arange(-half, half + 1)
    middle = t[:-1] + dt / 2
    coupling = HBAR * speed * v / ((speed * middle) ** 2 + 4 * v**2)
    ham = beside_spectator(series(np.sqrt((speed * t) ** 2 + 4 * v**2), coupling, dt))
    found = run_dynamics(
        ham,
        method,
        duration=2 * half * dt,
        n_times=801,
        n_trajectories=n,
        initial_times=[0],
        dephasing_time=10.0,
        temperature=None,
        absorbing=False,
        loop=False,
    )
    late = found.populations[-160:, 0].mean()  # over the ringing, which is 0.5 % here
    assert late == pytest.approx(expected, abs=0.006 if method == "ehrenfest" else 0.006 + 4.5 * 0.5 / np.sqrt(n))


@pytest.mark.parametrize(
    ("gap", "coupling", "tau", "rate"), [(0.5, 0.02, 4.0, 1.43695e-3), (0.2, 0.01, 6.0, 1.27589e-3)]
)
def test_haken_strobl(constant, gap, coupling, tau, rate) -> None:  # T4
    # measurements at the constant rate 1/tau are the white noise's dephasing; tolerance: sampling
    n = 4000
    found = run_dynamics(
        beside_spectator(constant(gap, coupling, 0.5)),
        duration=600.0,
        dephasing_time=times_of(tau),
        temperature=None,
        absorbing=False,
        initial_times=[0],
        n_trajectories=n,
        n_times=31,
    )
    expected = 0.5 * (1 + np.exp(-rate * found.times))
    late = found.times > 60  # the first dephasing times are no exponential
    assert np.abs(scores(found.populations[late, 1], expected[late], n)).max() < 4.5
    assert found.populations[-1, 1] < 0.75


@pytest.mark.parametrize(("gap", "coupling", "dt", "tau"), [(0.5, 0.02, 0.5, 4.0), (0.3, 0.02, 1.0, 9.0)])
def test_first_passage(constant, gap, coupling, dt, tau) -> None:  # T5
    n = 4000
    found = run_dynamics(
        beside_spectator(constant(gap, coupling, dt)),
        duration=1500.0,
        dephasing_time=times_of(tau),
        initial_times=[0],
        n_trajectories=n,
        n_times=31,
    )
    rate = bare_rate(gap, coupling, tau, found.substep)
    # every measurement in the upper state starts anew: geometric up to the first waiting time
    expected = np.exp(-rate * found.times)
    late = found.times > 5 * tau
    error = np.sqrt(expected * (1 - expected) / n) + rate * tau  # one waiting time, T5 fixes the mean
    assert (np.abs(found.populations[:, 1] - expected) / error)[late].max() < 4.5
    fitted = -np.log(found.populations[-1, 1]) / found.times[-1]
    assert fitted == pytest.approx(rate, rel=0.08)  # 2 standard errors are 3 %


@pytest.mark.parametrize("rule", ["consistent", "hefei", "pyxaid"])
def test_deterministic_survival_is_geometric(constant, rule) -> None:  # T6
    gap, v, tau, n = 1.0, 0.05, 9.0, 3000
    ham = beside_spectator(constant(gap, v, 1.0))
    grid = substep_grid(ham)
    width = np.sqrt(gap**2 + 4 * v**2)

    def hop(m: int) -> float:
        return 4 * v**2 / width**2 * np.sin(width * m * grid.substep / (2 * HBAR)) ** 2

    m = next(m for m in range(1, 1000) if m * grid.substep * (1 - hop(m)) >= tau)
    events = int(tau / (4 * v**2 / width**2) / (m * grid.substep)) - 1
    steps = int(np.ceil(events * m * grid.substep))
    found = run_dynamics(
        ham,
        rule=rule,
        waiting="deterministic",
        duration=float(steps),
        dephasing_time=times_of(tau),
        n_trajectories=n,
        initial_times=[0],
        n_times=steps + 1,
    )
    happened = (found.times * grid.n_substeps + 1e-6).astype(int) // m
    assert happened[-1] >= 10
    assert np.abs(scores(found.populations[:, 1], (1 - hop(m)) ** happened, n)).max() < 4.5


@pytest.mark.parametrize("noise", ["white", "Ornstein-Uhlenbeck"])
def test_noisy_gaps_turn_alike(series, noise) -> None:  # T4 and T7: the same noise, by the same law
    # the two-state code holds the published rates of noisy gaps to 2 %; here both agree on every realisation
    dt, n = 0.5, 2000
    phi = 0.0 if noise == "white" else np.exp(-dt / 5.0)
    gap = 0.5 + 0.1 * lfilter([np.sqrt(1 - phi**2)], [1, -phi], np.random.default_rng(3).normal(size=n))
    two = series(gap, np.full(n - 1, 0.02), dt)
    grid = substep_grid(two, substeps=2)
    _, pb = prefix_products(*two_state_substeps(grid)[:2])
    c, errors = np.eye(3, dtype=complex), []
    three = substep_grid(beside_spectator(two), substeps=2)
    for u in propagators(three).reshape(-1, 3, 3):
        c = u @ c
    assert abs(c[0, 1]) ** 2 == pytest.approx(abs(pb[-1]) ** 2, abs=1e-10)
    assert abs(c[2, 2]) == pytest.approx(1, abs=1e-12)
    for substeps in (2, 4, 8):  # split: second order
        c, exact = np.eye(3, dtype=complex), np.eye(3, dtype=complex)
        grid = substep_grid(beside_spectator(two), substeps=substeps)
        for split, u in zip(
            propagators(grid, 0, 100, split=True).reshape(-1, 3, 3),
            propagators(grid, 0, 100).reshape(-1, 3, 3),
            strict=True,
        ):
            c, exact = split @ c, u @ exact
        errors.append(np.abs(np.abs(c) ** 2 - np.abs(exact) ** 2).max())
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.15)
    assert errors[1] / errors[2] == pytest.approx(4, rel=0.15)


def test_dephasing_is_that_of_the_pair(series) -> None:  # T8
    t = np.arange(3000.0)
    two = series(1.0 + 0.05 * np.sin(0.02 * t) + 0.03 * np.cos(0.07 * t), np.zeros(2999), 1.0)
    for convention in ("gaussian", "pyxaid", "libra"):
        matrix = dephasing_matrix(beside_spectator(two), convention)
        assert matrix[0, 1] == matrix[1, 0] == dephasing_time(two, convention=convention)


def test_decay_of_mixing_faster_than_the_coupling_slows_the_rate(constant) -> None:  # T11: Omega << r << 1/dt
    rates = [
        run_dynamics(
            beside_spectator(constant(0.004, 0.004, 0.1)),
            "msdm",
            duration=60.0,
            dephasing_time=times_of(tau),
            n_trajectories=3000,
            initial_times=[0],
            n_times=61,
            temperature=None,
        ).rate.value
        for tau in (4.0, 2.0)
    ]
    assert rates[0] / rates[1] == pytest.approx(2.0, rel=0.3)  # statistical error of the ratio: 10 %


@pytest.mark.parametrize("imaginary", [0.0, 0.5])
@pytest.mark.parametrize("split", [False, True])
def test_order_norm_and_time_reversal(ladder, split, imaginary) -> None:  # T12
    ham = ladder(n_states=5, n_frames=21, scale=0.06, imaginary=imaginary)

    def run(which: VibronicHamiltonian, substeps: int) -> np.ndarray:
        total = np.eye(5, dtype=complex)
        for u in propagators(substep_grid(which, substeps=substeps, loop=False), split=split).reshape(-1, 5, 5):
            total = u @ total
        return total

    reference = run(ham, 256)
    errors = [np.abs(run(ham, n) - reference).max() for n in (4, 8, 16)]
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.1)
    assert errors[1] / errors[2] == pytest.approx(4, rel=0.1)
    forward = run(ham, 4)
    np.testing.assert_allclose(forward @ forward.conj().T, np.eye(5), atol=1e-12)
    back = dataclasses.replace(ham, energies=ham.energies[::-1], nac=-ham.nac[::-1].conj())
    np.testing.assert_allclose(run(back, 4).conj() @ forward, np.eye(5), atol=1e-12)


@pytest.mark.parametrize("carrier", ["electron", "hole"])
@pytest.mark.parametrize("engine", ["two states", "beside a spectator"])
def test_exact_and_sampled_for_both_carriers_in_balance(wavy, carrier, engine) -> None:  # with detailed balance
    two, n = wavy(scale=3.0, gap=0.3), 3000
    options = {
        "duration": 600.0,
        "temperature": 1500.0,
        "absorbing": False,
        "initial_times": [0, 25],
        "n_times": 13,
        "carrier": carrier,
    }
    exact = run_dynamics(two, "exact", dephasing_time=6.0, substeps=4, **options).populations
    ham, tau = two, 6.0
    if engine != "two states":
        ham, tau = beside_spectator(two), times_of(6.0)
        if carrier == "hole":  # the spectator below the pair: above it for a hole
            ham = VibronicHamiltonian(
                energies=np.concatenate([two.energies[:, :1] - 0.4, two.energies], axis=1),
                nac=np.pad(two.nac, ((0, 0), (1, 0), (1, 0))), timestep=1.0,
            )  # fmt: skip
            tau = tau[::-1, ::-1]
    found = run_dynamics(ham, dephasing_time=tau, substeps=4, n_trajectories=n, **options).populations
    assert exact[-1, 1] < 0.8
    assert np.abs(scores(found[1:, 1], exact[1:, 1], 2 * n)).max() < 4.5
    bare = run_dynamics(two, "exact", dephasing_time=6.0, substeps=4, **{**options, "temperature": None}).populations
    assert abs(bare[-1, 1] - exact[-1, 1]) > 0.02  # the balance matters here
    assert np.exp(-0.3 / (KB * 1500)) < 0.2

import dataclasses

import numpy as np
import pytest
from scipy.linalg import expm

from hopcast.core import ConfigError, InputError, VibronicHamiltonian
from hopcast.core.units import HBAR, KB
from hopcast.dynamics import hole_hamiltonian, propagators, run_dynamics, substep_grid
from hopcast.dynamics.loop import Halves, Window, running_products
from hopcast.dynamics.methods import METHODS, flux, global_flux, markov
from hopcast.dynamics.methods.landau_zener import crossing_probabilities
from hopcast.dynamics.problem import Settings, prepare

SAMPLED = ("dish", "fssh", "gfsh", "mssh", "msdm", "ida", "bl-lz")
FREE = {"temperature": None, "absorbing": False}


def amplitudes(ham, steps: int, initial: int, substeps: int | None = None) -> np.ndarray:
    """Amplitudes after each step of a loop, the plain way."""
    grid = substep_grid(ham, substeps=substeps)
    u, c = propagators(grid), np.eye(ham.n_states, dtype=complex)[initial]
    path = [c]
    for k in range(steps):
        for step in u[k % grid.n_steps]:
            c = step @ c
        path.append(c)
    return np.array(path)


def scores(found: np.ndarray, expected: np.ndarray, n: int) -> np.ndarray:
    return (found - expected) / np.sqrt(np.clip(expected * (1 - expected), 1e-4, None) / n)


def test_propagators_are_the_exponential_and_unitary(ladder) -> None:  # T12
    grid = substep_grid(ladder(imaginary=0.7), substeps=3)
    energies, nac = grid.interpolate(7, 8)
    u, half = propagators(grid, 7, 8), propagators(grid, 7, 8, fraction=0.5)
    for s in range(3):
        h = np.diag(energies[0, s]) - 1j * nac[0, s]
        np.testing.assert_allclose(u[0, s], expm(-1j * h * grid.substep / HBAR), atol=1e-13)
        np.testing.assert_allclose(half[0, s] @ half[0, s], u[0, s], atol=1e-13)
    split = propagators(grid, split=True)
    np.testing.assert_allclose(
        split @ split.conj().swapaxes(-1, -2), np.broadcast_to(np.eye(4), split.shape), atol=1e-13
    )


@pytest.mark.parametrize("split", [False, True])
def test_second_order_in_the_substep(ladder, split) -> None:  # T12
    def end(substeps: int) -> np.ndarray:
        u = propagators(substep_grid(ladder(n_frames=21), substeps=substeps), split=split)
        c = np.eye(4, dtype=complex)[2]
        for step in u.reshape(-1, 4, 4):
            c = step @ c
        return np.abs(c) ** 2

    exact, coarse, fine = end(160), end(4), end(8)
    assert np.abs(coarse - exact).max() / np.abs(fine - exact).max() == pytest.approx(4, rel=0.1)


def test_running_products(ladder) -> None:
    grid = substep_grid(ladder(n_states=5, n_frames=101))
    products = running_products(Halves(grid).of(0, grid.n_steps))
    real, imag = products[:, :5], products[:, 5:]
    p = np.eye(5, dtype=complex)
    for s, u in enumerate(propagators(grid).reshape(-1, 5, 5)):
        p = u @ p
        if s % 50 == 0:
            np.testing.assert_allclose((real + 1j * imag)[s + 1, :, :5].T, p, atol=1e-12)
    last = (real + 1j * imag)[-1, :, :5]
    np.testing.assert_allclose(last @ last.conj().T, np.eye(5), atol=1e-12)
    assert not real[:, :, 5:].any()


@pytest.mark.parametrize("imaginary", [0.0, 0.7])
@pytest.mark.parametrize("method", ["ehrenfest", "fssh", "gfsh", "mssh"])
def test_populations_equal_the_amplitudes(ladder, method, imaginary) -> None:  # T10
    ham, steps, n = ladder(imaginary=imaginary, scale=0.06), 150, 4000
    expected = np.abs(amplitudes(ham, steps, 3)) ** 2
    result = run_dynamics(
        ham,
        method,
        duration=float(steps),
        initial_state=3,
        n_trajectories=n,
        n_times=steps + 1,
        initial_times=[0],
        dephasing_time=10.0,
        **FREE,
    )
    assert expected[:, 3].min() < 0.5
    if method == "ehrenfest":
        np.testing.assert_allclose(result.populations, expected, atol=1e-12)
        return
    z = scores(result.populations, expected, n)
    assert np.abs(z).max() < 5
    assert np.sqrt(np.mean(z**2)) < 2.2  # times and states are correlated
    assert result.flows is not None
    assert result.flows.sum() == result.n_hops


def ensemble_error(ham, method, substeps: int) -> float:
    """Largest deviation of a method's expected populations from |c|^2, without sampling."""
    grid = substep_grid(ham, substeps=substeps)
    halves = Halves(grid).of(0, grid.n_steps)
    path = [np.eye(ham.n_states, dtype=complex)[2]]
    for u in halves:
        path += [u @ path[-1], u @ u @ path[-1]]
    path = np.array(path)
    energies, nac = grid.interpolate(0, grid.n_steps)
    k = ham.n_states
    window = Window(path, energies.reshape(-1, k), nac.reshape(-1, k, k), grid.substep, 0, grid.n_steps, substeps)
    p, worst = np.eye(k)[2], 0.0
    for s, g in enumerate(method.hop_probabilities(window)):
        g = g.copy()
        np.fill_diagonal(g, 0)
        p = p @ (g + np.diag(1 - g.sum(axis=1)))
        worst = max(worst, np.abs(p - np.abs(path[2 * s + 2]) ** 2).max())
    return worst


def test_hop_probabilities_keep_the_amplitudes_populations(ladder) -> None:  # T10
    ham = ladder(n_states=3, n_frames=31)
    for method in (global_flux, markov):
        for substeps in (1, 3):
            assert ensemble_error(ham, method, substeps) < 1e-12
    coarse, fine = ensemble_error(ham, flux, 4), ensemble_error(ham, flux, 16)
    assert fine < 0.3 * coarse < 0.01


@pytest.mark.parametrize("method", ["ehrenfest", "fssh", "gfsh", "mssh"])
def test_rabi(constant, method) -> None:  # T1, two states, amplitudes shared
    e, v, n = 0.08, 0.05, 4000
    options = {"duration": 60.0, "n_times": 61, "n_trajectories": n, "initial_times": [0], "dephasing_time": 10.0}
    found = run_dynamics(constant(e, v, 1.0), method, **options, **FREE)
    rabi = np.sqrt(e**2 + 4 * v**2)
    expected = 4 * v**2 / rabi**2 * np.sin(rabi * found.times / (2 * HBAR)) ** 2
    z = scores(found.populations[:, 0], expected, n)
    assert np.abs(z).max() < (1e-9 if method == "ehrenfest" else 4.5)


@pytest.mark.parametrize("slope", [0.02, 0.05, 0.2])
def test_landau_zener(slope) -> None:  # T3
    v, dt = 0.05, 0.1
    t = dt * (np.arange(-400, 401) + 0.3)
    energies = np.stack([0 * t, np.sqrt((slope * t) ** 2 + 4 * v**2)], 1)
    p = crossing_probabilities(energies, dt, closed=False)
    assert np.count_nonzero(p[:, 0, 1]) == 1
    assert p.max() == pytest.approx(np.exp(-2 * np.pi * v**2 / (HBAR * slope)), rel=2e-3)
    nac = np.zeros((800, 2, 2))
    ham = VibronicHamiltonian(energies=energies, nac=nac, timestep=dt)
    result = run_dynamics(
        ham,
        "bl-lz",
        duration=80.0,
        loop=False,
        n_trajectories=4000,
        initial_times=[0],
        dephasing_time=10.0,
        n_times=2,
        **FREE,
    )
    assert abs(scores(result.populations[-1, 0], p.max(), 4000)) < 4


@pytest.mark.parametrize("waiting", ["exponential", "deterministic"])
@pytest.mark.parametrize("rule", ["consistent", "hefei", "pyxaid"])
def test_two_states_agree_with_the_two_state_solvers(series, rule, waiting) -> None:
    t = np.arange(60)
    ham = series(0.15 + 0.05 * np.sin(0.3 * t), 0.04 * np.cos(0.13 * t[:-1]), 1.0)
    n = 3000
    settings = Settings(
        method=METHODS["dish"],
        rule=rule,
        waiting=waiting,
        duration=150.0,
        temperature=1000.0,
        dephasing_time=7.1,  # at 7.3 fs a clock shows 0.9999 of it at 56 fs: who is due there is a matter of rounding
        initial_state=1,
        initial_times=[0, 30],
        absorbing=False,
        n_trajectories=n,
        n_times=16,
        random_state=1,
        tau_convention="gaussian",
        coupling_interpolation="linear",
        substeps=None,
        loop=True,
        workers=1,
        fit_window=None,
        chunk_trajectories=1000,
        progress=None,
    )
    problem = prepare(ham, settings)
    quick = METHODS["dish"].two_states
    assert quick is not None
    two, many = quick(problem), METHODS["dish"](problem)
    p = 0.5 * (two.mean + many.mean)[:, 1]
    z = (many.mean - two.mean)[:, 1] / np.sqrt(np.clip(p * (1 - p), 1e-3, None) * 2 / (2 * n))
    assert p.min() < 0.75
    assert np.abs(z).max() < 4.2


def plain_dish(ham, n: int, steps: int, tau: float, temperature: float, rule: str, initial: int) -> np.ndarray:
    """Active-state populations at the end, every sub-step visited for every trajectory."""
    rng = np.random.default_rng(5)
    grid = substep_grid(ham)
    u, k, h = propagators(grid), ham.n_states, grid.substep / tau
    energies = grid.interpolate(0, grid.n_steps)[0]
    count = np.zeros(k)
    c, active = np.tile(np.eye(k, dtype=complex)[initial], (n, 1)), np.full(n, initial)
    for step in range(steps):
        for s in range(grid.n_substeps):
            c = c @ u[step % grid.n_steps, s].T
            e = energies[step % grid.n_steps, s]
            p = np.abs(c) ** 2
            hazard = (p.sum(axis=1, keepdims=True) - p) * h
            for q in np.flatnonzero(rng.random(n) < -np.expm1(-hazard.sum(axis=1))):
                i = rng.choice(k, p=hazard[q] / hazard[q].sum())
                me = active[q]

                def accept(new: int, me: int = me, e: np.ndarray = e) -> bool:
                    return rng.random() < np.exp(-max(e[new] - e[me], 0.0) / (KB * temperature))

                if rule == "consistent":
                    new, pure = me, -1
                    if rng.random() < p[q, i]:
                        new = pure = i if i == me or accept(i) else me
                    elif i == me:
                        rest = np.where(np.arange(k) == i, 0, p[q])
                        new = rng.choice(k, p=rest / rest.sum())
                        if not accept(new):
                            new = pure = me
                else:
                    new, pure = me, -1
                    if rng.random() < p[q, i] * np.exp(-max(e[i] - e[me], 0.0) / (KB * temperature)):
                        new = pure = i
                if pure >= 0:
                    c[q] = np.eye(k)[pure]
                else:
                    c[q, i] = 0
                    c[q] /= np.linalg.norm(c[q])
                active[q] = new
    np.add.at(count, active, 1)
    return count / n


@pytest.mark.parametrize("rule", ["consistent", "hefei"])
def test_events_against_a_plain_walk(ladder, rule) -> None:
    ham, n, m = ladder(n_states=3, scale=0.04, spacing=0.1), 1000, 20000
    expected = plain_dish(ham, n, 80, 6.0, 500.0, rule, 2)
    found = run_dynamics(
        ham,
        "dish",
        rule,
        duration=80.0,
        dephasing_time=6.0,
        temperature=500.0,
        absorbing=False,
        initial_state=2,
        initial_times=[0],
        n_trajectories=m,
        n_times=2,
    ).populations[-1]
    z = (found - expected) / np.sqrt(expected * (1 - expected) * (1 / n + 1 / m))
    assert expected.min() > 0.05
    assert np.abs(z).max() < 3.5


def equilibrium(ham, method: str, rule: str = "consistent", **options) -> np.ndarray:
    result = run_dynamics(
        ham,
        method,
        rule,
        temperature=300.0,
        dephasing_time=10.0,
        absorbing=False,
        initial_state=2,
        initial_times=[0, 20],
        n_times=401,
        **{"duration": 24000.0, "n_trajectories": 200, **options},
    )
    return result.populations[150:].mean(axis=0)


def test_detailed_balance(ladder) -> None:  # T9, three states 40 meV apart
    ham = dataclasses.replace(ladder(n_states=3, n_frames=41, scale=0.008))
    energies = 0.04 * np.arange(3) + 0.0 * ham.energies
    ham = dataclasses.replace(ham, energies=energies)
    boltzmann = np.exp(-energies[0] / (KB * 300.0))
    boltzmann /= boltzmann.sum()  # 0.791, 0.168, 0.036
    np.testing.assert_allclose(equilibrium(ham, "dish"), boltzmann, atol=0.03)  # 3 standard errors
    for rule in ("hefei", "pyxaid"):
        np.testing.assert_allclose(equilibrium(ham, "dish", rule), boltzmann, atol=0.05)
    for method in ("msdm", "ida"):  # near it: 0.81, 0.16, 0.04 from 400 trajectories; here 2 standard errors are 0.05
        few = equilibrium(ham, method, duration=8000.0, n_trajectories=40)
        np.testing.assert_allclose(few, boltzmann, atol=0.08)
    # without decoherence detailed balance is not reached: FSSH keeps too much in the upper states
    assert equilibrium(ham, "fssh")[0] < boltzmann[0] - 0.1


def test_decay_of_mixing_without_decay_is_fewest_switches(ladder) -> None:  # T11
    ham, n = ladder(n_states=3), 3000
    options = {"duration": 100.0, "n_times": 11, "initial_state": 2, "initial_times": [0], "n_trajectories": n}
    found = run_dynamics(ham, "msdm", dephasing_time=np.inf, **options, **FREE)
    expected = np.abs(amplitudes(ham, 100, 2)[::10]) ** 2
    assert np.abs(scores(found.populations, expected, n)).max() < 4.5


def test_zeno(constant) -> None:  # T11: Omega << r << 1/dt
    rates = []
    for tau in (4.0, 2.0):
        found = run_dynamics(
            constant(0.004, 0.004, 0.1),
            "msdm",
            duration=60.0,
            dephasing_time=tau,
            n_trajectories=5000,
            initial_times=[0],
            n_times=61,
            temperature=None,
        )
        rates.append(found.rate.value)
    assert rates[0] / rates[1] == pytest.approx(2.0, rel=0.3)  # statistical error of the ratio: 10 %


@pytest.mark.parametrize("method", SAMPLED)
def test_bits_do_not_depend_on_workers_or_chunks(ladder, method) -> None:
    options = {
        "duration": 130.0,
        "dephasing_time": 8.0,
        "initial_state": 3,
        "initial_times": [0, 7, 40],
        "n_trajectories": 30,
        "n_times": 14,
        "random_state": 7,
        "absorbing": False,
    }
    one = run_dynamics(ladder(), method, workers=1, **options)
    two = run_dynamics(ladder(), method, workers=2, chunk_trajectories=7, **options)
    np.testing.assert_array_equal(one.populations, two.populations)
    np.testing.assert_array_equal(one.flows, two.flows)
    other = run_dynamics(ladder(), method, **{**options, "random_state": 8})
    assert (other.populations != one.populations).any()


@pytest.mark.parametrize("method", [*SAMPLED, "ehrenfest"])
def test_signs_of_states_do_not_matter(ladder, method) -> None:  # T13, after phase correction one sign a state
    ham = ladder()
    signs = np.array([1, -1, -1, 1])
    other = dataclasses.replace(ham, nac=ham.nac * signs[:, None] * signs)
    options = {
        "duration": 60.0,
        "dephasing_time": 8.0,
        "initial_state": 3,
        "initial_times": [0],
        "n_trajectories": 50,
        "n_times": 7,
        "absorbing": False,
    }
    a, b = (run_dynamics(h, method, **options).populations for h in (ham, other))
    np.testing.assert_allclose(a, b, atol=1e-12)


@pytest.mark.parametrize("method", [*SAMPLED, "ehrenfest"])
def test_periodic_loop_equals_the_unlooped_run(ladder, method) -> None:  # T14
    ham = ladder(periodic=True)
    long = VibronicHamiltonian(
        energies=np.concatenate([ham.energies[:-1]] * 3 + [ham.energies[-1:]]),
        nac=np.concatenate([ham.nac] * 3),
        timestep=1.0,
    )
    options = {
        "duration": 120.0,
        "dephasing_time": 8.0,
        "initial_state": 3,
        "initial_times": [0, 5, 30],
        "n_trajectories": 40,
        "n_times": 13,
        "absorbing": False,
    }
    looped = run_dynamics(ham, method, **options)
    straight = run_dynamics(long, method, **options)
    assert looped.seam is not None
    assert looped.seam.closed
    np.testing.assert_allclose(looped.populations, straight.populations, atol=1e-9)


def test_holes_are_mirrored_electrons(ladder) -> None:
    ham = ladder(imaginary=0.4)
    mirrored = hole_hamiltonian(ham)
    assert mirrored.state_labels == ("3", "2", "1", "0")
    np.testing.assert_array_equal(mirrored.energies, -ham.energies[:, ::-1])
    back = hole_hamiltonian(mirrored)
    np.testing.assert_array_equal(back.nac, ham.nac)
    options = {"duration": 100.0, "dephasing_time": 8.0, "initial_state": 3, "n_trajectories": 10, "n_times": 5}
    hole = run_dynamics(ham, carrier="hole", **options)
    np.testing.assert_array_equal(hole.populations, run_dynamics(mirrored, **options).populations)
    assert hole.states == ("3", "2", "1", "0")
    # times of pairs stand in the order of the states that are given, whatever the carrier
    times = np.array([[0, 4, 5, 6], [4, 0, 7, 8], [5, 7, 0, 9], [6, 8, 9, 0.0]])
    hole = run_dynamics(ham, carrier="hole", **options | {"dephasing_time": times})
    there = run_dynamics(mirrored, **options | {"dephasing_time": times[::-1, ::-1]})
    np.testing.assert_array_equal(hole.populations, there.populations)
    # amplitudes of a hole are the conjugate of those of the electron in the same orbital
    u, v = propagators(substep_grid(ham)), propagators(substep_grid(mirrored))
    np.testing.assert_allclose(v[..., ::-1, ::-1], u.conj(), atol=1e-12)


def test_what_many_states_cannot_do(ladder) -> None:
    with pytest.raises(ConfigError, match="`exact` needs two states, but the Hamiltonian has 4: events on one"):
        run_dynamics(ladder(), "exact")
    ham = ladder()
    energies = ham.energies.copy()
    energies[20, 1] = energies[20, 2] + 0.01
    with pytest.raises(InputError, match="`bl-lz` needs states in energy order, but they are not at frame 20"):
        run_dynamics(dataclasses.replace(ham, energies=energies), "bl-lz", dephasing_time=5.0)
    energies[31, 3] = energies[31, 0] - 0.01
    with pytest.raises(InputError, match=r"gap must stay open .* at frame 31"):
        run_dynamics(dataclasses.replace(ham, energies=energies), dephasing_time=5.0)
    with pytest.raises(ConfigError, match="`carrier` must be one of `electron`, `hole`, but is `proton`"):
        run_dynamics(ham, carrier="proton")


def test_substeps_resolve_rotations_too(ladder) -> None:
    ham = ladder()
    nac = ham.nac.copy()
    nac[9, 1, 2], nac[9, 2, 1] = 1.0, -1.0  # 1.52 rad in this step
    rotated = dataclasses.replace(ham, nac=nac)
    assert substep_grid(rotated, coupling_interpolation="constant").n_substeps == 4
    # linear in between, a coupling of one step alone is rough
    assert substep_grid(rotated).n_substeps == 8


@pytest.mark.parametrize("method", [*SAMPLED, "ehrenfest"])
def test_flipped_states_are_repaired_from_overlaps(method) -> None:  # T13
    from hopcast.couplings import derive_couplings

    t = np.arange(31.0)
    generator = np.array([[0, 0.5, 0.2], [-0.5, 0, 0.6], [-0.2, -0.6, 0]])
    frames = np.array([expm(generator * np.sin(0.2 * x)) for x in t])
    flipped = frames.copy()
    flipped[12:, :, 1] *= -1  # state 1 from frame 12 on, state 2 in one frame
    flipped[20, :, 2] *= -1
    energies = np.stack([0 * t, 0.2 + 0.03 * np.cos(0.1 * t), 0.35 + 0.02 * np.sin(0.15 * t)], 1)
    populations = []
    for states in (frames, flipped):
        overlaps = states[:-1].transpose(0, 2, 1) @ states[1:]
        raw = VibronicHamiltonian(energies=energies, nac=np.full((30, 3, 3), np.nan), timestep=1.0, overlaps=overlaps)
        ham = derive_couplings(raw)
        populations.append(
            run_dynamics(
                ham,
                method,
                duration=60.0,
                dephasing_time=8.0,
                initial_state=2,
                initial_times=[0],
                n_trajectories=50,
                n_times=7,
                absorbing=False,
            ).populations
        )
    np.testing.assert_allclose(populations[0], populations[1], atol=1e-12)
    assert populations[0][-1, 2] < 1 or method == "bl-lz"  # which sees no couplings


@pytest.mark.parametrize("method", [*SAMPLED, "ehrenfest"])
def test_bits_do_not_depend_on_what_is_kept_in_memory(ladder, method, monkeypatch) -> None:
    from hopcast.dynamics import loop

    monkeypatch.setattr(loop, "BLOCK", 64)  # several blocks a pass, and starts inside them
    options = {
        "duration": 150.0,
        "dephasing_time": 8.0,
        "initial_state": 3,
        "initial_times": [0, 17, 40],
        "workers": 2,
        "n_trajectories": 20,
        "n_times": 14,
        "absorbing": False,
    }
    kept = run_dynamics(ladder(), method, **options)
    monkeypatch.setattr(loop, "MOST_BYTES", 0)
    computed = run_dynamics(ladder(), method, **options)
    np.testing.assert_array_equal(kept.populations, computed.populations)
    np.testing.assert_array_equal(kept.flows, computed.flows)


@pytest.mark.parametrize("imaginary", [0.0, 0.5])
@pytest.mark.parametrize("decisions", ["sub-step", "nuclear step"])
def test_bits_of_clocks_do_not_depend_on_lanes(ladder, decisions, imaginary, monkeypatch) -> None:
    from hopcast.dynamics import loop

    ham = ladder(n_states=5, imaginary=imaginary, scale=0.05)
    options = {
        "rule": "hefei",
        "waiting": "deterministic",
        "decisions": decisions,
        "duration": 150.0,
        "dephasing_time": 6.0,
        "initial_state": 4,
        "initial_times": [0, 17],
        "n_trajectories": 90,
        "n_times": 14,
    }
    one = run_dynamics(ham, "dish", workers=1, **options)
    assert one.flows is not None
    assert one.populations[-1, 0] > 0.1  # some have ended, and left their lanes
    for chunk in (1, 7, 33):
        two = run_dynamics(ham, "dish", workers=2, chunk_trajectories=chunk, **options)
        np.testing.assert_array_equal(one.populations, two.populations)
        np.testing.assert_array_equal(one.flows, two.flows)
    monkeypatch.setattr(loop, "BLOCK", 64)  # several blocks a pass, and starts inside them
    blocks = run_dynamics(ham, "dish", workers=2, **options)
    monkeypatch.setattr(loop, "MOST_BYTES", 0)
    computed = run_dynamics(ham, "dish", workers=1, chunk_trajectories=40, **options)
    np.testing.assert_array_equal(blocks.populations, computed.populations)
    np.testing.assert_array_equal(blocks.flows, computed.flows)

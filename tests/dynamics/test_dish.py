import numpy as np
import pytest

from hopcast.core.units import HBAR, KB
from hopcast.dynamics import run_dynamics
from hopcast.dynamics.jumps import flip, hop_bound, local_bounds
from hopcast.dynamics.propagation import prefix_products, propagators, substep_grid, two_state_substeps


def plain_dish(ham, rule, waiting, tau, temperature, steps, n_trajectories, absorbing, seed) -> np.ndarray:
    """Excited population after each nuclear step: every sub-step visited, all trajectories side by side."""
    rng = np.random.default_rng(seed)
    grid = substep_grid(ham)
    u = propagators(grid)
    gap = grid.interpolate(0, grid.n_steps)[0]
    gap = gap[..., 1] - gap[..., 0]
    n, x = n_trajectories, grid.substep / tau
    c = np.zeros((n, 2), dtype=complex)
    c[:, 1] = 1
    active, clock = np.ones(n, int), np.zeros((n, 2))
    alive = np.ones(n, bool)
    excited = [1.0]
    for k in range(steps):
        for s in range(grid.n_substeps):
            step = k % grid.n_steps
            c = c @ u[step, s].T
            b = np.exp(-gap[step, s] / (KB * temperature)) if temperature else 1.0
            clock += 1
            w = np.abs(c) ** 2
            if waiting == "exponential":
                happens = rng.random(n) < 1 - np.exp(-x)
                on = (rng.random(n) < w[:, 0]).astype(int)  # hazard of i is the other's population
                due = np.zeros((n, 2), bool)
                due[np.arange(n), on] = happens
            else:
                due = clock * x * w[:, ::-1] >= 1
            for t in np.flatnonzero(due.any(axis=1) & alive):
                if rule == "consistent":
                    clock[t, due[t]] = 0
                    found = int(rng.random() < w[t, 1])
                    if found > active[t] and rng.random() >= b:
                        found = active[t]
                    active[t], c[t] = found, np.eye(2)[found]
                else:
                    order = [0, 1]
                    if rule == "hefei":
                        order = list(rng.permutation(2))
                    for i in order:
                        p = np.abs(c[t]) ** 2
                        if not due[t, i]:
                            continue
                        if rng.random() < p[i] * (b if i > active[t] else 1.0):
                            active[t], c[t] = i, np.eye(2)[i]
                            clock[t, i] = 0 if rule == "hefei" else clock[t, i]
                            break
                        clock[t, i] = 0
                        if p[1 - i] > 1e-28:
                            c[t] = np.eye(2)[1 - i]
                        if rule == "hefei":
                            break
            if absorbing:
                alive &= active == 1
        excited.append(active.mean())
    return np.array(excited)


@pytest.mark.parametrize("absorbing", [True, False])
@pytest.mark.parametrize("waiting", ["exponential", "deterministic"])
@pytest.mark.parametrize("rule", ["consistent", "hefei", "pyxaid"])
def test_engine_equals_the_plain_walk(series, rule: str, waiting: str, absorbing: bool) -> None:
    # few sub-steps and strong coupling, so that every branch happens often
    t = np.arange(9)
    ham = series(0.3 + 0.1 * np.sin(t), 0.07 * np.cos(0.7 * t[:-1] + 0.3), 1.0)
    tau, temperature, steps, n = 2.5, 4000.0, 60, 1500
    plain = plain_dish(ham, rule, waiting, tau, temperature, steps, n, absorbing, seed=5)
    result = run_dynamics(
        ham,
        rule=rule,
        waiting=waiting,
        duration=float(steps),
        temperature=temperature,
        dephasing_time=tau,
        initial_times=[0],
        absorbing=absorbing,
        n_trajectories=20000,
        n_times=steps + 1,
        workers=1,
    )
    found = result.populations[:, 1]
    error = np.sqrt(np.clip(found * (1 - found), 1e-4, None) * (1 / n + 1 / 20000))
    z = (found - plain) / error
    assert 0.02 < plain.min() < 0.9
    assert np.abs(z[1:]).max() < 4.2
    assert np.sqrt(np.mean(z[1:] ** 2)) < 2.2


@pytest.mark.parametrize("temperature", [None, 2000.0])
@pytest.mark.parametrize("substeps", [None, 5])
def test_sampling_agrees_with_the_exact_solver(wavy, temperature, substeps) -> None:
    ham = wavy(scale=2.0)
    options = {
        "duration": 6000.0,
        "temperature": temperature,
        "dephasing_time": 6.0,
        "absorbing": temperature is None,
        "n_times": 40,
        "substeps": substeps,
        "initial_times": np.arange(0, 60, 3),
    }
    exact = run_dynamics(ham, method="exact", **options).populations[:, 1]
    seeds = 8
    z, total = [], 0.0
    for seed in range(seeds):
        result = run_dynamics(ham, n_trajectories=200, random_state=seed, **options)
        assert result.n_hops is not None
        assert result.n_hops >= 1000
        found = result.populations[:, 1]
        at = 10  # a population counts trajectories: binomial
        error = np.sqrt(exact[at] * (1 - exact[at]) / (200 * 20))
        z.append((found[at] - exact[at]) / error)
        total += z[-1]
    assert np.sum(np.abs(z) < 2) >= seeds - 2
    assert abs(total) / np.sqrt(seeds) < 3
    assert 0.1 < exact[at] < 0.9


def test_weak_coupling_is_thinned_without_bias(wavy) -> None:
    ham = wavy(n_frames=400, scale=0.05)
    options = {"duration": 4e6, "dephasing_time": 5.0, "n_times": 20, "initial_times": np.arange(0, 390, 10)}
    exact = run_dynamics(ham, method="exact", **options)
    result = run_dynamics(ham, n_trajectories=500, **options)
    half = 10
    error = np.sqrt(exact.populations[half, 1] * exact.populations[half, 0] / (39 * 500))
    assert abs(result.populations[half, 1] - exact.populations[half, 1]) < 3.5 * error
    assert result.rate.value == pytest.approx(exact.rate.value, rel=0.04)
    # which says that events were skipped: all of them would be 39 * 500 * 4e6 / 5 = 1.6e10
    part = result.lifetime.parts["monte_carlo"]
    assert part is not None
    assert part.low < exact.lifetime.value < part.high or result.lifetime.value == pytest.approx(
        exact.lifetime.value, rel=0.03
    )


@pytest.mark.parametrize("rule", ["consistent", "hefei", "pyxaid"])
def test_deterministic_survival_is_geometric(constant, rule: str) -> None:  # T6
    gap, v, tau = 1.0, 0.05, 9.0
    ham = constant(gap, v, 1.0)
    grid = substep_grid(ham)
    width = np.sqrt(gap**2 + 4 * v**2)

    def hop(m: int) -> float:
        return 4 * v**2 / width**2 * np.sin(width * m * grid.substep / (2 * HBAR)) ** 2

    # due when m dt (1 - p) >= tau
    m = next(m for m in range(1, 1000) if m * grid.substep * (1 - hop(m)) >= tau)
    p = hop(m)
    # the clock of the excited state itself comes due only after tau / p_max
    events = int(tau / (4 * v**2 / width**2) / (m * grid.substep)) - 1
    steps = int(np.ceil(events * m * grid.substep))
    result = run_dynamics(
        ham,
        rule=rule,
        waiting="deterministic",
        duration=steps,
        dephasing_time=tau,
        n_trajectories=40000,
        initial_times=[0],
        n_times=steps + 1,
    )
    happened = (result.times * grid.n_substeps + 1e-6).astype(int) // m
    expected = (1 - p) ** happened
    assert happened[-1] >= 10
    error = np.sqrt(expected * (1 - expected) / 40000) + 1e-6
    assert (np.abs(result.populations[:, 1] - expected) / error).max() < 4


@pytest.mark.parametrize(
    ("rule", "waiting", "tolerance"),
    [
        ("consistent", "exponential", 0.03),
        ("hefei", "exponential", 0.05),
        ("hefei", "deterministic", 0.06),
        ("pyxaid", "deterministic", 0.06),
    ],
)
def test_detailed_balance(constant, rule: str, waiting: str, tolerance: float) -> None:  # T9
    # statistical error 0.5 % (exponential), 1.8 % (deterministic: clocks that run on keep a state for long, hence the stronger coupling)
    exponential = waiting == "exponential"
    result = run_dynamics(
        constant(0.05, 0.004 if exponential else 0.008, 1.0, n_frames=500),
        rule=rule,
        waiting=waiting,
        duration=3e6 if exponential else 1e5,
        temperature=300.0,
        dephasing_time=10.0,
        absorbing=False,
        n_trajectories=500 if exponential else 1000,
        initial_times=[0],
        n_times=400,
    )
    late = result.populations[100:].mean(axis=0)
    assert late[1] / late[0] == pytest.approx(np.exp(-0.05 / (KB * 300)), rel=tolerance)


def test_same_bits_for_any_workers_and_chunks(wavy) -> None:
    ham = wavy(scale=2.0)
    for waiting in ("exponential", "deterministic"):
        options = {
            "waiting": waiting,
            "rule": "hefei",
            "duration": 3000.0,
            "dephasing_time": 6.0,
            "absorbing": False,
            "temperature": 2000.0,
            "n_trajectories": 60,
            "n_times": 50,
            "initial_times": [0, 7, 31],
        }
        reference = run_dynamics(ham, workers=1, **options)
        for workers, chunk in ((2, 1000), (1, 7), (2, 13)):
            again = run_dynamics(ham, workers=workers, chunk_trajectories=chunk, **options)
            np.testing.assert_array_equal(again.populations, reference.populations)
            assert again.lifetime == reference.lifetime
            assert again.n_hops == reference.n_hops
        other = run_dynamics(ham, workers=1, random_state=1, **options)
        assert (other.populations != reference.populations).any()


def test_flips_equal_products_and_stay_below_their_bounds(wavy) -> None:
    ham = wavy(n_frames=14, scale=2.0)
    grid = substep_grid(ham, substeps=3)
    a, b, _ = two_state_substeps(grid)
    pa, pb = prefix_products(a, b)
    u = propagators(grid).reshape(-1, 2, 2)
    n = len(u)
    window = 10
    bounds = local_bounds(pa, pb, window)
    everywhere = hop_bound(pa, pb, 25, n + 25)
    for early in (0, 1, 17, n - 1, n, 2 * n + 5):
        total = np.eye(2, dtype=complex)
        for late in range(early + 1, early + 4 * n):
            total = u[(late - 1) % n] @ total
            p = flip(pa, pb, early, late)
            assert p == pytest.approx(abs(total[0, 1]) ** 2, abs=1e-12)
            if late - early <= window:
                assert p <= bounds[(late % n) // window]
            if late - early <= 25:
                assert p <= everywhere + 1e-12
    assert everywhere < 0.2


def test_without_decoherence_nothing_is_measured(wavy) -> None:
    for waiting in ("exponential", "deterministic"):
        result = run_dynamics(
            wavy(), waiting=waiting, duration=1000.0, dephasing_time=np.inf, n_trajectories=50, n_times=5
        )
        assert (result.populations[:, 1] == 1).all()
        assert result.lifetime.value == np.inf
        assert "nothing decays" in result.lifetime.note

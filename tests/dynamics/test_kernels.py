"""Plain NumPy twins of the kernels: hop probabilities, their acceptance, and walks on the same random numbers.

Arrays agree to rounding (1e-12); walks draw the same numbers as the kernels, so counts are the same to the last trajectory.
"""

import functools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hopcast.core.errors import ConfigError
from hopcast.core.units import HBAR, KB
from hopcast.dynamics import propagators
from hopcast.dynamics.loop import Window, apply, boltzmann, follow, pack
from hopcast.dynamics.methods import METHODS, decoherent, flux, global_flux, markov, shared
from hopcast.dynamics.methods.events import Tally, count_hop
from hopcast.dynamics.problem import Settings, prepare
from hopcast.dynamics.randomness import open_stream, uniform
from hopcast.dynamics.tiles import multiply

SIZES = {"seed": st.integers(0, 2**31), "k": st.integers(2, 6), "n": st.integers(1, 5)}
BETA = 1.0 / (KB * 700.0)


def random_window(seed: int, k: int, n: int, substep: float = 0.7) -> Window:
    """Normalised amplitudes, energies out of order and complex anti-Hermitian couplings, all at random."""
    rng = np.random.default_rng(seed)
    c = rng.normal(size=(2 * n + 1, k)) + 1j * rng.normal(size=(2 * n + 1, k))
    c /= np.linalg.norm(c, axis=1, keepdims=True)
    c[0] = np.eye(k)[rng.integers(k)]  # some states are empty, as at the start of a run
    nac = 0.1 * (rng.normal(size=(n, k, k)) + 1j * rng.normal(size=(n, k, k)))
    nac -= nac.conj().swapaxes(1, 2)
    return Window(c, rng.normal(size=(n, k)), nac, substep, 0, n, 1)


@settings(max_examples=50, deadline=None)
@given(**SIZES)
def test_fewest_switches(seed, k, n) -> None:
    window = random_window(seed, k, n)
    c, d = window.amplitudes, window.nac / HBAR
    simpson = [
        sum(
            w * np.real(c[i:][: 2 * n : 2].conj()[:, :, None] * c[i:][: 2 * n : 2][:, None] * d)
            for i, w in enumerate((1 / 6, 4 / 6, 1 / 6))
        )
    ][0]
    before = np.abs(c[0 : 2 * n : 2]) ** 2
    expected = np.maximum(2 * window.substep * simpson, 0)
    expected = np.divide(expected, before[:, :, None], out=np.zeros_like(expected), where=before[:, :, None] > 1e-300)
    expected[:, np.arange(k), np.arange(k)] = 0
    np.testing.assert_allclose(flux.hop_probabilities(window), expected, rtol=1e-9, atol=1e-12)


@settings(max_examples=50, deadline=None)
@given(**SIZES)
def test_global_flux(seed, k, n) -> None:
    window = random_window(seed, k, n)
    p = np.abs(window.amplitudes[::2]) ** 2
    change, before = np.diff(p, axis=0), p[:-1]
    gain, loss = np.maximum(change, 0), np.maximum(-change, 0)
    share = gain / np.maximum(loss.sum(axis=1, keepdims=True), 1e-300)  # loss = gain: the norm is kept
    away = np.divide(loss, before, out=np.zeros_like(loss), where=before > 1e-300)
    np.testing.assert_allclose(
        global_flux.hop_probabilities(window), away[:, :, None] * share[:, None], rtol=1e-9, atol=1e-12
    )


@settings(max_examples=50, deadline=None)
@given(**SIZES)
def test_markov_state(seed, k, n) -> None:
    window = random_window(seed, k, n)
    expected = [[np.abs(window.amplitudes[2 * s + 2]) ** 2] * k for s in range(n)]
    np.testing.assert_allclose(markov.hop_probabilities(window), expected, atol=1e-15)


def accepted(g: np.ndarray, energies: np.ndarray, beta: float) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of accepted hops and the hazard of leaving, the plain way."""
    k = g.shape[1]
    g = np.where(np.eye(k, dtype=bool), 0.0, g)
    g = g / np.maximum(g.sum(axis=2, keepdims=True), 1.0)
    rise = energies[:, None, :] - energies[:, :, None]
    g = g * np.exp(-beta * np.maximum(rise, 0.0))
    hazard = np.cumsum(-np.log1p(-np.minimum(g.sum(axis=2), 1 - 1e-16)), axis=0)
    return g, np.concatenate([np.zeros((1, k)), hazard]).T


@settings(max_examples=50, deadline=None)
@given(**SIZES, beta=st.sampled_from([0.0, BETA, 40.0]))
def test_acceptance(seed, k, n, beta) -> None:
    rng = np.random.default_rng(seed)
    g = rng.exponential(0.3, size=(n, k, k)) * (rng.random((n, k, k)) < 0.7)  # some rows add up to more than one
    energies = rng.normal(scale=0.2, size=(n, k))
    expected, expected_hazard = accepted(g, energies, beta)
    hazard = np.zeros((k, n + 1))
    shared._accept(g, energies, beta, hazard)
    np.testing.assert_allclose(g, expected, rtol=1e-12, atol=1e-15)
    stays, expected_stays = (np.exp(-np.diff(each, axis=1)) for each in (hazard, expected_hazard))
    np.testing.assert_allclose(stays, expected_stays, atol=1e-13)  # the logarithm of nearly nothing is all rounding


@settings(max_examples=50, deadline=None)
@given(**SIZES)
def test_products_with_vectors(seed, k, n) -> None:
    rng = np.random.default_rng(seed)
    u = np.linalg.qr(rng.normal(size=(n, k, k)) + 1j * rng.normal(size=(n, k, k)))[0]
    c = rng.normal(size=k) + 1j * rng.normal(size=k)
    path = np.empty((2 * n + 1, k), dtype=complex)
    follow(u, c, path)
    expected = [c / np.linalg.norm(c)]
    for half in np.repeat(u, 2, axis=0):
        expected.append(half @ expected[-1])
    np.testing.assert_allclose(path, expected, atol=1e-12)
    width = -(-k // 4) * 4
    real, imag = pack(u, width)
    assert not real[:, :, k:].any()
    cr, ci = np.empty(width), np.empty(width)
    apply(real[0], imag[0], c.real.copy(), c.imag.copy(), cr, ci)
    np.testing.assert_allclose((cr + 1j * ci)[:k], u[0] @ c, atol=1e-12)


def problem_of(ham, method: str, **options):
    settings = {
        "rule": "consistent",
        "waiting": "exponential",
        "duration": 90.0,
        "temperature": 700.0,
        "dephasing_time": 7.0,
        "initial_state": ham.n_states - 1,
        "initial_times": [5],
        "absorbing": False,
        "n_trajectories": 60,
        "n_times": 10,
        "random_state": 3,
        "tau_convention": "gaussian",
        "coupling_interpolation": "linear",
        "substeps": None,
        "loop": True,
        "workers": 1,
        "fit_window": None,
        "chunk_trajectories": 1000,
        "progress": None,
    }
    return prepare(ham, Settings(method=METHODS[method], **{**settings, **options}))


class Walk:
    """One trajectory that visits every sub-step of a problem with one start, on the kernel's stream of random numbers."""

    def __init__(self, problem, number: int, waits: bool = True) -> None:
        self.grid, starts = problem.grid, problem.starts
        self.state, self.increment = map(np.uint64, open_stream(problem.random_state, int(starts.key[0]), number))
        self.halves = propagators(self.grid, fraction=0.5)
        self.energies, self.nac = self.grid.interpolate(0, self.grid.n_steps)
        self.active = int(starts.state[0])
        self.c = np.eye(problem.n_states, dtype=complex)[self.active]
        self.first, self.outputs = int(starts.frame[0]), problem.output_steps
        self.absorbing = problem.absorbing
        self.left = -np.log(self.random()) if waits else 0.0

    def random(self) -> float:
        state, u = uniform(self.state, self.increment)
        self.state = np.uint64(state)
        return u

    def path(self, substep) -> list[int]:
        """Active state at each output, moving by `substep(half propagator, energies, couplings)`."""
        found = [self.active]
        for step in range(int(self.outputs[-1])):
            at = (self.first + step) % self.grid.n_steps
            for s in range(self.grid.n_substeps):
                if not (self.absorbing and self.active == 0):
                    substep(self.halves[at, s], self.energies[at, s], self.nac[at, s] / HBAR)
            if step + 1 in self.outputs:
                found.append(self.active)
        return found


def pick(weights: np.ndarray, u: float) -> int:
    """First state at which the cumulated weights pass `u` times their sum."""
    passed = np.flatnonzero((np.cumsum(weights) > u * weights.sum()) & (weights > 0))
    return int(passed[0]) if passed.size else int(np.flatnonzero(weights)[-1])


def counts_of(paths: list[list[int]], k: int) -> np.ndarray:
    return np.mean([np.eye(k)[path] for path in paths], axis=0)


@pytest.mark.parametrize("absorbing", [False, True])
@pytest.mark.parametrize("imaginary", [0.0, 0.7])
@pytest.mark.parametrize("method", ["msdm", "ida"])
def test_decoherent_walk(ladder, method, imaginary, absorbing) -> None:
    ham = ladder(imaginary=imaginary, scale=0.05, spacing=0.06)
    tau = np.add.outer(np.arange(4), np.arange(4)) + 5.0
    problem = problem_of(ham, method, absorbing=absorbing, dephasing_time=tau)
    h, k = problem.grid.substep, 4

    def substep(walk: Walk, half: np.ndarray, energies: np.ndarray, d: np.ndarray) -> None:
        path, me = [walk.c, half @ walk.c, half @ half @ walk.c], walk.active
        flow = sum(w * np.real(c[me].conj() * c * d[me]) for w, c in zip((1, 4, 1), path, strict=True)) / 6
        g = np.maximum(2 * h * flow / abs(path[0][me]) ** 2, 0) if abs(path[0][me]) > 1e-150 else np.zeros(k)
        g[me] = 0
        g /= max(g.sum(), 1.0)
        accept = np.exp(-BETA * np.maximum(energies - energies[me], 0))
        if method == "msdm":
            g *= accept
        walk.c, new = path[-1], me
        walk.left += np.log1p(-min(g.sum(), 1 - 1e-16))
        if walk.left <= 0:
            new = pick(g, walk.random())
            if method == "ida" and energies[new] > energies[me] and walk.random() >= accept[new]:
                new = me
            walk.left = -np.log(walk.random())
            if method == "ida":
                walk.c = np.eye(k, dtype=complex)[new]
        walk.active = new
        if method == "msdm":
            others = np.arange(k) != new
            walk.c = np.where(others, walk.c * np.exp(-h / tau[:, new]), walk.c)
            kept = 1 - np.sum(np.abs(walk.c[others]) ** 2)
            walk.c[new] *= np.sqrt(kept) / abs(walk.c[new])

    paths = []
    for number in range(problem.n_trajectories):
        walk = Walk(problem, number)
        paths.append(walk.path(lambda *arguments, walk=walk: substep(walk, *arguments)))
    found = METHODS[method](problem)
    np.testing.assert_allclose(found.mean, counts_of(paths, k), atol=1e-12)
    assert found.n_hops > 20


@pytest.mark.parametrize("absorbing", [False, True])
@pytest.mark.parametrize("method", ["fssh", "gfsh", "mssh"])
def test_shared_walk(ladder, method, absorbing) -> None:
    module = {"fssh": flux, "gfsh": global_flux, "mssh": markov}[method]
    ham = ladder(scale=0.05, spacing=0.06)
    problem = problem_of(ham, method, absorbing=absorbing)

    def substep(walk: Walk, half: np.ndarray, energies: np.ndarray, d: np.ndarray) -> None:
        path = np.array([walk.c, half @ walk.c, half @ half @ walk.c])
        window = Window(path, energies[None], d[None] * HBAR, problem.grid.substep, 0, 1, 1)
        g, hazard = accepted(module.hop_probabilities(window), energies[None], BETA)
        walk.c = path[-1]
        walk.left -= hazard[walk.active, 1]
        if walk.left <= 0:
            walk.active = pick(g[0, walk.active], walk.random())
            walk.left = -np.log(walk.random())

    def follow_all(walk: Walk) -> list[int]:
        def step(*arguments) -> None:
            substep(walk, *arguments)

        return walk.path(step)

    found = METHODS[method](problem)
    paths = [follow_all(Walk(problem, number)) for number in range(problem.n_trajectories)]
    np.testing.assert_allclose(found.mean, counts_of(paths, 4), atol=1e-12)
    assert found.n_hops > 20


class Events(Walk):
    """A trajectory of DISH that looks at its clocks in every sub-step."""

    def __init__(self, problem, number: int) -> None:
        self.exponential, self.rule = problem.waiting == "exponential", problem.rule
        super().__init__(problem, number, self.exponential)
        self.rates = problem.grid.substep * problem.stride / problem.tau
        if not self.exponential:
            self.halves = propagators(self.grid, split=True)  # whole sub-steps
        self.bound = self.rates.sum(axis=0).max()
        self.at, self.clocks = 0, np.zeros(problem.n_states)
        self.following = 1 + self.left // self.bound

    def due(self) -> np.ndarray:
        """States whose coherence ends now."""
        p, k = np.abs(self.c) ** 2, self.c.size
        if self.exponential:
            hazard = (self.rates @ p).sum()
            if self.at < self.following or self.random() * -np.expm1(-self.bound) >= -np.expm1(-hazard):
                return np.zeros(k, dtype=bool)
            partners, u = p * self.rates.sum(axis=0), self.random()
            j = pick(partners, u)  # what is left of the number after the partner picks the state
            rest = (u * partners.sum() - partners[:j].sum()) / partners[j]
            return np.arange(k) == pick(self.rates[:, j], rest)
        due = (self.at - self.clocks) * (self.rates @ p) >= 1 - 1e-12
        if self.rule == "hefei" and due.sum() > 1:
            due = np.arange(k) == np.flatnonzero(due)[int(self.random() * due.sum())]
        return due

    def accepted(self, energies: np.ndarray, new: int) -> bool:
        rise = energies[new] - energies[self.active]
        return rise <= 0 or self.random() < np.exp(-BETA * rise)

    def measure(self, energies: np.ndarray, due: np.ndarray) -> None:
        """Rule `consistent`: one measurement of the due states, or none of them."""
        p, pure = np.abs(self.c) ** 2, np.eye(self.c.size, dtype=complex)
        self.clocks[due] = self.at
        passed = np.flatnonzero(due & (self.random() < np.cumsum(np.where(due, p, 0))))
        if passed.size:
            if passed[0] != self.active and self.accepted(energies, passed[0]):
                self.active = passed[0]
            self.c = pure[self.active]
            return
        if due[self.active]:
            new = pick(np.where(due, 0, p), self.random())
            if not self.accepted(energies, new):
                self.c = pure[self.active]
                return
            self.active = new
        self.c = np.where(due, 0, self.c) / np.sqrt(p[~due].sum())

    def scan(self, energies: np.ndarray, due: np.ndarray) -> None:
        """Rules `hefei` and `pyxaid`: due states act one after the other, until one collapses the amplitudes."""
        for i in np.flatnonzero(due):
            p = np.abs(self.c) ** 2
            if self.random() < p[i] * np.exp(-BETA * max(energies[i] - energies[self.active], 0)):
                self.active, self.c = i, np.eye(p.size, dtype=complex)[i]
                self.clocks[i] = self.at if self.rule == "hefei" else self.clocks[i]
                return
            self.clocks[i] = self.at
            if np.delete(p, i).sum() > 1e-28:
                self.c = np.where(np.arange(p.size) == i, 0, self.c) / np.sqrt(np.delete(p, i).sum())

    def substep(self, half: np.ndarray, energies: np.ndarray, d: np.ndarray) -> None:
        self.c, self.at = half @ (half @ self.c if self.exponential else self.c), self.at + 1
        due = self.due()
        if due.any():
            (self.measure if self.rule == "consistent" else self.scan)(energies, due)
        if self.exponential and self.at >= self.following:
            self.following = self.at + 1 + -np.log(self.random()) // self.bound


@pytest.mark.parametrize("absorbing", [False, True])
@pytest.mark.parametrize("waiting", ["exponential", "deterministic"])
@pytest.mark.parametrize("rule", ["consistent", "hefei", "pyxaid"])
def test_walk_from_event_to_event(ladder, rule, waiting, absorbing) -> None:
    ham = ladder(scale=0.05, spacing=0.06, imaginary=0.4)
    tau = np.add.outer(np.arange(4), np.arange(4)) + 5.0
    problem = problem_of(ham, "dish", rule=rule, waiting=waiting, absorbing=absorbing, dephasing_time=tau)
    walks = [Events(problem, number) for number in range(problem.n_trajectories)]
    found = METHODS["dish"](problem)
    np.testing.assert_allclose(found.mean, counts_of([walk.path(walk.substep) for walk in walks], 4), atol=1e-12)
    assert found.n_hops > 20


class StepEvents(Events):
    """A trajectory of DISH that looks at its clocks once a nuclear step."""

    def __init__(self, problem, number: int) -> None:
        super().__init__(problem, number)
        moves = propagators(self.grid, split=not self.exponential)
        self.steps = [functools.reduce(lambda whole, u: u @ whole, step) for step in moves]

    def path(self, substep) -> list[int]:
        found, identity = [self.active], np.eye(self.c.size)
        for step in range(int(self.outputs[-1])):
            at = (self.first + step) % self.grid.n_steps
            if not (self.absorbing and self.active == 0):
                self.c = self.steps[at] @ self.c
                substep(identity, self.energies[at].mean(axis=0), self.nac[at, 0])
            if step + 1 in self.outputs:
                found.append(self.active)
        return found


@pytest.mark.parametrize("waiting", ["exponential", "deterministic"])
@pytest.mark.parametrize("rule", ["hefei", "pyxaid"])
def test_decisions_each_nuclear_step(ladder, rule, waiting) -> None:
    ham = ladder(scale=0.05, spacing=0.06)
    options = {"rule": rule, "waiting": waiting, "dephasing_time": 5.0, "substeps": 4, "decisions": "nuclear step"}
    problem = problem_of(ham, "dish", **options)
    walks = [StepEvents(problem, number) for number in range(problem.n_trajectories)]
    found = METHODS["dish"](problem)
    np.testing.assert_allclose(found.mean, counts_of([walk.path(walk.substep) for walk in walks], 4), atol=1e-12)
    assert found.n_hops > 10
    with pytest.raises(ConfigError, match='`exact` needs `decisions="sub-step"`'):
        problem_of(ladder(n_states=2), "exact", initial_state=1, dephasing_time=5.0, decisions="nuclear step")


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 99), n=st.integers(1, 13), k=st.integers(1, 13), width=st.sampled_from([8, 16, 24, 64]))
def test_tiles(seed, n, k, width) -> None:
    rng = np.random.default_rng(seed)
    a, x = rng.normal(size=(n, k)), rng.normal(size=(k, width))
    out = np.full((n, width), np.nan)
    multiply(a, x, out)
    np.testing.assert_allclose(out, a @ x, atol=1e-13)
    turned, wide = np.empty((n, width)), np.zeros((k, 3 * width))
    wide[:, width : 2 * width] = x[:, ::-1]
    multiply(a, wide[:, width : 2 * width], turned)
    np.testing.assert_array_equal(turned[:, ::-1], out)  # the same bits wherever a column lies


def test_recorded_hops_reach_every_later_output() -> None:
    steps, flows, arrivals = (np.zeros(shape, dtype=np.int64) for shape in ((2, 4, 3), (3, 3), (4, 3)))
    tally = Tally(steps, flows, arrivals, np.zeros(4, bool), np.array([0, 3, 7]))
    for elapsed, first in ((0, 0), (1, 1), (3, 1), (4, 2), (8, 3)):
        steps[:], flows[:], arrivals[:], tally.arrived[:] = 0, 0, 0, False
        count_hop(tally, 3, elapsed, 2, 0)
        expected = np.zeros((3, 3), dtype=np.int64)
        expected[first:, 2], expected[first:, 0] = -1, 1
        np.testing.assert_array_equal(np.cumsum(steps, axis=1)[1, :-1], expected)
        assert not steps[0].any()
        assert flows[2, 0] == flows.sum() == 1
        assert arrivals[first, 2] == arrivals.sum() == 1
        count_hop(tally, 3, 8, 1, 0)
        assert flows[1, 0] == arrivals.sum() == 1  # it has been there


def test_boltzmann_factor() -> None:
    assert boltzmann(0.3, 0.1, BETA) == pytest.approx(np.exp(-0.2 * BETA))
    assert boltzmann(0.1, 0.3, BETA) == boltzmann(0.3, 0.1, 0.0) == 1.0


def test_flow_of_the_active_state() -> None:
    window = random_window(5, 4, 1)
    c, d = window.amplitudes[1], window.nac[0]
    real, imag = pack(window.nac, 4)
    for me in range(4):
        found = np.zeros(4)
        decoherent._flow(c.real[None].copy(), c.imag[None].copy(), me, me + 1, real[0], imag[0], 1.0, found)
        np.testing.assert_allclose(found, np.real(c[me].conj() * c * d[me]), atol=1e-14)

"""Dynamics of degenerate blocks: equal to the single model doubled, unchanged by rotations inside pairs at every frame."""

import dataclasses
import itertools

import numpy as np
import pytest
from kramers_model import doubled, general_pairs, rotated, rotations, single_model
from numpy.testing import assert_allclose

from hopcast.core import InputError, VibronicHamiltonian
from hopcast.core.errors import QualityWarning
from hopcast.core.units import KB
from hopcast.couplings import derive_couplings
from hopcast.dynamics import (
    dephasing_matrix,
    electron_hole_hamiltonian,
    local_rate,
    rate_matrices,
    redfield_rate,
    run_dynamics,
)
from hopcast.dynamics.block_maps import block_ensemble, block_stationary
from hopcast.dynamics.methods import METHODS
from hopcast.dynamics.problem import Settings, prepare
from hopcast.dynamics.propagation import balanced, split_propagators, substep_grid
from hopcast.dynamics.randomness import open_stream, uniform

SAMPLED = ("fssh", "gfsh", "mssh", "bl-lz", "ehrenfest", "msdm", "ida", "dish")


def derived(ham):
    return derive_couplings(ham.with_blocks())


def problem_of(ham, method, **changes):
    options = {
        "rule": "consistent",
        "waiting": "exponential",
        "duration": 120.0,
        "temperature": 300.0,
        "dephasing_time": 8.0,
        "initial_state": ham.n_blocks - 1,
        "initial_times": [0, 17, 35],
        "absorbing": False,
        "n_trajectories": 200,
        "n_times": 60,
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
    return prepare(ham, Settings(method=METHODS[method], **(options | changes)))


@pytest.mark.parametrize("absorbing", [True, False])
@pytest.mark.parametrize("seed", [None, 4])
def test_exact_ensemble_of_pairs_is_that_of_the_single_model(absorbing, seed):
    options = {
        "method": "exact",
        "duration": 2e4,
        "dephasing_time": 8.0,
        "absorbing": absorbing,
        "temperature": 3000.0,
        "n_times": 50,
    }
    single = run_dynamics(derived(single_model(gap=0.5)), **options)
    double = run_dynamics(derived(doubled(single_model(gap=0.5), seed)), **options)
    assert_allclose(double.populations, single.populations, atol=1e-10)
    assert_allclose(double.local_rate, single.local_rate, rtol=1e-7)
    assert_allclose(double.lifetime.value, single.lifetime.value, rtol=1e-8)
    assert double.states == ("VBM pair", "CBM pair")
    assert double.populations[-1, 1] < 0.9


@pytest.mark.parametrize("absorbing", [True, False])
def test_exact_ensemble_is_invariant_and_keeps_populations(absorbing):
    ham = general_pairs(gap=0.4)
    options = {
        "method": "exact",
        "duration": 5e3,
        "dephasing_time": 8.0,
        "absorbing": absorbing,
        "temperature": 2000.0,
        "n_times": 50,
    }
    found = [run_dynamics(derived(each), **options) for each in (ham, rotated(ham, 1), rotated(ham, 2))]
    for other in found[1:]:
        assert_allclose(other.populations, found[0].populations, atol=1e-10)
        assert_allclose(other.local_rate, found[0].local_rate, rtol=1e-8)
    ensemble = block_ensemble(substep_grid(balanced(derived(ham))), (2, 2), 8.0, temperature=2000.0, absorbing=False)
    trace = ensemble.row + np.roll(ensemble.row, 16)
    for step in ensemble.maps:
        assert_allclose(trace @ step, trace, atol=1e-12)
    vector = block_stationary(ensemble)[2]
    whole = np.linalg.multi_dot(ensemble.maps[::-1])
    assert_allclose(whole @ vector, vector, atol=1e-10)


@pytest.mark.parametrize("method", SAMPLED)
def test_methods_follow_the_single_model(method):
    """The same random numbers, the same hops: counts are equal, not only near."""
    single = METHODS[method](problem_of(derived(single_model(3, gap=0.4)), method))
    for seed in (None, 2):
        double = METHODS[method](problem_of(derived(doubled(single_model(3, gap=0.4), seed)), method))
        assert_allclose(double.mean, single.mean, atol=1e-10)
        if single.counts is not None:
            np.testing.assert_array_equal(double.counts, single.counts)
            np.testing.assert_array_equal(double.flows, single.flows)
    if method != "bl-lz":
        assert single.mean[:, 0].max() > 0.001


@pytest.mark.parametrize("method", SAMPLED)
def test_methods_are_invariant(method):
    ham = general_pairs(3, gap=0.4)
    found = [METHODS[method](problem_of(derived(each), method)) for each in (ham, rotated(ham, 5))]
    assert_allclose(found[1].mean, found[0].mean, atol=1e-10)


@pytest.mark.parametrize("method", SAMPLED)
def test_blocks_of_one_change_no_bit(method):
    plain = problem_of(derived(single_model(3, gap=0.4)), method)
    blocks = dataclasses.replace(plain, multiplicities=(1, 1, 1))
    np.testing.assert_array_equal(METHODS[method](blocks).mean, METHODS[method](plain).mean)


def test_rates_between_pairs_are_those_of_the_single_model():
    single = derived(single_model(3, n_frames=400))
    for seed in (None, 6):
        double = derived(doubled(single_model(3, n_frames=400), seed))
        assert_allclose(dephasing_matrix(double), dephasing_matrix(single), rtol=1e-12)
        assert_allclose(rate_matrices(double, 8.0, 2000.0), rate_matrices(single, 8.0, 2000.0), rtol=1e-9, atol=1e-18)
        two, pairs = single.select([0, 1]), double.select([0, 1, 2, 3])
        assert_allclose(local_rate(pairs, 8.0, "second_order"), local_rate(two, 8.0, "second_order"), rtol=1e-9)
        assert_allclose(local_rate(pairs, 8.0), local_rate(two, 8.0), rtol=1e-6)


def test_golden_rule_of_pairs():
    rng = np.random.default_rng(0)
    noise = np.convolve(rng.normal(size=2000), np.exp(-np.arange(30) / 5.0), mode="valid")
    gap = 0.5 + 0.1 * noise / noise.std()
    coupling = 0.01 * np.cos(np.arange(gap.size - 1) / 9.0)
    energies = np.stack([np.zeros_like(gap), gap], axis=1)
    nac = coupling[:, None, None] * np.array([[0.0, 1.0], [-1.0, 0.0]])
    single = VibronicHamiltonian(energies, nac, 1.0)
    double = VibronicHamiltonian(np.repeat(energies, 2, axis=1), np.kron(nac, np.eye(2)), 1.0).with_blocks()
    assert_allclose(redfield_rate(double), redfield_rate(single), rtol=1e-12)


def test_unequal_blocks_obey_detailed_balance():
    """A pair above a quartet: each partner counts at equilibrium."""
    rng = np.random.default_rng(2)
    energies = np.repeat([[0.0, 0.1]] * 31, [4, 2], axis=1)
    nac = 0.003 * (rng.normal(size=(30, 6, 6)) + 1j * rng.normal(size=(30, 6, 6)))
    nac = nac - nac.conj().swapaxes(1, 2)
    ham = VibronicHamiltonian(energies, nac, 1.0, n_occupied=4).with_blocks()
    assert ham.multiplicities == (4, 2)
    k = rate_matrices(ham, 8.0, 1000.0).mean(axis=0)
    assert_allclose(k[1, 0] / k[0, 1], 2 / 4 * np.exp(-0.1 / (KB * 1000.0)), rtol=1e-9)


def test_a_thermal_start_counts_partners():
    ham = derived(doubled(single_model(3, gap=0.3)))
    odd = dataclasses.replace(ham, multiplicities=(2, 4), n_occupied=2)
    starts = problem_of(odd, "fssh", initial_state="thermal", initial_times=[0]).starts
    rise = KB * 300.0 * np.log(2 * starts.share[0] / starts.share[1])
    assert_allclose(rise, odd.gap()[0], rtol=1e-9)


def test_a_pair_without_its_partner_is_refused():
    ham = derived(doubled(single_model(3)))
    cut = dataclasses.replace(
        ham,
        energies=ham.energies[:, :5],
        nac=ham.nac[:, :5, :5],
        overlaps=None,
        state_labels=(),
        multiplicities=(2, 2, 1),
    )
    with pytest.raises(
        InputError, match=r"window of 5 states cuts one: CBM\+1 has no partner|cuts one: 4 has no partner"
    ):
        run_dynamics(cut, duration=50.0)


@pytest.mark.parametrize("method", ["exact", "fssh"])
def test_couplings_without_a_common_basis_go_by_their_norms(method):
    """Random bases at every step and no overlaps: the same populations, and a word about it."""
    plain = derived(general_pairs(gap=0.4))
    found = []
    for seed in (0, 1):
        turns = rotations(plain.n_steps, 2, seed)
        ham = dataclasses.replace(plain, nac=turns.conj().swapaxes(1, 2) @ plain.nac @ turns, overlaps=None)
        with pytest.warns(QualityWarning, match="another basis at every step"):
            found.append(
                run_dynamics(ham, method=method, duration=200.0, dephasing_time=8.0, n_trajectories=5, n_times=20)
            )
    assert_allclose(found[0].populations, found[1].populations, atol=1e-10)
    assert found[0].states == ("VBM pair", "CBM pair")


def test_determinants_of_pairs_are_refused():
    ham = derived(doubled(single_model(3)))
    with pytest.raises(InputError, match=r"Determinants need states that are single, but VBM pair is degenerate"):
        electron_hole_hamiltonian(ham, [0], [1])
    assert electron_hole_hamiltonian(ham.merged(), [0], [1, 2]).n_states == 3


def test_a_splitting_is_said():
    ham = derived(doubled(single_model(gap=0.5)))
    energies = ham.energies.copy()
    energies[9, 3] += 0.01
    with pytest.warns(QualityWarning, match=r"CBM pair count as degenerate, but split by up to 10 meV \(frame 9\)"):
        run_dynamics(dataclasses.replace(ham, energies=energies), method="exact", duration=200.0)


DISH = [(rule, waiting) for rule in ("consistent", "hefei", "pyxaid") for waiting in ("exponential", "deterministic")]


@pytest.mark.parametrize(("rule", "waiting"), DISH)
def test_dish_between_pairs(rule, waiting):
    """The single model's populations, and the same counts in any basis."""
    options = {"rule": rule, "waiting": waiting, "temperature": 3000.0, "duration": 100.0}
    single = METHODS["dish"](problem_of(derived(single_model(3, gap=0.4)), "dish", **options))
    found = [
        METHODS["dish"](problem_of(derived(doubled(single_model(3, gap=0.4), seed)), "dish", **options))
        for seed in (None, 2)
    ]
    np.testing.assert_array_equal(found[0].counts, found[1].counts)
    np.testing.assert_array_equal(found[0].counts, single.counts)  # the same random numbers
    ham = general_pairs(3, gap=0.4)
    spins = [METHODS["dish"](problem_of(derived(each), "dish", **options)) for each in (ham, rotated(ham, 5))]
    np.testing.assert_array_equal(spins[0].counts, spins[1].counts)


class Walk:
    """A trajectory of DISH between blocks with deterministic clocks, every sub-step visited: copies of all amplitudes as rows."""

    def __init__(self, problem, i, number):
        self.problem, self.hefei = problem, problem.rule == "hefei"
        starts = problem.starts
        self.first, self.active = int(starts.frame[i]), int(starts.state[i])
        self.stream = open_stream(problem.random_state, int(starts.key[i]), number)
        self.clocks = np.zeros(problem.n_states)
        self.blocks = [np.arange(a, b) for a, b in itertools.pairwise(problem.edges)]
        self.rates = 1.0 / problem.tau * (1 - np.eye(problem.n_states)) * problem.grid.substep
        self.c = self.alike(self.active)

    def random(self):
        state, u = uniform(*map(np.uint64, self.stream))
        self.stream = (state, self.stream[1])
        return u

    def alike(self, block):
        inside = self.blocks[block]
        return np.eye(self.problem.edges[-1], dtype=complex)[inside] / np.sqrt(inside.size)

    def populations(self):
        return np.array([(np.abs(self.c[:, inside]) ** 2).sum() for inside in self.blocks])

    def look(self, at, energies):
        p = self.populations()
        due = np.flatnonzero((at - self.clocks) * (self.rates @ p) >= 1 - 1e-12)
        if self.hefei and due.size > 1:
            due = due[[int(self.random() * due.size)]]
        for i in due:
            p = self.populations()
            kept = np.isin(np.arange(self.c.shape[1]), self.blocks[i])
            if self.random() < p[i] * np.exp(-max(energies[i] - energies[self.active], 0) / (KB * 3000.0)):
                self.active, self.c = i, self.c * kept / np.sqrt(p[i])
                self.clocks[i] = at if self.hefei else self.clocks[i]
                return
            self.clocks[i] = at
            if p.sum() - p[i] > 1e-28:
                self.c = self.c * ~kept / np.sqrt(p.sum() - p[i])

    def path(self):
        grid = self.problem.grid
        phases, rotations, energies = split_propagators(grid, 0, grid.n_steps)
        found = [self.active]
        for step in range(int(self.problem.output_steps[-1])):
            at = (self.first + step) % grid.n_steps
            for s in range(grid.n_substeps):
                self.c = (self.c * phases[at, s]) @ rotations[at, s].T * phases[at, s]
                self.look(step * grid.n_substeps + s + 1, self.problem.state_energies(energies[at, s][None])[0])
            if step + 1 in self.problem.output_steps:
                found.append(self.active)
        return found


@pytest.mark.parametrize("rule", ["hefei", "pyxaid"])
def test_clocks_of_blocks_against_a_plain_walk(rule):
    ham = derived(general_pairs(3, gap=0.3, turn=0.06))
    problem = problem_of(ham, "dish", rule=rule, waiting="deterministic", temperature=3000.0, n_trajectories=20)
    walks = [
        Walk(problem, i, number).path() for i, n in enumerate(problem.starts.n_trajectories) for number in range(n)
    ]
    found = METHODS["dish"](problem)
    expected = [(np.array(walks) == state).mean(axis=0) for state in range(3)]
    assert_allclose(found.mean.T, expected, atol=1e-12)
    assert found.n_hops > 30
    assert found.recombined is not None


@pytest.mark.parametrize("absorbing", [True, False])
def test_dish_samples_the_exact_ensemble(absorbing):
    ham = derived(rotated(general_pairs(gap=0.3, turn=0.05), 2))
    options = {"absorbing": absorbing, "temperature": 3000.0, "duration": 3000.0, "n_trajectories": 1000}
    sampled = METHODS["dish"](problem_of(ham, "dish", **options))
    expected = run_dynamics(
        ham,
        method="exact",
        dephasing_time=8.0,
        temperature=3000.0,
        absorbing=absorbing,
        duration=3000.0,
        n_times=60,
        initial_times=problem_of(ham, "dish", **options).initial_steps,
    )
    sigma = np.sqrt(0.25 / sampled.totals.sum())
    assert np.abs(sampled.mean - expected.populations).max() < 5 * sigma
    assert expected.populations[-1, 1] < 0.8


@pytest.mark.parametrize("method", ["dish", "fssh", "msdm"])
def test_holes_hop_between_pairs(method):
    options = {
        "method": method,
        "carrier": "hole",
        "duration": 100.0,
        "dephasing_time": 8.0,
        "n_trajectories": 50,
        "initial_state": 2,
        "initial_times": [0, 20],
        "n_times": 20,
        "absorbing": False,
        "temperature": 3000.0,
    }
    single = run_dynamics(derived(single_model(3, gap=0.4)), **options)
    double = run_dynamics(derived(doubled(single_model(3, gap=0.4), 1)), **options)
    assert_allclose(double.populations, single.populations, atol=1e-10)
    assert double.states == ("CBM+1 pair", "CBM pair", "VBM pair")

"""Each check on both sides: the fault is found, and sound data beside it are left alone."""

import dataclasses
import importlib.util
from pathlib import Path

import numpy as np
import pytest

import hopcast as hc
from hopcast.core.units import AMU
from hopcast.doctor import check
from hopcast.doctor.nuclei import freedom, temperatures
from hopcast.doctor.seams import numbering

_spec = importlib.util.spec_from_file_location("clean_data", Path(__file__).with_name("clean_data.py"))
clean_data = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(clean_data)
change = dataclasses.replace


@pytest.fixture(scope="module")
def healthy():
    return clean_data.clean()


def verdict_of(found, name):
    return next(v for v in found.verdicts if v.name == name)


def frames_of(path, order, numbers=None):
    return change(
        path,
        positions=path.positions[order],
        velocities=None,
        frame_numbers=None if numbers is None else np.asarray(numbers),
    )


def states_of(ham, order, numbers=None):
    """A Hamiltonian on some frames; a coupling belongs to its first frame."""
    order = np.asarray(order)
    nac = ham.nac[np.minimum(order[:-1], ham.n_steps - 1)]
    return change(
        ham,
        energies=ham.energies[order],
        nac=nac,
        energy_known=None,
        nac_known=None,
        overlaps=None,
        frame_numbers=numbers,
    )


ALL = np.arange(700)
JOINED = {
    "5 frames repeated": np.r_[ALL[:205], ALL[200:]],
    "60 frames repeated": np.r_[ALL[:205], ALL[145:]],
    "the whole file twice": np.r_[ALL[:300], ALL[:300]],
    "one frame repeated": np.r_[ALL[:205], ALL[204:]],
}
TORN = {"20 frames missing": np.r_[ALL[:205], ALL[225:]], "100 frames missing": np.r_[ALL[:205], ALL[305:]]}


@pytest.mark.parametrize("name", JOINED)
def test_frames_that_come_twice(healthy, name):
    ham, path = healthy
    order = JOINED[name]
    first = int(np.flatnonzero(np.diff(order) != 1)[0]) + 1
    found = check(None, frames_of(path, order))
    verdict = verdict_of(found, "duplicate geometries")
    assert verdict.level == "bad"
    assert verdict.frames[0] == first
    assert f"({first} those of {order[first]})" in verdict.finding
    assert "order of atoms" not in found.named()
    verdict = verdict_of(check(states_of(ham, order)), "duplicate frames")
    # energies of one frame may agree by accident in printed digits; those of a stretch do not
    assert verdict.level == "bad"
    assert verdict.frames[0] == first


@pytest.mark.parametrize("name", TORN)
def test_frames_that_are_missing_between_runs(healthy, name):
    _, path = healthy
    order = TORN[name]
    found = check(None, frames_of(path, order))
    verdict = verdict_of(found, "missing geometries")
    assert verdict.level == "bad"
    assert verdict.frames[0] == 204
    assert "order of atoms" not in found.named()
    assert "duplicate geometries" not in found.named()


def test_a_wrapped_restart_is_found_too(healthy):
    """Positions written in the cell: a restart whose frames are images of earlier ones."""
    _, path = healthy
    order = np.r_[ALL[:205], ALL[200:]]
    places = path.positions[order].copy()
    places[205:, 2] += [8.0, 0, -16.0]
    found = check(None, change(path, positions=places, velocities=None))
    assert verdict_of(found, "duplicate geometries").frames == (205, 206, 207, 208, 209)


def test_a_gap_in_a_hamiltonian(healthy):
    """Slow energies across 100 missing frames; and the same energies without a gap."""
    ham, _ = healthy
    times = np.arange(900) * 0.5
    rng = np.random.default_rng(2)
    energies = np.stack(
        [0.15 * np.sin(w * times + p) for w, p in zip(rng.uniform(0.02, 0.05, 4), rng.uniform(0, 6, 4), strict=True)],
        axis=1,
    )
    energies += np.arange(4) * 2.0
    nac = np.zeros((899, 4, 4))
    nac[:, 0, 1], nac[:, 1, 0] = 1e-3, -1e-3
    whole = hc.VibronicHamiltonian(energies, nac, 0.5, n_occupied=1)
    assert "missing frames" not in check(whole).named()
    torn = states_of(whole, np.r_[np.arange(305), np.arange(405, 900)])
    verdict = verdict_of(check(torn), "missing frames")
    assert verdict.level in ("warn", "bad")
    assert verdict.frames[0] == 304
    # a single frame that stands out is a spike, not a seam
    spiked = energies.copy()
    spiked[321, 1] += 0.4
    found = check(change(whole, energies=spiked))
    assert "missing frames" not in found.named()
    assert "spikes" in found.named()
    assert "missing frames" not in check(ham).named()


@pytest.mark.parametrize(
    ("numbers", "level", "words"),
    [
        ([*range(1, 206), *range(201, 401)], "bad", "number 205 (frame 204) is followed by 201: 5 numbers come twice"),
        ([*range(1, 206), *range(1, 201)], "warn", "begin anew after 205 (frame 204): 2 runs are joined"),
        ([*range(1, 206), *range(226, 401)], "bad", "number 205 (frame 204) is followed by 226"),
        ([*range(1, 206), 205, *range(206, 401)], "bad", "number 205 (frame 204) is repeated"),
        (range(1000, 1400), "good", "1000 to 1399 without a gap"),
        (range(0, 4000, 10), "good", "0 to 3990 without a gap"),
    ],
)
def test_numbers_that_begin_anew(healthy, numbers, level, words):
    ham, path = healthy
    numbers = np.array(numbers)
    verdict = numbering(numbers)
    assert verdict.level == level
    assert words in verdict.finding
    part = path[: len(numbers)]
    found = check(None, part, frame_numbers=numbers)
    assert verdict_of(found, "numbering") == verdict
    of_states = check(change(ham[: len(numbers)], frame_numbers=numbers))
    assert verdict_of(of_states, "numbering of states").level == level


def test_white_noise_is_no_change_of_signs():
    """11 states, 3000 steps, 20 % of noise on sound couplings: nothing turns; one real change of sign is found in it, and in few states."""
    rng = np.random.default_rng(0)
    n, steps = 11, 3000
    times = np.arange(steps) + 0.5
    nac = np.zeros((steps, n, n))
    for i in range(n):
        for j in range(i + 1, n):
            w, p, a = rng.uniform(0.02, 0.2, 6), rng.uniform(0, 6.28, 6), rng.normal(size=6)
            nac[:, i, j] = 5e-3 * (a[:, None] * np.cos(w[:, None] * times + p[:, None])).sum(axis=0)
            nac[:, j, i] = -nac[:, i, j]
    gaps = 0.3 + 0.02 * np.sin(np.arange(steps + 1)[:, None] * rng.uniform(0.02, 0.1, n - 1))
    energies = np.cumsum(np.column_stack([np.zeros(steps + 1), gaps]), axis=1)
    noise = rng.normal(size=nac.shape) * 0.2 * np.sqrt((nac**2).mean(axis=0))
    noisy = nac + np.triu(noise, 1) - np.triu(noise, 1).swapaxes(1, 2)
    sound = hc.VibronicHamiltonian(energies, noisy, 1.0, n_occupied=5)
    assert verdict_of(check(sound), "flips").level == "good"
    turned = noisy.copy()
    turned[1700:, 4] *= -1
    turned[1700:, :, 4] *= -1
    verdict = verdict_of(check(change(sound, nac=turned)), "flips")
    assert verdict.level == "bad"
    assert verdict.frames == (1700,)
    clean = check(change(sound, nac=nac))
    assert verdict_of(clean, "flips").level == "good"
    many = noisy * np.where(rng.random((steps, n)) < 0.5, -1, 1)[:, :, None]
    many = np.triu(many, 1) - np.triu(many, 1).swapaxes(1, 2)
    assert verdict_of(check(change(sound, nac=many)), "flips").level == "bad"


def test_frames_of_a_finished_plan_are_no_fault(healthy):
    ham, _ = healthy
    steps = np.arange(10, 690, 20)
    energies, nac = np.full_like(ham.energies, np.nan), np.full_like(ham.nac, np.nan)
    for step in steps:
        energies[step : step + 2], nac[step] = ham.energies[step : step + 2], ham.nac[step]
    plan = change(ham, energies=energies, nac=nac, energy_known=None, nac_known=None)
    found = check(plan)
    verdict = verdict_of(found, "duplicate frames")
    assert verdict.level == "good"
    assert "34 pairs of neighbouring frames are computed, of 700 frames" in verdict.finding
    energies[301] = ham.energies[301]  # its partner failed
    verdict = verdict_of(check(change(plan, energies=energies, energy_known=None)), "duplicate frames")
    assert verdict.level == "warn"
    assert verdict.frames == (301,)
    holes = ham.energies.copy()
    holes[[51, 300]] = np.nan
    verdict = verdict_of(check(change(ham, energies=holes, energy_known=None)), "duplicate frames")
    assert (verdict.level, verdict.frames) == ("warn", (51, 300))


def test_a_spike_is_told_with_quantity_state_and_size(healthy):
    ham, _ = healthy
    energies = ham.energies.copy()
    energies[316, 2] -= 0.25
    verdict = verdict_of(check(change(ham, energies=energies)), "spikes")
    assert verdict.frames == (316,)
    assert "frame 316, energy of state 2 by -2" in verdict.finding
    assert "meV" in verdict.finding
    nac = ham.nac.copy()
    nac[321] *= 60
    labelled = change(ham, nac=nac, state_labels=("60", "VBM", "CBM"), n_occupied=2)
    verdict = verdict_of(check(labelled), "spikes")
    assert "frame 321, coupling of states " in verdict.finding
    assert verdict_of(check(ham), "spikes").level == "good"


def test_what_can_only_be_good_is_not_said(healthy):
    assert "antisymmetry" not in [v.name for v in check(*healthy).verdicts]


def at_temperature(kelvin, periodic, rest, n_atoms=5, n_frames=4000):
    """Velocities of a Boltzmann distribution; without the motion, and the turning, of the whole where it rests."""
    rng = np.random.default_rng(1)
    from ase.data import atomic_masses

    numbers = [6, 1, 1, 8, 1][:n_atoms]
    m = atomic_masses[numbers] * AMU
    home = np.array([[0, 0, 0], [1.1, 0, 0.2], [-0.4, 1.0, 0.1], [0.3, -0.5, 1.3], [-0.9, -0.6, -0.7]])[:n_atoms]
    velocities = rng.normal(size=(n_frames, n_atoms, 3)) * np.sqrt(8.617333262e-5 * kelvin / m)[:, None]
    if rest:
        velocities -= np.einsum("tax,a->tx", velocities, m)[:, None] / m.sum()
    if rest == "turning":
        arms = home - m @ home / m.sum()
        inertia = (m * (arms**2).sum(axis=1)).sum() * np.eye(3) - np.einsum("a,ax,ay->xy", m, arms, arms)
        spin = np.linalg.solve(inertia, np.einsum("tax,a->tx", np.cross(arms, velocities), m).T).T
        velocities -= np.cross(spin[:, None], arms)
    positions = np.broadcast_to(home, velocities.shape) + 1e-4 * rng.normal(size=velocities.shape)
    return hc.Trajectory(positions, 20 * np.eye(3), numbers, 0.5, velocities=velocities, pbc=(periodic,) * 3)


@pytest.mark.parametrize(
    ("periodic", "rest", "expected"),
    [(True, "moving", 12), (True, "", 15), (False, "turning", 9), (False, "moving", 12), (False, "", 15)],
)
def test_the_temperature_counts_what_moves(periodic, rest, expected):
    """300 K whatever is at rest: 3N of a thermostat on all, 3N - 3 of a solid, 3N - 6 of a molecule that does not turn."""
    path = at_temperature(300.0, periodic, rest)
    assert freedom(path) == expected
    assert temperatures(path).mean() == pytest.approx(300.0, rel=0.02)


def test_five_frames_are_no_sample(healthy):
    ham, _ = healthy
    assert "length" not in check(ham).named()
    for n in (3, 5, 10):
        verdict = verdict_of(check(ham[:n]), "length")
        assert verdict.level == "warn"
        assert f"The {n} frames hold about" in verdict.finding
    data = hc.load("cspbi3").hamiltonian
    assert "length" not in check(data).named()

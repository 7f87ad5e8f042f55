"""The doctor names each planted fault, and nothing on clean data; verdicts as text, JSON and page."""

import dataclasses
import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

import hopcast as hc
from hopcast.doctor import check, render, unreadable
from hopcast.doctor.together import lag_scan

_spec = importlib.util.spec_from_file_location("clean_data", Path(__file__).with_name("clean_data.py"))
clean_data = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(clean_data)


@pytest.fixture(scope="module")
def healthy():
    return clean_data.clean()


def change(ham, **changes):
    return dataclasses.replace(ham, **changes)


def test_nothing_is_named_on_clean_data(healthy):
    found = check(*healthy)
    assert found.named() == ()
    assert not found.is_bad
    assert next(v for v in found.verdicts if v.name == "alignment").level == "good"


def verdict_of(found, name):
    return next(v for v in found.verdicts if v.name == name)


def with_valence_bands(ham, depth=(0.866, 0.4)):
    """The three states of the clean data with more states below, as a window of bands has them."""
    below = [ham.energies[:, 0] - sum(depth[:k]) for k in range(len(depth), 0, -1)]
    n = len(below)
    nac = np.zeros((ham.n_steps, 3 + n, 3 + n))
    nac[:, n:, n:] = ham.nac
    for k in range(n):
        nac[:, k, k + 1], nac[:, k + 1, k] = ham.nac[:, 0, 1], -ham.nac[:, 0, 1]
    energies = np.column_stack([*below, ham.energies])
    energies[:, n + 1 :] += 3.0
    return hc.VibronicHamiltonian(energies, nac, ham.timestep)


def test_the_pair_that_is_judged_is_the_largest_mean_gap_and_is_named(healthy):
    """Rutile's kind: the first two states are 0.4 eV apart, the band gap is another pair, and nobody said where it is."""
    ham = with_valence_bands(healthy[0])
    found = check(ham)
    assert not found.is_bad
    pair = verdict_of(found, "pair")
    assert pair.level == "warn"
    assert (
        "judged are states 2 and 3, which have the largest mean gap (4.2 eV, the next has 1.99 eV), as a band gap"
        in pair.finding
    )
    assert "--occupied 3" in pair.fix
    about = ("units", "autocorrelation", "closed gap", "energy drift", "dephasing", "decay", "time step")
    for name in about:
        assert "states 2 and 3" in verdict_of(found, name).finding, name
    assert verdict_of(found, "units").evidence["median_gap_eV"] == pytest.approx(4.2, abs=0.1)
    # the unit shows without the number of occupied states too, for the ratio of gaps has none
    small = check(change(ham, energies=ham.energies / 27.211386))
    assert "Ha" in verdict_of(small, "units").finding
    told = check(change(ham, n_occupied=3))
    assert verdict_of(told, "pair").level == "good"
    assert "pair" not in told.named()
    assert check(ham, pair=(2, 3)).named() == ("time step",)  # 4.2 eV turn fast
    other = check(ham, pair=(0, 1))
    assert "states 0 and 1, as asked for" in verdict_of(other, "pair").finding
    labelled = check(change(ham, n_occupied=3, state_labels=("61", "62", "VBM", "CBM", "70")))
    assert "states 2 (VBM) and 3 (CBM)" in verdict_of(labelled, "units").finding


def test_states_of_one_band_are_not_judged_as_a_band_gap(healthy):
    """Conduction bands 0.1 eV apart: no gap stands out, or it is known that none is among them."""
    ham, _ = healthy
    gaps = np.diff(ham.energies, axis=1)
    band = np.cumsum(np.column_stack([0 * gaps[:, :1], 0.1 + 0.02 * (gaps - gaps.mean(axis=0))]), axis=1)
    for occupied in (None, 0):
        found = check(change(ham, energies=band, n_occupied=occupied))
        assert not {"units", "dephasing", "closed gap"} & set(found.named()), found.to_text()
    assert "does not stand out" in verdict_of(check(change(ham, energies=band, n_occupied=None)), "pair").finding


def energies_in_hartree(ham, path):
    return change(ham, energies=ham.energies / 27.211386), path


def energies_multiplied(ham, path):
    return change(ham, energies=ham.energies * 27.211386), path


def couplings_not_divided(ham, path):
    return change(ham, nac=ham.nac * 400), path


def couplings_zero(ham, path):
    return change(ham, nac=np.zeros_like(ham.nac)), path


def couplings_a_thousandth(ham, path):
    return change(ham, nac=ham.nac / 1000), path


def couplings_of_constant_energies(ham, path):
    """A gap that hardly moves beside couplings that need moving nuclei."""
    mean = ham.energies.mean(axis=0)
    return change(ham, energies=mean + 3e-3 * (ham.energies - mean)), path


def random_signs(ham, path):
    signs = np.random.default_rng(0).choice([-1.0, 1.0], (len(ham.nac), 3))
    return change(ham, nac=ham.nac * signs[:, :, None] * signs[:, None, :]), path


def one_flip(ham, path):
    nac = ham.nac.copy()
    # a step at which the coupling is large, so that the jump can be seen
    step = int(np.argmax(np.abs(nac[100:-100, 0, 1]))) + 100
    nac[step:, 0] *= -1
    nac[step:, :, 0] *= -1
    return change(ham, nac=nac), path


def swapped_states(ham, path):
    energies, nac = ham.energies.copy(), ham.nac.copy()
    energies[200:] = energies[200:][:, [1, 0, 2]]
    nac[200:] = nac[200:][:, [1, 0, 2]][:, :, [1, 0, 2]]
    return change(ham, energies=energies, nac=nac), path


def trivial_crossing(ham, path):
    nac = ham.nac.copy()
    nac[300, 1, 2] = np.pi / 2 * 0.6582 / ham.timestep
    nac[300, 2, 1] = -nac[300, 1, 2]
    return change(ham, nac=nac), path


def energy_spike(ham, path):
    energies = ham.energies.copy()
    energies[321, 1] += 0.2
    return change(ham, energies=energies), path


def coupling_spike(ham, path):
    nac = ham.nac.copy()
    nac[321] *= 60
    return change(ham, nac=nac), path


def closed_gap(ham, path):
    energies = ham.energies.copy()
    energies[:, 1:] -= np.quantile(energies[:, 1] - energies[:, 0], 0.02)
    return change(ham, energies=energies), path


def repeated_energies(ham, path):
    energies = ham.energies.copy()
    energies[51] = energies[50]
    return change(ham, energies=energies), path


def slow_energies(ham, missing):
    """Six states that move slowly, with some frames left out."""
    wide = np.concatenate([ham.energies, ham.energies[:, :1] + 4, ham.energies[:, 1:] + 5], axis=1)
    places = np.arange(0, 90, 0.15)
    dense = np.stack([np.interp(places, np.arange(len(wide)), column) for column in wide.T], axis=1)
    weight = np.hanning(21) / np.hanning(21).sum()
    energies = np.stack([np.convolve(column, weight, "valid") for column in dense.T], axis=1)
    energies = np.delete(energies, missing, axis=0)
    nac = np.zeros((len(energies) - 1, 6, 6))
    nac[:, range(0, 6, 2), range(1, 6, 2)] = 1e-3
    return hc.VibronicHamiltonian(energies, nac - nac.swapaxes(1, 2), 0.1, n_occupied=1)


def missing_energies(ham, path):
    assert "missing frames" not in check(slow_energies(ham, [])).named()
    return slow_energies(ham, [300]), None


def unknown_frame(ham, path):
    energies = ham.energies.copy()
    energies[51] = np.nan
    return change(ham, energies=energies, energy_known=None), path


def drifting_gap(ham, path):
    energies = ham.energies.copy()
    energies[:, 1:] += 1.5 * np.linspace(0, 1, len(energies))[:, None]
    return change(ham, energies=energies), path


def quiet_gap(ham, path):
    energies = ham.energies.mean(axis=0) + 1e-3 * (ham.energies - ham.energies.mean(axis=0))
    return change(ham, energies=energies), path


def coarse_step(ham, path):
    return change(ham[: ham.n_frames], timestep=3.0), None


def positions(path, edit):
    places = path.positions.copy()
    edit(places)
    return dataclasses.replace(path, positions=places)


def wrap_jump(ham, path):
    def edit(places):
        places[400:, 2, 1] += 8.0

    return ham, positions(path, edit)


def reordered(ham, path):
    def edit(places):
        places[400:, [0, 1]] = places[400:, [1, 0]]

    return ham, positions(path, edit)


def repeated_geometry(ham, path):
    def edit(places):
        places[51] = places[50]

    return ham, positions(path, edit)


def missing_geometry(ham, path):
    keep = np.delete(np.arange(path.n_frames), 300)
    cut = change(ham[: ham.n_frames - 1], energies=np.delete(ham.energies, 300, axis=0), energy_known=None)
    return cut, dataclasses.replace(path, positions=path.positions[keep], velocities=path.velocities[keep])


def heating(ham, path):
    scale = np.linspace(0.5, 1.5, path.n_frames)[:, None, None]
    return None, dataclasses.replace(path, velocities=path.velocities * scale)


def atomic_velocities(ham, path):
    return None, dataclasses.replace(path, velocities=path.velocities * 40)


def wrong_stride(ham, path):
    return None, dataclasses.replace(path, timestep=1.0)


def other_timestep(ham, path):
    return change(ham, timestep=0.4), dataclasses.replace(path, velocities=None)


def other_length(ham, path):
    return ham, path[:-5]


def shifted_later(ham, path):
    return ham[:-2], path[2:]


def shifted_earlier(ham, path):
    return ham[3:], path[:-3]


FAULTS = {
    "units": [
        energies_in_hartree,
        energies_multiplied,
        couplings_not_divided,
        couplings_zero,
        couplings_a_thousandth,
        couplings_of_constant_energies,
    ],
    "autocorrelation": [random_signs],
    "flips": [one_flip],
    "swaps": [swapped_states, trivial_crossing],
    "spikes": [energy_spike, coupling_spike],
    "closed gap": [closed_gap],
    "duplicate frames": [repeated_energies, unknown_frame],
    "missing frames": [missing_energies],
    "energy drift": [drifting_gap],
    "dephasing": [quiet_gap],
    "time step": [coarse_step],
    "wrap jumps": [wrap_jump],
    "order of atoms": [reordered],
    "duplicate geometries": [repeated_geometry],
    "missing geometries": [missing_geometry],
    "temperature": [heating, atomic_velocities],
    "time step of velocities": [wrong_stride],
    "alignment": [other_timestep, other_length, shifted_later, shifted_earlier],
}


@pytest.mark.parametrize(("name", "plant"), [(name, plant) for name, plants in FAULTS.items() for plant in plants])
def test_each_planted_fault_is_named(healthy, name, plant):
    ham, path = plant(*healthy)
    found = check(ham, path)
    assert name in found.named(), found.to_text()
    verdict = next(v for v in found.verdicts if v.name == name)
    assert verdict.fix
    assert verdict.fix in found.to_text()


@pytest.mark.parametrize(
    ("plant", "name", "frame"),
    [
        (energy_spike, "spikes", 321),
        (coupling_spike, "spikes", 321),
        (swapped_states, "swaps", 200),
        (trivial_crossing, "swaps", 300),
        (repeated_energies, "duplicate frames", 51),
        (unknown_frame, "duplicate frames", 51),
        (missing_energies, "missing frames", 299),
        (wrap_jump, "wrap jumps", 400),
        (reordered, "order of atoms", 400),
        (repeated_geometry, "duplicate geometries", 51),
        (missing_geometry, "missing geometries", 299),
    ],
)
def test_the_first_frame_of_a_fault_is_told(healthy, plant, name, frame):
    verdict = next(v for v in check(*plant(*healthy)).verdicts if v.name == name)
    assert verdict.frames[0] == frame


def test_alignment_is_not_told_from_few_independent_values():
    """In short pieces of the shipped data another lag fits better by accident; they are aligned, and nothing is said."""
    data = hc.load("cspbi3")
    for start, length in ((0, 200), (400, 200), (500, 200), (0, 300), (150, 300)):
        piece = slice(start, start + length)
        verdict = next(
            v for v in check(data.hamiltonian[piece], data.trajectory[piece]).verdicts if v.name == "alignment"
        )
        assert verdict.level == "skipped"
        assert "independent values" in verdict.finding


def test_a_shift_by_half_a_step_is_allowed_and_found(healthy):
    ham, path = healthy
    middle = change(ham, energies=ham.midpoint_energies, energy_grid="midpoint", energy_known=None)
    lags, errors = lag_scan(path, middle, (0, 1))
    assert lags[errors.sum(axis=1).argmin()] == 0.5
    assert "alignment" not in check(middle, path).named()


def test_unphased_overlaps_are_named_and_wrong_magnitudes_are_bad(healthy):
    ham, _ = healthy
    overlaps = clean_data.with_overlaps(ham)
    assert "phases" not in check(change(ham, overlaps=overlaps)).named()
    signs = np.random.default_rng(0).choice([-1.0, 1.0], (ham.n_frames, 3))
    flipped = overlaps * signs[:-1, :, None] * signs[1:, None, :]
    # couplings that were made with consistent signs stand beside raw overlaps: repaired, and no fault any more
    mild = verdict_of(check(change(ham, overlaps=flipped)), "phases")
    assert mild.level == "good"
    assert "made with consistent signs" in mild.finding
    turned = ham.nac * signs[:-1, :, None] * signs[:-1, None, :]
    unrepaired = verdict_of(check(change(ham, overlaps=flipped, nac=turned)), "phases")
    assert unrepaired.level == "bad"
    assert "change signs, too" in unrepaired.finding
    only = change(ham, overlaps=flipped, nac=np.full_like(ham.nac, np.nan), nac_known=None)
    assert verdict_of(check(only), "phases").level == "warn"
    assert verdict_of(check(hc.derive_couplings(only)), "phases").level == "good"
    raw = change(ham, overlaps=flipped, nac=(flipped - flipped.swapaxes(1, 2)) * 0.6582 / (2 * ham.timestep))
    severe = next(v for v in check(raw).verdicts if v.name == "phases")
    assert severe.level == "bad"
    assert "magnitude" in severe.finding


def test_why_does_my_population_not_decay(healthy):
    ham, _ = healthy
    assert "decay" not in check(ham, duration=1e9).named()
    verdict = next(v for v in check(ham, duration=100.0).verdicts if v.name == "decay")
    assert verdict.level == "bad"
    assert "will not decay" in verdict.finding
    # two states, constant gap fluctuation: tau gap^2 / 2 V^2
    lifetime = verdict.evidence["tau_fs"] / verdict.evidence["transfer_per_event"] / 1e6
    assert verdict.evidence["expected_lifetime_ns"] == pytest.approx(lifetime)


def test_numbers_of_frames(healthy):
    _, path = healthy
    numbers = np.arange(path.n_frames)
    assert "numbering" not in check(None, path, frame_numbers=numbers).named()
    numbers[200:] += 3
    verdict = next(v for v in check(None, path, frame_numbers=numbers).verdicts if v.name == "numbering")
    assert "number 199 (frame 199) is followed by 203" in verdict.finding


def test_the_potential_energy_that_frames_carry(healthy):
    _, path = healthy
    energies = -500 + 0.05 * np.sin(np.arange(path.n_frames) / 3)
    assert "potential energy" not in check(None, path, potential_energies=energies).named()
    drifting = energies + np.linspace(0, 1, path.n_frames)
    verdict = next(v for v in check(None, path, potential_energies=drifting).verdicts if v.name == "potential energy")
    assert verdict.level == "bad"
    assert verdict.evidence["shift_meV"] == pytest.approx(750, rel=0.01)


def test_the_shipped_data_are_unphased_and_repaired():
    """Real data: trivial crossings and a step of 4 fs are named, and nothing else; signs were repaired by hopcast."""
    data = hc.load("cspbi3")
    found = check(data.hamiltonian, data.trajectory)
    assert not found.is_bad
    assert found.named() == ("swaps", "time step")
    # the gap moves slowly: a short piece shifts, and nobody can call that a drift
    for start in (0, 200, 450):
        piece = slice(start, start + 300)
        assert set(check(data.hamiltonian[piece], data.trajectory[piece]).named()) <= set(found.named())


def test_text_json_and_page(healthy):
    ham, path = energy_spike(*healthy)
    found = check(ham, path)
    assert json.loads(json.dumps(found.to_dict()))["bad"] is True
    page = render(found)
    assert page.count("<svg") == 4
    assert "http" not in page.split("<svg")[0]
    assert "<script" not in page
    assert "Look at these single points" in page
    assert "BAD     spikes" in found.to_text()


def test_unreadable_data_have_a_verdict():
    assert unreadable("x", hc.InputError("not so", topic="antisymmetry")).named() == ("antisymmetry",)
    assert unreadable("x", hc.InputError("one is missing", topic="numbering")).named() == ("numbering",)
    assert unreadable("x", hc.InputError("anything")).is_bad


def test_bad_arguments(healthy):
    with pytest.raises(hc.InputError, match="got neither"):
        check()
    with pytest.raises(hc.InputError, match="`pair` must name two of the 3 states"):
        check(healthy[0], pair=(0, 3))

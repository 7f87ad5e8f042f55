"""Kramers pairs as a diagonaliser hands them out: a tight binding with spin-orbit coupling on moving atoms."""

import dataclasses

import numpy as np
import pytest
from kramers_model import rotated
from numpy.testing import assert_allclose

from hopcast.core import VibronicHamiltonian
from hopcast.core.blocks import orientation
from hopcast.couplings import derive_couplings, diagnose_overlaps
from hopcast.doctor import check
from hopcast.dynamics import run_dynamics

PAULI = np.array([[[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]]])
LEVI = np.zeros((3, 3, 3))
LEVI[0, 1, 2] = LEVI[1, 2, 0] = LEVI[2, 0, 1] = 1.0
LEVI[0, 2, 1] = LEVI[2, 1, 0] = LEVI[1, 0, 2] = -1.0


def spin_orbit(strength):
    """``strength * L.S`` on p orbitals x, y, z with L_k = -i eps_kij, spin fastest [6, 6], eV."""
    return 0.5 * strength * sum(np.kron(-1j * LEVI[k], PAULI[k]) for k in range(3))


def hamiltonian_of(positions, strength=(1.1, 0.6)):
    """A cluster of two kinds of atoms with p orbitals, all bonds within 4 Å (Harrison's forms) [6 n, 6 n], eV."""
    n = len(positions)
    h = np.zeros((6 * n, 6 * n), dtype=complex)
    for i in range(n):
        kind = i % 2
        at = slice(6 * i, 6 * i + 6)
        h[at, at] = (2.0, -2.0)[kind] * np.eye(6) + spin_orbit(strength[kind])
        for j in range(n):
            bond = positions[j] - positions[i]
            length = np.linalg.norm(bond)
            if i == j or length > 4.0:
                continue
            u = bond / length
            hopping = 7.62 / length**2 * (3.24 * np.outer(u, u) - 0.81 * (np.eye(3) - np.outer(u, u))) * 0.5
            h[at, 6 * j : 6 * j + 6] = np.kron(hopping, np.eye(2))
    return h


@pytest.fixture(scope="module")
def raw():
    """Six states on either side of the gap along 240 fs, overlaps as LAPACK's bases make them."""
    rng = np.random.default_rng(0)
    sites = np.array(
        [[0, 0, 0], [2.9, 0, 0], [2.9, 2.9, 0], [0, 2.9, 0], [0, 2.9, 2.9], [2.9, 2.9, 2.9], [2.9, 0, 2.9], [0, 0, 2.9]]
    )
    modes, phases = 0.06 * rng.normal(size=(5, 8, 3)), rng.uniform(0, 6, 5)
    times = np.arange(240) * 1.0
    waves = np.cos(2 * np.pi * times[:, None] / np.array([140, 180, 210, 260, 330.0]) + phases)
    energies, states = [], []
    for wave in waves:
        e, c = np.linalg.eigh(hamiltonian_of(sites + np.tensordot(wave, modes, axes=1)))
        energies.append(e[18:30])
        states.append(c[:, 18:30])
    states = np.array(states)
    overlaps = states[:-1].conj().swapaxes(1, 2) @ states[1:]
    return VibronicHamiltonian(
        np.array(energies), np.full(overlaps.shape, np.nan), 1.0, overlaps=overlaps, n_occupied=6
    ).with_blocks()


def test_pairs_are_tied_and_couple_as_quaternions(raw):
    assert raw.multiplicities == (2,) * 6
    assert np.ptp(raw.energies.reshape(240, 6, 2), axis=2).max() < 1e-12
    ham = derive_couplings(raw)
    for low, high in ((2, 3), (1, 2), (3, 4)):
        matrices = ham.nac[:, ham.blocks[low], ham.blocks[high]]
        values = np.linalg.svd(matrices, compute_uv=False)
        assert_allclose(values[:, 0], values[:, 1], rtol=1e-6, atol=1e-9)  # |q| times a matrix of SU(2)
        assert_allclose(np.abs(ham.coupling((low, high))), values[:, 0], rtol=1e-6, atol=1e-9)


def test_spin_orbit_is_what_ties_them():
    """Without it the same bands are pairs too, of two spins that never mix."""
    positions = np.array([[0, 0, 0], [2.9, 0.1, 0], [2.8, 2.9, 0.2], [0.1, 2.9, 0]])
    plain, coupled = (np.linalg.eigvalsh(hamiltonian_of(positions, s)) for s in ((0, 0), (1.1, 0.6)))
    assert_allclose(plain[::2], plain[1::2], atol=1e-12)
    assert_allclose(coupled[::2], coupled[1::2], atol=1e-12)
    assert np.abs(coupled - plain).max() > 0.1
    one = np.linalg.eigvalsh(spin_orbit(0.9))
    assert_allclose(one, [-0.9, -0.9, 0.45, 0.45, 0.45, 0.45], atol=1e-12)  # p1/2 and p3/2


def test_bases_come_out_smooth_and_do_not_matter(raw):
    ham, turned = derive_couplings(raw), derive_couplings(rotated(raw, 1))
    assert orientation(ham.nac, ham.multiplicities) > 0.95
    assert_allclose(np.abs(turned.merged().nac), np.abs(ham.merged().nac), atol=1e-12)
    found = [diagnose_overlaps(each).autocorrelation for each in (raw, rotated(raw, 1))]
    assert_allclose(found[1], found[0], atol=1e-9)
    page = check(raw)
    assert next(v for v in page.verdicts if v.name == "degenerate states").level == "good"


@pytest.mark.parametrize("method", ["exact", "dish", "fssh", "gfsh", "mssh", "msdm", "ida", "ehrenfest", "bl-lz"])
def test_every_method_gives_the_same_in_any_basis(raw, method):
    options = {
        "method": method,
        "duration": 300.0,
        "dephasing_time": 6.0,
        "n_trajectories": 10,
        "initial_times": [0, 80, 160],
        "n_times": 30,
        "absorbing": False,
        "temperature": 2000.0,
        "workers": 1,
    }
    pairs = range(4, 8) if method == "exact" else range(4, 12)
    found = [
        run_dynamics(derive_couplings(each).select(pairs), initial_state=len(pairs) // 2 - 1, **options).populations
        for each in (raw, rotated(raw, 2))
    ]
    assert_allclose(found[0], found[1], atol=1e-10)


def test_one_partner_of_each_pair_depends_on_the_basis(raw):
    """The workaround of old: couplings of single partners from overlaps as they come."""
    lifetimes = []
    for each in (raw, rotated(raw, 3)):
        single = derive_couplings(dataclasses.replace(each, multiplicities=())).select([5, 6])
        lifetimes.append(run_dynamics(single, method="exact", duration=1e5, dephasing_time=6.0).rate.value)
    assert abs(lifetimes[0] / lifetimes[1] - 1) > 0.05

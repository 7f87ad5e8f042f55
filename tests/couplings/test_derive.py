"""Couplings from overlaps: known rotations, random signs, crossings, degenerate pairs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.linalg import expm, logm
from scipy.stats import ortho_group, unitary_group

from hopcast.core import InputError, VibronicHamiltonian
from hopcast.core.units import HBAR
from hopcast.couplings import derive_couplings, diagnose_overlaps
from hopcast.couplings.derivative import orthonormalised, unitary_logarithm
from hopcast.couplings.diagnosis import kept_norms


def hamiltonian(overlaps, energies=None, timestep=1.0, n_occupied=1):
    n_steps, n_states, _ = overlaps.shape
    if energies is None:
        energies = np.broadcast_to(np.arange(n_states, dtype=float), (n_steps + 1, n_states))
    return VibronicHamiltonian(
        energies, np.full(overlaps.shape, np.nan), timestep, overlaps=overlaps, n_occupied=n_occupied
    )


def rotation(angle):
    return np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])


def states(rng, n_frames, n_states, size=0.1, complex_=False):
    """Orthonormal states of a smooth path: frame 0 and one small rotation a step."""
    generator = rng.normal(size=(n_frames - 1, n_states, n_states)) * size
    if complex_:
        generator = generator + 1j * rng.normal(size=generator.shape) * size
    generator = generator - generator.conj().swapaxes(1, 2)
    generator[:, range(n_states), range(n_states)] = 0
    path = [np.eye(n_states)]
    for step in generator:
        path.append(path[-1] @ expm(step))
    return np.array(path), generator


def overlaps_of(path):
    return path[:-1].conj().swapaxes(1, 2) @ path[1:]


@pytest.mark.parametrize(("derivative", "expected"), [("log", 0.4), ("difference", np.sin(0.4))])
def test_rotation_by_a_large_angle(derivative, expected):
    """A rotation by 0.4 rad gives 0.4 from the logarithm, sin 0.4 = 0.389 from the difference (METHODS)."""
    result = derive_couplings(hamiltonian(rotation(0.4)[None], timestep=2.0), derivative=derivative)
    assert_allclose(result.nac[0, 0, 1], expected * HBAR / 2.0, rtol=1e-12)


@pytest.mark.parametrize("group", [ortho_group, unitary_group])
def test_logarithm_agrees_with_scipy(group):
    rng = np.random.default_rng(5)
    generator = group.rvs(6, size=20, random_state=rng)
    generator = 0.45 * (generator - generator.conj().swapaxes(1, 2))
    unitary = np.array([expm(g) for g in generator])
    assert_allclose(unitary_logarithm(unitary), [logm(u) for u in unitary], atol=1e-12)


def test_logarithm_of_degenerate_rotations():
    """Two planes that rotate by the same angle: eigenvectors are not unique, the logarithm is."""
    generator = np.kron(np.eye(2), [[0, 1.3], [-1.3, 0]])
    mixer = ortho_group.rvs(4, random_state=np.random.default_rng(0))
    generator = mixer @ generator @ mixer.T
    assert_allclose(unitary_logarithm(expm(generator)), generator, atol=1e-12)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 6), st.integers(2, 12), st.booleans())
def test_random_signs_do_not_matter(seed, n_states, n_frames, complex_):
    """T13: psi_i flipped from frame t on in every overlap; couplings and magnitudes come back."""
    rng = np.random.default_rng(seed)
    path, generator = states(rng, n_frames, n_states, complex_=complex_)
    signs = (
        np.exp(2j * np.pi * rng.random((n_frames, n_states)))
        if complex_
        else rng.choice([-1.0, 1.0], (n_frames, n_states))
    )
    signs[0] = 1
    flipped = overlaps_of(path * signs[:, None, :])
    clean = derive_couplings(hamiltonian(overlaps_of(path)))
    assert_allclose(derive_couplings(hamiltonian(flipped)).nac, clean.nac, atol=1e-12)
    if not complex_:
        assert_allclose(clean.nac, HBAR * generator, atol=1e-10)


def test_single_flip_corrupts_the_difference_of_raw_overlaps():
    """The reason for correcting S and not |d|: one flipped state turns S - S^T into a sum."""
    rng = np.random.default_rng(1)
    path, _ = states(rng, 10, 2)
    path[4:, :, 1] *= -1
    raw = overlaps_of(path)
    naive = np.abs(0.5 * (raw - raw.swapaxes(1, 2)))[3, 0, 1]
    mended = np.abs(derive_couplings(hamiltonian(raw), derivative="difference").nac)[3, 0, 1] / HBAR
    assert naive < 1e-3
    assert mended > 0.01


def crossing_overlaps(determinant=1):
    """Three states; the lower two exchange characters within step 2."""
    overlaps = np.broadcast_to(np.eye(3), (5, 3, 3)).copy()
    overlaps[2, :2, :2] = [[0.07, 0.99], [-0.99 * determinant, 0.07]]
    return overlaps


@pytest.mark.parametrize("determinant", [1, -1])
def test_trivial_crossing_in_energy_order_is_a_quarter_turn(determinant):
    """Raw signs may make det S = -1; the least rotation is taken and the logarithm stays real."""
    result = derive_couplings(hamiltonian(crossing_overlaps(determinant)))
    angle = np.abs(result.nac[2, 0, 1]) / HBAR
    assert_allclose(angle, np.pi / 2, atol=0.1)
    assert_allclose(result.nac[3:], 0, atol=1e-12)


def test_trivial_tracking_follows_the_character():
    energies = np.broadcast_to([0.0, 0.1, 2.0], (6, 3)).copy()
    energies[3:, :2] = [0.05, 0.15]
    result = derive_couplings(hamiltonian(crossing_overlaps(), energies, n_occupied=2), tracking="trivial")
    assert_allclose(result.energies[2], [0.0, 0.1, 2.0])
    assert_allclose(result.energies[3], [0.15, 0.05, 2.0])
    assert np.abs(result.nac[2, 0, 1]) / HBAR < 0.1
    with pytest.raises(InputError, match="must stay at the band edges, but at frame 3"):
        result.frontier()


def test_avoided_crossing_is_not_swapped():
    """A rotation by 40 degrees leaves more than half of each state: no swap."""
    overlaps = np.broadcast_to(np.eye(2), (3, 2, 2)).copy()
    overlaps[1] = rotation(np.deg2rad(40))
    energies = np.broadcast_to([0.0, 1.0], (4, 2))
    result = derive_couplings(hamiltonian(overlaps, energies), tracking="trivial")
    assert_allclose(result.energies, energies)


def test_kramers_pairs_are_aligned():
    """Random unitary rotations within degenerate pairs leave the couplings between pairs unchanged up to the gauge."""
    rng = np.random.default_rng(3)
    path, _ = states(rng, 8, 4, complex_=True)
    mixed = path.copy()
    for frame in range(1, 8):
        for pair in ((0, 1), (2, 3)):
            mixed[frame][:, pair] = mixed[frame][:, pair] @ unitary_group.rvs(2, random_state=rng)
    groups = ((0, 1), (2, 3))
    clean = derive_couplings(hamiltonian(overlaps_of(path)), degenerate=groups).nac
    restored = derive_couplings(hamiltonian(overlaps_of(mixed)), degenerate=groups).nac
    assert_allclose(
        np.linalg.norm(restored[:, :2, 2:], axis=(1, 2)), np.linalg.norm(clean[:, :2, 2:], axis=(1, 2)), atol=1e-10
    )
    assert np.abs(restored[:, 0, 1]).max() < 1e-10
    with pytest.raises(InputError, match="must name each state once"):
        derive_couplings(hamiltonian(overlaps_of(path)), degenerate=((0, 1), (1, 2)))


def test_an_undetermined_rotation_takes_the_difference_and_is_reported():
    overlaps = np.broadcast_to(np.eye(2), (3, 2, 2)).copy()
    overlaps[1] = rotation(np.pi - 1e-4) * [-1, -1]  # strong diagonal again, nothing doubtful
    assert diagnose_overlaps(hamiltonian(overlaps)).doubtful == ()
    four = np.broadcast_to(np.eye(4), (3, 4, 4)).copy()
    four[1] = np.roll(np.eye(4), 1, axis=1) * [1, 1, 1, 1]  # cyclic exchange: eigenvalue -1 unless a sign is turned
    result = derive_couplings(hamiltonian(four))
    assert np.isfinite(result.nac).all()
    assert_allclose(expm(result.nac[1] / HBAR) ** 2, four[1] ** 2, atol=1e-10)


def test_steps_without_overlaps_stay_unknown():
    overlaps = np.broadcast_to(rotation(0.1), (4, 2, 2)).copy()
    overlaps[2] = np.nan
    result = derive_couplings(hamiltonian(overlaps))
    assert result.nac_known.tolist() == [True, True, False, True]
    assert np.isnan(result.nac[2]).all()


def test_diagnosis_counts_what_was_planted():
    rng = np.random.default_rng(2)
    path, _ = states(rng, 400, 3, size=0.01)
    path[100:, :, 0] *= -1
    path[200:, :, 1] *= -1
    overlaps = overlaps_of(path)
    overlaps[50, 2] *= 0.5
    found = diagnose_overlaps(hamiltonian(overlaps))
    assert found.flips == 2
    assert_allclose(found.flipped, 2 / (399 * 3))
    assert list(found.leaking) == ["2"]
    assert found.leaking["2"] < 0.51
    assert found.crossings == ()


def test_a_slow_leak_is_found_over_the_steps_it_takes():
    rng = np.random.default_rng(2)
    overlaps = overlaps_of(states(rng, 400, 3, size=0.01)[0])
    overlaps[50:55, 2] *= 0.95  # no single step falls below 0.9
    found = diagnose_overlaps(hamiltonian(overlaps))
    assert list(found.leaking) == ["2"]
    assert found.leaking["2"] == pytest.approx(0.95**5, abs=0.01)
    # apart in time they are five small losses
    norms = np.full((5, 1), 0.95)
    assert kept_norms(norms, np.array([0, 10, 20, 30, 40])) == pytest.approx(0.95)
    assert kept_norms(norms, np.array([0, 1, 2, 30, 31])) == pytest.approx(0.95**3)
    assert kept_norms(norms[:1], np.array([7])) == pytest.approx(0.95)


def test_the_autocorrelation_of_a_slow_coupling_stays_below_one():
    x = np.sin(np.pi * (np.arange(20) + 0.5) / 20)
    assert (x[1:] * x[:-1]).mean() > (x**2).mean()  # over the mean power of all steps it would exceed 1
    found = diagnose_overlaps(hamiltonian(np.array([rotation(1e-4 * angle) for angle in x])))
    expected = 2 * (x[1:] * x[:-1]).sum() / (x[1:] ** 2 + x[:-1] ** 2).sum()
    assert found.autocorrelation == pytest.approx(expected, rel=1e-6)
    assert found.autocorrelation < 1


def test_leaking_state_does_not_spoil_the_others():
    """A state whose partner lies outside the window: the couplings among the rest are those of the full space."""
    rng = np.random.default_rng(4)
    path, generator = states(rng, 5, 4, size=0.05)
    window = overlaps_of(path)[:, :3, :3].copy()
    window[2, 2] *= 0.2
    window[2, :, 2] *= 0.2
    result = derive_couplings(hamiltonian(window))
    assert_allclose(result.nac[:, 0, 1], HBAR * generator[:, 0, 1], atol=5e-3 * HBAR)


def test_refusals():
    with pytest.raises(InputError, match="only from overlaps"):
        derive_couplings(VibronicHamiltonian(np.zeros((3, 2)), np.zeros((2, 2, 2)), 1.0))
    with pytest.raises(ValueError, match="Did you mean `log`"):
        derive_couplings(hamiltonian(np.eye(2)[None]), derivative="logm")


def test_orthonormalised_is_unitary():
    rng = np.random.default_rng(0)
    unitary = orthonormalised(rng.normal(size=(4, 3, 3)))
    assert_allclose(unitary @ unitary.swapaxes(1, 2), np.broadcast_to(np.eye(3), (4, 3, 3)), atol=1e-12)


def test_an_overlap_of_zeros_is_no_rotation():
    overlaps = np.array([np.eye(2), np.zeros((2, 2)), np.eye(2)])
    ham = VibronicHamiltonian(np.arange(8.0).reshape(4, 2), np.full((3, 2, 2), np.nan), 1.0, overlaps=overlaps)
    with pytest.raises(InputError, match="overlaps of step 1 are zero throughout: its calculation failed"):
        derive_couplings(ham)

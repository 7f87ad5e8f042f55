import dataclasses
import json
import math

import numpy as np
import pytest
from descriptor_twins import brute_transform, from_ase, make_trajectory, perovskite, random_trajectory
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

import hopcast as hc
from hopcast.core import ConfigError, InputError, QualityWarning
from hopcast.descriptors import SymmetryFunctions
from hopcast.descriptors.angular import cutoff
from hopcast.descriptors.elementary import exp_small, quarter_sine

THREE = SymmetryFunctions(r_s=(2.2, 3.1, 4.0), theta_s=(1.2, 1.57, 1.9, 2.4, 2.9, math.pi), r_cut=5.5)
TRICLINIC = random_trajectory()


def rms(values):
    return np.sqrt(np.mean(np.square(values)))


# --- analytic answers ---------------------------------------------------------------------------------------------


def test_cutoff_has_its_three_known_values():
    assert cutoff(0.0, 7.0) == pytest.approx(1.0, abs=2e-16)
    assert cutoff(3.5, 7.0) == pytest.approx(0.5, abs=1e-15)
    assert cutoff(7.0, 7.0) == pytest.approx(0.0, abs=1e-30)
    assert cutoff(7.1, 7.0) == 0.0


def triangle(r1, r2, angle):
    positions = [[0, 0, 0], [r1, 0, 0], [r2 * math.cos(angle), r2 * math.sin(angle), 0]]
    return make_trajectory(("Pb", "I", "I"), positions, np.zeros((3, 3)), pbc=False)


@pytest.mark.parametrize("zeta", [1.0, 0.7, 4.0])
@pytest.mark.parametrize("angle", [0.4, math.pi / 2, 2.0, math.pi])
def test_isosceles_triangle_at_the_centres_gives_twice_the_cutoff_squared(zeta, angle):
    sf = SymmetryFunctions(r_s=(2.5,), theta_s=(angle,), r_cut=6.0, zeta=zeta)
    G = sf.transform(triangle(2.5, 2.5, angle))
    fc = 0.5 * math.cos(math.pi * 2.5 / 6.0) + 0.5
    assert G[0, 0, 0] == pytest.approx(2 * fc**2, rel=1e-14)


@pytest.mark.parametrize("zeta", [1.0, 2.5])
def test_any_triangle_gives_the_definition(zeta):
    r1, r2, angle, eta = 2.1, 3.3, 1.1, 0.4
    sf = SymmetryFunctions(r_s=(2.0, 3.0), theta_s=(0.5, 2.5), r_cut=6.0, eta=eta, zeta=zeta)
    G = sf.transform(triangle(r1, r2, angle))[0, 0]
    fc = [0.5 * math.cos(math.pi * r / 6.0) + 0.5 for r in (r1, r2)]
    expected = [
        2 ** (1 - zeta)
        * (1 + math.cos(angle - theta_s)) ** zeta
        * math.exp(-eta * ((r1 + r2) / 2 - r_s) ** 2)
        * fc[0]
        * fc[1]
        for r_s in (2.0, 3.0)
        for theta_s in (0.5, 2.5)
    ]
    assert pytest.approx(expected, rel=1e-13) == G


def test_atoms_without_two_neighbours_have_zeros():
    positions = [[0, 0, 0], [2, 0, 0], [30, 0, 0]]
    trajectory = make_trajectory(("H", "H", "H"), positions, np.zeros((3, 3)), pbc=False, velocities=np.ones((1, 3, 3)))
    for sf in (THREE, dataclasses.replace(THREE, zeta=2.0)):
        assert np.all(sf.transform(trajectory) == 0.0)
        assert np.all(sf.transform_derivative(trajectory) == 0.0)


def test_vector_functions_are_exact_to_two_units_in_the_last_place():
    x = np.concatenate([np.linspace(-600, 600, 4001), np.linspace(-2, 2, 4001)])
    assert np.array([exp_small(value) for value in x]) == pytest.approx(np.exp(x), rel=5e-16, abs=0)
    x = np.concatenate([np.linspace(0, np.pi / 2, 4001), np.logspace(-9, 0, 1000)])
    assert np.array([quarter_sine(value) for value in x]) == pytest.approx(np.sin(x), rel=5e-16, abs=0)


# --- the NumPy twin -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("zeta", [1.0, 2.0, 0.6])
@pytest.mark.parametrize("images", ["all", "mic"])
@pytest.mark.filterwarnings("ignore::hopcast.QualityWarning")
def test_equals_brute_force(zeta, images):
    sf = dataclasses.replace(THREE, zeta=zeta, images=images)
    assert sf.transform(TRICLINIC) == pytest.approx(brute_transform(TRICLINIC, sf), rel=1e-12, abs=1e-13)


@pytest.mark.parametrize("n_r", [1, 2, 4])
@pytest.mark.parametrize("n_theta", [1, 5])
def test_any_number_of_centres_in_the_order_r_slow_theta_fast(n_r, n_theta):
    sf = SymmetryFunctions(r_s=tuple(np.linspace(2, 5, n_r)), theta_s=tuple(np.linspace(0.3, 3, n_theta)), r_cut=5.0)
    G = sf.transform(TRICLINIC)
    assert G.shape == (3, 6, n_r * n_theta)
    for s, r_s in enumerate(sf.r_s):
        for t, theta_s in enumerate(sf.theta_s):
            one = dataclasses.replace(sf, r_s=(r_s,), theta_s=(theta_s,), r_s_labels=(), theta_s_labels=())
            assert one.transform(TRICLINIC)[..., 0] == pytest.approx(G[..., s * n_theta + t], rel=1e-13)


@pytest.mark.parametrize("pbc", [(True, True, False), (False, True, False), (False, False, False)])
def test_equals_brute_force_where_not_all_directions_repeat(pbc):
    trajectory = random_trajectory(seed=1, pbc=pbc, n_frames=1)
    assert THREE.transform(trajectory) == pytest.approx(brute_transform(trajectory, THREE), rel=1e-12, abs=1e-13)


def test_direct_sum_equals_factored_sum(monkeypatch):
    from hopcast.descriptors import symmetry_functions

    trajectory = random_trajectory(n_frames=2).with_velocities()
    factored = THREE.transform(trajectory), THREE.transform_derivative(trajectory)
    monkeypatch.setattr(symmetry_functions, "LARGEST_EXPONENT", 0.0)
    assert not THREE._is_factored
    assert factored[0] == pytest.approx(THREE.transform(trajectory), rel=1e-12)
    direct = THREE.transform_derivative(trajectory)
    assert factored[1] == pytest.approx(direct, rel=1e-9, abs=1e-10 * rms(direct))


@pytest.mark.parametrize("eta", [0.0, 3.0, 60.0, 2000.0])
def test_narrow_radial_functions_do_not_overflow(eta):
    sf = SymmetryFunctions(r_s=(2.0, 2.9, 5.2), theta_s=(0.9, 2.0), r_cut=9.1, eta=eta)
    assert sf._is_factored == (eta < 5)
    trajectory = random_trajectory(seed=4, n_frames=1, n_atoms=4)
    G = sf.transform(trajectory)
    assert np.all(np.isfinite(G))
    assert np.all(np.isfinite(sf.transform_derivative(trajectory)))
    assert pytest.approx(brute_transform(trajectory, sf), rel=1e-12, abs=1e-13) == G


def test_float32_positions_are_taken_as_they_are():
    single = dataclasses.replace(TRICLINIC, positions=TRICLINIC.positions.astype(np.float32))
    double = dataclasses.replace(TRICLINIC, positions=single.positions.astype(np.float64))
    G = THREE.transform(single)
    assert G.dtype == np.float64
    assert np.array_equal(G, THREE.transform(double))


def test_a_cell_for_each_frame():
    cells = TRICLINIC.cell * np.array([1.0, 1.03, 0.97])[:, None, None]
    trajectory = dataclasses.replace(TRICLINIC, cell=cells)
    assert THREE.transform(trajectory) == pytest.approx(brute_transform(trajectory, THREE), rel=1e-12, abs=1e-13)
    # each frame as if it were alone
    for frame in range(3):
        alone = dataclasses.replace(TRICLINIC, cell=cells[frame])[frame : frame + 1]
        assert np.array_equal(THREE.transform(alone)[0], THREE.transform(trajectory)[frame])


# --- invariances --------------------------------------------------------------------------------------------------


@settings(max_examples=15, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**31), zeta=st.sampled_from([1.0, 1.7]), images=st.sampled_from(["all", "mic"]))
@pytest.mark.filterwarnings("ignore::hopcast.QualityWarning")
def test_rotation_translation_lattice_translation_and_permutation_change_nothing(seed, zeta, images):
    rng = np.random.default_rng(seed)
    trajectory = random_trajectory(seed=seed, n_frames=2, n_atoms=5)
    sf = dataclasses.replace(THREE, zeta=zeta, images=images, r_cut=4.5)
    G, dG = sf.transform(trajectory), sf.transform_derivative(trajectory)
    rotation = Rotation.random(rng=rng).as_matrix()
    order = rng.permutation(5)
    lattice = rng.integers(-3, 4, (5, 3)) @ trajectory.cell
    positions = (trajectory.positions + rng.normal(size=3) + lattice) @ rotation.T
    moved = dataclasses.replace(
        trajectory,
        positions=positions[:, order],
        velocities=(trajectory.velocities @ rotation.T)[:, order],
        numbers=trajectory.numbers[order],
        cell=trajectory.cell @ rotation.T,
    )
    assert sf.transform(moved) == pytest.approx(G[:, order], rel=1e-10, abs=1e-12)
    assert sf.transform_derivative(moved) == pytest.approx(dG[:, order], rel=1e-6, abs=1e-8)


def test_a_straight_crystal_is_invariant_to_rounding():
    # 1 - cos^2 would leave errors of 1e-8 here: a perovskite is full of straight triplets
    trajectory = from_ase(perovskite())
    sf = SymmetryFunctions.from_trajectory(trajectory)
    rotation = Rotation.from_euler("xyz", (0.3, 1.1, 2.0)).as_matrix()
    moved = dataclasses.replace(
        trajectory, positions=trajectory.positions @ rotation.T + 0.123, cell=trajectory.cell @ rotation.T
    )
    assert sf.transform(moved) == pytest.approx(sf.transform(trajectory), rel=1e-13)


@pytest.mark.parametrize("repeats", [(2, 1, 1), (2, 2, 2)])
def test_a_supercell_has_the_same_functions(repeats):
    atoms = perovskite()
    atoms.rattle(0.2, seed=3)
    trajectory = from_ase(atoms)
    sf = SymmetryFunctions.from_trajectory(trajectory)
    G = sf.transform(trajectory)
    supercell = from_ase(atoms.repeat(repeats))
    assert sf.transform(supercell) == pytest.approx(np.tile(G, (1, np.prod(repeats), 1)), rel=1e-11)


def test_a_large_cell_searched_by_bins_has_the_same_functions():
    atoms = perovskite(a=4.0)
    atoms.rattle(0.1, seed=3)
    trajectory = from_ase(atoms)
    sf = SymmetryFunctions(r_s=(2.0, 2.8), theta_s=(1.6, 3.1), r_cut=3.9)
    supercell = from_ase(atoms.repeat((4, 3, 3)))
    assert sf.transform(supercell) == pytest.approx(np.tile(sf.transform(trajectory), (1, 36, 1)), rel=1e-11)


def test_eighteen_functions_have_linear_rank_nine():
    trajectory = random_trajectory(seed=5, n_frames=12, n_atoms=8)
    G = THREE.transform(trajectory).reshape(-1, 18)
    singular = np.linalg.svd(G / np.linalg.norm(G, axis=0), compute_uv=False)
    assert singular[8] > 1e-6 * singular[0]
    assert singular[9] < 1e-12 * singular[0]


# --- chunks, workers, warnings, records ---------------------------------------------------------------------------


@pytest.mark.parametrize("sf", [THREE, dataclasses.replace(THREE, zeta=3.0)])
def test_chunks_and_workers_do_not_change_a_bit(sf):
    base = random_trajectory(n_frames=7, n_atoms=4)
    cells = base.cell * np.linspace(1.0, 1.05, 7)[:, None, None]
    trajectory = dataclasses.replace(base, cell=cells, velocities=None)
    for method in (sf.transform, sf.transform_derivative):
        reference = method(trajectory, workers=1)
        for chunk_frames, workers in ((1, 1), (2, 2), (3, 4), (7, 2)):
            assert np.array_equal(method(trajectory, workers=workers, chunk_frames=chunk_frames), reference)


def test_a_frame_does_not_depend_on_the_others():
    assert np.array_equal(THREE.transform(TRICLINIC[2:3])[0], THREE.transform(TRICLINIC)[2])


def test_counted_neighbours_are_those_of_a_simple_cubic_crystal():
    trajectory = make_trajectory(("Po",), [[0.1, 0.2, 0.3]], np.eye(3) * 3.0)
    for r_cut, shells in ((3.1, 6), (4.3, 18), (5.3, 26), (6.1, 32)):
        assert SymmetryFunctions(r_s=(3.0,), theta_s=(1.0,), r_cut=r_cut).count_neighbours(trajectory) == shells


def test_minimum_image_beyond_half_the_cell_is_a_warning():
    sf = dataclasses.replace(THREE, images="mic")
    with pytest.warns(QualityWarning, match="exceeds half the smallest width"):
        sf.transform(TRICLINIC)
    dataclasses.replace(sf, r_cut=2.0).transform(TRICLINIC)  # silent


def test_record_of_a_run_gives_the_functions_back():
    sf = SymmetryFunctions.from_trajectory(from_ase(perovskite()), mode="paper", zeta=2.0)
    assert SymmetryFunctions.from_dict(json.loads(json.dumps(sf.to_dict()))) == sf


def test_public_name_and_labels():
    sf = hc.SymmetryFunctions.from_trajectory(from_ase(perovskite()))
    assert sf.n_functions == 18
    assert sf.function_labels[0] == ("Cs-Pb", "Cs-Pb-Cs")
    assert sf.function_labels[1] == ("Cs-Pb", "Cs-I-Cs")
    assert sf.function_labels[17] == ("Pb-I", "I-Pb-I")
    assert sf.function_values[8] == pytest.approx([sf.r_s[1], sf.theta_s[2]])
    assert THREE.function_labels[0] == ("2.2 Å", "68.75°")


# --- bad input ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"r_cut": 0.0}, "`r_cut` must be a positive number, but is 0.0"),
        ({"r_cut": -2.0}, "`r_cut` must be a positive number"),
        ({"r_cut": math.nan}, "`r_cut` must be a positive number"),
        ({"r_cut": "9"}, "`r_cut` must be a positive number"),
        ({"eta": -0.1}, "`eta` must be zero or a positive number, but is -0.1"),
        ({"zeta": 0.0}, "`zeta` must be a positive number, but is 0.0"),
        ({"zeta": -1.0}, "`zeta` must be a positive number"),
        ({"images": "nearest"}, "`images` must be one of `all`, `mic`"),
        ({"images": "micc"}, "Did you mean `mic`"),
        ({"r_s": ()}, "`r_s` must hold at least one finite number"),
        ({"r_s": (1.0, math.inf)}, "`r_s` must hold at least one finite number"),
        ({"r_s": (-1.0, 2.0, 3.0)}, "`r_s` must hold distances"),
        ({"theta_s": 1.0}, "`theta_s` must hold at least one finite number"),
        ({"theta_s": (109.5,)}, "between 0 and pi radians, but holds 109.5. It looks like degrees"),
        ({"theta_s": (-0.5,)}, "between 0 and pi radians"),
        ({"r_s_labels": ("a",)}, "`r_s_labels` must name 3 values, but names 1"),
    ],
)
def test_parameters_out_of_range_are_refused(change, message):
    arguments = {"r_s": (2.2, 3.1, 4.0), "theta_s": (1.2, 2.0), "r_cut": 5.0} | change
    with pytest.raises(ConfigError, match=message):
        SymmetryFunctions(**arguments)


def test_unknown_mode_is_refused():
    with pytest.raises(
        ConfigError, match=r"`mode` must be one of `default`, `paper`, but is `papers`. Did you mean `paper`"
    ):
        SymmetryFunctions.from_trajectory(TRICLINIC, mode="papers")


def test_unknown_or_missing_keys_of_a_record_are_refused():
    with pytest.raises(ConfigError, match=r"no parameter `rcut`. Did you mean `r_cut`"):
        SymmetryFunctions.from_dict({"rcut": 3.0})
    with pytest.raises(ConfigError, match="need the parameter `theta_s`"):
        SymmetryFunctions.from_dict({"r_s": [3.0], "r_cut": 3.0})


@pytest.mark.parametrize("images", ["all", "mic"])
def test_coincident_atoms_are_refused_by_name(images):
    positions = np.repeat(TRICLINIC.positions[:1], 9, axis=0)
    positions[7, 4] = positions[7, 2] + TRICLINIC.cell[0] + 1e-9
    trajectory = dataclasses.replace(TRICLINIC, positions=positions, velocities=None)
    sf = dataclasses.replace(THREE, images=images, r_cut=2.0)
    message = r"in frame 7 atom 2 \(I\) coincides with atom 4 \(Pb\)"
    for method in (sf.transform, sf.transform_derivative, sf.count_neighbours):
        with pytest.raises(InputError, match=message):
            method(trajectory, workers=2)
    with pytest.raises(InputError, match=message):
        SymmetryFunctions.from_trajectory(trajectory)


def test_a_chunk_of_no_frames_is_refused():
    with pytest.raises(ConfigError, match="`chunk_frames` must be at least 1"):
        THREE.transform(TRICLINIC, chunk_frames=0)


def test_a_slab_without_its_lattice_is_refused():
    trajectory = make_trajectory(("H", "H"), [[0, 0, 0], [1, 0, 0]], np.diag([3.0, 0.0, 9.0]), pbc=(True, True, False))
    with pytest.raises(InputError, match="linearly independent lattice vectors along the periodic directions a, b"):
        THREE.transform(trajectory)

import numpy as np
import pytest
from ase import Atoms
from ase.geometry import find_mic
from ase.neighborlist import neighbor_list
from descriptor_twins import brute_neighbours, make_trajectory, random_trajectory
from hypothesis import given, settings
from hypothesis import strategies as st
from vesin import NeighborList

from hopcast.core import InputError
from hopcast.descriptors.neighbours import frame_neighbours

CELLS = {
    "orthorhombic": np.diag([4.2, 5.5, 7.1]),
    "triclinic": np.array([[5.1, 0.2, 0.0], [0.9, 5.8, -0.3], [-0.7, 0.8, 6.4]]),
    "skewed": np.array([[4.0, 0.0, 0.0], [6.5, 4.1, 0.0], [-5.0, 3.3, 4.6]]),
    "left-handed": np.array([[0.0, 5.0, 0.3], [4.4, 0.0, 0.0], [0.1, 0.0, 6.0]]),
}


def rows(centre, neighbour, vector):
    """A list of neighbours in an order of its own."""
    table = np.column_stack([centre, neighbour, np.round(vector, 6) + 0.0])
    return table[np.lexsort(table.T[::-1])]


@pytest.mark.parametrize("radius", [2.0, 4.5, 9.1])
@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS.keys())
def test_all_images_equal_vesin(cell, radius):
    # cells far smaller than the cutoff: many images of each atom, and of the atom itself
    trajectory = random_trajectory(cell=cell, n_atoms=4, n_frames=1)
    centre, neighbour, vector, shift = frame_neighbours(trajectory, 0, radius)
    i, j, D = NeighborList(cutoff=radius, full_list=True).compute(trajectory.positions[0], cell, True, "ijD")
    assert len(i) > 0
    assert np.array_equal(rows(centre, neighbour, vector), rows(i, j, D))
    expected = trajectory.positions[0][neighbour] + shift @ cell - trajectory.positions[0][centre]
    assert vector == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    "pbc", [(True, True, False), (True, False, True), (False, False, True), (False, True, False), (False,) * 3]
)
@pytest.mark.parametrize("cell", ["triclinic", "skewed"])
def test_partial_periodicity_equals_ase(cell, pbc):
    trajectory = random_trajectory(cell=CELLS[cell], n_atoms=5, n_frames=1, pbc=pbc)
    atoms = Atoms("H5", positions=trajectory.positions[0], cell=CELLS[cell], pbc=pbc)
    centre, neighbour, vector, _ = frame_neighbours(trajectory, 0, 6.0)
    i, j, D = neighbor_list("ijD", atoms, 6.0)
    assert np.array_equal(rows(centre, neighbour, vector), rows(i, j, D))


@pytest.mark.parametrize("pbc", [(True, True, False), (False, False, True)])
def test_a_direction_that_does_not_repeat_needs_no_lattice_vector(pbc):
    cell = np.where(np.array(pbc)[:, None], CELLS["triclinic"], 0.0)
    trajectory = make_trajectory("HHH", [[0, 0, 0], [1.5, 0.3, 9.0], [-8.0, 2.0, 1.0]], cell, pbc=pbc)
    centre, neighbour, vector, _ = frame_neighbours(trajectory, 0, 9.5)
    atoms = Atoms("H3", positions=trajectory.positions[0], cell=cell, pbc=pbc)
    i, j, D = neighbor_list("ijD", atoms, 9.5)
    assert np.array_equal(rows(centre, neighbour, vector), rows(i, j, D))


@pytest.mark.parametrize("radius", [2.5, 5.0, 20.0])
@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS.keys())
def test_minimum_image_equals_ase(cell, radius):
    trajectory = random_trajectory(cell=cell, n_atoms=6, n_frames=1)
    positions = trajectory.positions[0]
    centre, neighbour, vector, _ = frame_neighbours(trajectory, 0, radius, images="mic")
    i, j = np.nonzero(~np.eye(6, dtype=bool))
    D, d = find_mic(positions[j] - positions[i], cell, True)
    inside = d <= radius
    assert np.array_equal(rows(centre, neighbour, vector), rows(i[inside], j[inside], D[inside]))
    brute = np.concatenate(brute_neighbours(trajectory, 0, radius, "mic"))
    assert np.sort(np.linalg.norm(vector, axis=1)) == pytest.approx(np.sort(np.linalg.norm(brute, axis=1)))


@settings(max_examples=20, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 2**31), pbc=st.tuples(st.booleans(), st.booleans(), st.booleans()), radius=st.floats(1.5, 4.0)
)
def test_large_cells_searched_by_bins_equal_vesin(seed, pbc, radius):
    rng = np.random.default_rng(seed)
    cell = np.diag(rng.uniform(10, 25, 3)) + rng.uniform(-4, 4, (3, 3))
    # far outside the cell, as unwrapped trajectories are
    positions = rng.uniform(-1.5, 2.5, (150, 3)) @ cell
    trajectory = make_trajectory(["H"] * 150, positions, cell, pbc=pbc)
    centre, neighbour, vector, _ = frame_neighbours(trajectory, 0, radius)
    atoms = Atoms("H150", positions=positions, cell=cell, pbc=pbc)
    i, j, D = neighbor_list("ijD", atoms, radius)
    assert np.array_equal(rows(centre, neighbour, vector), rows(i, j, D))


def test_bins_are_used_where_the_cell_is_large():
    from hopcast.descriptors.neighbours import Bins, Box, fill_bins

    trajectory = random_trajectory(cell=np.eye(3) * 20.0, n_atoms=100, n_frames=1)
    wrapped, n_bins, start, order = (np.empty((100, 3)), np.ones(3, int), np.zeros(2000, int), np.empty(100, int))
    wraps, place = np.empty((100, 3), int), np.empty((100, 3), int)
    periodic = np.ones(3, dtype=bool)
    box = Box(20.0 * np.eye(3), np.eye(3) / 20.0, np.full(3, 20.0), periodic, 4.0, False)
    fill_bins(trajectory.positions[0], box, Bins(wrapped, wraps, n_bins, place, start, order, np.empty(101, int)))
    assert list(n_bins) == [10, 10, 10]
    assert sorted(order) == list(range(100))
    members = np.diff(start[:1001])
    assert np.array_equal(np.repeat(np.arange(1000), members), (place[order] @ [100, 10, 1]))


def test_an_atom_alone_in_space_has_no_neighbours():
    trajectory = make_trajectory("H", [[0, 0, 0]], np.zeros((3, 3)), pbc=False)
    assert len(frame_neighbours(trajectory, 0, 5.0)[0]) == 0


def test_a_cell_that_puts_an_atom_on_its_own_image_is_refused():
    # a cell that does not repeat along its short vector is fine, one that does is not
    flat = np.diag([9e4, 9e4, 9e-7])
    assert len(frame_neighbours(make_trajectory("H", [[0, 0, 0]], flat, pbc=(True, True, False)), 0, 5.0)[0]) == 0
    with pytest.raises(InputError, match="linearly independent lattice vectors along the periodic directions a, b, c"):
        frame_neighbours(make_trajectory("H", [[0, 0, 0]], flat), 0, 5.0)

"""Trajectory and VibronicHamiltonian: what they refuse, and what slicing means."""

import dataclasses

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from hopcast.core import InputError, Trajectory, VibronicHamiltonian


def trajectory(n_frames=5, **changes):
    rng = np.random.default_rng(0)
    fields = {
        "positions": rng.random((n_frames, 3, 3)),
        "cell": 5 * np.eye(3),
        "numbers": [55, 82, 53],
        "timestep": 2.0,
    }
    return Trajectory(**(fields | changes))


def hamiltonian(n_frames=5, n_states=3, **changes):
    rng = np.random.default_rng(0)
    nac = rng.normal(size=(n_frames - 1, n_states, n_states))
    fields = {"energies": np.sort(rng.random((n_frames, n_states))), "nac": nac - nac.swapaxes(1, 2), "timestep": 1.0}
    return VibronicHamiltonian(**(fields | changes))


class TestTrajectory:
    def test_slices_are_views_and_multiply_the_time_step(self):
        full = trajectory()
        part = full[1::2]
        assert part.timestep == 4.0
        assert np.shares_memory(part.positions, full.positions)
        assert_array_equal(part.positions, full.positions[1::2])

    def test_composition(self):
        full = trajectory()
        assert full.formula == "CsPbI"
        assert full.elements == ("Cs", "Pb", "I")
        assert_array_equal(full.atoms_of("I"), [2])
        with pytest.raises(InputError, match="Element `Br` must be in the trajectory"):
            full.atoms_of("Br")

    def test_velocities_are_differenced_where_there_are_none(self):
        times = 2.0 * np.arange(7)
        positions = np.broadcast_to(times[:, None, None] ** 2, (7, 3, 3))
        full = trajectory(7, positions=positions).with_velocities()
        assert_allclose(full.velocities[:, 0, 0], 2 * times, atol=1e-12)

    def test_single_precision_is_kept(self):
        positions = np.zeros((4, 3, 3), np.float32)
        assert np.shares_memory(trajectory(positions=positions).positions, positions)

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"positions": np.zeros((5, 3))}, r"shape \[n_frames, n_atoms, 3\]"),
            ({"numbers": [1, 2]}, "one atomic number for each of the 3 atoms"),
            ({"cell": np.zeros((3, 3))}, "must span a volume"),
            ({"cell": np.zeros((2, 3, 3))}, r"\[3, 3\] or \[5, 3, 3\]"),
            ({"timestep": 0.0}, "positive number of fs, but is 0"),
            ({"velocities": np.zeros((4, 3, 3))}, "shape of the positions"),
        ],
    )
    def test_refusals(self, changes, message):
        with pytest.raises(InputError, match=message):
            trajectory(**changes)

    def test_not_finite_names_frame_and_atom(self):
        positions = np.zeros((3000, 3, 3))
        positions[2111, 1, 2] = np.inf
        with pytest.raises(InputError, match=r"frame 2111, atom 1 \(Pb\) has inf along z"):
            trajectory(positions=positions)


class TestHamiltonian:
    def test_select_reorders_everything_together(self):
        full = hamiltonian(n_occupied=2, state_labels=("a", "b", "c"), overlaps=np.zeros((4, 3, 3)))
        part = full.select([2, 0])
        assert part.state_labels == ("c", "a")
        assert part.n_occupied == 1
        assert_array_equal(part.energies, full.energies[:, [2, 0]])
        assert_array_equal(part.nac[:, 0, 1], full.nac[:, 2, 0])
        for states in ([0, 0], [], [3], [-1]):
            with pytest.raises(InputError):
                full.select(states)

    def test_frontier_needs_both_sides_and_an_open_gap(self):
        assert hamiltonian(n_occupied=1).frontier().n_states == 2
        for occupied in (None, 0, 3):
            with pytest.raises(InputError, match="frontier states need"):
                hamiltonian(n_occupied=occupied).frontier()
        pair = hamiltonian(n_occupied=1).select([0, 2])
        unknown = dataclasses.replace(pair, n_occupied=None)
        assert_array_equal(unknown.frontier().energies, pair.energies)
        energies = np.sort(np.random.default_rng(0).random((5, 3)))
        energies[3, :2] = 0.1
        with pytest.raises(InputError, match=r"gap .* must stay open, but is 0 eV at frame 3"):
            hamiltonian(energies=energies, n_occupied=1).frontier()

    @pytest.mark.parametrize("grid", ["frame", "midpoint"])
    def test_runs_of_frames(self, grid):
        energies = np.sort(np.random.default_rng(0).random((5 if grid == "frame" else 4, 3)))
        full = hamiltonian(energies=energies, energy_grid=grid)
        part = full[1:4]
        assert part.n_steps == 2
        assert_array_equal(part.nac, full.nac[1:3])
        assert_array_equal(part.midpoint_energies, full.midpoint_energies[1:3])

    def test_unknown_entries(self):
        nac = np.zeros((4, 3, 3))
        nac[1] = np.nan
        sparse = hamiltonian(nac=nac)
        assert sparse.nac_known.tolist() == [True, False, True, True]
        assert not sparse.is_complete
        nac[2, 0, 1] = np.nan
        with pytest.raises(InputError, match="mid-point 2 has nan at state 0, 1"):
            hamiltonian(nac=nac)

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"nac": np.ones((4, 3, 3))}, "anti-Hermitian.* mid-point 0 deviates by 2 eV"),
            ({"nac": np.zeros((5, 3, 3))}, "matrix at each of the 4 mid-points"),
            ({"energies": np.zeros((1, 3))}, "at least two frames"),
            ({"n_occupied": 7}, "between 0 and the 3 states"),
            ({"energy_grid": "frames"}, "must be `frame` or `midpoint`"),
            ({"state_labels": ("a",)}, "must name 3 states"),
            ({"timestep": -1.0}, "positive number of fs"),
            ({"energies": np.full((5, 3), np.inf)}, "frame 0 has inf at state 0"),
        ],
    )
    def test_refusals(self, changes, message):
        with pytest.raises(InputError, match=message):
            hamiltonian(**changes)

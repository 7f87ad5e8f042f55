import dataclasses
from itertools import combinations

import numpy as np
import pytest

from hopcast.core import InputError
from hopcast.dynamics import (
    determinant_hamiltonian,
    electron_hole_hamiltonian,
    propagators,
    read_determinants,
    run_dynamics,
    substep_grid,
)


@pytest.mark.parametrize("imaginary", [0.0, 0.6])
def test_independent_electrons_move_as_minors(ladder, imaginary) -> None:
    # in the full space of two electrons the propagator is that of determinants: det of 2 x 2 blocks
    ham = ladder(imaginary=imaginary, scale=0.05)
    pairs = list(combinations(range(4), 2))
    many = determinant_hamiltonian(ham, [(a, b) for a, b in pairs])
    substeps = 6
    one = propagators(substep_grid(ham, substeps=substeps))[13, 2]
    two = propagators(substep_grid(many, substeps=substeps))[13, 2]
    minors = np.array([[np.linalg.det(one[np.ix_(i, j)]) for j in pairs] for i in pairs])
    np.testing.assert_allclose(two, minors, atol=1e-12)


def test_spins_and_energies(ladder) -> None:
    ham = ladder()
    many = determinant_hamiltonian(ham, [[1, -1], [1, -2], [2, -1], [2, -2]], corrections=[0, -0.1, 0, 0])
    e = ham.energies
    np.testing.assert_allclose(many.energies[:, 1], e[:, 1] + e[:, 2] - 0.1)
    np.testing.assert_array_equal(many.nac[:, 0, 1], ham.nac[:, 1, 2])
    assert not many.nac[:, 1, 2].any()  # two electrons would have to move
    assert not many.nac[:, 0, 3].any()
    assert many.state_labels[1] == "|1 -2>"
    found = run_dynamics(many, initial_state=3, duration=100.0, n_trajectories=20, dephasing_time=9.0)
    assert found.populations.shape[1] == 4


@pytest.mark.parametrize("imaginary", [0.0, 0.6])
def test_electron_and_hole_move_alone_where_nothing_recombines(ladder, imaginary) -> None:
    ham = ladder(n_states=5, imaginary=imaginary, scale=0.05)
    holes, electrons = [1, 0], [2, 3, 4]
    pair = electron_hole_hamiltonian(ham, holes, electrons)
    assert pair.state_labels[:3] == ("ground state", "1 → 2", "1 → 3")
    e = ham.energies
    np.testing.assert_allclose(pair.energies[:, 5] - pair.energies[:, 0], e[:, 3] - e[:, 0])  # 0 → 3
    np.testing.assert_array_equal(np.abs(pair.nac[:, 0, 5]), np.abs(ham.nac[:, 0, 3]))
    assert not pair.nac[:, 1, 5].any()  # both differ
    nac = pair.nac.copy()
    nac[:, 0, 1:], nac[:, 1:, 0] = 0, 0
    together = propagators(substep_grid(dataclasses.replace(pair, nac=nac), substeps=8))
    hole, electron = (propagators(substep_grid(ham.select(bands), substeps=8)) for bands in (holes, electrons))
    expected = np.einsum("tsab,tscd->tsacbd", np.abs(hole), np.abs(electron)).reshape(*hole.shape[:2], 6, 6)
    np.testing.assert_allclose(np.abs(together[..., 1:, 1:]), expected, atol=1e-12)
    with pytest.raises(InputError, match=r"must hold different bands, at least one each, but are \[1\] and \[1, 2\]"):
        electron_hole_hamiltonian(ham, [1], [1, 2])


def test_notations(tmp_path) -> None:
    path = tmp_path / "basis"
    path.write_text('# PYXAID\n["GS", [6, -6], 0.00]\n["S1", [6, -7], 0.01]\n')
    assert read_determinants(path) == [(6, -6), (6, -7)]
    path.write_text("  1 2 3   ! ground\n 1 2 4\n\n")
    assert read_determinants(str(path)) == [(1, 2, 3), (1, 2, 4)]
    path.write_text("1 2\n1 b\n")
    with pytest.raises(InputError, match="line 2 must hold orbital numbers, but holds `1 b`"):
        read_determinants(path)


@pytest.mark.parametrize(
    ("basis", "message"),
    [
        ([[0, 9]], "names orbital 9, but there are 0 to 3"),
        ([[1, 1]], "occupies an orbital twice"),
        ([[0, 1], [0, 1, 2]], "has 3 electrons, but the first has 2"),
        ([[0, 1], [1, 0]], "is there twice"),
    ],
)
def test_bad_determinants(ladder, basis, message) -> None:
    with pytest.raises(InputError, match=message):
        determinant_hamiltonian(ladder(), basis)

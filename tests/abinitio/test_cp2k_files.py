"""CP2K's files: a restart written here record by record, a basis in its form, outputs, and the engine's refusals."""

import struct

import numpy as np
import pytest

from hopcast.abinitio import Geometry, make_engine
from hopcast.abinitio.cp2k_files import order_from_cp2k, output_state, read_basis
from hopcast.abinitio.cp2k_input import Cp2kSettings, cp2k_input
from hopcast.core.errors import ConfigError, InputError
from hopcast.io.wavefunctions.gaussians import Wfn

BASIS = """# a comment
H  TINY-GTH TINY-GTH-q1
 1
 1 0 1 2 2 1
   1.5  0.3 0.1 0.7
   0.4  0.6 0.9 0.2  # the last
#
O  TINY-GTH
 1
 2 0 0 1 1
   0.8 1.0
"""


def write_restart(path, orbitals, energies, *, spins=1, momenta=((0, 0, 1), (0,))):
    n_basis, n_orbitals = orbitals.shape
    n_shells = max(len(atom) for atom in momenta)
    sizes = [2 * m + 1 for atom in momenta for m in [*atom, *[-0.5] * (n_shells - len(atom))]]
    sizes = [int(size) for size in sizes]

    def record(form, *values):
        body = struct.pack("<" + form, *values)
        return struct.pack("<i", len(body)) + body + struct.pack("<i", len(body))

    data = record("5i", 2, spins, n_basis, 1, n_shells)
    data += record("2i", 1, 1) + record("2i", *(len(atom) for atom in momenta)) + record(f"{len(sizes)}i", *sizes)
    for spin in range(spins):
        data += record("4i", n_orbitals, 1, 1, 2)
        data += record(f"{2 * n_orbitals}d", *energies, *([2.0 / spins] + [0.0] * (n_orbitals - 1)))
        for column in orbitals.T:
            data += record(f"{n_basis}d", *(column * (spin + 1)))
    path.write_bytes(data)


def test_a_restart_is_read_back(tmp_path):
    orbitals = np.arange(18.0).reshape(6, 3)
    write_restart(tmp_path / "x.wfn", orbitals, [-0.5, 0.1, 0.2])
    wave = Wfn.open(tmp_path / "x.wfn")
    np.testing.assert_array_equal(wave.coefficients(range(3), 0, 0), orbitals.T)
    np.testing.assert_array_equal(wave.coefficients(range(1, 3), 0, 0), orbitals.T[1:])
    np.testing.assert_allclose(wave.levels(0, 0).energies, np.array([-0.5, 0.1, 0.2]) * 27.211386)
    np.testing.assert_array_equal(wave.levels(0, 0).occupations, [1, 0, 0])
    assert wave.basis(0, 0).flavour == "gaussian"
    assert wave.momenta == ((0, 0, 1), (0,))
    # p stands as y, z, x there: x of ours is the third of theirs
    assert order_from_cp2k(wave.momenta).tolist() == [0, 1, 4, 2, 3, 5]
    assert order_from_cp2k(((2,),)).tolist() == [0, 1, 2, 3, 4]


def test_broken_restarts_say_so(tmp_path):
    file = tmp_path / "x.wfn"
    with pytest.raises(InputError, match=r"may not have finished"):
        Wfn.open(file)
    write_restart(file, np.eye(6), [0.0] * 6, spins=2)
    both = Wfn.open(file)
    assert both.n_spins == 2
    np.testing.assert_array_equal(both.coefficients(range(6), 1, 0), 2 * np.eye(6))
    with pytest.raises(InputError, match=r"holds 6 bands, 0:6 counted from 0, but 5:7"):
        both.coefficients(range(5, 7), 0, 0)
    with pytest.raises(InputError, match="Gaussian functions, not plane waves"):
        both.indices(0, 0)
    write_restart(file, np.eye(6), [0.0] * 6)
    whole = file.read_bytes()
    for length in (0, 30, len(whole) - 10, len(whole) - 56):  # the last cuts at the end of a record
        file.write_bytes(whole[:length])
        with pytest.raises(InputError, match=r"cut short"):
            Wfn.open(file)


def test_a_basis_is_read(tmp_path):
    (tmp_path / "B").write_text(BASIS)
    (low, exponents, columns), (high, _, last) = read_basis(tmp_path / "B", "H", "TINY-GTH-q1")
    assert (low, high) == (0, 1)
    np.testing.assert_allclose(exponents, [1.5, 0.4])
    np.testing.assert_allclose(columns, [[0.3, 0.1], [0.6, 0.9]])
    np.testing.assert_allclose(last, [[0.7], [0.2]])
    assert len(read_basis(tmp_path / "B", "O", "TINY-GTH")) == 1
    with pytest.raises(InputError, match=r"Element C has no basis `TINY-GTH`"):
        read_basis(tmp_path / "B", "C", "TINY-GTH")


@pytest.mark.parametrize(
    ("text", "state"),
    [
        ("  *** SCF run converged in 11 steps ***\n PROGRAM ENDED AT 2024", "finished"),
        ("  *** SCF run NOT converged ***\n PROGRAM ENDED AT 2024", "not converged"),
        ("  *** SCF run converged in 11 steps ***\n", "killed"),
        ("  [ABORT]\n  * No basis set *", "killed"),
        (
            "PROGRAM STARTED AT 1\n SCF run NOT converged\nPROGRAM STARTED AT 2\n SCF run converged in 9 steps\nPROGRAM ENDED AT",
            "finished",
        ),
        ("PROGRAM STARTED AT 1\n SCF run converged in 9 steps\nPROGRAM ENDED AT\nPROGRAM STARTED AT 2\n", "killed"),
        (None, "absent"),
    ],
)
def test_an_output_says_how_it_ended(tmp_path, text, state):
    if text is not None:
        (tmp_path / "frame.out").write_text(text)
    found = output_state(tmp_path / "frame.out")
    assert found.state == state
    assert bool(found.reason) == (state != "finished")


def test_an_abort_is_told_in_cp2k_s_words(tmp_path):
    (tmp_path / "frame.out").write_text(r"""
 *******************************************************************************
 *   ___                                                                       *
 *  /   \                                                                      *
 * [ABORT]                                                                     *
 *  \___/   The requested basis set <NO_BASIS> for element <O> was not found in *
 *    |                     the basis set files <BASIS_MOLOPT>                 *
 *  O/|                                                                        *
 * /| |                                                                        *
 * / \                                          aobasis/basis_set_types.F:1509 *
 *******************************************************************************
 ===== Routine Calling Stack =====
""")
    assert output_state(tmp_path / "frame.out").reason == (
        "CP2K stopped: The requested basis set <NO_BASIS> for element <O> was not found in the basis set files <BASIS_MOLOPT> "
        "aobasis/basis_set_types.F:1509"
    )


def test_the_input_refuses_what_it_cannot_write():
    geometry = Geometry(np.array([55, 92]), np.zeros((2, 3)), np.eye(3) * 6, True)
    with pytest.raises(InputError, match=r"Element U has no basis and pseudopotential"):
        cp2k_input(geometry, Cp2kSettings())
    assert "GTH-PBE-q14" in cp2k_input(geometry, Cp2kSettings(valence={"U": 14}))
    with pytest.raises(InputError, match=r"needs a periodic cell"):
        cp2k_input(
            Geometry(geometry.numbers, geometry.positions, geometry.cell, False), Cp2kSettings(valence={"U": 14})
        )


def test_the_engine_refuses_more_bands_than_it_computes_and_a_missing_program(monkeypatch):
    pytest.importorskip("pyscf", reason="needs pyscf: pip install 'hopcast[cp2k]'")
    with pytest.raises(ConfigError, match=r"asks for 9 bands above the gap, but `added_bands` computes 8"):
        make_engine("cp2k", bands=(4, 9))
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(ConfigError, match=r"apt-get install cp2k"):
        make_engine("cp2k").check(np.array([55]))


def test_overlaps_of_gaussians_are_orthonormal_in_any_cell_image(tmp_path, monkeypatch):
    pytest.importorskip("pyscf", reason="needs pyscf: pip install 'hopcast[cp2k]'")
    (tmp_path / "BASIS_MOLOPT").write_text(BASIS)
    monkeypatch.setenv("CP2K_DATA_DIR", str(tmp_path))
    engine = make_engine("cp2k", settings=Cp2kSettings(basis="TINY-GTH"))
    cell = np.diag([4.0, 5.0, 6.0])
    here = Geometry(np.array([1, 1]), np.array([[0.1, 0.2, 0.3], [1.9, 2.0, 2.1]]), cell)
    image = Geometry(here.numbers, here.positions + np.array([[4.0, 0, 0], [0, -5.0, 6.0]]), cell)
    S = engine._integrals(here, here)
    np.testing.assert_allclose(S, S.T, atol=1e-9)
    assert np.linalg.eigvalsh(S).min() > 0
    np.testing.assert_allclose(engine._integrals(here, image), S, atol=1e-7)
    # the overlap of two s functions far apart in a wide cell is the closed form of one Gaussian
    (tmp_path / "BASIS_MOLOPT").write_text("H ONE\n 1\n 1 0 0 1 1\n  0.8 1.0\n")
    wide = make_engine("cp2k", settings=Cp2kSettings(basis="ONE"))
    cell = np.eye(3) * 30.0
    pair = [Geometry(np.array([1]), np.array([[x, 5.0, 5.0]]), cell) for x in (5.0, 6.0)]
    bohr = 1.0 / 0.529177210903
    assert wide._integrals(*pair)[0, 0] == pytest.approx(np.exp(-0.4 * bohr**2), rel=1e-6)

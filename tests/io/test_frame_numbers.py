"""Numbers that frames carry in their source stay with them: in readers, slices, our files and `convert`."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import hopcast as hc
from hopcast.core.units import HARTREE
from hopcast.io.streaming import open_trajectory

NUMBERS = [7, 9, 11, 13]
CELL = "  6.0 0.0 0.0\n  0.0 6.0 0.0\n  0.0 0.0 6.0\n"


def xdatcar(folder):
    frames = "".join(f"Direct configuration= {k:5d}\n  0.1 0.2 0.3{k % 10}\n  0.5 0.5 0.5\n" for k in NUMBERS)
    (folder / "XDATCAR").write_text(f"salt\n 1.0\n{CELL} Na Cl\n 1 1\n{frames}")
    return folder / "XDATCAR", {"timestep": 2.0}


def cp2k(folder):
    frames = "".join(
        f"2\n i = {k:8d}, time = {k / 2:12.3f}, E = {-17.0 - k / 100:20.10f}\n Na 0.1 0.2 0.3\n Cl 3.0 3.0 3.0\n"
        for k in NUMBERS
    )
    (folder / "run-pos-1.xyz").write_text(frames)
    return folder / "run-pos-1.xyz", {"cell": [6.0, 6.0, 6.0]}


def espresso(folder):
    moved = "".join(
        f"     Entering Dynamics:    iteration = {k:5d}\n                           time      =    0.0020 pico-seconds\n\n"
        "ATOMIC_POSITIONS (angstrom)\nNa 0.1 0.2 0.3\nCl 3.0 3.0 3.0\n"
        for k in NUMBERS[1:]
    )
    (folder / "md.out").write_text(
        "     Program PWSCF v.7.2 starts on 25Nov2026\n     lattice parameter (alat)  =      10.0000  a.u.\n"
        "     number of atoms/cell      =            2\n     crystal axes: (cart. coord. in units of alat)\n"
        "               a(1) = (   1.0   0.0   0.0 )\n               a(2) = (   0.0   1.0   0.0 )\n               a(3) = (   0.0   0.0   1.0 )\n"
        "     site n.     atom                  positions (alat units)\n"
        "         1           Na  tau(   1) = (   0.1000000   0.2000000   0.3000000  )\n"
        "         2           Cl  tau(   2) = (   0.5000000   0.5000000   0.5000000  )\n" + moved
    )
    return folder / "md.out", {"timestep": 2.0}


def poscars(folder):
    for k in (7, 8, 9, 10):
        (folder / f"{k:04d}").mkdir()
        (folder / f"{k:04d}" / "POSCAR").write_text(
            f"salt\n 1.0\n{CELL} Na Cl\n 1 1\nDirect\n 0.1 0.2 0.3\n 0.5 0.5 0.5\n"
        )
    return folder, {"timestep": 2.0}


@pytest.mark.parametrize("make", [xdatcar, cp2k, espresso, poscars], ids=lambda make: make.__name__)
def test_trajectories_carry_them(make, tmp_path):
    path, options = make(tmp_path)
    expected = {"espresso": [8, 9, 11, 13], "poscars": [7, 8, 9, 10]}.get(make.__name__, NUMBERS)
    found = hc.read_trajectory(path, **options)
    assert_array_equal(found.frame_numbers, expected)
    assert_array_equal(found[1::2].frame_numbers, expected[1::2])
    assert_array_equal(found.take([3, 0]).frame_numbers, [expected[3], expected[0]])
    hc.write_trajectory(found, tmp_path / "ours.h5")
    again = hc.read_trajectory(tmp_path / "ours.h5")
    assert_array_equal(again.frame_numbers, expected)
    with open_trajectory(path, **options) as source:
        assert_array_equal(source.frames(1, 3).frame_numbers, expected[1:3])
    with open_trajectory(tmp_path / "ours.h5") as source:
        assert_array_equal(source.frames(1, 3).frame_numbers, expected[1:3])


def test_energies_of_cp2k_stay_with_the_frames(tmp_path):
    path, options = cp2k(tmp_path)
    found = hc.read_trajectory(path, **options)
    expected = (-17.0 - np.array(NUMBERS) / 100) * HARTREE
    assert_allclose(found.potential_energies, expected)
    hc.write_trajectory(found[1:], tmp_path / "ours.h5")
    assert_allclose(hc.read_trajectory(tmp_path / "ours.h5").potential_energies, expected[1:])


def test_a_frame_without_its_number_leaves_them_all_out(tmp_path):
    path, options = xdatcar(tmp_path)
    path.write_text(path.read_text().replace("Direct configuration=     9", "Direct configuration=     x"))
    assert hc.read_trajectory(path, **options).frame_numbers is None


@pytest.mark.parametrize("name", ["pyxaid", "libra-text", "libra-npz"])
def test_hamiltonians_carry_the_numbers_in_the_names_of_their_files(name, tmp_path):
    rng = np.random.default_rng(0)
    nac = rng.normal(scale=1e-2, size=(4, 2, 2))
    ham = hc.VibronicHamiltonian(
        np.sort(rng.random((5, 2))), nac - nac.swapaxes(1, 2), 1.0, frame_numbers=np.arange(500, 505)
    )
    ham.write(tmp_path / "run", format=name)
    for file in (tmp_path / "run").iterdir():
        assert "py" in file.suffix or any(str(number) in file.name for number in range(500, 505))
    found = hc.read_hamiltonian(tmp_path / "run", timestep=1.0)
    assert_array_equal(found.frame_numbers, np.arange(500, 505))
    assert_array_equal(found[1:3].frame_numbers, [501, 502])
    assert_array_equal(found.select([1]).frame_numbers, np.arange(500, 505))
    found.write(tmp_path / "ours.h5")
    assert_array_equal(hc.read_hamiltonian(tmp_path / "ours.h5").frame_numbers, np.arange(500, 505))


def test_rows_of_a_table_are_no_numbers_of_frames(tmp_path):
    (tmp_path / "EIGTXT").write_text("0 1\n0 1\n0 1\n")
    (tmp_path / "NATXT").write_text("0 1e-3 -1e-3 0\n0 1e-3 -1e-3 0\n")
    assert hc.read_hamiltonian(tmp_path, timestep=1.0).frame_numbers is None

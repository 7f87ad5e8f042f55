"""Trajectories written for other programs, read by ASE, which knows the formats, and by us."""

import ase.io
import numpy as np
import pytest
from ase import units
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

import hopcast as hc
from hopcast.cli.app import app
from hopcast.core.errors import ConfigError, InputError, OutputError
from hopcast.io.structures import read_structure

CELL = np.array([[6.0, 0.1, 0.0], [0.3, 7.0, 0.2], [-0.4, 0.5, 8.0]])


def motion(n_frames=6, *, changing=False, velocities=True, seed=0, pbc=(True, True, True), frame_numbers=None):
    """Return atoms in an order in which an element comes twice, drifting across the boundary."""
    random = np.random.default_rng(seed)
    steps = random.normal(scale=0.3, size=(n_frames, 4, 3))
    positions = random.uniform(0, 6, (4, 3)) + np.cumsum(steps, axis=0) + 0.4 * np.arange(n_frames)[:, None, None]
    cell = CELL * (1 + 0.01 * np.arange(n_frames)[:, None, None]) if changing else CELL
    numbers = [82, 53, 53, 82]
    moving = random.normal(scale=0.01, size=positions.shape) if velocities else None
    return hc.Trajectory(positions, cell, numbers, 2.0, velocities=moving, pbc=pbc, frame_numbers=frame_numbers)


def same(found, expected, *, velocities=True):
    np.testing.assert_array_equal(found.numbers, expected.numbers)
    np.testing.assert_allclose(found.positions, expected.positions, rtol=0, atol=1e-12)
    np.testing.assert_allclose(found.cells(), expected.cells(), rtol=0, atol=1e-14)
    if velocities:
        np.testing.assert_allclose(found.velocities, expected.velocities, rtol=1e-14)


@pytest.mark.parametrize("changing", [False, True], ids=["one cell", "a cell a frame"])
@pytest.mark.parametrize(("name", "form"), [("md.extxyz", "extxyz"), ("XDATCAR", "vasp-xdatcar")])
def test_ase_and_we_read_what_was_written(name, form, changing, tmp_path):
    expected = motion(changing=changing, velocities=name == "md.extxyz")
    expected.write(tmp_path / name)
    found = ase.io.read(tmp_path / name, index=":", format=form)
    assert [list(atoms.numbers) for atoms in found] == [[82, 53, 53, 82]] * 6
    np.testing.assert_allclose([atoms.positions for atoms in found], expected.positions, rtol=0, atol=1e-12)
    np.testing.assert_allclose([atoms.cell.array for atoms in found], expected.cells(), rtol=0, atol=1e-14)
    assert all(atoms.pbc.all() for atoms in found)
    if expected.velocities is not None:
        moving = np.array([atoms.get_velocities() for atoms in found]) * units.fs
        np.testing.assert_allclose(moving, expected.velocities, rtol=1e-12)
    again = hc.read_trajectory(tmp_path / name, timestep=2.0)
    same(again, expected, velocities=expected.velocities is not None)
    assert again.cell.ndim == expected.cell.ndim


def test_a_poscar_is_one_frame(tmp_path):
    expected = motion()[2:3]
    expected.write(tmp_path / "POSCAR")
    atoms = ase.io.read(tmp_path / "POSCAR", format="vasp")
    np.testing.assert_allclose(atoms.positions, expected.positions[0], rtol=0, atol=1e-12)
    same(read_structure(tmp_path / "POSCAR"), expected, velocities=False)
    with pytest.raises(InputError, match=r"must hold one frame, but the trajectory has 6"):
        motion().write(tmp_path / "CONTCAR")


def test_numbered_folders(tmp_path):
    expected = motion(frame_numbers=np.array([10, 11, 12, 13, 14, 15]))
    expected.write(tmp_path / "frames", format="poscars")
    found = hc.read_trajectory(tmp_path / "frames", timestep=2.0)
    same(found, expected, velocities=False)
    assert found.frame_numbers.tolist() == [10, 11, 12, 13, 14, 15]
    with pytest.raises(OutputError, match="exists and is not empty"):
        expected.write(tmp_path / "frames", format="poscars")


def test_configurations_keep_their_numbers(tmp_path):
    motion(3, frame_numbers=np.array([100, 105, 110])).write(tmp_path / "XDATCAR")
    assert hc.read_trajectory(tmp_path / "XDATCAR", timestep=1.0).frame_numbers.tolist() == [100, 105, 110]


def test_a_molecule_has_no_lattice(tmp_path):
    molecule = hc.Trajectory(np.random.default_rng(0).random((2, 3, 3)), np.zeros((3, 3)), [8, 1, 1], 1.0, pbc=False)
    molecule.write(tmp_path / "water.xyz")
    assert not ase.io.read(tmp_path / "water.xyz", format="extxyz").pbc.any()
    same(hc.read_trajectory(tmp_path / "water.xyz", timestep=1.0, pbc=False), molecule, velocities=False)
    with pytest.raises(InputError, match=r"must be periodic to be written for VASP"):
        molecule.write(tmp_path / "XDATCAR")


@settings(max_examples=25, deadline=None)
@given(st.floats(1e-3, 1e3), st.integers(0, 2**32 - 1))
def test_every_digit_of_a_position_is_kept(tmp_path_factory, scale, seed):
    positions = np.random.default_rng(seed).normal(scale=scale, size=(1, 5, 3))
    place = tmp_path_factory.mktemp("digits") / "a.extxyz"
    hc.Trajectory(positions, np.eye(3) * 10, [1] * 5, 1.0).write(place)
    np.testing.assert_array_equal(hc.read_trajectory(place, timestep=1.0, unwrap=False).positions, positions)


@pytest.mark.parametrize("name", ["md.h5", "md.extxyz", "XDATCAR"])
def test_nothing_is_written_over(name, tmp_path):
    motion().write(tmp_path / name)
    before = (tmp_path / name).read_bytes()
    with pytest.raises(OutputError, match="exists"):
        motion(seed=1).write(tmp_path / name)
    assert (tmp_path / name).read_bytes() == before
    motion(seed=1).write(tmp_path / name, overwrite=True)
    assert (tmp_path / name).read_bytes() != before


@pytest.mark.parametrize("options", [{}, {"format": "vasprun"}, {"format": "cif"}])
def test_other_forms_are_refused(options, tmp_path):
    with pytest.raises(ConfigError, match=r"xdatcar|XDATCAR"):
        motion().write(tmp_path / "md.cif", **options)
    assert not list(tmp_path.iterdir())


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_convert_writes_by_name_and_says_what_is_lost(tmp_path):
    expected = motion()
    expected.write(tmp_path / "md.h5")
    done = run("convert", tmp_path / "md.h5", tmp_path / "XDATCAR", "--frames", "1:4")
    assert done.exit_code == 0, done.output
    assert "Velocities are left out." in done.output
    assert "give timestep 2 fs" in done.output
    same(hc.read_trajectory(tmp_path / "XDATCAR", timestep=2.0), expected[1:4], velocities=False)
    assert run("convert", tmp_path / "md.h5", tmp_path / "md.xyz").exit_code == 0
    same(hc.read_trajectory(tmp_path / "md.xyz", timestep=2.0), expected)


def test_convert_refuses_what_it_has_not(tmp_path):
    motion().write(tmp_path / "md.h5")
    assert isinstance(run("convert", tmp_path / "md.h5", tmp_path / "out", "--to", "pyxaid").exception, ConfigError)
    hc.VibronicHamiltonian(np.ones((3, 2)) * [0, 1], np.zeros((2, 2, 2)), 1.0).write(tmp_path / "ham.h5")
    refused = run("convert", tmp_path / "ham.h5", tmp_path / "md.extxyz")
    assert isinstance(refused.exception, InputError)
    assert "holds a Hamiltonian only" in str(refused.exception)
    assert not (tmp_path / "md.extxyz").exists()

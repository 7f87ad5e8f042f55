"""LAMMPS dumps, made as `dump custom` writes them: UNITS once, TIME, TIMESTEP, NUMBER OF ATOMS, BOX BOUNDS, ATOMS."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import hopcast as hc
from hopcast.io.streaming import open_trajectory

BOHR = 0.529177210903
ATOMS = "2 2 I 3.0 2.0 1.0 0.5 0 0\n1 1 Pb 0.5 0.5 {z:.2f} 0 -0.25 0\n"


def dump(
    path,
    columns="id type element x y z vx vy vz",
    atoms=ATOMS,
    units=None,
    times=(),
    bounds="pp pp pp",
    box=3 * "0.0 10.0\n",
):
    text = f"ITEM: UNITS\n{units}\n" if units else ""
    for frame in range(3):
        text += f"ITEM: TIME\n{times[frame]:.16g}\n" if len(times) else ""
        text += f"ITEM: TIMESTEP\n{1000 + 20 * frame}\nITEM: NUMBER OF ATOMS\n2\nITEM: BOX BOUNDS {bounds}\n{box}"
        text += f"ITEM: ATOMS {columns}\n{atoms.format(z=1 + frame / 4)}"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("units", "length", "time", "speed"),
    [
        ("real", 1.0, 1.0, 1.0),
        ("metal", 1.0, 1e3, 1e-3),
        ("si", 1e10, 1e15, 1e-5),
        ("cgs", 1e8, 1e15, 1e-7),
        ("electron", BOHR, 1.0, BOHR / 1.03275),
        ("micro", 1e4, 1e9, 1e-5),
        ("nano", 10.0, 1e6, 1e-5),
    ],
)
def test_units_of_each_style(tmp_path, units, length, time, speed):
    path = dump(tmp_path / "a.lammpstrj", units=units, times=np.array([5.0, 7.0, 9.0]) / time)
    found = hc.read_trajectory(path)
    assert found.timestep == pytest.approx(2.0)
    assert_array_equal(found.numbers, [82, 53])  # in the order of ids
    assert_allclose(found.cell, 10 * length * np.eye(3))
    assert_allclose(found.positions[:, 0, 2], length * np.array([1, 1.25, 1.5]))
    assert_allclose(found.velocities[0], speed * np.array([[0, -0.25, 0], [0.5, 0, 0]]))
    assert_array_equal(found.frame_numbers, [1000, 1020, 1040])
    with pytest.raises(hc.InputError, match="2 fs apart by its times, but `timestep` is 1 fs"):
        hc.read_trajectory(path, timestep=1.0)


def test_without_units_velocities_are_left_out_and_said_so(tmp_path):
    path = dump(tmp_path / "a.lammpstrj")
    with pytest.warns(hc.QualityWarning, match="does not say its units .* velocities left out"):
        found = hc.read_trajectory(path, timestep=2.0)
    assert found.velocities is None
    assert_allclose(found.cell, 10 * np.eye(3))
    with pytest.raises(hc.InputError, match="Give `timestep` in fs"), pytest.warns(hc.QualityWarning):
        hc.read_trajectory(path)
    with pytest.raises(hc.InputError, match="is in units `lj`, which say nothing of Å and fs"):
        hc.read_trajectory(dump(tmp_path / "b.lammpstrj", units="lj"), timestep=1.0)


def test_types_are_no_elements(tmp_path):
    path = dump(tmp_path / "a.lammpstrj", "id type x y z", "1 1 0 0 {z:.2f}\n2 2 3 3 3\n")
    with pytest.raises(
        hc.InputError, match=r"which elements its atoms are \(columns id, type, x, y, z\). Give `elements`"
    ):
        hc.read_trajectory(path, timestep=1.0)
    assert hc.read_trajectory(path, timestep=1.0, elements=["Pb", "I"]).formula == "PbI"
    with pytest.raises(hc.InputError, match="names 1 for types from 1 to 2"):
        hc.read_trajectory(path, timestep=1.0, elements=["Pb"])
    named = dump(tmp_path / "b.lammpstrj", units="real")
    assert hc.read_trajectory(named, timestep=1.0, elements=["Pb", "I"]).formula == "PbI"
    with pytest.raises(hc.InputError, match="names its elements itself, and others"):
        hc.read_trajectory(named, timestep=1.0, elements=["I", "Pb"])
    (tmp_path / "m.xyz").write_text("1\n\nH 0 0 0\n")
    with pytest.raises(hc.ConfigError, match="Argument `elements` must be left out for the format `xyz`"):
        hc.read_trajectory(tmp_path / "m.xyz", timestep=1.0, cell=[5, 5, 5], elements=["H"])


@pytest.mark.parametrize("scaled", [False, True])
def test_tilted_boxes(tmp_path, scaled):
    cell = np.array([[10, 0, 0], [2.0, 9, 0], [-1.0, 3.0, 8]])
    low = np.array([1.0, 2.0, -1.0])
    xy, xz, yz = cell[1, 0], cell[2, 0], cell[2, 1]
    bound = np.array(
        [
            [low[0] + min(0, xy, xz, xy + xz), low[0] + 10 + max(0, xy, xz, xy + xz), xy],
            [low[1] + min(0, yz), low[1] + 9 + max(0, yz), xz],
            [low[2], low[2] + 8, yz],
        ]
    )
    fraction = np.array([[0.1, 0.2, 0.3], [0.5, 0.5, 0.5]])
    places = fraction if scaled else low + fraction @ cell
    atoms = "".join(f"{k + 1} {['Pb', 'I'][k]} {x:.12f} {y:.12f} {z:.12f}\n" for k, (x, y, z) in enumerate(places))
    box = "".join(f"{a:.16e} {b:.16e} {c:.16e}\n" for a, b, c in bound)
    columns = "id element xs ys zs" if scaled else "id element x y z"
    found = hc.read_trajectory(
        dump(tmp_path / "a.dump", columns, atoms, units="real", bounds="xy xz yz pp pp pp", box=box), timestep=1.0
    )
    assert_allclose(found.cell, cell, atol=1e-12)
    assert_allclose(found.positions[0], low + fraction @ cell, atol=1e-9)


def test_what_is_not_wrapped_stays_so(tmp_path):
    """An atom that crosses the cell once between frames: numbers of images and unwrapped coordinates say so, wrapped ones cannot."""
    images = "".join
    path = dump(
        tmp_path / "a.dump", "id element x y z ix iy iz", "1 Pb 1 1 {z:.2f} 0 0 0\n2 I 3 3 3 0 0 0\n", units="real"
    )
    text = path.read_text().split("ITEM: TIMESTEP")
    text[2] = text[2].replace("1 Pb 1 1 1.25 0 0 0", "1 Pb 1 1 1.25 2 0 -1")
    path.write_text("ITEM: TIMESTEP".join(images([part]) for part in text))
    assert_allclose(hc.read_trajectory(path, timestep=1.0).positions[1, 0], [21, 1, -8.75])
    path = dump(tmp_path / "b.dump", "id element xu yu zu", "1 Pb 21 1 {z:.2f}\n2 I 3 3 3\n", units="real")
    assert_allclose(hc.read_trajectory(path, timestep=1.0).positions[1, 0], [21, 1, 1.25])


def test_stretches_are_read_by_the_same_reader(tmp_path):
    path = dump(tmp_path / "a.dump", units="metal", times=[0.005, 0.007, 0.009])
    whole = hc.read_trajectory(path, unwrap=False)
    with open_trajectory(path) as source:
        assert source.n_frames == 3
        for start, stop in ((0, 1), (1, 3), (2, 3), (0, 3)):
            part = source.frames(start, stop)
            assert_array_equal(part.positions, whole.positions[start:stop])
            assert_array_equal(part.frame_numbers, whole.frame_numbers[start:stop])
            assert part.symbols == whole.symbols
            assert part.timestep == pytest.approx(whole.timestep)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            "1 1 Pb 0.5",
            "1 1 Pb x",
            "line 24 .frame 1. must hold finite numbers in the column `x` of this frame, but holds `x`",
        ),
        ("2 2 I 3.0", "2 2 I", r"line 23 .frame 1. must hold the 9 columns of atom 0"),
        ("2 2 I 3.0", "1 2 I 3.0", "each atom once, but holds `two atoms of one id`"),
        ("2 2 I 3.0", "2 2 Br 3.0", "frame 1 atom 1 is Br instead of I"),
        ("NUMBER OF ATOMS\n2", "NUMBER OF ATOMS\n9999", r"line 17 .frame 1. must hold a number of atoms that fits"),
        ("0.0 10.0\n0.0 10.0\n", "0.0 10.0\n0.0\n", "must hold bounds of the box"),
        ("ITEM: ATOMS", "ITEM: BONDS", r"line 22 .frame 1. must hold an item of a dump"),
    ],
)
def test_damage_is_named(tmp_path, old, new, words):
    path = dump(tmp_path / "a.dump", units="real", bounds="pp pp pp")
    parts = path.read_text().split("ITEM: TIMESTEP")
    parts[2] = parts[2].replace(old, new, 1)
    path.write_text("ITEM: TIMESTEP".join(parts))
    with pytest.raises(hc.InputError, match=words):
        hc.read_trajectory(path, timestep=1.0)


def test_the_command_line_takes_elements(tmp_path):
    from typer.testing import CliRunner

    from hopcast.cli.app import app

    path = dump(tmp_path / "a.lammpstrj", "id type x y z", "1 1 0 0 {z:.2f}\n2 2 3 3 3\n", units="real")
    words = ["convert", str(path), str(tmp_path / "md.h5"), "--timestep", "1", "--elements", "Pb,I"]
    assert CliRunner().invoke(app, words).exit_code == 0
    assert hc.read_trajectory(tmp_path / "md.h5").formula == "PbI"

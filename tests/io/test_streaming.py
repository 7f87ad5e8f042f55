"""Stretches of text trajectories are what a reader of the whole file finds there."""

import dataclasses

import numpy as np
import pytest

import hopcast as hc
from hopcast.io import read_trajectory
from hopcast.io.streaming import OnText, open_trajectory


def header(scale, cell):
    vectors = "\n".join(" ".join(f"{x:.6f}" for x in row) for row in cell)
    return f"salt\n  {scale}\n{vectors}\n  Na  Cl\n  1  2\n"


def frame(number, coordinates):
    lines = "\n".join(" ".join(f"{x:.8f}" for x in row) for row in coordinates)
    return f"Direct configuration= {number:5d}\n{lines}\n"


@pytest.fixture
def coordinates():
    steps = np.random.default_rng(0).normal(scale=0.05, size=(12, 3, 3))
    return np.cumsum(steps, axis=0) % 1.0


CELL = np.array([[4.0, 0.1, 0.0], [0.0, 5.0, 0.0], [0.3, 0.0, 6.0]])


def check_stretches(path, **options):
    whole = read_trajectory(path, unwrap=False, **options)
    with open_trajectory(path, **options) as source:
        assert isinstance(source, OnText)
        assert source.n_frames == whole.n_frames
        for start in range(whole.n_frames):
            for stop in range(start + 1, whole.n_frames + 1):
                part = source.frames(start, stop)
                np.testing.assert_array_equal(part.positions, whole.positions[start:stop])
                np.testing.assert_array_equal(part.cells(), whole.cells()[start:stop])
                assert (part.symbols, part.timestep) == (whole.symbols, whole.timestep)


@pytest.mark.parametrize("chunk", [64, 1 << 20])
@pytest.mark.parametrize("headers", [(0,), tuple(range(12)), (0, 5), (0, 1, 2, 7, 11)])
def test_headers_of_xdatcar_travel_with_their_frames(tmp_path, coordinates, headers, chunk, monkeypatch):
    monkeypatch.setattr("hopcast.io.text.CHUNK", chunk)
    text = "".join(
        (header(1.0, CELL * (1 + 0.01 * number)) if number in headers else "") + frame(number + 1, one)
        for number, one in enumerate(coordinates)
    )
    (tmp_path / "XDATCAR").write_text(text)
    check_stretches(tmp_path / "XDATCAR", timestep=1.0)
    (tmp_path / "XDATCAR").write_text(text + "\n\n")
    check_stretches(tmp_path / "XDATCAR", timestep=1.0)


def xyz(coordinates, comment=lambda number: f" i = {number:8d}, time = {0.5 * number:12.3f}, E = -1.0"):
    return "".join(
        f"3\n{comment(number)}\n"
        + "".join(f"{s} {x:.7f} {y:.7f} {z:.7f}\n" for s, (x, y, z) in zip(["Na", "Cl", "Cl"], one, strict=True))
        for number, one in enumerate(coordinates)
    )


@pytest.mark.parametrize("end", ["", "\n", "\n\n\n\n\n\n\n"])
def test_xyz_of_cp2k_with_its_cells(tmp_path, coordinates, end, monkeypatch):
    monkeypatch.setattr("hopcast.io.text.CHUNK", 50)
    (tmp_path / "md-pos-1.xyz").write_text(xyz(coordinates) + end)
    lines = ["# step time cell volume"] + [
        f"{n} {0.5 * n} " + " ".join(f"{x:.6f}" for x in (CELL * (1 + 0.01 * n)).ravel()) + " 120.0" for n in range(12)
    ]
    (tmp_path / "md-1.cell").write_text("\n".join(lines) + "\n")
    check_stretches(tmp_path / "md-pos-1.xyz")
    check_stretches(tmp_path / "md-pos-1.xyz", cell=[4.0, 5.0, 6.0])


def test_extended_xyz_with_a_lattice_in_each_frame(tmp_path, coordinates):
    def comment(number):
        cell = " ".join(f"{x:.5f}" for x in (CELL * (1 + 0.01 * number)).ravel())
        return f'Lattice="{cell}" Properties=species:S:1:pos:R:3 pbc="T T T"'

    (tmp_path / "md.xyz").write_text(xyz(coordinates, comment))
    check_stretches(tmp_path / "md.xyz", timestep=0.5)


def test_damage_is_named_in_the_file_of_the_user(tmp_path, coordinates):
    path = tmp_path / "md-pos-1.xyz"
    lines = xyz(coordinates).split("\n")
    lines[5 * 7 + 3] = "Cl 0.1 broken 0.3"
    path.write_text("\n".join(lines))
    with open_trajectory(path, cell=[4.0, 5.0, 6.0]) as source:
        source.frames(0, 7)
        with pytest.raises(hc.InputError, match=r"Frames counted from 6: File `.*/md-pos-1.xyz`, frame 1, atom 1"):
            source.frames(6, 9)
    path.write_text(xyz(coordinates)[:-20])
    with (
        open_trajectory(path, cell=[4.0, 5.0, 6.0]) as source,
        pytest.raises(hc.InputError, match=r"Frames counted from 10: File `.*/md-pos-1.xyz`"),
    ):
        source.frames(10, 12)


def test_a_full_temporary_folder_says_so(tmp_path, coordinates, monkeypatch):
    path = tmp_path / "md-pos-1.xyz"
    path.write_text(xyz(coordinates))
    with open_trajectory(path, cell=[4.0, 5.0, 6.0]) as source:
        monkeypatch.setattr(
            type(path), "write_bytes", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device"))
        )
        with pytest.raises(hc.OutputError, match=r"No space left on device\. Free space, or set TMPDIR"):
            source.frames(0, 3)


def test_trajectories_in_memory_are_cut(coordinates):
    trajectory = hc.Trajectory(coordinates @ CELL, CELL, np.array([11, 17, 17]), 1.0)
    with open_trajectory(trajectory) as source:
        assert source.n_frames == 12
        same = dataclasses.replace(trajectory[3:6])
        np.testing.assert_array_equal(source.frames(3, 6).positions, same.positions)

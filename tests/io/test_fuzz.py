"""A small sample of `make fuzz`, so that its harness and its seeds stay alive, and what it found before."""

import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

import hopcast as hc
from hopcast.core.hdf5 import checked_file

sys.path.insert(0, str(Path(__file__).parents[1] / "fuzz"))
from fuzz_readers import fuzz
from seeds import SEEDS


@pytest.mark.parametrize("name", SEEDS)
def test_mutated_files_are_read_or_refused(name, tmp_path):
    fine, refused = fuzz(name, SEEDS[name](tmp_path), 25, 1)
    assert fine + refused == 25
    assert refused > 0


class TestFoundByFuzzing:
    """Files that made a reader hang, fill the memory, or raise something else."""

    def test_strings_of_hdf5_that_never_end_or_claim_too_much(self, tmp_path):
        path = tmp_path / "t.h5"
        with h5py.File(path, "w") as file:
            file.attrs["unit"] = "angstrom"
        data = path.read_bytes()
        heap = data.index(b"GCOL")
        checked_file(path).close()
        # the free space of the heap (object 0) of size 0: the library does not step on
        second = heap + 16 + 16 + 8
        path.write_bytes(data[:second] + bytes(16) + data[second + 16 :])
        with pytest.raises(hc.InputError, match="is damaged at byte"):
            checked_file(path)
        # a heap larger than the file
        path.write_bytes(data[: heap + 8] + (1 << 30).to_bytes(8, "little") + data[heap + 16 :])
        with pytest.raises(hc.InputError, match="is damaged at byte"):
            checked_file(path)
        # a length that stands before the place of the heap, whatever stands there
        user = data.index(heap.to_bytes(8, "little") + b"\x01\x00\x00\x00")
        for place in (b"", b"\x88\x3c\xe4\x37\x7e\x00\x00\x00"):
            path.write_bytes(data[: user - 4] + b"\xff\xff\xff\x7f" + place + data[user + len(place) :])
            with pytest.raises(hc.InputError, match=r"is damaged at byte \d+ \(a string\)"):
                checked_file(path)
        with h5py.File(path, "w", libver="latest") as file:
            file.attrs["units"] = ["angstrom", "fs"]
        data = path.read_bytes()
        checked_file(path).close()
        heap = data.index(b"GCOL")
        user = data.index(heap.to_bytes(8, "little") + b"\x02\x00\x00\x00")
        path.write_bytes(data[: user - 4] + b"\xff\xff\xff\x7f" + data[user:])
        with pytest.raises(hc.InputError, match=r"is damaged at byte \d+ \(a string\)"):
            checked_file(path)

    def test_an_extxyz_that_claims_more_atoms_or_columns_than_it_has(self, tmp_path):
        path = tmp_path / "a.extxyz"
        path.write_text('99999999\nLattice="5 0 0 0 5 0 0 0 5" Properties=species:S:1:pos:R:3\nO 0 0 0\n')
        with pytest.raises(hc.InputError, match="frame 0, atom 1 must hold the columns"):
            hc.read_trajectory(path, timestep=1.0)
        path.write_text('1\nLattice="5 0 0 0 5 0 0 0 5" Properties=species:S:1:pos:R:99999999\nO 0 0 0\n')
        with pytest.raises(hc.InputError, match="frame 0 must name its columns"):
            hc.read_trajectory(path, timestep=1.0)

    def test_a_lammps_dump_that_claims_more_atoms_than_it_has(self, tmp_path):
        seed = SEEDS["lammps"](tmp_path)
        path = next(tmp_path.iterdir())
        text = path.read_text()
        for claim in ("4294967296", "-1", "two"):
            path.write_text(text.replace("ATOMS\n2\n", f"ATOMS\n{claim}\n", 1))
            with pytest.raises(
                hc.InputError, match=rf"line 4 \(frame 0\) must hold a number of atoms .* holds `{claim}`"
            ):
                seed.read()

    def test_an_extxyz_with_some_lattices(self, tmp_path):
        frame = '1\nLattice="5 0 0 0 5 0 0 0 5" Properties=species:S:1:pos:R:3\nO 0 0 0\n'
        (tmp_path / "a.extxyz").write_text(frame + frame.replace('Lattice="5 0 0 0 5 0 0 0 5" ', ""))
        with pytest.raises(
            hc.InputError, match="must have a Lattice in all of its frames or in none, but has it in 1 of 2"
        ):
            hc.read_trajectory(tmp_path / "a.extxyz", timestep=1.0)

    def test_attributes_of_hdf5_that_are_no_text(self, tmp_path):
        path = tmp_path / "t.h5"
        with h5py.File(path, "w") as file:
            ragged = np.empty(1, dtype=object)
            ragged[0] = np.array([1, 2, 3], dtype=np.int32)
            file.attrs.create("format", ragged, dtype=h5py.vlen_dtype(np.int32))
        with pytest.raises(hc.InputError, match="attribute `format`"):
            hc.read_hamiltonian(path, format="hopcast")

    def test_a_poscar_with_a_strange_blank(self, tmp_path):
        SEEDS["poscars"](tmp_path)
        path = tmp_path / "1" / "POSCAR"
        path.write_text(path.read_text().replace("5 0 0", "5\x1d0 0"))
        assert hc.read_trajectory(tmp_path, timestep=1.0).n_frames == 2

    def test_a_traj_that_claims_more_than_it_has(self, tmp_path):
        SEEDS["ase-traj"](tmp_path)
        path = tmp_path / "a.traj"
        data = path.read_bytes()
        path.write_bytes(data[:32] + (1 << 60).to_bytes(8, "little") + data[40:])
        with pytest.raises(hc.InputError, match="is damaged"):
            hc.read_trajectory(path, timestep=1.0)

    def test_a_poscar_that_claims_more_atoms_than_it_has(self, tmp_path):
        SEEDS["poscars"](tmp_path)
        path = tmp_path / "1" / "POSCAR"
        path.write_text(path.read_text().replace("1 1\n", "9999999 1\n"))
        with pytest.raises(hc.InputError, match="must hold 10000000 atoms, but has"):
            hc.read_trajectory(tmp_path, timestep=1.0)

    @pytest.mark.parametrize(
        "text", ['<?xml version="1.0" encoding="Iinf-1"?><modeling/>', "<modeling><i>", "<modeling/>"]
    )
    def test_xml(self, tmp_path, text):
        (tmp_path / "vasprun.xml").write_text(text)
        with pytest.raises(hc.InputError, match=r"vasprun\.xml` (is cut short|must hold atoms)"):
            hc.read_trajectory(tmp_path / "vasprun.xml", timestep=1.0)

    def test_a_cell_without_volume_names_its_file(self, tmp_path):
        SEEDS["xdatcar"](tmp_path)
        path = tmp_path / "XDATCAR"
        path.write_text(path.read_text().replace("5 0 0", "0 0 0"))
        with pytest.raises(hc.InputError, match="XDATCAR` cannot be read as `xdatcar`: Argument `cell` must span"):
            hc.read_trajectory(path, timestep=1.0)

    def test_bytes_that_are_no_text(self, tmp_path):
        (tmp_path / "ACSPACE").write_bytes(b"6 \x99\n")
        with pytest.raises(hc.InputError, match="line 1"):
            hc.dynamics.read_determinants(tmp_path / "ACSPACE")

    def test_lines_that_only_look_even(self, tmp_path, monkeypatch):
        monkeypatch.setattr(hc.io.text, "SMALL", 1)
        (tmp_path / "t").write_text("  1  1.0-200\n  5  2\n5  2\n")
        assert hc.io.text.read_table(tmp_path / "t").shape == (3, 2)

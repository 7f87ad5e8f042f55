"""Files: round trips, ASE formats, wrapped coordinates, and everything a file can get wrong."""

import os
import stat

import ase
import ase.io
import h5py
import numpy as np
import pytest
from ase import units
from numpy.testing import assert_allclose, assert_array_equal

import hopcast as hc
from hopcast.core import hdf5
from hopcast.io import write_native


def frames(n_frames=4, velocities=False, cell=True):
    rng = np.random.default_rng(0)
    result = []
    for _ in range(n_frames):
        atoms = ase.Atoms("CsPbI3", rng.random((5, 3)) * 3, cell=[6, 7, 8] if cell else None, pbc=cell)
        if velocities:
            atoms.set_velocities(rng.random((5, 3)))
        result.append(atoms)
    return result


@pytest.fixture
def hamiltonian():
    rng = np.random.default_rng(1)
    nac = rng.normal(size=(4, 2, 2)) + 1j * rng.normal(size=(4, 2, 2))
    nac = nac - nac.conj().swapaxes(1, 2)
    nac[2] = np.nan
    return hc.VibronicHamiltonian(
        np.sort(rng.random((5, 2))),
        nac,
        0.5,
        overlaps=rng.normal(size=(4, 2, 2)),
        n_occupied=1,
        state_labels=("VBM", "CBM"),
        provenance={"source": "a test", "sign": "hbar d"},
    )


def test_native_round_trip(tmp_path, hamiltonian):
    trajectory = hc.Trajectory(
        np.random.default_rng(0).random((5, 2, 3)).astype(np.float32),
        4 * np.eye(3),
        [1, 8],
        0.5,
        pbc=(True, False, True),
    )
    path = tmp_path / "both.h5"
    write_native(path, trajectory=trajectory, hamiltonian=hamiltonian)
    back, ham = hc.read_trajectory(path), hc.read_hamiltonian(path)
    assert back.positions.dtype == np.float32
    assert_array_equal(back.positions, trajectory.positions)
    assert (back.timestep, back.pbc, back.velocities) == (0.5, (True, False, True), None)
    for name in ("energies", "nac", "overlaps", "energy_known", "nac_known"):
        assert_array_equal(getattr(ham, name), getattr(hamiltonian, name))
    assert (ham.n_occupied, ham.state_labels, ham.provenance) == (1, ("VBM", "CBM"), hamiltonian.provenance)


def test_write_method(tmp_path, hamiltonian):
    hamiltonian.write(tmp_path / "ham.h5")
    assert hc.read_hamiltonian(tmp_path / "ham.h5").n_states == 2
    with pytest.raises(hc.ConfigError, match=r"`path` must end in \.h5"):
        hamiltonian.write(tmp_path / "ham.txt")
    with pytest.raises(hc.ConfigError, match="`format` must be one of"):
        hamiltonian.write(tmp_path / "ham.h5", format="hopcat")


def test_files_describe_themselves(tmp_path, hamiltonian):
    write_native(tmp_path / "ham.h5", hamiltonian=hamiltonian)
    with h5py.File(tmp_path / "ham.h5") as file:
        assert file["hamiltonian/nac"].attrs["unit"] == "eV"
        assert file["hamiltonian/nac"].attrs["axes"] == "n_steps, n_states, n_states"
        assert file.attrs["created_by"].startswith("hopcast")
    assert stat.S_IMODE(os.stat(tmp_path / "ham.h5").st_mode) & stat.S_IRUSR


@pytest.mark.parametrize("suffix", ["extxyz", "traj", "XDATCAR"])
def test_ase_formats(tmp_path, suffix):
    path = tmp_path / ("XDATCAR" if suffix == "XDATCAR" else f"md.{suffix}")
    images = frames(velocities=suffix != "XDATCAR")
    ase.io.write(path, images, **({"format": "vasp-xdatcar"} if suffix == "XDATCAR" else {}))
    trajectory = hc.read_trajectory(path, timestep=2.0, unwrap=False)
    assert trajectory.formula == "CsPbI3"
    assert_allclose(trajectory.positions, [image.positions for image in images], atol=1e-6)
    assert_allclose(trajectory.cell, np.diag([6, 7, 8]))
    if suffix != "XDATCAR":
        assert_allclose(trajectory.velocities[0], images[0].get_velocities() * units.fs, atol=1e-6)


def test_wrapped_coordinates_are_unwrapped(tmp_path):
    """An atom that crosses the boundary of a triclinic cell ten times moves on a straight line again."""
    cell = np.array([[5.0, 0, 0], [1, 6, 0], [0.5, -1, 7]])
    path = np.linspace(0, 3, 40)[:, None] @ (cell[0] + 2 * cell[2])[None]
    images = [ase.Atoms("PbI", [p, p + 1.0], cell=cell, pbc=True) for p in path]
    for image in images:
        image.wrap()
    ase.io.write(tmp_path / "md.extxyz", images)
    trajectory = hc.read_trajectory(tmp_path / "md.extxyz", timestep=1.0)
    steps = np.diff(trajectory.positions, axis=0)
    assert_allclose(steps, np.broadcast_to(path[1] - path[0], steps.shape), atol=1e-6)


class TestBadFiles:
    def test_missing(self, tmp_path):
        with pytest.raises(hc.InputError, match="does not exist"):
            hc.read_trajectory(tmp_path / "none.xyz", timestep=1.0)
        with pytest.raises(hc.InputError, match="does not exist"):
            hc.read_hamiltonian(tmp_path / "none.h5")

    def test_unreadable(self, tmp_path):
        (tmp_path / "md.extxyz").write_text("this is not\na trajectory")
        with pytest.raises(hc.InputError, match="cannot be read as a trajectory"):
            hc.read_trajectory(tmp_path / "md.extxyz", timestep=1.0)
        (tmp_path / "ham.h5").write_bytes(b"\x89HDF but not really")
        with pytest.raises(hc.InputError, match="cannot be read as HDF5"):
            hc.read_hamiltonian(tmp_path / "ham.h5")

    def test_cut_short(self, tmp_path):
        ase.io.write(tmp_path / "md.xyz", frames(), format="extxyz")
        text = (tmp_path / "md.xyz").read_text().splitlines()
        (tmp_path / "md.xyz").write_text("\n".join(text[:-2]))
        with pytest.raises(hc.InputError, match="frame 3, atom 3 must hold the columns"):
            hc.read_trajectory(tmp_path / "md.xyz", timestep=1.0)

    def test_foreign_and_partial_hdf5(self, tmp_path, hamiltonian):
        with h5py.File(tmp_path / "other.h5", "w") as file:
            file["x"] = 1
        with pytest.raises(hc.InputError, match="not hopcast's own form"):
            hc.read_hamiltonian(tmp_path / "other.h5")
        write_native(tmp_path / "ham.h5", hamiltonian=hamiltonian)
        with pytest.raises(hc.InputError, match="must hold a trajectory, but holds hamiltonian"):
            hc.read_trajectory(tmp_path / "ham.h5")
        with h5py.File(tmp_path / "ham.h5", "a") as file:
            del file["hamiltonian/nac"]
        with pytest.raises(hc.InputError, match="must hold `/hamiltonian/nac`"):
            hc.read_hamiltonian(tmp_path / "ham.h5")

    def test_newer_version(self, tmp_path, hamiltonian):
        write_native(tmp_path / "ham.h5", hamiltonian=hamiltonian)
        with h5py.File(tmp_path / "ham.h5", "a") as file:
            file.attrs["format_version"] = 99
        with pytest.raises(hc.InputError, match="format version 99"):
            hc.read_hamiltonian(tmp_path / "ham.h5")

    def test_time_step(self, tmp_path, hamiltonian):
        ase.io.write(tmp_path / "md.extxyz", frames())
        with pytest.raises(hc.InputError, match="Give `timestep` in fs"):
            hc.read_trajectory(tmp_path / "md.extxyz")
        write_native(tmp_path / "ham.h5", hamiltonian=hamiltonian)
        with pytest.raises(hc.InputError, match=r"frames 0.5 fs apart, but `timestep` is 1 fs"):
            hc.read_hamiltonian(tmp_path / "ham.h5", timestep=1.0)

    def test_no_cell(self, tmp_path):
        ase.io.write(tmp_path / "md.xyz", frames(cell=False), format="xyz")
        with pytest.raises(hc.InputError, match="has no cell"):
            hc.read_trajectory(tmp_path / "md.xyz", timestep=1.0)
        assert hc.read_trajectory(tmp_path / "md.xyz", timestep=1.0, cell=[6, 7, 8]).pbc == (True, True, True)
        assert hc.read_trajectory(tmp_path / "md.xyz", timestep=1.0, pbc=False).pbc == (False, False, False)

    def test_atoms_reordered_or_lost(self, tmp_path):
        images = frames()
        images[2] = images[2][[1, 0, 2, 3, 4]]
        ase.io.write(tmp_path / "md.traj", images)
        with pytest.raises(hc.InputError, match="in frame 2 atom 0 is Pb instead of Cs"):
            hc.read_trajectory(tmp_path / "md.traj", timestep=1.0)
        images[2] = images[2][:4]
        ase.io.write(tmp_path / "md.traj", images)
        with pytest.raises(hc.InputError, match="frame 2 has 4 instead of 5"):
            hc.read_trajectory(tmp_path / "md.traj", timestep=1.0)

    def test_unknown_suffix(self, tmp_path):
        (tmp_path / "couplings.dat").write_text("0")
        with pytest.raises(hc.InputError, match="in no format that hopcast recognises"):
            hc.read_hamiltonian(tmp_path / "couplings.dat")


class TestAtomicWrites:
    def test_failure_leaves_the_old_file(self, tmp_path):
        hdf5.write_text(tmp_path / "a.txt", "old")
        with pytest.raises(RuntimeError, match="halfway"), hdf5.atomic_path(tmp_path / "a.txt") as temporary:  # noqa: PT012
            temporary.write_text("new")
            raise RuntimeError("halfway")
        assert (tmp_path / "a.txt").read_text() == "old"
        assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]

    def test_full_disk(self, hamiltonian):
        if not os.path.exists("/dev/full"):
            pytest.skip("no /dev/full on this system")
        with pytest.raises(hc.OutputError, match="No space left on device"), hdf5.atomic_path("/tmp/x"):  # noqa: SIM117
            with open("/dev/full", "w") as file:
                file.write("x" * 100000)

    def test_forbidden_folder(self, tmp_path, hamiltonian):
        (tmp_path / "file").write_text("")
        with pytest.raises(hc.OutputError, match="Cannot write"):
            hamiltonian.write(tmp_path / "file" / "ham.h5")

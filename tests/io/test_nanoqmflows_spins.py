"""HDF5 of nano-qmflows from unrestricted calculations, of several runs, and of its old layout."""

import h5py
import numpy as np
import pytest
from numpy.testing import assert_allclose

import hopcast as hc
from hopcast.core.units import HARTREE


def put(path, groups):
    with h5py.File(path, "w") as file:
        for name, gap in groups.items():
            for step in range(3):
                file[f"{name}/eigenvalues/point_{step}"] = np.array([-0.1, gap - 0.1])
                if step < 2:
                    file[f"{name}/overlaps_{step}/mtx_sji_t0"] = np.eye(2)
    return path


def test_two_spins_are_announced_and_chosen(tmp_path):
    path = put(tmp_path / "run.hdf5", {"alphas": 0.1, "betas": 0.2})
    with pytest.warns(
        hc.QualityWarning, match=r"two channels of spin \(`alphas` and `betas`\), of which alpha is read. Give `spin`"
    ):
        found = hc.read_hamiltonian(path, timestep=1.0)
    assert_allclose(found.gap(), 0.1 * HARTREE)
    assert found.provenance["format"].endswith("alphas")
    assert_allclose(hc.read_hamiltonian(path, timestep=1.0, spin=1).gap(), 0.2 * HARTREE)
    with pytest.raises(hc.InputError, match=r"to choose from, but holds alphas, betas. Leave `spin` out"):
        hc.read_hamiltonian(path, timestep=1.0, spin=2)


def test_without_spins_there_is_none_to_choose(tmp_path):
    path = put(tmp_path / "run.hdf5", {"project": 0.1})
    assert_allclose(hc.read_hamiltonian(path, timestep=1.0).gap(), 0.1 * HARTREE)
    with pytest.raises(hc.InputError, match=r"must hold channels of spin .* but holds none"):
        hc.read_hamiltonian(path, timestep=1.0, spin=0)


def test_several_runs_in_a_file_ask(tmp_path):
    path = put(tmp_path / "run.hdf5", {"one": 0.1, "two": 0.2})
    with pytest.raises(hc.InputError, match="eigenvalues of one run, but holds those of `one`, `two`"):
        hc.read_hamiltonian(path, timestep=1.0)


def test_the_old_layout_is_refused_by_name(tmp_path):
    with h5py.File(tmp_path / "old.hdf5", "w") as file:
        for step in range(3):
            file[f"project/point_{step}/cp2k/mo/eigenvalues"] = np.zeros(2)
    with pytest.raises(hc.InputError, match="layout of an old nano-qmflows"):
        hc.read_hamiltonian(tmp_path / "old.hdf5", timestep=1.0)


def test_an_overlap_of_zeros_is_a_step_that_failed(tmp_path):
    path = put(tmp_path / "run.hdf5", {"project": 0.1})
    with h5py.File(path, "a") as file:
        file["project/overlaps_1/mtx_sji_t0"][...] = 0
    with pytest.raises(hc.InputError, match="those of step 1 are zero throughout: its calculation failed"):
        hc.read_hamiltonian(path, timestep=1.0)

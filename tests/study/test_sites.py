"""A study of a material of five elements: molecules as sites, a stretch of frames, states by their names."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from hopcast.core import ConfigError
from hopcast.study.config import parse_config
from hopcast.study.inputs import read_data

_path = Path(__file__).parents[1] / "descriptors" / "methylammonium.py"
_spec = importlib.util.spec_from_file_location("methylammonium", _path)
methylammonium = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(methylammonium)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    base = tmp_path_factory.mktemp("perovskite")
    trajectory = methylammonium.make_trajectory(80)
    trajectory.write(base / "md.h5")
    methylammonium.make_hamiltonian(trajectory).write(base / "states.h5")
    return base


def read(folder, features=None, **data):
    files = {"trajectory": str(folder / "md.h5"), "hamiltonian": str(folder / "states.h5")}
    return read_data(parse_config({"data": files | data, "features": features or {}}))


def test_features_see_sites_and_everything_else_sees_atoms(folder):
    data = read(folder, {"molecules": ["C", "N", "H"], "elements": ["Pb", "N"]})
    assert data.sites.formula == "Pb4N4"
    assert data.trajectory.n_atoms == 48
    at_atoms = data.at_atoms(np.arange(8.0))
    assert [data.trajectory.symbols[atom] for atom in np.flatnonzero(np.isfinite(at_atoms))] == list(data.sites.symbols)


def test_without_either_the_sites_are_the_atoms(folder):
    data = read(folder)
    assert data.sites is data.trajectory
    np.testing.assert_array_equal(data.at_atoms(np.arange(48.0)), np.arange(48.0))


def test_a_stretch_of_frames_is_another_study(folder):
    whole, part = read(folder), read(folder, frames="10:60", states=["VBM", "CBM"])
    assert part.trajectory.n_frames == part.hamiltonian.n_frames == 50
    np.testing.assert_array_equal(part.hamiltonian.energies, whole.hamiltonian.energies[10:60])
    assert part.fingerprint != whole.fingerprint


def test_elements_that_are_not_there_are_named(folder):
    with pytest.raises(ConfigError, match="`elements` must hold elements of the trajectory"):
        read(folder, {"elements": ["Sn"]})

"""Trajectories that are not in memory: positions, features and what is learnt from them, on disk or chunk by chunk."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import h5py
import numpy as np
import pytest

import hopcast as hc
from hopcast.core import ConfigError, InputError
from hopcast.descriptors import SymmetryFunctions
from hopcast.information import mutual_information

FUNCTIONS = SymmetryFunctions(r_s=(3.2, 4.6), theta_s=(0.0, 1.57, 3.14), r_cut=5.0)


@pytest.fixture
def on_disk(tmp_path: Path) -> hc.Trajectory:
    """A trajectory whose positions are a file, looked at through the page cache."""
    source = hc.load("cspbi3-long").trajectory[:3000]
    source.positions.tofile(tmp_path / "positions.bin")
    positions = np.memmap(tmp_path / "positions.bin", np.float32, "r", shape=source.positions.shape)
    trajectory = hc.Trajectory(positions, source.cell, source.numbers, source.timestep)
    assert np.shares_memory(trajectory.positions, positions)
    return trajectory


def test_features_on_disk_have_the_bits_of_those_in_memory(on_disk: hc.Trajectory, tmp_path: Path) -> None:
    part = on_disk[:600]
    expected = FUNCTIONS.transform(part)
    mapped = np.memmap(tmp_path / "G.bin", np.float64, "w+", shape=expected.shape)
    assert FUNCTIONS.transform(part, out=mapped, workers=2) is mapped
    np.testing.assert_array_equal(mapped, expected)
    with h5py.File(tmp_path / "G.h5", "w") as file:
        stored = file.create_dataset("G", expected.shape, np.float64, chunks=(64, *expected.shape[1:]))
        FUNCTIONS.transform(part, out=stored, chunk_frames=64)
        np.testing.assert_array_equal(stored[()], expected)
    chunks = list(FUNCTIONS.transform_chunks(part, chunk_frames=250))
    assert [frames for frames, _ in chunks] == [slice(0, 250), slice(250, 500), slice(500, 600)]
    np.testing.assert_array_equal(np.concatenate([values for _, values in chunks]), expected)


def test_information_of_thinned_features_on_disk(on_disk: hc.Trajectory, tmp_path: Path) -> None:
    G = np.memmap(tmp_path / "G.bin", np.float64, "w+", shape=(600, on_disk.n_atoms, FUNCTIONS.n_functions))
    FUNCTIONS.transform(on_disk[:600], out=G)
    flat = G.reshape(len(G), -1)
    thinned = flat[::4, :12]
    target = np.asarray(flat[::4, 3]) ** 2
    found = mutual_information(thinned, target)
    np.testing.assert_array_equal(found, mutual_information(np.array(thinned), target))
    assert np.argmax(found) == 3


def test_memory_is_that_of_chunks_not_of_the_trajectory(on_disk: hc.Trajectory) -> None:
    def peak(n_frames: int) -> int:
        tracemalloc.start()
        for _ in FUNCTIONS.transform_chunks(on_disk[:n_frames], workers=2, chunk_frames=50):
            pass
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return used

    peak(100)
    short, long = peak(500), peak(3000)
    assert long < 1.3 * short
    assert long < 0.3 * 3000 * on_disk.n_atoms * FUNCTIONS.n_functions * 8


def test_what_is_wrong_is_said_before_the_work(on_disk: hc.Trajectory) -> None:
    with pytest.raises(InputError, match=r"`out` must have the shape \(3000, 20, 6\), but has \(3000, 20, 5\)"):
        FUNCTIONS.transform(on_disk, out=np.empty((3000, 20, 5)))
    with pytest.raises(ConfigError, match="`chunk_frames` must be at least 1"):
        FUNCTIONS.transform_chunks(on_disk, chunk_frames=0)

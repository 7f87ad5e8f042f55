"""The cache of stages: found again, never trusted when damaged, sensitive to every input."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from hopcast.study.stages import StageResult, array_hash, cached, stage_key


def test_round_trip(tmp_path):
    calls = []

    def compute():
        calls.append(1)
        return StageResult(
            {"a": [1.5, None, "x"]}, {"gap/all-18": np.arange(3.0), "mask": np.array([True, False])}
        )

    first, found_first = cached(tmp_path, "models", "abc", compute)
    second, found_second = cached(tmp_path, "models", "abc", compute)
    assert (len(calls), found_first, found_second) == (1, False, True)
    assert second.numbers == first.numbers
    assert set(second.arrays) == {"gap/all-18", "mask"}
    assert_array_equal(second.arrays["mask"], [True, False])


def test_a_damaged_file_is_computed_again(tmp_path):
    (tmp_path / "x-k.h5").write_bytes(b"half a file")
    result, found = cached(tmp_path, "x", "k", lambda: StageResult({"n": 1}))
    assert not found
    assert result.numbers == {"n": 1}


def test_a_failed_stage_leaves_nothing(tmp_path):
    def fail():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cached(tmp_path, "x", "k", fail)
    assert list(tmp_path.iterdir()) == []


def test_keys_depend_on_every_input():
    base = stage_key("a", {"x": 1, "y": [1, 2]})
    assert base == stage_key("a", {"y": [1, 2], "x": 1})
    assert len({base, stage_key("b", {"x": 1, "y": [1, 2]}), stage_key("a", {"x": 2, "y": [1, 2]})}) == 3


def test_array_hash_sees_shape_type_and_contents():
    a = np.arange(6.0)
    hashes = {
        array_hash(a),
        array_hash(a.reshape(2, 3)),
        array_hash(a.astype(np.float32)),
        array_hash(a[::-1]),
        array_hash(None),
    }
    assert len(hashes) == 5
    assert array_hash(a) == array_hash(a.copy())

import numpy as np
import pytest
from descriptor_twins import random_trajectory

from hopcast.core import ConfigError, InputError
from hopcast.descriptors import element_columns, flatten

G = np.arange(2 * 3 * 4.0).reshape(2, 3, 4)
SYMBOLS = ("I", "Pb", "I")


def test_flat_columns_are_atom_slow_function_fast():
    flat = flatten(G)
    assert flat.shape == (2, 12)
    assert flat[1, 1 * 4 + 2] == G[1, 1, 2]
    assert np.shares_memory(flat, G)


def test_columns_of_an_element_and_of_one_of_its_functions():
    assert np.array_equal(flatten(G)[:, element_columns(SYMBOLS, "I", 4)], G[:, [0, 2]].reshape(2, -1))
    assert np.array_equal(flatten(G)[:, element_columns(SYMBOLS, "I", 4, function=3)], G[:, [0, 2], 3])
    assert np.array_equal(element_columns(SYMBOLS, None, 4), np.arange(12))
    trajectory = random_trajectory(n_frames=1, n_atoms=6)
    assert np.array_equal(element_columns(trajectory, "Pb", 2), [2, 3, 8, 9])


def test_what_is_not_there_is_refused():
    with pytest.raises(InputError, match="`Br` is not; it has I, Pb"):
        element_columns(SYMBOLS, "Br", 4)
    with pytest.raises(ConfigError, match="`function` must lie between 0 and 3"):
        element_columns(SYMBOLS, "I", 4, function=4)
    with pytest.raises(InputError, match="n_frames, n_atoms, n_functions"):
        flatten(flatten(G))

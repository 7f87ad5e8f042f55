"""Some of many, evenly."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hopcast.core.spreading import spread


@given(st.integers(1, 500), st.integers(1, 600))
def test_some_of_many(n, most):
    found = spread(n, most)
    assert len(found) == min(n, most)
    assert found[0] == 0
    assert np.all(np.diff(found) >= 1)
    if len(found) > 1:
        assert found[-1] == n - 1
        assert np.ptp(np.diff(found)) <= 1

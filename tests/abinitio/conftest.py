import numpy as np
import pytest

import hopcast as hc


@pytest.fixture
def nuclei():
    """Water in a box of 5 Å, drifting slowly, 6 frames."""
    start = np.array([[0.0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]]) + 2.0
    drift = 0.01 * np.arange(6)[:, None, None] * np.array([[0, 0, 0], [0.5, 0.2, 0], [0, 0, 0.3]])
    return hc.Trajectory(start + drift, np.eye(3) * 5.0, np.array([8, 1, 1]), 1.0)

"""Arguments of the wrong kind: one sentence each that names them, whatever was given."""

import numpy as np
import pytest

from hopcast.core.errors import HopcastError
from hopcast.dynamics import run_dynamics

NAMES = [
    "method",
    "rule",
    "waiting",
    "duration",
    "temperature",
    "dephasing_time",
    "initial_state",
    "initial_times",
    "absorbing",
    "n_trajectories",
    "n_times",
    "random_state",
    "tau_convention",
    "coupling_interpolation",
    "substeps",
    "loop",
    "workers",
    "fit_window",
    "chunk_trajectories",
    "carrier",
    "decisions",
    "initial_weights",
]


@pytest.mark.parametrize(
    "wrong", [b"x", {}, object(), [[1, 2], [3]], "no such thing"], ids=lambda value: type(value).__name__
)
@pytest.mark.parametrize("name", NAMES)
def test_an_argument_of_the_wrong_kind_is_named(ladder, name, wrong) -> None:
    with pytest.raises(HopcastError, match=f"`{name}`"):
        run_dynamics(ladder(), **{"duration": 60.0, "n_trajectories": 5, "initial_times": [0], name: wrong})


def test_paths_are_paths() -> None:
    import hopcast as hc

    for wrong in (None, 3, ["a"], np.zeros(2)):
        with pytest.raises(HopcastError, match="`path` must be a file or a folder"):
            hc.read_hamiltonian(wrong)
        with pytest.raises(HopcastError, match="`path` must be a file or a folder"):
            hc.read_trajectory(wrong)

"""The exact solver and the Monte Carlo engine on the real CsPbI3 Hamiltonian (couplings scaled up)."""

import numpy as np
import pytest

import hopcast as hc
from hopcast.dynamics import dephasing_time
from hopcast.study.stages.checks import compare, scaled

FACTOR = 22.0


@pytest.fixture(scope="module")
def pair():
    return hc.load("cspbi3").hamiltonian.frontier()


@pytest.mark.parametrize("temperature", [300.0, None])
@pytest.mark.parametrize("substeps", [25, 50])
def test_exact_and_monte_carlo_agree(pair, temperature, substeps):
    """20 seeds of at least 1000 events: at least 16 within 2 standard errors, pooled |z| < 3."""
    record = compare(
        scaled(pair, FACTOR),
        dephasing_time=dephasing_time(pair),
        temperature=temperature,
        substeps=substeps,
        duration=1e5,
        n_seeds=20,
        n_trajectories=1200,
        seed=100,
    )
    assert record.n_events >= 1000
    assert record.within_two >= 16
    assert abs(record.pooled_z) < 3
    assert len(set(np.round(record.z, 6))) > 10


def test_the_comparison_can_fail(pair):
    """A dephasing time that is 10 % off is found out."""
    hamiltonian = scaled(pair, FACTOR)
    tau = dephasing_time(pair)
    right = compare(
        hamiltonian,
        dephasing_time=tau,
        temperature=300.0,
        substeps=25,
        duration=6e4,
        n_seeds=20,
        n_trajectories=1200,
        seed=0,
    )
    wrong = compare(
        hamiltonian,
        dephasing_time=0.9 * tau,
        temperature=300.0,
        substeps=25,
        duration=6e4,
        n_seeds=1,
        n_trajectories=20,
        seed=0,
    )
    error = right.standard_error
    assert abs(right.monte_carlo - wrong.exact) > 4 * error

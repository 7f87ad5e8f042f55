"""Initial conditions: weights of states and of frames, thermal starts, by sampling and without."""

import dataclasses

import numpy as np
import pytest

from hopcast.core import ConfigError, InputError
from hopcast.core.units import KB
from hopcast.dynamics import run_dynamics
from hopcast.dynamics.initial import make_starts, state_weights

SAMPLED = ["dish", "fssh", "gfsh", "mssh", "msdm", "ida", "bl-lz"]
SHORT = {"duration": 60.0, "dephasing_time": 8.0, "n_times": 7, "absorbing": False}


def test_thermal_weights_are_those_of_each_frame(ladder) -> None:
    ham = ladder(spacing=0.04)
    frames = np.array([0, 17, 40])
    found = state_weights(ham, "thermal", frames, 300.0, absorbing=False)
    boltzmann = np.exp(-ham.energies[frames] / (KB * 300.0))
    np.testing.assert_allclose(found, boltzmann / boltzmann.sum(axis=1, keepdims=True))
    above = state_weights(ham, "thermal", frames, 300.0, absorbing=True)
    assert (above[:, 0] == 0).all()
    np.testing.assert_allclose(above[:, 1:], boltzmann[:, 1:] / boltzmann[:, 1:].sum(axis=1, keepdims=True))


def test_trajectories_are_shared_out_without_favour() -> None:
    rng = np.random.default_rng(1)
    times, states = rng.dirichlet(np.ones(30)), rng.dirichlet(np.ones(4), size=30)
    starts = make_starts(np.arange(30), times, states, 7, 100)
    assert starts.n_trajectories.sum() == 210
    assert starts.share.sum() == pytest.approx(1)
    # rounded along the cumulated weight: never off by a whole trajectory
    assert np.abs(starts.n_trajectories - 210 * starts.share).max() <= 1
    assert np.unique(starts.key).size == len(starts) == 120
    np.testing.assert_allclose(starts.time_shares, times)
    for state in range(4):
        mine = starts.state == state
        assert abs(starts.n_trajectories[mine].sum() - 210 * starts.share[mine].sum()) < 6


@pytest.mark.parametrize("method", [*SAMPLED, "ehrenfest"])
def test_a_mixture_of_states_is_the_mixture_of_runs(ladder, method) -> None:
    weights, n = np.array([0.0, 0.0, 0.25, 0.75]), 400
    options = {**SHORT, "initial_times": [0, 20], "random_state": 3, "temperature": 500.0}
    mixed = run_dynamics(ladder(scale=0.05), method, initial_state=weights, n_trajectories=n, **options)
    alone = [
        run_dynamics(ladder(scale=0.05), method, initial_state=s, n_trajectories=n, **options).populations
        for s in (2, 3)
    ]
    expected = 0.25 * alone[0] + 0.75 * alone[1]
    np.testing.assert_allclose(mixed.populations[0], weights)
    np.testing.assert_allclose(mixed.initial_populations, weights)
    if method == "ehrenfest":
        np.testing.assert_allclose(mixed.populations, expected, atol=1e-14)
    else:  # both sides are sampled by 2 n trajectories
        error = np.sqrt(np.clip(expected * (1 - expected), 1e-3, None) * 2 / (2 * n))
        assert (np.abs(mixed.populations - expected) / error).max() < 4.5
    assert "0.25 2 + 0.75 3" in str(mixed)


def test_weighted_frames_and_states_of_two_levels(wavy) -> None:
    options = {**SHORT, "duration": 400.0, "temperature": 2000.0, "initial_times": [0, 11, 40]}
    ham, weights, mixture = wavy(scale=3.0), [1.0, 0.0, 3.0], [0.3, 0.7]
    exact = run_dynamics(ham, "exact", initial_weights=weights, initial_state=mixture, **options)
    parts = [
        share
        * state_share
        * run_dynamics(ham, "exact", initial_state=state, **{**options, "initial_times": [frame]}).populations
        for share, frame in ((0.25, 0), (0.75, 40))
        for state, state_share in enumerate(mixture)
    ]
    np.testing.assert_allclose(exact.populations, np.sum(parts, axis=0), atol=1e-13)
    n = 3000
    for waiting in ("exponential", "deterministic"):
        found = run_dynamics(
            ham, waiting=waiting, initial_weights=weights, initial_state=mixture, n_trajectories=n, **options
        )
        assert found.populations[0, 1] == pytest.approx(0.7, abs=1 / n)
        if waiting == "exponential":
            error = np.sqrt(exact.populations[:, 1] * exact.populations[:, 0] / (3 * n))
            assert (np.abs(found.populations - exact.populations)[1:, 1] / error[1:]).max() < 4
    assert exact.lifetime.parts["initial_time"] is not None


def test_bits_and_checkpoints_of_mixed_starts(ladder, tmp_path) -> None:
    options = {
        **SHORT,
        "initial_state": "thermal",
        "temperature": 800.0,
        "initial_times": [0, 5, 30],
        "n_trajectories": 40,
        "initial_weights": [1.0, 2.0, 1.0],
    }
    for method in ("dish", "fssh", "msdm"):
        one = run_dynamics(ladder(), method, workers=1, checkpoint=tmp_path / method, **options)
        two = run_dynamics(ladder(), method, workers=2, chunk_trajectories=7, **options)
        again = run_dynamics(ladder(), method, checkpoint=tmp_path / method, **options)
        for other in (two, again):
            np.testing.assert_array_equal(one.populations, other.populations)
            assert one.rate == other.rate
        with pytest.raises(ConfigError, match="checkpoint of another run"):
            run_dynamics(ladder(), method, checkpoint=tmp_path / method, **{**options, "initial_weights": None})


def test_few_trajectories_of_many_starts_fill_all_groups(ladder) -> None:
    found = run_dynamics(
        ladder(n_states=3, scale=0.05),
        duration=400.0,
        dephasing_time=8.0,
        initial_state=2,
        n_trajectories=1,
        initial_times=np.arange(0, 60, 2),
        n_times=20,
    )
    part = found.rate.parts["monte_carlo"]
    assert part is not None
    assert 0 <= part.low < found.rate.value < part.high < np.inf


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"initial_state": 4}, InputError, "`initial_state` must be a whole number between 0 and 3, but is 4"),
        ({"initial_state": [0.5, 0.5]}, InputError, "must be a state or 4 weights that add up to one"),
        ({"initial_state": [0, 0.5, 0.6, -0.1]}, InputError, "must be a state or 4 weights"),
        ({"initial_state": [0.5, 0.5, 0, 0], "absorbing": True}, InputError, "must not be 0 while state 0 absorbs"),
        ({"initial_state": "hot"}, ConfigError, 'must be a state, weights, or "thermal", but is `hot`'),
        ({"initial_state": "thermal", "temperature": None}, ConfigError, "thermal start needs a `temperature`"),
        ({"initial_weights": [1.0]}, InputError, "a weight of at least zero for each of the 2 initial times"),
        ({"initial_weights": [1.0, np.nan]}, InputError, "a weight of at least zero for each"),
        ({"initial_weights": [0.0, 0.0]}, InputError, "a weight of at least zero for each"),
    ],
)
def test_mistakes(ladder, options, error, message) -> None:
    with pytest.raises(error, match=message):
        run_dynamics(ladder(), **{**SHORT, "initial_times": [0, 3], **options})


def test_midpoint_energies_start_anywhere(ladder) -> None:
    ham = ladder(spacing=0.05)
    middle = dataclasses.replace(ham, energies=ham.midpoint_energies, energy_grid="midpoint", energy_known=None)
    assert state_weights(middle, "thermal", np.array([59]), 300.0, absorbing=True)[0, 1] > 0.5

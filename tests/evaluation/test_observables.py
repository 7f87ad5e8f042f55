"""A forecast Hamiltonian against the truth: scores with known answers, frames that belong together, the command."""

import numpy as np
import pytest
from typer.testing import CliRunner

import hopcast as hc
from hopcast.cli.app import app
from hopcast.core.errors import InputError


def states(gap, coupling, *, numbers=None, grid="frame", timestep=1.0):
    nac = np.zeros((len(coupling), 2, 2))
    nac[:, 0, 1], nac[:, 1, 0] = coupling, -np.asarray(coupling)
    nac[np.isnan(coupling)] = np.nan
    energies = np.stack([0.0 * np.asarray(gap), gap], axis=1)
    return hc.VibronicHamiltonian(
        energies,
        nac,
        timestep,
        n_occupied=1,
        energy_grid=grid,
        frame_numbers=None if numbers is None else np.asarray(numbers),
    )


@pytest.fixture
def truth():
    rng = np.random.default_rng(0)
    return states(1.5 + 0.1 * rng.normal(size=50), 1e-3 * rng.normal(size=49))


def test_the_truth_scores_one_and_signs_are_a_gauge(truth):
    turned = states(truth.gap(), -truth.coupling())
    found = hc.score_hamiltonian(turned, truth)
    assert found.gap.r2 == found.coupling.r2 == 1.0
    assert found.rate_ratio == pytest.approx(1.0)
    assert found.rate_correlation == pytest.approx(1.0)
    assert (found.gap.n, found.coupling.n) == (50, 49)


def test_known_errors_come_out(truth):
    forecast = states(truth.gap() + 0.02, 2.0 * truth.coupling())
    found = hc.score_hamiltonian(forecast, truth)
    assert found.gap_bias == pytest.approx(0.02)
    assert found.gap.mae == pytest.approx(0.02)
    assert found.coupling_ratio == pytest.approx(2.0)
    middle = 0.5 * (truth.gap()[1:] + truth.gap()[:-1])
    rates = truth.coupling() ** 2 / middle**2
    assert found.rate_ratio == pytest.approx(np.mean(4 * truth.coupling() ** 2 / (middle + 0.02) ** 2) / rates.mean())


def test_only_what_both_know_counts_and_numbers_match_frames(truth):
    sparse_gap, sparse_nac = np.full(50, np.nan), np.full(49, np.nan)
    for frame in (3, 10, 20, 41):
        sparse_gap[frame : frame + 2] = truth.gap()[frame : frame + 2]
        sparse_nac[frame] = truth.coupling()[frame]
    known = states(sparse_gap, sparse_nac)
    found = hc.score_hamiltonian(truth, known)
    assert (found.gap.n, found.coupling.n) == (8, 4)
    part = states(truth.gap()[10:40], truth.coupling()[10:39], numbers=np.arange(110, 140))
    whole = states(truth.gap(), truth.coupling(), numbers=np.arange(100, 150))
    assert hc.score_hamiltonian(part, whole).gap.r2 == 1.0
    assert hc.score_hamiltonian(whole, part).coupling.n == 29
    # one code counts from 1, another from 0, a third the steps of the dynamics: the first frames are the same
    for numbers in (np.arange(1, 51), np.arange(50), 10 * np.arange(50)):
        found = hc.score_hamiltonian(
            states(truth.gap(), truth.coupling(), numbers=numbers),
            states(truth.gap(), truth.coupling(), numbers=np.arange(50)),
        )
        assert (found.gap.n, found.gap.r2) == (50, 1.0)


def test_energies_on_midpoints_are_compared_on_midpoints(truth):
    middle = states(0.5 * (truth.gap()[1:] + truth.gap()[:-1]), truth.coupling(), grid="midpoint")
    found = hc.score_hamiltonian(middle, truth)
    assert found.gap.n == 49
    assert found.gap.r2 == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"timestep": 2.0}, "must have the same time step, but have 2 fs and 1 fs"),
        ({"length": 30}, "must hold the same frames, but hold 30 and 50"),
        ({"numbers": (500, 100)}, "must share frames, but one is numbered 500 to 549 and the other 100 to 149"),
    ],
)
def test_what_does_not_belong_together_gets_one_sentence(truth, other, message):
    length, numbers = other.get("length", 50), other.get("numbers")
    one = states(
        truth.gap()[:length],
        truth.coupling()[: length - 1],
        timestep=other.get("timestep", 1.0),
        numbers=None if numbers is None else np.arange(numbers[0], numbers[0] + 50),
    )
    two = (
        truth
        if numbers is None
        else states(truth.gap(), truth.coupling(), numbers=np.arange(numbers[1], numbers[1] + 50))
    )
    with pytest.raises(InputError, match=message):
        hc.score_hamiltonian(one, two)


def test_the_command_prints_the_scores(truth, tmp_path):
    states(truth.gap() + 0.02, truth.coupling()).write(tmp_path / "forecast.h5")
    truth.write(tmp_path / "truth.h5")
    result = CliRunner().invoke(app, ["score", str(tmp_path / "forecast.h5"), str(tmp_path / "truth.h5")])
    assert result.exit_code == 0, result.output
    assert "bias +0.02 eV" in result.output
    refused = CliRunner().invoke(
        app, ["score", str(tmp_path / "forecast.h5"), str(tmp_path / "truth.h5"), "--states", "VBM"]
    )
    assert isinstance(refused.exception, (hc.ConfigError, SystemExit))

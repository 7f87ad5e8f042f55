"""Two spins, several k-points: each for itself, averages with weights, nothing mixed."""

import dataclasses
import json

import numpy as np
import pytest
from kramers_model import single_model
from numpy.testing import assert_allclose
from typer.testing import CliRunner

from hopcast.cli.app import app
from hopcast.core import InputError
from hopcast.couplings import derive_couplings
from hopcast.dynamics import run_channels, run_dynamics

OPTIONS = {"method": "exact", "dephasing_time": 8.0, "duration": 2e3, "n_times": 30}


@pytest.fixture(scope="module")
def kpoints():
    hams = [derive_couplings(single_model(seed=seed, gap=0.5)) for seed in (0, 1)]
    return [
        dataclasses.replace(ham, provenance={**ham.provenance, "channel": f"k-point {k}"}) for k, ham in enumerate(hams)
    ]


def test_averages_have_the_weights(kpoints):
    found = run_channels(kpoints, weights=[1, 3], **OPTIONS)
    alone = [run_dynamics(ham, **OPTIONS) for ham in kpoints]
    assert_allclose(found.weights, [0.25, 0.75])
    assert_allclose(found.populations, 0.25 * alone[0].populations + 0.75 * alone[1].populations, atol=1e-14)
    assert_allclose(found.rate.value, 1e6 * (0.25 * alone[0].local_rate.mean() + 0.75 * alone[1].local_rate.mean()))
    assert found.rate.low < found.rate.value < found.rate.high
    assert found.labels == ("k-point 0", "k-point 1")
    assert "k-point 1 (weight 0.75)" in str(found)


def test_copies_average_to_themselves(kpoints):
    both = run_channels([kpoints[0]] * 2, **OPTIONS)
    assert_allclose(both.populations, run_dynamics(kpoints[0], **OPTIONS).populations, atol=1e-15)


def test_bad_channels_are_refused(kpoints):
    with pytest.raises(InputError, match="`k-point 0` has 60 frames and `k-point 1` has 50"):
        run_channels([kpoints[0], kpoints[1][:50]], **OPTIONS)
    with pytest.raises(InputError, match="must hold a number for each of the 2 channels"):
        run_channels(kpoints, weights=[1.0], **OPTIONS)
    with pytest.raises(InputError, match="at least one Hamiltonian"):
        run_channels([], **OPTIONS)
    with pytest.raises(InputError, match="at least zero"):
        run_channels(kpoints, weights=[1.0, -1.0], **OPTIONS)
    assert np.isfinite(kpoints[0].nac).all()


@pytest.mark.filterwarnings("ignore::hopcast.core.errors.QualityWarning")
def test_command(kpoints, tmp_path):
    for number, ham in enumerate(kpoints):
        ham.write(tmp_path / f"k{number}.h5")
    base = [
        "dynamics",
        tmp_path / "k0.h5",
        "--method",
        "exact",
        "--dephasing",
        "8",
        "--duration",
        "500",
        "--output",
        tmp_path / "out",
    ]

    def run(*words):
        return CliRunner().invoke(app, [str(word) for word in (*base, *words)])

    good = run("--also", tmp_path / "k1.h5", "--weights", "1,3")
    assert good.exit_code == 0, good.output
    assert "k-point 1 (weight 0.75)" in good.output
    record = json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))
    assert record["channels"]["weights"] == [0.25, 0.75]
    for words, message in (
        (("--weights", "1,2"), "needs other channels"),
        (("--also", tmp_path / "k1.h5", "--weights", "1,x"), "must be numbers"),
        (("--also", tmp_path / "k1.h5", "--weights", "1"), "for each of the 2 channels"),
    ):
        bad = run(*words, "--overwrite")
        assert message in str(bad.exception), bad.output

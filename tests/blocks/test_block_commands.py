"""Pairs through `convert`, `check`, `dynamics`, `run`, `fit` and `predict`: the numbers of the single model."""

import dataclasses
import warnings
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
from ase.build import bulk
from kramers_model import doubled, general_pairs, rotated, single_model
from numpy.testing import assert_allclose
from scipy.linalg import expm
from typer.testing import CliRunner

import hopcast as hc
from hopcast.cli.app import app
from hopcast.core.units import HBAR
from hopcast.io import write_native
from hopcast.study import run_study
from hopcast.study.rates import run_exact, say_turning_spins

NAMES = ("single", "pairs", "turned")
"""States, their pairs in random bases, and the same pairs in others."""


def run(*words, code=0):
    """Return what a command prints, or the sentence with which it is refused."""
    result = CliRunner().invoke(app, [str(word) for word in words])
    if code and result.exception is not None and not isinstance(result.exception, SystemExit):
        assert result.exception.exit_code == code
        return str(result.exception)
    assert result.exit_code == code, (result.output, result.exception)
    return result.output


def material(n_frames=160, timestep=2.0):
    """Rock salt on a few phonons; gap and coupling follow one bond."""
    rng = np.random.default_rng(1)
    atoms = bulk("MgO", crystalstructure="rocksalt", a=4.21, cubic=True)
    times = np.arange(n_frames) * timestep
    frequencies, phases = rng.uniform(0.004, 0.012, 8), rng.uniform(0, 2 * np.pi, 8)
    vectors = 0.02 * rng.normal(size=(8, len(atoms), 3))
    angles = 2 * np.pi * frequencies * times[:, None] + phases
    positions = atoms.positions + np.einsum("tm,mai->tai", np.cos(angles), vectors)
    velocities = np.einsum("tm,mai->tai", -2 * np.pi * frequencies * np.sin(angles), vectors)
    trajectory = hc.Trajectory(positions, atoms.cell.array, atoms.numbers, timestep, velocities=velocities)
    bond = positions[:, 0] - positions[:, 1]
    bond = bond - bond.mean(axis=0)
    gap = 0.9 + 1.5 * bond[:, 0] + 0.5 * bond[:, 1]
    coupling = 0.006 + 0.6 * np.diff(bond[:, 2]) / timestep
    turn = coupling[:, None, None] * (timestep / HBAR) * np.array([[0.0, 1.0], [-1.0, 0.0]])
    overlaps = np.array([expm(step) for step in turn])
    single = hc.VibronicHamiltonian(
        np.stack([np.zeros(n_frames), gap], axis=1),
        np.full(overlaps.shape, np.nan),
        timestep,
        overlaps=overlaps,
        n_occupied=1,
    )
    return trajectory, single


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A material, its single states and its pairs in random bases, each converted."""
    place = tmp_path_factory.mktemp("pairs")
    trajectory, single = material()
    write_native(place / "md.h5", trajectory=trajectory)
    write_native(place / "raw-single.h5", hamiltonian=single)
    write_native(place / "raw-pairs.h5", hamiltonian=rotated(doubled(single), 3))
    write_native(place / "raw-turned.h5", hamiltonian=rotated(doubled(single), 4))
    for name in NAMES:
        run("convert", place / f"raw-{name}.h5", place / f"{name}.h5")
    return place


def test_convert_finds_pairs_and_aligns_them(folder):
    single, pairs, turned = (hc.read_hamiltonian(folder / f"{name}.h5") for name in NAMES)
    assert pairs.multiplicities == (2, 2)
    assert_allclose(np.abs(pairs.coupling()), np.abs(single.coupling()), atol=1e-12)
    assert_allclose(np.abs(turned.coupling()), np.abs(pairs.coupling()), atol=1e-12)


def test_check_prints_a_page(folder):
    result = CliRunner().invoke(app, ["check", str(folder / "raw-pairs.h5"), "--trajectory", str(folder / "md.h5")])
    assert result.exit_code in (0, 4)
    assert "4 states are 2 degenerate blocks (VBM pair, CBM pair)" in result.output
    assert len(result.output) < 6000
    other = CliRunner().invoke(app, ["check", str(folder / "raw-turned.h5"), "--trajectory", str(folder / "md.h5")])
    pages = [
        [
            line
            for line in each.output.replace("raw-turned", "raw-pairs").splitlines()
            if not line.strip().startswith("at ")
        ]
        for each in (result, other)  # all but the steps at which raw bases happened to turn
    ]
    assert pages[0] == pages[1]


@pytest.mark.filterwarnings("ignore::hopcast.core.errors.QualityWarning")
@pytest.mark.parametrize("method", ["exact", "fssh", "gfsh", "mssh", "msdm", "ida", "dish", "ehrenfest", "bl-lz"])
def test_dynamics(folder, tmp_path, method):
    """Populations of the single model, in any basis; those of methods with clocks or of few trajectories by the same random numbers."""
    options = [
        "--method",
        method,
        "--trajectories",
        "1000",
        "--every",
        "60",
        "--dephasing",
        "8",
        "--temperature",
        "3000",
    ]
    options += ["--duration", "4000" if method == "exact" else "300", "--seed", "5"]
    found = {}
    for name in NAMES:
        run("dynamics", folder / f"{name}.h5", *options, "--output", tmp_path / name)
        with h5py.File(tmp_path / name / "dynamics.h5") as file:
            found[name] = file["dynamics/populations"][()]
    assert (
        found["single"][-1, 0] > 1e-4 or method == "bl-lz"
    )  # whose couplings come from avoided crossings, of which there are none
    assert_allclose(found["turned"], found["pairs"], atol=1e-10)
    # two plain states of DISH jump from event to event by a generator of their own: 5 standard errors of 3000 trajectories
    assert_allclose(found["pairs"], found["single"], atol=0.01 if method == "dish" else 1e-10)


def test_dynamics_names_pairs_and_refuses_halves(folder, tmp_path):
    base = ("dynamics", folder / "pairs.h5", "--method", "exact", "--duration", "200")
    run(*base, "--states", "VBM pair,CBM pair", "--initial-state", "CBM pair", "--output", tmp_path / "a")
    assert "must not cut degenerate states" in run(*base, "--states", "1,2", "--output", tmp_path / "b", code=3)


def test_run_gives_the_numbers_of_the_single_model(folder, tmp_path, monkeypatch):
    import hopcast.study.run as module

    monkeypatch.setattr(module, "write_report", lambda report, folder: {})
    results = {}
    for name in NAMES:
        study = folder / f"{name}.toml"
        study.write_text(
            f'[data]\ntrajectory = "md.h5"\nhamiltonian = "raw-{name}.h5"\n[models]\nstride = 12.0\nn_shifts = 4\n'
            "elements = []\n[dynamics]\nduration = 1e5\nn_times = 30\n[evaluation]\nenabled = false\n"
            "[relaxation]\nenabled = false\n[checks]\nenabled = false\n",
            encoding="utf-8",
        )
        results[name] = run_study(study, tmp_path / name).results
    for one, other in zip(results["pairs"]["hamiltonians"], results["single"]["hamiltonians"], strict=True):
        assert one["name"] == other["name"]
        assert_allclose(one["lifetime"]["value"], other["lifetime"]["value"], rtol=1e-6)
    for one, other in zip(results["pairs"]["models"], results["single"]["models"], strict=True):
        assert_allclose(one["r2"], other["r2"], atol=1e-6)
    for one, other in zip(results["turned"]["hamiltonians"], results["pairs"]["hamiltonians"], strict=True):
        assert_allclose(one["lifetime"]["value"], other["lifetime"]["value"], rtol=1e-10)
    for one, other in zip(results["turned"]["models"], results["pairs"]["models"], strict=True):
        assert_allclose(one["r2"], other["r2"], atol=1e-10)


def test_studies_say_what_norms_leave_out():
    """Spins that turn between the pairs; a model doubled by time reversal has none."""
    options = {
        "dephasing_time": 8.0,
        "tau_convention": "gaussian",
        "duration": 2e3,
        "temperature": 300.0,
        "n_times": 10,
    }
    options |= {"coupling_interpolation": "linear", "rule": "consistent", "waiting": "exponential"}
    turning = hc.derive_couplings(general_pairs(gap=0.6, turn=0.01).with_blocks())
    still = hc.derive_couplings(doubled(single_model(gap=0.6), 1).with_blocks())
    said = []
    for ham in (turning, still):
        config = SimpleNamespace(dynamics=SimpleNamespace(**options), seed=0)
        context = SimpleNamespace(data=SimpleNamespace(blocks=ham), config=config, workers=1)
        norms = run_exact(context, ham.merged(), 8.0)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            say_turning_spins(context, norms)
        said.append([str(each.message) for each in caught])
        whole = hc.run_dynamics(ham, "exact", dephasing_time=8.0, duration=2e3)
        change = norms.asymptotic_rate / whole.asymptotic_rate - 1
        assert (abs(change) > 0.01) is (ham is turning)
        if ham is turning:
            assert f"{abs(100 * change):.1f} % too {'large' if change > 0 else 'small'}" in said[0][0]
    assert said[1] == []


@pytest.mark.filterwarnings("ignore::hopcast.core.errors.QualityWarning")
def test_fit_and_predict(tmp_path):
    folder, written = tmp_path, {}
    trajectory, single = material(400)
    write_native(folder / "md.h5", trajectory=trajectory)
    write_native(folder / "raw-single.h5", hamiltonian=single)
    write_native(folder / "raw-pairs.h5", hamiltonian=rotated(doubled(single), 3))
    write_native(folder / "raw-turned.h5", hamiltonian=rotated(doubled(single), 4))
    for name in NAMES:
        model, forecast = tmp_path / f"{name}-model.h5", tmp_path / f"{name}-forecast.h5"
        said = run(
            "fit",
            folder / "md.h5",
            folder / f"raw-{name}.h5",
            "--model",
            "radial means, kernel",
            "--stride",
            "20",
            "--output",
            model,
        )
        run("predict", model, folder / "md.h5", "--output", forecast)
        written[name] = hc.read_hamiltonian(forecast)
    assert "VBM pair and CBM pair" in said
    assert_allclose(written["pairs"].gap(), written["single"].gap(), atol=1e-8)
    sizes = [np.abs(written[name].coupling()) for name in NAMES]
    assert_allclose(sizes[0], sizes[1], atol=1e-8)
    assert_allclose(written["turned"].gap(), written["pairs"].gap(), atol=1e-10)
    assert_allclose(sizes[2], sizes[1], atol=1e-10)
    assert written["pairs"].n_states == 2


def test_occupations_that_split_a_pair(folder, tmp_path):
    raw = hc.read_hamiltonian(folder / "raw-pairs.h5")
    write_native(tmp_path / "x.h5", hamiltonian=dataclasses.replace(raw, n_occupied=None))
    error = run("convert", tmp_path / "x.h5", tmp_path / "y.h5", "--occupied", "1", code=3)
    assert "must not split degenerate states, but 1 lies among 0, 1" in error
    assert not (tmp_path / "y.h5").exists()

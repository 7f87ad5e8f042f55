"""Strategies on made-up features, folders for the codes, and the two commands from a structure to couplings."""

import ase.io
import numpy as np
import pytest
from ase import Atoms
from typer.testing import CliRunner

import hopcast as hc
from hopcast.abinitio import write_folders, write_plan
from hopcast.abinitio.qe_input import QeSettings
from hopcast.cli.app import app
from hopcast.core.errors import ConfigError, InputError
from hopcast.datasets import find_shipped
from hopcast.selection import choose_farthest, choose_sequential, choose_stride, select_pairs


def make_trajectory(n_frames=201, numbers=(55, 82, 53, 53, 53)):
    rng = np.random.default_rng(0)
    places = np.array([[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]) * 6.3
    wave = np.cos(np.arange(n_frames)[:, None, None] * rng.uniform(0.02, 0.1, (5, 3)) + rng.uniform(0, 6, (5, 3)))
    return hc.Trajectory(places + 0.1 * wave, np.eye(3) * 6.3, np.array(numbers), 2.0)


def test_stride_is_even_and_inside():
    steps = choose_stride(200, 7)
    assert len(set(steps)) == 7
    assert steps.min() >= 0
    assert steps.max() < 200
    assert np.ptp(np.diff(steps)) <= 1


def test_farthest_takes_the_corners_first():
    x = np.array([[0.0, 0], [0.1, 0], [0, 0.1], [5, 5], [-5, 5], [5, -5], [-5, -5], [0.2, 0.2]])
    assert set(choose_farthest(x, 5)) >= {3, 4, 5, 6}
    more = choose_farthest(x, 2, chosen=[3, 4, 5])
    assert 6 in more


@pytest.mark.parametrize("strategy", ["stride", "farthest", "blocks"])
def test_strategies_keep_the_budget(strategy):
    pairs = select_pairs(make_trajectory(), 40, strategy, features=np.random.default_rng(1).normal(size=(201, 3)))
    assert len(set(pairs.tolist())) == 40
    assert pairs.min() >= 0
    assert pairs.max() <= 199
    if strategy == "blocks":
        assert (np.diff(pairs) == 1).sum() >= 4


def known_hamiltonian(gap, v, known):
    nac = np.full((len(gap) - 1, 2, 2), np.nan)
    energies = np.full((len(gap), 2), np.nan)
    for step in known:
        nac[step] = [[0, v[step] / gap[step]], [-v[step] / gap[step], 0]]
        energies[step], energies[step + 1] = [0, gap[step]], [0, gap[step + 1]]
    return hc.VibronicHamiltonian(energies, nac, 2.0, n_occupied=1)


def test_sequential_looks_where_the_rate_is_large_and_unknown():
    # the gap is small, so the rate large, where x > 1; one half of that is computed already
    x = np.linspace(0, 2, 201)
    gap = np.where(x > 1, 0.6, 2.0) + 0.05 * np.sin(9 * x)
    v = 0.01 + 0.002 * np.cos(5 * x)
    known = [*range(5, 100, 10), 110, 190]
    ham = known_hamiltonian(gap, v, known)
    features = np.stack([x, np.cos(3 * x)], axis=1)
    between = 0.5 * (features[1:] + features[:-1])
    chosen = choose_sequential(between, ham, 6)
    assert len(set(chosen.tolist())) == 6
    assert not set(chosen) & set(known)
    assert (chosen > 100).sum() >= 5


def test_bad_requests_say_why():
    trajectory = make_trajectory()
    with pytest.raises(InputError, match=r"must not exceed the 200 steps"):
        select_pairs(trajectory, 201)
    with pytest.raises(ConfigError, match=r"at least 1 pair"):
        select_pairs(trajectory, 0)
    with pytest.raises(ConfigError, match=r"at least 32 pairs"):
        select_pairs(trajectory, 20, "blocks")
    with pytest.raises(InputError, match=r"starts from what is computed"):
        select_pairs(trajectory, 20, "sequential")
    few = known_hamiltonian(np.full(201, 1.0), np.full(201, 0.01), [1, 5])
    with pytest.raises(InputError, match=r"at least 4 computed pairs"):
        select_pairs(trajectory, 5, "sequential", known=few, features=np.ones((201, 1)))


@pytest.mark.parametrize(("code", "name"), [("cp2k", "frame.inp"), ("vasp", "POSCAR"), ("qe", "frame.in")])
def test_folders_hold_the_geometry(tmp_path, code, name):
    trajectory = make_trajectory()
    plan = write_plan(tmp_path / "plan", trajectory, [4, 90], strategy="stride")
    qe = QeSettings(pseudopotentials={"Cs": "Cs.upf", "Pb": "Pb.upf", "I": "I.upf"}, nbnd=40)
    settings = qe if code == "qe" else None
    files = write_folders(plan, code, settings=settings)
    assert [file.parent.name for file in files] == ["000004", "000005", "000090", "000091"]
    script = (tmp_path / "plan" / "array.slurm").read_text()
    assert "000091" in script
    assert "--array=0-3" in script
    text = files[2].read_text()
    for number in trajectory.positions[90].ravel():
        assert f"{number:.12f}" in text
    if code != "cp2k":
        atoms = ase.io.read(files[2], format={"vasp": "vasp", "qe": "espresso-in"}[code])
        assert isinstance(atoms, Atoms)
        np.testing.assert_allclose(atoms.positions, trajectory.positions[90], atol=1e-6)
        assert atoms.symbols.get_chemical_formula(mode="reduce") == "CsPbI3"
    else:
        assert "POTENTIAL GTH-PBE-q9" in text
        assert text.count("&KIND") == 3
    files[2].write_text("edited by hand")
    write_folders(plan, code, settings=settings)
    assert files[2].read_text() == "edited by hand"


def test_an_element_without_a_basis_is_named(tmp_path):
    plan = write_plan(tmp_path / "plan", make_trajectory(numbers=(55, 82, 53, 53, 92)), [4], strategy="stride")
    with pytest.raises(InputError, match=r"Element U has no basis"):
        write_folders(plan, "cp2k")


def test_a_shipped_trajectory_is_named(tmp_path, monkeypatch):
    """And a file of that name comes before it."""
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["select", "cspbi3", "-n", "24", "-o", "plan"])
    assert result.exit_code == 0, result.output
    assert "Wrote plan: 24 pairs, 48 frames of 756" in result.output
    (tmp_path / "cspbi3").write_text("nothing that could be read")
    assert find_shipped("cspbi3") is None
    assert find_shipped("cspbi4") is None

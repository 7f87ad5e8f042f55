"""What users call frames and states, how help is grouped, and a calculator of ASE by its name."""

import numpy as np
import pytest
from typer.testing import CliRunner

from hopcast import VibronicHamiltonian
from hopcast.abinitio.calculators import make_calculator
from hopcast.cli import check, convert, dynamics, md
from hopcast.cli.app import app
from hopcast.core import ConfigError, InputError
from hopcast.core.naming import counted, edge_state, frame_range
from hopcast.study.inputs import chosen_states


@pytest.fixture(scope="module")
def bands():
    energies = np.array([-1.0, -0.5, 0.0, 1.5, 2.0]) + 0.01 * np.sin(np.arange(30))[:, None]
    nac = np.zeros((29, 5, 5))
    nac[:, 2, 3], nac[:, 3, 2] = 0.002, -0.002
    return VibronicHamiltonian(energies, nac, 1.0, n_occupied=3, state_labels=("60", "61", "62", "63", "64"))


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.mark.parametrize(("name", "state"), [("VBM", 2), ("cbm", 3), ("VBM-2", 0), ("CBM+1", 4), ("62", None)])
def test_states_are_named_from_the_band_edges(bands, name, state):
    assert edge_state(bands, name) == state


def test_an_edge_outside_the_window_is_refused(bands):
    with pytest.raises(InputError, match=r"`CBM\+2` lies outside the window"):
        edge_state(bands, "CBM+2")


def test_a_study_takes_the_names_too(bands):
    assert chosen_states(bands, ("VBM-1", "CBM")).state_labels == ("61", "63")


@pytest.mark.parametrize(("text", "frames"), [("5:9", slice(5, 9)), (":4", slice(None, 4)), ("20:", slice(20, None))])
def test_frames_are_a_range(text, frames):
    assert frame_range(text, 30, "Option --frames") == frames


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("5-9", ConfigError, "Key `data.frames` must be like 500:800"),
        ("5:6", InputError, "at least two of the 30 frames"),
        ("5:31", InputError, "at least two of the 30 frames"),
    ],
)
def test_other_ranges_are_refused(text, error, message):
    with pytest.raises(error, match=message):
        frame_range(text, 30, "Key `data.frames`")


def test_check_judges_a_stretch_and_named_states(bands, tmp_path):
    bands.write(tmp_path / "ham.h5")
    found = run("check", tmp_path / "ham.h5", "--pair", "VBM,CBM", "--frames", "5:25")
    assert "Judged are states 2 (62) and 3 (63), as asked for." in found.output
    assert "The 20 frames" in found.output


def test_dynamics_writes_its_populations_as_csv(bands, tmp_path):
    bands.write(tmp_path / "ham.h5")
    done = run(
        *("dynamics", tmp_path / "ham.h5", "-m", "exact", "--states", "VBM,CBM", "--dephasing", "5"),
        *("--duration", "1000", "-o", tmp_path / "out"),
    )
    assert done.exit_code == 0, done.output
    lines = (tmp_path / "out" / "populations.csv").read_text().splitlines()
    assert lines[0] == "time [fs],62,63"
    table = np.array([[float(x) for x in line.split(",")] for line in lines[1:]])
    np.testing.assert_allclose(table[:, 1:].sum(axis=1), 1.0)
    np.testing.assert_allclose(table[0], [0.0, 0.0, 1.0], atol=1e-12)


@pytest.mark.parametrize("module", [check, convert, dynamics, md])
def test_help_stands_in_groups_and_names_every_option_once(module):
    name = module.__name__.rsplit(".", 1)[-1]
    listed = [option for names in module.GROUPS.values() for option in names]
    assert len(listed) == len(set(listed))
    import inspect

    assert set(listed) <= set(inspect.signature(getattr(module, name)).parameters)
    text = run(name, "--help").output
    assert [heading for heading in module.GROUPS if f"{heading}:" in text] == list(module.GROUPS)


def test_a_calculator_is_found_by_its_name_and_its_keywords(tmp_path):
    (tmp_path / "lj.toml").write_text("epsilon = 0.25\nsigma = 3.0\n")
    found = make_calculator("ase.calculators.lj:LennardJones", tmp_path / "lj.toml")
    assert (found.parameters["epsilon"], found.parameters["sigma"]) == (0.25, 3.0)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("EMT", "must be like ase.calculators.emt:EMT"),
        ("no_such_package:X", "cannot be imported"),
        ("ase.calculators.emt:EMD", "Did you mean `EMT`"),
        ("ase.atoms:Atoms", "must give a calculator of ASE"),
    ],
)
def test_what_is_no_calculator_is_refused(name, message):
    with pytest.raises(ConfigError, match=message):
        make_calculator(name)


def test_md_runs_with_any_calculator(tmp_path):
    from ase.build import bulk

    bulk("Al", cubic=True).write(tmp_path / "al.xyz")
    done = run(
        *(
            "md",
            tmp_path / "al.xyz",
            "--calculator",
            "ase.calculators.emt:EMT",
            "--equilibration",
            "4",
            "--duration",
            "8",
        ),
        *("-o", tmp_path / "md.h5", "-q"),
    )
    assert done.exit_code == 0, done.output
    assert "Wrote" in done.output


def test_one_frame_is_no_frames():
    assert [counted(n, "frame") for n in (0, 1, 2)] == ["0 frames", "1 frame", "2 frames"]


def test_commands_and_options_are_completed(monkeypatch):
    monkeypatch.setenv("_HOPCAST_COMPLETE", "complete_bash")
    for words, expected in (
        ("hopcast co", {"compare", "convert", "compute"}),
        ("hopcast check --fr", {"--from", "--frames"}),
    ):
        monkeypatch.setenv("COMP_WORDS", words)
        monkeypatch.setenv("COMP_CWORD", str(len(words.split()) - 1))
        assert set(CliRunner().invoke(app, [], prog_name="hopcast").output.split()) == expected

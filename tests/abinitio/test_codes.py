"""Codes are found: one in a file of its own is run, writes inputs, and is harvested by the commands as they are."""

import sys
import textwrap

import numpy as np
import pytest
from typer.testing import CliRunner

import hopcast as hc
from hopcast.abinitio import codes, list_codes, write_plan
from hopcast.cli.app import app
from hopcast.core.errors import ConfigError
from hopcast.io import write_native

CODE = '''
import json
from dataclasses import dataclass
import numpy as np
from hopcast.abinitio.code import Code, FrameInput
from hopcast.abinitio.engine import Electrons, ElectronsError


@dataclass(frozen=True)
class Settings:
    turn: float = 0.25  # radians an angstrom of the second atom


class Turning:
    """Two states that turn into each other with the x of atom 1."""

    name = "turning"

    def __init__(self, *, bands=(8, 8), settings=None, temperature=300.0):
        self.turn = (settings or Settings()).turn

    def settings(self):
        return {"engine": self.name, "turn": self.turn}

    def check(self, numbers):
        pass

    def electrons(self, geometry):
        x = self.turn * geometry.positions[1, 0]
        turn = np.array([[np.cos(x), np.sin(x)], [-np.sin(x), np.cos(x)]])
        return Electrons(geometry, np.array([-1.0, 1.0]), turn, 0, 1, np.array([0, 1]), "made up")

    def overlap(self, left, right):
        return left.orbitals.T @ right.orbitals

    def read(self, folder, geometry):
        if not (folder / "done").is_file():
            raise ElectronsError("it did not end")
        return self.electrons(geometry)


def write(geometry, settings, frame):
    return json.dumps({"x": geometry.positions[1, 0], "turn": settings.turn})


CODE = Code(
    "turning", Turning, "turn {plan}", settings=Settings,
    inputs=FrameInput("turn.json", write, run=lambda settings: f"turn --by {settings.turn}", finished="[ -f done ]"),
)
'''


@pytest.fixture
def added(tmp_path, monkeypatch):
    """A user's code, put where codes are looked for; nothing of hopcast is changed."""
    (tmp_path / "added").mkdir()
    (tmp_path / "added" / "turning.py").write_text(textwrap.dedent(CODE))
    monkeypatch.setattr(codes, "__path__", [*codes.__path__, str(tmp_path / "added")])
    yield
    sys.modules.pop("hopcast.abinitio.codes.turning", None)


def run(*words):
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == 0, result.output
    return result.output


def test_a_code_is_one_file(added, nuclei, tmp_path):
    source, plan = tmp_path / "md.h5", tmp_path / "plan"
    write_native(source, trajectory=nuclei)
    (tmp_path / "s.toml").write_text("turn = 0.5")
    said = run("select", source, "-n", 2, "-o", plan, "--engine", "turning", "--settings", tmp_path / "s.toml")
    assert f"Next: turn {plan}" in said
    inputs = sorted(plan.glob("frames/*/turn.json"))
    assert len(inputs) >= 3
    assert '"turn": 0.5' in inputs[0].read_text()
    script = (plan / "array.slurm").read_text()
    assert "if [ -f done ]; then exit 0; fi\nturn --by 0.5\n" in script
    for place in plan.glob("frames/*"):
        (place / "done").touch()
    run("harvest", plan, "--settings", tmp_path / "s.toml")
    harvested = hc.read_hamiltonian(plan / "hamiltonian.h5")
    other = write_plan(tmp_path / "other", nuclei, list(np.flatnonzero(harvested.nac_known)), strategy="by hand")
    run("compute", other.folder, "--engine", "turning", "--bands", "1,1", "--settings", tmp_path / "s.toml")
    computed = hc.read_hamiltonian(other.folder / "hamiltonian.h5")
    np.testing.assert_array_equal(harvested.nac, computed.nac)
    turned = 0.5 * np.diff(nuclei.positions[:, 1, 0])[harvested.nac_known]
    dt = nuclei.timestep
    np.testing.assert_allclose(
        np.abs(harvested.nac[harvested.nac_known][:, 0, 1]), hc.core.units.HBAR * np.abs(turned) / dt, atol=1e-12
    )


def test_without_its_file_it_is_unknown():
    assert set(list_codes()) == {"cp2k", "qe", "tblite", "vasp"}
    with pytest.raises(ConfigError, match=r"`engine` must be one of .*tblite"):
        hc.abinitio.make_engine("turning")


def test_a_plan_without_inputs_has_nothing_to_harvest(nuclei, tmp_path):
    plan = write_plan(tmp_path / "plan", nuclei, [1], strategy="by hand")
    result = CliRunner().invoke(app, ["harvest", str(plan.folder)])
    assert result.exit_code != 0
    assert "nothing to harvest" in str(result.exception)

"""Settings of an engine from a file: every key is known, of the right kind, and reaches the input."""

import pytest
from typer.testing import CliRunner

from hopcast.abinitio import read_engine_options
from hopcast.abinitio.cp2k_input import Cp2kSettings
from hopcast.cli.app import app
from hopcast.core.errors import ConfigError
from hopcast.io import write_native


def test_settings_become_options(tmp_path):
    file = tmp_path / "s.toml"
    file.write_text(
        'cutoff = 400\nbasis = "TZVP-MOLOPT-GTH"\ntemperature = 77.0\nadded_bands = 12\nvalence = { U = 14 }\n'
    )
    found = read_engine_options(file, "cp2k")
    assert found["temperature"] == 77.0
    assert found["settings"] == Cp2kSettings(cutoff=400, basis="TZVP-MOLOPT-GTH", added_bands=12, valence={"U": 14})
    file.write_text('method = "IPEA1-xTB"\nmax_iterations = 500\n')
    assert read_engine_options(file, "tblite") == {"method": "IPEA1-xTB", "max_iterations": 500}


@pytest.mark.parametrize(
    ("text", "engine", "match"),
    [
        ("cutof = 400", "cp2k", r"unknown key `cutof` for the engine cp2k\. Did you mean `cutoff`"),
        ("bands = [1, 2]", "tblite", r"unknown key `bands`"),
        ("cutoff = 'high'", "cp2k", r"`cutoff` must be like 160\.0, but is 'high'"),
        ("max_scf = 1.5", "cp2k", r"`max_scf` must be like 100"),
        ("max_scf = true", "cp2k", r"`max_scf` must be like 100, but is True"),
        ("cutoff", "cp2k", r"not valid TOML"),
        (None, "cp2k", r"cannot be read: No such file"),
    ],
)
def test_bad_settings_say_why(tmp_path, text, engine, match):
    file = tmp_path / "s.toml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(ConfigError, match=match):
        read_engine_options(file, engine)


def test_settings_reach_the_inputs_of_a_plan(tmp_path, nuclei):
    write_native(tmp_path / "md.h5", trajectory=nuclei)
    (tmp_path / "s.toml").write_text("cutoff = 333\n")
    words = [
        "select",
        str(tmp_path / "md.h5"),
        "--budget",
        "1",
        "-o",
        str(tmp_path / "plan"),
        "--settings",
        str(tmp_path / "s.toml"),
    ]
    assert CliRunner().invoke(app, [*words, "--engine", "cp2k"]).exit_code == 0
    assert "CUTOFF 333" in next((tmp_path / "plan").rglob("frame.inp")).read_text()
    refused = CliRunner().invoke(app, [*words, "--engine", "tblite"])
    assert isinstance(refused.exception, ConfigError)

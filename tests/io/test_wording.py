"""Sentences of the library name options on the command line, and arguments in Python."""

import sys

import pytest

import hopcast as hc
from hopcast.cli.app import main


def said(monkeypatch, capsys, *words):
    monkeypatch.setattr(sys, "argv", ["hopcast", *(str(word) for word in words)])
    with pytest.raises(SystemExit):
        main()
    return capsys.readouterr().err


@pytest.fixture
def xyz(tmp_path):
    (tmp_path / "a.xyz").write_text("1\n\nH 0 0 0\n1\n\nH 0 0 1\n")
    return tmp_path / "a.xyz"


def test_options_of_reading(xyz, tmp_path, monkeypatch, capsys):
    out = tmp_path / "md.h5"
    text = said(monkeypatch, capsys, "convert", xyz, out, "--timestep", 1)
    assert "Give `--cell`" in text
    assert "or `--molecule` for a molecule" in text
    with pytest.raises(hc.InputError, match=r"Give `cell` .* or `pbc=False`"):
        hc.read_trajectory(xyz, timestep=1.0)
    assert "Give `--timestep` in fs" in said(monkeypatch, capsys, "convert", xyz, out, "--cell", "5,5,5")
    (tmp_path / "dump").write_bytes(b"nothing of all this")
    assert "Name its `--from`" in said(monkeypatch, capsys, "convert", tmp_path / "dump", out, "--timestep", 1)
    assert "Argument `--to` must be one" in said(monkeypatch, capsys, "convert", xyz, out, "--to", "namd-lmi")
    assert "Argument `--from` must be" in said(monkeypatch, capsys, "convert", xyz, out, "--from", "nothing")
    assert "Argument `--elements` must be left out for the format `xyz`" in said(
        monkeypatch, capsys, "convert", xyz, out, "--elements", "H", "--timestep", 1
    )


def test_keys_of_a_study_stay_keys(xyz, tmp_path, monkeypatch, capsys):
    (tmp_path / "study.toml").write_text(f'[data]\ntrajectory = "{xyz}"\nhamiltonian = "{tmp_path}"\n')
    text = said(monkeypatch, capsys, "run", tmp_path / "study.toml", "--output", tmp_path / "out")
    assert "--timestep" not in text


def test_what_check_cannot_read(tmp_path):
    from typer.testing import CliRunner

    from hopcast.cli.app import app

    (tmp_path / "run-pos-1.xyz").write_text("".join(f"1\n i = {k}, time = {k / 2}\nH 0 0 {k}\n" for k in range(3)))
    words = ["check", str(tmp_path / "run-pos-1.xyz"), "--cell", "5,5,5", "--timestep", "1"]
    assert "but `--timestep` is 1 fs. Leave `--timestep` out" in CliRunner().invoke(app, words).output

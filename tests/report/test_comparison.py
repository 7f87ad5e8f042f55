"""Two studies side by side."""

import json

import pytest
from typer.testing import CliRunner

from hopcast.cli.app import app
from hopcast.core.errors import InputError
from hopcast.results.comparison import compare_results, read_results


@pytest.fixture
def pair(study):
    first = study.results
    values = first.to_dict()
    values["data"]["gap_mean"] = 9.9
    lifetime = values["hamiltonians"][0]["lifetime"]
    lifetime["value"], lifetime["low"], lifetime["high"] = (1e3 * lifetime[key] for key in ("value", "low", "high"))
    return first, type(first).model_validate(values), values


def test_a_study_agrees_with_itself(pair):
    lines = compare_results(pair[0], pair[0])
    assert lines
    assert all(line.first == line.second for line in lines)
    assert not any(line.same is False for line in lines)


def test_what_moved_is_marked(pair):
    lines = {line.quantity: line for line in compare_results(pair[0], pair[1])}
    assert lines["mean gap, eV"].second == "9.9"
    name = pair[0].hamiltonians[0].name
    assert lines[f"lifetime, {name}"].same is False
    assert lines["formula"].same is True


def test_the_method_is_said_once_and_rates_of_pairs_are_compared(pair):
    names = [line.quantity for line in compare_results(pair[0], pair[0])]
    assert sum(name.startswith("method, ") for name in names) == 1
    assert "ratio to the first, ab initio" not in names
    assert names.count("lifetime of the headline") == 1
    rates = [name for name in names if name.startswith("mean rate, ")]
    assert len(rates) == len(pair[0].rates)
    assert not any(line.first.endswith(" 1") for line in compare_results(pair[0], pair[0]))


def test_the_command_reads_folders_and_prints_csv(pair, tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "results.json").write_text(json.dumps(pair[0].to_dict()))
    (tmp_path / "b.json").write_text(json.dumps(pair[2]))
    result = CliRunner().invoke(app, ["compare", str(tmp_path / "a"), str(tmp_path / "b.json"), "--csv"])
    assert result.exit_code == 0, result.output
    assert "mean gap, eV" in result.output
    assert ",differs" in result.output


def test_what_is_no_study_gets_one_sentence(tmp_path):
    with pytest.raises(InputError, match="Give the folder of a finished `hopcast run`"):
        read_results(tmp_path)
    (tmp_path / "results.json").write_text("{")
    with pytest.raises(InputError, match="it is no JSON"):
        read_results(tmp_path)

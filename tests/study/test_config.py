"""The study file: what it says when something is wrong."""

import json
from pathlib import Path

import pytest

import hopcast as hc
from hopcast.core import ConfigError, OutputError
from hopcast.core.units import HARTREE
from hopcast.study.config import parse_config, read_config
from hopcast.study.inputs import read_data
from hopcast.study.record import NAME, RunRecord, prepare_folder, provenance, write_record


def test_minimal_study(tmp_path):
    (tmp_path / "a.toml").write_text('[data]\ndataset = "cspbi3"\n')
    config = read_config(tmp_path / "a.toml")
    assert config.models.stride == 24.0
    assert config.dynamics.temperature == 300.0


def test_paths_are_relative_to_the_file(tmp_path):
    (tmp_path / "a.toml").write_text('[data]\ntrajectory = "md.xyz"\nhamiltonian = "/h.h5"\ntimestep = 1.0\n')
    data = read_config(tmp_path / "a.toml").data
    assert data.trajectory == tmp_path / "md.xyz"
    assert str(data.hamiltonian) == "/h.h5"


def test_zero_temperature_leaves_detailed_balance_out():
    config = parse_config({"data": {"dataset": "cspbi3"}, "dynamics": {"temperature": 0}})
    assert config.dynamics.temperature is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[data\n", "is not valid TOML"),
        ('[data]\ndataset = "cspbi3"\n[model]\n', r"unknown key `model`\. Did you mean `models`"),
        ('[data]\ndataset = "cspbi3"\n[models]\nstrid = 2\n', r"unknown key `models.strid`\. Did you mean `stride`"),
        ('[data]\ndatasets = "cspbi3"\n', r"unknown key `data.datasets`\. Did you mean `dataset`"),
        ("title = 'x'\n", "needs `data`"),
        ("[data]\n", "`data`: give either `dataset`, or `trajectory` and `hamiltonian`"),
        ('[data]\ntrajectory = "x"\n', "give both `trajectory` and `hamiltonian`"),
        ('[data]\ndataset = "cspbi3"\n[models]\nstride = -1\n', r"`models.stride`: .*greater than 0 \(found -1\)"),
        (
            '[data]\ndataset = "cspbi3"\n[dynamics]\nrule = "hefei"\n',
            r"`dynamics.rule`: .*'consistent' \(found 'hefei'\)",
        ),
    ],
)
def test_mistakes_are_named(tmp_path, text, message):
    (tmp_path / "a.toml").write_text(text)
    with pytest.raises(ConfigError, match=message) as caught:
        read_config(tmp_path / "a.toml")
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


def test_missing_file(tmp_path):
    with pytest.raises(ConfigError, match="does not exist"):
        read_config(tmp_path / "none.toml")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_config(tmp_path)


def record(status):
    return RunRecord(status=status, **dict(provenance({"name": "x"}, [], 3)))


class TestFolder:
    def test_new_and_empty_folders_are_fine(self, tmp_path):
        prepare_folder(tmp_path / "a" / "b", resume=False, overwrite=False)
        assert (tmp_path / "a" / "b" / "stages").is_dir()

    def test_an_existing_run_is_never_overwritten_silently(self, tmp_path):
        write_record(tmp_path, record("finished"))
        with pytest.raises(OutputError, match=r"exists and is not empty.*--resume.*--overwrite"):
            prepare_folder(tmp_path, resume=False, overwrite=False)
        prepare_folder(tmp_path, resume=True, overwrite=False)
        (tmp_path / "stages" / "x-1.h5").write_text("")
        prepare_folder(tmp_path, resume=False, overwrite=True)
        assert list((tmp_path / "stages").iterdir()) == []

    @pytest.mark.parametrize("flags", [{"resume": True, "overwrite": False}, {"resume": False, "overwrite": True}])
    def test_a_foreign_folder_is_never_touched(self, tmp_path, flags):
        (tmp_path / "thesis.tex").write_text("years of work")
        with pytest.raises(OutputError, match="no run of hopcast"):
            prepare_folder(tmp_path, **flags)
        assert (tmp_path / "thesis.tex").read_text() == "years of work"

    def test_other_refusals(self, tmp_path):
        (tmp_path / "file").write_text("")
        with pytest.raises(OutputError, match="must be a folder"):
            prepare_folder(tmp_path / "file", resume=False, overwrite=False)
        with pytest.raises(ConfigError, match="exclude each other"):
            prepare_folder(tmp_path / "x", resume=True, overwrite=True)

    def test_record(self, tmp_path):
        write_record(tmp_path, record("running"))
        found = json.loads((tmp_path / NAME).read_text())
        assert (found["status"], found["seed"], found["config"]) == ("running", 3, {"name": "x"})
        assert not {"error", "seconds"} & set(found)


def test_blocks_of_the_search_fit_into_a_short_training_set():
    """A correlation time longer than the training set must not leave a single block."""
    from hopcast.study.config import ModelsSection
    from hopcast.study.targets import learner

    section = ModelsSection(mode="default")
    assert learner(section, memory=760.0, stride=24.0, n_train=31, workers=1).block_length == 7
    assert learner(section, memory=100.0, stride=24.0, n_train=400, workers=1).block_length == 5
    assert learner(section, memory=760.0, stride=24.0, n_train=2, workers=1).block_length == 1


def test_files_that_do_not_say_all_are_told_so_in_the_study(tmp_path):
    """Elements of a LAMMPS dump, and one of two Hamiltonians in a folder of Libra."""
    atoms = "1 1 {:.2f} 0 0\n2 2 3 3 3\n"
    head = "ITEM: TIMESTEP\n{}\nITEM: NUMBER OF ATOMS\n2\nITEM: BOX BOUNDS pp pp pp\n0 8\n0 8\n0 8\nITEM: ATOMS id type x y z\n"
    dump = "".join(head.format(k) + atoms.format(0.01 * k) for k in range(9))
    (tmp_path / "md.lammpstrj").write_text("ITEM: UNITS\nmetal\n" + dump)
    for prefix, gap in (("Hvib_sd_", 0.05), ("Hvib_ci_", 0.07)):
        for step in range(8):
            (tmp_path / f"{prefix}{step}_re").write_text(f"0 0\n0 {gap}\n")
            (tmp_path / f"{prefix}{step}_im").write_text("0 -0.001\n0.001 0\n")
    (tmp_path / "a.toml").write_text(
        '[data]\ntrajectory = "md.lammpstrj"\nhamiltonian = "."\ntimestep = 1.0\nprefix = "Hvib_ci_"\nelements = ["Pb", "I"]\n'
        "states = [0, 1]\n"
    )
    data = read_data(read_config(tmp_path / "a.toml"))
    assert data.trajectory.formula == "PbI"
    assert data.hamiltonian.gap() == pytest.approx(0.07 * HARTREE)


@pytest.mark.parametrize("name", ["cspbi3.toml", "cspbi3-long.toml"])
def test_the_studies_of_the_demo_can_be_read(name):
    config = read_config(Path(hc.study.__file__).parent / name)
    assert config.data.dataset == name.removesuffix(".toml")

"""A study that looks at the orbitals of a plan: numbers, page, and plans that do not fit."""

import dataclasses
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

import hopcast as hc
from hopcast.abinitio import Electrons, compute_plan, write_plan
from hopcast.core.errors import ConfigError, InputError
from hopcast.study import run_study

sys.path.insert(0, str(Path(__file__).parent))
from conftest import make_material, write_study

PAIRS = (10, 11, 80, 200)


class GapEngine:
    """Orbitals with the gap of a Hamiltonian: the VBM on the atom O of a frame's parity, the CBM over all Mg."""

    name = "made-up"

    def __init__(self, trajectory, gaps, off=0.0):
        self.trajectory, self.gaps, self.off = trajectory, gaps, off

    def settings(self):
        return {"engine": self.name, "method": "by hand", "off": self.off}

    def check(self, numbers):
        pass

    def electrons(self, geometry):
        frame = int(np.argmin(np.abs(self.trajectory.positions - geometry.positions).sum(axis=(1, 2))))
        is_mg = self.trajectory.numbers == 12
        weights = np.zeros((8, 4))
        weights[np.flatnonzero(~is_mg)[frame % 2], :2] = 1.0
        weights[is_mg, 2:] = 0.25
        energies = np.array([-2.0, 0.0, self.gaps[frame] + self.off, 3.0])
        return Electrons(geometry, energies, np.eye(4)[:, 1:3], 1, 2, np.arange(4), "made up", weights)

    def overlap(self, left, right):
        return np.eye(2)


@pytest.fixture(scope="module")
def material():
    return make_material(n_frames=210)


def plan_for(material, folder, **options):
    trajectory, hamiltonian = material
    write_plan(folder, trajectory, PAIRS, strategy="by hand")
    compute_plan(folder, GapEngine(trajectory, hamiltonian.gap(), **options))
    return folder


def study_file(material, folder, plan="plan"):
    text = f'[electrons]\nplan = "{plan}"\n'
    path = write_study(folder, material=material, text=text)
    quick = (
        ("[checks]", "[checks]\nenabled = false"),
        ("[evaluation]", "[evaluation]\nenabled = false"),
        ("n_shifts = 4", "n_shifts = 1"),
        ("[models]", "[information]\nn_select = 0\n[models]\nn_samples = 2\nelements = []"),
        ("[dynamics]", "[dynamics]\nn_bootstrap = 100"),
    )
    for old, new in quick:
        path.write_text(path.read_text().replace(old, new))
    return path


def test_the_study_knows_the_electrons_and_a_resumed_run_new_ones(material, tmp_path, monkeypatch):
    import hopcast.study.run as module

    monkeypatch.setattr(module, "write_report", lambda report, folder: {})  # tests/report draws
    trajectory, hamiltonian = material
    path = study_file(material, tmp_path)
    plan = plan_for(material, tmp_path / "plan")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", hc.QualityWarning)
        report = run_study(path, tmp_path / "out").report
        record = report.results.to_dict()["electrons"]
        frames = [10, 11, 12, 80, 81, 200, 201]
        gaps = hamiltonian.gap()[frames]
        assert (record["engine"], record["n_frames"]) == ("made-up by hand", 7)
        assert record["gap_mean"] == pytest.approx(gaps.mean(), abs=1e-12)
        assert (record["gap_min"], record["gap_max"]) == pytest.approx((gaps.min(), gaps.max()), abs=1e-12)
        vbm, cbm = record["states"]
        assert (vbm["participation"], cbm["participation"]) == pytest.approx((1.0, 0.25))
        shares = {one["element"]: one["share"] for one in cbm["elements"]}
        assert shares == pytest.approx({"Mg": 1.0, "O": 0.0})
        oxygen = np.flatnonzero(trajectory.numbers == 8)
        assert np.array(vbm["atoms"])[oxygen[:2]] == pytest.approx([4 / 7, 3 / 7])
        assert report.series.states.total.sum() * np.diff(report.series.states.energies)[0] == pytest.approx(
            8, rel=1e-3
        )
        assert report.series.edges.participation.shape == (7, 2)
        assert not any("of another calculation" in note for note in report.results.notes)
        write_plan(plan, trajectory, [150], strategy="by hand")
        compute_plan(plan, GapEngine(trajectory, hamiltonian.gap()))
        again = run_study(path, tmp_path / "out", resume=True)
    assert again.results["electrons"]["n_frames"] == 9


def test_orbitals_of_another_calculation_are_a_note(material, tmp_path):
    from hopcast.study.config import read_config
    from hopcast.study.inputs import read_data
    from hopcast.study.progress import Progress
    from hopcast.study.stage import Context
    from hopcast.study.stages.electrons import run_electrons

    config = read_config(study_file(material, tmp_path))
    plan_for(material, tmp_path / "plan", off=0.2)
    with pytest.warns(hc.QualityWarning, match=r"by up to 0\.2 eV: its orbitals are of another"):
        run_electrons(Context(config, read_data(config), {}, Progress(), 1))


def test_plans_that_do_not_fit_are_one_sentence(material, tmp_path):
    trajectory, _ = material
    path = study_file(material, tmp_path)
    with pytest.raises(InputError, match=r"holds no plan\.json"):
        run_study(path, tmp_path / "a")
    write_plan(tmp_path / "plan", trajectory, PAIRS, strategy="by hand")
    with pytest.raises(InputError, match=r"no results of an engine\. Run hopcast compute"):
        run_study(path, tmp_path / "b")
    moved = dataclasses.replace(trajectory, positions=trajectory.positions + 0.1)
    write_plan(tmp_path / "other", moved, PAIRS, strategy="by hand")
    with pytest.raises(InputError, match=r"another trajectory than that of the study"):
        run_study(study_file(material, tmp_path, "other"), tmp_path / "c")
    path.write_text(path.read_text().replace("plan = ", "plans = "))
    with pytest.raises(ConfigError, match=r"unknown key `electrons\.plans`"):
        run_study(path, tmp_path / "d")

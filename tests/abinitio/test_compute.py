"""Plans and their computation: resumption, failures, signs, bad input; with a made-up engine that costs nothing."""

import os
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest

import hopcast as hc
from hopcast.abinitio import Electrons, ElectronsError, assemble_plan, compute_plan, make_engine, read_plan, write_plan
from hopcast.abinitio.store import Store
from hopcast.core.errors import ConfigError, InputError, OutputError
from hopcast.core.units import HBAR
from hopcast.io import write_native

RATE = 0.004  # radians a step: what the made-up states turn


def make_trajectory(n_frames=60, seed=0):
    rng = np.random.default_rng(seed)
    start = rng.uniform(0, 5, size=(3, 3))
    drift = np.arange(n_frames)[:, None, None] * 0.01
    return hc.Trajectory(start + drift, np.eye(3) * 6.0, np.array([8, 1, 1]), 2.0)


class TurningEngine:
    """Two states that turn into each other steadily with the x of atom 0, signs at random."""

    name = "turning"

    def __init__(self, fails=(), start=0.0, delay=0.0, level=1.0):
        self.calls, self.fails, self.start, self.delay, self.level = [], set(fails), start, delay, level

    def settings(self):
        return {"engine": self.name, "level": self.level}

    def check(self, numbers):
        pass

    def electrons(self, geometry):
        time.sleep(self.delay)
        frame = round((geometry.positions[0, 0] - self.start) / 0.01)
        self.calls.append(frame)
        if frame in self.fails:
            raise ElectronsError("the self-consistency did not converge")
        signs = np.random.default_rng(frame).choice([-1.0, 1.0], 2)
        angle = RATE * frame
        turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        return Electrons(
            geometry, np.array([-1.0, 0.5 + frame * 1e-3]), turn * signs, 0, 1, np.array([0, 1]), "made up",
            np.array([[0.5, 0.5], [0.3, 0.3], [0.2, 0.2]]),
        )  # fmt: skip

    def overlap(self, left, right):
        return left.orbitals.T @ right.orbitals


@pytest.fixture
def plan(tmp_path):
    return write_plan(tmp_path / "plan", make_trajectory(), [3, 20, 21, 40], strategy="by hand")


def engine_for(plan, **options):
    return TurningEngine(start=make_trajectory().positions[0, 0, 0], **options)


def test_a_plan_computes_each_frame_once_and_gives_the_known_coupling(plan):
    engine = engine_for(plan)
    report = compute_plan(plan.folder, engine)
    assert engine.calls == [3, 4, 20, 21, 22, 40, 41]
    assert (report.finished, report.n_pairs, report.failed) == (4, 4, {})
    ham = assemble_plan(plan.folder, engine)
    assert list(np.flatnonzero(ham.nac_known)) == [3, 20, 21, 40]
    assert list(np.flatnonzero(ham.energy_known)) == [3, 4, 20, 21, 22, 40, 41]
    assert ham.gap()[20] == pytest.approx(1.52)
    # signs are chained: every sample has the same one, whatever the signs of the orbitals were
    np.testing.assert_allclose(ham.nac[ham.nac_known][:, 0, 1], ham.nac[3, 0, 1], rtol=1e-9)
    assert abs(ham.nac[3, 0, 1]) == pytest.approx(HBAR * RATE / 2.0, rel=1e-6)
    assert ham.provenance["signs between samples"].startswith("4 of 4 links")
    assert ham.state_labels == ("VBM", "CBM")
    assert ham.n_occupied == 1


def test_signs_are_not_carried_where_the_states_lose_themselves(tmp_path):
    trajectory = make_trajectory(600)
    plan = write_plan(tmp_path / "plan", trajectory, [0, 400], strategy="by hand")  # 1.6 radians apart
    engine = engine_for(plan)
    compute_plan(plan.folder, engine)
    assert assemble_plan(plan.folder, engine).provenance["signs between samples"].startswith("0 of 2 links")


def test_a_finished_plan_is_not_computed_again_and_a_broken_file_is(plan):
    compute_plan(plan.folder, engine_for(plan))
    again = engine_for(plan)
    assert compute_plan(plan.folder, again).finished == 4
    assert again.calls == []
    for name in ("frames/000040/electrons.npz", "pairs/000040.npz"):
        file = plan.folder / name
        file.write_bytes(file.read_bytes()[:100])
    compute_plan(plan.folder, again)
    assert again.calls == [40]


def test_one_failure_is_recorded_and_skipped(plan):
    engine = engine_for(plan, fails={21})
    report = compute_plan(plan.folder, engine)
    assert report.finished == 2
    assert report.failed == {21: "the self-consistency did not converge"}
    ham = assemble_plan(plan.folder, engine)
    assert list(np.flatnonzero(ham.nac_known)) == [3, 40]
    again = engine_for(plan)
    assert compute_plan(plan.folder, again).finished == 2
    assert again.calls == []
    assert compute_plan(plan.folder, again, retry=True).finished == 4
    assert 21 in again.calls


def test_ten_failures_in_a_row_stop_the_run(tmp_path):
    plan = write_plan(tmp_path / "plan", make_trajectory(), range(0, 50, 2), strategy="stride")
    engine = engine_for(plan, fails=set(range(4, 60)))
    with pytest.raises(ElectronsError, match=r"10 frames in a row failed.*did not converge.*2 of 25 pairs"):
        compute_plan(plan.folder, engine)
    assert len(engine.calls) == 4 + 10


def test_a_killed_run_goes_on_where_it_was(tmp_path):
    folder = tmp_path / "plan"
    plan = write_plan(folder, make_trajectory(120), range(0, 100, 2), strategy="stride")
    script = textwrap.dedent(f"""
        import sys
        sys.path.insert(0, {os.path.dirname(__file__)!r})
        from test_compute import engine_for
        from hopcast.abinitio import compute_plan
        compute_plan({str(folder)!r}, engine_for(None, delay=0.02))
    """)
    process = subprocess.Popen([sys.executable, "-c", script])
    while len(list((folder / "pairs").glob("*.npz"))) < 5:
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = {file: file.stat().st_mtime_ns for file in folder.rglob("*.npz") if not file.name.startswith(".")}
    assert 5 <= sum(file.parent.name == "pairs" for file in before) < 50
    engine = engine_for(None)
    assert compute_plan(folder, engine).finished == len(plan.pairs) == 50
    finished = {int(file.parent.name) for file in before if file.name == "electrons.npz"}
    assert not finished & set(engine.calls)
    assert {file: file.stat().st_mtime_ns for file in before} == before


def test_parts_cover_a_plan(plan):
    for index in range(3):
        compute_plan(plan.folder, engine_for(plan), part=(index, 3))
    rest = engine_for(plan)
    assert compute_plan(plan.folder, rest).finished == 4
    assert rest.calls == []
    with pytest.raises(ConfigError, match=r"`part`"):
        compute_plan(plan.folder, rest, part=(3, 3))


def test_a_plan_that_no_longer_matches_its_trajectory_is_refused(tmp_path):
    file = tmp_path / "md.h5"
    write_native(file, trajectory=make_trajectory())
    plan = write_plan(tmp_path / "plan", make_trajectory(), [1, 5], strategy="by hand", source=str(file))
    compute_plan(plan.folder, engine_for(plan))
    write_native(file, trajectory=make_trajectory(seed=1))
    with pytest.raises(InputError, match=r"made for another trajectory.*new plan"):
        compute_plan(plan.folder, engine_for(plan))
    with pytest.raises(InputError, match=r"made for another trajectory"):
        write_plan(tmp_path / "plan", make_trajectory(seed=1), [1], strategy="by hand")


def test_a_plan_can_be_extended_and_moved(plan, tmp_path):
    compute_plan(plan.folder, engine_for(plan))
    longer = write_plan(plan.folder, make_trajectory(), [50], strategy="by hand")
    assert longer.pairs == (3, 20, 21, 40, 50)
    moved = tmp_path / "elsewhere"
    plan.folder.rename(moved)
    engine = engine_for(plan)
    assert compute_plan(moved, engine).finished == 5
    assert engine.calls == [50, 51]


def test_results_of_other_settings_are_not_mixed(plan):
    compute_plan(plan.folder, engine_for(plan))
    with pytest.raises(InputError, match=r"other settings .level differ"):
        compute_plan(plan.folder, engine_for(plan, level=2.0))
    assert Store(plan.folder, "another").get_electrons(3) is None


def test_settings_without_results_bind_nobody(plan):
    failing = engine_for(plan, level=5.0, fails=range(60))
    assert compute_plan(plan.folder, failing).finished == 0
    assert compute_plan(plan.folder, engine_for(plan), retry=True).finished == 4
    (plan.folder / "engine.json").write_text("{")
    with pytest.raises(InputError, match=r"engine\.json` is damaged"):
        compute_plan(plan.folder, engine_for(plan))


def test_broken_plans_say_so(tmp_path, plan):
    with pytest.raises(InputError, match=r"holds no plan.json"):
        read_plan(tmp_path)
    with pytest.raises(InputError, match=r"between 0 and 58"):
        write_plan(tmp_path / "new", make_trajectory(), [59], strategy="by hand")
    with pytest.raises(InputError, match=r"holds no finished frame"):
        assemble_plan(plan.folder, engine_for(plan))
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("mine")
    with pytest.raises(OutputError, match=r"is no plan"):
        write_plan(tmp_path / "full", make_trajectory(), [1], strategy="by hand")
    (plan.folder / "plan.json").write_text('{"pairs": [1')
    with pytest.raises(InputError, match=r"is damaged"):
        read_plan(plan.folder)


def test_an_engine_that_is_not_there_names_what_to_install(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'hopcast\[tblite\]'"):
        make_engine("tblite")
    with pytest.raises(ConfigError, match=r"hopcast\[cp2k\]"):
        make_engine("cp2k")
    with pytest.raises(ConfigError, match=r"Did you mean `tblite`"):
        make_engine("tblit")

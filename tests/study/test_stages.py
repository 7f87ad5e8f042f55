"""The cache of stages: found again, never trusted when damaged; a stage cannot read a key that it is not keyed by."""

from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from hopcast.results.record import Record
from hopcast.study.config import StudyConfig, parse_config
from hopcast.study.inputs import StudyData
from hopcast.study.progress import Reporter
from hopcast.study.stage import (
    Stage,
    StageResult,
    StageRunner,
    list_stages,
    load_stage,
    settings_of,
    store_stage,
    view_of,
)


class Numbers(Record):
    a: list[float]
    b: float | None = None


def test_round_trip(tmp_path):
    arrays = {"gap/all-18": np.arange(3.0), "mask": np.array([True, False])}
    path = tmp_path / "models-abc.h5"
    store_stage(path, "models", StageResult(Numbers(a=[1.5, 0.1]), arrays, ("careful",)))
    again = load_stage(path, Numbers)
    assert again.numbers == Numbers(a=[1.5, 0.1])
    assert again.notes == ("careful",)
    assert set(again.arrays) == {"gap/all-18", "mask"}
    assert_array_equal(again.arrays["mask"], [True, False])


def runner(tmp_path, config, fingerprint="data"):
    data = StudyData("x", "", None, None, None, None, fingerprint)
    return StageRunner(config, data, tmp_path, Reporter(None), 1)


BASE = parse_config({"data": {"dataset": "cspbi3"}})


def counted(calls):
    def work(context):
        calls.append(context.config.dynamics.n_times)
        return StageResult(Numbers(a=[1.0]))

    return Stage("x", 0, Numbers, ("dynamics.n_times",), work)


def test_a_stage_runs_once(tmp_path):
    calls = []
    for _ in range(2):
        found = runner(tmp_path, BASE).run(counted(calls))
        assert found.numbers.a == [1.0]
    assert calls == [1000]
    runner(tmp_path, BASE, "other data").run(counted(calls))
    assert len(calls) == 2


def test_a_damaged_file_is_computed_again(tmp_path):
    calls = []
    runner(tmp_path, BASE).run(counted(calls))
    (path,) = tmp_path.iterdir()
    path.write_bytes(b"half a file")
    runner(tmp_path, BASE).run(counted(calls))
    assert len(calls) == 2


def test_a_failed_stage_leaves_nothing(tmp_path):
    def fail(context):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        runner(tmp_path, BASE).run(Stage("x", 0, Numbers, (), fail))
    assert list(tmp_path.iterdir()) == []


def other(value):
    """Another value of the same kind."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    if isinstance(value, str):
        return value + "x"
    if isinstance(value, list):
        return [*value, "x"]
    return 1.0 if value is None else None


@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")
def test_every_key_of_the_study_file_changes_the_stages_that_read_it_and_no_others(tmp_path):
    """Change each key: what reads it (or needs what does) gets a new hash; what does not, cannot read it."""
    stages = list_stages()
    before = runner(tmp_path, BASE)
    keys = {stage.name: before.key(stage) for stage in stages}
    data = before._data
    for section in StudyConfig.model_fields:
        part = getattr(BASE, section)
        if section in ("title", "data", "more_data", "couplings"):  # of the report, or in the data's own hash
            continue
        names = [""] if section == "seed" else list(type(part).model_fields)
        for name in names:
            if name:
                value = Path("plan") if name == "plan" else other(getattr(part, name))
                changed = part.model_copy(update={name: value})
                wanted = {section, f"{section}.{name}"}
            else:
                changed, wanted = part + 1, {section}
            config = BASE.model_copy(update={section: changed})
            after = runner(tmp_path, config)
            readers = {stage.name for stage in stages if wanted & {"seed", *stage.reads}}
            grown = True
            while grown:  # and what needs them
                more = {one.name for one in stages if {need.name for need in one.needs(data)} & readers}
                grown = not more <= readers
                readers |= more
            moved = {stage.name for stage in stages if after.key(stage) != keys[stage.name]}
            assert moved == readers, (section, name)
            assert readers, f"no stage reads {section}.{name}"


def test_a_stage_cannot_read_what_it_is_not_keyed_by():
    stage = Stage("x", 0, Numbers, ("models", "dynamics.temperature"), lambda context: None)
    view = view_of(stage, BASE)
    assert view.models.stride == 24.0
    assert view.dynamics.temperature == 300.0
    for place, name in ((view, "evaluation"), (view.dynamics, "n_times")):
        with pytest.raises(AttributeError):
            getattr(place, name)
    assert set(settings_of(stage, BASE)) == {"seed", "models", "dynamics.temperature"}


def test_stages_stand_in_an_order_in_which_each_finds_what_it_needs():
    data = StudyData("x", "", None, None, None, None, "")
    seen = set()
    for stage in list_stages():
        assert {need.name for need in stage.needs(data)} <= seen
        seen.add(stage.name)

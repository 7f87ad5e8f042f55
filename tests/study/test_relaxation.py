"""Carriers relaxing through the bands: which bands, what is refused, what the report is given."""

import dataclasses

import jsonschema
import numpy as np
import pytest

from hopcast.core import VibronicHamiltonian
from hopcast.couplings import diagnose_overlaps
from hopcast.dynamics import loop
from hopcast.results import results_schema
from hopcast.study.config import RelaxationSection, parse_config
from hopcast.study.electron_hole import fall_time, pair_series
from hopcast.study.inputs import StudyData
from hopcast.study.progress import Progress
from hopcast.study.stage import Context, StageResult
from hopcast.study.stages.relaxation import cases, relaxation_series, relaxes, run_relaxation

SETTINGS = RelaxationSection(duration=1000.0, n_starts=4, n_trajectories=15, n_times=50, methods=["dish", "fssh"])


def window(n_frames: int = 80, apart: float = 0.0) -> VibronicHamiltonian:
    """Eight bands, four on either side of a gap; the highest one lies `apart` from the others."""
    t = np.arange(float(n_frames))
    levels = np.array([-0.3, -0.2, -0.1, 0.0, 1.5, 1.6, 1.7, 1.8 + apart])
    energies = levels + 0.015 * np.sin(0.05 * (1 + np.arange(8)) * t[:, None])
    nac = np.zeros((n_frames - 1, 8, 8))
    for i in range(7):
        nac[:, i, i + 1] = 0.02 * np.cos(0.03 * (i + 1) * t[:-1])
        nac[:, i + 1, i] = -nac[:, i, i + 1]
    overlaps = np.tile(np.eye(8), (n_frames - 1, 1, 1))
    overlaps[10, 1, 1] = 0.4  # band 1 leaves the window
    return VibronicHamiltonian(
        energies=energies,
        nac=nac,
        timestep=1.0,
        overlaps=overlaps,
        n_occupied=4,
        state_labels=tuple(f"band {i}" for i in range(8)),
    )


def study_of(ham: VibronicHamiltonian) -> StudyData:
    return StudyData("made up", "", None, ham, ham.frontier(), diagnose_overlaps(ham), "")


def record_of(result: StageResult) -> dict:
    return result.numbers.model_dump(mode="json", by_alias=True)["relaxation"]


CONFIG = parse_config({"data": {"dataset": "cspbi3"}})


def run(settings: RelaxationSection, study: StudyData, workers: int = 1) -> StageResult:
    config = CONFIG.model_copy(update={"relaxation": settings})
    return run_relaxation(Context(config, study, {}, Progress(), workers))


@pytest.fixture(scope="module")
def found() -> StageResult:
    return run(SETTINGS, study_of(window(apart=1.0)), 2)


def test_bands_count_from_the_edge_to_the_first_that_leaks():
    hole, electron = cases(study_of(window()), window(), 8)
    assert hole.hamiltonian.state_labels == ("band 2", "band 3")
    assert electron.hamiltonian.state_labels == tuple(f"band {i}" for i in range(4, 8))
    assert [len(case.hamiltonian.state_labels) for case in cases(study_of(window()), window(), 2)] == [2, 2]
    assert relaxes(CONFIG, study_of(window()))
    pair = window().frontier()
    assert not relaxes(CONFIG, dataclasses.replace(study_of(window()), window=pair))
    nac = window().nac.copy()
    nac[3] = np.nan
    assert not relaxes(
        CONFIG, dataclasses.replace(study_of(window()), window=dataclasses.replace(window(), nac=nac, nac_known=None))
    )


def test_a_carrier_that_is_stuck_starts_below_as_well(found):
    runs = record_of(found)["runs"]
    assert list(dict.fromkeys(run["name"] for run in runs)) == ["hole", "electron", "electron from band 6"]
    by_name = {run["name"]: run for run in runs if run["method"] == "dish"}
    assert by_name["electron"]["longest_stay"] == "band 7"
    assert by_name["electron"]["decayed"] < 0.1
    assert by_name["electron"]["decay_model"] == "none"
    again = by_name["electron from band 6"]
    assert again["initial_state"] == "band 6"
    assert again["decayed"] > 0.5
    assert again["transitions"][0]["to"] in ("band 4", "band 5")
    assert by_name["hole"]["states"] == ["band 3", "band 2"]
    assert record_of(found)["left_out"] == [{"band": "band 1", "row_norm": pytest.approx(0.4)}]


def test_records_follow_the_schema(found):
    record = record_of(found)
    schema = results_schema()
    jsonschema.validate(record, {**schema["$defs"]["RelaxationRecord"], "$defs": schema["$defs"]})
    for run in record["runs"]:
        low, value, high = (run["rate"][key] for key in ("low", "value", "high"))
        assert 0 <= low <= value <= high
    for carrier in relaxation_series(found):
        np.testing.assert_allclose(carrier.populations["dish"].sum(axis=1), 1)
        assert (carrier.energy_error["dish"].max() > 0) == ((carrier.populations["dish"] % 1) > 0).any()
        start = carrier.states.index(next(r for r in record["runs"] if r["name"] == carrier.name)["initial_state"])
        assert carrier.populations["dish"][0, start] == 1


def test_electron_and_hole_together(found):
    pair = record_of(found)["pair"]
    assert pair["n_determinants"] == 2 * 3 + 1  # the electron starts below the band in which it waits
    assert [(one["carrier"], one["way"], one["initial_state"]) for one in pair["carriers"]] == [
        ("electron", "together", "band 6"),
        ("electron", "alone", "band 6"),
        ("hole", "together", "band 2"),
        ("hole", "alone", "band 2"),
    ]
    drawn = pair_series(found.numbers.relaxation, found.arrays)
    np.testing.assert_allclose(sum(drawn.groups.values()), 1)
    assert drawn.groups["both hot"][0] == 1
    for one in pair["carriers"]:
        energy = drawn.energy[one["carrier"], one["way"]]
        levels = {"electron": 0.2, "hole": 0.1}  # bands 6 and 2 above the edge
        assert energy[0] == pytest.approx(levels[one["carrier"]], abs=0.01)
        assert energy.min() < energy[0] / np.e
        assert one["cooling_time_low"] <= one["cooling_time"]
        high = one["cooling_time_high"]
        assert high is None or high >= one["cooling_time"]
    # nothing recombines across 1.5 eV: populations of the electron are those of the groups
    assert pair["ground_population"] < 0.05 < pair["ground_population_high"]
    populations = found.arrays["pair/electron/together/populations"]
    np.testing.assert_allclose(populations[:, 0], drawn.groups["hole hot"] + drawn.groups["both cool"])


def test_the_pair_is_left_out_or_cut_to_memory(monkeypatch):
    study = study_of(window())
    off = run(SETTINGS.model_copy(update={"pair_states": 0}), study)
    assert "pair" not in record_of(off)
    assert pair_series(off.numbers.relaxation, off.arrays) is None
    monkeypatch.setattr(loop, "MOST_BYTES", 16 * 6 * 5 * 8 * 30)  # 6 sub-steps, 2 x 2 bands and the ground state
    small = SETTINGS.model_copy(update={"pair_states": 2, "duration": 200.0})
    pair = run(small, study).numbers.model_dump(by_alias=True)["relaxation"]["pair"]
    assert pair["n_determinants"] == 5
    assert pair["substeps"] == 6
    assert pair["n_frames"] == 31


def test_time_to_fall():
    t = np.arange(4.0)
    assert fall_time(t, np.array([4.0, 3.0, 1.0, 0.0]), 2.0) == 1.5
    assert fall_time(t, np.array([1.0, 3.0, 1.0, 0.0]), 2.0) == 0.0
    assert fall_time(t, np.array([4.0, 3.0, 3.0, 3.0]), 2.0) is None


def test_bits_do_not_depend_on_workers(found):
    again = run(SETTINGS, study_of(window(apart=1.0)))
    assert again.numbers == found.numbers


def test_what_the_engine_refuses_is_named():
    ham = window()
    nac = ham.nac.copy()
    nac[30, 5, 6], nac[30, 6, 5] = 2.0, -2.0  # 3 rad
    study = dataclasses.replace(study_of(ham), window=dataclasses.replace(ham, nac=nac))
    record = run(SETTINGS, study).numbers.model_dump(by_alias=True)["relaxation"]
    assert {run["name"] for run in record["runs"]} == {"hole"}
    assert [(one["name"], one["method"]) for one in record["refused"]] == [("electron", "dish"), ("electron", "fssh")]
    assert "after frame 30" in record["refused"][0]["reason"]
    nac[30, 5, 6], nac[30, 6, 5], nac[30, 3, 4], nac[30, 4, 3] = 0.0, 0.0, 2.0, -2.0  # across the gap
    study = dataclasses.replace(study_of(ham), window=dataclasses.replace(ham, nac=nac))
    record = run(SETTINGS, study).numbers.model_dump(by_alias=True)["relaxation"]
    assert [(one["name"], one["method"]) for one in record["refused"]] == [("electron and hole", "dish")]
    assert "pair" not in record

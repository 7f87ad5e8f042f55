"""`run_study`: the conductor of all stages."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hopcast.core.errors import HopcastError
from hopcast.core.hamiltonian import VibronicHamiltonian
from hopcast.core.outputs import check_outside, run_folder
from hopcast.io import write_native
from hopcast.report import StudyReport, write_report
from hopcast.results.study import InputRecord, Provenance
from hopcast.study.assemble import assemble
from hopcast.study.config import StudyConfig, parse_config, read_config
from hopcast.study.inputs import StudyData, read_data
from hopcast.study.progress import Reporter
from hopcast.study.rates import DynamicsNumbers, forecast_hamiltonian
from hopcast.study.record import RunRecord, Status, check_output, prepare_folder, provenance, write_record
from hopcast.study.stage import StageResult, StageRunner
from hopcast.study.stages import dynamics, features, information

if TYPE_CHECKING:
    from rich.console import Console


@dataclass(frozen=True, eq=False)
class StudyResult:
    """A finished study.

    Attributes
    ----------
    folder
        Where everything was written.
    report
        Numbers (`report.results`) and series behind the figures.
    hamiltonians
        The ab initio pair and its forecasts, by name.
    """

    folder: Path
    report: StudyReport
    hamiltonians: dict[str, VibronicHamiltonian]

    @property
    def results(self) -> dict[str, Any]:
        """What `results.json` holds."""
        return self.report.results.to_dict()


def run_study(
    study: StudyConfig | str | Path | dict[str, Any],
    output: str | Path,
    *,
    resume: bool = False,
    overwrite: bool = False,
    workers: int | None = None,
    console: Console | None = None,
) -> StudyResult:
    """Run a study from data to report.

    Parameters
    ----------
    study
        A study file, its contents as a dictionary, or a configuration.
    output
        Folder for the report, ``results.json``, tables, figures, forecasts and the run record.
    resume
        Continue the run in `output`: stages whose inputs are the same are not computed again.
    overwrite
        Replace the run in `output`.
    workers
        Threads; None takes the cores. Results do not depend on it.
    console
        Where progress goes; None is silent.

    Returns
    -------
    StudyResult
        Also written to `output`.

    Raises
    ------
    ConfigError
        If the study asks for something that does not exist.
    OutputError
        If `output` exists and neither `resume` nor `overwrite` is given, or cannot be written.
    InputError
        If the data cannot be used.
    """
    config = _configuration(study)
    folder = Path(output)
    check_output(folder, resume=resume, overwrite=overwrite)
    read = [path for one in (config.data, *config.more_data) for path in (one.trajectory, one.hamiltonian)]
    check_outside(folder, [*read, config.electrons.plan])
    reporter = Reporter(console)
    with reporter.stage("data") as stage:
        data = read_data(config)
        stage.note = f"{data.trajectory.formula}, {data.trajectory.n_frames} frames, {data.trajectory.timestep:g} fs"
    with run_folder(folder):
        prepare_folder(folder, resume=resume, overwrite=overwrite)
        return _conduct(config, data, folder, reporter, workers)


def _conduct(
    config: StudyConfig, data: StudyData, folder: Path, reporter: Reporter, workers: int | None
) -> StudyResult:
    """Run the stages and write everything; the record says what became of the run."""
    made = _provenance(config, data)
    record = RunRecord(status="running", **dict(made))
    write_record(folder, record)
    start = time.perf_counter()
    try:
        runner = StageRunner(config, data, folder / "stages", reporter, workers)
        runner.run_all()
        with reporter.stage("report"):
            report = assemble(config, data, runner.results, _provenance(config, data), reporter.seconds)
            hamiltonians = _hamiltonians(data, runner.results[dynamics.STAGE.name])
            for name, hamiltonian in hamiltonians.items():
                write_native(folder / "hamiltonians" / f"{name.replace(' ', '-')}.h5", hamiltonian=hamiltonian)
            write_report(report, folder)
    except BaseException as error:
        # the record tells a later reader what became of the run; stages that finished stay
        status: Status = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
        _close(folder, record, status, start, error)
        raise
    _close(folder, record, "finished", start, None)
    return StudyResult(folder, report, hamiltonians)


def rank_study(
    study: StudyConfig | str | Path | dict[str, Any], *, workers: int | None = None, console: Console | None = None
) -> StudyReport:
    """Rank elements and symmetry functions by their information on the gap and the coupling; nothing is written.

    Parameters
    ----------
    study, workers, console
        As in `run_study`.

    Returns
    -------
    StudyReport
        With `information` and `best_features`; models and Hamiltonians are empty.
    """
    config = _configuration(study)
    reporter = Reporter(console)
    with reporter.stage("data"):
        data = read_data(config)
    runner = StageRunner(config, data, None, reporter, workers)
    runner.run(features.STAGE)
    runner.run(information.STAGE)
    return assemble(config, data, runner.results, _provenance(config, data), reporter.seconds)


def _configuration(study: StudyConfig | str | Path | dict[str, Any]) -> StudyConfig:
    if isinstance(study, StudyConfig):
        return study
    return parse_config(study) if isinstance(study, dict) else read_config(study)


def _provenance(config: StudyConfig, data: StudyData) -> Provenance:
    inputs = [
        InputRecord(name=one.name, sha256=one.fingerprint, source=one.description) for one in (data, *data.others)
    ]
    return provenance(config.model_dump(mode="json", exclude_none=True), inputs, config.seed)


def _hamiltonians(data: StudyData, found: StageResult[DynamicsNumbers]) -> dict[str, VibronicHamiltonian]:
    first, *forecasts = (row.name for row in found.numbers.hamiltonians)
    return {first: data.hamiltonian} | {
        name: forecast_hamiltonian(data, found.arrays[f"gap/{name}"], found.arrays[f"nac/{name}"], name)
        for name in forecasts
    }


def _close(folder: Path, record: RunRecord, status: Status, start: float, error: BaseException | None) -> None:
    said = None if error is None else str(error) or type(error).__name__
    closed = record.model_copy(
        update={"status": status, "seconds": round(time.perf_counter() - start, 2), "error": said}
    )
    try:
        write_record(folder, closed)
    except HopcastError:
        if error is None:
            raise
        # the disk that broke the run takes no record either: the first error is the one to show

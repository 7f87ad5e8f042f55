"""`run_study`: the conductor of all stages."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hopcast.core.errors import HopcastError
from hopcast.core.hamiltonian import VibronicHamiltonian
from hopcast.descriptors import SymmetryFunctions
from hopcast.io import write_native
from hopcast.report import StudyReport, write_report
from hopcast.study.assemble import assemble
from hopcast.study.checks import run_checks
from hopcast.study.config import StudyConfig, parse_config, read_config
from hopcast.study.curves import n_points, run_curves
from hopcast.study.electrons import orbitals_signature, run_electrons
from hopcast.study.forecasts import run_models
from hopcast.study.inputs import StudyData, read_data
from hopcast.study.lifetimes import forecast_hamiltonian, run_lifetimes
from hopcast.study.progress import Reporter
from hopcast.study.ranking import (
    InformationSeries,
    best_functions,
    information_series,
    run_information,
)
from hopcast.study.record import prepare_folder, provenance, write_record
from hopcast.study.relaxation import relaxes, run_relaxation
from hopcast.study.runner import StageRunner, with_notes
from hopcast.study.sparse import run_sample_features, sample_series
from hopcast.study.sparse_models import run_sample_models
from hopcast.study.sparse_rates import run_sample_lifetimes
from hopcast.study.stages import StageResult

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
        return self.report.results


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
    reporter = Reporter(console)
    with reporter.stage("data") as stage:
        data = read_data(config)
        stage.note = (
            f"{data.trajectory.formula}, {data.trajectory.n_frames} frames, {data.trajectory.timestep:g} fs"
        )
    prepare_folder(folder, resume=resume, overwrite=overwrite)
    record: dict[str, Any] = {"status": "running", **_provenance(config, data)}
    write_record(folder, record)
    start = time.perf_counter()
    try:
        functions, stages = compute(config, data, folder / "stages", reporter, workers)
        with reporter.stage("report"):
            report = assemble(config, data, functions, stages, _provenance(config, data), reporter.seconds)
            hamiltonians = _hamiltonians(data, stages["dynamics"])
            for name, hamiltonian in hamiltonians.items():
                write_native(
                    folder / "hamiltonians" / f"{name.replace(' ', '-')}.h5", hamiltonian=hamiltonian
                )
            write_report(report, folder)
    except BaseException as error:
        # the record tells a later reader what became of the run; stages that finished stay
        status = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
        _close(folder, record, status, start, error)
        raise
    _close(folder, record, "finished", start, None)
    return StudyResult(folder, report, hamiltonians)


def compute(
    config: StudyConfig, data: StudyData, folder: Path, reporter: Reporter, workers: int | None
) -> tuple[SymmetryFunctions, dict[str, StageResult]]:
    """Run the stages in order, each found in `folder` where it was computed before."""
    runner = StageRunner(folder, reporter, config.seed, data.fingerprint)
    plan = config.electrons.plan
    if plan is not None:  # first: what is wrong with it should not show after hours
        runner.run(
            "electrons", ("data",), orbitals_signature(plan), 1, lambda stage: run_electrons(plan, data)
        )
    if data.samples is not None:
        return compute_sparse(config, data, runner, workers), runner.results
    seed, run = config.seed, runner.run
    section = config.features
    result = run(
        "features", ("data",), section.model_dump(), 1, lambda stage: run_features(config, data, workers)
    )
    functions, G = SymmetryFunctions.from_dict(result.numbers["functions"]), result.arrays["G"]
    G_others = [result.arrays[f"G{number}"] for number in range(2, 2 + len(data.others))]
    information = run(
        "information", ("features",), config.information.model_dump(), 2,
        lambda stage: run_information(
            config.information, seed, data.trajectory.symbols, data.trajectory.timestep, functions,
            information_series(data, G), stage, workers,
        ),
    )  # fmt: skip
    best = best_functions(information)
    n_sets = 2 * 2 * (1 + len(data.trajectory.elements))
    forecasts = run(
        "models", ("features", "information"), config.models.model_dump(), n_sets,
        lambda stage: run_models(config.models, seed, data, G, best, stage, workers, G_others),
    )  # fmt: skip
    lifetimes = run(
        "dynamics", ("models",),
        [config.dynamics.model_dump(), config.models.model_dump(), config.evaluation.n_rate_samples], n_sets // 2 + 1,
        lambda stage: run_lifetimes(
            config.dynamics, config.models, seed, data, forecasts, stage, workers, config.evaluation.n_rate_samples
        ),
    )  # fmt: skip
    if config.relaxation.enabled and relaxes(data):
        shared = config.dynamics.model_dump(
            include={"temperature", "tau_convention", "coupling_interpolation"}
        )
        run(
            "relaxation", ("data",), [config.relaxation.model_dump(), shared], 3 * len(config.relaxation.methods) + 1,
            lambda stage: run_relaxation(config.relaxation, config.dynamics, seed, data, stage, workers),
        )  # fmt: skip
    if config.evaluation.enabled:
        needed = [getattr(config, name).model_dump() for name in ("evaluation", "models", "dynamics")]
        run(
            "curves", ("features", "information"), needed, n_points(config, data.trajectory.timestep),
            lambda stage: run_curves(config, data, G, best, stage, workers),
        )  # fmt: skip
    if config.checks.enabled:
        run(
            "checks", ("dynamics",), config.checks.model_dump(), 6,
            lambda stage: run_checks(config.checks, config.dynamics, seed, data, lifetimes.numbers, stage, workers),
        )  # fmt: skip
    return functions, runner.results


def run_features(config: StudyConfig, data: StudyData, workers: int | None) -> StageResult:
    """Find the symmetry functions of the trajectory and evaluate them at every frame."""
    section = config.features
    functions = SymmetryFunctions.from_trajectory(
        data.trajectory, mode=section.mode, r_s=section.r_s, theta_s=section.theta_s, r_cut=section.r_cut,
        eta=section.eta, zeta=section.zeta, images=section.images, workers=workers,
    )  # fmt: skip
    arrays = {"G": functions.transform(data.trajectory, workers=workers)}
    for number, other in enumerate(data.others, start=2):  # the functions of the first trajectory serve all
        arrays[f"G{number}"] = functions.transform(other.trajectory, workers=workers)
    return StageResult({"functions": functions.to_dict()}, arrays)


def rank_study(
    study: StudyConfig | str | Path | dict[str, Any],
    *,
    workers: int | None = None,
    console: Console | None = None,
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
    with reporter.stage("features") as stage:
        features = with_notes(
            lambda _: (
                run_features(config, data, workers)
                if data.samples is None
                else run_sample_features(config.features, data, workers)
            ),
            stage,
        )
    functions = SymmetryFunctions.from_dict(features.numbers["functions"])
    series, timestep = _ranked(data, features)
    with reporter.stage("information", 2) as stage:
        information = run_information(
            config.information,
            config.seed,
            data.trajectory.symbols,
            timestep,
            functions,
            series,
            stage,
            workers,
        )
    for note in features.numbers["notes"]:
        reporter.note(note)
    stages = {"features": features, "information": information}
    return assemble(config, data, functions, stages, _provenance(config, data), reporter.seconds)


def compute_sparse(
    config: StudyConfig, data: StudyData, runner: StageRunner, workers: int | None
) -> SymmetryFunctions:
    """Run the stages of a study whose Hamiltonian is known on pairs of frames only."""
    seed, run = config.seed, runner.run
    features = run(
        "features", ("data",), config.features.model_dump(), 1,
        lambda stage: run_sample_features(config.features, data, workers),
    )  # fmt: skip
    functions = SymmetryFunctions.from_dict(features.numbers["functions"])
    series, timestep = _ranked(data, features)
    information = run(
        "information", ("features",), config.information.model_dump(), 2,
        lambda stage: run_information(
            config.information, seed, data.trajectory.symbols, timestep, functions, series, stage, workers
        ),
    )  # fmt: skip
    n_sets = 2 * (1 + len(data.trajectory.elements))
    settings = [config.models.model_dump(), config.samples.model_dump()]
    forecasts = run(
        "models", ("features", "information"), settings, 2 * n_sets + 3,
        lambda stage: run_sample_models(config, seed, data, features, best_functions(information), stage, workers),
    )  # fmt: skip
    run(
        "dynamics", ("models",), [config.dynamics.model_dump(), config.models.mode], n_sets,
        lambda stage: run_sample_lifetimes(config, seed, data, forecasts, stage, workers),
    )  # fmt: skip
    return functions


def _ranked(data: StudyData, features: StageResult) -> tuple[InformationSeries, float]:
    """Return what is ranked and the time between its values."""
    if data.samples is None:
        return information_series(data, features.arrays["G"]), data.trajectory.timestep
    return sample_series(data, features), data.samples.spacing


def _configuration(study: StudyConfig | str | Path | dict[str, Any]) -> StudyConfig:
    if isinstance(study, StudyConfig):
        return study
    return parse_config(study) if isinstance(study, dict) else read_config(study)


def _provenance(config: StudyConfig, data: StudyData) -> dict[str, Any]:
    inputs = [
        {"name": one.name, "sha256": one.fingerprint, "source": one.description}
        for one in (data, *data.others)
    ]
    return provenance(config.model_dump(mode="json", exclude_none=True), inputs, config.seed)


def _hamiltonians(data: StudyData, dynamics: StageResult) -> dict[str, VibronicHamiltonian]:
    first, *forecasts = dynamics.numbers["hamiltonians"]
    result = {first["name"]: data.hamiltonian}
    for record in forecasts:
        name = record["name"]
        result[name] = forecast_hamiltonian(
            data, dynamics.arrays[f"gap/{name}"], dynamics.arrays[f"nac/{name}"], name
        )
    return result


def _close(
    folder: Path, record: dict[str, Any], status: str, start: float, error: BaseException | None
) -> None:
    closed = {**record, "status": status, "seconds": round(time.perf_counter() - start, 2)}
    if error is not None:
        closed["error"] = str(error) or type(error).__name__
    try:
        write_record(folder, closed)
    except HopcastError:
        if error is None:
            raise
        # the disk that broke the run takes no record either: the first error is the one to show

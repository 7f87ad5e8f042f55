"""Stage `models`: each element set forecasts the gap and the coupling; every score stands beside its controls."""

from __future__ import annotations

from functools import partial

from pydantic import Field

from hopcast.evaluation import Evaluation, calibrate, evaluate_model
from hopcast.results.forecasts import CandidateRecord, ModelRecord
from hopcast.results.record import Record, Split
from hopcast.study.config import StudyConfig
from hopcast.study.dense_plan import DensePlan
from hopcast.study.inputs import StudyData
from hopcast.study.plan import Plan
from hopcast.study.scores import TOO_MANY, Subject, calibration_record, missing_record, model_record
from hopcast.study.sparse_plan import SparsePlan
from hopcast.study.stage import Context, Stage, StageResult
from hopcast.study.stages import features, information
from hopcast.study.targets import ModelSpec, Target, learner, model_specs, n_specs, smallest_training_set
from hopcast.study.whole import able_kinds


class ModelNumbers(Record):
    """What the stage found."""

    models: list[ModelRecord]
    candidates: list[CandidateRecord] | None = None
    names: list[str] = Field(description="Of the models that forecast a Hamiltonian.")
    memory: dict[str, float] = Field(description="Correlation time of each target, fs.")
    block: float | None = Field(None, description="Stretches of time that were held out, fs.")
    purge: float | None = Field(None, description="fs on both sides of them.")


def run_models(context: Context) -> StageResult[ModelNumbers]:
    """Fit, forecast and score every model.

    Where every frame is known the training frames lie a stride apart, and with several trajectories each is held out as well; of
    separate pairs every n-th is held out, and stretches of time.

    Returns
    -------
    StageResult
        Arrays ``gap/{name}`` on the grid of the energies and ``nac/{name}`` on mid-points (what is learnt of the coupling): the
        forecast with the ab initio values where they trained; ``{target}-std/{name}`` scaled posterior deviations;
        ``{target}-samples/{name}`` joint posterior draws; ``{target}-blocked/{name}`` by models that saw nothing of the stretch;
        ``train/{target}`` which times trained; of a complete Hamiltonian also ``{target}-twins/{name}`` and
        ``{target}-twin-shifts/{name}``, the model on features of other times, and ``{target}-shifted``.
    """
    config, data = context.config, context.data
    found, best = context.of(features.STAGE), context.of(information.STAGE).numbers.best
    plan: Plan = (DensePlan if data.samples is None else SparsePlan)(context, found)
    n_functions = found.arrays["G"].shape[2]
    specs = model_specs(config.models, data.sites.elements, n_functions, best)
    records: list[ModelRecord] = []
    for target in plan.targets:
        splits = [held.split for held in plan.held(target)]
        n_train = smallest_training_set(splits, len(target.times))
        for spec in specs:
            context.progress.advance(f"{spec.name}, {target.name}")
            records += _scored(context, plan, target, spec, n_train)
    chosen, candidates = plan.choose()
    records += chosen + plan.add_wholes(context)
    names, arrays = plan.forecasts()
    numbers = ModelNumbers(
        models=records,
        candidates=candidates,
        names=names,
        block=plan.block,
        purge=plan.purge,
        memory={target.name: target.memory for target in plan.targets},
    )
    return StageResult(numbers, arrays)


def _scored(context: Context, plan: Plan, target: Target, spec: ModelSpec, n_train: int) -> list[ModelRecord]:
    """Score a model on every split, and hand it to the plan for its forecast."""
    section, data = context.config.models, context.data
    X = spec.select(data.sites.symbols, target)
    model = learner(section, target.memory, plan.stride.fs, n_train, context.workers)
    subject = Subject(spec.name, tuple(spec.elements), spec.features, target.name, plan.stride, int(X.shape[1]))
    found: dict[Split, Evaluation] = {}
    for held in plan.held(target):
        if held.split is not None:
            found[held.name] = evaluate_model(
                model,
                X,
                target.values,
                held.split,
                plan.targets.spacing,
                times=plan.times(target),
                min_shift=target.memory,
                n_shifts=section.n_shifts,
                random_state=context.config.seed,
                workers=context.workers,
            )
    scale = plan.forecast(target, spec, X, model, found)
    records = []
    for held in plan.held(target):
        if held.split is None:
            records.append(missing_record(subject, held.name, held.note))
            continue
        record = partial(model_record, subject, held.name, found[held.name], model, held.note)
        if held.name == "interleaved":
            records.append(record(variance_scale=scale, reasons={"variance_scale": TOO_MANY}))
        elif plan.affords(X, found[held.name]):
            calibration = calibrate(
                model, X, target.values, held.split, plan.targets.spacing, correlation_time=target.memory
            )
            records.append(record(calibration=calibration_record(calibration)))
        else:
            records.append(record())
    return records + plan.elsewhere(target, spec, model, subject)


def _total(config: StudyConfig, data: StudyData) -> int:
    n = 2 * n_specs(config.models, data)
    if data.samples is not None:
        n += 1 + 2 * config.samples.candidates
    return n + len(able_kinds(config, data))


STAGE = Stage(
    "models",
    30,
    ModelNumbers,
    ("models", "samples"),
    run_models,
    needs=lambda data: (features.STAGE, information.STAGE),
    total=_total,
)

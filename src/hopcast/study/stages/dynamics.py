"""Stage `dynamics`: surface hopping on what was computed, where it can be propagated, and on every forecast of it."""

from __future__ import annotations

from hopcast.study.config import StudyConfig
from hopcast.study.dense_rates import run_dense_rates
from hopcast.study.inputs import StudyData
from hopcast.study.rates import DynamicsNumbers
from hopcast.study.sampled_rates import run_sampled_rates
from hopcast.study.stage import Context, Stage, StageResult
from hopcast.study.stages import models
from hopcast.study.targets import n_specs


def run_rates(context: Context) -> StageResult[DynamicsNumbers]:
    """Run the exact solver on every Hamiltonian.

    Returns
    -------
    StageResult
        Arrays ``population/{name}`` [n_times], ``times`` fs, ``gap/{name}``, ``nac/{name}``, and the dephasing function of a complete
        Hamiltonian.
    """
    forecasts = context.of(models.STAGE)
    work = run_dense_rates if context.data.samples is None else run_sampled_rates
    return work(context, forecasts.numbers, forecasts.arrays)


def _total(config: StudyConfig, data: StudyData) -> int:
    return n_specs(config.models, data) + 1


STAGE = Stage(
    "dynamics",
    40,
    DynamicsNumbers,
    ("dynamics", "models.mode", "evaluation.n_rate_samples"),
    run_rates,
    needs=lambda data: (models.STAGE,),
    total=_total,
)

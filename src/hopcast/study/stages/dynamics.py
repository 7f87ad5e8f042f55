"""Stage `dynamics`: surface hopping on what was computed, where it can be propagated, and on every forecast of it."""

from __future__ import annotations

from pydantic import Field

from hopcast.results.dynamics import DephasingRecord, HamiltonianRecord, RateControl, SampledRate, SeamRecord
from hopcast.results.record import Record
from hopcast.study.config import StudyConfig
from hopcast.study.dense_rates import run_dense_rates
from hopcast.study.inputs import StudyData
from hopcast.study.sampled_rates import run_sampled_rates
from hopcast.study.stage import Context, Stage, StageResult
from hopcast.study.stages import models
from hopcast.study.targets import n_specs


class DynamicsNumbers(Record):
    """What the stage found."""

    hamiltonians: list[HamiltonianRecord]
    dephasing: DephasingRecord
    seam: SeamRecord
    rate_controls: list[RateControl] | None = None
    rates: list[SampledRate] | None = None
    static: bool | None = Field(
        None, description="Of separate pairs: whether a gap that keeps its value is the right limit."
    )


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
    found, arrays = work(context, forecasts.numbers, forecasts.arrays)
    return StageResult(DynamicsNumbers(**found), arrays)


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

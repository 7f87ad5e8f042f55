"""Records of scores: from an evaluation to what `results.json` holds of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from sklearn.base import clone

from hopcast.evaluation import Calibration, Evaluation, NestedSelection, Score
from hopcast.results.forecasts import (
    Baselines,
    CalibrationRecord,
    CandidateRecord,
    ModelRecord,
    ScoreRecord,
    ShiftedRecord,
)
from hopcast.results.record import Split, Stride, Target

TOO_MANY: Final = "too many training frames for posterior variances"
NO_POSTERIOR: Final = "this learner has no posterior"


@dataclass(frozen=True)
class Subject:
    """What a score is about.

    Attributes
    ----------
    name
        Of the model.
    elements
        Whose environments it sees.
    features
        Functions of each atom; None where the whole Hamiltonian is learnt.
    target
        "gap" or "nac".
    stride
        Between training values.
    n_features
        Columns it sees; None of a forecaster that reads the geometry itself.
    """

    name: str
    elements: tuple[str, ...]
    features: int | None
    target: Target
    stride: Stride
    n_features: int | None = None


def score_record(score: Score) -> ScoreRecord:
    """Return the record of a score."""
    return ScoreRecord(r2=score.r2, mae=score.mae, rmse=score.rmse)


def quantiles(values: Any) -> tuple[float, float]:
    """Return the 2.5 and 97.5 % quantiles; NaN of nothing."""
    low, high = np.quantile(values, [0.025, 0.975]) if len(values) else (math.nan, math.nan)
    return float(low), float(high)


def mean_training_frames(found: Evaluation) -> int:
    """Return the mean number of training frames of the folds."""
    return round(float(np.mean([len(train) for train in found.training_frames])))


def model_record(
    subject: Subject,
    split: Split,
    found: Evaluation,
    model: Any,
    note: str = "",
    score: Score | None = None,
    **more: Any,
) -> ModelRecord:
    """Return the record of a model on a split, with its own score or another; `more` are further fields."""
    low, high = quantiles(found.shifted)
    short = (
        f"only {len(found.shifted)} shifts fit into the trajectory"
        if found.n_shifts_wanted
        else "not shifted: the control stands beside the interleaved score"
    )
    mae, rmse = (_median([getattr(one, key) for one in found.shifted_scores]) for key in ("mae", "rmse"))
    shifted = ShiftedRecord(
        r2=found.shifted_median,
        mae=mae,
        rmse=rmse,
        n=len(found.shifted),
        median=found.shifted_median,
        low=low,
        high=high,
        z=found.z,
        rank=found.rank - 1 if len(found.shifted) else None,
        reasons=dict.fromkeys(("r2", "mae", "rmse", "median", "low", "high", "z", "rank"), short),
    )
    own = score or found.model
    return ModelRecord(
        split=split,
        r2=own.r2,
        mae=own.mae,
        rmse=own.rmse,
        baselines=Baselines(
            mean=score_record(found.mean),
            linear=score_record(found.linear),
            cubic=score_record(found.cubic),
            shifted=shifted,
        ),
        n_train=mean_training_frames(found),
        n_test=len(found.test_frames),
        estimator=repr(_without_workers(model)),
        note="; ".join(part for part in (note, *found.notes) if part),
        **vars(subject),
        **more,
    )


def missing_record(subject: Subject, split: Split, reason: str) -> ModelRecord:
    """Return the record of a model that could not be scored on a split."""
    none = ScoreRecord.missing(reason)
    return ModelRecord(
        split=split,
        r2=None,
        mae=None,
        rmse=None,
        note=reason,
        baselines=Baselines(mean=none, linear=none, cubic=none, shifted=ShiftedRecord.missing(reason, n=0)),
        reasons=dict.fromkeys(("r2", "mae", "rmse"), reason),
        **vars(subject),
    )


def calibration_record(found: Calibration) -> CalibrationRecord:
    """Return the record of a calibration; its verdict is made there."""
    return CalibrationRecord(
        levels=found.levels.tolist(),
        coverage=found.coverage.tolist(),
        recalibrated=found.recalibrated.tolist(),
        factors=found.factors.tolist(),
        variance_scale=found.variance_scale,
        n_test=found.n_test,
        n_effective=found.n_effective,
        low=found.low,
        high=found.high,
        raw_low=found.raw_low,
        raw_high=found.raw_high,
    )


def candidate_records(target: Target, found: NestedSelection) -> list[CandidateRecord]:
    """Return the table of a choice: every option on the same held-out stretches, the choice, what needs no model."""
    rows = [(row.name, row.score, row.n_chosen) for row in found.rows]
    rows.append(("chosen without the held-out stretch", found.selected, found.n_blocks))
    rows += [("mean", found.mean, 0), ("linear in time", found.linear, 0), ("cubic spline in time", found.cubic, 0)]
    return [
        CandidateRecord(target=target, name=name, r2=one.r2, mae=one.mae, rmse=one.rmse, n_chosen=n)
        for name, one, n in rows
    ]


def stride_record(timestep: float, frames: int, requested: float | None = None) -> Stride:
    """Return a distance in time of whole frames."""
    return Stride(fs=frames * timestep, frames=frames, requested_fs=requested)


def _median(values: list[float]) -> float:
    return float(np.median(values)) if values else math.nan


def _without_workers(model: Any) -> Any:
    """Return the learner as it would be anywhere: threads change no result."""
    if not hasattr(model, "get_params"):
        return model
    plain = clone(model)
    return plain.set_params(workers=None) if "workers" in plain.get_params(deep=False) else plain

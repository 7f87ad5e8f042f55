"""Records of information, of models and their scores, and of learning curves."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from hopcast.results.record import (
    NULL,
    R2,
    Count,
    Fraction,
    Judged,
    NotNegative,
    Number,
    Positive,
    Rank,
    Record,
    Several,
    Share,
    Size,
    Split,
    Stride,
    Target,
    Text,
)


class InformationRecord(Judged):
    """Mutual information of one element's features with a target: sum over the features of its atoms / number of its atoms, nat."""

    element: Text = Field(description="Chemical symbol.")
    target: Target
    raw: Number = Field(description="KSG over all frames (carries the artefact of dense sampling; never read alone).")
    null_mean: Number = Field(description="Mean of the same estimate as `raw` on circularly shifted features.")
    corrected: Number = Field(description="KSG on decimated series, averaged over offsets; may be negative.")
    corrected_null_mean: Number = Field(None, description="Mean of `corrected` on shifted features.")
    corrected_low: Number = Field(None, description="Lower end of its 95 % interval (block bootstrap).")
    corrected_high: Number = Field(None, description="Upper end.")
    n_blocks: NotNegative | None = Field(None, description="Blocks of that bootstrap.")
    windowed: Number = Field(description="KSG with a Theiler window (biased low on smooth series).")
    windowed_null_mean: Number = Field(None, description="Mean of `windowed` on shifted features.")
    z: Number = Field(None, description="Corrected value in standard deviations of its null.")
    p: Share = Field(description="Share of shifts that reach the corrected value.")
    p_adjusted: Share = Field(None, description="Benjamini-Hochberg over elements and targets.")
    smallest_p: Share = Field(None, description="Smallest p that the possible number of shifts can reach.")
    n_shifts: Count | None = Field(None, description="Number of shifts.")
    n_features: Several | None = Field(None, description="Features an atom.")
    theiler_window: Stride | None = None
    decimation: Stride | None = None
    note: str | None = Field(None, description="What a reader has to know; may be empty.")


class BestByCorrected(Record):
    """The function that corrected information would choose."""

    r_s: float = Field(description="R_s, Å.")
    theta_s: float = Field(description="theta_s, radians.")
    corrected: float = Field(description="Corrected mutual information, nat.")


class BestFeatureRecord(Record):
    """The symmetry function of an element with the largest mutual information, averaged over its atoms."""

    element: Text = Field(description="Chemical symbol.")
    target: Target
    r_s: Size = Field(description="R_s, Å.")
    theta_s: Size = Field(description="theta_s, radians.")
    mi: Number = Field(description="Raw mutual information, mean over the element's atoms, nat.")
    null_mean: Number = Field(None, description="Raw mutual information of shifted features, nat.")
    corrected: Number = Field(None, description="Corrected mutual information, nat.")
    r_pair: Text | None = Field(None, description="Element pair of R_s.")
    theta_pair: Text | None = Field(None, description="Ordered element pair of theta_s.")
    best_by_corrected: BestByCorrected | None = None


class SelectedFeature(Record):
    """A feature chosen after others so that it is no copy of them."""

    target: Target
    order: Several = Field(description="1 is the first choice.")
    method: Literal["mrmr", "cmi"] = Field("mrmr", description="How it was chosen.")
    element: Text = Field(description="Chemical symbol.")
    atom: Count = Field(description="Number of the atom from 0.")
    r_s: float = Field(description="Å")
    theta_s: float = Field(description="radians")
    r_pair: str = ""
    theta_pair: str = ""
    relevance: float = Field(description="Corrected information with the target, nat.")
    redundancy: float = Field(description="Mean information with those chosen before, nat.")
    score: float | None = Field(None, description="What was largest.")
    conditional: float = Field(description="Information given those chosen before, nat.")
    p_first: Number = Field(description="Share of shifted targets whose best feature is as good.")


class ScoreRecord(Record):
    """Errors of a forecast or a baseline."""

    r2: R2 = Field(description="Coefficient of determination over the test frames.")
    mae: Size = Field(description="Mean absolute error, eV.")
    rmse: Size = Field(description="Root mean square error, eV.")


class ShiftedRecord(ScoreRecord):
    """The same model fed features of another time (circular shifts): median and distribution of R2."""

    n: Count = Field(description="Number of shifts.")
    median: R2 = Field(description="Median R2.")
    low: R2 = Field(description="2.5 % quantile of R2.")
    high: R2 = Field(description="97.5 % quantile of R2.")
    z: Number = Field(description="(R2 of the model - mean of the shifts) / their standard deviation.")
    rank: Rank = Field(description="Number of shifts with R2 at least that of the model.")


class Baselines(Record):
    """The same scores without a model, from the same training frames."""

    mean: ScoreRecord
    linear: ScoreRecord
    cubic: ScoreRecord
    shifted: ShiftedRecord


class CalibrationRecord(Judged):
    """Coverage of the posterior's intervals on held-out blocks."""

    levels: list[NotNegative] = Field(description="Nominal levels.")
    coverage: list[NotNegative] = Field(description="Share of held-out values inside, as they are.")
    recalibrated: list[NotNegative] = Field(
        description="The same after conformal recalibration on blocks disjoint from the test."
    )
    factors: list[NotNegative] | None = Field(None, description="Median conformal factor on the interval's half-width.")
    variance_scale: NotNegative | None = Field(
        None, description="Mean squared error over variance on the calibration blocks."
    )
    n_test: Count | None = Field(None, description="Held-out values.")
    n_effective: Positive = Field(description="Of them independent: tested time over correlation time.")
    low: Fraction = Field(description="95 % interval of the recalibrated coverage at 90 %.")
    high: Fraction = Field(description="Its upper end.")
    raw_low: Fraction | None = Field(None, description="The same before recalibration.")
    raw_high: Fraction | None = Field(None, description="Its upper end.")


class ElementMotion(Record):
    """An element's part in how a target moves."""

    element: Text = Field(description="Chemical symbol.")
    share: Fraction = Field(description="Of the mean square rate of change of the gap, or of the mean square coupling.")


class ModelRecord(ScoreRecord, Judged):
    """One model, one target, one split."""

    name: Text = Field(description="E.g. `all-18`, `I-1`; the Hamiltonian forecast by it has the same name.")
    elements: list[Text] = Field(description="Elements whose atoms' features enter.")
    features: Annotated[Several | None, NULL] = Field(
        description="Features an atom; none where the whole Hamiltonian is learnt (tight binding)."
    )
    target: Target
    split: Split = Field(description="How test frames are held out.")
    baselines: Baselines
    n_features: Several | None = Field(None, description="Length of the feature vector.")
    n_train: Count | None = Field(None, description="Training frames (interleaved) or their mean number (blocked).")
    n_test: Count | None = Field(None, description="Test frames.")
    stride: Stride | None = None
    estimator: Text | None = Field(None, description="Learner and its parameters.")
    note: str | None = Field(None, description="What a reader has to know; may be empty.")
    variance_scale: Size = Field(
        None, description="Leave-one-out error over posterior variance; the variance is multiplied by it."
    )
    calibration: CalibrationRecord | None = None
    moved_by: list[ElementMotion] = Field(
        default_factory=list,
        description="Whose atoms move the target, by the derivatives of a whole Hamiltonian and thermal velocities.",
    )

    @property
    def is_hamiltonian(self) -> bool:
        """Whether the whole Hamiltonian is learnt, and not gap and coupling from features."""
        return self.features is None


class CandidateRecord(Record):
    """A representation with a learner, the choice among them, or what needs no model, on held-out stretches of time."""

    target: Target
    name: Text = Field(description="Representation and learner.")
    r2: float = Field(description="On held-out stretches.")
    mae: NotNegative = Field(description="eV")
    rmse: NotNegative = Field(description="eV")
    n_chosen: Count = Field(description="Stretches for which it was chosen without looking at them.")


class CurvePoint(Record):
    """One point of a learning curve: R2 of gap or coupling, or the second-order rate over the ab initio one."""

    axis: Literal["stride", "frames"] = Field(description="What varies.")
    split: Split
    model: Text = Field(description="Name of the model.")
    target: Literal["gap", "nac", "rate"] = Field(description="What is scored.")
    stride: Stride
    n_frames: Count = Field(description="Length of the trajectory used.")
    n_train: Count | None = Field(None, description="Training frames.")
    value: Number = Field(description="R2, or ratio of rates.")
    mean: Number = Field(None, description="R2 of the mean.")
    linear: Number = Field(None, description="Interpolation in time.")
    cubic: Number = Field(None, description="Cubic spline in time.")
    plain: Number = Field(None, description="Plain average of the computed frames (rate).")
    shifted: Number = Field(None, description="Median on features of another time.")
    shifted_low: Number = Field(None, description="2.5 % quantile.")
    shifted_high: Number = Field(None, description="97.5 % quantile.")
    n_shifts: Count | None = Field(None, description="Shifts.")
    note: str | None = Field(None, description="What a reader has to know; may be empty.")


class LeftOutPoint(Record):
    """A point of a learning curve that was not scored."""

    axis: Text = Field(description="What varies.")
    split: Text = Field(description="Split.")
    model: Text = Field(description="Model.")
    target: Text = Field(description="Target.")
    stride: Stride | None = None
    n_frames: Count | None = Field(None, description="Length of the trajectory used.")
    reason: Text = Field(description="Why.")


class LearningCurves(Record):
    """Scores against the training stride and the number of frames."""

    points: list[CurvePoint] = Field(default_factory=list, description="Points that were scored.")
    left_out: list[LeftOutPoint] = Field(default_factory=list, description="Points that were not.")

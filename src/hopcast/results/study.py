"""`StudyResults`: every number of a study's report."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import Field, JsonValue

from hopcast.evaluation.verdicts import Label, Verdict
from hopcast.results.dynamics import (
    BandNorm,
    CheckRecord,
    DephasingRecord,
    HamiltonianRecord,
    RateControl,
    RelaxationRecord,
    SampledRate,
    SeamRecord,
)
from hopcast.results.forecasts import (
    BestFeatureRecord,
    CandidateRecord,
    InformationRecord,
    LearningCurves,
    ModelRecord,
    SelectedFeature,
)
from hopcast.results.record import (
    Correlation,
    Count,
    Fraction,
    NotNegative,
    Number,
    Positive,
    Record,
    Several,
    Size,
    Stride,
    Text,
)

SCHEMA_VERSION: Final = "1.0"
"""Written into every `results.json`; the first number changes when a key changes its meaning."""


class InputRecord(Record):
    """Data that went in."""

    name: Text = Field(description="Name.")
    sha256: Text | None = Field(None, description="Hash of its contents.")
    source: str | None = Field(None, description="Where it comes from.")


class Provenance(Record):
    """How the numbers were made."""

    version: Text = Field(description="Version of hopcast.")
    created: Text = Field(description="Time of writing, ISO 8601.")
    command: Text | None = Field(None, description="Command or function that ran.")
    seed: int | None = Field(None, description="Root of all random numbers.")
    config: dict[str, JsonValue] | None = Field(None, description="The resolved configuration.")
    inputs: list[InputRecord] = Field(default_factory=list, description="Input data.")
    packages: dict[str, str] | None = Field(None, description="Versions of the packages used.")
    machine: dict[str, str | int | None] | None = Field(None, description="Processor, cores, operating system.")
    citations: list[Text] | None = Field(
        None, description="What a user of these numbers should cite, beside the built-in list."
    )


class DataRecord(Record):
    """What was studied."""

    name: Text = Field(description="Name of the data.")
    description: str | None = None
    formula: Text = Field(description="Formula of the cell.")
    elements: list[Text] = Field(description="Elements, in the order of the trajectory.")
    n_atoms: Several = Field(description="Atoms.")
    n_frames: Several = Field(description="Frames.")
    timestep: Positive = Field(description="fs")
    duration: NotNegative = Field(description="fs")
    states: list[Text] | None = Field(None, description="The two states of the study.")
    gap_mean: Number = Field(None, description="eV")
    gap_std: Size = Field(None, description="eV")
    nac_rms: Size = Field(None, description="eV")
    correlation_time: Size = Field(None, description="Slowest correlation time of target and features, fs.")
    temperature: Size = Field(None, description="Mean temperature of the nuclei, K.")
    train_stride: Stride | None = None


class SamplesRecord(Record):
    """The computed pairs of a sparse Hamiltonian; absent where every frame is known."""

    n_pairs: Several = Field(description="Pairs with both energies and a coupling.")
    spacing: Positive = Field(description="Median time between them, fs.")
    share: Fraction = Field(description="Of all mid-points.")
    block: Positive | None = Field(None, description="Length of the stretches of time held out, fs.")
    purge: NotNegative | None = Field(None, description="Time on both sides of a stretch that does not train, fs.")


class Crossing(Record):
    """Two states that exchange their character."""

    step: Count = Field(description="Step.")
    states: list[Text] = Field(description="The pair.")
    overlap: Size = Field(None, description="Smallest |S_ii|.")


class CorrectionsRecord(Record):
    """What was corrected in the couplings."""

    phase_flips: Count | None = Field(None, description="Signs flipped (raw overlaps with a negative diagonal).")
    n_overlaps: Count | None = Field(None, description="Diagonal overlaps looked at.")
    swaps: list[Crossing] | None = Field(None, description="Trivial crossings where labels were exchanged.")
    crossings: list[Crossing] = Field(
        default_factory=list, description="Crossings that were found and left as they are (adiabatic order)."
    )
    leaking_bands: list[BandNorm] = Field(default_factory=list, description="Bands that leave the window.")
    doubtful_steps: Count | None = Field(None, description="Steps masked as doubtful.")
    nac_autocorrelation_raw: Correlation = Field(None, description="Lag-1 autocorrelation of the coupling before.")
    nac_autocorrelation: Correlation = Field(None, description="Lag-1 autocorrelation of the coupling after.")
    notes: list[Text] = Field(default_factory=list, description="Further remarks.")


class ElementShare(Record):
    """Share of an element in a band-edge state."""

    element: Text = Field(description="Chemical symbol.")
    share: float = Field(description="Mean share of its atoms together (Löwdin).")


class EdgeState(Record):
    """A band-edge state, averaged over the frames."""

    state: Literal["VBM", "CBM"] = Field(description="Which.")
    participation: Annotated[float, Field(gt=0, le=1.000001)] = Field(
        description="Mean inverse participation ratio over atoms, sum of the squared shares: 1 on one atom."
    )
    participation_std: NotNegative = Field(description="Standard deviation over frames.")
    elements: list[ElementShare] = Field(description="Share of each element.")
    atoms: list[float] = Field(description="Mean share of each atom, in the order of the trajectory (Löwdin).")


class ElectronsRecord(Record):
    """Electrons of the frames of a plan whose orbitals were computed."""

    engine: Text = Field(description="Program and method.")
    n_frames: Several = Field(description="Frames with orbitals.")
    gap_mean: float = Field(description="eV")
    gap_std: NotNegative = Field(description="eV")
    gap_min: float = Field(description="eV")
    gap_max: float = Field(description="eV")
    states: list[EdgeState] = Field(description="VBM and CBM, averaged over the frames.")


class Timing(Record):
    """Wall time of a stage."""

    stage: Text = Field(description="Name.")
    seconds: NotNegative


class SummaryLine(Record):
    """A verdict on a part of the study."""

    subject: Text = Field(description="What it is about.")
    label: Label
    sentence: Text = Field(description="In plain words.")


class Claim(Record):
    """A published claim, tested on this study's data."""

    key: Text = Field(description="Short name.")
    claim: Text = Field(description="The claim, of the published study on its own material.")
    question: str = Field("", description="The same as a question, for any other material.")
    protocol: Text = Field(description="What the published protocol shows here.")
    control: Text = Field(description="What the control shows.")
    verdict: Verdict


class StudyResults(Record):
    """Every number of a study's report.

    Numbers are finite or null; a key that is null has a sibling `<key>_reason` with a sentence, at every depth and for keys
    not named here too. Units eV, Å, fs unless a unit is given. More keys are allowed everywhere.
    """

    schema_version: Annotated[str, Field(pattern=r"^1\.")] = Field(
        description="Version of this schema; the first number changes when a key changes its meaning."
    )
    provenance: Provenance
    data: DataRecord
    features: dict[str, JsonValue] | None = Field(None, description="Parameters of the symmetry functions.")
    information: list[InformationRecord] = Field(description="One entry for each element and target.")
    best_features: list[BestFeatureRecord] = Field(description="One entry for each element and target.")
    selection: list[SelectedFeature] = Field(
        default_factory=list, description="Features chosen one after the other so that none is a copy."
    )
    models: list[ModelRecord] = Field(description="One entry for each model, target and split.")
    candidates: list[CandidateRecord] | None = Field(
        None,
        description="Representations and learners on the same held-out stretches of time, the choice among them, and what needs no model.",
    )
    learning_curves: LearningCurves | None = None
    hamiltonians: list[HamiltonianRecord] = Field(
        description="What was computed first, then one entry for each forecast."
    )
    methods: list[HamiltonianRecord] | None = Field(
        None,
        description="Other methods, rules, waitings or conventions on the first Hamiltonian that can be propagated; `ratio` is to it.",
    )
    samples: SamplesRecord | None = None
    rates: list[SampledRate] | None = Field(
        None, description="Sparse Hamiltonians: the mean rate over the trajectory, without and with forecasts."
    )
    rate_controls: list[RateControl] | None = Field(
        None, description="Hamiltonians made from the same computed frames without a model of the geometry."
    )
    relaxation: RelaxationRecord | None = None
    dephasing: DephasingRecord | None = None
    seam: SeamRecord | None = None
    corrections: CorrectionsRecord | None = None
    electrons: ElectronsRecord | None = None
    checks: list[CheckRecord] = Field(default_factory=list, description="Exact solver against Monte Carlo.")
    notes: list[Text] = Field(default_factory=list, description="Remarks of the run (quality warnings).")
    timings: list[Timing] = Field(default_factory=list, description="Wall time of the stages.")
    verdicts: list[SummaryLine] = Field(default_factory=list, description="Summary, computed from the verdicts above.")
    claims: list[Claim] = Field(default_factory=list, description="Published claims, computed from the numbers above.")

    @property
    def elements(self) -> tuple[str, ...]:
        """Elements of the material."""
        return tuple(self.data.elements)

    @property
    def model_names(self) -> tuple[str, ...]:
        """Names of the models, each once, in their order."""
        return tuple(dict.fromkeys(model.name for model in self.models))

    def model(self, name: str, target: str, split: str) -> ModelRecord | None:
        """Return the record of a model on a target and split, or None."""
        wanted = (name, target, split)
        return next((one for one in self.models if (one.name, one.target, one.split) == wanted), None)

    def to_dict(self) -> dict[str, Any]:
        """Return what `results.json` holds, as plain JSON types."""
        return self.model_dump(mode="json", by_alias=True)

"""Records of dynamics: rates on every Hamiltonian, their controls and checks, carriers relaxing through the bands."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from hopcast.results.record import (
    Count,
    EstimateRecord,
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
    Text,
)


class CalibratedRates(Record):
    """The rate with the posterior variance of the coupling added (variance), and of whole series drawn from the posterior (samples)."""

    ratio_variance: EstimateRecord
    lifetime_variance: EstimateRecord | None = None
    ratio_samples: EstimateRecord
    lifetime_samples: EstimateRecord | None = None
    n_samples: Count | None = Field(None, description="Series drawn.")


class ShiftedRates(Record):
    """Second-order rates of the model on features of other times, over the ab initio one."""

    second_order_ratio: NotNegative = Field(description="Of the model itself.")
    n: Count = Field(description="Shifts.")
    median: Number = Field(None, description="Median.")
    low: Number = Field(None, description="2.5 % quantile.")
    high: Number = Field(None, description="97.5 % quantile.")
    z: Number = Field(None, description="Distance of the rate from 1 in standard deviations among the shifted ones.")
    rank: Rank = Field(None, description="Shifts at least as near to 1.")


class WeightedEstimate(EstimateRecord):
    """A prediction-powered number."""

    weight: float | None = Field(None, description="Of the forecast.")


class HamiltonianRecord(Judged):
    """Dynamics on one Hamiltonian."""

    name: Text = Field(description="`ab initio`, `computed pairs`, or the name of the model that forecast it.")
    gradient: EstimateRecord
    intercept: EstimateRecord
    lifetime: EstimateRecord
    rate: EstimateRecord | None = None
    ratio: EstimateRecord
    method: Text = Field(description="Surface-hopping method.")
    rule: Text = Field(description="DISH rule, or none.")
    waiting: Text = Field(description="DISH waiting: deterministic, exponential or none.")
    tau: Size = Field(description="Pure-dephasing time used, fs.")
    tau_convention: Text = Field(description="Convention of tau: gaussian, pyxaid, libra or given.")
    solver: Text | None = Field(None, description="`exact`, `monte carlo` or `none`.")
    temperature: Size = Field(None, description="K; null where no detailed balance was asked for.")
    own_tau: Size = Field(None, description="Dephasing time of this Hamiltonian's own gap, fs.")
    ratio_own_tau: EstimateRecord | None = None
    prediction_powered_ratio: WeightedEstimate | None = None
    window: Size = Field(None, description="Time window of the line, ns.")
    final_population: Share = Field(None, description="Ground-state population at the end of the window.")
    n_blocks: Count | None = Field(None, description="Blocks of the bootstrap over the finite trajectory.")
    n_trajectories: Several | None = Field(None, description="In all, where trajectories were drawn.")
    coupling_interpolation: Text | None = Field(None, description="linear or constant.")
    substep: Size = Field(None, description="Electronic sub-step, fs.")
    substeps: Several | None = Field(None, description="Of a nuclear step.")
    dominant_part: Text | None = Field(None, description="Largest part of the interval.")
    note: str | None = Field(None, description="What a reader has to know; may be empty.")
    calibrated: CalibratedRates | None = None
    shifted: ShiftedRates | None = None


class RateControl(Record):
    """The ratio to ab initio of a Hamiltonian made from the same computed frames without a model of the geometry."""

    name: Text = Field(description="How it was made.")
    ratio: EstimateRecord


class SampledRate(Record):
    """A mean recombination rate from the computed pairs of a sparse Hamiltonian."""

    name: Text = Field(description="The model, or `computed pairs`.")
    kind: Text = Field(
        description="How the rate was formed: plain average, forecast, forecast with its variance, prediction-powered, exact along the forecast."
    )
    rate: EstimateRecord
    lifetime: EstimateRecord
    relative_width: Size = Field(description="Width of the rate's interval over that of the plain average.")
    ratio: Number = Field(description="Rate over the plain average.")
    weight: float | None = Field(None, description="Weight of the forecast in a prediction-powered rate.")


class CheckRecord(Judged):
    """Exact solver against Monte Carlo on one setting."""

    name: Text = Field(description="Setting in words.")
    quantity: Text | None = Field(None, description="What is compared.")
    exact: Number = Field(description="Exact value.")
    monte_carlo: Number = Field(description="Pooled Monte Carlo value.")
    standard_error: Size = Field(description="Standard error of `monte_carlo`.")
    unit: Text = Field(description="Unit of the three.")
    temperature: Size = Field(None, description="K; null without detailed balance.")
    substep: Size = Field(None, description="Sub-step, fs.")
    n_seeds: Several = Field(description="Independent runs.")
    n_frames: Several | None = Field(None, description="Frames of the loop.")
    n_events: Count | None = Field(None, description="Recombination events of the smallest run.")
    coupling_scale: Positive | None = Field(
        None, description="Factor on the couplings, where the true rate is too small."
    )
    within_two: Count = Field(description="Runs within two standard errors.")
    pooled_z: Number = Field(description="Pooled deviation in standard errors.")
    z: list[float] | None = Field(None, description="Deviation of each run in its standard errors.")


class DephasingRecord(Record):
    """Pure dephasing of the ab initio gap."""

    tau: Size = Field(description="fs")
    convention: Text = Field(description="gaussian, pyxaid, libra or given.")
    by_convention: dict[str, float] = Field(default_factory=dict, description="tau in each convention, fs.")
    excess: NotNegative | None = Field(
        None,
        description="By how much the times are likely too long because the trajectory is short, relatively; null where they were given or are those of sampled gaps.",
    )


class SeamRecord(Record):
    """The jump where the loop returns to frame 0."""

    gap_jump: Size = Field(None, description="|E_gap(last) - E_gap(0)|, eV.")
    usual_step: Size = Field(None, description="Root mean square change of the gap in one step, eV.")
    rate_coherent: Size = Field(None, description="Rate with coherences kept across the seam, 1/ns.")
    rate_reset: Size = Field(None, description="Rate with coherences zeroed at the seam, 1/ns.")


class TransitionRecord(Record):
    """A pair of bands that carries the flow."""

    from_: Text = Field(alias="from", description="Band.")
    to: Text = Field(description="Band.")
    net_hops: float = Field(description="Hops there less hops back, a trajectory.")


class RelaxationRun(Record):
    """One carrier by one method."""

    name: Text = Field(description="Carrier and way.")
    carrier: Literal["electron", "hole"] = Field(description="Which.")
    states: list[Text] = Field(description="Bands, the edge where the carrier ends first.")
    initial_state: Text = Field(description="Band it starts in.")
    method: Text = Field(description="Surface-hopping method.")
    rule: Text = Field(description="DISH rule, or none.")
    waiting: Text = Field(description="DISH waiting, or none.")
    lifetime: EstimateRecord
    rate: EstimateRecord
    decayed: Fraction = Field(description="Share that is at the edge at the end.")
    final_populations: list[Fraction] | None = Field(None, description="Of `states`, at the end.")
    decay_model: Text = Field(
        description="Decay of the populations above the edge chosen by the likelihood of the decay times: exponential, stretched, biexponential, or none."
    )
    decay_lifetime: Size = Field(description="Integral of that decay, ns.")
    decay_parameters: list[float] | None = Field(
        None, description="tau | tau, beta | tau_1, tau_2, share of the first; times in fs."
    )
    decay_note: str = Field("", description="What limits the choice; may be empty.")
    longest_stay: Text = Field(description="Band above the edge with the largest population over time.")
    transitions: list[TransitionRecord] = Field(description="Pairs that carry the flow, the largest first.")
    tau_low: NotNegative = Field(description="Shortest dephasing time of a pair, fs.")
    tau_high: NotNegative = Field(description="Longest, fs.")
    tau_convention: Text = Field(description="Convention of the dephasing times.")
    temperature: Size = Field(None, description="K; null where no detailed balance was asked for.")
    duration: NotNegative = Field(description="fs.")
    n_frames: int = Field(ge=2, description="Frames of the loop.")
    n_trajectories: Several = Field(description="In all.")
    n_starts: Several = Field(description="Initial times.")
    substeps: Several | None = Field(None, description="Of a nuclear step.")
    random_state: Count | None = Field(None, description="Seed.")


class CarrierCooling(Record):
    """A carrier on its way to the edge, together with the other or alone."""

    carrier: Literal["electron", "hole"] = Field(description="Which.")
    way: Literal["together", "alone"] = Field(description="Which run.")
    bands: list[Text] = Field(description="The edge first.")
    initial_state: Text = Field(description="Band it starts in.")
    cooling_time: Size = Field(description="When its mean energy above the edge has fallen to 1/e, fs.")
    cooling_time_low: Size = Field(description="Lower end of the 95 % interval that the sampling leaves it, fs.")
    cooling_time_high: Size = Field(description="Upper end, fs.")
    initial_energy: NotNegative = Field(description="Mean energy above the edge at the start, eV.")
    final_energy: NotNegative = Field(description="At the end, eV.")
    at_the_edge: Fraction = Field(description="Share that is in the band at the edge at the end.")


class ElectronHoleRecord(Record):
    """Electron and hole in one run of Slater determinants, beside each alone; absent where it was left out."""

    method: Text = Field(description="Surface-hopping method.")
    rule: Text = Field(description="DISH rule, or none.")
    waiting: Text = Field(description="DISH waiting, or none.")
    n_determinants: Several = Field(description="Ground state and single excitations.")
    carriers: list[CarrierCooling] = Field(description="Electron and hole, together and alone.")
    ground_population: Fraction = Field(description="Share that has recombined at the end.")
    ground_population_high: Fraction = Field(description="Upper end of its 95 % interval (sampling).")
    tau_low: NotNegative = Field(description="Shortest dephasing time of a pair of determinants, fs.")
    tau_high: NotNegative = Field(description="Longest, fs.")
    tau_convention: Text = Field(description="Convention of the dephasing times.")
    temperature: Size = Field(description="K; null where no detailed balance was asked for.")
    duration: Positive = Field(description="fs.")
    n_frames: Several = Field(description="Frames of the loop.")
    n_trajectories: Several = Field(description="In all.")
    n_starts: Several = Field(description="Initial times.")
    substeps: Several = Field(description="Sub-steps a nuclear step.")
    random_state: Count = Field(description="Seed.")


class BandNorm(Record):
    """A band that mixes with others outside the window."""

    band: Text = Field(description="Label.")
    row_norm: Size = Field(description="Smallest row norm of its overlaps.")


class RefusedRun(Record):
    """A run that the engine refused."""

    name: Text = Field(description="Carrier and way.")
    method: Text = Field(description="Method.")
    reason: Text = Field(description="Why.")


class RelaxationRecord(Record):
    """Carriers relaxing through the bands beside the gap."""

    runs: list[RelaxationRun] = Field(description="By carrier and method.")
    left_out: list[BandNorm] = Field(description="Bands that mix with others outside the window.")
    refused: list[RefusedRun] = Field(description="Runs the engine refused.")
    source: Text | None = Field(
        None, description="Whose Hamiltonian: absent for the ab initio one, else the forecast's name."
    )
    pair: ElectronHoleRecord | None = None

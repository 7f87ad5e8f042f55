"""Records of dynamics on a Hamiltonian, and the Hamiltonian of a forecast."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from hopcast.core.errors import InputError, QualityWarning
from hopcast.core.hamiltonian import VibronicHamiltonian
from hopcast.core.units import FS_PER_NS
from hopcast.dynamics import DynamicsResult, Estimate, run_dynamics
from hopcast.dynamics.rates import block_length
from hopcast.forecast.pair import pair_hamiltonian
from hopcast.results.dynamics import DephasingRecord, HamiltonianRecord, RateControl, SampledRate, SeamRecord
from hopcast.results.record import PARTS, EstimateRecord, Record, estimate
from hopcast.study.inputs import StudyData
from hopcast.study.stage import Context


@dataclass(frozen=True)
class Bootstrap:
    """Draws and seed of intervals."""

    n_draws: int
    random_state: int


SAID_TURNING: Final = 0.01
"""Relative change of the rate by spins that turn from which on it is said."""
NO_SAMPLING: Final = "the exact solver draws no random numbers"


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


def forecast_hamiltonian(
    data: StudyData, gap: NDArray[np.float64], nac: NDArray[np.float64], label: str
) -> VibronicHamiltonian:
    """Return the two-state Hamiltonian of a forecast: energies 0 and the gap, |NAC| as coupling.

    Raises
    ------
    InputError
        If the forecast closes the gap (names the time).
    """
    worst = int(gap.argmin())
    if gap[worst] <= 0:
        raise InputError(
            f"The forecast `{label}` closes the gap: {gap[worst]:.4g} eV at frame {worst}. Compute more frames ab initio."
        )
    pair = data.hamiltonian
    kind = "NAC" if (nac < 0).any() else "|NAC|"
    said = {"source": f"forecast by {label}", "couplings": f"{kind}; ab initio values at the training frames"}
    return pair_hamiltonian(gap, nac, pair.timestep, pair.state_labels, pair.energy_grid, said)


def signed(arrays: Mapping[str, NDArray[Any]], name: str, coupling: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a model's couplings with their signs, where it knows them: a whole Hamiltonian does, moduli do not."""
    return np.asarray(coupling * arrays.get(f"nac-sign/{name}", 1.0))


def estimate_record(found: Estimate, unit: str, reasons: dict[str, str]) -> EstimateRecord:
    """Return the record of an estimate; parts become half-widths."""
    parts = {
        name: None if part is None else 0.5 * (part.high - part.low)
        for name in PARTS
        for part in [found.parts.get(name)]
    }
    return estimate(found.value, found.low, found.high, unit=unit, parts=parts, reasons=reasons, note=found.note)


def itself(reasons: dict[str, str]) -> EstimateRecord:
    """Return the ratio of a rate to itself."""
    return estimate(1.0, 1.0, 1.0, unit="1", reasons=reasons | {"finite_trajectory": "a ratio to itself"})


def hamiltonian_record(
    name: str,
    timestep: float,
    found: DynamicsResult,
    ratio: Estimate | None,
    spread: float | None,
    *,
    n_blocks: int | None = None,
    **more: Any,
) -> HamiltonianRecord:
    """Return the record of dynamics on a Hamiltonian by the exact solver.

    Parameters
    ----------
    name
        Of the Hamiltonian.
    timestep
        fs.
    found
        The dynamics.
    ratio
        Of its rate to what was computed; None for what was computed itself.
    spread
        Relative half-width that the model's posterior leaves in the rate.
    n_blocks
        Of the bootstrap; by default those of its own local rate.
    more
        Further fields.
    """

    def with_model(number: Estimate) -> Estimate:
        return number if spread is None else number.with_relative_part("model", spread)

    reasons = {"monte_carlo": NO_SAMPLING}
    if ratio is None:
        reasons["model"] = "no model: ab initio"
    elif spread is None:
        reasons["model"] = "no joint posterior draws: too many frames"
    own_blocks = int(found.local_rate.size // block_length([found.local_rate], timestep, None))
    return HamiltonianRecord(
        name=name,
        gradient=estimate_record(with_model(found.gradient), "1/ns", reasons),
        intercept=estimate_record(found.intercept, "1", reasons),
        lifetime=estimate_record(with_model(found.lifetime), "ns", reasons),
        rate=estimate_record(with_model(found.rate), "1/ns", reasons),
        ratio=itself(reasons) if ratio is None else estimate_record(with_model(ratio), "1", reasons),
        method="dish",
        solver="exact",
        rule=found.rule,
        waiting=found.waiting,
        temperature=found.temperature,
        window=found.fit_window[1] / FS_PER_NS,
        final_population=float(found.ground_population[-1]),
        coupling_interpolation=found.coupling_interpolation,
        substep=found.substep,
        substeps=found.substeps,
        dominant_part=with_model(found.lifetime).dominant_part or "finite_trajectory",
        note=found.lifetime.note,
        reasons={"temperature": "no detailed balance"},
        n_blocks=own_blocks if n_blocks is None else n_blocks,
        **more,
    )


def run_exact(context: Context, hamiltonian: VibronicHamiltonian, dephasing_time: float | None) -> DynamicsResult:
    """Run the exact solver as the study asks for; None takes the dephasing time of this Hamiltonian, with its uncertainty."""
    section = context.config.dynamics
    return run_dynamics(
        hamiltonian,
        method="exact",
        dephasing_time=dephasing_time,
        tau_convention=section.tau_convention,
        duration=section.duration,
        temperature=section.temperature,
        n_times=section.n_times,
        coupling_interpolation=section.coupling_interpolation,
        rule=section.rule,
        waiting=section.waiting,
        random_state=context.config.seed,
        workers=context.workers,
    )


def follow_carrier(
    context: Context,
    hamiltonian: VibronicHamiltonian,
    carrier: str,
    method: str,
    start: int,
    times: NDArray[np.intp],
    *,
    absorbing: bool = True,
) -> DynamicsResult:
    """Run a method of the section `relaxation` from a state and initial times; records of the run hold what it warns of."""
    section, dynamics = context.config.relaxation, context.config.dynamics
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", QualityWarning)
        return run_dynamics(
            hamiltonian,
            method,
            carrier=carrier,
            initial_state=start,
            initial_times=times,
            absorbing=absorbing,
            duration=section.duration,
            temperature=dynamics.temperature,
            tau_convention=dynamics.tau_convention,
            n_times=section.n_times,
            coupling_interpolation=dynamics.coupling_interpolation,
            n_trajectories=section.n_trajectories,
            random_state=context.config.seed,
            workers=context.workers,
        )


def say_turning_spins(context: Context, by_norms: DynamicsResult) -> None:
    """Warn where spins that turn between degenerate blocks, which the norms of their couplings leave out, change the ab initio rate."""
    blocks = context.data.blocks
    if blocks is None:
        return
    whole = run_exact(context, blocks, float(by_norms.tau[0, 1]))
    change = by_norms.asymptotic_rate / whole.asymptotic_rate - 1.0 if whole.asymptotic_rate > 0 else 0.0
    if abs(change) > SAID_TURNING:
        warnings.warn(
            f"Studies take the norms of the couplings of {blocks.block_labels[0]} and {blocks.block_labels[1]} and leave out how spins turn "
            f"between them: the ab initio rate comes out {abs(100 * change):.1f} % too {'large' if change > 0 else 'small'} "
            f"({whole.asymptotic_rate:.4g} /ns with all partners, as `hopcast dynamics` has them).",
            QualityWarning,
            stacklevel=2,
        )


def seam_record(found: DynamicsResult) -> SeamRecord:
    """Return the jump where the loop closes; empty without a loop."""
    if found.seam is None:
        return SeamRecord()
    return SeamRecord(
        gap_jump=abs(found.seam.energy_jump),
        usual_step=found.seam.usual_step,
        rate_coherent=found.seam.rate_kept,
        rate_reset=found.seam.rate_zeroed,
    )


def pairs_of_shifts(first: NDArray[Any], second: NDArray[Any]) -> list[tuple[int, int]]:
    """Return pairs of indices of nearly equal shifts: each of the shorter list with the nearest of the other."""
    if len(first) == 0 or len(second) == 0:
        return []
    if len(first) <= len(second):
        return [(i, int(np.abs(second - shift).argmin())) for i, shift in enumerate(first)]
    return [(int(np.abs(first - shift).argmin()), j) for j, shift in enumerate(second)]

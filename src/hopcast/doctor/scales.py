"""Scales of energy and time of a pair: units, gap, drift, dephasing, decay, time step."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hopcast.core.hamiltonian import VibronicHamiltonian
from hopcast.core.units import FS_PER_NS, HARTREE, HBAR, RYDBERG
from hopcast.doctor.pair import Context
from hopcast.doctor.verdict import Verdict, at, memory_of

GAP_RANGE = (0.2, 12.0)
"""Gaps of semiconductors and insulators, eV."""
MIXING_RANGE = (0.01, 30.0)
"""Plausible hbar <i|dH/dt|j> over hbar d(E_j - E_i)/dt (0.5 in the median of all pairs of bands of CsPbI3)."""
ROTATION_LIMIT = np.pi / 2
"""A state cannot turn by more within a step that is short enough."""
FEWEST_VALUES = 4.0
"""Fewer independent values of the gap are no sample."""
TAU_RANGE = (1.0, 200.0)
"""Plausible dephasing times of gaps, fs."""


def units(ham: VibronicHamiltonian, context: Context) -> Verdict:
    """Gap and coupling against plausible ranges, and against each other."""
    gap = np.abs(ham.gap(context.pair)[ham.energy_known])
    coupling = np.abs(ham.coupling(context.pair)[ham.nac_known])
    rotation = np.abs(ham.nac[ham.nac_known]) * ham.timestep / HBAR
    evidence = {"median_gap_eV": float(np.median(gap))}
    fix = "State the unit when reading (`--unit`), or write the energies in eV."
    low, high = GAP_RANGE
    middle = evidence["median_gap_eV"]
    if context.is_gap and not low <= middle <= high:
        factors = (("Ha", HARTREE), ("Ry", RYDBERG))
        guesses = [name for name, factor in factors if low <= middle * factor <= high]
        guesses += [f"eV, multiplied by 1 {name}" for name, factor in factors if low <= middle / factor <= high]
        likely = f" It would be plausible if the energies were in {' or '.join(guesses)}." if guesses else ""
        finding = f"The gap of {context.names} is {middle:.4g} eV in the median, outside {low:g}-{high:g} eV.{likely}"
        return Verdict("units", "bad", finding, fix, evidence)
    said = _coupling_scale(ham, context, coupling, rotation, evidence) if coupling.size else None
    finding = (
        f"The gap of {context.names} is {middle:.4g} eV, their coupling {evidence.get('rms_coupling_meV', 0):.3g} meV."
    )
    return said or Verdict("units", "good", finding, "", evidence)


def _coupling_scale(
    ham: VibronicHamiltonian,
    context: Context,
    coupling: NDArray[np.float64],
    rotation: NDArray[np.float64],
    evidence: dict[str, float],
) -> Verdict | None:
    """Find couplings [n_known], eV, that are too large, too small, none at all, or at odds with the energies."""
    evidence["rms_coupling_meV"] = 1e3 * float(np.sqrt((coupling**2).mean()))
    evidence["largest_rotation"] = float(rotation.max(initial=0.0))
    typical = float(np.sqrt((rotation**2).mean()))
    mixing = _mixing(ham)
    if typical > ROTATION_LIMIT / 2:
        finding = (
            f"Couplings turn the states by {typical:.3g} rad a step (root mean square): "
            f"no overlap can do that in {ham.timestep:g} fs."
        )
        fix = "Check the unit of the couplings and the time step: S - S^T must be multiplied by hbar / (2 dt)."
    elif not coupling.any():
        finding = f"The coupling of {context.names} is zero at every step."
        fix = "Check that the couplings belong to these states."
    elif evidence["rms_coupling_meV"] < 1e-6:
        finding = f"The coupling of {context.names} is {evidence['rms_coupling_meV']:.3g} meV: no pair of states couples so little."
        fix = "Check the unit of the couplings."
    elif mixing is None:
        return None
    else:
        evidence["coupling_against_gap"] = mixing
        low, high = MIXING_RANGE
        if low <= mixing <= high:
            return None
        finding = (
            f"Couplings and energies do not fit each other: coupling times gap is {mixing:.2g} of hbar times the gap's rate of change, "
            f"and {low:g} to {high:g} is plausible (the same motion of the nuclei makes both)."
        )
        fix = "Check the units of both, and that they belong to the same states."
        return Verdict("units", "warn", finding, fix, evidence)
    return Verdict("units", "bad", finding, fix, evidence)


def _mixing(ham: VibronicHamiltonian) -> float | None:
    """Return, in the median of all pairs, off-diagonal against diagonal elements of dH/dt (root mean squares over the steps).

    With adiabatic states hbar d_ij (E_j - E_i) = hbar <i|dH/dt|j>, and hbar d(E_j - E_i)/dt is that of the diagonal: a unit or a factor
    that is in one of them only shows here.
    """
    rates = np.diff(ham.energies, axis=0) * (HBAR / ham.timestep)
    rates = rates[np.isfinite(rates).all(axis=1)]
    middle = ham.midpoint_energies
    known = ham.nac_known & np.isfinite(middle).all(axis=1)
    if len(rates) < 20 or known.sum() < 20:
        return None
    found = []
    for i in range(ham.n_states):
        for j in range(i + 1, ham.n_states):
            mixing = np.abs(ham.nac[known, i, j]) * (middle[known, j] - middle[known, i])
            moving = float((np.abs(rates[:, j] - rates[:, i]) ** 2).mean())
            if moving > 0 and np.any(mixing):
                found.append(float(np.sqrt((mixing**2).mean() / moving)))
    return float(np.median(found)) if found else None


def closed_gap(ham: VibronicHamiltonian, context: Context) -> Verdict:
    """Frames at which the gap closes."""
    gap = ham.gap(context.pair)
    known = np.isfinite(gap)
    least = float(np.min(gap[known])) if known.any() else np.nan
    evidence = {"least_gap_eV": least}
    closed = np.flatnonzero(known & (gap <= 0.02))
    if context.is_gap and len(closed):
        return Verdict(
            "closed gap",
            "bad",
            f"The gap of {context.names} closes ({least:.4g} eV at frame {int(np.nanargmin(gap))}).",
            "The pair is no two-state problem there: check occupations, the bands chosen and whether states were swapped.",
            evidence,
            at(closed),
        )
    return Verdict("closed gap", "good", f"The gap of {context.names} stays open (least {least:.4g} eV).", "", evidence)


def gap_drift(ham: VibronicHamiltonian, context: Context) -> Verdict:
    """Whether the gap drifts from the first to the last quarter."""
    gap = ham.gap(context.pair)
    if len(gap) < 40 or not np.isfinite(gap).all():
        return Verdict("energy drift", "skipped", "It needs forty frames of energies.")
    return drift_of(gap, "energy drift", f"The gap of {context.names}")


def drift_of(series: NDArray[np.float64], name: str, what: str) -> Verdict:
    """Judge whether energies (eV) drift from the first to the last quarter, against their fluctuation and their memory."""
    quarter = len(series) // 4
    shift = float(series[-quarter:].mean() - series[:quarter].mean())
    within = float(np.sqrt(0.5 * (series[:quarter].var() + series[-quarter:].var())))
    memory, deviation = memory_of(series)
    error = deviation * float(np.sqrt(4 * memory / quarter))
    evidence = {"shift_meV": 1e3 * shift, "fluctuation_meV": 1e3 * within, "error_meV": 1e3 * error}
    if abs(shift) > 3 * within and abs(shift) <= 4 * error:
        return Verdict(
            name,
            "skipped",
            f"{what} shifts by {1e3 * shift:.3g} meV, with a standard error of {1e3 * error:.3g} meV by its slow motions alone: the data are too "
            "short to tell a drift.",
            "",
            evidence,
        )
    if abs(shift) > 3 * within and abs(shift) > 5e-3:
        return Verdict(
            name,
            "bad",
            f"{what} drifts by {1e3 * shift:.3g} meV, {abs(shift) / max(within, 1e-12):.2g} times its fluctuation.",
            "Equilibrate longer and use the stationary part: rates need a stationary trajectory.",
            evidence,
        )
    return Verdict(
        name, "good", f"{what} shifts by {1e3 * shift:.3g} meV (fluctuation {1e3 * within:.3g} meV).", "", evidence
    )


def length(ham: VibronicHamiltonian, context: Context) -> Verdict:
    """Whether the data are long enough for an average to mean anything."""
    gap = ham.gap(context.pair)
    gap = gap[np.isfinite(gap)]
    if not ham.energy_known.all():
        return Verdict("length", "skipped", "Frames are unknown.")
    moves = len(gap) >= 3 and bool(np.any(gap != gap[0]))
    independent = len(gap) / (2 * memory_of(gap)[0]) if moves else 1.0
    # a straight line and the mean are taken away: few frames always look independent
    independent = min(independent, max(1.0, (len(gap) - 2) / 4))
    evidence = {"independent_values": independent}
    if independent < FEWEST_VALUES:
        return Verdict(
            "length",
            "warn",
            f"The {len(gap)} frames hold about {independent:.2g} independent values of the gap of {context.names}: an average over them, and a "
            "lifetime, may be off by far more than the intervals of a run say, which repeat these frames.",
            "Use a longer trajectory: tens of independent values.",
            evidence,
        )
    return Verdict(
        "length",
        "good",
        f"The data hold about {independent:.2g} independent values of the gap of {context.names}.",
        "",
        evidence,
    )


def dephasing(ham: VibronicHamiltonian, context: Context) -> Verdict:
    """Whether the dephasing time is plausible."""
    found = context.dephasing
    if isinstance(found, str):
        return Verdict("dephasing", "skipped", found)
    tau = found.tau()
    evidence = {"tau_fs": tau, "gap_fluctuation_meV": 1e3 * found.sigma}
    low, high = TAU_RANGE
    if not low <= tau <= high and context.is_gap:
        return Verdict(
            "dephasing",
            "bad",
            f"The dephasing time of {context.names} is {tau:.3g} fs (gap fluctuation {1e3 * found.sigma:.3g} meV), outside {low:g}-{high:g} fs.",
            "Check the unit of the energies, outliers, and whether the pair is the one that is meant.",
            evidence,
        )
    return Verdict(
        "dephasing",
        "good",
        f"The dephasing time of {context.names} is {tau:.3g} fs, their gap fluctuation {1e3 * found.sigma:.3g} meV.",
        "",
        evidence,
    )


def decay(ham: VibronicHamiltonian, context: Context) -> Verdict:
    """Why does my population not decay: the expected rate against the planned duration."""
    if isinstance(context.dephasing, str):
        return Verdict("decay", "skipped", context.dephasing)
    tau = context.dephasing.tau()
    coupling = ham.coupling(context.pair)[ham.nac_known]
    gap = ham.gap(context.pair)
    if not coupling.size or not np.any(coupling):
        return Verdict("decay", "skipped", f"The coupling of {context.names} is unknown or zero.")
    # a Rabi oscillation between two decoherence events leaves 2 V^2 / gap^2 on the other state
    probability = 2.0 * float((np.abs(coupling) ** 2).mean()) / max(float((gap**2).mean()), 1e-12)
    lifetime = tau / max(min(probability, 1.0), 1e-300)
    evidence = {"expected_lifetime_ns": lifetime / FS_PER_NS, "tau_fs": tau, "transfer_per_event": probability}
    shown = f"{lifetime / FS_PER_NS:.3g} ns" if lifetime > 1e4 else f"{lifetime:.3g} fs"
    if context.duration is not None and context.duration < 0.1 * lifetime:
        expected = 100 * (1 - np.exp(-context.duration / lifetime))
        return Verdict(
            "decay",
            "bad",
            f"The population will not decay: the expected lifetime of {context.names} is {shown}, and in {context.duration:g} fs only {expected:.2g} % recombine.",
            "Ask for a longer dynamics (the Hamiltonian is repeated), or fit the rate to the small decay with its error.",
            evidence,
        )
    return Verdict(
        "decay",
        "good",
        f"The expected lifetime of {context.names} is {shown} (2 <V^2> / <gap^2> every {tau:.3g} fs).",
        "",
        evidence,
    )


def substeps(ham: VibronicHamiltonian, context: Context) -> Verdict:
    """Hold the phase of the gap within a step against a quarter period."""
    gap = np.abs(ham.gap(context.pair))
    phase = float(np.nanmedian(gap) * ham.timestep / HBAR)
    needed = int(np.ceil(phase / (np.pi / 2)))
    evidence = {"phase_a_step_rad": phase, "substeps_at_least": float(max(1, needed))}
    if phase > np.pi / 2:
        return Verdict(
            "time step",
            "warn",
            f"The phase of the gap of {context.names} turns by {phase:.3g} rad a step, more than a quarter period.",
            f"Propagate with at least {needed} electronic sub-steps (hopcast does it by itself; set NELM or elec_dt elsewhere).",
            evidence,
        )
    return Verdict(
        "time step", "good", f"The phase of the gap of {context.names} turns by {phase:.3g} rad a step.", "", evidence
    )

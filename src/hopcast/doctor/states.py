"""Checks of a Hamiltonian: units, signs, order of states, outliers, time scales."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from hopcast.core.hamiltonian import VibronicHamiltonian
from hopcast.core.units import FS_PER_NS, HARTREE, HBAR, RYDBERG
from hopcast.couplings import derive_couplings, diagnose_overlaps
from hopcast.doctor.pair import Context
from hopcast.doctor.verdict import Verdict, at, memory_of, robust_scale

GAP_RANGE = (0.2, 12.0)
"""Gaps of semiconductors and insulators, eV."""
MIXING_RANGE = (0.01, 30.0)
"""Plausible hbar <i|dH/dt|j> over hbar d(E_j - E_i)/dt (0.5 in the median of all pairs of bands of CsPbI3)."""
ROTATION_LIMIT = np.pi / 2
"""A state cannot turn by more within a step that is short enough."""
LEAST_AUTOCORRELATION = 0.5
SHORT_STEP = 5.0
"""Below this time step (fs) couplings of a solid follow its phonons."""
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
        guesses += [
            f"eV, multiplied by 1 {name}" for name, factor in factors if low <= middle / factor <= high
        ]
        likely = f" It would be plausible if the energies were in {' or '.join(guesses)}." if guesses else ""
        finding = f"The gap of {context.names} is {middle:.4g} eV in the median, outside {low:g}-{high:g} eV.{likely}"
        return Verdict("units", "bad", finding, fix, evidence)
    if coupling.size:
        evidence["rms_coupling_meV"] = 1e3 * float(np.sqrt((coupling**2).mean()))
        evidence["largest_rotation"] = float(rotation.max(initial=0.0))
        typical = float(np.sqrt((rotation**2).mean()))
        if typical > ROTATION_LIMIT / 2:
            finding = (
                f"Couplings turn the states by {typical:.3g} rad a step (root mean square): "
                f"no overlap can do that in {ham.timestep:g} fs."
            )
            return Verdict(
                "units",
                "bad",
                finding,
                "Check the unit of the couplings and the time step: S - S^T must be multiplied by hbar / (2 dt).",
                evidence,
            )
        if coupling.any() and evidence["rms_coupling_meV"] < 1e-6:
            return Verdict(
                "units", "bad", f"The coupling of {context.names} is {evidence['rms_coupling_meV']:.3g} meV: no pair of states couples so little.",
                "Check the unit of the couplings.", evidence,
            )  # fmt: skip
        if not coupling.any():
            return Verdict(
                "units",
                "bad",
                f"The coupling of {context.names} is zero at every step.",
                "Check that the couplings belong to these states.",
                evidence,
            )
        mixing = _mixing(ham)
        if mixing is not None:
            evidence["coupling_against_gap"] = mixing
            if not MIXING_RANGE[0] <= mixing <= MIXING_RANGE[1]:
                return Verdict(
                    "units", "warn",
                    f"Couplings and energies do not fit each other: coupling times gap is {mixing:.2g} of hbar times the gap's rate of change, "
                    f"and {MIXING_RANGE[0]:g} to {MIXING_RANGE[1]:g} is plausible (the same motion of the nuclei makes both).",
                    "Check the units of both, and that they belong to the same states.", evidence,
                )  # fmt: skip
    return Verdict(
        "units",
        "good",
        f"The gap of {context.names} is {middle:.4g} eV, their coupling {evidence.get('rms_coupling_meV', 0):.3g} meV.",
        "",
        evidence,
    )


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


def antisymmetry(ham: VibronicHamiltonian, context: Context) -> Verdict:
    """Whether couplings are anti-Hermitian."""
    nac = ham.nac[ham.nac_known]
    residual = float(np.abs(nac + nac.conj().swapaxes(1, 2)).max(initial=0.0))
    return Verdict(
        "antisymmetry", "good", "Couplings are antisymmetric.", "", {"largest_deviation_eV": residual}
    )


def phases(ham: VibronicHamiltonian, context: Context) -> Verdict:
    """Negative diagonals of the raw overlaps, and whether the couplings at hand were repaired."""
    if ham.overlaps is None:
        return Verdict("phases", "skipped", "There are no raw overlaps.")
    found = diagnose_overlaps(ham)
    evidence = {"negative_diagonals": found.flipped, "steps_with_a_change_of_sign": float(found.flips)}
    if found.flips == 0:
        return Verdict("phases", "good", "Raw overlaps are phase-consistent.", "", evidence)
    turned = np.flatnonzero((np.einsum("tii->ti", ham.overlaps).real < 0).any(axis=1))
    finding = f"Raw overlaps change signs at {found.flips} of {found.n_steps} steps ({found.flipped:.0%} of diagonals are negative)."
    if ham.is_degenerate:
        finding = f"The bases of degenerate states turn at {found.flips} of {found.n_steps} steps, as programs hand them out."
    derived = derive_couplings(ham)
    both = ham.nac_known & derived.nac_known
    if both.any():
        given, right = (np.abs(each.merged().nac[both]) for each in (ham, derived))
        difference = float(np.abs(given - right).max())
        scale = float(right.max())
        evidence["largest_error_of_magnitudes_eV"] = difference
        if difference > 0.05 * scale:
            return Verdict(
                "phases", "bad", f"{finding} The couplings that came with them are wrong in magnitude too.",
                "Derive couplings from the overlaps (`--couplings overlaps`, `hopcast.derive_couplings`), not from S - S^T as it comes.",
                evidence, at(turned),
            )  # fmt: skip
    return Verdict(
        "phases", "warn", f"{finding} `derive_couplings` repairs this.",
        "Nothing, if couplings are derived by hopcast; other codes must correct the phases first.", evidence, at(turned),
    )  # fmt: skip


def flips(ham: VibronicHamiltonian, context: Context) -> Verdict:
    """Find steps at which a coupling turns its sign while its size goes on smoothly."""
    if ham.overlaps is not None:
        return Verdict("flips", "skipped", "There are raw overlaps, which tell more (see phases).")
    found: set[int] = set()
    crossing = crossing_steps(ham)
    for i in range(ham.n_states):
        for j in range(i + 1, ham.n_states):
            found |= set(_flips(ham.coupling((i, j)).real).tolist()) - crossing
    evidence = {"steps": float(len(found))}
    # an unlucky crossing of zero may look like one: a fault repeats, or stands in most pairs of a state
    if len(found) > max(0, ham.n_steps // 2000):
        return Verdict(
            "flips", "bad", f"Couplings turn their sign at {len(found)} steps while their size goes on smoothly.",
            "Make the phases consistent: derive couplings from raw overlaps; without overlaps the signs cannot be repaired safely.",
            evidence, at(np.array(sorted(found))),
        )  # fmt: skip
    return Verdict("flips", "good", "No coupling jumps to its negative.", "", evidence)


def _flips(series: NDArray[np.float64]) -> NDArray[np.int64]:
    if len(series) < 6 or not np.isfinite(series).all():
        return np.zeros(0, dtype=np.int64)
    before, here, after = series[:-3], series[1:-2], series[2:-1]
    beyond = series[3:]
    sudden = here - after
    # the step continues smoothly only after one side is negated, judged by straight lines from both sides
    smooth = np.abs(2 * here - before + after) + np.abs(2 * after - beyond + here)
    rough = np.abs(2 * here - before - after) + np.abs(2 * after - beyond - here)
    typical = np.sqrt((series**2).mean())
    hits = (smooth < 0.15 * rough) & (np.abs(sudden) > 0.75 * typical) & (here * after < 0)
    return np.flatnonzero(hits) + 2


def crossing_steps(ham: VibronicHamiltonian) -> set[int]:
    """Return the steps at and beside which some state turns by more than an eighth of pi: couplings peak there by nature."""
    rotation = (
        np.abs(np.where(ham.nac_known[:, None, None], ham.nac, 0.0)).max(axis=(1, 2)) * ham.timestep / HBAR
    )
    steps = np.flatnonzero(rotation > np.pi / 8)
    return {int(step) + offset for step in steps for offset in (-2, -1, 0, 1, 2)}


def autocorrelation(ham: VibronicHamiltonian, context: Context) -> Verdict:
    """Lag-1 autocorrelation of the coupling, the alarm for sign flips."""
    series = ham.coupling(context.pair)
    if not ham.nac_known.all() or len(series) < 20 or not np.any(series):
        return Verdict("autocorrelation", "skipped", "It needs twenty couplings without gaps.")
    value = float((series[1:] * series[:-1].conj()).real.mean() / (np.abs(series) ** 2).mean())
    evidence = {"lag_1": value}
    if value < LEAST_AUTOCORRELATION and ham.timestep <= SHORT_STEP:
        return Verdict(
            "autocorrelation", "bad", f"The coupling of {context.names} has a lag-1 autocorrelation of {value:.2f} at {ham.timestep:g} fs: nuclei do not move so fast.",
            "Its signs are random, or frames are shuffled: derive it from phase-corrected overlaps.", evidence,
        )  # fmt: skip
    return Verdict(
        "autocorrelation",
        "good",
        f"The coupling of {context.names} has a lag-1 autocorrelation of {value:.2f}.",
        "",
        evidence,
    )


def swaps(ham: VibronicHamiltonian, context: Context) -> Verdict:
    """States that leave their energy order, and exchanges of character within a step."""
    energies = ham.energies[ham.energy_known]
    known = np.flatnonzero(ham.energy_known)
    disordered = known[(np.diff(energies, axis=1) < -1e-6).any(axis=1)]
    evidence = {"frames_out_of_order": float(len(disordered))}
    if len(disordered):
        return Verdict(
            "swaps", "bad" if context.is_gap else "warn",
            f"States are not in order of energy at {len(disordered)} frames, from frame {disordered[0]} on: labels were swapped or follow character.",
            "Use adiabatic states (energy order, `--tracking energy`), or make sure that every code reads the labels alike.",
            evidence, at(disordered),
        )  # fmt: skip
    crossings: NDArray[np.int64] = np.zeros(0, dtype=np.int64)
    if ham.overlaps is not None:
        crossings = np.array([crossing.step for crossing in diagnose_overlaps(ham).crossings], dtype=np.int64)
    elif ham.nac_known.any():
        rotation = np.where(
            ham.nac_known,
            np.nanmax(np.abs(np.where(ham.nac_known[:, None, None], ham.nac, 0.0)), axis=(1, 2)),
            0.0,
        )
        crossings = np.flatnonzero(rotation * ham.timestep / HBAR > np.pi / 4)
    evidence["crossings"] = float(len(crossings))
    if len(crossings):
        return Verdict(
            "swaps", "warn", f"States exchange their characters within {len(crossings)} steps (trivial crossings).",
            "Shorten the nuclear step there, or follow the character (`--tracking trivial`) if the gap does not need energy order.",
            evidence, at(crossings),
        )  # fmt: skip
    return Verdict(
        "swaps", "good", "States stay in order, none exchanges its character within a step.", "", evidence
    )


def spikes(ham: VibronicHamiltonian, context: Context) -> Verdict:
    """Single frames that stand out of their neighbours."""
    found: set[int] = set()
    energies = ham.energies
    crossing = crossing_steps(ham)
    if len(energies) >= 8:
        for state in range(ham.n_states):
            found |= set(spikes_of(energies[:, state], 2e-3).tolist())
    found -= crossing
    # a turn by more than a quarter of a circle is no crossing: nothing but a fault is so large
    pairs = [(i, j) for i in range(ham.n_states) for j in range(i + 1, ham.n_states)]
    for pair in pairs:
        series = np.abs(ham.coupling(pair))
        near_gap = set(pair) == set(context.pair)
        if len(series) >= 8 and np.isfinite(series).all():
            neighbours = np.maximum(
                np.maximum(series[:-4], series[1:-3]), np.maximum(series[3:-1], series[4:])
            )
            lonely = (series[2:-2] > 8 * neighbours) & (
                series[2:-2] > 6 * np.sqrt(np.mean(np.sort(series)[: int(0.98 * len(series))] ** 2))
            )
            hits = set((np.flatnonzero(lonely) + 2).tolist())
            found |= hits if near_gap else hits - crossing
    evidence = {"frames": float(len(found))}
    if found:
        return Verdict(
            "spikes", "bad", f"{len(found)} frames stand out of both their neighbours.",
            "Look at these single points (convergence, another spin state or k-point) and calculate them again.", evidence,
            at(np.array(sorted(found))),
        )  # fmt: skip
    return Verdict("spikes", "good", "No frame stands out of its neighbours.", "", evidence)


def spikes_of(series: NDArray[np.float64], floor: float) -> NDArray[np.int64]:
    """Return the frames whose value stands far out of the line through two neighbours on each side."""
    if not np.isfinite(series).all() or len(series) < 8:
        return np.zeros(0, dtype=np.int64)
    # the cubic through two points on each side
    residual = series[2:-2] - (4 * (series[1:-3] + series[3:-1]) - series[:-4] - series[4:]) / 6
    scale = max(robust_scale(residual), floor / 15)
    around = np.abs(residual)
    hits = around > 15 * scale
    peak = np.ones_like(hits)
    peak[1:] &= around[1:] >= around[:-1]
    peak[:-1] &= around[:-1] >= around[1:]
    return np.flatnonzero(hits & peak) + 2


def closed_gap(ham: VibronicHamiltonian, context: Context) -> Verdict:
    """Frames at which the gap closes."""
    gap = ham.gap(context.pair)
    known = np.isfinite(gap)
    least = float(np.min(gap[known])) if known.any() else np.nan
    evidence = {"least_gap_eV": least}
    closed = np.flatnonzero(known & (gap <= 0.02))
    if context.is_gap and len(closed):
        return Verdict(
            "closed gap", "bad", f"The gap of {context.names} closes ({least:.4g} eV at frame {int(np.nanargmin(gap))}).",
            "The pair is no two-state problem there: check occupations, the bands chosen and whether states were swapped.",
            evidence, at(closed),
        )  # fmt: skip
    return Verdict(
        "closed gap", "good", f"The gap of {context.names} stays open (least {least:.4g} eV).", "", evidence
    )


def frames(ham: VibronicHamiltonian, context: Context) -> Verdict:
    """Repeated and unknown frames."""
    same = np.flatnonzero(np.all(np.diff(ham.energies, axis=0) == 0, axis=1)) + 1
    evidence = {"repeated": float(len(same)), "unknown": float((~ham.energy_known).sum())}
    if len(same):
        return Verdict(
            "duplicate frames", "bad", f"{len(same)} frames have exactly the energies of the frame before.",
            "Remove repeated frames (restarts write the last frame twice) before couplings are calculated.", evidence, at(same),
        )  # fmt: skip
    if not ham.energy_known.all():
        return Verdict(
            "duplicate frames", "warn", f"{int(evidence['unknown'])} frames have no energies.",
            "Calculate them, or forecast them (`hopcast run`).", evidence, at(np.flatnonzero(~ham.energy_known)),
        )  # fmt: skip
    return Verdict("duplicate frames", "good", "Every frame is known and none is repeated.", "", evidence)


def missing_energies(ham: VibronicHamiltonian, context: Context) -> Verdict:
    """Find steps across which every state jumps as over a gap in time."""
    energies = ham.energies
    if len(energies) < 20 or not ham.energy_known.all():
        return Verdict("missing frames", "skipped", "It needs twenty frames of energies.")
    return missing_of(energies, "energies")


def missing_of(series: NDArray[np.float64], what: str) -> Verdict:
    """Judge steps that go about twice as far as the steps around them, in all coordinates together."""
    flat = series.reshape(len(series), -1)
    steps = np.diff(flat, axis=0)
    expected = 0.5 * (steps[:-2] + steps[2:])
    size = (expected**2).sum(axis=1)
    ratio = (steps[1:-1] * expected).sum(axis=1) / np.where(size > 0, size, np.inf)
    rest = np.sqrt(
        ((steps[1:-1] - ratio[:, None] * expected) ** 2).sum(axis=1) / np.where(size > 0, size, np.inf)
    )
    smooth = float(np.median(np.abs(ratio - 1)))
    evidence = {"typical_deviation": smooth}
    if smooth > 0.08 or flat.shape[1] < 6:
        return Verdict(
            "missing frames",
            "skipped",
            f"The {what} change too fast from frame to frame to see a missing one.",
            "",
            evidence,
        )
    gaps = np.flatnonzero((ratio > 1.6) & (rest < 0.5)) + 1
    if len(gaps):
        return Verdict(
            "missing frames", "bad", f"{len(gaps)} steps go {ratio[gaps[0] - 1]:.2g} times as far as those around them: frames are missing.",
            "Add the missing frames, or cut the data there; a coupling across a gap has no meaning.", evidence, at(gaps),
        )  # fmt: skip
    return Verdict("missing frames", "good", f"The {what} move evenly from frame to frame.", "", evidence)


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
            name, "skipped",
            f"{what} shifts by {1e3 * shift:.3g} meV, with a standard error of {1e3 * error:.3g} meV by its slow motions alone: the data are too "
            "short to tell a drift.",
            "", evidence,
        )  # fmt: skip
    if abs(shift) > 3 * within and abs(shift) > 5e-3:
        return Verdict(
            name, "bad", f"{what} drifts by {1e3 * shift:.3g} meV, {abs(shift) / max(within, 1e-12):.2g} times its fluctuation.",
            "Equilibrate longer and use the stationary part: rates need a stationary trajectory.", evidence,
        )  # fmt: skip
    return Verdict(
        name,
        "good",
        f"{what} shifts by {1e3 * shift:.3g} meV (fluctuation {1e3 * within:.3g} meV).",
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
            "dephasing", "bad", f"The dephasing time of {context.names} is {tau:.3g} fs (gap fluctuation {1e3 * found.sigma:.3g} meV), outside {low:g}-{high:g} fs.",
            "Check the unit of the energies, outliers, and whether the pair is the one that is meant.", evidence,
        )  # fmt: skip
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
    evidence = {
        "expected_lifetime_ns": lifetime / FS_PER_NS,
        "tau_fs": tau,
        "transfer_per_event": probability,
    }
    shown = f"{lifetime / FS_PER_NS:.3g} ns" if lifetime > 1e4 else f"{lifetime:.3g} fs"
    if context.duration is not None and context.duration < 0.1 * lifetime:
        expected = 100 * (1 - np.exp(-context.duration / lifetime))
        return Verdict(
            "decay", "bad", f"The population will not decay: the expected lifetime of {context.names} is {shown}, and in {context.duration:g} fs only {expected:.2g} % recombine.",
            "Ask for a longer dynamics (the Hamiltonian is repeated), or fit the rate to the small decay with its error.", evidence,
        )  # fmt: skip
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
            "time step", "warn", f"The phase of the gap of {context.names} turns by {phase:.3g} rad a step, more than a quarter period.",
            f"Propagate with at least {10 * needed} electronic sub-steps (hopcast does it by itself; set NELM or elec_dt elsewhere).", evidence,
        )  # fmt: skip
    return Verdict(
        "time step",
        "good",
        f"The phase of the gap of {context.names} turns by {phase:.3g} rad a step.",
        "",
        evidence,
    )


CHECKS: tuple[Callable[[VibronicHamiltonian, Context], Verdict], ...] = (
    units, antisymmetry, phases, flips, autocorrelation, swaps, spikes, closed_gap, frames, missing_energies, gap_drift,
    dephasing, decay, substeps,
)  # fmt: skip

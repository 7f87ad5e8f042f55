"""Signs of couplings: phases of raw overlaps, flips, autocorrelation."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hopcast.core.hamiltonian import VibronicHamiltonian
from hopcast.core.units import HBAR
from hopcast.couplings import DERIVED, derive_couplings, diagnose_overlaps
from hopcast.doctor.pair import Context
from hopcast.doctor.verdict import Verdict, at, robust_scale

LEAST_AUTOCORRELATION = 0.5
SHORT_STEP = 5.0
"""Below this time step (fs) couplings of a solid follow its phonons."""


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
        finding = (
            f"The bases of degenerate states turn at {found.flips} of {found.n_steps} steps, as programs hand them out."
        )
    derived = derive_couplings(ham)
    both = ham.nac_known & derived.nac_known
    if both.any():
        given, right = (np.abs(each.merged().nac[both]) for each in (ham, derived))
        difference = float(np.abs(given - right).max())
        scale = float(right.max())
        evidence["largest_error_of_magnitudes_eV"] = difference
        if difference > 0.05 * scale:
            return Verdict(
                "phases",
                "bad",
                f"{finding} The couplings that came with them are wrong in magnitude too.",
                "Derive couplings from the overlaps (`--couplings overlaps`, `hopcast.derive_couplings`), not from S - S^T as it comes.",
                evidence,
                at(turned),
            )
        if ham.provenance.get("couplings", "").startswith(DERIVED) or _same_signs(ham.nac[both], derived.nac[both]):
            return Verdict("phases", "good", f"{finding} The couplings were made with consistent signs.", "", evidence)
        return Verdict(
            "phases",
            "bad",
            f"{finding} The couplings that came with them change signs, too.",
            "Derive couplings from the overlaps (`--couplings overlaps`, `hopcast.derive_couplings`).",
            evidence,
            at(turned),
        )
    return Verdict(
        "phases",
        "warn",
        f"{finding} `derive_couplings` repairs this.",
        "Nothing, if couplings are derived by hopcast; other codes must correct the phases first.",
        evidence,
        at(turned),
    )


def _same_signs(one: NDArray[Any], other: NDArray[Any]) -> bool:
    """Return whether couplings [n_steps, n_states, n_states] differ by one phase of each pair only, the same at all steps."""
    power = np.sqrt((np.abs(one) ** 2).sum(axis=0) * (np.abs(other) ** 2).sum(axis=0))
    likeness = np.abs((one * other.conj()).sum(axis=0))
    coupled = power > 1e-6 * power.max(initial=0.0)
    return bool(np.all(likeness[coupled] > 0.98 * power[coupled]))


def flips(ham: VibronicHamiltonian, context: Context) -> Verdict:
    """Find steps at which a coupling turns its sign while its size goes on smoothly."""
    if ham.overlaps is not None:
        return Verdict("flips", "skipped", "There are raw overlaps, which tell more (see phases).")
    crossing = crossing_steps(ham)
    pairs = [(i, j) for i in range(ham.n_states) for j in range(i + 1, ham.n_states)]
    hits = {pair: set(_flips(ham.coupling(pair).real).tolist()) - crossing for pair in pairs}
    together = _of_a_state(hits, ham.n_states)
    every = set().union(*hits.values())
    # an unlucky crossing of zero may look like one, the more often the more pairs there are: a fault repeats, or stands in the pairs of a state
    chance = len(pairs) * ham.n_steps // 4000
    found = every if len(every) > chance else together
    evidence = {"steps": float(len(found)), "steps_in_one_pair_only": float(len(every - together))}
    if found:
        first = min(found)
        names = " and ".join(f"{i}-{j}" for i, j in [pair for pair in pairs if first in hits[pair]][:4])
        return Verdict(
            "flips",
            "bad",
            f"Couplings turn their sign at {len(found)} steps while their size goes on smoothly (first at step {first}: states {names}).",
            "Make the phases consistent: derive couplings from raw overlaps; without overlaps the signs cannot be repaired safely.",
            evidence,
            at(np.array(sorted(found))),
        )
    return Verdict("flips", "good", "No coupling jumps to its negative.", "", evidence)


def _of_a_state(hits: dict[tuple[int, int], set[int]], n_states: int) -> set[int]:
    """Return the steps at which several couplings of one state turn together: a change of its sign turns them all."""
    found: set[int] = set()
    for state in range(n_states):
        steps = [step for pair, own in hits.items() if state in pair for step in own]
        found |= {step for step in set(steps) if steps.count(step) >= 2}
    return found


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
    # of white noise the third difference has 20 times the variance
    noise = robust_scale(np.diff(series, 3)) / np.sqrt(20.0)
    hits = (smooth < 0.15 * rough) & (np.abs(sudden) > max(0.75 * typical, 8 * noise)) & (here * after < 0)
    return np.flatnonzero(hits) + 2


def crossing_steps(ham: VibronicHamiltonian) -> set[int]:
    """Return the steps at and beside which some state turns by more than an eighth of pi: couplings peak there by nature."""
    rotation = np.abs(np.where(ham.nac_known[:, None, None], ham.nac, 0.0)).max(axis=(1, 2)) * ham.timestep / HBAR
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
            "autocorrelation",
            "bad",
            f"The coupling of {context.names} has a lag-1 autocorrelation of {value:.2f} at {ham.timestep:g} fs: nuclei do not move so fast.",
            "Its signs are random, or frames are shuffled: derive it from phase-corrected overlaps.",
            evidence,
        )
    return Verdict(
        "autocorrelation",
        "good",
        f"The coupling of {context.names} has a lag-1 autocorrelation of {value:.2f}.",
        "",
        evidence,
    )

"""Order of states and single frames that stand out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hopcast.core.hamiltonian import VibronicHamiltonian
from hopcast.core.units import HBAR
from hopcast.couplings import diagnose_overlaps
from hopcast.doctor.pair import Context
from hopcast.doctor.signs import crossing_steps
from hopcast.doctor.verdict import Verdict, at, robust_scale


def swaps(ham: VibronicHamiltonian, context: Context) -> Verdict:
    """States that leave their energy order, and exchanges of character within a step."""
    energies = ham.energies[ham.energy_known]
    known = np.flatnonzero(ham.energy_known)
    disordered = known[(np.diff(energies, axis=1) < -1e-6).any(axis=1)]
    evidence = {"frames_out_of_order": float(len(disordered))}
    if len(disordered):
        return Verdict(
            "swaps",
            "bad" if context.is_gap else "warn",
            f"States are not in order of energy at {len(disordered)} frames, from frame {disordered[0]} on: labels were swapped or follow character.",
            "Use adiabatic states (energy order, `--tracking energy`), or make sure that every code reads the labels alike.",
            evidence,
            at(disordered),
        )
    crossings: NDArray[np.int64] = np.zeros(0, dtype=np.int64)
    if ham.overlaps is not None:
        crossings = np.array([crossing.step for crossing in diagnose_overlaps(ham).crossings], dtype=np.int64)
    elif ham.nac_known.any():
        rotation = np.where(
            ham.nac_known, np.nanmax(np.abs(np.where(ham.nac_known[:, None, None], ham.nac, 0.0)), axis=(1, 2)), 0.0
        )
        crossings = np.flatnonzero(rotation * ham.timestep / HBAR > np.pi / 4)
    evidence["crossings"] = float(len(crossings))
    if len(crossings):
        return Verdict(
            "swaps",
            "warn",
            f"States exchange their characters within {len(crossings)} steps (trivial crossings).",
            "Shorten the nuclear step there, or follow the character (`--tracking trivial`) if the gap does not need energy order.",
            evidence,
            at(crossings),
        )
    return Verdict("swaps", "good", "States stay in order, none exchanges its character within a step.", "", evidence)


def spikes(ham: VibronicHamiltonian, context: Context) -> Verdict:
    """Single frames that stand out of their neighbours."""
    found: dict[int, str] = {}  # what stands out most at a frame
    size: dict[int, float] = {}
    energies = ham.energies
    crossing = crossing_steps(ham)

    def add(frame: int, times: float, words: str) -> None:
        if times > size.get(frame, 0.0):
            found[frame], size[frame] = words, times

    if len(energies) >= 8:
        for state in range(ham.n_states):
            residual, scale = residual_of(energies[:, state], 2e-3)
            for frame in set(spikes_of(energies[:, state], 2e-3).tolist()) - crossing:
                off = float(residual[frame - 2])
                add(frame, abs(off) / scale, f"energy of state {ham.state_labels[state]} by {1e3 * off:+.3g} meV")
    # a turn by more than a quarter of a circle is no crossing: nothing but a fault is so large
    pairs = [(i, j) for i in range(ham.n_states) for j in range(i + 1, ham.n_states)]
    for pair in pairs:
        series = np.abs(ham.coupling(pair))
        near_gap = set(pair) == set(context.pair)
        if len(series) >= 8 and np.isfinite(series).all():
            neighbours = np.maximum(np.maximum(series[:-4], series[1:-3]), np.maximum(series[3:-1], series[4:]))
            lonely = (series[2:-2] > 8 * neighbours) & (
                series[2:-2] > 6 * np.sqrt(np.mean(np.sort(series)[: int(0.98 * len(series))] ** 2))
            )
            hits = set((np.flatnonzero(lonely) + 2).tolist())
            for frame in hits if near_gap else hits - crossing:
                times = float(series[frame] / max(float(np.median(series)), 1e-300))
                names = "-".join(ham.state_labels[state] for state in pair)
                add(frame, times, f"coupling of states {names} of {1e3 * series[frame]:.3g} meV")
    evidence = {"frames": float(len(found))}
    if found:
        listed = "; ".join(f"frame {frame}, {found[frame]}" for frame in sorted(found)[:5])
        return Verdict(
            "spikes",
            "bad",
            f"{len(found)} frames stand out of both their neighbours: {listed}{'; ...' if len(found) > 5 else ''}.",
            "Look at these single points (convergence, another spin state or k-point) and calculate them again.",
            evidence,
            at(np.array(sorted(found))),
        )
    return Verdict("spikes", "good", "No frame stands out of its neighbours.", "", evidence)


def residual_of(series: NDArray[np.float64], floor: float) -> tuple[NDArray[np.float64], float]:
    """Return how far each value (but two at each end) lies off the cubic through its neighbours, and the usual size of that."""
    residual = series[2:-2] - (4 * (series[1:-3] + series[3:-1]) - series[:-4] - series[4:]) / 6
    return residual, max(robust_scale(residual), floor / 15)


def spikes_of(series: NDArray[np.float64], floor: float) -> NDArray[np.int64]:
    """Return the frames whose value stands far out of the line through two neighbours on each side."""
    if not np.isfinite(series).all() or len(series) < 8:
        return np.zeros(0, dtype=np.int64)
    residual, scale = residual_of(series, floor)
    around = np.abs(residual)
    hits = around > 15 * scale
    peak = np.ones_like(hits)
    peak[1:] &= around[1:] >= around[:-1]
    peak[:-1] &= around[:-1] >= around[1:]
    return np.flatnonzero(hits & peak) + 2

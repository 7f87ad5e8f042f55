"""What was done to the overlaps of each step on the way to couplings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hopcast.core.errors import InputError, check_choice
from hopcast.core.hamiltonian import VibronicHamiltonian
from hopcast.couplings.derivative import has_logarithm, orthonormalised
from hopcast.couplings.phases import WEAK_DIAGONAL, block_weights, consistent_gauge
from hopcast.couplings.tracking import match_weights, reordered, tracked_order


@dataclass(frozen=True)
class StepLog:
    """What was done at one step.

    Attributes
    ----------
    step
        Number of the step, from 0: from frame `step` to the next.
    deviation
        Largest element of ``S S^dagger - 1``: what orthonormalisation took away.
    swapped
        States that exchange their characters within the step.
    moved
        States whose label is not at its place in the order of energy at the frame after the step (tracking `trivial`).
    turned
        States whose sign (phase) was turned within the step.
    negative
        States that carry a sign (phase) at the frame after the step, accumulated from the first frame on.
    weak
        Whether some state keeps less than half of itself.
    derivative
        How the coupling was made: "log" or "difference".
    doubtful
        Whether the rotation is not determined (an eigenvalue of S within 1e-3 of -1): the difference was taken.
    """

    step: int
    deviation: float
    swapped: tuple[str, ...]
    moved: tuple[str, ...]
    turned: tuple[str, ...]
    negative: tuple[str, ...]
    weak: bool
    derivative: str
    doubtful: bool


def coupling_log(
    hamiltonian: VibronicHamiltonian,
    *,
    tracking: Literal["energy", "trivial"] = "energy",
    derivative: Literal["log", "difference"] = "log",
) -> tuple[StepLog, ...]:
    """Return what `derive_couplings` does at each step with overlaps, given the same options.

    Raises
    ------
    InputError
        If the Hamiltonian has no overlaps, or states are to be tracked across unknown steps.
    ConfigError
        If an option is unknown.
    """
    check_choice("tracking", tracking, ("energy", "trivial"))
    check_choice("derivative", derivative, ("log", "difference"))
    if hamiltonian.overlaps is None:
        raise InputError("A log of couplings needs the overlaps, but this Hamiltonian has only couplings.")
    raw, labels = hamiltonian.overlaps, hamiltonian.block_labels
    blocks, first = hamiltonian.blocks, [block.start for block in hamiltonian.blocks]
    known = np.flatnonzero(np.isfinite(raw).all(axis=(1, 2)))
    swaps = match_weights(block_weights(raw[known], blocks))
    order = np.broadcast_to(np.arange(hamiltonian.n_states), (len(raw) + 1, hamiltonian.n_states))
    if tracking == "trivial":
        order = tracked_order(raw, hamiltonian.multiplicities)
        raw = reordered(raw, order)
    overlaps = raw[known]
    gauge = consistent_gauge(overlaps, blocks)
    kept = np.einsum("taa->ta", block_weights(overlaps, blocks))
    weak = (kept < WEAK_DIAGONAL).any(axis=1)
    unit = overlaps @ overlaps.conj().swapaxes(1, 2) - np.eye(hamiltonian.n_states)
    deviation = np.abs(unit).max(axis=(1, 2), initial=0.0)
    doubtful = ~has_logarithm(orthonormalised(gauge.overlaps))

    def named(mask: NDArray[Any]) -> tuple[str, ...]:
        return tuple(labels[state] for state in np.flatnonzero(mask))

    steady = np.arange(len(labels))
    return tuple(
        StepLog(
            step=int(step),
            deviation=float(deviation[row]),
            swapped=named(swaps.get(row, steady) != steady),
            moved=named(order[step + 1][first] != first),
            turned=named(gauge.turned[row]),
            negative=named(gauge.moved[row]),
            weak=bool(weak[row]),
            derivative="difference" if doubtful[row] else derivative,
            doubtful=bool(doubtful[row]),
        )
        for row, step in enumerate(known)
    )


def log_to_csv(log: tuple[StepLog, ...], *, first: int = 0, timestep: float | None = None) -> str:
    """Return the log as CSV, a line a step.

    Parameters
    ----------
    log
        Of `coupling_log`.
    first
        Number that the first frame carries in its files.
    timestep
        fs, for the column of times (the mid-point of the step); None leaves it empty.
    """
    lines = ["step,frame,time_fs,deviation,swapped,moved,turned,negative,weak,derivative,doubtful"]
    for entry in log:
        time = "" if timestep is None else f"{(entry.step + 0.5) * timestep:.10g}"
        states = ",".join(" ".join(part) for part in (entry.swapped, entry.moved, entry.turned, entry.negative))
        lines.append(
            f"{entry.step},{first + entry.step},{time},{entry.deviation:.3e},{states},{int(entry.weak)},{entry.derivative},"
            f"{int(entry.doubtful)}"
        )
    return "\n".join(lines) + "\n"


def summary(log: tuple[StepLog, ...]) -> str:
    """Return one sentence that counts what was done."""
    count = len(log)
    turned = sum(bool(entry.turned) for entry in log)
    swapped = sum(bool(entry.swapped) for entry in log)
    moved = sum(bool(entry.moved) for entry in log)
    doubtful = sum(entry.doubtful for entry in log)
    largest = max((entry.deviation for entry in log), default=0.0)
    parts = [
        f"signs turned at {turned} of {count} steps",
        f"states swap at {swapped}",
        f"labels out of the order of energy at {moved}",
        f"rotation not determined at {doubtful}",
        f"S deviates from unitary by up to {largest:.2g}",
    ]
    return ", ".join(parts) + "."

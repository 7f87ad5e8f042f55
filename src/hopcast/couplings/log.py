"""What was done to the overlaps of each step on the way to couplings."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hopcast.core.errors import InputError
from hopcast.core.hamiltonian import VibronicHamiltonian
from hopcast.couplings.phases import step_phases, weak_steps
from hopcast.couplings.tracking import match_states


@dataclass(frozen=True)
class StepLog:
    """What was done at one step.

    Attributes
    ----------
    step
        Number of the step, from 0: from frame `step` to the next.
    turned
        States whose sign (phase) was turned within the step.
    swapped
        States that exchange their characters.
    weak
        Whether some state keeps less than half of itself.
    deviation
        Largest element of ``S S^dagger - 1``: what orthonormalisation took away.
    """

    step: int
    turned: tuple[str, ...]
    swapped: tuple[str, ...]
    weak: bool
    deviation: float


def coupling_log(hamiltonian: VibronicHamiltonian) -> tuple[StepLog, ...]:
    """Return what `derive_couplings` does at each step with overlaps.

    Raises
    ------
    InputError
        If the Hamiltonian has no overlaps.
    """
    if hamiltonian.overlaps is None:
        raise InputError("A log of couplings needs the overlaps, but this Hamiltonian has only couplings.")
    known = np.flatnonzero(np.isfinite(hamiltonian.overlaps).all(axis=(1, 2)))
    overlaps = hamiltonian.overlaps[known]
    turned = np.abs(step_phases(overlaps) - 1.0) > 1e-8
    swaps = match_states(overlaps)
    weak = set(weak_steps(overlaps).tolist())
    unit = overlaps @ overlaps.conj().swapaxes(1, 2) - np.eye(hamiltonian.n_states)
    deviation = np.abs(unit).max(axis=(1, 2), initial=0.0)
    labels = hamiltonian.state_labels

    def moved(row: int) -> tuple[str, ...]:
        partner = swaps.get(row)
        return (
            ()
            if partner is None
            else tuple(labels[i] for i in np.flatnonzero(partner != np.arange(len(partner))))
        )

    return tuple(
        StepLog(int(step), tuple(labels[i] for i in np.flatnonzero(turned[row])), moved(row), row in weak, float(deviation[row]))
        for row, step in enumerate(known)
    )  # fmt: skip


def log_to_csv(log: tuple[StepLog, ...]) -> str:
    """Return the log as CSV, a line a step."""
    lines = ["step,turned,swapped,weak,deviation"]
    lines += [
        f"{entry.step},{' '.join(entry.turned)},{' '.join(entry.swapped)},{int(entry.weak)},{entry.deviation:.3e}"
        for entry in log
    ]
    return "\n".join(lines) + "\n"

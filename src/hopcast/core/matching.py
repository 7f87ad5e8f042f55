"""Whether a trajectory and a Hamiltonian hold the same frames: by the numbers that their sources gave them, else by how many there are."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hopcast.core.errors import InputError
from hopcast.core.hamiltonian import VibronicHamiltonian
from hopcast.core.trajectory import Trajectory

ORIGINS = (0, 1)
"""Where codes begin to count: two inputs that begin at one of these each begin with the same frame."""


def check_same_frames(trajectory: Trajectory, hamiltonian: VibronicHamiltonian, name: str = "the trajectory") -> None:
    """Refuse a trajectory and a Hamiltonian that do not belong together.

    Parameters
    ----------
    trajectory, hamiltonian
        The two.
    name
        What the trajectory is called in the message, e.g. "`md.xyz`".

    Raises
    ------
    InputError
        If their time steps differ, or the numbers of their frames, or how many they are; says how to cut which.
    """
    finding = frames_differ(trajectory, hamiltonian, name)
    if finding:
        raise InputError(finding)


def frames_differ(trajectory: Trajectory, hamiltonian: VibronicHamiltonian, name: str = "the trajectory") -> str:
    """Return why a trajectory and a Hamiltonian do not hold the same frames and how to cut which, or an empty string.

    Where both carry numbers that count evenly, these decide; counts that begin at 0 and at 1 begin with the same frame. Else only the
    numbers of frames can be compared.
    """
    if not math.isclose(trajectory.timestep, hamiltonian.timestep, rel_tol=1e-6):
        return (
            f"The time steps of {name} and of the Hamiltonian must be the same, but are {trajectory.timestep:g} fs and "
            f"{hamiltonian.timestep:g} fs. Thin out the finer one, or correct the time step."
        )
    n_nuclei, n_states = trajectory.n_frames, hamiltonian.n_frames
    nuclei, states = _count(trajectory.frame_numbers), _count(hamiltonian.frame_numbers)
    if nuclei is None or states is None:
        if n_nuclei == n_states:
            return ""
        longer = _cut(name, 0, n_states) if n_nuclei > n_states else _cut("the Hamiltonian", 0, n_nuclei)
        return (
            f"The frames of {name} and of the Hamiltonian must be the same, but are {n_nuclei} and {n_states}. Nothing says which belong "
            f"together: if the first ones do, cut the longer one, {longer}."
        )
    if nuclei.stride != states.stride:  # one counts steps of the dynamics, the other what was written
        nuclei, states = nuclei.in_frames(), states.in_frames()
    shift = states.first - nuclei.first
    if nuclei.first in ORIGINS and states.first in ORIGINS:
        shift = 0
    if shift % nuclei.stride == 0:
        start = shift // nuclei.stride  # the frame of the trajectory with which the Hamiltonian begins
        first, last = max(0, start), min(n_nuclei, start + n_states)
        if (start, n_nuclei) == (0, n_states):
            return ""
        if first < last:
            cuts = []
            if (first, last) != (0, n_nuclei):
                cuts.append(_cut(name, first, last))
            if (first - start, last - start) != (0, n_states):
                cuts.append(_cut("the Hamiltonian", first - start, last - start))
            return (
                f"The frames of {name} and of the Hamiltonian must be the same, but are numbered {nuclei.first} to {nuclei.last(n_nuclei)} "
                f"({n_nuclei}) and {states.first} to {states.last(n_states)} ({n_states}). Cut {', and '.join(cuts)}."
            )
    return (
        f"The frames of {name} and of the Hamiltonian must be the same, but are numbered {nuclei.first} to {nuclei.last(n_nuclei)} and "
        f"{states.first} to {states.last(n_states)}: they have none in common. Take the run that belongs to the Hamiltonian; if they are "
        f"the same frames, counted from elsewhere, say so (`hopcast convert ... --first-number {states.first}`, or `frame_numbers=None`)."
    )


def in_one_count(one: NDArray[np.int64], other: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the numbers of frames of two inputs in one count, as `frames_differ` compares them; broken counts as they are."""
    first, second = _count(one), _count(other)
    if first is None or second is None:
        return one, other
    if first.stride != second.stride:
        first, second = first.in_frames(), second.in_frames()
    if first.first in ORIGINS and second.first in ORIGINS:
        second = _Count(first.first, second.stride)
    return first.numbers(len(one)), second.numbers(len(other))


class _Count(NamedTuple):
    """Numbers that go up evenly."""

    first: int
    stride: int

    def last(self, n_frames: int) -> int:
        return self.first + self.stride * (n_frames - 1)

    def numbers(self, n_frames: int) -> NDArray[np.int64]:
        return self.first + self.stride * np.arange(n_frames, dtype=np.int64)

    def in_frames(self) -> _Count:
        """Return the count of what was written; a count of steps begins at a multiple of its stride."""
        return _Count(self.first // self.stride, 1)


def _count(numbers: NDArray[np.int64] | None) -> _Count | None:
    """Return the count of frames, or None where there is none or it is broken (a seam: `hopcast check` names it)."""
    if numbers is None or len(numbers) < 2:
        return None
    steps = np.diff(numbers)
    return _Count(int(numbers[0]), int(steps[0])) if steps[0] > 0 and (steps == steps[0]).all() else None


def _cut(name: str, start: int, stop: int) -> str:
    """Return how to keep some frames of the trajectory or the Hamiltonian."""
    what = "hamiltonian" if name == "the Hamiltonian" else "trajectory"
    begin = start or ""
    return f"{name} to `{what}[{begin}:{stop}]` (`hopcast convert IN OUT --frames {start}:{stop}`)"

"""Where time does not go on: frames that are repeated, missing or unknown, and numbers that begin anew (runs joined at a restart)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hopcast.core.hamiltonian import VibronicHamiltonian
from hopcast.doctor.pair import Context
from hopcast.doctor.verdict import Verdict, at

LONG_STEP = 3.0
"""No step of all atoms together goes so many times as far as the typical one without a gap in time."""
LONG_STEP_OF_STATES = 8.0
"""The same of a few energies, whose steps vary more."""
FEWEST_STATES_REPEATED = 3
"""Consecutive frames whose energies must come again: printed digits of single frames agree by accident."""
_OFFSET = 0.123456789  # off every decimal fraction, so that printed digits never lie on the edge of a bin


def frames(ham: VibronicHamiltonian, context: Context) -> Verdict:
    """Repeated and unknown frames of a Hamiltonian."""
    name, known = "duplicate frames", ham.energy_known
    evidence = {"unknown": float((~known).sum())}
    energies = ham.energies[known]
    same = np.flatnonzero(known)[_repeats(energies, 1e9, FEWEST_STATES_REPEATED)]
    moving = bool(len(energies)) and bool(np.any(energies != energies[0]))
    if len(same) and moving:
        earlier = _first_like(ham.energies, int(same[0]))
        return Verdict(
            name,
            "bad",
            f"{len(same)} frames have exactly the energies of an earlier frame ({same[0]} those of {earlier}).",
            "Remove the repeated frames (restarts write frames twice) before couplings are calculated.",
            {**evidence, "repeated": float(len(same))},
            at(same),
        )
    if known.all():
        return Verdict(name, "good", "Every frame is known and none is repeated.", "", evidence)
    n_known = int(known.sum())
    if n_known > 0.5 * len(known):
        return Verdict(
            name,
            "warn",
            f"{len(known) - n_known} frames have no energies.",
            "Calculate them, or forecast them (`hopcast run`).",
            evidence,
            at(np.flatnonzero(~known)),
        )
    paired = _paired(ham)
    alone = np.flatnonzero(known & ~paired)
    if len(alone):
        return Verdict(
            name,
            "warn",
            f"Of {len(known)} frames {n_known} are computed, {len(alone)} of them without a coupling to the next or the last one.",
            "Finish the plan (`hopcast compute`, `hopcast harvest`): each frame needs its partner.",
            evidence,
            at(alone),
        )
    return Verdict(
        name,
        "good",
        f"{int(ham.nac_known.sum())} pairs of neighbouring frames are computed, of {len(known)} frames; none is repeated.",
        "",
        evidence,
    )


def _paired(ham: VibronicHamiltonian) -> NDArray[np.bool_]:
    """Return which energies belong to a coupling that is known, or to an overlap."""
    steps = ham.nac_known.copy()
    if ham.overlaps is not None:
        steps |= np.isfinite(ham.overlaps).all(axis=(1, 2))
    if ham.energy_grid == "midpoint":
        return steps
    return np.concatenate([steps, [False]]) | np.concatenate([[False], steps])


def missing_energies(ham: VibronicHamiltonian, context: Context) -> Verdict:
    """Find steps across which every state jumps as over a gap in time."""
    energies = ham.energies
    if len(energies) < 20 or not ham.energy_known.all():
        return Verdict("missing frames", "skipped", "It needs twenty frames of energies.")
    found = missing_of(energies, "energies")
    if found.level == "bad":
        return found
    length = np.sqrt((np.diff(energies - energies.mean(axis=1, keepdims=True), axis=0) ** 2).mean(axis=1))
    seams = _long_steps(length, LONG_STEP_OF_STATES)
    if len(seams):
        return Verdict(
            "missing frames",
            "warn",
            f"All states together jump {length[seams[0]] / np.median(length):.2g} times as far as they typically do, between frames {seams[0]} and "
            f"{seams[0] + 1}: runs may be joined there, with frames missing between them.",
            "Look whether frames are missing there, and cut the data if so: a coupling across a gap has no meaning.",
            {"typical_step_meV": 1e3 * float(np.median(length))},
            at(seams),
        )
    return found


def numbering_of_states(ham: VibronicHamiltonian, context: Context) -> Verdict:
    """Look at the numbers that frames of the Hamiltonian carry."""
    return numbering(ham.frame_numbers, "numbering of states")


def numbering(numbers: NDArray[np.int64] | None, name: str = "numbering") -> Verdict:
    """Look at the numbers that frames carry in their source."""
    if numbers is None or len(numbers) < 3 or (numbers < 0).any():
        return Verdict(name, "skipped", "The frames carry no numbers.")
    steps = np.diff(numbers)
    stride = int(np.median(steps))
    evidence = {"first": float(numbers[0]), "last": float(numbers[-1])}
    odd = np.flatnonzero(steps != stride)
    # a run that counts for itself begins at 0 or 1: whether time goes on there only the frames can say
    anew = odd[(numbers[odd + 1] <= 1) & (steps[odd] < 0)]
    wrong = np.setdiff1d(odd, anew)
    if len(wrong):
        where = int(wrong[0])
        before, after = int(numbers[where]), int(numbers[where + 1])
        kind = "is repeated" if after == before else f"is followed by {after}"
        finding = f"Frames are numbered in steps of {stride}, but number {before} (frame {where}) {kind}"
        if after < before:
            finding += f": {(before - after) // max(stride, 1) + 1} numbers come twice, as after a restart"
        return Verdict(
            name,
            "bad",
            finding + ".",
            "Restore the missing frames, or remove those that are repeated.",
            evidence,
            at(wrong + 1),
        )
    if len(anew):
        ends = ", ".join(f"{numbers[end]} (frame {end})" for end in anew[:5])
        return Verdict(
            name,
            "warn",
            f"Numbers begin anew after {ends}: {len(anew) + 1} runs are joined.",
            "If no check of the frames below finds a seam, time goes on there; else cut the runs apart, or remove what is repeated.",
            evidence,
            at(anew + 1),
        )
    return Verdict(name, "good", f"Frames are numbered {numbers[0]} to {numbers[-1]} without a gap.", "", evidence)


def repeated_places(places: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the frames whose coordinates [n_frames, ...] (fractions of the cell or Å) are those of an earlier frame."""
    return _repeats(places, 1e6, 1)


def long_steps(length: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the steps of all atoms together [n_steps] that no motion explains, each by itself."""
    return _long_steps(length, LONG_STEP)


def _long_steps(length: NDArray[np.float64], times: float) -> NDArray[np.int64]:
    typical = float(np.median(length))
    if typical == 0 or len(length) < 12:
        return np.zeros(0, dtype=np.int64)
    far = length > times * typical
    # where much of the data goes so far, this is how it moves; and what comes back at once is a single frame that stands out
    if far.mean() > 0.02:
        return np.zeros(0, dtype=np.int64)
    alone = far.copy()
    alone[1:] &= ~far[:-1]
    alone[:-1] &= ~far[1:]
    usual = float(np.quantile(length[~far], 0.999))
    return np.flatnonzero(alone & (length > 1.5 * usual))


def _first_like(series: NDArray[np.float64], frame: int) -> int:
    """Return the first frame with these values."""
    distance = np.abs(series - series[frame]).max(axis=1)
    return int(np.argmax(distance < 1e-8))


def _repeats(series: NDArray[np.float64], resolution: float, stretch: int) -> NDArray[np.int64]:
    """Return the frames that repeat an earlier one: in a stretch of some frames at one distance, or right after it."""
    if len(series) < 2:
        return np.zeros(0, dtype=np.int64)
    bins = np.floor(series.reshape(len(series), -1) * resolution + _OFFSET).astype(np.int64)
    _, group = np.unique(bins, axis=0, return_inverse=True)
    last: dict[int, int] = {}
    distance = np.zeros(len(series), dtype=np.int64)
    for frame, member in enumerate(np.ravel(group).tolist()):
        distance[frame] = frame - last.get(member, frame)
        last[member] = frame
    found = distance == 1
    begin = 0
    for frame in range(1, len(series) + 1):
        if frame == len(series) or distance[frame] != distance[begin]:
            if distance[begin] and frame - begin >= stretch:
                found[begin:frame] = True
            begin = frame
    return np.flatnonzero(found)


def missing_of(series: NDArray[np.float64], what: str) -> Verdict:
    """Judge steps that go about twice as far as the steps around them, in all coordinates together."""
    flat = series.reshape(len(series), -1)
    steps = np.diff(flat, axis=0)
    expected = 0.5 * (steps[:-2] + steps[2:])
    size = (expected**2).sum(axis=1)
    ratio = (steps[1:-1] * expected).sum(axis=1) / np.where(size > 0, size, np.inf)
    rest = np.sqrt(((steps[1:-1] - ratio[:, None] * expected) ** 2).sum(axis=1) / np.where(size > 0, size, np.inf))
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
            "missing frames",
            "bad",
            f"{len(gaps)} steps go {ratio[gaps[0] - 1]:.2g} times as far as those around them: frames are missing.",
            "Add the missing frames, or cut the data there; a coupling across a gap has no meaning.",
            evidence,
            at(gaps),
        )
    return Verdict("missing frames", "good", f"The {what} move evenly from frame to frame.", "", evidence)

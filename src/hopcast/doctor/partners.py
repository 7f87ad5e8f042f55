"""Degenerate states: pairs that split, meet, are cut, are copies, or come without a common basis."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hopcast.core.blocks import COHERENT, LOOSE, MIXED, TOLERANCE, are_copies, mixed_shares, orientation, tied_shares
from hopcast.core.errors import InputError
from hopcast.core.hamiltonian import VibronicHamiltonian
from hopcast.doctor.verdict import Verdict, at
from hopcast.dynamics.problem import check_pairs

NAME = "degenerate states"
NEARLY = 0.1
"""Pairs that split by less than this part of their distance from the next look like pairs whose symmetry was lost."""
LISTED = 4


def partners(ham: VibronicHamiltonian, overlaps: NDArray[Any] | None = None) -> Verdict | None:
    """Return what is to be said of degenerate states; None where there are none and none are missing.

    Parameters
    ----------
    ham
        With its blocks, couplings derived where there are overlaps.
    overlaps
        As they come, before bases were aligned.
    """
    energies = ham.energies[ham.energy_known]
    frames = np.flatnonzero(ham.energy_known)
    if len(energies) == 0:
        return None
    if not ham.is_degenerate:
        return _copies_apart(ham) or _nearly_pairs(energies)
    try:
        check_pairs(ham)
    except InputError as error:
        return Verdict(NAME, "bad", str(error), "Leave the state out, or read one more.")
    spread = np.stack([np.ptp(energies[:, block], axis=1) for block in ham.blocks], axis=1)
    evidence = {
        "blocks": float(ham.n_blocks),
        "states": float(ham.n_states),
        "largest_splitting_meV": 1e3 * float(spread.max()),
    }
    kinds = _listed(list(ham.block_labels))
    finding = f"{ham.n_states} states are {ham.n_blocks} degenerate blocks ({kinds}), each counted as one state."
    return (
        _split(ham, overlaps, spread, frames, evidence)
        or _without_basis(ham, evidence)
        or _meeting(ham, frames, evidence)
        or Verdict(NAME, "good", finding, "", evidence)
    )


def _split(
    ham: VibronicHamiltonian,
    overlaps: NDArray[Any] | None,
    spread: NDArray[np.float64],
    frames: NDArray[np.intp],
    evidence: dict[str, float],
) -> Verdict | None:
    """Find blocks that do not have one energy, at some frames or throughout."""
    missing = _split_throughout(ham)
    lifted = (spread > TOLERANCE).any(axis=1)
    if not (lifted.any() or missing):
        return None
    apart = np.flatnonzero((spread > TOLERANCE).any(axis=0))
    split = _listed([ham.block_labels[block] for block in apart])
    if not missing and _mixed(ham, overlaps, apart) and spread.max() <= LOOSE:
        return Verdict(
            NAME,
            "warn",
            f"{split} split by up to {1e3 * spread.max():.3g} meV, but their overlaps mix them at most steps, as a basis of a degenerate pair does: "
            "counted as one state each.",
            "Write energies with more digits; if the splitting is meant, nothing.",
            evidence,
        )
    finding = (
        f"{split} must have one energy, but split by up to {1e3 * spread.max():.3g} meV at {int(lifted.sum())} frames."
        if lifted.any()
        else f"{missing} do not have one energy like all other pairs, but split at every frame."
    )
    return Verdict(
        NAME,
        "bad",
        finding,
        "Look at these single points: time reversal (or another symmetry) was lost, e.g. by magnetic moments, or bands of two k-points are mixed.",
        evidence,
        at(frames[lifted]),
    )


def _mixed(ham: VibronicHamiltonian, overlaps: NDArray[Any] | None, blocks: NDArray[np.intp]) -> bool:
    """Whether the raw overlaps mix the states inside of some blocks at most steps, and their energies are apart at more than a few frames."""
    if overlaps is None:
        return False
    mixed, tied = mixed_shares(overlaps), tied_shares(ham.energies)
    edges = [state for block in blocks for state in range(ham.blocks[block].start, ham.blocks[block].stop - 1)]
    return bool((mixed[edges] > MIXED).all() and (tied[edges] <= 0.9).all())


def _without_basis(ham: VibronicHamiltonian, evidence: dict[str, float]) -> Verdict | None:
    """Find copies of one spin, and couplings whose basis is another one at every step."""
    matrices = ham.nac if ham.overlaps is None else ham.overlaps
    if are_copies(matrices, ham.multiplicities):
        return Verdict(
            NAME,
            "warn",
            f"Every state is there twice, and the two never mix: {ham.n_blocks} alpha states and their beta copies (a closed shell).",
            "Read one spin (`--spin`, where the format has it) or every second state: the results are the same, at a fraction of the cost.",
            evidence,
        )
    alike = orientation(ham.nac, ham.multiplicities)
    if alike is None:
        return None
    evidence["orientation_from_step_to_step"] = alike
    if alike >= COHERENT or ham.overlaps is not None:
        return None
    return Verdict(
        NAME,
        "warn",
        "The couplings of degenerate states have another basis at every step: only their norms mean something, and these are used.",
        "Read raw overlaps, from which hopcast aligns the bases; the norms leave out how spins turn between the pairs.",
        evidence,
    )


def _meeting(ham: VibronicHamiltonian, frames: NDArray[np.intp], evidence: dict[str, float]) -> Verdict | None:
    """Find blocks that grow together at some frames."""
    meeting = np.abs(np.diff(ham.block_energies[ham.energy_known], axis=1)) <= TOLERANCE
    if not meeting.any():
        return None
    evidence["meetings"] = float(meeting.any(axis=1).sum())
    names = ham.block_labels
    pairs = [f"{names[i]} and {names[i + 1]}" for i in np.flatnonzero(meeting.any(axis=0))]
    return Verdict(
        NAME,
        "warn",
        f"Degenerate states grow together at {int(evidence['meetings'])} frames (crossings): {_listed(pairs)}. They are followed as "
        "blocks of their usual size.",
        "Shorten the time step there if the lifetime depends on them.",
        evidence,
        at(frames[meeting.any(axis=1)]),
    )


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(names[:LISTED]) + more


def _split_throughout(ham: VibronicHamiltonian) -> str:
    """Return the names of two single states that stand where pairs are expected: "4 and 5", or nothing."""
    sizes = np.array(ham.multiplicities)
    alone = np.flatnonzero(sizes == 1)
    if (sizes == 2).sum() <= alone.size or alone.size % 2:
        return ""
    couples = alone.reshape(-1, 2)
    if not (np.diff(couples, axis=1) == 1).all():
        return ""
    names = [f"{ham.block_labels[i]} and {ham.block_labels[j]}" for i, j in couples]
    return _listed(names)


def _nearly_pairs(energies: NDArray[np.float64]) -> Verdict | None:
    """Find states that come two by two, close but not degenerate: pairs whose symmetry was lost at every frame."""
    n = energies.shape[1]
    if n < 4 or n % 2:
        return None
    gaps = np.median(np.abs(np.diff(energies, axis=1)), axis=0)
    within, between = gaps[::2], gaps[1::2]
    if within.max() > NEARLY * between.min() or within.max() > 0.1:
        return None
    size = 1e3 * float(np.median(within))
    return Verdict(
        NAME,
        "warn",
        f"The {n} states come two by two, {size:.3g} meV apart in the median: they look like Kramers pairs that are split.",
        "At k-points that time reversal leaves as they are (Γ, X, R, ...) pairs have one energy: look for magnetic moments, another k-point, or bands of "
        "two k-points mixed. If the splitting is meant, nothing.",
        {"median_splitting_meV": size},
    )


def _copies_apart(ham: VibronicHamiltonian) -> Verdict | None:
    """Find the states of one spin followed by their copies."""
    half, odd = divmod(ham.n_states, 2)
    known = ham.energies[ham.energy_known]
    if odd or half < 1 or not np.allclose(known[:, :half], known[:, half:], rtol=0, atol=1e-6):
        return None
    return Verdict(
        NAME,
        "bad",
        f"States {half} to {ham.n_states - 1} are copies of states 0 to {half - 1}: alpha and beta of a closed shell, one after the other.",
        f"Read one spin (`--spin`, where the format has it), or take the first {half} states.",
        {"copies": float(half)},
    )

r"""Degenerate blocks: states of one energy (Kramers pairs, states of two k-points, spatial symmetry) that count as one.

Within a block `a` of multiplicity :math:`m_a` a program hands out any orthonormal basis, another one at every frame: a
rotation in :math:`U(m_a)`. What is computed must not depend on it. The couplings between two blocks are a matrix
:math:`N_{ab} = (\hbar d_{ij})_{i\in a,j\in b}` that turns as :math:`W_a^\dagger N_{ab}W_b`; invariant are its singular values, and of
them the rates need the Frobenius norm (see `hopcast.couplings` and the page on spin-orbit coupling).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

TOLERANCE: Final = 1e-4
"""States that are closer in energy count as degenerate, eV: text of five or six digits keeps a pair that close."""
LOOSE: Final = 5e-3
"""States that are closer, and that the overlaps mix, count as degenerate too, eV: text of three digits splits a pair so far."""
MIXED: Final = 0.25
"""Share that two states hand over to each other at most steps where they have no basis of their own (a half for random ones)."""
NAMES: Final = {2: "pair", 3: "triplet", 4: "quartet"}
COHERENT: Final = 0.7
"""Cosine between block couplings of neighbouring steps (median) above which their sign is followed."""


def tied_shares(energies: NDArray[np.float64], tolerance: float = TOLERANCE) -> NDArray[np.float64]:
    """Return the share of frames at which each state and the next have the same energy [n_states - 1].

    Parameters
    ----------
    energies
        [n_frames, n_states], eV; frames that are not known are left out.
    tolerance
        eV.
    """
    known = energies[np.isfinite(energies).all(axis=1)]
    if len(known) == 0:
        return np.zeros(energies.shape[1] - 1)
    return np.asarray((np.abs(np.diff(known, axis=1)) <= tolerance).mean(axis=0), dtype=np.float64)


def mixed_shares(overlaps: NDArray[Any]) -> NDArray[np.float64]:
    """Return how much each state and the next hand over to each other from frame to frame, in the median [n_states - 1].

    :math:`(|S_{i,i+1}|^2 + |S_{i+1,i}|^2)` over the sum of all four: a half where a program hands out any basis of the two at every frame,
    near zero where they are states of their own.

    Parameters
    ----------
    overlaps
        [n_steps, n_states, n_states]; steps that are not known are left out.
    """
    known = overlaps[np.isfinite(overlaps).all(axis=(1, 2))]
    n_pairs = overlaps.shape[1] - 1
    if len(known) == 0:
        return np.zeros(n_pairs)
    weights = np.abs(known) ** 2
    low = np.arange(n_pairs)
    off = weights[:, low, low + 1] + weights[:, low + 1, low]
    whole = off + weights[:, low, low] + weights[:, low + 1, low + 1]
    return np.asarray(np.median(off / np.maximum(whole, 1e-300), axis=0))


def find_multiplicities(
    energies: NDArray[np.float64], tolerance: float = TOLERANCE, overlaps: NDArray[Any] | None = None
) -> tuple[int, ...]:
    """Return the multiplicities of the blocks of neighbouring states.

    Two states belong together where they are closer than `tolerance` at most frames, or closer than `LOOSE` and their raw overlaps mix
    them at most steps (`MIXED`): energies in text of three digits split pairs that are one, and their bases give them away.
    """
    together = tied_shares(energies, tolerance) > 0.5
    if overlaps is not None and not together.all():
        known = energies[np.isfinite(energies).all(axis=1)]
        if len(known):
            near = np.median(np.abs(np.diff(known, axis=1)), axis=0) <= LOOSE
            together |= near & (mixed_shares(overlaps) > MIXED)
    edges = np.flatnonzero(~together)
    return tuple(int(size) for size in np.diff([0, *(edges + 1), energies.shape[1]]))


def block_slices(multiplicities: Sequence[int]) -> tuple[slice, ...]:
    """Return the states of each block."""
    ends = np.cumsum(multiplicities).tolist()
    return tuple(slice(end - size, end) for end, size in zip(ends, multiplicities, strict=True))


def block_means(energies: NDArray[np.float64], blocks: Sequence[slice]) -> NDArray[np.float64]:
    """Return the mean energy of each block [n_frames, n_blocks], eV."""
    return np.stack([energies[:, block].mean(axis=1) for block in blocks], axis=1)


def block_name(names: Sequence[str], place: int | None) -> str:
    """Return what a block is called: its only state, or "VBM pair", "CBM+1 pair", "7/8 pair".

    Parameters
    ----------
    names
        Of its states.
    place
        Blocks above the highest occupied one (0 is the VBM, 1 the CBM); None where occupations are unknown.
    """
    if len(names) == 1:
        return names[0]
    word = NAMES.get(len(names), f"block of {len(names)}")
    if place is None:
        return f"{'/'.join(names)} {word}"
    edge, away = ("VBM", place) if place <= 0 else ("CBM", place - 1)
    return f"{edge}{away:+d} {word}" if away else f"{edge} {word}"


def block_coupling(matrices: NDArray[Any], reference: int | None = None) -> NDArray[np.float64]:
    r"""Return the signed norm of block couplings, :math:`\pm\lVert N\rVert_F`, smooth where `N` passes through zero.

    Singular values know no sign, but :math:`v(t)U` with a fixed unitary `U` changes that of `v` when it passes through zero,
    which dynamics must see. The sign is kept while :math:`\mathrm{Re\,tr}\,N^\dagger(t)N(t+\Delta t) > 0` and turns otherwise; it is invariant
    under a rotation of both blocks that is the same at all times, as derived couplings have it. Where the couplings of
    neighbouring steps are not aligned (no overlaps: each step has a basis of its own) the plain norm is returned.

    Parameters
    ----------
    matrices
        [n_steps, m_a, m_b], NaN where unknown.
    reference
        Step whose sign is positive; None takes that of the largest norm.
    """
    norms = np.sqrt((np.abs(matrices) ** 2).sum(axis=(1, 2)))
    if len(norms) < 2 or not np.isfinite(norms).any():
        return np.asarray(norms, dtype=np.float64)
    alike = (matrices[:-1].conj() * matrices[1:]).sum(axis=(1, 2)).real
    both = norms[:-1] * norms[1:]
    known = np.isfinite(both) & (both > 0)
    if not known.any() or np.median(np.abs(alike[known]) / both[known]) < COHERENT:
        return np.asarray(norms, dtype=np.float64)
    turns = np.where(known & (alike < 0), -1.0, 1.0)
    signs = np.concatenate([[1.0], np.cumprod(turns)])
    at = int(np.nanargmax(norms)) if reference is None else reference
    return np.asarray(norms * signs * signs[at], dtype=np.float64)


def orientation(nac: NDArray[Any], multiplicities: Sequence[int]) -> float | None:
    r"""Return how alike the couplings of blocks are from step to step, from 0 to 1; None where nothing tells it.

    The median, over steps and pairs of blocks, of :math:`|\mathrm{Re\,tr}\,N^\dagger(t)N(t+\Delta t)|/\lVert N(t)\rVert\lVert N(t+\Delta t)\rVert`: near one where
    the bases of neighbouring frames are aligned (or the couplings are real numbers), below a half where each step has a basis of its own.

    Parameters
    ----------
    nac
        [n_steps, n_states, n_states].
    multiplicities
        Of the blocks.
    """
    cosines = []
    for low, high in itertools.combinations(block_slices(multiplicities), 2):
        part = nac[:, low, high]
        norms = np.sqrt((np.abs(part) ** 2).sum(axis=(1, 2)))
        both = norms[:-1] * norms[1:]
        known = np.isfinite(both) & (both > 0)
        products = np.abs((part[:-1].conj() * part[1:]).sum(axis=(1, 2)).real)
        cosines.append(products[known] / both[known])
    found = np.concatenate(cosines) if cosines else np.zeros(0)
    return float(np.median(found)) if found.size else None


def are_copies(matrices: NDArray[Any], multiplicities: Sequence[int]) -> bool:
    """Return whether pairs are two copies of the same states (alpha and beta of a closed shell) and not Kramers pairs.

    Copies never mix, each couples to its own kind, and both couple alike.

    Parameters
    ----------
    matrices
        Couplings or overlaps [n_steps, n_states, n_states].
    multiplicities
        Of the blocks.
    """
    known = matrices[np.isfinite(matrices).all(axis=(1, 2))]
    if set(multiplicities) != {2} or not len(known) or not known.any():
        return False
    apart = not (known[:, ::2, 1::2].any() or known[:, 1::2, ::2].any())
    return bool(apart and np.allclose(known[:, ::2, ::2], known[:, 1::2, 1::2], rtol=1e-6, atol=1e-12))


def merged_couplings(nac: NDArray[Any], multiplicities: Sequence[int]) -> NDArray[np.float64]:
    r"""Return one real coupling for each two blocks, :math:`\pm\lVert N_{ab}\rVert_F/\sqrt{m_b}` with `b` the upper one.

    Its square is the sum over final states and the mean over initial ones of :math:`|\hbar d_{ij}|^2`. Signs follow
    `block_coupling`; between blocks of one size those of the step with the largest couplings are told by the bases that make
    the couplings of neighbouring blocks positive there, so that a model doubled by time reversal comes back as it was.

    Parameters
    ----------
    nac
        [n_steps, n_states, n_states], eV.
    multiplicities
        Of the blocks.

    Returns
    -------
    ndarray
        [n_steps, n_blocks, n_blocks], antisymmetric.
    """
    blocks = block_slices(multiplicities)
    result = np.zeros((len(nac), len(blocks), len(blocks)))
    power = (np.abs(nac) ** 2).sum(axis=(1, 2))
    at = int(np.nanargmax(power)) if np.isfinite(power).any() else 0
    bases = _chained_bases(nac[at], blocks)
    for i, low in enumerate(blocks):
        for j in range(i + 1, len(blocks)):
            high = blocks[j]
            signed = block_coupling(nac[:, low, high], at) / np.sqrt(multiplicities[j])
            if bases is not None and np.trace(bases[i].conj().T @ nac[at, low, high] @ bases[j]).real < 0:
                signed = -signed
            result[:, i, j], result[:, j, i] = signed, -signed
    return result


def _chained_bases(nac: NDArray[Any], blocks: Sequence[slice]) -> list[NDArray[Any]] | None:
    """Return bases in which the couplings of neighbouring blocks are positive; None for blocks of several sizes."""
    if len({block.stop - block.start for block in blocks}) != 1 or not np.isfinite(nac).all():
        return None
    bases = [np.eye(blocks[0].stop - blocks[0].start)]
    for low, high in itertools.pairwise(blocks):
        left, _, right = np.linalg.svd(nac[low, high].conj().T @ bases[-1])
        bases.append(left @ right)
    return bases

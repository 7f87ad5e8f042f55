r"""Linear maps of the ensemble of two degenerate blocks: the `consistent` rule with `exponential` waiting, without sampling.

As in `hopcast.dynamics.maps` an ensemble is one unnormalised density matrix per active state, here of all partners of both
blocks, each as the real coefficients of a Hermitian basis: first that of the upper block active, then, unless the lower
one absorbs, that of the lower one. Measurements ask "in the block or not": they keep what is within a block (also the coherences
of partners, whose energies do not dephase) and end the coherences between blocks. A start, and a hop that is refused, leave the
unpolarised state :math:`1_a/m_a` of the block. All of this commutes with rotations within the blocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hopcast.core.chunks import chunk_slices, map_chunks, single_threaded_blas
from hopcast.dynamics.maps import boltzmann_factors, chain
from hopcast.dynamics.propagation import SubstepGrid, propagators

_CHUNK = 64


@dataclass(frozen=True, eq=False)
class BlockEnsemble:
    """Maps of all steps, and how to read and to start an ensemble.

    Attributes
    ----------
    maps
        Of each nuclear step, sub-steps multiplied [n_steps, d, d].
    row
        Reads the population of the upper block: the trace of its density matrix [d].
    starts
        The unpolarised ensemble of the lower and of the upper block [2, d]; where the lower one absorbs the first is zero.
    between
        The coefficients that are coherences between blocks [d].
    """

    maps: NDArray[np.float64]
    row: NDArray[np.float64]
    starts: NDArray[np.float64]
    between: NDArray[np.bool_]


def hermitian_basis(n: int) -> NDArray[np.complex128]:
    """Return an orthonormal basis of Hermitian matrices [n * n, n, n]: first the populations, then the coherences."""
    basis = np.zeros((n * n, n, n), dtype=np.complex128)
    basis[range(n), range(n), range(n)] = 1.0
    at = n
    for i in range(n):
        for j in range(i + 1, n):
            basis[at, i, j] = basis[at, j, i] = np.sqrt(0.5)
            basis[at + 1, i, j], basis[at + 1, j, i] = 1j * np.sqrt(0.5), -1j * np.sqrt(0.5)
            at += 2
    return basis


def block_ensemble(
    grid: SubstepGrid,
    multiplicities: Sequence[int],
    dephasing_time: float,
    *,
    temperature: float | None = None,
    absorbing: bool = True,
    workers: int | None = None,
) -> BlockEnsemble:
    """Return the maps of two degenerate blocks.

    Parameters
    ----------
    grid
        Sub-steps of all partners, the energy of a block the same for its partners.
    multiplicities
        Partners of the lower and of the upper block.
    dephasing_time, temperature, absorbing, workers
        As in `hopcast.dynamics.maps.step_maps`.
    """
    lower, n = multiplicities[0], sum(multiplicities)
    basis = hermitian_basis(n)
    members = np.abs(basis) > 0
    in_lower = np.asarray(members[:, :lower, :lower].any(axis=(1, 2)), dtype=np.bool_)
    in_upper = np.asarray(members[:, lower:, lower:].any(axis=(1, 2)), dtype=np.bool_)
    between = np.asarray(~(in_lower | in_upper), dtype=np.bool_)
    trace = np.einsum("rii->r", basis).real
    keep = np.exp(-grid.substep / dephasing_time)
    lost = 1.0 - keep
    d = n * n
    reset = np.outer(np.where(in_lower, trace, 0.0) / lower, np.where(in_upper, trace, 0.0))
    stays_upper, stays_lower = np.where(in_upper, 1.0, keep), np.where(in_lower, 1.0, keep)
    maps = np.empty((grid.n_steps, d, d) if absorbing else (grid.n_steps, 2 * d, 2 * d))

    def work(steps: slice) -> None:
        energies, _ = grid.interpolate(steps.start, steps.stop)
        up = boltzmann_factors(energies[..., lower] - energies[..., 0], temperature)
        with single_threaded_blas():
            u = propagators(grid, steps.start, steps.stop)
            now = np.broadcast_to(np.eye(maps.shape[1]), (steps.stop - steps.start, *maps.shape[1:]))
            for s in range(grid.n_substeps):
                turned = u[:, s, None] @ basis @ u[:, s, None].conj().swapaxes(-1, -2)
                # coefficients of what each element of the basis becomes
                move = np.einsum("rij,tsij->trs", basis.conj(), turned).real
                if absorbing:
                    now = stays_upper[:, None] * (move @ now)
                    continue
                now = np.concatenate([move @ now[:, :d], move @ now[:, d:]], axis=1)
                first, second = now[:, :d], now[:, d:]
                hops = lost * up[:, s, None, None] * np.where(in_upper[:, None], second, 0.0)
                back = lost * (1.0 - up[:, s, None, None]) * (reset @ second)
                falls = lost * np.where(in_lower[:, None], first, 0.0)
                now = np.concatenate(
                    [stays_upper[:, None] * first + hops, stays_lower[:, None] * second + falls + back], axis=1
                )
        maps[steps] = now

    map_chunks(work, chunk_slices(grid.n_steps, _CHUNK), workers=workers)
    unpolarised = np.stack([np.where(in_lower, trace, 0.0) / lower, np.where(in_upper, trace, 0.0) / multiplicities[1]])
    nothing = np.zeros(d)
    if absorbing:
        return BlockEnsemble(maps, trace, np.stack([nothing, unpolarised[1]]), between)
    starts = np.stack([np.concatenate([nothing, unpolarised[0]]), np.concatenate([unpolarised[1], nothing])])
    return BlockEnsemble(maps, np.concatenate([trace, nothing]), starts, np.concatenate([between, between]))


def block_stationary(
    ensemble: BlockEnsemble, *, zero_seam: bool = False
) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
    """Return the asymptotic decay of the looped ensemble, see `hopcast.dynamics.maps.stationary`.

    Returns
    -------
    eigenvalue, losses, vector
        Modulus of the largest eigenvalue (not absorbing: of the second); loss of each step in its ensemble (NaN if not
        absorbing) [n_steps]; that ensemble at the start of the loop [d].
    """
    whole = chain(ensemble.maps)
    if zero_seam:
        whole = np.where(ensemble.between[:, None], 0.0, whole)
    values, vectors = np.linalg.eig(whole)
    order = np.argsort(-np.abs(values))
    # where the slowest modes are alike (spins that nothing turns) the one that an unpolarised ensemble ends in
    slow = np.abs(values) > np.abs(values[order[0]]) * (1 - 1e-9)
    parts = np.linalg.lstsq(vectors, ensemble.starts[1].astype(np.complex128), rcond=None)[0]
    first = np.real(vectors[:, slow] @ parts[slow])
    absorbing = not ensemble.starts[0].any()
    if not absorbing:
        total = first @ ensemble.row + first @ np.roll(ensemble.row, ensemble.row.size // 2)
        second = np.abs(values[order[int(slow.sum())]]) if slow.sum() < values.size else 1.0
        return float(second), np.full(len(ensemble.maps), np.nan), first / total
    first = first / (ensemble.row @ first)
    losses = np.empty(len(ensemble.maps))
    now = first
    for k, step in enumerate(ensemble.maps):
        now = step @ now
        left = float(ensemble.row @ now)
        losses[k] = -np.log(left)
        now = now / left
    return float(np.abs(values[order[0]])), losses, first


def block_loop_mean(ensemble: BlockEnsemble, vector: NDArray[np.float64]) -> float:
    """Return the upper block's population averaged over a loop that starts from an ensemble."""
    total, now = 0.0, vector
    for step in ensemble.maps:
        now = step @ now
        total += float(ensemble.row @ now)
    return total / len(ensemble.maps)

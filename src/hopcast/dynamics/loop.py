"""What all trajectories share: propagators of one pass along the trajectory, and their running products."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

import numpy as np
from numba import njit
from numpy.typing import NDArray

from hopcast.core.chunks import chunk_slices, map_chunks
from hopcast.dynamics.arrays import Complexes, Floats, leaf
from hopcast.dynamics.propagation import SubstepGrid, propagators
from hopcast.dynamics.tiles import LANES

SPLIT_FROM: Final = 13
"""States from which propagators are split instead of diagonalised."""
MOST_BYTES: Final = 2**30
"""Propagators of a loop that are kept."""
BLOCK: Final = 2048
_CLEAN = 64
Piece = TypeVar("Piece")


@dataclass(frozen=True, eq=False)
class Window:
    """A few nuclear steps, as methods with shared amplitudes see them.

    Attributes
    ----------
    amplitudes
        At the beginning, the middle and the end of each sub-step: [2 * n + 1, n_states] for `n` sub-steps.
    energies, nac
        At the middles [n, n_states] and [n, n_states, n_states], eV.
    substep
        fs.
    first_step, last_step, n_substeps
        The steps of the loop, and sub-steps of each.
    edges
        Degenerate blocks: the first partner of each, and the end [n_states + 1]. `nac` is then of all partners [n, n_partners,
        n_partners], and `amplitudes` of all partners and `copies` [2 * n + 1, n_partners * copies], copies fastest.
    copies
        Of the amplitudes, one for each partner of the block in which trajectories start; each has the weight ``1 / copies``
        (contained in the amplitudes).
    """

    amplitudes: NDArray[np.complex128]
    energies: NDArray[np.float64]
    nac: NDArray[np.complex128]
    substep: float
    first_step: int
    last_step: int
    n_substeps: int
    edges: NDArray[np.int64] | None = None
    copies: int = 1

    @property
    def block_edges(self) -> NDArray[np.int64]:
        """First partner of each state, and the end; without degeneracy each state is its own."""
        return np.arange(self.nac.shape[1] + 1) if self.edges is None else self.edges

    @property
    def n_states(self) -> int:
        """Number of states; degenerate ones count as one."""
        return self.nac.shape[1] if self.edges is None else self.edges.size - 1

    def populations(self) -> NDArray[np.float64]:
        """Return the population of each state at beginnings, middles and ends [2 * n + 1, n_states]."""
        squares = np.abs(self.amplitudes) ** 2
        if self.edges is None:
            return np.asarray(squares, dtype=np.float64)
        return np.asarray(np.add.reduceat(squares, self.edges[:-1] * self.copies, axis=1), dtype=np.float64)


class Halves:
    """Propagators of half sub-steps, kept for the whole loop where they fit, else computed where they are asked for.

    Parameters
    ----------
    grid
        Sub-steps of the loop.
    workers
        Threads that fill what is kept.
    most_bytes
        What is kept at most; None takes `MOST_BYTES`. The bits are the same either way.
    """

    def __init__(self, grid: SubstepGrid, workers: int | None = None, most_bytes: int | None = None) -> None:
        self.grid, self.n_states = grid, grid.left.shape[1]
        shape = (grid.n_steps, grid.n_substeps, self.n_states, self.n_states)
        self.kept: NDArray[np.complex128] | None = None
        if 16 * np.prod(shape, dtype=float) <= (MOST_BYTES if most_bytes is None else most_bytes):
            self.kept = np.empty(shape, dtype=np.complex128)
            map_chunks(self._fill, chunk_slices(grid.n_steps, 16), workers=workers)

    def _fill(self, steps: slice) -> None:
        assert self.kept is not None
        self.kept[steps] = self._compute(steps.start, steps.stop)

    def _compute(self, first: int, last: int) -> NDArray[np.complex128]:
        return propagators(self.grid, first, last, fraction=0.5, split=self.n_states >= SPLIT_FROM)

    def of(self, first: int, last: int) -> NDArray[np.complex128]:
        """Return those of the sub-steps of some steps [(last - first) * n_substeps, n_states, n_states]."""
        found = self._compute(first, last) if self.kept is None else self.kept[first:last]
        return found.reshape(-1, self.n_states, self.n_states)


class Kept(Generic[Piece]):
    """Pieces of the loop, kept where all of them fit, else computed where they are asked for: the same bits either way.

    Parameters
    ----------
    compute
        Returns the piece of a number.
    n_pieces, n_bytes
        Their number, and the memory all of them take.
    workers
        Threads that compute what is kept.
    most_bytes
        What is kept at most; None takes `MOST_BYTES`.
    """

    def __init__(
        self,
        compute: Callable[[int], Piece],
        n_pieces: int,
        n_bytes: float,
        workers: int | None = None,
        most_bytes: int | None = None,
    ) -> None:
        self.compute = compute
        self.kept: list[Piece] | None = None
        if n_bytes <= (MOST_BYTES if most_bytes is None else most_bytes):
            self.kept = map_chunks(compute, list(range(n_pieces)), workers=workers)

    def __getitem__(self, number: int) -> Piece:
        return self.compute(number) if self.kept is None else self.kept[number]


@dataclass(frozen=True, eq=False)
class Block:
    """Some steps of the loop, as trajectories that jump from event to event see them.

    Attributes
    ----------
    products
        Running products from the block's beginning to each decision, see `running_products`.
    energies
        Before each decision [n, n_states], eV.
    first
        Number of its first decision in the loop.
    """

    products: NDArray[np.float64]
    energies: NDArray[np.float64]
    first: int


class Blocks:
    """The loop cut into blocks of about `BLOCK` sub-steps; products begin anew in each.

    Decisions fall on sub-steps, or on every `stride`-th.
    """

    def __init__(
        self, grid: SubstepGrid, workers: int | None = None, most_bytes: int | None = None, stride: int = 1
    ) -> None:
        self.grid, self.stride = grid, stride
        self.halves = Halves(grid, workers, most_bytes=0)
        self.size = max(1, BLOCK // grid.n_substeps)
        self.firsts = range(0, grid.n_steps, self.size)
        k = self.halves.n_states
        needed = float(grid.n_steps * _bytes_a_step(k, grid.n_substeps)) / stride
        self.pieces = Kept(self._compute, len(self.firsts), needed, workers, most_bytes)

    def _compute(self, number: int) -> Block:
        grid, first, k = self.grid, self.firsts[number], self.halves.n_states
        last = min(first + self.size, grid.n_steps)
        products = running_products(self.halves.of(first, last))
        if self.stride > 1:
            products = products[:: self.stride].copy()
        energies = grid.interpolate(first, last)[0].reshape(-1, self.stride, k).mean(axis=1)
        return Block(products, energies, first * grid.n_substeps // self.stride)

    def at(self, decision: int) -> Block:
        """Return the block that holds a decision of the loop."""
        return self.pieces[decision * self.stride // (self.size * self.grid.n_substeps)]


def _width(n_states: int) -> int:
    """Return the next multiple of eight: whole vector registers."""
    return -(-n_states // LANES) * LANES


def steps_kept(n_states: int, n_substeps: int) -> int:
    """Return of how many steps `Blocks` keeps what it needs; a longer loop is computed anew wherever a trajectory goes."""
    return max(1, MOST_BYTES // _bytes_a_step(n_states, n_substeps))


def _bytes_a_step(n_states: int, n_substeps: int) -> int:
    return 16 * n_substeps * n_states * _width(n_states)


def running_products(halves: NDArray[np.complex128]) -> NDArray[np.float64]:
    r"""Return :math:`P_s = U_s\cdots U_1`, transposed, real above imaginary parts [n + 1, 2 * n_states, width].

    Column `j` of :math:`P_s` is the contiguous rows ``[s, j]`` (real) and ``[s, n_states + j]`` (imaginary), padded with zeros to
    a multiple of eight states: its product with a vector is one of `tiles.multiply`. Every 64 sub-steps a Newton step removes what
    rounding has taken from unitarity.
    """
    n, n_states = halves.shape[:2]
    products = np.zeros((n + 1, 2 * n_states, _width(n_states)))
    _products(np.ascontiguousarray(halves), products)
    return products


@njit(cache=True, nogil=True)
def _products(halves: Complexes, out: Floats) -> None:
    n, k = halves.shape[0], halves.shape[1]
    p = np.zeros((k, k), np.complex128)  # transposed
    q = np.zeros((k, k), np.complex128)
    for i in range(k):
        p[i, i] = 1.0
        out[0, i, i] = 1.0
    for s in range(n):
        for _ in range(2):
            for j in range(k):
                for i in range(k):
                    total = complex(0.0, 0.0)
                    for m in range(k):
                        total += halves[s, i, m] * p[j, m]
                    q[j, i] = total
            p, q = q, p
        if s % _CLEAN == _CLEAN - 1:  # P (3 - P^+ P) / 2
            for j in range(k):
                for i in range(k):
                    q[j, i] = 1.5 * p[j, i]
            for j in range(k):
                for m in range(k):
                    overlap = complex(0.0, 0.0)
                    for i in range(k):
                        overlap += p[m, i].conjugate() * p[j, i]
                    for i in range(k):
                        q[j, i] -= 0.5 * overlap * p[m, i]
            p, q = q, p
        for j in range(k):
            for i in range(k):
                out[s + 1, j, i] = p[j, i].real
                out[s + 1, k + j, i] = p[j, i].imag


def pack(matrices: NDArray[np.complex128], width: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return matrices transposed, real and imaginary parts, rows padded to `width`: [n, n_states, width] each."""
    n, k = matrices.shape[:2]
    real, imag = np.zeros((n, k, width)), np.zeros((n, k, width))
    _pack(matrices, real, imag)
    return real, imag


@njit(cache=True, nogil=True)
def _pack(matrices: Complexes, real: Floats, imag: Floats) -> None:
    n, k = matrices.shape[0], matrices.shape[1]
    for s in range(n):
        for i in range(k):
            for j in range(k):
                real[s, j, i] = matrices[s, i, j].real
                imag[s, j, i] = matrices[s, i, j].imag


@leaf
def apply(real: Floats, imag: Floats, xr: Floats, xi: Floats, cr: Floats, ci: Floats) -> None:
    """Fill (cr, ci) with the product of a transposed, padded matrix and a vector."""
    k, width = real.shape
    for i in range(width):
        cr[i] = 0.0
        ci[i] = 0.0
    for j in range(k):
        a, b = xr[j], xi[j]
        for i in range(width):
            cr[i] += real[j, i] * a - imag[j, i] * b
            ci[i] += real[j, i] * b + imag[j, i] * a


@njit(cache=True, nogil=True)
def follow(halves: Complexes, c: Complexes, out: Complexes) -> None:
    """Fill `out` [2 n + 1, n_states] with the amplitudes of `n` sub-steps, starting with `c`."""
    n, k = (out.shape[0] - 1) // 2, c.size
    norm = 0.0
    for i in range(k):
        norm += c[i].real ** 2 + c[i].imag ** 2
    norm = 1.0 / np.sqrt(norm)  # rounding only
    for i in range(k):
        out[0, i] = c[i] * norm
    real, imag = np.empty((k, k)), np.empty((k, k))  # transposed: all rows at once, in the vector lanes
    xr, xi, yr, yi = np.empty(k), np.empty(k), np.empty(k), np.empty(k)
    for i in range(k):
        xr[i], xi[i] = out[0, i].real, out[0, i].imag
    for s in range(n):
        for i in range(k):
            for j in range(k):
                real[j, i], imag[j, i] = halves[s, i, j].real, halves[s, i, j].imag
        apply(real, imag, xr, xi, yr, yi)
        apply(real, imag, yr, yi, xr, xi)
        for i in range(k):
            out[2 * s + 1, i] = complex(yr[i], yi[i])
            out[2 * s + 2, i] = complex(xr[i], xi[i])


@leaf
def boltzmann(energy: float, active: float, beta: float) -> float:
    """Return the probability with which a hop to `energy` is accepted; `beta` 0 accepts all."""
    return np.exp(-beta * (energy - active)) if energy > active else 1.0

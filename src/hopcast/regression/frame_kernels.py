r"""Kernels between whole frames, built from kernels between atoms.

A frame is a list of elements, each an array of atoms [n_frames, n_atoms, n_functions]. With k a kernel of two atoms,

.. math:: K(x, x') = \frac{1}{n_e} \sum_e \frac{1}{N_e N_e'} \sum_{i \in e} \sum_{j \in e} k(g_i, g'_j)

does not depend on the order of like atoms, and not on how often a cell is repeated. A frame whose atoms keep their
order is the case of one element with one atom that holds all features.

Under reversal of velocities R some functions change sign. :math:`K_\pm(x, x') = \frac12 [K(x, x') \pm K(x, R x')]` spans the
even and the odd functions of velocity: gaps and squared couplings, and couplings.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numba import njit

from hopcast.core.chunks import chunk_slices
from hopcast.descriptors.elementary import exp_small
from hopcast.regression.kernels import (
    KERNELS,
    FloatArray,
    distance_block,
    distances,
    frames_per_chunk,
    kernel_of_distance,
    tiles_of,
)

Atoms = Sequence[FloatArray]
"""One array [n_frames, n_atoms, n_functions] for each element."""

OfGamma = Callable[[float], FloatArray]

PARITIES = ("even", "odd")

# Distances between atoms that are kept rather than computed anew: 128 MB.
_KEPT = 2**24
# Kernels further out are zero in any sum.
_FARTHEST = 700.0


@dataclass(frozen=True, eq=False)
class FrameKernel:
    """A kernel of two frames for one shape of the atoms' kernel.

    Parameters
    ----------
    shape
        Kernel of two atoms, one of `hopcast.regression.kernels.KERNELS`.
    parity
        None, ``"even"`` or ``"odd"`` under reversal of velocities.
    reversal
        What reversal multiplies each function by, +1 or -1, [n_functions]; only read with a parity.
    """

    shape: str
    parity: str | None = None
    reversal: FloatArray | None = None

    def within(self, frames: Atoms, *, workers: int | None = None) -> OfGamma:
        """Return the kernel matrix [n_frames, n_frames] of frames as a function of gamma."""
        return self._both(frames, lambda others: self._matrix(frames, others, workers))

    def onto(self, training: Atoms) -> Callable[[Atoms], OfGamma]:
        """Return the map from frames to their kernel with training frames [n_frames, n_training], of gamma."""
        direct = _block(training, self.shape)
        if self.parity is None:
            return direct
        mirrored = _block(self._reversed(training), self.shape)
        sign = self._sign
        return lambda frames: _combined(direct(frames), mirrored(frames), sign)

    def own(self, frames: Atoms) -> OfGamma:
        """Return every frame's kernel with itself [n_frames], of gamma."""
        return self._both(frames, lambda others: _own(frames, frames if others is None else others, self.shape))

    @property
    def _sign(self) -> float:
        return -1.0 if self.parity == "odd" else 1.0

    def _reversed(self, frames: Atoms) -> Atoms:
        assert self.reversal is not None
        return [part * self.reversal for part in frames]

    def _both(self, frames: Atoms, build: Callable[[Atoms | None], OfGamma]) -> OfGamma:
        direct = build(None)
        if self.parity is None:
            return direct
        return _combined(direct, build(self._reversed(frames)), self._sign)

    def _matrix(self, frames: Atoms, others: Atoms | None, workers: int | None) -> OfGamma:
        shape = self.shape
        if _single(frames):
            columns = None if others is None else others[0][:, 0]
            distance = distances(frames[0][:, 0], columns, kernel=shape, workers=workers)
            return lambda gamma: kernel_of_distance(distance.copy(), gamma, shape)
        block = _block(frames if others is None else others, shape)
        n_frames = len(frames[0])
        if sum(len(part) ** 2 * part.shape[1] ** 2 for part in frames) <= _KEPT:
            return block(frames)
        # Distances of all pairs of atoms would not fit: they are computed anew for every gamma, over which threads run.
        parts = chunk_slices(n_frames, chunk_length(frames, frames))

        def matrix(gamma: float) -> FloatArray:
            return np.concatenate([block([part[rows] for part in frames])(gamma) for rows in parts])

        return matrix


def chunk_length(training: Atoms, frames: Atoms) -> int:
    """Return how many frames like `frames` are taken at a time, so that a chunk's distances between atoms stay near 4 MB."""
    if _single(training) and _single(frames):
        return frames_per_chunk(len(training[0]))
    most = max(len(one) * one.shape[1] * part.shape[1] for one, part in zip(training, frames, strict=True))
    return max(1, min(512, 2**19 // most))


def _single(frames: Atoms) -> bool:
    return len(frames) == 1 and frames[0].shape[1] == 1


def _combined(direct: OfGamma, mirrored: OfGamma, sign: float) -> OfGamma:
    def combined(gamma: float) -> FloatArray:
        K = direct(gamma)
        K += sign * mirrored(gamma)
        K *= 0.5
        return K

    return combined


def _block(training: Atoms, shape: str) -> Callable[[Atoms], OfGamma]:
    """Return the map from frames to kernels; what does not depend on the frames is done once."""
    tiles = [tiles_of(part.reshape(-1, part.shape[2])) for part in training]
    n_training = len(training[0])

    def of_frames(frames: Atoms) -> OfGamma:
        atoms = [
            distance_block(part.reshape(-1, part.shape[2]), tile, n_training * own.shape[1], shape)
            for part, tile, own in zip(frames, tiles, training, strict=True)
        ]
        if _single(training) and _single(frames):
            return lambda gamma: kernel_of_distance(atoms[0].copy(), gamma, shape)

        def of_gamma(gamma: float) -> FloatArray:
            out = np.zeros((len(frames[0]), n_training))
            for distance, part, own in zip(atoms, frames, training, strict=True):
                _add_means(distance, part.shape[1], own.shape[1], gamma, KERNELS.index(shape), 1.0 / len(training), out)
            return out

        return of_gamma

    return of_frames


def _own(frames: Atoms, others: Atoms, shape: str) -> OfGamma:
    pairs = []
    for part, other in zip(frames, others, strict=True):
        out = np.empty((len(part), part.shape[1], part.shape[1]))
        _pairs_within(np.ascontiguousarray(part), np.ascontiguousarray(other), shape == "laplacian", out)
        pairs.append(out)

    def of_gamma(gamma: float) -> FloatArray:
        means = [kernel_of_distance(pair.copy(), gamma, shape).mean(axis=(1, 2)) for pair in pairs]
        return np.asarray(sum(means) / len(means))

    return of_gamma


@njit(cache=True, nogil=True, error_model="numpy")
def _add_means(distance: FloatArray, p: int, q: int, gamma: float, shape: int, share: float, out: FloatArray) -> None:
    """``out[i, j] += share * mean of k over distance[p i : p (i + 1), q j : q (j + 1)]``; `shape` numbers the kernels."""
    factor = share / (p * q)
    n_columns = distance.shape[1]
    values = np.empty(n_columns)
    for r in range(distance.shape[0]):
        row = distance[r]
        if shape == 1:
            for c in range(n_columns):
                s = min(math.sqrt(3.0 * row[c]) * gamma, _FARTHEST)
                values[c] = (1.0 + s) * exp_small(-s)
        else:
            scale = gamma if shape == 0 else 0.5 * gamma * gamma
            for c in range(n_columns):
                values[c] = exp_small(-min(scale * row[c], _FARTHEST))
        for j in range(out.shape[1]):
            total = 0.0
            for b in range(q):
                total += values[j * q + b]
            out[r // p, j] += factor * total


@njit(cache=True, nogil=True, error_model="numpy")
def _pairs_within(A: FloatArray, B: FloatArray, modulus: bool, out: FloatArray) -> None:
    """``out[f, i, j]`` = L1 (with `modulus`) or squared L2 distance of atom i of ``A[f]`` and atom j of ``B[f]``."""
    for f in range(A.shape[0]):
        for i in range(A.shape[1]):
            for j in range(B.shape[1]):
                total = 0.0
                for k in range(A.shape[2]):
                    difference = A[f, i, k] - B[f, j, k]
                    total += abs(difference) if modulus else difference * difference
                out[f, i, j] = total

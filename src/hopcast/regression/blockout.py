"""Leave-one-block-out errors in closed form, and the choice of gamma and alpha by them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import LinAlgError, cho_solve, cholesky
from scipy.linalg.lapack import dposv, dpotri

from hopcast.core.chunks import map_chunks
from hopcast.core.errors import ConfigError, InputError
from hopcast.regression.kernels import FloatArray


def blocks_of(n_frames: int, block_length: int | None, groups: ArrayLike | None) -> list[NDArray[np.intp]]:
    """Return the blocks that are left out in turn, as arrays of training-frame numbers.

    Parameters
    ----------
    n_frames
        Number of training frames, in the order of time.
    block_length
        Consecutive frames of a block; None takes a tenth of the frames, rounded up, so ten blocks.
    groups
        A label for every frame instead: one block a label.

    Raises
    ------
    ConfigError
        If `block_length` is not a positive integer, or leaves fewer than two blocks.
    InputError
        If `groups` does not fit the frames or has one label only.
    """
    if groups is not None:
        labels = np.asarray(groups)
        if labels.shape != (n_frames,):
            raise InputError(
                f"Argument `groups` must hold one label for each of {n_frames} frames, but has shape {labels.shape}."
            )
        names, codes = np.unique(labels, return_inverse=True)
        if len(names) < 2:
            raise InputError("Argument `groups` must hold at least two labels to leave one out, but has one.")
        return [np.flatnonzero(codes == code) for code in range(len(names))]
    length = -(-n_frames // 10) if block_length is None else block_length
    if length != int(length) or length < 1:
        raise ConfigError(f"Argument `block_length` must be a whole number of frames of at least 1, but is {length}.")
    if length >= n_frames:
        raise ConfigError(
            f"Argument `block_length` must leave at least two blocks, but is {length} with {n_frames} training frames."
        )
    return [np.arange(start, min(start + int(length), n_frames)) for start in range(0, n_frames, int(length))]


def factorise(K: FloatArray, alpha: float) -> FloatArray:
    """Return the lower Cholesky factor of ``K + alpha``.

    Raises
    ------
    InputError
        If the matrix is not positive definite: frames that repeat each other, and no `alpha` to tell them apart.
    """
    try:
        shifted = K.copy()
        shifted.flat[:: len(K) + 1] += alpha
        lower = cholesky(shifted, lower=True, overwrite_a=True, check_finite=False)
        # The diagonal of K is 1: a squared pivot of the size of rounding errors holds nothing but them.
        if np.min(np.diag(lower)) ** 2 < len(K) * np.finfo(np.float64).eps:
            raise LinAlgError("pivot lost in rounding")
        return lower
    except LinAlgError as error:
        raise InputError(
            f"Argument `alpha` must be large enough to factorise the kernel matrix, but {alpha:g} is not: some training "
            "frames have the same features, or nearly. Remove the repeated frames or raise `alpha`."
        ) from error


def inverse_of(lower: FloatArray) -> FloatArray:
    """Return the (symmetric) inverse of ``L L^T``."""
    # LAPACK fills one triangle in the columns' order; the other is mirrored.
    inverse, info = dpotri(lower, lower=1)
    if info != 0:
        raise InputError("Argument `alpha` must make the kernel matrix invertible, but it is singular; raise it.")
    result = np.tril(inverse)
    result += np.tril(inverse, -1).T
    return result


def block_out_residuals(inverse: FloatArray, dual: FloatArray, blocks: Sequence[NDArray[np.intp]]) -> FloatArray:
    """Return ``e_B = [(K + alpha)^-1]_BB^-1 c_B`` of every block, [n_frames, n_targets].

    What the frames of a block would miss their targets by, were the model fitted to the other blocks with
    centre and scale held. For blocks of one frame the leave-one-out residual c_i / [(K + alpha)^-1]_ii.
    """
    if all(len(block) == 1 for block in blocks):
        return dual / np.diag(inverse)[:, None]
    out = np.empty_like(dual)
    for block in blocks:
        # LAPACK itself: blocks are small and many, and SciPy's checks of an array cost more than its solution
        _, out[block], info = dposv(inverse[block[:, None], block], dual[block], lower=1)
        if info:
            raise LinAlgError("a block of the inverse is not positive definite")
    return out


def block_out_posterior(
    inverse: FloatArray, dual: FloatArray, blocks: Sequence[NDArray[np.intp]], purge: int = 0
) -> tuple[FloatArray, FloatArray]:
    """Return residuals [n_frames, n_targets] and predictive variances [n_frames] of every block left out with a margin.

    With L the block and `purge` training frames on both sides of it, ``[(K + alpha)^-1]_LL^-1`` is the posterior
    covariance of the targets on L given all others (noise alpha included), and times c_L their residuals; only the
    rows of the block are kept. Variances are in units of the signal scale. One factorisation serves every block.

    Parameters
    ----------
    inverse
        ``(K + alpha)^-1``.
    dual
        Dual coefficients [n_frames, n_targets].
    blocks
        Ascending frame numbers of each block.
    purge
        Training frames left out on both sides of a block.

    Raises
    ------
    InputError
        If a block with its margin leaves no frame.
    """
    n_frames = len(dual)
    residuals, variances = np.empty_like(dual), np.empty(n_frames)
    for block in blocks:
        left = np.arange(max(0, block[0] - purge), min(n_frames, block[-1] + 1 + purge))
        left = np.union1d(left, block) if len(left) < len(block) else left
        if len(left) == n_frames:
            raise InputError(
                f"Argument `purge` must leave training frames, but a block of {len(block)} frames with {purge} on both "
                f"sides takes all {n_frames}: use shorter blocks or a shorter purge."
            )
        part = cholesky(inverse[np.ix_(left, left)], lower=True, overwrite_a=True, check_finite=False)
        covariance = inverse_of(part)
        inside = np.searchsorted(left, block)
        residuals[block] = covariance[inside] @ dual[left]
        variances[block] = np.diag(covariance)[inside]
    return residuals, variances


@dataclass(frozen=True, eq=False)
class BlockOutSearch:
    """Mean squared leave-one-block-out error of every pair (gamma, alpha).

    Attributes
    ----------
    gammas, alphas
        What was tried, [n_gammas], [n_alphas].
    mean_squared_error
        [n_gammas, n_alphas, n_targets], in the squared unit of the target; infinite where the kernel matrix could
        not be factorised.
    """

    gammas: FloatArray
    alphas: FloatArray
    mean_squared_error: FloatArray

    def best(self) -> list[tuple[float, float]]:
        """Return (gamma, alpha) of least error for every target; of equals, the smoother one."""
        # alphas descend and gammas ascend in the tables, so the first minimum is the smoother model.
        flat = self.mean_squared_error.reshape(-1, self.mean_squared_error.shape[2])
        if not np.isfinite(flat.min(axis=0)).all():
            raise InputError(
                "Argument `alpha` must be large enough to factorise the kernel matrix, but no pair tried was: some "
                "training frames have the same features. Remove the repeated frames or raise `alpha`."
            )
        picks = np.argmin(flat, axis=0)
        return [(float(self.gammas[p // len(self.alphas)]), float(self.alphas[p % len(self.alphas)])) for p in picks]


def search(
    matrix_of: Callable[[float], FloatArray],
    targets: FloatArray,
    blocks: Sequence[NDArray[np.intp]],
    gammas: FloatArray,
    alphas: FloatArray,
    workers: int | None,
) -> BlockOutSearch:
    """Return the leave-one-block-out errors of all pairs; one Cholesky factor a pair, whatever the targets.

    Parameters
    ----------
    matrix_of
        The kernel matrix of the training frames [n_frames, n_frames] for a gamma.
    targets
        Centred targets [n_frames, n_targets].
    blocks
        Frame numbers of each block.
    gammas, alphas
        The grid.
    workers
        Threads, over gammas.
    """

    def errors_of(gamma: float) -> FloatArray:
        K = matrix_of(gamma)
        errors = np.full((len(alphas), targets.shape[1]), np.inf)
        for a, alpha in enumerate(alphas):
            try:
                lower = factorise(K, float(alpha))
                dual = cho_solve((lower, True), targets, check_finite=False)
                errors[a] = np.mean(block_out_residuals(inverse_of(lower), dual, blocks) ** 2, axis=0)
            except (InputError, LinAlgError):
                continue  # a pair that cannot be factorised is no candidate
        return errors

    tables = map_chunks(errors_of, [float(gamma) for gamma in gammas], workers=workers)
    return BlockOutSearch(gammas, alphas, np.array(tables))

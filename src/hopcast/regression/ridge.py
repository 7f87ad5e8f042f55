"""Kernel ridge regression of whole frames by one factor of the full kernel matrix."""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import cho_solve, solve_triangular
from sklearn.utils.validation import check_is_fitted

from hopcast.core.chunks import single_threaded_blas
from hopcast.regression.blockout import (
    block_out_posterior,
    block_out_residuals,
    blocks_of,
    factorise,
    inverse_of,
    search,
)
from hopcast.regression.frame_kernels import OfGamma
from hopcast.regression.frame_model import Component, FrameModel
from hopcast.regression.kernels import FloatArray, explained_variance
from hopcast.regression.learner import Abilities


class FrameRidge(FrameModel):
    """What exact kernel ridge regressions share: fit, search and the errors on blocks left out."""

    abilities: ClassVar[Abilities] = Abilities(
        many_targets=True, in_threads=True, leaves_blocks_out=True, is_exact=True
    )

    def fit(self, X: ArrayLike, y: ArrayLike, groups: ArrayLike | None = None) -> Self:
        """Fit to training frames.

        Parameters
        ----------
        X
            Features [n_samples, n_features], in the order of time.
        y
            Target [n_samples], or targets [n_samples, n_targets].
        groups
            Label of the block every frame belongs to, [n_samples]; None: blocks of `block_length`. Only used where
            alpha or gamma is chosen.
        """
        self.X_fit_, targets = self._prepare(X, y)
        with single_threaded_blas():
            matrix_of = self._frame_kernel().within(self._atoms(self.X_fit_), workers=self.workers)
            self._solve(matrix_of, targets, groups)
        return self

    def _solve(self, matrix_of: OfGamma, targets: FloatArray, groups: ArrayLike | None) -> None:
        """Choose hyperparameters and keep what forecasts need, for targets [n_samples, n_targets]."""
        means = self._means(targets)
        centred = targets - means
        pairs = self._hyperparameters(matrix_of, centred, groups)
        self._components = _components(matrix_of, pairs)
        dual = np.empty_like(centred)
        for _, _, columns, lower in self._components:
            dual[:, columns] = cho_solve((lower, True), centred[:, columns], check_finite=False)
        self._conclude(pairs, means, dual, np.einsum("ij,ij->j", centred, dual) / len(targets))

    def block_out_residuals(
        self, groups: ArrayLike | None = None, *, block_length: int | None = None
    ) -> NDArray[np.float64]:
        """Return y - forecast on the training frames, each forecast by the model without its block.

        In closed form, e_B = [(K + alpha)^-1]_BB^-1 c_B, with centre and scale of all training frames.

        Parameters
        ----------
        groups
            Label of the block of every training frame.
        block_length
            Consecutive frames of a block; 1 is leave-one-out. None (and no groups): as at fit.

        Returns
        -------
        numpy.ndarray
            [n_samples], or [n_samples, n_targets], in the unit of y.
        """
        check_is_fitted(self)
        length = self.block_length if block_length is None else block_length
        blocks = blocks_of(len(self.X_fit_), length, groups)
        dual = np.atleast_2d(self.dual_coef_.T).T
        out = np.empty_like(dual)
        with single_threaded_blas():
            for _, _, columns, lower in self._components:
                out[:, columns] = block_out_residuals(inverse_of(lower), dual[:, columns], blocks)
        return out[:, 0] if self._one_dimensional else out

    def block_out_forecast(
        self, groups: ArrayLike | None = None, *, block_length: int | None = None, purge: int = 0
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        r"""Return residuals and predictive standard deviations on the training frames, each without its block.

        .. math:: C_L = \{[(K + \alpha)^{-1}]_{LL}\}^{-1}, \quad e_L = C_L c_L, \quad
            \sigma_L^2 = s^2\, \mathrm{diag}\, C_L

        for L a block and `purge` training frames on both sides of it; hyperparameters, centre, scales and s2 are those
        of all training frames. The deviation is that of a measured target (noise alpha s2 included).

        Parameters
        ----------
        groups
            Label of the block of every training frame.
        block_length
            Consecutive frames of a block. None (and no groups): as at fit.
        purge
            Training frames left out on both sides.

        Returns
        -------
        residuals, std : numpy.ndarray
            [n_samples], or [n_samples, n_targets], in the unit of y.

        Raises
        ------
        InputError
            If a block with its margin takes all training frames.
        """
        check_is_fitted(self)
        length = self.block_length if block_length is None else block_length
        blocks = blocks_of(len(self.X_fit_), length, groups)
        dual, signal = np.atleast_2d(self.dual_coef_.T).T, np.atleast_1d(self.signal_variance_)
        residuals, std = np.empty_like(dual), np.empty_like(dual)
        with single_threaded_blas():
            for _, _, columns, lower in self._components:
                found, variances = block_out_posterior(inverse_of(lower), dual[:, columns], blocks, purge)
                residuals[:, columns] = found
                std[:, columns] = np.sqrt(variances[:, None] * signal[columns])
        return (residuals[:, 0], std[:, 0]) if self._one_dimensional else (residuals, std)

    def _hyperparameters(
        self, matrix_of: OfGamma, centred: FloatArray, groups: ArrayLike | None
    ) -> list[tuple[float, float]]:
        """Return (gamma, alpha) for every target and keep the search."""
        gammas, alphas = self._grid()
        if len(gammas) == len(alphas) == 1:
            self.search_ = None
            return [(float(gammas[0]), float(alphas[0]))] * centred.shape[1]
        blocks = blocks_of(len(centred), self.block_length, groups)
        self.search_ = search(matrix_of, centred, blocks, gammas, alphas, self.workers)
        return self.search_.best()

    def _explained(self, K: FloatArray, alpha: float, lower: FloatArray) -> FloatArray:
        return explained_variance(K, lower)

    def _explained_covariance(self, cross: FloatArray, alpha: float, lower: FloatArray) -> FloatArray:
        solved = solve_triangular(lower, cross, lower=True, overwrite_b=True, check_finite=False)
        return np.asarray(solved.T @ solved)


def _components(matrix_of: OfGamma, pairs: list[tuple[float, float]]) -> list[Component]:
    """Return (gamma, alpha, targets, Cholesky factor) for each distinct pair."""
    parts = []
    for gamma, alpha in dict.fromkeys(pairs):
        columns = np.flatnonzero([pair == (gamma, alpha) for pair in pairs])
        parts.append((gamma, alpha, columns, factorise(matrix_of(gamma), alpha)))
    return parts

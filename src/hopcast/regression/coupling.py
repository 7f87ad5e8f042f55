"""Couplings whose signs are unknown: their magnitude, their square, or both signs at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import cho_solve, solve_triangular
from scipy.special import erf
from sklearn.utils import Tags

from hopcast.core.chunks import map_chunks, single_threaded_blas
from hopcast.core.errors import ConfigError, check_choice
from hopcast.regression.blockout import block_out_posterior, blocks_of, factorise, inverse_of
from hopcast.regression.exchangeable import ExchangeableRidge
from hopcast.regression.frame_kernels import OfGamma
from hopcast.regression.kernels import FloatArray
from hopcast.regression.signs import Sites, infer_signs

LOSSES = ("magnitude", "square", "signs")
_SIGN_ALPHAS = np.logspace(0.0, -3.0, 4)


class CouplingRidge(ExchangeableRidge):
    r"""Kernel regression of a coupling known up to the sign of every sample.

    Signs of sparse samples mean nothing: nothing ties the phase of one pair of frames to another's. Three ways around:

    - ``loss="magnitude"``: ridge regression of abs(V), a function even in the velocities;
    - ``loss="square"``: of V^2;
    - ``loss="signs"``: a Gaussian process for V itself, odd in the velocities, under the likelihood of both signs
      (`hopcast.regression.signs`).

    Forecasts are of abs(V) (`predict`) and of V^2 (`predict_square`), the latter with the variance that regression takes
    away put back. Whatever signs y has, the result is the same.

    Parameters
    ----------
    symbols
        Element of each atom, as in `ExchangeableRidge`; None: the fixed order.
    alpha, gamma, kernel, block_length, standardize, workers
        As in `ExchangeableRidge`. With ``"signs"`` alpha (among 1 ... 1e-3) and gamma are those of greatest leave-one-out
        density of abs(y), from the cavities.
    loss
        One of the above.
    odd_columns
        Functions (of an atom) that change sign with the velocities; ``"signs"`` needs them.

    Attributes
    ----------
    elements_, counts_, X_fit_, alpha_, gamma_, dual_coef_, intercept_, signal_variance_
        As of `ExchangeableRidge`, of what was regressed.

    Notes
    -----
    With ``"magnitude"``, <V^2> = mu^2 + sigma^2 + alpha s2, the last the part of the variance that the features do not
    explain; with ``"signs"`` the same of V.

    Examples
    --------
    >>> import numpy as np
    >>> from hopcast.regression import CouplingRidge
    >>> rates = np.random.default_rng(0).normal(size=(40, 2))
    >>> model = CouplingRidge(loss="signs", odd_columns=[0, 1]).fit(rates, rates[:, 0])
    >>> bool(np.corrcoef(model.predict(rates), abs(rates[:, 0]))[0, 1] > 0.9)
    True
    """

    def __init__(
        self,
        symbols: Sequence[str] | None = None,
        alpha: float | None = None,
        gamma: float | str | None = None,
        *,
        loss: str = "magnitude",
        kernel: str = "laplacian",
        block_length: int | None = None,
        standardize: bool = True,
        odd_columns: ArrayLike | None = None,
        workers: int | None = None,
    ) -> None:
        self.symbols = symbols
        self.alpha = alpha
        self.gamma = gamma
        self.loss = loss
        self.kernel = kernel
        self.block_length = block_length
        self.standardize = standardize
        self.odd_columns = odd_columns
        self.workers = workers

    @property
    def parity(self) -> str | None:  # type: ignore[override]
        """Under reversal of velocities: odd for V, even for its magnitude and square."""
        if self.loss == "signs":
            return "odd"
        return None if self.odd_columns is None else "even"

    def predict(
        self, X: ArrayLike, return_std: bool = False, symbols: Sequence[str] | None = None
    ) -> NDArray[np.float64] | tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the expected abs(V), and with `return_std` its standard deviation; see `ExchangeableRidge.predict`."""
        mean, std = super().predict(X, return_std=True, symbols=symbols)
        found = self._magnitude(mean, std)
        return found if return_std else found[0]

    def predict_square(self, X: ArrayLike, symbols: Sequence[str] | None = None) -> NDArray[np.float64]:
        """Return the expected V^2, with the posterior's and the unexplained variance added where V was regressed."""
        mean, std = super().predict(X, return_std=True, symbols=symbols)
        if self.loss == "square":
            return np.maximum(mean, 0.0)
        return mean**2 + std**2 + self._noise()

    def predict_signed(
        self, X: ArrayLike, symbols: Sequence[str] | None = None
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return mean and standard deviation of V itself, up to one sign common to all frames.

        Raises
        ------
        ConfigError
            Unless ``loss="signs"``.
        """
        if self.loss != "signs":
            raise ConfigError(
                f'Argument `loss` must be "signs" for signed forecasts, but is "{self.loss}": it forgot the signs.'
            )
        mean, std = super().predict(X, return_std=True, symbols=symbols)
        return mean, std

    def block_out_residuals(
        self, groups: ArrayLike | None = None, *, block_length: int | None = None
    ) -> NDArray[np.float64]:
        """Return abs(y) - forecast on the training frames, each forecast by the model without its block.

        Hyperparameters, centre and scales are held. With ``"signs"`` the signs of the other blocks are inferred anew: found
        with the block present they would have been chosen to fit it.
        """
        length = self.block_length if block_length is None else block_length
        blocks = blocks_of(len(self.X_fit_), length, groups)
        out = np.empty_like(self._magnitudes)
        with single_threaded_blas():
            for gamma, alpha, columns, lower in self._components:
                if self.loss == "signs":
                    forecast, variances = self._forecast_without(blocks, gamma, alpha, int(columns[0]))
                else:
                    residuals, variances = block_out_posterior(inverse_of(lower), self._dual[:, columns], blocks)
                    forecast = self._regressed[:, columns] - residuals
                    variances = np.maximum(variances - alpha, 0.0)
                std = np.sqrt(variances[:, None] * self._signal[columns])
                out[:, columns] = self._magnitudes[:, columns] - self._magnitude(forecast, std, columns)[0]
        return out[:, 0] if self._one_dimensional else out

    def _forecast_without(
        self, blocks: Sequence[NDArray[np.intp]], gamma: float, alpha: float, target: int
    ) -> tuple[FloatArray, FloatArray]:
        """Return mean [n_samples, 1] and variance (of signal 1) of V on every block, from sites of the others."""
        K = self._frame_kernel().within(self._atoms(self.X_fit_), workers=1)(gamma)
        scale = float(np.sqrt(self._signal[target]))
        magnitudes = self._magnitudes[:, target] / scale
        mean, variance = np.empty((len(K), 1)), np.empty(len(K))
        for block in blocks:
            others = np.setdiff1d(np.arange(len(K)), block)
            sites = infer_signs(K[np.ix_(others, others)], magnitudes[others], alpha)
            lower = factorise(K[np.ix_(others, others)] + np.diag(sites.noise), 0.0)
            cross = K[np.ix_(others, block)]
            mean[block, 0] = scale * cross.T @ cho_solve((lower, True), sites.targets, check_finite=False)
            solved = solve_triangular(lower, cross, lower=True, check_finite=False)
            variance[block] = np.maximum(np.diag(K)[block] - np.sum(solved**2, axis=0), 0.0)
        return mean, variance

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.regressor_tags.poor_score = True  # scored on targets with signs, which it forgets
        return tags

    def _check_parameters(self) -> None:
        check_choice("loss", self.loss, LOSSES)
        super()._check_parameters()
        if self.loss == "signs" and self.alpha == 0:
            raise ConfigError('Argument `alpha` must be positive with `loss="signs"`, but is 0.')

    def _solve(self, matrix_of: OfGamma, targets: FloatArray, groups: ArrayLike | None) -> None:
        self._magnitudes = np.abs(targets)
        if self.loss == "signs":
            self._solve_signs(matrix_of)
            return
        self._regressed = self._magnitudes if self.loss == "magnitude" else self._magnitudes**2
        super()._solve(matrix_of, self._regressed, groups)

    def _solve_signs(self, matrix_of: OfGamma) -> None:
        """Choose gamma and alpha by the leave-one-out density of the cavities, and keep the sites as a regression."""
        gammas, alphas = self._grid()
        if self.alpha is None:
            alphas = _SIGN_ALPHAS
        if len(gammas) > 1:
            gammas = gammas[1:-1]  # every pair costs some thirty factorisations instead of one
        self.search_ = None
        n, n_targets = self._magnitudes.shape
        mean_square = np.mean(self._magnitudes**2, axis=0)

        def of_gamma(gamma: float) -> list[list[_Found]]:
            K = matrix_of(gamma)
            own = float(np.mean(np.diag(K)))
            return [
                [
                    _find(K, self._magnitudes[:, t], float(mean_square[t]) / (own + alpha), gamma, alpha)
                    for alpha in alphas
                ]
                for t in range(n_targets)
            ]

        tables = map_chunks(of_gamma, [float(gamma) for gamma in gammas], workers=self.workers)
        best = [
            max((one for table in tables for one in table[t]), key=lambda one: one.density) for t in range(n_targets)
        ]
        self._site_noise = np.stack([one.sites.noise for one in best], axis=1)
        self._regressed = np.stack([one.sites.targets * np.sqrt(one.signal) for one in best], axis=1)
        dual = np.empty((n, n_targets))
        self._components = []
        for t, one in enumerate(best):
            K = matrix_of(one.gamma)
            K.flat[:: n + 1] += self._site_noise[:, t]
            lower = factorise(K, 0.0)
            dual[:, t] = cho_solve((lower, True), self._regressed[:, t], check_finite=False)
            self._components.append((one.gamma, one.alpha, np.array([t]), lower))
        pairs = [(one.gamma, one.alpha) for one in best]
        self._conclude(pairs, np.zeros(n_targets), dual, np.array([one.signal for one in best]))

    def _magnitude(
        self, mean: FloatArray, std: FloatArray, columns: NDArray[np.intp] | slice = slice(None)
    ) -> tuple[FloatArray, FloatArray]:
        """Return expectation and deviation of abs(V) from those of what was regressed."""
        if self.loss == "magnitude":
            return mean, std
        if self.loss == "square":
            root = np.sqrt(np.maximum(mean, 0.0))
            return root, np.sqrt(np.maximum(mean, 0.0) + std) - root
        # Of a normal variable, folded at zero.
        square = mean**2 + std**2 + (self._noise() if isinstance(columns, slice) else self._noise_of(columns))
        total = np.sqrt(np.maximum(square - mean**2, np.finfo(np.float64).tiny))
        ratio = mean / total
        folded = np.sqrt(2.0 / np.pi) * total * np.exp(-0.5 * ratio**2) + mean * erf(ratio / np.sqrt(2.0))
        return folded, np.sqrt(np.maximum(square - folded**2, 0.0))

    def _noise_of(self, columns: NDArray[np.intp]) -> FloatArray:
        """Return the variance that features do not explain, of some targets."""
        return (np.atleast_1d(self.alpha_) * np.atleast_1d(self.signal_variance_))[columns]

    def _noise(self) -> FloatArray | float:
        noise = self.alpha_ * self.signal_variance_
        return noise

    @property
    def _dual(self) -> FloatArray:
        return np.atleast_2d(self.dual_coef_.T).T

    @property
    def _signal(self) -> FloatArray:
        return np.atleast_1d(self.signal_variance_)


@dataclass(frozen=True, eq=False)
class _Found:
    """Sites of one target for one (gamma, alpha)."""

    gamma: float
    alpha: float
    signal: float
    sites: Sites
    density: float


def _find(K: FloatArray, magnitudes: FloatArray, signal: float, gamma: float, alpha: float) -> _Found:
    scale = np.sqrt(signal)
    sites = infer_signs(K, magnitudes / scale, alpha)
    return _Found(gamma, float(alpha), signal, sites, sites.log_predictive - len(K) * float(np.log(scale)))

"""What regressions of whole frames share: checks and scales, the forecast in chunks, the posterior and draws from it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from numbers import Integral, Real
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import LinAlgError, cholesky
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from hopcast.core.chunks import chunk_slices, map_chunks, single_threaded_blas
from hopcast.core.errors import ConfigError, InputError, check_choice
from hopcast.regression.blockout import BlockOutSearch
from hopcast.regression.finite import require_finite
from hopcast.regression.frame_kernels import PARITIES, Atoms, FrameKernel, chunk_length
from hopcast.regression.kernels import KERNELS, FloatArray, weighted_sums
from hopcast.regression.learner import Abilities

# Descending alpha and ascending gamma: of equal errors the smoother model comes first.
ALPHAS = np.logspace(2, -6, 9)
_GAMMA_FACTORS = np.logspace(-2, 1, 7)

TOO_FEW = "Argument `X` must hold at least two training frames, but n_samples = {}: train on more frames."


Component = tuple[float, float, NDArray[np.intp], FloatArray]
"""gamma, alpha, the targets that chose them, and the factor of their linear system."""


class FrameModel(MultiOutputMixin, RegressorMixin, BaseEstimator):
    r"""A Gaussian process of whole frames, fitted in the ways of its subclasses.

    A subclass has the parameters `alpha`, `gamma`, `kernel`, `block_length`, `odd_columns`, `parity`, `workers`; it
    learns the scaling of its features (`_learn_scaling`), applies it (`_standardise`) and sees the atoms in a frame
    (`_atoms`). Its `fit` sets `X_fit_` (standardised frames under the kernel), `_components`, and calls `_conclude`; what
    they explain of the prior variance is `_explained` and `_explained_covariance`.
    """

    alpha: float | None
    gamma: float | str | None
    kernel: str
    block_length: int | None
    odd_columns: ArrayLike | None
    parity: str | None
    workers: int | None

    X_fit_: FloatArray
    search_: BlockOutSearch | None

    abilities: ClassVar[Abilities] = Abilities()
    _alphas: ClassVar[FloatArray] = ALPHAS
    _components: list[Component]

    def predict(
        self, X: ArrayLike, return_std: bool = False
    ) -> NDArray[np.float64] | tuple[NDArray[np.float64], NDArray[np.float64]]:
        r"""Return the forecast, and with `return_std` its posterior standard deviation.

        .. math:: \sigma^2(x) = s^2 [k(x,x) - k^T (K + \alpha)^{-1} k]

        of the underlying function (the ridge's share of noise, alpha s^2, is not added), in the unit of y.

        Parameters
        ----------
        X
            Features [n_frames, n_features].
        return_std
            Also return the standard deviation.

        Returns
        -------
        mean, std : numpy.ndarray
            [n_frames], or [n_frames, n_targets] if y was two-dimensional.
        """
        return self._forecast(self._validated(X), return_std, lambda part: self._atoms(self._standardise(part)))

    def _forecast(
        self, frames: NDArray[np.floating], return_std: bool, atoms_of: Callable[[NDArray[np.floating]], Atoms]
    ) -> NDArray[np.float64] | tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return mean and deviation on frames, chunk by chunk; `atoms_of` prepares a chunk for the kernel."""
        dual = np.atleast_2d(self.dual_coef_.T).T
        intercept, signal = np.atleast_1d(self.intercept_), np.atleast_1d(self.signal_variance_)
        parts = [
            (gamma, alpha, columns, np.ascontiguousarray(dual[:, columns]), np.ascontiguousarray(lower))
            for gamma, alpha, columns, lower in self._components
        ]
        kernel, training = self._frame_kernel(), self._atoms(self.X_fit_)
        onto_training = kernel.onto(training)

        def work(some: NDArray[np.floating]) -> tuple[FloatArray, FloatArray]:
            atoms = atoms_of(some)
            mean = np.empty((len(some), dual.shape[1]))
            std = np.empty_like(mean) if return_std else mean[:0]
            of_gamma, own = onto_training(atoms), kernel.own(atoms) if return_std else None
            for gamma, alpha, columns, weights, lower in parts:
                K = of_gamma(gamma)
                mean[:, columns] = weighted_sums(K, weights) + intercept[columns]
                if own is not None:
                    left = np.maximum(own(gamma) - self._explained(K, alpha, lower), 0.0)
                    std[:, columns] = np.sqrt(left[:, None] * signal[columns])
            return mean, std

        length = chunk_length(training, atoms_of(frames[:1]))
        found = map_chunks(
            work, [frames[part] for part in chunk_slices(len(frames), length)], workers=self.workers, portable=True
        )
        mean, std = (np.concatenate(one) for one in zip(*found, strict=True))
        if self._one_dimensional:
            return (mean[:, 0], std[:, 0]) if return_std else mean[:, 0]
        return (mean, std) if return_std else mean

    def posterior_covariance(self, X: ArrayLike, target: int = 0) -> NDArray[np.float64]:
        """Return the joint posterior covariance of a target over frames, [n_frames, n_frames], in its squared unit."""
        frames = self._atoms(self._standardise(self._validated(X)))
        gamma, alpha, _, lower = next(part for part in self._components if target in part[2])
        kernel = self._frame_kernel()
        with single_threaded_blas():
            K = kernel.within(frames, workers=self.workers)(gamma)
            cross = kernel.onto(frames)(self._atoms(self.X_fit_))(gamma)
            K -= self._explained_covariance(cross, alpha, lower)
        return K * np.atleast_1d(self.signal_variance_)[target]

    def sample(
        self, X: ArrayLike, n: int = 1, random_state: int | np.random.RandomState | None = None
    ) -> NDArray[np.float64]:
        """Draw whole series from the joint posterior over frames.

        Parameters
        ----------
        X
            Features [n_frames, n_features]; memory and time grow as n_frames^2 and n_frames^3.
        n
            Number of draws.
        random_state
            Seed.

        Returns
        -------
        numpy.ndarray
            [n, n_frames], or [n, n_frames, n_targets]; targets are independent of each other.
        """
        if n < 1:
            raise ConfigError(f"Argument `n` must be at least 1, but is {n}.")
        random = check_random_state(random_state)
        mean = np.atleast_2d(self.predict(X).T).T  # type: ignore[union-attr]
        signal = np.atleast_1d(self.signal_variance_)
        out = np.empty((n, *mean.shape))
        with single_threaded_blas():
            for target in range(mean.shape[1]):
                root = root_of(self.posterior_covariance(X, target), float(signal[target]))
                out[:, :, target] = mean[:, target] + random.standard_normal((n, len(mean))) @ root.T
        return out[:, :, 0] if self._one_dimensional else out

    def _prepare(self, X: ArrayLike, y: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Check training data and learn the scaling; return standardised frames and targets [n_samples, n_targets]."""
        self._check_parameters()
        if isinstance(X, list | tuple | np.ndarray) and len(X) == 0:
            raise InputError(TOO_FEW.format(0))
        if isinstance(y, np.ndarray) and y.dtype.kind == "f" and y.ndim in (1, 2):
            require_finite("y", y.reshape(len(y), -1))
        checked, y = validate_data(
            self,
            X,
            y,
            dtype=np.float64,
            order="C",
            multi_output=True,
            y_numeric=True,
            ensure_min_samples=0,
            ensure_all_finite=False,
        )
        frames: FloatArray = checked
        y = np.asarray(y, dtype=np.float64)
        targets = y[:, None] if y.ndim == 1 else y
        n_samples = len(frames)
        if n_samples < 2:
            raise InputError(TOO_FEW.format(n_samples))
        require_finite("X", frames)
        for column in np.flatnonzero(np.ptp(targets, axis=0) == 0.0):
            raise InputError(
                f"Argument `y` must vary over the training frames, but target {column} is {targets[0, column]:g} on "
                f"all {n_samples}: there is nothing to learn."
            )
        self._one_dimensional = y.ndim == 1
        self._learn_scaling(frames)
        return self._standardise(frames), targets

    def _means(self, targets: FloatArray) -> FloatArray:
        """Return the mean of each target; an odd function of velocity has none."""
        return np.zeros(targets.shape[1]) if self.parity == "odd" else targets.mean(axis=0)

    def _conclude(
        self, pairs: list[tuple[float, float]], means: FloatArray, dual: FloatArray, signal: FloatArray
    ) -> None:
        """Keep what a fit found, in the shape of its targets."""
        # Several chosen pairs stay arrays; numbers given by the user stay numbers.
        flat = self._one_dimensional
        single = flat or self.search_ is None
        self.gamma_: float | FloatArray = pairs[0][0] if single else np.array([gamma for gamma, _ in pairs])
        self.alpha_: float | FloatArray = pairs[0][1] if single else np.array([alpha for _, alpha in pairs])
        self.dual_coef_ = dual[:, 0] if flat else dual
        self.intercept_ = float(means[0]) if flat else means
        self.signal_variance_ = float(signal[0]) if flat else signal

    def _check_parameters(self) -> None:
        check_choice("kernel", self.kernel, KERNELS)
        if self.alpha is not None and not (isinstance(self.alpha, Real) and 0.0 <= self.alpha < np.inf):
            raise ConfigError(f"Argument `alpha` must be a number of at least 0, or None, but is {self.alpha!r}.")
        if isinstance(self.gamma, str):
            check_choice("gamma", self.gamma, ("1/n_features",))
        elif self.gamma is not None and not (isinstance(self.gamma, Real) and 0.0 < self.gamma < np.inf):
            raise ConfigError(
                f'Argument `gamma` must be a positive number, "1/n_features" or None, but is {self.gamma!r}.'
            )
        if self.parity is not None:
            check_choice("parity", self.parity, PARITIES)
            if self.odd_columns is None or np.size(self.odd_columns) == 0:
                raise ConfigError(
                    "Argument `odd_columns` must name the columns that change sign with the velocities where `parity` is "
                    f'"{self.parity}", but names none: add time derivatives of the features.'
                )
        if self.block_length is not None and not isinstance(self.block_length, Integral):
            raise ConfigError(f"Argument `block_length` must be a whole number or None, but is {self.block_length!r}.")

    def _grid(self) -> tuple[FloatArray, FloatArray]:
        """Return the values of gamma and of alpha to choose from; one each where both are given."""
        n_features = self._atoms(self.X_fit_[:1])[0].shape[2]
        unit = 1.0 / (n_features if self.kernel == "laplacian" else np.sqrt(n_features))
        gammas: FloatArray
        if isinstance(self.gamma, str):
            gammas = np.array([1.0 / n_features])
        else:
            gammas = unit * _GAMMA_FACTORS if self.gamma is None else np.array([float(self.gamma)])
        return gammas, self._alphas if self.alpha is None else np.array([float(self.alpha)])

    @abstractmethod
    def _explained(self, K: FloatArray, alpha: float, lower: FloatArray) -> FloatArray:
        """Return the part of the prior variance that training explains, [n_frames], from kernels [n_frames, n_fit]."""

    @abstractmethod
    def _explained_covariance(self, cross: FloatArray, alpha: float, lower: FloatArray) -> FloatArray:
        """Return the explained part of the prior covariance [n_frames, n_frames] from `cross` [n_fit, n_frames]."""

    @abstractmethod
    def _learn_scaling(self, frames: FloatArray) -> None:
        """Keep centre and scale of the training features."""

    @abstractmethod
    def _standardise(self, X: NDArray[np.floating]) -> FloatArray:
        """Return features on the scale of the kernel, [n_frames, n_columns]."""

    @abstractmethod
    def _atoms(self, Z: FloatArray) -> Atoms:
        """Return standardised features as atoms, element by element."""

    def _frame_kernel(self) -> FrameKernel:
        return FrameKernel(self.kernel, self.parity, self._reversal(self._atoms(self.X_fit_[:1])[0].shape[2]))

    def _reversal(self, n_functions: int) -> FloatArray | None:
        """Return what reversed velocities multiply each function by; None without a parity."""
        if self.parity is None:
            return None
        signs = np.ones(n_functions)
        signs[np.asarray(self.odd_columns)] = -1.0
        return signs

    def _validated(self, X: ArrayLike) -> NDArray[np.floating]:
        """Return frames to forecast as they come (float32 stays float32: chunks are converted one by one)."""
        check_is_fitted(self)
        if isinstance(X, np.ndarray) and X.ndim == 2 and X.shape[1] != self.n_features_in_:
            raise InputError(
                f"Argument `X` must hold the features of the training frames: X has {X.shape[1]} features, but "
                f"{type(self).__name__} is expecting {self.n_features_in_} features as input. Atoms in a fixed order do not "
                "go over to a cell with another number of atoms: train an `ExchangeableRidge` for that."
            )
        frames = validate_data(self, X, dtype=(np.float64, np.float32), reset=False, ensure_all_finite=False)
        require_finite("X", frames)
        return frames


def centre_and_scale(X: FloatArray, standardize: bool, odd: NDArray[np.bool_]) -> tuple[FloatArray, FloatArray]:
    """Return mean and standard deviation of every column; `odd` columns keep their zero and take the root mean square.

    Columns that do not vary get the scale 1.
    """
    if not standardize:
        return np.zeros(X.shape[1]), np.ones(X.shape[1])
    mean = np.where(odd, 0.0, X.mean(axis=0))
    scale = np.where(odd, np.sqrt(np.mean(X**2, axis=0)), X.std(axis=0))
    # Rounding leaves a constant feature a standard deviation of some eps |mean|.
    scale[scale <= 10.0 * np.finfo(np.float64).eps * np.abs(mean)] = 1.0
    scale[scale == 0.0] = 1.0
    return mean, scale


def root_of(covariance: FloatArray, scale: float) -> FloatArray:
    """Return a lower root of a covariance matrix that rounding, relative to `scale`, left slightly indefinite."""
    for exponent in range(-13, -3):
        try:
            jittered = covariance.copy()
            jittered.flat[:: len(covariance) + 1] += 10.0**exponent * scale
            return cholesky(jittered, lower=True, overwrite_a=True, check_finite=False)
        except LinAlgError:
            continue
    raise InputError("Argument `X` must give a posterior covariance that can be factorised, but it does not.")

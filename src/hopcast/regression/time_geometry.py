"""A Gaussian process that knows time and geometry: a spline where samples are dense, a geometric model where not."""

from __future__ import annotations

import math
from collections.abc import Mapping
from numbers import Real

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import LinAlgError, cho_solve, cholesky, solve_triangular
from scipy.optimize import minimize
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data

from hopcast.core.chunks import chunk_slices, map_chunks, single_threaded_blas
from hopcast.core.errors import ConfigError, InputError, check_choice, nearest
from hopcast.regression.blockout import factorise, inverse_of
from hopcast.regression.finite import require_finite
from hopcast.regression.frame_model import TOO_FEW, centre_and_scale, root_of
from hopcast.regression.kernels import (
    FloatArray,
    distance_block,
    distances,
    explained_variance,
    frames_per_chunk,
    tiles_of,
    weighted_sums,
)
from hopcast.regression.time_kernels import (
    GEOMETRY_KERNELS,
    HYPERPARAMETERS,
    LOG_LIMITS,
    Prior,
    covariance,
    derivatives,
)

_VARIANCES = [index for index, name in enumerate(HYPERPARAMETERS) if name.endswith("_variance")]
_GEOMETRIC = [HYPERPARAMETERS.index(name) for name in ("geometry_variance", "product_variance")]
_MOST_STEPS = 200


class TimeGeometryProcess(RegressorMixin, BaseEstimator):
    r"""Gaussian process of a target along a trajectory, its kernel a sum of time, geometry and their product.

    .. math::

        \mathrm{cov}[y(t, x), y(t', x')] = \mathrm{var}(y)\,[v_r M_{3/2}(\tau/l_r) + v_s M_{5/2}(\tau/l_s)
            + v_g k_\gamma(z, z') + v_p M_{5/2}(\tau/l_p)\, k_\gamma(z, z') + v_n \delta]

    with :math:`\tau = |t - t'|` and z the standardised features. The first two parts interpolate in time (a Matern-3/2 of
    long length is the cubic spline; Matern-5/2 is smoother), the third is the kernel of `LaplacianRidge`, the fourth a
    relation to the geometry that changes along the trajectory. Samples closer than the lengths are interpolated; between
    samples further apart only the geometry is left.

    Parameters
    ----------
    kernel
        Of the geometry: ``"laplacian"`` or ``"matern32"``, as in `LaplacianRidge`.
    hyperparameters
        Values to hold, by name (`hopcast.regression.time_kernels.HYPERPARAMETERS`): variances in units of the training
        target's variance (0 leaves a part out), lengths in fs, gamma per unit of distance. What is not named is chosen.
    time_scale
        Where lengths in time are expected, fs, within a factor e: the prior's centre. Vibrations of a lattice; 125 samples
        24 fs apart of the shipped CsPbI3 put it at 110 fs for the gap and at 59 to 65 fs for the coupling.
    standardize
        Bring every feature to mean 0 and standard deviation 1 over the training frames.
    workers
        Threads; None takes all cores. Results do not depend on it.

    Attributes
    ----------
    theta_ : numpy.ndarray
        Values of the nine hyperparameters as used.
    log_marginal_likelihood_ : float
        Of the standardised targets, without the priors.
    time_fit_, X_fit_ : numpy.ndarray
        Times [n_samples], fs, and standardised features [n_samples, n_features - 1] of the training frames.
    x_mean_, x_scale_ : numpy.ndarray
        Of the features.
    dual_coef_, lower_ : numpy.ndarray
        c = (K + v_n)^-1 (y - m) / s, [n_samples], and the lower Cholesky factor of K + v_n.
    intercept_, scale_ : float
        m and s: mean and standard deviation of the training targets.

    Raises
    ------
    ConfigError
        At fit, if a parameter is unknown or out of range.
    InputError
        At fit, if there are fewer than two frames, if X or y is not finite, if the target is constant, or if the noise held
        is too small for frames that repeat each other.

    Notes
    -----
    The first column of X is the time in fs, the others are features (of the geometry, and of the velocities where the target
    needs them); with the time alone it is a process in time. Hyperparameters maximise the marginal likelihood times weak
    priors (`hopcast.regression.time_kernels.Prior`), by L-BFGS-B with analytic gradients from three fixed starts. The
    priors matter below some thirty samples, where the likelihood alone cannot tell fast motion from noise: it takes 30 samples of a
    coupling 100 fs apart for noise and loses to a straight line. The noise is a parameter like the others,
    at least 1e-9 of the variance: no jitter is added beside it.

    A step costs n^3 operations for all nine; predictions are linear in frames, in chunks whose memory does not grow with them.

    References
    ----------
    Rasmussen, Williams, *Gaussian Processes for Machine Learning*, MIT Press 2006, sections 4.2, 5.4.1, 6.3.
    """

    def __init__(
        self,
        kernel: str = "laplacian",
        *,
        hyperparameters: Mapping[str, float] | None = None,
        time_scale: float = 80.0,
        standardize: bool = True,
        workers: int | None = None,
    ) -> None:
        self.kernel = kernel
        self.hyperparameters = hyperparameters
        self.time_scale = time_scale
        self.standardize = standardize
        self.workers = workers

    def fit(self, X: ArrayLike, y: ArrayLike) -> TimeGeometryProcess:
        """Fit to training frames.

        Parameters
        ----------
        X
            Time in fs and features, [n_samples, 1 + n_features], any order.
        y
            Target [n_samples].
        """
        held = self._held()
        if isinstance(X, list | tuple | np.ndarray) and len(X) == 0:
            raise InputError(TOO_FEW.format(0))
        frames, target = validate_data(
            self, X, y, dtype=np.float64, order="C", y_numeric=True, ensure_min_samples=0, ensure_all_finite=False
        )
        target = column_or_1d(target, warn=True).astype(np.float64)
        if len(frames) < 2:
            raise InputError(TOO_FEW.format(len(frames)))
        require_finite("X", frames)
        require_finite("y", target[:, None])
        if np.ptp(target) == 0.0:
            raise InputError(
                f"Argument `y` must vary over the training frames, but is {target[0]:g} on all {len(target)}: there is "
                "nothing to learn."
            )
        self.time_fit_ = np.ascontiguousarray(frames[:, 0])
        features = frames[:, 1:]
        odd = np.zeros(features.shape[1], dtype=np.bool_)
        self.x_mean_, self.x_scale_ = centre_and_scale(features, self.standardize, odd)
        self.X_fit_ = self._standardise(frames)
        self.intercept_, self.scale_ = float(target.mean()), float(target.std())
        with single_threaded_blas():
            evidence = _Evidence(
                np.abs(self.time_fit_[:, None] - self.time_fit_[None, :]),
                distances(self.X_fit_, kernel=self.kernel, workers=self.workers),
                (target - self.intercept_) / self.scale_,
                self.kernel,
            )
            self.theta_ = self._choose(evidence, held)
            K = covariance(self.theta_, evidence.lag, evidence.distance, self.kernel)
            self.lower_ = np.ascontiguousarray(factorise(K, float(self.theta_[-1])))
            self.dual_coef_ = cho_solve((self.lower_, True), evidence.target, check_finite=False)
            self.log_marginal_likelihood_ = evidence.log_likelihood(self.lower_, self.dual_coef_)
        return self

    @property
    def hyperparameters_(self) -> dict[str, float]:
        """The nine hyperparameters as used, by name."""
        check_is_fitted(self)
        return dict(zip(HYPERPARAMETERS, map(float, self.theta_), strict=True))

    def predict(
        self, X: ArrayLike, return_std: bool = False
    ) -> NDArray[np.float64] | tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the forecast [n_frames], and with `return_std` its posterior standard deviation, noise not included.

        Parameters
        ----------
        X
            Time in fs and features, [n_frames, 1 + n_features].
        return_std
            Also return the standard deviation, in the unit of y.
        """
        frames = self._validated(X)
        mean = np.empty(len(frames))
        std = np.empty_like(mean) if return_std else mean[:0]
        prior = float(self.theta_[_VARIANCES[:-1]].sum())
        tiles = tiles_of(self.X_fit_)

        def forecast(part: slice) -> None:
            distance = distance_block(self._standardise(frames[part]), tiles, len(self.X_fit_), self.kernel)
            lag = np.abs(frames[part, 0, None].astype(np.float64) - self.time_fit_)
            K = covariance(self.theta_, lag, distance, self.kernel)
            mean[part] = self.intercept_ + self.scale_ * weighted_sums(K, self.dual_coef_[:, None])[:, 0]
            if return_std:
                left = np.maximum(prior - explained_variance(K, self.lower_), 0.0)
                std[part] = self.scale_ * np.sqrt(left)

        map_chunks(forecast, chunk_slices(len(frames), frames_per_chunk(len(self.X_fit_))), workers=self.workers)
        return (mean, std) if return_std else mean

    def posterior_covariance(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return the joint posterior covariance over frames, [n_frames, n_frames], in the squared unit of y."""
        frames = self._validated(X)
        time, z = np.asarray(frames[:, 0], dtype=np.float64), self._standardise(frames)
        with single_threaded_blas():
            own = distances(z, kernel=self.kernel, workers=self.workers)
            across = distances(self.X_fit_, z, kernel=self.kernel, workers=self.workers)
            K = covariance(self.theta_, np.abs(time[:, None] - time), own, self.kernel)
            cross = covariance(self.theta_, np.abs(self.time_fit_[:, None] - time), across, self.kernel)
            solved = solve_triangular(self.lower_, cross, lower=True, overwrite_b=True, check_finite=False)
            K -= solved.T @ solved
        return K * self.scale_**2

    def sample(
        self, X: ArrayLike, n: int = 1, random_state: int | np.random.RandomState | None = None
    ) -> NDArray[np.float64]:
        """Draw whole series from the joint posterior over frames, [n, n_frames]; time grows as n_frames^3.

        Parameters
        ----------
        X
            Time in fs and features, [n_frames, 1 + n_features].
        n
            Number of draws.
        random_state
            Seed.
        """
        if n < 1:
            raise ConfigError(f"Argument `n` must be at least 1, but is {n}.")
        mean = np.asarray(self.predict(X))
        with single_threaded_blas():
            root = root_of(self.posterior_covariance(X), self.scale_**2)
            return mean + check_random_state(random_state).standard_normal((n, len(mean))) @ root.T

    def _held(self) -> dict[int, float]:
        """Return the values to hold, by index, checked."""
        check_choice("kernel", self.kernel, GEOMETRY_KERNELS)
        if not (isinstance(self.time_scale, Real) and 0.0 < self.time_scale < math.inf):
            raise ConfigError(f"Argument `time_scale` must be a positive time in fs, but is {self.time_scale!r}.")
        held = {}
        for name, value in (self.hyperparameters or {}).items():
            if name not in HYPERPARAMETERS:
                raise ConfigError(
                    f"Argument `hyperparameters` must name {', '.join(HYPERPARAMETERS)}, but names `{name}`."
                    + nearest(name, HYPERPARAMETERS)
                )
            index = HYPERPARAMETERS.index(name)
            zero = index in _VARIANCES and value == 0.0
            if not (isinstance(value, Real) and (zero or 0.0 < value < math.inf)):
                raise ConfigError(
                    f"Argument `hyperparameters` must hold positive numbers (a variance may be 0), but `{name}` is {value!r}."
                )
            held[index] = float(value)
        return held

    def _choose(self, evidence: _Evidence, held: dict[int, float]) -> FloatArray:
        """Return the hyperparameters of largest posterior density, those held as they are."""
        n_features = self.X_fit_.shape[1]
        if n_features == 0:
            held = held | dict.fromkeys(_GEOMETRIC, 0.0)
        prior = Prior(max(n_features, 1), self.kernel, self.time_scale)
        fixed = np.exp(prior.centre)
        fixed[list(held)] = list(held.values())
        free = np.array([index for index in range(len(fixed)) if index not in held], dtype=np.intp)
        if len(free) == 0:
            return fixed
        bounds = LOG_LIMITS[free]

        def objective(logs: FloatArray) -> tuple[float, FloatArray]:
            theta = fixed.copy()
            theta[free] = np.exp(logs)
            value, gradient = evidence.negative(theta)
            cost, slope = prior.negative(theta)
            return value + cost, (gradient + slope)[free]

        def climb(start: FloatArray) -> tuple[float, FloatArray]:
            found = minimize(
                objective,
                np.clip(start[free], *bounds.T),
                jac=True,
                method="L-BFGS-B",
                bounds=bounds,
                options={"maxiter": _MOST_STEPS, "ftol": 1e-7},
            )
            return float(found.fun), found.x

        spacing = float(np.median(np.diff(np.sort(self.time_fit_))))
        results = map_chunks(climb, _starts(prior.centre, spacing), workers=self.workers)
        theta = fixed.copy()
        theta[free] = np.exp(min(results, key=lambda result: result[0])[1])
        return theta

    def _standardise(self, X: NDArray[np.floating]) -> FloatArray:
        """Return the features of frames without their time, standardised."""
        return np.ascontiguousarray((X[:, 1:] - self.x_mean_) / self.x_scale_)

    def _validated(self, X: ArrayLike) -> NDArray[np.floating]:
        """Return frames to forecast as they come (float32 stays float32: chunks are converted one by one)."""
        check_is_fitted(self)
        frames = validate_data(self, X, dtype=(np.float64, np.float32), reset=False, ensure_all_finite=False)
        require_finite("X", frames)
        return np.asarray(frames)


class _Evidence:
    """Marginal likelihood of standardised targets and its gradient.

    -log p = y^T A^-1 y / 2 + log det A / 2 + n log(2 pi) / 2, A = K + v_n; by a parameter: tr[(A^-1 - c c^T) dA] / 2.
    """

    def __init__(self, lag: FloatArray, distance: FloatArray, target: FloatArray, kernel: str) -> None:
        self.lag, self.distance, self.target, self.kernel = lag, distance, target, kernel

    def log_likelihood(self, lower: FloatArray, dual: FloatArray) -> float:
        half_determinant = float(np.log(np.diag(lower)).sum())
        return -0.5 * float(self.target @ dual) - half_determinant - 0.5 * len(dual) * math.log(2.0 * math.pi)

    def negative(self, theta: FloatArray) -> tuple[float, FloatArray]:
        """Return -log p and its gradient by the logarithms of `theta`."""
        shifted = covariance(theta, self.lag, self.distance, self.kernel)
        shifted.flat[:: len(shifted) + 1] += theta[-1]
        try:
            lower = cholesky(shifted, lower=True, overwrite_a=True, check_finite=False)
        except LinAlgError:  # no candidate: the line search turns back
            return 1e10, np.zeros(len(theta))
        dual = cho_solve((lower, True), self.target, check_finite=False)
        weight = inverse_of(lower) - np.outer(dual, dual)
        gradient = np.zeros(len(theta))
        for index, slope in derivatives(theta, self.lag, self.distance, self.kernel):
            gradient[index] = 0.5 * float(np.vdot(weight, slope))
        gradient[-1] = 0.5 * theta[-1] * float(np.trace(weight))
        return -self.log_likelihood(lower, dual), gradient


def _starts(centre: FloatArray, spacing: float) -> list[FloatArray]:
    """Return where the climbs begin: time alone, geometry with noise, and both with lengths of three spacings."""
    at = {name: index for index, name in enumerate(HYPERPARAMETERS)}
    in_time, in_geometry, both = centre.copy(), centre.copy(), centre.copy()
    for name in ("geometry_variance", "product_variance"):
        in_time[at[name]] = math.log(1e-3)
    for name in ("rough_variance", "smooth_variance", "noise_variance"):
        in_geometry[at[name]] = math.log(1e-2)
    if spacing > 0.0:
        both[[at["rough_length"], at["smooth_length"]]] = math.log(3.0 * spacing)
    return [in_time, in_geometry, both]

"""Kernel ridge regression of many frames through a few of them, the landmarks."""

from __future__ import annotations

from numbers import Integral
from typing import Self

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import cho_solve, cholesky, solve_triangular

from hopcast.core.chunks import chunk_slices, map_chunks, single_threaded_blas
from hopcast.core.errors import ConfigError, InputError
from hopcast.regression.blockout import BlockOutSearch, blocks_of, factorise
from hopcast.regression.frame_kernels import OfGamma, chunk_length
from hopcast.regression.frame_model import Component
from hopcast.regression.kernels import FloatArray, explained_variance
from hopcast.regression.laplacian import FixedOrder

# Added to the landmarks' kernel, in turn, until it can be factorised; nothing as long as landmarks differ enough.
_JITTERS = (0.0, 1e-12, 1e-10, 1e-8)


class LowRankRidge(FixedOrder):
    r"""Kernel ridge regression on n frames through m landmarks among them: time n m^2 and memory n m, not n^3 and n^2.

    .. math::

        \mu(x) = \bar y + k_m(x)^T w, \qquad w = (\alpha K_{mm} + K_{mn} K_{nm})^{-1} K_{mn} (y - \bar y)

    the subset of regressors: ridge regression with the kernel of rank m, :math:`Q = K_{nm} K_{mm}^{-1} K_{mn}`. Its
    variance is that of the projected process (DTC), with the prior's variance where no landmark is near,

    .. math::

        \sigma^2(x) = s^2 [k(x,x) - k_m^T K_{mm}^{-1} k_m + \alpha\, k_m^T (\alpha K_{mm} + K_{mn} K_{nm})^{-1} k_m],
        \qquad s^2 = (y - \bar y)^T (Q + \Lambda)^{-1} (y - \bar y) / n

    with :math:`\Lambda = \alpha + \mathrm{diag}(K_{nn} - Q)`: in the scale of the signal (and there only) what the landmarks
    leave of each frame's prior variance counts as noise (FITC), for without it a rough kernel of small alpha would put the
    whole misfit into s.

    With every frame a landmark all of it is `LaplacianRidge`.

    Parameters
    ----------
    n_landmarks
        m; all frames where there are fewer. The first frame is one, then always the frame farthest from those taken, in the
        distance of the kernel.
    alpha
        Ridge, positive. None: chosen as in `LaplacianRidge`, each block of y left out with all landmarks kept.
    gamma, kernel, block_length, standardize, odd_columns, parity, workers
        As in `LaplacianRidge`.

    Attributes
    ----------
    landmarks_ : numpy.ndarray
        Their frame numbers, ascending, [m].
    X_fit_ : numpy.ndarray
        Their standardised features, [m, n_features].
    dual_coef_ : numpy.ndarray
        w, [m] or [m, n_targets].
    residual_ : float or numpy.ndarray
        Mean over the training frames of the prior variance that the landmarks leave, 1 - diag(Q), in units of k(x, x); for
        several targets of the kernel each of them chose.
    alpha_, gamma_, x_mean_, x_scale_, intercept_, signal_variance_, search_
        As of `LaplacianRidge`.

    Raises
    ------
    ConfigError
        At fit, if a parameter is out of range.
    InputError
        As `LaplacianRidge`.

    Notes
    -----
    With L L^T = K_mm and V = L^-1 K_mn everything follows from V V^T + alpha, whose condition is that of the exact
    problem, not its square. Equal bits for any number of workers.

    References
    ----------
    Quiñonero-Candela, Rasmussen, J. Mach. Learn. Res. 2005, 6, 1939 (subset of regressors, projected process, FITC).
    Gonzalez, Theor. Comput. Sci. 1985, 38, 293, doi:10.1016/0304-3975(85)90224-5 (farthest points).

    Examples
    --------
    >>> import numpy as np
    >>> from hopcast.regression import LowRankRidge
    >>> X = np.linspace(0.0, 1.0, 200)[:, None]
    >>> model = LowRankRidge(20, alpha=1e-4, gamma=0.2).fit(X, np.sin(3.0 * X[:, 0]))
    >>> mean, std = model.predict([[0.5]], return_std=True)
    """

    def __init__(
        self,
        n_landmarks: int = 1000,
        alpha: float | None = None,
        gamma: float | str | None = None,
        *,
        kernel: str = "laplacian",
        block_length: int | None = None,
        standardize: bool = True,
        odd_columns: ArrayLike | None = None,
        parity: str | None = None,
        workers: int | None = None,
    ) -> None:
        self.n_landmarks = n_landmarks
        self.alpha = alpha
        self.gamma = gamma
        self.kernel = kernel
        self.block_length = block_length
        self.standardize = standardize
        self.odd_columns = odd_columns
        self.parity = parity
        self.workers = workers

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
        frames, targets = self._prepare(X, y)
        means = self._means(targets)
        centred = targets - means
        self.landmarks_ = farthest_frames(frames, min(self.n_landmarks, len(frames)), self.kernel)
        self.X_fit_ = frames[self.landmarks_]
        with single_threaded_blas():
            kernel, atoms = self._frame_kernel(), self._atoms(self.X_fit_)
            onto_landmarks = kernel.onto(atoms)
            parts = map_chunks(
                lambda part: onto_landmarks(self._atoms(frames[part])),
                chunk_slices(len(frames), chunk_length(atoms, atoms)),
                workers=self.workers,
            )
            own = kernel.own(self._atoms(frames))
            pairs = self._choose(parts, centred, groups)
            dual = np.empty((len(self.X_fit_), centred.shape[1]))
            signal, residual = np.empty(centred.shape[1]), np.empty(centred.shape[1])
            self._components: list[Component] = []
            for gamma, alpha in dict.fromkeys(pairs):
                columns = np.flatnonzero([pair == (gamma, alpha) for pair in pairs])
                lower, V = self._project(parts, gamma)
                inner = factorise(V @ V.T, alpha)
                weights = cho_solve((inner, True), V @ centred[:, columns], check_finite=False)
                dual[:, columns] = solve_triangular(lower, weights, trans=1, lower=True, check_finite=False)
                left = np.maximum(own(gamma) - np.einsum("ij,ij->j", V, V), 0.0)
                signal[columns] = _signal(V, left + alpha, centred[:, columns])
                residual[columns] = left.mean()
                self._components.append((gamma, alpha, columns, np.stack([lower, lower @ inner])))
        self._conclude(pairs, means, dual, signal)
        self.residual_: float | FloatArray = float(residual[0]) if self._one_dimensional else residual
        return self

    def _check_parameters(self) -> None:
        super()._check_parameters()
        if not isinstance(self.n_landmarks, Integral) or self.n_landmarks < 1:
            raise ConfigError(
                f"Argument `n_landmarks` must be a whole number of at least 1, but is {self.n_landmarks!r}."
            )
        if self.alpha == 0.0:
            raise ConfigError(
                "Argument `alpha` must be positive with landmarks, but is 0: use `LaplacianRidge` to interpolate."
            )

    def _project(self, parts: list[OfGamma], gamma: float) -> tuple[FloatArray, FloatArray]:
        """Return the factor L of the landmarks' kernel [m, m] and V = L^-1 K_mn [m, n_samples]."""
        K = np.concatenate([part(gamma) for part in parts])
        among = K[self.landmarks_]
        for jitter in _JITTERS:
            try:
                lower = factorise(among, jitter)
                break
            except InputError:
                if jitter == _JITTERS[-1]:
                    raise
        return lower, solve_triangular(lower, K.T, lower=True, overwrite_b=True, check_finite=False)

    def _choose(self, parts: list[OfGamma], centred: FloatArray, groups: ArrayLike | None) -> list[tuple[float, float]]:
        """Return (gamma, alpha) for every target by leave-one-block-out error, and keep the search."""
        gammas, alphas = self._grid()
        if len(gammas) == len(alphas) == 1:
            self.search_ = None
            return [(float(gammas[0]), float(alphas[0]))] * centred.shape[1]
        blocks = blocks_of(len(centred), self.block_length, groups)

        def errors_of(gamma: float) -> FloatArray:
            _, V = self._project(parts, gamma)
            squared, moments = V @ V.T, V @ centred
            errors = np.zeros((len(alphas), centred.shape[1]))
            for block in blocks:
                inside = V[:, block]
                others = squared - inside @ inside.T
                rest = moments - inside @ centred[block]
                for a, alpha in enumerate(alphas):
                    shifted = others.copy()
                    shifted.flat[:: len(others) + 1] += alpha
                    inner = cholesky(shifted, lower=True, overwrite_a=True, check_finite=False)
                    missed = centred[block] - inside.T @ cho_solve((inner, True), rest, check_finite=False)
                    errors[a] += np.einsum("ij,ij->j", missed, missed)
            return errors / len(centred)

        tables = map_chunks(errors_of, [float(gamma) for gamma in gammas], workers=self.workers)
        self.search_ = BlockOutSearch(gammas, alphas, np.array(tables))
        return self.search_.best()

    def _explained(self, K: FloatArray, alpha: float, lower: FloatArray) -> FloatArray:
        return explained_variance(K, lower[0]) - alpha * explained_variance(K, lower[1])

    def _explained_covariance(self, cross: FloatArray, alpha: float, lower: FloatArray) -> FloatArray:
        prior, posterior = (solve_triangular(one, cross, lower=True, check_finite=False) for one in lower)
        return np.asarray(prior.T @ prior - alpha * posterior.T @ posterior)


def _signal(V: FloatArray, noise: FloatArray, targets: FloatArray) -> FloatArray:
    """Return ``y^T (V^T V + noise)^-1 y / n`` of every target; `noise` [n_samples] is a diagonal."""
    scaled = V / noise
    inner = factorise(scaled @ V.T, 1.0)
    missed = targets - V.T @ cho_solve((inner, True), scaled @ targets, check_finite=False)
    return np.einsum("ij,ij,i->j", targets, missed, 1.0 / noise) / len(targets)


def farthest_frames(Z: FloatArray, n: int, kernel: str) -> NDArray[np.intp]:
    """Return at most `n` frames of Z [n_frames, n_features], each in turn the farthest from those taken, ascending.

    The first frame is taken first, of equal distances the earlier frame. Fewer where all others repeat those taken.
    """
    nearest = np.full(len(Z), np.inf)
    taken: list[int] = []
    frame = 0
    while len(taken) < n and nearest[frame] > 0.0:
        taken.append(frame)
        frame = _approach(Z, frame, kernel == "laplacian", nearest)
    return np.sort(np.array(taken, dtype=np.intp))


@njit(cache=True, nogil=True, error_model="numpy")
def _approach(Z: FloatArray, frame: int, modulus: bool, nearest: FloatArray) -> int:
    """Shorten `nearest` to the distance from ``Z[frame]`` where that is less; return where it is largest."""
    farthest = 0
    for i in range(Z.shape[0]):
        total = 0.0
        # once longer than the shortest so far, the rest of the sum changes nothing
        for k in range(Z.shape[1]):
            difference = Z[i, k] - Z[frame, k]
            total += abs(difference) if modulus else difference * difference
            if total >= nearest[i]:
                break
        nearest[i] = min(nearest[i], total)
        if nearest[i] > nearest[farthest]:
            farthest = i
    return farthest


LEARNER = LowRankRidge

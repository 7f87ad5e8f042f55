"""Kernel ridge regression on frames whose atoms keep their order, by default with the Laplacian kernel."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hopcast.regression.frame_kernels import Atoms
from hopcast.regression.frame_model import FrameModel, centre_and_scale
from hopcast.regression.kernels import FloatArray
from hopcast.regression.learner import Abilities
from hopcast.regression.ridge import FrameRidge


class FixedOrder(FrameModel):
    """Frames whose atoms keep their order: every column is scaled on its own."""

    standardize: bool

    def _learn_scaling(self, frames: FloatArray) -> None:
        odd = np.zeros(frames.shape[1], dtype=np.bool_)
        if self.parity is not None:
            odd[np.asarray(self.odd_columns)] = True
        self.x_mean_, self.x_scale_ = centre_and_scale(frames, self.standardize, odd)

    def _standardise(self, X: NDArray[np.floating]) -> FloatArray:
        return (X - self.x_mean_) / self.x_scale_

    def _atoms(self, Z: FloatArray) -> Atoms:
        return [Z[:, None, :]]


class LaplacianRidge(FixedOrder, FrameRidge):
    r"""Kernel ridge regression, by default with the Laplacian kernel, and its Gaussian-process error bars.

    .. math::

        \mu(x) = m + \sum_i c_i\, k(z, z_i), \quad c = (K + \alpha)^{-1} (y - m), \quad
        k(z, z') = e^{-\gamma \|z - z'\|_1}

    with z the features standardised on the training frames and m the mean target of the training frames.

    Parameters
    ----------
    alpha
        Ridge, in units of k(x, x) = 1, taken literally. None: chosen by leave-one-block-out error among 1e-6, 1e-5,
        ..., 1e2.
    gamma
        Inverse length in the distance of the (standardised) features, taken literally; ``"1/n_features"``
        (scikit-learn's default) is put in at fit. None: chosen by leave-one-block-out error among 0.01, 0.032, ...,
        10 times 1/n_features (``laplacian``) or 1/sqrt(n_features) (the others).
    kernel
        ``"laplacian"``, ``"matern32"`` = (1 + s) exp(-s), s = sqrt(3) gamma \|z - z'\|_2, or ``"gaussian"`` =
        exp(-(gamma \|z - z'\|_2)^2 / 2). ``matern32`` of the L1 distance is not positive definite.
    block_length
        Consecutive training frames left out together; should be longer than the correlation time. None: a tenth
        of the training frames, rounded up. Groups given to `fit` take its place.
    standardize
        Bring every feature to mean 0 and standard deviation 1 over the training frames (constant ones to 0). If
        False, features are used as they are.
    odd_columns
        Columns of X that change sign when velocities are reversed (time derivatives); they are scaled, not centred.
    parity
        ``"odd"``: k(x, x') - k(x, x' reversed), for signed couplings, without intercept; ``"even"``: their sum, for gaps
        and squared couplings (both halved); None: `k` itself. Needs `odd_columns`.
    workers
        Threads for distances, search and prediction; None takes all cores. Results do not depend on it.

    Attributes
    ----------
    alpha_, gamma_ : float or numpy.ndarray
        As used; [n_targets] where they were chosen for several targets, each by its own error.
    dual_coef_ : numpy.ndarray
        c, [n_samples] or [n_samples, n_targets].
    X_fit_ : numpy.ndarray
        Standardised training features z, [n_samples, n_features].
    x_mean_, x_scale_ : numpy.ndarray
        Centre and scale of the features, [n_features].
    intercept_ : float or numpy.ndarray
        m, [n_targets] for several targets.
    signal_variance_ : float or numpy.ndarray
        s2 = (y - m)^T (K + alpha)^-1 (y - m) / n_samples, in the squared unit of y.
    search_ : BlockOutSearch or None
        Errors of every pair tried; None where both numbers were given.

    Raises
    ------
    ConfigError
        At fit, if a parameter is out of range.
    InputError
        At fit, if there are fewer than two frames, if X or y is not finite, if a target is constant, or if alpha is
        too small for frames that repeat each other.

    Notes
    -----
    Targets share the distances; a pair (gamma, alpha) shares its Cholesky factor between all targets that chose it.
    The features are compared in float64, in chunks of frames, so prediction is linear in frames and its memory that
    of a chunk; equal bits for any chunks and workers.

    References
    ----------
    Rasmussen, Williams, *Gaussian Processes for Machine Learning*, MIT Press 2006, sections 2.2, 5.4.2.
    How et al., J. Phys. Chem. Lett. 2021, 12, 12026, doi:10.1021/acs.jpclett.1c03469 (the `paper` mode).

    Examples
    --------
    >>> import numpy as np
    >>> from hopcast.regression import LaplacianRidge
    >>> X = np.linspace(0.0, 1.0, 20)[:, None]
    >>> model = LaplacianRidge(alpha=1e-6, gamma=0.2).fit(X, np.sin(3.0 * X[:, 0]))
    >>> mean, std = model.predict([[0.5]], return_std=True)
    """

    abilities: ClassVar[Abilities] = replace(FrameRidge.abilities, learns_many=True)

    def __init__(
        self,
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
        self.alpha = alpha
        self.gamma = gamma
        self.kernel = kernel
        self.block_length = block_length
        self.standardize = standardize
        self.odd_columns = odd_columns
        self.parity = parity
        self.workers = workers

    @classmethod
    def paper(cls, *, workers: int | None = None) -> Self:
        """Return the model of the paper: alpha 1e-4, gamma 1/n_features, standardised features, centred target."""
        return cls(alpha=1e-4, gamma="1/n_features", workers=workers)


LEARNER = LaplacianRidge

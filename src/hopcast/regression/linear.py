"""Ridge regression by a line through the features, as a Gaussian process like its siblings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import ClassVar

import numpy as np

from hopcast.regression.frame_kernels import Atoms, FrameKernel, OfGamma
from hopcast.regression.kernels import FloatArray, weighted_sums
from hopcast.regression.laplacian import FixedOrder
from hopcast.regression.learner import Abilities
from hopcast.regression.ridge import FrameRidge


class LinearRidge(FixedOrder, FrameRidge):
    r"""Ridge regression on standardised features, with the error bars and held-out errors of `LaplacianRidge`.

    The kernel is :math:`k(z, z') = z \cdot z' / n_{features}`, so that

    .. math:: \mu(x) = m + w \cdot z, \qquad w = (Z^T Z + n_{features}\,\alpha)^{-1} Z^T (y - m)

    and the prior variance grows with the distance from the mean of the training frames: far from them it knows little.

    Parameters
    ----------
    alpha
        Ridge, in units of the mean of k(z, z), which is 1. None: chosen by leave-one-block-out error among 1e-6, ..., 1e2.
    block_length, standardize, workers
        As in `LaplacianRidge`.

    Attributes
    ----------
    alpha_, dual_coef_, X_fit_, x_mean_, x_scale_, intercept_, signal_variance_, search_
        As of `LaplacianRidge`; `gamma_` is 1 and has no meaning.

    Raises
    ------
    ConfigError
        At fit, if a parameter is out of range.
    InputError
        As `LaplacianRidge`.

    Notes
    -----
    Costs n^3 for n training frames whatever the number of features: for the few thousand at most that a line needs.

    References
    ----------
    Rasmussen, Williams, *Gaussian Processes for Machine Learning*, MIT Press 2006, section 2.1.

    Examples
    --------
    >>> import numpy as np
    >>> from hopcast.regression import LinearRidge
    >>> X = np.linspace(0.0, 1.0, 20)[:, None]
    >>> round(float(LinearRidge(alpha=1e-6).fit(X, 3.0 * X[:, 0]).predict([[0.5]])[0]), 3)
    1.5
    """

    abilities: ClassVar[Abilities] = replace(FrameRidge.abilities, learns_many=True, is_a_line=True)

    # one shape and one length: what the other ridges choose
    kernel = "laplacian"
    gamma = 1.0
    odd_columns = None
    parity = None

    def __init__(
        self,
        alpha: float | None = None,
        *,
        block_length: int | None = None,
        standardize: bool = True,
        workers: int | None = None,
    ) -> None:
        self.alpha = alpha
        self.block_length = block_length
        self.standardize = standardize
        self.workers = workers

    def _frame_kernel(self) -> FrameKernel:
        return _Products("linear")


class _Products(FrameKernel):
    """Products of frames over the number of features; no length scales them."""

    def within(self, frames: Atoms, *, workers: int | None = None) -> OfGamma:
        K = self.onto(frames)(frames)(1.0)
        return lambda _: K.copy()

    def onto(self, training: Atoms) -> Callable[[Atoms], OfGamma]:
        columns = np.ascontiguousarray(training[0][:, 0].T) / training[0].shape[2]
        return lambda frames: lambda _: weighted_sums(np.ascontiguousarray(frames[0][:, 0]), columns)

    def own(self, frames: Atoms) -> OfGamma:
        values: FloatArray = np.mean(frames[0][:, 0] ** 2, axis=1)
        return lambda _: values


LEARNER = LinearRidge

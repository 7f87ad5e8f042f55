"""Kernel ridge regression in which atoms of one element are exchangeable, and cells may grow."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_array, check_is_fitted

from hopcast.core.errors import InputError, QualityWarning
from hopcast.regression.finite import require_finite
from hopcast.regression.frame_kernels import Atoms
from hopcast.regression.frame_model import centre_and_scale
from hopcast.regression.kernels import FloatArray
from hopcast.regression.learner import Abilities
from hopcast.regression.ridge import FrameRidge

# Replicas repeat the features of their atoms up to the rounding of larger coordinates.
_SAME_ATOM = 1e-8


class ExchangeableRidge(FrameRidge):
    r"""Kernel ridge regression whose kernel is a mean over pairs of atoms of one element.

    .. math::

        K(x, x') = \frac{1}{n_e} \sum_e \frac{1}{N_e N_e'} \sum_{i \in e} \sum_{j \in e} k(g_i, g'_j)

    with g the features of one atom, standardised over all atoms of its element on the training frames. The order of like
    atoms does not matter, and a model of one cell applies to another of the same elements (`predict` with `symbols`).

    Parameters
    ----------
    symbols
        Element (or any label) of each atom, [n_atoms]; X holds the functions of atom after atom. None: one atom
        that holds all columns, which is the fixed order.
    alpha
        Ridge, in units of k(g, g) = 1. None: chosen by leave-one-block-out error among 1e-9, ..., 1e1 (a mean over atoms
        varies less than its terms).
    gamma
        Inverse length of the atoms' kernel. None: chosen among 0.01, ..., 10 times 1/n_functions (``laplacian``) or
        1/sqrt(n_functions); ``"1/n_features"`` takes 1/n_functions.
    kernel
        Of two atoms: ``"laplacian"``, ``"matern32"`` or ``"gaussian"``, as in `LaplacianRidge`.
    block_length
        As in `LaplacianRidge`.
    standardize
        Bring every function to mean 0 and standard deviation 1 over the atoms of an element.
    odd_columns
        Functions of an atom that change sign when velocities are reversed.
    parity
        ``"odd"``, ``"even"`` or None, as in `LaplacianRidge`.
    workers
        Threads; results do not depend on it.

    Attributes
    ----------
    elements_ : tuple of str
        In the order of first appearance.
    counts_ : tuple of int
        Atoms of each.
    order_ : numpy.ndarray
        Training atoms sorted by element, [n_atoms].
    x_mean_, x_scale_ : numpy.ndarray
        Centre and scale of the functions of each element, [n_elements, n_functions].
    X_fit_ : numpy.ndarray
        Standardised training features, atoms sorted by element, [n_samples, n_columns].
    alpha_, gamma_, dual_coef_, intercept_, signal_variance_, search_
        As of `LaplacianRidge`.

    Raises
    ------
    ConfigError
        At fit, if a parameter is out of range.
    InputError
        As `LaplacianRidge`; if columns and symbols do not fit; at `predict`, if the elements are others.

    Warns
    -----
    QualityWarning
        At `predict`, "extrapolation in size", where the number of atoms is another and frames are not replicas of a
        smaller cell.

    References
    ----------
    Bartók, Csányi, Int. J. Quantum Chem. 2015, 115, 1051, doi:10.1002/qua.24927 (sums over pairs of atomic kernels).
    De, Bartók, Csányi, Ceriotti, Phys. Chem. Chem. Phys. 2016, 18, 13754, doi:10.1039/C6CP00415F (the average kernel).

    Examples
    --------
    >>> import numpy as np
    >>> from hopcast.regression import ExchangeableRidge
    >>> X = np.random.default_rng(0).normal(size=(20, 6))
    >>> model = ExchangeableRidge(symbols=("Cs", "I", "I"), alpha=1e-3, gamma=0.3).fit(X, X.sum(axis=1))
    >>> swapped = X[:, [0, 1, 4, 5, 2, 3]]
    >>> bool(np.allclose(model.predict(X), model.predict(swapped)))
    True
    """

    abilities: ClassVar[Abilities] = replace(FrameRidge.abilities, other_cells=True)

    _alphas: ClassVar[FloatArray] = np.logspace(1, -9, 11)

    def __init__(
        self,
        symbols: Sequence[str] | None = None,
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
        self.symbols = symbols
        self.alpha = alpha
        self.gamma = gamma
        self.kernel = kernel
        self.block_length = block_length
        self.standardize = standardize
        self.odd_columns = odd_columns
        self.parity = parity
        self.workers = workers

    def predict(
        self, X: ArrayLike, return_std: bool = False, symbols: Sequence[str] | None = None
    ) -> NDArray[np.float64] | tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the forecast, and with `return_std` its posterior standard deviation; see `LaplacianRidge.predict`.

        Parameters
        ----------
        X
            Features [n_frames, n_atoms * n_functions], atom after atom.
        return_std
            Also return the standard deviation.
        symbols
            Elements of the atoms of X where they are not those of the training frames: another order or number.

        Raises
        ------
        InputError
            If an element is missing or new, or the columns do not fit the symbols.

        Warns
        -----
        QualityWarning
            "extrapolation in size": another number of atoms, and frames that are no replicas of a smaller cell.
        """
        if symbols is None:
            return super().predict(X, return_std)
        check_is_fitted(self)
        frames = check_array(X, dtype=(np.float64, np.float32), ensure_all_finite=False)
        require_finite("X", frames)
        columns = self._columns_of(symbols, frames.shape[1])
        if len(symbols) != sum(self.counts_) and not self._are_replicas(frames, columns):
            warnings.warn(
                f"extrapolation in size: the model was trained on {sum(self.counts_)} atoms and is applied to {len(symbols)}. "
                "It averages over atoms; nothing was learnt of cells of this size.",
                QualityWarning,
                stacklevel=2,
            )
        return self._forecast(frames, return_std, lambda part: self._grouped(part, columns))

    def _learn_scaling(self, frames: FloatArray) -> None:
        labels = ("atom",) if self.symbols is None else tuple(str(symbol) for symbol in self.symbols)
        if len(labels) == 0 or frames.shape[1] % len(labels):
            raise InputError(
                f"Argument `X` must hold the same number of functions for each of {len(labels)} atoms in `symbols`, but has "
                f"{frames.shape[1]} columns."
            )
        self.elements_ = tuple(dict.fromkeys(labels))
        self.n_functions_ = frames.shape[1] // len(labels)
        columns = self._columns_of(labels, frames.shape[1])
        self.counts_ = tuple(len(atoms) for atoms in columns)
        self.order_ = np.concatenate(columns)
        odd = np.zeros(self.n_functions_, dtype=np.bool_)
        if self.parity is not None:
            odd[np.asarray(self.odd_columns)] = True
        parts = self._by_element(frames, columns)
        scaling = [centre_and_scale(part.reshape(-1, self.n_functions_), self.standardize, odd) for part in parts]
        self.x_mean_ = np.array([mean for mean, _ in scaling])
        self.x_scale_ = np.array([scale for _, scale in scaling])

    def _columns_of(self, symbols: Sequence[str], n_columns: int) -> list[NDArray[np.intp]]:
        """Return the atoms of every element of the model; refuse elements that do not match."""
        labels = np.array([str(symbol) for symbol in symbols])
        if set(labels.tolist()) != set(self.elements_):
            raise InputError(
                f"Argument `symbols` must have the elements of the training frames, {', '.join(self.elements_)}, but has "
                f"{', '.join(dict.fromkeys(labels.tolist()))}: a model does not go over to other elements. Train another one."
            )
        if n_columns != len(labels) * self.n_functions_:
            raise InputError(
                f"Argument `X` must hold {self.n_functions_} functions for each of {len(labels)} atoms in `symbols`, but has "
                f"{n_columns} columns."
            )
        return [np.flatnonzero(labels == element) for element in self.elements_]

    def _by_element(self, X: NDArray[np.floating], columns: Sequence[NDArray[np.intp]]) -> list[FloatArray]:
        atoms = X.astype(np.float64, copy=False).reshape(len(X), -1, self.n_functions_)
        return [atoms[:, part] for part in columns]

    def _grouped(self, X: NDArray[np.floating], columns: Sequence[NDArray[np.intp]]) -> list[FloatArray]:
        """Return standardised atoms, element by element."""
        parts = self._by_element(X, columns)
        return [(part - mean) / scale for part, mean, scale in zip(parts, self.x_mean_, self.x_scale_, strict=True)]

    def _standardise(self, X: NDArray[np.floating]) -> FloatArray:
        edges = np.cumsum((0, *self.counts_))
        columns = [self.order_[a:b] for a, b in itertools.pairwise(edges)]
        return np.concatenate(self._grouped(X, columns), axis=1).reshape(len(X), -1)

    def _atoms(self, Z: FloatArray) -> Atoms:
        atoms = Z.reshape(len(Z), -1, self.n_functions_)
        return np.split(atoms, np.cumsum(self.counts_)[:-1], axis=1)

    def _are_replicas(self, frames: NDArray[np.floating], columns: Sequence[NDArray[np.intp]]) -> bool:
        """Return whether every atom of every frame has as many twins as the cell is larger than that of the training."""
        times = len(np.concatenate(columns)) // sum(self.counts_)
        if any(len(part) != times * count for part, count in zip(columns, self.counts_, strict=True)):
            return False
        for frame in range(len(frames)):
            for atoms in self._grouped(frames[frame : frame + 1], columns):
                apart = np.abs(atoms[0, :, None] - atoms[0]).max(axis=2)
                if (np.sum(apart < _SAME_ATOM, axis=1) % times).any():
                    return False
        return True


LEARNER = ExchangeableRidge

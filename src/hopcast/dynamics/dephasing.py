"""Pure dephasing of a pair of states from the fluctuation of their gap."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from hopcast.core.errors import InputError, check_choice
from hopcast.core.hamiltonian import VibronicHamiltonian
from hopcast.core.units import HBAR
from hopcast.dynamics.pyxaid_dephasing import pyxaid_rate
from hopcast.information import autocorrelation, memory_time

CONVENTIONS: Final = ("gaussian", "e-folding", "pyxaid", "libra")
TAU_FLOOR: Final = 0.1
TAU_CAP: Final = 1.0e4
SAID_EXCESS: Final = 0.1
"""Excess of a dephasing time from a short series from which on it is said."""
_FADED = 1e-3


@dataclass(frozen=True, eq=False)
class Dephasing:
    r"""Dephasing function of a pair of states, second order in the gap's fluctuation.

    Attributes
    ----------
    pair
        The two states.
    times
        [n_times] fs; finer than the frames where the function decays within a few of them.
    correlation
        :math:`C(t) = \langle\delta E(t)\,\delta E(0)\rangle` [n_times], eV².
    exponent
        :math:`g(t) = \hbar^{-2}\int_0^t dt'\int_0^{t'} dt''\,C(t'')` [n_times].
    function
        :math:`D(t) = e^{-g(t)}` [n_times].
    sigma
        Standard deviation of the gap, eV.
    gaussian, e_folding, pyxaid, libra
        Dephasing times of the four conventions, fs, within [`TAU_FLOOR`, `TAU_CAP`].
    limited
        Whether floor or cap changed one of them (a gap that hardly moves, e.g. of a degenerate pair).
    excess
        By how much, relatively, the times are likely too long because the mean of a short series follows its slow motion:
        :math:`(1-2t_m/T)^{-1/2}-1` with the time :math:`t_m` in which the gap forgets (`hopcast.information.memory_time`). They are
        reported as they are.
    """

    pair: tuple[int, int]
    times: NDArray[np.float64]
    correlation: NDArray[np.float64]
    exponent: NDArray[np.float64]
    function: NDArray[np.float64]
    sigma: float
    gaussian: float
    e_folding: float
    pyxaid: float
    libra: float
    limited: bool
    excess: float = 0.0

    def tau(self, convention: str = "gaussian") -> float:
        """Return the dephasing time of a convention, fs."""
        return float(getattr(self, check_choice("convention", convention, CONVENTIONS).replace("-", "_")))

    def __str__(self) -> str:
        limit = f", limited to {TAU_FLOOR:g}-{TAU_CAP:g} fs" if self.limited else ""
        if self.excess > SAID_EXCESS:
            limit += f"; the series is short: likely {100 * self.excess:.0f} % too long"
        return (
            f"Dephasing of states {self.pair[0]} and {self.pair[1]}: gap std {self.sigma:.4g} eV, tau "
            f"{self.gaussian:.4g} (gaussian), {self.e_folding:.4g} (e-folding), {self.pyxaid:.4g} (pyxaid), {self.libra:.4g} fs (libra){limit}"
        )


def dephasing_function(ham: VibronicHamiltonian, pair: tuple[int, int] = (0, 1)) -> Dephasing:
    r"""Return correlation, exponent and dephasing function of a gap, with the four dephasing times.

    :math:`C_k = \frac1N\sum_t \delta E_t\,\delta E_{t+k}` over lags up to half the series, with the sample mean removed.
    Dividing by `N` and not by the number of pairs keeps the spectrum positive, so that :math:`0 < D \le 1` always; it
    lowers lag `k` by the factor :math:`1 - k/N`, nothing at the lags at which solids dephase. Removing the sample mean
    lowers all of :math:`C` by about :math:`\sigma^2\,2t_c/T` (series of length `T`, correlation time :math:`t_c`): a short
    series dephases too slowly, one of three correlation times by 64 % in the median of Ornstein-Uhlenbeck gaps (`Dephasing.excess`
    says by how much, near enough). Between lags :math:`C` is linear, which makes :math:`g` an exact cubic there.

    Parameters
    ----------
    ham
        Vibronic Hamiltonian; the gap is taken on the grid of its energies (frames or mid-points).
    pair
        Two states.

    Raises
    ------
    InputError
        If a state is out of range, both are the same, or an energy is unknown.

    References
    ----------
    S. Mukamel, Principles of Nonlinear Optical Spectroscopy, Oxford 1995, chapter 7; A. V. Akimov, O. V. Prezhdo,
    J. Phys. Chem. Lett. 2013, 4, 3857, 10.1021/jz402035z.
    """
    if pair[0] == pair[1]:
        raise InputError(f"Argument `pair` must name two different states, but is {tuple(pair)}.")
    gap = ham.gap(pair)
    unknown = np.flatnonzero(~np.isfinite(gap))
    if unknown.size:
        raise InputError(
            f"The dephasing time needs the energies of every frame, but {unknown.size} are unknown "
            f"(the first is frame {unknown[0]}). Forecast them or give `dephasing_time`."
        )
    sigma = float(gap.std())
    covariance = sigma**2 * autocorrelation(gap, max(1, gap.size // 2)) if gap.size > 1 else np.zeros(2)
    exponent = _Exponent(covariance, ham.timestep)
    longest = (covariance.size - 1) * ham.timestep
    refine = int(np.clip(np.ceil(20 * ham.timestep * sigma / HBAR), 1, 50)) if sigma > 0 else 1
    times = np.linspace(0.0, longest, (covariance.size - 1) * refine + 1)
    g = exponent(times)
    function = np.exp(-g)
    raw = _fit_gaussian(exponent, times, function, sigma)
    with np.errstate(divide="ignore"):
        own = 1.0 / np.float64(pyxaid_rate(gap, ham.timestep) if gap.size > 3 and sigma > 0 else 0.0)
        raws = np.array([raw, np.sqrt(2.0) * raw, own, np.sqrt(12.0 / 5.0) * HBAR / np.float64(sigma)])
    taus = np.clip(raws, TAU_FLOOR, TAU_CAP)
    return Dephasing(
        (int(pair[0]), int(pair[1])), times, np.interp(times, np.arange(covariance.size) * ham.timestep, covariance),
        g, function, sigma, float(taus[0]), float(taus[1]), float(taus[2]), float(taus[3]), bool((taus != raws).any()), _excess(gap),

"""Pure dephasing of a pair of states from the fluctuation of their gap."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

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
        (int(pair[0]), int(pair[1])),
        times,
        np.interp(times, np.arange(covariance.size) * ham.timestep, covariance),
        g,
        function,
        sigma,
        float(taus[0]),
        float(taus[1]),
        float(taus[2]),
        float(taus[3]),
        bool((taus != raws).any()),
        dephasing_excess(gap),
    )


def dephasing_time(ham: VibronicHamiltonian, pair: tuple[int, int] = (0, 1), convention: str = "gaussian") -> float:
    r"""Return the pure-dephasing time of a pair of states, fs.

    Conventions differ by constant factors for a gap that moves slowly against its own dephasing:

    - ``gaussian``: least-squares fit of :math:`D(t)` by :math:`e^{-t^2/2\tau^2}` (:math:`\hbar/\sigma` for a static gap),
    - ``e-folding``: fit by :math:`e^{-t^2/\tau^2}` (:math:`\sqrt2\,\hbar/\sigma`),
    - ``pyxaid``: as PYXAID's code regresses it (`pyxaid_dephasing.pyxaid_rate`, the same limit),
    - ``libra``: :math:`\sqrt{12/5}\,\hbar/\sigma`, no fit.

    The fit runs from 0 to where :math:`D` has first fallen to 0.001, or over all lags. Times are floored at 0.1 fs
    and capped at 10,000 fs: the gap of a (nearly) degenerate pair hardly moves and would dephase never.

    Parameters
    ----------
    ham
        Vibronic Hamiltonian whose energies are all known.
    pair
        Two states.
    convention
        "gaussian", "e-folding", "pyxaid" or "libra".

    Raises
    ------
    InputError
        If a state is out of range or an energy unknown.
    ConfigError
        If the convention is unknown.

    References
    ----------
    A. V. Akimov, O. V. Prezhdo, J. Chem. Theory Comput. 2014, 10, 789, 10.1021/ct400934c.
    """
    check_choice("convention", convention, CONVENTIONS)
    return dephasing_function(ham, pair).tau(convention)


def dephasing_excess(gap: NDArray[np.float64]) -> float:
    """Return by how much, relatively, the dephasing time of a gap [n] is likely too long because the series is short (`Dephasing.excess`)."""
    if gap.size < 4 or np.ptp(gap) == 0:
        return 0.0
    return float((1.0 - min(2.0 * memory_time(gap) / gap.size, 0.9)) ** -0.5 - 1.0)


def dephasing_influence(gap: NDArray[np.float64], timestep: float, tau: float) -> NDArray[np.float64]:
    r"""Return by how much each value of a gap moves the dephasing time found from it, relatively; the mean is 0.

    :math:`\psi_t = -p\,(m_t/\bar m - 1)`, :math:`m_t = \delta E_t\,(w * \delta E)_t` with the weights `w` that the lags have in
    :math:`g(\tau)`, and :math:`p = g/(\tau g')`, because all of :math:`g` times :math:`1+\epsilon` reaches its old value at :math:`\tau(1-p\,\epsilon)`: 1/2
    for a gap that stands still meanwhile (:math:`\tau = \hbar/\sigma`, :math:`m = \delta E^2`), 1 for one that moves fast.

    Parameters
    ----------
    gap
        [n], eV.
    timestep
        fs.
    tau
        Dephasing time found, fs.
    """
    away = gap - gap.mean()
    reach = int(min(tau / timestep, (gap.size - 1) // 2))
    weights = reach + 1.0 - np.abs(np.arange(-reach, reach + 1))
    product = away * np.convolve(away, weights / weights.sum(), mode="same")
    mean = float(product.mean())
    covariance = np.array([away[: gap.size - k] @ away[k:] for k in range(reach + 1)])
    slopes = np.concatenate([[0.0], np.cumsum(0.5 * (covariance[1:] + covariance[:-1]))])
    power = 0.5
    if reach > 0 and slopes[-1] > 0:
        power = float(np.clip(np.trapezoid(slopes) / (reach * slopes[-1]), 0.5, 1.0))
    return -power * (product / mean - 1.0) if mean > 0 else np.zeros_like(gap)


def dephasing_matrix(ham: VibronicHamiltonian, convention: str = "gaussian") -> NDArray[np.float64]:
    """Return the dephasing times of all pairs [n_states, n_states], fs, infinite on the diagonal."""
    tau = np.full((ham.n_blocks, ham.n_blocks), np.inf)
    for i in range(ham.n_blocks):
        for j in range(i + 1, ham.n_blocks):
            tau[i, j] = tau[j, i] = dephasing_time(ham, (i, j), convention)
    return tau


class _Exponent:
    """g(t) of a correlation function that is linear between lags."""

    def __init__(self, covariance: NDArray[np.float64], timestep: float) -> None:
        self.c, self.h = covariance, timestep
        left, right = covariance[:-1], covariance[1:]
        self.inner = np.concatenate([[0.0], np.cumsum(0.5 * timestep * (left + right))])
        steps = timestep * self.inner[:-1] + timestep**2 * (2.0 * left + right) / 6.0
        self.outer = np.concatenate([[0.0], np.cumsum(steps)])

    def __call__(self, times: NDArray[np.float64]) -> NDArray[np.float64]:
        k = np.minimum((times / self.h).astype(np.int64), self.c.size - 2)
        u = times - k * self.h
        slope = (self.c[k + 1] - self.c[k]) / self.h
        g: NDArray[np.float64] = self.outer[k] + u * self.inner[k] + u**2 * self.c[k] / 2 + u**3 * slope / 6
        return g / HBAR**2


def _fit_gaussian(
    exponent: _Exponent, times: NDArray[np.float64], function: NDArray[np.float64], sigma: float
) -> float:
    if sigma == 0 or HBAR / sigma > TAU_CAP:
        return np.inf
    faded = np.flatnonzero(function <= _FADED)
    stop = times[faded[0]] if faded.size else times[-1]
    grid = np.linspace(0.0, stop, 2001)
    target = np.exp(-exponent(grid))

    def misfit(log_tau: float) -> float:
        return float(np.mean((target - np.exp(-0.5 * (grid / np.exp(log_tau)) ** 2)) ** 2))

    # the fit may have more than one local minimum where D oscillates: look everywhere first
    trial = np.linspace(np.log(0.5 * HBAR / sigma), np.log(4 * TAU_CAP), 200)
    best = int(np.argmin([misfit(x) for x in trial]))
    low, high = trial[max(best - 1, 0)], trial[min(best + 1, trial.size - 1)]

    def slope(log_tau: float) -> float:
        x = 0.5 * (grid / np.exp(log_tau)) ** 2
        return float(np.mean((np.exp(-x) - target) * np.exp(-x) * x))

    # bisection of the derivative: SciPy's optimisation takes a quarter of a second to import
    while high - low > 1e-12:
        middle = 0.5 * (low + high)
        low, high = (middle, high) if slope(middle) < 0 else (low, middle)
    return float(np.exp(0.5 * (low + high)))

"""Rates of a two-state Hamiltonian: along the trajectory, their mean with its interval, and ratios of two."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hopcast.core.errors import InputError, check_choice
from hopcast.core.estimates import TOO_SHORT, Estimate, Interval, combined
from hopcast.core.hamiltonian import VibronicHamiltonian
from hopcast.core.resampling import MIN_BLOCKS, cut_into_blocks, mean_interval, memory_widening
from hopcast.core.units import FS_PER_NS, HBAR
from hopcast.dynamics.block_maps import block_ensemble, block_stationary
from hopcast.dynamics.dephasing import dephasing_influence
from hopcast.dynamics.dephasing import dephasing_time as time_of_dephasing
from hopcast.dynamics.maps import stationary, step_maps
from hopcast.dynamics.propagation import balanced, substep_grid
from hopcast.information import memory_time

BLOCK: Final = 4.0
"""Length of a block, correlation times."""
_SAME: Final = 1e-9
"""Relative differences below which a series is constant."""
_UNSEEN: Final = 40.0


def second_order_rate(gap: ArrayLike, coupling: ArrayLike, dephasing_time: float) -> NDArray[np.float64]:
    r"""Return the rate of second-order perturbation theory for given gaps and couplings, 1/fs.

    .. math:: k_2 = \frac{2|V|^2}{\hbar^2}\,\frac{\tau}{1 + (E\tau/\hbar)^2}

    With a coupling ``V = v / E`` (`v` free of the gap) and a gap much wider than its dephasing it goes as
    :math:`v^2/E^4`.

    Parameters
    ----------
    gap
        eV, any shape.
    coupling
        :math:`V = \hbar d` on the same points, real or complex, eV.
    dephasing_time
        fs.

    References
    ----------
    A. Nitzan, Chemical Dynamics in Condensed Phases, Oxford 2006, chapter 12.
    """
    e, v = np.asarray(gap, dtype=np.float64), np.abs(np.asarray(coupling))
    return 2.0 * (v / HBAR) ** 2 * dephasing_time / (1.0 + (e * dephasing_time / HBAR) ** 2)


def cumulant_rate(mean_gap: float, coupling: float, times: NDArray[np.float64], exponent: NDArray[np.float64]) -> float:
    r"""Return the golden-rule rate of a fluctuating gap, 1/fs.

    .. math:: k = \frac{2V^2}{\hbar^2}\int_0^\infty \cos(\bar E t/\hbar)\,e^{-g(t)}\,dt

    Parameters
    ----------
    mean_gap
        Mean gap, eV.
    coupling
        Root-mean-square coupling, eV.
    times, exponent
        `t` (fs, ascending from 0, until `exp(-g)` has faded) and `g(t)`, e.g. of a `Dephasing`. The integral is
        trapezoidal: several points a period of the gap are needed.

    References
    ----------
    S. Mukamel, Principles of Nonlinear Optical Spectroscopy, Oxford 1995, chapter 8.
    """
    integrand = np.cos(mean_gap * times / HBAR) * np.exp(-exponent)
    return float(2.0 * (coupling / HBAR) ** 2 * np.trapezoid(integrand, times))


def local_rate(
    ham: VibronicHamiltonian,
    dephasing_time: float | None = None,
    kind: str = "exact",
    *,
    tau_convention: str = "gaussian",
    coupling_interpolation: str = "linear",
    substeps: int | None = None,
    workers: int | None = None,
) -> NDArray[np.float64]:
    r"""Return the recombination rate along the trajectory, k(t), on mid-points.

    Parameters
    ----------
    ham
        Two states, or two degenerate blocks.
    dephasing_time
        fs; None takes it from the gap.
    kind
        "exact": loss of excited population of each step, :math:`-\ln(p_{k+1}/p_k)/\Delta t`, in the quasi-steady
        ensemble of the loop (`consistent` rule, `exponential` waiting, lower state absorbing): its mean is the
        asymptotic rate. "second_order": `second_order_rate` at each mid-point, which needs no propagation and exists
        on those mid-points of a sparse Hamiltonian whose gap and coupling are known (NaN elsewhere).
    tau_convention, coupling_interpolation, substeps, workers
        As in `run_dynamics`.

    Returns
    -------
    ndarray
        [n_steps], 1/fs.

    Raises
    ------
    InputError
        If there are not two states, or ("exact") entries are unknown.
    """
    check_choice("kind", kind, ("exact", "second_order"))
    if ham.n_blocks != 2:
        raise InputError(f"The local rate needs two states, but the Hamiltonian has {ham.n_blocks}: use `select`.")
    tau = time_of_dephasing(ham, (0, 1), tau_convention) if dephasing_time is None else float(dephasing_time)
    if kind == "second_order":
        return second_order_rate(_midpoint_gap(ham), ham.coupling(), tau)
    grid = substep_grid(balanced(ham), substeps=substeps, coupling_interpolation=coupling_interpolation)
    if ham.is_degenerate:
        ensemble = block_ensemble(grid, ham.multiplicities, tau, workers=workers)
        return block_stationary(ensemble)[1] / ham.timestep
    _, losses, _ = stationary(step_maps(grid, tau, workers=workers))
    return losses / ham.timestep


def plain_average_rate(
    ham: VibronicHamiltonian, dephasing_time: float | None = None, *, n_draws: int = 2000, random_state: int = 0
) -> Estimate:
    r"""Return the rate as the plain average of :math:`k_2 \sim v^2/E^4` over the sampled frames: no model at all.

    Every forecast has to beat it (METHODS: "the control"). Samples count as a series in their order, so the blocks of
    its interval are longer than their own correlation.

    Parameters
    ----------
    ham
        Two states, complete or sparse; mid-points with a known coupling and at least one known neighbouring energy count.
    dephasing_time
        fs; None takes it from the gap (all energies known).
    n_draws, random_state
        Of the bootstrap.

    Returns
    -------
    Estimate
        1/ns.

    Raises
    ------
    InputError
        If no mid-point has both gap and coupling.
    """
    tau = time_of_dephasing(ham) if dephasing_time is None else float(dephasing_time)
    rates = local_rate(ham, tau, "second_order")
    known = np.isfinite(rates)
    if not known.any():
        raise InputError("The plain average needs sampled gaps and couplings, but no mid-point has both.")
    own = None
    if dephasing_time is None and known.all():
        own = dephasing_in_rate(ham, tau)
    return bootstrap_rate(rates[known], 1.0, dephasing=own, n_draws=n_draws, random_state=random_state)


def bootstrap_rate(
    rates: ArrayLike,
    timestep: float,
    *,
    dephasing: ArrayLike | None = None,
    block: float | None = None,
    n_draws: int = 2000,
    level: float = 0.95,
    random_state: int = 0,
) -> Estimate:
    """Return the mean of a local rate with the interval that the finite trajectory leaves.

    `finite_interval` of the rate: blocks of time, Student's t aware of skewness (the bootstrap of the blocks where they are 25 or
    more), widened for memory and for slow motion that the trajectory may not have shown. With fewer than ten blocks of four
    correlation times it is a lower bound and says so.

    Parameters
    ----------
    rates
        Local rate [n_steps], 1/fs.
    timestep
        Time between its values, fs.
    dephasing
        What the dephasing time adds where it comes from the same trajectory [n_steps] (`dephasing_in_rate`); None takes it as known.
    block
        Length of a block, fs; None takes 4 times the correlation time (`block_length`).
    n_draws, level, random_state
        Of the bootstrap.

    Returns
    -------
    Estimate
        1/ns, one part: ``finite_trajectory``.
    """
    series = _series("rates", rates)
    added = 0.0 if dephasing is None else series.mean() * np.asarray(dephasing, dtype=np.float64)
    part, short = finite_interval(
        series + added,
        timestep,
        memory_of=[series, series + added],
        block=block,
        level=level,
        n_draws=n_draws,
        random_state=random_state,
    )
    note = TOO_SHORT if short else ""
    return combined(float(series.mean()), "1/fs", {"finite_trajectory": part}, note, "log").times(FS_PER_NS, "1/ns")


def ratio_of_rates(
    rates: ArrayLike,
    reference: ArrayLike,
    timestep: float,
    *,
    block: float | None = None,
    n_draws: int = 2000,
    level: float = 0.95,
    random_state: int = 0,
) -> Estimate:
    r"""Return the ratio of two mean rates along the same trajectory, both from the same blocks.

    A forecast and the ab initio Hamiltonian share their slow motion; taking the same blocks of both keeps it out of
    the interval of their ratio, which is that of the mean of :math:`r\,(1 + k_t/\bar k - k^0_t/\bar k^0)`.

    Parameters
    ----------
    rates, reference
        Local rates on the same mid-points [n_steps], 1/fs.
    timestep
        Time between values, fs.
    block
        Length of a block, fs; None takes 4 times the longer of the two correlation times (`block_length`).
    n_draws, level, random_state
        Of the bootstrap.

    Returns
    -------
    Estimate
        Without unit, one part: ``finite_trajectory``.

    Raises
    ------
    InputError
        If the series differ in length or the reference has no rate.
    """
    top, bottom = _series("rates", rates), _series("reference", reference)
    if top.size != bottom.size:
        raise InputError(
            f"Arguments `rates` and `reference` must lie on the same steps, but have {top.size} and {bottom.size}."
        )
    if bottom.mean() <= 0:
        raise InputError(f"Argument `reference` must have a positive mean, but it is {bottom.mean():.4g}.")
    value = float(top.mean() / bottom.mean())
    change = top / top.mean() - bottom / bottom.mean() if value > 0 else np.zeros_like(top)
    part, short = finite_interval(
        value * (1.0 + change),
        timestep,
        memory_of=[top, bottom],
        block=block,
        level=level,
        n_draws=n_draws,
        random_state=random_state,
    )
    return combined(value, "", {"finite_trajectory": part}, TOO_SHORT if short else "", "log")


def finite_interval(
    series: NDArray[np.float64],
    timestep: float,
    *,
    memory_of: Sequence[NDArray[np.float64]] | None = None,
    block: float | None = None,
    level: float = 0.95,
    n_draws: int = 2000,
    random_state: int = 0,
) -> tuple[Interval, bool]:
    r"""Return the interval of the long-run mean of a positive series, and whether the series is too short for it.

    The series is cut into blocks of four correlation times, or into ten where there are fewer, and their means go to
    `mean_interval`, with the standard error times

    - `memory_widening`, for the memory that blocks cut short, and
    - :math:`1 + 40\,t_m/T` (at most 2) for a series of length T: of slow motion as long as the correlation time says, a series shows
      more or less by chance, and shows least where it looks safest. (Measured: docs/validation.md.)

    It is too short where it holds fewer than `MIN_BLOCKS` blocks, 40 correlation times. Fewer than `MIN_BLOCKS` values that
    differ leave the mean unknown: nothing says how they would go on.

    Parameters
    ----------
    series
        [n].
    timestep
        Time between values, fs.
    memory_of
        Series whose correlation time counts, the longest of them; None: `series`.
    block
        Length of a block, fs; None takes four correlation times.
    level, n_draws, random_state
        Of `mean_interval`.
    """
    if series.size < MIN_BLOCKS and np.ptp(series) > _SAME * abs(series.mean()):
        return Interval(0.0, np.inf), True
    length = block_length(list(memory_of or [series]), timestep, block)
    n_blocks = series.size / length
    cut = int(min(max(n_blocks, MIN_BLOCKS), series.size))
    means = cut_into_blocks(series, cut)[0]
    unseen = min(1.0 + _UNSEEN * length / (BLOCK * series.size), 2.0) if block is None else 1.0
    found = mean_interval(
        float(series.mean()) + means - means.mean(),
        level,
        positive=True,
        widening=unseen * memory_widening(series, series.size // cut),
        n_draws=n_draws,
        random_state=random_state,
    )
    return found, n_blocks < MIN_BLOCKS


def _series(name: str, values: ArrayLike) -> NDArray[np.float64]:
    series = np.asarray(values, dtype=np.float64).ravel()
    broken = np.flatnonzero(~np.isfinite(series))
    if series.size == 0 or broken.size:
        found = f"value {broken[0]} is {series[broken[0]]}" if broken.size else "it is empty"
        raise InputError(f"Argument `{name}` must be a finite series, but {found}.")
    return series


def memory_length(series: Sequence[NDArray[np.float64]], timestep: float) -> float:
    """Return the longest correlation time of some series (`memory_time`), in values."""
    if series[0].size < 4:
        return 1.0
    return memory_time(np.stack(series, axis=1), timestep) / timestep


def block_length(series: Sequence[NDArray[np.float64]], timestep: float, block: float | None) -> int:
    """Return the length of a block in values: `block` fs, or four times the longest correlation time."""
    if block is not None and not block > 0:
        raise InputError(f"Argument `block` must be a positive number of fs, but is {block}.")
    length = BLOCK * memory_length(series, timestep) if block is None else block / timestep
    return int(np.clip(np.ceil(length), 1, series[0].size))


def dephasing_in_rate(ham: VibronicHamiltonian, tau: float) -> NDArray[np.float64]:
    r"""Return by how much each step moves the mean rate through the dephasing time found from the same gap, relatively [n_steps].

    :math:`\frac{d\ln\bar k_2}{d\ln\tau}\,\psi_t`: `dephasing_influence` times the sensitivity of the second-order rate, -1 where the gap
    is much wider than its dephasing.

    Parameters
    ----------
    ham
        Two states, complete.
    tau
        Dephasing time found from its gap, fs.
    """
    gap = ham.gap()
    influence = dephasing_influence(gap, ham.timestep, tau)
    if ham.energy_grid != "midpoint":
        influence = 0.5 * (influence[1:] + influence[:-1])
    rates = second_order_rate(_midpoint_gap(ham), ham.coupling(), tau)
    phase = (_midpoint_gap(ham) * tau / HBAR) ** 2
    total = float(rates.sum())
    return influence * (float(rates @ ((1.0 - phase) / (1.0 + phase))) / total if total > 0 else 0.0)


def _midpoint_gap(ham: VibronicHamiltonian) -> NDArray[np.float64]:
    gap = ham.gap()
    if ham.energy_grid == "midpoint":
        return gap
    left, right = gap[:-1], gap[1:]
    middle = 0.5 * (left + right)
    # a sampled coupling may have the energy of one of its two frames only
    return np.where(np.isfinite(middle), middle, np.where(np.isfinite(left), left, right))

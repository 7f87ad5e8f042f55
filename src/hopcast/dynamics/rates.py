"""Rates of a two-state Hamiltonian: along the trajectory, their mean with its interval, and ratios of two."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hopcast.core.errors import InputError, check_choice
from hopcast.core.estimates import TOO_SHORT, Estimate, Interval, combined
from hopcast.core.hamiltonian import VibronicHamiltonian
from hopcast.core.resampling import (
    BlockDraws,
    block_bootstrap,
    draws_interval,
    memory_widening,
    studentised_interval,
)
from hopcast.core.units import FS_PER_NS, HBAR
from hopcast.dynamics.block_maps import block_ensemble, block_stationary
from hopcast.dynamics.dephasing import dephasing_time as time_of_dephasing
from hopcast.dynamics.maps import stationary, step_maps
from hopcast.dynamics.propagation import balanced, substep_grid
from hopcast.information import correlation_time

MIN_BLOCKS: Final = 10
"""Blocks below which an interval is a lower bound."""
ROOM: Final = 12
"""Blocks that a series should hold before they are made longer than they need be."""
SHORTEST, LONGEST = 1.5, 4.0
"""Lengths of a block, correlation times."""


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


def cumulant_rate(
    mean_gap: float, coupling: float, times: NDArray[np.float64], exponent: NDArray[np.float64]
) -> float:
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
        raise InputError(
            f"The local rate needs two states, but the Hamiltonian has {ham.n_blocks}: use `select`."
        )
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
    ham: VibronicHamiltonian,
    dephasing_time: float | None = None,
    *,
    n_draws: int = 2000,
    random_state: int = 0,
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
    rates = local_rate(ham, dephasing_time, "second_order")
    rates = rates[np.isfinite(rates)]
    if rates.size == 0:
        raise InputError("The plain average needs sampled gaps and couplings, but no mid-point has both.")
    return bootstrap_rate(rates, 1.0, n_draws=n_draws, random_state=random_state)


def bootstrap_rate(
    rates: ArrayLike,
    timestep: float,
    *,
    block: float | None = None,
    n_draws: int = 2000,
    level: float = 0.95,
    random_state: int = 0,
) -> Estimate:
    """Return the mean of a local rate with the interval that the finite trajectory leaves.

    Moving-block bootstrap (`block_bootstrap`), blocks longer than the correlation time of the rate (`block_length`),
    studentised on the logarithmic scale (`studentised_interval`) and widened for the memory that blocks cut short
    (`memory_widening`). With fewer than ten blocks the errors of draws are not known: plain quantiles, widened for few
    blocks (`draws_interval`), are a lower bound and say so: slow motion that the trajectory never showed is in no block.

    Parameters
    ----------
    rates
        Local rate [n_steps], 1/fs.
    timestep
        Time between its values, fs.
    block
        Length of a block, fs; None takes 1.5 to 4 times the correlation time (`block_length`).
    n_draws, level, random_state
        Of the bootstrap.

    Returns
    -------
    Estimate
        1/ns, one part: ``finite_trajectory``.
    """
    series = _series("rates", rates)
    length = block_length([series], timestep, block)
    draws = block_bootstrap(series[None], length, n_draws, random_state)
    n_blocks = series.size / length
    mean = float(series.mean())
    part = interval_of_draws(mean, draws.means[:, 0], draws, n_blocks, level, memory_widening(series, length))
    note = TOO_SHORT if n_blocks < MIN_BLOCKS else ""
    return combined(mean, "1/fs", {"finite_trajectory": part}, note, "log").times(FS_PER_NS, "1/ns")


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
    """Return the ratio of two mean rates along the same trajectory, both drawn from the same blocks.

    A forecast and the ab initio Hamiltonian share their slow motion; drawing the same blocks for both keeps it out of
    the interval of their ratio.

    Parameters
    ----------
    rates, reference
        Local rates on the same mid-points [n_steps], 1/fs.
    timestep
        Time between values, fs.
    block
        Length of a block, fs; None takes 1.5 to 4 times the longer of the two correlation times (`block_length`).
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
    length = block_length([top, bottom], timestep, block)
    draws = block_bootstrap(np.stack([top, bottom]), length, n_draws, random_state)
    n_blocks = top.size / length
    value = float(top.mean() / bottom.mean())
    ratios = draws.means[:, 0] / np.maximum(draws.means[:, 1], 1e-300)
    widening = memory_widening(top - value * bottom, length)
    part = interval_of_draws(value, ratios, draws, n_blocks, level, widening)
    note = TOO_SHORT if n_blocks < MIN_BLOCKS else ""
    return combined(value, "", {"finite_trajectory": part}, note, "log")


def interval_of_draws(
    value: float,
    values: NDArray[np.float64],
    draws: BlockDraws,
    n_blocks: float,
    level: float = 0.95,
    widening: float = 1.0,
) -> Interval:
    """Return the interval of a rate, or of a ratio of two, from the draws of their means.

    Parameters
    ----------
    value, values
        The estimate, and what the draws say of it [n_draws].
    draws
        Whose errors they are.
    n_blocks, level, widening
        As in `draws_interval`.
    """
    if n_blocks < MIN_BLOCKS or value <= 0 or not (values > 0).all():
        return draws_interval(value, values, n_blocks, level, widening)
    return studentised_interval(value, values, draws.errors, draws.error, n_blocks, level, widening)


def _series(name: str, values: ArrayLike) -> NDArray[np.float64]:
    series = np.asarray(values, dtype=np.float64).ravel()
    broken = np.flatnonzero(~np.isfinite(series))
    if series.size == 0 or broken.size:
        found = f"value {broken[0]} is {series[broken[0]]}" if broken.size else "it is empty"
        raise InputError(f"Argument `{name}` must be a finite series, but {found}.")
    return series


def memory_length(series: list[NDArray[np.float64]], timestep: float) -> float:
    """Return 1.5 times the longest correlation time of some series, in values."""
    if series[0].size < 4:
        return 1.0
    return SHORTEST * float(correlation_time(np.stack(series, axis=1), timestep).value) / timestep


def block_length(series: list[NDArray[np.float64]], timestep: float, block: float | None) -> int:
    """Return the length of a bootstrap block in values.

    `block` fs, or 1.5 times the longest correlation time, and up to four times where twelve such blocks fit: longer ones cut
    less of a slow memory short, fewer ones know less of their spread.
    """
    if block is not None and not block > 0:
        raise InputError(f"Argument `block` must be a positive number of fs, but is {block}.")
    n = series[0].size
    if n < 4:
        return 1
    if block is not None:
        return int(np.clip(np.ceil(block / timestep), 1, n))
    least = memory_length(series, timestep)
    most = np.ceil(least * LONGEST / SHORTEST)
    return int(np.clip(max(np.ceil(least), min(n // ROOM, most)), 1, n))


def _midpoint_gap(ham: VibronicHamiltonian) -> NDArray[np.float64]:
    gap = ham.gap()
    if ham.energy_grid == "midpoint":
        return gap
    left, right = gap[:-1], gap[1:]
    middle = 0.5 * (left + right)
    # a sampled coupling may have the energy of one of its two frames only
    return np.where(np.isfinite(middle), middle, np.where(np.isfinite(left), left, right))

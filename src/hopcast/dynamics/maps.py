r"""Linear maps of the two-state ensemble: the `consistent` rule with `exponential` waiting, without sampling.

An ensemble is one unnormalised density matrix per active state, each as the four reals
:math:`(\rho_{gg}, \rho_{ee}, \mathrm{Re}\,\rho_{ge}, \mathrm{Im}\,\rho_{ge})`: first that of active state e, then,
unless the lower state absorbs, that of active state g.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hopcast.core.chunks import chunk_slices, map_chunks
from hopcast.core.units import HBAR, KB
from hopcast.dynamics import map_kernels as kernels
from hopcast.dynamics.propagation import SubstepGrid, two_state_substeps

_CHUNK = 256


def boltzmann_factors(gap: NDArray[np.float64], temperature: float | None) -> NDArray[np.float64]:
    """Return exp(-gap / kT), or ones without a temperature."""
    if temperature is None:
        return np.ones_like(gap)
    return np.exp(-gap / (KB * temperature))


def step_maps(
    grid: SubstepGrid,
    dephasing_time: float,
    *,
    temperature: float | None = None,
    absorbing: bool = True,
    workers: int | None = None,
) -> NDArray[np.float64]:
    """Return the map of each nuclear step, sub-steps multiplied.

    Parameters
    ----------
    grid
        Sub-steps of a two-state Hamiltonian.
    dephasing_time
        fs; infinite for no decoherence.
    temperature
        K, for upward hops; None accepts them all.
    absorbing
        Whether the lower state absorbs.
    workers
        Threads.

    Returns
    -------
    ndarray
        [n_steps, d, d] with ``d = 4`` if absorbing, else 8.
    """
    d = 4 if absorbing else 8
    maps = np.empty((grid.n_steps, d, d))
    keep = np.exp(-grid.substep / dephasing_time)

    def work(part: slice) -> None:
        a, b, gap = two_state_substeps(grid, part.start, part.stop)
        kernels.multiply_substeps(a, b, boltzmann_factors(gap, temperature), keep, grid.n_substeps, maps[part])

    map_chunks(work, chunk_slices(grid.n_steps, _CHUNK), workers=workers)
    return maps


def initial_vector(initial_state: int, absorbing: bool) -> NDArray[np.float64]:
    """Return the vector of an ensemble in one pure, active state."""
    vector = np.zeros(4 if absorbing else 8)
    vector[1 if initial_state == 1 else 4] = 1.0
    return vector


def excited_functional(absorbing: bool) -> NDArray[np.float64]:
    """Return the row that reads the population of the upper state: the trace of its density matrix."""
    row = np.zeros(4 if absorbing else 8)
    row[:2] = 1.0
    return row


def chain(maps: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the product of all maps, the last one leftmost [d, d]."""
    return np.asarray(kernels.product(maps))


def average_populations(
    maps: NDArray[np.float64],
    initial_state: int,
    initial_steps: NDArray[np.int64],
    output_steps: NDArray[np.int64],
    moments: NDArray[np.float64],
    *,
    loop: bool,
    workers: int | None = None,
    shares: NDArray[np.float64] | None = None,
    row: NDArray[np.float64] | None = None,
    column: NDArray[np.float64] | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the upper state's population, averaged over initial times, after numbers of steps.

    Within a loop the maps of every window ``[f, f + m)`` come from products of a block's suffix and the next block's
    prefix, beyond it from suffix, power of the loop, and prefix: the cost is linear in steps and in output times,
    whatever the duration, and no map is inverted.

    Parameters
    ----------
    maps
        [n_steps, d, d].
    initial_state
        0 or 1.
    initial_steps
        Steps at which trajectories start [n_initial].
    output_steps
        Steps after the start at which populations are wanted, ascending [n_times].
    moments
        Weights over output times [n_times, n_moments].
    loop
        Whether the first step follows the last; otherwise no window may leave the trajectory.
    workers
        Threads.
    shares
        Weight of each initial time in the average [n_initial]; None weighs them alike.
    row, column
        What reads the upper state's population and what starts the ensemble [d]; None: of two states without degeneracy.

    Returns
    -------
    populations
        [n_times].
    moments
        Sum over output times of weight times population, for each initial time [n_initial, n_moments].
    """
    n, d = maps.shape[0], maps.shape[1]
    if shares is None:
        shares = np.full(initial_steps.size, 1.0 / initial_steps.size)
    row = excited_functional(d == 4) if row is None else row
    column = initial_vector(initial_state, d == 4) if column is None else column
    prefix, suffix = np.empty((n + 1, d)), np.empty((n + 1, d))
    kernels.block_products(maps, n, row, column, prefix, suffix)
    whole = chain(maps) if loop else np.eye(d)

    ends = kernels.Ends(row, column, prefix, suffix)

    def work(part: slice) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        found = np.zeros(part.stop - part.start)
        sums = np.zeros((initial_steps.size, moments.shape[1]))
        wanted = kernels.Wanted(initial_steps, shares, output_steps[part], moments[part])
        kernels.windows(maps, whole, ends, wanted, found, sums)
        return found, sums

    parts: Sequence[tuple[NDArray[np.float64], NDArray[np.float64]]] = map_chunks(
        work, chunk_slices(output_steps.size, 128), workers=workers
    )
    total = np.zeros((initial_steps.size, moments.shape[1]))
    for _, sums in parts:
        total += sums
    return np.concatenate([found for found, _ in parts]), total


def stationary(
    maps: NDArray[np.float64], *, zero_seam: bool = False
) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
    r"""Return the asymptotic decay of the looped ensemble.

    Absorbing: the largest eigenvalue :math:`\lambda` of the loop's map; the ensemble that returns to its own shape after
    a loop loses :math:`-\ln\lambda` of its population per loop. Not absorbing: the largest eigenvalue below the
    conserved one (with its modulus).

    Parameters
    ----------
    maps
        [n_steps, d, d].
    zero_seam
        Whether coherences are set to zero where the loop closes.

    Returns
    -------
    eigenvalue
        Modulus of the eigenvalue.
    losses
        Loss of excited population of each step in that ensemble, :math:`-\ln(p_{k+1}/p_k)` [n_steps]; their sum is
        :math:`-\ln\lambda`. NaN if not absorbing.
    vector
        Ensemble at the start of the loop: the quasi-steady one if absorbing, else the stationary one [d].
    """
    whole, d = chain(maps), maps.shape[1]
    if zero_seam:
        whole = whole.copy()
        whole[[i for i in range(d) if i % 4 > 1]] = 0.0
    values, vectors = np.linalg.eig(whole)
    order = np.argsort(-np.abs(values))
    first = np.real(vectors[:, order[0]])
    if d == 4:
        first = first / first[:2].sum()
        return float(np.abs(values[order[0]])), kernels.losses(maps, first), first
    first = first / (first[:2].sum() + first[4:6].sum())
    return float(np.abs(values[order[1]])), np.full(len(maps), np.nan), first


def loop_mean(maps: NDArray[np.float64], vector: NDArray[np.float64]) -> float:
    """Return the upper state's population averaged over a loop that starts from an ensemble."""
    row = excited_functional(maps.shape[1] == 4)
    total, now = 0.0, vector
    for step in maps:
        now = step @ now
        total += float(row @ now)
    return total / len(maps)


def bare_rate(gap: float, coupling: float, dephasing_time: float, substep: float) -> float:
    r"""Return the inverse mean first passage time of constant energies and coupling at a finite sub-step, 1/fs.

    Measurements at the ends of sub-steps :math:`\delta t` find the other state with
    :math:`p(t) = A\sin^2(\Omega t/2)`, :math:`A = 4V^2/(\hbar\Omega)^2`, :math:`\hbar\Omega = \sqrt{E^2+4V^2}`. Summed
    over geometric waiting times, with :math:`x = \delta t/\tau` and :math:`\varphi = \Omega\,\delta t`,

    .. math:: k = \frac{A}{2\,\delta t}\,\frac{\sinh x\,(1-\cos\varphi)}{\cosh x - \cos\varphi}
              = \frac{2V^2}{\hbar^2}\frac{\tau}{1+\Omega^2\tau^2}\Bigl[1 + \frac{x^2}{12} + \dots\Bigr]:

    deciding events on sub-steps biases the rate by :math:`(\delta t/\tau)^2/12` only.

    Parameters
    ----------
    gap, coupling
        eV.
    dephasing_time, substep
        fs.
    """
    omega = np.sqrt(gap**2 + 4 * coupling**2) / HBAR
    x, phi = substep / dephasing_time, omega * substep
    amplitude = 4 * coupling**2 / (HBAR * omega) ** 2
    return float(amplitude / 2 / substep * np.sinh(x) * (1 - np.cos(phi)) / (np.cosh(x) - np.cos(phi)))

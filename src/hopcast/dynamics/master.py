"""Rates between all states, and the classical master equation they make."""

from __future__ import annotations

import itertools
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hopcast.core.blocks import COHERENT, orientation
from hopcast.core.errors import InputError
from hopcast.core.hamiltonian import VibronicHamiltonian
from hopcast.core.units import HBAR, KB
from hopcast.dynamics.dephasing import TAU_CAP, TAU_FLOOR, dephasing_function, dephasing_influence
from hopcast.dynamics.problem import dephasing_times
from hopcast.dynamics.propagation import balanced
from hopcast.dynamics.rates import second_order_rate
from hopcast.information import autocorrelation

_NO_SHARE: Final = 1e-4  # of a dephasing time in the rate, below which its scatter is not looked at


def redfield_rate(ham: VibronicHamiltonian, pair: tuple[int, int] = (0, 1)) -> float:
    r"""Return the golden-rule rate of a pair from the series of its gap and its coupling, 1/fs.

    .. math:: k = \frac{2}{\hbar^2}\,\mathrm{Re}\int_0^\infty \langle V^*(t)V(0)\rangle\,e^{i\bar E t/\hbar}\,e^{-g(t)}\,dt

    with the autocorrelation of the coupling (mean kept, linear between lags) and the exponent `g` of the gap
    (`dephasing_function`). The downward rate of slow classical nuclei; upward it is times the Boltzmann factor.

    Parameters
    ----------
    ham
        Vibronic Hamiltonian, complete.
    pair
        Two states, or degenerate blocks: then :math:`\langle\mathrm{tr}\,N^\dagger(t)N(0)\rangle/m` with `m` of ``pair[1]``.

    Raises
    ------
    InputError
        If the gap does not dephase within the series, so that the integral has no end.

    References
    ----------
    A. G. Redfield, IBM J. Res. Dev. 1957, 1, 19, 10.1147/rd.11.0019; A. Nitzan, Chemical Dynamics in Condensed Phases,
    Oxford 2006, chapter 12.
    """
    found = dephasing_function(ham, pair)
    if found.function[-1] > 1e-2:
        raise InputError(
            f"The golden-rule rate needs a gap that dephases within half the series, but the dephasing function of "
            f"states {pair[0]} and {pair[1]} is still {found.function[-1]:.2g} there. Give a longer trajectory."
        )
    mean_gap = abs(float(ham.gap(pair).mean()))
    faded = int(np.flatnonzero(found.function < 1e-8)[0]) if (found.function < 1e-8).any() else found.times.size - 1
    stop = found.times[faded]
    spacing = min(found.times[1], 0.02 * 2 * np.pi * HBAR / max(mean_gap, 1e-12))
    t = np.linspace(0.0, stop, int(np.ceil(stop / spacing)) + 1)
    v = _couplings_of(ham, pair)
    if ham.is_degenerate and ham.overlaps is None:
        alike = orientation(ham.nac, ham.multiplicities)
        # bases that differ from step to step have no correlation: that of the norm is left
        v = v if alike is None or alike >= COHERENT else ham.coupling(pair)
    lags = int(np.clip(np.ceil(stop / ham.timestep) + 1, 1, len(v) - 1))
    c_v = np.array([np.mean(v[k:].conj() * v[: len(v) - k]) for k in range(lags + 1)])
    if v.ndim == 2:  # the mean over partners as well: back to the sum over final, the mean over initial ones
        c_v = c_v * v.shape[1]
    at = np.arange(lags + 1) * ham.timestep
    coupling = np.interp(t, at, c_v.real) + 1j * np.interp(t, at, c_v.imag)
    g = np.interp(t, found.times, found.exponent)
    integrand = np.real(coupling * np.exp(1j * mean_gap * t / HBAR)) * np.exp(-g)
    return float(2.0 / HBAR**2 * np.trapezoid(integrand, t))


def _couplings_of(ham: VibronicHamiltonian, pair: tuple[int, int]) -> NDArray[Any]:
    r"""Return the coupling of two states; of two degenerate blocks all of them, over :math:`\sqrt{m}` of ``pair[1]`` [n_steps, m_a m_b]."""
    if not ham.is_degenerate:
        return ham.coupling(pair)
    low, high = (ham.blocks[block] for block in pair)
    return ham.nac[:, low, high].reshape(ham.n_steps, -1) / np.sqrt(ham.multiplicities[pair[1]])


def rate_matrices(
    ham: VibronicHamiltonian,
    dephasing_time: float | ArrayLike | None = None,
    temperature: float | None = 300.0,
    *,
    tau_convention: str = "gaussian",
) -> NDArray[np.float64]:
    r"""Return second-order rates between all states along the trajectory.

    Parameters
    ----------
    ham
        Vibronic Hamiltonian, complete.
    dephasing_time, tau_convention
        As in `run_dynamics`.
    temperature
        K, for upward rates; None leaves them equal to the downward ones.

    Returns
    -------
    ndarray
        [n_steps, n_states, n_states], 1/fs: ``K[t, j, i]`` from `i` to `j`, columns sum to zero. Between degenerate blocks
        the sum over final partners and the mean over initial ones, so that at equilibrium each partner counts.
    """
    tau = dephasing_times(ham, dephasing_time, tau_convention)
    energies = balanced(ham).midpoint_energies[:, [block.start for block in ham.blocks]]
    n = ham.n_blocks
    k = np.zeros((ham.n_steps, n, n))
    for i in range(n):
        for j in range(n):
            if i != j and np.isfinite(tau[i, j]):
                rise = energies[:, j] - energies[:, i]
                factor = 1.0 if temperature is None else np.exp(-np.maximum(rise, 0.0) / (KB * temperature))
                k[:, j, i] = second_order_rate(rise, _size(ham, i, j), float(tau[i, j])) * factor
    diagonal = np.arange(n)
    k[:, diagonal, diagonal] = -k.sum(axis=1)
    return k


def _size(ham: VibronicHamiltonian, i: int, j: int) -> NDArray[Any]:
    """Return the coupling that takes state (or block) `i` to `j`."""
    if not ham.is_degenerate:
        return np.asarray(ham.nac[:, i, j])
    return np.linalg.norm(_couplings_of(ham, (j, i)), axis=1)


def master_equation(
    rates: ArrayLike, initial: ArrayLike, times: ArrayLike, *, absorbing: bool = False
) -> NDArray[np.float64]:
    r"""Return the populations of a classical master equation, :math:`\dot p = Kp`, exactly.

    Parameters
    ----------
    rates
        ``K[j, i]`` from `i` to `j` [n_states, n_states], 1/fs; the diagonal is made from the columns.
    initial
        A state, or populations [n_states].
    times
        [n_times], fs.
    absorbing
        Whether state 0 keeps what reaches it.

    Returns
    -------
    ndarray
        [n_times, n_states].

    Raises
    ------
    InputError
        If a rate is negative or not finite, or the initial populations do not add up to one.
    """
    from scipy.linalg import expm

    k = np.array(rates, dtype=np.float64)
    n = len(k)
    np.fill_diagonal(k, 0.0)
    if not (np.isfinite(k).all() and (k >= 0).all()):
        i, j = np.argwhere(~(np.isfinite(k) & (k >= 0)))[0]
        raise InputError(f"Argument `rates` must hold rates, but has {k[i, j]} from state {j} to state {i}.")
    if absorbing:
        k[:, 0] = 0.0
    k -= np.diag(k.sum(axis=0))
    p = np.asarray(initial, dtype=np.float64)
    p = np.eye(n)[int(p)] if p.ndim == 0 else p
    if p.shape != (n,) or (p < 0).any() or abs(p.sum() - 1) > 1e-9:
        raise InputError(
            f"Argument `initial` must be a state or {n} populations that add up to one, but is {initial!r}."
        )
    return np.stack([expm(k * t) @ p for t in np.asarray(times, dtype=np.float64)])


def slowest_mode(rates: NDArray[np.float64]) -> NDArray[np.float64]:
    r"""Return the loss to state 0 along the trajectory in the slowest decay of the states above it, 1/fs [n_steps].

    With the left and right vectors `u`, `v` of the slowest mode of the mean matrix of the states above,
    :math:`k(t) = -u^TK(t)v/u^Tv`: its mean is the decay rate of the averaged master equation.
    """
    u, v = _slowest_vectors(rates)
    return np.asarray(-np.einsum("i,tij,j->t", u, rates[:, 1:, 1:], v))


def _slowest_vectors(rates: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return left and right vectors of the slowest decay of the states above state 0, their product one (or zero where it vanishes)."""
    mean = rates[:, 1:, 1:].mean(axis=0)
    values, right = np.linalg.eig(mean)
    slow = int(np.argmax(values.real))
    v = right[:, slow].real
    values_left, left = np.linalg.eig(mean.T)
    u = left[:, int(np.argmin(np.abs(values_left - values[slow])))].real
    norm = float(u @ v)
    return (u / norm, v) if abs(norm) > 1e-300 else (np.zeros_like(u), v)


def dephasing_in_slowest_mode(
    ham: VibronicHamiltonian, rates: NDArray[np.float64], tau: NDArray[np.float64]
) -> NDArray[np.float64]:
    r"""Return by how much each step moves the decay rate through the dephasing times found from the same gaps, relatively [n_steps].

    :math:`\sum_{i<j}\frac{\partial\ln k}{\partial\ln\tau_{ij}}\,\psi^{ij}_t` with `dephasing_influence` of each gap and, since the slowest
    mode is stationary, :math:`\partial k/\partial\ln\tau_{ij} = -u^T(\partial K/\partial\ln\tau_{ij})v/u^Tv`. Times at their floor or cap are held there.
    For two states it is `hopcast.dynamics.rates.dephasing_in_rate`.

    Parameters
    ----------
    ham
        Complete.
    rates
        From `rate_matrices`, 1/fs.
    tau
        Dephasing times found from its gaps [n_blocks, n_blocks], fs.
    """
    u, v = _slowest_vectors(rates)
    total = float(-u @ rates[:, 1:, 1:].mean(axis=0) @ v)
    moved = np.zeros(len(rates))
    if total <= 0:
        return moved
    energies = ham.midpoint_energies[:, [block.start for block in ham.blocks]]
    for i, j in itertools.combinations(range(ham.n_blocks), 2):
        time = float(tau[i, j])
        if not TAU_FLOOR < time < TAU_CAP:
            continue
        phase = ((energies[:, j] - energies[:, i]) * time / HBAR) ** 2
        change = np.zeros(rates.shape[1:])
        for start, end in ((i, j), (j, i)):
            change[end, start] = float(np.mean(rates[:, end, start] * (1.0 - phase) / (1.0 + phase)))
        change -= np.diag(change.sum(axis=0))
        share = float(-u @ change[1:, 1:] @ v) / total
        if abs(share) > _NO_SHARE:
            influence = dephasing_influence(ham.gap((i, j)), ham.timestep, time)
            moved += share * (influence if ham.energy_grid == "midpoint" else 0.5 * (influence[1:] + influence[:-1]))
    return moved


def influence_spectrum(
    ham: VibronicHamiltonian, pair: tuple[int, int] = (0, 1), *, max_lag: float | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    r"""Return the phonon influence spectrum of a gap: which vibrations modulate it.

    Power spectrum of the normalised autocorrelation of the gap under a Hann taper,
    :math:`I(\omega) = |\int_0^{t_m} C(t)/C(0)\,w(t)\,e^{-i\omega t}\,dt|^2`.

    Parameters
    ----------
    ham
        Vibronic Hamiltonian whose energies are known.
    pair
        Two states.
    max_lag
        fs; None takes half the series.

    Returns
    -------
    wavenumbers, intensity
        1/cm [n], and fs² [n].
    """
    gap = ham.gap(pair)
    lags = max(2, gap.size // 2 if max_lag is None else min(gap.size // 2, round(max_lag / ham.timestep)))
    c = autocorrelation(gap, lags)
    taper = 0.5 * (1.0 + np.cos(np.pi * np.arange(c.size) / c.size))
    size = 8 * c.size
    spectrum = np.abs(np.fft.rfft(c * taper, n=size) * ham.timestep) ** 2
    per_fs = np.fft.rfftfreq(size, ham.timestep)
    return np.asarray(per_fs / 2.99792458e-5), np.asarray(spectrum, dtype=np.float64)

"""From a Hamiltonian on frames and mid-points to propagators of sub-steps."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from hopcast.core.chunks import single_threaded_blas
from hopcast.core.errors import InputError, check_choice, check_number
from hopcast.core.hamiltonian import VibronicHamiltonian
from hopcast.core.units import HBAR
from hopcast.dynamics.arrays import Complexes, Floats, Ints

MAX_PHASE: Final = 0.5
"""Largest gap phase of a sub-step and largest rotation by the coupling, rad."""

MAX_ROUGHNESS: Final = 1e-4
"""Rotation that a step may miss where couplings are rough, rad: populations of some hundred steps are off by about 0.001."""

_CLOSED = 1e-9


def choose_substeps(
    ham: VibronicHamiltonian, max_phase: float = MAX_PHASE, *, coupling_interpolation: str = "linear"
) -> int:
    r"""Return the smallest number of sub-steps that resolves the gap's phase, the coupling's rotation, and how rough the coupling is.

    :math:`\max(E_j-E_i)\,\delta t/\hbar \le` `max_phase`, and the same for :math:`|\hbar d_{ij}|\,\delta t/\hbar` of steps that rotate
    by a quarter turn or less. No change of one frame to the next rotates states by more: beyond, the coupling is
    broken and only a number given by hand is taken.

    Couplings that are linear between mid-points bend there, by :math:`\Delta^2\theta_t` rad a step of :math:`\theta = d\,\Delta t`. An odd number `n` of sub-steps has
    the bend inside of one, which takes its middle for its mean and rotates by :math:`\Delta^2\theta/8n^2` too little; an even number has not. Either misses
    the commutator of the coupling's change with the gap, :math:`\phi\,\Delta\theta/12n^2` for a gap of :math:`\phi` rad a step. Both, as root mean squares,
    are kept below `MAX_ROUGHNESS`: smooth couplings are, rough ones need more sub-steps.

    References
    ----------
    S. Blanes, F. Casas, J. A. Oteo, J. Ros, Phys. Rep. 2009, 470, 151, 10.1016/j.physrep.2008.11.001 (what the middle of a step misses).
    """
    width = float((ham.energies.max(axis=1) - ham.energies.min(axis=1)).max())
    turns = np.abs(ham.nac).max(axis=(1, 2)) * ham.timestep / HBAR
    sound = turns <= 0.5 * np.pi + 1e-9
    most = max(width * ham.timestep / HBAR, float(turns[sound].max(initial=0.0)))
    number = max(1, int(np.ceil(most / max_phase - 1e-9)))
    if coupling_interpolation != "linear" or sound.sum() < 3:
        return number
    angles = ham.nac[sound] * (ham.timestep / HBAR)
    changes, bends = (_between_blocks(ham, np.diff(angles, order, axis=0)) for order in (1, 2))
    mean = ham.block_energies.mean(axis=0)
    missed = float((np.abs(mean[:, None] - mean) * (ham.timestep / HBAR) * changes).max()) / 12.0
    number = max(number, int(np.ceil(np.sqrt(missed / MAX_ROUGHNESS))))
    return number + int(number % 2 == 1 and float(bends.max()) / (8.0 * number**2) > MAX_ROUGHNESS)


def _between_blocks(ham: VibronicHamiltonian, angles: NDArray[Any]) -> Floats:
    """Return root mean squares over steps of angles between states, of degenerate blocks in any basis [n_blocks, n_blocks]."""
    squares = np.mean(np.abs(angles) ** 2, axis=0)
    starts = [block.start for block in ham.blocks]
    sums = np.add.reduceat(np.add.reduceat(squares, starts, axis=0), starts, axis=1)
    np.fill_diagonal(sums, 0.0)
    sizes = np.diff([*starts, len(squares)])
    return np.asarray(np.sqrt(sums / np.sqrt(np.outer(sizes, sizes))))


@dataclass(frozen=True, eq=False)
class SubstepGrid:
    """One pass along the trajectory, cut into sub-steps.

    Energies are linear between frames (constant within a step where they live on mid-points); couplings are linear
    between mid-points or constant within a step. Before the first and after the last mid-point couplings are held,
    unless the loop closes (last frame equal to the first within 1e-9 eV), where they go on across the seam.

    Attributes
    ----------
    left, right
        Energies at the two ends of each step [n_steps, n_states], eV.
    nac
        Couplings on mid-points [n_steps, n_states, n_states], eV.
    timestep
        Length of a step, fs.
    n_substeps
        Sub-steps a step.
    linear
        Whether couplings are linear between mid-points.
    closed
        Whether the loop closes without a jump.
    """

    left: NDArray[np.float64]
    right: NDArray[np.float64]
    nac: NDArray[Any]
    timestep: float
    n_substeps: int
    linear: bool
    closed: bool

    @property
    def n_steps(self) -> int:
        """Number of nuclear steps."""
        return int(self.nac.shape[0])

    @property
    def substep(self) -> float:
        """Length of a sub-step, fs."""
        return self.timestep / self.n_substeps

    @property
    def max_phase(self) -> float:
        """Largest gap phase of a sub-step, rad."""
        width = max(float(np.ptp(side, axis=1).max()) for side in (self.left, self.right))
        return width * self.substep / HBAR

    def gaps(self, start: int = 0, stop: int | None = None) -> tuple[Floats, Floats]:
        """Return the two-state gap at the left and right ends of a range of steps, eV."""
        left, right = self.left[start:stop], self.right[start:stop]
        return left[:, 1] - left[:, 0], right[:, 1] - right[:, 0]

    def neighbours(self, start: int = 0, stop: int | None = None) -> tuple[Ints, Ints]:
        """Return the mid-points before and after those of a range of steps, as couplings are interpolated."""
        n = self.n_steps
        steps = np.arange(start, n if stop is None else stop)
        if self.closed:
            return (steps - 1) % n, (steps + 1) % n
        return np.maximum(steps - 1, 0), np.minimum(steps + 1, n - 1)

    def interpolate(self, start: int, stop: int) -> tuple[NDArray[np.float64], NDArray[Any]]:
        """Return energies and couplings at the mid-points of the sub-steps of some steps.

        Returns
        -------
        energies, nac
            [stop - start, n_substeps, n_states] and [stop - start, n_substeps, n_states, n_states], eV.
        """
        shape = (stop - start, self.n_substeps, self.left.shape[1])
        energies = np.empty(shape)
        nac = np.empty((*shape, shape[2]), dtype=self.nac.dtype)
        _interpolate(self.left, self.right, self.nac, start, *self.neighbours(start, stop), self.linear, energies, nac)
        return energies, nac


@njit(cache=True, nogil=True)
def _interpolate(
    left: Floats,
    right: Floats,
    nac: Any,
    start: int,
    before: Ints,
    after: Ints,
    linear: bool,
    energies: Floats,
    out: Any,
) -> None:
    n_steps, n_sub, k = energies.shape
    for step in range(n_steps):
        here = nac[start + step]
        for s in range(n_sub):
            x = (s + 0.5) / n_sub
            side, w = here, 0.0
            if linear:
                side, w = (nac[before[step]], 0.5 - x) if x < 0.5 else (nac[after[step]], x - 0.5)
            for i in range(k):
                low = left[start + step, i]
                energies[step, s, i] = low + x * (right[start + step, i] - low)
                for j in range(k):
                    out[step, s, i, j] = here[i, j] * (1.0 - w) + side[i, j] * w


def balanced(ham: VibronicHamiltonian) -> VibronicHamiltonian:
    """Return the Hamiltonian with the mean energy of each degenerate block for all its partners."""
    if not ham.is_degenerate:
        return ham
    return dataclasses.replace(ham, energies=np.repeat(ham.block_energies, ham.multiplicities, axis=1))


def substep_grid(
    ham: VibronicHamiltonian, *, substeps: int | None = None, coupling_interpolation: str = "linear", loop: bool = True
) -> SubstepGrid:
    r"""Return the sub-steps of a Hamiltonian.

    Parameters
    ----------
    ham
        Vibronic Hamiltonian, complete.
    substeps
        Sub-steps a nuclear step; None takes the smallest number with a gap phase of at most 0.5 rad
        (:math:`\max(E_j-E_i)\,\delta t/\hbar \le 0.5`).
    coupling_interpolation
        "linear" between mid-points or "constant" within a step.
    loop
        Whether the trajectory will be looped, so that couplings may go on across a seam without a jump.

    Raises
    ------
    InputError
        If the Hamiltonian has unknown entries, or a coupling rotates by more than 0.5 rad in one sub-step.
    """
    check_choice("coupling_interpolation", coupling_interpolation, ("linear", "constant"))
    if not ham.is_complete:
        assert ham.energy_known is not None
        assert ham.nac_known is not None
        lost = np.flatnonzero(~ham.nac_known)
        what, where = ("couplings", "mid-point") if lost.size else ("energies", "frame")
        lost = lost if lost.size else np.flatnonzero(~ham.energy_known)
        raise InputError(
            f"Dynamics need energies and couplings everywhere, but {lost.size} {what} are unknown (the first at "
            f"{where} {lost[0]}). Forecast or interpolate them."
        )
    if substeps is not None:
        check_number("substeps", substeps, whole=True, least=1)
    n_substeps = (
        choose_substeps(ham, coupling_interpolation=coupling_interpolation) if substeps is None else int(substeps)
    )
    on_frames = ham.energy_grid == "frame"
    left = ham.energies[:-1] if on_frames else ham.energies
    right = ham.energies[1:] if on_frames else ham.energies
    closed = loop and on_frames and bool(np.abs(ham.energies[-1] - ham.energies[0]).max() <= _CLOSED)
    linear = coupling_interpolation == "linear"
    rotation = np.abs(ham.nac).max(axis=(1, 2)) * ham.timestep / (n_substeps * HBAR)
    worst = int(rotation.argmax())
    if rotation[worst] > MAX_PHASE:
        needed = int(np.ceil(n_substeps * rotation[worst] / MAX_PHASE))
        raise InputError(
            f"The coupling must rotate by at most {MAX_PHASE} rad in a sub-step, but does by {rotation[worst]:.3g} rad "
            f"after frame {worst}. Check that coupling, or set `substeps` to at least {needed}."
        )
    return SubstepGrid(left, right, ham.nac, ham.timestep, n_substeps, linear, closed)


def propagators(
    grid: SubstepGrid, start: int = 0, stop: int | None = None, *, fraction: float = 1.0, split: bool = False
) -> NDArray[np.complex128]:
    r"""Return the propagators of sub-steps, :math:`U = e^{-iH\,\delta t/\hbar}` with `H` at the sub-step's middle.

    Two states by the closed SU(2) form (the mean energy, a common phase, is left out), more by diagonalisation, or
    split (`split_propagators`), which costs one linear solve. All are unitary to rounding and second order in the
    sub-step.

    Parameters
    ----------
    grid
        Sub-steps.
    start, stop
        Range of steps.
    fraction
        Part of a sub-step to propagate by, e.g. 0.5 (both halves have the Hamiltonian of the middle).
    split
        Whether to split instead of diagonalising (for many states; not used for two).

    Returns
    -------
    ndarray
        [stop - start, n_substeps, n_states, n_states].
    """
    stop = grid.n_steps if stop is None else stop
    n_states = grid.left.shape[1]
    if n_states == 2 and fraction == 1.0:
        a, b, _ = two_state_substeps(grid, start, stop)
        u = np.stack([a, b, -b.conj(), a.conj()], axis=-1)
        return u.reshape(stop - start, grid.n_substeps, 2, 2)
    h = fraction * grid.substep / HBAR
    if split:
        phases, rotations, _ = split_propagators(grid, start, stop, fraction=fraction)
        result: NDArray[np.complex128] = phases[..., :, None] * rotations * phases[..., None, :]
        return result
    energies, nac = grid.interpolate(start, stop)
    diagonal = np.arange(n_states)
    hamiltonian = -1j * nac
    hamiltonian[..., diagonal, diagonal] += energies
    with single_threaded_blas():
        values, vectors = np.linalg.eigh(hamiltonian)
        turned = np.exp(-1j * h * values)
        product: NDArray[np.complex128] = (vectors * turned[..., None, :]) @ vectors.conj().swapaxes(-1, -2)
    return product


def split_propagators(
    grid: SubstepGrid, start: int = 0, stop: int | None = None, *, fraction: float = 1.0
) -> tuple[NDArray[np.complex128], NDArray[Any], NDArray[np.float64]]:
    r"""Return the factors of split propagators, :math:`U = \phi R\,\phi` with :math:`\phi = e^{-iE\,\delta t/2\hbar}`.

    In the picture of the energies the coupling turns with the gaps; its mean over the sub-step is
    :math:`A_{ij} = d_{ij}\,\delta t\;\mathrm{sinc}\bigl((E_i-E_j)\,\delta t/2\hbar\bigr)`, and

    .. math:: R = (1 + A/2 + A^2/12)^{-1}(1 - A/2 + A^2/12) \approx e^{-A},

    unitary for any `A`, real where couplings are. What is left out is of the order :math:`A^2(E\,\delta t/\hbar)/12`: for a
    constant Hamiltonian two orders less than the plain split's.

    Returns
    -------
    phases
        :math:`\phi` [n_steps, n_substeps, n_states].
    rotations
        `R` [n_steps, n_substeps, n_states, n_states], real or complex as the couplings.
    energies
        At the middles [n_steps, n_substeps, n_states], eV.

    References
    ----------
    S. Blanes, F. Casas, J. A. Oteo, J. Ros, Phys. Rep. 2009, 470, 151, 10.1016/j.physrep.2008.11.001 (first term of the
    Magnus series in the picture of the energies).
    """
    energies, nac = grid.interpolate(start, grid.n_steps if stop is None else stop)
    h = fraction * grid.substep / HBAR
    gaps = energies[..., :, None] - energies[..., None, :]
    a = h * nac * np.sinc(gaps * (0.5 * h / np.pi))
    with single_threaded_blas():
        even = a @ a / 12.0
        even[..., np.arange(a.shape[-1]), np.arange(a.shape[-1])] += 1.0
        rotations = np.linalg.solve(even + 0.5 * a, even - 0.5 * a)
    return np.exp(-0.5j * h * energies), rotations, energies


def two_state_substeps(
    grid: SubstepGrid, start: int = 0, stop: int | None = None
) -> tuple[NDArray[np.complex128], NDArray[np.complex128], NDArray[np.float64]]:
    r"""Return the SU(2) propagators of sub-steps and the gap at their middles.

    With gap :math:`E` and coupling :math:`w` (`nac[0, 1]`), :math:`\Omega = \sqrt{E^2/4+|w|^2}` and
    :math:`\theta = \Omega\,\delta t/\hbar`,

    .. math:: U = \begin{pmatrix} a & b\\ -b^* & a^*\end{pmatrix},\quad
        a = \cos\theta + \frac{iE}{2\Omega}\sin\theta,\quad b = -\frac{w}{\Omega}\sin\theta.

    Returns
    -------
    a, b, gap
        [(stop - start) * n_substeps] each; `gap` in eV.
    """
    stop = grid.n_steps if stop is None else stop
    size = (stop - start) * grid.n_substeps
    a, b, gap = np.empty(size, np.complex128), np.empty(size, np.complex128), np.empty(size)
    left, right = grid.gaps(start, stop)
    coupling = grid.nac[:, 0, 1]
    if np.iscomplexobj(grid.nac):  # -i nac_ii is a real energy where phases are not parallel transported
        shift = grid.nac[start:stop, 1, 1].imag - grid.nac[start:stop, 0, 0].imag
        left, right = left + shift, right + shift
    near = np.array([coupling[index] for index in (*grid.neighbours(start, stop), slice(start, stop))], np.complex128)
    _fill_substeps(left, right, near, grid.n_substeps, grid.substep / HBAR, grid.linear, a, b, gap)
    return a, b, gap


@njit(cache=True, nogil=True)
def _fill_substeps(
    left: Floats,
    right: Floats,
    near: Complexes,
    n_sub: int,
    h: float,
    linear: bool,
    a: Complexes,
    b: Complexes,
    gap: Floats,
) -> None:
    """Fill the SU(2) propagators of sub-steps; `near`: couplings at the mid-points before, after, and of each step [3, n_steps]."""
    before, after, coupling = near[0], near[1], near[2]
    out = 0
    for k in range(left.size):
        for s in range(n_sub):
            x = (s + 0.5) / n_sub
            e = left[k] + x * (right[k] - left[k])
            w = coupling[k]
            if linear and x < 0.5:
                w = before[k] * (0.5 - x) + w * (0.5 + x)
            elif linear:
                w = w * (1.5 - x) + after[k] * (x - 0.5)
            omega = np.sqrt(0.25 * e * e + w.real * w.real + w.imag * w.imag)
            theta = omega * h
            sinc = np.sin(theta) / omega if omega > 0.0 else h
            a[out] = complex(np.cos(theta), 0.5 * e * sinc)
            b[out] = -w * sinc
            gap[out] = e
            out += 1


@njit(cache=True, nogil=True)
def prefix_products(a: Complexes, b: Complexes) -> tuple[Complexes, Complexes]:
    r"""Return :math:`P_s = U_s\cdots U_1` of SU(2) matrices (a, b), with :math:`P_0 = 1`: two arrays [n + 1]."""
    n = a.size
    pa, pb = np.empty(n + 1, np.complex128), np.empty(n + 1, np.complex128)
    pa[0], pb[0] = 1.0, 0.0
    x, y = complex(1.0, 0.0), complex(0.0, 0.0)
    for s in range(n):
        # row of the product: (a, b) (x y; -y* x*)
        u = a[s] * x - b[s] * y.conjugate()
        v = a[s] * y + b[s] * x.conjugate()
        norm = 1.0 / np.sqrt(u.real * u.real + u.imag * u.imag + v.real * v.real + v.imag * v.imag)
        x, y = u * norm, v * norm
        pa[s + 1], pb[s + 1] = x, y
    return pa, pb

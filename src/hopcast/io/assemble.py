"""From the numbers of a file to a `VibronicHamiltonian`: units, sign, alignment of rows, antisymmetry."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hopcast.core.errors import InputError
from hopcast.core.hamiltonian import EnergyGrid, VibronicHamiltonian
from hopcast.core.units import HARTREE, HBAR, RYDBERG
from hopcast.io.registry import ReadOptions

UNITS = {"eV": 1.0, "Ry": RYDBERG, "Ha": HARTREE}
SCHEMES = {"3points": 1.0, "levine": -np.pi / 4.0}
"""hbar d over what nano-qmflows stores, by the scheme that made it."""
TIMESTEPS = (1e-6, 1e6)
ASYMMETRY = 1e-4
"""Larger deviations from antisymmetry, relative to the largest coupling, are refused; smaller ones are rounding."""


def named(name: object) -> str:
    """Return "Folder `x`" or "File `x`"."""
    return f"{'Folder' if Path(str(name)).is_dir() else 'File'} `{name}`"


def need_timestep(name: object, timestep: float | None) -> float:
    """Return the time step, or say that it is missing.

    Raises
    ------
    InputError
        If it is None, or no plausible number.
    """
    if timestep is None:
        raise InputError(
            f"{named(name)} does not say how far apart its frames are. Give `timestep` in fs.", topic="option"
        )
    if not TIMESTEPS[0] <= timestep <= TIMESTEPS[1]:
        raise InputError(
            f"The time step of `{name}` must be a number of fs between {TIMESTEPS[0]:g} and {TIMESTEPS[1]:g}, but is {timestep:g}. "
            "Correct it.",
            topic="time step",
        )
    return float(timestep)


def unit_of(name: str, unit: str | None, default: str) -> tuple[str, float]:
    """Return a unit of energy and its size in eV.

    Raises
    ------
    InputError
        If it is unknown.
    """
    chosen = unit or default
    if chosen not in UNITS:
        raise InputError(
            f"The unit of energy of `{name}` must be one of {', '.join(UNITS)}, but is `{chosen}`. Give `unit`.",
            topic="option",
        )
    return chosen, UNITS[chosen]


def differences_to_nac(difference: NDArray[Any], timestep: float) -> NDArray[Any]:
    """Return hbar d from S - S^dagger, eV."""
    return difference * (HBAR / (2.0 * timestep))


def nac_to_differences(nac: NDArray[Any], timestep: float) -> NDArray[Any]:
    """Return S - S^dagger from hbar d."""
    return nac * (2.0 * timestep / HBAR)


def against_overlaps(
    name: object, nac: NDArray[np.float64], overlaps: NDArray[Any], timestep: float
) -> tuple[str, float]:
    r"""Return the scheme of nano-qmflows that made couplings, and what they must be multiplied by, told by overlaps.

    The regression of the couplings on :math:`\hbar(S - S^\dagger)/2\Delta t` has the slope 1 (``3points``) or
    :math:`-4/\pi` (``levine``).

    Parameters
    ----------
    name
        The data, for messages.
    nac
        What is stored, in eV [n_steps, n_states, n_states].
    overlaps
        Of the same steps, phases as they were when the couplings were made.
    timestep
        fs.

    Raises
    ------
    InputError
        If the couplings follow the overlaps in neither way.
    """
    expected = differences_to_nac(overlaps - overlaps.conj().swapaxes(1, 2), timestep).real
    power = float((expected**2).sum() * (nac**2).sum())
    if power == 0:
        raise InputError(
            f"The couplings of `{name}` must be told from its overlaps, but one of them is zero. Say how they were made (`scheme`)."
        )
    slope = float((nac * expected).sum() / (expected**2).sum())
    correlation = float((nac * expected).sum() / np.sqrt(power))
    for scheme, factor in SCHEMES.items():
        if abs(correlation) > 0.8 and abs(slope * factor - 1.0) < 0.15:
            return scheme, factor
    raise InputError(
        f"The couplings of `{name}` must follow its overlaps, with a slope of 1 (3points) or -4/pi (levine), but follow with a slope of "
        f"{slope:.3g} (correlation {correlation:.3g}). Derive them from the overlaps (`couplings` = overlaps), and check the time step."
    )


def real_couplings(nac: NDArray[Any]) -> NDArray[np.float64]:
    """Return couplings for codes that hold real ones: ``|nac| sign(Re nac)``, antisymmetric."""
    if not np.iscomplexobj(nac):
        return nac
    upper = np.triu(np.abs(nac) * np.where(nac.real < 0, -1.0, 1.0), 1)
    return upper - upper.swapaxes(1, 2)


def antisymmetric(
    name: object, nac: NDArray[Any], first: int = 0, place: Callable[[int], str] | None = None
) -> NDArray[Any]:
    """Return exactly anti-Hermitian matrices from printed ones.

    Parameters
    ----------
    name
        The data, for messages.
    nac
        [n_steps, n_states, n_states].
    first
        Number of the first step.
    place
        Where a row stands, as "File `x`, line 3".

    Raises
    ------
    InputError
        If they deviate by more than rounding (names the place and the step).
    """
    known = np.isfinite(nac).all(axis=(1, 2))
    clean = np.where(known[:, None, None], nac, 0.0)
    residual = np.abs(clean + clean.conj().swapaxes(1, 2)).max(axis=(1, 2), initial=0.0)
    scale = float(np.abs(clean).max(initial=0.0))
    if scale > 0 and residual.max() > ASYMMETRY * scale:
        worst = int(residual.argmax())
        raise InputError(
            f"{named(name) if place is None else place(worst)} must hold antisymmetric couplings (complex: anti-Hermitian), but step "
            f"{worst + first} deviates by {residual[worst] / scale:.3g} of the largest. Check that they are S - S^T and not overlaps, "
            "and of this number of states.",
            topic="antisymmetry",
        )
    result: NDArray[Any] = 0.5 * (nac - nac.conj().swapaxes(1, 2))
    return result


def assemble(
    name: object,
    energies: NDArray[np.float64],
    nac: NDArray[Any],
    *,
    timestep: float,
    grid: EnergyGrid,
    provenance: Mapping[str, str],
    options: ReadOptions,
    overlaps: NDArray[Any] | None = None,
    first: int | None = None,
    place: Callable[[int], str] | None = None,
) -> VibronicHamiltonian:
    """Return the Hamiltonian of rows of energies (eV) and couplings (hbar d, eV), aligned.

    With energies on frames there is one coupling fewer than energies. Where a code wrote as many of both, the last
    coupling has no last energy: it is dropped, and the provenance says so. `place` says where the coupling of a row stands,
    `first` the number that the source gives its first frame (None: it gives none).

    Raises
    ------
    InputError
        If the numbers of rows or of states do not fit together, or couplings are not antisymmetric.
    """
    n_energies, n_couplings = len(energies), len(nac)
    if nac.shape[1] != energies.shape[1]:
        raise InputError(
            f"Energies and couplings of `{name}` must have the same states, but have {energies.shape[1]} and "
            f"{nac.shape[1]}. Check that the files belong together."
        )
    expected = n_energies - 1 if grid == "frame" else n_energies
    alignment = "energies at t, couplings at t + dt/2" if grid == "frame" else "energies and couplings at t + dt/2"
    alignment += f", from number {first or 0}"
    if n_couplings == expected + 1 and expected > 0:
        alignment += f"; the last coupling (number {(first or 0) + expected}) has no last energy and was dropped"
        nac = nac[:expected]
        overlaps = None if overlaps is None else overlaps[:expected]
    elif n_couplings != expected:
        raise InputError(
            f"{named(name)} must hold {expected} couplings for its {n_energies} energies (or one more), but holds {n_couplings}. "
            "Check that both come from the same run and are complete."
        )
    if n_couplings == 0 or expected == 0:
        raise InputError(
            f"{named(name)} must hold at least two frames, but holds {n_energies}. Give more of the trajectory."
        )
    nac = antisymmetric(name, nac, first or 0, place)
    if np.iscomplexobj(nac) and not np.any(nac.imag[np.isfinite(nac)]):
        nac = nac.real.copy()
    if overlaps is not None and np.iscomplexobj(overlaps) and not np.any(overlaps.imag[np.isfinite(overlaps)]):
        overlaps = overlaps.real.copy()
    if overlaps is not None and options.couplings == "source":
        overlaps = None
    return VibronicHamiltonian(
        energies=energies,
        nac=nac,
        timestep=timestep,
        overlaps=overlaps,
        n_occupied=options.n_occupied,
        energy_grid=grid,
        provenance={**provenance, "alignment": alignment, "couplings": "as the source gives them"},
        frame_numbers=None if first is None else first + np.arange(len(nac) + 1),
    )


def from_overlaps(
    name: object,
    energies: NDArray[np.float64],
    overlaps: NDArray[Any],
    *,
    timestep: float,
    provenance: Mapping[str, str],
    options: ReadOptions,
    grid: EnergyGrid = "frame",
    first: int | None = None,
    place: Callable[[int], str] | None = None,
) -> VibronicHamiltonian:
    """Return the Hamiltonian of raw overlaps: couplings unknown until derived, or plain differences where trusted.

    Raises
    ------
    InputError
        As `assemble`, or if an overlap is zero throughout: its step failed.
    """
    failed = np.flatnonzero(~np.any(overlaps, axis=(1, 2)))
    if failed.size:
        step = int(failed[0])
        raise InputError(
            f"{named(name) if place is None else place(step)} must hold overlaps, but those of step {step + (first or 0)} are zero throughout"
            f"{'' if failed.size == 1 else f' (as of {failed.size - 1} more)'}: its calculation failed. Calculate it again."
        )
    if options.couplings == "source":
        nac = differences_to_nac(overlaps - overlaps.conj().swapaxes(1, 2), timestep)
        return assemble(
            name,
            energies,
            nac,
            timestep=timestep,
            grid=grid,
            options=options,
            place=place,
            first=first,
            provenance={**provenance, "phases": "none: differences of overlaps as they come"},
        )
    unknown = np.full(overlaps.shape, np.nan)
    return assemble(
        name,
        energies,
        unknown,
        timestep=timestep,
        grid=grid,
        options=options,
        place=place,
        overlaps=overlaps,
        first=first,
        provenance=provenance,
    )


def orthogonal_pair(left: NDArray[Any], overlap: NDArray[Any], right: NDArray[Any]) -> NDArray[Any]:
    """Return overlaps of frames after Löwdin's orthonormalisation of each: S(t)^-1/2 St S(t+dt)^-1/2."""
    return _inverse_root(left) @ overlap @ _inverse_root(right)


def _inverse_root(matrices: NDArray[Any]) -> NDArray[Any]:
    hermitian = 0.5 * (matrices + matrices.conj().swapaxes(-1, -2))
    values, vectors = np.linalg.eigh(hermitian)
    values = np.where(values > 1e-8, values, 1.0)
    result: NDArray[Any] = (vectors / np.sqrt(values)[..., None, :]) @ vectors.conj().swapaxes(-1, -2)
    return result

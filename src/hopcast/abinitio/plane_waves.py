"""Electrons of an engine from wavefunctions on disk: what pw.x and VASP share."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hopcast.abinitio.engine import Electrons, ElectronsError, Geometry, check_alike, choose_window
from hopcast.core.chunks import single_threaded_blas
from hopcast.core.errors import ConfigError, InputError
from hopcast.io.wavefunctions.protocol import Wavefunctions
from hopcast.io.wavefunctions.selection import count_occupied


def electrons_of(file: Wavefunctions, geometry: Geometry, bands: tuple[int, int]) -> Electrons:
    r"""Return the electrons of a calculation at Gamma with half a sphere of plane waves, whose overlaps are real.

    Orbitals are the real and imaginary parts of the coefficients after each other, those of ultrasoft and PAW pseudopotentials
    Löwdin-orthonormalised in the window, :math:`C\,(C^T C)^{-1/2}`.

    Parameters
    ----------
    file
        The wavefunctions.
    geometry
        What was computed.
    bands
        How many to keep below and above the gap.

    Raises
    ------
    ElectronsError
        If bands are occupied in part.
    ConfigError
        If it is not a calculation at Gamma alone, or there are fewer bands.
    InputError
        If the files are damaged.
    """
    basis, levels = file.basis(0, 0), file.levels(0, 0)
    if basis.flavour != "half" or file.n_spins != 1:
        raise ConfigError(
            f"An engine needs closed shells at Gamma with half the plane waves (K_POINTS gamma, vasp_gam), but `{file.path}` has "
            f"{file.n_spins} spin channels and {basis.flavour} spheres. Use `hopcast select` and `hopcast harvest` for k-points and spinors."
        )
    try:
        occupied = count_occupied(file, levels)
    except InputError as error:
        raise ElectronsError(str(error)) from error
    kept = choose_window(bands, occupied, len(levels.energies))
    coefficients = file.coefficients(range(kept.start, kept.stop), 0, 0).astype(np.complex128)
    orbitals = coefficients.view(np.float64).T
    if not file.orthonormal:
        with single_threaded_blas():
            values, vectors = np.linalg.eigh(orbitals.T @ orbitals)
            orbitals = orbitals @ (vectors / np.sqrt(values)) @ vectors.T
    kind = f"plane waves below {basis.cutoff:.6g} eV{'' if file.orthonormal else ', pseudo-wavefunctions orthonormalised in the window'}"
    return Electrons(
        geometry,
        levels.energies,
        np.ascontiguousarray(orbitals),
        kept.start,
        occupied,
        np.zeros(0, np.int64),
        basis=f"{kind}, {basis.order}",
    )


def overlap_of(left: Electrons, right: Electrons) -> NDArray[np.float64]:
    """Return the overlaps of the orbitals of two frames, which must have the same plane waves.

    Raises
    ------
    InputError
        If they have not.
    """
    check_alike(left, right)
    with single_threaded_blas():
        return left.orbitals.T @ right.orbitals

"""Pairs with VASP's own overlaps: the window of a `WSWQ`, and whether it is that of the two `WAVECAR`s beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hopcast.core.chunks import single_threaded_blas
from hopcast.core.errors import InputError
from hopcast.io.wavefunctions.gauge import is_gamma, phases_of
from hopcast.io.wavefunctions.overlaps import overlap
from hopcast.io.wavefunctions.protocol import BandFile
from hopcast.io.wavefunctions.selection import Window
from hopcast.io.wavefunctions.wavecar import Wavecar
from hopcast.io.wavefunctions.wswq import Eigenval, overlap_of_pair, read_wswq

COMPARED = 4
"""Bands, around the gap, whose overlaps are compared with those of the pseudo-wavefunctions."""
IMAGINARY = 1e-3
"""Overlaps of real states have no larger imaginary part."""
SMALL = 1e-3
"""Overlaps between bands below this tell nothing about the order of indices."""


def open_bands(path: Path) -> BandFile:
    """Open the bands of a frame: a `WAVECAR` or an `EIGENVAL`."""
    return Eigenval.open(path) if path.name == "EIGENVAL" else Wavecar.open(path)


def read_pair(files: tuple[Path, Path, Path], *, window: Window) -> NDArray[Any]:
    """Return the overlaps <i(t)|j(t+dt)> of a window.

    Parameters
    ----------
    files
        The `WSWQ`, and where the bands of the earlier and of the later frame are.
    window
        What is read.

    Raises
    ------
    InputError
        If the file is damaged, or of other bands or another pair than the two frames.
    """
    path, *frames = files
    matrix, size = read_wswq(path, *window.selection.channel)
    if size.n_bands != window.n_bands:
        raise InputError(
            f"File `{path}` must hold overlaps of the {window.n_bands} bands of its frame, but holds those of {size.n_bands}. It is of another "
            "pair: run the second step (LWSWQ = .TRUE.) of this frame again."
        )
    found = overlap_of_pair(matrix, window.bands)
    norms = np.linalg.norm(matrix, axis=0)
    if norms.max() > 1.5:
        raise InputError(
            f"File `{path}` must hold overlaps of normalised bands, but a column has the norm {norms.max():.3g}. It is damaged: run the second "
            "step (LWSWQ = .TRUE.) of this frame again."
        )
    if all(frame.name == "WAVECAR" for frame in frames):
        both = [Wavecar.open(frame) for frame in frames]
        _compare(path, found, both, window)
        found = _made_real(found, both, window)
    return found


def _made_real(found: NDArray[Any], frames: list[Wavecar], window: Window) -> NDArray[Any]:
    """Return overlaps of states at Gamma without the phases that a complex program gave them, real; others as they are."""
    channel = window.selection.channel
    bases = [frame.basis(*channel) for frame in frames]
    if any(basis.flavour != "full" or not is_gamma(basis.kpoint) for basis in bases):
        return found
    left, right = (
        phases_of(frame, frame.coefficients(window.bands, *channel), basis, channel)
        for frame, basis in zip(frames, bases, strict=True)
    )
    if left is None or right is None:
        return found
    turned = left.conj()[:, None] * found * right
    return turned.real if np.abs(turned.imag).max() < IMAGINARY else found


def _compare(path: Path, found: NDArray[Any], frames: list[Wavecar], window: Window) -> None:
    """Compare phases and signs with those of the pseudo-wavefunctions, which lack the augmentation but not the phase."""
    spin, kpoint = window.selection.channel
    bases = [frame.basis(spin, kpoint) for frame in frames]
    if bases[0].n_components != bases[1].n_components or bases[0].flavour != bases[1].flavour:
        raise InputError(
            f"Frames must have the same plane waves, but `{frames[0].path}` has {bases[0].n_components} coefficients a band and "
            f"`{frames[1].path}` has {bases[1].n_components}. Calculate them in the same cell with the same ENCUT."
        )
    middle = window.bands.start + min(max(window.n_occupied, COMPARED // 2), max(len(window.bands) - COMPARED // 2, 0))
    bands = range(max(window.bands.start, middle - COMPARED // 2), min(window.bands.stop, middle + COMPARED // 2))
    with single_threaded_blas():
        pseudo = overlap(
            *(frame.coefficients(bands, spin, kpoint) for frame in frames), real=bases[0].flavour == "half"
        )
    here = slice(bands.start - window.bands.start, bands.stop - window.bands.start)
    exact = found[here, here]
    turned = (np.diag(exact) * np.diag(pseudo).conj()).real < -0.25
    if turned.any():
        raise InputError(
            f"File `{path}` must hold the overlaps of `{frames[1].path}` with `{frames[0].path}`, but band {bands[int(turned.argmax())]} has the opposite "
            "phase: it is of another pair, or a WAVECAR was written anew since. Run the second step (LWSWQ = .TRUE.) of this frame again."
        )
    off = ~np.eye(len(bands), dtype=bool)
    as_said, exchanged = (np.linalg.norm((exact - each)[off]) for each in (pseudo, pseudo.conj().T))
    if np.linalg.norm(pseudo[off]) > SMALL and exchanged < 0.5 * as_said:
        raise InputError(
            f"File `{path}` must hold <W_i|S|W^Q_j> with i of the present frame, but its overlaps between bands are those of the WAVECARs "
            "beside it the other way round: the two frames are exchanged (WAVECAR.qqq must be that of the frame before). Run the second step again."
        )

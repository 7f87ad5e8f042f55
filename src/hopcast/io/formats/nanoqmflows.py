"""nano-qmflows' text: ``Ham_<step>_re`` and ``_im``, eV; the sign depends on the scheme that made them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hopcast.core.errors import InputError, check_choice
from hopcast.core.hamiltonian import VibronicHamiltonian
from hopcast.io.arrays import foreign_hdf5
from hopcast.io.assemble import SCHEMES, against_overlaps, assemble, need_timestep, unit_of
from hopcast.io.formats import nanoqmflows_hdf5
from hopcast.io.numbered import consecutive, names_in, numbered_files, read_vibronic_pair, split_vibronic
from hopcast.io.registry import Format, ReadOptions


def sniff(path: Path) -> bool:
    """Whether a folder has Ham_<step>_re and _im."""
    if not path.is_dir():
        return False
    try:
        return bool(numbered_files(path, r"Ham_(\d+)_re")) and bool(numbered_files(path, r"Ham_(\d+)_im"))
    except ValueError:
        return True


def read(path: Path, options: ReadOptions) -> VibronicHamiltonian:
    """Read the matrices; `options.scheme`, or overlaps beside them, says how the couplings were made."""
    timestep = need_timestep(path, options.timestep)
    unit, scale = unit_of(str(path), options.unit, "eV")
    real, imaginary = numbered_files(path, r"Ham_(\d+)_re"), numbered_files(path, r"Ham_(\d+)_im")
    shifted = ""
    re_numbers, im_numbers = (consecutive(path, real, "real parts"), consecutive(path, imaginary, "imaginary parts"))
    if re_numbers != im_numbers and len(re_numbers) == len(im_numbers):
        # the code numbers the two parts differently where its enumeration does not begin with 0
        shifted = (
            f"; real parts begin with number {re_numbers[0]}, imaginary parts with {im_numbers[0]}: paired in order"
        )
        imaginary = {a: imaginary[b] for a, b in zip(re_numbers, im_numbers, strict=True)}
    re_parts, im_parts, first = read_vibronic_pair(path, real, imaginary, "`Ham_<step>`")
    energies, negative = split_vibronic(re_parts * scale, im_parts * scale)
    stored = -negative.real
    scheme = options.scheme or _told_by_overlaps(path, stored, im_numbers, timestep)
    factor = SCHEMES[check_choice("scheme", scheme, SCHEMES)]
    told = "" if options.scheme else ", told by the overlaps"
    return assemble(
        path,
        energies,
        factor * stored,
        timestep=timestep,
        grid="midpoint",
        options=options,
        first=first,
        provenance={
            "format": f"nanoqmflows{shifted}",
            "units": unit,
            "sign": f"Im H = hbar d times {1 / factor:.4g} ({scheme}{told})",
        },
    )


def _told_by_overlaps(path: Path, stored: NDArray[np.float64], numbers: list[int], timestep: float) -> str:
    """Return the scheme that an HDF5 of the code in the same folder tells."""
    beside = [path / name for name in sorted(names_in(path)) if nanoqmflows_hdf5.sniff(path / name)]
    if len(beside) != 1:
        raise InputError(
            f"Folder `{path}` does not say how its couplings were made, which decides their sign and scale. Give `scheme` (3points or "
            "levine, `algorithm` in the input of the run), put its HDF5 here to tell it, or read the overlaps of the HDF5 instead.",
            topic="option",
        )
    with foreign_hdf5(beside[0]) as file:
        overlaps, _ = nanoqmflows_hdf5.read_overlaps(
            beside[0], nanoqmflows_hdf5.home_of(beside[0], file, None), corrected=True
        )
    rows = [row for row, number in enumerate(numbers) if number in overlaps]
    paired = [overlaps[numbers[row]] for row in rows]
    if not rows or any(matrix.shape != stored.shape[1:] for matrix in paired):
        raise InputError(
            f"File `{beside[0]}` must hold the overlaps of the states and steps of `Ham_<step>_im` beside it, but holds those of {len(rows)} of its steps"
            f"{' in another shape' if rows else ''}. Give `scheme` (3points or levine).",
            topic="option",
        )
    return against_overlaps(path, stored[rows], np.array(paired), timestep)[0]


FORMAT = Format(
    "nanoqmflows",
    "nano-qmflows' Ham files (schemes 3points and levine)",
    "hamiltonian",
    "Ham_<step>_re, _im",
    sniff,
    read,
    code="nano-qmflows",
    heeds=("unit", "scheme"),
)

"""nano-qmflows' text: ``Ham_<step>_re`` and ``_im``, eV; the sign depends on the scheme that made them."""

from __future__ import annotations

import math
from pathlib import Path

from hopcast.core.errors import check_choice
from hopcast.core.hamiltonian import VibronicHamiltonian
from hopcast.io.assemble import assemble, need_timestep, unit_of
from hopcast.io.numbered import consecutive, numbered_files, read_vibronic_pair, split_vibronic
from hopcast.io.registry import Format, ReadOptions

SCHEMES = {"3points": 1.0, "levine": -math.pi / 4.0}
"""hbar d over what is stored."""


def sniff(path: Path) -> bool:
    """Whether a folder has Ham_<step>_re and _im."""
    if not path.is_dir():
        return False
    try:
        return bool(numbered_files(path, r"Ham_(\d+)_re")) and bool(numbered_files(path, r"Ham_(\d+)_im"))
    except ValueError:
        return True


def read(path: Path, options: ReadOptions) -> VibronicHamiltonian:
    """Read the matrices; `options.scheme` says how the couplings were made ("3points" by default)."""
    timestep = need_timestep(path, options.timestep)
    scheme = check_choice("scheme", options.scheme or "3points", SCHEMES)
    unit, scale = unit_of(str(path), options.unit, "eV")
    real, imaginary = numbered_files(path, r"Ham_(\d+)_re"), numbered_files(path, r"Ham_(\d+)_im")
    shifted = ""
    re_numbers, im_numbers = (
        consecutive(path, real, "real parts"),
        consecutive(path, imaginary, "imaginary parts"),
    )
    if re_numbers != im_numbers and len(re_numbers) == len(im_numbers):
        # the code numbers the two parts differently where its enumeration does not begin with 0
        shifted = f"; real parts begin with number {re_numbers[0]}, imaginary parts with {im_numbers[0]}: paired in order"
        imaginary = {a: imaginary[b] for a, b in zip(re_numbers, im_numbers, strict=True)}
    re_parts, im_parts, first = read_vibronic_pair(path, real, imaginary, "`Ham_<step>`")
    energies, negative = split_vibronic(re_parts * scale, im_parts * scale)
    return assemble(
        path, energies, -SCHEMES[scheme] * negative.real, timestep=timestep, grid="midpoint", options=options, first=first,
        provenance={
            "format": f"nanoqmflows{shifted}", "units": unit,
            "sign": "Im H = +hbar d (3points)" if scheme == "3points" else "Im H = -4/pi hbar d (levine); check it against S",
        },
    )  # fmt: skip


FORMAT = Format(
    "nanoqmflows", "nano-qmflows' Ham files (schemes 3points and levine)", "hamiltonian", "Ham_<step>_re, _im", sniff, read,
)  # fmt: skip

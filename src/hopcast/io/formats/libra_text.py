"""Libra's text: ``Hvib_<step>_re`` and ``_im`` (also ``hvib_dia_``, ``Hvib_sd_``, ``Hvib_ci_``), Ha, ``Im Hvib = -d``."""

from __future__ import annotations

import re
from pathlib import Path

from hopcast.core.errors import check_choice
from hopcast.core.hamiltonian import EnergyGrid, VibronicHamiltonian
from hopcast.core.hdf5 import write_text
from hopcast.core.units import HARTREE
from hopcast.io.assemble import assemble, need_timestep
from hopcast.io.numbered import (
    chosen_prefix,
    first_number,
    join_vibronic,
    matrix_prefixes,
    matrix_text,
    numbered_files,
    read_vibronic_pair,
    split_vibronic,
)
from hopcast.io.registry import Format, Holds, ReadOptions, WriteOptions

_PREFIX = re.compile(r"[Hh]vib_(?:[a-z]+_)*")
"""``Hvib_``, ``hvib_``, ``Hvib_sd_``, ``Hvib_ci_``, ``hvib_dia_``, ``hvib_adi_``: all in Ha, all with ``H = E - i d``."""


def vibronic_prefixes(folder: Path) -> list[str]:
    """Return the prefixes in a folder that Libra gives to vibronic Hamiltonians."""
    return [prefix for prefix in matrix_prefixes(folder) if _PREFIX.fullmatch(prefix)]


def sniff(path: Path) -> bool:
    """Whether a folder has Hvib_<step>_re and _im, or another of Libra's names for them."""
    return path.is_dir() and bool(vibronic_prefixes(path))


def read(path: Path, options: ReadOptions) -> VibronicHamiltonian:
    """Read the matrices; `options.energy_grid` is "frame" where the real parts are not averages of neighbours."""
    timestep = need_timestep(path, options.timestep)
    grid: EnergyGrid = check_choice("energy_grid", options.energy_grid or "midpoint", ("frame", "midpoint"))  # type: ignore[assignment]
    prefix = chosen_prefix(path, vibronic_prefixes(path) or ["Hvib_"], options.prefix)
    files = {part: numbered_files(path, rf"{prefix}(\d+)_{part}") for part in ("re", "im")}
    re_parts, im_parts, first = read_vibronic_pair(path, files["re"], files["im"], f"`{prefix}<step>`")
    energies, nac = split_vibronic(re_parts * HARTREE, im_parts * HARTREE)
    return assemble(
        path,
        energies,
        nac,
        timestep=timestep,
        grid=grid,
        options=options,
        first=first,
        provenance={"format": f"libra-text, {prefix}", "sign": "Im Hvib = -d", "units": "Ha, atomic units"},
    )


def write(hamiltonian: VibronicHamiltonian, path: Path, options: WriteOptions) -> None:
    """Write the matrices of all mid-points into a folder."""
    re_parts, im_parts = join_vibronic(hamiltonian.midpoint_energies / HARTREE, hamiltonian.nac / HARTREE)
    for step, (real, imaginary) in enumerate(zip(re_parts, im_parts, strict=True), first_number(hamiltonian)):
        write_text(path / f"Hvib_{step}_re", matrix_text(real))
        write_text(path / f"Hvib_{step}_im", matrix_text(imaginary))


FORMAT = Format(
    "libra-text",
    "Libra's vibronic Hamiltonian as text",
    "hamiltonian",
    "Hvib_<step>_re, _im; hvib_dia_*, Hvib_sd_*, Hvib_ci_*",
    sniff,
    read,
    write,
    Holds("midpoint", complex=True, diagonal=False, numbers="consecutive"),
    heeds=("energy_grid", "prefix"),
)

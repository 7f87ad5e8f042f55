"""Libra's text: ``Hvib_<step>_re`` and ``_im`` (also ``hvib_dia_``, ``Hvib_sd_``, ``Hvib_ci_``), Ha, ``Im Hvib = -d``.

Its second step writes the raw overlaps that these couplings are differences of beside them: ``St_dia_ks_<step>`` (once ``st_dia_<step>``) to
``hvib_dia_<step>``, with DFTB+ ``St_<step>`` to ``hvib_<step>``. Their phases are as the electronic structure left them, and so are those of the
couplings: where the overlaps are there, they are what is read.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hopcast.core.errors import InputError, check_choice
from hopcast.core.hamiltonian import EnergyGrid, VibronicHamiltonian
from hopcast.core.hdf5 import write_text
from hopcast.core.units import HARTREE
from hopcast.io.assemble import ASYMMETRY, assemble, from_overlaps, need_timestep
from hopcast.io.numbered import (
    chosen_prefix,
    first_number,
    join_vibronic,
    matrix_prefixes,
    matrix_text,
    numbered_files,
    read_matrices,
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
    raw = None if options.couplings == "source" else _raw_overlaps(path, prefix, sorted(files["re"]), nac.shape[1])
    if raw is not None:
        name, overlaps = raw
        return from_overlaps(
            path,
            energies,
            overlaps,
            timestep=timestep,
            grid=grid,
            options=options,
            first=first,
            place=lambda row: f"File `{path / f'{name}{first + row}_re'}`",
            provenance={
                "format": f"libra-text, {prefix}<step>_re and {name}<step>",
                "sign": "raw overlaps <i(t)|j(t+dt)>",
                "units": "Ha",
            },
        )
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


def _raw_overlaps(folder: Path, prefix: str, steps: list[int], n_states: int) -> tuple[str, NDArray[Any]] | None:
    """Return the prefix and the matrices of the raw overlaps beside a Hamiltonian; None where there are none."""
    kind = prefix.partition("_")[2]
    for name in (f"St_{kind}ks_", f"st_{kind}") if kind in ("dia_", "adi_") else (f"St_{kind}",):
        files = {part: numbered_files(folder, rf"{name}(\d+)_{part}") for part in ("re", "im")}
        if files["re"]:
            break
    else:
        return None
    parts = []
    for part, found in files.items():
        missing = sorted(set(steps) - set(found))
        if found and missing:
            raise InputError(
                f"Folder `{folder}` must hold `{name}<step>_{part}` of every coupling, or of none, but that of step {missing[0]} is missing. "
                "Copy it here, or take the couplings as they are (`couplings` = source).",
                topic="numbering",
            )
        if found:
            parts.append(read_matrices([found[step] for step in steps], n_states))
    between = np.abs(parts[0] * ~np.eye(n_states, dtype=bool)).max()
    if len(parts) == 1 or np.abs(parts[1]).max() <= ASYMMETRY * between:  # rounding makes no complex states
        return name, parts[0]
    return name, parts[0] + 1j * parts[1]


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

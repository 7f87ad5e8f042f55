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

from hopcast.core.errors import check_choice
from hopcast.core.hamiltonian import EnergyGrid, VibronicHamiltonian
from hopcast.core.hdf5 import write_text
from hopcast.core.units import HARTREE
from hopcast.io.assemble import ASYMMETRY, assemble, from_overlaps, need_timestep
from hopcast.io.numbered import (
    chosen_prefix,
    consecutive,
    first_number,
    join_vibronic,
    matrix_prefixes,
    matrix_text,
    names_in,
    need_overlaps,
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


def energies_alone(folder: Path) -> list[str]:
    """Return the prefixes of energies with raw overlaps, and no Hamiltonian, that Libra's second step leaves (``compute_hvib`` off)."""
    if vibronic_prefixes(folder):
        return []
    names = names_in(folder)
    found = {hit.group(1) for hit in map(re.compile(r"E_((?:dia|adi)_)ks_\d+_re").fullmatch, names) if hit}
    return sorted(f"E_{kind}ks_" for kind in found if numbered_files(folder, rf"St_{kind}ks_(\d+)_re"))


def sniff(path: Path) -> bool:
    """Whether a folder has Hvib_<step>_re and _im, or another of Libra's names for them, or their energies and raw overlaps."""
    return path.is_dir() and bool(vibronic_prefixes(path) or energies_alone(path))


def read(path: Path, options: ReadOptions) -> VibronicHamiltonian:
    """Read the matrices; `options.energy_grid` is "frame" where the real parts are not averages of neighbours."""
    timestep = need_timestep(path, options.timestep)
    grid: EnergyGrid = check_choice("energy_grid", options.energy_grid or "midpoint", ("frame", "midpoint"))  # type: ignore[assignment]
    alone = energies_alone(path)
    prefix = chosen_prefix(path, alone or vibronic_prefixes(path) or ["Hvib_"], options.prefix)
    if alone:
        steps = consecutive(path, numbered_files(path, rf"{prefix}(\d+)_re"), f"energies (`{prefix}<step>_re`)")
        diagonals = read_matrices([path / f"{prefix}{step}_re" for step in steps])
        energies = np.einsum("tii->ti", diagonals) * HARTREE
        return _of_overlaps(path, prefix, energies, steps, grid, options)
    files = {part: numbered_files(path, rf"{prefix}(\d+)_{part}") for part in ("re", "im")}
    re_parts, im_parts, first = read_vibronic_pair(path, files["re"], files["im"], f"`{prefix}<step>`")
    energies, nac = split_vibronic(re_parts * HARTREE, im_parts * HARTREE)
    if options.couplings != "source" and _overlap_prefix(path, prefix) is not None:
        return _of_overlaps(path, prefix, energies, sorted(files["re"]), grid, options)
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


def _overlap_prefix(folder: Path, prefix: str) -> str | None:
    """Return the prefix of the raw overlaps of the states of a Hamiltonian; None where there are none."""
    kind = prefix.partition("_")[2].removesuffix("ks_")
    names = (f"St_{kind}ks_", f"st_{kind}") if kind in ("dia_", "adi_") else (f"St_{kind}",)
    return next((name for name in names if numbered_files(folder, rf"{name}(\d+)_re")), None)


def _of_overlaps(
    folder: Path, prefix: str, energies: NDArray[Any], steps: list[int], grid: EnergyGrid, options: ReadOptions
) -> VibronicHamiltonian:
    """Return the Hamiltonian of the raw overlaps beside energies, of the same steps."""
    name = _overlap_prefix(folder, prefix)
    parts = []
    for part in ("re", "im"):
        found = numbered_files(folder, rf"{name}(\d+)_{part}")
        if found:
            need_overlaps(folder, f"{name}<step>_{part}", steps, found)
            parts.append(read_matrices([found[step] for step in steps], energies.shape[1]))
    between = np.abs(parts[0] * ~np.eye(energies.shape[1], dtype=bool)).max()
    real = len(parts) == 1 or np.abs(parts[1]).max() <= ASYMMETRY * between  # rounding makes no complex states
    return from_overlaps(
        folder,
        energies,
        parts[0] if real else parts[0] + 1j * parts[1],
        timestep=need_timestep(folder, options.timestep),
        grid=grid,
        options=options,
        first=steps[0],
        place=lambda row: f"File `{folder / f'{name}{steps[row]}_re'}`",
        provenance={
            "format": f"libra-text, {prefix}<step>_re and {name}<step>",
            "sign": "raw overlaps <i(t)|j(t+dt)>",
            "units": "Ha",
        },
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

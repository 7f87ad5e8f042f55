"""Libra's text: ``Hvib_<step>_re`` and ``_im``, Ha, ``Im Hvib = -d``."""

from __future__ import annotations

from pathlib import Path

from hopcast.core.errors import check_choice
from hopcast.core.hamiltonian import EnergyGrid, VibronicHamiltonian
from hopcast.core.hdf5 import write_text
from hopcast.core.units import HARTREE
from hopcast.io.assemble import assemble, need_timestep
from hopcast.io.numbered import (
    first_number,
    join_vibronic,
    matrix_text,
    numbered_files,
    read_vibronic_pair,
    split_vibronic,
)
from hopcast.io.registry import Format, Holds, ReadOptions, WriteOptions


def sniff(path: Path) -> bool:
    """Whether a folder has Hvib_<step>_re and _im without suffix."""
    if not path.is_dir():
        return False
    try:
        return bool(numbered_files(path, r"Hvib_(\d+)_re")) and bool(numbered_files(path, r"Hvib_(\d+)_im"))
    except ValueError:
        return True


def read(path: Path, options: ReadOptions) -> VibronicHamiltonian:
    """Read the matrices; `options.energy_grid` is "frame" where the real parts are not averages of neighbours."""
    timestep = need_timestep(path, options.timestep)
    grid: EnergyGrid = check_choice("energy_grid", options.energy_grid or "midpoint", ("frame", "midpoint"))  # type: ignore[assignment]
    re_parts, im_parts, first = read_vibronic_pair(
        path, numbered_files(path, r"Hvib_(\d+)_re"), numbered_files(path, r"Hvib_(\d+)_im"), "`Hvib_<step>`"
    )
    energies, nac = split_vibronic(re_parts * HARTREE, im_parts * HARTREE)
    return assemble(
        path, energies, nac, timestep=timestep, grid=grid, options=options, first=first,
        provenance={"format": "libra-text", "sign": "Im Hvib = -d", "units": "Ha, atomic units"},
    )  # fmt: skip


def write(hamiltonian: VibronicHamiltonian, path: Path, options: WriteOptions) -> None:
    """Write the matrices of all mid-points into a folder."""
    re_parts, im_parts = join_vibronic(hamiltonian.midpoint_energies / HARTREE, hamiltonian.nac / HARTREE)
    for step, (real, imaginary) in enumerate(zip(re_parts, im_parts, strict=True), first_number(hamiltonian)):
        write_text(path / f"Hvib_{step}_re", matrix_text(real))
        write_text(path / f"Hvib_{step}_im", matrix_text(imaginary))


FORMAT = Format(
    "libra-text", "Libra's vibronic Hamiltonian as text", "hamiltonian", "Hvib_<step>_re, _im", sniff, read, write,
    Holds("midpoint", complex=True, diagonal=False, numbers="consecutive"), heeds=("energy_grid",),
)  # fmt: skip

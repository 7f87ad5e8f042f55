"""Hefei-NAMD text: `EIGTXT`, `NATXT` (or `NATXT_RE`, `NATXT_IM`), with `inp`, `INICON`, `DEPHTIME`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hopcast.core.errors import InputError
from hopcast.core.hamiltonian import VibronicHamiltonian
from hopcast.core.hdf5 import atomic_path
from hopcast.io.assemble import (
    assemble,
    differences_to_nac,
    nac_to_differences,
    need_timestep,
    real_couplings,
)
from hopcast.io.hefei_inputs import timestep_of, write_inputs
from hopcast.io.registry import Format, Holds, ReadOptions, WriteOptions
from hopcast.io.text import line_of_row, read_table

NAMES = ("EIGTXT", "NATXT", "NATXT_RE", "NATXT_IM")


def folder_of(path: Path) -> Path:
    """Return the folder of the data, given it or one of its files."""
    return path if path.is_dir() else path.parent


def sniff(path: Path) -> bool:
    """Whether there is an EIGTXT with couplings in text beside it."""
    if path.is_file() and path.name not in NAMES:
        return False
    folder = folder_of(path)
    return any((folder / name).is_file() for name in NAMES[1:3]) and (
        path.is_file() or (folder / "EIGTXT").is_file()
    )


def read(path: Path, options: ReadOptions) -> VibronicHamiltonian:
    """Read energies (eV) and couplings S - S^T, a line a step, column i * n_states + j."""
    folder = folder_of(path)
    energies = read_table(folder / "EIGTXT", workers=options.workers)
    n_states = energies.shape[1]
    timestep = need_timestep(folder, timestep_of(folder, options.timestep))
    scale = float(differences_to_nac(np.float64(1.0), timestep))  # type: ignore[arg-type]
    if (folder / "NATXT_RE").is_file():
        real = _couplings(folder / "NATXT_RE", n_states, options)
        imaginary = _couplings(folder / "NATXT_IM", n_states, options)
        if len(real) != len(imaginary):
            raise InputError(
                f"Files `{folder / 'NATXT_RE'}` and `NATXT_IM` must have the same number of lines, but have {len(real)} and "
                f"{len(imaginary)}. Write both again."
            )
        difference: NDArray[Any] = real + 1j * imaginary
        shape = "S - S^dagger (NATXT_RE, NATXT_IM)"
    else:
        difference = _couplings(folder / "NATXT", n_states, options)
        shape = "S - S^T (NATXT)"
    difference *= scale
    file = folder / ("NATXT_RE" if np.iscomplexobj(difference) else "NATXT")
    return assemble(
        file, energies, difference, timestep=timestep, grid="frame", options=options,
        place=lambda row: f"File `{file}`, line {line_of_row(file, row)}",
        provenance={
            "format": "hefei", "sign": f"{shape}, times hbar / (2 dt)", "units": "eV, dimensionless couplings",
        },
    )  # fmt: skip


def _couplings(path: Path, n_states: int, options: ReadOptions) -> NDArray[np.float64]:
    return read_table(path, columns=n_states * n_states, workers=options.workers).reshape(
        -1, n_states, n_states
    )


def write(hamiltonian: VibronicHamiltonian, path: Path, options: WriteOptions) -> None:
    """Write EIGTXT, NATXT (real), NATXT_RE and NATXT_IM, inp, INICON and DEPHTIME into a folder."""
    write_inputs(hamiltonian, path, options)
    write_rows(path / "EIGTXT", hamiltonian.energies)
    difference = nac_to_differences(hamiltonian.nac, hamiltonian.timestep)
    flat = (len(difference), -1)
    write_rows(path / "NATXT", real_couplings(difference).reshape(flat))
    write_rows(path / "NATXT_RE", difference.real.reshape(flat))
    write_rows(path / "NATXT_IM", difference.imag.reshape(flat))


def write_rows(path: Path, rows: NDArray[np.float64], form: str = "%24.16e") -> None:
    """Write a table, a line a row, atomically."""

    def lines() -> Iterator[bytes]:
        line = (form * rows.shape[1] + "\n").encode()
        for row in rows.tolist():
            yield line % tuple(row)

    with atomic_path(path) as temporary, temporary.open("wb") as file:
        file.writelines(lines())


FORMAT = Format(
    "hefei", "Hefei-NAMD text with inp, INICON and DEPHTIME; NATXT and NATXT_RE/_IM", "hamiltonian",
    "EIGTXT, NATXT, NATXT_RE, NATXT_IM", sniff, read, write, Holds("frame", complex=True, timestep=True), code="hefei-namd",
)  # fmt: skip

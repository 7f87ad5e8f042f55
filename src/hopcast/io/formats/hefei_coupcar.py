"""Hefei-NAMD's `COUPCAR`: Fortran direct access, all bands of the calculation, first index fastest."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hopcast.core.errors import InputError
from hopcast.core.hamiltonian import VibronicHamiltonian
from hopcast.core.hdf5 import atomic_path
from hopcast.io.assemble import assemble, differences_to_nac, nac_to_differences, need_timestep, real_couplings
from hopcast.io.formats.hefei import folder_of
from hopcast.io.registry import Format, Holds, ReadOptions, WriteOptions
from hopcast.io.text import head


def sniff(path: Path) -> bool:
    """Whether it is a COUPCAR with content (an empty one says "read the text"), and no text is meant."""
    if path.is_file() and path.name != "COUPCAR":
        return False
    folder = folder_of(path)
    if path.is_dir() and ((folder / "NATXT").is_file() or (folder / "NATXT_RE").is_file()):
        return False
    try:
        return (folder / "COUPCAR").stat().st_size > 0
    except OSError:
        return False


def read(path: Path, options: ReadOptions) -> VibronicHamiltonian:
    """Read energies (eV) and couplings S - S^T of all bands."""
    file = folder_of(path) / "COUPCAR"
    first = head(file, 32)
    if not first:
        raise InputError(
            f"File `{file}` is empty or missing: beside EIGTXT and NATXT that means that the text holds the data. "
            "Read the format `hefei`."
        )
    size = file.stat().st_size
    values = np.frombuffer(first, dtype="<f8") if len(first) == 32 else np.zeros(4)
    if not (np.isfinite(values).all() and 1 <= values[1] < 1e5 and values[1] == np.rint(values[1])):
        raise InputError(
            f"File `{file}` must begin with record length, NBANDS, NSW and POTIM as four doubles, but begins with "
            f"{', '.join(f'{value:g}' for value in values) if len(first) == 32 else f'{len(first)} bytes'}. Write it with the byte order of this machine."
        )
    record, n_bands, nsw, potim = float(values[0]), int(values[1]), float(values[2]), float(values[3])
    length = 8 * (n_bands * n_bands + n_bands)
    # builds that count 4-byte words state a quarter of the length
    if record not in (length, length // 4):
        raise InputError(
            f"File `{file}` must have records of {length} bytes for its {n_bands} bands, but states {record:g}. "
            "Write it again with the same NBANDS."
        )
    if not (2 <= nsw < 1e9 and nsw == np.rint(nsw)):
        raise InputError(
            f"File `{file}` must state a number of steps NSW of at least 2, but states {nsw:g}. Write it again."
        )
    n_records = size // length
    # the first record may be cut off after its four numbers only where there is no other
    if size % length or n_records != nsw:
        raise InputError(
            f"File `{file}` must hold {int(nsw)} records of {length} bytes (NSW), but has {size} bytes, {size / length:.6g} records. "
            "It is cut short or of another NBANDS: write it again."
        )
    need_timestep(file, potim)
    if options.timestep is not None and not np.isclose(potim, options.timestep, rtol=1e-6):
        raise InputError(
            f"File `{file}` has POTIM = {potim:g} fs, but `timestep` is {options.timestep:g} fs. Correct the wrong one."
        )
    data = np.fromfile(file, dtype="<f8", offset=length).reshape(-1, n_bands * n_bands + n_bands)
    broken = np.flatnonzero(~np.isfinite(data).all(axis=1))
    if broken.size:
        raise InputError(
            f"File `{file}`, record {broken[0] + 2} (step {broken[0]}) must hold finite numbers, but holds "
            f"{data[broken[0]][~np.isfinite(data[broken[0]])][0]}. Calculate this step again."
        )
    difference = data[:, : n_bands * n_bands].reshape(-1, n_bands, n_bands).swapaxes(1, 2)
    return assemble(
        file,
        data[:, n_bands * n_bands :],
        differences_to_nac(difference, potim),
        timestep=potim,
        grid="frame",
        options=options,
        place=lambda row: f"File `{file}`, record {row + 2}",
        provenance={
            "format": "hefei-coupcar",
            "sign": "S - S^T, first index fastest, times hbar / (2 dt)",
            "units": "eV, dimensionless couplings",
        },
    )


def write(hamiltonian: VibronicHamiltonian, path: Path, options: WriteOptions) -> None:
    """Write a COUPCAR into a folder (energies of frames but the last, as the code has it)."""
    n_states = hamiltonian.n_states
    n_steps = hamiltonian.n_steps
    rows = np.zeros((n_steps + 1, n_states * n_states + n_states))
    rows[0, :4] = (8.0 * rows.shape[1], n_states, n_steps + 1, hamiltonian.timestep)
    if n_states < 2 or n_steps < 2:
        raise InputError(
            f"A COUPCAR needs at least two states and at least three frames, but the Hamiltonian has {n_states} and {n_steps + 1}."
        )
    difference = real_couplings(nac_to_differences(hamiltonian.nac, hamiltonian.timestep))
    rows[1:, : n_states * n_states] = difference.swapaxes(1, 2).reshape(n_steps, -1)
    rows[1:, n_states * n_states :] = hamiltonian.energies[:n_steps]
    path.mkdir(parents=True, exist_ok=True)
    with atomic_path(path / "COUPCAR") as temporary:
        rows.astype("<f8").tofile(temporary)


FORMAT = Format(
    "hefei-coupcar",
    "Hefei-NAMD binary couplings of all bands; the last frame and its coupling do not fit",
    "hamiltonian",
    "COUPCAR",
    sniff,
    read,
    write,
    Holds("frame", timestep=True, last=False, digits=17),
    code="hefei-namd",
)

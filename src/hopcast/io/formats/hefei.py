"""Hefei-NAMD text: `EIGTXT`, `NATXT` (or `NATXT_RE`, `NATXT_IM`), with `inp`, `INICON`, `DEPHTIME`."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hopcast.core.errors import InputError
from hopcast.core.hamiltonian import VibronicHamiltonian
from hopcast.core.hdf5 import atomic_path
from hopcast.io.assemble import assemble, differences_to_nac, nac_to_differences, need_timestep, real_couplings
from hopcast.io.hefei_inputs import bands_of, timestep_of, write_inputs
from hopcast.io.registry import Format, Holds, ReadOptions, WriteOptions
from hopcast.io.text import (
    SHORTEST,
    WRAP,
    as_number,
    head,
    join_rows,
    line_of_row,
    parse_table,
    read_bytes,
    read_table,
    split_glued,
)

NAMES = ("EIGTXT", "NATXT", "NATXT_RE", "NATXT_IM")


def folder_of(path: Path) -> Path:
    """Return the folder of the data, given it or one of its files."""
    return path if path.is_dir() else path.parent


def sniff(path: Path) -> bool:
    """Whether there is an EIGTXT, with couplings in text beside it or no others."""
    if path.is_file() and path.name not in NAMES:
        return False
    folder = folder_of(path)
    if any((folder / name).is_file() for name in NAMES[1:3]):
        return path.is_file() or (folder / "EIGTXT").is_file()
    return (folder / "EIGTXT").is_file() and not head(folder / "COUPCAR", 1)


def read(path: Path, options: ReadOptions) -> VibronicHamiltonian:
    """Read energies (eV) and couplings S - S^T, a line a step, column i * n_states + j."""
    folder = folder_of(path)
    names = ("NATXT_RE", "NATXT_IM") if (folder / "NATXT_RE").is_file() else ("NATXT",)
    if not (folder / names[0]).is_file():
        raise InputError(
            f"Folder `{folder}` holds energies (EIGTXT) without couplings beside them (NATXT, NATXT_RE and NATXT_IM, or COUPCAR). Copy them here."
        )
    energies, parts, broken = _tables(folder, names, options)
    n_states = energies.shape[1]
    timestep = need_timestep(folder, timestep_of(folder, options.timestep))
    scale = float(differences_to_nac(np.float64(1.0), timestep))  # type: ignore[arg-type]
    if len({len(part) for part in parts}) > 1:
        raise InputError(
            f"Files `{folder / 'NATXT_RE'}` and `NATXT_IM` must have the same number of lines, but have {len(parts[0])} and "
            f"{len(parts[1])}. Write both again."
        )
    difference: NDArray[Any] = (parts[0] if len(parts) == 1 else parts[0] + 1j * parts[1]).reshape(
        -1, n_states, n_states
    )
    difference *= scale
    shape = f"S - S^{'dagger' if np.iscomplexobj(difference) else 'T'} ({', '.join(names)})"
    file = folder / names[0]
    bands = bands_of(folder, n_states)
    found = assemble(
        file,
        energies,
        difference,
        timestep=timestep,
        grid="frame",
        options=options,
        place=lambda row: f"File `{file}`, {f'row {row + 1}' if broken else f'line {line_of_row(file, row)}'}",
        provenance={
            "format": "hefei, rows broken over lines joined" if broken else "hefei",
            "sign": f"{shape}, times hbar / (2 dt)",
            "units": "eV, dimensionless couplings",
            **bands,
        },
    )
    first = int(bands.get("BMIN", "1"))
    if first == 1:
        return found
    return dataclasses.replace(found, state_labels=tuple(str(first + i) for i in range(found.n_states)))


def _tables(
    folder: Path, names: tuple[str, ...], options: ReadOptions
) -> tuple[NDArray[np.float64], list[NDArray[Any]], bool]:
    """Return energies and couplings, a row a step, and whether rows were broken over lines (list-directed output does that)."""
    paths = [folder / "EIGTXT", *(folder / name for name in names)]
    # src/dish reads complex numbers, as Fortran writes them: (re,im)
    is_complex = b"(" in head(paths[1])
    try:
        energies = read_table(paths[0], workers=options.workers)
        columns = energies.shape[1] ** 2
        if is_complex:
            return (energies, [_joined_parts(parse_table(_plain(paths[1]), str(paths[1]), columns=2 * columns))], False)
        return (energies, [read_table(path, columns=columns, workers=options.workers) for path in paths[1:]], False)
    except InputError:
        joined = join_tables(paths, 2 if is_complex else 1)
        if joined is None:
            _refuse_broken(folder, names)
            raise
        return joined[0], [_joined_parts(table) for table in joined[1:]] if is_complex else joined[1:], True


def _plain(path: Path) -> bytes:
    """Return text in which complex numbers ``(re,im)`` are two numbers each."""
    return read_bytes(path).translate(bytes.maketrans(b"(),", b"   "))


def _joined_parts(table: NDArray[np.float64]) -> NDArray[np.complex128]:
    return np.ascontiguousarray(table).view(np.complex128)


def _refuse_broken(folder: Path, names: tuple[str, ...]) -> None:
    """Name the couplings where the energies are rows broken over lines that the couplings do not fit."""
    try:
        text = read_bytes(folder / "EIGTXT")
        joined = join_rows(text)
        n_states = parse_table(joined, "EIGTXT").shape[1]
    except InputError:
        return
    for name in names if joined != text else ():
        n_words = len(_plain(folder / name).split())
        raise InputError(
            f"File `{folder / name}` must hold rows of {n_states**2} couplings, which may be broken over lines as those of EIGTXT, but holds "
            f"{n_words} numbers. Check that the file is complete and of the right number of states."
        )


def join_tables(paths: list[Path], parts: int = 1) -> list[NDArray[np.float64]] | None:
    """Return tables whose rows may be broken over lines, or None where the numbers of words and lines do not leave one number of states.

    The first has a column a state, the others one a pair of states and part (2 for complex numbers) of a coupling.
    """
    texts = [split_glued(_plain(path)) for path in paths if path.is_file()]
    lines = [[line.split() for line in text.split(b"\n") if line.strip()] for text in texts]
    if (
        len(texts) < len(paths)
        or not all(lines)
        or any(len(line) > WRAP for text in texts for line in text[: 1 << 16].split(b"\n"))
    ):
        return None

    words = [sum(map(len, table)) for table in lines]
    widths = [len(table[0]) for table in lines]
    # a line ends early only where the next number (of all its parts) would not fit
    shortest = SHORTEST if parts == 1 else 2 * SHORTEST - 80
    full = [len(text.lstrip(b"\r\n").split(b"\n", 1)[0]) >= shortest for text in texts]

    def rows(table: int, columns: int) -> int:
        """Return how many rows of so many columns a table has, 0 where that is impossible."""
        n_rows, left = divmod(words[table], columns)
        n_lines = n_rows * -(-columns // widths[table])
        return n_rows if not left and len(lines[table]) == n_lines and (columns <= widths[table] or full[table]) else 0

    possible = []
    for n_states in range(1, min(words[0], 2000) + 1):
        counts = [rows(table, n_states if table == 0 else parts * n_states**2) for table in range(len(lines))]
        if all(counts) and all(abs(count - counts[0]) <= 1 for count in counts):
            possible.append(n_states)
    if len(possible) != 1:
        return None
    n_states = possible[0]
    found = []
    for k, table in enumerate(lines):
        numbers = np.array([as_number(word) for line in table for word in line])
        if not np.isfinite(numbers).all():
            return None
        found.append(numbers.reshape(-1, n_states if k == 0 else parts * n_states**2))
    return found


def write(hamiltonian: VibronicHamiltonian, path: Path, options: WriteOptions) -> None:
    """Write EIGTXT, NATXT (real; complex for flavour `dish`), NATXT_RE and NATXT_IM, inp, INICON, COUPCAR and DEPHTIME into a folder."""
    write_inputs(hamiltonian, path, options)
    write_rows(path / "EIGTXT", hamiltonian.energies)
    difference = nac_to_differences(hamiltonian.nac, hamiltonian.timestep)
    flat = (len(difference), -1)
    if options.flavour == "dish":  # reads complex numbers, and from this file only
        pairs = np.stack([difference.real, difference.imag], axis=-1).reshape(len(difference), -1)
        write_rows(path / "NATXT", pairs, " (%.16e,%.16e)", 2)
    else:
        write_rows(path / "NATXT", real_couplings(difference).reshape(flat))
    write_rows(path / "NATXT_RE", difference.real.reshape(flat))
    write_rows(path / "NATXT_IM", difference.imag.reshape(flat))


def write_rows(path: Path, rows: NDArray[np.float64], form: str = "%24.16e", numbers: int = 1) -> None:
    """Write a table, a line a row, atomically; `form` takes so many numbers."""

    def lines() -> Iterator[bytes]:
        line = (form * (rows.shape[1] // numbers) + "\n").encode()
        for row in rows.tolist():
            yield line % tuple(row)

    with atomic_path(path) as temporary, temporary.open("wb") as file:
        file.writelines(lines())


FORMAT = Format(
    "hefei",
    "Hefei-NAMD text with inp, INICON and DEPHTIME; NATXT and NATXT_RE/_IM",
    "hamiltonian",
    "EIGTXT, NATXT, NATXT_RE, NATXT_IM",
    sniff,
    read,
    write,
    Holds("frame", complex=True, timestep=True),
    code="hefei-namd",
)

"""CA-NAC: text (`CAeig_*.txt`, `CAnac_*_re.txt`, `_im.txt`) or `.npy` in the folder of each step."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hopcast.core.errors import InputError
from hopcast.core.hamiltonian import VibronicHamiltonian
from hopcast.io.arrays import load_npy
from hopcast.io.assemble import assemble, differences_to_nac, nac_to_differences, need_timestep
from hopcast.io.formats.hefei import write_rows
from hopcast.io.numbered import chosen_prefix, consecutive, names_in
from hopcast.io.registry import Format, Holds, ReadOptions, WriteOptions
from hopcast.io.text import line_of_row, read_table

_ARRAY = re.compile(r"(nac|eig)_((?:ae|ps)(?:rd)?)\.npy")


def _texts(folder: Path) -> dict[str, Path]:
    """Return the energies' files by what stands between CAeig_ and .txt."""
    hits = {name: re.fullmatch(r"CAeig_(.*)\.txt", name) for name in names_in(folder)}
    return {hit.group(1): folder / name for name, hit in sorted(hits.items()) if hit}


def _steps(folder: Path) -> dict[int, Path]:
    """Return the folders of steps by number; two of the same number are refused."""
    found: dict[int, Path] = {}
    for name in names_in(folder):
        hit = re.fullmatch(r"\D*(\d{1,9})", name)
        if hit and any(_ARRAY.fullmatch(inner) for inner in names_in(folder / name)):
            number = int(hit.group(1))
            if number in found:
                raise InputError(
                    f"Folder `{folder}` has step {number} twice: `{found[number]}` and `{folder / name}`. Move one elsewhere."
                )
            found[number] = folder / name
    return found


def _folder(path: Path) -> Path:
    return path if path.is_dir() else path.parent


def sniff(path: Path) -> bool:
    """Whether there are CAeig text files, or numbered folders with nac_*.npy."""
    if path.is_file():
        return re.fullmatch(r"CA(eig_.*|nac_.*_(re|im))\.txt", path.name) is not None
    try:
        return bool(_texts(path)) or bool(_steps(path))
    except InputError:  # the reader says what is wrong
        return True


def read(path: Path, options: ReadOptions) -> VibronicHamiltonian:
    """Read energies (eV) and couplings S - S^dagger of frames, C order."""
    folder = _folder(path)
    timestep = need_timestep(path, options.timestep)
    texts = _texts(folder)
    first: int | None
    if texts:
        named = re.fullmatch(r"CAeig_(.*)\.txt|CAnac_(.*)_(?:re|im)\.txt", path.name)
        wanted = f"CAeig_{named.group(1) or named.group(2)}" if named and options.prefix is None else options.prefix
        label = chosen_prefix(folder, [f"CAeig_{each}" for each in texts], wanted).removeprefix("CAeig_")
        file = texts[label]
        energies = read_table(file, workers=options.workers)
        n_states = energies.shape[1]
        parts = []
        for part in ("re", "im"):
            name = folder / f"CAnac_{label}_{part}.txt"
            parts.append(read_table(name, columns=n_states**2, workers=options.workers))
        if len(parts[0]) != len(parts[1]):
            raise InputError(
                f"Files `{folder / f'CAnac_{label}_re.txt'}` and `_im.txt` must have the same number of lines, but have "
                f"{len(parts[0])} and {len(parts[1])}. Write both again."
            )
        difference: NDArray[Any] = (parts[0] + 1j * parts[1]).reshape(-1, n_states, n_states)
        first, origin = None, f"canac, text {label}"
        source = folder / f"CAnac_{label}_re.txt"

        def place(row: int) -> str:
            return f"File `{source}`, line {line_of_row(source, row)}"
    else:
        energies, difference, begin, origin = _read_arrays(folder, options.prefix)
        source, steps, first = folder, _steps(folder), begin

        def place(row: int) -> str:
            return f"Folder `{steps[row + begin]}`"

    return assemble(
        source,
        energies,
        differences_to_nac(difference, timestep),
        timestep=timestep,
        grid="frame",
        options=options,
        first=first,
        place=place,
        provenance={
            "format": origin,
            "sign": "S - S^dagger, times hbar / (2 dt)",
            "units": "eV, dimensionless couplings",
        },
    )


def _read_arrays(folder: Path, prefix: str | None) -> tuple[NDArray[np.float64], NDArray[np.complex128], int, str]:
    steps = _steps(folder)
    numbers = consecutive(folder, steps, "folders with `nac_*.npy`")
    tags: set[str] = set()
    for name in names_in(steps[numbers[0]]):
        hit = _ARRAY.fullmatch(name)
        if hit:
            tags.add(hit.group(2))
    if not tags:
        raise InputError(f"Folder `{steps[numbers[0]]}` must hold `nac_*.npy`, but holds none. Copy them here.")
    tag = chosen_prefix(steps[numbers[0]], [f"nac_{each}" for each in sorted(tags)], prefix).removeprefix("nac_")
    energies: list[NDArray[Any]] = []
    couplings: list[NDArray[Any]] = []
    for number in numbers:
        energy_file, nac_file = steps[number] / f"eig_{tag}.npy", steps[number] / f"nac_{tag}.npy"
        energy = load_npy(energy_file).real.ravel()
        n_states = energy.size
        if energies and n_states != energies[0].size:
            raise InputError(
                f"File `{energy_file}` must hold {energies[0].size} energies as the steps before, but holds {n_states}. "
                "Calculate this step with the same bands."
            )
        energies.append(energy)
        if number == numbers[-1] and not nac_file.is_file():
            continue
        nac = load_npy(nac_file)
        if nac.size != n_states**2:
            raise InputError(
                f"File `{nac_file}` must hold {n_states} x {n_states} couplings, but holds {nac.size} numbers. "
                "Calculate this step with the same bands."
            )
        couplings.append(nac.reshape(n_states, n_states).astype(complex))
    if not couplings or not energies[0].size:
        raise InputError(f"Folder `{folder}` must hold couplings of at least one step, but holds none. Copy them here.")
    return np.array(energies, dtype=float), np.array(couplings), numbers[0], f"canac, arrays {tag}"


def write(hamiltonian: VibronicHamiltonian, path: Path, options: WriteOptions) -> None:
    """Write the text form into a folder."""
    difference = nac_to_differences(hamiltonian.nac, hamiltonian.timestep).reshape(hamiltonian.n_steps, -1)
    write_rows(path / "CAeig_hopcast.txt", hamiltonian.energies)
    write_rows(path / "CAnac_hopcast_re.txt", difference.real)
    write_rows(path / "CAnac_hopcast_im.txt", difference.imag)


FORMAT = Format(
    "canac",
    "CA-NAC text, or .npy in the folder of each step",
    "hamiltonian",
    "CAeig_*.txt, CAnac_*_re/_im.txt; <step>/nac_*.npy, eig_*.npy",
    sniff,
    read,
    write,
    Holds("frame", complex=True),
    code="ca-nac",
    heeds=("prefix",),
)

"""Folders of numbered files: a matrix a step, the number in the name is the step."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hopcast.core.errors import InputError
from hopcast.core.hamiltonian import VibronicHamiltonian
from hopcast.io.assemble import ASYMMETRY
from hopcast.io.text import parse_table, read_bytes


def names_in(folder: Path) -> list[str]:
    """Return the names of the entries of a folder; nothing where it is none."""
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry in entries]
    except OSError:
        return []


def need_overlaps(folder: Path, name: str, steps: Sequence[int], files: Mapping[int, Path]) -> None:
    """Refuse raw overlaps that are there for some of the couplings only.

    Parameters
    ----------
    folder, name
        Where they are, and what each is called.
    steps
        Of the couplings.
    files
        Those that are there, by step.

    Raises
    ------
    InputError
        Naming the first step without them.
    """
    missing = sorted(set(steps) - set(files))
    if missing:
        raise InputError(
            f"Folder `{folder}` must hold `{name}` of every coupling, or of none, but that of step {missing[0]} is missing. "
            'Copy it here, or take the couplings as they are (`couplings="source"`).',
            topic="numbering",
        )


def numbered_files(folder: Path, pattern: str) -> dict[int, Path]:
    """Return files of a folder whose whole name matches, by the number in their first group.

    Raises
    ------
    InputError
        If two files have the same number (``Ham_1_re`` and ``Ham_01_re``).
    """
    match = re.compile(pattern).fullmatch
    found: dict[int, Path] = {}
    for name in names_in(folder):
        hit = match(name)
        if hit is None:
            continue
        digits = hit.group(1)
        if len(digits) > 9:
            continue
        number = int(digits)
        if number in found:
            raise InputError(
                f"Folder `{folder}` must have one file of step {number}, but has `{found[number].name}` and `{name}`. Remove one."
            )
        found[number] = folder / name
    return found


def matrix_prefixes(folder: Path) -> list[str]:
    """Return the prefixes of numbered real and imaginary parts (``0_Ham_7_re``, ``0_Ham_7_im``) in a folder."""
    parts: dict[str, set[str]] = {}
    for name in names_in(folder):
        hit = re.fullmatch(r"(.*?)(\d+)_(re|im)", name)
        if hit:
            parts.setdefault(hit.group(1), set()).add(hit.group(3))
    return sorted(prefix for prefix, both in parts.items() if both == {"re", "im"})


def chosen_prefix(folder: Path, prefixes: Sequence[str], wanted: str | None) -> str:
    """Return the prefix that a user names, or the only one.

    Raises
    ------
    InputError
        If there is no such one, or several and none is named.
    """
    listed = ", ".join(f"`{prefix}`" for prefix in prefixes[:6])
    if wanted is None and len(prefixes) == 1:
        return prefixes[0]
    if wanted is None:
        raise InputError(
            f"Folder `{folder}` holds the files of several Hamiltonians ({listed}), and hopcast does not guess. Give `prefix`, one of these.",
            topic="option",
        )
    if wanted not in prefixes:
        raise InputError(
            f"Folder `{folder}` must hold files that begin with `{wanted}`, but holds those of {listed}. Give one of these as `prefix`."
        )
    return wanted


def consecutive(folder: Path, files: dict[int, Path], what: str) -> list[int]:
    """Return the numbers in order.

    Raises
    ------
    InputError
        If there are none, or one between the first and the last is missing.
    """
    numbers = sorted(files)
    if not numbers:
        raise InputError(f"Folder `{folder}` must hold {what}, but holds none. Check the path and the prefix.")
    if numbers[-1] - numbers[0] + 1 != len(numbers):
        missing = next(a + 1 for a, b in itertools.pairwise(numbers) if b != a + 1)
        raise InputError(
            f"Folder `{folder}` must hold {what} of every step from {numbers[0]} to {numbers[-1]}, but that of step {missing} is "
            "missing. Calculate it, or move the steps after the gap elsewhere: a coupling across a gap has no meaning.",
            topic="numbering",
        )
    return numbers


def read_matrix(path: Path, n_states: int | None) -> NDArray[np.float64]:
    """Return a square matrix of text.

    Raises
    ------
    InputError
        If it is not square, or of another number of states than the others.
    """
    table = parse_table(read_bytes(path), str(path), columns=n_states)
    if table.shape[0] != table.shape[1]:
        raise InputError(
            f"File `{path}` must hold a square matrix{'' if n_states is None else f' of {n_states} states'}, but holds "
            f"{table.shape[0]} lines of {table.shape[1]} numbers. Check that it is complete."
        )
    return table


def read_matrices(paths: Sequence[Path], n_states: int | None = None) -> NDArray[np.float64]:
    """Return the matrices of files [n_files, n_states, n_states].

    Raises
    ------
    InputError
        As `read_matrix`.
    """
    first = read_matrix(paths[0], n_states)
    out = np.empty((len(paths), *first.shape))
    out[0] = first
    for row, path in enumerate(paths[1:], 1):
        out[row] = read_matrix(path, first.shape[0])
    return out


def first_number(hamiltonian: VibronicHamiltonian) -> int:
    """Return the number that the files of the first frame are given: its own where frames are numbered one by one, or 0."""
    numbers = hamiltonian.frame_numbers
    if numbers is None or numbers[0] < 0 or not np.all(np.diff(numbers) == 1):
        return 0
    return int(numbers[0])


def matrix_text(matrix: NDArray[Any], form: str = "%23.15e") -> str:
    """Return a real matrix as lines of text."""
    return "\n".join("".join(f" {form % value}" for value in row) for row in matrix) + "\n"


def read_vibronic_pair(
    folder: Path, real: dict[int, Path], imaginary: dict[int, Path], what: str
) -> tuple[NDArray[np.float64], NDArray[np.float64], int]:
    """Return real and imaginary parts of numbered matrices with the same numbers, and the first number.

    Raises
    ------
    InputError
        If one has a partner missing, sizes differ, or a real part is not symmetric or an imaginary part not antisymmetric.
    """
    numbers = consecutive(folder, real, f"real parts ({what}_re)")
    others = consecutive(folder, imaginary, f"imaginary parts ({what}_im)")
    if numbers != others:
        alone = sorted(set(numbers) ^ set(others))[0]
        raise InputError(
            f"Folder `{folder}` must hold a real and an imaginary part of every step, but step {alone} has only one. "
            "Check that both were written completely."
        )
    re_parts = read_matrices([real[number] for number in numbers])
    im_parts = read_matrices([imaginary[number] for number in numbers], re_parts.shape[1])
    _check_hermitian(numbers, re_parts, im_parts, real, imaginary)
    return re_parts, im_parts, numbers[0]


def _check_hermitian(
    numbers: list[int],
    re_parts: NDArray[np.float64],
    im_parts: NDArray[np.float64],
    real: dict[int, Path],
    imaginary: dict[int, Path],
) -> None:
    """Name the file whose matrix is not that of a Hermitian one, beyond what rounding does to the largest coupling."""
    off = re_parts * ~np.eye(re_parts.shape[1], dtype=bool)
    scale = max(float(np.abs(off).max(initial=0.0)), float(np.abs(im_parts).max(initial=0.0)))
    for files, parts, sign, word in ((real, off, -1.0, "symmetric"), (imaginary, im_parts, 1.0, "antisymmetric")):
        residual = np.abs(parts + sign * parts.swapaxes(1, 2)).max(axis=(1, 2))
        worst = int(residual.argmax())
        if residual[worst] > ASYMMETRY * scale:
            i, j = (int(k) for k in np.argwhere(np.abs(parts[worst] + sign * parts[worst].T) == residual[worst])[0])
            raise InputError(
                f"File `{files[numbers[worst]]}` must hold a matrix that is {word} (H is Hermitian), but holds {parts[worst, i, j]:g} in line "
                f"{i + 1}, column {j + 1} and {parts[worst, j, i]:g} across the diagonal. Calculate this step again."
            )


def split_vibronic(re_parts: NDArray[np.float64], im_parts: NDArray[np.float64]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return energies and hbar d, in the unit of the file, of ``H = E - i hbar d``.

    Elements off the diagonal that are rounding beside the imaginary parts do not make d complex.
    """
    energies = np.einsum("tii->ti", re_parts).copy()
    off = re_parts.copy()
    states = np.arange(re_parts.shape[1])
    off[:, states, states] = 0.0
    nac: NDArray[Any] = -im_parts
    if np.abs(off).max(initial=0.0) > ASYMMETRY * np.abs(im_parts).max(initial=0.0):
        nac = nac + 1j * off
    return energies, nac


def join_vibronic(energies: NDArray[np.float64], nac: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the real and imaginary parts of ``H = E - i hbar d`` (without the diagonal of d)."""
    states = np.arange(energies.shape[1])
    re_parts = nac.imag.copy() if np.iscomplexobj(nac) else np.zeros(nac.shape)
    im_parts = -nac.real.copy()
    re_parts[:, states, states] = energies
    im_parts[:, states, states] = 0.0
    return re_parts, im_parts

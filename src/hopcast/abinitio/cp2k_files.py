"""CP2K's files: the Gaussian functions of a basis file, their order, what an output says."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hopcast.abinitio.engine import OutputState
from hopcast.core.errors import ConfigError, InputError

_STICK_FIGURE = re.compile(r"^ *\* *(?:\\___/|O/\||/\| \||/ \\|\|)")  # beside CP2K's words when it aborts
Shells = tuple[tuple[int, NDArray[np.float64], NDArray[np.float64]], ...]


def data_folder() -> Path:
    """Return where CP2K keeps its basis sets: ``CP2K_DATA_DIR``, or beside the program.

    Raises
    ------
    ConfigError
        If it is not found.
    """
    places = [Path(os.environ["CP2K_DATA_DIR"])] if "CP2K_DATA_DIR" in os.environ else []
    program = find_program()
    if program is not None:
        root = Path(program).resolve().parent.parent
        places += [root / "share" / "cp2k", root / "share" / "cp2k" / "data", root / "data"]
    for place in places:
        if (place / "BASIS_MOLOPT").is_file():
            return place
    raise ConfigError("The basis sets of CP2K are not found. Set CP2K_DATA_DIR to the folder that holds BASIS_MOLOPT.")


def find_program() -> str | None:
    """Return the path of CP2K's program, or None."""
    for name in ("cp2k.psmp", "cp2k.popt", "cp2k.ssmp", "cp2k.sopt", "cp2k"):
        found = shutil.which(name)
        if found:
            return found
    return None


def read_basis(path: str | Path, element: str, name: str) -> Shells:
    """Return the shells of a basis set: (angular momentum, exponents, contraction coefficients [n_exponents, n]).

    Parameters
    ----------
    path
        File in CP2K's form (``BASIS_MOLOPT``).
    element
        Chemical symbol.
    name
        Of the basis, e.g. ``DZVP-MOLOPT-SR-GTH``.

    Raises
    ------
    InputError
        If the element has no such basis.
    """
    lines = [line.split("#")[0].split() for line in Path(path).read_text(encoding="utf-8").splitlines()]
    wanted = (element.upper(), name.upper())
    heads = [
        number
        for number, words in enumerate(lines)
        if words and words[0].upper() == wanted[0] and wanted[1] in (word.upper() for word in words[1:])
    ]
    if not heads:
        raise InputError(f"Element {element} has no basis `{name}` in `{path}`. Choose another basis.")
    rows = (row for row in lines[heads[0] + 1 :] if row)
    shells = []
    for _ in range(int(next(rows)[0])):
        _, low, high, n_exponents, *counts = (int(word) for word in next(rows))
        table = np.array([[float(word) for word in next(rows)] for _ in range(n_exponents)])
        column = 1
        for momentum, count in zip(range(low, high + 1), counts, strict=True):
            shells.append((momentum, table[:, 0], table[:, column : column + count]))
            column += count
    return tuple(shells)


def output_state(path: str | Path) -> OutputState:
    """Return how a CP2K run ended, from its output.

    Parameters
    ----------
    path
        The output file.
    """
    name = Path(path)
    if not name.is_file():
        return OutputState("absent", "there is no output")
    # CP2K appends to its output: what counts is the last run
    text = name.read_text(encoding="utf-8", errors="replace").rpartition("PROGRAM STARTED AT")[2]
    if re.search(r"SCF run NOT converged", text):
        return OutputState("not converged", "the self-consistency did not converge")
    abort = re.search(r"\[ABORT\](.*?)(?:^ *\*{20}|\Z)", text, re.DOTALL | re.MULTILINE)
    if abort:
        lines = (_STICK_FIGURE.sub("", line).rstrip(" *") for line in abort.group(1).splitlines())
        words = " ".join(" ".join(lines).split())
        return OutputState("killed", f"CP2K stopped: {words[:250]}")
    if "PROGRAM ENDED AT" not in text or "SCF run converged" not in text:
        return OutputState("killed", "the run was killed before its end")
    return OutputState("finished", "")


def order_from_cp2k(momenta: Mapping[int, tuple[int, ...]] | tuple[tuple[int, ...], ...]) -> NDArray[np.int64]:
    """Return where each function in pyscf's order stands in CP2K's: p is y, z, x there and x, y, z here.

    Parameters
    ----------
    momenta
        Angular momentum of each shell, a tuple an atom.
    """
    index: list[int] = []
    rows = momenta.values() if isinstance(momenta, Mapping) else momenta
    for atom in rows:
        for momentum in atom:
            start = len(index)
            index += [start + 2, start, start + 1] if momentum == 1 else list(range(start, start + 2 * momentum + 1))
    return np.array(index, dtype=np.int64)

"""nano-qmflows' HDF5: raw overlaps, eigenvalues (Ha), couplings (1/atomic time)."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Any

import numpy as np

from hopcast.core.errors import InputError
from hopcast.core.hamiltonian import VibronicHamiltonian
from hopcast.core.units import ATOMIC_TIME, HARTREE, HBAR
from hopcast.io.arrays import dataset, foreign_hdf5
from hopcast.io.assemble import assemble, from_overlaps, need_timestep
from hopcast.io.registry import Format, ReadOptions

SUFFIXES = (".h5", ".hdf5")


def _home(file: Any) -> Any:
    """Return the group with the eigenvalues: the file, or one group in it."""
    import h5py

    if "eigenvalues" in file.keys():  # noqa: SIM118
        return file
    for name in list(file.keys())[:64]:
        link = file.get(name, getlink=True)
        if (
            isinstance(link, h5py.HardLink)
            and isinstance(file[name], h5py.Group)
            and "eigenvalues" in file[name]
        ):
            return file[name]
    return None


def looks_like(file: Any) -> bool:
    """Whether an open HDF5 file is nano-qmflows'."""
    return _home(file) is not None


def sniff(path: Path) -> bool:
    """Whether it is HDF5 with eigenvalues and overlaps by number."""
    if path.suffix not in SUFFIXES or not path.is_file():
        return False
    import h5py

    try:
        with h5py.File(path, "r") as file:
            return "format" not in file.attrs and looks_like(file)
    except Exception:  # damaged files are for the one who is asked to read them
        return False


def _numbers(group: Any, pattern: str, path: Path, what: str) -> dict[int, str]:
    hits = [re.fullmatch(pattern, name) for name in group.keys()]  # noqa: SIM118
    found = {int(hit.group(1)): hit.group(0) for hit in hits if hit}
    numbers = sorted(found)
    if numbers and numbers[-1] - numbers[0] + 1 != len(numbers):
        missing = next(a + 1 for a, b in itertools.pairwise(numbers) if b != a + 1)
        raise InputError(
            f"File `{path}` must hold {what} of every step, but that of step {missing} is missing."
        )
    return {number: found[number] for number in numbers}


def read(path: Path, options: ReadOptions) -> VibronicHamiltonian:
    """Read eigenvalues and overlaps (or, where the source is trusted, its couplings)."""
    timestep = need_timestep(path, options.timestep)
    with foreign_hdf5(path) as file:
        home = _home(file)
        if home is None:
            raise InputError(
                f"File `{path}` must hold `eigenvalues`, but does not. Is it nano-qmflows' HDF5?"
            )
        points = _numbers(home["eigenvalues"], r"point_(\d{1,9})", path, "`eigenvalues/point_<step>`")
        if len(points) < 2:
            raise InputError(
                f"File `{path}` must hold eigenvalues of at least two steps, but holds {len(points)}."
            )
        rows = [dataset(home["eigenvalues"], name).ravel() for name in points.values()]
        sizes = {row.size for row in rows}
        if len(sizes) != 1:
            raise InputError(
                f"File `{path}` must hold as many eigenvalues at every step, but holds {sorted(sizes)[:4]}."
            )
        energies = np.array(rows, dtype=float) * HARTREE
        overlaps = _numbers(home, r"overlaps_(\d{1,9})", path, "`overlaps_<step>`")
        couplings = _numbers(home, r"coupling_(\d{1,9})", path, "`coupling_<step>`")
        trust = options.couplings == "source" and bool(couplings)
        chosen = couplings if trust else overlaps
        if not chosen:
            raise InputError(
                f"File `{path}` must hold `overlaps_<step>` or `coupling_<step>`, but holds neither."
            )
        first = min(points)
        if min(chosen) != first:
            raise InputError(
                f"File `{path}` numbers eigenvalues from {first} and couplings from {min(chosen)}: they do not pair."
            )
        kind = "coupling" if trust else "mtx_sji_t0"
        if trust:
            stack = [dataset(home, name) for name in couplings.values()]
        else:
            if any("mtx_sji_t0" not in home[name].keys() for name in overlaps.values()):  # noqa: SIM118
                kind = "mtx_sji_t0_corrected"
            stack = [dataset(home[name], kind) for name in overlaps.values()]
    shape = (energies.shape[1], energies.shape[1])
    for number, matrix in zip(chosen, stack, strict=True):
        if matrix.shape != shape:
            raise InputError(
                f"File `{path}`, step {number}: `{kind}` must have the shape {shape} of the eigenvalues, but has {matrix.shape}."
            )
    matrices = np.array(stack)
    matrices = matrices.astype(complex if np.iscomplexobj(matrices) else float)
    provenance = {"format": f"nanoqmflows-hdf5, {kind}", "units": "Ha, 1/atomic time"}
    if trust:
        return assemble(
            path, energies, matrices * (HBAR / ATOMIC_TIME), timestep=timestep, grid="frame", options=options, first=first,
            provenance={**provenance, "sign": "d"},
        )  # fmt: skip
    return from_overlaps(
        path, energies, matrices, timestep=timestep, options=options, first=first,
        provenance={**provenance, "sign": "raw overlaps <i(t)|j(t+dt)>"},
    )  # fmt: skip


FORMAT = Format(
    "nanoqmflows-hdf5", "nano-qmflows' HDF5: raw overlaps or couplings", "hamiltonian", "*.hdf5 with eigenvalues/point_<step>",
    sniff, read,
)  # fmt: skip
